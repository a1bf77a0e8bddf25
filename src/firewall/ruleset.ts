// The nftables rules of the marks mode: marks for IPVS, source NAT for active mode, the guard that keeps FTP packets without state
// silent, and one that keeps local users out of the sync. One table of our own, replaced as a whole in one transaction. Pure: config and node in, text out.
// Source: shared/LAB.md "Guard" (hooks and priorities), nft(8). IPVS takes packets at input priority 98 and 99.
import { interfaceOf } from '../config/node.ts';
import type { Config, ServiceConfig } from '../config/schema.ts';
import { EVENT_PORT, INJECTION_PORT, SYNC_GROUP } from '../sync/daemon-plan.ts';
import { type Address, familyOf } from '../units/address.ts';

/** Our table, `inet tandem`; no other is ever touched. */
export const TABLE_FAMILY = 'inet';
export const TABLE_NAME = 'tandem';

/** One service as the firewall sees it. */
export interface FirewallService {
  readonly name: string;
  readonly vip: Address;
  /** This router's interface on the VIP's LAN. */
  readonly interface: string;
  readonly mark: number;
  readonly controlPort: number;
  readonly passivePorts: { readonly first: number; readonly last: number };
  /** Whether active mode is served. */
  readonly active: boolean;
  /** Real servers, those that drain included. */
  readonly servers: readonly Address[];
}

/**
 * The services of the config as `node` sees them. `draining` names real servers that left the config but still have
 * connections: their sessions open new data connections, which need the source NAT and the guard until the end.
 */
export function firewallServices(
  config: Config,
  node: string,
  draining: ReadonlyMap<string, readonly Address[]> = new Map(),
): readonly FirewallService[] {
  return Object.entries(config.services).map(([name, service]) => {
    const own = Object.values(service.servers).map(server => server.address);
    const servers = [...new Set([...own, ...(draining.get(name) ?? [])])].sort();
    return {
      name,
      vip: service.vip,
      interface: interfaceOfVip(config, node, name, service),
      mark: service.mark,
      controlPort: service.control_port,
      passivePorts: service.passive_ports,
      active: service.active,
      servers,
    };
  });
}

function interfaceOfVip(config: Config, node: string, name: string, service: ServiceConfig): string {
  const lan = Object.values(config.lans).find(candidate => candidate.vips.includes(service.vip));
  const found = lan && interfaceOf(lan, node);
  if (found === undefined) {
    throw new RangeError(
      `services.${name}.vip ${service.vip}: router ${node} has no LAN with this VIP; add it to a LAN's vips`,
    );
  }
  // nft's strings have no escapes, and a trailing star would match other interfaces too.
  if (/["\\*]/.test(found))
    throw new RangeError(`interface "${found}" cannot be written in an nftables rule; rename it`);
  return found;
}

/** The text for `nft -f`: removes our table if it is there and puts the new one in its place, atomically. */
export function ruleset(services: readonly FirewallService[]): string {
  const each = (rules: (service: FirewallService) => readonly string[]) => services.flatMap(rules);
  return [
    removal().trimEnd(),
    `table ${TABLE_FAMILY} ${TABLE_NAME} {`,
    '\tcomment "written by tandem-director; changes by hand are undone"',
    ...chain('ftp_marks', 'type filter hook prerouting priority mangle; policy accept;', each(markRules)),
    ...chain('active_data', 'type nat hook postrouting priority srcnat; policy accept;', each(natRules)),
    ...chain('guard_in', 'type filter hook input priority 101; policy accept;', each(guardInRules)),
    ...chain('guard_out', 'type filter hook postrouting priority 110; policy accept;', each(guardOutRules)),
    ...chain('sync_guard', 'type filter hook output priority filter; policy accept;', syncGuardRules(services)),
    '}',
    '',
  ].join('\n');
}

/** The text that removes our table, and is no error when it is not there. */
export function removal(): string {
  return `add table ${TABLE_FAMILY} ${TABLE_NAME}\ndelete table ${TABLE_FAMILY} ${TABLE_NAME}\n`;
}

function chain(name: string, head: string, rules: readonly string[]): string[] {
  return [`\tchain ${name} {`, `\t\t${head}`, ...rules.map(rule => `\t\t${rule}`), '\t}'];
}

const ip = (service: FirewallService) => (familyOf(service.vip) === 6 ? 'ip6' : 'ip');

function passive({ passivePorts: { first, last } }: FirewallService): string {
  return first === last ? `${first}` : `${first}-${last}`;
}

/** Only initial SYNs: a marked mid-stream packet would be scheduled before its synced state is there, perhaps wrongly. */
function markRules(service: FirewallService): string[] {
  const to = `iifname "${service.interface}" ${ip(service)} daddr ${service.vip}`;
  const mark = `meta mark set ${service.mark}`;
  const ports = `tcp dport { ${service.controlPort}, ${passive(service)} }`;
  const rules = [`${to} ${ports} tcp flags & (fin | syn | rst | ack) == syn ${mark}`];
  // Data of active mode arrives mid-stream on a new owner; with sloppy_tcp IPVS adopts it by the client's template.
  if (service.active) rules.push(`${to} tcp dport 20 ${mark}`);
  return rules;
}

/** To the VIP, not masquerade: the interface's own address is not what the client talks to, and changes at takeover. */
function natRules(service: FirewallService): string[] {
  if (!service.active || service.servers.length === 0) return [];
  const from = `oifname "${service.interface}" ${ip(service)} saddr { ${service.servers.join(', ')} }`;
  return [`${from} tcp sport 20 snat ${ip(service)} to ${service.vip}`];
}

/**
 * What IPVS did not take has no state here: never answer it (a reset would kill a transfer whose state comes late). Answers to what
 * this router itself opened from the VIP pass; those of IPVS's own connections, which conntrack knows too (`vs.conntrack`), do not.
 */
function guardInRules(service: FirewallService): string[] {
  const to = `${ip(service)} daddr ${service.vip} tcp dport ${guarded(service)}`;
  return [`${to} ct direction reply ct original ${ip(service)} saddr ${service.vip} accept`, `${to} counter drop`];
}

/**
 * What would leave for the clients with the real server's own address. Of a connection that conntrack knows to be with the VIP: it
 * should have been translated, and IPVS has lost it. Else connections that hosts opened to or from the server itself are let
 * through, packets that belong to no connection known here are not.
 */
function guardOutRules(service: FirewallService): string[] {
  if (service.servers.length === 0) return [];
  const saddr = `${ip(service)} saddr { ${service.servers.join(', ')} }`;
  const from = `oifname "${service.interface}" ${saddr} tcp sport ${guarded(service)}`;
  return [
    `${from} ct original ${ip(service)} daddr ${service.vip} counter drop`,
    `${from} ct reply ${ip(service)} daddr ${service.vip} counter drop`,
    `${from} ct direction reply accept`,
    `${from} ct state { invalid, new, untracked } tcp flags & (fin | syn | rst | ack) != syn counter drop`,
  ];
}

/**
 * Whoever may send a datagram on lo could write into the kernel's connection table. What the kernel sends itself has no user, and
 * passes.
 */
function syncGuardRules(services: readonly FirewallService[]): string[] {
  if (services.length === 0) return [];
  return [`ip daddr ${SYNC_GROUP} udp dport { ${INJECTION_PORT}, ${EVENT_PORT} } meta skuid != 0 counter drop`];
}

function guarded(service: FirewallService): string {
  const low = [...new Set([20, service.controlPort])].join(', ');
  return `{ ${low}, ${passive(service)} }`;
}
