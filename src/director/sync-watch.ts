// What is wrong with the sync, as sentences for the status report. Some of it is wrong only when it
// lasts, so a watch is kept from one look to the next. No sentence holds a number that moves: each
// new sentence is news to those who follow /events. Pure.
import type { Snapshot } from '../feed/message.ts';
import { SYNC_COUNTERS, SYNC_LOSSES } from '../log/counters.ts';
import type { SyncStatus } from '../status/sync-status.ts';
import { type At, between } from '../units/duration.ts';

/**
 * A standby that starts is cold for a moment, and a director that restarts has no link: no problem
 * before this.
 */
const PATIENCE_MS = 10_000;
/** More than this behind, a failover loses what a client has just begun. */
const LAG_MS_MAX = 1_000;
/** A loss is told for this long. */
const LOSS_TOLD_MS = 60_000;

export interface SyncWatch {
  /** Since when each lasts; undefined: it does not. */
  readonly coldSince: At | undefined;
  readonly peerColdSince: At | undefined;
  readonly unlinkedSince: At | undefined;
  /** Newest value of each counter of losses, and when it last grew. */
  readonly losses: Readonly<Partial<Record<string, { readonly count: number; readonly grewAt: At | undefined }>>>;
}

export const NOTHING_WATCHED: SyncWatch = {
  coldSince: undefined,
  peerColdSince: undefined,
  unlinkedSince: undefined,
  losses: {},
};

export interface SyncLook {
  readonly status: SyncStatus;
  readonly pulse: Snapshot | null;
  readonly now: At;
}

/** The watch after another look. */
export function watchSync(before: SyncWatch, look: SyncLook): SyncWatch {
  const { status, now } = look;
  const since = (lasts: boolean, from: At | undefined) => (lasts ? (from ?? now) : undefined);
  return {
    coldSince: since(isCold(look), before.coldSince),
    peerColdSince: since(isPeerCold(look), before.peerColdSince),
    unlinkedSince: since(isUnlinked(look), before.unlinkedSince),
    losses: Object.fromEntries(
      SYNC_LOSSES.flatMap(name => {
        const count = status.counters[name];
        if (count === undefined) return [];
        const known = before.losses[name];
        // The first look at a new director counts from zero: what was lost before it, was lost
        // since its start.
        return [[name, { count, grewAt: count > (known?.count ?? 0) ? now : known?.grewAt }]];
      }),
    ),
  };
}

/** Each a sentence that says what to do where that is not plain. */
export function syncProblems(watch: SyncWatch, { status, pulse, now }: SyncLook): readonly string[] {
  if (status.phase === 'off') return [...status.problems];
  const lasts = (since: At | undefined) => since !== undefined && between(since, now) >= PATIENCE_MS;
  const [here, peer] = [pulse?.node ?? 'this router', pulse?.peerNode ?? 'the peer'];
  const problems = [...status.problems];
  if (lasts(watch.unlinkedSince)) {
    problems.push(
      `sync: no link to the director of ${peer}, although its pulse is heard; does tandem-director run there, is TCP to the sync port let through?`,
    );
  }
  if (lasts(watch.coldSince)) problems.push(`sync: ${cold(here)}`);
  if (lasts(watch.peerColdSince)) problems.push(`sync: ${cold(peer)}`);
  if (status.phase === 'streaming' && status.lagMs > LAG_MS_MAX) {
    problems.push(`sync: ${peer} and ${here} are more than ${LAG_MS_MAX / 1_000} s apart; see: tandem sync`);
  }
  if (status.store.problem !== '') problems.push(`sync store (${status.store.type}): ${status.store.problem}`);
  for (const name of SYNC_LOSSES) {
    const grewAt = watch.losses[name]?.grewAt;
    if (grewAt !== undefined && between(grewAt, now) < LOSS_TOLD_MS) {
      problems.push(`sync: in the last minute ${name} has grown (${SYNC_COUNTERS[name]})`);
    }
  }
  return problems;
}

function cold(router: string): string {
  return `${router} is cold: a failover to it now breaks running transfers and sessions; see: tandem sync`;
}

/** A standby without the owner's sessions. While nobody owns the VIPs there are none. */
function isCold({ status }: SyncLook): boolean {
  return status.role === 'sink' && !status.warm;
}

/** As the owner sees it, by the peer's own word in its heartbeats. */
function isPeerCold({ status, pulse }: SyncLook): boolean {
  return status.role === 'source' && status.phase !== 'off' && isPeerHeard(pulse) && pulse?.peer?.warm === false;
}

function isUnlinked({ status, pulse }: SyncLook): boolean {
  return status.phase !== 'off' && isPeerHeard(pulse) && !status.links.some(link => link.connected);
}

function isPeerHeard(pulse: Snapshot | null): boolean {
  return pulse?.peer != null && !pulse.peer.silent;
}
