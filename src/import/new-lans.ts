// The LANs of the new config: those of the old one, filled up with what `ip -json addr` of the
// routers says, and where nothing says it with placeholders. Each real server and each VIP is put
// on the LAN that has its network. Pure.

import { VIRTUAL_ADDRESSES_MAX } from '../config/virtual-addresses.ts';
import {
  type Address,
  addressOf,
  type Cidr,
  contains,
  type Family,
  familyOf,
  isLinkLocal,
  prefixOf,
} from '../units/address.ts';
import { withoutControls } from './controls.ts';
import { areNear, cidrOf, exampleAddress, examplePrefix, type HostInterface, ownCidrs } from './networks.ts';
import type { NoteTaker } from './note.ts';
import { Names, type OldAddress, type OldConfig, type OldService } from './old-config.ts';
import { type Draft, FillIn } from './placeholder.ts';

type Both<T> = readonly [T, T];

/** A router's own address as far as it is known. */
interface Own {
  readonly address: Address;
  readonly prefix: number | undefined;
}

export interface LanDraft {
  name: string;
  readonly interfaces: [string | undefined, string | undefined];
  readonly own: Both<Own[]>;
  readonly vips: OldAddress[];
  gateways: OldAddress[];
  /** VIPs that a service has and nobody names. */
  readonly vipsMissing: FillIn[];
  /** Families for which a gateway is needed that nobody names. */
  readonly gatewaysMissing: Set<Family>;
  /** Real servers on it. */
  readonly servers: Set<Address>;
}

interface LansInput {
  readonly old: OldConfig;
  /** The other router's file, if there is one. */
  readonly peer: OldConfig | undefined;
  /** What the two routers' `ip -json addr` say, if they are known. */
  readonly hosts: Both<readonly HostInterface[] | undefined>;
  readonly notes: NoteTaker;
}

/** All LANs, and for each service by its name the LAN that its servers are on (with tun none). */
interface NewLans {
  readonly lans: readonly LanDraft[];
  readonly serversLan: ReadonlyMap<string, LanDraft>;
  /** The VIPs of services of which the file names a mark only. */
  readonly vipsOfMarks: ReadonlyMap<string, Address | FillIn>;
}

const OWN_MAX = 4;

export function newLans(input: LansInput): NewLans {
  const { old, peer, notes } = input;
  const lans = old.lans
    .filter(({ vips, gateways, own }) => vips.length + gateways.length + own[0].length + own[1].length > 0)
    .map((lan): LanDraft => {
      const draft = emptyLan(lan.interface === 'lo' ? undefined : lan.interface);
      draft.vips.push(...lan.vips);
      draft.gateways.push(...lan.gateways);
      draft.own[0].push(...lan.own[0]);
      draft.own[1].push(...lan.own[1]);
      return draft;
    });
  if (peer !== undefined) addPeer(lans, peer);
  for (const lan of lans) addHosts(lan, input);
  for (const service of old.services) placeVip(lans, service, input);
  const serversLan = new Map<string, LanDraft>();
  for (const service of old.services) {
    const lan = placeServers(lans, service, input);
    if (lan !== undefined) serversLan.set(service.name, lan);
  }
  for (const service of old.services.filter(({ forwarding }) => forwarding === 'nat')) {
    const lan = serversLan.get(service.name);
    if (lan !== undefined) needGateway(lan, service, old, notes);
  }
  const vipsOfMarks = placeMarks(lans, serversLan, input);
  if (lans.length === 0) lans.push(emptyLan(undefined));
  limitVirtual(lans, new Set(old.services.map(({ vip }) => vip)), notes);
  nameLans(lans, old, new Set(serversLan.values()));
  return { lans, serversLan, vipsOfMarks };
}

function emptyLan(name: string | undefined): LanDraft {
  return {
    name: '',
    interfaces: [name, name],
    own: [[], []],
    vips: [],
    gateways: [],
    vipsMissing: [],
    gatewaysMissing: new Set(),
    servers: new Set(),
  };
}

function addressesOn(lan: LanDraft): Address[] {
  const listed = [...lan.own[0], ...lan.own[1], ...lan.vips, ...lan.gateways].map(({ address }) => address);
  return [...listed, ...lan.servers];
}

/** The other router's file: its interface and own addresses, on the LAN with the same VIP. */
function addPeer(lans: readonly LanDraft[], peer: OldConfig): void {
  for (const theirs of peer.lans) {
    const lan = lans.find(({ vips }) => vips.some(vip => theirs.vips.some(({ address }) => address === vip.address)));
    if (lan === undefined) continue;
    lan.interfaces[1] = theirs.interface;
    // What this file says of its peer, and what that one says of itself.
    const isKnown = ({ address }: Own) => [...lan.own[0], ...lan.own[1]].some(own => own.address === address);
    lan.own[1].push(...theirs.own[0].filter(own => !isKnown(own)));
    lan.own[0].push(...theirs.own[1].filter(own => !isKnown(own)));
  }
}

/** What the machines themselves say: interface, own addresses, lengths of prefixes. */
function addHosts(lan: LanDraft, { hosts, old }: LansInput): void {
  const virtual = new Set(
    old.lans.flatMap(({ vips, gateways }) => [...vips, ...gateways].map(({ address }) => address)),
  );
  for (const side of [0, 1] as const) {
    const host = hosts[side];
    if (host === undefined) continue;
    const here = addressesOn(lan);
    const isHere = (one: HostInterface) =>
      ownCidrs(one, virtual).some(cidr => here.some(address => contains(cidr, address)));
    const named = host.find(({ name }) => name === lan.interfaces[side]);
    const found =
      named !== undefined && isHere(named) ? named : lan.interfaces[side] === undefined ? host.find(isHere) : undefined;
    if (found === undefined) continue;
    lan.interfaces[side] = found.name;
    addOwnCidrs(
      lan.own[side],
      ownCidrs(found, virtual).filter(cidr => here.some(address => contains(cidr, address))),
    );
  }
}

function addOwnCidrs(own: Own[], cidrs: readonly Cidr[]): void {
  for (const cidr of cidrs) {
    const index = own.findIndex(({ address }) => address === addressOf(cidr));
    const known = { address: addressOf(cidr), prefix: prefixOf(cidr) };
    if (index >= 0) own[index] = known;
    else if (!own.some(other => other.prefix !== undefined && contains(cidr, other.address))) own.push(known);
  }
}

/** The networks of a LAN that are known. */
function networksOn(lan: LanDraft): Cidr[] {
  return [...lan.own[0], ...lan.own[1], ...lan.vips, ...lan.gateways].flatMap(({ address, prefix }) =>
    prefix === undefined ? [] : [cidrOf(address, prefix)],
  );
}

function holds(lan: LanDraft, address: Address): boolean {
  return networksOn(lan).some(cidr => contains(cidr, address));
}

/** Holds it, or has a neighbour of it while nobody tells how large its network is. */
function mayHold(lan: LanDraft, address: Address): boolean {
  if (holds(lan, address)) return true;
  const isKnown = networksOn(lan).some(cidr => familyOf(cidr) === familyOf(address));
  return !isKnown && addressesOn(lan).some(other => areNear(other, address));
}

function placeVip(lans: LanDraft[], { vip, at }: OldService, input: LansInput): void {
  if (vip === undefined || lans.some(({ vips }) => vips.some(({ address }) => address === vip))) return;
  const entry: OldAddress = { address: vip, prefix: undefined, at };
  const known = lans.find(lan => holds(lan, vip));
  const lan = known ?? lanOfHost(lans, [vip], input) ?? unplaced(lans);
  lan.vips.push(entry);
  input.notes.changed(
    at,
    `the file does not say who holds ${vip}; in the new config the active router of the pair does`,
    ['lans'],
  );
}

/** The LAN for VIPs of which nothing is known. */
function unplaced(lans: LanDraft[]): LanDraft {
  const known = lans.find(
    ({ interfaces, vips, own }) => interfaces[0] === undefined && vips.length > 0 && own[0].length === 0,
  );
  if (known !== undefined) return known;
  const lan = emptyLan(undefined);
  lans.push(lan);
  return lan;
}

/** A LAN made of an interface of the first router whose network has one of the addresses. */
function lanOfHost(lans: LanDraft[], addresses: readonly Address[], input: LansInput): LanDraft | undefined {
  const [host] = input.hosts;
  const virtual = new Set(input.old.lans.flatMap(({ vips }) => vips.map(({ address }) => address)));
  const has = (one: HostInterface) =>
    ownCidrs(one, virtual).some(cidr => addresses.some(address => contains(cidr, address)));
  const found = host?.find(has);
  if (found === undefined) return undefined;
  const known = lans.find(({ interfaces }) => interfaces[0] === found.name);
  if (known !== undefined) return known;
  const lan = emptyLan(found.name);
  addOwnCidrs(
    lan.own[0],
    ownCidrs(found, virtual).filter(cidr => addresses.some(address => contains(cidr, address))),
  );
  const theirs = input.hosts[1]?.find(has);
  if (theirs !== undefined) {
    lan.interfaces[1] = theirs.name;
    addOwnCidrs(
      lan.own[1],
      ownCidrs(theirs, virtual).filter(cidr => addresses.some(address => contains(cidr, address))),
    );
  }
  lans.push(lan);
  return lan;
}

function placeServers(lans: LanDraft[], service: OldService, input: LansInput): LanDraft | undefined {
  if (service.forwarding === 'tun') return undefined;
  const addresses = service.servers.map(({ address }) => address).filter(address => !isLinkLocal(address));
  if (addresses.length === 0) return undefined;
  const own = lans.find(({ vips }) => vips.some(({ address }) => address === service.vip));
  // With NAT servers are apart from the clients, with DR on the LAN of the VIP, if either may be.
  const rest = lans.filter(lan => lan !== own);
  const order = own === undefined ? lans : service.forwarding === 'dr' ? [own, ...rest] : [...rest, own];
  const lan =
    order.find(one => addresses.every(address => holds(one, address))) ??
    order.find(one => addresses.every(address => mayHold(one, address))) ??
    lanOfHost(lans, addresses, input) ??
    order.find(one => addresses.some(address => mayHold(one, address))) ??
    newServersLan(lans);
  for (const address of addresses) lan.servers.add(address);
  return lan;
}

function newServersLan(lans: LanDraft[]): LanDraft {
  const lan = emptyLan(undefined);
  lans.push(lan);
  return lan;
}

/** A mark says nothing of an address. With one VIP in the file there is no doubt. */
function placeMarks(
  lans: LanDraft[],
  serversLan: ReadonlyMap<string, LanDraft>,
  { old, notes }: LansInput,
): Map<string, Address | FillIn> {
  const found = new Map<string, Address | FillIn>();
  const named = new Set(old.services.map(({ vip }) => vip));
  const used = new Set(lans.flatMap(addressesOn));
  for (const service of old.services.filter(({ vip }) => vip === undefined)) {
    const { name, at, servers, forwarding } = service;
    const family = familyOf(servers[0]?.address ?? DOCUMENTATION[4]);
    const listed = lans.flatMap(({ vips }) => vips.map(({ address }) => address));
    const free = listed.filter(address => familyOf(address) === family && !named.has(address));
    const [only] = free;
    const path = ['services', name, 'vip'];
    if (only !== undefined && free.length === 1) {
      notes.changed(at, `your rules say for which address the mark is; ${only} is the only one in this file`, path);
      found.set(name, only);
      continue;
    }
    notes.changed(at, 'your rules say for which address the mark is, and this file does not', path);
    const example = free[found.size % Math.max(free.length, 1)];
    if (example !== undefined) {
      found.set(name, new FillIn('the VIP that your rules give this mark, one of the vips above', example));
      continue;
    }
    const lan =
      (forwarding === 'dr' ? serversLan.get(name) : undefined) ??
      lans.find(({ vips }) => vips.length > 0) ??
      unplaced(lans);
    const near = addressesOn(lan).find(address => familyOf(address) === family) ?? DOCUMENTATION[family];
    const made = new FillIn(
      `the VIP that your rules give the mark of ${name}`,
      exampleAddress(near, examplePrefix([near]), used) ?? near,
    );
    lan.vipsMissing.push(made);
    found.set(name, made);
  }
  return found;
}

/** Servers of NAT answer through an address that floats with the VIP. */
function needGateway(lan: LanDraft, { vip, servers }: OldService, old: OldConfig, notes: NoteTaker): void {
  const family = familyOf(vip ?? (servers[0]?.address as Address));
  if (lan.gateways.some(({ address }) => familyOf(address) === family)) return;
  const used = new Set(old.services.map(service => service.vip));
  const index = lan.vips.findIndex(({ address }) => familyOf(address) === family && !used.has(address));
  const [gateway] = index < 0 ? [] : lan.vips.splice(index, 1);
  if (gateway === undefined) {
    lan.gatewaysMissing.add(family);
    return;
  }
  lan.gateways = [...lan.gateways, gateway];
  notes.unneeded(gateway.at, `${gateway.address} is on the LAN of the real servers: it is written as their gateway`, [
    'lans',
  ]);
}

/** A pair holds so many; those without a service go first. */
function limitVirtual(lans: readonly LanDraft[], served: ReadonlySet<Address | undefined>, notes: NoteTaker): void {
  const all = lans.flatMap(lan => lan.vips.map(vip => ({ lan, vip })));
  let over = all.length + lans.flatMap(({ gateways }) => gateways).length - VIRTUAL_ADDRESSES_MAX;
  const last = [...all].reverse();
  const isServed = ({ vip }: (typeof all)[number]) => served.has(vip.address);
  for (const { lan, vip } of [...last.filter(one => !isServed(one)), ...last.filter(isServed)]) {
    if (over-- <= 0) return;
    lan.vips.splice(lan.vips.indexOf(vip), 1);
    notes.lost(vip.at, `a pair holds at most ${VIRTUAL_ADDRESSES_MAX} addresses: ${vip.address} is left out`, ['lans']);
  }
}

function nameLans(lans: readonly LanDraft[], { services }: OldConfig, serversLans: ReadonlySet<LanDraft>): void {
  const names = new Names();
  const vips = new Set(services.map(({ vip }) => vip));
  // A service of a mark alone has one of the VIPs, too.
  const isClient = (lan: LanDraft) =>
    lan.vips.some(({ address }) => vips.has(address) || vips.has(undefined)) || lan.vipsMissing.length > 0;
  for (const lan of lans) {
    const role = isClient(lan) ? 'client' : serversLans.has(lan) ? 'servers' : undefined;
    lan.name = names.take(role ?? lan.interfaces[0] ?? 'lan', 'lan');
  }
}

/** The LANs as the config has them; `routers` are the names of the two. */
export function lansDraft(lans: readonly LanDraft[], routers: Both<string>): { readonly [name: string]: Draft } {
  const examples = lans.flatMap(({ vipsMissing }) => vipsMissing.map(({ example }) => `${example}` as Address));
  const used = new Set([...lans.flatMap(addressesOn), ...examples]);
  return Object.fromEntries(lans.map(lan => [lan.name, lanDraft(lan, routers, used)]));
}

function lanDraft(lan: LanDraft, routers: Both<string>, used: Set<Address>): Draft {
  const here = addressesOn(lan);
  const families = ([4, 6] as const).filter(family => here.some(address => familyOf(address) === family));
  if (families.length === 0) families.push(4);
  const prefixes = new Map(families.map(family => [family, prefixOn(lan, family)]));
  const addresses = routers.map((router, side) => {
    const known = lan.own[side as 0 | 1].slice(0, OWN_MAX);
    const missing = families.filter(family => !known.some(({ address }) => familyOf(address) === family));
    const written = known.map(own => ownText(own, router, lan, prefixes));
    const filled = missing.map(family => ownFillIn(router, lan, family, prefixes.get(family), used));
    const all = [...written, ...filled].slice(0, OWN_MAX);
    return [router, all.length === 1 ? (all[0] as Draft) : all] as const;
  });
  const vips: Draft[] = [...lan.vips.map(({ address }) => address), ...lan.vipsMissing];
  const gateways: Draft[] = lan.gateways.map(({ address }) => address);
  for (const family of lan.gatewaysMissing) {
    const near = here.find(address => familyOf(address) === family) ?? DOCUMENTATION[family];
    const example = exampleAddress(near, prefixes.get(family)?.length ?? examplePrefix([near]), used) ?? near;
    gateways.push(new FillIn(`the servers' default gateway, which floats with the VIPs (IPv${family})`, example));
  }
  return {
    interface: interfacesDraft(lan.interfaces, routers, lan.name),
    addresses: Object.fromEntries(addresses),
    ...(vips.length > 0 ? { vips } : {}),
    ...(gateways.length > 0 ? { gateways } : {}),
  };
}

const DOCUMENTATION: Readonly<Record<Family, Address>> = { 4: '192.0.2.1' as Address, 6: '2001:db8::1' as Address };

interface Prefix {
  readonly length: number;
  /** Somebody says so; else it is an example. */
  readonly isKnown: boolean;
}

function prefixOn(lan: LanDraft, family: Family): Prefix {
  const known = networksOn(lan).find(cidr => familyOf(cidr) === family);
  if (known !== undefined) return { length: prefixOf(known), isKnown: true };
  const ofFamily = (list: readonly Address[]) => list.filter(address => familyOf(address) === family);
  const inside = ofFamily([...lan.own[0], ...lan.own[1], ...lan.gateways].map(({ address }) => address));
  inside.push(...ofFamily([...lan.servers]));
  // A VIP may be outside, routed to the LAN.
  const vips = ofFamily(lan.vips.map(({ address }) => address));
  const [first = vips[0]] = inside;
  const near = vips.filter(vip => first !== undefined && areNear(first, vip));
  return { length: examplePrefix([...inside, ...near]), isKnown: false };
}

function ownText(
  { address, prefix }: Own,
  router: string,
  lan: LanDraft,
  prefixes: ReadonlyMap<Family, Prefix>,
): Draft {
  if (prefix !== undefined) return cidrOf(address, prefix);
  const found = prefixes.get(familyOf(address));
  const network = networksOn(lan).find(cidr => contains(cidr, address));
  if (network !== undefined) return cidrOf(address, prefixOf(network));
  const example = cidrOf(address, found?.length ?? examplePrefix([address]));
  return new FillIn(`${address} with its prefix length, of ${router} on LAN ${lan.name}`, example);
}

function ownFillIn(
  router: string,
  lan: LanDraft,
  family: Family,
  prefix: Prefix | undefined,
  used: Set<Address>,
): Draft {
  const here = addressesOn(lan).filter(address => familyOf(address) === family);
  const near = here.find(address => !isLinkLocal(address)) ?? here[0] ?? DOCUMENTATION[family];
  const length = prefix?.length ?? examplePrefix([near]);
  const address = exampleAddress(near, length, used) ?? near;
  return new FillIn(`own address/prefix of ${router} on LAN ${lan.name} (IPv${family})`, cidrOf(address, length));
}

function interfacesDraft([first, second]: Both<string | undefined>, routers: Both<string>, lan: string): Draft {
  const draft = (name: string | undefined, whose: string): Draft =>
    name === undefined || !/^[^\s/:]{1,15}$/.test(name) || withoutControls(name) !== name
      ? new FillIn(`interface ${whose}on LAN ${lan}`, 'eth0')
      : name;
  if (first === second) return draft(first, '');
  return { [routers[0]]: draft(first, `of ${routers[0]} `), [routers[1]]: draft(second, `of ${routers[1]} `) };
}
