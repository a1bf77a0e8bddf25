import test from 'ava';
import { nftEventOf } from '../../src/firewall/nft-events.ts';

/** Lines as `nft monitor` of nft 1.0.6 prints them. */
for (const [line, event] of [
  ['delete table inet tandem', 'ours'],
  ['delete rule inet tandem marks handle 7', 'ours'],
  ['add chain inet tandem guard_in { type filter hook input priority 101; policy accept; }', 'ours'],
  ['delete table netdev tandem_gate', 'ours'],
  ['delete chain netdev tandem_gate gate_c0', 'ours'],
  ['insert rule inet tandem guard_in accept', 'ours'],
  ['add element netdev tandem_gate lease { 0x00000000 }', 'other'],
  ['delete table inet tandem_gate_trial', 'other'],
  ['delete table inet tandem2', 'other'],
  ['delete table ip tandem', 'other'],
  ['add rule ip filter DOCKER-USER counter accept comment "inet tandem"', 'other'],
  ['# new generation 5 by process 7728 (nft)', 'other'],
  ['# ERROR: We lost some netlink events!', 'lost'],
] as const) {
  test(`"${line}" is ${event}`, t => {
    t.is(nftEventOf(line), event);
  });
}
