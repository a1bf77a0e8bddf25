// How well this router could serve: its LANs, its servers, its own checks by script, its tables.
// Fitness ranks, it does not veto. R10 (docs/invariants.md). Pure.
import { ALL_LANS } from '../../../feed/fitness-number.ts';
import { type At, between } from '../../../units/duration.ts';
import { REPORT_STALE_MS } from '../../timing.ts';
import type { Machine } from '../machine.ts';
import { lansAlive } from './lan-health.ts';

/**
 * 2 for all LANs with addresses alive, 1 for a healthy real server and a director that says so:
 * compared, never a veto.
 */
export function fitnessOf(machine: Machine, now: At): number {
  return (lansAlive(machine, now) ? ALL_LANS : 0) + (servesFiles(machine, now) ? 1 : 0);
}

function servesFiles(machine: Machine, now: At): boolean {
  const { healthyServers } = machine;
  return !isDirectorGone(machine, now) && (healthyServers === undefined || healthyServers > 0);
}

function isDirectorGone({ reportedAt }: Machine, now: At): boolean {
  return reportedAt !== undefined && between(reportedAt, now) > REPORT_STALE_MS;
}

/** Fitness checks by script that fail here, as far as the director says so lately. */
export function failedChecks(machine: Machine, now: At): number {
  return isDirectorGone(machine, now) ? 0 : machine.failedChecks;
}

/**
 * How many more of them fail here than at the peer; below 0: fewer. They count last, between two
 * that are alike in all else. A peer that does not say (0.3.0) is no better and no worse.
 */
export function moreChecksFail(machine: Machine, now: At): number {
  const own = failedChecks(machine, now);
  return own - (machine.peer.last?.failedChecks ?? own);
}

/**
 * Whether this router's tables hold what the owner's hold; a director that is gone cannot vouch for
 * it.
 */
export function isWarm({ settings, warm, reportedAt }: Machine, now: At): boolean {
  if (!settings.keepsSessions) return true;
  return warm && reportedAt !== undefined && between(reportedAt, now) <= REPORT_STALE_MS;
}
