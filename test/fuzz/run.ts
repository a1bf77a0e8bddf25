// Runs one TypeScript target for a time, in a worker, and makes an outcome of whatever becomes of it.
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Progress } from './engine.ts';
import { type Outcome, saveFinding } from './outcome.ts';
import type { Target } from './target.ts';
import type { WorkerInput } from './worker.ts';

/** Without a word for this long, the input under way hangs. Loading takes some seconds on a busy machine. */
const SILENCE_MS = 30_000;
const NOTHING: Progress = { executions: 0, ms: 0, corpus: 0, lines: { ran: 0, all: 0 } };

export interface RunOptions {
  readonly seed: number;
  readonly ms: number;
  readonly corpus: readonly Buffer[];
  readonly onProgress?: (progress: Progress) => void;
  /** What is worth keeping, when all went well. */
  readonly onKept?: (inputs: readonly Buffer[]) => void;
}

export async function runTarget(target: Target, options: RunOptions): Promise<Outcome> {
  const shared = new SharedArrayBuffer(4 + Math.max(target.bytesMax, 1 << 20));
  const workerData: WorkerInput = {
    target: target.name,
    files: target.files,
    seed: options.seed,
    ms: options.ms,
    corpus: options.corpus,
    shared,
  };
  const worker = new Worker(new URL('worker.js', import.meta.url), { workerData });
  let last = NOTHING;
  const problem = await new Promise<string | undefined>(resolve => {
    let silence: NodeJS.Timeout;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => resolve(`no end after ${SILENCE_MS} ms`), SILENCE_MS);
    };
    heard();
    worker.on('message', (message: { type: string; progress: Progress; kept?: readonly Uint8Array[] }) => {
      heard();
      last = message.progress;
      options.onProgress?.(last);
      if (message.type !== 'done') return;
      options.onKept?.((message.kept ?? []).map(each => Buffer.from(each)));
      resolve(undefined);
    });
    worker.on('error', error => resolve(error.stack ?? String(error)));
    worker.on('exit', code => resolve(`the thread ended with code ${code}`));
    worker.on('exit', () => clearTimeout(silence));
  });
  await worker.terminate();
  const input = Buffer.from(new Uint8Array(shared, 4, new Uint32Array(shared, 0, 1)[0]));
  return {
    target: target.name,
    executions: last.executions,
    seconds: last.ms / 1_000,
    perSecond: Math.round(last.executions / Math.max(last.ms / 1_000, 0.001)),
    corpus: last.corpus,
    lines: last.lines,
    finding: problem === undefined ? null : { problem, file: saveFinding(target.name, input) },
  };
}

/** Runs one saved input in this thread; throws what the target throws. */
export async function replay(target: Target, file: string): Promise<void> {
  const loaded = await target.load();
  try {
    await loaded.run(readFileSync(file));
    await loaded.settle?.();
  } finally {
    await loaded.close?.();
  }
}
