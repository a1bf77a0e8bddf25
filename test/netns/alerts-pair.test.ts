// What must be alerted on, made real on two routers, one fault after the other: each is logged, moves a metric, fires its alert, and
// all of that ends with it. Here what pulse sees; the real servers are in alerts-servers.test.ts, the sync in the lab. The directors
// have no services, so that they need no IPVS. Needs root and scripts/setup.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { Fault, Scrapes } from '../lab/pair/alarm.ts';
import { run } from '../lab/pair/netns.ts';
import { CLIENT_ADDRESSES, ROUTERS, type Router, STORE_ADDRESS, VIP } from '../lab/pair/topology.ts';
import { withRouters } from './io/act.ts';
import { heal, lose, setPlug } from './io/faults.ts';
import { directorConfig, startDirector } from './io/plane.ts';
import { type PulseProcess, type Routers, signalAll } from './io/routers.ts';
import { WatchedPair } from './io/watched-pair.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Long enough that a busy machine causes no failover. */
const TIMES = { interval: '100ms', lease: '1600ms', dead: '2s' };
const WITNESS = `witness:
  redis: { host: ${STORE_ADDRESS} }
  lease: 2500ms
  timeout: 500ms
`;
/** A peer that falls silent longer after the witness than three of its leases is another fault, and judged without it. */
const APART_MS = 3 * 2_500 + 1_000;
const OTHER_VERSION = '0.0.1-other';

interface Pair {
  readonly routers: Routers;
  readonly watched: WatchedPair;
  readonly redis: { kill(signal: NodeJS.Signals): boolean };
}

const seriesAt = (now: Scrapes, router: Router, series: string) => now[router]?.[series];
const isAt =
  (router: Router, series: string, value: number): Fault['isShown'] =>
  now =>
    seriesAt(now, router, series) === value;

/** With the very config that pulse has. */
async function startDirectorOf({ routers, watched }: Pair, router: Router, cli?: string) {
  const text = readFileSync(join(routers.directory, 'tandem.yaml'), 'utf8');
  const director = startDirector(routers, router, { edit: () => text, ...(cli !== undefined && { cli }) });
  watched.setDirector(router, director);
  await routers.until(
    `${router}'s metrics`,
    60_000,
    async () => seriesAt(await watched.alarm.scrape(), router, 'tandem_pulse_up') === 1,
  );
}

async function stop({ child, exited }: PulseProcess): Promise<void> {
  child.kill('SIGTERM');
  await exited;
}

/** Without its vipd, and without the director, which has the same directory. */
async function pulsePids({ topology, directory }: Routers, router: Router): Promise<number[]> {
  const pattern = `program/tandem.js pulse .*${join(directory, router, 'run')}`;
  const { stdout } = await topology.exec(router, 'pgrep', ['-f', '--', pattern]).catch(() => ({ stdout: '' }));
  return stdout.split('\n').filter(Boolean).map(Number);
}

async function stopPulse(routers: Routers, router: Router): Promise<void> {
  const pids = await pulsePids(routers, router);
  if (pids.length === 0) throw new Error(`no pulse of ${router} is found`);
  signalAll(pids, 'SIGTERM');
  await routers.until(`pulse of ${router} ends`, 30_000, async () => (await pulsePids(routers, router)).length === 0);
}

/** What the standby sends to ask whether the owner's kernel still answers. */
async function dropProbes({ topology }: Routers): Promise<void> {
  const rules = `ip daddr ${VIP} icmp type echo-request drop; ether type 0x88b6 drop;`;
  const chain = `chain out { type filter hook egress device "c0" priority -600; policy accept; ${rules} };`;
  await topology.exec('r2', 'nft', ['-f', '-'], { input: `table netdev tandem_test_probes { ${chain} }\n` });
}

/** Isolated ports of a switch reach everybody but each other. */
async function setIsolated({ topology }: Routers, state: 'on' | 'off'): Promise<void> {
  const lines = ROUTERS.flatMap(router =>
    ['c0', 's0', 'x0'].map(name => `link set ${router}-${name} type bridge_slave isolated ${state}\n`),
  );
  await topology.exec('lan', 'ip', ['-batch', '-'], { input: lines.join('') });
}

async function handOver(routers: Routers, from: Router): Promise<void> {
  const other = from === 'r1' ? 'r2' : 'r1';
  await routers.until(
    `${from} hands over`,
    60_000,
    async () => (await routers.command(from, { command: 'handover', cold: true })).ok,
  );
  await routers.settle(other);
}

/** Whoever of the two won, this one has the addresses now. */
async function giveTo(routers: Routers, router: Router): Promise<void> {
  const other: Router = router === 'r1' ? 'r2' : 'r1';
  let owner: Router | undefined;
  await routers.until('one owner, and a standby', 60_000, async () => {
    const roles = await Promise.all([router, other].map(async name => (await routers.snapshot(name))?.role));
    owner = roles[0] === 'active' ? router : other;
    return roles.includes('active') && roles.includes('standby');
  });
  if (owner !== router) await handOver(routers, other);
}

/** Another priority, in the file that the router's director reads, and in what it is started with anew. */
function changeConfig({ routers, watched }: Pair, router: Router): void {
  const all = join(routers.directory, 'tandem.yaml');
  const text = readFileSync(all, 'utf8').replace('r2: { priority: 100 }', 'r2: { priority: 90 }');
  for (const file of [all, directorConfig(routers, router)]) writeFileSync(file, text);
  watched.director(router).child.kill('SIGHUP');
}

/** This build with another number. */
function otherVersion(directory: string): string {
  const root = join(directory, 'other-version');
  mkdirSync(join(root, 'dist'), { recursive: true });
  cpSync(join(ROOT, 'dist/program'), join(root, 'dist/program'), { recursive: true });
  const about = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as object;
  writeFileSync(join(root, 'package.json'), JSON.stringify({ ...about, version: OTHER_VERSION }));
  return join(root, 'dist/program/tandem.js');
}

/** One leg, one direction, one config, the witness: nothing moves the addresses. */
function quietFaults(pair: Pair): Fault[] {
  const { routers, redis } = pair;
  const { topology } = routers;
  return [
    {
      title: 'one link lost',
      alert: 'TandemLinkDown',
      labels: { instance: 'r1', link: 'servers' },
      events: [['r1', 'LINK_SILENT']],
      isShown: isAt('r1', 'tandem_link_up{link="servers",interface="s0"}', 0),
      begin: () => setPlug(topology, 'r2', 'servers', 'down'),
      end: () => setPlug(topology, 'r2', 'servers', 'up'),
    },
    {
      title: 'heartbeat asymmetry',
      alert: 'TandemHeartbeatAsymmetry',
      labels: { instance: 'r1', link: 'cross' },
      events: [['r2', 'LINK_SILENT']],
      isShown: isAt('r1', 'tandem_link_peer_hears_us{link="cross",interface="x0"}', 0),
      begin: () => lose(topology, 'r2', { legs: ['cross'], directions: ['in'], what: 'heartbeats' }),
      end: () => heal(topology, 'r2'),
    },
    {
      title: 'config differs',
      alert: 'TandemConfigMismatch',
      labels: { instance: 'r1' },
      events: [['r1', 'CONFIG_DIFFERS']],
      isShown: isAt('r1', 'tandem_peer_config_match', 0),
      begin: async () => changeConfig(pair, 'r2'),
      end: async () => changeConfig(pair, 'r1'),
    },
    {
      title: 'witness lost',
      alert: 'TandemWitnessLost',
      labels: { instance: 'r1' },
      events: [['r1', 'WITNESS_LOST']],
      isShown: isAt('r1', 'tandem_witness_good', 0),
      begin: async () => redis.kill('SIGSTOP'),
      end: async () => redis.kill('SIGCONT'),
    },
  ];
}

/** Found in calm weather only, and seldom: the quiet faults come meanwhile. */
function blindProbes(pair: Pair): Fault {
  const { routers, watched } = pair;
  return {
    title: 'probes blind',
    alert: 'TandemProbesBlind',
    labels: { instance: 'r2', address: VIP },
    events: [['r2', 'PROBE_BLIND']],
    isShown: isAt('r2', `tandem_probe_blind{address="${VIP}",interface="c0"}`, 1),
    begin: async () => {
      await stopPulse(routers, 'r2');
      await dropProbes(routers);
      routers.start('r2');
      await routers.settle('r1');
    },
    end: () => routers.topology.exec('r2', 'nft', ['delete', 'table', 'netdev', 'tandem_test_probes']),
    meanwhile: async () => {
      for (const fault of quietFaults(pair)) await watched.alarm.happens(fault);
    },
  };
}

/** The addresses move, or are nowhere, or everywhere. */
function ownerFaults({ routers, watched, redis }: Pair): Fault[] {
  const serving = (now: Scrapes) => ROUTERS.filter(router => seriesAt(now, router, 'tandem_serving') === 1);
  return [
    {
      title: 'two owners',
      alert: 'TandemTwoOwners',
      labels: { pair: 'lab' },
      events: [['r2', 'PEER_SILENT']],
      isShown: now => serving(now).length === 2,
      begin: async () => {
        redis.kill('SIGSTOP');
        await routers.until('the witness is lost', 30_000, async () => {
          const both = await Promise.all(ROUTERS.map(router => routers.snapshot(router)));
          return both.every(snapshot => snapshot?.witness?.good === false);
        });
        await sleep(APART_MS);
        await setIsolated(routers, 'on');
      },
      end: async () => {
        await setIsolated(routers, 'off');
        redis.kill('SIGCONT');
      },
      meanwhile: () => giveTo(routers, 'r1'),
      isOver: now => serving(now).length === 1 && seriesAt(now, 'r1', 'tandem_witness_good') === 1,
    },
    {
      title: 'flapping',
      alert: 'TandemFlapping',
      labels: { instance: 'r1' },
      events: [
        ['r1', 'ROLE_CHANGED'],
        ['r1', 'HANDOVER_STARTED'],
      ],
      isShown: (now, before) =>
        Number(seriesAt(now, 'r1', 'tandem_epoch')) >= Number(seriesAt(before, 'r1', 'tandem_epoch')) + 4,
      begin: async () => {
        for (const from of ['r1', 'r2', 'r1', 'r2'] as const) {
          await handOver(routers, from);
          await watched.alarm.note();
        }
      },
      end: async () => undefined,
      isOver: () => true,
    },
    {
      title: 'lease margin small',
      alert: 'TandemLeaseMargin',
      labels: { instance: 'r1' },
      events: [['r1', 'LOOP_LATE']],
      isShown: now => (seriesAt(now, 'r1', 'tandem_lease_margin_ratio') ?? 1) < 0.25,
      // Stopped for three quarters of L and a little more, by one whom no busy machine keeps waiting.
      begin: async () => {
        const pulse = (await pulsePids(routers, 'r1')).map(String);
        const script = 'kill -STOP "$@"; sleep 1.22; kill -CONT "$@"';
        await run('chrt', ['--rr', '60', 'sh', '-c', script, 'sh', ...pulse]);
      },
      end: () => handOver(routers, 'r1'),
    },
    {
      title: 'no owner',
      alert: 'TandemNoOwner',
      labels: { pair: 'lab' },
      events: [
        ['r1', 'HOLD_SET'],
        ['r2', 'ROLE_CHANGED'],
      ],
      isShown: now => serving(now).length === 0,
      begin: async () => {
        await routers.command('r1', { command: 'hold' });
        await stopPulse(routers, 'r2');
      },
      end: async () => {
        await routers.command('r1', { command: 'release' });
        // With r2 there the witness, which has its old lease, would often let it go first.
        await routers.until('r1 active', 20_000, async () => (await routers.snapshot('r1'))?.role === 'active');
        routers.start('r2');
        await routers.settle('r1');
      },
    },
    {
      title: 'peer lost',
      alert: 'TandemPeerSilent',
      labels: { instance: 'r1' },
      events: [['r1', 'PEER_SILENT']],
      isShown: isAt('r1', 'tandem_peer_silent', 1),
      // vipd first: it must not live to see its pipe close, and say farewell.
      begin: async () => signalAll([await routers.vipdPid('r2'), ...(await pulsePids(routers, 'r2'))], 'SIGKILL'),
      end: async () => {
        routers.start('r2');
        await routers.settle('r1');
      },
    },
  ];
}

function versionFault(pair: Pair): Fault {
  const { routers, watched } = pair;
  return {
    title: 'version differs',
    alert: 'TandemVersionsDiffer',
    labels: { pair: 'lab' },
    events: [['r2', 'DIRECTOR_STARTED']],
    isShown: isAt('r2', `tandem_build_info{version="${OTHER_VERSION}"}`, 1),
    begin: async () => {
      await stop(watched.director('r2'));
      await startDirectorOf(pair, 'r2', otherVersion(routers.directory));
    },
    end: async () => {
      await stop(watched.director('r2'));
      await startDirectorOf(pair, 'r2');
    },
  };
}

async function startWitness({ topology, directory }: Routers) {
  const dir = join(directory, 'redis');
  mkdirSync(dir);
  const where = ['--bind', STORE_ADDRESS, '--port', '6379', '--dir', dir];
  const args = [...where, '--save', '', '--protected-mode', 'no'];
  return topology.start('store', 'redis-server', args, { stdio: 'ignore' });
}

test.serial(
  'each fault of a pair is logged, moves a metric, fires its alert, and all of that ends with it',
  async t => {
    const options = {
      times: TIMES,
      store: true,
      more: WITNESS,
      config: { targets: { clients: [CLIENT_ADDRESSES[0]] } },
    };
    await withRouters(t, options, async routers => {
      const watched = new WatchedPair(routers, text => t.log(text));
      const { alarm } = watched;
      const pair: Pair = { routers, watched, redis: await startWitness(routers) };
      for (const router of ROUTERS) routers.start(router);
      await routers.settle('r1');
      // Without services no server is up: the owner must not be the first to say so.
      for (const router of ['r2', 'r1'] as const) await startDirectorOf(pair, router);
      await routers.until('both have the witness', 30_000, async () => {
        const now = await alarm.scrape();
        return ROUTERS.every(router => seriesAt(now, router, 'tandem_witness_good') === 1);
      });
      await alarm.happens(blindProbes(pair));
      for (const fault of ownerFaults(pair)) await alarm.happens(fault);
      await alarm.happens(versionFault(pair));
      await watched.judge();
      t.pass();
    });
  },
);
