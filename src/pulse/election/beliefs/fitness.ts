// How well this router could serve: its LANs, its servers, its tables. Fitness ranks, it does not
// veto. R10 (docs/invariants.md). Pure.
import { type At, between } from '../../../units/duration.ts';
import { REPORT_STALE_MS } from '../../timing.ts';
import type { Machine } from '../machine.ts';
import { ALL_LANS, lansAlive } from './lan-health.ts';

/**
 * 2 for all LANs with addresses alive, 1 for a healthy real server and a director that says so:
 * compared, never a veto.
 */
export function fitnessOf(machine: Machine, now: At): number {
  return (lansAlive(machine, now) ? ALL_LANS : 0) + (servesFiles(machine, now) ? 1 : 0);
}

function servesFiles({ healthyServers, reportedAt }: Machine, now: At): boolean {
  const gone = reportedAt !== undefined && between(reportedAt, now) > REPORT_STALE_MS;
  return !gone && (healthyServers === undefined || healthyServers > 0);
}

/**
 * Whether this router's tables hold what the owner's hold; a director that is gone cannot vouch for
 * it.
 */
export function isWarm({ settings, warm, reportedAt }: Machine, now: At): boolean {
  if (!settings.keepsSessions) return true;
  return warm && reportedAt !== undefined && between(reportedAt, now) <= REPORT_STALE_MS;
}
