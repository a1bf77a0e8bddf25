// The director as a process, with a stand-in for pulse. The config has no services, so it touches no kernel.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { directorReportSchema, type Role, type Snapshot } from '../../src/feed/message.ts';

const CONFIG = `pair: test
routers: { r1: {}, r2: {} }
lans:
  client: { interface: lo, addresses: { r1: 192.0.2.2/24, r2: 192.0.2.3/24 }, vips: [192.0.2.100] }
heartbeat: { links: [client] }
`;
const STEPPING_CLOCK = path.resolve('dist/test/director/stepping-clock.js');
const MAIN = path.resolve('dist/src/cli/main.js');

function snapshot(role: Role): Snapshot {
  return {
    ...{ type: 'snapshot', version: 1, seq: 1, node: 'r1', peerNode: 'r2', role, epoch: '1.1' },
    ...{
      since: '2026-11-22T16:00:00.000Z',
      reason: 'test',
      serving: role === 'active',
      leaseArmed: false,
      leaseMargin: null,
    },
    ...{ hold: { on: false, until: null }, fitness: 0, rulesIn: true, warm: true, configDigest: '', peer: null },
    ...{ units: { able: 0, all: 0 }, links: [], vips: [], decisions: [], counters: {} },
    ...{
      runningDigest: null,
      waiting: [],
      timesPending: false,
      vipdTrouble: null,
      vipCheck: null,
      bar: null,
      wrongName: false,
      peerAddressesHere: [],
    },
    ...{ lans: [], packetLease: null, blindProbes: [], isolated: false, foreign: null, witness: null },
  };
}

interface Pulse {
  readonly reports: unknown[];
  send(text: string): void;
  /** Hangs up on everybody and is away. */
  close(): Promise<void>;
}

async function standInForPulse(runDir: string): Promise<Pulse> {
  const reports: unknown[] = [];
  const sockets = new Set<Socket>();
  const readers = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
  };
  const feed = createServer(socket => {
    keep(socket);
    readers.add(socket);
    socket.on('close', () => readers.delete(socket));
    socket.write(`${JSON.stringify(snapshot('standby'))}\n`);
  });
  const control = createServer(socket => {
    keep(socket);
    socket.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n').filter(part => part !== '')) reports.push(JSON.parse(line));
      socket.write(`${JSON.stringify({ ok: true, code: 'ok', message: 'taken' })}\n`);
    });
  });
  await listen(feed, path.join(runDir, 'pulse.sock'));
  await listen(control, path.join(runDir, 'pulse-control.sock'));
  return {
    reports,
    send: text => {
      for (const reader of readers) reader.write(text);
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await Promise.all([feed, control].map(server => new Promise(resolve => server.close(resolve))));
    },
  };
}

async function listen(server: Server, socketPath: string): Promise<void> {
  server.listen(socketPath);
  await once(server, 'listening');
}

interface Rig {
  readonly dir: string;
  readonly child: ChildProcess;
  log(): { code: string }[];
  heard(code: string): Promise<void>;
  ask(method: string, target: string, socket?: string): Promise<{ status: number; body: Record<string, unknown> }>;
}

async function start(t: ExecutionContext, dir: string, stepMs?: number): Promise<Rig> {
  const where = ['--config', path.join(dir, 'tandem.yaml'), '--node', 'r1', '--run-dir', dir, '--state-dir', dir];
  const preload = stepMs === undefined ? [] : ['--import', STEPPING_CLOCK];
  const child = spawn(process.execPath, [...preload, MAIN, 'director', ...where], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, STEP_MS: `${stepMs}` },
  });
  t.teardown(() => child.kill('SIGKILL'));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const log = () =>
    text
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line) as { code: string });
  return {
    dir,
    child,
    log,
    heard: code => until(code, () => log().some(event => event.code === code)),
    ask: (method, target, socket = 'director-control.sock') => ask(path.join(dir, socket), method, target),
  };
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (const end = performance.now() + 20_000; performance.now() < end; ) {
    if (condition()) return;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  throw new Error(`never: ${what}`);
}

function ask(socketPath: string, method: string, target: string): ReturnType<Rig['ask']> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path: target }, response => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Record<string, unknown> }),
      );
    });
    call.on('error', reject);
    call.end();
  });
}

async function directory(t: ExecutionContext): Promise<string> {
  const dir = await mkdtemp(path.join(tmpdir(), 'tandem-director-'));
  await chmod(dir, 0o755);
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  await writeFile(path.join(dir, 'tandem.yaml'), CONFIG);
  return dir;
}

test('the director reports to pulse, serves its sockets, survives the loss of pulse and ends on SIGTERM', async t => {
  const dir = await directory(t);
  const pulse = await standInForPulse(dir);
  const rig = await start(t, dir);
  await rig.heard('PULSE_CONNECTED');
  await until('a report with the rules in', () =>
    pulse.reports.some(report => directorReportSchema.parse(report).rulesIn),
  );
  const { configDigest, ...said } = directorReportSchema.parse(pulse.reports.at(-1));
  t.deepEqual(said, {
    ...{ command: 'report', rulesIn: true, healthyServers: 0, totalServers: 0, flushMs: 0, warm: true },
  });
  t.regex(configDigest ?? '', /^[0-9a-f]{16}$/);
  t.is((await stat(path.join(dir, 'director-control.sock'))).mode & 0o777, 0o600);
  const status = await rig.ask('GET', '/status', 'status.sock');
  t.is((status.body.pulse as Snapshot | null)?.role, 'standby');
  t.deepEqual((await rig.ask('GET', '/plan')).body, { changes: [], problems: [] });
  t.is((await rig.ask('POST', '/plan')).status, 404);
  t.is((await rig.ask('POST', '/audit')).status, 200);

  pulse.send('not a message\n{"type":"snapshot"}\n');
  await rig.heard('PULSE_MESSAGE_REFUSED');
  pulse.send(`${JSON.stringify(snapshot('active'))}\n`);
  pulse.send(`${JSON.stringify(snapshot('standby'))}\n`);
  await rig.heard('CONNTRACK_CLEARED');

  await pulse.close();
  await rig.heard('PULSE_LOST');
  t.is((await rig.ask('GET', '/healthz', 'status.sock')).status, 503);
  const next = await standInForPulse(dir);
  await until('reports to the new pulse', () => next.reports.length > 0);
  await until('connected again', () => rig.log().filter(event => event.code === 'PULSE_CONNECTED').length === 2);
  next.send('x'.repeat(70_000));
  await until('hung up', () => rig.log().filter(event => event.code === 'PULSE_LOST').length === 2);

  rig.child.kill('SIGTERM');
  const [code] = (await once(rig.child, 'exit')) as [number | null];
  t.is(code, 0);
  t.is(rig.log().at(-1)?.code, 'DIRECTOR_STOPPED');
  await t.throwsAsync(stat(path.join(dir, 'director-control.sock')));
  await next.close();
});

test('a config with mistakes is refused on reload, by request and by SIGHUP, and the old one stays', async t => {
  const dir = await directory(t);
  const file = path.join(dir, 'tandem.yaml');
  const rig = await start(t, dir);
  await rig.heard('KERNEL_RULES_IN');
  await writeFile(file, CONFIG.replace('pair: test', 'pair: other\nnonsense: 1'));
  const refused = await rig.ask('POST', '/reload');
  t.is(refused.status, 422);
  t.regex(String((refused.body.mistakes as string[])[0]), /tandem\.yaml:2:1: nonsense: /);
  t.is((await rig.ask('GET', '/plan')).status, 422);
  t.is((await rig.ask('GET', '/status', 'status.sock')).body.pair, 'test');
  rig.child.kill('SIGHUP');
  await until('refused twice', () => rig.log().filter(event => event.code === 'CONFIG_REFUSED').length === 2);
  await writeFile(file, CONFIG.replace('pair: test', 'pair: other'));
  t.like((await rig.ask('POST', '/reload')).body, { reloaded: true });
  t.is((await rig.ask('GET', '/status', 'status.sock')).body.pair, 'other');
  await writeFile(file, CONFIG.replaceAll('r1', 'r9'));
  t.regex(JSON.stringify((await rig.ask('POST', '/reload')).body), /router \\"r1\\" is not in the config/);
});

test('a second director in the same run directory does not start, and does not disturb the first', async t => {
  const dir = await directory(t);
  const first = await start(t, dir);
  await first.heard('KERNEL_RULES_IN');
  const second = await start(t, dir);
  const [code] = (await once(second.child, 'exit')) as [number | null];
  t.is(code, 1);
  const codes = second.log().map(event => event.code);
  t.true(codes.includes('DIRECTOR_FAULT'), codes.join());
  t.false(
    codes.some(code => /^(KERNEL|SERVER|DIRECTOR_STARTED)/.test(code)),
    `it has touched nothing: ${codes}`,
  );
  t.is((await first.ask('GET', '/plan')).status, 200);
  t.truthy(await readFile(path.join(dir, 'tandem.yaml')));
});

test('many SIGHUPs at once leave one schedule of audits, and nothing keeps a stopped director alive', async t => {
  const dir = await directory(t);
  await writeFile(path.join(dir, 'tandem.yaml'), `${CONFIG}ipvs: { audit: "0 0 0 1 1 *" }\n`);
  const rig = await start(t, dir);
  await rig.heard('KERNEL_RULES_IN');
  for (let n = 0; n < 5; n++) {
    rig.child.kill('SIGHUP');
    await new Promise(resolve => setTimeout(resolve, n));
  }
  await until('reloaded', () => rig.log().filter(event => event.code === 'CONFIG_LOADED').length >= 3);
  rig.child.kill('SIGHUP');
  rig.child.kill('SIGTERM');
  const ended = once(rig.child, 'exit');
  await rig.heard('DIRECTOR_STOPPED');
  const late = new Promise(resolve => setTimeout(resolve, 3_000, 'late').unref());
  t.deepEqual(await Promise.race([ended, late]), [0, null]);
});

for (const [title, stepMs] of [
  ['an hour back', -3_600_000],
  ['a week forward', 7 * 86_400_000],
  ['a year forward', 365 * 86_400_000],
] as const) {
  test(`when the wall clock is set ${title}, audits go on, the director never stands still, and the step is told`, async t => {
    const dir = await directory(t);
    await writeFile(path.join(dir, 'tandem.yaml'), `${CONFIG}ipvs: { audit: "* * * * * *" }\n`);
    const rig = await start(t, dir, stepMs);
    await rig.heard('KERNEL_RULES_IN');
    const lastAudit = async () => {
      const { body } = await rig.ask('GET', '/status', 'status.sock');
      return Date.parse((body.kernel as { lastAuditAt: string }).lastAuditAt);
    };
    const before = await lastAudit();
    rig.child.kill('SIGUSR2');
    let longestMs = 0;
    let audit = before;
    for (const end = performance.now() + 15_000; performance.now() < end && Math.abs(audit - before) < 100_000; ) {
      const asked = performance.now();
      audit = await lastAudit();
      longestMs = Math.max(longestMs, performance.now() - asked);
      await new Promise(resolve => setTimeout(resolve, 20));
    }
    t.true(Math.abs(audit - before - stepMs) < 30_000, 'an audit after the step');
    t.true(longestMs < 1_500, `an answer took ${longestMs} ms`);
    await rig.heard('CLOCK_STEPPED');
    const steps = rig.log().filter(event => event.code === 'CLOCK_STEPPED') as { code: string; stepMs?: number }[];
    t.is(steps.length, 1);
    rig.child.kill('SIGTERM');
    t.deepEqual(await once(rig.child, 'exit'), [0, null]);
  });
}
