// The director's sync goes over to keys after pulse, and to those of pulse alone.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type KeyIds, keyIds } from '../../src/config/key-id.ts';
import { followKeys } from '../../src/director/keys-of-pulse.ts';
import { createConnectionSync } from '../../src/sync/sync.ts';
import type { At } from '../../src/units/duration.ts';
import { sampleSnapshot } from '../cli/samples.ts';
import { configOf } from './fixture.ts';

const idsOf = (...hex: string[]): KeyIds => {
  const accept = hex.map(text => Buffer.from(text, 'hex'));
  return keyIds({ sign: accept[0] as Buffer, accept });
};
const [OLD, NEW] = ['ab'.repeat(32), 'cd'.repeat(32)];
const says = (keys: KeyIds | null) =>
  sampleSnapshot({ keys: keys && { signs: keys.signs, accepts: [...keys.accepts], peer: null } });

test('each change of pulse is followed once, and that it cannot be is told once', t => {
  const taken: KeyIds[] = [];
  const told: string[] = [];
  let problem = '';
  const hear = followKeys(
    keys => {
      taken.push(keys);
      return problem;
    },
    { event: (code, fields) => void told.push(`${code} ${fields?.problem}`) },
  );
  for (const keys of [null, idsOf(OLD), idsOf(OLD), idsOf(OLD, NEW)]) hear(says(keys));
  t.deepEqual(
    taken.map(({ accepts }) => accepts.length),
    [1, 2],
  );
  problem = 'other keys';
  hear(says(idsOf(NEW, OLD)));
  hear(says(idsOf(NEW, OLD)));
  t.deepEqual(told, ['SYNC_KEYS_KEPT other keys']);
});

test('keys of the file that pulse has not taken are not taken, nor is a file that cannot be read', t => {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-keys-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'pair.key');
  const write = (...keys: string[]) => writeFileSync(file, keys.map(key => `${key}\n`).join(''), { mode: 0o600 });
  write(OLD);
  const config = configOf({ sync: false });
  const sync = createConnectionSync({
    config: { ...config, heartbeat: { ...config.heartbeat, key_file: file } },
    ...{ node: 'r1', stateDir: directory, log: { event: () => undefined }, now: () => 0 as At },
    ...{ onPeerChecks: () => undefined, onPeerReload: () => undefined, onPeerDrains: () => undefined },
    onPeerHookSent: () => undefined,
  });
  t.is(sync.takeKeys(idsOf(OLD)), '');
  write(NEW);
  t.is(sync.takeKeys(idsOf(OLD)), `${file} has other keys than pulse uses`);
  write(OLD, NEW);
  t.regex(sync.takeKeys(idsOf(NEW, OLD)), /other keys/);
  t.is(sync.takeKeys(idsOf(OLD, NEW)), '');
  rmSync(file);
  t.regex(sync.takeKeys(idsOf(OLD)), /no such file|cannot be read/);
});
