// One simulated router: its clock, kernel, disk and run directory, and the processes on it (pulse and vipd), with their deaths and
// their restarts. It knows how to do things; schedule and faults decide what happens to it.

import type { Effect, Machine, Times } from '../../src/pulse/election/machine.ts';
import { settingsWith } from '../../src/pulse/election/replica.ts';
import { newMachine } from '../../src/pulse/election/start.ts';
import type { Heartbeat, Message, Will } from '../../src/pulse/heartbeat.ts';
import { probeRound } from '../../src/pulse/timing.ts';
import { type At, ms } from '../../src/units/duration.ts';
import { EPOCH_BLOCK, EPOCH_NONE, type Epoch } from '../../src/units/epoch.ts';
import type { LeaseRequest, VipdMessage } from '../../src/vip/protocol.ts';
import type { WitnessAsk } from '../../src/witness/witness.ts';
import { KernelModel } from './kernel-model.ts';
import { CLIENTS, COPY, type Fate, type Network, SERVER, STRANGER } from './network.ts';
import { type PulseHost, PulseModel } from './pulse-model.ts';
import { type Sampling, Surroundings } from './surroundings.ts';
import { HostClock } from './timeline.ts';
import { type Answer, type RunState, type VipdCommand, type VipdHost, VipdModel } from './vipd-model.ts';
import type { RouterOptions, World } from './world.ts';

const PIPE_MS = 0.03;
const SPAWN_MS = 1.5;
const BOOT_WALL_MS = 30_000;
/** With a new disk: safeCeiling() must be enough even so soon. */
const NEW_DISK_WALL_MS = 60_000;
const NOTICE_MS = 0.5;
/** As src/vip/io/vipd.ts. */
const EAGER_SPAWNS = 5;
const SPAWN_PAUSE_MS = 100;
const CALM_MS = 10_000;
/** systemd: how long after the main process the rest of the unit is killed, and after that ExecStopPost runs. */
const UNIT_KILL_MS = 3;
const CLEANUP_MS = 12;

/**
 * What a datagram tells the monitor: its sender says that it serves, fresh by its echo of the boot
 * id, or something else; nothing, if it is somebody's recording or comes from a copy of a router.
 */
type Arrival = 'serving' | 'other' | 'replayed' | 'copied';

/** A probe that has come in. */
interface Probed {
  readonly by: Router;
  readonly id: number;
  readonly index: number;
  readonly lan: number;
}

/** Datagrams of a router that somebody has captured. */
const CAPTURED_MAX = 24;

function isWill(packed: unknown): boolean {
  return Buffer.isBuffer(packed) ? packed[5] === 2 : (packed as Message).kind === 'will';
}

const freshRunState = (): RunState => ({ epoch: EPOCH_NONE, mode: 'none', closed: false, will: undefined });

export class Router implements VipdHost, PulseHost {
  readonly world: World;
  readonly index: 0 | 1;
  /** On the networks: another one for a copy of the router with this index. */
  readonly host: number;
  readonly name: string;
  readonly options: RouterOptions;
  /** What its config file says now. */
  config: RouterOptions['settings'];
  readonly clock: HostClock;
  readonly kernel: KernelModel;
  readonly addresses: number;
  readonly timerJitterMs: number;
  runState = freshRunState();
  up = true;
  pulse: PulseModel | undefined;
  vipd: VipdModel | undefined;
  /** On the disk: what a restart begins with, as far as it has been written. */
  disk: { ceiling: number };
  removalMs: number;
  kernelRefuses = false;
  /** vipd cannot be started. */
  vipdBroken = false;
  /** How many have been started. */
  vipds = 0;
  /** The disk completes no write before this true time. */
  diskStalledUntil = 0;
  stepped: PulseHost['stepped'];
  readonly #surroundings: Surroundings;
  #boots = 0;
  #life = 0;
  #diskLife = 0;
  #spawns = 0;
  #sent = 0;
  readonly #captured: { readonly link: number; readonly packed: unknown }[] = [];
  #spawn = 0;
  #gateReadyAt = 0;
  #spawnedAt = 0;

  constructor(world: World, index: 0 | 1, options: RouterOptions, host: number = index) {
    this.world = world;
    this.index = index;
    this.host = host;
    this.name = `r${index + 1}${this.isCopy ? ' (copy)' : ''}`;
    this.options = options;
    this.config = options.settings;
    this.clock = new HostClock(world.timeline, options.clockRate, options.clockStart);
    this.kernel = new KernelModel(this.clock, options.gated, options.lifetimeLateMs);
    this.#surroundings = new Surroundings(world, this);
    this.addresses = options.settings.addressLans.length;
    this.timerJitterMs = options.timerJitterMs;
    this.removalMs = options.removalMs;
    this.disk = { ceiling: options.ceiling };
  }

  get isCopy(): boolean {
    return this.host === COPY;
  }

  get peer(): Router {
    return this.world.routers[1 - this.index] as Router;
  }

  /** The config's file has changed, and pulse is told to read it. */
  reload(times: Times): void {
    this.config = { ...this.config, ...times };
    const { autoFailback, keepsSessions, onIsolation, onConflict, noticeMs, units } = this.config;
    const next = { ...times, autoFailback, keepsSessions, onIsolation, onConflict, noticeMs, units };
    this.pulse?.post('control', { type: 'reload', next });
  }

  /** nft takes its time, and one comes after the other. */
  retimePacketLease(leaseMs: number, done: () => void): void {
    const { timeline, random } = this.world;
    const { pulse } = this;
    this.#gateReadyAt = Math.max(this.#gateReadyAt, timeline.now) + (this.kernel.gated ? random.between(2, 60) : 0.1);
    timeline.at(this.#gateReadyAt, () => {
      if (this.pulse !== pulse) return;
      this.kernel.gateLeaseMs = leaseMs;
      done();
    });
  }

  /** How often its pulse has been started. */
  get boots(): number {
    return this.#boots;
  }

  bootId(): string {
    return `${this.index + 1}${String(this.#boots).padStart(15, this.isCopy ? 'c' : '0')}`;
  }

  /** Its hardware address on the LAN of address `index`. */
  mac(lan: number): string {
    return `02:00:00:00:0${this.host + 1}:0${lan}`;
  }

  // --- processes ---

  /** Starts pulse, and vipd as its child. */
  start(): void {
    if (!this.up || this.pulse?.alive) return;
    this.#boots += 1;
    const settings = settingsWith({ ...this.config, bootId: this.bootId() }, {});
    this.kernel.gateLeaseMs = settings.leaseMs;
    const now = this.clock.now() as At;
    const hold = { on: false, until: undefined };
    const ceiling = Math.max(this.disk.ceiling, this.world.safeCeiling());
    const reserved = ceiling + EPOCH_BLOCK;
    // main.ts waits for this write, half a second at most.
    this.#write(reserved);
    const machine = newMachine({ settings, now, ceiling, reserved, hold, rulesIn: true });
    this.world.say(this.name, () => `pulse starts, boot ${this.#boots}, epoch counters from ${ceiling}`);
    this.pulse = new PulseModel(this, machine);
    this.world.director(this);
    this.tellOwn();
    this.#spawnVipd();
  }

  #spawnVipd(): void {
    const { pulse } = this;
    const life = this.#life;
    const now = this.world.timeline.now;
    if (now - this.#spawnedAt > CALM_MS) this.#spawns = 0;
    this.#spawns += 1;
    this.#spawnedAt = now;
    const spawn = ++this.#spawn;
    this.world.timeline.in(SPAWN_MS + (this.#spawns > EAGER_SPAWNS ? SPAWN_PAUSE_MS : 0), () => {
      // Another one was started meanwhile; this one has been killed.
      if (spawn !== this.#spawn) return;
      if (!this.up || this.vipdBroken || this.pulse !== pulse) return this.#tellVipdGone(undefined);
      const vipd = new VipdModel(this);
      this.vipds += 1;
      // It was on its way when its pulse ended: the pipe is closed already.
      if (life !== this.#life || !pulse?.alive) return vipd.pipeClosed();
      this.vipd = vipd;
      for (const [index, lan] of this.options.settings.addressLans.entries())
        this.say(this.vipd, { type: 'link', index, up: this.world.carrier(this.host, lan), mac: this.mac(lan) });
      this.tellOwn();
      this.tellPlaces();
    });
  }

  /** vipd's word on every own address, and what becomes of the heartbeat's sockets; the machine takes note of what is new. */
  tellOwn(): void {
    const { pulse, vipd, world } = this;
    if (!pulse?.alive) return;
    for (const index of this.options.settings.fixed.keys()) {
      if (!vipd?.alive || vipd.stopped) continue;
      const now = world.ownState(this.host, index);
      // What was gone before the carrier went did not go with it: as fixed.c has it.
      const state = now === 'down' && vipd.toldOwn[index] === 'gone' ? 'gone' : now;
      if (vipd.toldOwn[index] === state) continue;
      vipd.toldOwn[index] = state;
      // Without chance: what happens else in a schedule does not depend on it.
      world.timeline.in(PIPE_MS, () => {
        if (this.pulse === pulse && this.vipd === vipd)
          pulse.post('pipe', { type: 'vipd', message: { type: 'fixed', index, state } });
      });
    }
    for (const [index, { link }] of this.options.settings.fixed.entries()) {
      if (link === undefined || pulse.bound.has(link)) continue;
      const here = world.ownState(this.host, index) === 'here';
      if (here) pulse.bound.add(link);
      pulse.post('control', { type: 'bound', link, problem: here ? undefined : 'its address is not on this host' });
    }
  }

  /** What vipd says of where addresses can be, if that is news. */
  tellPlaces(): void {
    const { pulse, vipd, world } = this;
    if (!pulse?.alive || !vipd?.alive || vipd.stopped) return;
    for (const index of this.options.settings.addressLans.keys()) {
      const state = world.place(this.host, index);
      const known = vipd.toldPlaces[index] ?? pulse.machine.addresses[index]?.place;
      if (state === known) continue;
      vipd.toldPlaces[index] = state;
      this.sayAhead(vipd, { type: 'place', index, state });
    }
  }

  /** The kernel adds this address. */
  takes(index: number): boolean {
    return (
      !this.kernelRefuses && this.world.place(this.host, index) === 'here' && !this.world.refuses(this.host, index)
    );
  }

  /** Addresses go from the kernel; vipd hears of it. */
  lose(addresses: readonly number[]): void {
    this.kernel.lose(addresses);
    this.vipd?.lost(addresses);
  }

  /** Units that it holds, and that its kernel would take now. */
  units(): { readonly held: number; readonly possible: number; readonly exact: boolean } {
    const { units } = this.options.settings;
    const possible = units.filter(unit => unit.every(index => this.kernel.present.has(index) || this.takes(index)));
    const held = units.filter(unit => unit.every(index => this.kernel.present.has(index)));
    const meant = new Set(possible.flat());
    const exact = meant.size === this.kernel.present.size && [...meant].every(index => this.kernel.present.has(index));
    return { held: held.length, possible: possible.length, exact };
  }

  #tellVipdGone(vipd: VipdModel | undefined): void {
    const { pulse } = this;
    this.world.timeline.in(NOTICE_MS, () => {
      if (this.pulse !== pulse || this.vipd !== vipd) return;
      this.vipd = undefined;
      pulse?.post('pipe', { type: 'vipd-gone', how: 'SIGKILL' });
    });
  }

  killVipd(): void {
    if (!this.vipd?.alive) return;
    this.vipd.kill();
    this.#tellVipdGone(this.vipd);
  }

  /** pulse alone dies; systemd ends the rest, cleans up if it is told to, and starts it again. */
  killPulse({ vipdToo, cleanup, restartMs }: { vipdToo: boolean; cleanup: boolean; restartMs: number }): void {
    if (!this.pulse?.alive) return;
    this.pulse.kill();
    const life = ++this.#life;
    const orphan = this.vipd;
    if (vipdToo) orphan?.kill();
    else orphan?.pipeClosed();
    const unless = (run: () => void) => () => {
      if (this.#life === life && this.up) run();
    };
    this.world.timeline.in(
      UNIT_KILL_MS,
      unless(() => orphan?.kill()),
    );
    if (cleanup)
      this.world.timeline.in(
        CLEANUP_MS,
        unless(() => this.#cleanUp()),
      );
    this.vipd = undefined;
    this.world.timeline.in(
      Math.max(restartMs, CLEANUP_MS + 1),
      unless(() => this.start()),
    );
  }

  /** `vipd --cleanup`. */
  #cleanUp(): void {
    const { runState } = this;
    if (runState.mode === 'alone') return;
    this.kernel.closeGate();
    this.kernel.remove();
    this.removed();
    if (runState.mode !== 'armed') return;
    runState.mode = 'none';
    runState.closed = runState.closed || runState.will !== undefined;
    if (runState.will !== undefined) this.sendWill(runState.will);
  }

  exited(): void {
    this.world.say(this.name, () => 'pulse exits');
    const { pulse, vipd } = this;
    const life = ++this.#life;
    // Its pipe closes when the process ends; systemd starts it again.
    this.world.timeline.in(PIPE_MS, () => vipd?.pipeClosed());
    this.vipd = undefined;
    pulse?.kill();
    const unless = (run: () => void) => () => {
      if (this.#life === life && this.up) run();
    };
    this.world.timeline.in(
      UNIT_KILL_MS,
      unless(() => vipd?.kill()),
    );
    this.world.timeline.in(
      CLEANUP_MS,
      unless(() => this.#cleanUp()),
    );
    this.world.timeline.in(
      this.options.restartMs,
      unless(() => this.start()),
    );
  }

  /** Power loss: everything in memory is gone. `keepsDisk`: the state file too, unless false. */
  powerOff(): void {
    if (!this.up) return;
    this.up = false;
    this.#life += 1;
    this.#diskLife += 1;
    this.pulse?.kill();
    this.vipd?.kill();
    this.pulse = this.vipd = undefined;
    this.kernel.closeGate();
    this.kernel.remove();
    this.removed();
    this.runState = freshRunState();
  }

  powerOn(keepsDisk: boolean): void {
    if (this.up) return;
    this.up = true;
    // Booting takes its time, on the clock on the wall too.
    this.world.wallMs += keepsDisk ? BOOT_WALL_MS : NEW_DISK_WALL_MS;
    if (!keepsDisk) this.disk = { ceiling: 0 };
    this.start();
  }

  serves(): boolean {
    return this.up && this.kernel.serves();
  }

  // --- for vipd ---

  say(vipd: VipdModel, message: VipdMessage): void {
    const { pulse } = this;
    this.world.timeline.in(PIPE_MS + this.world.pipeJitterMs(), () => {
      if (this.pulse === pulse && this.vipd === vipd) pulse?.post('pipe', { type: 'vipd', message });
    });
  }

  sendWill(datagram: unknown): void {
    this.world.say(this.name, () => 'vipd sends the last will');
    for (let link = 0; link < this.options.settings.links; link += 1) this.#send(link, datagram, 'other');
  }

  announce(): void {
    const { world } = this;
    world.monitor.announced(this);
    for (const [index, lan] of this.options.settings.addressLans.entries()) {
      if (!this.kernel.present.has(index)) continue;
      const network = world.lans[lan] as Network;
      // Clients are on the first LAN.
      if (lan === 0)
        for (const host of CLIENTS)
          network.send(this.host, host, () => world.client(host).hearsAnnouncement(this.host));
      for (const other of world.others(this))
        network.send(this.host, other.host, () => other.up && other.vipd?.heardClaim(index, this.mac(lan)));
    }
  }

  sendProbe(vipd: VipdModel, id: number, index: number, mac: string | undefined): void {
    const { world, peer } = this;
    const lan = this.options.settings.addressLans[index] as number;
    const network = world.lans[lan] as Network;
    world.monitor.probes(this, id);
    const lateAt = world.timeline.now + probeRound(this.pulse?.machine.settings.intervalMs ?? ms(0));
    const answer = (from: number, answerMac: string, via: Answer['via']) =>
      network.send(from, this.host, () => this.up && vipd.heardAnswer({ id, index, mac: answerMac, via }));
    // Asked of a machine that was taken for the peer, where the peer itself could not have been reached.
    const astray = mac !== undefined && mac !== peer.mac(lan);
    if (astray && !network.bothWays(this.host, peer.host)) world.monitor.probeEaten(this, id);
    for (const other of world.others(this)) {
      if (mac !== undefined && mac !== other.mac(lan)) continue;
      const eaten = (fate: Fate) => {
        // What comes when the round is over is no answer either.
        const late = world.timeline.now + network.flightMs > lateAt;
        if (other === peer && (fate !== 'sent' || late)) world.monitor.probeEaten(this, id);
      };
      const answers = (via: Answer['via']) => eaten(answer(other.host, other.mac(lan), via));
      eaten(network.send(this.host, other.host, () => other.#probed({ by: this, id, index, lan }, answers)));
    }
    // A switch that remembers, whoever is dead.
    if (world.switchAnswers) network.send(this.host, SERVER, () => answer(SERVER, peer.mac(lan), 'arp'));
    // As a proxy would, whatever MAC was meant.
    if (world.stranger) network.send(this.host, STRANGER, () => answer(STRANGER, '02:00:00:00:09:09', 'echo'));
  }

  #probed({ by, id, index, lan }: Probed, answers: (via: Answer['via']) => void): void {
    const { world } = this;
    const hasWord = this.vipd?.givesWord(index) && world.options.older !== this.index;
    if (hasWord && !world.probesDropped && world.hasOwn(this.host, lan)) answers('word');
    if (!this.serves() || !this.kernel.present.has(index)) return;
    // Without an address of its own it has no way back, and nobody resolves the asker's if that has none.
    if (!world.hasOwn(this.host, lan) || !world.hasOwn(by.host, lan)) {
      if (this === by.peer) world.monitor.probeUnanswered(by, id);
      return;
    }
    answers('arp');
    // An echo goes to the asker's own address, whoever has that.
    if (world.dropsEcho() || by.index === this.index || world.reached(this, lan) !== by) return;
    answers('echo');
  }

  /**
   * Of an own address of the peer's: who answers by ARP, the peer or a switch in its place. Of one
   * of ours: which other vipd has it.
   */
  resolve(vipd: VipdModel, index: number): void {
    const { world, peer } = this;
    const { lan, side } = this.options.settings.fixed[index] ?? { lan: 0, side: 'peer' };
    const network = world.lans[lan] as Network;
    if (side === 'own') return this.#askCopies(vipd, index, network);
    for (const other of world.others(this)) {
      if (other.index === this.index) continue;
      const here = other.up && world.hasOwn(other.host, lan) && network.bothWays(this.host, other.host);
      if (here) this.sayPlainly(vipd, { type: 'peer', index, mac: other.mac(lan), target: false });
    }
    if (world.switchAnswers && network.bothWays(this.host, SERVER))
      this.sayPlainly(vipd, { type: 'peer', index, mac: peer.mac(lan), target: false });
  }

  #askCopies(vipd: VipdModel, index: number, network: Network): void {
    const lan = this.options.settings.fixed[index]?.lan ?? 0;
    for (const other of this.world.others(this)) {
      if (other.index !== this.index) continue;
      network.send(this.host, other.host, () => {
        if (!other.#answersFor(index)) return;
        network.send(other.host, this.host, () => this.sayAhead(vipd, { type: 'copy', index, mac: other.mac(lan) }));
      });
    }
  }

  /** Its vipd runs, and this own address is on its host. */
  #answersFor(index: number): boolean {
    const runs = this.up && this.vipd?.alive && !this.vipd.stopped && !this.clock.isPaused();
    const state = this.world.ownState(this.host, index);
    return runs === true && (state === 'here' || state === 'unrouted');
  }

  sayAhead(vipd: VipdModel, message: VipdMessage): void {
    const { pulse } = this;
    this.world.timeline.in(PIPE_MS, () => {
      if (this.pulse === pulse && this.vipd === vipd) pulse?.post('pipe', { type: 'vipd', message });
    });
  }

  sayPlainly(vipd: VipdModel, message: VipdMessage): void {
    const { pulse } = this;
    this.world.timeline.in(PIPE_MS, () => {
      // To one that has heard its peer they say nothing.
      if (this.pulse === pulse && this.vipd === vipd && pulse?.machine.peer.last === undefined)
        pulse?.post('pipe', { type: 'vipd', message });
    });
  }

  granted(epoch: Epoch, lease: LeaseRequest, anew: boolean): void {
    this.world.monitor.granted(this, epoch, lease, anew);
  }

  removed(): void {
    this.world.monitor.removed(this);
  }

  // --- for pulse ---

  pipeFirst(): boolean {
    return this.world.random.chance(0.5);
  }

  jitter(): number {
    return this.timerJitterMs > 0 ? this.world.random.next() * this.timerJitterMs : 0;
  }

  vipdCommand(command: VipdCommand): void {
    this.vipd?.command(command);
  }

  respawnVipd(): void {
    this.vipd?.kill();
    this.vipd = undefined;
    this.#spawnVipd();
  }

  packWill(will: Will): unknown {
    return this.world.codec(this.index).pack(will);
  }

  sendHeartbeat(link: number, message: Heartbeat): void {
    this.world.monitor.heartbeatSent(this, message);
    const serving = message.serving && message.peerBootId === this.peer.bootId();
    const what = !this.world.monitor.counts(this) ? 'copied' : serving ? 'serving' : 'other';
    this.#send(link, this.world.codec(this.index).pack(message), what);
  }

  /** Its captured datagrams once more, the oldest first. */
  playBack(): void {
    this.world.say('FAULT', () => `${this.#captured.length} datagrams of ${this.name} are played back`);
    const { peer } = this;
    for (const { link, packed } of this.#captured)
      this.world.links[link]?.send(this.host, peer.host, () => peer.#arrive(link, packed, 'replayed'));
  }

  #capture(link: number, packed: unknown): void {
    this.#sent += 1;
    // All wills, and some of the heartbeats.
    if (this.#sent % 16 !== 0 && !isWill(packed)) return;
    this.#captured.push({ link, packed });
    if (this.#captured.length > CAPTURED_MAX) this.#captured.splice(this.world.random.below(CAPTURED_MAX), 1);
  }

  #send(link: number, packed: unknown, what: Arrival): void {
    const { world } = this;
    this.#capture(link, packed);
    const { now } = world.timeline;
    const network = world.links[link] as Network;
    const to = world.reached(this, world.options.linkLans[link] as number);
    if (!this.#hasLink(link)) {
      // An address that went with the carrier: what was not sent would not have got there either.
      if (!network.bothWays(this.host, to.host)) world.monitor.heartbeatEaten(this);
      return;
    }
    const fate = world.heartbeatsDropped
      ? 'eaten'
      : network.send(this.host, to.host, () => to.#arrive(link, packed, what, now));
    if (fate !== 'sent') return world.monitor.heartbeatEaten(this);
    // Later than what D leaves beside an interval, it is as good as lost; it is that once it is so late.
    const lateMs = world.longest.deadMs - world.longest.intervalMs;
    if (what === 'serving' && network.flightMs > lateMs)
      world.timeline.in(lateMs, () => world.monitor.heartbeatEaten(this));
  }

  /** Its address is there and its socket is bound. */
  #hasLink(link: number): boolean {
    const lan = this.world.options.linkLans[link] as number;
    return this.world.hasOwn(this.host, lan) && (this.pulse === undefined || this.pulse.bound.has(link));
  }

  #arrive(link: number, packed: unknown, what: Arrival, sentAt = 0): void {
    if (this.clock.isPaused()) {
      this.world.timeline.at(this.clock.resumesAt(), () => this.#arrive(link, packed, what, sentAt));
      return;
    }
    if (!this.up || !this.pulse?.alive || !this.#hasLink(link)) return;
    if (what === 'serving' || what === 'other') this.world.monitor.heartbeatArrived(this, what === 'serving', sentAt);
    const message: Message | undefined = this.world.codec(this.index).unpack(packed);
    if (message) this.pulse.post('socket', { type: 'datagram', link, message });
  }

  sample(sampling: Sampling): void {
    this.#surroundings.sample(sampling);
  }

  continued(): void {
    this.#surroundings.look();
    this.tellOwn();
    this.tellPlaces();
  }

  /** The ways to other hosts may have changed. */
  networksChanged(): void {
    this.#surroundings.look();
  }

  askWitness(ask: WitnessAsk): void {
    this.world.witness?.ask(this, ask);
  }

  persist(machine: Machine): void {
    this.#write(machine.ceiling);
  }

  #write(ceiling: number): void {
    const life = this.#diskLife;
    const { timeline } = this.world;
    timeline.at(Math.max(timeline.now, this.diskStalledUntil) + this.options.diskMs, () => {
      if (this.#diskLife === life && ceiling > this.disk.ceiling) this.disk = { ceiling };
    });
  }

  told(effect: Effect, machine: Machine): void {
    this.world.monitor.told(this, effect, machine);
    if (!this.isCopy) this.world.options.told?.(this.index, effect);
  }
}
