// What the soak concludes from answers, address events and logs.
import test from 'ava';
import {
  epochProblems,
  eventProblems,
  heldSpans,
  type LogLine,
  longest,
  longestGap,
  movesOf,
  overlapsOf,
  parseAnswer,
  parseStall,
  spansOf,
  termsOf,
} from './evidence.ts';

test('lines of vip-watch are read; anything else is none', t => {
  t.deepEqual(parseAnswer('1764022222123456 two 02:00:5e:00:02:00'), {
    at: 1_764_022_222_123.456,
    kind: 'two',
    mac: '02:00:5e:00:02:00',
  });
  t.deepEqual(parseStall('1764022222123456 stall 260'), { at: 1_764_022_222_123.456, ms: 260 });
  for (const line of ['', 'x', '1764022222123456 three 02:00:5e:00:02:00', '1764022222123456 one 02:00', '12 one a'])
    t.is(parseAnswer(line), undefined, line);
  t.is(parseStall('1764022222123456 stall many'), undefined);
});

test('answers of a router make one term of service until they stop for longer than the spacing', t => {
  t.deepEqual(spansOf([0, 10, 20, 60, 70], 35), [
    { from: 0, to: 20 },
    { from: 60, to: 70 },
  ]);
  t.deepEqual(spansOf([], 35), []);
});

test('both served when their terms lie over each other, be it for a moment; one after the other is no overlap', t => {
  t.deepEqual(overlapsOf([{ from: 0, to: 30 }], [{ from: 20, to: 50 }]), [{ from: 20, to: 30 }]);
  t.deepEqual(overlapsOf([{ from: 0, to: 30 }], [{ from: 30, to: 50 }]), [{ from: 30, to: 30 }]);
  t.deepEqual(overlapsOf([{ from: 0, to: 30 }], [{ from: 30.001, to: 50 }]), []);
  t.is(
    longest(
      overlapsOf(
        [
          { from: 0, to: 9 },
          { from: 20, to: 90 },
        ],
        [{ from: 5, to: 60 }],
      ),
    ),
    40,
  );
});

test('the longest gap counts from the begin and to the end of what was watched', t => {
  const window = { from: 100, to: 200 };
  t.is(longestGap([50, 110, 120, 190, 250], window), 70);
  t.is(longestGap([140], window), 60);
  t.is(longestGap([110], window), 90);
  t.is(longestGap([], window), 100);
});

test('a kernel has an address from its event, or from before, until it is gone', t => {
  const window = { from: 0, to: 100 };
  const events = [
    { router: 'r1', at: 10, held: false },
    { router: 'r2', at: 20, held: true },
    { router: 'r1', at: 50, held: true },
    { router: 'r1', at: 60, held: false },
  ] as const;
  t.deepEqual(heldSpans(events, 'r1', true, window), [
    { from: 0, to: 10 },
    { from: 50, to: 60 },
  ]);
  t.deepEqual(heldSpans(events, 'r2', false, window), [{ from: 20, to: 100 }]);
});

const line = (router: 'r1' | 'r2', at: number, code: string, fields: Record<string, unknown> = {}): LogLine => ({
  ...{ router, at, code, fields },
  severity: code === 'ROLE_CHANGED' ? 'notice' : 'err',
});

test('epochs of terms must grow, over all faults', t => {
  const log = [
    line('r2', 20, 'ROLE_CHANGED', { to: 'active', epoch: '12.2' }),
    line('r1', 10, 'ROLE_CHANGED', { to: 'active', epoch: '11.1' }),
    line('r1', 30, 'ROLE_CHANGED', { to: 'standby', epoch: '12.2' }),
  ];
  const terms = termsOf(log, [
    { router: 'r2', at: 20, to: 'active', epoch: '12.2' },
    { router: 'r1', at: 40, to: 'active', epoch: '13.1' },
    { router: 'r1', at: 50, to: 'standby', epoch: '14.2' },
  ]);
  t.deepEqual(
    terms.map(({ router, epoch }) => [router, epoch]),
    [
      ['r1', '11.1'],
      ['r2', '12.2'],
      ['r1', '13.1'],
    ],
    'from log and decisions, each once',
  );
  t.deepEqual(epochProblems(terms, 0), []);
  t.regex(epochProblems(terms, terms[0]?.order ?? 0)[0] ?? '', /r1 became active under epoch 11\.1/);
  const same = termsOf(
    [],
    [
      { router: 'r1', at: 1, to: 'active', epoch: '20.1' },
      { router: 'r2', at: 2, to: 'active', epoch: '20.2' },
    ],
  );
  t.deepEqual(epochProblems(same, 0), [], 'of equal counters the higher node is above');
});

test('the role has moved when the other kernel gets the VIP; a repair in place is no move', t => {
  const events = [
    { router: 'r1', at: 1, held: false },
    { router: 'r1', at: 2, held: true },
    { router: 'r2', at: 3, held: true },
    { router: 'r1', at: 4, held: false },
    { router: 'r1', at: 5, held: true },
  ] as const;
  t.is(movesOf(events, 'r1'), 2);
  t.is(movesOf(events, 'r2'), 3);
  t.is(movesOf([], 'r1'), 0);
});

test('a lifetime that the giver renews in the middle of a handover is no move', t => {
  const events = [
    { router: 'r2', at: 1, held: true },
    { router: 'r1', at: 2, held: true },
    { router: 'r1', at: 7, held: false },
    { router: 'r2', at: 500, held: true },
  ] as const;
  t.is(movesOf(events, 'r1'), 1);
});

test('alarms that a fault does not explain are named with their number, notices are not', t => {
  const log = [
    line('r1', 1, 'LEASE_EXPIRED'),
    line('r1', 2, 'LEASE_EXPIRED'),
    line('r2', 3, 'VIP_REPAIRED'),
    line('r2', 4, 'ROLE_CHANGED'),
  ];
  t.deepEqual(eventProblems(log, new Set(['VIP_REPAIRED'])), ['r1 told LEASE_EXPIRED {} (2 times)']);
});
