// One block of scripts/soak --lab, run inside the lab: `lab-block.js SEED FAILOVERS`. A pair with short times carries transfers and idle
// sessions and is failed over again and again; what became of each is the record (LAB_RUN/results.json). Io.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Transfer, TransferMode } from '../../lab/ftp/ftp-client.ts';
import {
  type Job,
  rolesNow,
  type Service,
  startService,
  startTransfers,
  untilUnderWay,
} from '../../lab/measure/failover.ts';
import type { Times } from '../../lab/pair/config.ts';
import { killAllIn } from '../../lab/pair/netns.ts';
import { clientAddress, type Router, wallNow } from '../../lab/pair/topology.ts';
import { handOver } from '../../lab/scenarios/failover-scenarios.ts';
import { type Lab, openLab, resultsDirectory } from '../../lab/scenarios/scenario.ts';
import { type Known, mistakeOf, openKnown, rejoin } from '../../lab/scenarios/session-scenarios.ts';
import { Random } from '../../sim/random.ts';
import type { SoakBlock, SoakFailover, SoakFault, SoakSession, SoakTransfer } from '../lab-record.ts';

/** H, L, D at the lower end of what the config allows. */
const TIMES: Times = { interval: '10ms', lease: '22ms', dead: '30ms' };
/** For 2.7 s: before the first has ended, the last has passed its 300 kB, although curl or proftpd may stand still for a second at first. */
const BIG_BYTES = 1_600_000;
const RATE_BYTES_PER_S = 600_000;
const SESSIONS = 3;
const CLIENTS = 20;
const MODES: readonly TransferMode[] = ['passive', 'extended-passive', 'active', 'extended-active'];
const TAKEN_MS = 20_000;

/** Four transfers: both ways in a passive and in an active mode, the modes drawn, from addresses that change with every failover. */
function jobsOf(random: Random, number: number): Job[] {
  const [passive, active] = [MODES.slice(0, 2), MODES.slice(2)].map(modes => random.pick(modes)) as [
    TransferMode,
    TransferMode,
  ];
  return (['download', 'upload'] as const).flatMap((kind, row) =>
    [passive, active].map((mode, column) => ({
      kind,
      mode,
      from: clientAddress(SESSIONS + ((4 * number + 2 * row + column) % (CLIENTS - SESSIONS))),
    })),
  );
}

/** Makes the active router lose its VIPs; resolves when it was told so, not when the other one serves. */
async function inflict(lab: Lab, service: Service, fault: SoakFault, router: Router): Promise<number> {
  switch (fault) {
    case 'power':
      return (await lab.topology.cutPower(router)).at;
    case 'killed': {
      const at = wallNow();
      await killAllIn(lab.topology.namespace(router));
      return at;
    }
    case 'handover': {
      const at = wallNow();
      await handOver(lab, service, router);
      return at;
    }
  }
}

async function failOverOnce(
  lab: Lab,
  service: Service,
  known: readonly { readonly one: Known; readonly loggedInAt: number }[],
  random: Random,
  number: number,
): Promise<SoakFailover> {
  const { pair, ftp } = service;
  const fault = random.chance(0.2) ? 'handover' : random.chance(0.4) ? 'killed' : 'power';
  const startedAt = wallNow();
  const transfers = startTransfers(lab, ftp, jobsOf(random, number), RATE_BYTES_PER_S);
  await untilUnderWay(transfers, () => undefined, Math.round(random.between(50_000, 300_000)));
  const { active: lost, standby: taker } = rolesNow(pair);
  const bytesBefore = transfers.map(transfer => transfer.progress().bytes);
  const at = await inflict(lab, service, fault, lost);
  const { decisions } = await pair
    .feed(taker)
    .until(({ role, serving }) => role === 'active' && serving, `${taker} to be active`, TAKEN_MS);
  const moment = (to: string): number | null => {
    const found = decisions.findLast(decision => decision.to === to && Date.parse(decision.at) >= Math.floor(at));
    return found ? Date.parse(found.at) : null;
  };
  const [decidedAt, claimedAt] = [moment('claiming'), moment('active')];
  // As in life, the router that was lost comes back while the transfers go on.
  const [results] = await Promise.all([
    Promise.all(transfers.map((transfer, index) => resultOf(transfer, startedAt, bytesBefore[index] ?? 0, claimedAt))),
    fault === 'handover' ? pair.untilWarm(lost, TAKEN_MS) : rejoin(service, lost),
  ]);
  const sessions: SoakSession[] = [];
  for (const { one, loggedInAt } of known) {
    const mistake = await mistakeOf(one);
    const who = `${one.session.request.mode} session of ${one.session.request.from}`;
    sessions.push({ who, loggedInAt, ...(mistake !== undefined && { mistake }) });
  }
  lab.say(
    `${number + 1}: ${fault} of ${lost}: noticed ${decidedAt && Math.max(0, Math.round(decidedAt - at))} ms, whole ${results.filter(({ whole }) => whole).length}/${results.length}`,
  );
  return { number, fault, at, lost, taker, decidedAt, claimedAt, transfers: results, sessions };
}

async function resultOf(
  transfer: Transfer,
  startedAt: number,
  bytesBefore: number,
  claimedAt: number | null,
): Promise<SoakTransfer> {
  const { kind, mode, server, bytes, stallMs, sha256Ok, error } = await transfer.finished;
  const arrivals = transfer.arrivals();
  return {
    kind,
    mode,
    server,
    startedAt,
    firstByteAt: arrivals[0] ?? null,
    bytesBefore,
    bytesInAll: bytes,
    resumedAt: claimedAt === null ? null : (arrivals.find(at => at >= claimedAt) ?? null),
    stallMs,
    whole: sha256Ok && error === undefined,
    ...(error !== undefined && { error: error.slice(-300) }),
  };
}

async function runBlock(lab: Lab, seed: number, failovers: number, done: SoakFailover[]): Promise<void> {
  const random = new Random(seed);
  const options = { bigBytes: BIG_BYTES, rateBytesPerS: RATE_BYTES_PER_S, persistence: '1h', times: TIMES };
  const service = await startService(lab, options);
  const known = (await openKnown(lab, service, SESSIONS)).map(one => ({ one, loggedInAt: wallNow() }));
  for (let number = 0; number < failovers; number += 1) {
    done.push(await failOverOnce(lab, service, known, random, number));
  }
}

const [seed = 0, failovers = 0] = process.argv.slice(2).map(Number);
const began = performance.now();
const say = (text: string): void => {
  process.stderr.write(`[${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s] ${text}\n`);
};
const lab = await openLab('soak', say, undefined, { clients: CLIENTS });
const done: SoakFailover[] = [];
let error: string | undefined;
try {
  await runBlock(lab, seed, failovers, done);
} catch (thrown) {
  error = thrown instanceof Error ? thrown.message : String(thrown);
} finally {
  await lab.close();
}
const block: SoakBlock = {
  seed,
  failovers: done,
  virtualMs: Math.round(performance.now() - began),
  ...(error !== undefined && { error }),
};
await writeFile(path.join(resultsDirectory(), 'results.json'), `${JSON.stringify(block)}\n`);
process.exit(error === undefined ? 0 : 1);
