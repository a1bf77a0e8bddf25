// The config of scripts/bench scale, and its table.
import test from 'ava';
import { parseConfig } from '../../src/config/document.ts';
import { packetTable, servicesOf, tandemConfig } from './scale-plan.ts';

test('two hundred services are a config without mistakes, four of them on a VIP', t => {
  const size = { services: 200, servers: 10 };
  const parsed = parseConfig(tandemConfig(size, '/k', 3));
  if (!parsed.ok) return t.fail(JSON.stringify(parsed.mistakes.slice(0, 3)));
  const services = Object.values(parsed.config.services);
  t.is(services.length, 200);
  t.is(new Set(services.map(({ vip }) => vip)).size, 50);
  t.is(new Set(servicesOf(size).flatMap(({ servers }) => servers)).size, 500);
  t.deepEqual(
    services.flatMap(({ servers }) => Object.values(servers).map(({ weight }) => weight)).filter(weight => weight > 1),
    [3],
  );
});

test('a ratio is the median of figures of one round, not that of medians', t => {
  const ns = { none: [50, 50, 50], one: [100, 200, 400], many: [110, 260, 400] };
  const row = packetTable([{ name: 'SYN', ns }], 200)
    .split('\n')
    .at(-1);
  t.is(row, '| SYN | 50 | 200 | 260 | 1.10 |');
});
