// The messages between pulse, director and CLI: what an older program on the other end leaves out.
import test from 'ava';
import { controlRequestSchema, snapshotSchema } from '../../src/feed/message.ts';
import { sampleSnapshot } from '../cli/samples.ts';

test('a director from before `warm` is taken at its word and counts as cold', t => {
  const report = { command: 'report', rulesIn: true, healthyServers: 2, totalServers: 2, flushMs: 0 };
  t.deepEqual(controlRequestSchema.parse(report), { ...report, warm: false } as never);
});

test('a handover asked for by an older command line is one to a warm peer only', t => {
  t.deepEqual(controlRequestSchema.parse({ command: 'handover' }), { command: 'handover', cold: false });
});

test('a snapshot from before `warm` is understood, and both routers count as cold', t => {
  const { warm, peer, ...older } = sampleSnapshot();
  t.true(warm && peer?.warm);
  const { warm: _, ...olderPeer } = peer as NonNullable<typeof peer>;
  t.like(snapshotSchema.parse({ ...older, peer: olderPeer }), { warm: false, peer: { warm: false, ready: true } });
});

test('a hold must end within ten years: later there is no wall time that a snapshot could name', t => {
  t.true(controlRequestSchema.safeParse({ command: 'hold', forMs: 3_600_000 }).success);
  for (const forMs of [1e17, 1e300, 0, -1]) t.false(controlRequestSchema.safeParse({ command: 'hold', forMs }).success);
});
