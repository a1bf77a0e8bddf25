// The private veth on which this router's kernel reports its connections to the director: what it
// should look like, and what is left to do about it. Pure. Nothing is ever sent on it but the
// kernel's sync messages, and it leads nowhere.

/** The end that the kernel's master daemon sends on, and the end that the director hears. */
export const MASTER_END = 'tandem-sync0';
const LISTENER_END = 'tandem-sync1';

/**
 * Pairs of link-local addresses (RFC 3927) to choose from: the first that nobody here has. As /32,
 * so that they are no route to anywhere; with scope global, because the kernel binds its master to
 * an address of that scope only, else to one of another interface (seen; inet_select_addr in
 * bind_mcastif_addr, ip_vs_sync.c).
 */
const CANDIDATES: readonly (readonly [string, string])[] = [84, 117, 198, 231].flatMap(third =>
  [80, 82].map(last => [`169.254.${third}.${last}`, `169.254.${third}.${last + 1}`] as const),
);

/** What `ip -j -d address show` tells of an interface. */
interface InterfaceLine {
  readonly name: string;
  /** Kind of a virtual one ("veth"); '' for others. */
  readonly kind: string;
  /** The other end of a veth in this namespace; '' when there is none. */
  readonly peer: string;
  readonly up: boolean;
  /** IPv4 addresses, without prefix length. */
  readonly addresses: readonly string[];
}

export interface LinkPlan {
  /** Addresses of the master's and of the listener's end. */
  readonly masterAddress: string;
  readonly listenerAddress: string;
  /**
   * The kernel's master is bound to what was there before, or to nothing: it must be started after
   * this.
   */
  readonly renewsMaster: boolean;
  /** Lines for `ip -batch`, before the settings are written and after. */
  readonly create: readonly string[];
  readonly finish: readonly string[];
  /** Each a clause. */
  readonly changes: readonly string[];
}

/** Reads `ip -j -d address show`; throws a SyntaxError when it is not what ip writes. */
export function parseInterfaceLines(json: string): readonly InterfaceLine[] {
  const list: unknown = JSON.parse(json === '' ? '[]' : json);
  if (!Array.isArray(list)) throw new SyntaxError('ip -j address show wrote no list');
  return list.filter(isRecord).map(line => ({
    name: textOf(line.ifname),
    kind: isRecord(line.linkinfo) ? textOf(line.linkinfo.info_kind) : '',
    peer: textOf(line.link),
    up: Array.isArray(line.flags) && line.flags.includes('UP'),
    addresses: (Array.isArray(line.addr_info) ? line.addr_info : [])
      .filter(isRecord)
      .filter(address => address.family === 'inet')
      .map(address => textOf(address.local)),
  }));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** What to do so that the link is there and up; a sentence when it cannot be had. */
export function planLink(interfaces: readonly InterfaceLine[]): LinkPlan | string {
  const master = interfaces.find(line => line.name === MASTER_END);
  const listener = interfaces.find(line => line.name === LISTENER_END);
  const foreign = foreignEnd(master, listener);
  if (foreign !== undefined) return foreign;
  const pair = pairFor(interfaces, master, listener);
  if (pair === undefined) {
    return `all link-local address pairs that Tandem may use for its private interface are taken (${CANDIDATES.map(([first]) => first).join(', ')} …); free one of them`;
  }
  const [masterAddress, listenerAddress] = pair;
  const create = master === undefined ? [`link add ${MASTER_END} type veth peer name ${LISTENER_END}`] : [];
  const finish = [...endLines(MASTER_END, master, masterAddress), ...endLines(LISTENER_END, listener, listenerAddress)];
  const changes = master === undefined ? [`make the private interface ${MASTER_END}`] : [];
  if (master !== undefined && finish.length > 0) changes.push(`repair the private interface ${MASTER_END}`);
  const renewsMaster = !master?.addresses.includes(masterAddress);
  return { masterAddress, listenerAddress, renewsMaster, create, finish, changes };
}

/** Interfaces of our names that are not our pair are somebody's: they stay. */
function foreignEnd(master: InterfaceLine | undefined, listener: InterfaceLine | undefined): string | undefined {
  if (master === undefined && listener === undefined) return undefined;
  const whole = master?.kind === 'veth' && listener?.kind === 'veth' && master.peer === LISTENER_END;
  if (whole) return undefined;
  const there = [master, listener].flatMap(line => (line === undefined ? [] : [line.name])).join(' and ');
  return `${there} exists but is not Tandem's veth pair ${MASTER_END}/${LISTENER_END}; remove it (\`ip link delete ${there.split(' ')[0]}\`) or rename it`;
}

function pairFor(
  interfaces: readonly InterfaceLine[],
  master: InterfaceLine | undefined,
  listener: InterfaceLine | undefined,
): readonly [string, string] | undefined {
  const adopted = CANDIDATES.find(([one, two]) => master?.addresses.includes(one) && listener?.addresses.includes(two));
  if (adopted) return adopted;
  const others = interfaces.filter(line => line !== master && line !== listener).flatMap(line => line.addresses);
  return CANDIDATES.find(([one, two]) => !others.includes(one) && !others.includes(two));
}

function endLines(name: string, line: InterfaceLine | undefined, address: string): string[] {
  return [
    ...(line?.addresses.includes(address) ? [] : [`address replace ${address}/32 dev ${name}`]),
    ...(line?.up ? [] : [`link set ${name} up`]),
  ];
}

/** A setting of one interface, by its path below /proc/sys/net. */
export interface LinkSetting {
  readonly path: string;
  readonly value: string;
  /** A kernel without IPv6 has none of its settings, and needs none. */
  readonly optional: boolean;
}

/**
 * The listener's end takes packets from this router's own address; rp_filter 2 is what lets it,
 * also when all.rp_filter is 1 (the larger of the two counts).
 */
export const LINK_SETTINGS: readonly LinkSetting[] = [
  ...[MASTER_END, LISTENER_END].map(name => ({
    path: `ipv6/conf/${name}/disable_ipv6`,
    value: '1',
    optional: true,
  })),
  { path: `ipv4/conf/${LISTENER_END}/accept_local`, value: '1', optional: false },
  { path: `ipv4/conf/${LISTENER_END}/rp_filter`, value: '2', optional: false },
];
