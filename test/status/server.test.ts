// The status server on real unix sockets: answers, limits, and readers that misbehave.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { gidOf } from '../../src/socket/io/unix.ts';
import { READERS_MAX } from '../../src/status/io/events.ts';
import { startStatusServer } from '../../src/status/io/server.ts';
import { statusReportSchema } from '../../src/status/status-report.ts';
import { keptLog, pulseSnapshot, serverReport, socketPath, statusReport, testSource } from './fixture.ts';

const run = promisify(execFile);

async function start(t: ExecutionContext, source = testSource(), heartbeatMs?: number) {
  const path = await socketPath(t);
  const log = keptLog();
  const timing = heartbeatMs === undefined ? {} : { heartbeatMs };
  const server = await startStatusServer({ socketPath: path, source, log, ...timing });
  t.teardown(() => server.close());
  return { path, log, source, server };
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

function ask(path: string, url: string, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: path, path: url, method, agent: false }, async response => {
      let body = '';
      for await (const chunk of response.setEncoding('utf8')) body += chunk;
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
    });
    sent.on('error', reject).end();
  });
}

interface Told {
  readonly id: number;
  readonly event: string;
  readonly data: Record<string, unknown>;
}

/** Follows /events; `next` waits for the next event, comments are kept apart. */
async function follow(path: string, headers: Record<string, string> = {}) {
  const sent = request({ socketPath: path, path: '/events', agent: false, headers }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const blocks: string[] = [];
  const comments: string[] = [];
  let rest = '';
  response.on('error', () => {});
  response.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n\n');
    rest = parts.pop() ?? '';
    for (const part of parts) (part.startsWith(':') ? comments : blocks).push(part);
  });
  const next = async (): Promise<Told> => {
    for (let n = 0; blocks.length === 0 && n < 400; n += 1) await sleep(5);
    const fields = new Map(
      (blocks.shift() ?? '')
        .split('\n')
        .map(line => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]),
    );
    return {
      id: Number(fields.get('id')),
      event: String(fields.get('event')),
      data: JSON.parse(fields.get('data') ?? '{}'),
    };
  };
  return { response, next, blocks, comments, close: () => sent.destroy() };
}

test('curl reads /status, and it keeps to the schema', async t => {
  const { path } = await start(t);
  const { stdout } = await run('curl', ['-sS', '--fail', '--unix-socket', path, 'http://tandem/status']);
  t.deepEqual(statusReportSchema.parse(JSON.parse(stdout)), statusReport());
});

test('/healthz is 200 while this router does its part, 503 when it failed or pulse is silent', async t => {
  const { path, source } = await start(t);
  t.like(await ask(path, '/healthz'), { status: 200, body: '{"health":"ok","role":"active","problems":[]}\n' });
  source.current = statusReport({ health: 'degraded', problems: ['the peer is silent'] });
  t.is((await ask(path, '/healthz')).status, 200);
  source.current = statusReport({ health: 'failed' });
  t.is((await ask(path, '/healthz')).status, 503);
  source.current = statusReport({ pulse: null });
  t.like(await ask(path, '/healthz'), { status: 503, body: '{"health":"failed","role":null,"problems":[]}\n' });
});

test('/metrics is Prometheus text', async t => {
  const { path } = await start(t);
  const { status, headers, body } = await ask(path, '/metrics');
  t.is(status, 200);
  t.regex(String(headers['content-type']), /^text\/plain; version=0\.0\.4/);
  t.regex(body, /^tandem_role\{role="active"\} 1$/m);
});

test('only GET and HEAD are answered, others get 405 with what is allowed', async t => {
  const { path } = await start(t);
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const { status, headers } = await ask(path, '/status', method);
    t.is(status, 405, method);
    t.is(headers.allow, 'GET, HEAD');
  }
  const head = await ask(path, '/status', 'HEAD');
  t.is(head.status, 200);
  t.is(head.body, '');
  t.true(Number(head.headers['content-length']) > 100);
});

test('an unknown path is 404 with the paths that exist', async t => {
  const { path } = await start(t);
  const { status, body } = await ask(path, '/stauts?x=1');
  t.is(status, 404);
  t.deepEqual(JSON.parse(body), {
    error: 'there is no /stauts',
    paths: ['/status', '/healthz', '/metrics', '/events', '/sessions'],
  });
});

test('a report that cannot be made is a 500 and an event, and the server goes on', async t => {
  const { path, source, log } = await start(t);
  source.current = new Error('no table');
  t.is((await ask(path, '/status')).status, 500);
  t.is((await ask(path, '/events')).status, 500);
  t.like(log.kept.at(-1), { code: 'STATUS_REPORT_FAILED', fields: { path: '/events', problem: 'no table' } });
  source.current = statusReport();
  t.is((await ask(path, '/status')).status, 200);
});

test('/events sends a snapshot, then numbered changes with the parts that changed', async t => {
  const { path, source } = await start(t);
  const reader = await follow(path);
  t.teardown(reader.close);
  t.is(reader.response.headers['content-type'], 'text/event-stream');
  t.deepEqual(await reader.next(), { id: 0, event: 'snapshot', data: { ...statusReport() } });
  source.change(statusReport({ pulse: pulseSnapshot({ seq: 8 }) }), 'tick');
  const pulse = pulseSnapshot({ role: 'standby', seq: 9 });
  source.change(statusReport({ pulse }), 'role');
  const change = await reader.next();
  t.like(change, { id: 1, event: 'change' });
  t.deepEqual(change.data, { at: statusReport().generatedAt, reasons: ['tick', 'role'], changed: { pulse } });
  source.change(statusReport({ pulse, health: 'degraded' }), 'health');
  t.deepEqual((await reader.next()).data.changed, { health: 'degraded' });
});

test('a reader that comes back with Last-Event-ID gets a fresh snapshot under the current number', async t => {
  const { path, source } = await start(t);
  const first = await follow(path);
  t.teardown(first.close);
  await first.next();
  source.change(statusReport({ health: 'degraded' }));
  t.is((await first.next()).id, 1);
  const second = await follow(path, { 'last-event-id': '0' });
  t.teardown(second.close);
  const snapshot = await second.next();
  t.like(snapshot, { id: 1, event: 'snapshot' });
  t.is(snapshot.data.health, 'degraded');
});

test('comments keep an idle stream alive', async t => {
  const { path } = await start(t, testSource(), 50);
  const reader = await follow(path);
  t.teardown(reader.close);
  await sleep(300);
  t.true(reader.comments.length >= 2);
});

test('one reader more than the limit is turned away; when one leaves there is room again', async t => {
  const { path, log } = await start(t);
  const readers = await Promise.all(Array.from({ length: READERS_MAX }, () => follow(path)));
  t.teardown(() => {
    for (const reader of readers) reader.close();
  });
  const { status, headers } = await ask(path, '/events');
  t.is(status, 503);
  t.is(headers['retry-after'], '10');
  t.is(log.kept.at(-1)?.code, 'STATUS_READERS_FULL');
  t.is((await ask(path, '/status')).status, 200, 'the other paths still answer');
  readers[0]?.close();
  await sleep(100);
  const late = await follow(path);
  t.teardown(late.close);
  t.is(late.response.statusCode, 200);
});

test('a reader that stops reading is dropped, the others get everything', async t => {
  const { path, source, log } = await start(t);
  const stalled = connect(path);
  t.teardown(() => stalled.destroy());
  stalled.on('error', () => {});
  stalled.pause().write('GET /events HTTP/1.1\r\nhost: tandem\r\n\r\n');
  const reader = await follow(path);
  t.teardown(reader.close);
  await reader.next();
  const servers = (round: number) =>
    Array.from({ length: 400 }, (_, n) => serverReport({ name: `s${n}`, words: `round ${round}` }));
  let dropped = false;
  let rounds = 0;
  for (; rounds < 40 && !dropped; rounds += 1) {
    const [service] = statusReport().services;
    source.change(statusReport({ services: service ? [{ ...service, servers: servers(rounds) }] : [] }));
    t.is((await reader.next()).id, rounds + 1);
    dropped = log.kept.some(event => event.code === 'STATUS_READER_DROPPED');
  }
  t.true(dropped, `after ${rounds} rounds`);
  const event = log.kept.find(candidate => candidate.code === 'STATUS_READER_DROPPED');
  t.true(Number(event?.fields.queuedBytes) > 262_144);
  t.is(event?.fields.readers, 1);
});

test('a header that is too large and one that never ends are refused', async t => {
  const { path } = await start(t);
  const big = connect(path);
  big.write(`GET /status HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`);
  const [answer] = (await once(big.setEncoding('utf8'), 'data')) as [string];
  t.regex(answer, /^HTTP\/1\.1 431 /);
  const slow = connect(path);
  slow.write('GET /status HTTP/1.1\r\n');
  const startedAt = performance.now();
  slow.resume();
  await once(slow, 'close');
  t.true(performance.now() - startedAt < 9_000);
});

test('a crowd of connections is bounded', async t => {
  const { path } = await start(t);
  const crowd = Array.from({ length: 100 }, () => connect(path).on('error', () => {}));
  t.teardown(() => {
    for (const socket of crowd) socket.destroy();
  });
  const open = () => crowd.filter(socket => !socket.destroyed).length;
  // However late a busy machine is with it.
  for (let tries = 0; open() > 32 && tries < 200; tries += 1) await sleep(100);
  t.true(open() <= 32, `${open()} are open`);
});

test('connections that ask nothing keep nobody out, and take nothing from those who follow', async t => {
  const { path } = await start(t);
  const reader = await follow(path);
  t.teardown(reader.close);
  const crowd = Array.from({ length: 64 }, () => connect(path).on('error', () => {}));
  t.teardown(() => {
    for (const socket of crowd) socket.destroy();
  });
  await Promise.all(crowd.map(socket => once(socket, 'connect')));
  t.is((await ask(path, '/healthz')).status, 200);
  t.false(reader.response.destroyed);
});

for (const version of ['1.0', '1.1'])
  test(`HTTP/${version}: requests sent all at once make one report, a reader cannot stop the director with them`, async t => {
    const source = testSource();
    let reports = 0;
    const report = () => {
      reports += 1;
      return source.report();
    };
    const { path } = await start(t, { ...source, report });
    const socket = connect(path);
    t.teardown(() => socket.destroy());
    const ended = once(socket.on('error', () => {}).resume(), 'close');
    socket.write(`GET /status HTTP/${version}\r\nhost: x\r\nconnection: keep-alive\r\n\r\n`.repeat(2_000));
    await ended;
    t.is(reports, 1);
  });

test('a client that keeps its connections, such as Prometheus, is told to open one for each request', async t => {
  const { path } = await start(t);
  const agent = new Agent({ keepAlive: true });
  for (let n = 0; n < 3; n += 1) {
    const sent = request({ socketPath: path, path: '/metrics', agent }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    t.is(response.statusCode, 200);
    t.is(response.headers.connection, 'close');
    await once(response.resume(), 'end');
  }
});

test('the socket is for owner and group only', async t => {
  const { path } = await start(t);
  t.is((await stat(path)).mode & 0o777, 0o660);
});

test('a socket left by a killed process is replaced, one that answers is not, nor is another kind of file', async t => {
  const path = await socketPath(t);
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.stdout.write('up'))`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const options = { socketPath: path, source: testSource(), log: keptLog() };
  await t.throwsAsync(startStatusServer(options), { message: /another process answers on .*status\.sock/ });
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.true((await stat(path)).isSocket());
  const server = await startStatusServer(options);
  t.is((await ask(path, '/healthz')).status, 200);
  await server.close();
  await t.throwsAsync(stat(path), { code: 'ENOENT' });
  await writeFile(path, 'precious');
  await t.throwsAsync(startStatusServer(options), { message: /is not a socket/ });
});

test('closing ends the readers, unsubscribes and removes the socket', async t => {
  const path = await socketPath(t);
  const source = testSource();
  const server = await startStatusServer({ socketPath: path, source, log: keptLog() });
  const reader = await follow(path);
  const ended = once(reader.response, 'close');
  await server.close();
  await ended;
  t.is(source.listeners.size, 0);
  await t.throwsAsync(stat(path), { code: 'ENOENT' });
});

test('a missing run directory is an error that says so', async t => {
  const path = `${dirname(await socketPath(t))}/missing/status.sock`;
  const options = { socketPath: path, source: testSource(), log: keptLog() };
  await t.throwsAsync(startStatusServer(options), { message: /cannot listen on .*check the run directory/ });
  await mkdir(dirname(path));
  await (await startStatusServer(options)).close();
});

test('the group is found in /etc/group by its exact name', t => {
  const text = 'root:x:0:\ntandem-x:x:998:\ntandem:x:997:alice\nbroken\n';
  t.is(gidOf(text, 'tandem'), 997);
  t.is(gidOf(text, 'nobody'), undefined);
});
