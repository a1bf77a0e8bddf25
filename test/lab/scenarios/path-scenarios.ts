// What the nannies of both routers find: the whole way through the VIP, checked from the standby, and servers that only one of the
// two reaches. Io. Faults are rules of another firewall, typed here.
import assert from 'node:assert/strict';
import type { StatusReport } from '../../../src/status/status-report.ts';
import { startService } from '../measure/failover.ts';
import type { Scrapes } from '../pair/alarm.ts';
import type { Pair } from '../pair/pair.ts';
import { ROUTERS, type Router, SERVER_ADDRESSES, VIP } from '../pair/topology.ts';
import { alarmOf } from './alert-scenarios.ts';
import { until } from './director-scenarios.ts';
import { handOver } from './failover-scenarios.ts';
import type { Lab, Scenario } from './scenario.ts';

/** The routers' own addresses on the VIP's LAN. */
const OWN = { r1: '192.0.2.2', r2: '192.0.2.3' } as const;
const WAIT_MS = 180_000;

type Path = NonNullable<StatusReport['services'][number]['path']>;

async function pathOf(pair: Pair, router: Router): Promise<Path | null> {
  return (await pair.status(router)).services[0]?.path ?? null;
}

function untilPath(pair: Pair, router: Router, what: string, isSo: (path: Path) => boolean): Promise<void> {
  return until(
    `the path through the VIP, seen by ${router}: ${what}`,
    async () => {
      const path = await pathOf(pair, router);
      return path !== null && isSo(path);
    },
    WAIT_MS,
  );
}

async function block(lab: Lab, router: Router, hook: 'input' | 'output', match: string): Promise<void> {
  const input = `table inet foreign {\n\tchain taken {\n\t\ttype filter hook ${hook} priority 0;\n\t\t${match} drop\n\t}\n}\n`;
  await lab.topology.exec(router, 'nft', ['-f', '-'], { input });
}

async function unblock(lab: Lab, router: Router): Promise<void> {
  await lab.topology.exec(router, 'nft', ['delete', 'table', 'inet', 'foreign']);
}

/** Lines of a router's table of connections whose client is the standby itself. */
async function entriesOf(lab: Lab, router: Router, client: string): Promise<string[]> {
  const { stdout } = await lab.topology.exec(router, 'ipvsadm', ['-Lnc']);
  return stdout.split('\n').filter(line => line.includes(` ${client}:`));
}

/** The routers and the servers are well, seen by both. */
async function assertServersUp(pair: Pair): Promise<void> {
  for (const router of ROUTERS) {
    const { services } = await pair.status(router);
    const states = services[0]?.servers.map(({ state }) => state) ?? [];
    assert.ok(states.length > 0 && states.every(state => state === 'up'), `${router}: ${states}`);
  }
}

async function wholePath(lab: Lab): Promise<void> {
  const service = await startService(lab);
  const { pair, active, standby } = service;
  await untilPath(pair, standby, 'it passes', ({ state }) => state === 'up');
  const here = await pathOf(pair, active);
  assert.deepEqual([here?.state, here?.why], ['not-checked', 'this router holds the VIP']);

  // What passes is whole checks through the other router's IPVS, under one template; and what would take them from that way is not there.
  const seen = await entriesOf(lab, active, OWN[standby]);
  lab.record('entries', seen);
  assert.ok(
    seen.some(line => line.includes(` ${VIP}:21 `)),
    'the active router has the checks in its table',
  );
  assert.equal(seen.filter(line => line.includes(':0 ')).length, 1, 'one template');
  assert.deepEqual(await entriesOf(lab, standby, OWN[standby]), []);

  await block(lab, active, 'input', `ip daddr ${VIP} tcp dport 10000-20000`);
  await untilPath(pair, standby, 'it fails at the data connection', ({ state, failedStage }) => {
    return state === 'misconfigured' && failedStage === 'data-connect';
  });
  await assertServersUp(pair);
  const { health, problems } = await pair.status(standby);
  assert.equal(health, 'degraded');
  assert.ok(
    problems.some(problem => problem.startsWith(`service ftp: the check through ${VIP} fails at stage data-connect`)),
    problems.join('; '),
  );
  await unblock(lab, active);
  await untilPath(pair, standby, 'it passes again', ({ state }) => state === 'up');

  const now = await handOver(lab, service, active);
  await untilPath(pair, active, 'the other router checks now', ({ state }) => state === 'up');
  await untilPath(pair, now, 'and the new owner does not', ({ state }) => state === 'not-checked');
  assert.deepEqual(await entriesOf(lab, active, OWN[active]), []);
}

async function disagreement(lab: Lab): Promise<void> {
  const { pair, active, standby } = await startService(lab);
  const [name, address] = Object.entries(SERVER_ADDRESSES)[0] as [string, string];
  const seenBy = async (router: Router) =>
    (await pair.status(router)).services[0]?.servers.find(server => server.name === name);
  await until('both know the verdicts of the other', async () => {
    const peers = await Promise.all(ROUTERS.map(async router => (await seenBy(router))?.peer?.state));
    return peers.every(state => state === 'up');
  });
  const shown = (now: Scrapes, router: Router) =>
    now[router]?.[`tandem_server_checks_disagree{service="ftp",server="${name}"}`];
  const alarm = alarmOf(lab, pair);
  await alarm.happens({
    title: 'checks disagree',
    alert: 'TandemChecksDisagree',
    labels: { instance: active, service: 'ftp', server: name },
    events: ROUTERS.map(router => [router, 'CHECKS_DISAGREE'] as const),
    isShown: now => ROUTERS.every(router => shown(now, router) === 1),
    isOver: now => ROUTERS.every(router => shown(now, router) === 0),
    begin: () => block(lab, standby, 'output', `ip daddr ${address} tcp dport 21`),
    end: async () => {
      const [here, there] = [await seenBy(active), await seenBy(standby)];
      assert.deepEqual([here?.disagrees, here?.state, here?.peer?.state], [true, 'up', 'down']);
      assert.equal(here?.peer?.failedStage, 'connect');
      assert.deepEqual([there?.disagrees, there?.state, there?.peer?.state], [true, 'down', 'up']);
      assert.equal(here?.kernelWeight, here?.weight, 'the owner goes by its own verdict');
      const { problems } = await pair.status(active);
      assert.ok(
        problems.some(problem => problem.includes(`the routers disagree on server ${name}: ${active} says up`)),
        problems.join('; '),
      );
      await unblock(lab, standby);
    },
  });
  lab.record('alarms', alarm.tests);
}

/** The VIP on each server, by way of it: one that lacks it is found, and nobody else is blamed. */
async function waysToServers(lab: Lab, forwarding: 'dr' | 'tun'): Promise<void> {
  const service = await startService(lab, { forwarding, ipv6: true });
  const { pair, active, standby } = service;
  const serversOf = async (router: Router) => {
    const { services } = await pair.status(router);
    return services.flatMap(({ name, servers }) =>
      servers.map(server => ({ ...server, name: `${name} ${server.name}` })),
    );
  };
  const ways = async (router: Router): Promise<string> => {
    const shown = await Promise.all(
      [
        ['-4', 'rule', 'show'],
        ['-6', 'rule', 'show'],
        ['link', 'show'],
      ].map(args => lab.topology.exec(router, 'ip', args)),
    );
    const lines = shown.flatMap(({ stdout }) => stdout.split('\n'));
    return lines.filter(line => /^20999:|tandem-way/.test(line)).join('\n');
  };
  const untilWays = (router: Router, what: string, isSo: (states: readonly (string | undefined)[]) => boolean) =>
    until(what, async () => isSo((await serversOf(router)).map(({ vipCheck }) => vipCheck?.state)), WAIT_MS);

  await untilWays(standby, 'the VIPs answer on all servers', states => states.every(state => state === 'up'));
  lab.record('ways', await ways(standby));
  assert.ok((await serversOf(active)).every(({ vipCheck }) => vipCheck?.why === 'this router holds the VIP'));
  assert.equal(await ways(active), '');
  assert.deepEqual(await entriesOf(lab, active, OWN[standby]), [], 'no check goes by the other router');

  const device = forwarding === 'dr' ? 'tandem-vip' : 'tandem-tun';
  await lab.topology.exec('fs1', 'ip', ['address', 'del', `${VIP}/32`, 'dev', device]);
  await until(
    'the server without the VIP is misconfigured, for the standby and by its word for the owner',
    async () => {
      const [one] = await serversOf(standby);
      const [other] = await serversOf(active);
      return one?.state === 'misconfigured' && other?.disagrees === true && other.peer?.state === 'misconfigured';
    },
    WAIT_MS,
  );
  const seen = await serversOf(standby);
  lab.record('words', seen[0]?.words);
  assert.match(seen[0]?.words ?? '', /by its own address it answers, by the VIP not/);
  assert.ok(
    seen.slice(1).every(({ state, vipCheck }) => state === 'up' && vipCheck?.state === 'up'),
    JSON.stringify(seen),
  );
  const [kept] = await serversOf(active);
  assert.deepEqual([kept?.state, kept?.kernelWeight], ['up', kept?.weight], 'no weight goes by it');
  await lab.topology.exec('fs1', 'ip', ['address', 'add', `${VIP}/32`, 'dev', device]);
  await untilWays(standby, 'it is well again', states => states.every(state => state === 'up'));

  const stray = ['rule', 'add', 'pref', '20999', 'to', VIP, 'lookup', '21031'];
  await lab.topology.exec(standby, 'ip', stray);
  await until('a rule that a killed director left is gone', async () => !(await ways(standby)).includes('21031'));
  const now = await handOver(lab, service, active);
  await untilWays(active, 'the other router checks now', states => states.every(state => state === 'up'));
  assert.equal(await ways(now), '', 'the new owner has no such ways');
  pair.process(active, 'director').kill('SIGTERM');
  await until('a director that ends leaves none', async () => (await ways(active)) === '');
}

/** A server of DR that does not keep silent about the VIP: it asks who has an address, in the name of the VIP. */
async function claimingServer(lab: Lab): Promise<void> {
  const { pair } = await startService(lab, { forwarding: 'dr' });
  const nobody = '192.0.2.77';
  await lab.topology.exec('fs1', 'sysctl', [
    '-w',
    'net.ipv4.conf.all.arp_announce=0',
    'net.ipv4.conf.all.arp_ignore=0',
  ]);
  const ask = `require('net').connect({ host: '${nobody}', port: 9, localAddress: '${VIP}' }).on('error', () => {});
    setTimeout(() => process.exit(0), 500);`;
  const serverOf = async (router: Router) =>
    (await pair.status(router)).services[0]?.servers.find(({ name }) => name === 'fs1');
  await until(
    'a router says that the server is misconfigured',
    async () => {
      await lab.topology.exec('fs1', process.execPath, ['-e', ask]);
      const seen = await Promise.all(ROUTERS.map(serverOf));
      return seen.some(server => server?.state === 'misconfigured' && server.words.includes('arp_ignore = 1'));
    },
    WAIT_MS,
  );
  const problems = (await Promise.all(ROUTERS.map(router => pair.status(router)))).flatMap(report => report.problems);
  lab.record('problems', problems);
  assert.ok(problems.some(problem => problem.startsWith('service ftp: server fs1 is misconfigured: it answers for')));
  assert.ok(!problems.some(problem => problem.includes('another machine')), problems.join('; '));
}

export const PATH_SCENARIOS: readonly Scenario[] = [
  {
    title: 'the standby checks the whole path through the VIP, and finds what no check of a server can',
    run: wholePath,
    timeoutMs: 600_000,
  },
  {
    title: 'the routers say when they disagree on a server, and each goes by its own verdict',
    run: disagreement,
    timeoutMs: 600_000,
  },
  ...(['dr', 'tun'] as const).map(
    (forwarding): Scenario => ({
      title: `under ${forwarding.toUpperCase()} the standby checks the VIP on each server by way of that server`,
      topology: { direct: true, ipv6: true },
      run: lab => waysToServers(lab, forwarding),
      timeoutMs: 900_000,
    }),
  ),
  {
    title: 'a DR server that claims the VIP by ARP is named, and is no third machine',
    topology: { direct: true },
    run: claimingServer,
    timeoutMs: 600_000,
  },
];
