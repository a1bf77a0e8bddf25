// Runs the nannies of all services: one timer, a bounded number of checks at once, never two of one
// server. What results mean is decided in ../nanny.ts and ../together.ts. Not pure: timer, sockets
// (ftp-check.ts, plain-check.ts), password files, log.
import { isDeepStrictEqual } from 'node:util';
import { longestCheckMs } from '../../config/check-time.ts';
import type { Config, ServiceConfig } from '../../config/schema.ts';
import { checkedPorts } from '../../config/service-ports.ts';
import type { Log } from '../../log/log.ts';
import type { RunAnswer } from '../../runner/runner-message.ts';
import { type Address, hostPort } from '../../units/address.ts';
import { type At, after, between, formatDuration, type Ms, ms } from '../../units/duration.ts';
import { monotonicNow, wallTime } from '../../units/io/clocks.ts';
import { type CheckPlan, checkPlans, type Origin, pathPlan, sorryPlan } from '../check-plan.ts';
import {
  checkAbandoned,
  checkBegins,
  checkEnds,
  isDue,
  isPatient,
  lateness,
  type Nanny,
  newNanny,
  type Pace,
  sooner,
  verdictOf,
} from '../nanny.ts';
import { plainPlan } from '../plain-plan.ts';
import { type PortResult, resultOfPorts } from '../port-results.ts';
import { withScript } from '../script-result.ts';
import { isAlikeForAll, isFailing, type Together, together } from '../together.ts';
import { CHECKS_AT_ONCE_MAX, enqueue, mayBegin, PINGS_AT_ONCE_MAX } from '../turns.ts';
import { type CheckResult, isCondemned, SORRY, type Verdict } from '../verdict.ts';
import { type CheckFiles, checkFilesOf, createCheckFiles, NO_FILES } from './check-files.ts';
import type { CheckOutcome } from './check-outcome.ts';
import { runCheck } from './ftp-check.ts';
import { runPlainCheck } from './plain-check.ts';
import { logEffects, logPathEffects } from './verdict-report.ts';

/** Where a check has ports of its own, which rest for a minute after use. */
const WAY_INTERVAL_MIN_MS = 2_000;

/** With less left of a check's deadline a further port is not begun. */
const DEADLINE_LEFT_MIN_MS = 1;
const NO_DEADLINE_MS = ms(86_400_000);

interface NannyClock {
  /** Monotonic. */
  readonly now: () => At;
  /** Wall time for people, ISO 8601. */
  readonly wall: () => string;
}

export const systemClock: NannyClock = { now: monotonicNow, wall: wallTime };

interface NanniesOptions {
  readonly config: Pick<Config, 'services'>;
  /** Name of this router. */
  readonly node: string;
  readonly clock: NannyClock;
  readonly log: Log;
  /**
   * Called when what a verdict means for clients changes; {@link Nannies.verdicts} has the results
   * in between.
   */
  readonly onVerdict: (verdict: Verdict) => void;
  /** 0 to below 1; spreads the first checks. */
  readonly random: () => number;
  /** The first checks begin after that; absent: at once. */
  readonly after?: Promise<void>;
  /** How a server is checked; absent: over the network. */
  readonly check?: typeof runCheck;
  /** Has check.script of a server run; absent: no service has one. */
  readonly runScript?: (name: { service: string; server: string }, signal: AbortSignal) => Promise<RunAnswer>;
  /** The same of services that are not FTP. */
  readonly checkPlain?: typeof runPlainCheck;
}

export interface Nannies {
  /** One for each server of the config, in its order. */
  verdicts(): Verdict[];
  /** One for each server that is watched while it drains; its name is its address. */
  leaving(): Verdict[];
  /** One for each sorry server; its name is SORRY. */
  sorry(): Verdict[];
  /**
   * Servers that have left their service and still have connections: watched until they are done,
   * replaced as a whole.
   */
  watchLeaving(servers: ReadonlyMap<string, readonly Address[]>): void;
  /**
   * Servers that are drained, by service: the others are judged together without them. Replaced as
   * a whole.
   */
  judgeWithout(drained: ReadonlyMap<string, readonly string[]>): void;
  /** One for each check through a VIP; its name is PATH, or wayName() of a server. */
  paths(): Verdict[];
  /**
   * VIPs to be checked; replaced as a whole.
   */
  watchPaths(paths: readonly PathWatch[]): void;
  /**
   * Takes over a new config. A server at the same address, with a checked port in common, keeps its
   * state and counts, whatever else changed.
   */
  update(config: Pick<Config, 'services'>): void;
  /** Gives up running checks; resolves when their sockets are closed. */
  stop(): Promise<void>;
}

/** A check of a service's VIP from this router. */
export interface PathWatch {
  readonly service: string;
  /** PATH, or wayName() of a server. */
  readonly name: string;
  readonly origin: Origin;
}

/** One real server in the care of its nanny. */
interface Ward {
  readonly service: string;
  readonly server: string;
  readonly address: Address;
  settings: ServiceConfig;
  nanny: Nanny;
  running: { readonly abort: AbortController; readonly done: Promise<void> } | undefined;
  /** As last read: what a check goes on with when a file is gone. */
  files: CheckFiles | undefined;
  isCheckable: boolean;
  readonly kind: WardKind;
  /** Of a path. */
  readonly origin: Origin | undefined;
  /** As it was last asked for. */
  verdict: { readonly of: Nanny; readonly kept: boolean; readonly is: Verdict } | undefined;
}

/**
 * leaving: it has left the config and only drains. sorry: it stands in when no real server takes
 * clients. path: no server, but the VIP, checked from the standby.
 */
type WardKind = 'real' | 'leaving' | 'sorry' | 'path';

type NewWard = Pick<Ward, 'service' | 'server' | 'address' | 'settings' | 'kind'> & Partial<Pick<Ward, 'origin'>>;

/** What each is checked by. */
const PLANS: Readonly<Record<WardKind, (plan: CheckPlan) => CheckPlan>> = {
  real: plan => plan,
  leaving: plan => plan,
  sorry: sorryPlan,
  path: pathPlan,
};

/** The same of services that are not FTP. */
const PLAIN_AS = { real: 'server', leaving: 'server', sorry: 'sorry', path: 'path' } as const;

export function startNannies(options: NanniesOptions): Nannies {
  const set = new NannySet(options);
  set.update(options.config);
  void options.after?.then(() => set.begin());
  return set;
}

class NannySet implements Nannies {
  readonly #options: NanniesOptions;
  #wards = new Map<string, Ward>();
  /** The real servers among them, by service. */
  #real = new Map<string, Ward[]>();
  /** Those whose check does not run, the longest overdue first. */
  #waiting: Ward[] = [];
  #services: Config['services'] = {};
  /**
   * Settings of services that have left the config, for those of their servers that drain; which do
   * is known later.
   */
  #formerServices: Config['services'] = {};
  #leaving: ReadonlyMap<string, readonly Address[]> = new Map();
  #drained: ReadonlyMap<string, readonly string[]> = new Map();
  #paths: readonly PathWatch[] = [];
  readonly #together = new Map<string, Together>();
  /** Services whose servers were looked at together since the last config and the last drain. */
  readonly #judged = new Set<string>();
  /** All checks that run, also those of servers that are no longer in the config. */
  readonly #checks = new Set<Promise<void>>();
  /** Those of them that have a ping. */
  #pings = 0;
  #timer: NodeJS.Timeout | undefined;
  /** What is left for the next turn of the event loop. */
  #nextTurn: NodeJS.Immediate | undefined;
  /** Since when there is always a check that is due and has to wait; undefined: there is none. */
  #queuedSince: At | undefined;
  #isLate = false;
  #isStopped = false;
  #isHeld: boolean;
  #compared: { readonly before: ServiceConfig; readonly now: ServiceConfig; readonly isSame: boolean } | undefined;
  readonly #files: ReturnType<typeof createCheckFiles>;

  constructor(options: NanniesOptions) {
    this.#options = options;
    this.#isHeld = options.after !== undefined;
    this.#files = createCheckFiles(options.clock.now);
  }

  verdicts(): Verdict[] {
    return this.#verdictsOf('real');
  }

  leaving(): Verdict[] {
    return this.#verdictsOf('leaving');
  }

  sorry(): Verdict[] {
    return this.#verdictsOf('sorry');
  }

  paths(): Verdict[] {
    return this.#verdictsOf('path');
  }

  #verdictsOf(kind: WardKind): Verdict[] {
    return [...this.#wards.values()].filter(ward => ward.kind === kind).map(ward => this.#verdictOf(ward));
  }

  #verdictOf(ward: Ward): Verdict {
    const { service, server, nanny, kind } = ward;
    const kept = this.#together.get(service)?.kept.has(server) === true || isNeverChecked(ward);
    if (ward.verdict?.of !== nanny || ward.verdict.kept !== kept) {
      ward.verdict = { of: nanny, kept, is: verdictOf(service, server, nanny, kept && kind === 'real') };
    }
    return ward.verdict.is;
  }

  watchLeaving(servers: ReadonlyMap<string, readonly Address[]>): void {
    if (isDeepStrictEqual(servers, this.#leaving)) return;
    this.#leaving = servers;
    this.#regroup();
  }

  judgeWithout(drained: ReadonlyMap<string, readonly string[]>): void {
    if (isDeepStrictEqual(drained, this.#drained)) return;
    this.#drained = drained;
    this.#judged.clear();
  }

  watchPaths(paths: readonly PathWatch[]): void {
    if (isDeepStrictEqual(paths, this.#paths)) return;
    this.#paths = paths;
    this.#regroup();
  }

  update(config: Pick<Config, 'services'>): void {
    const draining = Object.entries(this.#formerServices).filter(([service]) => this.#leaving.has(service));
    this.#formerServices = { ...Object.fromEntries(draining), ...this.#services };
    this.#services = config.services;
    this.#regroup();
  }

  /** Wards for all servers of the config, and for those that drain. */
  #regroup(): void {
    const wards = new Map<string, Ward>();
    const keep = (about: NewWard) => {
      const key = keyOf(about);
      const { address, settings, origin } = about;
      const before = this.#wards.get(key);
      const isSame =
        before?.address === address && isDeepStrictEqual(before.origin, origin) && hasPortOf(before.settings, settings);
      wards.set(key, isSame ? this.#resettle(before, settings) : this.#newWard(about));
    };
    for (const [service, settings] of Object.entries(this.#services)) {
      for (const [server, { address }] of Object.entries(settings.servers))
        keep({ service, server, address, settings, kind: 'real' });
      const sorry = settings.sorry_server;
      if (sorry) keep({ service, server: SORRY, address: sorry.address, settings, kind: 'sorry' });
      for (const { name, origin } of this.#paths.filter(path => path.service === service))
        keep({ service, server: name, address: settings.vip, settings, kind: 'path', origin });
    }
    for (const [service, addresses] of this.#leaving) {
      const settings = this.#services[service] ?? this.#formerServices[service];
      // After a restart of the director nobody knows how a service was checked that is gone: then
      // only the deadline ends it.
      if (settings === undefined) continue;
      for (const address of addresses) keep({ service, server: address, address, settings, kind: 'leaving' });
    }
    for (const service of this.#together.keys()) if (!this.#services[service]) this.#together.delete(service);
    const before = this.#wards;
    this.#wards = wards;
    for (const [key, ward] of before) if (wards.get(key) !== ward) this.#letGo(ward);
    this.#real = new Map();
    this.#judged.clear();
    for (const ward of wards.values()) {
      if (ward.kind !== 'real') continue;
      const mine = this.#real.get(ward.service);
      if (mine) mine.push(ward);
      else this.#real.set(ward.service, [ward]);
    }
    this.#waiting = [...wards.values()].filter(ward => !ward.running).sort((one, other) => dueAt(one) - dueAt(other));
    this.#files.sweep();
    this.#pump();
  }

  /** The first checks, spread from now on. */
  begin(): void {
    const { clock, random } = this.#options;
    this.#isHeld = false;
    for (const ward of this.#wards.values()) ward.nanny = newNanny(paceOf(ward), clock.now(), random());
    this.#waiting.sort((one, other) => dueAt(one) - dueAt(other));
    this.#pump();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#nextTurn);
    for (const ward of this.#wards.values()) ward.running?.abort.abort();
    await Promise.all(this.#checks);
  }

  #letGo(ward: Ward): void {
    ward.running?.abort.abort();
    const { kind, service, server, nanny } = ward;
    if (kind === 'path' && isCondemned(nanny)) this.#options.log.event('VIP_PATH_OVER', { service, server });
  }

  #newWard(about: NewWard): Ward {
    const { clock, random } = this.#options;
    const nanny = newNanny(paceOf(about), clock.now(), random());
    return {
      origin: undefined,
      ...about,
      nanny,
      running: undefined,
      files: undefined,
      verdict: undefined,
      isCheckable: true,
    };
  }

  /**
   * New settings for a server that stays: what runs by the old ones is given up, the counts stay.
   */
  #resettle(ward: Ward, settings: ServiceConfig): Ward {
    const old = ward.settings;
    ward.settings = settings;
    if (this.#isSameService(old, settings)) return ward;
    if (!isDeepStrictEqual(checkFilesOf(old), checkFilesOf(settings))) ward.files = undefined;
    ward.running?.abort.abort();
    ward.nanny = sooner(ward.nanny, paceOf(ward), this.#options.clock.now());
    return ward;
  }

  /** But for the servers; compared once for all of them. */
  #isSameService(before: ServiceConfig, now: ServiceConfig): boolean {
    if (this.#compared?.before !== before || this.#compared.now !== now) {
      const { servers: _before, ...old } = before;
      const { servers: _now, ...fresh } = now;
      this.#compared = { before, now, isSame: isDeepStrictEqual(old, fresh) };
    }
    return this.#compared.isSame;
  }

  /** Begins what is due, unless a turn of the event loop waits that does it. */
  #pump(): void {
    if (!this.#isStopped && !this.#isHeld && this.#nextTurn === undefined) this.#beginDue(undefined);
  }

  /** The longest overdue first; what it leaves is for the next turn, or waits for a place. */
  #beginDue(turnMs: Ms | undefined): void {
    clearTimeout(this.#timer);
    const now = this.#options.clock.now();
    for (let left = mayBegin(this.#checks.size, turnMs); ; left -= 1) {
      // A ping that has no place yet keeps nobody behind it waiting; the end of another begins it.
      const index = this.#waiting.findIndex(one => !isPinged(one) || this.#pings < PINGS_AT_ONCE_MAX);
      const ward = this.#waiting[index];
      if (ward === undefined || !isDue(ward.nanny, now)) {
        const [first] = this.#waiting;
        this.#queuedSince = first && isDue(first.nanny, now) ? (this.#queuedSince ?? now) : undefined;
        if (ward) this.#timer = setTimeout(() => this.#pump(), Math.ceil(between(now, dueAt(ward))));
        return;
      }
      if (left <= 0) break;
      this.#waiting.splice(index, 1);
      this.#begin(ward, now);
    }
    this.#queuedSince ??= now;
    // The end of a running check pumps again.
    if (this.#checks.size >= CHECKS_AT_ONCE_MAX) return;
    this.#nextTurn = setImmediate(() => {
      this.#nextTurn = undefined;
      this.#beginDue(between(now, this.#options.clock.now()));
    });
  }

  #begin(ward: Ward, now: At): void {
    this.#noteLateness(ward, lateness(ward.nanny, now));
    ward.nanny = checkBegins(ward.nanny, now);
    const abort = new AbortController();
    const done = this.#checkWhole(ward, abort.signal).then(outcome => {
      this.#checks.delete(done);
      ward.running = undefined;
      // A server that left the config meanwhile has nobody to report to.
      if (this.#wards.get(keyOf(ward)) === ward && !this.#isStopped) {
        this.#end(ward, outcome);
        enqueue(this.#waiting, ward, dueAt);
      }
      this.#pump();
    });
    this.#checks.add(done);
    ward.running = { abort, done };
  }

  /** Of a real server; its script only once all else has passed. */
  async #checkWhole(ward: Ward, signal: AbortSignal): Promise<CheckOutcome> {
    const pings = isPinged(ward) ? 1 : 0;
    this.#pings += pings;
    const outcome = await this.#check(ward, signal);
    this.#pings -= pings;
    if (pings > 0) this.#pump();
    const { runScript } = this.#options;
    const { kind, service, server, settings } = ward;
    if (kind !== 'real' || settings.check.script === undefined || runScript === undefined) return outcome;
    if (outcome.type !== 'result' || !outcome.result.ok) return outcome;
    const answer = await runScript({ service, server }, signal);
    return signal.aborted ? { type: 'aborted' } : withScript(outcome.result, answer);
  }

  async #check(ward: Ward, signal: AbortSignal): Promise<CheckOutcome> {
    const { service, server, address, origin, settings } = ward;
    const { node, clock, checkPlain = runPlainCheck } = this.#options;
    const files = await this.#readFiles(ward);
    if (typeof files === 'string') return { type: 'impossible', reason: files };
    if (settings.kind !== 'ftp') {
      const plan = plainPlan(settings, { address, origin, as: PLAIN_AS[ward.kind], files });
      return checkPlain(plan, { now: clock.now, signal });
    }
    const patient = isPatient(ward.nanny);
    const plans = checkPlans(settings, { service, server, node, address, origin, ...files, patient });
    return this.#checkPorts(plans.map(PLANS[ward.kind]), settings.check.deadline, signal);
  }

  /** One after the other: their probe file has one name, and a server may limit its sessions. */
  async #checkPorts(
    plans: readonly CheckPlan[],
    deadlineMs: Ms | undefined,
    signal: AbortSignal,
  ): Promise<CheckOutcome> {
    const { clock, check = runCheck } = this.#options;
    const endsAt = after(clock.now(), deadlineMs ?? NO_DEADLINE_MS);
    const results: PortResult[] = [];
    for (const plan of plans) {
      const leftMs = between(clock.now(), endsAt);
      if (leftMs < DEADLINE_LEFT_MIN_MS) {
        results.push({ port: plan.controlPort, result: tooLate(deadlineMs ?? NO_DEADLINE_MS) });
        continue;
      }
      const outcome = await check(within(plan, ms(Math.floor(leftMs))), { now: clock.now, signal });
      if (outcome.type !== 'result') return outcome;
      results.push({ port: plan.controlPort, result: outcome.result });
    }
    return { type: 'result', result: resultOfPorts(results) };
  }

  /**
   * Files that a check needs; or why it cannot be made. Our own file is no reason to condemn a
   * server: what was read before is gone on with.
   */
  async #readFiles(ward: Ward): Promise<CheckFiles | string> {
    if (ward.kind === 'sorry') return NO_FILES;
    try {
      ward.files = await this.#files.read(checkFilesOf(ward.settings));
      return ward.files;
    } catch (error) {
      return ward.files ?? (error instanceof Error ? error.message : String(error));
    }
  }

  #end(ward: Ward, outcome: CheckOutcome): void {
    const { clock, log, onVerdict } = this.#options;
    const pace = paceOf(ward);
    const about = fieldsOf(ward);
    if (outcome.type !== 'result') {
      ward.nanny = checkAbandoned(ward.nanny, pace, clock.now());
      if (outcome.type === 'impossible' && ward.isCheckable && ward.kind !== 'path') {
        ward.isCheckable = false;
        log.event('SERVER_NOT_CHECKABLE', { ...about, reason: outcome.reason });
        if (isNeverChecked(ward)) onVerdict(this.#verdictOf(ward));
      }
      return;
    }
    if (!ward.isCheckable) log.event('SERVER_CHECKABLE', about);
    ward.isCheckable = true;
    const before = ward.nanny;
    const { next, effects } = checkEnds(before, pace, outcome.result, clock.now(), clock.wall());
    ward.nanny = next;
    if (ward.kind === 'path') logPathEffects(log, { ...about, source: ward.origin?.source ?? '' }, next, effects);
    else logEffects(log, about, pace, before, next, effects);
    const isAllChanged = ward.kind === 'real' && this.#judgeTogether(ward, before);
    if (isAllChanged || next.state !== before.state || next.alive !== before.alive) onVerdict(this.#verdictOf(ward));
  }

  /**
   * Looks at all servers of the service but the drained ones, which take no clients however well
   * they are; whether that changes which of them keep their weight. `was`: the nanny before this
   * check.
   */
  #judgeTogether({ service, settings, nanny: is }: Ward, was: Nanny): boolean {
    const drained = this.#drained.get(service) ?? [];
    const mine = (this.#real.get(service) ?? []).filter(({ server }) => !drained.includes(server));
    const before = this.#together.get(service);
    if (before === undefined && !mine.every(({ nanny }) => isFailing(nanny))) return false;
    // With many servers that fail most checks bring no news.
    if (this.#judged.has(service) && before?.sincePassing === undefined && isAlikeForAll(was, is)) return false;
    this.#judged.add(service);
    const next = together(before, new Map(mine.map(({ server, nanny }) => [server, nanny])), {
      onAllFailed: settings.on_all_failed,
      rise: settings.check.rise,
      roundMs: ms(settings.check.interval + longestCheckMs(settings)),
    });
    if (next) this.#together.set(service, next);
    else this.#together.delete(service);
    return !isDeepStrictEqual(before?.kept, next?.kept);
  }

  #noteLateness(ward: Ward, late: Ms): void {
    const { clock, log } = this.#options;
    const running = this.#checks.size;
    const { interval } = ward.settings.check;
    const queuedMs = this.#queuedSince === undefined ? 0 : between(this.#queuedSince, clock.now());
    // A queue that lasts is meant, not a moment in which this process did not run.
    if (queuedMs > interval && late > interval && !this.#isLate) {
      this.#isLate = true;
      log.event('CHECKS_LATE', { service: ward.service, server: ward.server, lateMs: Math.round(late), running });
    } else if (this.#isLate && this.#queuedSince === undefined && running < CHECKS_AT_ONCE_MAX / 2) {
      // Half the places free: the queue is gone for good, not only for a moment.
      this.#isLate = false;
      log.event('CHECKS_ON_TIME', { running });
    }
  }
}

/** What we lack ourselves is no reason to leave a server out that nobody has judged. */
function isNeverChecked({ nanny, isCheckable, settings }: Ward): boolean {
  return nanny.state === 'unknown' && !isCheckable && settings.on_all_failed === 'keep';
}

/** Its check is a ping. Through the VIP none is. */
function isPinged({ settings, kind }: Ward): boolean {
  return settings.kind !== 'ftp' && settings.check.type === 'icmp' && kind !== 'path';
}

function dueAt({ nanny }: Ward): At {
  return nanny.nextAt;
}

function keyOf({ service, server }: Pick<Ward, 'service' | 'server'>): string {
  return `${service}/${server}`;
}

function paceOf({ settings, origin }: Pick<NewWard, 'settings' | 'origin'>): Pace {
  const { check } = settings;
  const floor = (interval: Ms) => (origin?.ports ? ms(Math.max(interval, WAY_INTERVAL_MIN_MS)) : interval);
  const expiryWarnMs = 'tls_expiry_warn' in check ? check.tls_expiry_warn : ms(0);
  const conditions = { expiryWarnMs, slowWarn: check.slow_warn };
  return {
    intervalMs: floor(check.interval),
    intervalDownMs: check.interval_down && floor(check.interval_down),
    intervalChangingMs: check.interval_changing && floor(check.interval_changing),
    ...{ rise: check.rise, fall: check.fall, conditions },
  };
}

/** The plan, done by the deadline of the whole check. */
function within(plan: CheckPlan, leftMs: Ms): CheckPlan {
  return plan.timeoutMs <= leftMs ? plan : { ...plan, timeoutMs: leftMs };
}

/** No sign of life of its own: what the ports before it said decides. */
function tooLate(deadlineMs: Ms): CheckResult {
  const problem = `not checked: those before it took all of check.deadline, ${formatDuration(deadlineMs)}`;
  return { ok: false, stage: 'connect', life: 'none', tookMs: 0, problem, words: '' };
}

/** A port that comes or goes makes no other server. */
function hasPortOf(before: ServiceConfig, now: ServiceConfig): boolean {
  const ports = checkedPorts(now);
  return checkedPorts(before).some(port => ports.includes(port));
}

/** Where several ports are checked, the problem says at which. */
function fieldsOf({ service, server, address, settings }: Ward) {
  const [port, ...others] = checkedPorts(settings);
  const isOne = port !== undefined && others.length === 0;
  return { service, server, address: isOne ? hostPort(address, port) : address };
}
