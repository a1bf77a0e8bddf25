// Nannies of services that are not FTP: from the config to verdicts and events, against servers on loopback.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpsServer } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { configSchema } from '../../src/config/schema.ts';
import type { EventCode } from '../../src/log/catalogue.ts';
import type { Fields } from '../../src/log/event.ts';
import { type Nannies, startNannies, systemClock } from '../../src/nanny/io/nannies.ts';
import type { runPlainCheck } from '../../src/nanny/io/plain-check.ts';
import { PINGS_AT_ONCE_MAX } from '../../src/nanny/turns.ts';
import { SORRY } from '../../src/nanny/verdict.ts';
import { until } from '../until.ts';
import { makeCertificate } from './certificates.ts';
import { type Listening, listening, startHttp, startStream } from './port-plan-for.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tandem-plain-nannies-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

interface Watch {
  readonly nannies: Nannies;
  readonly events: readonly { readonly code: EventCode; readonly fields: Fields }[];
  readonly state: () => string | undefined;
}

function watch(t: ExecutionContext, server: Listening, check: object, service: object = {}): Watch {
  const services = configSchema.shape.services.parse({
    web: {
      ...{ kind: 'tcp', vip: '127.0.0.1', servers_lan: 'servers', mark: 80, ports: server.port },
      ...{ servers: { w1: { address: '127.0.0.1' } }, ...service },
      check: { interval: '500ms', timeout: '2s', rise: 1, fall: 1, ...check },
    },
  });
  const events: { code: EventCode; fields: Fields }[] = [];
  const nannies = startNannies({
    ...{ config: { services }, node: 'r1', clock: systemClock, random: () => 0, onVerdict: () => {} },
    log: { event: (code, fields = {}) => void events.push({ code, fields }) },
  });
  t.teardown(async () => {
    await nannies.stop();
    await server.close();
  });
  return { nannies, events, state: () => nannies.verdicts()[0]?.state };
}

test('HTTP: a server is down by its status, alive, and up again; the event has the stage and its words', async t => {
  let status = 200;
  const server = await startHttp((_, response) => response.writeHead(status).end('well'));
  const { nannies, events, state } = watch(t, server, { type: 'http', path: '/health?key=hunter2', content: 'well' });
  await until('it is up', () => state() === 'up');
  status = 503;
  await until('it is down', () => state() === 'down');
  t.true(nannies.verdicts()[0]?.alive, 'it answers: what its clients have stays');
  const down = events.find(({ code }) => code === 'SERVER_DOWN');
  t.like(down?.fields, { stage: 'answer', words: '503 Service Unavailable', answers: true });
  t.is(down?.fields.problem, 'GET /health is answered with 503, not 200-299');
  status = 200;
  await until('it is up again', () => state() === 'up');
  t.notRegex(JSON.stringify(events), /hunter2/);
});

test('TLS: a certificate near its end is told once, by the same event as of FTP', async t => {
  const pair = makeCertificate(folder, 'short', ['DNS:www.example'], 5);
  const server = await listening(createHttpsServer({ key: pair.key, cert: pair.cert }));
  const check = { type: 'tls', tls_name: 'www.example', tls_ca_file: pair.certFile };
  const { nannies, events, state } = watch(t, server, check);
  await until('it is up', () => state() === 'up');
  await until('the certificate is told of', () => events.some(({ code }) => code === 'CERTIFICATE_EXPIRES'));
  t.true(nannies.verdicts()[0]?.conditions.expiring);
  const told = events.find(({ code }) => code === 'CERTIFICATE_EXPIRES');
  t.true(Number(told?.fields.daysLeft) > 3 && Number(told?.fields.daysLeft) < 6);
});

test('what is sent may be in a file, which only root may read; it is told nowhere', async t => {
  const file = path.join(folder, 'send');
  writeFileSync(file, 'AUTH hunter2\r\nPING\r\n', { mode: 0o644 });
  chmodSync(file, 0o644);
  const heard: string[] = [];
  const server = await startStream(socket =>
    socket.on('data', bytes => {
      heard.push(String(bytes));
      socket.write(heard.length > 2 ? `-ERR ${bytes}` : '+OK\r\n+PONG\r\n');
    }),
  );
  const { events, state } = watch(t, server, {
    type: 'send_expect',
    send_file: file,
    expect: '+PONG',
    timeout: '500ms',
  });
  await until('it cannot be checked', () => events.some(({ code }) => code === 'SERVER_NOT_CHECKABLE'));
  t.is(events[0]?.fields.reason, `check.send_file ${file} is open to others; chmod 600 ${file}`);
  t.is(state(), 'unknown');
  chmodSync(file, 0o600);
  await until('it is up', () => state() === 'up');
  t.is(heard[0], 'AUTH hunter2\r\nPING\r\n');
  await until('it is down', () => state() === 'down');
  t.notRegex(JSON.stringify(events), /hunter2/);
});

test('a sorry server is well where it takes a connection, whatever the page of the others is', async t => {
  const server = await startHttp((_, response) => response.writeHead(503).end());
  const { nannies, state } = watch(t, server, { type: 'http' }, { sorry_server: { address: '127.0.0.1' } });
  await until('the server is down', () => state() === 'down');
  await until('the sorry server is up', () => nannies.sorry()[0]?.state === 'up');
  t.is(nannies.sorry()[0]?.server, SORRY);
});

test('no more pings run at once than allowed; those that wait have not failed and keep no other check waiting', async t => {
  const COUNT = 3 * PINGS_AT_ONCE_MAX;
  const servers = Object.fromEntries(
    Array.from({ length: COUNT }, (_, at) => [`s${at}`, { address: `127.0.1.${at}` }]),
  );
  const script = ['/etc/tandem/checks/replica'];
  const plain = { kind: 'tcp', vip: '127.0.0.1', servers_lan: 'servers', ports: 80 };
  const services = configSchema.shape.services.parse({
    pinged: { ...plain, mark: 80, servers, check: { type: 'icmp', interval: '500ms', rise: 1, fall: 1, script } },
    web: { ...plain, mark: 81, servers: { w1: { address: '127.0.2.1' } }, check: { interval: '500ms', rise: 1 } },
  });
  const held: (() => void)[] = [];
  let [running, runningMax, connects] = [0, 0, 0];
  const checkPlain: typeof runPlainCheck = async plan => {
    if (plan.type === 'echo') {
      running += 1;
      runningMax = Math.max(runningMax, running);
      await new Promise<void>(resolve => held.push(resolve));
      running -= 1;
    } else connects += 1;
    return { type: 'result', result: { ok: true, tookMs: 1, bytes: 0 } };
  };
  const codes: EventCode[] = [];
  // Scripts take their time, and no place of a ping.
  let scripts = 0;
  const ended = { type: 'ended', how: 'exit', status: 0, tookMs: 1, reason: '', output: '' } as const;
  const runScript = async () => {
    scripts += 1;
    await until('the script of each server runs', () => scripts >= COUNT);
    return ended;
  };
  const nannies = startNannies({
    ...{ config: { services }, node: 'r1', clock: systemClock, random: () => 0, onVerdict: () => {}, checkPlain },
    runScript,
    log: { event: code => void codes.push(code) },
  });
  const release = () => {
    for (const end of held.splice(0)) end();
  };
  t.teardown(async () => {
    const stopped = nannies.stop();
    release();
    await stopped;
  });
  await until('all places of pings are taken, and the other server is checked again and again', () => {
    return running === PINGS_AT_ONCE_MAX && connects > 2;
  });
  t.true(nannies.verdicts().every(({ state, last }) => state !== 'down' && (last === undefined || last.ok)));
  await until('all are up', () => {
    release();
    return nannies.verdicts().every(({ state }) => state === 'up');
  });
  t.is(runningMax, PINGS_AT_ONCE_MAX);
  t.false(codes.includes('SERVER_CHECK_FAILED'));
});
