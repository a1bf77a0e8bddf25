// One machine and a hand that drives it: virtual time, a vipd that obeys at once, a peer that beats
// as long as it is told to, a witness that a test answers for. For tests of single rules; whole
// pairs are in test/sim.

import type { Effect, Machine, PulseEvent, Settings } from '../../../src/pulse/election/machine.ts';
import { newMachine } from '../../../src/pulse/election/start.ts';
import { nextWake, step } from '../../../src/pulse/election/step.ts';
import type { Heartbeat, Will } from '../../../src/pulse/heartbeat.ts';
import { type At, ms } from '../../../src/units/duration.ts';
import type { Epoch } from '../../../src/units/epoch.ts';
import type { VipdMessage } from '../../../src/vip/protocol.ts';
import type { WitnessAnswer, WitnessAsk } from '../../../src/witness/witness.ts';
import { settingsFor } from '../../settings-for.ts';

const OWN_BOOT = '0101010101010101';
const PEER_BOOT = '0202020202020202';
/** Of the peer as an owner. */
const PEER_EPOCH: Epoch = { counter: 7, node: 2 };
/** From our heartbeat to the peer's that echoes it. */
const ECHO_MS = 0.5;
export const PEER_MAC = '02:00:00:00:02:01';
export const THIRD_MAC = '02:00:00:00:09:01';

export const SETTINGS: Settings = settingsFor({ bootId: OWN_BOOT });

export const BEAT: Heartbeat = {
  kind: 'heartbeat',
  version: 1,
  nodeId: 2,
  bootId: PEER_BOOT,
  peerBootId: OWN_BOOT,
  seq: 0,
  role: 'standby',
  epoch: { counter: 1, node: 1 },
  serving: false,
  ready: true,
  hold: false,
  warm: true,
  witness: false,
  standsDown: false,
  sound: true,
  readsVersion2: false,
  priority: 90,
  fitness: 3,
  failedChecks: undefined,
  configDigest: SETTINGS.configDigest,
  intervalMs: ms(100),
  leaseMs: ms(220),
  deadMs: ms(300),
  sentAtUs: 1,
  echoSentAtUs: 0,
  echoDelayUs: 0,
  offer: undefined,
  units: undefined,
  mayHold: undefined,
  macs: [
    { lan: 0, mac: PEER_MAC },
    { lan: 1, mac: '02:00:00:00:02:02' },
  ],
};

export class Driver {
  now = 1_000;
  machine: Machine;
  readonly effects: { at: number; effect: Effect }[] = [];
  /** What the peer says each interval; undefined: silence. */
  peer: Partial<Heartbeat> | undefined;
  /** Links on which nothing comes in from the peer. */
  silent: readonly number[] = [];
  /** Links on which the peer hears us no more. */
  unechoed: readonly number[] = [];
  readonly #echoed = new Map<number, number>();
  /** The peer's addresses answer probes. */
  peerAnswers = false;
  /** Who answers ARP for the addresses; undefined: nobody. */
  arpMac: string | undefined;
  /** Who answers for the peer's own addresses. */
  resolved: readonly { readonly mac: string; readonly target: boolean }[] = [];
  /** Why vipd refuses every claim. */
  refusal: string | undefined;
  /** Addresses that the kernel refuses. */
  denies: ReadonlySet<number> = new Set();
  #asked: readonly number[] = [];
  /** How long nft takes. */
  gateMs = 1;
  /** Answers for the witness; undefined: no answer ever comes. */
  witness: ((ask: WitnessAsk) => Omit<WitnessAnswer, 'seq'>) | undefined;
  readonly #mail: { at: number; event: PulseEvent }[] = [];
  #delivering = false;
  #seq = 0;
  #beatDueAt = 1_000;

  constructor(settings: Partial<Settings> = {}, witness?: Driver['witness']) {
    this.witness = witness;
    const whole = { ...SETTINGS, ...settings };
    this.machine = newMachine({
      settings: whole,
      now: this.now as At,
      ceiling: 0,
      hold: { on: false, until: undefined },
      rulesIn: true,
    });
    this.vipd({ type: 'hello', version: 'test', epoch: { counter: 0, node: 0 }, mode: 'none', held: 0 });
    for (const index of whole.addressLans.keys())
      this.vipd({ type: 'link', index, up: true, mac: `02:00:00:00:01:0${index + 1}` });
    for (const lan of whole.lans) {
      for (const index of lan.targets) this.vipd({ type: 'target', index, up: true });
      this.vipd({ type: 'traffic', iface: lan.interface, alive: true });
    }
  }

  get role(): string {
    return this.machine.state.role;
  }

  get events(): string[] {
    return this.effects.flatMap(({ effect }) => (effect.type === 'event' ? [effect.code] : []));
  }

  get asked(): WitnessAsk[] {
    return this.effects.flatMap(({ effect }) => (effect.type === 'witness' ? [effect.ask] : []));
  }

  /** Why the role was changed, each time. */
  get reasons(): string[] {
    return this.effects.flatMap(({ effect }) => (effect.type === 'decision' ? [effect.decision.reason] : []));
  }

  /** Why it was last changed. */
  get reason(): string {
    return this.reasons.at(-1) ?? '';
  }

  count(type: Effect['type']): number {
    return this.effects.filter(({ effect }) => effect.type === type).length;
  }

  send(event: PulseEvent): void {
    this.#mail.push({ at: this.now, event });
    this.#deliver();
  }

  /** The last will of the peer as Driver.standby() has it. */
  hearWill(): void {
    const will: Will = {
      kind: 'will',
      version: 1,
      nodeId: 2,
      bootId: PEER_BOOT,
      peerBootId: OWN_BOOT,
      seq: 0,
      role: 'standby',
      epoch: PEER_EPOCH,
    };
    this.send({ type: 'datagram', link: 0, message: will });
  }

  vipd(message: VipdMessage): void {
    this.send({ type: 'vipd', message });
  }

  /** Steps through the mail that is due; what a step leads to comes after it, never within it. */
  #deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    for (let next = this.#due(); next; next = this.#due()) {
      const { machine, effects } = step(this.machine, next, this.now as At);
      this.machine = machine;
      for (const effect of effects) this.#obey(effect);
    }
    this.#delivering = false;
  }

  #due(): PulseEvent | undefined {
    const index = this.#mail.findIndex(({ at }) => at <= this.now);
    return index < 0 ? undefined : this.#mail.splice(index, 1)[0]?.event;
  }

  #later(inMs: number, message: VipdMessage): void {
    this.#mail.push({ at: this.now + inMs, event: { type: 'vipd', message } });
  }

  #obey(effect: Effect): void {
    this.effects.push({ at: this.now, effect });
    if (effect.type === 'claim' || effect.type === 'renew') {
      const { seq, epoch, addresses } = effect.lease;
      const denied = addresses.filter(index => this.denies.has(index));
      for (const index of denied) this.#later(0, { type: 'denied', index, text: 'refused' });
      if (effect.type === 'claim' && denied.length > 0)
        return this.#later(0, { type: 'refused', seq, reason: 'kernel' });
      const before = this.#asked;
      this.#asked = addresses;
      if (effect.type === 'renew')
        for (const index of addresses.filter(one => !before.includes(one) && !denied.includes(one)))
          this.#later(0, { type: 'added', index });
      if (effect.type === 'claim' && this.refusal !== undefined)
        return this.#later(0, { type: 'refused', seq, reason: this.refusal });
      this.#later(0, { type: 'held', seq, epoch, announcedAfterUs: effect.type === 'claim' ? 300 : undefined });
    } else if (effect.type === 'give-up') {
      this.#later(0, { type: 'released', seq: effect.seq, epoch: effect.epoch });
    } else if (effect.type === 'probe') {
      for (const { index, mac } of effect.targets) {
        if (this.arpMac && index === 0)
          this.#later(1, { type: 'reply', id: effect.id, index, via: 'arp', mac: this.arpMac });
        if (this.peerAnswers && mac) this.#later(1, { type: 'reply', id: effect.id, index, via: 'echo', mac });
        else this.#later(effect.windowMs, { type: 'silent', id: effect.id, index });
      }
    } else if (effect.type === 'gate') {
      this.#mail.push({ at: this.now + this.gateMs, event: { type: 'gated', id: effect.id } });
    } else if (effect.type === 'resolve') {
      for (const index of effect.fixed)
        for (const answer of this.resolved) this.#later(1, { type: 'peer', index, ...answer });
    } else if (effect.type === 'witness' && this.witness) {
      const answer = { seq: effect.ask.seq, ...this.witness(effect.ask) };
      this.#mail.push({ at: this.now + 1, event: { type: 'witness', answer } });
    }
  }

  run(forMs: number): this {
    const end = this.now + forMs;
    for (let steps = 0; this.now < end && steps < 100_000; steps += 1) {
      const wake = Math.max(nextWake(this.machine, this.now as At), this.now + 0.1);
      const beat = this.peer ? this.#beatDueAt : Infinity;
      const mail = Math.min(...this.#mail.map(({ at }) => at));
      this.now = Math.min(end, wake, Math.max(beat, this.now), Math.max(mail, this.now));
      if (this.peer && this.now >= this.#beatDueAt) this.#beat(this.peer);
      this.send({ type: 'tick' });
    }
    return this;
  }

  #beat(changes: Partial<Heartbeat>): void {
    this.#beatDueAt = this.now + 100;
    this.#seq += 1;
    // The peer hears us as well: it echoes what we sent a moment ago.
    const echoSentAtUs = (this.now - ECHO_MS) * 1_000;
    for (const link of [0, 1].filter(one => !this.silent.includes(one))) {
      // It keeps an echo for as long as it hears nothing new.
      const old = this.unechoed.includes(link) ? (this.#echoed.get(link) ?? echoSentAtUs) : echoSentAtUs;
      this.#echoed.set(link, old);
      const message = { ...BEAT, echoSentAtUs: old, echoDelayUs: echoSentAtUs - old, ...changes, seq: this.#seq };
      this.send({ type: 'datagram', link, message });
    }
  }

  /** The peer is heard as a standby, this router owns the addresses. */
  static active(settings: Partial<Settings> = {}, witness?: Driver['witness']): Driver {
    const driver = new Driver(settings, witness);
    driver.peer = {};
    return driver.run(3_000);
  }

  /** The peer owns the addresses under epoch 7.2, this router stands by. */
  static standby(settings: Partial<Settings> = {}, beat: Partial<Heartbeat> = {}, witness?: Driver['witness']): Driver {
    const driver = new Driver(settings, witness);
    driver.peer = { role: 'active', serving: true, epoch: PEER_EPOCH, ...beat };
    driver.peerAnswers = true;
    return driver.run(3_000);
  }
}
