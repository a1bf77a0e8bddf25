// The simulated world: two routers with the shipped machines, the networks between them, the client LAN, and the monitor that
// checks after every step. Built from a plan (schedule.ts), driven by run.ts.

import type { Effect, FixedSettings, Settings, Times } from '../../src/pulse/election/machine.ts';
import type { FixedState, PlaceState } from '../../src/vip/protocol.ts';
import { ClientModel } from './clients.ts';
import { type Codec, OBJECTS, sometimesOlder, WIRE } from './codec.ts';
import { Monitor } from './monitor.ts';
import { CLIENTS, COPY, HOSTS, Network, R1, R2 } from './network.ts';
import { Random } from './random.ts';
import { Router } from './router.ts';
import { Timeline } from './timeline.ts';
import { WitnessModel } from './witness-model.ts';

interface OwnFault {
  faults: number;
  /** Of these, how many took the carrier along. */
  downs: number;
}

/** Faults that keep one address of a router from being held, by what they do. */
interface AddressFaults {
  'no-interface': number;
  'no-ipv6': number;
  refused: number;
}

const UNHARMED: OwnFault = { faults: 0, downs: 0 };

const REPORT_MS = 1_000;
const CLIENT_LOOK_MS = 1_000;

export interface RouterOptions {
  readonly settings: Omit<Settings, 'bootId'>;
  readonly clockRate: number;
  readonly clockStart: number;
  readonly gated: boolean;
  readonly lifetimeLateMs: number;
  readonly timerJitterMs: number;
  readonly removalMs: number;
  readonly diskMs: number;
  readonly restartMs: number;
  readonly ceiling: number;
}

export interface WorldOptions {
  readonly seed: number;
  readonly routers: readonly [RouterOptions, RouterOptions];
  /** LANs that carry heartbeats, by number; 0 is the clients' LAN, 1 the other VIP LAN, from 2 on heartbeats only. */
  readonly linkLans: readonly number[];
  readonly networks: number;
  readonly delayMs: number;
  readonly jitterMs: number;
  readonly pipeJitterMs: number;
  readonly wire: boolean;
  /** This router runs the version before in every other life of its pulse. */
  readonly older: 0 | 1 | undefined;
  readonly witness: { readonly leaseMs: number; readonly timeoutMs: number } | undefined;
  /** What reloads may bring, beside what the routers are started with. */
  readonly reloads: readonly Omit<Times, 'priority'>[];
  readonly say: ((at: number, who: string, text: string) => void) | undefined;
  /** Hears every effect of a pulse as it is run. */
  readonly told?: (router: 0 | 1, effect: Effect) => void;
}

export class World {
  readonly options: WorldOptions;
  readonly timeline = new Timeline();
  readonly random: Random;
  readonly networks: readonly Network[];
  readonly lans: readonly Network[];
  readonly links: readonly Network[];
  readonly routers: readonly [Router, Router];
  readonly clients: readonly ClientModel[];
  readonly monitor: Monitor;
  readonly witness: WitnessModel | undefined;
  /** The longer of the two routers' times. */
  readonly longest: {
    readonly intervalMs: number;
    readonly leaseMs: number;
    readonly deadMs: number;
    readonly keepMs: number;
  };
  /** How long a packet is on its way at most when nothing is wrong, with what the pipes add. */
  readonly flightMs: number;
  /** How far wall time is ahead of virtual time, which leaves out what takes long. */
  wallMs = 0;
  faultsBegan = false;
  /** A third machine answers for the address. */
  stranger = false;
  /** The share of echoes that the routers' own filters drop; 1: all, as a default-deny does. */
  echoDropped = 0;
  /** UDP is filtered between the routers, heartbeats and wills alike. */
  heartbeatsDropped = false;
  /** Echoes and the frames of vipd as well. */
  probesDropped = false;
  /** A switch answers ARP for the addresses with the MAC of whoever is asked, alive or dead. */
  switchAnswers = false;
  readonly reports = [0, 1].map(() => ({
    rulesIn: true,
    healthyServers: null as number | null,
    failedChecks: 0,
    flushMs: 0,
    warm: true,
  }));
  /** Whether the director of each router reports. */
  readonly directors = [true, true];
  /** A third machine that runs as one of the two; of them, whoever was switched on last. */
  copy: Router | undefined;
  /** On which LANs the copy is sent what is meant for the router that it copies. */
  copyDraws: (lan: number) => boolean = () => false;
  #copySits = false;
  readonly #carrierFaults: readonly number[][];
  /** How many faults have taken each fixed address of a router, and whether the newest took it with its carrier. */
  readonly #ownFaults: readonly OwnFault[][];
  /** How many of them there are, of all routers. */
  #ownFaultsAll = 0;
  readonly #addressFaults: readonly AddressFaults[][];
  readonly #muteSince = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  readonly #codecs: readonly [Codec, Codec];
  #well = true;
  #wellSince = 0;
  #unwellSince = 0;
  #pauseEndedAt = -1e9;

  constructor(options: WorldOptions) {
    this.options = options;
    this.random = new Random(options.seed ^ 0x5eed);
    this.networks = Array.from(
      { length: options.networks },
      (_, i) => new Network(`lan${i}`, this.timeline, this.random, options.delayMs, options.jitterMs),
    );
    this.lans = this.networks;
    this.flightMs = options.delayMs + options.jitterMs + 2 * options.pipeJitterMs + 0.1;
    this.links = options.linkLans.map(lan => this.networks[lan] as Network);
    this.#carrierFaults = [this.networks.map(() => 0), this.networks.map(() => 0)];
    const noFault = (router: RouterOptions) => router.settings.fixed.map(() => ({ faults: 0, downs: 0 }));
    const unharmed = (router: RouterOptions) =>
      router.settings.addressLans.map(() => ({ 'no-interface': 0, 'no-ipv6': 0, refused: 0 }));
    this.#addressFaults = [unharmed(options.routers[0]), unharmed(options.routers[1])];
    this.#ownFaults = [noFault(options.routers[0]), noFault(options.routers[1])];
    const codec = options.wire ? WIRE : OBJECTS;
    const codecOf = (index: 0 | 1): Codec =>
      options.older === index ? sometimesOlder(codec, () => this.#isOlder(index)) : codec;
    this.#codecs = [codecOf(0), codecOf(1)];
    const both = options.routers.map(router => router.settings);
    const most = (field: 'intervalMs' | 'leaseMs' | 'deadMs') =>
      Math.max(...[...both, ...options.reloads].map(times => times[field]));
    this.longest = {
      intervalMs: most('intervalMs'),
      leaseMs: most('leaseMs'),
      deadMs: most('deadMs'),
      keepMs: Math.max(...both.map(({ aloneKeepMs }) => aloneKeepMs)),
    };
    this.monitor = new Monitor(this);
    const { witness } = options;
    this.witness = witness && new WitnessModel(this, witness.leaseMs, witness.timeoutMs);
    this.routers = [new Router(this, 0, options.routers[0]), new Router(this, 1, options.routers[1])];
    const lan = {
      lan: this.networks[0] as Network,
      timeline: this.timeline,
      hosts: () => this.machines().map(({ host }) => host),
      serves: (host: number) => this.#at(host).serves(),
      // Without an address of its own there it has no way back to them.
      answers: (host: number) => this.hasOwn(host, 0),
      changed: (client: ClientModel, why: string) =>
        this.say(`c${client.host}`, () => `points at ${this.#at(client.neighbour ?? 0).name} by ${why}`),
    };
    this.clients = CLIENTS.map(host => new ClientModel(host, lan));
    this.#lookAtClients();
  }

  /** Runs until `end` of true time, checking after every step; stops at the first breach. */
  run(end: number, until?: () => boolean): void {
    const { timeline, monitor } = this;
    while (!monitor.breach && timeline.step(end)) {
      monitor.look();
      if (until?.()) return;
    }
    monitor.look();
  }

  say(who: string, text: () => string): void {
    this.options.say?.(this.timeline.now, who, text());
  }

  dropsEcho(): boolean {
    return this.probesDropped || (this.echoDropped > 0 && this.random.chance(this.echoDropped));
  }

  /** Every other life is of the older version: it is upgraded, or goes back, where its pulse starts anew. */
  #isOlder(index: 0 | 1): boolean {
    return (this.options.seed + (this.routers[index] as Router).boots) % 2 === 0;
  }

  codec(router: number): Codec {
    return this.#codecs[router] as Codec;
  }

  client(host: number): ClientModel {
    return this.clients.find(client => client.host === host) as ClientModel;
  }

  pipeJitterMs(): number {
    return this.options.pipeJitterMs > 0 ? this.random.next() * this.options.pipeJitterMs : 0;
  }

  /** safeCeiling() of state-file.ts: milliseconds since 2020, at a start. */
  safeCeiling(): number {
    return 200_000_000_000 + Math.floor(this.timeline.now + this.wallMs);
  }

  /** The two routers, and the copy of one where there is one. */
  machines(): readonly Router[] {
    return this.copy ? [...this.routers, this.copy] : this.routers;
  }

  others(router: Router): readonly Router[] {
    return this.copy ? this.machines().filter(other => other !== router) : [router.peer];
  }

  #at(host: number): Router {
    return host === COPY ? (this.copy as Router) : (this.routers[host] as Router);
  }

  /** A third machine is switched on that has the disk of `router`, and network cards of its own. */
  switchOnCopy(router: Router, draws: (lan: number) => boolean): Router {
    const options = { ...router.options, ceiling: router.disk.ceiling };
    this.copy = new Router(this, router.index, options, COPY);
    this.copy.config = router.config;
    this.copyDraws = draws;
    this.copy.start();
    return this.copy;
  }

  /** Who is router 1 or 2 now: its copy, once that one is off and has not served since. */
  seat(index: 0 | 1): Router {
    const { copy } = this;
    const router = this.routers[index];
    if (copy?.index !== index || !copy.up) return router;
    this.#copySits = !router.up || (this.#copySits && !router.serves());
    return this.#copySits ? copy : router;
  }

  /** Who gets what a router sends to its peer's own address on a LAN. */
  reached(from: Router, lan: number): Router {
    const { copy } = this;
    if (!copy?.up || copy.index !== from.peer.index) return from.peer;
    // Nobody else answers for the address of a router that is off.
    return this.copyDraws(lan) || !from.peer.up ? copy : from.peer;
  }

  carrier(host: number, lan: number): boolean {
    return (this.#carrierFaults[host]?.[lan] ?? 0) === 0;
  }

  setCarrier(router: Router, lan: number, lost: boolean): void {
    const faults = this.#carrierFaults[router.index] as number[];
    faults[lan] = (faults[lan] as number) + (lost ? 1 : -1);
    for (let host = 0; host < HOSTS; host += 1) {
      if (host === router.index) continue;
      this.networks[lan]?.cut(router.index, host, lost);
      this.networks[lan]?.cut(host, router.index, lost);
    }
    if (this.carrier(router.index, lan)) router.vipd?.hasCarrier();
    for (const [index, own] of router.options.settings.addressLans.entries())
      if (own === lan && router.vipd?.alive)
        router.say(router.vipd, { type: 'link', index, up: this.carrier(router.index, lan), mac: router.mac(lan) });
  }

  place(host: number, address: number): PlaceState {
    const faults = this.#addressFaults[host]?.[address];
    if (faults === undefined) return 'here';
    return faults['no-interface'] > 0 ? 'no-interface' : faults['no-ipv6'] > 0 ? 'no-ipv6' : 'here';
  }

  /** The kernel does not add this address, and nothing tells that beforehand, nor when it is over. */
  refuses(host: number, address: number): boolean {
    return (this.#addressFaults[host]?.[address]?.refused ?? 0) > 0;
  }

  /** A fault begins or ends: with it, the addresses that it is about go. */
  setAddresses(router: Router, addresses: readonly number[], what: keyof AddressFaults, lost: boolean): void {
    const faults = this.#addressFaults[router.index] as AddressFaults[];
    for (const index of addresses) (faults[index] as AddressFaults)[what] += lost ? 1 : -1;
    // The switch or the interface is gone first, then the addresses; vipd hears of these at once, and looks at that after it.
    if (lost) router.lose(addresses);
    router.tellPlaces();
  }

  /** Whether own address number `index` of a router is on its host. */
  ownState(host: number, index: number): FixedState {
    if (this.#at(host).options.settings.fixed[index]?.side === 'peer') return 'gone';
    const { faults, downs } = this.#ownFaults[host]?.[index] ?? UNHARMED;
    if (faults === 0) return 'here';
    // What is there without a way from it serves for no more than what is gone.
    return downs > 0 ? 'down' : index % 2 === 0 ? 'gone' : 'unrouted';
  }

  /** A router has the address from which it speaks on a LAN, IPv4 in this world. */
  hasOwn(host: number, lan: number): boolean {
    if (this.#ownFaultsAll === 0) return true;
    const { fixed } = this.#at(host).options.settings;
    return fixed.every(
      ({ side, lan: on, family }, index) =>
        side === 'peer' || on !== lan || family !== 4 || this.ownState(host, index) === 'here',
    );
  }

  /** A router can say nothing to its peer, and the cause is not a cable. */
  isMute(router: number): boolean {
    const { fixed } = this.options.routers[router as 0 | 1].settings;
    const states = fixed.flatMap(({ link }, index) => (link === undefined ? [] : [this.ownState(router, index)]));
    return !states.includes('here') && (states.includes('gone') || states.includes('unrouted'));
  }

  /** Since when isMute(); in the future while it is not. */
  muteSince(router: number): number {
    return this.#muteSince[router] as number;
  }

  /** Takes own addresses of a router away, or puts them back. */
  setOwn(router: Router, which: (fixed: FixedSettings) => boolean, lost: boolean, withCarrier: boolean): void {
    for (const [index, fixed] of router.options.settings.fixed.entries()) {
      if (fixed.side === 'peer' || !which(fixed)) continue;
      const fault = this.#ownFaults[router.index]?.[index] as OwnFault;
      fault.faults += lost ? 1 : -1;
      this.#ownFaultsAll += lost ? 1 : -1;
      if (withCarrier) fault.downs += lost ? 1 : -1;
    }
    const mute = this.isMute(router.index);
    const since = Math.min(this.timeline.now, this.muteSince(router.index));
    this.#muteSince[router.index] = mute ? since : Number.POSITIVE_INFINITY;
    router.tellOwn();
  }

  /** A witness that nothing has happened to, for routers that let go when they are cut off: then no partition excuses an overlap. */
  witnessWatches(): boolean {
    if (!this.witness || this.witness.troubled) return false;
    return this.routers.every(({ options }) => options.settings.onIsolation === 'release');
  }

  /** Called whenever a fault of a network begins or ends. */
  networksChanged(): void {
    const well = this.networks.every(network => network.isWell(R1, R2));
    if (well && !this.#well) this.#wellSince = this.timeline.now;
    if (!well && this.#well) this.#unwellSince = this.timeline.now;
    this.#well = well;
    for (const router of this.machines()) router.networksChanged();
  }

  /** Since when everything between the routers is well; in the future while it is not. */
  readonly wellSince = (): number => (this.#well ? this.#wellSince : Number.POSITIVE_INFINITY);

  /** Since when something between the routers has been wrong all the time; in the future while all is well. */
  readonly unwellSince = (): number => (this.#well ? Number.POSITIVE_INFINITY : this.#unwellSince);

  pauses(router: Router, forMs: number): void {
    router.clock.pause(forMs);
    this.#pauseEndedAt = Math.max(this.#pauseEndedAt, router.clock.resumesAt());
  }

  readonly pauseEndedAt = (): number => this.#pauseEndedAt;

  /** A router's director reports once a second as long as that life of pulse lasts. */
  director(router: Router): void {
    if (!router.options.settings.keepsSessions) return;
    const { pulse } = router;
    const report = () => {
      if (router.pulse !== pulse || !pulse?.alive) return;
      if (this.directors[router.index]) this.report(router);
      this.timeline.in(REPORT_MS, report);
    };
    this.timeline.in(1, report);
  }

  report(router: Router): void {
    const report = this.reports[router.index] as (typeof this.reports)[0];
    router.pulse?.post('control', { type: 'report', ...report });
  }

  #lookAtClients(): void {
    for (const client of this.clients) client.look();
    this.timeline.in(CLIENT_LOOK_MS, () => this.#lookAtClients());
  }
}
