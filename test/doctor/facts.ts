// A standby in good order, as `tandem doctor` would find it: tests change what they are about.
import type { Config } from '../../src/config/schema.ts';
import { wantedSysctls } from '../../src/director/sysctl.ts';
import { diagnose } from '../../src/doctor/diagnosis.ts';
import type { HostFacts, SeenInterface } from '../../src/doctor/host-facts.ts';
import type { HostFinding } from '../../src/doctor/host-finding.ts';
import type { Cidr } from '../../src/units/address.ts';
import { configOf } from '../director/fixture.ts';
import { pulseSnapshot, statusReport, syncReport } from '../status/fixture.ts';

export const CONFIG: Config = configOf();

export function hostInterface(name: string, ...cidrs: string[]): SeenInterface {
  return {
    name,
    altnames: [],
    addresses: cidrs.map(cidr => cidr.split('/')[0] as string),
    networks: cidrs.map(cidr => ({ cidr: cidr as Cidr, forever: true })),
    isUp: true,
    hasCarrier: true,
    answersArp: true,
    master: '',
  };
}

export const INTERFACES: readonly SeenInterface[] = [
  hostInterface('c0', '192.0.2.2/24', '2001:db8:1::2/64'),
  hostInterface('s0', '198.51.100.2/24'),
  hostInterface('x0', '203.0.113.1/24'),
];

/** r1, heard and in one mind with r2. */
export const PULSE = pulseSnapshot({
  node: 'r1',
  peerNode: 'r2',
  role: 'standby',
  serving: false,
  links: pulseSnapshot().links.slice(0, 1),
  vips: pulseSnapshot().vips.map(vip => ({ ...vip, held: false })),
  counters: {},
});

export function hostFacts(changes: Partial<HostFacts> = {}): HostFacts {
  const sync = syncReport({ links: [{ lan: 'client', connected: true, rttMs: 0.5 }] });
  return {
    node: 'r1',
    isRoot: true,
    version: '0.4.0',
    files: {
      file: '/etc/tandem/tandem.yaml',
      errors: [],
      warnings: [],
      denied: false,
      writable: { ok: true, value: false },
      key: 'well',
    },
    config: CONFIG,
    digest: 'abcd',
    modules: new Map([['ip_vs', 'there']]),
    ftpHelper: false,
    sysctls: new Map(wantedSysctls(CONFIG).map(({ name, value }) => [name, value])),
    readOnlySysctls: new Set(),
    interfaces6: [],
    interfaces: { ok: true, value: INTERFACES },
    defaultRoutes: { ok: true, value: ['c0'] },
    rules: { ok: true, value: '{"nftables":[]}' },
    legacyTables: [],
    clock: { ok: true, value: true },
    scheduled: { ok: true, value: [{ name: 'pulse', pid: 100, realTime: true }] },
    pulse: { ok: true, value: PULSE },
    director: { ok: true, value: statusReport({ version: '0.4.0', pulse: PULSE, sync }) },
    passive: { ok: true, value: [{ service: 'ftp', vip: '192.0.2.100', port: 10_000, answer: 'answered', code: '' }] },
    ...changes,
  };
}

/** All but what is well. */
export function complaints(changes: Partial<HostFacts> = {}): HostFinding[] {
  return diagnose(hostFacts(changes)).filter(({ severity }) => severity !== 'ok');
}
