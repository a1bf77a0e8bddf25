// Reads what `conntrack -E -o id` and `conntrack -L` print (conntrack-tools 1.4.7, with -o extended
// and timestamp too), and says what it means for IPVS's table: conntrack tells of a connection at
// once, the kernel's sync master up to 2 s later, and the data connections of active mode are in no
// IPVS table at all. Pure.

import { lineReader } from '../../socket/lines.ts';
import {
  type Entry,
  FLAG,
  networkOf,
  PROTOCOL_TCP,
  type RawAddress,
  TCP_STATES,
  type TcpState,
  templateOf,
} from '../table/entry.ts';
import { portOnServer, type Scope, type ServiceScope } from '../table/scope.ts';
import { rawOfText } from './raw-address.ts';

/** Longer than any line: two tuples of IPv6 addresses, counters, marks, labels. */
const LINE_BYTES_MAX = 1_024;
const PORT_MAX = 0xffff;
/** Seconds that IPVS keeps a closed connection (tcp_timeouts in ip_vs_proto_tcp.c). */
const CLOSE_TIMEOUT_S = 10;

type FlowEvent = 'new' | 'update' | 'destroy' | 'list';
const EVENTS: Readonly<Record<string, FlowEvent>> = { '[NEW]': 'new', '[UPDATE]': 'update', '[DESTROY]': 'destroy' };

interface Tuple {
  readonly source: RawAddress;
  readonly sourcePort: number;
  readonly destination: RawAddress;
  readonly destinationPort: number;
}

/** One TCP connection as conntrack tells of it. */
export interface Flow {
  readonly event: FlowEvent;
  /** conntrack's name of its state; '' when the line has none. */
  readonly state: string;
  readonly original: Tuple;
  /** How answers look: the connection after all translation, the other way round. */
  readonly reply: Tuple;
  readonly answered: boolean;
  /** A program deleted the entry (conntrack -D): this says nothing about the connection. */
  readonly deleted: boolean;
}

export interface FlowCounts {
  /** Lines that led to entries. */
  readonly used: number;
  /** Of other protocols, services or servers, or in a state that says nothing new. */
  readonly foreign: number;
  /** Not what conntrack prints. */
  readonly unknown: number;
}

export interface FlowParser {
  /**
   * Takes the next piece of the output, cut anywhere; gives the entries of the lines that ended in
   * it, in their order.
   */
  push(chunk: Buffer): Entry[];
  /** The end of the output: a line without its newline was cut, and counts as unknown. */
  end(): void;
  counts(): FlowCounts;
}

/**
 * `currentScope` is asked for every line: after a reload the next line is judged by the new config.
 */
export function createFlowParser(currentScope: () => Scope): FlowParser {
  const counts = { used: 0, foreign: 0, unknown: 0 };
  const lines = lineReader({ bytesMax: LINE_BYTES_MAX, tooLong: 'skip', encoding: 'latin1' });

  const take = (line: string, entries: Entry[]): void => {
    const flow = flowOfLine(line);
    if (typeof flow === 'string') {
      counts[flow]++;
      return;
    }
    const found = entriesOfFlow(flow, currentScope());
    counts[found.length > 0 ? 'used' : 'foreign']++;
    entries.push(...found);
  };
  return {
    push: chunk => {
      const entries: Entry[] = [];
      lines.push(chunk, line => take(line, entries));
      return entries;
    },
    end: lines.end,
    counts: () => ({ ...counts, unknown: counts.unknown + lines.dropped() }),
  };
}

/**
 * Reads one line: "[NEW] ipv4 2 tcp 6 120 SYN_SENT src=… dst=… sport=… dport=… [UNREPLIED] src=…
 * dst=… sport=… dport=… id=…".
 */
export function flowOfLine(line: string): Flow | 'foreign' | 'unknown' {
  const words = line.split(/\s+/).filter(word => word !== '');
  let at = 0;
  if (/^\[\d+\.\d+\]$/.test(words[at] ?? '')) at++;
  const event = Object.hasOwn(EVENTS, words[at] ?? '') ? EVENTS[words[at++] as string] : 'list';
  if (words[at] === 'ipv4' || words[at] === 'ipv6') at += 2;
  const [protocol, number] = [words[at] ?? '', words[at + 1] ?? ''];
  if (event === undefined || !/^[a-z][a-z0-9-]*$/.test(protocol) || !/^\d{1,3}$/.test(number)) return 'unknown';
  if (protocol !== 'tcp') return 'foreign';
  at += 2;
  // The seconds left; an event of the end has none on some kernels, and no state then either.
  if (/^\d+$/.test(words[at] ?? '')) at++;
  const state = /^[A-Z][A-Z0-9_]*$/.test(words[at] ?? '') ? (words[at++] as string) : '';
  const tuples = tuplesOf(words.slice(at));
  if (tuples === undefined) return 'unknown';
  const answered = !words.includes('[UNREPLIED]');
  return { event, state, ...tuples, answered, deleted: event === 'destroy' && words.includes('[USERSPACE]') };
}

/** Both tuples, from words "key=value" of which src, dst, sport and dport come exactly twice. */
function tuplesOf(words: readonly string[]): Pick<Flow, 'original' | 'reply'> | undefined {
  const values = { src: [] as string[], dst: [] as string[], sport: [] as string[], dport: [] as string[] };
  for (const word of words) {
    const equals = word.indexOf('=');
    const key = word.slice(0, Math.max(equals, 0));
    if (key === 'src' || key === 'dst' || key === 'sport' || key === 'dport') values[key].push(word.slice(equals + 1));
  }
  if (Object.values(values).some(twice => twice.length !== 2)) return undefined;
  const tuple = (index: number): Tuple | undefined => {
    const source = rawOfText(values.src[index] ?? '');
    const destination = rawOfText(values.dst[index] ?? '');
    const sourcePort = portOf(values.sport[index]);
    const destinationPort = portOf(values.dport[index]);
    if (source === undefined || destination === undefined || sourcePort === undefined) return undefined;
    return destinationPort === undefined ? undefined : { source, sourcePort, destination, destinationPort };
  };
  const [original, reply] = [tuple(0), tuple(1)];
  return original && reply && { original, reply };
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port > 0 && port <= PORT_MAX ? port : undefined;
}

/**
 * What a flow means for the table of the peer, templates before connections; [] when it is none of
 * ours or says nothing new.
 */
function entriesOfFlow(flow: Flow, scope: Scope): readonly Entry[] {
  const { original, reply } = flow;
  // Answers go back where the connection came from, whatever was translated: else it is not one of
  // ours.
  const toVip = scope.ofVirtual(original.destination, original.destinationPort);
  if (toVip !== undefined) {
    if (scope.isRouter(original.source)) return [];
    const same = reply.destination === original.source && reply.destinationPort === original.sourcePort;
    return same ? entriesOfClient(flow, toVip, scope) : [];
  }
  const port = original.sourcePort;
  const active = scope
    .ofActiveServer(original.source)
    .find(({ vip, activePorts }) => vip === reply.destination && activePorts.includes(port));
  if (scope.isRouter(original.destination)) return [];
  const same = reply.source === original.destination && reply.sourcePort === original.destinationPort;
  // A port that had to be translated (two servers, one port of a client) has no place in IPVS's
  // table.
  return active && same && reply.destinationPort === port ? entriesOfActiveData(flow, active, scope) : [];
}

/**
 * A connection of a client to a VIP. Its end is told by the kernel's sync master, which knows
 * IPVS's own state of it.
 */
function entriesOfClient({ event, state, original, reply }: Flow, service: ServiceScope, scope: Scope): Entry[] {
  const [client, server] = [original.source, reply.source];
  const [port, serverPort] = [original.destinationPort, reply.sourcePort];
  if (event === 'destroy' || !service.servers.has(server) || serverPort !== portOnServer(service, port)) return [];
  const { mark, flags, persistenceS, persistencePrefix } = service;
  const tie = { client: networkOf(client, persistencePrefix), server, mark, flags };
  const template = persistenceS === undefined ? [] : [templateOf(tie, persistenceS)];
  if (state !== 'ESTABLISHED') return event === 'new' || (event === 'list' && isOpening(state)) ? template : [];
  const ends = { client, clientPort: original.sourcePort, server, port, serverPort };
  return [...template, connection(service, ends, 'ESTABLISHED', scope.tcpTimeoutS)];
}

function isOpening(state: string): boolean {
  return state === 'SYN_SENT' || state === 'SYN_RECV';
}

/**
 * A data connection that a server opened from its active port, source-NATed to the VIP: in IPVS's
 * words a connection to that port of the VIP. Its end is told by the updates: the event of its
 * removal waits for conntrack's garbage collector, for a minute and more (seen).
 */
function entriesOfActiveData(flow: Flow, service: ServiceScope, scope: Scope): Entry[] {
  const { source: server, sourcePort: port, destination: client, destinationPort: clientPort } = flow.original;
  const ends = { client, clientPort, server, port, serverPort: port };
  if (flow.event === 'destroy') {
    return flow.deleted || !flow.answered ? [] : [connection(service, ends, 'CLOSE', CLOSE_TIMEOUT_S)];
  }
  switch (flow.state) {
    case 'ESTABLISHED':
      return [connection(service, ends, 'ESTABLISHED', scope.tcpTimeoutS)];
    case 'FIN_WAIT':
    case 'CLOSE_WAIT':
    case 'LAST_ACK':
    case 'TIME_WAIT':
      return [connection(service, ends, 'FIN_WAIT', scope.tcpFinTimeoutS)];
    case 'CLOSE':
      return [connection(service, ends, 'CLOSE', CLOSE_TIMEOUT_S)];
    default:
      return [];
  }
}

interface Ends {
  readonly client: RawAddress;
  readonly clientPort: number;
  readonly server: RawAddress;
  /** On the VIP. */
  readonly port: number;
  readonly serverPort: number;
}

function connection({ vip, mark, flags }: ServiceScope, ends: Ends, state: TcpState, timeoutS: number): Entry {
  return {
    protocol: PROTOCOL_TCP,
    client: ends.client,
    clientPort: ends.clientPort,
    virtual: vip,
    virtualPort: ends.port,
    server: ends.server,
    serverPort: ends.serverPort,
    flags: flags | (state === 'ESTABLISHED' ? 0 : FLAG.inactive),
    state: TCP_STATES.indexOf(state),
    mark,
    timeoutS,
  };
}
