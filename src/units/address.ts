// IP addresses and networks, IPv4 and IPv6, in one canonical spelling. Pure; ipaddr.js does the
// reading.
import ipaddr from 'ipaddr.js';

/** An IPv4 or IPv6 address in canonical text (RFC 5952 for IPv6). */
export type Address = string & { readonly __unit: 'address' };

/** An address with a prefix length: "192.0.2.2/24". The host part is kept. */
export type Cidr = string & { readonly __unit: 'cidr' };

export type Family = 4 | 6;

const CANONICAL_4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/**
 * Canonical address, or undefined when the text is not a plain IPv4 or IPv6 address (no zone, no
 * port, no octal).
 */
export function parseAddress(text: string): Address | undefined {
  if (CANONICAL_4.test(text)) return text as Address;
  if (text.includes('%') || text.includes('/')) return undefined;
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text).toString() as Address;
  if (text.includes(':') && ipaddr.IPv6.isValid(text)) {
    return ipaddr.IPv6.parse(text).toRFC5952String() as Address;
  }
  return undefined;
}

/** Canonical "address/prefix", or undefined. The prefix length must be written. */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const address = match && parseAddress(match[1] as string);
  if (!match || !address) return undefined;
  const prefix = Number(match[2]);
  return prefix <= (familyOf(address) === 4 ? 32 : 128) ? (`${address}/${prefix}` as Cidr) : undefined;
}

export function familyOf(address: Address | Cidr): Family {
  return address.includes(':') ? 6 : 4;
}

/** The bytes of an address in network order, as hexadecimal digits. */
export function hexOf(address: Address): string {
  return Buffer.from(ipaddr.parse(address).toByteArray()).toString('hex');
}

/** The address part of "address/prefix". */
export function addressOf(cidr: Cidr): Address {
  return cidr.slice(0, cidr.indexOf('/')) as Address;
}

export function prefixOf(cidr: Cidr): number {
  return Number(cidr.slice(cidr.indexOf('/') + 1));
}

/** "255.255.255.0" for 24, "ffff:ffff::" for 32 of IPv6. */
export function netmask(prefix: number, family: Family = 4): string {
  if (family === 4) return ipaddr.IPv4.subnetMaskFromPrefixLength(prefix).toString();
  return ipaddr.IPv6.subnetMaskFromPrefixLength(prefix).toRFC5952String();
}

/** The address with nothing behind its first `prefix` bits. */
export function networkAddress(address: Address, prefix: number): Address {
  const cidr = `${address}/${prefix}`;
  if (familyOf(address) === 4) return ipaddr.IPv4.networkAddressFromCIDR(cidr).toString() as Address;
  return ipaddr.IPv6.networkAddressFromCIDR(cidr).toRFC5952String() as Address;
}

/** Not 0/8, 127/8, nor from 224/3 on: of IPv4 nothing else is special. */
const ORDINARY_4 = /^(?!0\.|127\.|22[4-9]\.|2[3-5]\d\.)\d+\.\d+\.\d+\.\d+$/;

/** What makes an address none of a host's, in words; undefined: it may be one's. */
export function specialUse(address: Address): string | undefined {
  if (ORDINARY_4.test(address)) return undefined;
  switch (ipaddr.parse(address).range()) {
    case 'unspecified':
      return 'unspecified ("this host")';
    case 'broadcast':
      return 'the broadcast address';
    case 'multicast':
      return 'a multicast address';
    case 'loopback':
      return 'a loopback address';
    case 'ipv4Mapped':
      return 'an IPv4 address in IPv6 spelling';
    default:
      return undefined;
  }
}

/** fe80::/10: means something on one interface only. */
export function isLinkLocal(address: Address | Cidr): boolean {
  return familyOf(address) === 6 && /^fe[89ab]/i.test(address);
}

/**
 * First and last address of a network, where they are none of a host's: not in /31 and /32; IPv6
 * has no last one.
 */
export function ends(cidr: Cidr): { readonly first?: Address; readonly last?: Address } {
  const six = familyOf(cidr) === 6;
  if (prefixOf(cidr) >= (six ? 127 : 31)) return {};
  if (six) return { first: ipaddr.IPv6.networkAddressFromCIDR(cidr).toRFC5952String() as Address };
  const [first, last] = [ipaddr.IPv4.networkAddressFromCIDR(cidr), ipaddr.IPv4.broadcastAddressFromCIDR(cidr)];
  return { first: first.toString() as Address, last: last.toString() as Address };
}

/** Whether `address` lies in the network of `cidr` (same family and same leading bits). */
export function contains(cidr: Cidr, address: Address): boolean {
  if (familyOf(cidr) !== familyOf(address)) return false;
  if (familyOf(address) === 4) {
    const behind = 2 ** (32 - prefixOf(cidr));
    return Math.floor(number4(addressOf(cidr)) / behind) === Math.floor(number4(address) / behind);
  }
  const network = ipaddr.parse(addressOf(cidr));
  const candidate = ipaddr.parse(address);
  return candidate.match(network as never, prefixOf(cidr));
}

function number4(address: Address): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** An address as it stands before a port: IPv6 in brackets. */
export function hostPort(address: Address, port: number): string {
  return familyOf(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}
