// Durations, addresses and epochs as people write them.
import test from 'ava';
import { type Address, type Cidr, contains, hostPort, parseAddress, parseCidr } from '../../src/units/address.ts';
import { formatDuration, ms, parseDuration } from '../../src/units/duration.ts';
import { compareEpochs, formatEpoch, parseEpoch } from '../../src/units/epoch.ts';

for (const [text, value] of [
  ['50ms', 50],
  ['2s', 2_000],
  ['1.5s', 1_500],
  ['10m', 600_000],
  ['1h', 3_600_000],
  ['2', undefined],
  ['2 s', undefined],
  ['-1s', undefined],
  ['1e3ms', undefined],
  ['s', undefined],
] as const) {
  test(`the duration "${text}" is ${value === undefined ? 'refused' : `${value} ms`}`, t =>
    t.is(parseDuration(text) as number | undefined, value));
}

test('a duration is written in the largest unit that keeps it whole', t => {
  t.deepEqual(
    [50, 2_000, 1_500, 600_000, 0].map(n => formatDuration(ms(n))),
    ['50ms', '2s', '1500ms', '10m', '0ms'],
  );
});

for (const [text, value] of [
  ['192.0.2.1', '192.0.2.1'],
  ['2001:DB8:0:0::1', '2001:db8::1'],
  ['192.0.2.256', undefined],
  ['192.0.2', undefined],
  ['010.0.0.1', undefined],
  ['192.0.2.1/24', undefined],
  ['fe80::1%eth0', undefined],
  ['', undefined],
] as const) {
  test(`the address "${text}" is ${value ?? 'refused'}`, t => t.is(parseAddress(text) as string | undefined, value));
}

test('a network contains its own addresses only', t => {
  const network = parseCidr('192.0.2.7/25') as Cidr;
  t.true(contains(network, '192.0.2.100' as Address));
  t.false(contains(network, '192.0.2.200' as Address));
  t.false(contains(network, '2001:db8::1' as Address));
  t.is(parseCidr('192.0.2.7/33'), undefined);
  t.is(parseCidr('192.0.2.7'), undefined);
});

test('an IPv6 address stands in brackets before a port', t => {
  t.is(hostPort('2001:db8::1' as Address, 21), '[2001:db8::1]:21');
  t.is(hostPort('192.0.2.1' as Address, 21), '192.0.2.1:21');
});

test('epochs are ordered by counter, then node', t => {
  t.true(compareEpochs({ counter: 2, node: 1 }, { counter: 1, node: 2 }) > 0);
  t.true(compareEpochs({ counter: 2, node: 1 }, { counter: 2, node: 2 }) < 0);
  t.deepEqual(parseEpoch(formatEpoch({ counter: 12, node: 2 })), { counter: 12, node: 2 });
  t.is(parseEpoch('12'), undefined);
  t.is(parseEpoch('999999999999999.1'), undefined, 'more than a heartbeat can carry');
});
