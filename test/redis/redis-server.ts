// A real redis-server (or Sentinel) on a loopback port, in a directory of its own, for as long as a test needs it. Io.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

export interface RedisServer {
  readonly port: number;
  readonly child: ChildProcess;
  /** For the test's own looks at it; without TLS and password. */
  client(): Redis;
  signal(signal: NodeJS.Signals): void;
  /** SIGKILL, and gone. */
  kill(): Promise<void>;
}

export interface ServerOptions {
  readonly dir: string;
  readonly port?: number;
  /** Further arguments, as redis-server takes them. */
  readonly args?: readonly string[];
  /** Text of the config file, for Sentinel, which writes to it. */
  readonly sentinel?: string;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

const clients = new Map<RedisServer, Redis[]>();

/** Starts one and waits until it answers. */
export async function startRedis({ dir, port, args = [], sentinel }: ServerOptions): Promise<RedisServer> {
  mkdirSync(dir, { recursive: true });
  const chosen = port ?? (await freePort());
  const where = ['--port', `${chosen}`, '--bind', '127.0.0.1', '--dir', dir, '--logfile', join(dir, 'log')];
  const file = join(dir, 'sentinel.conf');
  if (sentinel !== undefined) writeFileSync(file, `port ${chosen}\nbind 127.0.0.1\ndir ${dir}\n${sentinel}`);
  const all = sentinel === undefined ? [...where, '--save', '', ...args] : [file, '--sentinel'];
  const child = spawn('redis-server', all, { stdio: 'ignore' });
  await answers(chosen, child, dir);
  const server: RedisServer = {
    port: chosen,
    child,
    client: () => {
      const client = new Redis(chosen, '127.0.0.1', { retryStrategy: () => null });
      client.on('error', () => undefined);
      clients.set(server, [...(clients.get(server) ?? []), client]);
      return client;
    },
    signal: signal => void child.kill(signal),
    kill: async () => {
      for (const client of clients.get(server) ?? []) client.disconnect();
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
  return server;
}

async function answers(port: number, child: ChildProcess, dir: string): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}; see ${dir}/log`);
    const socket = connect(port, '127.0.0.1');
    const up = await new Promise<boolean>(resolve => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    socket.destroy();
    if (up) return;
    await sleep(50);
  }
  throw new Error(`redis-server does not answer on port ${port}`);
}

/** Whether `condition` comes true within `ms`. */
export async function eventually(condition: () => Promise<boolean>, ms: number): Promise<boolean> {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    if (await condition()) return true;
    await sleep(5);
  }
  return false;
}
