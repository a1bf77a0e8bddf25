// A pair of routers on a virtual clock: the shipped machines, a model of vipd with its lease, and a network that can lose, cut and
// delay. Deterministic: the same steps give the same history. The wire format is the shipped one too.
import type { Decision } from '../../src/feed/message.ts';
import { servingNow } from '../../src/pulse/election/beliefs/term.ts';
import type { Effect, Machine, PulseEvent, Settings } from '../../src/pulse/election/machine.ts';
import { newMachine } from '../../src/pulse/election/start.ts';
import { nextWake, step } from '../../src/pulse/election/step.ts';
import { decode, encode, pairIdOf } from '../../src/pulse/heartbeat.ts';
import { heartbeatFor, willFor } from '../../src/pulse/own-heartbeat.ts';
import type { At } from '../../src/units/duration.ts';
import { compareEpochs, EPOCH_NONE, type Epoch, formatEpoch } from '../../src/units/epoch.ts';
import { settingsFor } from '../settings-for.ts';

const PAIR = pairIdOf('sim');
const KEY = Buffer.alloc(32, 7);
export const NETWORK_MS = 0.2;

export interface Tenure {
  readonly node: string;
  readonly from: number;
  to: number | undefined;
}

/** What a router's director says once a second, as long as it lives. */
export interface DirectorModel {
  alive: boolean;
  report: Omit<PulseEvent & { type: 'report' }, 'type'>;
  reportDueAt: number;
}

const REPORT_MS = 1_000;

interface Vipd {
  stopped: boolean;
  held: boolean;
  epoch: Epoch;
  leaseEnd: number;
  mode: 'armed' | 'alone';
  will: Buffer | undefined;
}

export interface Router {
  readonly name: string;
  machine: Machine;
  vipd: Vipd;
  director: DirectorModel;
  alive: boolean;
  /** pulse is stopped (SIGSTOP): nothing runs until this time; its mail waits. */
  frozenUntil: number;
  readonly mail: PulseEvent[];
  readonly decisions: Omit<Decision, 'at'>[];
  readonly events: string[];
  answer: { ok: boolean; message: string } | undefined;
  exited: boolean;
}

export interface PairOptions {
  readonly priorities?: readonly [number, number];
  readonly settings?: Partial<Settings>;
  readonly links?: number;
}

export class Pair {
  now = 0;
  readonly routers: readonly [Router, Router];
  readonly tenures: Tenure[] = [];
  /** Links cut, by index; the LAN of the probes is apart from them. */
  readonly cut = new Set<number>();
  lanCut = false;
  readonly #queue: { at: number; run: () => void }[] = [];
  #boots = 0;
  readonly #options: PairOptions;

  constructor(options: PairOptions = {}) {
    this.#options = options;
    this.routers = [this.#boot('r1', 0), this.#boot('r2', 0)];
  }

  get r1(): Router {
    return this.routers[0];
  }

  get r2(): Router {
    return this.routers[1];
  }

  peerOf(router: Router): Router {
    return router === this.r1 ? this.r2 : this.r1;
  }

  #boot(name: string, ceiling: number): Router {
    const index = name === 'r1' ? 0 : 1;
    this.#boots += 1;
    const settings = settingsFor({
      node: name,
      nodeId: index === 0 ? 1 : 2,
      bootId: Buffer.from(`boot${String(this.#boots).padStart(4, '0')}`).toString('hex'),
      priority: this.#options.priorities?.[index] ?? 100,
      keepsSessions: true,
      links: this.#options.links ?? 2,
      lans: [
        { name: 'clients', id: 1001, interface: 'c0', vips: true, targets: [], links: [0] },
        { name: 'servers', id: 1002, interface: 's0', vips: true, targets: [], links: [1] },
      ],
      ...this.#options.settings,
    });
    const start = { settings, now: this.now as At, ceiling, hold: { on: false, until: undefined }, rulesIn: true };
    const vipd: Vipd = { stopped: false, held: false, epoch: EPOCH_NONE, leaseEnd: 0, mode: 'armed', will: undefined };
    const report = { rulesIn: true, healthyServers: null, flushMs: 0, warm: true };
    const router: Router = {
      name,
      machine: newMachine(start),
      vipd,
      director: { alive: true, report, reportDueAt: this.now },
      alive: true,
      frozenUntil: 0,
      mail: [],
      decisions: [],
      events: [],
      answer: undefined,
      exited: false,
    };
    this.#dispatch(router, {
      type: 'vipd',
      message: { type: 'hello', version: 'sim', epoch: EPOCH_NONE, mode: 'none', held: 0 },
    });
    this.#dispatch(router, {
      type: 'vipd',
      message: { type: 'link', index: 0, up: true, mac: `02:00:00:00:0${index + 1}:01` },
    });
    this.#dispatch(router, {
      type: 'vipd',
      message: { type: 'link', index: 1, up: true, mac: `02:00:00:00:0${index + 1}:02` },
    });
    return router;
  }

  /** Power comes back, or pulse is started again: a new life with the same state file. */
  restart(router: Router, keepsAddresses: boolean): void {
    const old = { ...router.vipd };
    const fresh = this.#boot(router.name, router.machine.ceiling);
    Object.assign(router, { machine: fresh.machine, alive: true, frozenUntil: 0, exited: false });
    router.director.reportDueAt = this.now;
    router.mail.length = 0;
    router.vipd = keepsAddresses ? { ...old, mode: 'alone', leaseEnd: this.now } : fresh.vipd;
    const { held, epoch } = router.vipd;
    this.#dispatch(router, {
      type: 'vipd',
      message: { type: 'hello', version: 'sim', epoch, mode: held ? 'alone' : 'none', held: held ? 2 : 0 },
    });
  }

  /** Everything of a router ends at once: no will, no more packets, addresses gone from the LAN. */
  powerOff(router: Router): void {
    router.alive = false;
    this.#drop(router);
  }

  /** pulse is killed: vipd sees the pipe close. */
  killPulse(router: Router): void {
    router.alive = false;
    if (router.vipd.held && router.vipd.mode === 'armed') this.#expire(router);
  }

  freeze(router: Router, forMs: number): void {
    router.frozenUntil = this.now + forMs;
  }

  send(router: Router, event: PulseEvent): void {
    this.#dispatch(router, event);
  }

  /** The director of a router says something new at once, and repeats it from now on. */
  report(router: Router, changes: Partial<DirectorModel['report']>): void {
    const { director } = router;
    director.report = { ...director.report, ...changes };
    director.reportDueAt = this.now + REPORT_MS;
    this.#dispatch(router, { type: 'report', ...director.report });
  }

  /** Runs the world for `forMs`. */
  run(forMs: number): void {
    const end = this.now + forMs;
    for (let steps = 0; this.now < end && steps < 1_000_000; steps += 1) {
      const next = this.#nextInstant(end);
      this.now = next;
      for (const router of this.routers) this.#lease(router);
      this.#deliver();
      for (const router of this.routers) this.#wake(router);
      this.#deliver();
    }
  }

  #nextInstant(end: number): number {
    const times = this.routers
      .filter(router => router.alive && !router.exited)
      .map(router => Math.max(nextWake(router.machine, this.now as At), router.frozenUntil, this.now + 0.05));
    for (const { alive, director } of this.routers) if (alive && director.alive) times.push(director.reportDueAt);
    for (const router of this.routers)
      if (router.vipd.held && router.vipd.mode === 'armed') times.push(router.vipd.leaseEnd);
    const mail = this.#queue[0]?.at;
    if (mail !== undefined) times.push(mail);
    return Math.min(end, ...times.filter(time => time > this.now));
  }

  #wake(router: Router): void {
    if (!router.alive || router.exited || this.now < router.frozenUntil) return;
    if (router.frozenUntil > 0) {
      // The shell reads what was queued only after it has said that it was late.
      router.frozenUntil = 0;
      this.#dispatch(router, { type: 'late', byMs: 200 });
      for (const event of router.mail.splice(0)) this.#dispatch(router, event);
    }
    this.#dispatch(router, { type: 'tick' });
    const { director } = router;
    if (director.alive && this.now >= director.reportDueAt) this.report(router, {});
  }

  /** The router's vipd heard somebody else announce its first address. */
  hearsClaim(router: Router, mac: string): void {
    this.#dispatch(router, { type: 'vipd', message: { type: 'conflict', index: 0, mac, port: 'c0' } });
  }

  #dispatch(router: Router, event: PulseEvent): void {
    if (router.exited) return;
    const { machine, effects } = step(router.machine, event, this.now as At);
    router.machine = machine;
    for (const effect of effects) this.#run(router, effect);
  }

  #run(router: Router, effect: Effect): void {
    if (effect.type === 'decision') router.decisions.push(effect.decision);
    else if (effect.type === 'event') router.events.push(effect.code);
    else if (effect.type === 'answer') router.answer = effect;
    else if (effect.type === 'exit') router.exited = true;
    else if (effect.type === 'send') this.#broadcast(router);
    else if (effect.type === 'respawn-vipd') this.#respawn(router);
    else if (!router.vipd.stopped) this.#command(router, effect);
  }

  #command(router: Router, effect: Effect): void {
    const { vipd } = router;
    if (effect.type === 'will') vipd.will = encode(willFor(router.machine, effect.epoch, effect.peerBootId), PAIR, KEY);
    else if (effect.type === 'give-up') {
      this.#drop(router);
      this.#tell(router, { type: 'vipd', message: { type: 'released', seq: effect.seq, epoch: effect.epoch } });
      if (effect.will) this.#sendWill(router);
    } else if (effect.type === 'claim' || effect.type === 'renew') {
      const { seq, epoch, at, mode } = effect.lease;
      const refuse = (reason: string) =>
        this.#tell(router, { type: 'vipd', message: { type: 'refused', seq, reason } });
      if (compareEpochs(epoch, vipd.epoch) < 0) return refuse('stale-epoch');
      if (at + effect.lease.leaseMs <= this.now) return refuse('late');
      if (effect.type === 'renew' && !vipd.held) return refuse('not-held');
      if (!vipd.held) this.tenures.push({ node: router.name, from: this.now, to: undefined });
      Object.assign(vipd, { held: true, epoch, mode, leaseEnd: at + effect.lease.leaseMs });
      this.#tell(router, { type: 'vipd', message: { type: 'held', seq, epoch, announcedAfterUs: undefined } });
    } else if (effect.type === 'probe') this.#probe(router, effect);
  }

  #probe(router: Router, effect: Effect & { type: 'probe' }): void {
    const peer = this.peerOf(router);
    this.#later(2 * NETWORK_MS, () => {
      if (this.lanCut || !peer.vipd.held) return this.#silence(router, effect);
      const mac = peer.machine.addressLinks[0]?.mac ?? '';
      for (const { index } of effect.targets) {
        const link = peer.machine.addressLinks[index]?.mac ?? mac;
        this.#tell(router, { type: 'vipd', message: { type: 'reply', id: effect.id, index, via: 'echo', mac: link } });
      }
    });
  }

  #silence(router: Router, effect: Effect & { type: 'probe' }): void {
    this.#later(effect.windowMs, () => {
      for (const { index } of effect.targets)
        this.#tell(router, { type: 'vipd', message: { type: 'silent', id: effect.id, index } });
    });
  }

  #broadcast(router: Router): void {
    const peer = this.peerOf(router);
    for (let link = 0; link < router.machine.settings.links; link += 1) {
      if (this.cut.has(link)) continue;
      const bytes = encode(heartbeatFor(router.machine, link, this.now as At), PAIR, KEY);
      this.#later(NETWORK_MS, () => this.#receive(peer, link, bytes));
    }
  }

  #sendWill(router: Router): void {
    const bytes = router.vipd.will;
    if (!bytes) return;
    const peer = this.peerOf(router);
    for (let link = 0; link < router.machine.settings.links; link += 1) {
      if (!this.cut.has(link)) this.#later(NETWORK_MS, () => this.#receive(peer, link, bytes));
    }
  }

  #receive(router: Router, link: number, bytes: Buffer): void {
    const decoded = decode(bytes, PAIR, [KEY]);
    if (decoded.ok) this.#tell(router, { type: 'datagram', link, message: decoded.message });
  }

  #tell(router: Router, event: PulseEvent): void {
    if (!router.alive) return;
    if (this.now < router.frozenUntil) router.mail.push(event);
    else this.#later(0, () => router.alive && this.#dispatch(router, event));
  }

  #lease(router: Router): void {
    const { vipd } = router;
    if (vipd.held && !vipd.stopped && vipd.mode === 'armed' && this.now >= vipd.leaseEnd) this.#expire(router);
  }

  #expire(router: Router): void {
    this.#drop(router);
    this.#sendWill(router);
    this.#tell(router, { type: 'vipd', message: { type: 'expired', epoch: router.vipd.epoch } });
  }

  #drop(router: Router): void {
    if (!router.vipd.held) return;
    router.vipd.held = false;
    const tenure = this.tenures.findLast(entry => entry.node === router.name && entry.to === undefined);
    if (tenure) tenure.to = this.now;
  }

  #respawn(router: Router): void {
    router.vipd.stopped = false;
    const { epoch, held, mode } = router.vipd;
    this.#tell(router, {
      type: 'vipd',
      message: { type: 'hello', version: 'sim', epoch, mode: held ? mode : 'none', held: held ? 2 : 0 },
    });
  }

  #later(inMs: number, run: () => void): void {
    this.#queue.push({ at: this.now + inMs, run });
    this.#queue.sort((a, b) => a.at - b.at);
  }

  #deliver(): void {
    for (let first = this.#queue[0]; first && first.at <= this.now; first = this.#queue[0]) {
      this.#queue.shift();
      first.run();
    }
  }

  serving(): string[] {
    return this.routers.filter(r => r.alive && servingNow(r.machine, this.now as At)).map(r => r.name);
  }

  holding(): string[] {
    return this.routers.filter(r => r.vipd.held).map(r => r.name);
  }

  /** Longest time during which both routers held the addresses, in ms. */
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
    return this.routers
      .map(
        r =>
          `${r.name} ${r.machine.state.role} ${formatEpoch(r.vipd.epoch)}: ${r.decisions.map(d => `${d.to} (${d.reason})`).join('; ')} | ${r.events.join(',')}`,
      )
      .join('\n');
  }
}
