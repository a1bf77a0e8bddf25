// The kernel's table of connections on one router, with the rules of ip_vs_sync.c and ip_vs_conn.c
// that matter to the sync, and the one service whose connections are in it.

import {
  type Entry,
  type EntryKey,
  entryKeyOf,
  isInactive,
  isTemplate,
  networkOf,
  PROTOCOL_TCP,
  type RawAddress,
  type ServerEntryCounts,
  TCP_STATES,
  templateKeyOf,
} from '../../../src/sync/table/entry.ts';
import type { Scope } from '../../../src/sync/table/scope.ts';
import type { Address } from '../../../src/units/address.ts';

export const MARK = 21;
export const PERSISTENCE_S = 40;
const VIP = 'c0000201' as RawAddress;
export const SERVERS = ['0a000001', '0a000002', '0a000003'] as RawAddress[];

export const scope: Scope = {
  services: [
    {
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
      forwarding: 'nat',
      flags: 0,
      persistenceS: PERSISTENCE_S,
      persistencePrefix: 32,
      servers: new Set(SERVERS),
    },
  ],
  tcpTimeoutS: 900,
  tcpFinTimeoutS: 120,
  ofMark: mark => (mark === MARK ? scope.services[0] : undefined),
  ofVirtual: () => scope.services[0],
  markOf: () => MARK,
  ofActiveServer: () => scope.services,
  isRouter: () => false,
  inScope: entry => entry.mark === MARK && SERVERS.includes(entry.server),
};

/** The same with another persistence_prefix. */
export function scopeWith(persistencePrefix: number): Scope {
  const services = scope.services.map(service => ({ ...service, persistencePrefix }));
  return { ...scope, services, ofMark: mark => services.find(service => service.mark === mark) };
}

export interface KernelRow {
  entry: Entry;
  expiresAt: number;
  /** When it came, or got its server. */
  readonly since: number;
  /** Made by traffic here, not by synchronisation: it holds on to its template. */
  native: boolean;
}

export class KernelModel {
  readonly prefix: number;
  readonly rows = new Map<EntryKey, KernelRow>();
  /** When an entry of that key was last taken in by injection. */
  readonly takenAt = new Map<EntryKey, number>();
  readonly expiredAt = new Map<EntryKey, number>();

  constructor(prefix = 32) {
    this.prefix = prefix;
  }

  /** ip_vs_sched_persist masks the client before it looks for the template. */
  templateKeyOf({ client, mark }: Pick<Entry, 'client' | 'mark'>): EntryKey {
    return templateKeyOf({ client: networkOf(client, this.prefix), mark });
  }

  inject(entries: readonly Entry[], now: number): void {
    for (const entry of entries) this.#injectOne(entry, now);
  }

  #injectOne(entry: Entry, now: number): void {
    const key = entryKeyOf(entry);
    this.takenAt.set(key, now);
    if (entry.timeoutS === 1) this.expiredAt.set(key, now);
    const expiresAt = now + entry.timeoutS * 1_000;
    const row = this.get(key, now);
    if (row === undefined) {
      this.rows.set(key, { entry, expiresAt, since: now, native: false });
      return;
    }
    const other = row.entry.server !== entry.server;
    if (other && !isTemplate(entry)) {
      if (isInactive(entry)) return;
      this.rows.set(key, { entry, expiresAt, since: now, native: false });
      return;
    }
    row.entry = { ...entry, server: row.entry.server };
    row.expiresAt = expiresAt;
  }

  get(key: EntryKey, now: number): KernelRow | undefined {
    const row = this.rows.get(key);
    return row !== undefined && row.expiresAt > now ? row : undefined;
  }

  /** Ends what is due; gives the templates that live on for the sake of their connections. */
  expire(now: number): Entry[] {
    const kept: Entry[] = [];
    for (const [key, row] of this.rows) {
      if (row.expiresAt > now) continue;
      const controls = isTemplate(row.entry) && this.#controls(key, now);
      if (!controls) {
        this.rows.delete(key);
        continue;
      }
      row.entry = { ...row.entry, timeoutS: 60 };
      row.expiresAt = now + 60_000;
      kept.push(row.entry);
    }
    return kept;
  }

  #controls(template: EntryKey, now: number): boolean {
    return [...this.rows.values()].some(
      row => row.native && row.expiresAt > now && !isTemplate(row.entry) && this.templateKeyOf(row.entry) === template,
    );
  }

  table(now: number): Entry[] {
    return [...this.rows.values()]
      .filter(row => row.expiresAt > now)
      .map(({ entry, expiresAt }) => ({ ...entry, timeoutS: Math.max(1, Math.floor((expiresAt - now) / 1_000)) }));
  }

  counts(now: number): ServerEntryCounts[] {
    return SERVERS.map(server => {
      const rows = [...this.rows.values()].filter(row => row.entry.server === server && row.expiresAt > now);
      const templates = rows.filter(row => isTemplate(row.entry)).length;
      const address = [...Buffer.from(server, 'hex')].join('.') as Address;
      return { mark: MARK, server: address, templates, connections: rows.length - templates };
    });
  }
}

export function connectionOf(client: RawAddress, server: RawAddress, clientPort: number): Entry {
  return {
    protocol: PROTOCOL_TCP,
    client,
    clientPort,
    virtual: VIP,
    virtualPort: 21,
    server,
    serverPort: 21,
    flags: 0,
    state: TCP_STATES.indexOf('ESTABLISHED'),
    mark: MARK,
    timeoutS: 900,
  };
}
