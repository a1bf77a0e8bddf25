// How soon what others change is put right again: at once at first, later and later when it goes
// on, because two programs that undo each other are worse than one that has lost. Pure: time in,
// the next state out.
import { type At, between, type Ms, ms } from '../units/duration.ts';

export interface DriftWatch {
  /** Repairs in a row, none of them CALM_MS after the one before. */
  readonly repairs: number;
  readonly repairedAt: At | undefined;
  readonly alarmed: boolean;
}

export const NO_DRIFT: DriftWatch = { repairs: 0, repairedAt: undefined, alarmed: false };

/** Made at once: somebody reloads a firewall, twice. */
const FREE_REPAIRS = 3;
const PAUSE_MS_FIRST = 1_000;
const PAUSE_MS_MAX = 30_000;
/** Longer than the longest pause, or the row would never grow. */
export const CALM_MS = ms(60_000);

/** The least time between the last repair and the next one. */
export function pauseMs({ repairs }: DriftWatch): Ms {
  return ms(repairs < FREE_REPAIRS ? 0 : Math.min(PAUSE_MS_MAX, PAUSE_MS_FIRST * 2 ** (repairs - FREE_REPAIRS)));
}

export function mayRepair(watch: DriftWatch, now: At): boolean {
  return watch.repairedAt === undefined || between(watch.repairedAt, now) >= pauseMs(watch);
}

/** After changes of others were undone. */
export function repaired(watch: DriftWatch, now: At): DriftWatch {
  const repairs = isCalm(watch, now) ? 1 : watch.repairs + 1;
  return { repairs, repairedAt: now, alarmed: repairs >= FREE_REPAIRS };
}

/** The watch as time goes by. */
export function settled(watch: DriftWatch, now: At): DriftWatch {
  return isCalm(watch, now) ? NO_DRIFT : watch;
}

function isCalm({ repairedAt }: DriftWatch, now: At): boolean {
  return repairedAt === undefined || between(repairedAt, now) >= CALM_MS;
}
