// How many sessions and transfers each real server has, by the mirror of the kernel's table: an
// open control connection is a session, any other open connection of an FTP service a transfer.
// Bounded in time. Pure.
import type { At } from '../../units/duration.ts';
import { isInactive, type RawAddress } from './entry.ts';
import type { Mirror } from './mirror.ts';

export interface ServerLoad {
  readonly sessions: number;
  readonly transfers: number;
}

export const NO_LOAD: ServerLoad = { sessions: 0, transfers: 0 };

/** Some 20 ms of work. */
const LOOK_MAX = 200_000;

export function loadKey(mark: number, server: RawAddress): string {
  return `${mark} ${server}`;
}

/**
 * By `loadKey`; undefined: there are more connections than may be looked at. `controlPorts`: of the
 * FTP services, by mark.
 */
export function loadsOf(
  mirror: Pick<Mirror, 'cursor' | 'connections'>,
  controlPorts: ReadonlyMap<number, readonly number[]>,
  now: At,
): ReadonlyMap<string, ServerLoad> | undefined {
  if (mirror.connections > LOOK_MAX) return undefined;
  const loads = new Map<string, { sessions: number; transfers: number }>();
  for (const row of mirror.cursor('connections').next(LOOK_MAX, now)) {
    const ports = controlPorts.get(row.mark);
    if (ports === undefined || isInactive(row)) continue;
    const key = loadKey(row.mark, row.server);
    const load = loads.get(key) ?? { sessions: 0, transfers: 0 };
    if (ports.includes(row.virtualPort)) load.sessions += 1;
    else load.transfers += 1;
    loads.set(key, load);
  }
  return loads;
}
