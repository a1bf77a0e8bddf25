// Who has a UDP port, from the kernel's own tables.
import { createSocket } from 'node:dgram';
import test from 'ava';
import { holderOf, inodesOn } from '../../src/pulse/io/port-holder.ts';
import type { Address } from '../../src/units/address.ts';

const LINES = [
  ' 101: 020200C0:02B6 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 11 2 0000000000000000 0',
  ' 102: 00000000:02B6 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 12 2 0000000000000000 0',
  ' 103: 030200C0:02B6 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 13 2 0000000000000000 0',
  ' 104: 020200C0:02B7 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 14 2 0000000000000000 0',
  ' 105: 00000000000000000000000000000000:02B6 00000000:0000 07 0:0 00:0 0 0 0 15 2 0 0',
  'nonsense',
  '',
];

test('sockets on the address, or on every address, count; another address or port does not', t => {
  t.deepEqual([...inodesOn(LINES, '192.0.2.2' as Address, 694)], ['11', '12', '15']);
});

test('our own sockets keep us from nothing, and nobody is found where nobody is', async t => {
  const socket = createSocket('udp4');
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve));
  t.is(await holderOf('127.0.0.1' as Address, socket.address().port), undefined);
  socket.close();
});
