// What scripts/bench nanny makes of its options and of what the servers saw.
import test from 'ava';
import { parseConfig } from '../../src/config/document.ts';
import {
  benchConfig,
  gapsOf,
  INTERVAL_MS,
  latenessOf,
  nextToTry,
  parseOptions,
  type Searched,
  serverAddress,
  vipOf,
} from './nanny-plan.ts';
import { type Measured, tableOf } from './nanny-table.ts';

test('options have bounds, and say so', t => {
  t.like(parseOptions([]), { servers: 1_000, seconds: 60, tls: ['none', 'explicit'], search: false, alone: false });
  t.deepEqual(parseOptions(['--tls', 'explicit']).tls, ['explicit']);
  t.throws(() => parseOptions(['--servers', '9']), { message: /--servers 9: write a number from 10 to/ });
  t.throws(() => parseOptions(['--tls', 'some']), { message: /--tls some: write none, explicit or both/ });
});

test('a thousand servers are a config without mistakes, each at an address of its own behind the VIP of its service', t => {
  const files = { key: '/k', password: '/p' };
  const parsed = parseConfig(benchConfig(1_000, files, { tls: 'explicit', sync: true }));
  if (!parsed.ok) return t.fail(JSON.stringify(parsed.mistakes.slice(0, 3)));
  const services = Object.values(parsed.config.services);
  const addresses = services.flatMap(({ servers }) => Object.values(servers).map(({ address }) => `${address}`));
  t.is(new Set(addresses).size, 1_000);
  t.is(addresses.at(-1), serverAddress(999));
  for (const { vip, servers } of services)
    t.true(Object.values(servers).every(({ address }) => vipOf(address) === `${vip}`));
  t.true(
    services.every(one => one.kind === 'ftp' && one.check.interval === INTERVAL_MS && one.check.tls === 'explicit'),
  );
});

test('a check is late by what it comes later than an interval after the last one; one that does not come is late, too', t => {
  const [one, two, three] = [0, 1, 2].map(serverAddress) as [string, string, string];
  const arrivals = { [one]: [500, 2_500, 4_600], [two]: [1_000, 3_000], [three]: [400] };
  t.deepEqual(latenessOf({ arrivals }, 3, 2_000, 6_000), {
    checks: 5,
    p50: 100,
    p99: 3_600,
    max: 3_600,
    unseen: 1,
  });
});

test('a heartbeat is late after one and a half intervals of silence', t => {
  t.deepEqual(gapsOf([0, 100, 200, 351, 451]), { beats: 5, late: 1, longestMs: 151 });
  t.deepEqual(gapsOf([]), { beats: 0, late: 0, longestMs: 0 });
});

test('the search ends close below the most that are in time', t => {
  for (const most of [40, 333, 1_000, 4_900]) {
    let known: Searched = { good: 0, bad: 1_000 };
    if (most >= 1_000) known = { good: 1_000, bad: undefined };
    let tried = 0;
    for (let next = nextToTry(known); next !== undefined; next = nextToTry(known)) {
      known = next <= most ? { ...known, good: next } : { ...known, bad: next };
      tried += 1;
    }
    t.true(known.good <= most && known.good >= most * 0.93 - 25, `${most}: ${known.good}`);
    t.true(tried < 10, `${most}: ${tried} tries`);
  }
});

test('the table says what was late, and who did not come up', t => {
  const pulse = { beats: 600, late: 1, longestMs: 160, lateLoops: 0, isCalm: true };
  const lateness = { checks: 30_000, p50: 1.25, p99: 53, max: 86, unseen: 0 };
  const measured: Measured = {
    ...{
      servers: 1_000,
      tls: 'none' as const,
      up: 990,
      allUpMs: undefined,
      lateness,
      cpu: { own: 0.71, children: 0.01 },
    },
    ...{ mib: { rss: 178, most: 190 }, socketsMost: 135, pulse, complete: 1, broken: 0, late: 0, load: 1.25 },
  };
  const [, , row, , alone] = tableOf([measured], { ...pulse, late: 0 }).split('\n');
  t.is(row, '| 1000 | none | only 990 | 30000 | 1.3 | 53 | 86 | 71 % | 1 % | 178 | 135 | 1 of 600 | 160 | 1.3 |');
  t.regex(alone ?? '', /^without a director: 0 of 600 heartbeats late/);
});
