// vipd's lines about single addresses: what a claim asks for, what can be held, what the kernel said.
import { readFileSync } from 'node:fs';
import test from 'ava';
import { VIRTUAL_ADDRESSES_MAX } from '../../src/config/virtual-addresses.ts';
import { type At, ms } from '../../src/units/duration.ts';
import { leaseLine, parseVipdLine } from '../../src/vip/protocol.ts';

const REQUEST = {
  seq: 7,
  epoch: { counter: 5, node: 1 },
  at: 1_000 as At,
  leaseMs: ms(220),
  mode: 'armed',
  keepMs: 5_000,
} as const;

test('a claim and a renewal name their addresses, one bit each', t => {
  t.is(leaseLine('claim', { ...REQUEST, addresses: [0, 2] }), 'claim 7 5.1 1000000 220 armed 5000 5');
  t.is(leaseLine('renew', { ...REQUEST, addresses: [63] }), 'renew 7 5.1 1000000 220 armed 5000 8000000000000000');
  const all = Array.from({ length: 64 }, (_, index) => index);
  t.is(leaseLine('renew', { ...REQUEST, addresses: all }), `renew 7 5.1 1000000 220 armed 5000 ${'f'.repeat(16)}`);
});

for (const [line, message] of [
  ['added 3', { type: 'added', index: 3 }],
  ['denied 3 no (errno 13)', { type: 'denied', index: 3, text: 'no (errno 13)' }],
  ['place 3 here', { type: 'place', index: 3, state: 'here' }],
  ['place 3 no-interface', { type: 'place', index: 3, state: 'no-interface' }],
  ['place 3 no-ipv6', { type: 'place', index: 3, state: 'no-ipv6' }],
  ['place 3 elsewhere', undefined],
  ['place x here', undefined],
  ['conflict 3 02:00:00:00:00:03 br0/a', { type: 'conflict', index: 3, mac: '02:00:00:00:00:03', port: 'br0/a' }],
  [
    'conflict 3 02:00:00:00:00:03 br0 02:00:00:00:00:04',
    { type: 'conflict', index: 3, mac: '02:00:00:00:00:03', port: 'br0', from: '02:00:00:00:00:04' },
  ],
  ['added', undefined],
  ['denied -1 no', undefined],
] as const)
  test(`"${line}" is read as it is meant`, t => {
    t.deepEqual(parseVipdLine(line), message);
  });

test('check allows as many addresses as vipd can hold', t => {
  const [, most] = /^#define VIP_MAX (\d+) /m.exec(readFileSync('src/vip/native/base/tables.h', 'utf8')) ?? [];
  t.is(Number(most), VIRTUAL_ADDRESSES_MAX);
});
