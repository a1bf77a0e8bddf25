// Reads /proc/net/ip_vs_conn, fed in pieces that may be cut anywhere: the only list of all that
// IPVS knows, without flags, marks and full time-outs, which come from the scope. Pure. Source:
// ip_vs_conn_seq_show in net/netfilter/ipvs/ip_vs_conn.c (the same in 6.1 and 6.12): "%-3s %08X
// %04X %08X %04X %08X %04X %-11s %7u" and for IPv6 addresses "%pI6", eight groups of four digits.

import { lineReader } from '../../socket/lines.ts';
import {
  type Entry,
  FLAG,
  PROTOCOL_MARK,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  type RawAddress,
  TCP_STATES,
  templateFlags,
} from '../table/entry.ts';
import type { Scope, ServiceScope } from '../table/scope.ts';
import { INVALID_TEMPLATE_PORT, TIMEOUT_S_MAX } from './wire.ts';

/**
 * Longer than any line: the columns of IPv6 (190 characters) and what a persistence engine may add
 * (16 + 255).
 */
const LINE_BYTES_MAX = 512;
const HEAD = 'Pro FromIP ';

const ADDRESS = '([0-9A-F]{8}|[0-9a-f]{4}(?::[0-9a-f]{4}){7})';
const PORT = '([0-9A-F]{4})';
const LINE = new RegExp(
  `^(\\w{1,12}) +${ADDRESS} ${PORT} ${ADDRESS} ${PORT} ${ADDRESS} ${PORT} (\\S{1,16}) +(\\d{1,10})(?: .*)?$`,
);

/** How ip_vs_proto_name spells protocol 0, the one of the templates of firewall-mark services. */
const MARK_PROTOCOL_NAME = 'IP';
const TCP_NAME = 'TCP';
const UDP_NAME = 'UDP';
/** The name of its one state (IP_VS_UDP_S_NORMAL). */
const UDP_STATE = 'UDP';
/**
 * Names of a template's states, by number (IP_VS_CTPL_S_*). Kernels before 4.20 call every one
 * NONE.
 */
const TEMPLATE_STATES: readonly string[] = ['NONE', 'ASSURED'];
const TCP_STATE_NUMBERS: ReadonlyMap<string, number> = new Map(TCP_STATES.map((name, number) => [name, number]));

export interface TableCounts {
  /** Entries in scope. */
  readonly entries: number;
  /** Entries of other services or servers. */
  readonly foreign: number;
  /** Templates that the kernel has made invalid (virtual port FFFF). */
  readonly invalidated: number;
  /** Lines that are not as this file says; some mean that the kernel is an unknown one. */
  readonly unknown: number;
}

interface TableParser {
  /** Takes the next piece; gives the entries in scope of the lines that ended in it. */
  push(chunk: Buffer): Entry[];
  /** The end of the file: a line without its newline was cut, and counts as unknown. */
  end(): void;
  counts(): TableCounts;
}

export function createTableParser(scope: Scope): TableParser {
  const counts = { entries: 0, foreign: 0, invalidated: 0, unknown: 0 };
  const lines = lineReader({ bytesMax: LINE_BYTES_MAX, tooLong: 'skip', encoding: 'latin1' });

  const take = (line: string, entries: Entry[]): void => {
    if (line.startsWith(HEAD)) return;
    const found = entryOfLine(line, scope);
    if (typeof found === 'string') {
      counts[found]++;
      return;
    }
    counts.entries++;
    entries.push(found);
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

type Unwanted = 'foreign' | 'invalidated' | 'unknown';

/** The entry of one line (without its newline), or why there is none. */
function entryOfLine(line: string, scope: Scope): Entry | Unwanted {
  const match = LINE.exec(line);
  if (match === null) return 'unknown';
  const [, protocol, client, clientPort, virtual, virtualPort, server, serverPort, state, expires] =
    match as unknown as string[];
  const columns: Columns = {
    client: rawOfColumn(client as string),
    clientPort: Number.parseInt(clientPort as string, 16),
    virtual: rawOfColumn(virtual as string),
    virtualPort: Number.parseInt(virtualPort as string, 16),
    server: rawOfColumn(server as string),
    serverPort: Number.parseInt(serverPort as string, 16),
    // What is about to end has 0 left, which a sync message would take for "the default".
    timeoutS: Math.min(Math.max(Number(expires), 1), TIMEOUT_S_MAX),
  };
  if (protocol === MARK_PROTOCOL_NAME) return templateOf(columns, state as string, scope);
  if (protocol === UDP_NAME) return datagramsOf(columns, state as string, scope);
  return protocol === TCP_NAME ? connectionOf(columns, state as string, scope) : 'foreign';
}

type Columns = Omit<Entry, 'protocol' | 'flags' | 'state' | 'mark'>;

function templateOf(columns: Columns, stateName: string, scope: Scope): Entry | Unwanted {
  if (columns.virtualPort === INVALID_TEMPLATE_PORT) return 'invalidated';
  const state = TEMPLATE_STATES.indexOf(stateName);
  if (state < 0) return 'unknown';
  const mark = Number.parseInt(columns.virtual.slice(0, 8), 16);
  const service = scope.ofMark(mark);
  if (service === undefined) return 'foreign';
  const flags = templateFlags(service.flags);
  return inScope({ protocol: PROTOCOL_MARK, ...columns, flags, state, mark }, scope);
}

function connectionOf(columns: Columns, stateName: string, scope: Scope): Entry | Unwanted {
  const service = scope.ofVirtual(columns.virtual, columns.virtualPort);
  // Before its state is looked at: the template of a plain service has states of its own.
  if (service === undefined || columns.clientPort === 0) return 'foreign';
  const state = TCP_STATE_NUMBERS.get(stateName);
  if (state === undefined) return 'unknown';
  return inScope(
    { protocol: PROTOCOL_TCP, ...columns, flags: flagsOf(service, stateName), state, mark: service.mark },
    scope,
  );
}

function datagramsOf(columns: Columns, stateName: string, scope: Scope): Entry | Unwanted {
  const service = scope.ofVirtual(columns.virtual, columns.virtualPort, PROTOCOL_UDP);
  if (service === undefined || columns.clientPort === 0) return 'foreign';
  if (stateName !== UDP_STATE) return 'unknown';
  const { mark } = service;
  // Nothing ever makes one active (udp_state_transition), and the sync master tells it so.
  const flags = service.flags | FLAG.inactive;
  return inScope({ protocol: PROTOCOL_UDP, ...columns, flags, state: 0, mark }, scope);
}

function flagsOf(service: ServiceScope, stateName: string): number {
  return service.flags | (stateName === 'ESTABLISHED' ? 0 : FLAG.inactive);
}

function inScope(entry: Entry, scope: Scope): Entry | 'foreign' {
  return scope.inScope(entry) ? entry : 'foreign';
}

function rawOfColumn(column: string): RawAddress {
  return (column.length === 8 ? column.toLowerCase() : column.replaceAll(':', '')) as RawAddress;
}
