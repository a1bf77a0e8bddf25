// Has the scripts of fitness.checks run by tandem-runner, each at its interval, and keeps what they
// say. What that means is decided in ../fitness-check.ts. Not pure: timers, the runner's socket,
// log.
import { isDeepStrictEqual } from 'node:util';
import { scriptDigest, scriptOf } from '../../config/check-script.ts';
import type { Config } from '../../config/schema.ts';
import type { Log } from '../../log/log.ts';
import { askRunner } from '../../runner/io/ask-runner.ts';
import type { RunAnswer } from '../../runner/runner-message.ts';
import { type At, after, between, ms } from '../../units/duration.ts';
import {
  type FitnessCheck,
  type FitnessCheckConfig,
  type FitnessEffect,
  type FitnessReport,
  fitnessAfter,
  fitnessReport,
  NEW_FITNESS_CHECK,
} from '../fitness-check.ts';

/** A check without a verdict is made again this soon, so that a starting router knows early. */
const FIRST_PAUSE_MS = 1_000;
/** Least pause after a run that took longer than the interval. */
const PAUSE_MIN_MS = 100;

interface FitnessChecksOptions {
  readonly config: Pick<Config, 'fitness' | 'services'>;
  readonly node: string;
  readonly log: Log;
  /** Where the runner listens. */
  readonly socketPath: string;
  readonly now: () => At;
  /** Wall time for people, ISO 8601. */
  readonly wall: () => string;
  /** A state has changed. */
  readonly onChange: () => void;
  /** How the runner is asked; absent: over its socket. */
  readonly ask?: typeof askRunner;
}

export interface FitnessChecks {
  reports(): FitnessReport[];
  /** A check that stays keeps its state and counts. */
  update(config: Pick<Config, 'fitness' | 'services'>): void;
  /** Gives up what runs. */
  stop(): void;
}

interface Ward {
  readonly name: string;
  settings: FitnessCheckConfig;
  check: FitnessCheck;
  timer: NodeJS.Timeout | undefined;
  abort: AbortController;
}

export function startFitnessChecks(options: FitnessChecksOptions): FitnessChecks {
  const set = new FitnessSet(options);
  set.update(options.config);
  return set;
}

class FitnessSet implements FitnessChecks {
  readonly #options: FitnessChecksOptions;
  #config: Pick<Config, 'fitness' | 'services'>;
  #wards = new Map<string, Ward>();

  constructor(options: FitnessChecksOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  reports(): FitnessReport[] {
    return [...this.#wards.values()].map(({ name, check }) => fitnessReport(name, check));
  }

  update(config: Pick<Config, 'fitness' | 'services'>): void {
    this.#config = config;
    const before = this.#wards;
    this.#wards = new Map();
    for (const [name, settings] of Object.entries(config.fitness.checks)) {
      const known = before.get(name);
      before.delete(name);
      const ward = known ?? {
        ...{ name, settings, check: NEW_FITNESS_CHECK, timer: undefined, abort: new AbortController() },
      };
      this.#wards.set(name, ward);
      if (known !== undefined && isDeepStrictEqual(known.settings, settings)) continue;
      ward.settings = settings;
      this.#giveUp(ward);
      void this.#run(ward);
    }
    for (const ward of before.values()) this.#letGo(ward);
  }

  stop(): void {
    for (const ward of this.#wards.values()) this.#giveUp(ward);
    this.#wards.clear();
  }

  #giveUp(ward: Ward): void {
    clearTimeout(ward.timer);
    ward.abort.abort();
    ward.abort = new AbortController();
  }

  /** What was told of it ends. */
  #letGo(ward: Ward): void {
    const { log, onChange } = this.#options;
    this.#giveUp(ward);
    const { state, isUnknownTold } = ward.check;
    if (isUnknownTold) log.event('FITNESS_CHECK_JUDGED', { check: ward.name });
    if (state !== 'failing') return;
    log.event('FITNESS_CHECK_PASSED', { check: ward.name, from: state, checks: 0, tookMs: 0 });
    onChange();
  }

  async #run(ward: Ward): Promise<void> {
    const { node, socketPath, now, wall, ask = askRunner } = this.#options;
    const { signal } = ward.abort;
    const startedAt = now();
    const run = { type: 'fitness', check: ward.name } as const;
    const script = scriptOf(this.#config, node, run);
    if (script === undefined) return;
    const request = { run, digest: scriptDigest(script) };
    const answer = await ask(socketPath, request, { timeoutMs: script.timeoutMs, signal });
    if (signal.aborted) return;
    this.#take(ward, answer, wall());
    const isNew = ward.check.state === 'unknown' && !ward.check.isUnknownTold;
    const interval = isNew ? Math.min(ward.settings.interval, FIRST_PAUSE_MS) : ward.settings.interval;
    const pause = Math.max(PAUSE_MIN_MS, between(now(), after(startedAt, ms(interval))));
    ward.timer = setTimeout(() => void this.#run(ward), pause);
  }

  #take(ward: Ward, answer: RunAnswer, wall: string): void {
    const before = ward.check;
    const { next, effects } = fitnessAfter(before, ward.settings, answer, wall);
    ward.check = next;
    for (const effect of effects) this.#tell(ward.name, before, next, effect);
    if (effects.length > 0) this.#options.onChange();
  }

  #tell(check: string, { state: from }: FitnessCheck, { last, good, bad }: FitnessCheck, effect: FitnessEffect): void {
    const { log } = this.#options;
    const ended = last?.type === 'ended' ? last : undefined;
    const tookMs = ended?.tookMs ?? 0;
    const reason = last?.reason ?? '';
    switch (effect) {
      case 'failed':
        log.event('FITNESS_CHECK_FAILED', {
          check,
          from,
          checks: bad,
          problem: reason,
          output: ended?.output ?? '',
          tookMs,
        });
        return;
      case 'passed':
        log.event('FITNESS_CHECK_PASSED', { check, from, checks: good, tookMs });
        return;
      case 'unknown':
        log.event('FITNESS_CHECK_UNKNOWN', { check, from, reason });
        return;
      case 'judged':
        log.event('FITNESS_CHECK_JUDGED', { check });
        return;
    }
  }
}
