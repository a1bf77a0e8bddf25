// How tests run the compiled `tandem`, and sockets that stand for daemons which behave in every way they may. Io.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import type { ControlReply, Snapshot } from '../../src/feed/message.ts';
import { asAnotherUser, theirs } from '../another-user.ts';

export const PROGRAM = fileURLToPath(new URL('../../program/tandem.js', import.meta.url));

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Programs run at a time: the tests of a file start all at once, and would starve each other. */
const RUNNING_MAX = 2;
let running = 0;
const waiting: (() => void)[] = [];

export async function tandem(args: readonly string[], options: Options = {}): Promise<Ended> {
  if (running >= RUNNING_MAX) {
    const { promise, resolve } = withResolvers<void>();
    waiting.push(() => resolve());
    await promise;
  }
  running++;
  try {
    return await run(args, options);
  } finally {
    running--;
    waiting.shift()?.();
  }
}

interface Options {
  readonly anotherUser?: boolean;
  readonly env?: NodeJS.ProcessEnv;
}

function run(args: readonly string[], { anotherUser, env }: Options): Promise<Ended> {
  const { promise, resolve } = withResolvers<Ended>();
  const command = anotherUser
    ? asAnotherUser([theirs('dist/program/tandem.js'), ...args])
    : { file: process.execPath, args: [PROGRAM, ...args] };
  const limits = { timeout: 30_000, env: { ...process.env, ...env } };
  execFile(command.file, command.args, limits, (error, out, err) => {
    resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, out, err });
  });
  return promise;
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>(settle => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** A fresh directory that goes away with the test. */
export function place(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-cli-'));
  chmodSync(directory, 0o755);
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export async function listening(t: ExecutionContext, server: Server, path: string): Promise<void> {
  server.listen(path);
  await once(server, 'listening');
  t.teardown(() => server.close());
}

/** pulse's feed: every client gets the snapshots given, and all that are sent later. */
export async function fakeFeed(
  t: ExecutionContext,
  runDir: string,
  first: readonly Snapshot[],
): Promise<(now: Snapshot) => void> {
  const clients = new Set<Socket>();
  const line = (now: Snapshot) => `${JSON.stringify(now)}\n`;
  const server = createServer(client => {
    clients.add(client);
    client.on('error', () => clients.delete(client)).write(first.map(line).join(''));
  });
  await listening(t, server, join(runDir, 'pulse.sock'));
  t.teardown(() => {
    for (const client of clients) client.destroy();
  });
  return now => {
    for (const client of clients) client.write(line(now));
  };
}

/** pulse's control socket: answers every command with `reply`; returns the commands it got. */
export async function fakeControl(
  t: ExecutionContext,
  runDir: string,
  reply: ControlReply,
  then?: () => void,
): Promise<unknown[]> {
  const got: unknown[] = [];
  const server = createServer(client => {
    client
      .on('error', () => undefined)
      .on('data', data => {
        got.push(JSON.parse(String(data)));
        client.end(`${JSON.stringify(reply)}\n`);
        then?.();
      });
  });
  await listening(t, server, join(runDir, 'pulse-control.sock'));
  return got;
}

export async function fakeHttp(
  t: ExecutionContext,
  path: string,
  answers: Readonly<Record<string, unknown>>,
): Promise<void> {
  const server = createHttpServer((request, response) => {
    const answer = answers[request.url ?? ''];
    response.statusCode = answer === undefined ? 404 : 200;
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer ?? { error: 'no such page' }));
  });
  await listening(t, server, path);
}

/** A socket file that nobody listens on any more. */
export async function deadSocket(path: string): Promise<void> {
  const script = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  await once(spawn(process.execPath, ['-e', script, path]), 'exit');
}
