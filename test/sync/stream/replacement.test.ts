// How an old entry is told so that the kernel drops it.
import test from 'ava';
import { usable } from '../../../src/sync/kernel/wire.ts';
import { expiring } from '../../../src/sync/stream/replacement.ts';
import { FLAG, PROTOCOL_UDP } from '../../../src/sync/table/entry.ts';
import { connection, template } from './sync-entries.ts';

test('a template, a TCP and a UDP connection are made to expire by what a kernel takes', t => {
  const udp = connection({ protocol: PROTOCOL_UDP, flags: FLAG.inactive, state: 0 });
  for (const entry of [template(), connection(), udp]) {
    const told = expiring(entry);
    t.is(told.timeoutS, 1);
    t.true(usable(told), JSON.stringify(told));
  }
});
