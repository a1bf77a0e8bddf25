// What is known of the probe itself: for which addresses it has been seen not to see a peer that serves. The rules are in proof.ts. Pure.
import type { At } from '../../../units/duration.ts';
import type { Machine } from '../machine.ts';

/** A single lost packet makes nobody blind. */
export const MISSES = 3;

export interface Proof {
  /** The calm round under way or the last one, by its probe's number; 0: none yet. */
  readonly id: number;
  readonly dueAt: At;
  /** Rounds in a row without an answer, for each address. */
  readonly misses: readonly number[];
  /** For which addresses an echo came since this calm round began, and in the one before. */
  readonly echoes: readonly number[];
  readonly echoesBefore: readonly number[];
}

export function unproven(addresses: number, now: At): Proof {
  return { id: 0, dueAt: now, misses: Array.from({ length: addresses }, () => 0), echoes: [], echoesBefore: [] };
}

/** The probe has been seen not to see this address. */
export function isBlind({ proof }: Machine, address: number): boolean {
  return (proof.misses[address] ?? 0) >= MISSES;
}

/**
 * An echo of the peer's kernel has been seen in calm weather: it is no filter that makes it silent. The word of a vipd does not tell that,
 * and ends with vipd.
 */
export function seesKernel({ proof: { echoes, echoesBefore } }: Machine): boolean {
  return echoes.length + echoesBefore.length > 0;
}
