// The real servers of an ldirectord virtual: one line for a server or for a range of addresses,
// each with a forwarding method of its own. Pure. Source: ldirectord.in (parse_real).
import { type Address, familyOf, parseAddress } from '../units/address.ts';
import type { Directive } from './directive.ts';
import type { Notes } from './note.ts';
import { decimal, portOf } from './numbers.ts';
import type { OldServer, OldService } from './old-config.ts';

type Forwarding = OldService['forwarding'];

const FORWARDING: Readonly<Record<string, Forwarding>> = { gate: 'dr', masq: 'nat', ipip: 'tun' };
const RANGE_MAX = 256;
/** More than a pair has. */
const SERVERS_MAX = 2_000;
const REAL =
  /^(?:\[([^\]]+)\](?:->\[([^\]]+)\])?|([^\s:>[\]]+?)(?:->([^\s:]+))?)(?::([\w-]+))?(?:\s+(\w+))?(?:\s+(.*))?$/;

interface Virtual {
  readonly port: number;
  readonly mark: number | undefined;
}

/** The servers of a virtual, and the forwarding method of most of them. */
export function serversOf(
  children: readonly Directive[],
  virtual: Virtual,
  notes: Notes,
  path: readonly string[],
): { readonly servers: readonly OldServer[]; readonly forwarding: Forwarding } {
  const lines = children.filter(({ keyword }) => keyword === 'real' || keyword === 'real6');
  const found: Found[] = [];
  for (const line of lines) {
    if (found.length >= SERVERS_MAX) {
      notes.lost(line, `there are more than ${SERVERS_MAX} servers: from here on none is read`, path);
      break;
    }
    found.push(...readReal(line, virtual, notes, path));
  }
  const methods = found.map(({ forwarding }) => forwarding);
  const count = (method: Forwarding) => methods.filter(other => other === method).length;
  const forwarding = (['nat', 'dr', 'tun'] as const).reduce(
    (best, next) => (count(next) > count(best) ? next : best),
    'nat',
  );
  const servers: OldServer[] = [];
  const seen = new Set<string>();
  for (const { server, forwarding: own } of found) {
    if (own !== forwarding)
      notes.lost(server.at, 'one server of a service has another forwarding: it is left out', path);
    else if (seen.has(`${server.address} ${server.port}`))
      notes.unneeded(server.at, 'this server is already in the list', path);
    else {
      seen.add(`${server.address} ${server.port}`);
      servers.push(server);
    }
  }
  return { servers, forwarding };
}

interface Found {
  readonly server: OldServer;
  readonly forwarding: Forwarding;
}

function readReal(at: Directive, { port: vipPort, mark }: Virtual, notes: Notes, path: readonly string[]): Found[] {
  const [, six, sixTo, four, fourTo, portText, method = '', rest = ''] = REAL.exec((at.words[0] ?? '').trim()) ?? [];
  const first = parseAddress(six ?? four ?? '');
  const last = sixTo ?? fourTo;
  const forwarding = FORWARDING[method.toLowerCase()];
  const out = 'this server is left out';
  const addresses = first === undefined ? [] : last === undefined ? [first] : range(first, parseAddress(last));
  if (first === undefined)
    notes.lost(at, `its address is not an IP address, and names are not looked up; ${out}`, path);
  else if (forwarding === undefined) notes.lost(at, `the method is missing (gate, masq or ipip); ${out}`, path);
  else if (addresses.length === 0) notes.lost(at, `this is no range of at most ${RANGE_MAX} addresses; ${out}`, path);
  if (forwarding === undefined) return [];
  const written = portText === undefined ? 0 : (portOf(portText) ?? 0);
  if (forwarding !== 'nat' && mark === undefined && written !== 0 && written !== vipPort)
    notes.changed(at, 'only masq can change the port: ldirectord takes that of the virtual, and so does this', path);
  const weight = decimal(/^\d+/.exec(rest)?.[0]) ?? 1;
  if (weight === 0) {
    notes.lost(at, `its weight is 0; ${out}: write it into servers once it is to serve`, path);
    return [];
  }
  if (rest.includes('"'))
    notes.lost(at, 'its own request and answer: in Tandem all servers of a service have one check', path);
  const limit = (letter: string) => Number(new RegExp(`(?:^|\\s)${letter}:(\\d{1,9})`).exec(rest)?.[1] ?? 0);
  const port = forwarding === 'nat' ? written : 0;
  return addresses.map(address => ({
    server: { name: address, address, port, weight, upper: limit('u'), lower: limit('l'), at },
    forwarding,
  }));
}

/** Addresses from the first to the last of an IPv4 range; of IPv6 only one is taken. */
function range(first: Address, last: Address | undefined): Address[] {
  if (last === undefined || familyOf(first) !== 4 || familyOf(last) !== 4) return [];
  const number = (address: Address) => address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
  const count = number(last) - number(first) + 1;
  if (count < 1 || count > RANGE_MAX) return [];
  return Array.from({ length: count }, (_, index) => {
    const value = number(first) + index;
    return [24, 16, 8, 0].map(shift => Math.floor(value / 2 ** shift) % 256).join('.') as Address;
  });
}
