// What scripts/bench nanny measures: its options, the addresses of its servers, the pair's config, the lateness of checks from when
// they came, and the search for the most servers that are checked in time. Pure.
import { parseArgs } from 'node:util';

export const SERVERS_MAX = 5_000;
/** Servers of a service; each service has a VIP of its own. */
const PER_SERVICE = 100;
export const PASSIVE_PORT = 61_000;
export const INTERVAL_MS = 2_000;
/** What p99 of the lateness may be. */
export const LATE_P99_MS_MAX = 200;

export type Tls = 'none' | 'explicit';

export interface Options {
  readonly servers: number;
  readonly seconds: number;
  readonly tls: readonly Tls[];
  /** Look for the most servers with which p99 stays in bounds. */
  readonly search: boolean;
  /** Director and servers come before whatever else runs on the machine. */
  readonly alone: boolean;
  readonly json: string | undefined;
  /** Folder for a profile of the director. */
  readonly profile: string | undefined;
}

/** Throws an Error that says which option is wrong and what it takes. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      servers: { type: 'string', default: '1000' },
      seconds: { type: 'string', default: '60' },
      tls: { type: 'string', default: 'none,explicit' },
      search: { type: 'boolean', default: false },
      alone: { type: 'boolean', default: false },
      json: { type: 'string' },
      profile: { type: 'string' },
    },
  });
  const tls = values.tls.split(',');
  const isTls = (one: string): one is Tls => one === 'none' || one === 'explicit';
  if (!tls.every(isTls)) throw new Error(`--tls ${values.tls}: write none, explicit or both with a comma`);
  return {
    servers: number('--servers', values.servers, 10, SERVERS_MAX),
    seconds: number('--seconds', values.seconds, 5, 3_600),
    tls,
    search: values.search,
    alone: values.alone,
    json: values.json,
    profile: values.profile,
  };
}

function number(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`${option} ${text}: write a number from ${least} to ${most}`);
}

/** Address of server number `index`, from 0: the third octet is its service. */
export function serverAddress(index: number): string {
  return `198.18.${1 + Math.floor(index / PER_SERVICE)}.${1 + (index % PER_SERVICE)}`;
}

/** The VIP of a server's service. */
export function vipOf(address: string): string {
  return `192.0.2.${100 + Number(address.split('.')[2])}`;
}

/** Files that the config names. */
interface ConfigFiles {
  readonly key: string;
  readonly password: string;
}

/** The config of the director that checks `count` servers. `sync`: without IPVS it could only try again and again. */
export function benchConfig(count: number, files: ConfigFiles, { tls, sync }: { tls: Tls; sync: boolean }): string {
  const addresses = Array.from({ length: count }, (_, index) => serverAddress(index));
  const vips = [...new Set(addresses.map(vipOf))];
  const services = vips.map((vip, index) => {
    const servers = addresses.filter(address => vipOf(address) === vip);
    return `  ftp${index + 1}:
    vip: ${vip}
    servers_lan: servers
    mark: ${index + 1}
    passive_ports: ${PASSIVE_PORT}-${PASSIVE_PORT + 999}
    check: { interval: ${INTERVAL_MS}ms, user: check, password_file: ${files.password}, tls: ${tls} }
    servers: { ${servers.map((address, n) => `s${n + 1}: { address: ${address} }`).join(', ')} }
`;
  });
  return `pair: lab
routers: { r1: { priority: 110 }, r2: {} }
lans:
  clients: { interface: c0, addresses: { r1: 192.0.2.2/24, r2: 192.0.2.3/24 }, vips: [${vips.join(', ')}] }
  servers: { interface: s0, addresses: { r1: 198.18.0.2/16, r2: 198.18.0.3/16 }, gateways: [198.18.0.1] }
  cross: { interface: x0, addresses: { r1: 203.0.113.1/24, r2: 203.0.113.2/24 } }
heartbeat: { links: [clients, cross], key_file: ${files.key} }
sync: { enabled: ${sync} }
services:
${services.join('')}`;
}

/** What the servers saw: by address, when each connection of a check came, in ms. */
export interface FleetReport {
  readonly arrivals: Readonly<Record<string, readonly number[]>>;
  /** Sessions that ended with QUIT after a transfer. */
  complete: number;
  /** Commands that no check says. */
  broken: number;
}

export interface Lateness {
  readonly checks: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Servers that no check reached in the time. */
  readonly unseen: number;
}

/**
 * How late the checks between `from` and `to` began, in ms. A check is due an interval after the last one of its server began; the
 * servers see both beginnings. One that is still due at the end counts with what it is late by then.
 */
export function latenessOf(report: Pick<FleetReport, 'arrivals'>, count: number, from: number, to: number): Lateness {
  const late: number[] = [];
  let unseen = 0;
  for (let index = 0; index < count; index += 1) {
    const times = report.arrivals[serverAddress(index)] ?? [];
    const before = times.filter(at => at <= to);
    if (!before.some(at => at >= from)) unseen += 1;
    for (const [n, at] of before.entries()) {
      const last = before[n - 1];
      if (at >= from && last !== undefined) late.push(Math.max(0, at - last - INTERVAL_MS));
    }
    const overdue = to - (before.at(-1) ?? from) - INTERVAL_MS;
    if (overdue > 0) late.push(overdue);
  }
  late.sort((one, other) => one - other);
  return { checks: late.length, ...spreadOf(late), unseen };
}

function spreadOf(sorted: readonly number[]): Pick<Lateness, 'p50' | 'p99' | 'max'> {
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: sorted.at(-1) ?? Number.NaN };
}

export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

const HEARTBEAT_MS = 100;
/** After so much silence the standby is suspicious and probes: 1.5 H. */
export const SUSPICIOUS_MS = 1.5 * HEARTBEAT_MS;

/** Of heartbeats that came at these times, in ms. */
export function gapsOf(times: readonly number[]): {
  readonly beats: number;
  readonly late: number;
  readonly longestMs: number;
} {
  const gaps = times.slice(1).map((at, n) => at - (times[n] as number));
  return { beats: times.length, late: gaps.filter(gap => gap > SUSPICIOUS_MS).length, longestMs: Math.max(0, ...gaps) };
}

/** Numbers of servers that were in time, and that were not. */
export interface Searched {
  readonly good: number;
  readonly bad: number | undefined;
}

/** The next number to try; undefined: `good` is known to a twentieth. From one in time upwards by half, then halving what is left. */
export function nextToTry({ good, bad }: Searched): number | undefined {
  if (bad === undefined) return good >= SERVERS_MAX ? undefined : Math.min(SERVERS_MAX, roundTo25(good * 1.5));
  if (bad - good <= Math.max(25, good / 20)) return undefined;
  return roundTo25((good + bad) / 2);
}

function roundTo25(value: number): number {
  return Math.max(25, Math.round(value / 25) * 25);
}
