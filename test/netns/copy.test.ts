// A copy of a router beside it: a third machine with the name, key and addresses of one that runs. Two real pulses in network namespaces
// and a third one. Needs root and `scripts/setup`.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { killAllIn, run, runIn, startIn } from '../lab/pair/netns.ts';
import { type Router, VIP } from '../lab/pair/topology.ts';
import { type Act, clientIsServed, routersTest, settled } from './io/act.ts';
import { INTERFACES, type Leg } from './io/faults.ts';
import { follow, OURS, type PulseProcess, type Routers } from './io/routers.ts';

/** A start listens for about so long. */
const LISTEN_MS = 7_000;
/** L of the default times. */
const LEASE_MS = 220;

interface Copy {
  readonly namespace: string;
  readonly pulse: PulseProcess;
  hasVip(): Promise<boolean>;
  switchOff(): Promise<void>;
}

const ADDRESSES: Readonly<Record<Router, Readonly<Record<Leg, string>>>> = {
  r1: { clients: '192.0.2.2', servers: '198.51.100.2', cross: '203.0.113.1' },
  r2: { clients: '192.0.2.3', servers: '198.51.100.3', cross: '203.0.113.2' },
};

/** Same disk, other network cards. */
async function startCopy(
  { topology, directory }: Routers,
  of: Router,
  plugged: readonly Leg[] = ['clients', 'servers', 'cross'],
): Promise<Copy> {
  const lan = topology.namespace('lan');
  const namespace = `${topology.namespace(of)}c`;
  await run('ip', ['netns', 'add', namespace]);
  await runIn(namespace, 'ip', ['link', 'set', 'lo', 'up']);
  for (const leg of ['clients', 'servers', 'cross'] as const) {
    const nic = INTERFACES[leg];
    await run('ip', ['-n', lan, 'link', 'add', `cp-${nic}`, 'type', 'veth', 'peer', 'name', nic, 'netns', namespace]);
    const state = plugged.includes(leg) ? 'up' : 'down';
    await run('ip', ['-n', lan, 'link', 'set', `cp-${nic}`, 'master', leg, state]);
    await runIn(namespace, 'ip', ['link', 'set', nic, 'up']);
    await runIn(namespace, 'ip', ['address', 'add', `${ADDRESSES[of][leg]}/24`, 'dev', nic]);
  }
  const runDir = join(directory, 'copy');
  mkdirSync(runDir, { recursive: true });
  const config = ['--config', join(directory, 'tandem.yaml'), '--node', of];
  const args = [OURS.cli, 'pulse', ...config, '--run-dir', runDir, '--state-dir', join(runDir, 'state')];
  const child = startIn(namespace, 'setsid', ['--wait', 'chrt', '--rr', '50', process.execPath, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TANDEM_VIPD: OURS.vipd },
  });
  return {
    namespace,
    pulse: follow(child),
    hasVip: async () => (await runIn(namespace, 'ip', ['-o', 'address', 'show', 'to', VIP])).stdout.includes(VIP),
    async switchOff() {
      await killAllIn(namespace);
      await run('ip', ['netns', 'delete', namespace]);
    },
  };
}

/** It claims nothing for longer than a start listens, beside a pair that is settled, and says why once. */
async function claimsNothing({ t, routers }: Act, of: Router, plugged?: readonly Leg[]): Promise<void> {
  const copy = await startCopy(routers, of, plugged);
  try {
    await sleep(LISTEN_MS + 3_000);
    t.false(await copy.hasVip(), 'the copy holds the VIP');
    t.is(copy.pulse.log.filter(({ code }) => code === 'OWN_ADDRESS_TWICE').length, 1);
  } catch (error) {
    t.log('the copy', copy.pulse.log.slice(-14));
    throw error;
  } finally {
    await copy.switchOff();
  }
}

for (const [of, lans] of [
  ['r1', ['clients']],
  ['r1', ['clients', 'servers', 'cross']],
  ['r2', ['clients', 'servers', 'cross']],
] as const)
  routersTest(
    `${lans.length} LANs: a copy of ${of} beside it claims nothing, and the pair stays one`,
    { config: { lans } },
    async act => {
      const { t, routers } = act;
      await settled(act);
      await claimsNothing(act, of);
      // Its kernel draws packets to itself that are for the other: the pair may move away from that LAN, once.
      const [owner, ...others] = routers.holders();
      t.deepEqual(others, []);
      t.true(routers.overlapMs() <= LEASE_MS, `${routers.overlapMs()} ms`);
      await clientIsServed(act);
      await routers.topology.exec('r1', 'ip', ['neigh', 'flush', 'all']);
      await routers.topology.exec('r2', 'ip', ['neigh', 'flush', 'all']);
      await routers.settle(owner as Router);
    },
  );

routersTest(
  'a copy of r1 that has the cable of a heartbeat link alone claims nothing, and the pair stays one',
  {},
  async act => {
    const { t, routers } = act;
    await settled(act);
    await claimsNothing(act, 'r1', ['cross']);
    t.is(routers.holders().length, 1);
    t.true(routers.overlapMs() <= LEASE_MS, `${routers.overlapMs()} ms`);
    await clientIsServed(act);
  },
);
