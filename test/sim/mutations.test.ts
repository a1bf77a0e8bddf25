// The simulator finds bugs: each safeguard that is taken away (mutations.ts) makes the invariant that the mutation names fail within
// a stated number of schedules, on a copy of the code; the same schedule holds with the code as it is.
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { compileMutants, mutant } from './mutants.ts';
import { MUTATIONS, type Mutation } from './mutations.ts';
import { runSeed } from './run.ts';

const RUN_MS_MAX = 90_000;
/** Two at a time: each keeps a processor busy. */
const AT_ONCE = 2;

interface Caught {
  readonly seed: number;
  readonly kind: string;
  readonly text: string;
}

let compiled = '';

test.before(async () => {
  compiled = await compileMutants(MUTATIONS);
});

test.after.always(async () => {
  if (compiled !== '') await rm(dirname(compiled), { recursive: true });
});

async function hunt(number: number, { kind = '', fromSeed = 1, within, invariant }: Mutation): Promise<Caught | null> {
  const copy = await mutant(join(compiled, String(number)));
  try {
    const args = [join(copy, 'dist/test/sim/mutant.js'), String(fromSeed), String(within), invariant, kind];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: RUN_MS_MAX });
    return JSON.parse(stdout) as Caught | null;
  } finally {
    await rm(copy, { recursive: true });
  }
}

let running = 0;
const waiting: (() => void)[] = [];

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  while (running >= AT_ONCE) await new Promise<void>(resolve => waiting.push(resolve));
  running += 1;
  try {
    return await work();
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

for (const [number, mutation] of MUTATIONS.entries()) {
  test(`it is found when ${mutation.name}`, async t => {
    t.timeout(600_000);
    const caught = await inTurn(() => hunt(number, mutation));
    t.truthy(caught, `${mutation.invariant} held in ${mutation.within} schedules`);
    if (!caught) return;
    t.is(runSeed(caught.seed, { kind: mutation.kind }).breach, undefined, 'the code as it is passes the same schedule');
    t.log(`seed ${caught.seed} (${caught.kind}): ${mutation.invariant}: ${caught.text}`);
  });
}
