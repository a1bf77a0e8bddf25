// The witness' rules: one record of who owns the pair's addresses, in which epoch and until when,
// and what each verb does to it. The script in Redis (script.ts) does exactly this; the simulator
// runs it as it is. Pure; source: R5, R6, R13 (docs/invariants.md).
import type { At } from '../units/duration.ts';
import { compareEpochs, type Epoch } from '../units/epoch.ts';

/**
 * look: changes nothing. renew: said by the owner; a witness that has forgotten learns from it.
 * claim: wants to become owner. found: claim by a router that has waited out one lease of a witness
 * that had forgotten. release: the owner lets go.
 */
export const WITNESS_VERBS = ['look', 'renew', 'claim', 'found', 'release'] as const;
export type WitnessVerb = (typeof WITNESS_VERBS)[number];

/**
 * seen: here is the record (after look and release). granted: the record is ours, for one lease.
 * refused: the other's lease runs. stale: our epoch is older than the record's. empty: nothing is
 * known, or only what an earlier run of Redis left, which may be old: a claim is not granted, an
 * owner's renewal is. failed: no word of the witness; `problem` says why and what to do.
 */
export const WITNESS_VERDICTS = ['seen', 'granted', 'refused', 'stale', 'empty', 'failed'] as const;
type WitnessVerdict = (typeof WITNESS_VERDICTS)[number];

export interface WitnessAsk {
  /** The asker's own counter, echoed. */
  readonly seq: number;
  readonly verb: WitnessVerb;
  /** The epoch held (renew, release) or wanted (claim, found); look does not read it. */
  readonly epoch: Epoch;
  /** When it was asked: a lease that is granted counts from here. */
  readonly at: At;
}

export interface WitnessRecord {
  readonly nodeId: number;
  /** The fencing token: it never goes back. */
  readonly epoch: Epoch;
  /** What is left of the owner's lease; 0: over, or released. */
  readonly remainingMs: number;
}

export interface WitnessAnswer {
  readonly seq: number;
  readonly verdict: WitnessVerdict;
  /**
   * The record as it is now. With `empty`: what an earlier run left, if anything; with `failed`:
   * undefined.
   */
  readonly record: WitnessRecord | undefined;
  /** With `failed`: what is wrong and what to do, a sentence; else ''. */
  readonly problem: string;
}

/**
 * The record as Redis keeps it. It has no time to live, so that "over" is told from "forgotten".
 */
export interface StoredRecord {
  readonly nodeId: number;
  readonly epoch: Epoch;
  /** Clock of the Redis server, ms since 1970. 0: released. */
  readonly untilMs: number;
  /**
   * When the lease began to count, same clock: a later look at an earlier hour shows that the clock
   * was put back.
   */
  readonly sinceMs: number;
  readonly leaseMs: number;
  /**
   * Which run of Redis wrote it: another one may have come back with an old copy, or is another
   * server after a failover.
   */
  readonly runId: string;
}

export interface Asked {
  readonly verb: WitnessVerb;
  readonly nodeId: number;
  readonly epoch: Epoch;
  readonly leaseMs: number;
}

/** The server's clock and the id of its run (INFO server, run_id: new at every start). */
export interface WitnessServer {
  readonly nowMs: number;
  readonly runId: string;
}

export interface Judged {
  readonly verdict: Exclude<WitnessVerdict, 'failed'>;
  readonly stored: StoredRecord | undefined;
}

/** What `asked` does to the record, and what is answered. */
export function judge(known: StoredRecord | undefined, asked: Asked, server: WitnessServer): Judged {
  const stored = known && recounted(known, server);
  const remembers = stored !== undefined && stored.runId === server.runId;
  switch (asked.verb) {
    case 'look':
      return { verdict: remembers ? 'seen' : 'empty', stored };
    case 'release':
      return { verdict: remembers ? 'seen' : 'empty', stored: stored && released(stored, asked) };
    case 'renew':
      return stored && isStale(stored, asked) ? { verdict: 'stale', stored } : granted(asked, server);
    case 'claim':
      return remembers ? claimed(stored, asked, server) : { verdict: 'empty', stored };
    case 'found':
      return stored ? claimed(stored, asked, server) : granted(asked, server);
  }
}

/**
 * A clock that was put back would stretch a lease by hours: it counts anew, in full, from the
 * moment that shows.
 */
function recounted(stored: StoredRecord, { nowMs }: WitnessServer): StoredRecord {
  if (nowMs >= stored.sinceMs) return stored;
  const untilMs = stored.untilMs === 0 ? 0 : nowMs + stored.leaseMs;
  return { ...stored, sinceMs: nowMs, untilMs };
}

function claimed(stored: StoredRecord, asked: Asked, server: WitnessServer): Judged {
  if (stored.nodeId !== asked.nodeId && stored.untilMs > server.nowMs) return { verdict: 'refused', stored };
  return isStale(stored, asked) ? { verdict: 'stale', stored } : granted(asked, server);
}

/** The same epoch is the owner's alone: it may ask again when an answer was lost. */
function isStale(stored: StoredRecord, { nodeId, epoch }: Asked): boolean {
  const order = compareEpochs(epoch, stored.epoch);
  return order < 0 || (order === 0 && stored.nodeId !== nodeId);
}

function granted({ nodeId, epoch, leaseMs }: Asked, { nowMs, runId }: WitnessServer): Judged {
  const stored: StoredRecord = { nodeId, epoch, untilMs: nowMs + leaseMs, sinceMs: nowMs, leaseMs, runId };
  return { verdict: 'granted', stored };
}

/** Only the owner's own term: a release that was long on its way must not end a newer one. */
function released(stored: StoredRecord, { nodeId, epoch }: Asked): StoredRecord {
  if (stored.nodeId !== nodeId || compareEpochs(epoch, stored.epoch) < 0) return stored;
  return { ...stored, untilMs: 0 };
}

/** The record as an answer shows it. */
export function recordOf(stored: StoredRecord, { nowMs }: WitnessServer): WitnessRecord {
  return { nodeId: stored.nodeId, epoch: stored.epoch, remainingMs: Math.max(0, stored.untilMs - nowMs) };
}
