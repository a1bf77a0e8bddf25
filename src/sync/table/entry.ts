// One IPVS connection or persistence template as the sync carries it: its key, its bounds, its
// states. Pure. Addresses are kept as hex of their network byte order: the kernel's formats (sync
// messages, /proc/net/ip_vs_conn) are read and written without any conversion, and a table of a
// million entries stays small. Source: include/net/ip_vs.h, net/netfilter/ipvs/ip_vs_sync.c.
import ipaddr from 'ipaddr.js';
import { type Address, hexOf } from '../../units/address.ts';

/** Network byte order in lower-case hex: 8 digits (IPv4) or 32 (IPv6). */
export type RawAddress = string & { readonly __unit: 'raw address' };

/**
 * Connection flags (IP_VS_CONN_F_*, include/uapi/linux/ip_vs.h). The lowest three bits are the
 * forwarding method; 0: NAT.
 */
export const FLAG = {
  noOutput: 0x80,
  /** Every TCP state but ESTABLISHED, and UDP. */
  inactive: 0x100,
  sequence: 0x600,
  noClientPort: 0x800,
  template: 0x1000,
} as const;

/**
 * TCP states as the kernel numbers them (IP_VS_TCP_S_*), by the names that /proc/net/ip_vs_conn
 * shows.
 */
export const TCP_STATES = [
  'NONE',
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'SYNACK',
] as const;
export type TcpState = (typeof TCP_STATES)[number];
/**
 * State of a template that has controlled a connection that got established (IP_VS_CTPL_S_ASSURED).
 */
export const TEMPLATE_ASSURED = 1;

export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
/** A UDP connection has one state (IP_VS_UDP_S_NORMAL). */
export const UDP_STATES = 1;
/** Protocol of the template of a firewall-mark service (IPPROTO_IP). */
export const PROTOCOL_MARK = 0;

/**
 * An entry of the kernel's connection table. The template of a firewall-mark service has protocol
 * 0, ports 0 and the mark as the first four bytes of `virtual` (0.0.0.21; in IPv6 followed by
 * zeros).
 */
export interface Entry {
  readonly protocol: number;
  readonly client: RawAddress;
  readonly clientPort: number;
  readonly virtual: RawAddress;
  readonly virtualPort: number;
  readonly server: RawAddress;
  readonly serverPort: number;
  /** FLAG bits and forwarding method, as on the wire. */
  readonly flags: number;
  readonly state: number;
  /** Firewall mark of the service it belongs to. */
  readonly mark: number;
  /**
   * Seconds the kernel keeps it from its last packet on; for an entry read from /proc, what is left
   * of them.
   */
  readonly timeoutS: number;
}

/** How many entries the kernel has for a real server of a service. */
export interface ServerEntryCounts {
  readonly mark: number;
  readonly server: Address;
  readonly templates: number;
  readonly connections: number;
}

/**
 * What tells two entries apart: everything the kernel hashes by (not the server: a client has one
 * at a time).
 */
export type EntryKey = string & { readonly __unit: 'entry key' };

export function isTemplate(entry: Pick<Entry, 'flags'>): boolean {
  return (entry.flags & FLAG.template) !== 0;
}

export function isInactive(entry: Pick<Entry, 'flags'>): boolean {
  return (entry.flags & FLAG.inactive) !== 0;
}

const CLOSING: ReadonlySet<number> = new Set(
  (['FIN_WAIT', 'TIME_WAIT', 'CLOSE', 'CLOSE_WAIT', 'LAST_ACK'] as const).map(name => TCP_STATES.indexOf(name)),
);

/** Whether it is a TCP connection that has ended or ends: another one with its key is a new one. */
export function isClosing(entry: Pick<Entry, 'protocol' | 'flags' | 'state'>): boolean {
  return entry.protocol === PROTOCOL_TCP && !isTemplate(entry) && CLOSING.has(entry.state);
}

export function entryKeyOf(entry: Entry): EntryKey {
  return `${isTemplate(entry) ? 't' : 'c'}${entry.protocol} ${entry.client} ${entry.clientPort} ${entry.virtual} ${entry.virtualPort}` as EntryKey;
}

/**
 * The part of a client's address that the template of a service has: its first `prefix` bits
 * (ip_vs_sched_persist in ip_vs_core.c).
 */
export function networkOf(client: RawAddress, prefix: number): RawAddress {
  if (prefix >= client.length * 4) return client;
  const whole = prefix >> 2;
  const left = prefix & 3;
  const digit = left === 0 ? '' : (Number.parseInt(client[whole] ?? '0', 16) & (0xf0 >> left) & 0xf).toString(16);
  return `${client.slice(0, whole)}${digit}`.padEnd(client.length, '0') as RawAddress;
}

/**
 * The key of the template that a connection of a firewall-mark service hangs on; `client` is its
 * network.
 */
export function templateKeyOf(entry: Pick<Entry, 'client' | 'mark'>): EntryKey {
  return `t${PROTOCOL_MARK} ${entry.client} 0 ${markAddress(entry.mark, entry.client)} 0` as EntryKey;
}

/** The mark in the place of a virtual address, of the family of `like`. */
export function markAddress(mark: number, like: RawAddress): RawAddress {
  return mark.toString(16).padStart(8, '0').padEnd(like.length, '0') as RawAddress;
}

/** Of a connection's flags only the forwarding method holds for its template. */
export function templateFlags(connection: number): number {
  return (connection & 0x7) | FLAG.template;
}

/** A template that ties `client` (its network) to `server` for `timeoutS` seconds. */
export function templateOf(
  { client, server, mark, flags }: Pick<Entry, 'client' | 'server' | 'mark' | 'flags'>,
  timeoutS: number,
): Entry {
  return {
    protocol: PROTOCOL_MARK,
    client,
    clientPort: 0,
    virtual: markAddress(mark, client),
    virtualPort: 0,
    server,
    serverPort: 0,
    flags: templateFlags(flags),
    state: TEMPLATE_ASSURED,
    mark,
    timeoutS,
  };
}

export function rawOf(address: Address): RawAddress {
  return hexOf(address) as RawAddress;
}

/** For people: the address in its usual spelling. */
export function addressOfRaw(raw: RawAddress): Address {
  const parsed = ipaddr.fromByteArray([...Buffer.from(raw, 'hex')]);
  return (parsed instanceof ipaddr.IPv6 ? parsed.toRFC5952String() : parsed.toString()) as Address;
}
