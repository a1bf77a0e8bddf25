// When both routers may answer a client all the same, and for how long: each case with its rule (docs/invariants.md). Judged from what
// the simulated world really did to packets and machines, never from what a router believes.

import type { Machine } from '../../src/pulse/election/machine.ts';
import type { Heartbeat } from '../../src/pulse/heartbeat.ts';
import { compareEpochs, type Epoch } from '../../src/units/epoch.ts';
import type { Router } from './router.ts';
import type { World } from './world.ts';

/** Clock rates, whole milliseconds of timers, pipes: what bounds of time are widened by. */
const SLACK_MS = 3;
/** probeRound() of src/pulse/timing.ts. */
const PROBE_WINDOW_MS_MAX = 25;

export interface Exemption {
  readonly rule:
    | 'planned handover (R8)'
    | 'full partition without a witness (R5)'
    | 'no packet lease: kernel lifetimes are whole seconds (R13)'
    | 'hypervisor pause (R13)'
    | 'two claims within the flight of a packet';
  readonly limitMs: number;
  /** The limit counts from the start of the overlap, or from when the cause has ended. */
  readonly from: 'start' | 'end-of-cause';
}

/** Probe rounds remembered for each router. */
const ROUNDS_MAX = 8;

interface Round {
  readonly id: number;
  readonly at: number;
  eaten: boolean;
}

interface Claim {
  readonly at: number;
  readonly epoch: Epoch;
  /** The network ate the probe rounds that the claim is based on. */
  readonly probesEaten: boolean;
  /** The network ate heartbeats between the routers lately, in one direction or the other. */
  readonly heartbeatsEaten: boolean;
  /** It was made after silence, where a witness that is in force has a say. */
  readonly afterSilence: boolean;
}

export class Evidence {
  readonly #world: World;
  /** Who began to serve last. */
  newcomer: 0 | 1 = 0;
  readonly #arrivedAt = [-1e9, -1e9];
  readonly #newestSentAt = [-1e9, -1e9];
  readonly #servingArrivedAt = [-1e9, -1e9];
  readonly #eatenAt = [-1e9, -1e9];
  readonly #rounds: [Round[], Round[]] = [[], []];
  readonly #servesSince = [0, 0];
  readonly #claims: [Claim | undefined, Claim | undefined] = [undefined, undefined];
  readonly #offers: [{ epoch: Epoch; at: number } | undefined, { epoch: Epoch; at: number } | undefined] = [
    undefined,
    undefined,
  ];

  constructor(world: World) {
    this.#world = world;
  }

  /** A copy that was long on its way, behind newer ones, is no word of the peer. */
  heartbeatArrived(at: Router, serving: boolean, sentAt: number): void {
    if (sentAt <= (this.#newestSentAt[at.index] as number)) return;
    this.#newestSentAt[at.index] = sentAt;
    this.#arrivedAt[at.index] = this.#world.timeline.now;
    if (serving) this.#servingArrivedAt[at.index] = this.#world.timeline.now;
  }

  /** How long no heartbeat of a peer that serves has reached a router, in ms. */
  silenceOf(router: Router): number {
    return this.#world.timeline.now - (this.#servingArrivedAt[router.index] as number);
  }

  heartbeatEaten(from: Router): void {
    this.#eatenAt[from.index] = this.#world.timeline.now;
  }

  probes(router: Router, id: number): void {
    const rounds = this.#rounds[router.index];
    const newest = rounds.at(-1)?.id ?? 0;
    if (newest === id) return;
    // A new life of pulse counts from the beginning: rounds of the one before must not stand for its own.
    if (newest > id) rounds.length = 0;
    rounds.push({ id, at: this.#world.timeline.now, eaten: false });
    if (rounds.length > ROUNDS_MAX) rounds.shift();
  }

  probeEaten(router: Router, id: number): void {
    const round = this.#rounds[router.index].find(known => known.id === id);
    if (round) round.eaten = true;
  }

  serves(router: 0 | 1): void {
    this.newcomer = router;
    this.#servesSince[router] = this.#world.timeline.now;
  }

  offered(router: Router, { offer }: Heartbeat): void {
    const known = this.#offers[router.index];
    if (offer && (!known || compareEpochs(known.epoch, offer.epoch) !== 0))
      this.#offers[router.index] = { epoch: offer.epoch, at: this.#world.timeline.now };
  }

  claims(router: Router, epoch: Epoch, machine: Machine): void {
    const { timeline } = this.#world;
    const { deadMs } = this.#world.longest;
    const silent = machine.state.role === 'claiming' && machine.state.why.startsWith('silence');
    // Two rounds are needed after silence, one while the peer is heard as not serving.
    const ids = silent ? [machine.probeId - 1, machine.probeId - 2] : [machine.probeId - 1];
    const servesSince = this.#servesSince[router.peer.index] as number;
    const rounds = ids.map(id => this.#rounds[router.index].find(round => round.id === id));
    this.#claims[router.index] = {
      at: timeline.now,
      epoch,
      // What was asked before the other began to serve is true, too.
      probesEaten: rounds.every(round => round && (round.eaten || round.at <= servesSince)),
      heartbeatsEaten: this.#eatenAt.some(at => timeline.now - at <= 3 * deadMs),
      afterSilence: silent,
    };
  }

  /** Since `since` the network has eaten heartbeats and a probe round: a handover under way has met a full partition (5). */
  cutSince(since: number): boolean {
    const probes = this.#rounds.some(rounds => rounds.some(round => round.eaten && round.at >= since));
    return probes && this.#eatenAt.some(at => at >= since);
  }

  /** How long an address may live without its pulse, at most. */
  keptMs(): number {
    const { leaseMs, keepMs } = this.#world.longest;
    return leaseMs + keepMs + 1_500;
  }

  /** Why both may serve now; undefined when they may not. */
  exemption(): Exemption | undefined {
    const { timeline, routers, longest, pauseEndedAt } = this.#world;
    const newcomer = routers[this.newcomer];
    const older = newcomer.peer;
    const claim = this.#claims[this.newcomer];
    const { now } = timeline;
    const keptMs = this.keptMs();
    const bounded = (rule: Exemption['rule'], limitMs: number): Exemption => ({
      rule,
      limitMs,
      from: 'start',
    });
    if (claim && this.#partitioned(claim, older)) {
      const limitMs = keptMs + 2 * longest.deadMs;
      const rule = 'full partition without a witness (R5)';
      return { rule, limitMs, from: 'end-of-cause' };
    }
    if (claim && this.#offered(claim, older))
      return bounded('planned handover (R8)', longest.leaseMs + older.removalMs + SLACK_MS);
    if (now - pauseEndedAt() <= keptMs) return bounded('hypervisor pause (R13)', keptMs);
    const { flightMs } = this.#world;
    // Rank and patience keep them apart, unless something has upset both.
    if (claim && this.#world.faultsBegan && this.#apartMs(claim, older) <= flightMs)
      return bounded('two claims within the flight of a packet', 3 * flightMs + SLACK_MS);
    if (claim?.probesEaten && !older.kernel.gated)
      return bounded('no packet lease: kernel lifetimes are whole seconds (R13)', keptMs);
    return undefined;
  }

  /** The newcomer's claim, or rather what it knew, was shaped by a network that let neither heartbeats nor probes through. */
  #partitioned(claim: Claim, older: Router): boolean {
    if (claim.afterSilence && this.#world.witnessWatches()) return false;
    return claim.heartbeatsEaten && (claim.probesEaten || this.#apartMs(claim, older) <= 2 * PROBE_WINDOW_MS_MAX);
  }

  #offered(claim: Claim, giver: Router): boolean {
    const offer = this.#offers[giver.index];
    if (!offer || compareEpochs(claim.epoch, offer.epoch) !== 0) return false;
    return this.#world.timeline.now - offer.at <= this.#world.longest.leaseMs + SLACK_MS;
  }

  /** How far apart the two routers' claims were; without end when the other's is an old one. */
  #apartMs(claim: Claim, other: Router): number {
    const { timeline, longest } = this.#world;
    const rival = this.#claims[other.index];
    if (!rival || timeline.now - rival.at > longest.deadMs) return Number.POSITIVE_INFINITY;
    return Math.abs(claim.at - rival.at);
  }
}
