// The same transfers and faults for Tandem and for keepalived: who survives, and how long clients stand still. Io; used by
// scripts/bench sync and scripts/bench lab. Both run in the same topology with the same servers, clients, rules and heartbeat interval.
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Transfer, TransferMode } from '../ftp/ftp-client.ts';
import type { FtpServers } from '../ftp/ftp-servers.ts';
import { loginsOf, openSessions, type SessionMode } from '../ftp/session.ts';
import { labTimes, TIMES_ARE_EXACT, type Times } from '../pair/config.ts';
import { startKeepalived } from '../pair/keepalived.ts';
import { clientAddress, type Router, VIP, wallNow } from '../pair/topology.ts';
import type { Lab } from '../scenarios/scenario.ts';
import { rejoin } from '../scenarios/session-scenarios.ts';
import { type Job, rolesNow, startService, startTransfers, untilUnderWay } from './failover.ts';

export const CONTESTANTS = ['tandem', 'keepalived', 'keepalived-tuned'] as const;
export type Contestant = (typeof CONTESTANTS)[number];

/** A pair of routers that serves, whoever made it. */
interface Side {
  readonly ftp: FtpServers;
  readonly active: () => Promise<Router>;
  /** A router whose power was cut comes back and stands by, as warm as it gets. */
  readonly comeBack: (router: Router) => Promise<void>;
}

export const RATE_BYTES_PER_S = 500_000;
const BIG_BYTES = 8_000_000;
const PERSISTENCE_S = 1_800;
const MODES: readonly TransferMode[] = ['passive', 'extended-passive', 'active', 'extended-active'];
/** One client for each kind of transfer, above the sessions' addresses. */
const JOBS: readonly Job[] = (['download', 'upload'] as const).flatMap((kind, row) =>
  MODES.map((mode, column) => ({ kind, mode, from: clientAddress(8 + 4 * row + column) })),
);
/** Client addresses that a topology for this needs. */
export const CONTEST_CLIENTS = 20;

export interface ContestOptions {
  /** H, L and D; keepalived gets H. Default: what the lab's machine can keep. */
  readonly times?: Times;
  /** Round-trip time between the clients and the routers; default none but the machine's own. */
  readonly rttMs?: number;
  /** Size of each transfer's file. */
  readonly bigBytes?: number;
}

async function startSide(lab: Lab, name: Contestant, options: ContestOptions = {}): Promise<Side> {
  const { times = labTimes(), rttMs, bigBytes = BIG_BYTES } = options;
  if (rttMs !== undefined) await delayClients(lab, rttMs);
  const side = await startManager(lab, name, { bigBytes, rateBytesPerS: RATE_BYTES_PER_S }, times);
  if (rttMs !== undefined) await assertRtt(lab, rttMs);
  return side;
}

async function startManager(
  lab: Lab,
  name: Contestant,
  common: { bigBytes: number; rateBytesPerS: number },
  times: Times,
): Promise<Side> {
  if (name === 'tandem') {
    const service = await startService(lab, { ...common, times, persistence: `${PERSISTENCE_S}s` });
    return {
      ftp: service.ftp,
      active: async () => rolesNow(service.pair).active,
      comeBack: router => rejoin(service, router),
    };
  }
  const ftp = await lab.ftpServers(common);
  const options = {
    intervalMs: Number.parseInt(times.interval, 10),
    persistenceS: PERSISTENCE_S,
    tuned: name === 'keepalived-tuned',
  };
  const side = { ftp, ...(await startKeepalived(lab, options)) };
  await untilAllServe(lab);
  return side;
}

/** Half of the round-trip time on each way of the clients' leg. On an exact clock a packet takes no time without it. */
async function delayClients({ topology }: Lab, rttMs: number): Promise<void> {
  const delay = (device: string): string[] => ['qdisc', 'add', 'dev', device, 'root', 'netem', 'delay'];
  const half = `${rttMs * 500}us`;
  await topology.exec('client', 'tc', [...delay('c0'), half]);
  await topology.exec('lan', 'tc', [...delay('client-c0'), half]);
}

/**
 * Prints the shortest of three connections to port 21, in ms: the first may wait for neighbours to be
 * found. Not by curl, whose time_connect counts until the data connection of FTP.
 */
const CONNECT = `
const { connect } = require('node:net');
const one = () => new Promise((resolve, reject) => {
  const startedAt = performance.now();
  const socket = connect(21, process.argv[1], () => {
    resolve(performance.now() - startedAt);
    socket.destroy();
  });
  socket.on('error', reject);
});
(async () => console.log(Math.min(await one(), await one(), await one())))();`;

/** A delay that is not there would go unseen: the time that a connection takes must be one round trip. */
async function assertRtt({ topology, say }: Lab, rttMs: number): Promise<void> {
  const { stdout } = await topology.exec('client', 'node', ['-e', CONNECT, VIP]);
  const connectMs = Number(stdout);
  say(`a connection takes ${connectMs.toFixed(2)} ms`);
  const most = TIMES_ARE_EXACT ? rttMs * 1.1 + 0.1 : Number.POSITIVE_INFINITY;
  if (connectMs < rttMs * 0.95 || connectMs > most)
    throw new Error(`a connection takes ${connectMs} ms, with a round-trip time of ${rttMs} ms`);
}

/** keepalived takes a server that listens for one that serves; Tandem's side waits for its nannies' word. */
async function untilAllServe(lab: Lab): Promise<void> {
  const addresses = Array.from({ length: 6 }, (_, index) => clientAddress(index));
  let last: string | undefined;
  for (let tries = 0; tries < 3; tries++) {
    const { servers, error } = await loginsOf(lab.topology, lab.dir, addresses);
    if (servers.size === addresses.length) return lab.say('clients can log in at all servers');
    last = error;
  }
  throw new Error(`not every client could log in: ${last}`);
}

export interface StallRow {
  readonly kind: string;
  readonly mode: string;
  /** Under way when the power was cut: else nothing is proven by it. */
  readonly inFlight: boolean;
  readonly survived: boolean;
  /** Longest stall from the cut on. */
  readonly stallMs: number;
  /** Longest stall before the cut: what the servers' pacing alone makes. */
  readonly pacingMs: number;
  readonly error?: string;
}

export interface StallRound {
  /** Bytes that every transfer had passed when the power was cut: few are a young connection. */
  readonly cutBytes: number;
  /** From the cut until the standby's kernel had the VIP; null when it did not come. */
  readonly takenMs: number | null;
  readonly rows: readonly StallRow[];
}

/** Bytes at the cut: past the kernel's sync latency of up to 2.75 s, and well within it. */
export const CUTS = { settled: 2_500_000, young: 200_000 } as const;

/**
 * Power cuts of the active router under eight transfers at once, one round for each of `cuts`, the lost router back between. The
 * cuts are spread over one heartbeat interval: on an exact clock they would else all come at the same moment of it.
 */
export async function measureStalls(
  lab: Lab,
  name: Contestant,
  cuts: readonly number[],
  options: ContestOptions = {},
): Promise<StallRound[]> {
  const side = await startSide(lab, name, options);
  const intervalMs = Number.parseInt((options.times ?? labTimes()).interval, 10);
  const rounds: StallRound[] = [];
  for (const [index, cutBytes] of cuts.entries()) {
    // Asked before: under emulation it takes seconds, in which transfers would end.
    const lost = await side.active();
    const vip = watchVip(lab, lost === 'r1' ? 'r2' : 'r1');
    const transfers = startTransfers(lab, side.ftp, JOBS, RATE_BYTES_PER_S);
    await untilUnderWay(transfers, lab.say, cutBytes);
    await sleep((intervalMs * index) / cuts.length);
    const { at, rows } = await cutUnder(lab, lost, side.ftp, transfers);
    const takenAt = vip.stop();
    if (takenAt !== undefined && takenAt < at) throw new Error(`the VIP left ${lost} before its power was cut`);
    const takenMs = takenAt === undefined ? null : Math.round((takenAt - at) * 10) / 10;
    rounds.push({ cutBytes, takenMs, rows });
    const survived = rows.filter(row => row.survived).length;
    lab.say(`${name}: ${lost} cut; VIP on the other after ${takenMs} ms; ${survived} of ${rows.length} survived`);
    if (index + 1 < cuts.length) await side.comeBack(lost);
  }
  return rounds;
}

/** Watches for the VIP in a router's kernel; `stop` says on wall time when it came first, undefined when it did not. */
function watchVip({ topology }: Lab, router: Router): { stop: () => number | undefined } {
  let at: number | undefined;
  const child = topology.start(router, 'ip', ['-o', 'monitor', 'address'], { stdio: ['ignore', 'pipe', 'inherit'] });
  child.on('error', error => process.stderr.write(`ip monitor on ${router} did not start: ${error.message}\n`));
  if (child.stdout) {
    createInterface({ input: child.stdout }).on('line', line => {
      if (line.includes(` ${VIP}/`) && !line.startsWith('Deleted')) at ??= wallNow();
    });
  }
  const stop = (): number | undefined => {
    child.kill('SIGKILL');
    return at;
  };
  return { stop };
}

/** Cuts a router's power under running transfers, and waits for their ends. `at`: wall time of the cut, in ms. */
async function cutUnder(
  lab: Lab,
  router: Router,
  ftp: FtpServers,
  transfers: readonly Transfer[],
): Promise<{ at: number; rows: StallRow[] }> {
  const pacing = transfers.map(transfer => Math.round(transfer.progress().stallMs));
  for (const transfer of transfers) transfer.forgetStalls();
  const { at } = await lab.topology.cutPower(router);
  const atCut = transfers.map(transfer => transfer.progress().bytes);
  const results = await Promise.all(transfers.map(({ finished }) => finished));
  const rows = results.map(({ kind, mode, stallMs, bytes, sha256Ok, error }, index) => ({
    kind,
    mode,
    inFlight: (atCut[index] ?? bytes) < ftp.big.bytes,
    survived: sha256Ok && error === undefined,
    stallMs,
    pacingMs: pacing[index] ?? 0,
    ...(error !== undefined && { error: error.slice(-300) }),
  }));
  return { at, rows };
}

export interface RejoinResult {
  readonly sessions: number;
  /** Still logged in after the first power cut, before any router came back. */
  readonly afterFirst: number;
  /** Of the idle ones: still logged in after the returned router had to take over. */
  readonly afterRejoin: number;
  /** Time each survivor took for its next file, in ms. */
  readonly nextFileMs: readonly number[];
  /** A download that ran through all of it. */
  readonly transfers: readonly StallRow[];
  readonly errors: readonly string[];
}

const SESSION_MODES: readonly SessionMode[] = ['passive', 'active', 'extended-passive'];
const SESSIONS = 8;

/**
 * Sessions log in and are idle; the active router reboots and comes back; then the other one loses its power. A few of the
 * sessions transfer after the first cut, the others only at the end.
 */
export async function measureRejoin(lab: Lab, name: Contestant): Promise<RejoinResult> {
  const side = await startSide(lab, name);
  const requests = Array.from({ length: SESSIONS }, (_, index) => ({
    from: clientAddress(index),
    mode: SESSION_MODES[index % SESSION_MODES.length] as SessionMode,
    scratch: lab.dir,
  }));
  const sessions = await openSessions(lab.topology, side.ftp, requests);
  // The kernel's sync is up to 2.75 s late: what it could know, it shall know.
  await sleep(4_000);
  const errors: string[] = [];
  const attempt = async (index: number): Promise<number | undefined> => {
    const session = sessions[index];
    const startedAt = performance.now();
    try {
      await session?.download();
      if (session?.logins() !== 1) throw new Error('had to log in again');
      return Math.round(performance.now() - startedAt);
    } catch (error) {
      errors.push(`${requests[index]?.mode} ${requests[index]?.from}: ${(error as Error).message}`.slice(0, 300));
      return undefined;
    }
  };
  const early = [0, 1];
  const late = [2, 3, 4, 5, 6, 7];
  const first = await side.active();
  await lab.topology.cutPower(first);
  await untilTaken(side, first);
  const afterFirst = (await Promise.all(early.map(attempt))).filter(ms => ms !== undefined);
  await side.comeBack(first);
  lab.say(`${name}: ${first} is back; ${afterFirst.length} of ${early.length} sessions lived on`);
  const second = await side.active();
  const download = startTransfers(
    lab,
    side.ftp,
    [{ kind: 'download', mode: 'passive', from: clientAddress(19) }],
    RATE_BYTES_PER_S,
  );
  await untilUnderWay(download, lab.say, CUTS.settled);
  const transfers = cutUnder(lab, second, side.ftp, download);
  await untilTaken(side, second);
  lab.say(`${name}: power of ${second} cut too`);
  const times = (await Promise.all(late.map(attempt))).filter(ms => ms !== undefined);
  return {
    sessions: late.length,
    afterFirst: afterFirst.length,
    afterRejoin: times.length,
    nextFileMs: times,
    transfers: (await transfers).rows,
    errors,
  };
}

async function untilTaken(side: Side, lost: Router): Promise<void> {
  for (let tries = 0; tries < 60; tries++) {
    const now = await side.active().catch(() => lost);
    if (now !== lost) return;
    await sleep(250);
  }
  throw new Error(`nobody took over from ${lost}`);
}
