// The data plane beside others, with real daemons and the machine's own nftables: what they flush is back within a second, on the
// owner and on the standby. Needs root and `scripts/setup`.
import test, { type ExecutionContext } from 'ava';
import { FILE_SERVERS, type Host, ROUTERS, type Router, VIP, wallNow } from '../lab/pair/topology.ts';
import { SLACK_MS } from './io/packet-lease.ts';
import { eventsOf, startDirector, statusOf, tableOf } from './io/plane.ts';
import { buildRouters, groupPids, type PulseProcess, type Routers, signalAll } from './io/routers.ts';
import { sleep } from './io/vipd.ts';

const GATE = 'netdev tandem_gate';
/** The default lease. */
const L_MS = 220;
/** Nothing here is about failover: a busy machine must not cause one. Without IPVS no router could take the VIPs again. */
const CALM_TIMES = { interval: '200ms', lease: '2s', dead: '3s' };
let built = 0;

type Directors = Readonly<Record<Router, PulseProcess>>;

async function withDirectors(
  t: ExecutionContext,
  body: (routers: Routers, directors: Directors) => Promise<void>,
): Promise<void> {
  t.timeout(120_000);
  built += 1;
  const routers = await buildRouters({ prefix: `tp${process.pid}-p${built}-`, times: CALM_TIMES });
  let directors: Directors | undefined;
  // A test that throws has not failed yet when the logs are to be shown.
  let isThrough = false;
  try {
    for (const router of ROUTERS) routers.start(router);
    await routers.settle('r1');
    const directorOf = { r1: startDirector(routers, 'r1'), r2: startDirector(routers, 'r2') };
    directors = directorOf;
    for (const router of ROUTERS) {
      await routers.until(`rules on ${router}`, 20_000, async () => /guard_in/.test(await tableOf(routers, router)));
      const audited = async () => (await statusOf(routers, router)).kernel.lastAuditAt !== null;
      await routers.until(`${router} has audited`, 20_000, audited);
      await routers.until(`${router} watches`, 20_000, async () => watches(routers, router));
      // Nothing listens on the servers. While verdicts change there are audits, and what comes then waits for their end.
      const down = () => eventsOf(directorOf[router], 'SERVER_DOWN');
      await routers.until(`${router} has its verdicts`, 20_000, () => down().length === FILE_SERVERS.length);
      const since = Date.parse(String(down().at(-1)?.ts));
      const settled = async () => Date.parse((await statusOf(routers, router)).kernel.lastAuditAt ?? '') >= since;
      await routers.until(`${router} has done by them`, 20_000, settled);
    }
    await body(routers, directors);
    isThrough = t.passed;
  } finally {
    if (!isThrough)
      for (const name of ROUTERS)
        for (const { log } of [routers.pulses[name], directors?.[name]].flatMap(each => each ?? []))
          t.log(name, log.slice(-16).map(inOneLine));
    await routers.destroy();
  }
}

function inOneLine({
  ts,
  code,
  target,
  reason,
  change,
  problem,
  repairs,
  tookMs,
}: PulseProcess['log'][number]): string {
  return [ts, code, target, change, reason, problem, repairs, tookMs].filter(value => value !== undefined).join(' ');
}

/** The child of the director listens to nftables. */
async function watches(routers: Routers, router: Router): Promise<boolean> {
  const { stdout } = await routers.topology.exec(router, 'cat', ['/proc/self/net/netlink']);
  // Protocol 12 is netfilter's; nftables' events are its group 7.
  return /^[0-9a-f]+ +12 +\d+ +0*[0-9a-f]*[4-7c-f][0-9a-f] /m.test(stdout);
}

for (const router of ROUTERS) {
  const standing = router === 'r1' ? 'owner' : 'standby';
  test.serial(`\`nft flush ruleset\` on the ${standing}: rules and packet lease are back within a second`, async t => {
    await withDirectors(t, async (routers, directors) => {
      const before = { plane: await tableOf(routers, router), gate: await tableOf(routers, router, GATE) };
      t.regex(before.gate, /gate_c0/);
      for (let round = 1; round <= 3; round += 1) {
        const at = performance.now();
        await routers.topology.exec(router, 'nft', ['flush', 'ruleset']);
        await routers.until('both tables are back', 1_000, async () => {
          const [plane, gate] = [await tableOf(routers, router), await tableOf(routers, router, GATE)];
          return plane === before.plane && /gate_c0/.test(gate) && /gate_s0/.test(gate);
        });
        t.log(`${standing}, round ${round}: back after ${(performance.now() - at).toFixed(0)} ms`);
        await sleep(1_500);
      }
      // One that falls into a running audit may be taken for a change of that audit's own.
      for (let more = 0; more < 5 && eventsOf(directors[router], 'DRIFT_REPEATS').length === 0; more += 1) {
        await routers.topology.exec(router, 'nft', ['flush', 'ruleset']);
        await sleep(1_500);
      }
      const repairs = eventsOf(directors[router], 'DRIFT_REPAIRED');
      t.true(repairs.some(event => event.target === 'nft'));
      t.true(eventsOf(directors[router], 'DRIFT_REPEATS').length > 0, 'the third time is the alarm');
      t.true((await statusOf(routers, router)).problems.some(problem => /keeps changing/.test(problem)));
      t.is((await routers.snapshot('r1'))?.role, 'active');
    });
  });
}

test.serial('forwarding that others switch off, as a whole or for one interface, is back within 1.5 s', async t => {
  await withDirectors(t, async routers => {
    const isOn = async (setting: string) =>
      (await routers.topology.exec('r1', 'sysctl', ['-n', setting])).stdout.trim() === '1';
    // As `sysctl --system` does, and systemd-networkd with IPv4Forwarding=no for one link.
    for (const setting of ['net.ipv4.ip_forward', 'net.ipv4.conf.s0.forwarding']) {
      t.true(await isOn(setting), setting);
      const at = performance.now();
      await routers.topology.exec('r1', 'sysctl', ['-qw', `${setting}=0`]);
      await routers.until(`${setting} is back`, 1_500, () => isOn(setting));
      t.log(`${setting}: back after ${(performance.now() - at).toFixed(0)} ms`);
      await sleep(1_500);
    }
  });
});

test.serial('a rival that flushes all the time is undone later and later, and not for ever at its pace', async t => {
  await withDirectors(t, async (routers, directors) => {
    const until = performance.now() + 6_000;
    let flushes = 0;
    while (performance.now() < until) {
      await routers.topology.exec('r2', 'nft', ['flush', 'ruleset']);
      flushes += 1;
      await sleep(100);
    }
    // At 0, 0, 0, 1, 3 and 7 s, and where an audit looked just then.
    const repairs = eventsOf(directors.r2, 'DRIFT_REPEATS');
    const last = repairs.at(-1);
    t.log(`${flushes} flushes, ${last?.repairs} repairs in a row`);
    t.true(Number(last?.repairs) <= 7, `${last?.repairs} repairs`);
    t.true(Number(last?.pauseMs) >= 1_000);
  });
});

test.serial('others may change their own tables as they like: no audit comes of it', async t => {
  await withDirectors(t, async (routers, directors) => {
    await sleep(1_500);
    const before = directors.r1.log.length;
    for (let i = 0; i < 20; i += 1) {
      await routers.topology.exec('r1', 'nft', ['add', 'table', 'inet', `other${i}`]);
      await routers.topology.exec('r1', 'nft', ['delete', 'table', 'inet', `other${i}`]);
    }
    await sleep(1_000);
    const codes = directors.r1.log.slice(before).map(line => line.code);
    t.false(codes.includes('DRIFT_REPAIRED'), String(codes));
    t.false(codes.includes('KERNEL_CHANGED'), String(codes));
  });
});

/** What a TCP connection ends with, in bash's words; '' when it is made. Bounded. */
async function connects(routers: Routers, host: Host, port = 21): Promise<string> {
  const script = `timeout 2 bash -c '</dev/tcp/${VIP}/${port}' 2>&1 || [ $? -ne 124 ] || echo silence`;
  return (await routers.topology.exec(host, 'bash', ['-c', script])).stdout.trim();
}

/** A counter of the director's rules. */
async function counted(routers: Routers, name: string): Promise<number> {
  const { stdout } = await routers.topology.exec('r1', 'nft', ['list', 'counter', 'inet', 'tandem', name]);
  return Number(/packets (\d+)/.exec(stdout)?.[1]);
}

test.serial(
  'who comes by an interface of no LAN, from the servers or from the router itself is refused and counted',
  async t => {
    await withDirectors(t, async routers => {
      const { topology } = routers;
      const client = topology.namespace('client');
      const ip = (host: Host, ...args: string[]) => topology.exec(host, 'ip', args);
      await ip('r1', 'link', 'add', 'vpn0', 'type', 'veth', 'peer', 'name', 'vpn1', 'netns', client);
      await ip('r1', 'address', 'add', '203.0.113.200', 'peer', '203.0.113.201', 'dev', 'vpn0');
      await ip('r1', 'link', 'set', 'vpn0', 'up');
      await ip('client', 'address', 'add', '203.0.113.201', 'peer', '203.0.113.200', 'dev', 'vpn1');
      await ip('client', 'link', 'set', 'vpn1', 'up');
      t.is(await connects(routers, 'client'), 'silence', "by the VIP's own LAN nobody refuses (here: no IPVS)");
      await ip('client', 'route', 'add', VIP, 'via', '203.0.113.200', 'dev', 'vpn1', 'src', '203.0.113.201');
      t.regex(await connects(routers, 'client'), /No route to host/);
      t.true((await counted(routers, 'refused_elsewhere')) > 0);
      t.is(await counted(routers, 'refused_ftp'), 0);
      t.regex(await connects(routers, 'fs1'), /Connection refused/);
      t.regex(await connects(routers, 'r1', 15_000), /Connection refused/);
      t.true((await counted(routers, 'refused_ftp')) >= 2);
    });
  },
);

for (const signal of ['SIGSTOP', 'SIGKILL'] as const) {
  test.serial(`${signal} of everything: who came in by another LAN is shut out within L, too`, async t => {
    t.timeout(90_000);
    built += 1;
    const routers = await buildRouters({ prefix: `tp${process.pid}-p${built}-`, store: true });
    try {
      for (const router of ROUTERS) routers.start(router);
      await routers.settle('r1');
      const { topology } = routers;
      await topology.exec('store', 'ip', ['route', 'add', VIP, 'via', '203.0.113.1']);
      const ping = topology.start('store', 'ping', ['-n', '-D', '-i', '0.01', VIP], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      let text = '';
      ping.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      await sleep(1_000);
      const pids = await groupPids(routers, 'r1');
      const at = wallNow();
      signalAll(pids, signal);
      await sleep(2_500);
      ping.kill('SIGKILL');
      const answers = [...text.matchAll(/^\[(\d+\.\d+)\] \d+ bytes from/gm)].map(match => Number(match[1]) * 1_000);
      t.true(answers.filter(answer => answer < at).length > 30, 'served by way of the cross LAN before');
      const last = Math.max(...answers) - at;
      t.log(`the last answer came ${last.toFixed(0)} ms after ${signal}`);
      t.true(last < L_MS + SLACK_MS);
    } finally {
      await routers.destroy();
    }
  });
}

test.serial(
  'an alternative name, and a new name while all runs: rules and packet lease are on the interface itself',
  async t => {
    t.timeout(90_000);
    built += 1;
    const edit = (text: string) => text.replace('interface: c0', 'interface: { r1: outside, r2: c0 }');
    const routers = await buildRouters({ prefix: `tp${process.pid}-p${built}-`, edit });
    const chains = async () =>
      [...(await tableOf(routers, 'r1', GATE)).matchAll(/ingress device "(\S+)"/g)].map(m => m[1]);
    try {
      await routers.topology.exec('r1', 'ip', ['link', 'property', 'add', 'dev', 'c0', 'altname', 'outside']);
      for (const router of ROUTERS) routers.start(router);
      await routers.settle('r1');
      t.deepEqual((await chains()).sort(), ['c0', 'lo', 's0', 'x0']);
      const director = startDirector(routers, 'r1', { edit });
      await routers.until('rules by the kernel name', 20_000, async () =>
        /iifname \{ "c0", "x0" \} [^\n]*meta mark set ip daddr \. tcp dport map/.test(await tableOf(routers, 'r1')),
      );
      await routers.until('it is told', 5_000, () => eventsOf(director, 'INTERFACE_NAMED').length === 1);
      await routers.topology.exec('r1', 'ip', ['link', 'set', 'dev', 'c0', 'name', 'wan0']);
      await routers.until('rules by the new name', 3_000, async () =>
        /iifname \{ "wan0", "x0" \} [^\n]*meta mark set ip daddr \. tcp dport map/.test(await tableOf(routers, 'r1')),
      );
      await routers.until('packet lease by the new name', 3_000, async () => (await chains()).includes('wan0'));
      t.false((await chains()).includes('c0'));
      await routers.topology.exec('client', 'ping', ['-n', '-c', '1', '-W', '1', VIP]);
      t.is((await routers.snapshot('r1'))?.role, 'active');
      t.false(
        (await routers.snapshot('r1'))?.lans.some(lan => lan.dead),
        'traffic is counted on it all the same',
      );
    } finally {
      if (!t.passed) t.log(routers.pulses.r1?.log.slice(-8));
      await routers.destroy();
    }
  },
);

/** Default-deny as Debian's examples have it; `more` goes before the end of the chain. */
const DENY = (more: string) => `table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    iifname { "lo", "s0", "x0" } accept
    ip protocol icmp accept
    udp dport 694 accept
    ${more}
  }
}
`;

test.serial(
  'a foreign default-deny is found by what it takes, named, and over when the rule that was missing is there',
  async t => {
    await withDirectors(t, async (routers, directors) => {
      const rules = (text: string) => routers.topology.exec('r1', 'nft', ['-f', '-'], { input: text });
      const drops = () => eventsOf(directors.r1, 'FOREIGN_DROP');
      await rules(DENY(''));
      for (let i = 0; i < 4; i += 1) await connects(routers, 'client');
      await routers.until('found', 12_000, () => drops().length > 0);
      // Not for the rule: for what it took. The standby's checks through the VIP count, too.
      t.true((await counted(routers, 'from_clients_early_ftp')) >= 3);
      t.like(drops()[0], { service: 'ftp', way: 'from-clients' });
      t.regex(
        String(drops()[0]?.problem),
        /"inet filter input \(policy drop\)"; missing is perhaps `nft insert rule inet filter input ip daddr 192\.0\.2\.100 tcp dport/,
      );
      t.true((await statusOf(routers, 'r1')).problems.some(problem => /inet filter input/.test(problem)));
      await rules('insert rule inet filter input ip daddr 192.0.2.100 tcp dport { 21, 10000-20000 } accept\n');
      await connects(routers, 'client');
      await routers.until('over', 12_000, () => eventsOf(directors.r1, 'FOREIGN_DROP_OVER').length > 0);
    });
  },
);

test.serial('logins that pass hide no passive data that a foreign firewall takes', async t => {
  await withDirectors(t, async (routers, directors) => {
    const rules = (text: string) => routers.topology.exec('r1', 'nft', ['-f', '-'], { input: text });
    const ways = (code: string) => eventsOf(directors.r1, code).map(({ way }) => way);
    await rules(DENY('ip daddr 192.0.2.100 tcp dport 21 accept'));
    for (let i = 0; i < 6; i += 1) await connects(routers, 'client', i % 2 === 0 ? 21 : 15_000);
    await routers.until('found', 12_000, () => ways('FOREIGN_DROP').length > 0);
    t.deepEqual(ways('FOREIGN_DROP'), ['data-from-clients']);
    t.regex(String(eventsOf(directors.r1, 'FOREIGN_DROP')[0]?.problem), /"inet filter input \(policy drop\)"/);
    await rules('insert rule inet filter input ip daddr 192.0.2.100 tcp dport 10000-20000 accept\n');
    await connects(routers, 'client', 15_000);
    await routers.until('over', 12_000, () => ways('FOREIGN_DROP_OVER').length > 0);
    t.deepEqual(ways('FOREIGN_DROP_OVER'), ['data-from-clients']);
  });
});

test.serial('who takes the mark away after us is found, and named', async t => {
  await withDirectors(t, async (routers, directors) => {
    const drops = () => eventsOf(directors.r1, 'FOREIGN_DROP');
    const restore = `table inet multiwan {
      map verdicts { type ipv4_addr : verdict; elements = { 192.0.2.100 : goto restore }; }
      chain restore { meta mark set ct mark; }
      chain pre {
        type filter hook prerouting priority mangle + 10; policy accept;
        ip daddr vmap @verdicts
      }
    }`;
    await routers.topology.exec('r1', 'nft', ['-f', '-'], { input: restore });
    for (let i = 0; i < 4; i += 1) await connects(routers, 'client');
    await routers.until('found', 12_000, () => drops().length > 0);
    t.like(drops()[0], { service: 'ftp', way: 'from-clients' });
    t.regex(
      String(drops()[0]?.problem),
      /look at "inet multiwan pre \(sets marks\)"; .*`nft insert rule inet multiwan pre /,
    );
  });
});

test.serial('foreign rules that accept what is ours are no finding, however many connections there are', async t => {
  await withDirectors(t, async (routers, directors) => {
    const text = DENY('ip daddr 192.0.2.100 tcp dport { 21, 10000-20000 } accept');
    await routers.topology.exec('r1', 'nft', ['-f', '-'], { input: text });
    for (let i = 0; i < 6; i += 1) await connects(routers, 'client', i % 2 === 0 ? 21 : 15_000);
    await sleep(6_000);
    t.deepEqual(eventsOf(directors.r1, 'FOREIGN_DROP'), []);
    t.true((await counted(routers, 'from_clients_late_ftp')) >= 3);
    t.true((await counted(routers, 'data_from_clients_late_ftp')) >= 3);
  });
});
