// The runner's socket: takes one request a connection, has its script run when there is a place,
// and answers. A client that goes away takes its script along. Not pure.
import { createServer, type Server, type Socket } from 'node:net';
import type { Log } from '../../log/log.ts';
import { lineReader } from '../../socket/lines.ts';
import { forget, leavePlace, NO_HOOK, NOBODY, type Places, takePlace } from '../places.ts';
import { type Progress, REQUEST_BYTES_MAX, type RunAnswer, type RunRequest, requestSchema } from '../runner-message.ts';
import { type Work, workLabel } from '../work.ts';
import { postMessage } from './post-message.ts';
import { runScript } from './run-script.ts';
import { whyNotRun } from './script-file.ts';

/** For a request to be there as a whole. */
const REQUEST_MS_MAX = 5_000;
const CONNECTIONS_MAX = 128;

interface RunnerServerOptions {
  readonly log: Log;
  /** What is asked for, or why there is no such thing. */
  readonly find: (request: RunRequest) => Work | string;
}

/** One request. */
interface Job {
  readonly socket: Socket;
  readonly work: Work;
}

/** To be bound by the caller. Closing it does not end what runs: see end(). */
interface RunnerServer {
  readonly server: Server;
  /** Ends all that runs and waits, without an answer; nothing begins any more. */
  end(): void;
}

export function createRunnerServer(options: RunnerServerOptions): RunnerServer {
  const kinds = { check: new Jobs(options, NOBODY), hook: new Jobs(options, NO_HOOK) };
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    listen(socket, options, kinds);
  });
  server.maxConnections = CONNECTIONS_MAX;
  const end = () => {
    // First: that a script was ended by us is no answer about what it checks.
    for (const socket of sockets) socket.destroy();
    kinds.check.end();
    kinds.hook.end();
  };
  return { server, end };
}

function listen(socket: Socket, { log, find }: RunnerServerOptions, kinds: Record<Work['kind'], Jobs>): void {
  const lines = lineReader({ bytesMax: REQUEST_BYTES_MAX, tooLong: 'end' });
  socket.on('error', () => socket.destroy());
  socket.setTimeout(REQUEST_MS_MAX, () => socket.destroy());
  let isAsked = false;
  socket.on('data', chunk => {
    const heard = lines.push(chunk, line => {
      // One request a connection; what follows it is nobody's.
      if (isAsked) return;
      isAsked = true;
      socket.setTimeout(0);
      const request = readRequest(line);
      if (request === undefined) return answer(socket, refusal('this is no request that the runner knows'));
      const work = find(request);
      if (typeof work !== 'string') return kinds[work.kind].enter({ socket, work });
      log.event('RUNNER_REFUSED', { check: workLabel(request.run), reason: work });
      answer(socket, refusal(work));
    });
    if (!heard) socket.destroy();
  });
}

function readRequest(line: string): RunRequest | undefined {
  try {
    return requestSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

function refusal(reason: string): RunAnswer {
  return { type: 'refused', reason };
}

function answer(socket: Socket, what: RunAnswer): void {
  if (!socket.destroyed) socket.end(`${JSON.stringify(what)}\n`);
}

function tell(socket: Socket, type: Progress['type']): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify({ type } satisfies Progress)}\n`);
}

class Jobs {
  readonly #log: Log;
  #places: Places<Job>;
  readonly #kills = new Set<() => void>();

  constructor({ log }: RunnerServerOptions, places: Places<never>) {
    this.#log = log;
    this.#places = places;
  }

  enter(job: Job): void {
    const { next, does } = takePlace(this.#places, job);
    this.#places = next;
    if (does === 'refused') return this.#refuse(job, 'too many scripts run and wait already');
    job.socket.on('close', () => {
      this.#places = forget(this.#places, job);
    });
    if (does === 'begins') void this.#run(job);
    else tell(job.socket, 'waits');
  }

  /** Those that wait begin no more, as their sockets are gone. */
  end(): void {
    for (const kill of this.#kills) kill();
  }

  async #run(job: Job): Promise<void> {
    const { work } = job;
    const mistrust = work.type === 'program' ? await whyNotRun(work.script.command[0]) : undefined;
    if (mistrust !== undefined) this.#refuse(job, mistrust);
    else if (!job.socket.destroyed) await this.#runTrusted(job);
    const { next, begins } = leavePlace(this.#places);
    this.#places = next;
    if (begins !== undefined) void this.#run(begins);
  }

  async #runTrusted({ socket, work }: Job): Promise<void> {
    const { name } = work;
    const running = work.type === 'program' ? runScript(work.script, work.input) : postMessage(work.post);
    this.#kills.add(running.kill);
    socket.on('close', running.kill);
    tell(socket, 'began');
    const done = await running.answer;
    this.#kills.delete(running.kill);
    socket.off('close', running.kill);
    if (done.type === 'refused') this.#log.event('RUNNER_REFUSED', { check: name, reason: done.reason });
    else if (work.type === 'program' && (done.how === 'timeout' || done.how === 'output'))
      this.#log.event('RUNNER_KILLED', { check: name, reason: done.reason, output: done.output.slice(-500) });
    answer(socket, done);
  }

  #refuse({ socket, work }: Job, reason: string): void {
    this.#log.event('RUNNER_REFUSED', { check: work.name, reason });
    answer(socket, refusal(reason));
  }
}
