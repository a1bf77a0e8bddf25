// When an owner hands over by itself: a LAN of the addresses is dead here and not at the peer, the peer is fitter, automatic failback.
// Fitness ranks, it does not veto; repeated changes wait longer each time. DESIGN.md invariant 10. Pure.
import { type At, between } from '../units/duration.ts';
import { beginHandover, type HandoverTerms } from './handover.ts';
import { deadMs, fitnessOf, whyPeerCannotTake, whyPeerIsCold } from './judgement.ts';
import { hasCarrier } from './lan-health.ts';
import type { Machine, State } from './machine.ts';
import { type Turn, update } from './turn.ts';

/** A router that has just become active keeps the role this long, unless its own links fail. */
const HOLD_DOWN_MS = 10_000;
/** Automatic failback waits this long. */
const FAILBACK_MS = 30_000;
/** Changes that this router made by itself within this time count; so many are free, each further one doubles the hold-down. */
const MOVES_WITHIN_MS = 600_000;
const FREE_MOVES = 2;
const MOVES_MAX = 16;
const HOLD_DOWN_MS_MAX = 300_000;
/**
 * A LAN that is dead here without a sign from the cable: the peer's heartbeat must be this much younger, in its intervals. A target that
 * dies is noticed by both routers within half an interval of each other (vipd samples it twice an interval); the rest is margin. More
 * would make the handover later than the dead time.
 */
const WITNESSED_INTERVALS = 1.5;
/**
 * A router that reaches no real server waits this long for a cold peer that does: after that, the sessions it would save have no
 * server to talk to, and a sync that never gets well must not keep new clients out.
 */
const COLD_PATIENCE_MS = 60_000;

/** Time passes for the owner, or vipd has told of a link. */
export function tickActive(turn: Turn, state: State & { role: 'active' }): void {
  const { machine, now } = turn;
  const { last } = machine.peer;
  if (!last || whyPeerCannotTake(machine, now) !== undefined) {
    if (state.fitterSince !== undefined) update(turn, { state: { ...state, fitterSince: undefined } });
    return;
  }
  const served = between(state.activeAt, now);
  const lost = lanLostHereOnly(machine);
  if (lost !== undefined) {
    if (served < Math.max(deadMs(machine), holdDownMs(machine, 0, now))) return;
    return move(turn, `${lost} here, not at the peer`, { flush: false, coldToo: true });
  }
  const fitter = last.fitness > fitnessOf(machine, now);
  if (!fitter && !wantsBack(machine, now)) return update(turn, { state: { ...state, fitterSince: undefined } });
  const since = state.fitterSince ?? now;
  update(turn, { state: { ...state, fitterSince: since } });
  const wished = between(since, now);
  if (wished < 2 * deadMs(machine) || served < holdDownMs(machine, fitter ? HOLD_DOWN_MS : FAILBACK_MS, now)) return;
  if (!fitter) return move(turn, 'automatic failback to the higher priority', { flush: true, coldToo: false });
  if (!peerJudgedSince(machine, now)) return;
  move(turn, 'the peer is fitter', { flush: true, coldToo: wished >= COLD_PATIENCE_MS });
}

/** Hands over without being told to, and remembers when. */
function move(turn: Turn, why: string, terms: HandoverTerms): void {
  if (beginHandover(turn, why, terms) !== undefined) return;
  const { movedAt } = turn.machine;
  const recent = movedAt.filter(at => between(at, turn.now) <= MOVES_WITHIN_MS);
  update(turn, { movedAt: [...recent, turn.now].slice(-MOVES_MAX) });
}

/** How long the role is kept before this router moves it again by itself: twice as long for each change of late. */
function holdDownMs({ movedAt }: Machine, baseMs: number, now: At): number {
  const recent = movedAt.filter(at => between(at, now) <= MOVES_WITHIN_MS).length;
  if (recent < FREE_MOVES) return baseMs;
  return Math.min(HOLD_DOWN_MS_MAX, HOLD_DOWN_MS * 2 ** (recent - FREE_MOVES + 1));
}

/** What a LAN of the addresses has lost here although it is alive at the peer; undefined: nothing. */
function lanLostHereOnly(machine: Machine): string | undefined {
  const { last, heardAt } = machine.peer;
  if (!last || last.fitness < 2 || heardAt === undefined) return undefined;
  for (const [lan, { name, vips }] of machine.settings.lans.entries()) {
    const health = machine.lanHealth[lan];
    if (!vips || !health?.dead || !health.signsDead) continue;
    if (!hasCarrier(machine, lan)) return `LAN ${name} has lost its carrier`;
    // The peer must have had the time to see the same.
    if (between(health.signsSince, heardAt) > last.intervalMs * WITNESSED_INTERVALS) return `LAN ${name} is dead`;
  }
  return undefined;
}

/** Our servers failed long enough ago that the peer's word for its own comes from checks that began later. */
function peerJudgedSince({ serversLostAt, settings }: Machine, now: At): boolean {
  return serversLostAt === undefined || between(serversLostAt, now) >= settings.noticeMs;
}

/** Automatic failback: the peer ranks higher, is as fit as we are, and its tables hold what ours hold. */
function wantsBack(machine: Machine, now: At): boolean {
  const { last } = machine.peer;
  if (!last || !machine.settings.autoFailback || whyPeerIsCold(machine) !== undefined) return false;
  return last.priority > machine.settings.priority && last.fitness >= fitnessOf(machine, now);
}
