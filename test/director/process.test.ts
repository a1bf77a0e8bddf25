// The director as a process, with a stand-in for pulse. The config has no services, so it touches no kernel.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { directorReportSchema, type Role, type Snapshot } from '../../src/feed/message.ts';
import { until } from '../until.ts';

const CONFIG = `pair: test
routers: { r1: {}, r2: {} }
lans:
  client: { interface: lo, addresses: { r1: 192.0.2.2/24, r2: 192.0.2.3/24 }, vips: [192.0.2.100] }
heartbeat: { links: [client] }
`;
const STEPPING_CLOCK = path.resolve('dist/test/director/stepping-clock.js');
const MAIN = path.resolve('dist/program/tandem.js');

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
    ...{
      hold: { on: false, until: null },
      fitness: 0,
      failedChecks: 0,
      rulesIn: true,
      warm: true,
      configDigest: '',
      peer: null,
    },
    ...{ units: { able: 0, all: 0 }, links: [], vips: [], decisions: [], counters: {} },
    ...{
      program: '0.4.0',
      runningDigest: null,
      waiting: [],
      keys: null,
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

/** What the stand-in says of any file. */
const READING = { digest: '0123456789abcdef', runningDigest: '0123456789abcdef', waiting: ['heartbeat.port'] };

interface Pulse {
  readonly reports: unknown[];
  /** Requests to read the config again. */
  readonly reloads: unknown[];
  send(text: string): void;
  /** Hangs up on everybody and is away. */
  close(): Promise<void>;
}

async function standInForPulse(runDir: string): Promise<Pulse> {
  const reports: unknown[] = [];
  const reloads: unknown[] = [];
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
      for (const line of text.split('\n').filter(part => part !== '')) {
        const request = JSON.parse(line) as { command: string };
        (request.command === 'reload' ? reloads : reports).push(request);
        const reading = request.command === 'reload' ? { reading: READING } : {};
        socket.write(`${JSON.stringify({ ok: true, code: 'ok', message: 'taken', ...reading })}\n`);
      }
    });
  });
  await listen(feed, path.join(runDir, 'pulse.sock'));
  await listen(control, path.join(runDir, 'pulse-control.sock'));
  return {
    reports,
    reloads,
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
    ...{ command: 'report', rulesIn: true, healthyServers: 0, totalServers: 0, failedChecks: 0 },
    ...{ flushMs: 0, warm: true },
  });
  t.regex(configDigest ?? '', /^[0-9a-f]{16}$/);
  t.is((await stat(path.join(dir, 'director-control.sock'))).mode & 0o777, 0o600);
  const status = await rig.ask('GET', '/status', 'status.sock');
  t.is((status.body.pulse as Snapshot | null)?.role, 'standby');
  t.deepEqual((await rig.ask('GET', '/plan')).body, { changes: [], rules: [], problems: [] });
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

/** `tandem reload` as a person runs it. */
function tandemReload({ dir }: Rig, ...options: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise(resolve => {
    execFile(process.execPath, [MAIN, 'reload', '--run-dir', dir, ...options], { timeout: 60_000 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}

test('`tandem reload` shows what changes, has both daemons take it, and says what became of it', async t => {
  const dir = await directory(t);
  const file = path.join(dir, 'tandem.yaml');
  const pulse = await standInForPulse(dir);
  const rig = await start(t, dir);
  await rig.heard('PULSE_CONNECTED');
  await rig.heard('KERNEL_RULES_IN');
  const before = (await rig.ask('GET', '/reload')).body.digest as { before: string; after: string };
  t.is(before.before, before.after);

  await writeFile(file, CONFIG.replace('pair: test', 'pair: other'));
  const dry = await tandemReload(rig, '--dry-run');
  t.is(dry.code, 0);
  t.regex(dry.out, /~ pair: test -> other\n/);
  t.regex(dry.out, /pulse takes these at its start only: heartbeat\.port;.*systemctl restart tandem-pulse/);
  t.regex(dry.out, /nothing was changed/);
  t.is((await rig.ask('GET', '/status', 'status.sock')).body.pair, 'test');
  t.true(pulse.reloads.every(request => (request as { dryRun: boolean }).dryRun));

  const done = await tandemReload(rig, '--json');
  const { plan, outcome } = JSON.parse(done.out) as { plan: Record<string, unknown>; outcome: Record<string, unknown> };
  t.like(plan, { changes: [{ kind: 'changed', path: 'pair', words: 'test -> other' }] });
  t.like(outcome, { reloaded: true, kernel: { rulesIn: true }, pulse: { state: 'read', waiting: ['heartbeat.port'] } });
  t.is(done.code, 1, 'the stand-in for pulse has read another file');
  t.regex(JSON.stringify(outcome), /are both daemons started with the same --config/);
  t.is((await rig.ask('GET', '/status', 'status.sock')).body.pair, 'other');
  t.deepEqual(pulse.reloads.at(-1), { command: 'reload', dryRun: false });
  const reloaded = rig.log().find(({ code }) => code === 'CONFIG_RELOADED');
  t.like(reloaded, { by: 'tandem reload', before: before.before, changes: 1, rulesIn: true });

  const both = await tandemReload(rig, '--pair');
  t.is(both.code, 1);
  t.regex(
    both.err,
    /r2 cannot be asked \(the connection sync is off.*\): copy the file there, and run `tandem reload` on each/,
  );
  t.regex(both.out, /nothing was changed on either router/);

  await pulse.close();
  await rig.heard('PULSE_LOST');
  const alone = await tandemReload(rig);
  t.is(alone.code, 3);
  t.regex(alone.out, /says what is in use[\s\S]*pulse: WAS NOT ASKED \(pulse does not run here/);
});

test('`tandem reload` with mistakes in the file names them all and changes nothing; nor is another file taken than was shown', async t => {
  const dir = await directory(t);
  const file = path.join(dir, 'tandem.yaml');
  const rig = await start(t, dir);
  await rig.heard('KERNEL_RULES_IN');
  await writeFile(file, `${CONFIG.replace('pair: test', 'pair: other')}nonsense: 1\nmore: 2\n`);
  for (const options of [[], ['--dry-run'], ['--json']]) {
    const { code, err } = await tandemReload(rig, ...options);
    t.is(code, 1);
    t.regex(
      err,
      /tandem\.yaml:6:1: nonsense: [\s\S]*tandem\.yaml:7:1: more: [\s\S]*2 mistakes in .*: nothing was changed/,
    );
  }
  t.is((await rig.ask('GET', '/status', 'status.sock')).body.pair, 'test');
  t.deepEqual(
    rig.log().filter(({ code }) => code === 'CONFIG_RELOADED' || code === 'CONFIG_REFUSED'),
    [],
    'it was only looked at',
  );

  await writeFile(file, CONFIG.replace('pair: test', 'pair: shown'));
  const { digest } = (await rig.ask('GET', '/reload')).body as { digest: { after: string } };
  await writeFile(file, CONFIG.replace('pair: test', 'pair: later'));
  const refused = await rig.ask('POST', `/reload?digest=${digest.after}`);
  t.is(refused.status, 409);
  t.regex(String(refused.body.problem), /has changed meanwhile/);
  t.is((await rig.ask('GET', '/status', 'status.sock')).body.pair, 'test');
  await rm(path.join(dir, 'director-control.sock'));
  t.is((await tandemReload(rig)).code, 3);
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
