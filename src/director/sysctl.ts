// The kernel settings that the data plane stands on, each with its reason: which must be set, which
// are only looked at. Pure. Source: Documentation/networking/ipvs-sysctl.rst,
// nf_conntrack-sysctl.rst; what was proven is in test/lab.
import { interfaceOf } from '../config/node.ts';
import type { Config } from '../config/schema.ts';
import { type KernelInterface, lanInterfaces, realNames } from '../firewall/interfaces.ts';
import { familyOf } from '../units/address.ts';

interface SysctlRule {
  /** As sysctl(8) writes it. */
  readonly name: string;
  /** Wanted value; numbers of a list separated by one blank. */
  readonly value: string;
  readonly why: string;
  /**
   * `set`: written when it differs, and without it the rules do not count as in. `check`: only
   * reported.
   */
  readonly mode: 'set' | 'check';
  /** A larger number is as good. */
  readonly atLeast?: boolean;
  /** The rules count as in without it, and a kernel that lacks it is none to complain of. */
  readonly soft?: boolean;
  /** Written only over this value. */
  readonly onlyFrom?: string;
  /** Right as it is while another setting has this value. */
  readonly unless?: { readonly name: string; readonly value: string };
}

export interface SysctlChange {
  readonly rule: SysctlRule;
  /** The value it has now. */
  readonly from: string;
}

/**
 * Values by name, as read; undefined: the kernel has no such setting (its module is not loaded).
 */
export type SysctlValues = ReadonlyMap<string, string | undefined>;

const FORWARDING6 = 'net.ipv6.conf.all.forwarding';

/** Where the servers answer past this router it forwards nothing, and conntrack has no part. */
function trackedServices({ services }: Config) {
  return Object.values(services).filter(({ forwarding }) => forwarding === 'nat');
}

/**
 * The kernel's names of the interfaces by which packets of IPv4 come in that this router forwards:
 * the servers' answers, and in active mode what clients say to the servers, whose address conntrack
 * puts in before the packet is routed. The kernel asks the interface that a packet came by
 * (IN_DEV_FORWARD in ip_route_input_slow), in IPv6 only `all` (ip6_forward).
 */
export function forwardingInterfaces(
  config: Config,
  node: string,
  interfaces: readonly KernelInterface[],
): readonly string[] {
  const names = realNames(lanInterfaces(config, node), interfaces);
  const services = trackedServices(config).filter(({ vip }) => familyOf(vip) === 4);
  const found = Object.entries(config.lans).flatMap(([name, lan]) => {
    const isPassed = services.some(
      service =>
        service.servers_lan === name || (service.kind === 'ftp' && service.active && lan.vips.includes(service.vip)),
    );
    const written = isPassed ? interfaceOf(lan, node) : undefined;
    return written === undefined ? [] : [names.get(written) ?? written];
  });
  return [...new Set(found)];
}

/** Without these no answer of a server gets through; `interfaces4`: forwardingInterfaces(). */
export function forwardingRules(config: Config, interfaces4: readonly string[]): readonly SysctlRule[] {
  const families = new Set(trackedServices(config).map(service => familyOf(service.vip)));
  const why = "the real servers' answers pass through this router";
  return [
    ...(families.has(4) ? [set('net.ipv4.ip_forward', '1', why)] : []),
    // An interface may come yet; it then has what is the default.
    ...interfaces4.map(name => ({ ...set(`net.ipv4.conf.${inSetting(name)}.forwarding`, '1', why), soft: true })),
    ...(families.has(6) ? [set(FORWARDING6, '1', why)] : []),
  ];
}

/**
 * What this config needs; nothing when it has no services. In this order. `interfaces6`: what the
 * kernel has below net.ipv6.conf. `interfaces4`: forwardingInterfaces().
 */
export function wantedSysctls(
  config: Config,
  interfaces6: readonly string[] = [],
  interfaces4: readonly string[] = [],
): readonly SysctlRule[] {
  const services = Object.values(config.services);
  if (services.length === 0) return [];
  const tracked = trackedServices(config);
  const has6 = tracked.some(({ vip }) => familyOf(vip) === 6);
  return [
    ...(has6 ? interfaces6.flatMap(routerAdvertisements) : []),
    ...forwardingRules(config, interfaces4),
    set('net.ipv4.vs.sloppy_tcp', '1', 'connections are adopted in mid-stream after a takeover'),
    ...(services.some(({ forwarding }) => forwarding === 'tun') ? tunnelRules() : []),
    set('net.ipv4.vs.expire_quiescent_template', '1', 'clients of a server that is down get another one'),
    ...defenceRules(),
    ...(config.sync.enabled ? syncRules(tracked.length > 0) : []),
    ...(tracked.length > 0 ? conntrackRules() : []),
  ];
}

/** A packet with its tunnel header may be too large for the way to the server. */
function tunnelRules(): SysctlRule[] {
  const why = 'a client that sends too large packets for the tunnel is told, else its uploads stand still';
  return [set('net.ipv4.vs.pmtu_disc', '1', why)];
}

function conntrackRules(): SysctlRule[] {
  return [
    set(
      'net.netfilter.nf_conntrack_tcp_be_liberal',
      '1',
      'a transfer that comes back to this router has moved its window meanwhile',
    ),
    {
      name: 'net.netfilter.nf_conntrack_tcp_loose',
      value: '1',
      why: 'downloads in active mode are picked up in mid-stream after a takeover; with 0 they break',
      mode: 'check',
    },
  ];
}

/**
 * A host that becomes a router forgets the default routes that it has from router advertisements,
 * unless accept_ra is 2 already (rt6_purge_dflt_routers in net/ipv6/route.c). Only when it is us
 * who switch forwarding on: who had it on meant what he wrote.
 */
function routerAdvertisements(name: string): SysctlRule[] {
  // "all" has no effect; "default" is for interfaces that come later.
  if (name === 'all' || name === 'lo') return [];
  const why = "the router's own default route comes from router advertisements, and forwarding would delete it";
  const setting = `net.ipv6.conf.${inSetting(name)}.accept_ra`;
  return [{ ...set(setting, '2', why), soft: true, onlyFrom: '1', unless: { name: FORWARDING6, value: '1' } }];
}

/**
 * IPVS' own defence when memory runs short: 1 switches it on by itself, and the kernel then shows
 * 2. What has been idle or half open goes first, instead of the next client.
 */
function defenceRules(): SysctlRule[] {
  const why = 'a flood of half-open connections must not take the memory that clients need';
  return ['drop_entry', 'drop_packet', 'secure_tcp'].map(name => ({
    ...set(`net.ipv4.vs.${name}`, '1', why),
    atLeast: true,
    soft: true,
  }));
}

/** `tracked`: conntrack sees connections of ours. */
function syncRules(tracked: boolean): SysctlRule[] {
  return [...(tracked ? earlyRules() : []), ...masterRules()];
}

function earlyRules(): SysctlRule[] {
  const early = 'conntrack tells of new connections at once, the sync master up to 2 s later';
  return [
    { ...set('net.ipv4.vs.conntrack', '1', early), soft: true },
    {
      ...set('net.netfilter.nf_conntrack_events', '1', early),
      mode: 'check',
      atLeast: true,
      soft: true,
    },
  ];
}

function masterRules(): SysctlRule[] {
  return [
    set('net.ipv4.vs.sync_threshold', '0 0', 'every connection is reported once, at its first packet'),
    set('net.ipv4.vs.sync_refresh_period', '10', 'quiet connections are reported again every 10 s, not per packet'),
    set(
      'net.ipv4.vs.sync_retries',
      '2',
      'each of those is reported twice more, because the reports are unacknowledged',
    ),
    ...bufferRules(),
  ];
}

/**
 * Read by the kernel when a sync daemon starts, so they are set before. rmem_max bounds the event
 * listener's buffer and the daemons' (set_sock_size in ip_vs_sync.c); only in the first network
 * namespace it can be set (others do not have it, or for reading: net/core/sysctl_net_core.c).
 */
function bufferRules(): SysctlRule[] {
  const soft = { atLeast: true, soft: true };
  return [
    { ...set('net.core.rmem_max', '8388608', 'bursts of sync events wait in the buffer of the listener'), ...soft },
    { ...set('net.ipv4.vs.sync_sock_size', '1048576', "the sync daemons' own buffers, at most rmem_max"), ...soft },
    {
      ...set('net.ipv4.vs.sync_qlen_max', '1024', 'the sync master drops reports in silence when more messages wait'),
      mode: 'check',
      ...soft,
    },
    { ...set('net.ipv4.vs.sync_version', '1', 'version 0 has no marks, no time-outs and no IPv6'), soft: true },
    { ...set('net.ipv4.vs.sync_ports', '1', 'the listener hears one port'), soft: true },
    {
      ...set('net.ipv4.vs.sync_persist_mode', '0', 'connections are synced too, not only their templates'),
      soft: true,
    },
  ];
}

function set(name: string, value: string, why: string): SysctlRule {
  return { name, value, why, mode: 'set' };
}

/** The name of an interface within that of a setting; as sysctl(8) has it, a dot is a slash. */
function inSetting(name: string): string {
  return name.replaceAll('.', '/');
}

/** Where the kernel shows a setting; a slash in its name is a dot there, see inSetting(). */
export function sysctlPath(name: string): string {
  return `/proc/sys/${name.replace(/[./]/g, sign => (sign === '.' ? '/' : '.'))}`;
}

/** One spelling for values: tabs and runs of blanks become one blank. */
export function normalValue(text: string): string {
  return text.trim().split(/\s+/).join(' ');
}

/**
 * Settings to write, and those that cannot be right. `readOnly`: names that this namespace shows
 * and does not let be set; a soft one is only reported then, as repairs would never end.
 */
export function diffSysctls(
  rules: readonly SysctlRule[],
  values: SysctlValues,
  readOnly: ReadonlySet<string>,
): {
  readonly changes: readonly SysctlChange[];
  readonly missing: readonly SysctlRule[];
  readonly off: readonly SysctlChange[];
} {
  const present = rules.filter(rule => values.get(rule.name) !== undefined);
  const wrong = present
    .map(rule => ({ rule, from: normalValue(values.get(rule.name) ?? '') }))
    .filter(({ rule, from }) => !isRight(rule, from, values));
  const isToSet = ({ mode, soft, name }: SysctlRule) => mode === 'set' && !(soft && readOnly.has(name));
  return {
    changes: wrong.filter(({ rule }) => isToSet(rule)),
    missing: rules.filter(rule => values.get(rule.name) === undefined && rule.mode === 'set' && !rule.soft),
    off: wrong.filter(({ rule }) => !isToSet(rule)),
  };
}

function isRight({ value, atLeast, onlyFrom, unless }: SysctlRule, from: string, values: SysctlValues): boolean {
  if (onlyFrom !== undefined && from !== onlyFrom) return true;
  if (unless !== undefined && values.get(unless.name) === unless.value) return true;
  return from === value || (atLeast === true && Number(from) >= Number(value));
}

/**
 * Of IPVS' defence, what is at work now: it means that memory is short (net.ipv4.vs.amemthresh).
 * The kernel shows that as 2 (update_defense_level in ip_vs_ctl.c); 3 is an operator's "always".
 */
export function defenceAtWork(values: SysctlValues): readonly string[] {
  return defenceRules()
    .map(rule => rule.name)
    .filter(name => Number(values.get(name)) === 2);
}
