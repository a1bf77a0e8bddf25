// The pair's config file for the lab's topology, as text. Pure.
import {
  DIRECT_ADDRESSES,
  DIRECT_ADDRESSES6,
  FILE_SERVERS,
  type FileServer,
  GATEWAY,
  GATEWAY6,
  SERVER_ADDRESSES,
  SERVER_ADDRESSES6,
  VIP,
  VIP6,
} from './topology.ts';

export interface ConfigOptions extends Times, ServiceOptions {
  readonly keyFile: string;
  /** Further lines at the end, e.g. an `ipvs:` section. */
  readonly more?: string;
  /** Addresses that are asked all the time, by LAN; default none. */
  readonly targets?: Readonly<Partial<Record<'clients' | 'servers' | 'cross', readonly string[]>>>;
  /** The LANs of the pair; default all three. */
  readonly lans?: readonly LabLan[];
  /** The LANs that carry heartbeats; default all of the pair. */
  readonly links?: readonly LabLan[];
  /** Further keys of the section `heartbeat`. */
  readonly heartbeat?: Readonly<Record<string, string>>;
}

type LabLan = 'clients' | 'servers' | 'cross';

export interface ServiceOptions {
  /** The LANs' IPv6 addresses, and a second service on an IPv6 VIP; the topology must have them. */
  readonly ipv6?: boolean;
  /** How packets get to the servers; default nat. For dr and tun the topology must be `direct`. */
  readonly forwarding?: 'nat' | 'dr' | 'tun';
  /** The same of the IPv6 service; default as the other. */
  readonly forwarding6?: 'nat' | 'dr' | 'tun';
  /** What PASV has to name for the IPv4 VIP; default the VIP. */
  readonly announce?: string;
  /** How long a client stays with its server; default the config's own. */
  readonly persistence?: string;
  /** Further fields of the services, by name, "field: value, field: value". */
  readonly fields?: Readonly<Partial<Record<'ftp' | 'ftp6', string>>>;
  /** Further fields of the services' checks, "field: value, field: value". */
  readonly check?: string;
  /** The services' real servers; default all three. */
  readonly hosts?: readonly FileServer[];
  /** What stands in the section `sync`, as one YAML value; default: no such section. */
  readonly sync?: string;
}

export interface Times {
  readonly interval: string;
  readonly lease: string;
  readonly dead: string;
}

/**
 * H, L, D that hold where a busy host makes everything late: in an emulated machine (seen: timers of 20 ms up to 180 ms late), and on
 * User Mode Linux in real time.
 */
export const EMULATION_TIMES: Times = { interval: '200ms', lease: '700ms', dead: '1s' };
/** The defaults, for a lab on the host's own kernel, and in virtual time, where nothing is late. */
export const HOST_TIMES: Times = { interval: '100ms', lease: '220ms', dead: '300ms' };

/** Whether this lab's clock stands still while anything runs, so that times may be asserted (test/lab/lab: --time inf-cpu). */
export const TIMES_ARE_EXACT = process.env.LAB_TIME === 'inf-cpu';
/** Whether this lab's processors are the host's own, or as good. */
const TIMES_HOLD = TIMES_ARE_EXACT || process.env.LAB_MACHINE === 'direct' || process.env.LAB_MACHINE === undefined;

/** H, L, D that the lab's machine can keep. */
export function labTimes(): Times {
  return TIMES_HOLD ? HOST_TIMES : EMULATION_TIMES;
}

/** The config, identical for both routers. r1 has the higher priority. */
export function labConfig(options: ConfigOptions): string {
  return `${pairConfig(options)}${serviceConfig(options)}${options.more ?? ''}`;
}

/** The pair without any service: what pulse alone needs. */
export function pairConfig(options: ConfigOptions): string {
  const { interval, lease, dead, keyFile, ipv6 = false, targets = {}, heartbeat = {} } = options;
  const {
    lans = ['clients', 'servers', 'cross'],
    links = lans,
    forwarding = 'nat',
    forwarding6 = forwarding,
  } = options;
  const natted = forwarding === 'nat' || forwarding6 === 'nat';
  const own = (four: string, six: string): string => (ipv6 ? `["${four}/24", "${six}/64"]` : `${four}/24`);
  const list = (four: string, six: string): string => (ipv6 ? `["${four}", "${six}"]` : `[${four}]`);
  const asked = (lan: keyof typeof targets): string => {
    const addresses = (targets[lan] ?? []).map(address => `"${address}"`);
    return addresses.length === 0 ? '' : `\n    targets: [${addresses.join(', ')}]`;
  };
  const further = Object.entries(heartbeat).map(([key, value]) => `  ${key}: ${value}\n`);
  const lanText: Readonly<Record<LabLan, string>> = {
    clients: `  clients:
    interface: c0
    addresses: { r1: ${own('192.0.2.2', '2001:db8:1::2')}, r2: ${own('192.0.2.3', '2001:db8:1::3')} }
    vips: ${list(VIP, VIP6)}${asked('clients')}
`,
    servers: `  servers:
    interface: s0
    addresses: { r1: ${own('198.51.100.2', '2001:db8:2::2')}, r2: ${own('198.51.100.3', '2001:db8:2::3')} }
${natted ? `    gateways: ${list(GATEWAY, GATEWAY6)}` : '    gateways: []'}${asked('servers')}
`,
    cross: `  cross:
    interface: x0
    addresses: { r1: ${own('203.0.113.1', '2001:db8:3::1')}, r2: ${own('203.0.113.2', '2001:db8:3::2')} }${asked('cross')}
`,
  };
  return `pair: lab
routers:
  r1: { priority: 110 }
  r2: { priority: 100 }
lans:
${lans.map(lan => lanText[lan]).join('')}heartbeat:
  links: [${links.join(', ')}]
  interval: ${interval}
  lease: ${lease}
  dead: ${dead}
  key_file: ${keyFile}
${further.join('')}`;
}

function serviceConfig(options: ServiceOptions): string {
  const { ipv6 = false, persistence, sync, forwarding = 'nat', forwarding6 = forwarding, fields = {} } = options;
  const { announce, check, hosts = FILE_SERVERS } = options;
  const announced = announce === undefined ? '' : `    announce: ${announce}\n`;
  const further = (name: 'ftp' | 'ftp6') =>
    (fields[name] ?? '')
      .split(', ')
      .map(field => (field === '' ? '' : `    ${field}\n`))
      .join('');
  const four = forwarding === 'dr' ? DIRECT_ADDRESSES : SERVER_ADDRESSES;
  const sixes = forwarding6 === 'dr' ? DIRECT_ADDRESSES6 : SERVER_ADDRESSES6;
  const one = (
    name: 'ftp' | 'ftp6',
    vip: string,
    mark: number,
    addresses: Readonly<Record<FileServer, string>>,
    method: string,
  ): string => `  ${name}:
    vip: "${vip}"
    ${method === 'nat' ? 'servers_lan: servers' : `forwarding: ${method}`}
    mark: ${mark}
${name === 'ftp' ? announced : ''}${further(name)}${persistence === undefined ? '' : `    persistence: ${persistence}\n`}    check: { interval: 10s, timeout: 15s, stage_timeout: 8s, rise: 1, fetch: whoami${check === undefined ? '' : `, ${check}`} }
    servers:
${hosts.map(host => `      ${host}: { address: "${addresses[host]}" }`).join('\n')}
`;
  const six = ipv6 ? one('ftp6', VIP6, 22, sixes, forwarding6) : '';
  const section = sync === undefined ? '' : `sync: ${sync}\n`;
  return `${section}services:\n${one('ftp', VIP, 21, four, forwarding)}${six}`;
}
