// The messages between pulse, director and CLI: what an older program on the other end leaves out.
import test from 'ava';
import { controlRequestSchema, snapshotSchema } from '../../src/feed/message.ts';
import { sampleSnapshot } from '../cli/samples.ts';

test('a report of a director of 0.3.0, which names no config, is read', t => {
  const report = { command: 'report', rulesIn: true, healthyServers: 2, totalServers: 2, flushMs: 0, warm: true };
  t.deepEqual(controlRequestSchema.parse(report), { ...report, failedChecks: null } as never);
});

test('a handover asked for by an older command line is one to a warm peer only', t => {
  t.deepEqual(controlRequestSchema.parse({ command: 'handover' }), { command: 'handover', cold: false });
});

test('a snapshot of 0.3.0 is read', t => {
  const { runningDigest, waiting, timesPending, units, bar, wrongName, peerAddressesHere, ...rest } = sampleSnapshot();
  const { vipdTrouble, vipCheck, blindProbes, ...older } = rest;
  t.like(snapshotSchema.parse(older), { warm: true, runningDigest: null, waiting: [], bar: null, blindProbes: [] });
});

test('a hold must end within ten years: later there is no wall time that a snapshot could name', t => {
  t.true(controlRequestSchema.safeParse({ command: 'hold', forMs: 3_600_000 }).success);
  for (const forMs of [1e17, 1e300, 0, -1]) t.false(controlRequestSchema.safeParse({ command: 'hold', forMs }).success);
});
