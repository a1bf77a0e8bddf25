// Decides which repetitions of an event are left out of the log: the first few in a window pass,
// the rest is counted, and a summary is due when the flood ends (and every minute while it lasts).
// Bounded by construction. Pure: time is an argument.
import type { EventEntry, Fields, FieldValue } from './event.ts';

export interface RateLimits {
  /** Events of one key that pass in a window. */
  readonly passMax: number;
  readonly windowMs: number;
  /** A flood that does not end is summed up this often. */
  readonly reportEveryMs: number;
  /** Keys told apart at once; beyond that, events share one key per code. */
  readonly keysMax: number;
}

export const RATE_DEFAULTS: RateLimits = { passMax: 5, windowMs: 10_000, reportEveryMs: 60_000, keysMax: 256 };

/**
 * What an event repeats by: the code and the fields that name the thing it is about, not those that
 * measure it.
 */
interface EventKey {
  readonly code: string;
  /**
   * "name=value …" of the identifying fields; empty when there are none, or when the limiter pooled
   * them.
   */
  readonly about: string;
}

/** Repetitions that were left out; times on the monotonic clock, in milliseconds. */
export interface Summary extends EventKey {
  readonly count: number;
  readonly firstAt: number;
  readonly lastAt: number;
  readonly ended: boolean;
}

interface Entry extends EventKey {
  windowAt: number;
  seen: number;
  /** A flooding key passes nothing until a whole window brought no more than passMax. */
  flooding: boolean;
  left: number;
  leftFrom: number;
  lastAt: number;
  reportedAt: number;
}

/**
 * The limiter's memory; made by {@link createRate}, changed only by {@link admit} and {@link
 * sweep}.
 */
export interface Rate {
  readonly limits: RateLimits;
  readonly entries: Map<string, Entry>;
}

/**
 * Field names that tell two events of one code apart, unless the catalogue entry names its own
 * (`identity`).
 */
const IDENTIFYING: ReadonlySet<string> = new Set([
  'service',
  'server',
  'router',
  'peer',
  'address',
  'vip',
  'interface',
  'lan',
  'link',
  'socket',
  'path',
  'file',
  'program',
  'stage',
  'state',
  'role',
  'from',
  'to',
  'reason',
  'sysctl',
  'module',
  'table',
]);
const ABOUT_LENGTH_MAX = 200;

export function createRate(limits: Partial<RateLimits> = {}): Rate {
  return { limits: { ...RATE_DEFAULTS, ...limits }, entries: new Map() };
}

/**
 * The key of an event. `entry.identity`, where the catalogue has it, says which fields identify.
 */
export function eventKeyOf(code: string, entry: Pick<EventEntry, 'identity'>, fields: Fields): EventKey {
  const names = entry.identity ?? Object.keys(fields).filter(name => IDENTIFYING.has(name));
  const about = names
    .map(name => [name, fields[name]] as const)
    .filter((pair): pair is readonly [string, FieldValue] => pair[1] !== undefined)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
  return { code, about: about.slice(0, ABOUT_LENGTH_MAX) };
}

/** Whether the event may be logged now; otherwise it has been counted. */
export function admit(rate: Rate, key: EventKey, now: number): boolean {
  const { passMax, windowMs } = rate.limits;
  const entry = entryOf(rate, key, now);
  if (!entry.flooding && now - entry.windowAt >= windowMs) {
    entry.windowAt = now;
    entry.seen = 0;
  }
  entry.seen += 1;
  if (!entry.flooding && entry.seen <= passMax) return true;
  if (!entry.flooding) {
    entry.flooding = true;
    entry.reportedAt = now;
  }
  if (entry.left === 0) entry.leftFrom = now;
  entry.left += 1;
  entry.lastAt = now;
  return false;
}

/**
 * Ends windows that are over: forgets keys that are quiet, and returns the summaries due, oldest
 * repetition first. To be called about once a second.
 */
export function sweep(rate: Rate, now: number): Summary[] {
  const { passMax, windowMs, reportEveryMs } = rate.limits;
  const due: Summary[] = [];
  for (const [id, entry] of rate.entries) {
    if (now - entry.windowAt >= windowMs) {
      const over = entry.seen <= passMax;
      if (over && entry.flooding) due.push(summaryOf(entry, true));
      if (over || !entry.flooding) {
        rate.entries.delete(id);
        continue;
      }
      entry.windowAt = now;
      entry.seen = 0;
    }
    if (entry.left > 0 && now - entry.reportedAt >= reportEveryMs) {
      due.push(summaryOf(entry, false));
      entry.left = 0;
      entry.reportedAt = now;
    }
  }
  return due.sort((a, b) => a.lastAt - b.lastAt);
}

/**
 * The summaries of all that is still left out, when the process is about to end. Empties the
 * limiter.
 */
export function flushRate(rate: Rate): Summary[] {
  const open = [...rate.entries.values()].filter(entry => entry.left > 0);
  rate.entries.clear();
  return open.map(entry => summaryOf(entry, true)).sort((a, b) => a.lastAt - b.lastAt);
}

function entryOf(rate: Rate, key: EventKey, now: number): Entry {
  const known = rate.entries.get(idOf(key));
  if (known) return known;
  // A hostile sender can make up any number of addresses, but not of codes: pooling keeps the map
  // bounded.
  const pooled = rate.entries.size < rate.limits.keysMax ? key : { code: key.code, about: '' };
  const existing = rate.entries.get(idOf(pooled));
  if (existing) return existing;
  const entry: Entry = {
    ...pooled,
    windowAt: now,
    seen: 0,
    flooding: false,
    left: 0,
    leftFrom: now,
    lastAt: now,
    reportedAt: now,
  };
  rate.entries.set(idOf(pooled), entry);
  return entry;
}

function idOf(key: EventKey): string {
  return `${key.code} ${key.about}`;
}

function summaryOf(entry: Entry, ended: boolean): Summary {
  const { code, about, left, leftFrom, lastAt } = entry;
  return { code, about, count: left, firstAt: leftFrom, lastAt, ended };
}
