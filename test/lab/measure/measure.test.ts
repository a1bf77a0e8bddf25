// What the lab's measurements mean: stalls of a transfer, and the result and timeline of a failover.
import test from 'ava';
import type { Decision } from '../../../src/feed/message.ts';
import type { TransferResult } from '../ftp/ftp-client.ts';
import { advance, NO_PROGRESS, withoutStalls } from '../ftp/progress.ts';
import { demoResult, type Measured, timeline } from './failover-report.ts';

test('the stall is the longest time between two arrivals, and waiting for the first byte is none', t => {
  const seen: [number, number][] = [
    [5_000, 0],
    [9_000, 10],
    [9_100, 20],
    [9_150, 20],
    [10_600, 30],
    [10_700, 40],
  ];
  const progress = seen.reduce((before, [at, bytes]) => advance(before, at, bytes), NO_PROGRESS);
  t.deepEqual(progress, { bytes: 40, firstAt: 9_000, lastAt: 10_700, stallMs: 1_500, stallAt: 9_100 });
});

test('stalls before a moment can be forgotten, the one that goes on at that moment counts whole', t => {
  const before = [
    [0, 10],
    [5_000, 20],
    [5_100, 30],
  ].reduce((progress, [at, bytes]) => advance(progress, at as number, bytes as number), NO_PROGRESS);
  const { stallMs, stallAt } = advance(withoutStalls(before), 6_000, 40);
  t.deepEqual([stallMs, stallAt], [900, 5_100]);
});

const CUT_AT = Date.parse('2026-01-01T00:00:10.000Z');

function decision(at: string, from: Decision['from'], to: Decision['to']): Decision {
  return {
    at: `2026-01-01T00:00:${at}Z`,
    from,
    to,
    epoch: '7.2',
    reason: 'silence',
    evidence: { peerHeardMsAgo: 702 },
  };
}
function transfer(stallMs: number, more: Partial<TransferResult> = {}): TransferResult {
  const stallAt = CUT_AT + 10;
  const good = { kind: 'download', mode: 'passive', bytes: 100, sha256Ok: true, server: 'fs1' } as const;
  return { ...good, stallMs, stallAt, ...more };
}
const MEASURED: Measured = {
  cutAt: CUT_AT,
  lost: 'r1',
  taker: 'r2',
  decisions: [
    decision('01.000', 'starting', 'standby'),
    decision('10.650', 'standby', 'claiming'),
    decision('10.690', 'claiming', 'active'),
  ],
  transfers: [transfer(700), transfer(1_480)],
  // Data of before the cut still arrives at +4; through the other router at +710 and +1490.
  arrivals: [
    [CUT_AT - 10, CUT_AT + 4, CUT_AT + 710, CUT_AT + 720],
    [CUT_AT + 2, CUT_AT + 1_490],
  ],
};

test('a failover is told as time to the decision, time to the claim and the longest stall', t => {
  t.deepEqual(demoResult(MEASURED), {
    failover: { detectMs: 650, claimMs: 40, clientStallMs: 1_480 },
    transfers: [
      { kind: 'download', mode: 'passive', bytes: 100, sha256Ok: true, stallMs: 700 },
      { kind: 'download', mode: 'passive', bytes: 100, sha256Ok: true, stallMs: 1_480 },
    ],
    ok: true,
  });
});

test('a failover is not ok when a checksum is wrong, a client gave up, nobody took over, or nothing was transferred', t => {
  t.false(demoResult({ ...MEASURED, transfers: [transfer(700), transfer(1, { sha256Ok: false })] }).ok);
  t.false(demoResult({ ...MEASURED, transfers: [transfer(700, { error: 'curl ended with 56' })] }).ok);
  t.false(demoResult({ ...MEASURED, transfers: [] }).ok);
  const nobody = demoResult({ ...MEASURED, decisions: MEASURED.decisions.slice(0, 1) });
  t.false(nobody.ok);
  t.is(nobody.failover.detectMs, null);
  t.is(nobody.failover.claimMs, null);
});

test('decisions from before the cut are not the takeover', t => {
  const earlier = [decision('02.000', 'standby', 'claiming'), decision('02.040', 'claiming', 'active')];
  t.is(demoResult({ ...MEASURED, decisions: earlier }).failover.detectMs, null);
});

test('the first bytes through the new router are those after its claim, however long a transfer stalled before the cut', t => {
  const stalledBefore = transfer(5_000, { stallAt: CUT_AT - 9_000 });
  t.regex(
    timeline({ ...MEASURED, transfers: [stalledBefore] }).join('\n'),
    / \+710 {2}first bytes through the new router/,
  );
  t.regex(timeline({ ...MEASURED, arrivals: [[CUT_AT - 5]] }).join('\n'), /never {2}first bytes/);
});

test('the timeline counts from the cut, from the last heartbeat to the first bytes', t => {
  const offsets = timeline(MEASURED)
    .slice(1, 6)
    .map(line => line.trim().split(/\s+/)[0]);
  t.deepEqual(offsets, ['-52', '+0', '+650', '+690', '+710']);
});
