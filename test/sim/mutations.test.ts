// The simulator finds bugs: each safeguard that is taken away (mutations.ts) makes an invariant fail within a bounded number of
// schedules, on a copy of the compiled code; the same schedule holds with the code as it is.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import { MUTATIONS, type Mutation, type Patch, patched } from './mutations.ts';
import { runSeed } from './run.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SEEDS_MAX = 2_000;
const RUN_MS_MAX = 90_000;
/** Two at a time: each keeps a processor busy. */
const AT_ONCE = 2;

/** A copy of what the simulator needs, with the patches put in. */
async function mutant(patches: readonly Patch[]): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'tandem-mutant-'));
  await mkdir(join(copy, 'dist/test'), { recursive: true });
  await cp(join(ROOT, 'dist/src'), join(copy, 'dist/src'), { recursive: true });
  await cp(join(ROOT, 'dist/test/sim'), join(copy, 'dist/test/sim'), { recursive: true });
  await cp(join(ROOT, 'dist/test/settings-for.js'), join(copy, 'dist/test/settings-for.js'));
  await cp(join(ROOT, 'package.json'), join(copy, 'package.json'));
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  for (const patch of patches) await put(copy, patch);
  return copy;
}

async function put(copy: string, patch: Patch): Promise<void> {
  const path = join(copy, 'dist', patch.file);
  await writeFile(path, patched(await readFile(path, 'utf8'), patch));
}

interface Caught {
  readonly seed: number;
  readonly kind: string;
  readonly invariant: string;
  readonly text: string;
}

async function hunt({ patches = [], kind = '', model, fromSeed = 1 }: Mutation): Promise<Caught | null> {
  const copy = await mutant(patches);
  try {
    const args = [join(copy, 'dist/test/sim/mutant.js'), String(fromSeed), String(SEEDS_MAX), kind, model ?? ''];
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

for (const mutation of MUTATIONS) {
  test(`it is found when ${mutation.name}`, async t => {
    t.timeout(600_000);
    const caught = await inTurn(() => hunt(mutation));
    t.truthy(caught, `nothing failed in ${SEEDS_MAX} schedules`);
    if (!caught) return;
    t.true((mutation.expects as readonly string[]).includes(caught.invariant), JSON.stringify(caught));
    t.is(runSeed(caught.seed, { kind: mutation.kind }).breach, undefined, 'the code as it is passes the same schedule');
    t.log(`seed ${caught.seed} (${caught.kind}): ${caught.invariant}: ${caught.text}`);
  });
}
