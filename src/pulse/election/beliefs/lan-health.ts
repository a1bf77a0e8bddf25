// Whether each LAN is alive, judged from several signs: carrier, targets and neighbours that answer
// us, heartbeats on it that echo ours. A LAN dies at once (vipd has waited for its window)
// and is alive again only after a while: a flapping cable must not move the VIPs to and fro.
// Keeps R4, R10 (docs/invariants.md). Pure.
import { ALL_LANS } from '../../../feed/fitness-number.ts';
import { type At, after, between, type Ms } from '../../../units/duration.ts';
import { echoLasts, HEAL_MS, oneWayAfter, slowerInterval } from '../../timing.ts';
import type { LanHealth } from '../known.ts';
import type { LanSettings, Machine } from '../machine.ts';
import { healthWith } from '../replica.ts';
import { lacksOwnAddress } from './own-addresses.ts';

/** Carrier on the interface of a LAN, as far as virtual addresses on it tell. */
export function hasCarrier({ settings, addressLinks }: Machine, lan: number): boolean {
  return settings.addressLans.every((own, address) => own !== lan || addressLinks[address]?.up !== false);
}

function targetsOf(machine: Machine, { targets }: LanSettings): (boolean | undefined)[] {
  return targets.map(target => machine.targetsUp[target]);
}

/**
 * A LAN without carrier is dead. Else it lives as long as one sign proves both its directions: a
 * target (or, where there are none, a neighbour) that answers us, or a heartbeat on it that echoes
 * a recent one of ours; a gateway that is silent to us alone then means nothing. Without such a
 * proof it is dead if it has targets, and all are silent; and if it has none, by what neighbours
 * and heartbeats tell.
 */
function signsOfDeath(machine: Machine, lan: number, within: Ms, now: At): boolean {
  const spec = machine.settings.lans[lan];
  if (!spec) return false;
  if (!hasCarrier(machine, lan)) return true;
  const targets = targetsOf(machine, spec);
  const answered = targets.includes(true) || machine.lanHealth[lan]?.neighbours === 'answer';
  // safeguard: echoes-outvote-a-target
  const proven = answered || spec.links.some(link => isEchoed(machine, link, echoMs(machine), now));
  if (proven) return false;
  return targets.length > 0 ? targets.every(up => up === false) : linksTellDeath(machine, lan, within, now);
}

function serves({ role }: Machine['state']): boolean {
  return role === 'active' || role === 'handing-over';
}

function echoMs({ settings: { deadMs, intervalMs }, peer: { last } }: Machine): Ms {
  return echoLasts(deadMs, slowerInterval(intervalMs, last?.intervalMs));
}

/** The peer has echoed on this link a heartbeat of ours that is no older: both directions work. */
function isEchoed({ peer }: Machine, link: number, within: number, now: At): boolean {
  // safeguard: echo-proves-a-lan
  const at = peer.links[link]?.echoedAt;
  return at !== undefined && between(at, now) <= within;
}

/**
 * Without targets, while the peer is heard elsewhere: neighbours have answered us and do no more;
 * or heartbeats come in and have not echoed us for long, though elsewhere they do, so what we send
 * is lost. The peer sees the same of a LAN on which it hears nothing; it says so earlier, and then
 * it is not ours.
 *
 * Where no heartbeat comes in and no neighbour is known, nothing tells whether we are deaf or the
 * peer is mute. Then nothing moves: the LAN is dead for who does not serve, and for who does it
 * stays what it was.
 */
function linksTellDeath(machine: Machine, lan: number, within: Ms, now: At): boolean {
  const { peer, settings, lanHealth, state } = machine;
  const { links = [], vips = false } = settings.lans[lan] ?? {};
  const heard = (link: number) => {
    const at = peer.links[link]?.heardAt;
    return at !== undefined && between(at, now) <= within;
  };
  if (links.length === 0 || !peer.links.some((_, link) => heard(link))) return false;
  // safeguard: neighbours-tell
  if (lanHealth[lan]?.neighbours === 'silent') return true;
  if (!links.some(heard)) {
    // The first heartbeat on one link tells nothing of the others: they may be about to come.
    const awaited = peer.links.some(
      ({ heardSince }, link) => heard(link) && heardSince !== undefined && between(heardSince, now) > within,
    );
    // safeguard: doubt-moves-nothing
    return vips && awaited && (lanHealth[lan]?.dead === true || !serves(state));
  }
  const echoedOnce = links.some(link => peer.links[link]?.echoedAt !== undefined);
  // Both for as long: where links come back, the first heartbeat on one, or the first echo on
  // another, tells nothing yet.
  const oneWayMs = oneWayAfter(within);
  const forLong = (since: At | undefined) => since !== undefined && between(since, now) > oneWayMs;
  const unechoed =
    !links.some(link => isEchoed(machine, link, oneWayMs, now)) &&
    links.some(link => forLong(peer.links[link]?.heardSince));
  if (!echoedOnce || !unechoed) return false;
  // What was dead is alive again by an echo, not because there is nobody left to tell.
  if (lanHealth[lan]?.dead) return true;
  const elsewhere = peer.links.some(
    ({ hearsUsSince }, link) => isEchoed(machine, link, echoMs(machine), now) && forLong(hearsUsSince),
  );
  // safeguard: unechoed-tells-death
  return elsewhere && (peer.last?.fitness ?? 0) >= ALL_LANS;
}

/** Brings the health of every LAN up to date. */
export function judgeLans(machine: Machine, within: Ms, now: At): readonly LanHealth[] {
  const judged = machine.lanHealth.map((before, lan) => {
    const signsDead = signsOfDeath(machine, lan, within, now);
    const signsSince = signsDead === before.signsDead ? before.signsSince : now;
    const dead = signsDead || (before.dead && now < after(signsSince, HEAL_MS));
    const same = dead === before.dead && signsDead === before.signsDead;
    return same ? before : healthWith(before, { dead, signsDead, signsSince });
  });
  return judged.every((health, lan) => health === machine.lanHealth[lan]) ? machine.lanHealth : judged;
}

/** Every LAN with virtual addresses is alive, and this router has addresses of its own there. */
export function lansAlive(machine: Machine, now: At): boolean {
  const works = (lan: number) => machine.lanHealth[lan]?.dead !== true && !lacksOwnAddress(machine, lan, now);
  return machine.settings.lans.every((lan, index) => !lan.vips || works(index));
}

/**
 * The LAN of an address works here and, as far as the peer says, there: a question on it is
 * answered if the peer serves.
 */
export function answerIsDue({ settings, lanHealth, peer }: Machine, address: number): boolean {
  const lan = settings.addressLans[address];
  return lan !== undefined && lanHealth[lan]?.dead !== true && (peer.last?.fitness ?? 0) >= ALL_LANS;
}

export type LanLoss = `LAN ${string} has lost its carrier here` | `this router's own address on LAN ${string} is gone`;

/**
 * What a LAN with virtual addresses lacks by the kernel's own word, not by what is concluded from
 * silence; undefined: nothing.
 */
export function lanLostForSure(machine: Machine, now: At): LanLoss | undefined {
  for (const [lan, { name, vips }] of machine.settings.lans.entries()) {
    if (!vips) continue;
    if (!hasCarrier(machine, lan)) return `LAN ${name} has lost its carrier here`;
    if (lacksOwnAddress(machine, lan, now)) return `this router's own address on LAN ${name} is gone`;
  }
  return undefined;
}

/**
 * Nothing at all is heard: no target answers, no frame comes in, on no LAN. Only where targets are
 * configured, since a quiet LAN without them looks the same. Heartbeats are the caller's to judge.
 */
export function hearsNothing(machine: Machine): boolean {
  const { lans } = machine.settings;
  if (!lans.some(lan => lan.targets.length > 0)) return false;
  return lans.every((spec, lan) => {
    if (!spec.vips && spec.targets.length === 0) return true;
    if (!hasCarrier(machine, lan)) return true;
    return targetsOf(machine, spec).every(up => up === false) && machine.lanHealth[lan]?.traffic === false;
  });
}
