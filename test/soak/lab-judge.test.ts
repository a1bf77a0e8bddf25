// What the soak's judge calls unavoidable, and what it never lets pass.
import test from 'ava';
import { judge, likeness, phasesOf, roleAt, type SoakLogs, YOUNG_MS } from './lab-judge.ts';
import { parseSoakLog, type SoakBlock, type SoakFailover, type SoakTransfer } from './lab-record.ts';

const AT = 10_000;
const line = (at: number, code: string, fields: object = {}) => ({ at, code, fields: { ...fields } });
const LOGS: SoakLogs = {
  r1: [line(1, 'PULSE_STARTED'), line(5, 'ROLE_CHANGED', { to: 'active' })],
  r2: [line(1, 'PULSE_STARTED'), line(6, 'ROLE_CHANGED', { to: 'standby' })],
};
const transfer = (kind: 'download' | 'upload', mode: 'passive' | 'active', more: object = {}): SoakTransfer => ({
  ...{ kind, mode, server: 'fs1', startedAt: 8_000, firstByteAt: 8_100, bytesBefore: 100, bytesInAll: 500 },
  ...{ resumedAt: AT + 200, stallMs: 220, whole: true },
  ...more,
});
const FOUR = [
  transfer('download', 'passive'),
  transfer('download', 'active'),
  transfer('upload', 'passive'),
  transfer('upload', 'active'),
];
const block = (more: Partial<SoakFailover> = {}): SoakBlock => ({
  seed: 7,
  virtualMs: 1,
  failovers: [
    {
      ...{ number: 0, fault: 'power', at: AT, lost: 'r1', taker: 'r2', decidedAt: AT + 21, claimedAt: AT + 22 },
      ...{ transfers: FOUR, sessions: [] },
      ...more,
    },
  ],
});
const withOne = (more: object) => block({ transfers: [transfer('download', 'passive', more), ...FOUR.slice(1)] });

test('a failover in which everything came through is right', t => {
  t.deepEqual(judge(block(), LOGS), { failovers: 1, whole: 4, unavoidable: [], wrong: [] });
});

test('a transfer that was lost is wrong, unless its data connection was younger than 50 ms at the fault', t => {
  const lost = { whole: false, error: 'curl ended with 56' };
  t.regex(
    judge(withOne({ ...lost, firstByteAt: AT - YOUNG_MS }), LOGS).wrong.join(),
    /seed 7, failover 0 .*curl ended with 56/,
  );
  const young = judge(withOne({ ...lost, firstByteAt: AT - YOUNG_MS + 1 }), LOGS);
  t.deepEqual(young.wrong, []);
  t.regex(young.unavoidable.join(), /49 ms old/);
});

test('a loss while the taker was down, too, by its own log, is unavoidable', t => {
  const down: SoakLogs = { ...LOGS, r2: [...LOGS.r2, line(AT - 100, 'PULSE_STARTED')] };
  const judgement = judge(withOne({ whole: false }), down);
  t.deepEqual(judgement.wrong, []);
  t.regex(judgement.unavoidable.join(), /r2 was down, too/);
  t.is(roleAt(down.r2, AT), 'starting');
  t.is(roleAt([], AT), 'off');
});

test('an idle session that had to log in again is wrong', t => {
  const sessions = [
    { who: 'passive session of 192.0.2.10', loggedInAt: 100, mistake: 'had to log in again (2 logins)' },
  ];
  t.regex(judge(block({ sessions }), LOGS).wrong.join(), /192\.0\.2\.10: had to log in again/);
});

test('a failover that nobody took, or that met too little, proves nothing and is wrong', t => {
  t.regex(judge(block({ claimedAt: null }), LOGS).wrong.join(), /r2 never held the VIP/);
  t.regex(judge(block({ transfers: FOUR.slice(0, 3) }), LOGS).wrong.join(), /met only 3 transfers/);
  const oneWay = [FOUR[0], FOUR[0], FOUR[1], FOUR[1]] as SoakTransfer[];
  t.regex(judge(block({ transfers: oneWay }), LOGS).wrong.join(), /not both modes and both ways/);
  t.regex(
    judge({ ...block(), error: 'the lab ended with 71' }, LOGS).wrong.join(),
    /ended early: the lab ended with 71/,
  );
});

test('the phases of a failover', t => {
  t.deepEqual(phasesOf(block().failovers[0] as SoakFailover), { noticedMs: 21, claimedMs: 1, flowsMs: 178 });
});

test('two runs are alike as far as their events have the same order and times', t => {
  const run = [line(10, 'A'), line(20, 'B'), line(30, 'C')];
  t.deepEqual(likeness(run, [line(110, 'A'), line(120.9, 'B'), line(130, 'C')]), {
    sameOrder: true,
    share: 1,
    events: 3,
  });
  t.deepEqual(likeness(run, [line(10, 'A'), line(22, 'B'), line(30, 'D')]), {
    sameOrder: false,
    share: 1 / 3,
    events: 3,
  });
  t.false(likeness(run, run.slice(0, 2)).sameOrder);
});

test('lines of a log that are no events are left out', t => {
  const text = '{"ts":"2026-01-01T00:00:00.000Z","code":"A","to":"x"}\nnot json\n{"code":"B"}\n';
  t.deepEqual(
    parseSoakLog(text).map(({ code, fields }) => [code, fields.to]),
    [['A', 'x']],
  );
});
