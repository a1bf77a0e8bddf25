// Decides, from a block's record and both routers' logs, whether what was lost in a failover had to be. Pure. Unavoidable is what was younger
// than 50 ms at the fault, and what happened while both routers were down; anything else is ours.

import type { Router } from '../lab/pair/topology.ts';
import type { SoakBlock, SoakFailover, SoakLogLine, SoakTransfer } from './lab-record.ts';

/** A session or data connection younger than this may be unknown to the standby (README, honest limits). */
export const YOUNG_MS = 50;

export interface Judgement {
  readonly failovers: number;
  readonly whole: number;
  /** Sentences: lost, and could not be kept. */
  readonly unavoidable: readonly string[];
  /** Sentences: lost, or not as it should be, and ours to mend. */
  readonly wrong: readonly string[];
}

export type SoakLogs = Readonly<Record<Router, readonly SoakLogLine[]>>;

/** What a router's pulse was at a moment, by its own log. */
export function roleAt(log: readonly SoakLogLine[], at: number): string {
  const before = log.filter(line => line.at <= at);
  const change = before.findLastIndex(({ code }) => code === 'ROLE_CHANGED');
  const start = before.findLastIndex(({ code }) => code === 'PULSE_STARTED');
  if (start > change) return 'starting';
  return change < 0 ? 'off' : String(before[change]?.fields.to);
}

/** Judges a block. `logs`: pulse's, of each router, whole. */
export function judge(block: SoakBlock, logs: SoakLogs): Judgement {
  const unavoidable: string[] = [];
  const wrong: string[] = block.error === undefined ? [] : [`the block ended early: ${block.error}`];
  let whole = 0;
  for (const failover of block.failovers) {
    const where = `seed ${block.seed}, failover ${failover.number} (${failover.fault} of ${failover.lost})`;
    const bothDown = !['standby', 'claiming'].includes(roleAt(logs[failover.taker], failover.at - 1));
    const lose = (what: string, beganAt: number | null): void => {
      const age = beganAt === null ? -Infinity : failover.at - beganAt;
      if (bothDown) unavoidable.push(`${where}: ${what}; ${failover.taker} was down, too`);
      else if (age >= 0 && age < YOUNG_MS) unavoidable.push(`${where}: ${what}; it was ${age.toFixed(0)} ms old`);
      else wrong.push(`${where}: ${what}`);
    };
    for (const transfer of failover.transfers) {
      if (transfer.whole) whole += 1;
      else lose(`${nameOf(transfer)} was lost: ${transfer.error ?? 'wrong checksum'}`, transfer.firstByteAt);
    }
    for (const { who, loggedInAt, mistake } of failover.sessions)
      if (mistake !== undefined) lose(`${who}: ${mistake}`, loggedInAt);
    wrong.push(...notMet(failover).map(what => `${where}: ${what}`));
  }
  return { failovers: block.failovers.length, whole, unavoidable, wrong };
}

/** What the failover did not prove: at least four transfers in mid-flow, both modes, both ways, by bytes before and after. */
function notMet(failover: SoakFailover): string[] {
  const { claimedAt, taker } = failover;
  if (claimedAt === null) return [`${taker} never held the VIP`];
  const flowing = failover.transfers.filter(
    one => one.whole && one.bytesBefore > 0 && one.resumedAt !== null && one.bytesInAll > one.bytesBefore,
  );
  const kinds = new Set(flowing.map(({ kind }) => kind));
  const modes = new Set(flowing.map(({ mode }) => mode.replace('extended-', '')));
  if (failover.transfers.length < 4) return [`met only ${failover.transfers.length} transfers`];
  const lost = failover.transfers.length - flowing.length;
  // Those that were lost are judged one by one.
  if (lost === 0 && (kinds.size < 2 || modes.size < 2)) return ['not both modes and both ways were in mid-flow'];
  return [];
}

function nameOf({ mode, kind, server }: SoakTransfer): string {
  return `${mode} ${kind} at ${server ?? 'an unknown server'}`;
}

/** Phases of a failover, in ms; a phase that is not known is left out. */
export interface Phases {
  readonly noticedMs?: number;
  readonly claimedMs?: number;
  /** From the claim to the last transfer's first byte. */
  readonly flowsMs?: number;
}

export function phasesOf({ at, decidedAt, claimedAt, transfers }: SoakFailover): Phases {
  const resumed = transfers.map(({ resumedAt }) => resumedAt).filter(time => time !== null);
  return {
    ...(decidedAt !== null && { noticedMs: decidedAt - at }),
    ...(decidedAt !== null && claimedAt !== null && { claimedMs: claimedAt - decidedAt }),
    ...(claimedAt !== null && resumed.length > 0 && { flowsMs: Math.max(...resumed) - claimedAt }),
  };
}

export interface Likeness {
  /** Both runs logged the same events in the same order. */
  readonly sameOrder: boolean;
  /** Share of the events, paired in order, of the same kind and within a millisecond of each other; 0 to 1. */
  readonly share: number;
  readonly events: number;
}

/** How near two runs of one seed came to each other, by one log of each; times count from the first line. */
export function likeness(first: readonly SoakLogLine[], second: readonly SoakLogLine[]): Likeness {
  const events = Math.max(first.length, second.length);
  if (events === 0) return { sameOrder: true, share: 1, events };
  const [begin, beginAgain] = [first[0]?.at ?? 0, second[0]?.at ?? 0];
  let same = 0;
  let sameOrder = first.length === second.length;
  for (let index = 0; index < events; index += 1) {
    const [one, other] = [first[index], second[index]];
    const alike = one !== undefined && other !== undefined && one.code === other.code;
    sameOrder &&= alike;
    if (alike && Math.abs(one.at - begin - (other.at - beginAgain)) <= 1) same += 1;
  }
  return { sameOrder, share: same / events, events };
}
