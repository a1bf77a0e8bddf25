// A real redis-server on the topology's store host, and its faults: stopped, killed while it writes, full, empty. Io.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from '../scenarios/scenario.ts';
import { STORE_ADDRESS } from './topology.ts';

export interface Redis {
  readonly signal: (signal: 'SIGSTOP' | 'SIGCONT') => void;
  /** Answers nobody for so long, then everybody: slow, as a Redis behind a busy disk is. */
  readonly pause: (ms: number) => Promise<void>;
  /** SIGKILL at a moment when it has just begun to take a command that writes. */
  readonly killWhileWriting: () => Promise<void>;
  /** Starts it anew, with nothing in it; `full`: its memory takes no further key. */
  readonly start: (options?: { full?: boolean }) => Promise<void>;
  /** Ends `full`. */
  readonly makeRoom: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Starts it and waits until it answers. */
export async function startRedis(lab: Lab): Promise<Redis> {
  let child = await startServer(lab, []);
  const ended = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  };
  return {
    signal: signal => void child.kill(signal),
    pause: async ms => void (await command(lab, ['client', 'pause', String(ms), 'all'])),
    killWhileWriting: async () => {
      // What its own log says of each command that comes in (MONITOR) is as near to a write as one gets from outside.
      const monitor = lab.topology.start('store', 'redis-cli', ['-h', STORE_ADDRESS, 'monitor'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      await untilWrite(monitor, 60_000);
      child.kill('SIGKILL');
      await ended();
      monitor.kill('SIGKILL');
    },
    start: async ({ full = false } = {}) => {
      child = await startServer(lab, full ? ['--maxmemory', '1', '--maxmemory-policy', 'noeviction'] : []);
    },
    makeRoom: async () => void (await command(lab, ['config', 'set', 'maxmemory', '0'])),
    stop: async () => {
      child.kill('SIGKILL');
      await ended();
    },
  };
}

function command(lab: Lab, args: readonly string[]): Promise<{ stdout: string }> {
  return lab.topology.exec('store', 'redis-cli', ['-h', STORE_ADDRESS, ...args], { timeoutMs: 10_000 });
}

async function startServer(lab: Lab, more: readonly string[]): Promise<ChildProcess> {
  const dir = path.join(lab.dir, 'redis');
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true });
  const log = path.join(lab.results, 'redis.log');
  const args = [
    '--bind',
    STORE_ADDRESS,
    '--protected-mode',
    'no',
    '--dir',
    dir,
    '--logfile',
    log,
    '--appendonly',
    'yes',
  ];
  const child = lab.topology.start('store', 'redis-server', [...args, ...more], { stdio: 'ignore' });
  for (let tries = 0; tries < 50; tries++) {
    const answer = await command(lab, ['ping']).catch((error: Error) => ({ stdout: error.message }));
    if (answer.stdout.trim() === 'PONG') return child;
    await sleep(200);
  }
  throw new Error(`redis-server does not answer; see ${log}`);
}

async function untilWrite(monitor: ChildProcess, timeoutMs: number): Promise<void> {
  const wait = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`nothing was written to Redis in ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    monitor.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (!/"(set|setex|psetex|hset|multi|rename|append|setrange|eval|evalsha)"/i.test(text)) return;
      clearTimeout(timer);
      resolve();
    });
  });
  await wait;
}
