// The nftables rules of the marks mode: marks for IPVS, source NAT for active mode, the guard that
// keeps packets without state silent, and one that keeps local users out of the sync. One table
// of our own, replaced as a whole in one transaction. Pure: config and node in, text out. Source:
// nft(8); docs/internals/director.md has hooks and priorities. IPVS takes packets at input priority
// 98 and 99.
import type { PortRange } from '../config/fields.ts';
import { activePortsOf } from '../config/ftp-ports.ts';
import { interfaceOf } from '../config/node.ts';
import { PREFIX_MAX, persistencePrefix } from '../config/persistence.ts';
import type { Config, LanConfig, ServiceConfig } from '../config/schema.ts';
import { openedPorts, rangeText, serverPorts, type Transport, transportOf } from '../config/service-ports.ts';
import { EVENT_PORT, INJECTION_PORT, SYN_GROUP, SYNC_GROUP } from '../ipvs/sync-daemon.ts';
import { type Address, familyOf, netmask } from '../units/address.ts';
import { type End, evidenceCounterName, forwarded, hasWay, WAYS, type Way, wayAt } from './evidence.ts';
import type { FirewallService } from './firewall-service.ts';
import { answersItself, KNOWN_MAX, knownSeconds, knownSetName } from './known-clients.ts';
import { byFamily, type Group, groupsOf, type PortPlace, places, portMap, portSet } from './port-maps.ts';
import { TABLE_FAMILY, TABLE_NAME } from './table-name.ts';

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
    const own = [...Object.values(service.servers), ...[service.sorry_server ?? []].flat()].map(one => one.address);
    const servers = [...new Set([...own, ...(draining.get(name) ?? [])])].sort();
    return {
      name,
      vip: service.vip,
      interfaces: servedInterfaces(config, node, name, service),
      mark: service.mark,
      isFtp: service.kind === 'ftp',
      transport: transportOf(service),
      openedPorts: openedPorts(service),
      serverPorts: serverPorts(service),
      controlPorts: service.kind === 'ftp' ? service.control_port.map(single) : service.ports,
      passivePorts: service.kind === 'ftp' ? [service.passive_ports] : [],
      activePorts: service.kind === 'ftp' ? activePortsOf(service) : [],
      servers,
      forwarding: service.forwarding,
      knownS: knownSeconds(config, service),
      clientPrefix: persistencePrefix(service),
    };
  });
  const virtual = lans.flatMap(lan => [...lan.vips, ...lan.gateways]);
  return { services, interfaces: namesOf(lans, node), virtual, adopting };
}

const single = (port: number): PortRange => ({ first: port, last: port });

function servedInterfaces(config: Config, node: string, name: string, service: ServiceConfig): string[] {
  const lans = Object.entries(config.lans);
  const home = lans.find(([, lan]) => lan.vips.includes(service.vip));
  if (home === undefined || interfaceOf(home[1], node) === undefined) {
    throw new RangeError(
      `services.${name}.vip ${service.vip}: router ${node} has no LAN with this VIP; add it to a LAN's vips`,
    );
  }
  const comesBack = (lan: string) => service.forwarding !== 'nat' || lan !== service.servers_lan;
  return namesOf(
    lans.filter(lan => lan === home || comesBack(lan[0])).map(([, lan]) => lan),
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
  const tcp = services.filter(({ transport }) => transport === 'tcp');
  const udp = services.filter(({ transport }) => transport === 'udp');
  const grouped = (rules: (group: Group) => readonly string[]) => groupsOf(tcp).flatMap(rules);
  const datagrams = (rules: (group: Group) => readonly string[]) => groupsOf(udp).flatMap(rules);
  const natted = tcp.filter(service => !answersItself(service));
  const families = byFamily(tcp);
  return [
    removal().trimEnd(),
    `table ${TABLE_FAMILY} ${TABLE_NAME} {`,
    '\tcomment "written by tandem-director; changes by hand are undone"',
    ...counterNames(firewall).map(name => `\tcounter ${name} {\n\t}`),
    ...services.filter(({ knownS }) => knownS !== undefined).map(knownSet),
    ...EVIDENCE_CHAINS.flatMap(({ name, head, points }) =>
      chain(
        name,
        head,
        points.flatMap(point => evidenceRules(services, point)),
      ),
    ),
    ...chain('elsewhere', 'type filter hook prerouting priority raw; policy accept;', elsewhereRules(firewall)),
    ...(services.some(answersItself)
      ? chain('untracked', 'type filter hook prerouting priority raw; policy accept;', each(untrackedRules))
      : []),
    // After those at mangle, also ones that were put in later: they may take marks away.
    ...chain('marks', 'type filter hook prerouting priority mangle + 1; policy accept;', [
      ...groupsOf(natted).flatMap(group => markRules(group, adopting)),
      ...tcp.flatMap(service => directMarkRules(service, adopting)),
      ...datagrams(datagramMarkRules),
    ]),
    ...(adopting ? natted.flatMap(adoptionChain) : []),
    // Before a masquerade of others at srcnat, also one that was put in later.
    ...chain('active_data', 'type nat hook postrouting priority srcnat - 1; policy accept;', grouped(natRules)),
    ...chain('not_served', 'type filter hook input priority 96; policy accept;', [
      ...grouped(notServedRules),
      ...datagrams(datagramsNotServed),
    ]),
    ...chain('guard_in', 'type filter hook input priority 101; policy accept;', [
      ...families.flatMap(family => guardInRules(family, 'tcp')),
      ...byFamily(udp).flatMap(family => guardInRules(family, 'udp')),
    ]),
    ...byFamily(services).flatMap(guardInChain),
    ...(services.some(answersItself)
      ? chain('syn_reports', 'type filter hook postrouting priority 108; policy accept;', tcp.flatMap(synReportRules))
      : []),
    ...chain('guard_out', 'type filter hook postrouting priority 110; policy accept;', [
      ...grouped(group => guardOutRules(group, 'tcp')),
      ...datagrams(group => guardOutRules(group, 'udp')),
    ]),
    ...families.flatMap(family => guardOutChain(family, 'tcp')),
    ...byFamily(udp).flatMap(family => guardOutChain(family, 'udp')),
    ...chain('sync_guard', 'type filter hook output priority filter; policy accept;', syncGuardRules(services)),
    '}',
    '',
  ].join('\n');
}

/** The text that removes our table, and is no error when it is not there. */
export function removal(): string {
  return `add table ${TABLE_FAMILY} ${TABLE_NAME}\ndelete table ${TABLE_FAMILY} ${TABLE_NAME}\n`;
}

function knownSet({ name, vip }: FirewallService): string {
  const type = familyOf(vip) === 6 ? 'ipv6_addr' : 'ipv4_addr';
  return [`\tset ${knownSetName(name)} {`, `\t\ttype ${type}; flags dynamic,timeout; size ${KNOWN_MAX};`, '\t}'].join(
    '\n',
  );
}

/** As long as a client needs to say something on its control connection. */
const KNOWN_BY_SYN = '1m';

/**
 * conntrack never sees the servers' SYN+ACK, and calls all that follows the SYN invalid, which many
 * a firewall drops; so does an ICMP error to the VIP look to it, which a path of small packets
 * needs.
 */
function untrackedRules(service: FirewallService): string[] {
  if (!answersItself(service)) return [];
  const to = `iifname ${namesSet(service.interfaces)} ${ip(service)} daddr ${service.vip}`;
  const errors =
    familyOf(service.vip) === 6
      ? 'icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem }'
      : 'icmp type { destination-unreachable, time-exceeded, parameter-problem }';
  return [`${to} ${service.transport} dport ${rangesSet(ofVip(service))} notrack`, `${to} ${errors} notrack`];
}

function chain(name: string, head: string, rules: readonly string[]): string[] {
  return [`\tchain ${name} {`, `\t\t${head}`, ...rules.map(rule => `\t\t${rule}`), '\t}'];
}

const ip = (service: FirewallService) => (familyOf(service.vip) === 6 ? 'ip6' : 'ip');

/** What clients open. */
function opened(service: FirewallService): string {
  return rangesSet(service.openedPorts);
}

function portsSet(ports: readonly number[]): string {
  return rangesSet(ports.map(single));
}

function rangesSet(ranges: readonly PortRange[]): string {
  const [first, ...others] = ranges.map(rangeText);
  return first !== undefined && others.length === 0 ? first : `{ ${[first, ...others].join(', ')} }`;
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

interface Point {
  readonly way: 'from-clients' | 'to-servers' | 'from-servers' | 'active-data';
  readonly end: End;
  readonly also: string;
}

interface EvidenceChain {
  readonly name: string;
  readonly head: string;
  readonly points: readonly Point[];
}

/**
 * Where new connections are counted; nothing is ever decided there. "also": only what is on this
 * way and not the router's own. The map has the passive range on a way of its own.
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

function evidenceRules(all: readonly FirewallService[], { way, end, also }: Point): string[] {
  const services = all.filter(service => hasWay(way, service));
  const and = also === '' ? '' : ` ${also}`;
  const name = (service: FirewallService, at: Way) => evidenceCounterName(at, end, service.name);
  const counted = (what: string, of: readonly FirewallService[], placesOf: (service: FirewallService) => Places) => {
    const entries = of.flatMap(one =>
      placesOf(one).map(place => ({ ...place, value: `"${name(one, wayAt(way, one, place.range))}"` })),
    );
    return entries.length === 0 ? [] : [`${what} ${portMap(entries)}`];
  };
  const marked = (placesOf: (service: FirewallService) => Places) => (service: FirewallService) =>
    placesOf(service).map(place => ({ ...place, at: `${service.mark} . ${place.at}` }));
  switch (way) {
    case 'from-clients':
      return groupsOf(services).flatMap(group => {
        const from = `iifname ${namesSet(group.interfaces)} ${SYN}${and} counter name`;
        const to = `${group.ip} daddr . tcp dport map`;
        // IPVS goes by the mark: what has lost it has not come through.
        return end === 'early'
          ? counted(`${from} ${to}`, group.services, openedPlaces)
          : counted(`${from} meta mark . ${to}`, group.services, marked(openedPlaces));
      });
    case 'to-servers':
      return [
        ...byFamily(services.filter(({ forwarding }) => forwarding !== 'tun')).flatMap(group =>
          counted(
            `${SYN}${and} counter name meta mark . ${group.ip} daddr . tcp dport map`,
            group.services,
            marked(sentPlaces),
          ),
        ),
        ...services
          .filter(({ forwarding }) => forwarding === 'tun')
          .map(service => `meta mark ${service.mark} ${forwarded(service, '')} counter name ${name(service, way)}`),
      ];
    case 'from-servers':
      return byFamily(services).flatMap(group =>
        counted(`${SYN_ACK}${and} counter name ${group.ip} saddr . tcp sport map`, group.services, service =>
          serverPlaces(service, service.serverPorts),
        ),
      );
    case 'active-data':
      return byFamily(services).flatMap(group =>
        counted(`${SYN}${and} counter name ${group.ip} saddr . tcp sport map`, group.services, service =>
          serverPlaces(service, service.activePorts.map(single)),
        ),
      );
  }
}

type Places = readonly PortPlace[];

function openedPlaces({ vip, openedPorts: ranges }: FirewallService): Places {
  return places(vip, ranges);
}

function serverPlaces({ servers }: FirewallService, ranges: readonly PortRange[]): Places {
  return servers.flatMap(server => places(server, ranges));
}

/** Where IPVS sends: under DR the VIP stays the destination. */
function sentPlaces(service: FirewallService): Places {
  const { forwarding, vip, serverPorts: ranges } = service;
  return forwarding === 'dr' ? places(vip, ranges) : serverPlaces(service, ranges);
}

/** What a rule of others must accept for a way to be open. */
export function acceptMatch(way: Way, service: FirewallService): string {
  const ports = rangesSet(service.serverPorts);
  switch (way) {
    case 'from-clients':
    case 'data-from-clients':
      return `${ip(service)} daddr ${service.vip} tcp dport ${opened(service)}`;
    case 'to-servers':
    case 'data-to-servers':
      return forwarded(service, `tcp dport ${ports}`);
    case 'from-servers':
    case 'data-from-servers':
      return `${ip(service)} saddr { ${service.servers.join(', ')} } tcp sport ${ports}`;
    case 'active-data':
      return `${ip(service)} saddr { ${service.servers.join(', ')} } tcp sport ${portsSet(service.activePorts)}`;
  }
}

function counterNames({ services }: Firewall): string[] {
  if (services.length === 0) return [];
  const seen = services.flatMap(service =>
    WAYS.filter(way => hasWay(way, service)).flatMap(way =>
      (['early', 'late'] as const).map(end => evidenceCounterName(way, end, service.name)),
    ),
  );
  return ['refused_elsewhere', ...services.map(({ name }) => `refused_${name}`), ...seen].sort();
}

/**
 * Clients on the servers' own LAN, and this router itself: an answer at once is better than
 * silence.
 */
function notServedRules({ ip: family, interfaces, services }: Group): string[] {
  const entries = services.flatMap(service =>
    openedPlaces(service).map(place => ({ ...place, value: `"refused_${service.name}"` })),
  );
  const counted = `counter name ${family} daddr . tcp dport map ${portMap(entries)}`;
  return [`iifname != ${namesSet(interfaces)} ${SYN} ${counted} reject with tcp reset`];
}

/** Of datagrams none begins anything: each is marked, and scheduled where IPVS does not know it. */
function datagramMarkRules({ ip: family, interfaces, services }: Group): string[] {
  const entries = services.flatMap(service => openedPlaces(service).map(one => ({ ...one, value: `${service.mark}` })));
  return [`iifname ${namesSet(interfaces)} meta mark set ${family} daddr . udp dport map ${portMap(entries)}`];
}

function datagramsNotServed({ ip: family, interfaces, services }: Group): string[] {
  const entries = services.flatMap(service =>
    openedPlaces(service).map(place => ({ ...place, value: `"refused_${service.name}"` })),
  );
  const counted = `counter name ${family} daddr . udp dport map ${portMap(entries)}`;
  return [`iifname != ${namesSet(interfaces)} ${counted} reject with icmpx port-unreachable`];
}

const FLAGS = 'tcp flags & (fin | syn | rst | ack)';
const SYN = `${FLAGS} == syn`;
const SYN_ACK = `${FLAGS} == syn | ack`;
/** Each client in mid-stream needs one packet; what is more than that is nobody's transfer. */
const ADOPTION_LIMIT = 'limit rate 100/second burst 200 packets';

/**
 * Only initial SYNs: a marked mid-stream packet would be scheduled before its synced state is
 * there, perhaps wrongly.
 */
function markRules({ ip: family, interfaces, services }: Group, adopting: boolean): string[] {
  const entries = services.flatMap(service => openedPlaces(service).map(one => ({ ...one, value: `${service.mark}` })));
  const from = `iifname ${namesSet(interfaces)}`;
  const to = `${family} daddr . tcp dport`;
  const rules = [`${from} ${SYN} meta mark set ${to} map ${portMap(entries)}`];
  // Data of active mode arrives mid-stream on a new owner; with sloppy_tcp IPVS adopts it by the
  // client's template.
  const adopted = services.flatMap(({ name, vip, activePorts }) =>
    places(vip, activePorts.map(single)).map(place => ({ ...place, value: `jump ${adoptionName(name)}` })),
  );
  if (adopting && adopted.length > 0)
    rules.push(`${from} ${FLAGS} != syn ct state { invalid, new, untracked } ${to} vmap ${portMap(adopted)}`);
  return rules;
}

function adoptionName(service: string): string {
  return `adopt_${service}`;
}

/** Each service has a limit of its own. */
function adoptionChain({ name, mark, activePorts }: FirewallService): string[] {
  if (activePorts.length === 0) return [];
  return [`\tchain ${adoptionName(name)} {`, `\t\t${ADOPTION_LIMIT} meta mark set ${mark}`, '\t}'];
}

/** A client as its template has it, in rule and set alike. */
function clientOf(service: FirewallService): string {
  const family = familyOf(service.vip);
  const whole = `${ip(service)} saddr`;
  if (service.clientPrefix === PREFIX_MAX[family]) return whole;
  return `${whole} & ${netmask(service.clientPrefix, family)}`;
}

/**
 * The servers answer past this router, so it sees the clients' half of a connection only. Active
 * mode begins with the client's answer to the server's SYN: IPVS schedules it, by the client's
 * template, if the client is known. So it is with every packet in mid-stream whose connection this
 * router does not have: nothing is translated, hence the template alone says where it belongs. What
 * has a connection is not scheduled, marked or not. A client is known for a minute by its SYN,
 * which anybody can forge, and for long by what it says on its control connection.
 */
function directMarkRules(service: FirewallService, adopting: boolean): string[] {
  if (!answersItself(service)) return [];
  const to = `iifname ${namesSet(service.interfaces)} ${ip(service)} daddr ${service.vip}`;
  const mark = `meta mark set ${service.mark}`;
  // Without templates nothing says where a packet in mid-stream belongs.
  if (service.knownS === undefined) return [`${to} tcp dport ${opened(service)} ${SYN} ${mark}`];
  const [set, from] = [`@${knownSetName(service.name)}`, clientOf(service)];
  const known = `${from} ${set}`;
  const active = `${to} tcp dport ${portsSet(service.activePorts)} ${FLAGS} == syn | ack ${known} ${mark}`;
  return [
    `${to} tcp dport ${opened(service)} ${SYN} ${mark} add ${set} { ${from} timeout ${KNOWN_BY_SYN} }`,
    `${to} tcp dport ${rangesSet(service.controlPorts)} ${FLAGS} == ack ${known} update ${set} { ${from} timeout ${service.knownS}s }`,
    ...(service.activePorts.length > 0 ? [active] : []),
    ...(adopting ? [`${to} tcp dport ${rangesSet(ofVip(service))} tcp flags & (syn | rst) == 0 ${known} ${mark}`] : []),
  ];
}

/**
 * To the VIP, not masquerade: the interface's own address is not what the client talks to, and
 * changes at takeover.
 */
function natRules({ ip: family, interfaces, services }: Group): string[] {
  const entries = services
    .filter(service => !answersItself(service))
    .flatMap(service =>
      serverPlaces(service, service.activePorts.map(single)).map(one => ({ ...one, value: service.vip })),
    );
  if (entries.length === 0) return [];
  return [`oifname ${namesSet(interfaces)} snat ${family} to ${family} saddr . tcp sport map ${portMap(entries)}`];
}

/**
 * A SYN, or the SYN+ACK of active mode, on its way to a server is told to the connection sync
 * (sync/kernel/syn-reports.ts). IPVS has chosen the server by now: under DR it is the next hop, in
 * a tunnel the outer destination. The inner header is found at a fixed place; who sends options of
 * IP is told of by the kernel's own sync, a little later.
 */
function synReportRules(service: FirewallService): string[] {
  if (!answersItself(service)) return [];
  const inner = `tcp flags & (fin | syn | rst) == syn`;
  const tunnelled = `@nh,${familyOf(service.vip) === 6 ? 744 : 424},8 & 0x07 == 0x02`;
  const way = (server: Address) => (service.forwarding === 'dr' ? `rt ${ip(service)} nexthop ${server}` : tunnelled);
  return service.servers.map(server => {
    const to = `meta mark ${service.mark} ${forwarded({ ...service, servers: [server] }, inner)} ${way(server)}`;
    return `${to} ${SYN_REPORT_LIMIT} log prefix "${service.mark} ${server}" snaplen 128 group ${SYN_GROUP}`;
  });
}

/** A flood must not take the router's time. */
const SYN_REPORT_LIMIT = 'limit rate 5000/second burst 5000 packets';

/**
 * What IPVS did not take has no state here: never answer it (a reset would kill a transfer whose
 * state comes late). Answers to what this router itself opened from the VIP pass; those of IPVS's
 * own connections, which conntrack knows too (`vs.conntrack`), do not.
 */
function guardInRules({ ip: family, services }: Family, transport: Transport): string[] {
  const ours = services.flatMap(service => places(service.vip, guarded(service, service.openedPorts)));
  return [`${family} daddr . ${transport} dport ${portSet(ours)} jump ${guardName('in', family)}`];
}

function guardInChain({ ip: family, services }: Family): string[] {
  const vips = [...new Set(services.map(({ vip }) => vip))];
  const own = `ct original ${family} saddr . ${family} daddr { ${vips.map(vip => `${vip} . ${vip}`).join(', ')} }`;
  return [`\tchain ${guardName('in', family)} {`, `\t\tct direction reply ${own} accept`, '\t\tcounter drop', '\t}'];
}

type Family = Pick<Group, 'ip' | 'services'>;

function guardName(way: 'in' | 'out', family: 'ip' | 'ip6', transport: Transport = 'tcp'): string {
  return `guard_${way}_${family}${transport === 'udp' ? '_udp' : ''}`;
}

/**
 * What would leave for the clients with the real server's own address. Of a connection that
 * conntrack knows to be with the VIP: it should have been translated, and IPVS has lost it. Else
 * connections that hosts opened to or from the server itself are let through, packets that belong
 * to no connection known here are not.
 */
function guardOutRules({ ip: family, interfaces, services }: Group, transport: Transport): string[] {
  const theirs = services
    .filter(service => !answersItself(service))
    .flatMap(service => serverPlaces(service, guarded(service, service.serverPorts)));
  if (theirs.length === 0) return [];
  return [
    `oifname ${namesSet(interfaces)} ${family} saddr . ${transport} sport ${portSet(theirs)} jump ${guardName('out', family, transport)}`,
  ];
}

function guardOutChain({ ip: family, services }: Family, transport: Transport): string[] {
  const natted = services.filter(service => !answersItself(service));
  const pairs = [...new Set(natted.flatMap(({ vip, servers }) => servers.map(server => `${server} . ${vip}`)))];
  if (pairs.length === 0) return [];
  const between = (direction: string) => `${family} saddr . ct ${direction} ${family} daddr { ${pairs.join(', ')} }`;
  return [
    `\tchain ${guardName('out', family, transport)} {`,
    `\t\t${between('original')} counter drop`,
    `\t\t${between('reply')} counter drop`,
    // Of UDP nothing tells an answer from what a server begins itself.
    ...(transport === 'udp'
      ? []
      : ['\t\tct direction reply accept', `\t\tct state { invalid, new, untracked } ${FLAGS} != syn counter drop`]),
    '\t}',
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

/** All that are the service's, of the others on its VIP none. */
function ofVip({ activePorts, openedPorts: ranges }: FirewallService): readonly PortRange[] {
  return [...activePorts.map(single), ...ranges];
}

function guarded({ isFtp, activePorts }: FirewallService, ranges: readonly PortRange[]): readonly PortRange[] {
  // Port 20 also where active mode is not served: a server may try it all the same.
  const low = new Set([...(isFtp ? [20] : []), ...activePorts]);
  const isOpened = (port: number) => ranges.some(({ first, last }) => port >= first && port <= last);
  return [...[...low].filter(port => !isOpened(port)).map(single), ...ranges];
}
