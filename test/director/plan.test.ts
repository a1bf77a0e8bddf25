import test from 'ava';
import { NOTHING_OWNED } from '../../src/director/owned.ts';
import { type Actual, isComplete, type PlanInput, plan } from '../../src/director/plan.ts';
import { forwardingInterfaces, sysctlPath, wantedSysctls } from '../../src/director/sysctl.ts';
import type { KernelInterface } from '../../src/firewall/interfaces.ts';
import { formatBatch, formatCommand } from '../../src/ipvs/ipvsadm.ts';
import type { IpvsServer } from '../../src/ipvs/table.ts';
import { SORRY, type Verdict } from '../../src/nanny/verdict.ts';
import { rawOf } from '../../src/sync/table/entry.ts';
import { scopeOf } from '../../src/sync/table/scope.ts';
import type { Address } from '../../src/units/address.ts';
import type { At } from '../../src/units/duration.ts';
import { runBatch, tableOf } from '../ipvs/model.ts';
import {
  codes,
  configOf,
  DNS,
  type FakeKernel,
  FRESH_SYSCTLS,
  FTP,
  FTP_DR,
  FTP6,
  FTP6_TUN,
  fakeKernel,
  NODE,
  PROXY,
  verdict,
  WEB_DR,
} from './fixture.ts';

const UP = [verdict('fs1', 'up'), verdict('fs2', 'up')];

function actualOf(fake: FakeKernel): Actual {
  return {
    ipvs: {
      ok: true,
      value: {
        table: tableOf(fake.ipvs),
        timeouts: { tcpS: fake.ipvs.timeouts[0], tcpFinS: fake.ipvs.timeouts[1], udpS: fake.ipvs.timeouts[2] },
      },
    },
    ipvsSignature: '',
    interfaces: [],
    nft: { ok: true, value: fake.nft },
    sysctls: fake.sysctls,
    readOnlySysctls: fake.readOnlySysctls,
    interfaces6: fake.interfaces6,
    ftpHelper: fake.ftpHelper,
  };
}

function inputOf(fake: FakeKernel, changes: Partial<PlanInput> = {}): PlanInput {
  const base = { config: configOf(), node: NODE, verdicts: UP, owned: NOTHING_OWNED, applied: undefined };
  const others = { otherVerdicts: [], drainOf: () => undefined, now: 0 as At, adopting: true };
  return { ...base, ...others, actual: actualOf(fake), ...changes };
}

test('an empty kernel gets time-outs, service, servers, table and settings, each explained', t => {
  const made = plan(inputOf(fakeKernel()));
  t.deepEqual(
    made.changes.map(({ target, change }) => `${target}: ${change}`),
    [
      'ipvs: ipvsadm --set 7200 120 0',
      'ipvs: ipvsadm -A -f 21 -s wlc -p 360',
      'ipvs: ipvsadm -a -f 21 -r 198.51.100.11:0 -m -w 1 -x 0',
      'ipvs: ipvsadm -a -f 21 -r 198.51.100.12:0 -m -w 2 -x 0',
      'nft: add the table inet tandem',
      "sysctl: net.ipv4.ip_forward = 1 (now 0): the real servers' answers pass through this router",
      'sysctl: net.ipv4.vs.sloppy_tcp = 1 (now 0): connections are adopted in mid-stream after a takeover',
      'sysctl: net.ipv4.vs.expire_quiescent_template = 1 (now 0): clients of a server that is down get another one',
      'sysctl: net.ipv4.vs.drop_entry = 1 (now 0): a flood of half-open connections must not take the memory that clients need',
      'sysctl: net.ipv4.vs.drop_packet = 1 (now 0): a flood of half-open connections must not take the memory that clients need',
      'sysctl: net.ipv4.vs.secure_tcp = 1 (now 0): a flood of half-open connections must not take the memory that clients need',
      'sysctl: net.ipv4.vs.conntrack = 1 (now 0): conntrack tells of new connections at once, the sync master up to 2 s later',
      'sysctl: net.ipv4.vs.sync_threshold = 0 0 (now 3 50): every connection is reported once, at its first packet',
      'sysctl: net.ipv4.vs.sync_refresh_period = 10 (now 0): quiet connections are reported again every 10 s, not per packet',
      'sysctl: net.ipv4.vs.sync_retries = 2 (now 0): each of those is reported twice more, because the reports are unacknowledged',
      "sysctl: net.ipv4.vs.sync_sock_size = 1048576 (now 0): the sync daemons' own buffers, at most rmem_max",
      'sysctl: net.netfilter.nf_conntrack_tcp_be_liberal = 1 (now 0): a transfer that comes back to this router has moved its window meanwhile',
    ],
  );
  t.true(made.changes.every(change => !change.disruptive));
  t.deepEqual(made.problems, []);
  t.false(isComplete(made));
});

test('where the servers answer by themselves this router forwards nothing and conntrack has no part; a tunnel wants path MTUs', t => {
  const made = (services: Record<string, unknown>) =>
    plan(inputOf(fakeKernel(), { config: configOf({ services }), verdicts: [] }));
  const names = (services: Record<string, unknown>) => wantedSysctls(configOf({ services })).map(rule => rule.name);
  const tracked = /ip_forward|forwarding|conntrack/;
  t.deepEqual(
    names({ ftp: FTP_DR, ftp6: FTP6_TUN }).filter(name => tracked.test(name)),
    [],
  );
  t.true(names({ ftp: FTP_DR, ftp6: FTP6_TUN }).includes('net.ipv4.vs.pmtu_disc'));
  t.false(names({ ftp: FTP_DR }).includes('net.ipv4.vs.pmtu_disc'));
  t.true(names({ ftp: FTP, ftp6: FTP6_TUN }).includes('net.ipv4.vs.conntrack'));
  t.false(names({ ftp: FTP, ftp6: FTP6_TUN }).includes('net.ipv6.conf.all.forwarding'));
  const servers = made({ ftp: FTP_DR, ftp6: FTP6_TUN }).changes.filter(({ change }) => change.includes(' -a '));
  t.deepEqual(
    servers.map(({ change }) => change),
    [
      'ipvsadm -a -f 23 -r 192.0.2.111:0 -g -w 0 -x 0',
      'ipvsadm -a -f 23 -r 192.0.2.112:0 -g -w 0 -x 0',
      'ipvsadm -a -f 24 -6 -r [2001:db8:9::11]:0 -i -w 0 -x 0',
    ],
  );
});

test('IPv4 is forwarded from the LANs by which forwarded packets come in: the servers, and with active mode the VIP', t => {
  const there = ['c0', 's0', 'x0'].map(name => ({ name, altnames: [], addresses: [] }));
  const from = (services: Record<string, unknown>, interfaces: readonly KernelInterface[] = there) =>
    forwardingInterfaces(configOf({ services }), 'r1', interfaces);
  t.deepEqual(from({ ftp: FTP }), ['c0', 's0']);
  t.deepEqual(from({ ftp: { ...FTP, active: false } }), ['s0']);
  t.deepEqual(from({ proxy: PROXY }), ['s0']);
  t.deepEqual(from({ ftp: FTP_DR, ftp6: FTP6 }), [], 'of IPv6 the kernel asks "all" only');
  t.deepEqual(from({ proxy: PROXY }, []), ['s0'], 'it may come yet');
  const vlan = [{ name: 'bond0.7', altnames: ['s0'], addresses: [] }];
  const rule = wantedSysctls(configOf(), [], from({ proxy: PROXY }, vlan)).find(({ name }) => name.includes('bond0'));
  t.like(rule, { name: 'net.ipv4.conf.bond0/7.forwarding', value: '1', mode: 'set', soft: true });
  t.is(sysctlPath(rule?.name ?? ''), '/proc/sys/net/ipv4/conf/bond0.7/forwarding');
});

test('forwarding that is off for one interface is switched on; an interface that is not there is no missing setting', t => {
  const fake = fakeKernel();
  fake.sysctls.set('net.ipv4.conf.s0.forwarding', '0');
  const made = plan(inputOf(fake));
  t.deepEqual(
    made.sysctls.map(({ rule }) => rule.name).filter(name => name.startsWith('net.ipv4.conf.')),
    ['net.ipv4.conf.s0.forwarding'],
  );
  t.deepEqual(made.problems, []);
});

test('IPv6 forwarding is switched on only for IPv6 services, sync settings only with sync', t => {
  const names = (sync: boolean, vip: string) => {
    const services = { ftp: { ...FTP, vip, servers: {} } };
    const made = plan(inputOf(fakeKernel(), { config: configOf({ services, sync }), verdicts: [] }));
    return made.sysctls.map(({ rule }) => rule.name);
  };
  t.false(names(true, '192.0.2.100').includes('net.ipv6.conf.all.forwarding'));
  t.true(names(true, '2001:db8:1::100').includes('net.ipv6.conf.all.forwarding'));
  t.false(names(true, '2001:db8:1::100').includes('net.ipv4.ip_forward'));
  t.false(names(false, '192.0.2.100').some(name => name.includes('vs.sync_')));
});

for (const { title, kernelWeight, state, weight } of [
  { title: 'a server that is up has its weight', kernelWeight: 0, state: 'up', weight: 2 },
  { title: 'a server that is down has weight 0', kernelWeight: 2, state: 'down', weight: 0 },
  {
    title: 'a server not judged yet keeps working after a restart of the director',
    kernelWeight: 2,
    state: 'unknown',
    weight: 2,
  },
  { title: 'a server not judged yet gets the new weight of the config', kernelWeight: 7, state: 'unknown', weight: 2 },
  { title: 'a server not judged yet that was down stays down', kernelWeight: 0, state: 'unknown', weight: 0 },
  {
    title: 'a server not judged yet that the kernel does not have waits for its verdict',
    kernelWeight: undefined,
    state: 'unknown',
    weight: 0,
  },
] as const) {
  test(title, t => {
    const fake = fakeKernel();
    if (kernelWeight !== undefined) {
      fake.ipvs.services.set('-f 21', {
        ...{ key: '-f 21' as never, scheduler: 'wlc', persistenceS: 360, mask: '', schedulerFlags: '', extras: '' },
        servers: [
          {
            address: '198.51.100.12' as never,
            port: 0,
            forwarding: 'nat',
            weight: kernelWeight,
            upperThreshold: 0,
            lowerThreshold: 0,
            activeConnections: 0,
            inactiveConnections: 0,
            templates: 0,
          },
        ],
      });
    }
    const made = plan(inputOf(fake, { verdicts: [verdict('fs1', 'up'), verdict('fs2', state)] }));
    t.is(made.wanted[0]?.servers[1]?.weight, weight);
  });
}

test('a service whose servers are all down stays in the kernel with weight 0, and is a problem', t => {
  const made = plan(inputOf(fakeKernel(), { verdicts: [verdict('fs1', 'down'), verdict('fs2', 'down')] }));
  t.deepEqual(codes(made.problems), ['no-server-up ftp']);
  t.false(made.problems[0]?.blocking);
  t.true(made.ipvs.some(command => formatCommand(command).startsWith('-A -f 21')));
});

test('a changed mark is shown as disruptive, with what it costs', t => {
  const owned = { ...NOTHING_OWNED, services: [{ key: '-f 20', name: 'ftp' }] };
  const made = plan(inputOf(fakeKernel(), { owned }));
  const disruptive = made.changes.filter(change => change.disruptive);
  t.is(disruptive.length, 1);
  t.regex(disruptive[0]?.change ?? '', /-A -f 21 .*mark of service ftp changes from "-f 20"/);
});

test('services of others are a problem, because sloppy_tcp reaches them too, but bar nothing', t => {
  const fake = fakeKernel();
  fake.ipvs.services.set('-t 192.0.2.50:80', {
    ...{
      key: '-t 192.0.2.50:80' as never,
      scheduler: 'rr',
      persistenceS: undefined,
      mask: '',
      schedulerFlags: '',
      extras: '',
    },
    servers: [],
  });
  const made = plan(inputOf(fake));
  t.deepEqual(codes(made.problems), ['foreign-services']);
  t.regex(made.problems[0]?.text ?? '', /-t 192\.0\.2\.50:80/);
  const timeouts = made.changes.find(({ change }) => change.startsWith('ipvsadm --set'));
  t.true(timeouts?.disruptive);
  t.is(
    timeouts?.change,
    "ipvsadm --set 7200 120 0: IPVS' time-outs were tcp 900 s and tcpfin 120 s, they become tcp 7200 s and tcpfin 120 s, and hold for the services of others, too (-t 192.0.2.50:80)",
  );
  fake.ipvs.timeouts = [7_200, 120, 300];
  t.is(plan(inputOf(fake)).sharedTimeouts, undefined, 'nothing to change, nothing to say');
  t.false(made.problems[0]?.blocking);
});

test('ip_vs_ftp is a problem with its remedy, and does not bar the rules', t => {
  const fake = fakeKernel();
  fake.ftpHelper = true;
  const [problem] = plan(inputOf(fake)).problems;
  t.regex(problem?.text ?? '', /rmmod ip_vs_ftp.*\/etc\/modprobe\.d/);
  t.false(problem?.blocking);
});

test('a kernel without IPVS, or without nft, bars the rules and says what to do', t => {
  const actual = {
    ...actualOf(fakeKernel()),
    ipvs: { ok: false, problem: 'modprobe ip_vs' } as const,
    nft: { ok: false, problem: 'apt-get install nftables' } as const,
  };
  const made = plan(inputOf(fakeKernel(), { actual }));
  t.deepEqual(codes(made.problems), ['ipvs-unavailable', 'nft-unavailable']);
  t.false(isComplete(made));
  t.deepEqual(made.ipvs, []);
});

test('a setting that the kernel lacks bars the rules; one that is only checked is reported', t => {
  const fake = fakeKernel();
  fake.sysctls.delete('net.ipv4.vs.sloppy_tcp');
  fake.sysctls.set('net.netfilter.nf_conntrack_tcp_loose', '0');
  const made = plan(inputOf(fake));
  t.deepEqual(codes(made.problems), [
    'sysctl-missing net.ipv4.vs.sloppy_tcp',
    'sysctl-off net.netfilter.nf_conntrack_tcp_loose',
  ]);
  t.deepEqual(
    made.problems.map(problem => problem.blocking),
    [true, false],
  );
  t.false(made.sysctls.some(({ rule }) => rule.name.endsWith('tcp_loose')));
});

test('a setting for the sync alone bars nothing when the kernel lacks it, refuses it, or has a larger value', t => {
  const fake = fakeKernel();
  for (const { change } of plan(inputOf(fake)).changes) {
    const [, name, value] = /^(\S+) = (.*) \(now/.exec(change) ?? [];
    if (name !== undefined && !/conntrack$|rmem_max/.test(name)) fake.sysctls.set(name, value as string);
  }
  fake.sysctls.set('net.ipv4.vs.sync_sock_size', '9000000');
  fake.sysctls.set('net.ipv4.vs.sync_qlen_max', '10');
  fake.sysctls.set('net.core.rmem_max', '212992');
  const made = plan(inputOf(fake));
  t.deepEqual(
    made.sysctls.map(({ rule }) => rule.name),
    ['net.ipv4.vs.conntrack', 'net.core.rmem_max'],
  );
  t.deepEqual(codes(made.problems), ['sysctl-off net.ipv4.vs.sync_qlen_max']);
  t.true(isComplete({ ...made, ipvs: [], nft: undefined }));
  fake.sysctls.delete('net.ipv4.vs.conntrack');
  t.deepEqual(codes(plan(inputOf(fake)).problems), ['sysctl-off net.ipv4.vs.sync_qlen_max']);
});

test('a setting for the sync that this network namespace only shows is reported, not written again and again', t => {
  const fake = fakeKernel();
  fake.sysctls.set('net.core.rmem_max', '212992');
  fake.readOnlySysctls.add('net.core.rmem_max');
  fake.readOnlySysctls.add('net.ipv4.ip_forward');
  const made = plan(inputOf(fake));
  const written = made.sysctls.map(({ rule }) => rule.name);
  t.false(written.includes('net.core.rmem_max'));
  t.true(written.includes('net.ipv4.ip_forward'), 'what transfers need is tried all the same, and its refusal told');
  t.deepEqual(codes(made.problems), ['sysctl-off net.core.rmem_max']);
  t.regex(made.problems[0]?.text ?? '', /`sysctl -w net\.core\.rmem_max=8388608` in the host's own network namespace/);
});

test('values that differ only in blanks are the same', t => {
  const fake = fakeKernel();
  for (const [name] of FRESH_SYSCTLS) fake.sysctls.set(name, '1');
  fake.sysctls.set('net.ipv4.vs.sync_threshold', '0\t0');
  const made = plan(inputOf(fake));
  t.false(made.sysctls.some(({ rule }) => rule.name.endsWith('sync_threshold')));
});

test('without services the plan is empty and complete, whatever the kernel lacks', t => {
  const actual = { ...actualOf(fakeKernel()), ipvs: { ok: false, problem: 'no IPVS' } as const };
  const made = plan(inputOf(fakeKernel(), { actual, config: configOf({ services: {} }), verdicts: [] }));
  t.deepEqual(made.changes, []);
  t.deepEqual(made.problems, []);
  t.true(isComplete(made));
});

const HOUR_MS = 3_600_000;

/**
 * A kernel whose second server has been down but alive since `sinceMs`, with `use` of it, and a
 * plan for it `at`.
 */
function busy(use: Partial<IpvsServer>, changes: Partial<Verdict> = {}, about: Partial<PlanInput> = {}) {
  const fake = fakeKernel();
  const counts = { activeConnections: 0, inactiveConnections: 0, templates: 0, upperThreshold: 0, lowerThreshold: 0 };
  fake.ipvs.services.set('-f 21', {
    ...{ key: '-f 21' as never, scheduler: 'wlc', persistenceS: 360, mask: '', schedulerFlags: '', extras: '' },
    servers: [{ address: '198.51.100.12' as never, port: 0, forwarding: 'nat', weight: 2, ...counts, ...use }],
  });
  const verdicts = [verdict('fs1', 'up'), { ...verdict('fs2', 'down'), alive: true, ...changes }];
  const made = plan(inputOf(fake, { verdicts, ...about }));
  return { made, fs2: made.wanted[0]?.servers[1], quiet: made.quiet };
}

for (const [title, use, changes, wanted] of [
  ['down but alive, with connections', { activeConnections: 1 }, {}, [2, true]],
  ['down but alive, with closed connections only', { inactiveConnections: 1 }, {}, [2, true]],
  ['down but alive, with templates only', { templates: 1 }, {}, [2, true]],
  ['down but alive, without clients', {}, {}, [0, false]],
  ['misconfigured, with connections', { activeConnections: 1 }, { state: 'misconfigured' }, [2, true]],
  ['misconfigured, without clients', {}, { state: 'misconfigured' }, [0, false]],
  ['dead, with connections and templates', { activeConnections: 1, templates: 1 }, { alive: false }, [0, false]],
  ['down, as all are', { activeConnections: 1 }, { kept: true }, [2, false]],
  ['not judged yet, and quiesced by the director before', { upperThreshold: 1 }, { state: 'unknown' }, [2, true]],
  ['not judged yet, as all fail at the start', { weight: 0 }, { state: 'unknown', kept: true }, [2, false]],
] as const) {
  test(`a server that is ${title}, gets weight ${wanted[0]}${wanted[1] ? ' and no new clients' : ''}`, t => {
    const { fs2 } = busy(use, changes);
    t.deepEqual([fs2?.weight, fs2?.quiesced], [...wanted]);
  });
}

test('a server that has been down but alive for too long keeps no clients, but stays in the kernel', t => {
  const owned = { ...NOTHING_OWNED, leaving: [{ key: '-f 21', address: '198.51.100.12', sinceMs: 0 }] };
  const at = (hours: number) => busy({ activeConnections: 1 }, {}, { owned, now: (hours * HOUR_MS) as At });
  t.is(at(23.9).fs2?.weight, 2);
  for (const hours of [23.99, 25]) {
    const { fs2, made, quiet } = at(hours);
    t.deepEqual([fs2?.weight, fs2?.quiesced], [0, false]);
    t.false(made.ipvs.some(({ type }) => type === 'delete-server'));
    t.is(quiet.length, 1, 'its time does not begin anew');
  }
});

test('servers that are quiesced take no new clients: with no other one that is a problem; kept ones are another', t => {
  const quiesced = busy(
    { activeConnections: 1 },
    {},
    {
      verdicts: [verdict('fs1', 'down'), { ...verdict('fs2', 'down'), alive: true }],
    },
  );
  t.true(codes(quiesced.made.problems).includes('no-server-up ftp'));
  const kept = ['fs1', 'fs2'].map(name => ({ ...verdict(name, 'down'), alive: true, kept: true }));
  t.deepEqual(codes(busy({}, {}, { verdicts: kept }).made.problems), ['all-servers-fail ftp']);
});

const SIX = configOf({ services: { ftp6: { ...FTP, vip: '2001:db8:1::100', servers: {} } } });

test("forwarding for IPv6 leaves the router's own default route: accept_ra is 2 before, where it was 1", t => {
  const fake = fakeKernel();
  const ra = (name: string) => `net.ipv6.conf.${name}.accept_ra`;
  fake.interfaces6 = ['all', 'default', 'lo', 'c0', 's0', 'c0.7'];
  for (const [name, value] of [
    ['all', '1'],
    ['default', '1'],
    ['lo', '1'],
    ['c0', '1'],
    ['s0', '0'],
    ['c0/7', '2'],
  ] as const)
    fake.sysctls.set(ra(name), value);
  const changes = () =>
    plan(inputOf(fake, { config: SIX, verdicts: [] })).sysctls.map(({ rule }) => `${rule.name}=${rule.value}`);
  t.deepEqual(changes().slice(0, 3), [`${ra('default')}=2`, `${ra('c0')}=2`, 'net.ipv6.conf.all.forwarding=1']);
  fake.sysctls.set('net.ipv6.conf.all.forwarding', '1');
  t.false(
    changes().some(change => change.includes('accept_ra')),
    'who had forwarding on meant what he wrote',
  );
});

test("IPVS' defence that the kernel has switched on is left on, and told", t => {
  const fake = fakeKernel();
  fake.sysctls.set('net.ipv4.vs.drop_entry', '2');
  const made = plan(inputOf(fake));
  t.false(made.sysctls.some(({ rule }) => rule.name.endsWith('drop_entry')));
  t.deepEqual(codes(made.problems), ['memory-short net.ipv4.vs.drop_entry']);
  t.false(made.problems[0]?.blocking);
});

test("an operator's defence that is always on is left on, and says nothing about memory", t => {
  const fake = fakeKernel();
  fake.sysctls.set('net.ipv4.vs.drop_entry', '3');
  const made = plan(inputOf(fake));
  t.false(made.sysctls.some(({ rule }) => rule.name.endsWith('drop_entry')));
  t.deepEqual(codes(made.problems), []);
});

test('a dot in the name of an interface is no slash of a path', t => {
  t.is(sysctlPath('net.ipv6.conf.c0/7.accept_ra'), '/proc/sys/net/ipv6/conf/c0.7/accept_ra');
});

test('the options of a scheduler become its flags: fallback without a word, what is written else', t => {
  const flags = (more: object) => {
    const services = { ftp: { ...FTP, ...more } };
    return plan(inputOf(fakeKernel(), { config: configOf({ services }) })).wanted[0]?.schedulerFlags;
  };
  t.is(flags({}), '');
  t.is(flags({ scheduler: 'sh' }), 'sh-fallback');
  t.is(flags({ scheduler: 'mh' }), 'mh-fallback');
  t.is(flags({ scheduler: 'mh', scheduler_options: ['port', 'fallback'] }), 'mh-fallback,mh-port');
  t.is(flags({ scheduler: 'sh', scheduler_options: [] }), '');
});

test('a server with thresholds of its own has them back after it was quiesced, and after a change by hand', t => {
  const limits = { upper_threshold: 40, lower_threshold: 30 };
  const services = { ftp: { ...FTP, servers: { fs2: { address: '198.51.100.12', weight: 2, ...limits } } } };
  const lines = (use: Partial<IpvsServer>, changes: Partial<Verdict>) => {
    const { made } = busy({ activeConnections: 1, ...use }, changes, { config: configOf({ services }) });
    return made.ipvs.map(formatCommand).filter(line => line.startsWith('-e'));
  };
  const set = '-e -f 21 -r 198.51.100.12:0 -m -w 2';
  t.deepEqual(lines({ upperThreshold: 40, lowerThreshold: 30 }, {}), [`${set} -x 1`]);
  t.deepEqual(lines({ upperThreshold: 1 }, {}), []);
  t.deepEqual(lines({ upperThreshold: 1 }, { state: 'up' }), [`${set} -x 40 -y 30`]);
  t.deepEqual(lines({ upperThreshold: 40, lowerThreshold: 3 }, { state: 'up' }), [`${set} -x 40 -y 30`]);
  t.deepEqual(lines({ upperThreshold: 40, lowerThreshold: 30 }, { state: 'up' }), []);
  // A restart of the director: what the kernel has says whether it was quiesced.
  t.deepEqual(lines({ upperThreshold: 40, lowerThreshold: 30 }, { state: 'unknown' }), []);
  t.deepEqual(lines({ upperThreshold: 1 }, { state: 'unknown' }), []);
});

test('clients are known by the network that persistence_prefix makes of them, and a change of it is disruptive', t => {
  const made = (more: object, fake = fakeKernel()) =>
    plan(inputOf(fake, { config: configOf({ services: { ftp: { ...FTP, ...more } } }) }));
  const mask = (more: object) => made(more).wanted[0]?.mask;
  t.is(mask({}), '');
  t.is(mask({ persistence_prefix: 32 }), '');
  t.is(mask({ persistence_prefix: 20 }), '255.255.240.0');
  t.is(mask({ vip: '2001:db8:1::100', persistence_prefix: 56, servers: {} }), '56');
  t.is(mask({ vip: '2001:db8:1::100', servers: {} }), '');
  const fake = fakeKernel();
  runBatch(fake.ipvs, formatBatch(made({}, fake).ipvs));
  const change = made({ persistence_prefix: 24 }, fake).changes.find(({ target }) => target === 'ipvs');
  t.like(change, { disruptive: true });
  t.regex(change?.change ?? '', /^ipvsadm -E -f 21 -s wlc -p 360 -M 255\.255\.255\.0 \(/);
});

const SORRY_ADDRESS = '198.51.100.99';
const WITH_SORRY = configOf({ services: { ftp: { ...FTP, sorry_server: { address: SORRY_ADDRESS } } } });
type State = Verdict['state'];

/** The sorry server's weight by the verdicts on fs1, fs2 and itself, and what it had in the kernel. */
function sorry(states: readonly [State, State, State], had = 0, more: Partial<Verdict> = {}) {
  const fake = fakeKernel();
  runBatch(fake.ipvs, `-A -f 21 -s wlc -p 360\n-a -f 21 -r ${SORRY_ADDRESS}:0 -m -w ${had} -x 0\n`);
  const [fs1, fs2, own] = states;
  const verdicts = [verdict('fs1', fs1), { ...verdict('fs2', fs2), ...more }];
  const made = plan(inputOf(fake, { config: WITH_SORRY, verdicts, otherVerdicts: [verdict(SORRY, own)] }));
  const lines = made.ipvs.map(formatCommand).filter(line => line.includes(SORRY_ADDRESS));
  return { weight: made.wanted[0]?.servers[2]?.weight, lines, problems: made.problems };
}

for (const [title, states, had, weight, more] of [
  ['while a real server is up', ['up', 'down', 'up'], 0, 0, {}],
  ['once a real server is up again', ['up', 'down', 'up'], 2, 0, {}],
  ['while all are down', ['down', 'down', 'up'], 0, 2, {}],
  ['while all are down or misconfigured', ['down', 'misconfigured', 'up'], 0, 2, {}],
  ['while one is misconfigured, with clients', ['down', 'misconfigured', 'up'], 0, 2, { alive: true }],
  ['while a server is up and one misconfigured', ['up', 'misconfigured', 'up'], 2, 0, {}],
  ['while all are down, but it is dead itself', ['down', 'down', 'down'], 2, 0, {}],
  ['before it was judged', ['down', 'down', 'unknown'], 0, 0, {}],
  ['after a restart, in use', ['unknown', 'unknown', 'unknown'], 2, 2, {}],
  ['after a restart, in use, some are judged', ['down', 'unknown', 'up'], 2, 2, {}],
  ['after a restart, not in use', ['unknown', 'unknown', 'up'], 0, 0, {}],
  ['while a server keeps its weight (on_all_failed: keep)', ['down', 'down', 'up'], 0, 0, { kept: true, alive: true }],
  ['while a server is down but alive', ['down', 'down', 'up'], 0, 2, { alive: true }],
] as const satisfies readonly (readonly [string, readonly [State, State, State], number, number, Partial<Verdict>])[]) {
  test(`the sorry server has ${weight > 0 ? 'a weight' : 'none'} ${title}`, t => {
    const { weight: found, lines } = sorry(states, had, more);
    t.is(found, weight);
    t.deepEqual(lines, had === weight ? [] : [`-e -f 21 -r ${SORRY_ADDRESS}:0 -m -w ${weight} -x 0`]);
  });
}

test('a service without a real server says where its clients go', t => {
  const text = (own: State) => sorry(['down', 'down', own]).problems.map(problem => problem.text);
  t.regex(text('up').join(), /no real server passes its check, so new clients come to its sorry server 198.51.100.99;/);
  t.regex(text('down').join(), /nor does its sorry server 198.51.100.99, so new clients are refused;/);
});

test('the sorry server waits in the kernel with weight 0, and the rules and the sync know it', t => {
  const made = plan(inputOf(fakeKernel(), { config: WITH_SORRY }));
  t.true(made.ipvs.map(formatCommand).includes(`-a -f 21 -r ${SORRY_ADDRESS}:0 -m -w 0 -x 0`));
  t.regex(made.nft ?? '', /ip saddr \. tcp sport \{.* 198\.51\.100\.99 \. 21, .*\} jump guard_out_ip\n/);
  t.true(scopeOf(WITH_SORRY).services[0]?.servers.has(rawOf(SORRY_ADDRESS as Address)));
});

test('a real server of two services is judged, weighted and limited in each of them by itself', t => {
  const shared = { address: '198.51.100.11' };
  const services = {
    ftp: { ...FTP, servers: { fs1: { ...shared, weight: 3, upper_threshold: 40 } } },
    more: {
      ...FTP,
      mark: 22,
      control_port: 2121,
      passive_ports: '20001-21000',
      active: false,
      servers: { same: shared },
    },
  };
  const fake = fakeKernel();
  const verdicts = [verdict('fs1', 'down'), verdict('same', 'up', 'more')];
  const made = plan(inputOf(fake, { config: configOf({ services }), verdicts }));
  t.deepEqual(
    made.ipvs.map(formatCommand).filter(line => line.startsWith('-a')),
    ['-a -f 21 -r 198.51.100.11:0 -m -w 0 -x 40', '-a -f 22 -r 198.51.100.11:0 -m -w 1 -x 0'],
  );
  t.deepEqual(codes(made.problems), ['no-server-up ftp']);
});

test('a service that is not FTP: another port on its servers, persistence only if it is asked for', t => {
  const fake = fakeKernel();
  const config = configOf({ services: { proxy: PROXY, web: WEB_DR } });
  const verdicts = [
    { ...verdict('w1', 'up'), service: 'proxy' },
    { ...verdict('w1', 'up'), service: 'web' },
  ];
  const made = plan(inputOf(fake, { config, verdicts }));
  const commands = made.ipvs.map(formatCommand);
  t.deepEqual(
    commands.filter(command => !command.startsWith('--set')),
    [
      '-A -f 81 -s wlc',
      '-a -f 81 -r 198.51.100.31:8080 -m -w 1 -x 0',
      '-A -f 80 -s wlc -p 600',
      '-a -f 80 -r 192.0.2.131:0 -g -w 1 -x 0',
    ],
  );
  runBatch(fake.ipvs, formatBatch(made.ipvs));
  t.deepEqual(plan(inputOf(fake, { config, verdicts })).ipvs, []);
  const moved = configOf({ services: { proxy: { ...PROXY, server_port: 8081 }, web: WEB_DR } });
  t.deepEqual(plan(inputOf(fake, { config: moved, verdicts })).ipvs.map(formatCommand), [
    '-a -f 81 -r 198.51.100.31:8081 -m -w 1 -x 0',
    '-d -f 81 -r 198.51.100.31:8080',
  ]);
});

test("IPVS' UDP time-out is set where a service is of that kind, and left alone elsewhere", t => {
  const config = { ...configOf({ services: { dns: DNS } }) };
  const [set, add] = plan(inputOf(fakeKernel(), { config, verdicts: [] })).ipvs.map(formatCommand);
  t.is(set, '--set 7200 120 300');
  t.is(add, '-A -f 53 -s wlc -p 60');
  const fake = fakeKernel();
  fake.ipvs.timeouts = [7_200, 120, 77];
  t.false(plan(inputOf(fake)).ipvs.some(({ type }) => type === 'set-timeouts'));
  const made = plan(inputOf(fake, { config, verdicts: [] })).ipvs.map(formatCommand);
  t.is(made[0], '--set 7200 120 300');
});
