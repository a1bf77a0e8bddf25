// A new config while pulse runs: what it takes at once, and how new times come into force without a
// moment in which the two routers reckon with different ones. Either router may reload at any time,
// or never. Keeps R1 to R4 (docs/invariants.md). Pure.
import { type At, after, between } from '../../../units/duration.ts';
import { oldLeaseLasts } from '../../timing.ts';
import { careful, saidOf, sameTimes, timesOf } from '../beliefs/changing-times.ts';
import { listenMs } from '../beliefs/deadlines.ts';
import type { Machine, Reloadable, Times } from '../machine.ts';
import { settingsWith } from '../replica.ts';
import { emit, report, type Turn, update } from '../step-context.ts';
import { sample } from './lan-signs.ts';

export function takeReload(turn: Turn, next: Reloadable): void {
  const { settings, change } = turn.machine;
  const { intervalMs, leaseMs, deadMs, priority, ...rest } = next;
  const wanted: Times = { intervalMs, leaseMs, deadMs, priority };
  update(turn, { settings: settingsWith(settings, rest) });
  if (sameTimes(wanted, change?.wanted ?? settings)) return;
  const now = careful(settings, wanted);
  const said = saidOf(change?.said ?? timesOf(settings), wanted);
  // Neither held nor said for another time: the packet lease stays as it is.
  const stays = now.leaseMs === wanted.leaseMs && said.leaseMs === wanted.leaseMs;
  const gate = stays ? { gateId: turn.machine.gateId, gatedAt: turn.now } : { gateId: undefined, gatedAt: undefined };
  setTimes(turn, now, { wanted, said, since: turn.now, ...gate });
  // The peer is to hear of it at once.
  update(turn, { heartbeatDueAt: Math.min(turn.machine.heartbeatDueAt, turn.now) as At });
  tickReload(turn);
}

function setTimes(turn: Turn, times: Times, change: Machine['change']): void {
  const before = turn.machine.settings.intervalMs;
  update(turn, { settings: settingsWith(turn.machine.settings, times), change });
  if (times.intervalMs !== before && turn.machine.vipdLostAt === undefined) sample(turn);
}

/**
 * The rules of the packet lease are made for the lease that was asked for with this number, or
 * there are none.
 */
export function hearGated(turn: Turn, id: number): void {
  const { change } = turn.machine;
  if (change?.gateId === id) update(turn, { change: { ...change, gatedAt: turn.now } });
}

/** Goes one step further where the time has come. */
export function tickReload(turn: Turn): void {
  const { change, settings } = turn.machine;
  if (!change) return;
  const known = isKnown(turn.machine, change.since, turn.now);
  if (change.gateId === undefined) {
    // A longer packet lease outlives what a peer reckons with that has not heard of it.
    if (change.wanted.leaseMs > settings.leaseMs && !known) return;
    const gateId = turn.machine.gateId + 1;
    update(turn, { gateId, change: { ...change, gateId } });
    return emit(turn, { type: 'gate', id: gateId, leaseMs: change.wanted.leaseMs });
  }
  if (!known || change.gatedAt === undefined || turn.now < oldLeaseEndsAt(change.said, change, change.gatedAt)) return;
  setTimes(turn, change.wanted, undefined);
  const { intervalMs, leaseMs, deadMs, priority } = change.wanted;
  report(turn, 'TIMES_CHANGED', { intervalMs, leaseMs, deadMs, priority });
}

/**
 * The peer has echoed a heartbeat that says the new times. Or it has been silent for so long that
 * whatever it reckoned with is over, and listens anew when it comes back.
 */
function isKnown(machine: Machine, since: At, now: At): boolean {
  const { links, bootId, heardAt } = machine.peer;
  if (links.some(link => link.bootId === bootId && link.echoedAt !== undefined && link.echoedAt > since)) return true;
  return between(Math.max(heardAt ?? since, since) as At, now) >= listenMs(machine);
}

/**
 * No grant for the longer lease is left: not in vipd, and not in the kernel, whose rules opened for
 * that long until they were changed.
 */
function oldLeaseEndsAt(said: Times, { wanted, since }: { wanted: Times; since: At }, gatedAt: At): At {
  if (said.leaseMs <= wanted.leaseMs) return since;
  return after(Math.max(since, gatedAt) as At, oldLeaseLasts(said));
}
