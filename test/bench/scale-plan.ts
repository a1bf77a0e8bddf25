// What scripts/bench scale measures: the config of many services, and the table. Pure.

/** Services of a VIP; each has a control port and a passive range of its own. */
const PER_VIP = 4;
/** Mark of service number 0. */
const FIRST_MARK = 1_000;

export interface Size {
  readonly services: number;
  /** Of each service. */
  readonly servers: number;
}

export interface BenchService {
  readonly name: string;
  readonly vip: string;
  readonly mark: number;
  readonly controlPort: number;
  readonly activePort: number;
  readonly passive: { readonly first: number; readonly last: number };
  readonly servers: readonly string[];
}

/** Service number `index`, from 0. The servers of a VIP serve all its services. */
export function serviceAt(index: number, { servers }: Size): BenchService {
  const [vip, slot] = [Math.floor(index / PER_VIP), index % PER_VIP];
  const [controlPort, first] = [21 + 100 * slot, 20_000 + 1_000 * slot];
  return {
    name: `ftp${index + 1}`,
    vip: `192.0.2.${100 + vip}`,
    mark: FIRST_MARK + index,
    controlPort,
    activePort: controlPort - 1,
    passive: { first, last: first + 999 },
    servers: Array.from({ length: servers }, (_, n) => `198.18.${1 + vip}.${1 + n}`),
  };
}

export function servicesOf(size: Size): readonly BenchService[] {
  return Array.from({ length: size.services }, (_, index) => serviceAt(index, size));
}

/** Weight of the first server of the first service; all others have 1. */
export function tandemConfig(size: Size, keyFile: string, weight = 1): string {
  const services = servicesOf(size);
  const vips = [...new Set(services.map(({ vip }) => vip))];
  return `pair: lab
routers: { r1: { priority: 110 }, r2: {} }
lans:
  clients: { interface: c0, addresses: { r1: 192.0.2.2/24, r2: 192.0.2.3/24 }, vips: [${vips.join(', ')}] }
  servers: { interface: s0, addresses: { r1: 198.18.0.2/16, r2: 198.18.0.3/16 }, gateways: [198.18.0.1] }
heartbeat: { links: [clients, servers], key_file: ${keyFile} }
ipvs: { audit: "0 0 0 1 1 *" }
services:
${services.map((service, index) => serviceText(service, index === 0 ? weight : 1)).join('')}`;
}

function serviceText(
  { name, vip, mark, controlPort, activePort, passive, servers }: BenchService,
  weight: number,
): string {
  const one = (address: string, n: number) => `s${n + 1}: { address: ${address}, weight: ${n === 0 ? weight : 1} }`;
  return `  ${name}:
    vip: ${vip}
    servers_lan: servers
    mark: ${mark}
    control_port: ${controlPort}
    active_port: ${activePort}
    passive_ports: ${passive.first}-${passive.last}
    check: { interval: 60s, until: connect, rise: 1 }
    servers: { ${servers.map(one).join(', ')} }
`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** One packet through one path, with each number of services: nanoseconds of each round. */
export interface PacketCase {
  readonly name: string;
  readonly ns: Readonly<Record<'none' | 'one' | 'many', readonly number[]>>;
}

/** Ratios are medians over the rounds, of figures measured one right after the other. */
export function packetTable(cases: readonly PacketCase[], services: number): string {
  const ratio = (of: readonly number[], to: readonly number[]) =>
    median(of.map((value, n) => value / (to[n] as number)));
  return [
    `| packet | no rules ns | 1 service ns | ${services} services ns | ${services} to 1 |`,
    '|---|---|---|---|---|',
    ...cases.map(({ name, ns: { none, one, many } }) => {
      const cells = [none, one, many].map(values => median(values).toFixed(0));
      return `| ${name} | ${cells.join(' | ')} | ${ratio(many, one).toFixed(2)} |`;
    }),
  ].join('\n');
}
