// What a router knows of its own addresses: which are on this host, which heartbeat links are
// bound. A router without them can neither speak to its peer nor answer a client, whatever cables
// and targets say. Functions of the machine and the time only. Pure.
import { type At, after, between } from '../../../units/duration.ts';
import type { FixedState } from '../../../vip/protocol.ts';
import { muteLetsGoAfter, overdueAfter, ownLostAfter, seenWithin } from '../../timing.ts';
import type { Machine } from '../machine.ts';
import { deadMs, peersDeadMs } from './deadlines.ts';

/**
 * No heartbeat link has its own address (one without a way to the peer's counts as gone), and it is
 * not the carrier that took all of them along: this router cannot speak, and that is its own fault.
 * A link that is down with its carrier is silent, as a cut one is: then the other side may be to
 * blame. Where this host has the peer's address, what is meant for the peer comes back to us: that
 * is no better than having none.
 */
export function isBare(machine: Machine): boolean {
  return lacksWay(machine, () => true);
}

/** No link both has its own address and is open; not all have lost it with their carrier. */
function lacksWay({ settings: { fixed }, own }: Machine, isOpen: (link: number) => boolean): boolean {
  const hasPeers = (link: number) =>
    fixed.some((one, index) => one.side === 'peer' && one.link === link && own.states[index] === 'here');
  let gone = false;
  for (const [index, { side, link }] of fixed.entries()) {
    if (side === 'peer' || link === undefined) continue;
    const state = hasPeers(link) || own.states[index] === 'unrouted' ? 'gone' : own.states[index];
    if (state === undefined || (state === 'here' && isOpen(link))) return false;
    // safeguard: down-is-not-gone
    if (state === 'gone') gone = true;
  }
  return gone;
}

/** The peer has heard us on this link within the time after which it takes over. */
function isHeardOn(machine: Machine, link: number, now: At): boolean {
  const echoedAt = machine.peer.links[link]?.echoedAt;
  return echoedAt !== undefined && between(echoedAt, now) <= peersDeadMs(machine);
}

/**
 * The peer had been silent for D when this term began, and has not been heard since: it is dead, or
 * cut off, and that it echoes nothing says nothing of our links.
 */
function tookFromTheSilent(machine: Machine): boolean {
  const { state, peer } = machine;
  if (state.role !== 'active' || peer.heardAt === undefined) return false;
  return between(peer.heardAt, state.activeAt) >= deadMs(machine);
}

/** The peer has heard us on none for so long: only our answers to its probes keep it back. */
export function isUnheard(machine: Machine, now: At): boolean {
  return machine.peer.links.every((_, link) => !isHeardOn(machine, link, now));
}

/**
 * An owner that cannot speak: bare, or without its own address on some links and unheard by the
 * peer for D on those that are left. A claim is not barred by the latter: the peer may be dead.
 */
export function isMute(machine: Machine, now: At): boolean {
  const { role } = machine.state;
  if ((role !== 'active' && role !== 'handing-over') || tookFromTheSilent(machine)) return isBare(machine);
  // safeguard: mute-on-the-last-link
  return lacksWay(machine, link => isHeardOn(machine, link, now));
}

/**
 * Nothing that it says can be heard, and no probe of it answered: it has no own address on any LAN,
 * whether it went with the carrier or without.
 */
export function isSpeechless(machine: Machine): boolean {
  const mayBeHere = (state: FixedState | undefined) => state === undefined || state === 'here';
  const isTold = someState(machine, 'own', () => true);
  // safeguard: no-own-address-at-all
  return isBare(machine) || (isTold && !someState(machine, 'own', mayBeHere));
}

/**
 * None of its own addresses is here, but one of the peer's is: a copy of the other router, or the
 * wrong name.
 */
export function hasWrongName(machine: Machine): boolean {
  const mayBeHere = (state: FixedState | undefined) => state === undefined || state === 'here' || state === 'unrouted';
  return !someState(machine, 'own', mayBeHere) && someState(machine, 'peer', state => state === 'here');
}

function someState(
  { settings, own }: Machine,
  side: 'own' | 'peer',
  is: (state: FixedState | undefined) => boolean,
): boolean {
  return settings.fixed.some((fixed, index) => fixed.side === side && is(own.states[index]));
}

/**
 * No heartbeat link has been bound in this life: nothing could be heard, so silence says nothing.
 */
function isUnbound({ own }: Machine): boolean {
  return own.linkProblems.length > 0 && !own.everBound && own.linkProblems.every(problem => problem !== undefined);
}

/**
 * Another machine was here first with this router's own addresses, or may have been: what we say
 * would be taken for its word, and one heartbeat that echoes the peer's boot would end its life
 * there. Who has VIPs speaks all the same.
 */
export function isCopy({ state, own: { copy } }: Machine, now: At): boolean {
  // safeguard: asks-before-it-speaks
  if (state.role === 'starting' && !state.resume && now < copy.quietUntil) return true;
  // safeguard: copy-says-nothing
  return copy.mac !== undefined && (state.role === 'starting' || state.role === 'standby');
}

/** What of its own addresses keeps this router from claiming; undefined: nothing. */
export function whyOwnBars(machine: Machine): string | undefined {
  if (hasWrongName(machine)) {
    const { settings } = machine;
    return `this host has an address of the peer and none of ${settings.node}: it goes by the wrong name`;
  }
  const { mac, address } = machine.own.copy;
  // safeguard: copy-claims-nothing
  if (mac !== undefined) return `another machine (${mac}) runs as this router, with its own address ${address}`;
  // safeguard: unbound-does-not-claim
  if (isUnbound(machine)) return 'no heartbeat link has been bound yet: nobody could be heard';
  // safeguard: mute-does-not-claim
  if (isBare(machine)) return 'no heartbeat link has its own address with a route, or this host has the peer’s';
  return undefined;
}

/**
 * When an owner that cannot speak lets go, should it have stopped renewing: just before its lease
 * ends by itself. Undefined: it can speak. That a way is gone is seen at the next sample only, or
 * after a stall: a heartbeat just before that may not have left, and the peer counts from the one
 * before.
 */
export function bareLimitAt(machine: Machine): At | undefined {
  const { settings, lease, own } = machine;
  const { ackedAt, ackedBeforeAt, ackedLeaseMs: leaseMs } = lease;
  if (own.bareSince === undefined || ackedAt === undefined) return undefined;
  const { intervalMs } = settings;
  const stood = ackedBeforeAt !== undefined && between(ackedBeforeAt, ackedAt) > overdueAfter(intervalMs);
  const seenLate = stood || someState(machine, 'own', state => state === 'unrouted');
  const unsent = seenLate && between(ackedAt, own.bareSince) <= seenWithin(intervalMs);
  const at = after(ackedAt, muteLetsGoAfter({ leaseMs, intervalMs }, unsent));
  if (!unsent || ackedBeforeAt === undefined) return at;
  // safeguard: unsent-counts-from-before
  return Math.min(at, after(ackedBeforeAt, muteLetsGoAfter({ leaseMs, intervalMs }, false))) as At;
}

/**
 * A LAN on which every own address of a family with virtual addresses has been gone for long
 * enough: its clients of that family get no answer.
 */
export function lacksOwnAddress(machine: Machine, lan: number, now: At): boolean {
  return lacksFamily(machine, lan, 4, now) || lacksFamily(machine, lan, 6, now);
}

function lacksFamily({ settings, own }: Machine, lan: number, family: 4 | 6, now: At): boolean {
  let lost = false;
  for (const [index, fixed] of settings.fixed.entries()) {
    if (fixed.side === 'peer' || fixed.lan !== lan || fixed.family !== family || !fixed.serves) continue;
    const state = own.states[index];
    lost =
      state !== undefined &&
      state !== 'here' &&
      // safeguard: own-address-watched
      between(own.since[index] as At, now) >= ownLostAfter(settings.deadMs);
    if (!lost) return false;
  }
  return lost;
}

/** The router's own addresses that are not here, or serve for nothing, for people. */
export function missingOwn({ settings, own }: Machine): string {
  const missing = settings.fixed.filter(
    ({ side }, index) => side === 'own' && own.states[index] !== undefined && own.states[index] !== 'here',
  );
  return missing.map(({ address }) => address).join(' ');
}
