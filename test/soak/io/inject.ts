// Does to the pair what a fault of the soak says, and heals it. Io.
import { randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GATEWAY, type Router, VIP } from '../../lab/pair/topology.ts';
import { flood, gratuitousArp, heal, INTERFACES, lose, repeatedly, setPlug } from '../../netns/io/faults.ts';
import { type Routers, signalAll } from '../../netns/io/routers.ts';
import type { Tools } from '../../netns/io/vip-watch.ts';
import type { Held } from '../evidence.ts';
import type { Fault, Leg, What } from '../schedule.ts';
import { childrenOf } from './look.ts';

/** MAC of the machine that claims the VIP. */
export const FOREIGN_MAC = '02:00:5e:00:77:01';
/** Own address of each router on each leg. */
const OWN: Readonly<Record<Router, Readonly<Record<Leg, string>>>> = {
  r1: { clients: '192.0.2.2', servers: '198.51.100.2', cross: '203.0.113.1' },
  r2: { clients: '192.0.2.3', servers: '198.51.100.3', cross: '203.0.113.2' },
};
const EXIT_WITHIN_MS = 5_000;
const REPAIRED_WITHIN_MS = 2_000;
const TAKEN_WITHIN_MS = 5_000;
/** Of a flood: a full socket buffer may lose some. */
const COUNTED_SHARE = 0.9;
/** The feed repeats itself once a second. */
const COUNTED_WITHIN_MS = 3_000;

export interface Pair {
  readonly routers: Routers;
  readonly tools: Tools;
  /** A new pulse, whose log is followed. */
  start(router: Router): void;
  /** Into the transcript. */
  note(text: string): void;
  /** The VIP left a kernel without an event: its router lost power. */
  mark(held: Held): void;
}

export const otherOf = (router: Router): Router => (router === 'r1' ? 'r2' : 'r1');

/** Throws when the fault itself could not be done, or the pair did not do what it was told to. */
export async function inject(pair: Pair, fault: Fault, active: Router): Promise<void> {
  const victim = 'who' in fault && fault.who === 'standby' ? otherOf(active) : active;
  const { topology } = pair.routers;
  switch (fault.kind) {
    case 'power-loss':
      return powerLoss(pair, victim, fault.downMs);
    case 'kill':
      return kill(pair, victim, fault);
    case 'stop':
      return stop(pair, victim, fault);
    case 'sigterm':
      await terminate(pair, victim);
      await sleep(fault.downMs);
      pair.start(victim);
      return;
    case 'damage':
      return damage(pair, victim, fault);
    case 'handover':
      return handovers(pair, active, fault);
    case 'carrier':
      await setPlug(topology, victim, fault.leg, 'down');
      await sleep(fault.downMs);
      return setPlug(topology, victim, fault.leg, 'up');
    case 'flap':
      return repeatedly(2 * fault.times, fault.periodMs, index =>
        setPlug(topology, victim, fault.leg, index % 2 === 0 ? 'down' : 'up'),
      );
    case 'cut':
      await lose(topology, victim, { legs: fault.legs, directions: fault.directions, what: 'heartbeats' });
      await sleep(fault.forMs);
      return heal(topology, victim);
    case 'vip-removed':
      return removeVips(pair, active, fault);
    case 'foreign-claim':
      return repeatedly(fault.claims, fault.pauseMs, async index => {
        const frame = gratuitousArp(VIP, FOREIGN_MAC, index % 2 === 0 ? 'request' : 'reply');
        await topology.exec('client', pair.tools.wire, ['send', 'c0', frame.toString('hex')]);
      });
    case 'hostile':
      return hostile(pair, victim, fault);
    case 'hold':
      return hold(pair, active, fault.forMs);
  }
}

/** Pids of a router's pulse and of its vipd, as far as they live. */
export async function pidsOf(routers: Routers, router: Router): Promise<{ pulse: number; vipds: readonly number[] }> {
  const pulse = routers.pulses[router]?.child.pid;
  if (pulse === undefined) throw new Error(`${router} has no pulse`);
  return { pulse, vipds: await childrenOf(pulse) };
}

async function victims(pair: Pair, router: Router, what: What): Promise<number[]> {
  const { pulse, vipds } = await pidsOf(pair.routers, router);
  if (what === 'pulse') return [pulse];
  return what === 'vipd' ? [...vipds] : [pulse, ...vipds];
}

async function powerLoss(pair: Pair, router: Router, downMs: number): Promise<void> {
  await pair.routers.topology.cutPower(router);
  pair.mark({ router, at: Date.now(), held: false });
  await sleep(downMs);
  await pair.routers.reboot(router);
  pair.start(router);
}

async function kill(pair: Pair, router: Router, { what, downMs }: Fault & { kind: 'kill' }): Promise<void> {
  const pids = await victims(pair, router, what);
  // Stopped first: none may see another end and still act on it.
  signalAll(pids, 'SIGSTOP');
  signalAll(pids, 'SIGKILL');
  if (what === 'vipd') return;
  await exited(pair, router);
  await sleep(downMs);
  pair.start(router);
}

async function exited(pair: Pair, router: Router): Promise<number | null> {
  const pulse = pair.routers.pulses[router];
  const late = sleep(EXIT_WITHIN_MS, 'late' as const, { ref: false });
  const code = await Promise.race([pulse?.exited, late]);
  if (code === 'late') throw new Error(`pulse of ${router} did not end within ${EXIT_WITHIN_MS} ms`);
  return code ?? null;
}

async function stop(pair: Pair, router: Router, { what, stoppedMs }: Fault & { kind: 'stop' }): Promise<void> {
  const pids = await victims(pair, router, what);
  signalAll(pids, 'SIGSTOP');
  await sleep(stoppedMs);
  // A stopped vipd may have been replaced (and its number given away) meanwhile: only what is still there goes on.
  const now = await victims(pair, router, 'all');
  signalAll(
    pids.filter(pid => now.includes(pid)),
    'SIGCONT',
  );
}

async function terminate(pair: Pair, router: Router): Promise<void> {
  signalAll(await victims(pair, router, 'pulse'), 'SIGTERM');
  const code = await exited(pair, router);
  if (code !== 0) throw new Error(`pulse of ${router} ended with ${code} after SIGTERM`);
}

async function damage(pair: Pair, router: Router, { file, how }: Fault & { kind: 'damage' }): Promise<void> {
  const directory = join(pair.routers.directory, router, file === 'pulse.json' ? 'state' : 'run');
  const path = join(directory, file);
  await terminate(pair, router);
  const before = await readFile(path).catch(() => Buffer.alloc(0));
  pair.note(`${router}: ${file} had ${before.length} bytes, now ${how}`);
  if (how === 'missing') await rm(path, { force: true });
  else if (how === 'empty') await writeFile(path, '');
  else if (how === 'truncated') await writeFile(path, before.subarray(0, Math.floor(before.length / 2)));
  else await writeFile(path, randomBytes(Math.max(16, before.length)));
  pair.start(router);
}

async function handovers(pair: Pair, active: Router, fault: Fault & { kind: 'handover' }): Promise<void> {
  let giver = active;
  await repeatedly(fault.times, fault.pauseMs, async index => {
    const taker = otherOf(giver);
    const reply = await pair.routers.command(giver, { command: 'handover', cold: false });
    if (!reply.ok) throw new Error(`handover ${index + 1} from ${giver} refused: ${reply.message}`);
    await pair.routers.until(`handover ${index + 1}: ${taker} active, ${giver} standby`, TAKEN_WITHIN_MS, async () => {
      const [given, taken] = [await pair.routers.snapshot(giver), await pair.routers.snapshot(taker)];
      return given?.role === 'standby' && given.peer?.serving === true && taken?.serving === true;
    });
    giver = taker;
  });
}

async function removeVips(pair: Pair, active: Router, fault: Fault & { kind: 'vip-removed' }): Promise<void> {
  const { routers } = pair;
  await repeatedly(fault.times, fault.pauseMs, async index => {
    const [address, leg] = index % 2 === 0 ? ([VIP, 'clients'] as const) : ([GATEWAY, 'servers'] as const);
    const device = INTERFACES[leg];
    await routers.topology.exec(active, 'ip', ['address', 'delete', `${address}/32`, 'dev', device]);
    await routers.until(`${address} back on ${active}`, REPAIRED_WITHIN_MS, async () => {
      const { stdout } = await routers.topology.exec(active, 'ip', ['-4', '-o', 'address', 'show', 'dev', device]);
      return stdout.includes(` ${address}/`);
    });
  });
}

/** Each of them must be counted as refused. */
async function hostile(pair: Pair, victim: Router, { leg, datagrams }: Fault & { kind: 'hostile' }): Promise<void> {
  const { routers } = pair;
  const before = await refusedBy(routers, victim);
  const [source, target] = [OWN[otherOf(victim)][leg], OWN[victim][leg]];
  await flood(routers.topology, pair.tools.wire, { from: otherOf(victim), source, target, datagrams });
  const wanted = before + datagrams * COUNTED_SHARE;
  await routers.until(`${victim} counts ${datagrams} datagrams as refused`, COUNTED_WITHIN_MS, async () => {
    return (await refusedBy(routers, victim)) >= wanted;
  });
}

async function refusedBy(routers: Routers, router: Router): Promise<number> {
  const counters = Object.entries((await routers.snapshot(router))?.counters ?? {});
  return counters.filter(([name]) => name.startsWith('refused_')).reduce((sum, [, count]) => sum + count, 0);
}

async function hold(pair: Pair, active: Router, forMs: number): Promise<void> {
  const standby = otherOf(active);
  const ask = pair.routers.command;
  const held = await ask(standby, { command: 'hold' });
  if (!held.ok) throw new Error(`hold on ${standby} refused: ${held.message}`);
  await sleep(forMs);
  const moved = await ask(active, { command: 'handover', cold: false });
  // The hold has travelled with a heartbeat by now.
  if (moved.ok) throw new Error(`${active} hands over to ${standby}, which is on hold`);
  const released = await ask(standby, { command: 'release' });
  if (!released.ok) throw new Error(`release on ${standby} refused: ${released.message}`);
}
