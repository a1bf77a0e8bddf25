// Under DR and TUN the answers of a real server do not come through the pair. So the standby checks
// the VIP on each server by way of that server: a route of its own for each, which packets take by
// their source port. Pure: config in, ways and lines of `ip -batch` out. Sources: ip-rule(8),
// ip-route(8), ip-link(8).
import { interfaceOf, ownAddressNear } from '../config/node.ts';
import type { Config, ServiceConfig } from '../config/schema.ts';
import { type Address, type Family, familyOf } from '../units/address.ts';

/** The priority of our rules, by which they are found again. */
const RULE_PRIORITY = 20_999;
/** Way n has this table and the n that follow. */
const TABLE_FIRST = 21_000;
/** Above the ports that the kernel gives out by itself. */
const PORT_FIRST = 61_000;
/**
 * A port rests for a minute after use (TIME_WAIT), a check takes two for each control port, and
 * such checks begin 2 s apart at least (nannies.ts).
 */
export const PORTS_PER_WAY = 128;
export const WAYS_MAX = 32;
const DEVICE = 'tandem-way';

/** How a server is reached when its VIP is checked. */
export interface VipWay {
  readonly service: string;
  readonly server: string;
  readonly address: Address;
  readonly vip: Address;
  readonly forwarding: 'dr' | 'tun';
  readonly table: number;
  readonly ports: { readonly first: number; readonly last: number };
  /** This router's own address on the VIP's LAN. */
  readonly source: Address;
  /** The near end of a tunnel: an own address in the server's network, else `source`. */
  readonly local: Address;
  /** The interface of the VIP's LAN, or the tunnel to the server. */
  readonly device: string;
}

interface WaysLook {
  readonly config: Pick<Config, 'lans' | 'services'>;
  readonly node: string;
  /** The kernel's names of interfaces, by those of the config. */
  readonly names: ReadonlyMap<string, string>;
  /** Services whose servers are to be checked that way. */
  readonly checked: ReadonlySet<string>;
}

/** The ways of all servers of these services, WAYS_MAX at most. */
export function waysOf({ config, node, names, checked }: WaysLook): readonly VipWay[] {
  const all = Object.entries(config.services).flatMap(([service, settings]) =>
    checked.has(service) ? waysOfService(config, node, names, service, settings) : [],
  );
  return all.slice(0, WAYS_MAX).map((way, index) => {
    const first = PORT_FIRST + index * PORTS_PER_WAY;
    const device = way.forwarding === 'tun' ? `${DEVICE}${index}` : way.device;
    return { ...way, device, table: TABLE_FIRST + index, ports: { first, last: first + PORTS_PER_WAY - 1 } };
  });
}

function waysOfService(
  { lans }: Pick<Config, 'lans'>,
  node: string,
  names: ReadonlyMap<string, string>,
  service: string,
  { vip, forwarding, servers }: ServiceConfig,
): Omit<VipWay, 'table' | 'ports'>[] {
  const home = Object.values(lans).find(lan => lan.vips.includes(vip));
  const source = home && ownAddressNear(home, node, vip);
  const name = home && interfaceOf(home, node);
  if (forwarding === 'nat' || source === undefined || name === undefined) return [];
  const device = names.get(name) ?? name;
  return Object.entries(servers).map(([server, { address }]) => {
    const near = Object.values(lans).flatMap(lan => ownAddressNear(lan, node, address) ?? []);
    return { service, server, address, vip, forwarding, source, local: near[0] ?? source, device };
  });
}

/** What of the ways is in the kernel. */
export interface WaysInKernel {
  /** Tables that our rules name, by family. */
  readonly tables: Readonly<Record<Family, readonly number[]>>;
  readonly devices: readonly string[];
}

/** Reads `ip -j rule show` of one family; throws when it is something else. */
export function parseRules(json: string): number[] {
  const list = JSON.parse(json) as unknown;
  if (!Array.isArray(list)) throw new TypeError('`ip -j rule show` printed no list');
  return list.flatMap((rule: Record<string, unknown> | null) =>
    rule?.priority === RULE_PRIORITY && /^\d+$/.test(`${rule.table}`) ? [Number(rule.table)] : [],
  );
}

/** Our devices in `ip -j link show`; throws when it is something else. */
export function parseDevices(json: string): string[] {
  const list = JSON.parse(json) as unknown;
  if (!Array.isArray(list)) throw new TypeError('`ip -j link show` printed no list');
  const names = list.map((link: Record<string, unknown> | null) => `${link?.ifname}`);
  return names.filter(name => new RegExp(`^${DEVICE}\\d+$`).test(name));
}

const ofFamily = (ways: readonly VipWay[], family: Family) => ways.filter(({ vip }) => familyOf(vip) === family);

/** Whether all rules and devices are there, and no other ones of ours. */
export function isInKernel(ways: readonly VipWay[], { tables, devices }: WaysInKernel): boolean {
  const same = (one: readonly (number | string)[], other: readonly (number | string)[]) =>
    one.length === other.length && one.every(value => other.includes(value));
  const tunnels = ways.filter(({ forwarding }) => forwarding === 'tun').map(({ device }) => device);
  return (
    ([4, 6] as const).every(family =>
      same(
        tables[family],
        ofFamily(ways, family).map(({ table }) => table),
      ),
    ) && same(devices, tunnels)
  );
}

/** Takes away what is there of ours: lines for `ip -FAMILY -force -batch -`. */
export function removalLines({ tables, devices }: WaysInKernel, family: Family): string[] {
  return [
    ...tables[family].map(() => `rule del pref ${RULE_PRIORITY}`),
    ...[...new Set(tables[family])].map(table => `route flush table ${table}`),
    ...(family === 4 ? devices.map(device => `link del ${device}`) : []),
  ];
}

/** Devices and rules that are not there yet: lines for `ip -FAMILY -batch -`. */
export function additionLines(ways: readonly VipWay[], family: Family): string[] {
  const mine = ofFamily(ways, family);
  // An ip6tnl without a near end sends nothing; an ipip chooses as IPVS does, by the route.
  const kind = (local: Address) => (family === 4 ? 'ipip mode ipip' : `ip6tnl mode ip6ip6 local ${local}`);
  const tunnels = mine.filter(({ forwarding }) => forwarding === 'tun');
  return [
    ...tunnels.flatMap(({ device, address, local }) => [
      `link add ${device} type ${kind(local)} remote ${address}`,
      `link set ${device} up`,
    ]),
    ...mine.map(
      ({ vip, ports: { first, last }, table }) =>
        `rule add pref ${RULE_PRIORITY} to ${vip} ipproto tcp sport ${first}-${last} lookup ${table}`,
    ),
  ];
}

/**
 * Idempotent, since the kernel drops the routes of an interface that goes down. Without its route a
 * check must reach nobody: by the main table it would reach the other router, and so any server.
 */
export function routeLines(ways: readonly VipWay[], family: Family): string[] {
  return ofFamily(ways, family).flatMap(({ vip, forwarding, address, device, table }) => [
    `route replace unreachable ${vip} metric 9999 table ${table}`,
    forwarding === 'dr'
      ? `route replace ${vip} via ${address} dev ${device} table ${table}`
      : `route replace ${vip} dev ${device} table ${table}`,
  ]);
}
