// Who is connected, as GET /sessions tells it: a line of JSON for the table it is from, one for
// each connection and template, in no order, and one for the end. The CLI puts them together
// (sessions-report.ts). Pure.
import { z } from 'zod';
import { type Address, contains, parseAddress, parseCidr } from '../units/address.ts';

/** Which of all; absent: all. */
export interface SessionFilter {
  readonly client?: Address;
  /** By its name in the config. */
  readonly service?: string;
  /** By its name in the config, or by its address. */
  readonly server?: string;
}

const headSchema = z.object({
  type: z.literal('head'),
  schema: z.literal('tandem-session-lines/1'),
  generatedAt: z.string(),
  pair: z.string(),
  node: z.string(),
  /** The other router. */
  peer: z.string(),
  /** Of this router; null: pulse does not answer. */
  role: z.string().nullable(),
  /**
   * own: what this router's kernel has told of, as it happened. synced: what the peer has told.
   * kernel: this router's kernel table, read for this answer, since nothing follows it.
   */
  from: z.enum(['own', 'synced', 'kernel']),
  /** Whether it is known to be all; false while a table is read or synced. */
  whole: z.boolean(),
});
export type SessionHead = z.output<typeof headSchema>;

const entrySchema = z.object({
  type: z.literal('entry'),
  /** connection: of a service that is not FTP. */
  what: z.enum(['control', 'data', 'connection', 'template']),
  service: z.string(),
  vip: z.string(),
  client: z.string(),
  /** What its template holds for, where clients share one (persistence_prefix). */
  network: z.string().optional(),
  /** Of the client, and of the VIP; both 0 for a template. */
  clientPort: z.int(),
  port: z.int(),
  /** Its name in the config; its address, where it has none any more. */
  server: z.string(),
  serverAddress: z.string(),
  /** Of data. */
  mode: z.enum(['passive', 'active']).optional(),
  /** Of control, by its port: AUTH TLS on another one cannot be seen. */
  tls: z.enum(['implicit', 'not-by-port']).optional(),
  /** As the kernel names it; of connections. */
  state: z.string().optional(),
  /** It ends or has ended; the kernel still knows it. */
  closing: z.boolean().optional(),
  /** Seconds since this router first heard of it; absent: nobody has noted it. */
  ageS: z.number().optional(),
  /** It was there before this router looked, so it began earlier than that. */
  older: z.boolean().optional(),
  /** Of a template: seconds until it ends, if nobody connects. */
  leftS: z.int().optional(),
});
export type SessionEntry = z.output<typeof entrySchema>;

const endSchema = z.object({
  type: z.literal('end'),
  entries: z.int(),
  /** Why there are no more, if that was not all; else empty. */
  problem: z.string(),
});

export const sessionLineSchema = z.discriminatedUnion('type', [headSchema, entrySchema, endSchema]);
export type SessionLine = z.output<typeof sessionLineSchema>;

/** A table of sessions, to be gone through once, slice by slice. The walk throws its problem. */
export interface SessionTable {
  readonly head: SessionHead;
  readonly slices: AsyncIterable<readonly SessionEntry[]>;
}

const FILTERS = ['client', 'service', 'server'] as const;
const NAME_LENGTH_MAX = 200;

/** What is asked for in a URL; or a sentence on what is wrong with it. */
export function readSessionFilter(query: URLSearchParams): SessionFilter | string {
  const unknown = [...query.keys()].find(key => !(FILTERS as readonly string[]).includes(key));
  if (unknown !== undefined) {
    return `there is no filter "${unknown.slice(0, NAME_LENGTH_MAX)}"; there are: ${FILTERS.join(', ')}`;
  }
  const [client, service, server] = FILTERS.map(key => query.get(key)?.slice(0, NAME_LENGTH_MAX) ?? undefined);
  const address = client === undefined ? undefined : parseAddress(client);
  if (client !== undefined && address === undefined) return `"${client}" is no IPv4 or IPv6 address`;
  return {
    ...(address !== undefined && { client: address }),
    ...(service !== undefined && { service }),
    ...(server !== undefined && { server }),
  };
}

/** The path that asks for them. */
export function sessionsPath({ client, service, server }: SessionFilter): string {
  const given = Object.entries({ client, service, server }).filter(([, value]) => value !== undefined);
  const query = new URLSearchParams(given as [string, string][]).toString();
  return query === '' ? '/sessions' : `/sessions?${query}`;
}

/** The lines of a connection's client and of the template that it hangs on. */
export function isOfClient(
  { client: own, network }: Pick<SessionEntry, 'client' | 'network'>,
  client: Address,
): boolean {
  if (own === client) return true;
  const cidr = network === undefined ? undefined : parseCidr(network);
  return cidr !== undefined && contains(cidr, client);
}

/** What a real server has of a service: how many of each. */
interface ServerSessions {
  readonly service: string;
  readonly server: string;
  readonly serverAddress: string;
  /** Sessions: control connections that are open. */
  readonly control: number;
  /** Data connections that are open: transfers, and listings. */
  readonly data: number;
  /** Connections of a service that is not FTP, that are open. */
  readonly connection: number;
  /** Of any kind: they end or have ended. */
  readonly closing: number;
  readonly templates: number;
}

/** Counts entries by service and real server, in the order in which these come first. */
export function countByServer(entries: Iterable<SessionEntry>): readonly ServerSessions[] {
  const counts = new Map<string, { -readonly [K in keyof ServerSessions]: ServerSessions[K] }>();
  for (const { what, service, server, serverAddress, closing } of entries) {
    const key = `${service} ${serverAddress}`;
    let count = counts.get(key);
    if (count === undefined) {
      count = { service, server, serverAddress, control: 0, data: 0, connection: 0, closing: 0, templates: 0 };
      counts.set(key, count);
    }
    if (what === 'template') count.templates++;
    else if (closing) count.closing++;
    else count[what]++;
  }
  return [...counts.values()];
}
