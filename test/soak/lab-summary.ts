// The report of scripts/soak --lab: as data, and as text for people. Pure.
import type { Judgement, Likeness, Phases } from './lab-judge.ts';
import type { SoakBlock } from './lab-record.ts';

export interface JudgedBlock {
  readonly block: SoakBlock;
  readonly realMs: number;
  readonly judgement: Judgement;
  readonly phases: readonly Phases[];
}

interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface SoakSummary {
  readonly failovers: number;
  readonly transfers: number;
  readonly whole: number;
  readonly unavoidable: readonly string[];
  readonly wrong: readonly string[];
  /** In ms, over the failovers that were no handover. */
  readonly noticedMs: Spread;
  readonly claimedMs: Spread;
  readonly flowsMs: Spread;
  /** Longest stall of each transfer, in ms. */
  readonly stallMs: Spread;
  readonly virtualHours: number;
  readonly realHours: number;
  /** Of the seeds that were run twice. */
  readonly repeated: {
    readonly seeds: number;
    readonly sameOrder: number;
    readonly shareMedian: number;
    readonly shareLeast: number;
  };
}

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

const defined = (values: readonly (number | undefined)[]): number[] => values.filter(value => value !== undefined);

export function soakSummary(blocks: readonly JudgedBlock[], likenesses: readonly Likeness[]): SoakSummary {
  const failovers = blocks.flatMap(({ block, phases }) =>
    block.failovers.map((failover, index) => ({ failover, phases: phases[index] ?? {} })),
  );
  const transfers = failovers.flatMap(({ failover }) => failover.transfers);
  const unplanned = failovers.filter(({ failover }) => failover.fault !== 'handover').map(({ phases }) => phases);
  const shares = likenesses.map(({ share }) => share).sort((a, b) => a - b);
  return {
    failovers: failovers.length,
    transfers: transfers.length,
    whole: transfers.filter(({ whole }) => whole).length,
    unavoidable: blocks.flatMap(({ judgement }) => judgement.unavoidable),
    wrong: blocks.flatMap(({ judgement }) => judgement.wrong),
    noticedMs: spread(defined(unplanned.map(({ noticedMs }) => noticedMs))),
    claimedMs: spread(defined(unplanned.map(({ claimedMs }) => claimedMs))),
    flowsMs: spread(defined(failovers.map(({ phases }) => phases.flowsMs))),
    stallMs: spread(transfers.map(({ stallMs }) => stallMs)),
    virtualHours: blocks.reduce((sum, { block }) => sum + block.virtualMs, 0) / 3_600_000,
    realHours: blocks.reduce((sum, { realMs }) => sum + realMs, 0) / 3_600_000,
    repeated: {
      seeds: likenesses.length,
      sameOrder: likenesses.filter(({ sameOrder }) => sameOrder).length,
      shareMedian: shares[Math.floor(shares.length / 2)] ?? 1,
      shareLeast: shares[0] ?? 1,
    },
  };
}

export function soakText(summary: SoakSummary & { readonly seed: number }): string {
  const row = (name: string, { p50, p99, max }: Spread): string =>
    `  ${name.padEnd(34)} p50 ${String(p50).padStart(5)}   p99 ${String(p99).padStart(5)}   max ${String(max).padStart(5)} ms`;
  const { repeated } = summary;
  return [
    `seed ${summary.seed}: ${summary.failovers} failovers, ${summary.whole} of ${summary.transfers} transfers whole`,
    row('noticed after the fault', summary.noticedMs),
    row('VIP held after the decision', summary.claimedMs),
    row('all flow after the claim', summary.flowsMs),
    row('longest stall of a transfer', summary.stallMs),
    `  ${summary.virtualHours.toFixed(2)} hours on the labs' clocks, ${summary.realHours.toFixed(2)} hours of machine time`,
    ...(repeated.seeds > 0
      ? [
          `  ${repeated.seeds} seeds run twice: ${repeated.sameOrder} with the same events in the same order; events alike within 1 ms: median ${(100 * repeated.shareMedian).toFixed(1)} %, least ${(100 * repeated.shareLeast).toFixed(1)} %`,
        ]
      : []),
    ...summary.unavoidable.map(sentence => `unavoidable: ${sentence}`),
    ...summary.wrong.map(sentence => `WRONG: ${sentence}`),
  ].join('\n');
}
