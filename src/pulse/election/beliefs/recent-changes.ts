// Changes of late, of the role or of the peer's LANs: repeated ones wait longer each time. R10
// (docs/invariants.md). Pure.
import { type At, between, type Ms } from '../../../units/duration.ts';
import { CHANGES_WITHIN_MS, holdDown } from '../../timing.ts';

/** Changes of late that are remembered. */
const CHANGES_MAX = 16;

export function withChange(changes: readonly At[], now: At): readonly At[] {
  return [...changes.filter(at => between(at, now) <= CHANGES_WITHIN_MS), now].slice(-CHANGES_MAX);
}

export function holdDownMs(changes: readonly At[], baseMs: Ms, now: At): Ms {
  return holdDown(changes.filter(at => between(at, now) <= CHANGES_WITHIN_MS).length, baseMs);
}
