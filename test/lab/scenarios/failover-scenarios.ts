// The pair's failovers with the real daemons, real IPVS and real transfers. Faults come on progress, never after a sleep. Times are asserted
// where the lab's clock is exact; elsewhere only the outcome counts.
import assert from 'node:assert/strict';
import type { TransferResult } from '../ftp/ftp-client.ts';
import {
  DEMO_JOBS,
  measureFailover,
  type Service,
  startService,
  startTransfers,
  untilUnderWay,
} from '../measure/failover.ts';
import { type DemoResult, demoResult } from '../measure/failover-report.ts';
import { TIMES_ARE_EXACT } from '../pair/config.ts';
import type { Router } from '../pair/topology.ts';
import type { Lab, Scenario } from './scenario.ts';

/** Longest stall that is no fault: takeover and TCP's retransmission steps up to the one at 12.6 s. */
const STALL_MS_MAX = 15_000;
/** Long enough for two handovers, each with the start of a command and a resync: under emulation two minutes. */
const LONG_BYTES = TIMES_ARE_EXACT ? 8_000_000 : 48_000_000;
const LONG_RATE = 400_000;
const LONG_MS = 240_000;

export function assertWhole(transfers: readonly TransferResult[]): void {
  for (const { kind, mode, server, error, sha256Ok, stallMs } of transfers) {
    const what = `${mode} ${kind} at ${server}`;
    assert.equal(error, undefined, what);
    assert.ok(sha256Ok, `${what}: checksum`);
    assert.ok(stallMs < STALL_MS_MAX, `${what}: stalled ${stallMs} ms`);
  }
}

async function powerCut(lab: Lab): Promise<void> {
  const measured = await measureFailover(lab, DEMO_JOBS);
  const result = demoResult(measured);
  lab.record('result', result);
  lab.record('transfers', measured.transfers);
  assertWhole(measured.transfers);
  assert.notEqual(result.failover.claimMs, null, `${measured.taker} never became active`);
  const { role } = measured.pair.feed(measured.taker).latest() ?? {};
  assert.equal(role, 'active');
  if (TIMES_ARE_EXACT) assertInTime(result);
}

/** With H, L, D of 100, 220, 300 ms: silence is noticed D after the last heartbeat, and TCP's next step is at 1.4 s at the latest. */
function assertInTime({ failover }: DemoResult): void {
  const { detectMs, claimMs, clientStallMs } = failover;
  assert.ok(detectMs !== null && detectMs >= 200 && detectMs <= 305, `noticed after ${detectMs} ms`);
  assert.ok(claimMs !== null && claimMs <= 20, `claimed ${claimMs} ms later`);
  assert.ok(clientStallMs <= 1_700, `stalled ${clientStallMs} ms`);
}

/** Hands over by command and waits until the other router serves. */
export async function handOver(lab: Lab, service: Service, from: Router): Promise<Router> {
  const to = from === 'r1' ? 'r2' : 'r1';
  lab.say((await service.pair.tandem(from, ['handover', '--wait', '60'])).trim());
  await service.pair.feed(to).until(({ role, serving }) => role === 'active' && serving, `${to} to be active`, 20_000);
  return to;
}

async function thereAndBack(lab: Lab): Promise<void> {
  const service = await startService(lab, { bigBytes: LONG_BYTES, rateBytesPerS: LONG_RATE });
  const transfers = startTransfers(lab, service.ftp, DEMO_JOBS, LONG_RATE, LONG_MS);
  await untilUnderWay(transfers, lab.say, 1_000_000);
  const other = await handOver(lab, service, service.active);
  await untilUnderWay(transfers, lab.say, Math.max(...transfers.map(t => t.progress().bytes)) + 500_000);
  const back = await handOver(lab, service, other);
  assert.equal(back, service.active);
  assert.ok(
    transfers.every(transfer => transfer.progress().bytes < LONG_BYTES),
    'the transfers ended before the way back: nothing was proven',
  );
  const results = await Promise.all(transfers.map(transfer => transfer.finished));
  lab.record('transfers', results);
  assertWhole(results);
}

export const FAILOVER_SCENARIOS: readonly Scenario[] = [
  {
    title: 'passive and active downloads and an upload outlive a power cut of the active router',
    run: powerCut,
    timeoutMs: 240_000,
  },
  {
    title: 'transfers outlive a planned handover to the other router and back',
    run: thereAndBack,
    timeoutMs: 360_000,
  },
];
