// What becomes of a config that was read again: what pulse takes of it, and what waits for a
// restart. Pure.
import { differingParts } from '../config/digest.ts';
import { sameTimes, timesOf } from './election/beliefs/changing-times.ts';
import type { Reloadable } from './election/machine.ts';

/** What the reader process says of the file. */
export type ConfigReading =
  | {
      readonly ok: true;
      readonly next: Reloadable;
      /** See configDigest and pulseDigest. */
      readonly digest: string;
      readonly pulseDigest: string;
      /** See restartParts. */
      readonly parts: Readonly<Record<string, string>>;
      readonly warnings: number;
    }
  | { readonly ok: false; readonly mistakes: number; readonly first: string };

/** What it says of the key file: each key in hex, the one that signs first. */
export type KeysReading =
  | { readonly ok: true; readonly keys: readonly string[] }
  | { readonly ok: false; readonly problem: string };

/** `config` is null when only the keys were asked for. */
export interface FilesReading {
  readonly config: ConfigReading | null;
  readonly keys: KeysReading;
}

/** What pulse runs with. */
export interface InUse {
  readonly taken: Reloadable;
  /** Of the config that it was started with. */
  readonly parts: Readonly<Record<string, string>>;
}

/**
 * The times were checked against the lease of the witness in the same file: with another one than
 * this process has, they wait along with it.
 */
export function divide(
  { taken, parts }: InUse,
  reading: ConfigReading & { ok: true },
): { next: Reloadable; waiting: string[] } {
  const waiting = differingParts(parts, reading.parts);
  // Units are numbers of addresses: with others than this process has they mean nothing here.
  const units = waiting.some(part => part.startsWith('lans.')) ? taken.units : reading.next.units;
  const next = { ...reading.next, units };
  const stays = { ...timesOf(taken), priority: next.priority };
  if (!waiting.includes('witness') || sameTimes(stays, timesOf(next))) return { next, waiting };
  return { next: { ...next, ...stays }, waiting: [...waiting, 'the times of heartbeat'] };
}
