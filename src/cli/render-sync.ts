// What people see of the sync: the lines in `tandem status`, and the whole of it in `tandem sync`.
// Pure.
import { SYNC_COUNTERS } from '../log/counters.ts';
import { resyncProgress } from '../status/resync-progress.ts';
import type { StatusReport } from '../status/status-report.ts';
import type { SyncStatus } from '../status/sync-status.ts';
import { age, columns, milliseconds, type Paint, painter, printable, since } from './format.ts';

const SENTENCE_LENGTH_MAX = 300;
const NAME_LENGTH_MAX = 60;
const VERIFIED = { entries: 'every entry compared', counts: 'counts of each server compared' } as const;

/** The sync's lines in `tandem status`. */
export function syncLines(report: StatusReport, paint: Paint, now: number): string {
  const { sync } = report;
  const title = paint('bold', 'SYNC');
  if (sync.phase === 'off') return `${title}  off: sessions and transfers do not outlive a failover`;
  const peer = peerOf(report);
  const parts = [
    `${warmth(sync, paint)}${course(sync, peer.name, paint)}`,
    tables(sync),
    ...(sync.phase === 'streaming' ? [`lag ${milliseconds(sync.lagMs)}`] : []),
    ...(sync.role === 'source' && peer.warm === false ? [`${peer.name} is ${paint('bad', 'COLD')}`] : []),
  ];
  return [`${title}  ${parts.join('; ')}`, `  ${storeLine(sync.store, paint, now)}`].join('\n');
}

/** "12 %" of a resync under way; undefined when none runs. For people who wait. */
export function resyncPercent(sync: SyncStatus): string | undefined {
  const progress = resyncProgress(sync);
  return progress === undefined ? undefined : `${Math.floor(progress * 100)} %`;
}

/** All of the sync, section by section. */
export function renderSync(report: StatusReport, options: { readonly colour: boolean; readonly now: number }): string {
  const paint = painter(options.colour);
  const { sync, kernel } = report;
  const peer = peerOf(report);
  const problems = report.problems.filter(problem => /^sync\b/.test(problem));
  const told = [...new Set([...sync.problems, ...problems])];
  const sections = [
    [syncHeadline(report, paint)],
    told.map(problem => `  ${paint('bad', '!')} ${printable(problem, SENTENCE_LENGTH_MAX)}`),
    [
      paint('bold', 'TABLES'),
      `  ${tables(sync)}, ${count(sync.unacknowledged)} not acknowledged, lag ${milliseconds(sync.lagMs)}`,
      `  ${peer.name} ${peer.warm === undefined ? 'is not heard' : peer.warm ? 'is warm' : paint('bad', 'is COLD')}`,
    ],
    linkSection(sync, paint),
    [paint('bold', 'RESYNC'), `  ${resyncLine(sync, options.now)}`],
    [paint('bold', 'STORE'), `  ${storeLine(sync.store, paint, options.now)}`, ...restoredLines(sync.store)],
    counterSection(sync, paint),
    Object.keys(kernel.found).length === 0
      ? []
      : [paint('bold', 'KERNEL'), ...Object.entries(kernel.found).map(([name, found]) => finding(name, found))],
  ];
  return `${sections
    .filter(lines => lines.length > 0)
    .map(lines => lines.join('\n'))
    .join('\n\n')}\n`;
}

function peerOf({ pulse }: StatusReport): { readonly name: string; readonly warm: boolean | undefined } {
  const heard = pulse?.peer != null && !pulse.peer.silent;
  return { name: pulse?.peerNode ?? 'the peer', warm: heard ? pulse?.peer?.warm : undefined };
}

/** A standby is cold or warm; the owner's tables are what the others are measured by. */
function warmth({ role, warm }: SyncStatus, paint: Paint): string {
  if (!warm) return `${paint('bad', 'COLD')}: `;
  return role === 'sink' ? `${paint('good', 'warm')}: ` : '';
}

/**
 * "streaming to r2 over client, cross", "resync 45 % from r2 over cross", "waiting: no link to the
 * director of r2".
 */
function course(sync: SyncStatus, peer: string, paint: Paint): string {
  if (sync.phase === 'waiting') return paint('warn', `waiting: no link to the director of ${peer}`);
  const direction = { source: 'to', sink: 'from', idle: 'with' }[sync.role];
  const lans = sync.links.filter(link => link.connected).map(link => printable(link.lan, NAME_LENGTH_MAX));
  const percent = resyncPercent(sync);
  const does = sync.phase === 'resync' ? `resync${percent === undefined ? '' : ` ${percent}`}` : 'streaming';
  return `${does} ${direction} ${peer}${lans.length > 0 ? ` over ${lans.join(', ')}` : ''}`;
}

function tables({ templates, connections }: Pick<SyncStatus, 'templates' | 'connections'>): string {
  return `${count(templates)} templates, ${count(connections)} connections`;
}

function storeLine(store: SyncStatus['store'], paint: Paint, now: number): string {
  if (store.type === 'none') return 'no store: a reboot of both routers forgets all sessions';
  const saved = store.savedAt === null ? 'nothing saved yet' : `saved ${since(store.savedAt, now)}`;
  const entries = store.savedAt === null ? '' : `, ${tables(store)}`;
  const failing =
    store.problem === '' ? '' : `; ${paint('bad', 'FAILS')}: ${printable(store.problem, SENTENCE_LENGTH_MAX)}`;
  return `store ${store.type}, ${saved}${entries}${failing}`;
}

function restoredLines({ restored }: SyncStatus['store']): string[] {
  return restored === null ? [] : [`  ${count(restored)} entries restored when this director started`];
}

function syncHeadline(report: StatusReport, paint: Paint): string {
  const { sync, pulse } = report;
  if (sync.phase === 'off') return `${paint('warn', 'OFF')}  sessions and transfers do not outlive a failover`;
  const state = sync.warm ? paint('good', 'WARM') : paint('bad', 'COLD');
  const roles = { source: 'owns the VIPs', sink: 'is the standby', idle: 'waits: nobody owns the VIPs' } as const;
  return `${state}  ${pulse?.node ?? 'this router'} ${roles[sync.role]}; ${course(sync, peerOf(report).name, paint)}`;
}

function linkSection({ links }: SyncStatus, paint: Paint): string[] {
  if (links.length === 0) return [];
  const rows = links.map(({ lan, connected, rttMs }) => [
    printable(lan, NAME_LENGTH_MAX),
    connected ? paint('good', 'up') : paint('bad', 'DOWN'),
    milliseconds(rttMs),
  ]);
  return [paint('bold', 'LINKS'), columns(paint, ['link', 'state', 'rtt'], rows)];
}

function resyncLine(sync: SyncStatus, now: number): string {
  const { resync } = sync;
  if (resync === null) return 'none since this director started';
  const sent = `${count(resync.sent)} of ${count(resync.entries)} entries sent`;
  if (resync.endedAt === null) return `under way since ${since(resync.startedAt, now)}: ${sent}`;
  const took = Date.parse(resync.endedAt) - Date.parse(resync.startedAt);
  const verified = resync.verifiedBy === null ? 'not verified' : VERIFIED[resync.verifiedBy];
  const length = Number.isNaN(took) ? '' : ` in ${age(took)}`;
  return `ended ${since(resync.endedAt, now)}: ${sent}${length}, ${verified}, ${count(resync.repaired)} sent again`;
}

function counterSection({ counters }: SyncStatus, paint: Paint): string[] {
  const meanings: Readonly<Record<string, string>> = SYNC_COUNTERS;
  const rows = Object.entries(counters).map(([name, value]) => [
    printable(name, NAME_LENGTH_MAX),
    count(value),
    meanings[name] ?? '',
  ]);
  if (rows.length === 0) return [];
  return [paint('bold', 'COUNTERS'), columns(paint, ['counter', 'since start', 'meaning'], rows)];
}

function finding(name: string, found: string): string {
  return `  ${printable(name, NAME_LENGTH_MAX)}: ${printable(found, SENTENCE_LENGTH_MAX)}`;
}

function count(n: number): string {
  return n.toLocaleString('en-US');
}
