// Large tables: how long a standby that comes back takes to hold all of it, what that costs, whether anything is lost, and the same
// for a snapshot and its way back. Io; used by scripts/bench sync. The entries are put into the active router twice: into its
// kernel, and as events into the private interface its director listens on, as if the kernel had told of them.
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { rolesNow, type Service, startService } from '../measure/failover.ts';
import type { Pair, SyncSeen } from '../pair/pair.ts';
import { startRedis } from '../pair/redis.ts';
import { ROUTERS, type Router, STORE_ADDRESS } from '../pair/topology.ts';
import type { Lab } from '../scenarios/scenario.ts';

const READY_MS = 240_000;
/** A million entries under emulation are a matter of many minutes. */
const LONG_MS = 1_200_000;
const SAMPLE_MS = 500;
const QUIET_MS = 10_000;
const CLOCK_TICKS_PER_S = 100;

/** Templates and connections by IPVS's own counters of the real servers. */
export interface Counts {
  readonly templates: number;
  readonly connections: number;
}

/** What heartbeats are like: the worst and the mean round trip of all links, and late loops of both pulses. */
interface Heartbeats {
  readonly rttMsMax: number;
  readonly rttMsMean: number;
  readonly lateLoops: number;
}

export interface KernelDaemon {
  readonly state: string;
  readonly interface: string;
  readonly syncId: number;
  readonly port: number;
}

const PORT_DEFAULT = 8_848;

/** What `ipvsadm -L --daemon` says. */
export function parseDaemons(text: string): KernelDaemon[] {
  return [...text.matchAll(/^(master|backup) sync daemon \(mcast=([^,]+), syncid=(\d+)(.*)\)/gm)].map(match => ({
    state: match[1] as string,
    interface: match[2] as string,
    syncId: Number(match[3]),
    port: Number(/(?:mcast-)?port=(\d+)/.exec(match[4] ?? '')?.[1] ?? PORT_DEFAULT),
  }));
}

async function addressOf(lab: Lab, router: Router, name: string): Promise<string> {
  const { stdout } = await lab.topology.exec(router, 'ip', ['-4', '-o', 'address', 'show', 'dev', name]);
  const address = / inet ([\d.]+)\//.exec(stdout)?.[1];
  if (address === undefined) throw new Error(`${name} on ${router} has no IPv4 address: ${stdout}`);
  return address;
}

async function fillBy(lab: Lab, router: Router, entries: number, daemon: KernelDaemon): Promise<unknown> {
  const address = await addressOf(lab, router, daemon.interface);
  const script = path.resolve('dist/test/lab/kernel/fill.js');
  const args = [script, entries, address, daemon.port, daemon.syncId].map(String);
  const { stdout } = await lab.topology.exec(router, 'node', args, { timeoutMs: LONG_MS });
  return { into: `${daemon.state} on ${daemon.interface}, port ${daemon.port}`, ...(JSON.parse(stdout) as object) };
}

/** Into the kernel, and past the director's ears where it listens to a master on an interface of its own. */
async function fill(lab: Lab, router: Router, entries: number): Promise<unknown[]> {
  const { stdout } = await lab.topology.exec(router, 'ipvsadm', ['-L', '--daemon']);
  const daemons = parseDaemons(stdout);
  const backup = daemons.find(({ state }) => state === 'backup');
  const master = daemons.find(({ state, port }) => state === 'master' && port !== backup?.port);
  if (!backup) throw new Error(`no backup daemon on ${router} takes entries`);
  const done = [await fillBy(lab, router, entries, backup)];
  if (master) done.push(await fillBy(lab, router, entries, master));
  return done;
}

/** From `ipvsadm -Ln --persistent-conn` and `ipvsadm -Ln`. */
export function parseCounts(persistent: string, plain: string): Counts {
  const sum = (text: string, column: number): number =>
    text
      .split('\n')
      .map(row => row.trim().split(/\s+/))
      .filter(([arrow, server]) => arrow === '->' && server !== 'RemoteAddress:Port')
      .reduce((total, fields) => total + Number(fields[column] ?? 0), 0);
  // `-> address weight persistent active inactive`, and `-> address forward weight active inactive`.
  return { templates: sum(persistent, 3), connections: sum(plain, 4) + sum(plain, 5) };
}

async function countsOf(lab: Lab, router: Router): Promise<Counts> {
  const { stdout: persistent } = await lab.topology.exec(router, 'ipvsadm', ['-Ln', '--persistent-conn']);
  const { stdout: plain } = await lab.topology.exec(router, 'ipvsadm', ['-Ln']);
  return parseCounts(persistent, plain);
}

/** How long one reading of /proc/net/ip_vs_conn takes; null: more than the bound. */
async function readTable(lab: Lab, router: Router, boundMs: number): Promise<{ rows: number; tookMs: number } | null> {
  const startedAt = performance.now();
  const { stdout } = await lab.topology
    .exec(router, 'wc', ['-l', '/proc/net/ip_vs_conn'], { timeoutMs: boundMs })
    .catch(() => ({ stdout: '' }));
  const rows = Number.parseInt(stdout, 10);
  // The first line is a heading.
  return Number.isNaN(rows) ? null : { rows: rows - 1, tookMs: Math.round(performance.now() - startedAt) };
}

/** Processor time of a router's director so far, in s; 0 when it does not run. */
async function cpuOf(pair: Pair, router: Router): Promise<number> {
  const text = await readFile(`/proc/${pair.process(router, 'director').pid}/stat`, 'utf8').catch(() => '');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / CLOCK_TICKS_PER_S;
}

interface Sample {
  readonly lateLoops: number;
  readonly rttMs: readonly number[];
}

function sampleOf(pair: Pair): Sample {
  const snapshots = ROUTERS.map(router => pair.feed(router).latest());
  return {
    lateLoops: snapshots.reduce((total, snapshot) => total + (snapshot?.counters.lateLoops ?? 0), 0),
    rttMs: snapshots.flatMap(snapshot =>
      (snapshot?.links ?? []).flatMap(({ rttMs }) => (rttMs === null ? [] : [rttMs])),
    ),
  };
}

/** Watches the heartbeats until `work` is done. */
async function heartbeatsDuring<T>(pair: Pair, work: Promise<T>): Promise<{ result: T; heartbeats: Heartbeats }> {
  const first = sampleOf(pair).lateLoops;
  const rtts: number[] = [];
  let done = false;
  const ended = work.finally(() => {
    done = true;
  });
  while (!done) {
    rtts.push(...sampleOf(pair).rttMs);
    await Promise.race([ended.catch(() => undefined), sleep(SAMPLE_MS)]);
  }
  const result = await ended;
  const mean = rtts.reduce((total, rtt) => total + rtt, 0) / Math.max(1, rtts.length);
  const lateLoops = sampleOf(pair).lateLoops - first;
  return {
    result,
    heartbeats: { rttMsMax: Math.max(0, ...rtts), rttMsMean: Math.round(mean * 100) / 100, lateLoops },
  };
}

/** Of a standby that comes back to an owner with `entries` entries more. */
export async function measureResync(lab: Lab, entries: number): Promise<unknown> {
  const service = await startService(lab, { bigBytes: 1_000_000, ipv6: true, persistence: '2h' });
  const { pair } = service;
  const { active, standby } = rolesNow(pair);
  const idleCpu = await cpuOf(pair, active);
  const quiet = await heartbeatsDuring(pair, sleep(QUIET_MS));
  const quietCpuPerS = ((await cpuOf(pair, active)) - idleCpu) / (QUIET_MS / 1_000);
  lab.say(`putting ${entries} entries into ${active}`);
  const filled = await heartbeatsDuring(pair, fill(lab, active, entries));
  const counts = await countsOf(lab, active);
  lab.say(`${active} has ${counts.templates} templates, ${counts.connections} connections`);
  const reading = await heartbeatsDuring(pair, readTable(lab, active, 120_000));
  lab.say(`/proc/net/ip_vs_conn: ${JSON.stringify(reading.result)}`);
  await lab.topology.cutPower(standby);
  const cpu = await cpuOf(pair, active);
  await pair.comeBack(standby);
  const startedAt = performance.now();
  // One that has just booted is late for other reasons: the heartbeats are looked at once both routers are ready.
  await pair.feed(standby).until(({ role }) => role === 'standby', `${standby} to stand by`, READY_MS);
  const resync = await heartbeatsDuring(pair, untilWarm(pair, standby));
  const warmMs = Math.round(performance.now() - startedAt);
  const after = { active: await countsOf(lab, active), standby: await countsOf(lab, standby) };
  lab.say(`${standby} is warm after ${warmMs} ms: ${JSON.stringify(after.standby)}`);
  return {
    entries,
    filled: filled.result,
    counts: after,
    lost: {
      templates: Math.max(0, after.active.templates - after.standby.templates),
      connections: Math.max(0, after.active.connections - after.standby.connections),
    },
    warmMs,
    resync: resync.result.resync ?? null,
    cpuS: { source: (await cpuOf(pair, active)) - cpu, sinkSinceItsStart: await cpuOf(pair, standby), quietCpuPerS },
    readTable: reading.result,
    heartbeats: {
      quiet: quiet.heartbeats,
      filling: filled.heartbeats,
      readingTheTable: reading.heartbeats,
      resync: resync.heartbeats,
    },
  };
}

async function untilWarm(pair: Pair, router: Router): Promise<SyncSeen> {
  await pair.untilWarm(router, LONG_MS);
  return await pair.sync(router);
}

/** A snapshot of `entries` entries, and their way back after both routers were without power. */
export async function measureStore(lab: Lab, type: 'file' | 'redis', entries: number): Promise<unknown> {
  const redis = type === 'redis' ? await startRedis(lab) : undefined;
  const where = type === 'redis' ? `, redis: { host: ${STORE_ADDRESS} }` : '';
  const sync = `{ store: { type: ${type}, schedule: "*/5 * * * * *"${where} } }`;
  const service = await startService(lab, { bigBytes: 1_000_000, ipv6: true, persistence: '2h', sync });
  const { pair } = service;
  const { active } = rolesNow(pair);
  const filled = await fill(lab, active, entries);
  const before = await countsOf(lab, active);
  const total = (sync: SyncSeen): number => (sync.store?.templates ?? 0) + (sync.store?.connections ?? 0);
  const startedAt = performance.now();
  const saving = await heartbeatsDuring(
    pair,
    pair.untilSync(active, sync => total(sync) >= entries, `a snapshot of ${entries} entries`, LONG_MS),
  );
  const savedMs = Math.round(performance.now() - startedAt);
  lab.say(`saved after ${savedMs} ms: ${JSON.stringify(saving.result.store)}`);
  const bytes = type === 'file' ? await snapshotBytes(lab, active) : undefined;
  await pair.rebootBoth();
  const bootedAt = performance.now();
  const restored = await untilRestored(service);
  const restoredMs = Math.round(performance.now() - bootedAt);
  const after = await countsOf(lab, restored.router);
  lab.say(`restored after ${restoredMs} ms: ${JSON.stringify(after)}`);
  await redis?.stop();
  return {
    type,
    entries,
    filled,
    before,
    after,
    savedMs,
    restoredMs,
    store: { saved: saving.result.store, restored: restored.sync.store },
    ...(bytes !== undefined && { bytes }),
    heartbeats: { saving: saving.heartbeats },
  };
}

async function snapshotBytes(lab: Lab, router: Router): Promise<number | undefined> {
  const file = path.join(lab.dir, router, 'state', 'sessions.snapshot');
  return (await stat(file).catch(() => undefined))?.size;
}

/** Until the router that is active again says that it has brought entries back. */
async function untilRestored({ pair }: Service): Promise<{ router: Router; sync: SyncSeen }> {
  const deadline = performance.now() + LONG_MS;
  while (performance.now() < deadline) {
    for (const router of ROUTERS) {
      const sync = await pair.sync(router).catch((): SyncSeen => ({}));
      if ((sync.store?.restored ?? 0) > 0) return { router, sync };
    }
    await sleep(SAMPLE_MS);
  }
  throw new Error(`nothing was restored within ${LONG_MS / 1000} s`);
}
