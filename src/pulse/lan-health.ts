// Whether each LAN is alive, judged from several signs: carrier, targets that answer, any frame that came in, heartbeats on it. A
// LAN dies at once (vipd has waited for its window) and is alive again only after a while: a flapping cable must not move the VIPs
// to and fro. DESIGN.md invariants 4 and 10. Pure.
import { type At, after, between, ms } from '../units/duration.ts';
import type { LanSettings, Machine } from './machine.ts';

/** A LAN that was dead must have been well for this long. */
const HEAL_MS = 2_000;

export interface LanHealth {
  /** Frames came in lately; undefined: vipd has not told yet. */
  readonly traffic: boolean | undefined;
  readonly dead: boolean;
  /** Since when its signs have been as they are now. */
  readonly signsSince: At;
  readonly signsDead: boolean;
}

export function unknownHealth(now: At): LanHealth {
  return { traffic: undefined, dead: false, signsSince: now, signsDead: false };
}

/** Carrier on the interface of a LAN, as far as virtual addresses on it tell. */
export function hasCarrier({ settings, addressLinks }: Machine, lan: number): boolean {
  return settings.addressLans.every((own, address) => own !== lan || addressLinks[address]?.up !== false);
}

function targetsOf(machine: Machine, { targets }: LanSettings): (boolean | undefined)[] {
  return targets.map(target => machine.targetsUp[target]);
}

/** No carrier; or targets, and none answers; or no targets, and neither any frame nor a heartbeat comes in although the peer is heard elsewhere. */
export function signsOfDeath(machine: Machine, lan: number, within: number, now: At): boolean {
  const spec = machine.settings.lans[lan];
  if (!spec) return false;
  if (!hasCarrier(machine, lan)) return true;
  const targets = targetsOf(machine, spec);
  if (targets.length > 0) return targets.every(up => up === false);
  if (machine.lanHealth[lan]?.traffic !== false) return false;
  const heard = (link: number) => {
    const at = machine.peer.links[link]?.heardAt;
    return at !== undefined && between(at, now) <= within;
  };
  return spec.links.length > 0 && !spec.links.some(heard) && machine.peer.links.some((_, link) => heard(link));
}

/** Brings the health of every LAN up to date. */
export function judgeLans(machine: Machine, within: number, now: At): readonly LanHealth[] {
  return machine.lanHealth.map((before, lan) => {
    const signsDead = signsOfDeath(machine, lan, within, now);
    const signsSince = signsDead === before.signsDead ? before.signsSince : now;
    const dead = signsDead || (before.dead && now < after(signsSince, ms(HEAL_MS)));
    return { ...before, dead, signsDead, signsSince };
  });
}

/** Every LAN with virtual addresses is alive. */
export function lansAlive({ settings, lanHealth }: Machine): boolean {
  return settings.lans.every((lan, index) => !lan.vips || lanHealth[index]?.dead !== true);
}

/**
 * Nothing at all is heard: no target answers, no frame comes in, on no LAN. Only where targets are configured, since a quiet LAN
 * without them looks the same. Heartbeats are the caller's to judge.
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
