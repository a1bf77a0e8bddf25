import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Config, configSchema } from '../../src/config/schema.ts';
import type { EventCode } from '../../src/log/catalogue.ts';
import { EVENTS } from '../../src/log/catalogue.ts';
import type { Fields } from '../../src/log/event.ts';
import type { runCheck } from '../../src/nanny/io/ftp-check.ts';
import { CHECKS_AT_ONCE_MAX, type Nannies, startNannies, systemClock } from '../../src/nanny/io/nannies.ts';
import { readPassword } from '../../src/nanny/io/password.ts';
import type { Verdict } from '../../src/nanny/verdict.ts';
import type { Ms } from '../../src/units/duration.ts';
import { type HostileServer, type Script, startHostile } from './hostile-server.ts';

type Services = Pick<Config, 'services'>;
const serviceSchema = configSchema.shape.services;

/** A config with one service of the given servers, all behind one control port, checked as often as tests want. */
function configOf(port: number, addresses: Record<string, string>, check: Record<string, unknown> = {}): Services {
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
        { ...service, check: { ...service.check, interval: intervalMs as Ms } },
      ]),
    ),
  };
}

interface Watch {
  readonly nannies: Nannies;
  readonly changes: string[];
  readonly events: { code: EventCode; fields: Fields }[];
  codes(): EventCode[];
}

function watch(t: ExecutionContext, config: Services, check?: typeof runCheck): Watch {
  const changes: string[] = [];
  const events: { code: EventCode; fields: Fields }[] = [];
  const nannies = startNannies({
    config,
    clock: systemClock,
    log: {
      event: (code, fields = {}) => {
        events.push({ code, fields });
      },
    },
    onVerdict: verdict => changes.push(`${verdict.server} ${verdict.state}`),
    random: () => 0,
    ...(check && { check }),
  });
  t.teardown(() => nannies.stop());
  return { nannies, changes, events, codes: () => events.map(({ code }) => code) };
}

async function hostile(t: ExecutionContext, script: Script = {}): Promise<HostileServer> {
  const server = await startHostile(script);
  t.teardown(() => server.close());
  return server;
}

/** Polls until `isSo`; fails the test with `what` after 10 s. */
async function until(what: string, isSo: () => boolean): Promise<void> {
  const limit = Date.now() + 10_000;
  while (!isSo()) {
    if (Date.now() > limit) throw new Error(`waited in vain until ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
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

test('a server is never checked twice at once, however long a check takes', async t => {
  const server = await hostile(t, { greeting: { kind: 'hang' } });
  const { changes } = watch(t, quick(configOf(server.port, { slow: '127.0.0.1' }, { stage_timeout: '150ms' }), 1));
  await until('three checks were made', () => server.sessions() >= 3);
  t.is(server.sessionsMax(), 1);
  t.deepEqual(changes, ['slow down']);
});

test('a hundred servers are all checked, but never more at once than allowed; the queue is reported, and its end', async t => {
  let running = 0;
  let runningMax = 0;
  let checkMs = 60;
  const hang: typeof runCheck = async () => {
    running += 1;
    runningMax = Math.max(runningMax, running);
    await new Promise(resolve => setTimeout(resolve, checkMs));
    running -= 1;
    return {
      type: 'result',
      result: { ok: false, tookMs: checkMs, stage: 'greeting', life: 'silent', problem: 'no', words: '' },
    };
  };
  const addresses = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`s${index}`, `127.0.1.${index}`]));
  const { nannies, changes, codes } = watch(t, quick(configOf(21, addresses, { fall: 2 }), 50), hang);
  await until('all are down', () => new Set(changes).size === 100);
  t.is(runningMax, CHECKS_AT_ONCE_MAX);
  t.true(nannies.verdicts().every(({ state }) => state === 'down'));
  t.is(codes().filter(code => code === 'CHECKS_LATE').length, 1);
  checkMs = 1;
  nannies.update(quick(configOf(21, addresses, { fall: 2 }), 400));
  await until('the queue is gone', () => codes().includes('CHECKS_ON_TIME'));
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
