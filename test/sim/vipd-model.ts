// A model of vipd: src/vip/native/hold/lease.c, lifetimes.c, will.c, announce.c and watch/probe.c, as far as they decide anything.
// It reads its pipe in order, looks at the lease after every wait and before every command, and can be stopped, killed or late.
import { compareEpochs, type Epoch } from '../../src/units/epoch.ts';
import type { FixedState, LeaseRequest, PlaceState, VipdMessage, VipdMode } from '../../src/vip/protocol.ts';
import type { KernelModel } from './kernel-model.ts';
import { Alarm, type HostClock, NEVER } from './timeline.ts';

const REFRESH_MS = 500;
const REFRESH_SPARE_MS = 500;
const REPAIR_RETRY_MS = 200;
const WILL_COPIES_MS = [0, 5, 20];
const ANNOUNCE_AFTER_MS = [0, 20, 100, 500, 1_000, 2_000, 5_000];
const ANNOUNCE_EVERY_MS = 30_000;
const PROBE_LIFE_MS = 2_000;
const CONFLICT_AGAIN_MS = 1_000;

/** The state file in /run: outlives processes, not the machine. */
export interface RunState {
  epoch: Epoch;
  mode: VipdMode | 'none';
  closed: boolean;
  will: unknown;
}

export type VipdCommand =
  | { readonly type: 'claim' | 'renew'; readonly lease: LeaseRequest }
  | { readonly type: 'will'; readonly datagram: unknown }
  | { readonly type: 'release'; readonly seq: number; readonly epoch: Epoch; readonly will: boolean }
  | { readonly type: 'announce' }
  | { readonly type: 'resolve'; readonly index: number }
  | { readonly type: 'sample'; readonly everyMs: number; readonly windowMs: number }
  | {
      readonly type: 'probe';
      readonly id: number;
      readonly index: number;
      readonly mac: string | undefined;
      readonly windowMs: number;
    };

export interface VipdHost {
  readonly clock: HostClock;
  readonly kernel: KernelModel;
  readonly runState: RunState;
  readonly addresses: number;
  /** How long the kernel takes to remove the addresses. */
  removalMs: number;
  /** The kernel adds this address, if it is not there yet. */
  takes(index: number): boolean;
  say(vipd: VipdModel, message: VipdMessage): void;
  sendWill(datagram: unknown): void;
  continued(): void;
  announce(): void;
  sendProbe(vipd: VipdModel, id: number, index: number, mac: string | undefined): void;
  resolve(vipd: VipdModel, index: number): void;
  /** Without chance, and so never behind what is said after it. */
  sayAhead(vipd: VipdModel, message: VipdMessage): void;
  /** As say(), without chance: what happens else in a schedule does not depend on it. */
  sayPlainly(vipd: VipdModel, message: VipdMessage): void;
  granted(epoch: Epoch, lease: LeaseRequest, anew: boolean): void;
  removed(): void;
  sample(sampling: { readonly everyMs: number; readonly windowMs: number }): void;
}

export interface Answer {
  readonly id: number;
  readonly index: number;
  readonly mac: string;
  readonly via: 'echo' | 'word' | 'arp';
}

interface Probe {
  readonly id: number;
  readonly index: number;
  readonly mac: string | undefined;
  readonly at: number;
  due: number;
}

interface Removal {
  readonly why: 'released' | 'expired' | 'closed' | 'kernel';
  readonly seq: number;
  readonly epoch: Epoch;
  readonly will: boolean;
}

export class VipdModel {
  readonly #host: VipdHost;
  alive = true;
  stopped = false;
  phase: 'idle' | 'holding' | 'removing' = 'idle';
  /** Its last word on each own address of the router. */
  readonly toldOwn: FixedState[] = [];
  /** Its last word on the place of each address. */
  readonly toldPlaces: PlaceState[] = [];
  #wanted: readonly number[] = [];
  /** Asked for in the middle of the term, not in yet. */
  readonly #coming = new Set<number>();
  readonly #failing = new Set<number>();
  #repairAt = NEVER;
  #pipeOpen = true;
  readonly #inbox: VipdCommand[] = [];
  readonly #frames: Answer[] = [];
  #terms = { at: 0, deadline: 0, mode: 'armed' as VipdMode, keepMs: 0, leaseMs: 0 };
  readonly #foundAtStart: boolean;
  #refreshAt = NEVER;
  #removalAt = NEVER;
  #ending: Removal | undefined;
  #announceStep = 0;
  #announceAt = NEVER;
  #probes: Probe[] = [];
  #willStep = WILL_COPIES_MS.length;
  #willBegunAt = 0;
  #willDatagram: unknown;
  readonly #conflictToldAt: number[];
  readonly #alarm: Alarm;

  constructor(host: VipdHost) {
    this.#host = host;
    this.#foundAtStart = host.kernel.held;
    this.#conflictToldAt = Array.from({ length: host.addresses }, () => -NEVER);
    this.#alarm = new Alarm(host.clock, () => this.#wake());
    const { epoch, mode } = host.runState;
    host.say(this, { type: 'hello', version: 'sim', epoch, mode, held: this.#foundAtStart ? host.addresses : 0 });
  }

  /** One line from pulse's pipe. */
  command(command: VipdCommand): void {
    if (!this.alive || !this.#pipeOpen) return;
    if (this.stopped) {
      this.#inbox.push(command);
      return;
    }
    this.#serve(command);
    this.#arm();
  }

  pipeClosed(): void {
    if (!this.alive || !this.#pipeOpen) return;
    this.#pipeOpen = false;
    if (!this.stopped) this.#wake();
  }

  stop(): void {
    this.stopped = true;
  }

  continue(): void {
    if (!this.alive || !this.stopped) return;
    const { clock } = this.#host;
    if (clock.isPaused()) return clock.timeline.at(clock.resumesAt(), () => this.continue());
    this.stopped = false;
    if (this.phase === 'holding' && this.#host.clock.now() < this.#termsEnd()) this.#ensure(this.#wanted);
    this.#wake();
    this.#host.continued();
  }

  kill(): void {
    this.alive = false;
    this.#alarm.set(NEVER);
  }

  /** An answer to a probe came in. */
  heardAnswer(answer: Answer): void {
    if (!this.alive) return;
    this.#frames.push(answer);
    if (!this.stopped && !this.#host.clock.isPaused()) this.#readFrames();
  }

  /** Whether it gives its word for the addresses when the other vipd asks. */
  givesWord(index: number): boolean {
    const runs = this.alive && !this.stopped && !this.#host.clock.isPaused();
    // safeguard: vipd-gives-its-word
    return runs && this.#serves(index);
  }

  #serves(index: number): boolean {
    return this.phase === 'holding' && this.#wanted.includes(index);
  }

  /** The kernel says that addresses went, whoever took them. */
  lost(addresses: readonly number[]): void {
    if (!this.alive || this.stopped || this.phase !== 'holding') return;
    this.#ensure(addresses.filter(index => this.#wanted.includes(index)));
    this.#arm();
  }

  /** Another machine announces address `index`. */
  heardClaim(index: number, mac: string): void {
    if (!this.alive || this.stopped) return;
    if (!this.#serves(index)) return this.#host.sayPlainly(this, { type: 'claimed', index, mac });
    const now = this.#host.clock.now();
    if (now - (this.#conflictToldAt[index] as number) < CONFLICT_AGAIN_MS) return;
    this.#conflictToldAt[index] = now;
    this.#host.say(this, { type: 'conflict', index, mac, port: `lan${index}` });
  }

  #wake(): void {
    if (!this.alive || this.stopped) return;
    this.#leaseCheck();
    for (const command of this.#inbox.splice(0)) this.#serve(command);
    if (!this.#pipeOpen) this.#closePipe();
    this.#readFrames();
    this.#leaseCheck();
    this.#timers();
    this.#arm();
  }

  #arm(): void {
    const { phase } = this;
    let next = Math.min(this.#refreshAt, this.#removalAt, this.#announceAt, this.#repairAt);
    if (phase === 'holding') next = Math.min(next, this.#termsEnd());
    for (const probe of this.#probes) if (probe.due < next) next = probe.due;
    if (this.#willStep < WILL_COPIES_MS.length)
      next = Math.min(next, this.#willBegunAt + (WILL_COPIES_MS[this.#willStep] as number));
    this.#alarm.set(next);
    const done = !this.#pipeOpen && phase === 'idle' && this.#willStep >= WILL_COPIES_MS.length;
    if (done) this.kill();
  }

  #termsEnd(): number {
    const { deadline, mode, keepMs } = this.#terms;
    // safeguard: vipd-lease-ends
    return deadline + (mode === 'alone' ? keepMs : 0);
  }

  #leaseCheck(): void {
    if (this.phase === 'holding' && this.#host.clock.now() >= this.#termsEnd())
      this.#beginRemoval('expired', 0, this.#host.runState.epoch, true);
  }

  #serve(command: VipdCommand): void {
    this.#leaseCheck();
    switch (command.type) {
      case 'claim':
        return this.#claim(command.lease);
      case 'renew':
        return this.#renew(command.lease);
      case 'will':
        this.#host.runState.will = command.datagram;
        return;
      case 'release':
        return this.#release(command);
      case 'announce':
        if (this.phase === 'holding') this.#announceAnew();
        return;
      case 'probe':
        return this.#probe(command);
      case 'resolve':
        return this.#host.resolve(this, command.index);
      case 'sample':
        return this.#host.sample(command);
    }
  }

  #refuse(seq: number, reason: string): void {
    this.#host.say(this, { type: 'refused', seq, reason });
  }

  /** The lease's end by the request's own time; undefined when that has passed. */
  #deadlineOf(lease: LeaseRequest): { at: number; deadline: number } | undefined {
    const now = this.#host.clock.now();
    // safeguard: vipd-counts-from-the-request
    const at = Math.min(lease.at, now);
    const deadline = at + lease.leaseMs;
    return deadline > now ? { at, deadline } : undefined;
  }

  #claim(lease: LeaseRequest): void {
    const { runState } = this.#host;
    const order = compareEpochs(lease.epoch, runState.epoch);
    const deadline = this.#deadlineOf(lease);
    if (order < 0 || (order === 0 && runState.closed)) return this.#refuse(lease.seq, 'stale-epoch');
    if (!deadline) return this.#refuse(lease.seq, 'late');
    const broken = lease.addresses.some(index => this.#failing.has(index) || this.#coming.has(index));
    if (this.phase !== 'holding' || broken) {
      if (this.phase === 'removing' && this.#ending?.why === 'released') this.#refuse(this.#ending.seq, 'kernel');
      this.#removalAt = NEVER;
      Object.assign(runState, { epoch: lease.epoch, mode: lease.mode, closed: false });
      this.phase = 'holding';
      this.#coming.clear();
      this.#failing.clear();
      this.#repairAt = NEVER;
      const denied = lease.addresses.filter(index => !this.#canHave(index));
      for (const index of denied) this.#deny(index);
      if (denied.length > 0) return this.#beginRemoval('kernel', lease.seq, lease.epoch, false);
      this.#wanted = lease.addresses;
      this.#dropOthers();
    } else {
      this.#want(lease.addresses);
    }
    this.#grant(lease, deadline, true);
    this.#refreshAt = Math.min(this.#refreshAt, this.#host.clock.now() + REFRESH_MS);
    this.#announceAnew();
  }

  #renew(lease: LeaseRequest): void {
    const { epoch } = this.#host.runState;
    const deadline = this.#deadlineOf(lease);
    if (this.phase !== 'holding') return this.#refuse(lease.seq, 'not-held');
    const older = compareEpochs(lease.epoch, epoch) !== 0 && lease.epoch.counter <= epoch.counter;
    if (older) return this.#refuse(lease.seq, 'stale-epoch');
    if (!deadline) return this.#refuse(lease.seq, 'late');
    this.#want(lease.addresses);
    this.#grant(lease, deadline, false);
  }

  #canHave(index: number): boolean {
    return this.#host.kernel.present.has(index) || this.#host.takes(index);
  }

  #deny(index: number): void {
    this.#host.sayAhead(this, { type: 'denied', index, text: 'the kernel refuses it' });
  }

  #dropOthers(): void {
    const { kernel } = this.#host;
    // safeguard: vipd-drops-what-is-not-wanted
    kernel.lose([...kernel.present].filter(index => !this.#wanted.includes(index)));
  }

  #want(addresses: readonly number[]): void {
    const before = this.#wanted;
    this.#wanted = addresses;
    for (const index of addresses) if (!before.includes(index)) this.#coming.add(index);
    for (const set of [this.#coming, this.#failing])
      for (const index of set) if (!addresses.includes(index)) set.delete(index);
    this.#dropOthers();
    this.#ensure(this.#coming);
  }

  /** As lifetimes.c, but at once. */
  #ensure(addresses: Iterable<number>): void {
    const { kernel, clock } = this.#host;
    this.#repairAt = NEVER;
    for (const index of addresses) {
      const there = kernel.present.has(index);
      if (!there && !this.#host.takes(index)) {
        if (!this.#failing.has(index)) this.#deny(index);
        this.#failing.add(index);
        continue;
      }
      const coming = this.#coming.delete(index);
      this.#failing.delete(index);
      if (!there) kernel.ensure(this.#validSeconds(), [index]);
      if (coming || !there) this.#host.sayAhead(this, { type: coming ? 'added' : 'repaired', index });
      if (coming || !there) this.#announceAnew();
    }
    if (this.#failing.size > 0) this.#repairAt = clock.now() + REPAIR_RETRY_MS;
  }

  #grant(lease: LeaseRequest, { at, deadline }: { at: number; deadline: number }, anew: boolean): void {
    const { runState, kernel } = this.#host;
    const before = this.#terms;
    const modeChanged = runState.mode !== lease.mode;
    this.#terms = { at, deadline, mode: lease.mode, keepMs: lease.keepMs, leaseMs: lease.leaseMs };
    // An older request that comes late does not shorten what a newer one got.
    if (this.phase === 'holding' && before.at > at && !anew)
      this.#terms = { ...this.#terms, at: before.at, deadline: Math.max(before.deadline, deadline) };
    runState.epoch = lease.epoch;
    runState.mode = lease.mode;
    const missing = !kernel.held;
    const adds = missing || anew ? this.#wanted.filter(index => this.#canHave(index)) : [];
    if (missing || modeChanged || anew) kernel.ensure(this.#validSeconds(), adds);
    this.#renewGate();
    this.#host.granted(lease.epoch, lease, missing);
    this.#host.say(this, { type: 'held', seq: lease.seq, epoch: lease.epoch, announcedAfterUs: undefined });
  }

  /** As packet-lease.c: to the end of the lease, never beyond; what is left of it in sixteenths. */
  #renewGate(): void {
    const { clock, kernel } = this.#host;
    const { deadline, mode, keepMs, leaseMs } = this.#terms;
    const leftMs = Math.max(0, deadline - clock.now());
    const spareMs = Math.min(leaseMs / 16, 2);
    const armedMs = (Math.min(16, Math.floor(((leftMs + spareMs) * 16) / leaseMs)) * kernel.gateLeaseMs) / 16;
    const aloneMs = kernel.gateLeaseMs + keepMs;
    // safeguard: packet-lease-ends
    kernel.openGate(mode === 'alone' ? aloneMs : armedMs);
  }

  /** As terms.c: whole seconds, rounded up, so that a lifetime never ends before the lease. */
  #validSeconds(): number {
    const now = this.#host.clock.now();
    const { mode, leaseMs } = this.#terms;
    const left = mode === 'alone' ? this.#terms.deadline + this.#terms.keepMs - now : leaseMs + REFRESH_SPARE_MS;
    return Math.max(1, Math.ceil(left / 1000));
  }

  #release({ seq, epoch, will }: VipdCommand & { type: 'release' }): void {
    if (compareEpochs(epoch, this.#host.runState.epoch) < 0) return this.#refuse(seq, 'stale-epoch');
    if (this.phase === 'removing' && this.#ending?.why === 'released') this.#refuse(this.#ending.seq, 'kernel');
    this.#beginRemoval('released', seq, epoch, will);
  }

  #beginRemoval(why: Removal['why'], seq: number, epoch: Epoch, will: boolean): void {
    const { kernel, clock, removalMs } = this.#host;
    this.phase = 'removing';
    this.#refreshAt = this.#announceAt = this.#repairAt = NEVER;
    this.#wanted = [];
    this.#coming.clear();
    this.#failing.clear();
    this.#ending = { why, seq, epoch, will };
    // safeguard: packet-lease-closed
    kernel.closeGate();
    // safeguard: removal-before-the-will
    this.#removalAt = clock.now() + (kernel.held ? removalMs : 0);
    if (clock.now() >= this.#removalAt) this.#removed();
  }

  #removed(): void {
    const { runState, kernel } = this.#host;
    const ending = this.#ending as Removal;
    kernel.remove();
    this.#host.removed();
    this.phase = 'idle';
    this.#removalAt = NEVER;
    runState.mode = 'none';
    const will = ending.will && runState.will !== undefined;
    runState.closed = runState.closed || will;
    if (will) this.#beginWill();
    const { why, seq, epoch } = ending;
    if (why === 'released') this.#host.say(this, { type: 'released', seq, epoch });
    else if (why === 'expired') this.#host.say(this, { type: 'expired', epoch: runState.epoch });
    else if (why !== 'closed') this.#refuse(seq, why);
  }

  #closePipe(): void {
    const { runState, kernel, clock } = this.#host;
    const mute = this.toldOwn.length > 0 && !this.toldOwn.includes('here');
    if (this.phase === 'holding' && this.#terms.mode === 'alone' && !mute) {
      this.#terms = { ...this.#terms, deadline: clock.now() };
      kernel.ensure(
        this.#validSeconds(),
        this.#wanted.filter(index => this.#canHave(index)),
      );
      this.#renewGate();
      this.#refreshAt = this.#announceAt = this.#repairAt = NEVER;
      this.phase = 'idle';
    } else if (this.phase === 'holding' || (this.phase === 'idle' && runState.mode === 'armed' && this.#foundAtStart)) {
      this.#beginRemoval('closed', 0, runState.epoch, true);
    }
  }

  #timers(): void {
    const now = this.#host.clock.now();
    if (this.phase === 'removing' && now >= this.#removalAt) this.#removed();
    if (now >= this.#refreshAt) {
      this.#refreshAt = now + REFRESH_MS;
      this.#ensure(this.#wanted);
      this.#host.kernel.ensure(this.#validSeconds(), []);
    }
    if (now >= this.#repairAt) this.#ensure(this.#failing);
    if (now >= this.#announceAt) this.#announceNext(now);
    this.#tellSilence(now);
    this.#runWill(now);
  }

  /** As link_changed() of loop.c: neighbours may have heard somebody else meanwhile. */
  hasCarrier(): void {
    if (this.alive && !this.stopped && this.phase === 'holding') this.#announceAnew();
  }

  #announceAnew(): void {
    this.#announceStep = 0;
    this.#announceNext(this.#host.clock.now());
  }

  #announceNext(now: number): void {
    this.#host.announce();
    this.#announceStep += 1;
    const next = ANNOUNCE_AFTER_MS[this.#announceStep];
    const last = ANNOUNCE_AFTER_MS[this.#announceStep - 1] as number;
    this.#announceAt = now + (next === undefined ? ANNOUNCE_EVERY_MS : next - last);
  }

  #probe({ id, index, mac, windowMs }: VipdCommand & { type: 'probe' }): void {
    const now = this.#host.clock.now();
    this.#probes = this.#probes.filter(probe => now - probe.at < PROBE_LIFE_MS);
    this.#probes.push({ id, index, mac, at: now, due: now + Math.ceil(windowMs) });
    this.#host.sendProbe(this, id, index, mac);
  }

  #readFrames(): void {
    if (this.#frames.length === 0) return;
    const now = this.#host.clock.now();
    for (const { id, index, mac, via } of this.#frames.splice(0)) {
      const probe = this.#probes.find(one => one.id === id && one.index === index);
      if (!probe || now - probe.at >= PROBE_LIFE_MS) continue;
      // A third machine's answer does not break the silence of the one that was asked.
      // safeguard: only-the-asked-breaks-silence
      const asked = probe.mac === undefined || probe.mac === mac;
      if (asked && via !== 'arp') probe.due = NEVER;
      this.#host.say(this, { type: 'reply', id, index, via, mac });
    }
  }

  #tellSilence(now: number): void {
    for (const probe of this.#probes) {
      if (probe.due > now) continue;
      probe.due = NEVER;
      this.#host.say(this, { type: 'silent', id: probe.id, index: probe.index });
    }
  }

  #beginWill(): void {
    this.#willDatagram = this.#host.runState.will;
    this.#willBegunAt = this.#host.clock.now();
    this.#willStep = 0;
    this.#runWill(this.#willBegunAt);
  }

  #runWill(now: number): void {
    while (
      this.#willStep < WILL_COPIES_MS.length &&
      now >= this.#willBegunAt + (WILL_COPIES_MS[this.#willStep] as number)
    ) {
      this.#willStep += 1;
      this.#host.sendWill(this.#willDatagram);
    }
  }
}
