// A model of pulse's process around the shipped machine: src/pulse/loop.ts and Node's event loop. One turn of the loop is timers,
// then what the sockets and the pipe hold, then what the timers put off (setImmediate); effects run one at a time, so that a crash
// or a stall can fall between any two.

import type { Effect, Machine, PulseEvent } from '../../src/pulse/election/machine.ts';
import { nextWake, step } from '../../src/pulse/election/step.ts';
import type { Heartbeat } from '../../src/pulse/heartbeat.ts';
import { heartbeatsFor, willFor } from '../../src/pulse/own-heartbeat.ts';
import type { At } from '../../src/units/duration.ts';
import type { WitnessAsk } from '../../src/witness/witness.ts';
import { Alarm, type HostClock, NEVER } from './timeline.ts';
import type { VipdCommand } from './vipd-model.ts';

/** What a process may meet between two of its effects. */
export interface Trap {
  /** Goes off before the effect with this number, counted from when it was set. */
  countdown: number;
  readonly spring: () => void;
}

export interface PulseHost {
  readonly clock: HostClock;
  /** A timer of Node is late by up to this. */
  readonly timerJitterMs: number;
  /** Whether the pipe is read before the sockets, this time. */
  pipeFirst(): boolean;
  vipdCommand(command: VipdCommand): void;
  respawnVipd(): void;
  /** Makes the rules of the packet lease for another L. */
  retimePacketLease(leaseMs: number, done: () => void): void;
  sendHeartbeat(link: number, message: Heartbeat): void;
  packWill(message: ReturnType<typeof willFor>): unknown;
  askWitness(ask: WitnessAsk): void;
  persist(machine: Machine): void;
  exited(): void;
  /** For the transcript and the monitor. */
  told(effect: Effect, machine: Machine): void;
  /** For who records what went into the machine. */
  readonly stepped?: ((before: Machine, event: PulseEvent, done: ReturnType<typeof step>, at: At) => void) | undefined;
  jitter(): number;
}

const GRAIN_MS = 1e-6;

interface Running {
  readonly effects: readonly Effect[];
  next: number;
  readonly now: At;
}

export class PulseModel {
  machine: Machine;
  alive = true;
  exiting = false;
  trap: Trap | undefined;
  /** Heartbeat links that have their socket. */
  readonly bound = new Set<number>();
  readonly #host: PulseHost;
  #stalledUntil = 0;
  #resumes = false;
  readonly #sockets: PulseEvent[] = [];
  readonly #pipe: PulseEvent[] = [];
  readonly #control: PulseEvent[] = [];
  #running: Running | undefined;
  /** setImmediate() waits: the tick comes after the sockets have been read. */
  #immediate = false;
  #lateToldAt = -NEVER;
  #wakeAt = NEVER;
  #timerAt = NEVER;
  readonly #timer: Alarm;

  constructor(host: PulseHost, machine: Machine) {
    this.#host = host;
    this.machine = machine;
    this.#timer = new Alarm(host.clock, () => this.run());
    this.#arm(host.clock.now() as At);
  }

  /** Something for the process to read; it reads at once unless it is stopped. */
  post(from: 'socket' | 'pipe' | 'control', event: PulseEvent): void {
    if (!this.alive || this.exiting) return;
    const queue = from === 'socket' ? this.#sockets : from === 'pipe' ? this.#pipe : this.#control;
    queue.push(event);
    this.run();
  }

  isStalled(): boolean {
    return this.#host.clock.timeline.now < this.#stalledUntil || this.#host.clock.isPaused();
  }

  /** SIGSTOP, or starved: nothing runs for `forMs` of true time; what comes in waits. */
  stall(forMs: number): void {
    const { timeline } = this.#host.clock;
    this.#stalledUntil = Math.max(this.#stalledUntil, timeline.now + forMs);
    timeline.at(this.#stalledUntil, () => this.run());
  }

  kill(): void {
    this.alive = false;
    this.#timer.set(NEVER);
  }

  /** Turns of the event loop, as long as there is anything to do now. */
  run(): void {
    if (!this.alive || this.exiting) return;
    if (this.isStalled()) return this.#runLater();
    if (this.#running && !this.#runEffects()) return;
    const { clock } = this.#host;
    if (clock.now() >= this.#timerAt - GRAIN_MS && !this.#immediate) {
      this.#timerAt = NEVER;
      this.#immediate = true;
      if (!this.#noticeLateness()) return;
    }
    if (!this.#readAll() || !this.#immediate) return;
    this.#immediate = false;
    this.#dispatch({ type: 'tick' });
  }

  /** As loop.ts has it. False when the process was stopped or ended meanwhile. */
  #noticeLateness(): boolean {
    const byMs = this.#host.clock.now() - Math.max(this.#wakeAt, this.#lateToldAt);
    if (byMs <= this.machine.settings.intervalMs) return true;
    this.#lateToldAt = this.#host.clock.now();
    return this.#take({ type: 'late', byMs });
  }

  /** A stall that ends while the machine is paused ends with the pause. */
  #runLater(): void {
    const { timeline } = this.#host.clock;
    if (timeline.now < this.#stalledUntil || this.#resumes) return;
    this.#resumes = true;
    timeline.at(this.#host.clock.resumesAt(), () => {
      this.#resumes = false;
      this.run();
    });
  }

  /** False when the process was stopped or ended meanwhile. */
  #readAll(): boolean {
    const pipeFirst = this.#pipe.length > 0 && this.#sockets.length > 0 && this.#host.pipeFirst();
    const queues = pipeFirst ? [this.#pipe, this.#sockets] : [this.#sockets, this.#pipe];
    for (const queue of [...queues, this.#control]) {
      while (queue.length > 0) if (!this.#dispatch(queue.shift() as PulseEvent)) return false;
    }
    return true;
  }

  #dispatch(event: PulseEvent): boolean {
    return this.#noticeLateness() && this.#take(event);
  }

  #take(event: PulseEvent): boolean {
    const now = this.#host.clock.now() as At;
    const done = step(this.machine, event, now);
    const { machine, effects } = done;
    this.#host.stepped?.(this.machine, event, done, now);
    this.machine = machine;
    this.#running = { effects, next: 0, now };
    return this.#runEffects();
  }

  #runEffects(): boolean {
    const running = this.#running as Running;
    while (running.next < running.effects.length) {
      if (this.trap && this.#springs(this.trap)) return false;
      const effect = running.effects[running.next] as Effect;
      running.next += 1;
      this.#run(effect, running.now);
    }
    this.#running = undefined;
    if (this.exiting) return false;
    this.#arm(running.now);
    return true;
  }

  #springs(trap: Trap): boolean {
    trap.countdown -= 1;
    if (trap.countdown > 0) return false;
    this.trap = undefined;
    trap.spring();
    return !this.alive || this.isStalled();
  }

  #run(effect: Effect, now: At): void {
    const host = this.#host;
    const { machine } = this;
    host.told(effect, machine);
    switch (effect.type) {
      case 'claim':
      case 'renew': {
        const { aloneKeepMs } = machine.settings;
        // safeguard: lease-from-the-request
        return host.vipdCommand({ type: effect.type, lease: { ...effect.lease, keepMs: aloneKeepMs } });
      }
      case 'will':
        return host.vipdCommand({
          type: 'will',
          datagram: host.packWill(willFor(machine, effect.epoch, effect.peerBootId)),
        });
      case 'give-up':
        return host.vipdCommand({ ...effect, type: 'release' });
      case 'announce':
        return host.vipdCommand({ type: 'announce' });
      case 'gate':
        return host.retimePacketLease(effect.leaseMs, () => this.post('control', { type: 'gated', id: effect.id }));
      case 'probe':
        for (const { index, mac } of effect.targets)
          host.vipdCommand({ type: 'probe', id: effect.id, index, mac, windowMs: effect.windowMs });
        return;
      case 'resolve':
        for (const index of effect.fixed) host.vipdCommand({ type: 'resolve', index });
        return;
      case 'respawn-vipd':
        return host.respawnVipd();
      case 'sample':
        return host.vipdCommand(effect);
      case 'witness':
        return host.askWitness(effect.ask);
      case 'send':
        for (const [link, message] of heartbeatsFor(machine, now).entries()) host.sendHeartbeat(link, message);
        return;
      case 'decision':
      case 'persist':
        return host.persist(machine);
      case 'exit':
        this.exiting = true;
        return host.exited();
      case 'event':
      case 'answer':
        return;
    }
  }

  /** loop.ts, arm(): a timer in whole milliseconds, and never less than one, as Node has them. */
  #arm(now: At): void {
    const at = nextWake(this.machine, now);
    if (at === this.#wakeAt && this.#timerAt !== NEVER) return;
    this.#wakeAt = at;
    this.#timerAt = this.#host.clock.now() + Math.max(1, Math.ceil(at - now)) + this.#host.jitter();
    this.#timer.set(this.#timerAt);
  }
}
