// What must always hold (docs/invariants.md), checked after every step on the packet path: who could answer a client, not what a machine
// believes. The first breach of a schedule is kept. What is allowed all the same is in exemptions.ts.

import { saidTimes } from '../../src/pulse/election/beliefs/changing-times.ts';
import type { Effect, LeaseCommand, Machine } from '../../src/pulse/election/machine.ts';
import type { Heartbeat } from '../../src/pulse/heartbeat.ts';
import { compareEpochs, EPOCH_NONE, type Epoch, formatEpoch } from '../../src/units/epoch.ts';
import type { LeaseRequest } from '../../src/vip/protocol.ts';
import { Evidence, type Exemption } from './exemptions.ts';
import type { Router } from './router.ts';
import type { World } from './world.ts';

export const INVARIANTS = [
  'one-owner',
  'lease',
  'too-early',
  'epoch-reused',
  'epoch-order',
  'heartbeat-truth',
  'ready-truth',
  'liveness',
  'convergence',
  'flap',
  'handover-gap',
  'takeover-time',
  'no-change',
  'mute-owner',
  'mute-claim',
  'retry-pace',
  'unit-unserved',
  'crash',
  'endless',
] as const;
export type Invariant = (typeof INVARIANTS)[number];

export interface Breach {
  readonly invariant: Invariant;
  readonly atMs: number;
  readonly text: string;
}

/** A sixteenth of the packet lease, at most 2 ms. */
const LEASE_SLACK_MS = 2.5;
const DECIDED_MS = 0.1;
/** Pauses that double from the shortest D on, and what faults in a row may add. */
const PACE_MS = 5_000;
const CLAIMS_MAX = 20;
/** vipd tells at once; a process that is stopped reads it later, and claims nothing before. */
const TOLD_MS = 0.1;

interface Dual {
  readonly since: number;
  readonly exemption: Exemption | undefined;
}

/** One router's terms of ownership, over all its lives. */
interface Terms {
  highest: Epoch;
  /** When that was granted first. */
  since: number;
  lastGrantAt: number;
  lastLeaseMs: number;
  lastBoot: string | undefined;
}

/** No packet lease, and no vipd that could remove the addresses: the kernel's lifetimes end it (R13). */
function leftToLifetimes({ kernel, vipd }: Router): boolean {
  return kernel.held && !kernel.gated && (!vipd?.alive || vipd.stopped || vipd.phase !== 'holding');
}

/** For how long a router has said that it is ready while it had no vipd, by its clock. */
interface SaidReady {
  /** Of pulse, and the last vipd that it had. */
  life: string;
  forMs: number;
  lastAt: number;
}

export class Monitor {
  readonly #world: World;
  readonly evidence: Evidence;
  breach: Breach | undefined;
  /** How often another router than the one before became the only one that serves. */
  ownerChanges = 0;
  owner: 0 | 1 | undefined;
  /** When it last changed who serves. */
  changedAt = 0;
  /** Since when nobody serves; undefined: somebody does. */
  vacantSince: number | undefined = 0;
  longestVacancyMs = 0;
  roleChanges = 0;
  announcedAt = [0, 0];
  /** Rules that allowed an overlap in this schedule, or more than the invariants say. */
  readonly exemptions: string[] = [];
  #dual: Dual | undefined;
  /** The overlap before. */
  #dualBefore: Dual | undefined;
  /** When one of the two was last left to its kernel's lifetimes while both served. */
  #lifetimesAt = 0;
  #served = [false, false];
  /** When the owner became the only one that serves. */
  #ownedSince = 0;
  readonly #claimedAt: number[][] = [[], []];
  /** When what each router has asked for ends, on its own clock. */
  readonly #askedUntil = [-1e9, -1e9];
  readonly #epochs = new Map<number, string>();
  readonly #terms: readonly Terms[] = [0, 1].map(() => ({
    highest: EPOCH_NONE,
    since: 0,
    lastGrantAt: -1e9,
    lastLeaseMs: 0,
    lastBoot: undefined,
  }));

  readonly #saidReady: readonly [SaidReady, SaidReady] = [
    { life: '', forMs: 0, lastAt: 0 },
    { life: '', forMs: 0, lastAt: 0 },
  ];

  constructor(world: World) {
    this.#world = world;
    this.evidence = new Evidence(world);
  }

  /** It is router 1 or 2, and judged as such; not so a copy beside the router that it copies. */
  counts(router: Router): boolean {
    return !router.isCopy || this.#world.seat(router.index) === router;
  }

  fail(invariant: Invariant, text: string): void {
    if (this.breach) return;
    this.breach = { invariant, atMs: this.#world.timeline.now, text };
    this.#world.say('check', () => `BREACH of ${invariant}: ${text}`);
  }

  /** After every step. */
  look(): void {
    const { timeline } = this.#world;
    const one = this.#world.seat(0);
    const two = this.#world.seat(1);
    const a = one.serves();
    const b = two.serves();
    if (a !== this.#served[0] || b !== this.#served[1]) this.#changed(a, b);
    if (a && b) this.#lookAtBoth();
    else {
      this.#dualBefore = this.#dual ?? this.#dualBefore;
      this.#dual = undefined;
    }
    if (a) this.#lookAtLease(one);
    if (b) this.#lookAtLease(two);
    if (this.#world.copy?.serves()) this.#lookAtCopy(this.#world.copy);
    if (this.vacantSince !== undefined)
      this.longestVacancyMs = Math.max(this.longestVacancyMs, timeline.now - this.vacantSince);
  }

  #changed(a: boolean, b: boolean): void {
    const { timeline, routers } = this.#world;
    for (const [index, serves] of [a, b].entries()) {
      if (serves === this.#served[index]) continue;
      this.#world.say((routers[index] as Router).name, () => (serves ? 'SERVES' : 'serves no more'));
      if (serves) this.evidence.serves(index as 0 | 1);
    }
    this.#served = [a, b];
    // A machine that was paused goes on as it was, and knows of nothing.
    const goesOn = routers.some(({ clock, index }) => (index === 0 ? a : b) && clock.resumesAt() === timeline.now);
    if (!goesOn) this.changedAt = timeline.now;
    this.vacantSince = a || b ? undefined : (this.vacantSince ?? timeline.now);
    if (a === b) return;
    const owner = a ? 0 : 1;
    if (this.owner !== owner) this.#ownedSince = timeline.now;
    if (this.owner !== undefined && this.owner !== owner) this.ownerChanges += 1;
    this.owner = owner;
  }

  /**
   * An overlap that is allowed until its cause ends, by its exemption or since a handover met a cut, is one overlap, also where one of
   * the two loses the addresses for a moment: its limit counts from the beginning, and the cause must have been there all the time.
   */
  #goesOn(): Dual | undefined {
    const before = this.#dualBefore;
    if (!before?.exemption || this.#world.unwellSince() > before.since) return undefined;
    return this.#endsWithCause(before.exemption, before.since) ? before : undefined;
  }

  #endsWithCause({ from }: Exemption, since: number): boolean {
    return from === 'end-of-cause' || this.evidence.cutSince(since);
  }

  #lookAtBoth(): void {
    const { timeline, clients } = this.#world;
    const [one, two] = [this.#world.seat(0), this.#world.seat(1)];
    if (!this.#dual) {
      this.#dual = this.#goesOn() ?? { since: timeline.now, exemption: this.evidence.exemption() };
      const { exemption } = this.#dual;
      if (exemption) this.exemptions.push(exemption.rule);
      this.#world.say(
        'check',
        () =>
          `both serve (${exemption ? `${exemption.rule}, at most ${Math.round(exemption.limitMs)} ms` : 'not allowed'})`,
      );
    }
    const { since, exemption } = this.#dual;
    this.#lookForMute(exemption);
    const seen = clients.find(client => [one, two].every(({ host }) => client.reaches(host)));
    if (!seen) return;
    if (!exemption) return this.fail('one-owner', `both routers serve client ${seen.host}`);
    const cut = this.#endsWithCause(exemption, since);
    // Whatever the rule: without the packet lease only a vipd that runs can end it before the kernel's lifetimes do (13). One that comes
    // has the rule's time.
    const lifetimes = !cut && this.#world.routers.some(leftToLifetimes);
    const from = Math.max(since, cut ? this.#world.wellSince() : lifetimes ? 0 : this.#lifetimesAt);
    if (lifetimes) this.#lifetimesAt = timeline.now;
    const kept = cut || lifetimes;
    const limitMs = kept ? this.evidence.keptMs() : exemption.limitMs;
    if (lifetimes && timeline.now - from > exemption.limitMs) this.#allowsLifetimes();
    if (timeline.now - from > limitMs)
      this.fail('one-owner', `both routers have served for ${Math.round(timeline.now - since)} ms (${exemption.rule})`);
  }

  /** A third machine beside the router that it copies serves beside nobody, whatever the rule. */
  #lookAtCopy(copy: Router): void {
    const { routers, clients } = this.#world;
    if (this.counts(copy)) return;
    for (const router of routers) {
      if (!router.serves()) continue;
      const seen = clients.find(client => client.reaches(router.host) && client.reaches(copy.host));
      if (seen) this.fail('one-owner', `${copy.name} serves client ${seen.host} beside ${router.name}`);
    }
  }

  /** Counted once in a schedule: it goes on for many steps. */
  #allowsLifetimes(): void {
    const rule = 'served beyond the lease: no packet lease and no vipd that runs (R13)';
    if (!this.exemptions.includes(rule)) this.exemptions.push(rule);
  }

  /** Claims that fail are not repeated in circles: each costs the history, the disk and the LAN something. */
  #lookAtPace(router: Router): void {
    const { now } = this.#world.timeline;
    const lately = [...(this.#claimedAt[router.index] as number[]).filter(at => now - at <= PACE_MS), now];
    this.#claimedAt[router.index] = lately;
    if (lately.length > CLAIMS_MAX)
      this.fail('retry-pace', `${router.name} has claimed ${lately.length} times in ${PACE_MS} ms`);
  }

  /** An owner that cannot speak has let go by the time that a peer which had heard it until then takes over. */
  #lookForMute(exemption: Exemption | undefined): void {
    const newcomer = this.#world.routers[this.evidence.newcomer] as Router;
    const older = newcomer.peer;
    if (exemption || leftToLifetimes(older) || !this.#world.isMute(older.index)) return;
    const heardAt = this.#world.timeline.now - this.evidence.silenceOf(newcomer);
    const untilThen = this.#world.muteSince(older.index) - heardAt <= 2 * this.#world.longest.intervalMs;
    if (untilThen && older.runState.mode === 'armed')
      this.fail('mute-owner', `${older.name} cannot speak and still serves when its peer takes over`);
  }

  /** Who cannot speak, or never could, takes nothing over; what pulse finds kept at its start is not taken over. */
  #looksMute(router: Router, why: string): void {
    // A vipd that is stopped tells of no address, and makes no claim.
    if (why.startsWith('the VIPs were kept') || router.vipd?.stopped) return;
    // A machine that was paused hears of it when it goes on.
    const muteSince = Math.max(this.#world.muteSince(router.index), router.clock.resumesAt());
    const { now } = this.#world.timeline;
    const never = router.pulse?.bound.size === 0 && router.options.settings.links > 0;
    if (never || now - muteSince > TOLD_MS)
      this.fail('mute-claim', `${router.name} claims although no heartbeat link ${never ? 'was ever' : 'is'} bound`);
  }

  // --- told by the routers ---

  granted(router: Router, epoch: Epoch, lease: LeaseRequest, anew: boolean): void {
    const owner = `${router.name} boot ${router.pulse?.machine.settings.bootId}`;
    const key = epoch.counter * 4 + epoch.node;
    const before = this.#epochs.get(key);
    const terms = this.#terms[router.index] as Terms;
    if (anew) this.#world.say(router.name, () => `vipd adds the addresses, epoch ${formatEpoch(epoch)}, ${lease.mode}`);
    if (before !== undefined && before !== owner)
      this.fail('epoch-reused', `epoch ${formatEpoch(epoch)} of ${owner} was one of ${before}`);
    this.#epochs.set(key, owner);
    if (!this.counts(router)) return;
    if (compareEpochs(epoch, terms.highest) < 0)
      this.fail('epoch-order', `${router.name} holds under ${formatEpoch(epoch)} after ${formatEpoch(terms.highest)}`);
    const taken = this.owner === router.peer.index && this.#ownedSince > terms.since;
    if (anew && compareEpochs(epoch, terms.highest) === 0 && taken && !this.#isWaking(router))
      this.fail(
        'epoch-order',
        `${router.name} holds again under ${formatEpoch(epoch)}, although ${router.peer.name} has served since`,
      );
    if (compareEpochs(epoch, terms.highest) > 0) terms.since = this.#world.timeline.now;
    terms.highest = epoch;
    terms.lastGrantAt = lease.at;
    terms.lastLeaseMs = lease.leaseMs;
    terms.lastBoot = router.pulse?.machine.settings.bootId;
  }

  /**
   * Its machine was paused, and its clock stood still: by that its term goes on, and it cannot know better (R13). What it repairs in that
   * time is its own, for as long as it might serve on beside the other.
   */
  #isWaking({ clock }: Router): boolean {
    return this.#world.timeline.now - clock.resumesAt() <= this.evidence.keptMs();
  }

  /** R1, R3: silence is counted for the peer's lease at least, however short our own D is. */
  #claims(router: Router, { epoch, at }: LeaseCommand, machine: Machine): void {
    this.evidence.claims(router, epoch, machine);
    const { state } = machine;
    // Stalled between the decision and the command: vipd refuses it if that was long.
    if (state.role !== 'claiming' || router.clock.now() - at > DECIDED_MS) return;
    this.#looksMute(router, state.why);
    if (!state.why.startsWith('silence')) return;
    const heardMs = this.evidence.silenceOf(router);
    const leaseMs = this.#leaseOf(router.peer);
    if (heardMs < leaseMs)
      this.fail(
        'too-early',
        `${router.name} claims after ${heardMs.toFixed(1)} ms of silence, the peer's lease is ${leaseMs} ms`,
      );
  }

  /**
   * What a peer has to reckon with: what vipd was granted last, if that was in this life and runs;
   * without reloads what the config says.
   */
  #leaseOf(router: Router): number {
    if (this.#world.options.reloads.length === 0) return router.options.settings.leaseMs;
    const { lastGrantAt, lastLeaseMs, lastBoot } = this.#terms[router.index] as Terms;
    const runs = router.clock.now() <= lastGrantAt + lastLeaseMs;
    return runs && lastBoot === router.pulse?.machine.settings.bootId ? lastLeaseMs : 0;
  }

  /** R1: what is served while somebody could take over is served for L from the request at most, whatever stalls. */
  #lookAtLease(router: Router): void {
    const { clock, kernel, runState, removalMs } = router;
    if (runState.mode !== 'armed' || !kernel.serves()) return;
    const overMs = clock.now() - (this.#askedUntil[router.index] as number);
    if (overMs <= (kernel.gated ? LEASE_SLACK_MS : LEASE_SLACK_MS + removalMs)) return;
    if (leftToLifetimes(router)) return this.#allowsLifetimes();
    this.fail('lease', `${router.name} still serves ${overMs.toFixed(1)} ms after its lease`);
  }

  removed(router: Router): void {
    this.#world.say(router.name, () => 'the addresses are removed');
  }

  announced(router: Router): void {
    if (this.counts(router)) this.announcedAt[router.index] = this.#world.timeline.now;
    this.#world.say(router.name, () => 'announces');
  }

  /** R1: "active" only if vipd acknowledged a renewal within L. `message.sentAtUs` is when that was judged. */
  heartbeatSent(router: Router, message: Heartbeat): void {
    if (!this.counts(router)) return;
    if (message.offer) this.evidence.offered(router, message);
    this.#lookAtReady(router, message);
    if (!message.serving) return;
    const { lastGrantAt, lastLeaseMs } = this.#terms[router.index] as Terms;
    if (message.sentAtUs / 1000 - lastGrantAt > lastLeaseMs + 0.01)
      this.fail(
        'heartbeat-truth',
        `${router.name} says that it serves ${Math.round(message.sentAtUs / 1000 - lastGrantAt)} ms after vipd's last lease`,
      );
  }

  /**
   * Who says "ready" could claim: not for long without a vipd. One that stood still may not have read yet that another has come and gone:
   * it counts anew.
   */
  #lookAtReady(router: Router, { ready, sentAtUs, bootId }: Heartbeat): void {
    const { intervalMs, deadMs } = this.#world.longest;
    const said = this.#saidReady[router.index] as SaidReady;
    const sentAt = sentAtUs / 1000;
    const lies = ready && router.vipd?.alive !== true;
    const life = `${bootId} ${router.vipds}`;
    const goesOn = said.life === life && sentAt - said.lastAt <= 2 * intervalMs;
    said.forMs = lies && goesOn ? said.forMs + sentAt - said.lastAt : 0;
    said.lastAt = sentAt;
    said.life = life;
    if (said.forMs > 2 * deadMs) this.fail('ready-truth', `${router.name} says that it is ready, and has no vipd`);
  }

  heartbeatArrived(router: Router, serving: boolean, sentAt: number): void {
    if (this.counts(router)) this.evidence.heartbeatArrived(router, serving, sentAt);
  }

  heartbeatEaten(router: Router): void {
    if (this.counts(router)) this.evidence.heartbeatEaten(router);
  }

  probes(router: Router, id: number): void {
    if (this.counts(router)) this.evidence.probes(router, id);
  }

  probeEaten(router: Router, id: number): void {
    if (this.counts(router)) this.evidence.probeEaten(router, id);
  }

  /** The one that is probed serves and has no way to answer: only where nobody can take its addresses away is that the network's doing. */
  probeUnanswered(router: Router, id: number): void {
    if (this.counts(router) && leftToLifetimes(router.peer)) this.evidence.probeEaten(router, id);
  }

  told(router: Router, effect: Effect, machine: Machine): void {
    if (this.counts(router)) this.#judges(router, effect, machine);
    if (effect.type === 'decision') {
      this.roleChanges += 1;
      const { from, to, epoch, reason } = effect.decision;
      this.#world.say(router.name, () => `${from} -> ${to}, epoch ${epoch}: ${reason}`);
    } else if (effect.type === 'event') {
      this.#world.say(router.name, () => `event ${effect.code} ${JSON.stringify(effect.fields)}`);
    }
  }

  #judges(router: Router, effect: Effect, machine: Machine): void {
    if (effect.type === 'claim') this.#claims(router, effect.lease, machine);
    if (effect.type === 'decision' && effect.decision.to === 'claiming') this.#lookAtPace(router);
    if (effect.type === 'claim' || effect.type === 'renew') {
      // While times change, the rules of the packet lease may be made for what is said already, or
      // still.
      const until = effect.lease.at + Math.max(effect.lease.leaseMs, saidTimes(machine).leaseMs);
      this.#askedUntil[router.index] = Math.max(this.#askedUntil[router.index] as number, until);
    }
  }
}
