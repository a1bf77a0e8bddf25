// A real director with a real runner and a stand-in for pulse: events of both daemons reach a program once each, in their order, also
// over a restart of the director; `tandem hooks` shows it. The config has no services, so no kernel is touched.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { RunnerConfig } from '../../src/runner/io/runner-config.ts';
import { createRunnerServer } from '../../src/runner/io/runner-server.ts';
import { monotonicNow } from '../../src/units/io/clocks.ts';
import { sampleSnapshot } from '../cli/samples.ts';
import { until } from '../until.ts';

const MAIN = path.resolve('dist/program/tandem.js');
const CONFIG = `pair: test
routers: { r1: {}, r2: {} }
lans:
  client: { interface: lo, addresses: { r1: 192.0.2.2/24, r2: 192.0.2.3/24 }, vips: [192.0.2.100] }
heartbeat: { links: [client] }
hooks:
  note: { events: ["ROLE_CHANGED to=active", ISOLATED, DIRECTOR_STARTED], command: [/bin/sh, -c, "cat >> HERE/told"] }
  bad: { events: [CONFIG_REFUSED], command: [/bin/false], retries: 0 }
`;

interface Rig {
  readonly dir: string;
  /** "code node" of what the program was told. */
  told(): string[];
  director(): ChildProcess;
  /** What pulse says from now on. */
  say(events: readonly object[]): void;
}

async function rig(t: ExecutionContext): Promise<Rig> {
  const dir = mkdtempSync('/var/lib/tandem-hooks-');
  chmodSync(dir, 0o755);
  const file = path.join(dir, 'tandem.yaml');
  writeFileSync(file, CONFIG.replaceAll('HERE', dir));
  const nodeOf = (routers: readonly string[]) => routers.find(name => name === 'r1');
  const log = { event: () => undefined };
  const config = new RunnerConfig({ configFile: file, nodeOf, log, now: monotonicNow });
  const runner = createRunnerServer({ log, find: request => config.find(request) });
  runner.server.listen(path.join(dir, 'runner.sock'));
  await once(runner.server, 'listening');
  let line = `${JSON.stringify(sampleSnapshot())}\n`;
  const readers = new Set<Socket>();
  const feed = createServer(socket => {
    readers.add(socket);
    socket.on('close', () => readers.delete(socket)).on('error', () => undefined);
    socket.write(line);
  });
  feed.listen(path.join(dir, 'pulse.sock'));
  await once(feed, 'listening');
  t.teardown(() => {
    runner.end();
    runner.server.close();
    feed.close();
    for (const reader of readers) reader.destroy();
    rmSync(dir, { recursive: true, force: true });
  });
  return {
    dir,
    told: () => {
      if (!existsSync(path.join(dir, 'told'))) return [];
      const lines = readFileSync(path.join(dir, 'told'), 'utf8').split('\n').slice(0, -1);
      return lines
        .map(text => JSON.parse(text) as { code: string; node: string })
        .map(one => `${one.code} ${one.node}`);
    },
    director: () => {
      const where = ['--config', file, '--node', 'r1', '--run-dir', dir, '--state-dir', dir];
      const runs = [MAIN, 'director', ...where, '--runner-socket', path.join(dir, 'runner.sock')];
      const child = spawn(process.execPath, runs, { stdio: 'ignore' });
      t.teardown(() => child.kill('SIGKILL'));
      return child;
    },
    say: events => {
      line = `${JSON.stringify({ ...sampleSnapshot(), events: { life: 'x', list: events } })}\n`;
      for (const reader of readers) reader.write(line);
    },
  };
}

function tandem(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise(resolve => {
    execFile(process.execPath, [MAIN, ...args], { timeout: 60_000 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}

const event = (seq: number, code: string, fields: object) => ({ seq, at: '2026-11-29T19:00:00.000Z', code, fields });

test('events of both daemons reach a program once each, also over a restart of the director', async t => {
  const { dir, told, director, say } = await rig(t);
  const first = director();
  await until('the director has started', () => told().length === 1);
  const isolated = event(1, 'ISOLATED', { onIsolation: 'keep' });
  const claims = event(2, 'ROLE_CHANGED', { from: 'standby', to: 'claiming', epoch: '5.1' });
  const owns = event(3, 'ROLE_CHANGED', { from: 'claiming', to: 'active', epoch: '5.1' });
  say([isolated, claims]);
  await until('what pulse says', () => told().length === 2);
  const kept = () => readFileSync(path.join(dir, 'director-hooks.json'), 'utf8');
  const isKept = () => existsSync(path.join(dir, 'director-hooks.json'));
  // And nothing waits any more: what does is sent again.
  await until('it is remembered', () => isKept() && /"seq":2/.test(kept()) && !/ISOLATED/.test(kept()));
  first.kill('SIGKILL');
  await once(first, 'exit');
  say([isolated, claims, owns]);
  const second = director();
  await until('what pulse said meanwhile', () => told().length === 4);
  t.deepEqual(told().slice(0, 2), ['DIRECTOR_STARTED r1', 'ISOLATED r1']);
  t.deepEqual(told().slice(2).sort(), ['DIRECTOR_STARTED r1', 'ROLE_CHANGED r1']);
  second.kill('SIGTERM');
  const [code] = (await once(second, 'exit')) as [number | null];
  t.is(code, 0);
});

test('`tandem hooks` shows what became of messages, `tandem hooks test` sends one now', async t => {
  const { dir, told, director } = await rig(t);
  const where = ['--run-dir', dir];
  t.is((await tandem('hooks', ...where)).code, 3);
  const child = director();
  await until('the director has started', () => told().length === 1);

  const tested = await tandem('hooks', 'test', 'note', ...where);
  t.deepEqual(tested, { code: 0, out: 'hook note: a test message got through (exit status 0)\n', err: '' });
  t.is(told().at(-1), 'HOOK_TEST r1');
  const bad = await tandem('hooks', 'test', 'bad', ...where, '--json');
  t.deepEqual([bad.code, JSON.parse(bad.out)], [1, { hook: 'bad', good: false, reason: 'exit status 1' }]);
  const none = await tandem('hooks', 'test', 'nope', ...where);
  t.is(none.code, 1);
  t.regex(none.err, /the config in use has no hook "nope"; there are note, bad/);
  t.regex(
    (await tandem('hooks', ...where)).out,
    /note +command +ok +0 +1 +0 \+ 0 +.* exit status 0\n +bad +command +ok/,
  );

  writeFileSync(path.join(dir, 'tandem.yaml'), 'nonsense: 1\n');
  child.kill('SIGHUP');
  const status = async () => JSON.parse((await tandem('status', '--json', ...where)).out) as { notices: string[] };
  for (let n = 0; n < 300 && (await status()).notices.length === 0; n += 1) await sleep(100);
  t.regex(
    (await status()).notices.join(),
    /hook bad of r1 loses messages \(1\): exit status 1; then: tandem hooks test bad/,
  );
  const failing = await tandem('hooks', ...where);
  t.is(failing.code, 4);
  t.regex(failing.out, /bad +command +FAILING +0 +0 +1 \+ 0/);
});
