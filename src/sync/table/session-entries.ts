// The table of connections in a person's words: which service and real server by name, control or
// data, which mode, since when. In slices, so that a table with a million rows holds nobody up.
// Pure; what an entry is follows from its ports and the config alone.
import { isImplicitTls } from '../../config/ftp-ports.ts';
import type { Config } from '../../config/schema.ts';
import type { SessionEntry, SessionFilter } from '../../status/sessions.ts';
import type { At } from '../../units/duration.ts';
import {
  addressOfRaw,
  type Entry,
  isClosing,
  isTemplate,
  networkOf,
  PROTOCOL_UDP,
  type RawAddress,
  rawOf,
  TCP_STATES,
} from './entry.ts';
import type { Mirror, Row } from './mirror.ts';
import type { Scope, ServiceScope } from './scope.ts';

/** Some two milliseconds of work. */
const SLICE_ROWS = 200;
/** Beyond the rows that there are at the start: new ones come while it is gone through. */
const NEWCOMERS_MAX = 100_000;

/** What an entry does not say itself: what is known of its time. */
type Times = Pick<SessionEntry, 'ageS' | 'older' | 'leftS'>;
export type Describe = (entry: Entry, times: Times) => SessionEntry | undefined;

/** Entries of `config` that pass `filter`, in words; undefined: one that does not. */
export function describeEntries(config: Config, scope: Scope, filter: SessionFilter): Describe {
  const services = new Map(
    scope.services
      .filter(({ name }) => filter.service === undefined || filter.service === name)
      .map(service => [service.mark, namedOf(config, service)]),
  );
  const client = filter.client === undefined ? undefined : rawOf(filter.client);
  return (entry, times) => {
    const named = services.get(entry.mark);
    if (named === undefined) return undefined;
    const { service, servers } = named;
    if (client !== undefined && !shareTemplate(service, client, entry.client)) return undefined;
    const server = servers.get(entry.server) ?? unnamed(entry.server);
    const asked = filter.server ?? server.server;
    if (asked !== server.server && asked !== server.serverAddress) return undefined;
    return { type: 'entry', ...placeOf(entry, named), ...server, ...kindOf(entry, named, times) };
  };
}

/** Also other clients of its network: whether its template is in use shows by theirs. */
function shareTemplate({ persistencePrefix }: ServiceScope, client: RawAddress, other: RawAddress): boolean {
  return networkOf(client, persistencePrefix) === networkOf(other, persistencePrefix);
}

/** Rows of the mirror as they are when their slice is taken. */
export async function* sessionsOfMirror(
  mirror: Mirror,
  describe: Describe,
  now: () => At,
): AsyncGenerator<readonly SessionEntry[]> {
  const cursor = mirror.cursor();
  const rowsMax = mirror.size + NEWCOMERS_MAX;
  for (let looked = 0; !cursor.done && looked < rowsMax; looked += SLICE_ROWS) {
    const at = now();
    yield cursor.next(SLICE_ROWS, at).flatMap(row => describe(row, timesOf(mirror, row, at)) ?? []);
  }
}

/** Entries that were read from the kernel: nobody has noted when they began. */
export function* sessionsOfEntries(entries: readonly Entry[], describe: Describe): Generator<readonly SessionEntry[]> {
  for (let from = 0; from < entries.length; from += SLICE_ROWS) {
    const slice = entries.slice(from, from + SLICE_ROWS);
    yield slice.flatMap(entry => describe(entry, isTemplate(entry) ? { leftS: entry.timeoutS } : {}) ?? []);
  }
}

function timesOf(mirror: Mirror, row: Row, now: At): Times {
  const ageS = Math.max(0, Math.round((now - row.firstSeenAt()) / 100) / 10);
  const left = isTemplate(row) ? { leftS: mirror.remainingS(row, now) } : {};
  return { ageS, ...(row.older && { older: true }), ...left };
}

function placeOf(entry: Entry, { service, vip }: Named) {
  const { client, clientPort, virtualPort: port } = entry;
  const { name, persistencePrefix, persistenceS } = service;
  const shared = persistenceS !== undefined && persistencePrefix < client.length * 4;
  return {
    ...{ service: name, vip, client: addressOfRaw(client) },
    ...(shared && { network: `${addressOfRaw(networkOf(client, persistencePrefix))}/${persistencePrefix}` }),
    ...{ clientPort, port },
  };
}

/** Other ports of FTP than these three are not in scope: see scope.ts. */
function kindOf(entry: Entry, { service, controlPorts }: Named, times: Times) {
  if (isTemplate(entry)) return { what: 'template' as const, ...times };
  const port = entry.virtualPort;
  const state = entry.protocol === PROTOCOL_UDP ? 'UDP' : (TCP_STATES[entry.state] ?? String(entry.state));
  const connection = { state, ...(isClosing(entry) && { closing: true }), ...times };
  if (controlPorts === undefined) return { what: 'connection' as const, ...connection };
  if (controlPorts.includes(port)) {
    const tls = isImplicitTls(port) ? ('implicit' as const) : ('not-by-port' as const);
    return { what: 'control' as const, tls, ...connection };
  }
  const mode = service.activePorts.includes(port) ? ('active' as const) : ('passive' as const);
  return { what: 'data' as const, mode, ...connection };
}

/** A service with what is the same in many of its entries. */
interface Named {
  readonly service: ServiceScope;
  /** Undefined: it is not FTP. */
  readonly controlPorts: readonly number[] | undefined;
  readonly vip: string;
  readonly servers: ReadonlyMap<RawAddress, Server>;
}

type Server = Pick<SessionEntry, 'server' | 'serverAddress'>;

function namedOf({ services }: Config, scope: ServiceScope): Named {
  const service = services[scope.name];
  const sorry = [service?.sorry_server ?? []].flat().map(({ address }) => ['sorry_server', address] as const);
  const own = Object.entries(service?.servers ?? {}).map(([name, { address }]) => [name, address] as const);
  const servers = [...sorry, ...own].map(
    ([server, address]) => [rawOf(address), { server, serverAddress: address }] as const,
  );
  const controlPorts = service?.kind === 'ftp' ? service.control_port : undefined;
  return { service: scope, controlPorts, vip: addressOfRaw(scope.vip), servers: new Map(servers) };
}

/** One that left the config and still has connections. */
function unnamed(raw: RawAddress): Server {
  const address = addressOfRaw(raw);
  return { server: address, serverAddress: address };
}
