// What becomes of single addresses: vipd's word that one has no place here, was refused, or is in.
// An owner asks at once for what it can hold now, within its term; one that can hold nothing lets
// go. Pure.
import type { VipdMessage } from '../../../vip/protocol.ts';
import { addressesToClaim, addressesToHold, refused, whyNotHeld, whyNothingToHold } from '../beliefs/holdable.ts';
import { holdsBack } from '../beliefs/peer-may-take.ts';
import type { AddressView } from '../known.ts';
import type { Machine } from '../machine.ts';
import { becomeStandby, endPause, giveUp, renew, sendNow } from '../moves.ts';
import { report, setCondition, type Turn, update } from '../step-context.ts';

export function hearPlace(turn: Turn, { index, state }: VipdMessage & { type: 'place' }): void {
  const before = turn.machine.addresses[index];
  if (!before || before.place === state) return;
  const refusal = isTried(turn, index) ? before.refusal : undefined;
  setAddress(turn, index, { place: state, refusal, here: before.here && state === 'here' });
  if (state === 'here') endPause(turn);
  adjust(turn);
}

export function hearDenied(turn: Turn, { index, text }: VipdMessage & { type: 'denied' }): void {
  const { addresses, settings } = turn.machine;
  const before = addresses[index];
  if (!before) return;
  setAddress(turn, index, refused(before, text, settings, turn.now));
  // A claim is answered as a whole.
  adjust(turn);
}

export function hearAdded(turn: Turn, { index }: VipdMessage & { type: 'added' | 'repaired' }): void {
  const before = turn.machine.addresses[index];
  if (!before) return;
  setAddress(turn, index, { ...before, refusal: undefined, here: true });
  adjust(turn);
}

/** A claim is held: these addresses are in the kernel, and no others. */
export function noteClaimed(turn: Turn, claimed: readonly number[]): void {
  update(turn, {
    addresses: turn.machine.addresses.map((view, index) =>
      claimed.includes(index) ? { ...view, refusal: undefined, here: true } : { ...view, here: false },
    ),
  });
  tellUnheld(turn);
}

/** vipd is asked for this address still: it tries by itself, and tells a refusal once. */
function isTried({ machine: { state, lease } }: Turn, index: number): boolean {
  // safeguard: vipd-tells-once
  return 'epoch' in state && lease.asked.includes(index);
}

/**
 * A link or an own address has changed: what the kernel refused there before says nothing any more,
 * unless vipd tries it anyway.
 */
export function forgetRefusals(turn: Turn, about: (index: number) => boolean): void {
  const { addresses } = turn.machine;
  const stale = addresses.map(({ refusal }, index) => refusal !== undefined && about(index) && !isTried(turn, index));
  if (!stale.includes(true)) return;
  update(turn, {
    addresses: addresses.map((view, index) => (stale[index] ? { ...view, refusal: undefined } : view)),
  });
  tellUnheld(turn);
  adjust(turn);
}

/** Time passes: a refusal may be so old that it is forgotten. */
export function tickHolding(turn: Turn): void {
  if (turn.machine.addresses.some(({ refusal }) => refusal !== undefined)) tellUnheld(turn);
  letGoOfNothing(turn);
}

function setAddress(turn: Turn, index: number, view: AddressView): void {
  update(turn, { addresses: turn.machine.addresses.map((old, i) => (i === index ? view : old)) });
  tellUnheld(turn);
}

function tellUnheld(turn: Turn): void {
  for (const index of turn.machine.addresses.keys()) {
    const why = whyNotHeld(turn.machine, index, turn.now);
    const code = why === undefined ? 'VIP_CAN_BE_HELD' : 'VIP_CANNOT_BE_HELD';
    const fields = why === undefined ? { address: index } : { address: index, why };
    setCondition(turn, `unheld-${index}`, why !== undefined, code, fields);
  }
}

/** vipd is to hold something else than it was asked for last; the peer is to hear of it at once. */
function adjust(turn: Turn): void {
  const { machine, now } = turn;
  const { state, vipdLostAt } = machine;
  if (state.role !== 'active' || letGoOfNothing(turn)) return;
  const changed = !asksFor(machine, addressesToHold(machine, now));
  if (!changed || vipdLostAt !== undefined || holdsBack(machine, now)) return;
  renew(turn, state.epoch);
}

/** An owner of nothing would keep the addresses from a peer that can hold some. */
function letGoOfNothing(turn: Turn): boolean {
  const { state } = turn.machine;
  const why = whyNothingToHold(turn.machine, turn.now);
  if (state.role !== 'active' || why === undefined) return false;
  giveUp(turn, state.epoch, true);
  becomeStandby(turn, why, true);
  sendNow(turn);
  return true;
}

/** After a refusal: what is left to be claimed, if that is not what was just refused. */
export function canClaimLess({ machine, now }: Turn): boolean {
  const rest = addressesToClaim(machine, now);
  return rest.length > 0 && !asksFor(machine, rest);
}

function asksFor({ lease: { asked } }: Machine, addresses: readonly number[]): boolean {
  return asked.length === addresses.length && addresses.every((index, i) => asked[i] === index);
}

export function hearRepaired(turn: Turn, message: VipdMessage & { type: 'repaired' }): void {
  report(turn, 'VIP_REPAIRED', { address: message.index });
  hearAdded(turn, message);
}
