// Which rows of which snapshot come back into the kernel of a router that starts while its peer has
// nothing: the newest good snapshot, what is left of each lifetime, no entry of a service or server
// that is gone or known to be down. Pure, in steps.

import { type Ms, ms } from '../../units/duration.ts';
import { compareEpochs } from '../../units/epoch.ts';
import { type Entry, isTemplate, type RawAddress } from '../table/entry.ts';
import type { SavedFault, SavedHeader, SavedSessions } from './saved-sessions.ts';

/**
 * The clock may have been set meanwhile by as much; beyond that the age of a snapshot means
 * nothing.
 */
const CLOCK_AHEAD_MAX: Ms = ms(60_000);
/** An entry with less left is not worth injecting: it would be gone before its client comes. */
const LEFT_S_MIN = 1;
const ROWS_PER_STEP = 500;

type RestoreRefusal = SavedFault | 'too-old' | 'from-the-future';

export interface RefusedSessions {
  /** Its place in the list that was given. */
  readonly index: number;
  readonly why: RestoreRefusal;
  readonly header: SavedHeader | undefined;
  /** A sentence. */
  readonly problem: string;
}

interface RestoreSkips {
  /** Their lifetime has ended. */
  readonly expired: number;
  /** Of services or servers that the config no longer has. */
  readonly outOfScope: number;
  /** Of servers known to be down: their clients are to get another one. */
  readonly serverDown: number;
  /** Connections, when only templates are wanted. */
  readonly connections: number;
}

export interface Restore {
  /** The snapshot that is used; undefined: none can be. */
  readonly from: { readonly index: number; readonly header: SavedHeader; readonly ageMs: Ms } | undefined;
  /** Templates first; `timeoutS` is what is left. */
  readonly entries: readonly Entry[];
  readonly templates: number;
  readonly connections: number;
  readonly skipped: RestoreSkips;
  readonly refused: readonly RefusedSessions[];
}

export interface RestoreRules {
  /** Wall time, ms since 1970. */
  readonly nowMs: number;
  readonly maxAge: Ms;
  /** Bring connections back too, not only templates. */
  readonly connections: boolean;
  readonly inScope: (entry: Entry) => boolean;
  readonly isDown: (server: RawAddress) => boolean;
}

const NO_SKIPS: RestoreSkips = { expired: 0, outOfScope: 0, serverDown: 0, connections: 0 };

/** Decides what to bring back; each step is well below a millisecond. */
export function* restoreSteps(snapshots: readonly SavedSessions[], rules: RestoreRules): Generator<void, Restore> {
  const refused = snapshots.flatMap((snapshot, index) => refusalOf(snapshot, index, rules));
  const usable = snapshots
    .map((snapshot, index) => ({ snapshot, index }))
    .filter(({ index }) => !refused.some(refusal => refusal.index === index));
  const newest = usable.sort((a, b) => compareAge(a.snapshot, b.snapshot))[0];
  if (!newest?.snapshot.ok) {
    return { from: undefined, entries: [], templates: 0, connections: 0, skipped: NO_SKIPS, refused };
  }
  const { header } = newest.snapshot;
  const ageMs = ms(Math.max(0, rules.nowMs - header.savedAtMs));
  const picked = yield* pickSteps(newest.snapshot.rows(), ageMs, rules);
  return { from: { index: newest.index, header, ageMs }, ...picked, refused };
}

/** Newest first: by the term of ownership, since the routers' clocks may differ, then by time. */
function compareAge(a: SavedSessions, b: SavedSessions): number {
  if (!a.ok || !b.ok) return 0;
  return compareEpochs(b.header.epoch, a.header.epoch) || b.header.savedAtMs - a.header.savedAtMs;
}

function refusalOf(snapshot: SavedSessions, index: number, { nowMs, maxAge }: RestoreRules): RefusedSessions[] {
  const { header } = snapshot;
  if (!snapshot.ok) return [{ index, why: snapshot.why, header, problem: FAULTS[snapshot.why] }];
  const ageMs = nowMs - snapshot.header.savedAtMs;
  if (ageMs < -CLOCK_AHEAD_MAX) {
    const problem = `it says it was saved ${inWords(-ageMs)} from now: the clock here or where it was saved is wrong`;
    return [{ index, why: 'from-the-future', header, problem }];
  }
  if (ageMs > maxAge) {
    const problem = `it is ${inWords(ageMs)} old, older than max_age (${inWords(maxAge)})`;
    return [{ index, why: 'too-old', header, problem }];
  }
  return [];
}

const FAULTS: Readonly<Record<SavedFault, string>> = {
  'not-a-snapshot': 'it does not begin as a snapshot of Tandem does',
  truncated: 'its end is missing',
  damaged: 'its checksum does not fit its content',
  version: 'it was saved by another version of Tandem',
  'foreign-pair': 'it is the snapshot of another pair',
  'foreign-key': 'it was sealed with another key than the pair has',
};

function inWords(interval: number): string {
  const s = Math.round(interval / 1_000);
  if (s < 120) return `${s} s`;
  return s < 7_200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3_600)} h`;
}

type Picked = Pick<Restore, 'entries' | 'templates' | 'connections' | 'skipped'>;

function* pickSteps(
  rows: Iterable<{ readonly entry: Entry; readonly remainingS: number }>,
  ageMs: Ms,
  rules: RestoreRules,
): Generator<void, Picked> {
  const skipped = { ...NO_SKIPS };
  const templates: Entry[] = [];
  const connections: Entry[] = [];
  let seen = 0;
  for (const { entry, remainingS } of rows) {
    if (++seen % ROWS_PER_STEP === 0) yield;
    const leftS = Math.floor(remainingS - ageMs / 1_000);
    const template = isTemplate(entry);
    if (leftS < LEFT_S_MIN) skipped.expired++;
    else if (!template && !rules.connections) skipped.connections++;
    else if (!rules.inScope(entry)) skipped.outOfScope++;
    else if (rules.isDown(entry.server)) skipped.serverDown++;
    else (template ? templates : connections).push({ ...entry, timeoutS: leftS });
  }
  const counts = { templates: templates.length, connections: connections.length };
  for (const [index, connection] of connections.entries()) {
    templates.push(connection);
    if (index % (10 * ROWS_PER_STEP) === 0) yield;
  }
  return { entries: templates, ...counts, skipped };
}
