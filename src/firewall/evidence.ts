// Whether another firewall drops what is ours, found by evidence: new connections are counted
// before and after the others' hooks, and where none of several comes through, something in between
// takes them. Reading their rules could not tell: an accept rule may be right, or be never reached.
// Passive data are counted apart: logins that pass must not hide that data do not. Pure: counters
// and time in, what is lost out. Hooks: IPVS takes packets at input 98 and 99 and answers at
// forward 99 and 100; what it sends passes output (ip_vs_xmit.c).

import type { PortRange } from '../config/fields.ts';
import { familyOf } from '../units/address.ts';
import type { FirewallService } from './firewall-service.ts';

/** The ways of packets between clients and real servers through this router. */
export const WAYS = [
  'from-clients',
  'data-from-clients',
  'to-servers',
  'data-to-servers',
  'from-servers',
  'data-from-servers',
  'active-data',
] as const;
export type Way = (typeof WAYS)[number];

/** nft's hooks that a way leads through between its two counters. */
export const HOOKS: Readonly<Record<Way, readonly string[]>> = {
  'from-clients': ['prerouting', 'input'],
  'data-from-clients': ['prerouting', 'input'],
  'to-servers': ['output', 'postrouting'],
  'data-to-servers': ['output', 'postrouting'],
  'from-servers': ['prerouting', 'forward'],
  'data-from-servers': ['prerouting', 'forward'],
  'active-data': ['prerouting', 'forward'],
};

/**
 * New connections in a row that must be lost before it is told: where none has ever come through,
 * and where some have.
 */
const LOST_MIN_NEVER = 3;
const LOST_MIN_BEFORE = 5;

export type End = 'early' | 'late';

export function evidenceCounterName(way: Way, end: End, service: string): string {
  return `${way.replaceAll('-', '_')}_${end}_${service}`;
}

/**
 * Whether new connections of the service take this way through the router. Of UDP none is counted:
 * nothing in a datagram says that it is the first.
 */
export function hasWay(way: Way, service: FirewallService): boolean {
  const { transport, forwarding, servers, passivePorts, activePorts } = service;
  if (transport === 'udp') return false;
  const hasServers = servers.length > 0;
  const isPassive = passivePorts.length > 0;
  switch (way) {
    case 'from-clients':
      return true;
    case 'data-from-clients':
      return isPassive;
    case 'to-servers':
      return hasServers;
    case 'data-to-servers':
      // In a tunnel no port is seen: all is counted as one way.
      return hasServers && isPassive && forwarding !== 'tun';
    case 'from-servers':
      return hasServers && forwarding === 'nat';
    case 'data-from-servers':
      return hasServers && isPassive && forwarding === 'nat';
    case 'active-data':
      return hasServers && forwarding === 'nat' && activePorts.length > 0;
  }
}

const PASSIVE: Readonly<Partial<Record<Way, Way>>> = {
  'from-clients': 'data-from-clients',
  'to-servers': 'data-to-servers',
  'from-servers': 'data-from-servers',
};

/** `way`, or what it is for connections to the service's passive range. */
export function wayAt(way: Way, { passivePorts }: FirewallService, { first, last }: PortRange): Way {
  const isPassive = passivePorts.some(range => range.first <= first && last <= range.last);
  return (isPassive ? PASSIVE[way] : undefined) ?? way;
}

/**
 * A packet on its way to a real server, as an nft match. `inner`: what it is, where that can be
 * seen: in a tunnel it cannot.
 */
export function forwarded({ forwarding, vip, servers }: FirewallService, inner: string): string {
  const [ip, protocol] = familyOf(vip) === 6 ? ['ip6', 41] : ['ip', 4];
  switch (forwarding) {
    case 'nat':
      return `${ip} daddr { ${servers.join(', ')} } ${inner}`;
    case 'dr':
      return `${ip} daddr ${vip} ${inner}`;
    case 'tun':
      return `${ip} daddr { ${servers.join(', ')} } meta l4proto ${protocol}`;
  }
}

/** Packets by the name of the counter. */
export type Counts = ReadonlyMap<string, number>;

/** Reads `nft -j list counters`; throws when it is something else. */
export function parseCounters(json: string): Counts {
  const { nftables } = JSON.parse(json) as { nftables?: unknown };
  if (!Array.isArray(nftables)) throw new TypeError('nft printed no list of counters');
  return new Map(
    nftables.flatMap((item: { counter?: { name?: unknown; packets?: unknown } }) =>
      typeof item?.counter?.name === 'string' && typeof item.counter.packets === 'number'
        ? [[item.counter.name, item.counter.packets] as const]
        : [],
    ),
  );
}

interface Trail {
  readonly early: number;
  readonly late: number;
  /** New connections that came, of which none came through, since one last did. */
  readonly lost: number;
  readonly passed: boolean;
}

export interface Loss {
  readonly service: string;
  readonly way: Way;
}

export interface Evidence {
  readonly trails: ReadonlyMap<string, Trail>;
  readonly losses: readonly Loss[];
}

export const NO_EVIDENCE: Evidence = { trails: new Map(), losses: [] };

/** The evidence after another look at the counters. */
export function weigh(before: Evidence, counts: Counts, services: readonly string[]): Evidence {
  const trails = new Map<string, Trail>();
  const losses: Loss[] = [];
  for (const service of services) {
    for (const way of WAYS) {
      const [early, late] = (['early', 'late'] as const).map(end => counts.get(evidenceCounterName(way, end, service)));
      if (early === undefined || late === undefined) continue;
      const key = `${way} ${service}`;
      const trail = follow(before.trails.get(key), early, late);
      trails.set(key, trail);
      if (trail.lost >= (trail.passed ? LOST_MIN_BEFORE : LOST_MIN_NEVER)) losses.push({ service, way });
    }
  }
  return { trails, losses };
}

function follow(before: Trail | undefined, early: number, late: number): Trail {
  // Rules that were put in anew count from zero.
  const anew = before === undefined || early < before.early || late < before.late;
  const came = anew ? early : early - before.early;
  const through = anew ? late : late - before.late;
  if (through > 0) return { early, late, lost: 0, passed: true };
  return { early, late, lost: (before?.lost ?? 0) + came, passed: before?.passed ?? false };
}
