// The main job, measured: clients' transfers run through the pair, the active router loses its power in the middle, and what
// became of it is gathered. Io; shared by the demo and the scenarios.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Transfer, TransferKind, TransferMode } from '../ftp/ftp-client.ts';
import { type FtpServers, KINDS } from '../ftp/ftp-servers.ts';
import type { ServerTls } from '../ftp/server-tls.ts';
import type { ServiceOptions, Times } from '../pair/config.ts';
import { type Pair, preparePair } from '../pair/pair.ts';
import { CLIENT_ADDRESSES, FILE_SERVERS, ROUTERS, type Router, SERVER_ADDRESSES } from '../pair/topology.ts';
import type { Lab } from '../scenarios/scenario.ts';
import type { Measured } from './failover-report.ts';

/** Each lasts twelve seconds, so that a cut in the middle leaves time before and after. */
const BIG_BYTES = 12_000_000;
const RATE_BYTES_PER_S = 1_000_000;
/** The cut comes when every transfer has got this far: past the kernel's sync latency of up to 2.75 s. */
const CUT_BYTES = 4_000_000;
const READY_MS = 240_000;
/** How long that takes: a router listens for seven seconds before it claims, and an emulated one starts slowly. */
const STARTING: Readonly<Record<string, string>> = {
  direct: 'about ten seconds',
  uml: 'about fifteen seconds',
  qemu: 'about a minute and a half under emulation',
};
const TRANSFER_MS = 120_000;
const UNDER_WAY_TRIES = 1_800;
const UNDER_WAY_POLL_MS = 50;

export interface Job {
  readonly kind: TransferKind;
  readonly mode: TransferMode;
  readonly from: string;
  /** Default the IPv4 VIP. */
  readonly host?: string;
}

/** One client for each, so that each gets a server of its own. */
export const DEMO_JOBS: readonly Job[] = [
  { kind: 'download', mode: 'passive', from: CLIENT_ADDRESSES[0] },
  { kind: 'download', mode: 'active', from: CLIENT_ADDRESSES[1] },
  { kind: 'upload', mode: 'passive', from: CLIENT_ADDRESSES[2] },
];

/** A pair that carries an FTP service: daemons, servers, and who is active. */
export interface Service {
  readonly ftp: FtpServers;
  readonly pair: Pair;
  readonly active: Router;
  readonly standby: Router;
}

export interface RunOptions extends ServiceOptions {
  /** H, L, D; default: what the lab's machine can keep. */
  readonly times?: Times;
  readonly bigBytes?: number;
  readonly rateBytesPerS?: number;
  /** Further lines at the end of the config: more services. */
  readonly more?: string;
  /** The servers offer TLS and write down every command. */
  readonly tls?: ServerTls;
}

/** Starts the FTP servers and both routers, and waits until one is active, the other ready, all servers up on both. */
export async function startService(lab: Lab, options: RunOptions = {}): Promise<Service> {
  const { bigBytes = BIG_BYTES, rateBytesPerS = RATE_BYTES_PER_S } = options;
  const ftp = await lab.ftpServers({ ...options, bigBytes, rateBytesPerS });
  lab.say(`FTP servers: ${FILE_SERVERS.map(host => `${host} ${KINDS[host]} ${SERVER_ADDRESSES[host]}`).join(', ')}`);
  const pair = await preparePair({ ...options, topology: lab.topology, dir: lab.dir, results: lab.results });
  lab.say(`starting pulse and director on r1 and r2 (${STARTING[process.env.LAB_MACHINE ?? 'direct'] ?? 'seconds'})`);
  await Promise.all(ROUTERS.map(router => pair.startRouter(router)));
  const { active, standby } = await pair.untilReady(READY_MS, lab.say);
  lab.say(`${active} is active, ${standby} stands by; both see all servers up`);
  return { ftp, pair, active, standby };
}

/** Starts one transfer for each job, uploads paced like the servers pace downloads. */
export function startTransfers(
  lab: Lab,
  ftp: FtpServers,
  jobs: readonly Job[],
  uploadBytesPerS = RATE_BYTES_PER_S,
  timeoutMs = TRANSFER_MS,
): Transfer[] {
  return jobs.map(job => lab.transfer(ftp, { ...job, uploadBytesPerS, timeoutMs }));
}

/** Waits until every transfer has passed `bytes`; throws when one ends before, or none moves for long. */
export async function untilUnderWay(
  transfers: readonly Transfer[],
  say: (text: string) => void,
  bytes = CUT_BYTES,
): Promise<void> {
  const describe = (): string =>
    transfers.map(t => `${name(t)} ${(t.progress().bytes / 1e6).toFixed(1)} MB`).join(', ');
  const ended = watchEnds(transfers);
  for (let tries = 0; tries < UNDER_WAY_TRIES; tries++) {
    if (ended.length > 0) throw new Error(`${ended.join('; ')} (${describe()})`);
    if (transfers.every(transfer => transfer.progress().bytes >= bytes)) return say(`transfers: ${describe()}`);
    if (tries % 40 === 0) say(`transfers: ${describe()}`);
    await sleep(UNDER_WAY_POLL_MS);
  }
  throw new Error(`the transfers did not get to ${bytes} bytes: ${describe()}`);
}

/** Fills up with a sentence for each transfer that ends. */
function watchEnds(transfers: readonly Transfer[]): string[] {
  const ended: string[] = [];
  for (const transfer of transfers) {
    transfer.finished.then(
      ({ bytes, error }) => ended.push(`${name(transfer)} ended after ${bytes} bytes: ${error ?? 'it was whole'}`),
      (error: Error) => ended.push(`${name(transfer)}: ${error.message}`),
    );
  }
  return ended;
}

function name(transfer: Transfer): string {
  return `${transfer.request.mode} ${transfer.request.kind}`;
}

/** Builds everything, cuts the power of the active router in mid-transfer and waits for the transfers' ends. */
export async function measureFailover(
  lab: Lab,
  jobs = DEMO_JOBS,
  options: RunOptions = {},
): Promise<Measured & { readonly pair: Pair }> {
  const { ftp, pair } = await startService(lab, options);
  const transfers = startTransfers(lab, ftp, jobs, options.rateBytesPerS);
  await untilUnderWay(transfers, lab.say);
  const { active, standby } = rolesNow(pair);
  const { at: cutAt } = await lab.topology.cutPower(active);
  lab.say(`power of ${active} cut`);
  const results = await Promise.all(transfers.map(transfer => transfer.finished));
  const decisions = await takeoverOf(pair, standby);
  lab.record('roles', Object.fromEntries(ROUTERS.map(router => [router, pair.feed(router).roles()])));
  const arrivals = transfers.map(transfer => transfer.arrivals());
  return { cutAt, lost: active, taker: standby, decisions, transfers: results, arrivals, pair };
}

/** Who is active at this moment: on a starved machine the roles may have changed since the pair was ready. */
export function rolesNow(pair: Pair): { active: Router; standby: Router } {
  // The last word of a router that lost its power was that it is active.
  const runs = (router: Router): boolean => {
    const { exitCode, signalCode } = pair.process(router, 'pulse');
    return exitCode === null && signalCode === null;
  };
  const active = ROUTERS.find(router => runs(router) && pair.feed(router).latest()?.role === 'active');
  const histories = ROUTERS.map(
    router =>
      `${router}: ${pair
        .feed(router)
        .roles()
        .map(({ role }) => role)}`,
  ).join('; ');
  if (active === undefined) throw new Error(`no router is active in mid-transfer (${histories})`);
  return { active, standby: active === 'r1' ? 'r2' : 'r1' };
}

/** The taker's decisions once it is active; what there is of them when it is not within 10 s. */
async function takeoverOf(pair: Pair, taker: Router): Promise<Measured['decisions']> {
  const feed = pair.feed(taker);
  const snapshot = await feed
    .until(({ role }) => role === 'active', `${taker} to be active`, 10_000)
    .catch(feed.latest);
  return snapshot?.decisions ?? [];
}
