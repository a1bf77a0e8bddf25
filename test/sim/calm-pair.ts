// The simulated world with nothing left to chance, for histories that a test tells step by step: no jitter, clocks that agree, heartbeat
// links on LANs of their own. What World says must always hold is checked after every step here as well.

import type { Decision } from '../../src/feed/message.ts';
import { servingNow } from '../../src/pulse/election/beliefs/term.ts';
import type { Effect, Machine, PulseEvent, Settings } from '../../src/pulse/election/machine.ts';
import { type At, ms } from '../../src/units/duration.ts';
import { formatEpoch } from '../../src/units/epoch.ts';
import { R1, R2 } from './network.ts';
import type { Router } from './router.ts';
import { fixedOf, lansOf } from './schedule.ts';
import { NEVER } from './timeline.ts';
import { type RouterOptions, World } from './world.ts';

const DELAY_MS = 0.2;
/** The clients' and the servers' LAN, which probes go by; the two others carry the heartbeats. */
const VIP_LANS = [0, 1];
const LANS = { targets: 0, networks: 4, linkLans: [2, 3] };

interface Tenure {
  readonly node: string;
  readonly from: number;
  to: number | undefined;
}

export interface CalmPairOptions {
  readonly priorities?: readonly [number, number];
  readonly settings?: Partial<Settings>;
}

/** One of the two, and what it has said. */
class Side {
  readonly router: Router;
  readonly decisions: Omit<Decision, 'at'>[] = [];
  readonly events: string[] = [];
  answer: { readonly ok: boolean; readonly message: string } | undefined;
  exited = false;
  renewals = 0;

  constructor(router: Router) {
    this.router = router;
  }

  get name(): string {
    return this.router.name;
  }

  get machine(): Machine {
    if (!this.router.pulse) throw new Error(`${this.name} has no pulse`);
    return this.router.pulse.machine;
  }

  tell(effect: Effect): void {
    if (effect.type === 'decision') this.decisions.push(effect.decision);
    else if (effect.type === 'event') this.events.push(effect.code);
    else if (effect.type === 'answer') this.answer = effect;
    else if (effect.type === 'exit') this.exited = true;
    else if (effect.type === 'renew') this.renewals += 1;
  }
}

export class CalmPair {
  readonly world: World;
  readonly sides: readonly [Side, Side];
  readonly tenures: Tenure[] = [];
  readonly #cut = new Set<number>();

  constructor(options: CalmPairOptions = {}) {
    this.world = new World({
      seed: 1,
      routers: [routerOptions(0, options), routerOptions(1, options)],
      linkLans: LANS.linkLans,
      networks: LANS.networks,
      delayMs: DELAY_MS,
      jitterMs: 0,
      pipeJitterMs: 0,
      wire: true,
      older: undefined,
      witness: undefined,
      reloads: [],
      told: (router, effect) => this.sides[router].tell(effect),
      say: undefined,
    });
    this.sides = [new Side(this.world.routers[0]), new Side(this.world.routers[1])];
    for (const router of this.world.routers) router.start();
  }

  get now(): number {
    return this.world.timeline.now;
  }

  get r1(): Side {
    return this.sides[0];
  }

  get r2(): Side {
    return this.sides[1];
  }

  /** Runs the world for `forMs`; throws when something is breached that must always hold. */
  run(forMs: number): void {
    this.#runUntil(this.now + forMs, () => false);
  }

  /** Runs until its pulse has just renewed the lease: what happens then meets the whole of it. */
  runToRenewal(side: Side): void {
    const before = side.renewals;
    this.#runUntil(this.now + 2 * side.machine.settings.intervalMs, () => side.renewals > before);
  }

  #runUntil(end: number, until: () => boolean): void {
    this.#look();
    this.world.run(end, () => {
      this.#look();
      return until();
    });
    const { breach } = this.world.monitor;
    if (breach) throw new Error(`${breach.invariant} at ${breach.atMs}: ${breach.text}\n${this.describe()}`);
  }

  /** Power comes back, or pulse is started again: a new life with the same state file. */
  restart({ router }: Side): void {
    if (router.up) router.start();
    else router.powerOn(true);
  }

  /** Everything of a router ends at once: no will, no more packets, addresses gone from the LAN. */
  powerOff({ router }: Side): void {
    router.powerOff();
  }

  /** pulse is killed: vipd sees the pipe close. Nothing starts it again by itself. */
  killPulse({ router }: Side): void {
    router.killPulse({ vipdToo: false, cleanup: false, restartMs: NEVER });
  }

  stopVipd({ router }: Side): void {
    router.vipd?.stop();
  }

  freeze({ router }: Side, forMs: number): void {
    router.pulse?.stall(forMs);
  }

  send({ router }: Side, event: PulseEvent): void {
    router.pulse?.post('control', event);
  }

  /** The director of a router says something new at once, and repeats it from now on. */
  report({ router }: Side, changes: Partial<World['reports'][number]>): void {
    Object.assign(this.world.reports[router.index] as World['reports'][number], changes);
    this.world.report(router);
  }

  endDirector({ router }: Side): void {
    this.world.directors[router.index] = false;
  }

  /** The router's vipd has heard somebody else announce its first address. */
  hearsClaim({ router }: Side, mac: string): void {
    router.pulse?.post('pipe', { type: 'vipd', message: { type: 'conflict', index: 0, mac, port: 'lan0' } });
  }

  loseCarrier({ router }: Side, lan: number): void {
    this.world.setCarrier(router, lan, true);
  }

  /** Heartbeat links, by number; all unless told which. */
  cutLinks(links: readonly number[] = [0, 1]): void {
    for (const link of links) this.#setCut(LANS.linkLans[link] as number, true);
  }

  cutVipLans(): void {
    for (const lan of VIP_LANS) this.#setCut(lan, true);
  }

  heal(): void {
    for (const lan of this.#cut) this.#setCut(lan, false);
  }

  #setCut(lan: number, cut: boolean): void {
    if (cut === this.#cut.has(lan)) return;
    if (cut) this.#cut.add(lan);
    else this.#cut.delete(lan);
    this.world.networks[lan]?.cut(R1, R2, cut);
    this.world.networks[lan]?.cut(R2, R1, cut);
    this.world.networksChanged();
  }

  #look(): void {
    for (const { router, name } of this.sides) {
      const open = this.tenures.find(tenure => tenure.node === name && tenure.to === undefined);
      if (router.kernel.held && !open) this.tenures.push({ node: name, from: this.now, to: undefined });
      if (!router.kernel.held && open) open.to = this.now;
    }
  }

  /** Routers that say that they serve. */
  serving(): string[] {
    const serves = ({ router: { pulse, clock } }: Side) => pulse?.alive && servingNow(pulse.machine, clock.now() as At);
    return this.sides.filter(serves).map(({ name }) => name);
  }

  /** Routers whose kernels have the addresses. */
  holding(): string[] {
    return this.sides.filter(({ router }) => router.kernel.held).map(({ name }) => name);
  }

  /** Longest time during which both kernels had the addresses, in ms. */
  overlapMs(): number {
    let longest = 0;
    for (const a of this.tenures) {
      for (const b of this.tenures) {
        if (a.node === b.node) continue;
        const overlap = Math.min(a.to ?? this.now, b.to ?? this.now) - Math.max(a.from, b.from);
        longest = Math.max(longest, overlap);
      }
    }
    return longest;
  }

  /** When a router took the addresses first at or after `since`. */
  takenAt(name: string, since: number): number | undefined {
    return this.tenures.find(tenure => tenure.node === name && tenure.from >= since)?.from;
  }

  describe(): string {
    return this.sides
      .map(({ name, router: { pulse, runState }, decisions, events }) => {
        const changes = decisions.map(({ to, reason }) => `${to} (${reason})`).join('; ');
        return `${name} ${pulse?.machine.state.role} ${formatEpoch(runState.epoch)}: ${changes} | ${events.join(',')}`;
      })
      .join('\n');
  }
}

function routerOptions(index: 0 | 1, { priorities, settings }: CalmPairOptions): RouterOptions {
  return {
    settings: {
      node: `r${index + 1}`,
      nodeId: (index + 1) as 1 | 2,
      priority: priorities?.[index] ?? 100,
      intervalMs: ms(100),
      leaseMs: ms(220),
      deadMs: ms(300),
      aloneKeepMs: ms(5_000),
      autoFailback: false,
      keepsSessions: true,
      configDigest: '0011223344556677',
      links: LANS.linkLans.length,
      addressLans: VIP_LANS,
      units: [[0, 1]],
      lans: lansOf(LANS),
      fixed: fixedOf(LANS),
      onIsolation: 'release',
      onConflict: 'defend',
      witness: undefined,
      noticeMs: ms(2_000),
      ...settings,
    },
    clockRate: 1,
    clockStart: 1_000,
    gated: false,
    lifetimeLateMs: 0,
    timerJitterMs: 0,
    removalMs: 0,
    diskMs: 1,
    restartMs: NEVER,
    ceiling: 0,
  };
}
