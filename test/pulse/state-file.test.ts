// What pulse remembers across restarts, and what it makes of a damaged file.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { NO_STATE, readState, safeCeiling, stateFile } from '../../src/pulse/io/state-file.ts';

test.beforeEach(t => {
  t.context = mkdtempSync(join(tmpdir(), 'tandem-state-'));
});
test.afterEach.always(t => rmSync(t.context as string, { recursive: true, force: true }));

test('what was written is read, only root may read it, and no temporary file stays', async t => {
  const path = join(t.context as string, 'deep', 'pulse.json');
  const file = stateFile(path, problem => t.fail(problem));
  for (let ceiling = 1; ceiling <= 50; ceiling += 1) file.write({ ...NO_STATE, ceiling });
  await file.flush(2_000);
  t.deepEqual(readState(path), { ok: true, found: true, state: { ...NO_STATE, ceiling: 50 } });
  t.is(statSync(path).mode & 0o777, 0o600);
  t.deepEqual(readdirSync(join(t.context as string, 'deep')), ['pulse.json']);
});

test('a state file cut at any byte is set aside, never trusted', async t => {
  const path = join(t.context as string, 'pulse.json');
  const file = stateFile(path, problem => t.fail(problem));
  file.write({ ...NO_STATE, ceiling: 5_000 });
  await file.flush(2_000);
  const whole = readFileSync(path);
  for (let length = 0; length < whole.length; length += 1) {
    writeFileSync(path, whole.subarray(0, length));
    t.false(readState(path).ok, `cut at ${length}`);
    t.true(readdirSync(t.context as string).includes('pulse.json.damaged'));
  }
});

test('no file is a fresh start; epochs then begin above any that an earlier life can have used', t => {
  t.deepEqual(readState(join(t.context as string, 'none.json')), { ok: true, found: false, state: NO_STATE });
  t.true(safeCeiling(Date.UTC(2026, 0, 1)) > 3_000_000);
});

test('a directory that cannot be written is reported, not thrown', async t => {
  const problems: string[] = [];
  writeFileSync(join(t.context as string, 'a-file'), '');
  const file = stateFile(join(t.context as string, 'a-file', 'pulse.json'), problem => problems.push(problem));
  file.write(NO_STATE);
  await file.flush(2_000);
  t.is(problems.length, 1);
});
