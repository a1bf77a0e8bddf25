// Reads addresses as tools print them (inet_ntop), straight into raw form: conntrack's events bring
// four in a line, thousands of lines a second, and ipaddr.js takes 20 times as long for IPv6. Says
// the same as units/address.ts for these spellings; its test compares. Pure.
import type { RawAddress } from '../table/entry.ts';

const IPV4 = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;
const IPV6_LENGTH_MAX = 39;
const GROUP = /^[0-9a-f]{1,4}$/i;
const GROUPS = 8;

/**
 * The address in raw form; undefined when the text is none, has a zone, or writes IPv4 inside IPv6
 * (never on a real link).
 */
export function rawOfText(text: string): RawAddress | undefined {
  return text.includes(':') ? rawOfIpv6(text) : rawOfIpv4(text);
}

function rawOfIpv4(text: string): RawAddress | undefined {
  const match = IPV4.exec(text);
  if (match === null) return undefined;
  const numbers = match.slice(1).map(Number);
  if (numbers.some(number => number > 0xff)) return undefined;
  return numbers.map(number => number.toString(16).padStart(2, '0')).join('') as RawAddress;
}

function rawOfIpv6(text: string): RawAddress | undefined {
  if (text.length > IPV6_LENGTH_MAX) return undefined;
  const [before = '', after, more] = text.split('::');
  if (more !== undefined) return undefined;
  const head = groupsOf(before);
  const tail = after === undefined ? [] : groupsOf(after);
  const left = GROUPS - head.length - tail.length;
  if (after === undefined ? left !== 0 : left < 1) return undefined;
  if (!head.every(isGroup) || !tail.every(isGroup)) return undefined;
  const digits = [...head, ...Array<string>(left).fill('0'), ...tail].map(group => group.padStart(4, '0'));
  return digits.join('').toLowerCase() as RawAddress;
}

function groupsOf(text: string): string[] {
  return text === '' ? [] : text.split(':');
}

function isGroup(group: string): boolean {
  return GROUP.test(group);
}
