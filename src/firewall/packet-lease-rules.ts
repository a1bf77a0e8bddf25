// The rules of the packet lease: a netdev-ingress gate that lets packets, ARP requests and
// neighbour solicitations for the VIPs in only while one element of a timed set lives. vipd renews
// it with frames on lo, so that no process is needed to end it. Pure: addresses and times in, text
// for nft out. The frames are src/vip/native/hold/gate-frame.c's; kinds and destinations are the
// same there. Source: nft(8) "dynset" statements; seen on kernel 6.18: an expired element is not
// matched any more, by the kernel's own jiffies.
import { type Address, familyOf, hexOf } from '../units/address.ts';

/** Our table, `netdev tandem_gate`, and the one that lives only while it is tried out. */
export const GATE_FAMILY = 'netdev';
export const GATE_TABLE = 'tandem_gate';
export const GATE_TRIAL_TABLE = 'tandem_gate_trial';

export interface PacketLeaseAddress {
  readonly address: Address;
  readonly interface: string;
}

export interface PacketLeasePlan {
  readonly addresses: readonly PacketLeaseAddress[];
  /** L: how long one renewal lets packets in, in ms. */
  readonly leaseMs: number;
  /** What a renewal adds to it while no peer can take over, in ms. */
  readonly keepMs: number;
  /**
   * Interfaces of the other LANs: whoever comes in there for an address that is here is under the
   * lease too.
   */
  readonly others: readonly string[];
  /** Interfaces that exist now; a chain cannot be hooked to another (before Linux 6.16). */
  readonly present: readonly string[];
  /** Chains that the table has now; those of interfaces that are ours no more are removed. */
  readonly chains: readonly string[];
}

/**
 * Renewals are in sixteenths of L: one that comes late opens the gate for what is left. The same in
 * gate-frame.h.
 */
const STEPS = 16;
/**
 * The kernel rounds a time down to whole ticks (4 ms at 250 Hz, Debian's) and counts the one under
 * way as whole: without one more, a lease of 22 ms would be one of 16 to 20. With it, it is 20 to
 * 24; the dead time leaves at least 8 ms after the lease.
 */
const TICK_MS = 4;
/** Ingress hooks run in this order; before everybody else's (flowtables are at 0). */
const PRIORITY = -500;
const ETHER_TYPE = '0x88b5';
/**
 * Longest life of an "ask", in ms; at least two ticks of a kernel with 250 Hz, and a part of L,
 * which it may overstay.
 */
const ASK_MS_MIN = 8;
const ASK_MS_MAX = 20;
/** The trial's lease and ask, in ms. */
export const TRIAL_MS = 40;

type Kind = 'ask' | 'grant' | 'alone' | 'close' | 'test';
const KIND_CODES: Readonly<Record<Kind, string>> = { ask: '01', grant: '02', alone: '03', close: '04', test: '05' };
/** A key that is the same for every packet: the set holds one element or none. */
const KEY = 'meta mark & 0x0';

interface Listener {
  readonly table: string;
  /** The last byte of the prefix of the frames' destination. */
  readonly code: '44' | '54';
}
const LIVE: Listener = { table: GATE_TABLE, code: '44' };
const TRIAL: Listener = { table: GATE_TRIAL_TABLE, code: '54' };

/**
 * Puts the gate in or brings it up to date, in one transaction: the chains are written anew, the
 * sets are kept, so that a lease that runs goes on through a restart of pulse.
 */
export function packetLeaseRules(plan: PacketLeasePlan): string {
  const names = [...new Set([...interfacesOf(plan.addresses), ...plan.others])].sort();
  for (const name of names) {
    if (/["\\*]/.test(name))
      throw new RangeError(`interface "${name}" cannot be written in an nftables rule; rename it`);
  }
  const gated = names.filter(name => plan.present.includes(name));
  const stale = plan.chains.filter(chain => chain.startsWith('gate_') && !gated.map(chainOf).includes(chain));
  const { leaseMs, keepMs } = plan;
  const askMs = Math.min(ASK_MS_MAX, Math.max(ASK_MS_MIN, Math.floor(leaseMs / 10)));
  return lines([
    ...frame(LIVE, { leaseMs, keepMs, askMs }),
    ...stale.flatMap(chain => [on(LIVE, 'flush chain', chain), on(LIVE, 'delete chain', chain)]),
    ...baseChain(LIVE, 'check', undefined, [`${KEY} @lease accept`, 'counter drop']),
    ...gated.flatMap(name => baseChain(LIVE, chainOf(name), name, rulesOn(name, plan))),
  ]);
}

/**
 * A table of its own that answers to packet-lease-trial: the live one, and a lease that runs there,
 * are not touched.
 */
export function trialRules(): string {
  return lines([...removalOf(TRIAL), ...frame(TRIAL, { leaseMs: TRIAL_MS, keepMs: 0, askMs: TRIAL_MS })]);
}

/** The text that removes a table of ours, and is no error when it is not there. */
export function packetLeaseRemoval(table: typeof GATE_TABLE | typeof GATE_TRIAL_TABLE): string {
  return lines(removalOf(table === GATE_TABLE ? LIVE : TRIAL));
}

/** The chains of a table as `nft list table` shows it. */
export function chainsIn(listing: string): string[] {
  return [...listing.matchAll(/^\s*chain (\S+) \{/gm)].map(match => match[1] as string);
}

/** A listing without what changes by itself: the elements of the sets. */
export function withoutElements(listing: string): string {
  return listing.replace(/^\s*elements = \{[^}]*\}\n/gm, '');
}

/** The interfaces that addresses are on, each once. */
export function interfacesOf(addresses: readonly PacketLeaseAddress[]): string[] {
  return [...new Set(addresses.map(({ interface: name }) => name))].sort();
}

interface Times {
  readonly leaseMs: number;
  readonly keepMs: number;
  readonly askMs: number;
}

/** Table, sets, and the chain on lo that the frames meet. */
function frame(listener: Listener, { leaseMs, keepMs, askMs }: Times): string[] {
  const { table } = listener;
  // Elements that have run out count until they are collected, once a second.
  const set = (name: string) =>
    `add set ${GATE_FAMILY} ${table} ${name} { type mark; flags timeout,dynamic; size 65535; }`;
  // Accepted: it comes back to vipd, which so sees that its renewal took effect.
  const opens = (match: string, timeoutMs: number) => `${match} update @lease { ${KEY} timeout ${timeoutMs}ms } accept`;
  const steps = Array.from({ length: STEPS }, (_, i) => i + 1);
  return [
    `add table ${GATE_FAMILY} ${table}`,
    ...['asked', 'lease'].map(set),
    ...baseChain(listener, 'renew', 'lo', [
      `meta protocol != ${ETHER_TYPE} accept`,
      // Each ask has its own mark: see next_mark() in packet-lease.c.
      `${to(listener, 'ask')} update @asked { meta mark timeout ${askMs}ms } drop`,
      `${to(listener, 'close')} delete @lease { ${KEY} } drop`,
      // Comes back while the gate is open: for the trial.
      `${to(listener, 'test')} ${KEY} @lease accept`,
      `${ours(listener)} meta mark != @asked drop`,
      ...steps.map(step => opens(to(listener, 'grant', step), TICK_MS + Math.floor((leaseMs * step) / STEPS))),
      opens(to(listener, 'alone'), leaseMs + keepMs),
      `${ours(listener)} drop`,
    ]),
  ];
}

/**
 * What is for the addresses of this interface goes through the lease. What is for those of another
 * one does so only while they are in this kernel, because a standby may be somebody's way to them
 * and must forward.
 */
function rulesOn(name: string, { addresses, others }: PacketLeasePlan): string[] {
  const here = ({ interface: other }: PacketLeaseAddress) => other === name;
  const own = addresses.filter(here).map(({ address }) => address);
  const elsewhere = addresses.filter(address => !here(address)).map(({ address }) => address);
  return [...gateOf(own, ''), ...(others.includes(name) ? gateOf(elsewhere, 'fib daddr type local ') : [])];
}

/**
 * Gratuitous ARP passes: nobody answers it, and the standby must hear it. Requests have no "local":
 * who does not have the address does not answer anyway. The target of a neighbour solicitation by
 * its place in the message: nft before 1.0.8 has no name for it.
 */
function gateOf(addresses: readonly Address[], local: string): string[] {
  const four = addresses.filter(address => familyOf(address) === 4).join(', ');
  const six = addresses.filter(address => familyOf(address) === 6);
  return [
    ...(four
      ? [`ip daddr { ${four} } ${local}goto check`, `arp saddr ip != { ${four} } arp daddr ip { ${four} } goto check`]
      : []),
    ...(six.length > 0 ? [`ip6 daddr { ${six.join(', ')} } ${local}goto check`] : []),
    ...six.map(address => `icmpv6 type nd-neighbor-solicit @th,64,128 0x${hexOf(address)} goto check`),
  ];
}

function to({ code }: Listener, kind: Kind, step = 0): string {
  return `@ll,0,48 0x02544e${code}${KIND_CODES[kind]}${step.toString(16).padStart(2, '0')}`;
}

function ours({ code }: Listener): string {
  return `@ll,0,32 0x02544e${code}`;
}

function on({ table }: Listener, verb: string, what: string): string {
  return `${verb} ${GATE_FAMILY} ${table} ${what}`;
}

function baseChain(listener: Listener, name: string, device: string | undefined, rules: readonly string[]): string[] {
  const hook =
    device === undefined ? '' : ` { type filter hook ingress device "${device}" priority ${PRIORITY}; policy accept; }`;
  return [
    on(listener, 'add chain', `${name}${hook}`),
    on(listener, 'flush chain', name),
    ...rules.map(rule => on(listener, 'add rule', `${name} ${rule}`)),
  ];
}

/** Named for the interface, with what nft's names do not allow in hexadecimal. */
function chainOf(name: string): string {
  return `gate_${[...name].map(c => (/[A-Za-z0-9]/.test(c) ? c : `_${c.codePointAt(0)?.toString(16)}_`)).join('')}`;
}

function removalOf({ table }: Listener): string[] {
  return [`add table ${GATE_FAMILY} ${table}`, `delete table ${GATE_FAMILY} ${table}`];
}

function lines(text: readonly string[]): string {
  return `${text.join('\n')}\n`;
}
