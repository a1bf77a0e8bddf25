// What is kept of hooks across a restart: a directory that takes nothing is told once.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { keptHooksSaver } from '../../src/director/io/hooks-file.ts';
import { NOTHING_KEPT } from '../../src/hooks/hook-report.ts';

test('a file that cannot be written is told once, and again when it could be written since', async t => {
  const dir = join(mkdtempSync(join(tmpdir(), 'tandem-kept-')), 'run');
  t.teardown(() => rmSync(join(dir, '..'), { recursive: true }));
  const told: string[] = [];
  const saver = keptHooksSaver(dir, { event: code => void told.push(code) });
  const save = async (seq: number) => {
    saver.save({ ...NOTHING_KEPT, mark: { life: 'life', seq } });
    await saver.close();
  };
  await save(1);
  // As after the hook that was told of it.
  await save(2);
  t.deepEqual(told, ['MEMORY_PROBLEM']);
  mkdirSync(dir);
  await save(3);
  t.regex(readFileSync(join(dir, 'director-hooks.json'), 'utf8'), /"seq":3/);
  rmSync(dir, { recursive: true });
  await save(4);
  t.deepEqual(told, ['MEMORY_PROBLEM', 'MEMORY_PROBLEM']);
});
