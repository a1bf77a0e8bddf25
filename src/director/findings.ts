// What an audit means: whether the rules count as in, which changes undid somebody else's, and
// which events that makes. Pure: the audit and what was known before in, the next knowledge and the
// events out.
import type { EventCode } from '../log/catalogue.ts';
import type { Fields } from '../log/event.ts';
import type { EnsureResult } from '../sync/sync.ts';
import { type Audit, type Change, isComplete, type Plan, type Problem } from './plan.ts';

export interface Event {
  readonly code: EventCode;
  readonly fields: Fields;
}

/** What the director knows of the kernel between two audits. */
export interface Knowledge {
  /** Undefined: no audit has looked yet. */
  readonly rulesIn: boolean | undefined;
  /** Audits in a row that could not read the kernel. */
  readonly unread: number;
  /** What was wanted when the rules were last found complete; undefined: never were. */
  readonly completeFor: string | undefined;
  readonly problems: readonly Problem[];
  /** "service address" of the servers that drain. */
  readonly draining: readonly { readonly key: string; readonly address: string }[];
  readonly sync: EnsureResult | undefined;
  /** Changes by others that were undone, since the start. */
  readonly repairs: number;
  /** What was said last of time-outs that services of others share. */
  readonly sharedTimeouts: string | undefined;
  /** Changes that the last audit could not make, each a sentence. */
  readonly errors: readonly string[];
}

export const NOTHING_KNOWN: Knowledge = {
  rulesIn: undefined,
  unread: 0,
  completeFor: undefined,
  problems: [],
  draining: [],
  sync: undefined,
  repairs: 0,
  sharedTimeouts: undefined,
  errors: [],
};

/**
 * Failed reads that are overlooked once the rules were in: a tool that was too slow for once says
 * nothing about the kernel, and "rules not in" would bar a standby from taking over.
 */
const UNREAD_MAX = 2;

/** What was wanted, to tell a change of ours from somebody else's. */
function signatureOf(made: Plan): string {
  return JSON.stringify(made.wanted);
}

export function findings(
  before: Knowledge,
  done: Audit,
  sync: EnsureResult,
  about: { readonly reason: string; readonly tookMs: number },
): { readonly next: Knowledge; readonly events: readonly Event[] } {
  const complete = isComplete(done.last);
  const unreadable = done.last.problems.some(({ code }) => code === 'ipvs-unavailable' || code === 'nft-unavailable');
  const unread = unreadable ? before.unread + 1 : 0;
  const overlooked = before.rulesIn === true && unreadable && unread <= UNREAD_MAX;
  const rulesIn = complete || overlooked;
  const drifted = done.done.filter(change => isDrift(change, before, done));
  const syncDrift = syncDrifted(before.sync, sync);
  const errors = [...done.refused.map(refusal => refusal.problem), ...blocking(done.last)];
  const next: Knowledge = {
    rulesIn,
    unread,
    completeFor: complete ? signatureOf(done.last) : before.completeFor,
    problems: done.last.problems,
    draining: done.last.draining.map(({ key, address }) => ({ key, address })),
    sync: sync,
    repairs: before.repairs + drifted.length + (syncDrift ? sync.changes.length : 0),
    sharedTimeouts: done.first.sharedTimeouts ?? before.sharedTimeouts,
    errors: [...new Set(errors)].slice(0, 32),
  };
  const changes = done.done.map(({ target, change }) => ({ target, change }));
  const events: Event[] = [
    ...done.refused.map(({ target, problem }) => ({ code: 'KERNEL_REFUSED' as const, fields: { target, problem } })),
    ...changes.map(change =>
      changed(
        change,
        drifted.some(other => other.change === change.change),
        about.reason,
      ),
    ),
    ...sync.changes.map(change => changed({ target: 'sync', change }, syncDrift, about.reason)),
    ...timeoutEvents(before, next),
    ...drainEvents(before, done),
    ...problemEvents(before.problems, next.problems),
    ...syncEvents(before.sync, sync),
    ...rulesEvents(before, next, done, about),
  ];
  return { next, events };
}

function blocking(made: Plan): string[] {
  return made.problems.filter(problem => problem.blocking).map(problem => problem.text);
}

/**
 * Drift: nothing else was wanted than at the last complete audit, and still the kernel was
 * different.
 */
function isDrift(change: Change, before: Knowledge, { first, nftDrifted }: Audit): boolean {
  if (change.target === 'nft') return nftDrifted;
  if (!first.changes.some(candidate => candidate.change === change.change)) return false;
  // A server that drains is cleared away in its own time, without anybody's doing.
  if (change.leaving && before.draining.length > 0) return false;
  return before.completeFor === signatureOf(first);
}

/** What ran before and had to be put right again was somebody else's doing. */
function syncDrifted(before: EnsureResult | undefined, now: EnsureResult): boolean {
  return before?.running === true && now.changes.length > 0;
}

function changed({ target, change }: { target: string; change: string }, drift: boolean, reason: string): Event {
  return { code: drift ? 'DRIFT_REPAIRED' : 'KERNEL_CHANGED', fields: { target, change, reason } };
}

/** Once: who changes them back again and again is told of by DRIFT_REPEATS. */
function timeoutEvents({ sharedTimeouts: told }: Knowledge, { sharedTimeouts: change }: Knowledge): Event[] {
  return change === undefined || change === told ? [] : [{ code: 'TIMEOUTS_SHARED', fields: { change } }];
}

function drainEvents(before: Knowledge, done: Audit): Event[] {
  const same = (a: { key: string; address: string }) => (b: { key: string; address: string }) =>
    a.key === b.key && a.address === b.address;
  const wasOver = (server: { key: string; address: string }) =>
    done.first.draining.find(other => same(server)(other) && other.leave === 'over');
  const began = done.last.draining.filter(server => !before.draining.some(same(server)));
  const ended = done.actual.ipvs.ok ? before.draining.filter(server => !done.last.draining.some(same(server))) : [];
  return [
    ...began.map(({ key, address, connections }) => ({
      code: 'SERVER_DRAINING' as const,
      fields: { service: key, address, connections },
    })),
    ...ended.map(server => ({
      code: 'SERVER_DRAINED' as const,
      fields: { service: server.key, address: server.address, cut: wasOver(server)?.connections ?? 0 },
    })),
  ];
}

/** Problems that began and those that are over; blocking ones are told by KERNEL_RULES_MISSING. */
function problemEvents(before: readonly Problem[], now: readonly Problem[]): Event[] {
  const same = (a: Problem) => (b: Problem) => a.code === b.code && a.about === b.about;
  const began = now.filter(problem => !problem.blocking && !before.some(same(problem)));
  const over = before.filter(problem => !problem.blocking && !now.some(same(problem)));
  return [...began.map(problemBegan), ...over.map(problemOver)];
}

function problemBegan({ code, about, text }: Problem): Event {
  if (code === 'ftp-helper') return { code: 'FTP_HELPER_LOADED', fields: { module: 'ip_vs_ftp' } };
  if (code === 'no-server-up') return { code: 'NO_SERVER_UP', fields: { service: about, problem: text } };
  if (code === 'all-servers-fail') return { code: 'ALL_SERVERS_FAIL', fields: { service: about, problem: text } };
  return { code: 'KERNEL_PROBLEM', fields: { kind: code, about, problem: text } };
}

function problemOver({ code, about }: Problem): Event {
  if (code === 'ftp-helper') return { code: 'FTP_HELPER_GONE', fields: { module: 'ip_vs_ftp' } };
  if (code === 'no-server-up') return { code: 'SERVERS_UP', fields: { service: about } };
  if (code === 'all-servers-fail') return { code: 'ALL_SERVERS_FAIL_OVER', fields: { service: about } };
  return { code: 'KERNEL_PROBLEM_OVER', fields: { kind: code, about } };
}

function syncEvents(before: EnsureResult | undefined, now: EnsureResult): Event[] {
  const known = new Set(before?.problems ?? []);
  const events: Event[] = now.problems
    .filter(problem => !known.has(problem))
    .map(problem => ({ code: 'SYNC_PROBLEM', fields: { problem } }));
  const found = foundText(now);
  if (found !== '' && found !== foundText(before)) events.push({ code: 'SYNC_KERNEL', fields: { found } });
  const good = (state: EnsureResult | undefined) => state?.running === true && state.problems.length === 0;
  if (good(now) && !good(before)) events.push({ code: 'SYNC_RUNNING', fields: {} });
  return events;
}

function foundText(state: EnsureResult | undefined): string {
  return Object.entries(state?.found ?? {})
    .map(([name, value]) => `${name}: ${value}`)
    .join('; ');
}

function rulesEvents(
  before: Knowledge,
  next: Knowledge,
  done: Audit,
  { reason, tookMs }: { readonly reason: string; readonly tookMs: number },
): Event[] {
  if (next.rulesIn) {
    if (before.rulesIn) return [];
    return [{ code: 'KERNEL_RULES_IN', fields: { services: done.last.wanted.length, reason, tookMs } }];
  }
  const missing = done.last.changes[0]?.change;
  const problem = next.errors[0] ?? (missing === undefined ? 'unknown' : `not done: ${missing}`);
  const news = before.rulesIn || before.completeFor === undefined || before.errors[0] !== next.errors[0];
  const told = !before.rulesIn && before.errors[0] === problem;
  return news && !told ? [{ code: 'KERNEL_RULES_MISSING', fields: { reason, problem } }] : [];
}
