// Runs the nannies of all services: one timer, a bounded number of checks at once, never two of one server. What results mean is
// decided in ../nanny.ts. Not pure: timer, sockets (check.ts), password files, log.
import { isDeepStrictEqual } from 'node:util';
import type { Config, ServiceConfig } from '../../config/schema.ts';
import type { Log } from '../../log/log.ts';
import { type Address, hostPort } from '../../units/address.ts';
import { type At, after, between, type Ms } from '../../units/duration.ts';
import {
  checkAbandoned,
  checkBegins,
  checkEnds,
  isDue,
  lateness,
  type Nanny,
  newNanny,
  type Pace,
  verdictOf,
} from '../nanny.ts';
import { ANONYMOUS_PASSWORD, checkPlan } from '../rules.ts';
import type { Verdict } from '../verdict.ts';
import { type CheckOutcome, runCheck } from './check.ts';
import { readPassword } from './password.ts';
import { logEffects } from './report.ts';

/** Checks that run at once. Each holds at most two sockets; the rest waits its turn, the longest overdue first. */
export const CHECKS_AT_ONCE_MAX = 32;

export interface NannyClock {
  /** Monotonic. */
  readonly now: () => At;
  /** Wall time for people, ISO 8601. */
  readonly wall: () => string;
}

export const systemClock: NannyClock = {
  now: () => (Number(process.hrtime.bigint()) / 1e6) as At,
  wall: () => new Date().toISOString(),
};

export interface NanniesOptions {
  readonly config: Pick<Config, 'services'>;
  readonly clock: NannyClock;
  readonly log: Log;
  /** Called when the state of a server changes; {@link Nannies.verdicts} has the results in between. */
  readonly onVerdict: (verdict: Verdict) => void;
  /** 0 to below 1; spreads the first checks. */
  readonly random: () => number;
  /** How a server is checked; absent: over the network. */
  readonly check?: typeof runCheck;
}

export interface Nannies {
  /** One for each server of the config, in its order. */
  verdicts(): Verdict[];
  /** Takes over a new config. A server at the same address and port keeps its state and counts, whatever else changed. */
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
}

export function startNannies(options: NanniesOptions): Nannies {
  const set = new NannySet(options);
  set.update(options.config);
  return set;
}

class NannySet implements Nannies {
  readonly #options: NanniesOptions;
  #wards = new Map<string, Ward>();
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
    return [...this.#wards.values()].map(({ service, server, nanny }) => verdictOf(service, server, nanny));
  }

  update(config: Pick<Config, 'services'>): void {
    const wards = new Map<string, Ward>();
    for (const [service, settings] of Object.entries(config.services)) {
      for (const [server, { address }] of Object.entries(settings.servers)) {
        const key = `${service}/${server}`;
        const before = this.#wards.get(key);
        const isSame = before?.address === address && before.settings.control_port === settings.control_port;
        wards.set(key, isSame ? this.#resettle(before, settings) : this.#newWard(service, server, address, settings));
      }
    }
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

  #newWard(service: string, server: string, address: Address, settings: ServiceConfig): Ward {
    const { clock, random } = this.#options;
    const nanny = newNanny(paceOf(settings), clock.now(), random());
    return { service, server, address, settings, nanny, running: undefined, password: undefined, isCheckable: true };
  }

  /** New settings for a server that stays: what runs by the old ones is given up, the counts stay. */
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
      if (this.#wards.get(`${ward.service}/${ward.server}`) === ward && !this.#isStopped) this.#end(ward, outcome);
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
        // Our own file is no reason to condemn a server: go on with what was read before, or do not judge.
        const reason = error instanceof Error ? error.message : String(error);
        if (ward.password === undefined) return { type: 'impossible', reason };
        password = ward.password;
      }
    }
    const { clock, check = runCheck } = this.#options;
    return check(checkPlan(ward.settings, ward.address, password), { now: clock.now, signal });
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
      }
      return;
    }
    if (!ward.isCheckable) log.event('SERVER_CHECKABLE', about);
    ward.isCheckable = true;
    const before = ward.nanny;
    const { next, effects } = checkEnds(before, pace, outcome.result, clock.now(), clock.wall());
    ward.nanny = next;
    logEffects(log, about, pace, before, next, effects);
    if (next.state !== before.state) onVerdict(verdictOf(ward.service, ward.server, next));
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

function paceOf({ check }: ServiceConfig): Pace {
  return { intervalMs: check.interval, rise: check.rise, fall: check.fall };
}

function fieldsOf(ward: Ward) {
  const address = hostPort(ward.address, ward.settings.control_port);
  return { service: ward.service, server: ward.server, address };
}
