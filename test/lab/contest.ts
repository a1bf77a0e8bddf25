// The same transfers and faults for Tandem and for keepalived: who survives, and how long clients stand still. Io; used by
// scripts/bench-sync. Both run in the same topology with the same servers, clients, rules and heartbeat interval.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Job, rolesNow, startService, startTransfers, untilUnderWay } from './failover.ts';
import type { Transfer, TransferMode } from './ftp-client.ts';
import type { FtpServers } from './ftp-servers.ts';
import { startKeepalived, vrrpIntervalMs } from './keepalived.ts';
import type { Lab } from './scenario.ts';
import { loginsOf, openSessions, type SessionMode } from './session.ts';
import { rejoin } from './session-scenarios.ts';
import { clientAddress, type Router } from './topology.ts';

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

async function startSide(lab: Lab, name: Contestant): Promise<Side> {
  const common = { bigBytes: BIG_BYTES, rateBytesPerS: RATE_BYTES_PER_S };
  if (name === 'tandem') {
    const service = await startService(lab, { ...common, persistence: `${PERSISTENCE_S}s` });
    return {
      ftp: service.ftp,
      active: async () => rolesNow(service.pair).active,
      comeBack: router => rejoin(service, router),
    };
  }
  const ftp = await lab.ftpServers(common);
  const options = { intervalMs: vrrpIntervalMs(), persistenceS: PERSISTENCE_S, tuned: name === 'keepalived-tuned' };
  const side = { ftp, ...(await startKeepalived(lab, options)) };
  await untilAllServe(lab);
  return side;
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
  readonly error?: string;
}

export interface StallRound {
  /** Bytes that every transfer had passed when the power was cut: few are a young connection. */
  readonly cutBytes: number;
  readonly rows: readonly StallRow[];
}

/** Bytes at the cut: past the kernel's sync latency of up to 2.75 s, and well within it. */
export const CUTS = { settled: 2_500_000, young: 200_000 } as const;

/** Power cuts of the active router under eight transfers at once, one round for each of `cuts`, the lost router back between. */
export async function measureStalls(lab: Lab, name: Contestant, cuts: readonly number[]): Promise<StallRound[]> {
  const side = await startSide(lab, name);
  const rounds: StallRound[] = [];
  for (const [index, cutBytes] of cuts.entries()) {
    // Asked before: under emulation it takes seconds, in which transfers would end.
    const lost = await side.active();
    const transfers = startTransfers(lab, side.ftp, JOBS, RATE_BYTES_PER_S);
    await untilUnderWay(transfers, lab.say, cutBytes);
    const rows = await cutUnder(lab, lost, transfers);
    rounds.push({ cutBytes, rows });
    lab.say(`${name}: ${lost} cut; ${rows.filter(({ survived }) => survived).length} of ${rows.length} survived`);
    if (index + 1 < cuts.length) await side.comeBack(lost);
  }
  return rounds;
}

/** Cuts a router's power under running transfers, and waits for their ends. */
async function cutUnder(lab: Lab, router: Router, transfers: readonly Transfer[]): Promise<StallRow[]> {
  for (const transfer of transfers) transfer.forgetStalls();
  await lab.topology.cutPower(router);
  const atCut = transfers.map(transfer => transfer.progress().bytes);
  const results = await Promise.all(transfers.map(({ finished }) => finished));
  return results.map(({ kind, mode, stallMs, bytes, sha256Ok, error }, index) => ({
    kind,
    mode,
    inFlight: (atCut[index] ?? bytes) < BIG_BYTES,
    survived: sha256Ok && error === undefined,
    stallMs,
    ...(error !== undefined && { error: error.slice(-300) }),
  }));
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
  const transfers = cutUnder(lab, second, download);
  await untilTaken(side, second);
  lab.say(`${name}: power of ${second} cut too`);
  const times = (await Promise.all(late.map(attempt))).filter(ms => ms !== undefined);
  return {
    sessions: late.length,
    afterFirst: afterFirst.length,
    afterRejoin: times.length,
    nextFileMs: times,
    transfers: await transfers,
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
