// One target in a thread of its own (run.ts starts it): what never returns or takes the thread down is seen from outside, and
// the input that did it stands in shared memory.
import { parentPort, workerData } from 'node:worker_threads';
import { watchCoverage } from './coverage.ts';
import { runEngine } from './engine.ts';

export interface WorkerInput {
  readonly target: string;
  /** Its source files. */
  readonly files: readonly string[];
  readonly seed: number;
  readonly ms: number;
  readonly corpus: readonly Uint8Array[];
  /** The input under way: its length (4 bytes), its bytes. */
  readonly shared: SharedArrayBuffer;
}

const { target: name, files, seed, ms, corpus, shared } = workerData as WorkerInput;
const length = new Uint32Array(shared, 0, 1);
const bytes = new Uint8Array(shared, 4);

const coverage = watchCoverage(
  new URL('../../', import.meta.url),
  files.map(file => file.replace(/\.ts$/, '.js')),
);
// Imported only now: coverage counts what runs while files are loaded too.
const { TARGETS } = await import('./targets.ts');
const target = TARGETS.find(each => each.name === name);
if (!target) throw new Error(`there is no target ${name}`);
const loaded = await target.load();
const result = await runEngine({
  target,
  loaded,
  coverage,
  seed,
  ms,
  corpus: corpus.map(each => Buffer.from(each)),
  onInput: input => {
    bytes.set(input);
    length[0] = input.length;
  },
  onProgress: progress => parentPort?.postMessage({ type: 'progress', progress }),
});
await loaded.close?.();
parentPort?.postMessage({ type: 'done', progress: result, kept: result.kept });
