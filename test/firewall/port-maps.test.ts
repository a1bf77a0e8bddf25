import test from 'ava';
import { places, portMap, portSet } from '../../src/firewall/port-maps.ts';

const range = (first: number, last = first) => ({ first, last });

test('of two entries for one port the first stays, at another address it is another port', t => {
  const entries = [
    ...places('192.0.2.1', [range(21), range(100, 200)]).map(place => ({ ...place, value: 'a' })),
    ...places('192.0.2.1', [range(21), range(150, 300), range(400)]).map(place => ({ ...place, value: 'b' })),
    ...places('192.0.2.2', [range(21)]).map(place => ({ ...place, value: 'b' })),
  ];
  t.is(portMap(entries), '{ 192.0.2.1 . 21 : a, 192.0.2.1 . 100-200 : a, 192.0.2.1 . 400 : b, 192.0.2.2 . 21 : b }');
});

test('what overlaps in a set becomes one, so that nft takes it', t => {
  const all = [
    ...places('192.0.2.1', [range(20), range(150, 300), range(20)]),
    ...places('192.0.2.1', [range(100, 200)]),
  ];
  t.is(portSet(all), '{ 192.0.2.1 . 20, 192.0.2.1 . 100-300 }');
  t.is(portSet(places('192.0.2.1', [range(1, 10), range(3, 4)])), '{ 192.0.2.1 . 1-10 }');
});
