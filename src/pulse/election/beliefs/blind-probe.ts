// Whether the probe sees a peer that serves, as calm weather has shown (voices/calm-probe.ts).
// Pure.
import type { Machine } from '../machine.ts';

/** A single lost packet makes nobody blind. */
export const MISSES = 3;

/** The probe has been seen not to see this address. */
export function isBlind({ proof }: Machine, address: number): boolean {
  return (proof.misses[address] ?? 0) >= MISSES;
}

/**
 * An echo of the peer's kernel has been seen in calm weather: it is no filter that makes it silent.
 * The word of a vipd does not tell that, and ends with vipd.
 */
export function seesKernel({ proof: { echoes, echoesBefore } }: Machine): boolean {
  return echoes.length + echoesBefore.length > 0;
}
