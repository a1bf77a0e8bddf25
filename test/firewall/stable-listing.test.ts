// What moves by itself is no change of the rules; all else is.
import test from 'ava';
import { stableListing } from '../../src/firewall/stable-listing.ts';

const listing = ({ handle = 4, packets = 0, elem = '[]', port = 21, nft = '1.0.6' } = {}) =>
  `{"nftables": [{"metainfo": {"version": "${nft}", "release_name": "x"}}, {"counter": {"family": "inet", "name": "c", "handle": ${handle}, "packets": ${packets}, "bytes": ${packets}}}, {"set": {"name": "known", "handle": ${handle}, "elem": ${elem}}}, {"rule": {"chain": "in", "handle": ${handle}, "expr": [{"match": {"right": {"set": [${port}]}}}, {"counter": {"packets": ${packets}, "bytes": 7}}, {"set": {"op": "add", "elem": "a", "set": "@known"}}]}}]}\n`;

test('counts, the numbers of rules and elements of named sets are no change', t => {
  const before = stableListing(listing());
  t.is(
    stableListing(
      listing({ packets: 5, handle: 9, elem: '["192.0.2.1", {"elem": {"val": "192.0.2.2", "expires": 3}}]' }),
    ),
    before,
  );
  const plain = (packets: number) => listing({ packets }).replaceAll('elem', 'other');
  t.is(stableListing(plain(1)), stableListing(plain(77)));
});

test('another version of nft is no change', t => {
  t.is(stableListing(listing({ nft: '1.1.3' })), stableListing(listing()));
  const plain = (nft: string) => listing({ nft }).replaceAll('elem', 'other');
  t.is(stableListing(plain('1.1.3')), stableListing(plain('1.0.6')));
});

test('another rule is a change', t => {
  t.not(stableListing(listing({ port: 22 })), stableListing(listing()));
});
