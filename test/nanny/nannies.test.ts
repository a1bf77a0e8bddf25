import { createSocket } from 'node:dgram';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Config, configSchema, type ServiceConfig } from '../../src/config/schema.ts';
import type { EventCode } from '../../src/log/catalogue.ts';
import { EVENTS } from '../../src/log/catalogue.ts';
import type { Fields } from '../../src/log/event.ts';
import type { runCheck } from '../../src/nanny/io/ftp-check.ts';
import { type Nannies, startNannies, systemClock } from '../../src/nanny/io/nannies.ts';
import { readPassword } from '../../src/nanny/io/password.ts';
import { CHECKS_AT_ONCE_MAX } from '../../src/nanny/turns.ts';
import { PATH, SORRY, type Verdict } from '../../src/nanny/verdict.ts';
import type { Address } from '../../src/units/address.ts';
import type { Ms } from '../../src/units/duration.ts';
import { freePort } from '../redis/redis-server.ts';
import { until } from '../until.ts';
import { makeCertificate } from './certificates.ts';
import { type HostileServer, type Script, startHostile } from './hostile-server.ts';

type Services = Pick<Config, 'services'>;
const serviceSchema = configSchema.shape.services;

/** A config with one service of the given servers, all behind these control ports, checked as often as tests want. */
function configOf(
  port: number | readonly number[],
  addresses: Record<string, string>,
  check: Record<string, unknown> = {},
): Services {
  const { services } = {
    services: serviceSchema.parse({
      ftp: {
        vip: '127.0.0.1',
        servers_lan: 'servers',
        mark: 21,
        control_port: port,
        passive_ports: '1024-65535',
        check: { interval: '500ms', timeout: '2s', stage_timeout: '500ms', rise: 1, fall: 2, ...check },
        servers: Object.fromEntries(Object.entries(addresses).map(([name, address]) => [name, { address }])),
      },
    }),
  };
  return { services };
}

/** The same with intervals below the config's bounds, so that tests are quick. */
function quick(config: Services, intervalMs = 20): Services {
  return {
    services: Object.fromEntries(
      Object.entries(config.services).map(([name, service]) => [
        name,
        { ...service, check: { ...service.check, interval: intervalMs as Ms } } as ServiceConfig,
      ]),
    ),
  };
}

type RunScript = NonNullable<Parameters<typeof startNannies>[0]['runScript']>;

interface Watch {
  readonly nannies: Nannies;
  readonly changes: string[];
  readonly events: { code: EventCode; fields: Fields }[];
  codes(): EventCode[];
}

function watch(t: ExecutionContext, config: Services, check?: typeof runCheck, runScript?: RunScript): Watch {
  const changes: string[] = [];
  const events: { code: EventCode; fields: Fields }[] = [];
  const nannies = startNannies({
    config,
    node: 'r1',
    clock: systemClock,
    log: {
      event: (code, fields = {}) => {
        events.push({ code, fields });
      },
    },
    onVerdict: verdict => changes.push(`${verdict.server} ${verdict.state}`),
    random: () => 0,
    ...(check && { check }),
    ...(runScript && { runScript }),
  });
  t.teardown(() => nannies.stop());
  return { nannies, changes, events, codes: () => events.map(({ code }) => code) };
}

async function hostile(t: ExecutionContext, script: Script = {}): Promise<HostileServer> {
  const server = await startHostile(script);
  t.teardown(() => server.close());
  return server;
}

const stateOf = (nannies: Nannies, server: string): Verdict | undefined =>
  nannies.verdicts().find(verdict => verdict.server === server);

test('servers are told apart: one up, one down, each change told once and logged with its reason', async t => {
  const server = await hostile(t);
  const { nannies, changes, events } = watch(t, quick(configOf(server.port, { good: '127.0.0.1', gone: '127.0.0.9' })));
  t.deepEqual(
    nannies.verdicts().map(({ server: name, state }) => [name, state]),
    [
      ['good', 'unknown'],
      ['gone', 'unknown'],
    ],
  );
  await until('both are judged', () => changes.length >= 2);
  await until('more checks were made', () => server.sessions() > 3);
  t.deepEqual([...changes].sort(), ['gone down', 'good up']);
  t.like(stateOf(nannies, 'good'), { state: 'up', last: { ok: true } });
  t.like(stateOf(nannies, 'gone'), { state: 'down', last: { ok: false, stage: 'connect' } });
  const down = events.find(({ code }) => code === 'SERVER_DOWN');
  t.like(down?.fields, {
    service: 'ftp',
    server: 'gone',
    address: `127.0.0.9:${server.port}`,
    stage: 'connect',
    checks: 2,
  });
  t.is(events.filter(({ code }) => code === 'SERVER_UP').length, 1);
  t.is(events.filter(({ code }) => code === 'SERVER_CHECK_FAILED').length, 1);
});

test('every event is logged with the fields the catalogue names', async t => {
  const script = { on: {} as { PASS?: string; USER?: string } };
  const server = await hostile(t, script);
  const { events, changes } = watch(t, quick(configOf(server.port, { a: '127.0.0.1' })));
  await until('it is up', () => changes.includes('a up'));
  script.on.PASS = '530 Login incorrect.\r\n';
  await until('it is down', () => changes.includes('a down'));
  script.on.USER = '530 No.\r\n';
  await until('it fails differently', () => events.some(({ code }) => code === 'SERVER_FAILS_DIFFERENTLY'));
  script.on = {};
  await until('it is up again', () => changes.length === 3);
  t.deepEqual(changes, ['a up', 'a down', 'a up']);
  t.deepEqual(
    events.map(({ code }) => code),
    [
      'SERVER_UP',
      'SERVER_CHECK_FAILED',
      'SERVER_DOWN',
      'SERVER_FAILS_DIFFERENTLY',
      'SERVER_CHECK_RECOVERED',
      'SERVER_UP',
    ],
  );
  for (const { code, fields } of events)
    t.deepEqual(Object.keys(fields).sort(), Object.keys(EVENTS[code].fields).sort(), code);
  t.like(events[2]?.fields, { stage: 'login', words: '530 Login incorrect.' });
});

test('a certificate near its end is logged with its end, and its renewal, with the fields the catalogue names', async t => {
  let daysLeft = 3;
  const check: typeof runCheck = async () => ({
    type: 'result',
    result: { ok: true, tookMs: 1, bytes: 1, certificate: { validUntil: '2027-01-01T00:00:00.000Z', daysLeft } },
  });
  const { nannies, events } = watch(t, quick(configOf(21, { a: '127.0.0.1' }, { tls: 'explicit' })), check);
  await until('it is told', () => events.some(({ code }) => code === 'CERTIFICATE_EXPIRES'));
  t.like(stateOf(nannies, 'a'), {
    conditions: { expiring: true, slow: false },
    last: { certificate: { daysLeft: 3 } },
  });
  daysLeft = 300;
  await until('its end is told', () => events.some(({ code }) => code === 'CERTIFICATE_RENEWED'));
  const told = events.filter(({ code }) => code.startsWith('CERTIFICATE'));
  t.is(told.length, 2);
  t.like(told[0]?.fields, { server: 'a', daysLeft: 3, validUntil: '2027-01-01T00:00:00.000Z' });
  for (const { code, fields } of told)
    t.deepEqual(Object.keys(fields).sort(), Object.keys(EVENTS[code].fields).sort(), code);
});

test('a server whose PASV announces its own address is misconfigured: told once, with the setting that mends it', async t => {
  const server = await hostile(t, { announce: '198.51.100.11' });
  const { nannies, changes, events } = watch(
    t,
    quick(configOf(server.port, { a: '127.0.0.1' }, { stage_timeout: '10s', timeout: '20s' })),
  );
  await until('it is judged', () => changes.length > 0);
  t.deepEqual(changes, ['a misconfigured']);
  t.like(stateOf(nannies, 'a'), { state: 'misconfigured', alive: true });
  const told = events.filter(({ code }) => code === 'SERVER_MISCONFIGURED');
  t.is(told.length, 1);
  t.like(told[0]?.fields, { server: 'a', from: 'unknown', stage: 'passive' });
  t.regex(`${told[0]?.fields.problem}`, /^PASV announces 198\.51\.100\.11, not 127\.0\.0\.1; set pasv_address/);
  t.deepEqual(Object.keys(told[0]?.fields ?? {}).sort(), Object.keys(EVENTS.SERVER_MISCONFIGURED.fields).sort());
});

test('a slow server is told once it was slow fall times in a row, and once it was quick rise times', async t => {
  let tookMs = 900;
  const check: typeof runCheck = async () => ({
    type: 'result',
    result: { ok: true, tookMs, bytes: 1, stagesMs: { connect: 1, login: tookMs - 1 } },
  });
  const limits = { slow_warn: { greeting: '2s', login: '500ms', whole: '2s' } };
  const { nannies, events } = watch(t, quick(configOf(21, { a: '127.0.0.1' }, limits)), check);
  await until('it is told', () => events.some(({ code }) => code === 'SERVER_SLOW'));
  t.like(stateOf(nannies, 'a'), { state: 'up', conditions: { slow: true } });
  tookMs = 5;
  await until('its end is told', () => events.some(({ code }) => code === 'SERVER_QUICK'));
  const told = events.filter(({ code }) => /SLOW|QUICK/.test(code));
  t.is(told.length, 2);
  t.like(told[0]?.fields, { server: 'a', tookMs: 900, stage: 'login', stageMs: 899 });
  for (const { code, fields } of told)
    t.deepEqual(Object.keys(fields).sort(), Object.keys(EVENTS[code].fields).sort(), code);
});

test('a server is never checked twice at once, however long a check takes', async t => {
  const server = await hostile(t, { greeting: { kind: 'hang' } });
  const { changes } = watch(t, quick(configOf(server.port, { slow: '127.0.0.1' }, { stage_timeout: '150ms' }), 1));
  await until('three checks were made', () => server.sessions() >= 3);
  t.is(server.sessionsMax(), 1);
  t.deepEqual(changes, ['slow down']);
});

test('more servers than have a place are all checked, but never more at once than allowed; the queue is reported, and its end', async t => {
  const COUNT = CHECKS_AT_ONCE_MAX + 100;
  // Less than half the places: the queue is not said to be over while they are filled again.
  const ENDED_AT_ONCE = 400;
  const INTERVAL_MS = 300;
  let runningMax = 0;
  const ends: (() => void)[] = [];
  const hang: typeof runCheck = async () => {
    await new Promise<void>(resolve => {
      runningMax = Math.max(runningMax, ends.push(resolve));
    });
    return {
      type: 'result',
      result: { ok: false, tookMs: 1, stage: 'greeting', life: 'silent', problem: 'no', words: '' },
    };
  };
  const addresses = Object.fromEntries(
    Array.from({ length: COUNT }, (_, index) => [`s${index}`, `127.0.${index >> 8}.${index & 255}`]),
  );
  const { nannies, changes, codes } = watch(t, quick(configOf(21, addresses, { fall: 2 }), INTERVAL_MS), hang);
  await until('every place is taken', () => ends.length === CHECKS_AT_ONCE_MAX);
  await new Promise(resolve => setTimeout(resolve, 2 * INTERVAL_MS));
  while (new Set(changes).size < COUNT) {
    await until('every place is taken again', () => ends.length === CHECKS_AT_ONCE_MAX);
    for (const end of ends.splice(0, ENDED_AT_ONCE)) end();
  }
  t.is(runningMax, CHECKS_AT_ONCE_MAX);
  t.true(nannies.verdicts().every(({ state }) => state === 'down'));
  t.is(codes().filter(code => code === 'CHECKS_LATE').length, 1);
  nannies.update(quick(configOf(21, addresses, { fall: 2 }), 3_000));
  await until('the queue is gone', () => {
    for (const end of ends.splice(0)) end();
    return codes().includes('CHECKS_ON_TIME');
  });
  t.is(runningMax, CHECKS_AT_ONCE_MAX);
});

test('a new config keeps the state of servers that stay, and begins anew with those at another address', async t => {
  const server = await hostile(t);
  const addresses = { stays: '127.0.0.1', moves: '127.0.0.1', goes: '127.0.0.1' };
  const { nannies, changes } = watch(t, quick(configOf(server.port, addresses)));
  await until('all are up', () => changes.length === 3);
  const before = stateOf(nannies, 'stays');
  const next = configOf(
    server.port,
    { stays: '127.0.0.1', moves: '127.0.0.9', comes: '127.0.0.1' },
    { fall: 3, fetch: 'x' },
  );
  nannies.update(quick(next, 200));
  t.deepEqual(
    nannies.verdicts().map(({ server: name, state }) => [name, state]),
    [
      ['stays', 'up'],
      ['moves', 'unknown'],
      ['comes', 'unknown'],
    ],
  );
  t.is(stateOf(nannies, 'stays')?.checkedAt, before?.checkedAt);
  await until('the new ones are judged', () => changes.length === 5);
  t.deepEqual(changes.slice(3).sort(), ['comes up', 'moves down']);
  await until('the one that stays is checked by the new settings', () => server.commands.includes('RETR x'));
  t.is(stateOf(nannies, 'stays')?.state, 'up');
});

test('a sorry server has a nanny of its own: a greeting of any code is enough, and it is none of the real servers', async t => {
  const server = await hostile(t, { greeting: { kind: 'close', after: '421 Closed for today.\r\n' } });
  const config = configOf(server.port, { a: '127.0.0.1' }, { fall: 1 });
  const { nannies, changes } = watch(t, quick(withSorry(config)));
  await until('both are judged', () => changes.length >= 2);
  t.deepEqual([...changes].sort(), ['a down', 'sorry_server up']);
  t.deepEqual(
    nannies.sorry().map(({ service, server: name, state, kept }) => [service, name, state, kept]),
    [['ftp', SORRY, 'up', false]],
  );
  t.deepEqual(
    nannies.verdicts().map(({ server: name }) => name),
    ['a'],
  );
  t.deepEqual(nannies.leaving(), []);
});

/** For tests that are not about time: a busy machine is no fault of the server. */
const PATIENT = { stage_timeout: '10s', timeout: '20s' };

const keys = mkdtempSync(path.join(tmpdir(), 'tandem-nannies-'));
test.after.always(() => rmSync(keys, { recursive: true, force: true }));

/** The config with a sorry server at 127.0.0.1. */
function withSorry({ services: { ftp } }: Services): Services {
  if (!ftp) throw new Error('the config has a service');
  return { services: { ftp: { ...ftp, sorry_server: { address: '127.0.0.1' as Address } } } };
}

test('a server that lets nobody in without TLS is up with check.tls: explicit alone, its certificate signed by itself', async t => {
  const pair = makeCertificate(keys, 'alone', ['DNS:ftp.example'], 30);
  const server = await hostile(t, { tls: { mode: 'explicit', ...pair } });
  const { nannies, changes } = watch(
    t,
    quick(configOf(server.port, { a: '127.0.0.1' }, { tls: 'explicit', ...PATIENT })),
  );
  await until('it is judged', () => changes.length > 0);
  t.like(stateOf(nannies, 'a'), { state: 'up', last: { ok: true } }, JSON.stringify(stateOf(nannies, 'a')));
  t.is(server.commands[0], 'AUTH TLS');
});

test('a sorry server greets within TLS on a port where clients begin with TLS, by any certificate', async t => {
  const pair = makeCertificate(keys, 'sorry', ['DNS:sorry.example'], 30);
  const server = await hostile(t, {
    tls: { mode: 'implicit', ...pair },
    greeting: { kind: 'close', after: '421 Closed for today.\r\n' },
  });
  const demanding = { ...PATIENT, fall: 1, tls: 'implicit', tls_verify: 'chain' };
  const { nannies, changes } = watch(t, quick(withSorry(configOf(server.port, { a: '127.0.0.9' }, demanding))));
  await until('the sorry server is judged', () => changes.some(change => change.startsWith('sorry_server')));
  t.like(nannies.sorry()[0], { state: 'up', last: { ok: true } }, JSON.stringify(nannies.sorry()));
});

test('a sorry server that greets in the clear is of no use where clients begin with TLS', async t => {
  const server = await hostile(t, { greeting: '421 Closed for today.\r\n' });
  const demanding = { ...PATIENT, fall: 1, tls: 'implicit' };
  const { nannies, changes } = watch(t, quick(withSorry(configOf(server.port, { a: '127.0.0.9' }, demanding))));
  await until('the sorry server is judged', () => changes.some(change => change.startsWith('sorry_server')));
  t.like(nannies.sorry()[0], { state: 'down', last: { ok: false, stage: 'tls' } });
});

test('a server whose one control port is dead gets no new clients, keeps its sessions, and says which port it is', async t => {
  const server = await hostile(t);
  const dead = await freePort();
  for (const ports of [
    [server.port, dead],
    [dead, server.port],
  ]) {
    const before = server.sessions();
    const { nannies, changes, events } = watch(t, quick(configOf(ports, { a: '127.0.0.1' }, PATIENT)));
    await until('more than fall checks were made', () => changes.length > 0 && server.sessions() > before + 3);
    t.deepEqual(changes, ['a down']);
    t.like(stateOf(nannies, 'a'), { state: 'down', alive: true, last: { ok: false, stage: 'connect' } });
    const told = events.find(({ code }) => code === 'SERVER_DOWN');
    t.like(told?.fields, { address: '127.0.0.1', answers: true });
    t.regex(`${told?.fields.problem}`, new RegExp(`^port ${dead}: 127\\.0\\.0\\.1:${dead} cannot be reached`));
    await nannies.stop();
  }
});

test('a server that is dead at all of its control ports is dead', async t => {
  const ports = [await freePort(), await freePort()];
  const { nannies, changes } = watch(t, quick(configOf(ports, { a: '127.0.0.1' }, PATIENT)));
  await until('it is judged', () => changes.length > 0);
  t.like(stateOf(nannies, 'a'), { state: 'down', alive: false });
});

test('the control ports of a server are checked one after the other', async t => {
  let running = 0;
  let runningMax = 0;
  const ports: number[] = [];
  const check: typeof runCheck = async ({ controlPort }) => {
    ports.push(controlPort);
    running += 1;
    runningMax = Math.max(runningMax, running);
    await new Promise(resolve => setTimeout(resolve, 5));
    running -= 1;
    return { type: 'result', result: { ok: true, tookMs: 5, bytes: 1 } };
  };
  const { changes } = watch(t, quick(configOf([21, 990], { a: '127.0.0.1' })), check);
  await until('it is judged', () => changes.length > 0);
  t.deepEqual([ports.slice(0, 2), runningMax], [[21, 990], 1]);
});

test('the deadline of a check is for all control ports together: what is not done by then has failed', async t => {
  const asked: number[][] = [];
  const slow: typeof runCheck = async ({ controlPort, timeoutMs }) => {
    asked.push([controlPort, timeoutMs]);
    await new Promise(resolve => setTimeout(resolve, 250));
    return { type: 'result', result: { ok: true, tookMs: 250, bytes: 1 } };
  };
  const services = configOf([2121, 2122, 2123], { a: '127.0.0.1' }, { timeout: '200ms', deadline: '200ms' });
  const { nannies, changes } = watch(t, quick(services), slow);
  await until('it is down', () => changes.includes('a down'));
  t.deepEqual([...new Set(asked.map(([port]) => port))], [2121], 'no other port was begun');
  t.true(asked.every(([, timeoutMs = 0]) => timeoutMs <= 200));
  t.like(stateOf(nannies, 'a'), {
    alive: true,
    last: { ok: false, problem: 'port 2122: not checked: those before it took all of check.deadline, 200ms' },
  });
});

test('a server that is silent until the deadline is dead, though its other ports had no turn', async t => {
  const silent: typeof runCheck = async () => {
    await new Promise(resolve => setTimeout(resolve, 250));
    const result = { ok: false, stage: 'greeting', life: 'none', tookMs: 250, problem: 'no reply', words: '' } as const;
    return { type: 'result', result };
  };
  const services = configOf([2121, 2122], { a: '127.0.0.1' }, { timeout: '200ms', deadline: '200ms' });
  const { nannies, changes } = watch(t, quick(services), silent);
  await until('it is down', () => changes.includes('a down'));
  t.like(stateOf(nannies, 'a'), { alive: false });
});

test('check.script has its say once all else has passed; a script that could not be run says nothing of the server', async t => {
  const passes: typeof runCheck = async () => ({ type: 'result', result: { ok: true, tookMs: 5, bytes: 1 } });
  const ended = { type: 'ended', how: 'exit', tookMs: 7, output: '' } as const;
  let answer: Awaited<ReturnType<RunScript>> = { ...ended, status: 0, reason: 'exit status 0' };
  const asked = new Set<string>();
  const script: RunScript = async ({ service, server }) => {
    asked.add(`${service}/${server}`);
    return answer;
  };
  const services = quick(configOf(2121, { a: '127.0.0.1', b: '127.0.0.2' }, { script: ['/etc/tandem/checks/a'] }));
  const { nannies, changes, events } = watch(t, services, passes, script);
  await until('both are up', () => changes.length === 2);
  t.deepEqual([...asked].sort(), ['ftp/a', 'ftp/b']);
  t.like(stateOf(nannies, 'a'), { state: 'up', last: { ok: true, tookMs: 12, stagesMs: { script: 7 } } });
  answer = { type: 'refused', reason: 'there is no /etc/tandem/checks/a' };
  await until('it is told', () => events.some(({ code }) => code === 'SERVER_NOT_CHECKABLE'));
  t.is(stateOf(nannies, 'a')?.state, 'up');
  answer = { ...ended, status: 2, reason: 'exit status 2: the database is behind' };
  await until('it is down', () => changes.includes('a down'));
  const last = { ok: false, stage: 'script', problem: 'exit status 2: the database is behind' };
  t.like(stateOf(nannies, 'a'), { state: 'down', alive: true, last });
});

test('the script is not run where the check has failed already', async t => {
  const failure = { ok: false, tookMs: 1, stage: 'login', life: 'speaks', problem: 'no', words: '' } as const;
  const fails: typeof runCheck = async () => ({ type: 'result', result: failure });
  const services = quick(configOf(2121, { a: '127.0.0.1' }, { script: ['/etc/tandem/checks/a'] }));
  const { nannies, changes } = watch(t, services, fails, async () => {
    throw new Error('it is run');
  });
  await until('it is down', () => changes.includes('a down'));
  t.like(stateOf(nannies, 'a'), { last: { stage: 'login' } });
});

test('a control port that comes to a service lets the state of its servers stand until it is judged', async t => {
  const server = await hostile(t);
  const { nannies, changes } = watch(t, quick(configOf(server.port, { a: '127.0.0.1' }, PATIENT)));
  await until('it is up', () => changes.length === 1);
  nannies.update(quick(configOf([server.port, await freePort()], { a: '127.0.0.1' }, PATIENT)));
  t.is(stateOf(nannies, 'a')?.state, 'up');
  await until('it is judged anew', () => changes.length === 2);
  t.deepEqual(changes, ['a up', 'a down']);
});

test('a sorry server is checked in the clear, without the files that the check of real servers needs', async t => {
  const server = await hostile(t, { greeting: { kind: 'close', after: '421 Closed for today.\r\n' } });
  const missing = { password_file: '/nonexistent/password', tls: 'explicit', tls_ca_file: '/nonexistent/ca.pem' };
  const config = configOf(server.port, { a: '127.0.0.1' }, { fall: 1, ...missing });
  const { nannies, changes } = watch(t, quick(withSorry(config)));
  await until('the sorry server is judged', () => changes.includes('sorry_server up'));
  t.is(stateOf(nannies, 'a')?.state, 'unknown');
});

test('a check that runs by old settings is given up, and does not count', async t => {
  const server = await hostile(t, { greeting: { kind: 'hang' } });
  const { nannies, changes, events } = watch(t, configOf(server.port, { a: '127.0.0.1' }, { fall: 1 }));
  await until('the check hangs', () => server.sessions() === 1);
  nannies.update(configOf(server.port, { a: '127.0.0.1' }, { fall: 1, user: 'other' }));
  await until('the next one hangs', () => server.sessions() === 2);
  t.is(server.sessionsMax(), 1);
  t.deepEqual([changes, events], [[], []]);
});

test('a removed server is forgotten at once, with its running check', async t => {
  const server = await hostile(t, { greeting: { kind: 'hang' } });
  const { nannies, changes } = watch(t, configOf(server.port, { a: '127.0.0.1' }, { fall: 1 }));
  await until('the check hangs', () => server.sessions() === 1);
  nannies.update({ services: {} });
  t.deepEqual(nannies.verdicts(), []);
  await new Promise(resolve => setTimeout(resolve, 700));
  t.deepEqual([changes, server.sessions()], [[], 1]);
});

test('stop gives up running checks and starts no more', async t => {
  const server = await hostile(t, { greeting: { kind: 'hang' } });
  const { nannies, changes } = watch(t, quick(configOf(server.port, { a: '127.0.0.1', b: '127.0.0.1' }, { fall: 1 })));
  await until('both checks hang', () => server.sessions() === 2);
  const startedAt = Date.now();
  await nannies.stop();
  t.true(Date.now() - startedAt < 300);
  await new Promise(resolve => setTimeout(resolve, 100));
  t.is(server.sessions(), 2);
  t.deepEqual(changes, []);
});

function secretFile(t: ExecutionContext, text: string, mode = 0o600): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'tandem-nanny-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'password');
  writeFileSync(file, text, { mode });
  return file;
}

test('the password comes from the file, read anew for each check', async t => {
  const server = await hostile(t);
  const file = secretFile(t, 'first\n');
  const config = configOf(server.port, { a: '127.0.0.1' }, { user: 'monitor', password_file: file });
  watch(t, quick(config));
  await until('the first password is sent', () => server.commands.includes('PASS first'));
  writeFileSync(file, 'second\r\nnot this');
  await until('the second password is sent', () => server.commands.includes('PASS second'));
  t.true(server.commands.includes('USER monitor'));
});

test('a password file that is missing from the start leaves the server unknown, says so once, and its end too', async t => {
  const server = await hostile(t);
  const file = secretFile(t, 'secret', 0o644);
  const config = configOf(server.port, { a: '127.0.0.1' }, { password_file: file });
  const { nannies, changes, codes, events } = watch(t, quick(config));
  await until('it is reported', () => events.length > 0);
  await new Promise(resolve => setTimeout(resolve, 350));
  t.deepEqual(codes(), ['SERVER_NOT_CHECKABLE']);
  t.regex(String(events[0]?.fields.reason), /open to others; chmod 600 /);
  t.is(stateOf(nannies, 'a')?.state, 'unknown');
  t.is(server.sessions(), 0);
  chmodSync(file, 0o600);
  await until('it is up', () => changes.includes('a up'));
  t.deepEqual(codes(), ['SERVER_NOT_CHECKABLE', 'SERVER_CHECKABLE', 'SERVER_UP']);
});

test('a password file that vanishes later does not take the server down', async t => {
  const server = await hostile(t);
  const file = secretFile(t, 'secret');
  const { nannies, changes } = watch(t, quick(configOf(server.port, { a: '127.0.0.1' }, { password_file: file })));
  await until('it is up', () => changes.includes('a up'));
  writeFileSync(file, '');
  const { length } = server.commands;
  await until('checks go on with the password known', () => server.commands.slice(length + 24).includes('PASS secret'));
  t.is(stateOf(nannies, 'a')?.state, 'up');
});

test('a password file that cannot serve is refused with what to do', async t => {
  await t.throwsAsync(readPassword('/nonexistent/password'), {
    message: /cannot be read \(ENOENT\); create it, mode 0600/,
  });
  await t.throwsAsync(readPassword(tmpdir()), { message: /not a regular file|cannot be read \(EISDIR\)/ });
  await t.throwsAsync(readPassword(secretFile(t, '\nsecret')), { message: /is empty; write the password/ });
  await t.throwsAsync(readPassword(secretFile(t, 'x'.repeat(1_025))), { message: /longer than 1024 bytes/ });
  await t.throwsAsync(readPassword(secretFile(t, 'x', 0o640)), { message: /chmod 600/ });
  t.is(await readPassword(secretFile(t, 'pass word \n')), 'pass word ');
});

const FULL: Script = { greeting: { kind: 'close', after: '421 There are too many connected users.\r\n' } };

test('a full server is down but alive: its sessions may stay; a gone one is dead', async t => {
  const full = await hostile(t, FULL);
  const good = await startHostile({ host: '127.0.0.5' });
  t.teardown(() => good.close());
  const { nannies, changes, events } = watch(t, quick(configOf(full.port, { full: '127.0.0.1', gone: '127.0.0.9' })));
  await until('both are down', () => changes.filter(change => change.endsWith('down')).length >= 2);
  await until('the gone one does not count', () => stateOf(nannies, 'gone')?.alive === false);
  t.like(stateOf(nannies, 'full'), { state: 'down', alive: true, kept: true, last: { life: 'speaks' } });
  t.like(stateOf(nannies, 'gone'), { state: 'down', alive: false, kept: false, last: { life: 'none' } });
  const answers = events.flatMap(({ code, fields }) =>
    code === 'SERVER_DOWN' ? [[fields.server, fields.answers]] : [],
  );
  t.deepEqual(answers.sort(), [
    ['full', true],
    ['gone', false],
  ]);
});

test('servers that all fail alike keep their weights, and lose them one by one when some recover', async t => {
  const script: { -readonly [K in keyof Script]: Script[K] } = { ...FULL };
  const server = await hostile(t, script);
  const addresses = { a: '127.0.0.1', b: '127.0.0.1', c: '127.0.0.1' };
  const { nannies } = watch(t, quick(configOf(server.port, addresses, { fall: 3 })));
  await until('all are kept', () => nannies.verdicts().every(({ state, kept }) => state === 'down' && kept));
  delete script.greeting;
  await until('all are up', () => nannies.verdicts().every(({ state, kept }) => state === 'up' && !kept));
  t.pass();
});

/** Checks that pass, but for these servers, which let nobody in. */
function fullFor(addresses: ReadonlySet<string>): typeof runCheck {
  const full = { ok: false, tookMs: 1, stage: 'login', life: 'speaks', problem: 'refused', words: '530' } as const;
  return async ({ address }) => ({
    type: 'result',
    result: addresses.has(address) ? full : { ok: true, tookMs: 1, bytes: 1 },
  });
}

test('a drained server that passes its check takes the weight from nobody: the one that is left fails and keeps it', async t => {
  const config = quick(configOf(21, { fs1: '127.0.0.1', fs2: '127.0.0.2' }, { fall: 3 }));
  const full = new Set<string>();
  const { nannies, changes } = watch(t, config, fullFor(full));
  await until('both are up', () => changes.length === 2);
  nannies.judgeWithout(new Map([['ftp', ['fs1']]]));
  full.add('127.0.0.2');
  await until('fs2 is down', () => changes.includes('fs2 down'));
  t.like(stateOf(nannies, 'fs2'), { state: 'down', alive: true, kept: true });
  t.like(stateOf(nannies, 'fs1'), { state: 'up', kept: false });
});

test('a drain that comes or ends while the others fail already is heeded at the next check', async t => {
  const config = quick(configOf(21, { fs1: '127.0.0.1', fs2: '127.0.0.2', fs3: '127.0.0.3' }, { fall: 2 }));
  const { nannies, changes } = watch(t, config, fullFor(new Set(['127.0.0.2', '127.0.0.3'])));
  const kept = () => nannies.verdicts().flatMap(({ server, kept: is }) => (is ? [server] : []));
  const notable = () => changes.splice(0).length > 0;
  await until('all are judged', () => changes.length === 3);
  t.deepEqual([kept(), notable()], [[], true]);
  nannies.judgeWithout(new Map([['ftp', ['fs1']]]));
  await until('the others keep their weight', () => kept().join() === 'fs2,fs3');
  t.true(notable(), 'it is told');
  nannies.judgeWithout(new Map());
  await until('each is judged alone again', () => kept().length === 0);
  nannies.judgeWithout(new Map([['ftp', ['fs1', 'fs2', 'fs3']]]));
  await new Promise(resolve => setTimeout(resolve, 200));
  t.deepEqual(kept(), [], 'nobody is left to keep a weight');
});

test('with on_all_failed: empty nobody is kept', async t => {
  const server = await hostile(t, FULL);
  const { services } = quick(configOf(server.port, { a: '127.0.0.1' }));
  const config = {
    services: { ftp: { ...(services.ftp as Config['services'][string]), on_all_failed: 'empty' as const } },
  };
  const { nannies, changes } = watch(t, config);
  await until('it is down', () => changes.includes('a down'));
  t.like(stateOf(nannies, 'a'), { alive: true, kept: false });
});

test('a server that greets late is down, but lives; one that never greets is dead after one long wait', async t => {
  const slow = await startHostile({ greeting: { kind: 'late', afterMs: 900, text: '220 at last\r\n' } });
  t.teardown(() => slow.close());
  const mute = await startHostile({ greeting: { kind: 'hang' } });
  t.teardown(() => mute.close());
  const check = { stage_timeout: '150ms', timeout: '1500ms', fall: 2 };
  const one = watch(t, quick(configOf(slow.port, { slow: '127.0.0.1' }, check)));
  const other = watch(t, quick(configOf(mute.port, { mute: '127.0.0.1' }, check)));
  await until('the mute one is dead', () => stateOf(other.nannies, 'mute')?.alive === false);
  t.true(other.codes().includes('SERVER_DEAD'));
  await until(
    'the slow one was waited for',
    () =>
      stateOf(one.nannies, 'slow')?.last?.ok === false &&
      /but not within/.test(JSON.stringify(stateOf(one.nannies, 'slow')?.last)),
  );
  t.like(stateOf(one.nannies, 'slow'), { state: 'down', alive: true, last: { life: 'speaks' } });
});

test('a server that drains is watched by the settings of its service, also when that is gone, and judged apart', async t => {
  const server = await hostile(t);
  const config = quick(configOf(server.port, { a: '127.0.0.1' }));
  const { nannies, changes } = watch(t, config);
  await until('it is up', () => changes.includes('a up'));
  nannies.watchLeaving(new Map([['ftp', ['127.0.0.9' as never]]]));
  await until('the one that drains is dead', () => nannies.leaving()[0]?.alive === false);
  t.like(nannies.leaving()[0], { service: 'ftp', server: '127.0.0.9', state: 'down', kept: false });
  t.deepEqual(
    nannies.verdicts().map(({ server: name }) => name),
    ['a'],
  );
  nannies.update({ services: {} });
  t.is(nannies.leaving()[0]?.alive, false, 'its service is gone, its nanny stays');
  nannies.watchLeaving(new Map());
  t.deepEqual(nannies.leaving(), []);
});

test('a server whose whole service leaves is watched, although that is asked for only after the reload', async t => {
  const server = await hostile(t);
  const { nannies, changes } = watch(t, quick(configOf(server.port, { a: '127.0.0.1' })));
  await until('it is up', () => changes.includes('a up'));
  nannies.update({ services: {} });
  nannies.watchLeaving(new Map([['ftp', ['127.0.0.1' as never]]]));
  await until('it is up as one that leaves', () => nannies.leaving()[0]?.state === 'up');
  t.deepEqual(nannies.verdicts(), []);
});

test('a server that cannot be checked from the start, for want of our own file, keeps its weight', async t => {
  const server = await hostile(t);
  const { nannies, codes } = watch(
    t,
    quick(configOf(server.port, { a: '127.0.0.1' }, { password_file: '/nonexistent' })),
  );
  await until('it is told', () => codes().includes('SERVER_NOT_CHECKABLE'));
  t.like(stateOf(nannies, 'a'), { state: 'unknown', kept: true });
});

test('a service is checked through its VIP, from the address that was given, with verdict and events of its own', async t => {
  const server = await hostile(t);
  const plans: Parameters<typeof runCheck>[0][] = [];
  const script = { ok: true };
  const { nannies, changes, codes, events } = watch(
    t,
    quick(configOf(server.port, { good: '127.0.0.1' }, { upload: 'probe' })),
    async plan => {
      plans.push(plan);
      if (plan.origin === undefined || script.ok) return { type: 'result', result: { ok: true, bytes: 1, tookMs: 1 } };
      const result = {
        ok: false,
        stage: 'login',
        life: 'speaks',
        problem: 'refused',
        words: '530',
        tookMs: 1,
      } as const;
      return { type: 'result', result };
    },
  );
  const states = () => nannies.paths().map(({ service, server: name, state }) => [service, name, state]);
  t.deepEqual(states(), []);
  nannies.watchPaths([{ service: 'ftp', name: PATH, origin: { source: '127.0.0.7' as Address, ports: undefined } }]);
  await until('the path is judged', () => nannies.paths()[0]?.state === 'up');
  t.deepEqual(states(), [['ftp', PATH, 'up']]);
  const through = plans.find(({ origin }) => origin !== undefined);
  t.like(through, { origin: { source: '127.0.0.7' }, address: '127.0.0.1', upload: undefined, until: 'transfer' });
  script.ok = false;
  await until('it fails', () => nannies.paths()[0]?.state === 'down');
  t.deepEqual(
    nannies.verdicts().map(({ server: name, state }) => [name, state]),
    [['good', 'up']],
  );
  t.true(changes.includes(`${PATH} down`), 'the status is to show it');
  t.like(events.find(({ code }) => code === 'VIP_PATH_FAILS')?.fields, {
    service: 'ftp',
    address: `127.0.0.1:${server.port}`,
    source: '127.0.0.7',
    stage: 'login',
    problem: 'refused',
  });
  nannies.watchPaths([]);
  t.deepEqual(states(), []);
  t.deepEqual(
    codes().filter(code => code.startsWith('VIP_PATH')),
    ['VIP_PATH_UP', 'VIP_PATH_FAILS', 'VIP_PATH_OVER'],
  );
  t.deepEqual(
    codes().filter(code => code.startsWith('SERVER_')),
    ['SERVER_UP'],
  );
  for (const { code, fields } of events)
    t.deepEqual(Object.keys(fields).sort(), Object.keys(EVENTS[code].fields).sort(), code);
});

test('a service that is not FTP is up where its server takes a connection, whatever that says', async t => {
  const server = await hostile(t, { greeting: '' });
  const service = configSchema.shape.services.parse({
    web: {
      ...{ kind: 'tcp', vip: '127.0.0.1', servers_lan: 'servers', mark: 80, ports: server.port },
      check: { interval: '500ms', timeout: '1s', rise: 1, fall: 2 },
      servers: { good: { address: '127.0.0.1' }, gone: { address: '127.0.0.9' } },
    },
  });
  const { nannies, changes } = watch(t, quick({ services: service }));
  await until('both are judged', () => changes.length >= 2);
  t.deepEqual([...changes].sort(), ['gone down', 'good up']);
  const gone = stateOf(nannies, 'gone');
  t.false(gone?.alive);
  t.like(gone?.last, { ok: false, stage: 'connect', life: 'none' });
  t.regex(gone?.last?.ok === false ? gone.last.problem : '', /^127\.0\.0\.9:\d+ cannot be reached \(ECONNREFUSED\)$/);
});

test('a UDP service is down where the server says that nobody is there, and up where it says nothing', async t => {
  const silent = createSocket('udp4');
  await new Promise<void>(resolve => silent.bind(0, '127.0.0.1', resolve));
  t.teardown(() => silent.close());
  const { port } = silent.address();
  const services = configSchema.shape.services.parse({
    dns: {
      ...{ kind: 'udp', vip: '127.0.0.1', servers_lan: 'servers', mark: 53, ports: port },
      check: { interval: '500ms', timeout: '100ms', rise: 1, fall: 2 },
      servers: { silent: { address: '127.0.0.1' }, gone: { address: '127.0.0.9' } },
    },
  });
  const { nannies, changes } = watch(t, quick({ services }));
  await until('both are judged', () => changes.length >= 2);
  t.deepEqual([...changes].sort(), ['gone down', 'silent up']);
  const gone = stateOf(nannies, 'gone');
  t.regex(gone?.last?.ok === false ? gone.last.problem : '', /cannot be reached by UDP \(ECONNREFUSED\)$/);
});

test('the first checks can be made to wait, and are all made then', async t => {
  let begin: () => void = () => undefined;
  const after = new Promise<void>(resolve => {
    begin = resolve;
  });
  const config = quick(configOf(21, { fs1: '127.0.0.2', fs2: '127.0.0.3' }));
  let checks = 0;
  const nannies = startNannies({
    ...{ config, node: 'r1', clock: systemClock, random: () => 0, after },
    log: { event: () => undefined },
    onVerdict: () => undefined,
    check: async () => {
      checks += 1;
      return { type: 'result', result: { ok: true, tookMs: 1, stagesMs: {}, bytes: 0 } } as never;
    },
  });
  t.teardown(() => nannies.stop());
  nannies.update(config);
  await new Promise(resolve => setTimeout(resolve, 100));
  t.is(checks, 0);
  t.deepEqual(
    nannies.verdicts().map(({ state }) => state),
    ['unknown', 'unknown'],
  );
  begin();
  await until('both are up', () => nannies.verdicts().every(({ state }) => state === 'up'));
});
