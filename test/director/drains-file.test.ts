// The drains' file: what is done to the disk so that a power cut leaves the old one or the new one.
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import test from 'ava';
import { readDrains, saveDrains } from '../../src/director/io/drains-file.ts';
import { decree, drained, NO_DRAINS } from '../../src/drain/drains.ts';
import type { Log } from '../../src/log/log.ts';
import { type At, ms } from '../../src/units/duration.ts';

const now = () => 1_000 as At;
const log: Log = { event: () => undefined };

test('the file is synced before it is renamed, its directory after that, and it is read as it was saved', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-drains-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const done: string[] = [];
  const disk: Parameters<typeof saveDrains>[4] = {
    mkdir,
    open: async (path, flags, mode) => {
      const file = await open(path, flags, mode);
      const sync = async () => {
        done.push(`sync ${path === directory ? 'directory' : basename(path)}`);
        await file.sync();
      };
      return { writeFile: (text: string) => file.writeFile(text), sync, close: () => file.close() };
    },
    rename: async (from, to) => {
      done.push(`rename to ${basename(to)}`);
      await rename(from, to);
    },
  };
  const order = { drained: true, spanMs: ms(60_000), router: 'r1', since: 'then', reason: '', who: 'jo' };
  const drains = decree(NO_DRAINS, [{ service: 'ftp', server: 'fs1' }], order, now());
  t.is(await saveDrains(directory, log, drains, now, disk), undefined);
  t.deepEqual(done, ['sync director-drains.json.new', 'rename to director-drains.json', 'sync directory']);
  t.deepEqual(
    drained(await readDrains(directory, log, now)).map(({ server }) => server),
    ['fs1'],
  );
});
