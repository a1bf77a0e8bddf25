// tandem-runner: a process of its own, without any right, that runs the scripts of the config for
// the director. Not pure. It takes its socket from systemd, so that only root may ask (mode 0600,
// root's), and nothing that a script does can put another one in its place.
import type { Server } from 'node:net';
import { createLog, type Log } from '../log/log.ts';
import { listenOn, removeStaleSocket } from '../socket/io/unix.ts';
import { monotonicNow } from '../units/io/clocks.ts';
import { RunnerConfig } from './io/runner-config.ts';
import { createRunnerServer } from './io/runner-server.ts';

interface RunnerOptions {
  readonly configFile: string;
  /** This router's name, of those in the config; undefined: it is none of them. */
  readonly nodeOf: (routers: readonly string[]) => string | undefined;
  /** Where to listen; undefined: what systemd hands over. */
  readonly socketPath: string | undefined;
}

/** The first descriptor that systemd hands over (sd_listen_fds(3)). */
const LISTEN_FDS_START = 3;

/** Runs until SIGTERM or SIGINT. Rejects when it may not or cannot listen. */
export async function runRunner(options: RunnerOptions): Promise<void> {
  if (process.geteuid?.() === 0)
    throw new Error('tandem-runner does not run scripts as root; start it by its unit, or as a user without rights');
  const stopped = stopSignal();
  const log = createLog({ process: 'runner' });
  try {
    await serve(options, log, stopped);
  } finally {
    await log.close();
  }
}

async function serve(options: RunnerOptions, log: Log, stopped: Promise<string>): Promise<void> {
  const { configFile, nodeOf, socketPath } = options;
  const config = new RunnerConfig({ configFile, nodeOf, log, now: monotonicNow });
  const { server, end } = createRunnerServer({ log, find: request => config.find(request) });
  await listen(server, socketPath);
  log.event('RUNNER_STARTED', { file: configFile, socket: socketPath ?? 'from systemd' });
  const reason = await stopped;
  server.close();
  end();
  log.event('RUNNER_STOPPED', { reason });
}

async function listen(server: Server, socketPath: string | undefined): Promise<void> {
  if (socketPath !== undefined) {
    await removeStaleSocket(socketPath);
    return listenOn(server, socketPath, 'root');
  }
  if (process.env.LISTEN_PID !== String(process.pid) || process.env.LISTEN_FDS !== '1')
    throw new Error('systemd handed over no socket: start tandem-runner.socket, or name one with --socket');
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd: LISTEN_FDS_START }, resolve);
  });
}

function stopSignal(): Promise<string> {
  return new Promise(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
}
