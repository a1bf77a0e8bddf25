// SIGUSR1 and SIGUSR2, which operators send to daemons by habit, to real processes: no debugger, no end.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { asAnotherUser, theirs } from '../another-user.ts';

const PROGRAMS = fileURLToPath(new URL('../../program/', import.meta.url));
const CONFIG = `pair: test
routers: { r1: {}, r2: {} }
lans:
  client: { interface: lo, addresses: { r1: 192.0.2.2/24, r2: 192.0.2.3/24 }, vips: [192.0.2.100] }
heartbeat: { links: [client] }
`;
const WITNESS_SETUP = {
  ...{ key: 'k', nodeId: 1, leaseMs: 1_000, timeoutMs: 100 },
  redis: { host: '127.0.0.1', port: 1, password_file: null, username: null, tls: false, sentinels: null },
};

function directory(t: ExecutionContext): string {
  const dir = mkdtempSync(path.join(tmpdir(), 'tandem-signals-'));
  chmodSync(dir, 0o777);
  writeFileSync(path.join(dir, 'tandem.yaml'), CONFIG);
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** How many TCP sockets of the process listen. */
function listening(pid: number): number {
  const inodes = ['tcp', 'tcp6'].flatMap(name =>
    readFileSync(`/proc/${pid}/net/${name}`, 'latin1')
      .split('\n')
      .map(line => line.trim().split(/\s+/))
      .filter(fields => fields[3] === '0A')
      .map(fields => `socket:[${fields[9]}]`),
  );
  const own = readdirSync(`/proc/${pid}/fd`).map(fd => readlinkSync(`/proc/${pid}/fd/${fd}`, 'latin1'));
  return own.filter(link => inodes.includes(link)).length;
}

const started: Readonly<Record<string, (dir: string) => ChildProcess>> = {
  director: dir => {
    const where = ['--config', path.join(dir, 'tandem.yaml'), '--node', 'r1', '--run-dir', dir, '--state-dir', dir];
    return spawn(process.execPath, [path.join(PROGRAMS, 'tandem.js'), 'director', ...where]);
  },
  runner: dir => {
    const where = ['--config', path.join(dir, 'tandem.yaml'), '--socket', path.join(dir, 'runner.sock')];
    const { file, args } = asAnotherUser([theirs('dist/program/tandem.js'), 'runner', ...where]);
    return spawn(file, args);
  },
  witness: () => {
    const child = spawn(process.execPath, [path.join(PROGRAMS, 'witness.js')]);
    child.stdin.write(`${JSON.stringify(WITNESS_SETUP)}\n`);
    return child;
  },
};

for (const [name, start] of Object.entries(started)) {
  test(`${name}: SIGUSR1 opens no debugger, SIGUSR2 does not end it`, async t => {
    const child = start(directory(t));
    t.teardown(() => child.kill('SIGKILL'));
    let words = '';
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      words += chunk;
    });
    if (child.stdout) await once(child.stdout, 'data');
    t.true(child.kill('SIGUSR1'));
    t.true(child.kill('SIGUSR2'));
    await sleep(1_000);
    t.deepEqual([child.exitCode, child.signalCode], [null, null], words);
    t.is(listening(child.pid as number), 0);
    t.notRegex(words, /Debugger/);
  });
}
