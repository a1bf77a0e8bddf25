// A journal as pulse makes it, recorded in the simulator. Pure.
import { Journal, journalLines } from '../../src/pulse/journal.ts';
import { CalmPair } from './calm-pair.ts';

/** Of a standby that takes over after its peer's power was cut: lines, each with its end. */
export function takeoverJournal(tandem = '0.4.0', calmMs = 1_000): string[] {
  const pair = new CalmPair();
  const journal = new Journal();
  pair.run(5_000);
  pair.r2.router.stepped = (before, event, { effects }, at) => journal.note(before, event, effects, at);
  pair.run(calmMs);
  pair.powerOff(pair.r1);
  pair.run(2_000);
  const recording = journal.recording();
  if (!recording) throw new Error('nothing was recorded');
  return [...journalLines(recording, { tandem, node: 'r2', wallMs: Date.UTC(2026, 10, 22), monotonicMs: pair.now })];
}
