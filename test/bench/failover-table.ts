// The tables of scripts/bench failover, as Markdown. Pure.
import type { FaultName } from './failover-plan.ts';
import type { CostRow, Row, Spread, Summary } from './failover-summary.ts';

export const FAULT_TITLES: Readonly<Record<FaultName, string>> = {
  power: 'power loss',
  'kill-main': 'main process killed',
  'kill-all': 'all processes killed',
  'stop-all': 'all stopped for 2 s',
  graceful: 'graceful stop',
  carrier: 'carrier loss',
  handover: 'planned handover',
};
export const TOOL_TITLES = { keepalived: 'keepalived', tandem: 'Tandem' } as const;

export function tablesOf({ rows, costs, loads }: Summary): string {
  const announcing = rows.filter(({ decidedToAnnouncedMs }) => decidedToAnnouncedMs !== null);
  const parts = [
    rows.length > 0 && [
      '| fault on the active router | H ms | | runs | gap ms: p50, p99, max | lost: p50, max | both served ms: p50, max | both kernels held ms: p50, max |',
      '|---|---|---|---|---|---|---|---|',
      ...rows.map(faultLine),
    ],
    announcing.length > 0 && [
      '| Tandem, from decision to announcement | H ms | ms: p50, p99, max |',
      '|---|---|---|',
      ...announcing.map(announcingLine),
    ],
    loads.length > 0 && [
      '| load without a fault, H | | minutes | false failovers | lost probes | longest gap ms | both served ms | prober late ms |',
      '|---|---|---|---|---|---|---|---|',
      ...loads.map(
        load =>
          `| ${load.intervalMs} ms | ${TOOL_TITLES[load.tool]} | ${Math.round(load.minutes * 10) / 10} | ${load.falseFailovers} | ${load.lost} of ${load.probes} | ${load.gapMaxMs} | ${load.bothServedMs} | ${load.proberLateMs} |`,
      ),
    ],
    costs.length > 0 && [
      '| idle, H | process | processor % | resident MiB | proportional MiB |',
      '|---|---|---|---|---|',
      ...costs.map(costLine),
    ],
  ];
  return parts.flatMap(part => (part ? [part.join('\n')] : [])).join('\n\n');
}

function faultLine(row: Row): string {
  const { gapMs, lost, bothServedMs, bothHeldMs, runs } = row;
  const ongoing = row.bothServedAtEnd > 0 ? `, **still at the end: ${row.bothServedAtEnd} of ${runs}**` : '';
  const gone = row.notRestored > 0 ? `, **not restored: ${row.notRestored} of ${runs}**` : '';
  const astray = row.movedBefore > 0 ? `, and ${row.movedBefore} moved before the fault` : '';
  const unquiet = row.lostBefore > 0 ? `, ${row.lostBefore} probes lost before the faults` : '';
  return `| ${FAULT_TITLES[row.fault]} | ${row.intervalMs} | ${TOOL_TITLES[row.tool]} | ${runs}${astray}${unquiet} | ${gapMs.p50}, ${gapMs.p99}, ${gapMs.max}${gone} | ${pair(lost)} | ${pair(bothServedMs)}${ongoing} | ${pair(bothHeldMs)} |`;
}

function announcingLine({ fault, intervalMs, decidedToAnnouncedMs: spread }: Row): string {
  return `| ${FAULT_TITLES[fault]} | ${intervalMs} | ${spread?.p50}, ${spread?.p99}, ${spread?.max} |`;
}

function pair({ p50, max }: Spread): string {
  return `${p50}, ${max}`;
}

function costLine(cost: CostRow): string {
  const mib = (kib: number): string => (kib / 1024).toFixed(1);
  return `| ${cost.intervalMs} ms | ${TOOL_TITLES[cost.tool]}: ${cost.process} on ${cost.router} | ${cost.cpuPercent} | ${mib(cost.residentKib)} | ${mib(cost.proportionalKib)} |`;
}
