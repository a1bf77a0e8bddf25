// The coverage-guided loop: mutates inputs that reached something new, in batches, and keeps those that do. Looking at coverage is
// dear (milliseconds), so a batch is looked at as a whole and only one with news is searched, half by half. Seeded; a finding is
// replayed by its saved input, which needs no seed.

import { Random } from '../sim/random.ts';
import type { Coverage } from './coverage.ts';
import { mutate } from './mutate.ts';
import type { Loaded, Target } from './target.ts';

/** A batch runs this many times longer than looking at its coverage takes, and at least this long. */
const BATCH_PER_LOOK = 10;
const BATCH_MS_MIN = 20;
const BATCH_MAX = 4_096;
const CORPUS_MAX = 1_000;
/** Most inputs that are kept of one batch. */
const KEPT_OF_BATCH_MAX = 16;
/** No input may take longer: the largest takes some milliseconds. */
const INPUT_MS_MAX = 2_000;
const PROGRESS_MS = 1_000;

export interface Progress {
  readonly executions: number;
  readonly ms: number;
  readonly corpus: number;
  readonly lines: { readonly ran: number; readonly all: number };
}

export interface EngineOptions {
  readonly target: Target;
  readonly loaded: Loaded;
  readonly coverage: Coverage;
  readonly seed: number;
  readonly ms: number;
  /** Inputs that earlier runs found worth keeping. */
  readonly corpus: readonly Buffer[];
  /** Told before each input is run: whoever watches can save it if it never returns. */
  readonly onInput: (input: Buffer) => void;
  readonly onProgress: (progress: Progress) => void;
}

/** Runs until the time is over; throws what the target throws. `kept`: the inputs worth keeping. */
export async function runEngine(options: EngineOptions): Promise<Progress & { readonly kept: readonly Buffer[] }> {
  const { target, loaded, coverage } = options;
  const random = new Random(options.seed);
  const start = performance.now();
  const end = start + options.ms;
  const kept: Buffer[] = [];
  let executions = 0;
  let toldAt = start;
  let lookMs = 0;

  const run = async (inputs: readonly Buffer[]) => {
    for (const input of inputs) {
      options.onInput(input);
      const from = performance.now();
      const wait = loaded.run(input);
      if (wait instanceof Promise) await wait;
      const took = performance.now() - from;
      if (took > INPUT_MS_MAX) throw new Error(`one input took ${Math.round(took)} ms`);
      executions += 1;
    }
    const from = performance.now();
    const news = coverage.news();
    lookMs = performance.now() - from;
    return news;
  };
  /** Keeps those of `inputs` that show something new by themselves. */
  const search = async (inputs: readonly Buffer[], most: number): Promise<number> => {
    const note = most > 0 && inputs.length > 0 ? await run(inputs) : undefined;
    if (!note) return 0;
    const [only] = inputs;
    if (inputs.length === 1) {
      note();
      kept.push(only as Buffer);
      return 1;
    }
    const half = inputs.length >> 1;
    const first = await search(inputs.slice(0, half), most);
    return first + (await search(inputs.slice(half), most - first));
  };
  const progress = () => ({ executions, ms: performance.now() - start, corpus: kept.length, lines: coverage.lines() });

  coverage.news()?.();
  for (const input of [...loaded.seeds, ...options.corpus]) await search([input], 1);
  if (kept.length === 0) kept.push(...loaded.seeds);
  let size = 8;
  while (performance.now() < end) {
    const batch = Array.from({ length: size }, () => freshInput(random, kept, target));
    const from = performance.now();
    const note = await run(batch);
    const took = performance.now() - from - lookMs;
    if (note && kept.length < CORPUS_MAX) await search(batch, KEPT_OF_BATCH_MAX);
    note?.();
    const wanted = Math.max(BATCH_MS_MIN, BATCH_PER_LOOK * lookMs);
    size = Math.max(1, Math.min(BATCH_MAX, 2 * size, Math.round((size * wanted) / Math.max(took, 0.1))));
    await loaded.settle?.();
    if (performance.now() - toldAt < PROGRESS_MS) continue;
    toldAt = performance.now();
    options.onProgress(progress());
  }
  return { ...progress(), kept };
}

function freshInput(random: Random, kept: readonly Buffer[], { words = [], bytesMax }: Target): Buffer {
  // The newest are the least explored.
  const recent = random.below(3) === 0 ? Math.max(0, kept.length - 16) : 0;
  const from = kept[recent + random.below(kept.length - recent)] as Buffer;
  return mutate(from, random, { corpus: kept, words, bytesMax });
}
