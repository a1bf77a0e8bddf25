// What a failover looked like, from what was measured: the demo's result object and its timeline. Pure. Times are wall time in
// ms; those of the result are durations.
import type { Decision } from '../../../src/feed/message.ts';
import type { TransferResult } from '../ftp/ftp-client.ts';
import type { Router } from '../pair/topology.ts';

export interface Measured {
  /** When the active router lost its power. */
  readonly cutAt: number;
  readonly lost: Router;
  readonly taker: Router;
  /** The taker's decisions, oldest first. */
  readonly decisions: readonly Decision[];
  readonly transfers: readonly TransferResult[];
  /** When data arrived, transfer by transfer. */
  readonly arrivals: readonly (readonly number[])[];
}

export interface DemoResult {
  readonly failover: {
    /** From the cut to the taker's decision; null when it took none. */
    readonly detectMs: number | null;
    /** From the decision to the VIPs being held. */
    readonly claimMs: number | null;
    /** The longest that any transfer stood still. */
    readonly clientStallMs: number;
  };
  readonly transfers: readonly Pick<TransferResult, 'kind' | 'mode' | 'bytes' | 'sha256Ok' | 'stallMs'>[];
  readonly ok: boolean;
}

interface Moments {
  readonly lastHeartbeatAt: number | undefined;
  readonly decidedAt: number | undefined;
  readonly claimedAt: number | undefined;
  readonly reason: string;
  /** First progress of any transfer once the VIP was on the other router: what was under way before has arrived long since. */
  readonly firstByteAt: number | undefined;
}

function momentsOf(measured: Measured): Moments {
  const after = measured.decisions.filter(({ at }) => Date.parse(at) >= Math.floor(measured.cutAt));
  const decided = after.find(({ to }) => to === 'claiming');
  const claimed = after.find(({ to }) => to === 'active');
  const decidedAt = decided && Date.parse(decided.at);
  const heardAgo = decided?.evidence.peerHeardMsAgo;
  const claimedAt = claimed && Date.parse(claimed.at);
  const through = claimedAt === undefined ? [] : measured.arrivals.map(times => times.find(at => at >= claimedAt));
  const firsts = through.filter(at => at !== undefined);
  return {
    lastHeartbeatAt: decidedAt !== undefined && typeof heardAgo === 'number' ? decidedAt - heardAgo : undefined,
    decidedAt,
    claimedAt,
    reason: decided?.reason ?? 'no takeover',
    firstByteAt: firsts.length > 0 ? Math.min(...firsts) : undefined,
  };
}

/** The object that `scripts/demo --json` prints. */
export function demoResult(measured: Measured): DemoResult {
  const { decidedAt, claimedAt } = momentsOf(measured);
  const { cutAt, transfers } = measured;
  const whole = transfers.every(({ sha256Ok, error }) => sha256Ok && error === undefined);
  return {
    failover: {
      detectMs: decidedAt === undefined ? null : Math.max(0, Math.round(decidedAt - cutAt)),
      claimMs: decidedAt === undefined || claimedAt === undefined ? null : Math.round(claimedAt - decidedAt),
      clientStallMs: Math.max(0, ...transfers.map(({ stallMs }) => stallMs)),
    },
    transfers: transfers.map(({ kind, mode, bytes, sha256Ok, stallMs }) => ({ kind, mode, bytes, sha256Ok, stallMs })),
    ok: whole && transfers.length > 0 && claimedAt !== undefined,
  };
}

/** The timeline and the transfers, for people. */
export function timeline(measured: Measured): string[] {
  const { lastHeartbeatAt, decidedAt, claimedAt, reason, firstByteAt } = momentsOf(measured);
  const { cutAt, lost, taker, transfers } = measured;
  const rows: [number | undefined, string][] = [
    [lastHeartbeatAt, `last heartbeat of ${lost} heard by ${taker}`],
    [cutAt, `power of ${lost} cut: its processes stop, its links go dark`],
    [decidedAt, `${taker} decides to take over: ${reason}`],
    [claimedAt, `${taker} holds the VIP and the gateway address, and announces them`],
    [firstByteAt, 'first bytes through the new router'],
  ];
  const lines = rows.map(([at, what]) => `  ${at === undefined ? '   never' : offset(at - cutAt)}  ${what}`);
  return ['Timeline (ms, 0 = power cut):', ...lines, '', 'Transfers:', ...transfers.map(transferLine)];
}

function offset(ms: number): string {
  return `${ms < 0 ? '-' : '+'}${Math.abs(Math.round(ms))}`.padStart(8);
}

function transferLine(transfer: TransferResult): string {
  const { kind, mode, bytes, sha256Ok, stallMs, server, error } = transfer;
  const what = `  ${`${mode} ${kind}`.padEnd(17)} ${server ?? '?'}  ${(bytes / 1e6).toFixed(1).padStart(5)} MB`;
  return `${what}  stalled ${String(stallMs).padStart(5)} ms  checksum ${sha256Ok ? 'right' : 'WRONG'}${error ? `  ${error}` : ''}`;
}
