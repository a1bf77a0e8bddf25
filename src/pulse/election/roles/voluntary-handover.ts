// When an owner hands over by itself: a LAN of the addresses is lost here and not at the peer, the
// peer can hold more of them or is fitter, automatic failback. Fitness ranks, it does not veto.
// Repeated changes wait longer each time, save for an escape from what is beyond doubt: what would
// be waited for is known to be of no use to anybody. Keeps R10 (docs/invariants.md). Pure.
import { ALL_LANS } from '../../../feed/fitness-number.ts';
import type { Reason } from '../../../feed/role-reason.ts';
import { type At, between, ms } from '../../../units/duration.ts';
import { COLD_PATIENCE_MS, FAILBACK_MS, HOLD_DOWN_MS, wishLasts, witnessedAfter } from '../../timing.ts';
import { saidTimes } from '../beliefs/changing-times.ts';
import { deadMs } from '../beliefs/deadlines.ts';
import { fitnessOf, moreChecksFail } from '../beliefs/fitness.ts';
import { peerHoldsFewer, peerHoldsMore, peerLacksUnits } from '../beliefs/holdable.ts';
import { type LanLoss, lanLostForSure } from '../beliefs/lan-health.ts';
import { whyPeerCannotTake, whyPeerIsCold } from '../beliefs/peer-heard.ts';
import { holdDownMs, withChange } from '../beliefs/recent-changes.ts';
import { pauses } from '../beliefs/retry.ts';
import type { Machine, State, Wish } from '../machine.ts';
import { type Turn, update, updateState } from '../step-context.ts';
import { type HandoverTerms, startHandover } from './handing-over.ts';

/** Time passes for the owner, or vipd has told of a link. */
export function considerHandover(turn: Turn, state: State & { role: 'active' }): void {
  const { machine, now } = turn;
  const { last } = machine.peer;
  if (!last || whyPeerCannotTake(machine, now) !== undefined) {
    return updateState(turn, state, { wish: undefined });
  }
  const served = between(state.activeAt, now);
  const lost = lanLostHereOnly(machine, now);
  if (lost !== undefined) {
    // A LAN that the peer has lost often is no refuge from a doubt; how often this router had to
    // leave says nothing of it.
    // safeguard: escape-at-once
    const damped = lost.beyondDoubt ? 0 : holdDownMs(machine.peerLostAt, ms(0), now);
    if (served < Math.max(deadMs(machine), damped)) return;
    return move(turn, `${lost.what}, not at the peer`, { flush: false, coldToo: true });
  }
  const why = wishOf(machine, now);
  const wish = why && { why, since: state.wish?.why === why ? state.wish.since : now };
  updateState(turn, state, { wish });
  if (!wish || between(wish.since, now) < wishLasts(deadMs(machine)) || served < keptMs(machine, wish.why, now)) return;
  fulfil(turn, wish);
}

/**
 * In this order two routers are compared everywhere, so that none hands over to the other for one
 * reason, and gets it back for another.
 */
function wishOf(machine: Machine, now: At): Wish['why'] | undefined {
  const fitter = (machine.peer.last?.fitness ?? 0) - fitnessOf(machine, now);
  // safeguard: peer-that-holds-more
  if (fitter >= 0 && peerHoldsMore(machine, now)) return 'more';
  if (fitter > 0) return 'fitter';
  if (fitter === 0 && !peerHoldsFewer(machine, now) && moreChecksFail(machine, now) > 0) return 'fitter';
  return wantsBack(machine, now) ? 'back' : undefined;
}

/** How long the role is kept before a wish moves it. What the peer has lost often is no refuge. */
function keptMs(machine: Machine, why: Wish['why'], now: At): number {
  switch (why) {
    case 'more':
      return Math.max(deadMs(machine), holdDownMs(machine.peerLostAt, ms(0), now));
    case 'fitter':
      return holdDownMs(machine.movedAt, HOLD_DOWN_MS, now);
    case 'back':
      return holdDownMs(machine.movedAt, FAILBACK_MS, now);
  }
}

function fulfil(turn: Turn, { why, since }: Wish): void {
  const coldToo = between(since, turn.now) >= COLD_PATIENCE_MS;
  switch (why) {
    case 'more':
      return move(turn, 'the peer can hold more of the VIPs', { flush: true, coldToo });
    case 'fitter':
      if (!peerJudgedSince(turn.machine, turn.now)) return;
      return move(turn, 'the peer is fitter', { flush: true, coldToo });
    case 'back':
      return move(turn, 'automatic failback to the higher priority', { flush: true, coldToo: false });
  }
}

/** Hands over without being told to, and remembers when. */
function move(turn: Turn, why: Reason, terms: HandoverTerms): void {
  if (pauses(turn.machine.handoverRetry, turn.now)) return;
  if (startHandover(turn, why, terms) !== undefined) return;
  update(turn, { movedAt: withChange(turn.machine.movedAt, turn.now) });
}

interface Lost {
  readonly what: LanLoss | `LAN ${string} is dead here`;
  /** The kernel's own word, not what is concluded from silence. */
  readonly beyondDoubt: boolean;
}

/**
 * What a LAN of the addresses has lost here although it is alive at the peer; undefined: nothing.
 */
function lanLostHereOnly(machine: Machine, now: At): Lost | undefined {
  const { last, heardAt } = machine.peer;
  if (!last || heardAt === undefined) return undefined;
  const lost = lanLostForSure(machine, now);
  // A doubt of the peer's about a LAN that is quiet, as we cannot speak there, does not keep us.
  if (lost !== undefined && (last.sound || last.fitness >= ALL_LANS)) return { what: lost, beyondDoubt: true };
  if (last.fitness < ALL_LANS) return undefined;
  for (const [lan, { name, vips }] of machine.settings.lans.entries()) {
    const health = machine.lanHealth[lan];
    // The peer must have had the time to see the same.
    const witnessed = health && between(health.signsSince, heardAt) > witnessedAfter(last.intervalMs);
    if (vips && health?.dead && health.signsDead && witnessed)
      return { what: `LAN ${name} is dead here`, beyondDoubt: false };
  }
  return undefined;
}

/**
 * Our servers or fitness checks failed long enough ago that the peer's word for its own comes from
 * checks that began later.
 */
function peerJudgedSince({ unfitSince, settings }: Machine, now: At): boolean {
  return unfitSince === undefined || between(unfitSince, now) >= settings.noticeMs;
}

/**
 * Automatic failback: the peer ranks higher, is as fit as we are, and its tables hold what ours
 * hold.
 */
function wantsBack(machine: Machine, now: At): boolean {
  const { last } = machine.peer;
  if (!last || !machine.settings.autoFailback || whyPeerIsCold(machine) !== undefined) return false;
  const isFit = last.fitness >= fitnessOf(machine, now) && moreChecksFail(machine, now) >= 0;
  const asGood = isFit && !peerLacksUnits(machine);
  return asGood && last.priority > saidTimes(machine).priority;
}
