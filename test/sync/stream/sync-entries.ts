// Entries for tests, and a machine whose effects are easy to look at.
import type { SyncEffect, SyncInput } from '../../../src/sync/stream/effect.ts';
import { type Control, type Id, readFrame } from '../../../src/sync/stream/frame.ts';
import { SyncMachine } from '../../../src/sync/stream/sync-machine.ts';
import {
  type Entry,
  FLAG,
  PROTOCOL_TCP,
  type RawAddress,
  TCP_STATES,
  templateOf,
} from '../../../src/sync/table/entry.ts';
import type { Scope } from '../../../src/sync/table/scope.ts';
import type { At } from '../../../src/units/duration.ts';

export const MARK = 21;
export const PERSISTENCE_S = 360;
export const VIP = 'c0000201' as RawAddress;
export const SERVER = '0a000001' as RawAddress;
export const OTHER_SERVER = '0a000002' as RawAddress;
/** 198.51.100.7 */
export const CLIENT = 'c6336407' as RawAddress;

export const at = (ms: number): At => ms as At;

export function clientOf(n: number): RawAddress {
  return (0xc6120000 + n).toString(16) as RawAddress;
}

export function template(fields: Partial<Entry> = {}): Entry {
  const base = { client: CLIENT, server: SERVER, mark: MARK, flags: 0, ...fields };
  return {
    ...templateOf(base, PERSISTENCE_S),
    ...(fields.timeoutS === undefined ? {} : { timeoutS: fields.timeoutS }),
  };
}

export function connection(fields: Partial<Entry> = {}): Entry {
  return {
    protocol: PROTOCOL_TCP,
    client: CLIENT,
    clientPort: 40_000,
    virtual: VIP,
    virtualPort: 21,
    server: SERVER,
    serverPort: 21,
    flags: 0,
    state: TCP_STATES.indexOf('ESTABLISHED'),
    mark: MARK,
    timeoutS: 900,
    ...fields,
  };
}

export function closing(fields: Partial<Entry> = {}): Entry {
  return connection({ flags: FLAG.inactive, state: TCP_STATES.indexOf('FIN_WAIT'), timeoutS: 120, ...fields });
}

const service = {
  name: 'ftp',
  vip: VIP,
  mark: MARK,
  protocol: 6,
  syncsConnections: true,
  ports: [
    { first: 21, last: 21 },
    { first: 10_000, last: 20_000 },
  ],
  mappedPort: undefined,
  activePorts: [20],
  forwarding: 'nat' as const,
  flags: 0,
  persistenceS: PERSISTENCE_S,
  persistencePrefix: 32,
  servers: new Set([SERVER, OTHER_SERVER]),
};

export const scope: Scope = {
  services: [service],
  tcpTimeoutS: 900,
  tcpFinTimeoutS: 120,
  ofMark: mark => (mark === MARK ? service : undefined),
  ofVirtual: () => service,
  markOf: () => MARK,
  ofActiveServer: () => [service],
  isRouter: () => false,
  inScope: entry => entry.mark === MARK && service.servers.has(entry.server),
};

export const OURS = '1111111111111111' as Id;
export const THEIRS = '2222222222222222' as Id;

/** A machine on a clock of its own; the kernel takes what it is given at once, unless told otherwise. */
export class Bench {
  now = 1_000_000;
  readonly machine: SyncMachine;
  readonly effects: SyncEffect[] = [];
  /** Entries given to the kernel, in their order. */
  readonly injected: Entry[] = [];
  answersInjection = true;
  /** Links that take nothing. */
  readonly full = new Set<number>();

  constructor(node: 1 | 2 = 1, instance: Id = OURS, rowsMax?: number) {
    const options = { node, instance, kernelRelease: '6.1.0' };
    this.machine = new SyncMachine(rowsMax === undefined ? options : { ...options, rowsMax });
    this.input({ type: 'scope', scope });
  }

  input(input: SyncInput): SyncEffect[] {
    return this.#run(this.machine.step(input, at(this.now)));
  }

  /** Ticks as the machine wants them. */
  wait(forMs: number): SyncEffect[] {
    const until = this.now + forMs;
    const effects: SyncEffect[] = [];
    for (;;) {
      const wakeAt = Math.max(this.now + 1, this.machine.wakeAt(at(this.now)));
      if (wakeAt > until) break;
      this.now = wakeAt;
      effects.push(...this.input({ type: 'tick' }));
    }
    this.now = until;
    effects.push(...this.input({ type: 'tick' }));
    return effects;
  }

  #run(effects: SyncEffect[]): SyncEffect[] {
    const all = [...effects];
    for (const effect of effects) {
      this.effects.push(effect);
      if (effect.type === 'send' && this.full.has(effect.link)) {
        all.push(...this.#run(this.machine.step({ type: 'refused', ticket: effect.ticket }, at(this.now))));
      }
      if (effect.type !== 'inject') continue;
      this.injected.push(...effect.entries);
      if (this.answersInjection) all.push(...this.input({ type: 'injected', id: effect.id, dropped: 0 }));
    }
    return all;
  }
}

export function framesOf(effects: readonly SyncEffect[]): Buffer[] {
  return effects.flatMap(effect => (effect.type === 'send' ? [effect.frame] : []));
}

export function controlsOf(effects: readonly SyncEffect[]): Control[] {
  return framesOf(effects).flatMap(frame => {
    const read = readFrame(frame);
    return read.type === 'control' ? [read.message] : [];
  });
}

export function numberedOf(effects: readonly SyncEffect[]) {
  return effects.flatMap(effect => {
    if (effect.type !== 'send') return [];
    const read = readFrame(effect.frame);
    return read.type === 'numbered' ? [{ link: effect.link, ...read.frame }] : [];
  });
}

export function eventsOf(effects: readonly SyncEffect[]): string[] {
  return effects.flatMap(effect => (effect.type === 'event' ? [effect.code] : []));
}
