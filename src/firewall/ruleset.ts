// The nftables rules of the marks mode: marks for IPVS, source NAT for active mode, the guard that
// keeps FTP packets without state silent, and one that keeps local users out of the sync. One table
// of our own, replaced as a whole in one transaction. Pure: config and node in, text out. Source:
// nft(8); docs/internals/director.md has hooks and priorities. IPVS takes packets at input priority
// 98 and 99.
import { interfaceOf } from '../config/node.ts';
import type { Config, LanConfig, ServiceConfig } from '../config/schema.ts';
import { EVENT_PORT, INJECTION_PORT, SYNC_GROUP } from '../ipvs/sync-daemon.ts';
import { type Address, familyOf } from '../units/address.ts';
import { type End, evidenceCounterName, WAYS, type Way, wayMatch } from './evidence.ts';
import type { FirewallService } from './firewall-service.ts';

/** Our table, `inet tandem`; no other is ever touched. */
export const TABLE_FAMILY = 'inet';
export const TABLE_NAME = 'tandem';

/** All that the rules are made from. */
export interface Firewall {
  readonly services: readonly FirewallService[];
  /** This router's interfaces on all LANs. */
  readonly interfaces: readonly string[];
  /** VIPs and gateways. */
  readonly virtual: readonly Address[];
  /**
   * Data of active mode that is unknown here is taken in mid-stream: on a standby, which may have
   * to take over at any moment, and for a while after a takeover. Later it would only let strangers
   * fill IPVS' table.
   */
  readonly adopting: boolean;
}

export interface Standing {
  /**
   * Real servers by service that left the config but still have connections: their sessions open
   * new data connections, which need the source NAT and the guard until the end.
   */
  readonly draining?: ReadonlyMap<string, readonly Address[]>;
  readonly adopting?: boolean;
}

/** The config as the firewall of `node` sees it. */
export function firewallOf(
  config: Config,
  node: string,
  { draining = new Map(), adopting = true }: Standing = {},
): Firewall {
  const lans = Object.values(config.lans);
  const services = Object.entries(config.services).map(([name, service]) => {
    const own = Object.values(service.servers).map(server => server.address);
    const servers = [...new Set([...own, ...(draining.get(name) ?? [])])].sort();
    return {
      name,
      vip: service.vip,
      interfaces: servedInterfaces(config, node, name, service),
      mark: service.mark,
      controlPort: service.control_port,
      passivePorts: service.passive_ports,
      active: service.active,
      servers,
    };
  });
  const virtual = lans.flatMap(lan => [...lan.vips, ...lan.gateways]);
  return { services, interfaces: namesOf(lans, node), virtual, adopting };
}

function servedInterfaces(config: Config, node: string, name: string, service: ServiceConfig): string[] {
  const lans = Object.entries(config.lans);
  const home = lans.find(([, lan]) => lan.vips.includes(service.vip));
  if (home === undefined || interfaceOf(home[1], node) === undefined) {
    throw new RangeError(
      `services.${name}.vip ${service.vip}: router ${node} has no LAN with this VIP; add it to a LAN's vips`,
    );
  }
  return namesOf(
    lans.filter(lan => lan === home || lan[0] !== service.servers_lan).map(([, lan]) => lan),
    node,
  );
}

/**
 * Each once, sorted. nft's strings have no escapes, and a trailing star would match other
 * interfaces too.
 */
function namesOf(lans: readonly LanConfig[], node: string): string[] {
  const names = [...new Set(lans.flatMap(lan => interfaceOf(lan, node) ?? []))].sort();
  for (const name of names) {
    if (/["\\*]/.test(name))
      throw new RangeError(`interface "${name}" cannot be written in an nftables rule; rename it`);
  }
  return names;
}

/**
 * The text for `nft -f`: removes our table if it is there and puts the new one in its place,
 * atomically.
 */
export function ruleset(firewall: Firewall): string {
  const { services, adopting } = firewall;
  const each = (rules: (service: FirewallService) => readonly string[]) => services.flatMap(rules);
  return [
    removal().trimEnd(),
    `table ${TABLE_FAMILY} ${TABLE_NAME} {`,
    '\tcomment "written by tandem-director; changes by hand are undone"',
    ...counterNames(firewall).map(name => `\tcounter ${name} {\n\t}`),
    ...EVIDENCE_CHAINS.flatMap(({ name, head, points }) =>
      chain(
        name,
        head,
        each(service => evidenceRules(service, points)),
      ),
    ),
    ...chain('elsewhere', 'type filter hook prerouting priority raw; policy accept;', elsewhereRules(firewall)),
    ...chain(
      'ftp_marks',
      'type filter hook prerouting priority mangle; policy accept;',
      each(service => markRules(service, adopting)),
    ),
    ...chain('active_data', 'type nat hook postrouting priority srcnat; policy accept;', each(natRules)),
    ...chain('not_served', 'type filter hook input priority 96; policy accept;', each(notServedRules)),
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

function namesSet(names: readonly string[]): string {
  return names.length === 1 ? `"${names[0]}"` : `{ ${names.map(name => `"${name}"`).join(', ')} }`;
}

/**
 * Who comes in by an interface of no LAN is not under the packet lease, which guards the LANs'
 * interfaces: he would be served by a router whose every process is dead. So he is refused, and
 * told. A packet of a VRF comes by a second time, from the VRF itself.
 */
function elsewhereRules({ interfaces, virtual, services }: Firewall): string[] {
  if (services.length === 0) return [];
  const refuse = (match: string, addresses: readonly Address[]) =>
    addresses.length === 0
      ? []
      : [
          `${match} daddr { ${addresses.join(', ')} } fib daddr type local counter name refused_elsewhere reject with icmpx admin-prohibited`,
        ];
  return [
    `iifname ${namesSet(['lo', ...interfaces])} accept`,
    'meta iifkind "vrf" accept',
    ...refuse(
      'ip',
      virtual.filter(address => familyOf(address) === 4),
    ),
    ...refuse(
      'ip6',
      virtual.filter(address => familyOf(address) === 6),
    ),
  ];
}

interface EvidenceChain {
  readonly name: string;
  readonly head: string;
  readonly points: readonly { readonly way: Way; readonly end: End; readonly also: string }[];
}

/**
 * Where new connections are counted; nothing is ever decided there. "also": only what is on this
 * way and not the router's own.
 */
const EVIDENCE_CHAINS: readonly EvidenceChain[] = [
  {
    name: 'seen_prerouting',
    head: 'type filter hook prerouting priority -310; policy accept;',
    points: [
      { way: 'from-clients', end: 'early', also: 'fib daddr type local' },
      { way: 'from-servers', end: 'early', also: 'fib daddr type != local' },
      { way: 'active-data', end: 'early', also: 'fib daddr type != local' },
    ],
  },
  {
    name: 'seen_input',
    head: 'type filter hook input priority 97; policy accept;',
    points: [{ way: 'from-clients', end: 'late', also: '' }],
  },
  {
    name: 'seen_forward',
    head: 'type filter hook forward priority 97; policy accept;',
    points: [
      { way: 'from-servers', end: 'late', also: '' },
      { way: 'active-data', end: 'late', also: '' },
    ],
  },
  {
    name: 'seen_output',
    head: 'type filter hook output priority -310; policy accept;',
    points: [{ way: 'to-servers', end: 'early', also: '' }],
  },
  {
    name: 'seen_postrouting',
    head: 'type filter hook postrouting priority 109; policy accept;',
    points: [{ way: 'to-servers', end: 'late', also: '' }],
  },
];

function evidenceRules(service: FirewallService, points: EvidenceChain['points']): string[] {
  return points.flatMap(({ way, end, also }) => {
    const match = matchOf(way, service);
    if (match === undefined) return [];
    const from = way === 'from-clients' ? `iifname ${namesSet(service.interfaces)} ` : '';
    return [
      `${from}${match} ${also === '' ? '' : `${also} `}counter name ${evidenceCounterName(way, end, service.name)}`,
    ];
  });
}

function matchOf(way: Way, service: FirewallService): string | undefined {
  const synAck = `${FLAGS} == syn | ack`;
  return wayMatch(way, service, { control: `{ ${service.controlPort}, ${passive(service)} }`, syn: SYN, synAck });
}

/** What a rule of others must accept for a way to be open. */
export function acceptMatch(way: Way, service: FirewallService): string {
  const ports = `{ ${service.controlPort}, ${passive(service)} }`;
  switch (way) {
    case 'from-clients':
      return `${ip(service)} daddr ${service.vip} tcp dport ${ports}`;
    case 'to-servers':
      return `${ip(service)} daddr { ${service.servers.join(', ')} } tcp dport ${ports}`;
    case 'from-servers':
      return `${ip(service)} saddr { ${service.servers.join(', ')} } tcp sport ${ports}`;
    case 'active-data':
      return `${ip(service)} saddr { ${service.servers.join(', ')} } tcp sport 20`;
  }
}

function counterNames({ services }: Firewall): string[] {
  if (services.length === 0) return [];
  const seen = services.flatMap(service =>
    WAYS.filter(way => matchOf(way, service) !== undefined).flatMap(way =>
      (['early', 'late'] as const).map(end => evidenceCounterName(way, end, service.name)),
    ),
  );
  return ['refused_elsewhere', ...services.map(({ name }) => `refused_${name}`), ...seen].sort();
}

/**
 * Clients on the servers' own LAN, and this router itself: an answer at once is better than
 * silence.
 */
function notServedRules(service: FirewallService): string[] {
  const from = `iifname != ${namesSet(service.interfaces)} ${ip(service)} daddr ${service.vip}`;
  const ports = `tcp dport { ${service.controlPort}, ${passive(service)} }`;
  return [`${from} ${ports} ${SYN} counter name refused_${service.name} reject with tcp reset`];
}

const FLAGS = 'tcp flags & (fin | syn | rst | ack)';
const SYN = `${FLAGS} == syn`;
/** Each client in mid-stream needs one packet; what is more than that is nobody's transfer. */
const ADOPTION_LIMIT = 'limit rate 100/second burst 200 packets';

/**
 * Only initial SYNs: a marked mid-stream packet would be scheduled before its synced state is
 * there, perhaps wrongly.
 */
function markRules(service: FirewallService, adopting: boolean): string[] {
  const to = `iifname ${namesSet(service.interfaces)} ${ip(service)} daddr ${service.vip}`;
  const mark = `meta mark set ${service.mark}`;
  const ports = `tcp dport { ${service.controlPort}, ${passive(service)} }`;
  const rules = [`${to} ${ports} ${SYN} ${mark}`];
  // Data of active mode arrives mid-stream on a new owner; with sloppy_tcp IPVS adopts it by the
  // client's template.
  if (service.active && adopting)
    rules.push(`${to} tcp dport 20 ${FLAGS} != syn ct state { invalid, new, untracked } ${ADOPTION_LIMIT} ${mark}`);
  return rules;
}

/**
 * To the VIP, not masquerade: the interface's own address is not what the client talks to, and
 * changes at takeover.
 */
function natRules(service: FirewallService): string[] {
  if (!service.active || service.servers.length === 0) return [];
  const from = `oifname ${namesSet(service.interfaces)} ${ip(service)} saddr { ${service.servers.join(', ')} }`;
  return [`${from} tcp sport 20 snat ${ip(service)} to ${service.vip}`];
}

/**
 * What IPVS did not take has no state here: never answer it (a reset would kill a transfer whose
 * state comes late). Answers to what this router itself opened from the VIP pass; those of IPVS's
 * own connections, which conntrack knows too (`vs.conntrack`), do not.
 */
function guardInRules(service: FirewallService): string[] {
  const to = `${ip(service)} daddr ${service.vip} tcp dport ${guarded(service)}`;
  return [`${to} ct direction reply ct original ${ip(service)} saddr ${service.vip} accept`, `${to} counter drop`];
}

/**
 * What would leave for the clients with the real server's own address. Of a connection that
 * conntrack knows to be with the VIP: it should have been translated, and IPVS has lost it. Else
 * connections that hosts opened to or from the server itself are let through, packets that belong
 * to no connection known here are not.
 */
function guardOutRules(service: FirewallService): string[] {
  if (service.servers.length === 0) return [];
  const saddr = `${ip(service)} saddr { ${service.servers.join(', ')} }`;
  const from = `oifname ${namesSet(service.interfaces)} ${saddr} tcp sport ${guarded(service)}`;
  return [
    `${from} ct original ${ip(service)} daddr ${service.vip} counter drop`,
    `${from} ct reply ${ip(service)} daddr ${service.vip} counter drop`,
    `${from} ct direction reply accept`,
    `${from} ct state { invalid, new, untracked } tcp flags & (fin | syn | rst | ack) != syn counter drop`,
  ];
}

/**
 * Whoever may send a datagram on lo could write into the kernel's connection table. What the kernel
 * sends itself has no user, and passes.
 */
function syncGuardRules(services: readonly FirewallService[]): string[] {
  if (services.length === 0) return [];
  return [`ip daddr ${SYNC_GROUP} udp dport { ${INJECTION_PORT}, ${EVENT_PORT} } meta skuid != 0 counter drop`];
}

function guarded(service: FirewallService): string {
  const low = [...new Set([20, service.controlPort])].join(', ');
  return `{ ${low}, ${passive(service)} }`;
}
