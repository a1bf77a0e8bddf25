// Processes in network namespaces: run one to its end, start one, list those that live. Io; namespaces are named as `ip netns`
// names them. nsenter enters only the network namespace and exec's the command, so a child's pid is the command's own.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { readdir, readlink, stat } from 'node:fs/promises';

/** Most bytes kept of each of a command's output streams. */
const OUTPUT_BYTES_MAX = 4_194_304;

export interface RunOptions {
  readonly input?: string;
  /** The command is killed after this long; default 30 s. */
  readonly timeoutMs?: number;
  readonly env?: NodeJS.ProcessEnv;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end; throws an Error with its words when it fails, is killed or writes more than 4 MiB. */
export async function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], ...(options.env && { env: options.env }) });
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 30_000);
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
      if (output[name].length > OUTPUT_BYTES_MAX) child.kill('SIGKILL');
    });
  }
  // A command that fails before it has read its input closes the pipe: its exit status says more than EPIPE.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  try {
    const outcome = await new Promise<string>((resolve, reject) => {
      child.on('error', reject).on('close', (code, signal) => resolve(signal ?? String(code)));
    });
    if (outcome !== '0') throw new Error(`ended with ${outcome}: ${output.stderr.trim().slice(-2_000)}`);
    return output;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${[file, ...args].join(' ').slice(0, 300)}: ${reason}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

function entering(namespace: string, file: string, args: readonly string[]): string[] {
  return [`--net=/run/netns/${namespace}`, '--', file, ...args];
}

/** Runs a command in a namespace to its end. */
export function runIn(ns: string, file: string, args: readonly string[], options?: RunOptions): Promise<RunResult> {
  return run('nsenter', entering(ns, file, args), options);
}

/** Starts a command in a namespace; the caller listens to it and ends it. */
export function startIn(ns: string, file: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  return spawn('nsenter', entering(ns, file, args), options);
}

/** Pids of all processes whose network namespace is this one. */
export async function processesIn(namespace: string): Promise<number[]> {
  const inode = (await stat(`/run/netns/${namespace}`)).ino;
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number);
  const owners = await Promise.all(
    // A process may end while we look.
    pids.map(async pid => ({ pid, net: await readlink(`/proc/${pid}/ns/net`).catch(() => '') })),
  );
  return owners.filter(({ net }) => net === `net:[${inode}]`).map(({ pid }) => pid);
}

/** Sends a signal to processes; those that ended meanwhile are passed over. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** Kills every process in a namespace and waits until none is left (at most 5 s). */
export async function killAllIn(namespace: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const pids = await processesIn(namespace).catch(() => []);
    if (pids.length === 0) return;
    signalAll(pids, 'SIGKILL');
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  throw new Error(`processes in namespace ${namespace} survive SIGKILL for 5 s`);
}
