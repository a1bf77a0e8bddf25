// What `tandem doctor` makes of a host, from literal facts.
import test from 'ava';
import { diagnose } from '../../src/doctor/diagnosis.ts';
import type { HostFacts } from '../../src/doctor/host-facts.ts';
import { statusReport, syncReport } from '../status/fixture.ts';
import { CONFIG, complaints, hostFacts, hostInterface, INTERFACES, PULSE } from './facts.ts';

test('a router in good order: nothing to mend, and it is said what was looked at', t => {
  t.deepEqual(complaints(), []);
  t.true(diagnose(hostFacts()).length >= 8);
});

const with_ = (name: string, value: string): Partial<HostFacts> => ({
  sysctls: new Map([...hostFacts().sysctls, [name, value]]),
});
const LINK = PULSE.links[0] as (typeof PULSE.links)[number];
const silent = { ...PULSE, links: [{ ...LINK, up: false, heardMsAgo: null }] };
const DROPPER = JSON.stringify({
  nftables: [{ chain: { family: 'inet', table: 'fw', name: 'in', hook: 'input', policy: 'drop' } }],
});
const tried = (answer: 'silent' | 'failed', code: string): Partial<HostFacts> => ({
  passive: { ok: true, value: [{ service: 'ftp', vip: '192.0.2.100', port: 20_000, answer, code }] },
});
const SYNC = syncReport({ links: [] });
const key = { file: '/etc/tandem/pair.key', denied: false };
const files = hostFacts().files;

const CASES: readonly [title: string, facts: Partial<HostFacts>, id: string, severity: string, fix: string | null][] = [
  [
    'a key that others may read',
    {
      files: { ...files, key: { ...key, problem: 'its mode is 0644', remedy: 'run: chmod 0600 /etc/tandem/pair.key' } },
    },
    'key',
    'problem',
    'chmod 0600 /etc/tandem/pair.key',
  ],
  [
    "a setting that only the host's own namespace can set",
    { ...with_('net.core.rmem_max', '212992'), readOnlySysctls: new Set(['net.core.rmem_max']) },
    'sysctl:net.core.rmem_max',
    'notice',
    null,
  ],
  [
    'no key',
    { files: { ...files, key: { ...key, problem: 'there is no such file', remedy: 'make one with: tandem keygen' } } },
    'key',
    'problem',
    'tandem keygen',
  ],
  [
    'a config that others may write',
    { files: { ...files, writable: { ok: true, value: true } } },
    'config-mode',
    'problem',
    'chown root /etc/tandem/tandem.yaml && chmod go-w /etc/tandem/tandem.yaml',
  ],
  [
    'a setting that nobody but an operator sets',
    with_('net.netfilter.nf_conntrack_tcp_loose', '0'),
    'sysctl:net.netfilter.nf_conntrack_tcp_loose',
    'warning',
    'sysctl -w net.netfilter.nf_conntrack_tcp_loose=1',
  ],
  [
    'a setting of several numbers',
    with_('net.ipv4.vs.sync_threshold', '3 50'),
    'sysctl:net.ipv4.vs.sync_threshold',
    'warning',
    'sysctl -w net.ipv4.vs.sync_threshold="0 0"',
  ],
  [
    'ARP that does not answer for a /32',
    with_('net.ipv4.conf.c0.arp_ignore', '2'),
    'arp_ignore:c0',
    'problem',
    'sysctl -w net.ipv4.conf.all.arp_ignore=1 && sysctl -w net.ipv4.conf.c0.arp_ignore=1',
  ],
  [
    'strict rp_filter where the default route is elsewhere',
    { ...with_('net.ipv4.conf.all.rp_filter', '1'), defaultRoutes: { ok: true, value: ['x0'] } },
    'rp_filter:c0',
    'warning',
    'sysctl -w net.ipv4.conf.c0.rp_filter=2',
  ],
  [
    'an own address that is gone',
    { interfaces: { ok: true, value: [hostInterface('c0', '192.0.2.2/24'), ...INTERFACES.slice(1)] } },
    'address:2001:db8:1::2',
    'problem',
    'ip address add 2001:db8:1::2/64 dev c0',
  ],
  [
    "a VIP in the host's own configuration",
    { interfaces: { ok: true, value: [...INTERFACES, hostInterface('d0', '192.0.2.100/32')] } },
    'static-vip:192.0.2.100',
    'problem',
    'ip address del 192.0.2.100/32 dev d0',
  ],
  [
    'an interface that is switched off',
    { interfaces: { ok: true, value: INTERFACES.map(one => (one.name === 'x0' ? { ...one, isUp: false } : one)) } },
    'interface:cross',
    'problem',
    'ip link set dev x0 up',
  ],
  [
    'the private interface in a bridge',
    { interfaces: { ok: true, value: [...INTERFACES, { ...hostInterface('tandem-sync0'), master: 'br0' }] } },
    'private-link:tandem-sync0',
    'problem',
    'ip link set dev tandem-sync0 nomaster',
  ],
  [
    'heartbeats that are not heard, beside a firewall that drops',
    { pulse: { ok: true, value: silent }, rules: { ok: true, value: DROPPER } },
    'heartbeat:client',
    'problem',
    'nft insert rule inet fw in ip saddr 192.0.2.3 udp dport 694 accept',
  ],
  [
    'heartbeats that are not heard, and no firewall',
    { pulse: { ok: true, value: silent } },
    'heartbeat:client',
    'warning',
    'tandem doctor   # on the other router',
  ],
  ['a firewall that drops, and nothing is lost', { rules: { ok: true, value: DROPPER } }, 'firewall', 'notice', null],
  [
    'a sync without a link, beside a firewall that drops',
    {
      rules: { ok: true, value: DROPPER },
      director: {
        ok: true,
        value: statusReport({
          version: '0.4.0',
          sync: syncReport({ links: [{ lan: 'client', connected: false, rttMs: null }] }),
        }),
      },
    },
    'sync-link:client',
    'problem',
    'nft insert rule inet fw in ip saddr 192.0.2.3 tcp dport 694 accept',
  ],
  [
    'blind probes, beside a firewall that drops',
    { pulse: { ok: true, value: { ...PULSE, blindProbes: ['192.0.2.100'] } }, rules: { ok: true, value: DROPPER } },
    'probe:192.0.2.100',
    'problem',
    'nft insert rule inet fw in icmp type { echo-request, echo-reply } accept',
  ],
  [
    'a module that no file has',
    { modules: new Map([['ip_vs', 'missing']]) },
    'module:ip_vs',
    'problem',
    'apt-get install linux-image-$(dpkg --print-architecture) && reboot',
  ],
  [
    'a module that is not loaded yet',
    { modules: new Map([['veth', 'loadable']]) },
    'module:veth',
    'notice',
    'modprobe veth',
  ],
  [
    'the FTP helper',
    { ftpHelper: true },
    'module:ip_vs_ftp',
    'problem',
    'rmmod ip_vs_ftp && echo "install ip_vs_ftp /bin/false" > /etc/modprobe.d/tandem.conf',
  ],
  ['a clock of its own', { clock: { ok: true, value: false } }, 'clock', 'warning', 'timedatectl set-ntp true'],
  [
    'pulse in the ordinary class',
    { scheduled: { ok: true, value: [{ name: 'pulse', pid: 77, realTime: false }] } },
    'real-time:pulse',
    'warning',
    'chrt --all-tasks --rr --pid 50 77',
  ],
  [
    'a real-time class without a processor',
    with_('kernel.sched_rt_runtime_us', '0'),
    'real-time',
    'problem',
    'sysctl -w kernel.sched_rt_runtime_us=950000',
  ],
  [
    'a peer with another config',
    { pulse: { ok: true, value: { ...PULSE, peer: PULSE.peer && { ...PULSE.peer, configDigest: 'ef01' } } } },
    'peer-config',
    'warning',
    'tandem reload --pair --dry-run',
  ],
  [
    'a peer of version 0.3',
    { pulse: { ok: true, value: { ...PULSE, peer: PULSE.peer && { ...PULSE.peer, failedChecks: null } } } },
    'peer-version',
    'notice',
    null,
  ],
  ['a file that is not what runs', { digest: 'ffff' }, 'config-read', 'notice', 'tandem reload'],
  [
    'another version than the installed one',
    { version: '0.4.1' },
    'version',
    'notice',
    'systemctl restart tandem-director tandem-pulse',
  ],
  [
    'a director that does not run',
    {
      director: {
        ok: false,
        denied: false,
        problem: 'director does not run here: x does not exist; run: systemctl start tandem-director',
      },
    },
    'director',
    'problem',
    'systemctl start tandem-director',
  ],
  [
    'a standby that no longer sees the VIP answer',
    { pulse: { ok: true, value: { ...PULSE, vipCheck: { answering: [], silent: ['192.0.2.100'] } } } },
    'vip:192.0.2.100',
    'warning',
    'ping -c 3 192.0.2.100',
  ],
  [
    'a passive range that is closed',
    tried('silent', ''),
    'passive:ftp',
    'warning',
    'tandem doctor   # on the other router',
  ],
  [
    'a VIP to which there is no way',
    tried('failed', 'EHOSTUNREACH'),
    'passive:ftp',
    'warning',
    'ip route get 192.0.2.100',
  ],
  ['a router without a free socket', tried('failed', 'EMFILE'), 'passive:ftp', 'unseen', null],
  [
    'a passive range that must not be tried blindly',
    { passive: { ok: false, problem: 'the director does not say whether a server drains', unseen: true } },
    'passive',
    'unseen',
    null,
  ],
  ['rules that may not be read', { rules: { ok: false, problem: 'nft needs root' } }, 'firewall', 'unseen', null],
  [
    'interfaces of which ip does not tell',
    { interfaces: { ok: false, problem: 'ip: no' } },
    'interfaces',
    'unseen',
    null,
  ],
];

for (const [title, facts, id, severity, fix] of CASES) {
  test(`found: ${title}`, t => {
    const found = complaints(facts);
    t.deepEqual(
      found.map(one => [one.id, one.severity, one.fix]),
      [[id, severity, fix]],
    );
  });
}

test('what the director says too is said once, and the rest of what it says is there', t => {
  const problems = [
    'net.netfilter.nf_conntrack_tcp_loose is 0, should be 1: …; run `sysctl -w x=1`',
    'service ftp: server ftp2 is down at stage login: 530',
  ];
  const director = {
    ok: true,
    value: statusReport({ version: '0.4.0', health: 'degraded', problems, sync: SYNC }),
  } as const;
  const found = complaints({ ...with_('net.netfilter.nf_conntrack_tcp_loose', '0'), director });
  t.deepEqual(
    found.map(({ id, severity, sentence }) => [id, severity, id === 'status' ? sentence : '']),
    [
      ['sysctl:net.netfilter.nf_conntrack_tcp_loose', 'warning', ''],
      ['status', 'warning', problems[1] as string],
    ],
  );
});

test('before the daemons run, what the director will set itself is no fault', t => {
  const off = { ok: false, denied: false, problem: 'it does not run here; run: systemctl start it' } as const;
  const found = complaints({ ...with_('net.ipv4.ip_forward', '0'), pulse: off, director: off });
  t.deepEqual(
    found.map(({ id, severity }) => [id, severity]),
    [
      ['pulse', 'problem'],
      ['director', 'problem'],
      ['sysctls', 'notice'],
    ],
  );
});

test('without a usable config its mistakes come first, and the rest is looked at all the same', t => {
  const line = '/etc/tandem/tandem.yaml:3:5: lans.client.vips: it is no address; write one';
  const found = complaints({ config: undefined, digest: '', files: { ...files, errors: [line] }, ftpHelper: true });
  t.deepEqual(
    found.map(({ id, sentence }) => (id === 'config' ? sentence : id)),
    [line, 'module:ip_vs_ftp'],
  );
});

test('whoever is not root is told what he cannot see, and how', t => {
  const denied = { ok: false, denied: true, problem: 'you may not use pulse.sock; run as root' } as const;
  const found = complaints({ isRoot: false, pulse: denied, rules: { ok: false, problem: 'nft needs root' } });
  t.deepEqual(
    found.map(({ severity, fix }) => [severity, fix]),
    [
      ['unseen', 'sudo tandem doctor'],
      ['unseen', 'sudo tandem doctor'],
    ],
  );
});

test('a config without services needs no IPVS', t => {
  const config = { ...CONFIG, services: {} };
  t.deepEqual(complaints({ config, sysctls: new Map() }), []);
});
