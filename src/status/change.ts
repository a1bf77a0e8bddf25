// What is new in a status report for those who follow /events: the parts that differ in something
// other than measurements that move all the time. Pure.
import type { StatusReport } from './status-report.ts';

const PARTS = [
  'health',
  'problems',
  'notices',
  'pulse',
  'services',
  'drains',
  'kernel',
  'sync',
  'fitness',
  'hooks',
] as const;
export type Part = (typeof PARTS)[number];

/** The parts that changed, whole, as they are now. */
type Changed = Partial<Pick<StatusReport, Part>>;

/** Ages, round-trip times and counters move with every report; by themselves they are no change. */
const MEASUREMENTS: ReadonlySet<string> = new Set([
  'seq',
  'heardMsAgo',
  'rttMs',
  'received',
  'refused',
  'counters',
  'checkedAt',
  'checkMs',
  'stagesMs',
  'certificateDaysLeft',
  'activeConnections',
  'inactiveConnections',
  'lastAuditAt',
  'leftMs',
  'sessions',
  'transfers',
  'leaseMargin',
  'answeredMsAgo',
  'lagMs',
  'unacknowledged',
  'templates',
  'connections',
  'sent',
  'savedAt',
  'triedAt',
]);

/** The parts of `after` that say something new against `before`; undefined when none does. */
export function changedParts(before: StatusReport, after: StatusReport): Changed | undefined {
  const names = PARTS.filter(part => essence(before[part]) !== essence(after[part]));
  if (names.length === 0) return undefined;
  return Object.fromEntries(names.map(part => [part, after[part]]));
}

function essence(part: StatusReport[Part]): string {
  return JSON.stringify(part, (name, value: unknown) => (MEASUREMENTS.has(name) ? undefined : value));
}
