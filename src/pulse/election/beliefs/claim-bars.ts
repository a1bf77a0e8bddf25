// What bars this router from claiming the addresses: rules, a hold, no vipd, its own addresses, a
// third machine, isolation. R9 (docs/invariants.md). Pure.
import { type At, between } from '../../../units/duration.ts';
import type { Machine } from '../machine.ts';
import { isIsolated } from './cut-off.ts';
import { deadMs } from './deadlines.ts';
import { whyNothingToHold } from './holdable.ts';
import { whyOwnBars } from './own-addresses.ts';
import { heardWithin } from './peer-heard.ts';
import { pauses } from './retry.ts';
import { standsDown } from './third-machine.ts';

/** Undefined when this router may claim, else what bars it. */
export function whyNotClaim(machine: Machine, now: At): string | undefined {
  if (machine.hold.on) return 'on hold';
  // safeguard: fitness-no-veto
  if (!machine.rulesIn) return 'rules not in the kernel yet';
  if (lacksVipd(machine, now)) return 'vipd is not running: see VIPD_GONE in the log';
  const own = whyOwnBars(machine) ?? whyNothingToHold(machine, now);
  if (own !== undefined) return own;
  if (standsDown(machine, now)) return `another machine (${machine.foreign?.mac}) claims a virtual address`;
  if (peerStandsDown(machine, now)) return 'the peer stands down: another machine claims a virtual address';
  if (isIsolated(machine, now) && machine.settings.onIsolation === 'release')
    return 'isolated: neither the peer nor any target nor any other frame is heard';
  return undefined;
}

/** A vipd that has died is replaced within milliseconds; after D it counts as missing. */
function lacksVipd(machine: Machine, now: At): boolean {
  const { vipdLostAt } = machine;
  // safeguard: no-vipd-is-not-ready
  return vipdLostAt !== undefined && between(vipdLostAt, now) > deadMs(machine);
}

/** It could take over at once: nothing bars a claim, and none has just failed. */
export function isReady(machine: Machine, now: At): boolean {
  return whyNotClaim(machine, now) === undefined && !pauses(machine.retry, now);
}

/** The peer has let go because of a third machine; the addresses are no less contested here. */
function peerStandsDown(machine: Machine, now: At): boolean {
  return machine.peer.last?.standsDown === true && heardWithin(machine, deadMs(machine), now);
}
