// What can go wrong in the simulated world, as data, and how each begins and ends.

import type { Times } from '../../src/pulse/election/machine.ts';
import { CLIENTS, HOSTS, type Network, R1, R2, SERVER, TARGETS } from './network.ts';
import type { Router } from './router.ts';
import type { World } from './world.ts';

export const FOREVER = Number.POSITIVE_INFINITY;

/** One LAN. */
type LanFault =
  | { readonly type: 'cut'; readonly lan: number; readonly from: number; readonly to: number }
  | { readonly type: 'loss'; readonly lan: number; readonly from: number; readonly to: number; readonly share: number }
  | { readonly type: 'duplication'; readonly lan: number; readonly share: number }
  | { readonly type: 'jitter'; readonly lan: number; readonly ms: number }
  | { readonly type: 'clog'; readonly lan: number }
  /** A LAN falls into two: router 1 with the first client, router 2 with the second. */
  | { readonly type: 'split'; readonly lan: number };

type NetworkFault =
  | LanFault
  /** Every way between the routers. */
  | { readonly type: 'partition'; readonly directions: 'both' | 'r1-to-r2' | 'r2-to-r1' };

/** `owner`: whichever router serves when it begins; `standby`: the other one. */
export type Who = 0 | 1 | 'owner' | 'standby';

/** A process or a kernel of a router. */
interface ProcessFault {
  readonly type:
    | 'stop-all'
    | 'stop-vipd'
    | 'kill-vipd'
    | 'vipd-broken'
    | 'kernel-refuses'
    | 'pause'
    | 'disk-stall'
    | 'witness-cut'
    /** From the peer and from the witness at once: its uplink is gone, the clients' switch is not. */
    | 'cut-off';
  readonly who: Who;
}

/** Something is told to pulse. */
interface WordFault {
  readonly type: 'handover' | 'sigterm' | 'unhealthy' | 'rules-out' | 'check-fails';
  readonly who: Who;
}

/** What a router alone has lost of a LAN. */
type WayFault =
  /** One direction: nobody there hears it, or it hears nobody. */
  | { readonly type: 'lan-way'; readonly who: Who; readonly lan: number; readonly lost: 'out' | 'in' }
  /** A host that is asked as a target answers it no more; nth: of the targets. */
  | { readonly type: 'target-silent'; readonly who: Who; readonly lan: number; readonly nth: number };

/** Nobody on a LAN is known to a router, or to both, save the peer and targets. */
interface QuietFault {
  readonly type: 'quiet';
  readonly whom: Who | 'both';
  readonly lan: number;
}

/** What answers probes, of those that should and those that should not. */
type AnswerFault =
  /** Both routers drop this share of echoes: all with a default-deny, most with a rate limit. */
  { readonly type: 'echo-dropped'; readonly share: number } | { readonly type: 'switch-answers' };
/**
 * Heartbeats and wills do not arrive: a filter, or keys that differ. probesToo: nor does what
 * routers ask each other, save by ARP.
 */
interface SilentFault {
  readonly type: 'heartbeats-dropped';
  readonly probesToo: boolean;
}

/** Own addresses of a router are gone: on one LAN or on all, of one family or of both. withCarrier: together with the carrier there. */
interface OwnFault {
  readonly type: 'own-lost';
  readonly who: Who;
  readonly lan: number | 'all' | 'no-vips';
  readonly family: 4 | 6 | 'both';
  readonly withCarrier: boolean;
}

/**
 * Some addresses cannot be held. no-interface: none on that LAN, and nothing else there works; no-ipv6: none by IPv6; address-refused: the
 * kernel takes this one no more, and one that was there is taken away.
 */
type PlaceFault =
  | { readonly type: 'no-interface'; readonly who: Who; readonly lan: number }
  | { readonly type: 'no-ipv6'; readonly who: Who }
  | { readonly type: 'address-refused'; readonly who: Who; readonly address: number };

/**
 * A third machine is switched on with the disk of a router. draws: the LANs on which it is sent
 * what the peer means for that router, as ARP has it.
 */
interface CopyFault {
  readonly type: 'copy';
  readonly who: Who;
  readonly draws: number | 'all' | 'none';
}

type RouterFault =
  | CopyFault
  | PlaceFault
  | ProcessFault
  | QuietFault
  | AnswerFault
  | SilentFault
  | WayFault
  | WordFault
  | { readonly type: 'stall'; readonly who: Who; readonly effects: number }
  | {
      readonly type: 'kill-pulse';
      readonly who: Who;
      readonly effects: number;
      readonly vipdToo: boolean;
      readonly cleanup: boolean;
    }
  | { readonly type: 'power'; readonly who: Who; readonly effects: number; readonly keepsDisk: boolean }
  | { readonly type: 'carrier'; readonly who: Who; readonly lan: number }
  | OwnFault
  /** The config file has changed; pulse reads it. */
  | { readonly type: 'reload'; readonly who: Who; readonly times: Times }
  | { readonly type: 'stranger' }
  /** Somebody plays back what he has captured of a router, on every link. */
  | { readonly type: 'replay'; readonly who: Who }
  /** empty: it comes back without its record. */
  | { readonly type: 'witness-down'; readonly empty: boolean }
  | { readonly type: 'witness-slow'; readonly ms: number };

interface Timing {
  /** From the start of the faults, true time. */
  readonly atMs: number;
  readonly forMs: number;
}

export type Fault = (NetworkFault | RouterFault) & Timing;

/** Lets a fault happen now, and end after its time. */
export function inject(world: World, fault: Fault): void {
  world.faultsBegan = true;
  const end = begin(world, fault);
  const duration = fault.forMs === FOREVER ? 'for ever' : `for ${Math.round(fault.forMs * 10) / 10} ms`;
  world.say('FAULT', () => `${describe(fault)} ${duration}`);
  world.networksChanged();
  if (fault.forMs === FOREVER) return;
  world.timeline.in(fault.forMs, () => {
    end();
    world.networksChanged();
    world.say('FAULT', () => `${fault.type} ends`);
  });
}

export function describe({ atMs, forMs, ...fault }: Fault): string {
  return Object.values(fault)
    .map(value => (typeof value === 'object' ? Object.values(value).join('/') : value))
    .join(' ');
}

function begin(world: World, fault: Fault): () => void {
  switch (fault.type) {
    case 'cut':
    case 'loss':
    case 'duplication':
    case 'jitter':
    case 'clog':
    case 'split':
    case 'partition':
      return beginOnNetwork(world, fault);
    case 'stranger':
      world.stranger = true;
      return () => {
        world.stranger = false;
      };
    case 'stall':
    case 'kill-pulse':
    case 'power':
      return beginBetweenEffects(world, routerOf(world, fault.who), fault);
    case 'replay':
      routerOf(world, fault.who).playBack();
      return NOTHING;
    case 'witness-down':
    case 'witness-slow':
      return beginOnWitness(world, fault);
    case 'switch-answers':
      world.switchAnswers = true;
      return () => {
        world.switchAnswers = false;
      };
    case 'echo-dropped':
      world.echoDropped = fault.share;
      return () => {
        world.echoDropped = 0;
      };
    case 'heartbeats-dropped':
      world.heartbeatsDropped = true;
      world.probesDropped = fault.probesToo;
      return () => {
        world.heartbeatsDropped = world.probesDropped = false;
      };
    case 'lan-way':
    case 'target-silent':
      return loseWay(world, fault);
    case 'quiet':
      return beQuiet(world, fault);
    case 'carrier': {
      const router = routerOf(world, fault.who);
      world.setCarrier(router, fault.lan, true);
      return () => world.setCarrier(router, fault.lan, false);
    }
    case 'reload':
      routerOf(world, fault.who).reload(fault.times);
      return NOTHING;
    case 'copy': {
      const { draws } = fault;
      const copy = world.switchOnCopy(routerOf(world, fault.who), lan => draws === 'all' || draws === lan);
      return () => copy.powerOff();
    }
    case 'no-interface':
    case 'no-ipv6':
    case 'address-refused':
      return losePlace(world, routerOf(world, fault.who), fault);
    case 'own-lost':
      return loseOwn(world, routerOf(world, fault.who), fault);
    case 'handover':
    case 'sigterm':
    case 'unhealthy':
    case 'check-fails':
    case 'rules-out':
      return tellPulse(world, routerOf(world, fault.who), fault.type);
    case 'stop-all':
    case 'stop-vipd':
    case 'kill-vipd':
    case 'vipd-broken':
    case 'kernel-refuses':
    case 'pause':
    case 'disk-stall':
    case 'witness-cut':
    case 'cut-off':
      return beginOnProcess(world, routerOf(world, fault.who), fault);
  }
}

function loseWay(world: World, fault: WayFault): () => void {
  const { index } = routerOf(world, fault.who);
  const network = world.networks[fault.lan] as Network;
  const others = fault.type === 'target-silent' ? [TARGETS[fault.nth] ?? SERVER] : hostsBut(index);
  const each = (on: boolean) => {
    for (const host of others)
      if (fault.type === 'lan-way' && fault.lost === 'out') network.cut(index, host, on);
      else network.cut(host, index, on);
  };
  each(true);
  return () => each(false);
}

function beQuiet(world: World, { whom, lan }: QuietFault): () => void {
  const routers = whom === 'both' ? world.routers : [routerOf(world, whom)];
  const each = (on: boolean) => {
    for (const { index } of routers) (world.networks[lan] as Network).setQuiet(index, on);
  };
  each(true);
  return () => each(false);
}

function loseOwn(world: World, router: Router, { lan, family, withCarrier }: OwnFault): () => void {
  const onLan = (on: number) => (lan === 'no-vips' ? on > 1 : lan === 'all' || lan === on);
  const each = (lost: boolean) => {
    if (withCarrier) for (const on of world.networks.keys()) if (onLan(on)) world.setCarrier(router, on, lost);
    world.setOwn(router, own => onLan(own.lan) && (family === 'both' || own.family === family), lost, withCarrier);
  };
  each(true);
  return () => each(false);
}

/** By IPv6, in worlds with such an address. */
const BY_IPV6 = 2;

function losePlace(world: World, router: Router, fault: PlaceFault): () => void {
  const both = (run: (lost: boolean) => void) => {
    run(true);
    return () => run(false);
  };
  const { addressLans } = router.options.settings;
  switch (fault.type) {
    case 'no-interface': {
      const { lan } = fault;
      const there = [...addressLans.keys()].filter(index => addressLans[index] === lan);
      return both(lost => {
        world.setCarrier(router, lan, lost);
        world.setAddresses(router, there, 'no-interface', lost);
        world.setOwn(router, own => own.lan === lan, lost, true);
      });
    }
    case 'no-ipv6':
      return both(lost => {
        world.setAddresses(router, [BY_IPV6], 'no-ipv6', lost);
        world.setOwn(router, own => own.family === 6, lost, false);
      });
    case 'address-refused':
      return both(lost => world.setAddresses(router, [fault.address], 'refused', lost));
  }
}

function hostsBut(router: number): number[] {
  return Array.from({ length: HOSTS }, (_, host) => host).filter(host => host !== router);
}

function beginOnWitness(world: World, fault: Fault & { type: 'witness-down' | 'witness-slow' }): () => void {
  const { witness } = world;
  if (!witness) return NOTHING;
  witness.troubled = true;
  if (fault.type === 'witness-slow') {
    witness.slowMs += fault.ms;
    return () => {
      witness.slowMs = Math.max(0, witness.slowMs - fault.ms);
    };
  }
  witness.down += 1;
  return () => {
    witness.down -= 1;
    witness.restarts(fault.empty);
  };
}

function routerOf(world: World, who: Who): Router {
  const owner = world.monitor.owner ?? 0;
  const index = who === 'owner' ? owner : who === 'standby' ? 1 - owner : who;
  return world.routers[index] as Router;
}

function beginOnNetwork(world: World, fault: NetworkFault & Timing): () => void {
  if (fault.type === 'partition') return cutAll(world, fault.directions);
  return beginOnLan(world.networks[fault.lan] as Network, fault);
}

function beginOnLan(network: Network, fault: LanFault & Timing): () => void {
  switch (fault.type) {
    case 'cut':
      network.cut(fault.from, fault.to, true);
      return () => network.cut(fault.from, fault.to, false);
    case 'loss':
      network.lose(fault.from, fault.to, fault.share);
      return () => network.lose(fault.from, fault.to, -fault.share);
    case 'duplication':
      network.duplication += fault.share;
      return () => {
        network.duplication = Math.max(0, network.duplication - fault.share);
      };
    case 'jitter':
      network.jitterMs += fault.ms;
      return () => {
        network.jitterMs -= fault.ms;
      };
    case 'clog':
      network.clog(fault.forMs);
      return () => {};
    case 'split': {
      const sides = [
        [R1, CLIENTS[0]],
        [R2, CLIENTS[1]],
      ] as const;
      const each = (on: boolean) => {
        for (const a of sides[0])
          for (const b of sides[1])
            for (const [from, to] of [
              [a, b],
              [b, a],
            ] as const)
              network.cut(from, to, on);
      };
      each(true);
      return () => each(false);
    }
  }
}

function cutAll(world: World, directions: 'both' | 'r1-to-r2' | 'r2-to-r1'): () => void {
  const each = (on: boolean) => {
    for (const network of world.networks) {
      if (directions !== 'r2-to-r1') network.cut(R1, R2, on);
      if (directions !== 'r1-to-r2') network.cut(R2, R1, on);
    }
  };
  each(true);
  return () => each(false);
}

type Between = Fault & { type: 'stall' | 'kill-pulse' | 'power' };

/** At once, or between two of the next effects of its pulse. */
function beginBetweenEffects(world: World, router: Router, fault: Between): () => void {
  const begunAt = world.timeline.now;
  const act = () => {
    const leftMs = begunAt + fault.forMs - world.timeline.now;
    if (fault.type === 'stall') router.pulse?.stall(Math.max(0.1, leftMs));
    else if (fault.type === 'power') router.powerOff();
    else router.killPulse({ ...fault, restartMs: leftMs });
    world.say('FAULT', () => `${fault.type} strikes ${router.name}`);
  };
  const { pulse } = router;
  if (fault.effects === 0 || !pulse) act();
  else pulse.trap = { countdown: fault.effects, spring: act };
  return () => {
    if (pulse) pulse.trap = undefined;
    if (fault.type === 'power') router.powerOn(fault.keepsDisk);
  };
}

const NOTHING = () => {};

function beginOnProcess(world: World, router: Router, { type, forMs }: ProcessFault & Timing): () => void {
  const { pulse, vipd } = router;
  switch (type) {
    case 'stop-all':
      pulse?.stall(forMs);
      vipd?.stop();
      return () => vipd?.continue();
    case 'stop-vipd':
      vipd?.stop();
      return () => vipd?.continue();
    case 'kill-vipd':
      router.killVipd();
      return NOTHING;
    case 'vipd-broken':
      router.vipdBroken = true;
      router.killVipd();
      return () => {
        router.vipdBroken = false;
      };
    case 'kernel-refuses':
      router.kernelRefuses = true;
      return () => {
        router.kernelRefuses = false;
      };
    case 'pause':
      world.pauses(router, forMs);
      return NOTHING;
    case 'disk-stall':
      router.diskStalledUntil = Math.max(router.diskStalledUntil, world.timeline.now + forMs);
      return NOTHING;
    case 'cut-off': {
      const healed = cutAll(world, 'both');
      const back = cutFromWitness(world, router);
      return () => {
        healed();
        back();
      };
    }
    case 'witness-cut':
      if (world.witness) world.witness.troubled = true;
      return cutFromWitness(world, router);
  }
}

function cutFromWitness(world: World, router: Router): () => void {
  const cut = world.witness?.cut ?? [0, 0];
  cut[router.index] = (cut[router.index] as number) + 1;
  return () => {
    cut[router.index] = (cut[router.index] as number) - 1;
  };
}

function tellPulse(world: World, router: Router, what: WordFault['type']): () => void {
  const report = world.reports[router.index] as (typeof world.reports)[0];
  const say = (change: Partial<typeof report>) => {
    Object.assign(report, change);
    world.report(router);
  };
  switch (what) {
    case 'handover':
      router.pulse?.post('control', { type: 'handover', cold: true });
      return NOTHING;
    case 'sigterm':
      router.pulse?.post('control', { type: 'stop' });
      return NOTHING;
    case 'unhealthy':
      say({ healthyServers: 0 });
      return () => say({ healthyServers: 3 });
    case 'check-fails':
      say({ failedChecks: report.failedChecks + 1 });
      return () => say({ failedChecks: report.failedChecks - 1 });
    case 'rules-out':
      say({ rulesIn: false });
      return () => say({ rulesIn: true });
  }
}
