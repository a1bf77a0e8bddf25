// Runs the nannies of all services: one timer, a bounded number of checks at once, never two of one
// server. What results mean is decided in ../nanny.ts and ../together.ts. Not pure: timer, sockets
// (ftp-check.ts), password files, log.
import { isDeepStrictEqual } from 'node:util';
import type { Config, ServiceConfig } from '../../config/schema.ts';
import type { Log } from '../../log/log.ts';
import { type Address, hostPort } from '../../units/address.ts';
import { type At, after, between, type Ms, ms } from '../../units/duration.ts';
import { monotonicNow, wallTime } from '../../units/io/clocks.ts';
import { ANONYMOUS_PASSWORD, checkPlan } from '../ftp-rules.ts';
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
  verdictOf,
} from '../nanny.ts';
import { type Together, together } from '../together.ts';
import type { Verdict } from '../verdict.ts';
import { type CheckOutcome, runCheck } from './ftp-check.ts';
import { readPassword } from './password.ts';
import { logEffects } from './verdict-report.ts';

/**
 * Checks that run at once. Each holds at most two sockets; the rest waits its turn, the longest
 * overdue first.
 */
export const CHECKS_AT_ONCE_MAX = 32;

interface NannyClock {
  /** Monotonic. */
  readonly now: () => At;
  /** Wall time for people, ISO 8601. */
  readonly wall: () => string;
}

export const systemClock: NannyClock = { now: monotonicNow, wall: wallTime };

interface NanniesOptions {
  readonly config: Pick<Config, 'services'>;
  readonly clock: NannyClock;
  readonly log: Log;
  /**
   * Called when what a verdict means for clients changes; {@link Nannies.verdicts} has the results
   * in between.
   */
  readonly onVerdict: (verdict: Verdict) => void;
  /** 0 to below 1; spreads the first checks. */
  readonly random: () => number;
  /** How a server is checked; absent: over the network. */
  readonly check?: typeof runCheck;
}

export interface Nannies {
  /** One for each server of the config, in its order. */
  verdicts(): Verdict[];
  /** One for each server that is watched while it drains; its name is its address. */
  leaving(): Verdict[];
  /**
   * Servers that have left their service and still have connections: watched until they are done,
   * replaced as a whole.
   */
  watchLeaving(servers: ReadonlyMap<string, readonly Address[]>): void;
  /**
   * Takes over a new config. A server at the same address and port keeps its state and counts,
   * whatever else changed.
   */
  update(config: Pick<Config, 'services'>): void;
  /** Gives up running checks; resolves when their sockets are closed. */
  stop(): Promise<void>;
}

/** One real server in the care of its nanny. */
interface Ward {
  readonly service: string;
  readonly server: string;
  readonly address: Address;
  settings: ServiceConfig;
  nanny: Nanny;
  running: { readonly abort: AbortController; readonly done: Promise<void> } | undefined;
  /** The password as last read: what a check goes on with when the file is gone. */
  password: string | undefined;
  isCheckable: boolean;
  /** It has left the config and only drains. */
  readonly isLeaving: boolean;
}

export function startNannies(options: NanniesOptions): Nannies {
  const set = new NannySet(options);
  set.update(options.config);
  return set;
}

class NannySet implements Nannies {
  readonly #options: NanniesOptions;
  #wards = new Map<string, Ward>();
  #services: Config['services'] = {};
  /**
   * Settings of services that have left the config, for those of their servers that drain; which do
   * is known later.
   */
  #formerServices: Config['services'] = {};
  #leaving: ReadonlyMap<string, readonly Address[]> = new Map();
  readonly #together = new Map<string, Together>();
  /** All checks that run, also those of servers that are no longer in the config. */
  readonly #checks = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  /** Whether the last pump left a due check waiting for a place. */
  #isQueued = false;
  #isLate = false;
  #isStopped = false;

  constructor(options: NanniesOptions) {
    this.#options = options;
  }

  verdicts(): Verdict[] {
    return [...this.#wards.values()].filter(ward => !ward.isLeaving).map(ward => this.#verdictOf(ward));
  }

  leaving(): Verdict[] {
    return [...this.#wards.values()].filter(ward => ward.isLeaving).map(ward => this.#verdictOf(ward));
  }

  #verdictOf(ward: Ward): Verdict {
    const { service, server, nanny, isLeaving } = ward;
    const kept = this.#together.get(service)?.kept.has(server) === true || isNeverChecked(ward);
    return verdictOf(service, server, nanny, kept && !isLeaving);
  }

  watchLeaving(servers: ReadonlyMap<string, readonly Address[]>): void {
    if (isDeepStrictEqual(servers, this.#leaving)) return;
    this.#leaving = servers;
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
    const keep = (service: string, server: string, address: Address, settings: ServiceConfig, isLeaving: boolean) => {
      const key = keyOf({ service, server });
      const before = this.#wards.get(key);
      const isSame = before?.address === address && before.settings.control_port === settings.control_port;
      const ward = isSame ? this.#resettle(before, settings) : undefined;
      wards.set(key, ward ?? this.#newWard({ service, server, address, settings, isLeaving }));
    };
    for (const [service, settings] of Object.entries(this.#services)) {
      for (const [server, { address }] of Object.entries(settings.servers))
        keep(service, server, address, settings, false);
    }
    for (const [service, addresses] of this.#leaving) {
      const settings = this.#services[service] ?? this.#formerServices[service];
      // After a restart of the director nobody knows how a service was checked that is gone: then
      // only the deadline ends it.
      if (settings === undefined) continue;
      for (const address of addresses) keep(service, address, address, settings, true);
    }
    for (const service of this.#together.keys()) if (!this.#services[service]) this.#together.delete(service);
    const before = this.#wards;
    this.#wards = wards;
    for (const [key, ward] of before) if (wards.get(key) !== ward) ward.running?.abort.abort();
    this.#pump();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    for (const ward of this.#wards.values()) ward.running?.abort.abort();
    await Promise.all(this.#checks);
  }

  #newWard(about: Pick<Ward, 'service' | 'server' | 'address' | 'settings' | 'isLeaving'>): Ward {
    const { clock, random } = this.#options;
    const nanny = newNanny(paceOf(about.settings), clock.now(), random());
    return { ...about, nanny, running: undefined, password: undefined, isCheckable: true };
  }

  /**
   * New settings for a server that stays: what runs by the old ones is given up, the counts stay.
   */
  #resettle(ward: Ward, settings: ServiceConfig): Ward {
    const { servers: _before, ...old } = ward.settings;
    const { servers: _now, ...fresh } = settings;
    ward.settings = settings;
    if (isDeepStrictEqual(old, fresh)) return ward;
    if (old.check.password_file !== fresh.check.password_file) ward.password = undefined;
    ward.running?.abort.abort();
    const latest = after(this.#options.clock.now(), fresh.check.interval);
    ward.nanny = { ...ward.nanny, nextAt: Math.min(ward.nanny.nextAt, latest) as At };
    return ward;
  }

  /** Begins what is due, longest overdue first, and sets the timer for what comes next. */
  #pump(): void {
    clearTimeout(this.#timer);
    if (this.#isStopped) return;
    const now = this.#options.clock.now();
    const waiting = [...this.#wards.values()].filter(ward => !ward.running);
    waiting.sort((one, other) => one.nanny.nextAt - other.nanny.nextAt);
    for (const ward of waiting) {
      if (!isDue(ward.nanny, now)) {
        this.#timer = setTimeout(() => this.#pump(), Math.ceil(between(now, ward.nanny.nextAt)));
        break;
      }
      if (this.#checks.size >= CHECKS_AT_ONCE_MAX) {
        // The end of a running check pumps again.
        this.#isQueued = true;
        return;
      }
      this.#begin(ward, now);
    }
    this.#isQueued = false;
  }

  #begin(ward: Ward, now: At): void {
    this.#noteLateness(ward, lateness(ward.nanny, now));
    ward.nanny = checkBegins(ward.nanny, now);
    const abort = new AbortController();
    const done = this.#check(ward, abort.signal).then(outcome => {
      this.#checks.delete(done);
      ward.running = undefined;
      // A server that left the config meanwhile has nobody to report to.
      if (this.#wards.get(keyOf(ward)) === ward && !this.#isStopped) this.#end(ward, outcome);
      this.#pump();
    });
    this.#checks.add(done);
    ward.running = { abort, done };
  }

  async #check(ward: Ward, signal: AbortSignal): Promise<CheckOutcome> {
    const file = ward.settings.check.password_file;
    let password = ANONYMOUS_PASSWORD;
    if (file !== undefined) {
      try {
        password = await readPassword(file);
        ward.password = password;
      } catch (error) {
        // Our own file is no reason to condemn a server: go on with what was read before, or do not
        // judge.
        const reason = error instanceof Error ? error.message : String(error);
        if (ward.password === undefined) return { type: 'impossible', reason };
        password = ward.password;
      }
    }
    const { clock, check = runCheck } = this.#options;
    const plan = checkPlan(ward.settings, ward.address, password, isPatient(ward.nanny));
    return check(plan, { now: clock.now, signal });
  }

  #end(ward: Ward, outcome: CheckOutcome): void {
    const { clock, log, onVerdict } = this.#options;
    const pace = paceOf(ward.settings);
    const about = fieldsOf(ward);
    if (outcome.type !== 'result') {
      ward.nanny = checkAbandoned(ward.nanny, pace, clock.now());
      if (outcome.type === 'impossible' && ward.isCheckable) {
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
    logEffects(log, about, pace, before, next, effects);
    const isAllChanged = !ward.isLeaving && this.#judgeTogether(ward);
    if (isAllChanged || next.state !== before.state || next.alive !== before.alive) onVerdict(this.#verdictOf(ward));
  }

  /** Looks at all servers of the service; whether that changes which of them keep their weight. */
  #judgeTogether({ service, settings }: Ward): boolean {
    const mine = [...this.#wards.values()].filter(ward => ward.service === service && !ward.isLeaving);
    const before = this.#together.get(service);
    const next = together(before, new Map(mine.map(({ server, nanny }) => [server, nanny])), {
      onAllFailed: settings.on_all_failed,
      rise: settings.check.rise,
      roundMs: ms(settings.check.interval + settings.check.timeout),
    });
    if (next) this.#together.set(service, next);
    else this.#together.delete(service);
    return !isDeepStrictEqual(before?.kept, next?.kept);
  }

  #noteLateness(ward: Ward, late: Ms): void {
    const { log } = this.#options;
    const running = this.#checks.size;
    // Only a queue is meant: when this process itself was late, more places would not help.
    if (this.#isQueued && late > ward.settings.check.interval && !this.#isLate) {
      this.#isLate = true;
      log.event('CHECKS_LATE', { service: ward.service, server: ward.server, lateMs: Math.round(late), running });
    } else if (this.#isLate && running < CHECKS_AT_ONCE_MAX / 2) {
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

function keyOf({ service, server }: Pick<Ward, 'service' | 'server'>): string {
  return `${service}/${server}`;
}

function paceOf({ check }: ServiceConfig): Pace {
  return { intervalMs: check.interval, rise: check.rise, fall: check.fall };
}

function fieldsOf(ward: Ward) {
  const address = hostPort(ward.address, ward.settings.control_port);
  return { service: ward.service, server: ward.server, address };
}
