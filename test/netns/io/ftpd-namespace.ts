// A network namespace with real FTP servers on its loopback, each on an address of its own. iproute2 lays files over /etc inside
// it, since the servers need the user ftp and the machine does not.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { CheckPlan } from '../../../src/nanny/check-plan.ts';
import type { CheckOutcome } from '../../../src/nanny/io/check-outcome.ts';
import type { CheckResult } from '../../../src/nanny/verdict.ts';

const run = promisify(execFile);
const FTPD = path.resolve('.lab/ftpd');
const CLIENT = path.resolve('dist/test/netns/io/nanny-real-client.js');

/** The user ftp there. */
export const FTP_UID = 30_021;

export type FtpdKind = 'vsftpd' | 'proftpd' | 'pure-ftpd';

export interface FtpdNamespace {
  /** Scratch, readable by everybody. */
  readonly folder: string;
  /** What anonymous clients see. */
  readonly root: string;
  inside(...command: readonly string[]): Promise<{ stdout: string }>;
  /** Starts node with a script there. */
  script(text: string, ...args: readonly string[]): ChildProcess;
  /** Starts a server; `name` is a directory for its files. */
  ftpd(kind: FtpdKind, name: string, makeArgs: (scratch: string) => Promise<readonly string[]>): Promise<ChildProcess>;
  /** Waits until something listens on each of `count` addresses. */
  listening(port: number, count: number): Promise<void>;
  check(...plans: readonly CheckPlan[]): Promise<CheckResult[]>;
  close(): Promise<void>;
}

/** With the addresses on its loopback. `given`: it is there, with what it has, and stays when this is closed. */
export async function ftpdNamespace(
  name: string,
  addresses: readonly string[],
  which: 'made' | 'given' = 'made',
): Promise<FtpdNamespace> {
  if (process.getuid?.() !== 0) throw new Error('this test makes a network namespace: run it as root (scripts/test)');
  const etc = `/etc/netns/${name}`;
  const inside = (...command: readonly string[]) => run('ip', ['netns', 'exec', name, ...command], { timeout: 60_000 });
  if (which === 'made') await run('ip', ['netns', 'add', name]);
  const folder = await mkdtemp('/tmp/tdnan-');
  const root = path.join(folder, 'root');
  await mkdir(root, { mode: 0o755 });
  await chmod(folder, 0o755);
  await mkdir(etc, { recursive: true });
  const nobody = 'nobody:x:65534:65534::/:/bin/false';
  const passwd = ['root:x:0:0::/root:/bin/sh', `ftp:x:${FTP_UID}:65534::${root}:/bin/false`, nobody];
  await writeFile(path.join(etc, 'passwd'), `${passwd.join('\n')}\n`);
  await writeFile(path.join(etc, 'group'), 'root:x:0:\nnogroup:x:65534:\n');
  await writeFile(path.join(etc, 'resolv.conf'), 'nameserver 127.0.0.1\n');
  await inside('ip', 'link', 'set', 'lo', 'up');
  for (const address of addresses)
    await inside('ip', 'address', 'add', `${address}/${address.includes(':') ? 128 : 32}`, 'dev', 'lo');
  const close = async () => {
    // Sessions outlive their server: end all that run in this namespace, which only this test uses.
    const { stdout } = await run('ip', ['netns', 'pids', name]).catch(() => ({ stdout: '' }));
    for (const pid of stdout.split('\n').map(Number)) if (pid > 1) process.kill(pid, 'SIGKILL');
    if (which === 'made') await run('ip', ['netns', 'delete', name]).catch(() => {});
    await rm(etc, { recursive: true, force: true });
    await rm(folder, { recursive: true, force: true });
  };
  return {
    ...{ folder, root, inside, close },
    script: (text, ...args) =>
      spawn('ip', ['netns', 'exec', name, process.execPath, '-e', text, ...args], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    ftpd: (kind, title, makeArgs) => startFtpd(name, kind, path.join(folder, title), makeArgs),
    listening: (port, count) => listening(inside, port, count),
    check: async (...plans) => {
      const { stdout } = await inside(process.execPath, CLIENT, JSON.stringify(plans));
      return (JSON.parse(stdout) as CheckOutcome[]).map(outcome => {
        if (outcome.type !== 'result') throw new Error(`no result: ${JSON.stringify(outcome)}`);
        return outcome.result;
      });
    },
  };
}

async function startFtpd(
  namespace: string,
  kind: FtpdKind,
  scratch: string,
  makeArgs: (scratch: string) => Promise<readonly string[]>,
): Promise<ChildProcess> {
  const tree = path.join(FTPD, kind);
  const binary = path.join(tree, 'usr/sbin', kind);
  await stat(binary).catch(cause => {
    throw new Error(`${binary} is missing: run scripts/setup`, { cause });
  });
  await mkdir(scratch);
  const args = await makeArgs(scratch);
  const libraries = (await readdir(tree, { recursive: true })).filter(name => name.endsWith('-linux-gnu'));
  return spawn('ip', ['netns', 'exec', namespace, binary, ...args], {
    stdio: 'ignore',
    env: { PATH: '/usr/sbin:/usr/bin', LD_LIBRARY_PATH: libraries.map(name => path.join(tree, name)).join(':') },
  });
}

async function listening(inside: FtpdNamespace['inside'], port: number, count: number): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    const { stdout } = await inside('ss', '-Hltn', 'sport', '=', `:${port}`);
    if (stdout.trim().split('\n').length >= count && stdout !== '') return;
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  throw new Error('the FTP servers do not listen; start one by hand to see why');
}
