// What pulse remembers across restarts and power losses, and what it makes of a damaged file.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import {
  beginWith,
  NO_STATE,
  type PulseState,
  parseState,
  readState,
  renderState,
  safeCeiling,
  stateFile,
} from '../../src/pulse/io/state-file.ts';
import { everyOutcome, recordingDisk } from './power-loss.ts';

const SINCE_2020 = Date.UTC(2020, 0, 1);
const withCeiling = (ceiling: number): PulseState => ({ ...NO_STATE, ceiling, hold: { on: true, until: null } });

test.beforeEach(t => {
  t.context = mkdtempSync(join(tmpdir(), 'tandem-state-'));
});
test.afterEach.always(t => rmSync(t.context as string, { recursive: true, force: true }));

test('what was written is read, only root may read it, and beside its copy no file stays', async t => {
  const path = join(t.context as string, 'deep', 'pulse.json');
  const file = stateFile(path, problem => t.fail(problem));
  for (let ceiling = 1; ceiling <= 50; ceiling += 1) file.write(withCeiling(ceiling));
  await file.flush(20_000);
  t.like(readState(path), { ok: true, found: true, state: withCeiling(50) });
  t.is(statSync(path).mode & 0o777, 0o600);
  t.deepEqual(readdirSync(join(t.context as string, 'deep')), ['pulse.json', 'pulse.json.copy']);
});

test('a power loss at any call, with whatever of it on disk, leaves the old state or the new one', async t => {
  const base = t.context as string;
  const { disk, calls } = recordingDisk(base);
  const file = stateFile(join(base, 'var', 'tandem', 'pulse.json'), problem => t.fail(problem), disk);
  const written: number[] = [0];
  const states = [undefined, withCeiling(5_000), withCeiling(6_000), withCeiling(7_000)];
  for (const state of states.slice(1)) {
    file.write(state as PulseState);
    await file.flush(20_000);
    written.push(calls.length);
  }
  const root = join(base, 'disk');
  const path = join(root, 'var', 'tandem', 'pulse.json');
  let outcomes = 0;
  for (let count = 0; count <= calls.length; count += 1) {
    // What flush() has confirmed must be there; the state after it may be.
    const confirmed = written.findLastIndex(calls => calls <= count);
    const look = () => {
      const read = readState(path);
      const allowed = [states[confirmed], states[confirmed + 1]].filter(state => state !== undefined);
      if (confirmed === 0 && read.ok && !read.found) return;
      const fits = read.ok && allowed.some(state => JSON.stringify(state) === JSON.stringify(read.state));
      if (!fits) t.fail(`after ${count} calls (${JSON.stringify(calls[count - 1])}): ${JSON.stringify(read)}`);
    };
    outcomes += everyOutcome(calls, count, { base, root, look });
  }
  t.true(outcomes > 300, `${outcomes} outcomes of ${calls.length} calls`);
});

test('the model of the disk notices a write without fsync, and a rename without one', async t => {
  const base = t.context as string;
  for (const forgotten of ['file', 'directory'] as const) {
    const { disk, calls } = recordingDisk(base);
    const file = stateFile(join(base, 'pulse.json'), () => {}, disk);
    file.write(withCeiling(5_000));
    await file.flush(20_000);
    const careless = calls.filter(call => call.type !== 'sync' || (call.path === base) !== (forgotten === 'directory'));
    const root = join(base, forgotten);
    let lost = 0;
    const look = () => {
      const read = readState(join(root, 'pulse.json'));
      if (!read.ok || !read.found) lost += 1;
    };
    everyOutcome(careless, careless.length, { base, root, look });
    t.true(lost > 0, forgotten);
  }
});

test('a process killed at any moment while it writes leaves a file that can be read', async t => {
  const path = join(t.context as string, 'pulse.json');
  let highest = 0;
  for (let round = 0; round < 12; round += 1) {
    const child = spawn(process.execPath, [fileURLToPath(new URL('state-writer.js', import.meta.url)), path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    // From now on: other tests of this file may keep this process busy until the child has ended by itself.
    const closed = once(child, 'close');
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await once(child.stdout, 'data');
    await sleep((round * 7) % 40);
    child.kill('SIGKILL');
    await closed;
    const confirmed = Number(said.trimEnd().split('\n').at(-1));
    const read = readState(path);
    t.true(
      read.ok && read.found && read.state.ceiling >= confirmed,
      `${confirmed} was confirmed: ${JSON.stringify(read)}`,
    );
    t.true((read.state?.ceiling ?? 0) >= highest);
    highest = read.state?.ceiling ?? 0;
  }
  t.true(highest > 0);
});

test('a state file cut at any byte is set aside, and its copy used', async t => {
  const path = join(t.context as string, 'pulse.json');
  const file = stateFile(path, problem => t.fail(problem));
  file.write(withCeiling(5_000));
  await file.flush(20_000);
  const whole = readFileSync(path);
  for (let length = 0; length < whole.length; length += 1) {
    writeFileSync(path, whole.subarray(0, length));
    const read = readState(path);
    t.false(read.ok, `cut at ${length}`);
    t.deepEqual(read.state, { ...withCeiling(5_000), ceiling: 6_000 });
    t.true(readdirSync(t.context as string).includes('pulse.json.damaged'));
  }
});

test('no flipped bit goes unnoticed: a lower ceiling would bring used epochs back', t => {
  const whole = Buffer.from(renderState(withCeiling(5_000)));
  t.deepEqual(parseState(whole), withCeiling(5_000));
  for (let bit = 0; bit < whole.length * 8; bit += 1) {
    const flipped = Buffer.from(whole);
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    t.throws(() => parseState(flipped), undefined, `bit ${bit}: ${flipped.toString('latin1')}`);
  }
});

test('a file that has lost its checksum is not read, nor one of the time before checksums (0.2)', t => {
  const bare = JSON.stringify({ version: 2, ...withCeiling(5_000) });
  t.throws(() => parseState(Buffer.from(bare)), { message: /checksum is missing/ });
  t.throws(() => parseState(Buffer.from(bare.replace('"version":2', '"version":1'))));
  t.throws(() => parseState(Buffer.from(renderState(withCeiling(1)).replace('"version":2', '"version":1'))));
});

for (const [title, damage] of [
  ['zeros', (path: string) => writeFileSync(path, Buffer.alloc(400))],
  ['nothing', (path: string) => writeFileSync(path, '')],
  ['two megabytes', (path: string) => writeFileSync(path, Buffer.alloc(2 << 20, '{'))],
  ['deeply nested brackets', (path: string) => writeFileSync(path, '['.repeat(500_000))],
  ['a directory', (path: string) => mkdirSync(path)],
  ['an epoch that no heartbeat can carry', (path: string) => writeFileSync(path, renderState(withCeiling(2 ** 50)))],
  [
    'a hold until after the end of time',
    (path: string) => writeFileSync(path, renderState({ ...NO_STATE, hold: { on: true, until: 1e17 } })),
  ],
] as const) {
  test(`${title} in the place of the state file: told, set aside, written anew, no epoch used twice`, async t => {
    const path = join(t.context as string, 'pulse.json');
    damage(path);
    const read = readState(path);
    t.false(read.ok);
    t.is(beginWith(read, SINCE_2020 + 9_000).ceiling, safeCeiling(statSync(`${path}.damaged`).mtimeMs));
    t.deepEqual(readdirSync(t.context as string), ['pulse.json.damaged']);
    const file = stateFile(path, problem => t.fail(problem));
    file.write(withCeiling(7));
    await file.flush(20_000);
    t.like(readState(path), { ok: true, state: withCeiling(7) });
  });
}

test('a start without a file begins above any epoch that a life before it can have used', t => {
  const read = readState(join(t.context as string, 'none', 'none.json'));
  t.deepEqual(read, { ok: true, found: false, state: NO_STATE, writtenMs: 0 });
  t.is(beginWith(read, SINCE_2020 + 9_000).ceiling, 9_000);
  t.is(beginWith(read, 0).ceiling, 0, 'a clock before 2020');
  t.is(beginWith(read, 8.64e15).ceiling < 2 ** 47, true, 'a clock at the end of time');
});

test('a file from a backup, or one that could not be written for long, begins above what was used since', t => {
  const path = join(t.context as string, 'pulse.json');
  writeFileSync(path, renderState(withCeiling(5_000)));
  t.is(beginWith(readState(path), SINCE_2020 + 9_000_000).ceiling, safeCeiling(statSync(path).mtimeMs));
  utimesSync(path, 0, 0);
  utimesSync(t.context as string, 0, 0);
  t.is(beginWith(readState(path), SINCE_2020 + 9_000_000).ceiling, 9_000_000);
  t.is(beginWith(readState(path), SINCE_2020).ceiling, 5_000, 'the file knows more than the clock');
});

test('a clock that has lost its battery does not bring epochs back: the file carries a time stamp', t => {
  const path = join(t.context as string, 'pulse.json');
  writeFileSync(path, 'damaged');
  t.true(beginWith(readState(path), 0).ceiling >= safeCeiling(Date.now() - 60_000));
});

test('a directory that cannot be written is told once, not thrown, and tried again', async t => {
  const problems: string[] = [];
  writeFileSync(join(t.context as string, 'a-file'), '');
  const file = stateFile(join(t.context as string, 'a-file', 'pulse.json'), problem => problems.push(problem));
  for (let ceiling = 1; ceiling <= 5; ceiling += 1) {
    file.write(withCeiling(ceiling));
    await file.flush(20_000);
  }
  t.is(problems.length, 1);
  rmSync(join(t.context as string, 'a-file'));
  await sleep(5_500);
  await file.flush(20_000);
  t.like(readState(join(t.context as string, 'a-file', 'pulse.json')), { ok: true, state: withCeiling(5) });
});

test('on a full disk the old state stays, it is told once, and the newest state is there once there is room', async t => {
  const directory = t.context as string;
  const child = fileURLToPath(new URL('full-disk-child.js', import.meta.url));
  // A disk of its own, in a mount namespace that ends with the command.
  const mounted = 'mount -t tmpfs -o size=64k tmpfs "$1" && exec "$2" "$3" "$1"';
  const args = ['--mount', 'sh', '-c', mounted, 'sh', directory, process.execPath, child];
  const { stdout } = await promisify(execFile)('unshare', args, { timeout: 30_000 });
  const { told, full, later } = JSON.parse(stdout);
  t.is(told.length, 1);
  t.regex(told[0], /ENOSPC/);
  t.deepEqual(full, { ...NO_STATE, ceiling: 1_000 });
  t.deepEqual(later, { ...NO_STATE, ceiling: 6_000 });
});
