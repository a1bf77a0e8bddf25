// What the helper syn-log says of SYNs that go to a real server of DR or TUN (firewall/ruleset.ts:
// syn_reports), as entries: the kernel's sync master tells of a connection up to 2 s later, and
// conntrack is not asked there. Pure. Source: ip_vs_proto_tcp.c: tcp_states (INPUT-ONLY: a SYN, and
// a SYN+ACK too, leads to SYN_RECV) and tcp_timeouts.
import { lineReader } from '../../socket/lines.ts';
import { type Entry, FLAG, networkOf, PROTOCOL_TCP, TCP_STATES, templateOf } from '../table/entry.ts';
import type { Scope } from '../table/scope.ts';
import { rawOfText } from './raw-address.ts';

/** Three IPv6 addresses, a mark and two ports. */
const LINE_BYTES_MAX = 256;
const LINE = /^(\d{1,10}) (\S+) (\S+) (\d{1,5}) (\S+) (\d{1,5})$/;
const SYN_RECV = TCP_STATES.indexOf('SYN_RECV');
const SYN_RECV_TIMEOUT_S = 60;

interface SynCounts {
  /** Lines that led to entries. */
  readonly used: number;
  /** Of a service or server that is not in scope any more. */
  readonly foreign: number;
  readonly unknown: number;
  /** Times that the kernel could not keep all. */
  readonly lost: number;
}

export interface SynParser {
  /** Takes the next piece of the output, cut anywhere; gives the entries of the lines in it. */
  push(chunk: Buffer): Entry[];
  counts(): SynCounts;
}

/** `currentScope` is asked for every line: after a reload the next is judged by the new config. */
export function createSynParser(currentScope: () => Scope): SynParser {
  const counts = { used: 0, foreign: 0, unknown: 0, lost: 0 };
  const lines = lineReader({ bytesMax: LINE_BYTES_MAX, tooLong: 'skip', encoding: 'latin1' });
  const take = (line: string, entries: Entry[]): void => {
    const found = line === 'lost' ? line : entriesOfSyn(line, currentScope());
    if (typeof found === 'string') counts[found]++;
    else {
      counts.used++;
      entries.push(...found);
    }
  };
  return {
    push: chunk => {
      const entries: Entry[] = [];
      lines.push(chunk, line => take(line, entries));
      return entries;
    },
    counts: () => ({ ...counts, unknown: counts.unknown + lines.dropped() }),
  };
}

/** Template and connection, of "MARK SERVER CLIENT PORT VIP PORT". */
function entriesOfSyn(line: string, scope: Scope): readonly Entry[] | 'foreign' | 'unknown' {
  const words = LINE.exec(line);
  if (words === null) return 'unknown';
  const [server, client, virtual] = [words[2], words[3], words[5]].map(word => rawOfText(word ?? ''));
  if (server === undefined || client === undefined || virtual === undefined) return 'unknown';
  const [mark, clientPort, port] = [Number(words[1]), Number(words[4]), Number(words[6])];
  const service = scope.ofMark(mark);
  if (service === undefined) return 'foreign';
  const { flags, persistenceS, persistencePrefix } = service;
  const connection: Entry = {
    ...{ protocol: PROTOCOL_TCP, client, clientPort, virtual, virtualPort: port, server, serverPort: port },
    ...{ flags: flags | FLAG.inactive, state: SYN_RECV, mark, timeoutS: SYN_RECV_TIMEOUT_S },
  };
  if (!scope.inScope(connection)) return 'foreign';
  if (persistenceS === undefined) return [connection];
  const network = networkOf(client, persistencePrefix);
  return [templateOf({ client: network, server, mark, flags }, persistenceS), connection];
}
