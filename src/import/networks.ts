// Which addresses lie in one network, as far as an old config or this machine tells; and examples
// of addresses where nothing does. Pure.
import {
  type Address,
  addressOf,
  type Cidr,
  contains,
  ends,
  type Family,
  familyOf,
  networkAddress,
  prefixOf,
} from '../units/address.ts';

/** What `ip -json addr` says of one interface. */
export interface HostInterface {
  readonly name: string;
  readonly addresses: readonly Cidr[];
}

/** Networks that nobody tells the size of are taken for this large. */
const USUAL_PREFIX: Readonly<Record<Family, number>> = { 4: 24, 6: 64 };

export function cidrOf(address: Address, prefix: number): Cidr {
  return `${address}/${prefix}` as Cidr;
}

/** Whether two addresses look like neighbours. */
export function areNear(a: Address, b: Address): boolean {
  return familyOf(a) === familyOf(b) && contains(cidrOf(a, USUAL_PREFIX[familyOf(a)]), b);
}

/** The length of the smallest usual network that has all of them, and none at its ends. */
export function examplePrefix(addresses: readonly Address[]): number {
  const [first] = addresses;
  if (first === undefined) return USUAL_PREFIX[4];
  const fits = (prefix: number) => {
    const cidr = cidrOf(first, prefix);
    const { first: low, last: high } = ends(cidr);
    return addresses.every(other => contains(cidr, other) && other !== low && other !== high);
  };
  for (let prefix = USUAL_PREFIX[familyOf(first)]; prefix > 1; prefix--) if (fits(prefix)) return prefix;
  return 1;
}

/**
 * A free address of the network of `near`, from its end downwards; it is added to `used`.
 * Undefined:
 * none of the last 250 is free.
 */
export function exampleAddress(near: Address, prefix: number, used: Set<Address>): Address | undefined {
  for (let back = 2; back < 252; back++) {
    const candidate = fromEnd(near, prefix, back);
    if (candidate === undefined || used.has(candidate)) continue;
    used.add(candidate);
    return candidate;
  }
  return undefined;
}

function fromEnd(near: Address, prefix: number, back: number): Address | undefined {
  const network = networkAddress(near, prefix);
  if (familyOf(near) === 6) {
    const [head] = network.split('::');
    const groups = (head ?? '').split(':').slice(0, 4);
    while (groups.length < 4) groups.push('0');
    return prefix <= 64 ? (`${groups.join(':')}::${(0x200 - back).toString(16)}` as Address) : undefined;
  }
  const size = 2 ** (32 - prefix);
  if (back >= size) return undefined;
  const value = network.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0) + size - back;
  return [24, 16, 8, 0].map(shift => Math.floor(value / 2 ** shift) % 256).join('.') as Address;
}

/** Reads the output of `ip -json addr`; undefined when it is none. Loopback is left out. */
export function readHostInterfaces(
  json: string,
  parse: (text: string) => Cidr | undefined,
): HostInterface[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  return value.slice(0, 4_096).flatMap((item: unknown): HostInterface[] => {
    const { ifname, addr_info: list, link_type: type } = (item ?? {}) as Record<string, unknown>;
    if (typeof ifname !== 'string' || type === 'loopback' || !Array.isArray(list)) return [];
    const addresses = list.slice(0, 4_096).flatMap((entry: unknown): Cidr[] => {
      const { local, prefixlen } = (entry ?? {}) as Record<string, unknown>;
      const cidr = parse(`${local}/${prefixlen}`);
      return cidr === undefined ? [] : [cidr];
    });
    // eth0.5@eth0 is shown without what it stands on.
    return [{ name: (ifname.split('@')[0] ?? ifname).slice(0, 15), addresses }];
  });
}

/**
 * The addresses of an interface that are a router's own there: none of `virtual`, no single hosts.
 */
export function ownCidrs({ addresses }: HostInterface, virtual: ReadonlySet<Address>): Cidr[] {
  return addresses.filter(cidr => !virtual.has(addressOf(cidr)) && prefixOf(cidr) < (familyOf(cidr) === 4 ? 32 : 128));
}
