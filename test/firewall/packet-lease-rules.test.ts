import test from 'ava';
import {
  chainsIn,
  GATE_TABLE,
  packetLeaseRemoval,
  packetLeaseRules,
  trialRules,
  withoutElements,
} from '../../src/firewall/packet-lease-rules.ts';
import type { Address } from '../../src/units/address.ts';

const on = (name: string, ...addresses: string[]) =>
  addresses.map(address => ({ address: address as Address, interface: name }));
const PLAN = {
  addresses: [...on('c0', '192.0.2.100', '2001:db8:1::100', '192.0.2.101'), ...on('s0', '198.51.100.1')],
  leaseMs: 220,
  keepMs: 5_000,
  others: [] as string[],
  present: ['lo', 'c0', 's0'],
  chains: [],
};
const chainOf = (text: string, chain: string) =>
  text
    .split('\n')
    .filter(line => line.startsWith(`add rule netdev ${GATE_TABLE} ${chain} `))
    .map(line => line.slice(`add rule netdev ${GATE_TABLE} ${chain} `.length));

test('every interface gates packets, ARP requests and neighbour solicitations for its own addresses', t => {
  const text = packetLeaseRules(PLAN);
  t.deepEqual(chainOf(text, 'gate_c0'), [
    'ip daddr { 192.0.2.100, 192.0.2.101 } goto check',
    'arp saddr ip != { 192.0.2.100, 192.0.2.101 } arp daddr ip { 192.0.2.100, 192.0.2.101 } goto check',
    'ip6 daddr { 2001:db8:1::100 } goto check',
    'icmpv6 type nd-neighbor-solicit @th,64,128 0x20010db8000100000000000000000100 goto check',
  ]);
  t.deepEqual(chainOf(text, 'gate_s0'), [
    'ip daddr { 198.51.100.1 } goto check',
    'arp saddr ip != { 198.51.100.1 } arp daddr ip { 198.51.100.1 } goto check',
  ]);
  t.deepEqual(chainOf(text, 'check'), ['meta mark & 0x0 @lease accept', 'counter drop']);
});

test('on another LAN the lease counts for addresses that are in this kernel; what is for the peer goes on', t => {
  const text = packetLeaseRules({ ...PLAN, others: ['c0', 's0', 'x0'], present: ['lo', 'c0', 's0', 'x0'] });
  t.deepEqual(chainOf(text, 'gate_s0').slice(2), [
    'ip daddr { 192.0.2.100, 192.0.2.101 } fib daddr type local goto check',
    'arp saddr ip != { 192.0.2.100, 192.0.2.101 } arp daddr ip { 192.0.2.100, 192.0.2.101 } goto check',
    'ip6 daddr { 2001:db8:1::100 } fib daddr type local goto check',
    'icmpv6 type nd-neighbor-solicit @th,64,128 0x20010db8000100000000000000000100 goto check',
  ]);
  t.is(
    chainOf(text, 'gate_x0')[0],
    'ip daddr { 192.0.2.100, 192.0.2.101, 198.51.100.1 } fib daddr type local goto check',
  );
  t.deepEqual(chainOf(text, 'gate_c0')[0], 'ip daddr { 192.0.2.100, 192.0.2.101 } goto check', 'its own at any time');
});

test('a grant opens the gate for as many sixteenths of the lease as it names, and the tick that the kernel takes off', t => {
  const grants = chainOf(packetLeaseRules(PLAN), 'renew').filter(rule => rule.includes('0x02544e4402'));
  t.is(grants.length, 16);
  t.is(grants[0], '@ll,0,48 0x02544e440201 update @lease { meta mark & 0x0 timeout 17ms } accept');
  t.is(grants[15], '@ll,0,48 0x02544e440210 update @lease { meta mark & 0x0 timeout 224ms } accept');
});

test('no grant counts without a fresh ask, whose life is short even beside the shortest lease', t => {
  const rules = chainOf(packetLeaseRules({ ...PLAN, leaseMs: 22 }), 'renew');
  const position = (part: string) => rules.findIndex(rule => rule.includes(part));
  t.regex(rules[position('0x02544e440100')] ?? '', /update @asked \{ meta mark timeout 8ms \} drop/);
  const barrier = position('!= @asked drop');
  t.true(barrier > position('0x02544e440400'), 'closing needs no ask');
  t.true(barrier > 0 && barrier < position('0x02544e440201'));
  t.true(barrier < position('0x02544e440300'), 'nor does alone go past it');
});

test('the sets are never flushed, so that rules put in again keep a lease that runs', t => {
  const text = packetLeaseRules({ ...PLAN, chains: ['check', 'renew', 'gate_c0', 'gate_old', 'mine'] });
  t.notRegex(text, /flush set|delete set|delete table/);
  t.regex(text, /flush chain netdev tandem_gate gate_old\ndelete chain netdev tandem_gate gate_old\n/);
  t.notRegex(text, /mine/);
});

test('an interface that is not there has no chain; one with odd characters has a name that nft takes', t => {
  t.notRegex(packetLeaseRules({ ...PLAN, present: ['c0'] }), /gate_s0|"s0"/);
  const odd = packetLeaseRules({ ...PLAN, addresses: on('br-lan.7', '192.0.2.100'), present: ['br-lan.7'] });
  t.regex(odd, /add chain netdev tandem_gate gate_br_2d_lan_2e_7 \{ type filter hook ingress device "br-lan\.7" /);
  t.throws(() => packetLeaseRules({ ...PLAN, addresses: on('a"b', '192.0.2.100') }), { message: /rename it/ });
});

test('the trial has a table and frames of its own', t => {
  t.notRegex(trialRules(), /tandem_gate[^_]/);
  t.notRegex(trialRules(), /0x02544e44/);
  t.is(packetLeaseRemoval(GATE_TABLE), 'add table netdev tandem_gate\ndelete table netdev tandem_gate\n');
});

test("nft's listing is read for its chains and compared without the sets' elements", t => {
  const listing = `table netdev tandem_gate {
	set lease {
		type mark
		elements = { 0x00000000 timeout 220ms expires 212ms }
	}

	chain check {
	}

	chain gate_c0 {
	}
}
`;
  t.deepEqual(chainsIn(listing), ['check', 'gate_c0']);
  t.notRegex(withoutElements(listing), /expires/);
  t.regex(withoutElements(listing), /type mark\n\t\}/);
});
