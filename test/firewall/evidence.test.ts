import test from 'ava';
import {
  type Counts,
  type Evidence,
  evidenceCounterName,
  NO_EVIDENCE,
  parseCounters,
  type Way,
  weigh,
} from '../../src/firewall/evidence.ts';

/** Counters of a way: early, late. */
function counts(early: number, late: number, way: Way = 'from-clients'): Counts {
  return new Map([
    [evidenceCounterName(way, 'early', 'ftp'), early],
    [evidenceCounterName(way, 'late', 'ftp'), late],
  ]);
}

function after(...looks: readonly (readonly [early: number, late: number])[]): Evidence {
  return looks.reduce((evidence, look) => weigh(evidence, counts(...look), ['ftp']), NO_EVIDENCE);
}

const LOSS = [{ service: 'ftp', way: 'from-clients' }];

for (const { title, looks, losses } of [
  { title: 'nothing that came is no evidence', looks: [[0, 0]], losses: [] },
  { title: 'two lost may be chance', looks: [[2, 0]], losses: [] },
  {
    title: 'three lost and none through is a finding',
    looks: [
      [1, 0],
      [3, 0],
    ],
    losses: LOSS,
  },
  {
    title: 'one that comes through ends it',
    looks: [
      [3, 0],
      [9, 1],
    ],
    losses: [],
  },
  {
    title: 'some lost beside others that come through is their business',
    looks: [
      [100, 40],
      [200, 41],
    ],
    losses: [],
  },
  {
    title: 'where some came through before, four lost may be one client that is shut out',
    looks: [
      [5, 5],
      [9, 5],
    ],
    losses: [],
  },
  {
    title: 'but five are a finding',
    looks: [
      [5, 5],
      [10, 5],
    ],
    losses: LOSS,
  },
  {
    title: 'rules put in anew count from zero and forget nothing',
    looks: [
      [2, 0],
      [0, 0],
      [1, 0],
    ],
    losses: LOSS,
  },
  {
    title: 'nor do they make up what was not lost',
    looks: [
      [50, 50],
      [1, 1],
      [2, 2],
    ],
    losses: [],
  },
] as const) {
  test(title, t => {
    t.deepEqual(after(...looks).losses, [...losses]);
  });
}

test('logins that come through do not hide passive data that do not', t => {
  let evidence = NO_EVIDENCE;
  for (let sessions = 1; sessions <= 3; sessions += 1) {
    const both = [...counts(sessions, sessions), ...counts(sessions, 0, 'data-from-clients')];
    evidence = weigh(evidence, new Map(both), ['ftp']);
  }
  t.deepEqual(evidence.losses, [{ service: 'ftp', way: 'data-from-clients' }]);
});

test('services that are gone are forgotten', t => {
  t.deepEqual(weigh(after([9, 0]), counts(9, 0), []), { trails: new Map(), losses: [] });
});

test("nft's list of counters is read, and what is something else is refused", t => {
  const text =
    '{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"counter": {"family": "inet", "name": "a", "table": "tandem", "handle": 2, "packets": 4, "bytes": 336}}]}';
  t.deepEqual([...parseCounters(text)], [['a', 4]]);
  t.throws(() => parseCounters('{}'), { message: /no list/ });
});
