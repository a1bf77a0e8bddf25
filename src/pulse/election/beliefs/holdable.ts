// Which units (src/config/units.ts) this router can hold, and which addresses it therefore asks
// vipd for: what can be served is served, and a unit is held as a whole or not at all. Facts are
// vipd's: whether an address has a place here, and what the kernel refused. Functions of the
// machine and the time only. Pure.
import type { Unit } from '../../../config/units.ts';
import type { Reason } from '../../../feed/role-reason.ts';
import { type At, between } from '../../../units/duration.ts';
import { PROMISE_MS } from '../../timing.ts';
import type { AddressView } from '../known.ts';
import type { Machine, Settings } from '../machine.ts';
import { afterFailure, NO_FAILURES, pauses } from './retry.ts';

export const UNKNOWN_ADDRESS: AddressView = { place: 'here', refusal: undefined, here: false };

export function refused(view: AddressView, text: string, settings: Settings, now: At): AddressView {
  const retry = afterFailure(view.refusal?.retry ?? NO_FAILURES, settings, now);
  return { ...view, here: false, refusal: { text, at: now, retry } };
}

/** What keeps this address from being held here, for people; undefined: nothing that is known. */
function obstacle({ settings, addresses }: Machine, index: number, now: At): string | undefined {
  const { place, refusal } = addresses[index] ?? UNKNOWN_ADDRESS;
  const name = settings.lans[settings.addressLans[index] ?? -1]?.interface ?? '';
  switch (place) {
    case 'no-interface':
      return `there is no interface ${name}`;
    case 'no-ipv6':
      return `IPv6 is off on ${name}: disable_ipv6 is set, or its MTU is below 1280`;
    case 'here':
      // safeguard: no-promise-after-refusal
      return refusal !== undefined && between(refusal.at, now) < PROMISE_MS ? refusal.text : undefined;
  }
}

/**
 * The units that this router can hold, as far as it knows: what its heartbeats say, and what it
 * claims.
 */
export function ableUnits(machine: Machine, now: At): readonly Unit[] {
  return machine.settings.units.filter(unit => unit.every(index => obstacle(machine, index, now) === undefined));
}

/**
 * Why an address is not held, or would not be: what keeps itself from it, or all the units that it
 * is in; undefined: nothing.
 */
export function whyNotHeld(machine: Machine, index: number, now: At): string | undefined {
  const own = obstacle(machine, index, now);
  if (own !== undefined) return own;
  const units = machine.settings.units.filter(unit => unit.includes(index));
  const obstacles = units.map(unit => unit.find(other => obstacle(machine, other, now) !== undefined));
  const [first] = obstacles;
  if (first === undefined || obstacles.includes(undefined)) return undefined;
  return `what it is served together with cannot be held: ${obstacle(machine, first, now)}`;
}

/** Whether an address is in this router's kernel, by vipd's word. */
export function isHere({ addresses }: Machine, index: number): boolean {
  return (addresses[index] ?? UNKNOWN_ADDRESS).here;
}

function inUnits(units: readonly Unit[]): readonly number[] {
  return [...new Set(units.flat())].sort((a, b) => a - b);
}

/**
 * Addresses that have a place, were refused, and whose pause is over: nothing but a trial tells
 * whether the kernel takes them now.
 */
function dueForTrial({ addresses }: Machine, now: At): (index: number) => boolean {
  return index => {
    const { place, refusal } = addresses[index] ?? UNKNOWN_ADDRESS;
    // safeguard: refused-address-tried-again
    return place === 'here' && refusal !== undefined && !pauses(refusal.retry, now);
  };
}

/**
 * What an owner asks for: all that it can hold, and what it tries again. That comes alone, the rest
 * of its unit once it is in: addresses that are announced and withdrawn at every try would draw
 * clients whom nobody serves.
 */
export function addressesToHold(machine: Machine, now: At): readonly number[] {
  const due = dueForTrial(machine, now);
  const trials = triableUnits(machine, now).map(unit => unit.filter(due));
  // safeguard: asks-for-what-it-can
  return inUnits([...ableUnits(machine, now), ...trials]);
}

/** Units that could be held if what is due for a trial were taken. */
function triableUnits(machine: Machine, now: At): readonly Unit[] {
  const due = dueForTrial(machine, now);
  const fits = (index: number) => obstacle(machine, index, now) === undefined || due(index);
  return machine.settings.units.filter(unit => unit.every(fits));
}

/** What a claim asks for: what is in doubt must not delay it, unless there is nothing else. */
export function addressesToClaim(machine: Machine, now: At): readonly number[] {
  const able = ableUnits(machine, now);
  return inUnits(able.length > 0 ? able : triableUnits(machine, now));
}

/** Nothing can be held: to claim it would be a word without a deed. */
export function whyNothingToHold(machine: Machine, now: At): Reason | undefined {
  const { units, addressLans } = machine.settings;
  if (units.length === 0 || ableUnits(machine, now).length > 0 || triableUnits(machine, now).length > 0)
    return undefined;
  const first = addressLans.findIndex((_, index) => obstacle(machine, index, now) !== undefined);
  return `none of the VIPs can be held here: ${obstacle(machine, first, now)}`;
}

/**
 * The peer says that it can hold more than this router, which lacks some. One whose version does
 * not count them has all; one that does and has not said it yet, as it does not know whom it speaks
 * to, promises nothing.
 */
export function peerHoldsMore(machine: Machine, now: At): boolean {
  const { settings, peer } = machine;
  const { last } = peer;
  const own = ableUnits(machine, now).length;
  if (!last || own >= settings.units.length) return false;
  const said = last.units ?? (last.readsVersion2 ? own : settings.units.length);
  return said > own;
}

/** The peer says that it can hold fewer than this router. */
export function peerHoldsFewer(machine: Machine, now: At): boolean {
  const said = machine.peer.last?.units;
  return said !== undefined && said < ableUnits(machine, now).length;
}

/** How many units the peer says it can hold, if that is fewer than there are. */
export function peerLacksUnits({ settings, peer: { last } }: Machine): boolean {
  return last?.units !== undefined && last.units < settings.units.length;
}
