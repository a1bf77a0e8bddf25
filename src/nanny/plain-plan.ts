// All that one check of a server that is not FTP goes by, from the config. Pure; port-check.ts and
// echo.ts carry it out.
import { Buffer } from 'node:buffer';
import type { TimeLimits } from '../config/check-stages.ts';
import type { PortRange } from '../config/fields.ts';
import type { PlainCheckConfig, PlainServiceConfig } from '../config/schema.ts';
import { checkedPort, isInRanges, serverPorts, viaVipPort } from '../config/service-ports.ts';
import type { Address } from '../units/address.ts';
import type { Ms } from '../units/duration.ts';
import { type Origin, type TlsPlan, verifyOf } from './check-plan.ts';
import type { ContentPlan } from './content.ts';

/** A further way to check is a further plan. */
export type PlainPlan = PortPlan | EchoPlan | DatagramPlan;

interface Timed {
  readonly timeoutMs: Ms;
  /** A check that takes longer, as a whole or in a stage, fails, although it has passed. */
  readonly slowFail: TimeLimits;
}

/** A check of one port, over TCP or UDP. */
export interface PortPlan extends Timed {
  readonly type: 'port';
  readonly protocol: 'tcp' | 'udp';
  readonly address: Address;
  /** Undefined: the kernel's choice. */
  readonly origin: Origin | undefined;
  readonly port: number;
  /** Undefined: in the clear. It begins with the first byte; `mode` is `implicit`. */
  readonly tls: TlsPlan | undefined;
  readonly asks: PortAsks;
}

/** What is asked once the connection is there (and encrypted). */
export type PortAsks =
  /** Nothing: that is enough. */
  | { readonly type: 'nothing' }
  /** The server speaks first. */
  | { readonly type: 'banner'; readonly expect: Buffer | undefined; readonly maxBytes: number }
  | ExchangeAsked
  | HttpAsked;

export interface ExchangeAsked {
  readonly type: 'exchange';
  /** Must have come before anything is sent; undefined: it is sent at once. */
  readonly banner: Buffer | undefined;
  readonly send: Buffer;
  /** Undefined: any answer will do. */
  readonly expect: Buffer | undefined;
  readonly maxBytes: number;
  /** What is sent is a secret: no word of the answer may be told, since it may hold it. */
  readonly isSecret: boolean;
}

export interface HttpAsked {
  readonly type: 'http';
  readonly method: 'GET' | 'HEAD';
  readonly path: string;
  /** For the header of that name; undefined: the server's address with the port. */
  readonly host: string | undefined;
  readonly statuses: readonly PortRange[];
  readonly content: ContentPlan;
  /** Bytes of the body after which the check is content and closes the connection. */
  readonly maxBytes: number;
}

/** A check by ICMP echo. */
export interface EchoPlan extends Timed {
  readonly type: 'echo';
  readonly address: Address;
  readonly origin: Origin | undefined;
}

/** A check by an empty datagram: ICMP may say that nobody is there. Silence has no speed. */
export interface DatagramPlan extends Pick<Timed, 'timeoutMs'> {
  readonly type: 'datagram';
  readonly address: Address;
  readonly origin: Origin | undefined;
  readonly port: number;
}

/** What the files of a check hold. */
interface PlainFiles {
  /** Of check.tls_ca_file. */
  readonly ca: string | undefined;
  /** Of check.send_file. */
  readonly sent: Buffer | undefined;
}

interface Checked {
  /** The server's own address, or the VIP. */
  readonly address: Address;
  readonly origin: Origin | undefined;
  /** `path`: by the VIP and IPVS, which may change the port. */
  readonly as: 'server' | 'sorry' | 'path';
  readonly files: PlainFiles;
}

export function plainPlan(service: PlainServiceConfig, about: Checked): PlainPlan {
  const { check } = service;
  const { address, origin } = about;
  const times = { timeoutMs: check.timeout, slowFail: about.as === 'sorry' ? {} : check.slow_fail };
  if (check.type === 'icmp' && about.as !== 'path') return { type: 'echo', address, origin, ...times };
  const port = about.as === 'path' ? viaVipPort(service) : checkedPort(service);
  const where = { type: 'port', address, origin, port, ...times } as const;
  const { files } = about;
  const isLess = isConnectEnough(service, about);
  if (check.type === 'datagram' || (isLess && service.kind === 'udp')) return { ...where, type: 'datagram' };
  if (isLess) return { ...where, protocol: 'tcp', tls: undefined, asks: { type: 'nothing' } };
  return { ...where, protocol: protocolOf(service), tls: tlsOf(check, files), asks: asksOf(check, files) };
}

/**
 * A sorry server need not be what the others are. By the VIP neither an echo nor a port that has no
 * clients comes to a server.
 */
function isConnectEnough(service: PlainServiceConfig, { as }: Checked): boolean {
  if (as === 'sorry') return true;
  return as === 'path' && !isOfClients(service);
}

/** What is checked is a port that clients come to. */
function isOfClients(service: PlainServiceConfig): boolean {
  const { kind, check } = service;
  const isTcpOfUdp = kind === 'udp' && (check.type === 'connect' || check.type === 'http');
  return check.type !== 'icmp' && !isTcpOfUdp && isInRanges(checkedPort(service), serverPorts(service));
}

/** A service over UDP may have a port of TCP that says how it is. */
function protocolOf({ kind, check }: PlainServiceConfig): PortPlan['protocol'] {
  return kind === 'udp' && check.type === 'send_expect' ? 'udp' : 'tcp';
}

function tlsOf(check: PlainCheckConfig, { ca }: PlainFiles): TlsPlan | undefined {
  switch (check.type) {
    case 'connect':
    case 'datagram':
    case 'icmp':
      return undefined;
    case 'banner':
    case 'send_expect':
    case 'http':
      if (check.tls === 'none') return undefined;
  }
  return { mode: 'implicit', name: check.tls_name, ca, verify: verifyOf(check) };
}

function asksOf(check: PlainCheckConfig, files: PlainFiles): PortAsks {
  switch (check.type) {
    case 'connect':
    case 'datagram':
    case 'tls':
    case 'icmp':
      return { type: 'nothing' };
    case 'banner':
      return { type: 'banner', expect: textOf(check.expect), maxBytes: check.max_bytes };
    case 'send_expect':
      return {
        type: 'exchange',
        banner: textOf(check.banner),
        send: files.sent ?? textOf(check.send) ?? bytesOf(check.send_hex) ?? Buffer.alloc(0),
        expect: textOf(check.expect) ?? bytesOf(check.expect_hex),
        maxBytes: check.max_bytes,
        isSecret: check.send_file !== undefined,
      };
    case 'http':
      return {
        ...{ type: 'http', method: check.method, path: check.path, host: check.host ?? check.tls_name },
        statuses: check.status,
        content: { size: check.size, sha256: check.sha256?.toLowerCase(), text: check.content },
        maxBytes: check.max_bytes,
      };
  }
}

function textOf(text: string | undefined): Buffer | undefined {
  return text === undefined ? undefined : Buffer.from(text);
}

function bytesOf(hex: string | undefined): Buffer | undefined {
  return hex === undefined ? undefined : Buffer.from(hex.replaceAll(' ', ''), 'hex');
}
