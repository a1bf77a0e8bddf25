// What `tandem drain --wait` says and when it ends, from one status report after the other. Pure.
import type { ServerName } from '../drain/drains.ts';
import type { DrainReport, StatusReport } from '../status/status-report.ts';
import { age } from './format.ts';
import { drainLoad } from './render.ts';

export type DrainEnd =
  /** No session is left on any of them. */
  | 'empty'
  /** The time of one is over; what it still had was cut. */
  | 'over'
  /** One of them takes clients again. */
  | 'enabled'
  /** Not yet. */
  | 'waiting';

export function drainsOf({ drains }: StatusReport, servers: readonly ServerName[]): readonly DrainReport[] {
  return servers.flatMap(({ service, server }) =>
    drains.filter(one => one.service === service && one.server === server),
  );
}

export function endOf(report: StatusReport, servers: readonly ServerName[]): DrainEnd {
  const found = drainsOf(report, servers);
  if (found.length < servers.length) return 'enabled';
  if (found.some(({ phase }) => phase === 'over')) return 'over';
  return found.every(({ phase }) => phase === 'empty') ? 'empty' : 'waiting';
}

/** What each of them has, without the time, which moves all the time. */
export function progressOf(drains: readonly DrainReport[]): string {
  return drains
    .map(one => `${one.service}/${one.server}: ${one.phase === 'empty' ? 'empty' : drainLoad(one)}`)
    .join('; ');
}

/** The time that is left for the last of them: "59m 30s left". */
export function timeLeft(drains: readonly DrainReport[]): string {
  return `${age(Math.max(0, ...drains.map(({ leftMs }) => leftMs)))} left`;
}

/** Which routers drain them; with the reason where it is not both. */
export function whereDrained(report: StatusReport, servers: readonly ServerName[]): string {
  if (drainsOf(report, servers).every(({ shared }) => shared)) return 'on both routers';
  return `this router only: ${whyNotShared(report)}`;
}

/** Why the other router is not known to have it, with what to do. */
export function whyNotShared({ sync, pulse }: Pick<StatusReport, 'sync' | 'pulse'>): string {
  const peer = pulse?.peerNode ?? 'the other router';
  if (sync.phase === 'off') return `the connection sync is disabled, so give the command on ${peer}, too`;
  if (!sync.links.some(({ connected }) => connected))
    return `there is no link to the director of ${peer}; it is told when there is one`;
  return `the director of ${peer} has not confirmed it; one before 0.4.0 cannot`;
}
