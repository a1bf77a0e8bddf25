// Modules and settings of the kernel. Pure. What the data plane needs is the director's own list
// (src/director/sysctl.ts); ARP and rp_filter are looked at here, since nothing sets them. Sources:
// ip-sysctl.rst; arp_ignore in net/ipv4/arp.c.
import { moduleOf } from '../config/scheduler.ts';
import type { Config } from '../config/schema.ts';
import { diffSysctls, type SysctlChange, wantedSysctls } from '../director/sysctl.ts';
import type { HostFacts } from './host-facts.ts';
import { type HostFinding, wellFound } from './host-finding.ts';
import { namesOf } from './lan-names.ts';

/** The modules that this config needs, in the kernel or as files. */
export function wantedModules(config: Config): readonly string[] {
  const services = Object.values(config.services);
  if (services.length === 0) return ['nf_tables'];
  return [
    ...['ip_vs', 'nf_tables'],
    ...new Set(services.map(({ scheduler }) => moduleOf(scheduler))),
    ...(services.some(({ forwarding }) => forwarding === 'nat') ? ['nf_conntrack'] : []),
    ...(config.sync.enabled ? ['veth'] : []),
  ];
}

export function moduleFindings({ modules, ftpHelper }: HostFacts): HostFinding[] {
  const found = [...modules].flatMap(([name, state]): HostFinding[] => {
    const id = `module:${name}`;
    if (state === 'missing') {
      const sentence = `this kernel has no ${name}: install the distribution's full kernel, and boot it`;
      return [{ id, severity: 'problem', sentence, fix: KERNEL_PACKAGE }];
    }
    if (state !== 'loadable') return [];
    const sentence = `${name} is not loaded; the director's unit and the kernel load it when it is needed`;
    return [{ id, severity: 'notice', sentence, fix: `modprobe ${name}` }];
  });
  if (ftpHelper) {
    const sentence = 'ip_vs_ftp is loaded: it breaks PASV with firewall marks; keep it out of /etc/modules-load.d, too';
    found.push({
      id: 'module:ip_vs_ftp',
      severity: 'problem',
      sentence,
      fix: 'rmmod ip_vs_ftp && echo "install ip_vs_ftp /bin/false" > /etc/modprobe.d/tandem.conf',
      covers: ['ip_vs_ftp'],
    });
  }
  return found.length > 0 || modules.size === 0 ? found : [wellFound('modules', 'the kernel has the modules')];
}

const KERNEL_PACKAGE = 'apt-get install linux-image-$(dpkg --print-architecture) && reboot';

/** The settings to read: the director's, those of ARP and rp_filter, the real-time class'. */
export function sysctlNames(config: Config, interfaces: readonly string[], interfaces6: readonly string[]): string[] {
  const lans = ['all', ...interfaces].flatMap(name => [
    ofInterface(name, 'arp_ignore'),
    ofInterface(name, 'rp_filter'),
  ]);
  return [...wantedSysctls(config, interfaces6).map(({ name }) => name), ...lans, RT_RUNTIME];
}

export const RT_RUNTIME = 'kernel.sched_rt_runtime_us';

/** As sysctl(8) writes it: a dot of the interface as a slash. */
function ofInterface(name: string, setting: string): string {
  return `net.ipv4.conf.${name.replaceAll('.', '/')}.${setting}`;
}

export function sysctlFindings(facts: HostFacts, config: Config): HostFinding[] {
  const { interfaces6, readOnlySysctls } = facts;
  const { changes, missing, off } = diffSysctls(wantedSysctls(config, interfaces6), facts.sysctls, readOnlySysctls);
  const runs = facts.director.ok;
  const found = [
    ...off.map(change => (readOnlySysctls.has(change.rule.name) ? hostsOwn(change) : sysctlFinding(change, ''))),
    ...(runs ? changes.map(change => sysctlFinding(change, '; the director sets it, and it does not stay')) : []),
    ...(runs ? missing.filter(({ name }) => !isExplained(name, facts)).map(({ name }) => missingFinding(name)) : []),
    ...(runs ? [] : settingsToCome(changes)),
    ...arpFindings(facts, config),
    ...reversePathFindings(facts, config),
  ];
  return found.length > 0 ? found : [wellFound('sysctls', 'the kernel settings are as they must be')];
}

function sysctlFinding({ rule, from }: SysctlChange, more: string): HostFinding {
  const { name, value, why, atLeast } = rule;
  const sentence = `${name} is ${from}, should be ${atLeast ? 'at least ' : ''}${value}: ${why}${more}`;
  const fix = `sysctl -w ${setTo(name, value)}`;
  return { id: `sysctl:${name}`, severity: 'warning', sentence, fix, covers: [name] };
}

/** No command here mends it, and a router in a container can do without. */
function hostsOwn(change: SysctlChange): HostFinding {
  const more = "; only the host's own network namespace can set it, and here is another one";
  return { ...sysctlFinding(change, more), severity: 'notice', fix: null };
}

/** The module that is missing is a finding of its own. */
function isExplained(name: string, { modules }: HostFacts): boolean {
  return name.startsWith('net.ipv4.vs.') && modules.get('ip_vs') !== 'there';
}

function missingFinding(name: string): HostFinding {
  const sentence = `this kernel has no setting ${name}`;
  return { id: `sysctl:${name}`, severity: 'warning', sentence, fix: null, covers: [name] };
}

function settingsToCome(changes: readonly SysctlChange[]): HostFinding[] {
  if (changes.length === 0) return [];
  const sentence = `the director will set ${changes.map(({ rule }) => rule.name).join(', ')} when it starts`;
  return [{ id: 'sysctls', severity: 'notice', sentence, fix: null }];
}

function setTo(name: string, value: string): string {
  return value.includes(' ') ? `${name}="${value}"` : `${name}=${value}`;
}

/** The larger of the interface's and all's counts (IN_DEV_MAXCONF in inetdevice.h). */
function largest({ sysctls }: HostFacts, name: string, setting: string): number {
  const read = (which: string) => Number(sysctls.get(ofInterface(which, setting)) ?? '0');
  return Math.max(read('all'), read(name));
}

/** VIPs have no network (/32): from 2 on a router does not answer for them, which none hears. */
function arpFindings(facts: HostFacts, config: Config): HostFinding[] {
  const lans = Object.values(config.lans).filter(lan => [...lan.vips, ...lan.gateways].some(one => !one.includes(':')));
  return [...new Set(lans.flatMap(lan => namesOf(facts, lan)))].flatMap((name): HostFinding[] => {
    const value = largest(facts, name, 'arp_ignore');
    if (value < 2) return [];
    const sentence = `arp_ignore is ${value} on ${name}: the kernel does not answer ARP for the addresses of the pair there`;
    const fix = ['all', name].map(which => `sysctl -w ${ofInterface(which, 'arp_ignore')}=1`).join(' && ');
    return [{ id: `arp_ignore:${name}`, severity: 'problem', sentence, fix }];
  });
}

/** Strict, and the way back to most clients is another one: their packets are dropped unseen. */
function reversePathFindings(facts: HostFacts, config: Config): HostFinding[] {
  const { defaultRoutes } = facts;
  if (!defaultRoutes.ok || defaultRoutes.value.length === 0) return [];
  const lans = Object.values(config.lans).filter(lan => lan.vips.some(one => !one.includes(':')));
  return [...new Set(lans.flatMap(lan => namesOf(facts, lan)))].flatMap((name): HostFinding[] => {
    if (largest(facts, name, 'rp_filter') !== 1 || defaultRoutes.value.includes(name)) return [];
    const sentence = `rp_filter is strict on ${name}, and the default route is by ${defaultRoutes.value.join(', ')}: clients that come by ${name} through a router of theirs are dropped`;
    const fix = `sysctl -w ${ofInterface(name, 'rp_filter')}=2`;
    return [{ id: `rp_filter:${name}`, severity: 'warning', sentence, fix }];
  });
}
