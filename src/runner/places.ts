// How many scripts run at once, and how many wait for a place. Pure: who begins is returned.

/** A router is not to be busy with its checks. */
export const AT_ONCE_MAX = 8;
export const WAITING_MAX = 64;
/** Of hooks, whose receivers may hang: no check waits for them. */
const HOOKS_AT_ONCE_MAX = 4;
const HOOKS_WAITING_MAX = 32;

export interface Places<T> {
  readonly atOnceMax: number;
  readonly waitingMax: number;
  readonly running: number;
  /** The longest waiting first. */
  readonly waiting: readonly T[];
}

export const NOBODY: Places<never> = { atOnceMax: AT_ONCE_MAX, waitingMax: WAITING_MAX, running: 0, waiting: [] };
export const NO_HOOK: Places<never> = { ...NOBODY, atOnceMax: HOOKS_AT_ONCE_MAX, waitingMax: HOOKS_WAITING_MAX };

/** `begins`: it has a place; `refused`: too many wait already; `waits`. */
export function takePlace<T>(
  places: Places<T>,
  one: T,
): { readonly next: Places<T>; readonly does: 'begins' | 'waits' | 'refused' } {
  if (places.running < places.atOnceMax) return { next: { ...places, running: places.running + 1 }, does: 'begins' };
  if (places.waiting.length >= places.waitingMax) return { next: places, does: 'refused' };
  return { next: { ...places, waiting: [...places.waiting, one] }, does: 'waits' };
}

/** One has ended: the longest waiting has its place. */
export function leavePlace<T>(places: Places<T>): { readonly next: Places<T>; readonly begins: T | undefined } {
  const [begins, ...waiting] = places.waiting;
  if (begins === undefined) return { next: { ...places, running: places.running - 1 }, begins };
  return { next: { ...places, waiting }, begins };
}

/** Who waited is gone. */
export function forget<T>(places: Places<T>, one: T): Places<T> {
  return { ...places, waiting: places.waiting.filter(other => other !== one) };
}
