// What the kernel's side of the sync should look like, from what ip, ipvsadm and /proc say: pure parts of src/sync.
import test from 'ava';
import type { KernelDaemon } from '../../../src/ipvs/sync-daemon.ts';
import { isRunning, planDaemons, SYNC_ID, WANTED_DAEMONS } from '../../../src/sync/kernel/daemon-plan.ts';
import { questionsOf } from '../../../src/sync/kernel/io/flow-watch.ts';
import { parseInterfaceLines, planLink } from '../../../src/sync/kernel/private-link.ts';
import { sendersTo, socketsAt } from '../../../src/sync/kernel/udp-table.ts';
import { rawOf } from '../../../src/sync/table/entry.ts';
import { scopeOf } from '../../../src/sync/table/scope.ts';
import type { Address } from '../../../src/units/address.ts';
import { configOf, FTP, FTP6 } from '../../director/fixture.ts';

/** As `ip -j -d address show` writes it (iproute2 6.1), without what is not read. */
const lineOf = (name: string, peer: string, addresses: readonly string[], up = true, kind = 'veth') => ({
  ifname: name,
  ...(peer === '' ? {} : { link: peer }),
  flags: up ? ['BROADCAST', 'UP', 'LOWER_UP'] : ['BROADCAST'],
  ...(kind === '' ? {} : { linkinfo: { info_kind: kind } }),
  addr_info: [
    ...addresses.map(local => ({ family: 'inet', local, prefixlen: 32 })),
    { family: 'inet6', local: 'fe80::1', prefixlen: 64 },
  ],
});
const planOf = (...lines: readonly object[]) => planLink(parseInterfaceLines(JSON.stringify(lines)));
const ETH = lineOf('eth0', '', ['192.0.2.2'], true, '');
const PAIR = [
  lineOf('tandem-sync0', 'tandem-sync1', ['169.254.84.80']),
  lineOf('tandem-sync1', 'tandem-sync0', ['169.254.84.81']),
];

test('on a router that has none, the private link is made', t => {
  t.deepEqual(planOf(ETH), {
    masterAddress: '169.254.84.80',
    listenerAddress: '169.254.84.81',
    renewsMaster: true,
    create: ['link add tandem-sync0 type veth peer name tandem-sync1'],
    finish: [
      'address replace 169.254.84.80/32 dev tandem-sync0',
      'link set tandem-sync0 up',
      'address replace 169.254.84.81/32 dev tandem-sync1',
      'link set tandem-sync1 up',
    ],
    changes: ['make the private interface tandem-sync0'],
  });
});

test('a link that is there is adopted, and what is missing of it is repaired', t => {
  t.like(planOf(ETH, ...PAIR), { renewsMaster: false, create: [], finish: [], changes: [] });
  const broken = [PAIR[0] as object, lineOf('tandem-sync1', 'tandem-sync0', [], false)];
  t.like(planOf(ETH, ...broken), {
    create: [],
    finish: ['address replace 169.254.84.81/32 dev tandem-sync1', 'link set tandem-sync1 up'],
    changes: ['repair the private interface tandem-sync0'],
  });
});

test('addresses that another interface has are left to it, by an adopted link too as long as nothing else took them', t => {
  t.like(planOf(lineOf('eth0', '', ['169.254.84.81'], true, '')), { masterAddress: '169.254.84.82' });
  const other = [
    lineOf('tandem-sync0', 'tandem-sync1', ['169.254.117.82']),
    lineOf('tandem-sync1', 'tandem-sync0', ['169.254.117.83']),
  ];
  t.like(planOf(...other), { masterAddress: '169.254.117.82', finish: [] });
});

test('all addresses taken, or an interface of that name that is not ours: a sentence says so and nothing is done', t => {
  const all = [84, 117, 198, 231].flatMap(third => [80, 82].map(last => `169.254.${third}.${last}`));
  t.regex(planOf(lineOf('eth0', '', all, true, '')) as string, /all link-local address pairs .* are taken/);
  t.regex(planOf(lineOf('tandem-sync0', '', [], true, 'dummy')) as string, /tandem-sync0 exists but is not Tandem's/);
  t.regex(planOf(PAIR[1] as object) as string, /tandem-sync1 exists but/);
});

const [BACKUP, MASTER] = WANTED_DAEMONS as [KernelDaemon, KernelDaemon];
const foreignDaemon = (state: KernelDaemon['state']): KernelDaemon => ({
  ...{ state, interface: 'x0', syncId: 21, group: '224.0.0.81', port: 8848 },
  lengthMax: state === 'master' ? 1472 : 65507,
});

for (const { title, running, stop, start, problems } of [
  { title: 'none runs', running: [], stop: [], start: [BACKUP, MASTER], problems: [] },
  {
    title: 'both run',
    running: [MASTER, { ...BACKUP, lengthMax: 65_507 }],
    stop: [],
    start: [],
    problems: [],
  },
  {
    title: "somebody else's master runs",
    running: [foreignDaemon('master'), BACKUP],
    stop: [],
    start: [],
    problems: [/somebody else's master sync daemon runs on x0 \(sync id 21\)/],
  },
  {
    title: 'a backup of ours takes short messages only',
    running: [MASTER, { ...BACKUP, lengthMax: 1472 }],
    stop: [{ ...BACKUP, lengthMax: 1472 }],
    start: [BACKUP],
    problems: [],
  },
  {
    title: "somebody else's backup hears lo under another id",
    running: [MASTER, { ...BACKUP, syncId: SYNC_ID + 1 }],
    stop: [],
    start: [],
    problems: [/somebody else's backup sync daemon runs on lo/],
  },
] as const) {
  test(`sync daemons: ${title}`, t => {
    const plan = planDaemons(running);
    t.deepEqual([plan.stop, plan.start], [stop, start] as never);
    t.is(plan.problems.length, problems.length);
    for (const [index, problem] of problems.entries()) t.regex(plan.problems[index] as string, problem);
  });
}

/** From a real kernel (6.1): the backup daemon's socket on lo, with 13 messages waiting and 12 lost, and the master's. */
const UDP = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops            
  169: 510000E0:2290 00000000:0000 07 00000000:00034D00 00:00000000 00000000     0        0 10894 2 0000000012040269 12        
  459: 5054FEA9:9FB2 510000E0:2291 01 00000000:00000000 00:00000000 00000000     0        0 10886 2 000000007d9bd6a7 0         
  460: 510000E0:2291 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 10887 2 000000007d9bd6a8 3         
`;

test('what waits in a socket of the kernel and what it has lost are read from /proc/net/udp', t => {
  t.deepEqual(
    socketsAt(UDP, '224.0.0.81', 8848).map(({ receiveQueueBytes, drops }) => [receiveQueueBytes, drops]),
    [[216_320, 12]],
  );
  t.deepEqual(
    socketsAt(UDP, '224.0.0.81', 8849).map(({ drops }) => drops),
    [3],
  );
  t.deepEqual(socketsAt(UDP, '224.0.0.81', 8850), []);
  t.deepEqual(socketsAt('', '224.0.0.81', 8848), []);
  t.deepEqual(sendersTo(UDP, '224.0.0.81', 8849), ['169.254.84.80']);
  t.deepEqual(sendersTo(UDP, '224.0.0.81', 8848), []);
});

test('conntrack is asked about each VIP and about port 20 of each family', t => {
  const scope = scopeOf(configOf({ services: { ftp: FTP, ftp6: { ...FTP6, active: false } } }));
  t.deepEqual(
    questionsOf(scope).map(question => question.join(' ')),
    [
      '-f ipv4 -e NEW,UPDATES --orig-dst 192.0.2.100',
      '-f ipv6 -e NEW,UPDATES --orig-dst 2001:db8:1::100',
      '-f ipv4 --orig-port-src 20',
    ],
  );
});

test('with many VIPs conntrack is asked once for each family, because every child is given every event', t => {
  const scope = scopeOf(configOf());
  const many = Array.from({ length: 9 }, (_, i) => ({
    ...(scope.services[0] as (typeof scope.services)[number]),
    vip: rawOf(`192.0.2.${100 + i}` as Address),
  }));
  t.deepEqual(questionsOf({ ...scope, services: many }), [['-f', 'ipv4']]);
});

const WORKS = { hears: true, master: true, backup: true, injection: true, followsConntrack: true };

for (const { title, lacks, running } of [
  { title: 'all works', lacks: {}, running: true },
  { title: "a firewall takes the master's events: conntrack tells", lacks: { hears: false }, running: true },
  { title: 'no master, as when it sends elsewhere: conntrack tells', lacks: { master: false }, running: true },
  { title: 'nobody tells of connections', lacks: { hears: false, followsConntrack: false }, running: false },
  { title: "conntrack is not there, the master's events are", lacks: { followsConntrack: false }, running: true },
  { title: 'no backup daemon', lacks: { backup: false }, running: false },
  { title: 'the kernel takes no entries', lacks: { injection: false }, running: false },
]) {
  test(`the sync ${running ? 'runs' : 'does not run'}: ${title}`, t => {
    t.is(isRunning({ ...WORKS, ...lacks }), running);
  });
}
