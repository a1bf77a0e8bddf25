// Who is connected, put together for people and scripts: the connections of each client on each
// real server, sorted; the clients that may come back; and how many there are. Pure; the JSON
// Schema in docs/reference/sessions.schema.json is generated from it.
import { z } from 'zod';
import { type Address, familyOf, hexOf } from '../units/address.ts';
import { countByServer, isOfClient, type SessionEntry, type SessionHead } from './sessions.ts';

const firstSeen = {
  /** When this router first heard of it (ISO 8601); null: nobody notes it, without the sync. */
  firstSeenAt: z.string().nullable(),
  /**
   * It was there already when this router first looked (a resync, a start of its director), so it
   * began earlier than firstSeenAt.
   */
  older: z.boolean(),
};

const controlSchema = z.object({
  clientPort: z.int(),
  /** Control port, on the VIP and on the server. */
  port: z.int(),
  /**
   * By the control port alone: implicit on 990. AUTH TLS on another port cannot be seen, so
   * "not-by-port" is plain or explicit TLS.
   */
  tls: z.enum(['implicit', 'not-by-port']),
  /** TCP state as IPVS names it. */
  state: z.string(),
  /** It ends or has ended; the kernel still knows it. */
  closing: z.boolean(),
  ...firstSeen,
});

const dataSchema = z.object({
  clientPort: z.int(),
  /** passive: a port of the passive range. active: the server's active port. */
  port: z.int(),
  /**
   * passive: the client connects to `port` (PASV, EPSV). active: the server connects from `port` to
   * the client (PORT, EPRT).
   */
  mode: z.enum(['passive', 'active']),
  state: z.string(),
  closing: z.boolean(),
  ...firstSeen,
});

const plainSchema = z.object({
  clientPort: z.int(),
  /** On the VIP. */
  port: z.int(),
  state: z.string(),
  closing: z.boolean(),
  ...firstSeen,
});

const serverSchema = z.object({
  /** In the config; its address, where it has no name there any more. */
  name: z.string(),
  address: z.string(),
});

const sessionSchema = z.object({
  client: z.string(),
  service: z.string(),
  vip: z.string(),
  server: serverSchema,
  control: z.array(controlSchema),
  data: z.array(dataSchema),
  /** Of a service that is not FTP. */
  connections: z.array(plainSchema),
});

const waitingSchema = z.object({
  /** An address, or a network where clients of one share a server (persistence_prefix). */
  client: z.string(),
  service: z.string(),
  vip: z.string(),
  server: serverSchema,
  /** Seconds for which it would get the same server. */
  leftS: z.int(),
  ...firstSeen,
});

export const sessionsReportSchema = z.object({
  schema: z.literal('tandem-sessions/1'),
  generatedAt: z.string(),
  pair: z.string(),
  /** The router that answers, and its role; null: its pulse does not answer. */
  node: z.string(),
  role: z.string().nullable(),
  /**
   * own: what this router's kernel has told of, as it happened. synced: what the peer has told of
   * its kernel. kernel: this router's kernel table, read for this answer.
   */
  from: z.enum(['own', 'synced', 'kernel']),
  /** Whether it is known to be all. */
  whole: z.boolean(),
  /** Why the list was cut or cannot be all; else empty. */
  problem: z.string(),
  /** One for each client, service and real server. */
  sessions: z.array(sessionSchema),
  /** Clients without a connection that still have a persistence template: they may come back. */
  waiting: z.array(waitingSchema),
  summary: z.object({
    /** Addresses with a connection that is not closing. */
    clients: z.int(),
    control: z.int(),
    data: z.int(),
    /** Connections of services that are not FTP. */
    connections: z.int(),
    /** Connections that end or have ended; shown with --all only. */
    closing: z.int(),
    waiting: z.int(),
    /** `templates`: all, also those of clients that are connected. */
    servers: z.array(
      z.object({
        service: z.string(),
        server: z.string(),
        serverAddress: z.string(),
        control: z.int(),
        data: z.int(),
        connection: z.int(),
        closing: z.int(),
        templates: z.int(),
      }),
    ),
  }),
});
export type SessionsReport = z.output<typeof sessionsReportSchema>;
type Session = SessionsReport['sessions'][number];

interface Told {
  readonly head: SessionHead;
  readonly entries: readonly SessionEntry[];
  readonly problem: string;
}

interface Wanted {
  readonly client?: Address | undefined;
  /** Also connections that end or have ended. */
  readonly all: boolean;
}

export function sessionsReport({ head, entries: told, problem }: Told, { client, all }: Wanted): SessionsReport {
  const open = told.filter(({ what, closing }) => what !== 'template' && !closing);
  // By all that hang on a template, also where only one client of its network is asked for.
  const inUse = new Set(open.map(templateKey));
  const entries =
    client === undefined
      ? told
      : told.filter(one => (one.what === 'template' ? isOfClient(one, client) : one.client === client));
  const shown = entries.filter(({ what, closing }) => what !== 'template' && (all || !closing));
  const waiting = entries.filter(one => one.what === 'template' && !inUse.has(templateKey(one)));
  const counts = countByServer(entries);
  const sum = (of: 'control' | 'data' | 'connection' | 'closing') =>
    counts.reduce((total, count) => total + count[of], 0);
  const { generatedAt, pair, node, role, from, whole } = head;
  const at = Date.parse(generatedAt);
  return {
    schema: 'tandem-sessions/1',
    ...{ generatedAt, pair, node, role, from, whole, problem },
    sessions: sessionsOf(shown, at),
    waiting: sorted(waiting).map(one => ({ ...aboutOf(one), client: one.network ?? one.client, ...waitOf(one, at) })),
    summary: {
      clients: new Set(entries.filter(one => one.what !== 'template' && !one.closing).map(one => one.client)).size,
      ...{ control: sum('control'), data: sum('data'), connections: sum('connection'), closing: sum('closing') },
      waiting: waiting.length,
      servers: [...counts].sort((a, b) => compare(a.service, b.service) || compare(a.server, b.server)),
    },
  };
}

/** A template holds for a network of one service, on one server. */
function templateKey({ service, network, client, serverAddress }: SessionEntry): string {
  return `${service} ${network ?? client} ${serverAddress}`;
}

function sessionsOf(entries: readonly SessionEntry[], at: number): Session[] {
  const found = new Map<string, Session>();
  for (const entry of sorted(entries)) {
    const key = `${entry.service} ${entry.client} ${entry.serverAddress}`;
    let session = found.get(key);
    if (session === undefined) {
      session = { client: entry.client, ...aboutOf(entry), control: [], data: [], connections: [] };
      found.set(key, session);
    }
    const { clientPort, port, state = '', closing = false, mode = 'passive', tls = 'not-by-port' } = entry;
    const connection = { clientPort, port, state, closing, ...seenOf(entry, at) };
    if (entry.what === 'control') session.control.push({ ...connection, tls });
    else if (entry.what === 'data') session.data.push({ ...connection, mode });
    else session.connections.push(connection);
  }
  return [...found.values()];
}

function aboutOf({ service, vip, server, serverAddress }: SessionEntry) {
  return { service, vip, server: { name: server, address: serverAddress } };
}

function waitOf(entry: SessionEntry, at: number) {
  return { leftS: entry.leftS ?? 0, ...seenOf(entry, at) };
}

function seenOf({ ageS, older = false }: SessionEntry, at: number) {
  if (ageS === undefined || Number.isNaN(at)) return { firstSeenAt: null, older: false };
  return { firstSeenAt: new Date(at - ageS * 1_000).toISOString(), older };
}

/** By client as a number, IPv4 first; then by service, server and the client's port. */
function sorted(entries: readonly SessionEntry[]): SessionEntry[] {
  const keys = new Map<string, string>();
  const keyOf = (client: string): string => {
    let key = keys.get(client);
    if (key === undefined) {
      key = `${familyOf(client as Address)}${hexOf(client as Address)}`;
      keys.set(client, key);
    }
    return key;
  };
  return entries
    .map(entry => ({ entry, key: keyOf(entry.client) }))
    .sort(
      (a, b) =>
        compare(a.key, b.key) ||
        compare(a.entry.service, b.entry.service) ||
        compare(a.entry.server, b.entry.server) ||
        a.entry.clientPort - b.entry.clientPort ||
        a.entry.port - b.entry.port,
    )
    .map(({ entry }) => entry);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
