// When the next snapshot is saved, and by whom: at every tick of the schedule, and soon after the
// table changed, but so seldom that saving never takes more than a twentieth of the time; after
// failures ever less often. Pure: time is an argument.

import type { StoreStatus, SyncRole } from '../../status/sync-status.ts';
import { type At, after, between, type Ms, ms } from '../../units/duration.ts';

/** Between the end of a save and the next one, at least. */
const SAVE_GAP: Ms = ms(2_000);
/** A save that a change asks for waits this many times as long as the last one took. */
const SAVE_GAP_FACTOR = 20;
/** Failures in a row double the wait up to this. */
const RETRY_MAX: Ms = ms(60_000);
/** The last save, when the director stops. */
export const FINAL_SAVE: Ms = ms(3_000);

export interface SaverState {
  /** Membership version of the table that the store has, or had at the start. */
  readonly savedVersion: number;
  /** When the last attempt ended; undefined: there was none. */
  readonly endedAt: At | undefined;
  readonly tookMs: Ms;
  /** Failed attempts in a row. */
  readonly failures: number;
  /** The schedule asked for a save that has not begun. */
  readonly ticked: boolean;
}

export function saverFrom(version: number): SaverState {
  return { savedVersion: version, endedAt: undefined, tookMs: ms(0), failures: 0, ticked: false };
}

/** The instant from which a save may begin; undefined: nothing asks for one. */
export function dueAt(state: SaverState, version: number, now: At): At | undefined {
  const changed = version !== state.savedVersion;
  if (!changed && !state.ticked) return undefined;
  if (state.endedAt === undefined) return now;
  const pace = state.ticked ? SAVE_GAP : ms(Math.max(SAVE_GAP, SAVE_GAP_FACTOR * state.tookMs));
  const wait = Math.max(pace, retryMs(state.failures));
  return after(state.endedAt, ms(wait));
}

/** How long a failure is slept over. */
export function retryMs(failures: number): Ms {
  return ms(failures === 0 ? 0 : Math.min(RETRY_MAX, SAVE_GAP * 2 ** (failures - 1)));
}

export function ticked(state: SaverState): SaverState {
  return { ...state, ticked: true };
}

/** A save begins: what the schedule asked for until now is done with it. */
export function begun(state: SaverState): SaverState {
  return { ...state, ticked: false };
}

/** The save that began at `beganAt`, of the table as it was in `version`, has ended. */
export function ended(
  state: SaverState,
  attempt: { readonly ok: boolean; readonly version: number; readonly beganAt: At; readonly now: At },
): SaverState {
  const { ok, version, beganAt, now } = attempt;
  return {
    ...state,
    savedVersion: ok ? version : state.savedVersion,
    endedAt: now,
    tookMs: between(beganAt, now),
    failures: ok ? 0 : state.failures + 1,
    // What could not be saved is still wanted, even when the table does not change any more.
    ticked: state.ticked || !ok,
  };
}

/**
 * Who saves. A file is each router's own: the owner, and the other one once it has all that the
 * owner has, so that it does not replace a whole snapshot by half a table. Redis is shared: the
 * owner alone, or a router whose peer is not there to do it.
 */
export function mayPersist(
  type: StoreStatus['type'],
  { role, warm, alone }: { readonly role: SyncRole; readonly warm: boolean; readonly alone: boolean },
): boolean {
  if (type === 'none') return false;
  if (role === 'source' || alone) return true;
  return type === 'file' && role === 'sink' && warm;
}
