// The tables of scripts/bench sync, from what its parts measured. Pure.
import type { RejoinResult, StallRound } from '../lab/measure/contest.ts';

export interface PartResult {
  readonly part: string;
  readonly tookMs: number;
  readonly result: unknown;
}

/** Rows of one kind of transfer, a column for each contestant: `survived of rounds, longest stall`. */
export function stallTable(parts: readonly PartResult[]): string[] {
  const columns = parts.filter(({ part }) => part.startsWith('failover-'));
  if (columns.length === 0) return [];
  const cells = columns.map(({ result }) => new Map(stallCells(result as readonly StallRound[])));
  const names = [...new Set(cells.flatMap(column => [...column.keys()]))];
  return [
    'Failover in mid-transfer: survived of rounds, client stall in ms (median, max)',
    row(
      'transfer, cut',
      columns.map(({ part }) => part.slice('failover-'.length)),
    ),
    ...names.map(name =>
      row(
        name,
        cells.map(column => column.get(name) ?? '–'),
      ),
    ),
    '',
  ];
}

function stallCells(rounds: readonly StallRound[]): [string, string][] {
  const seen = new Map<string, { survived: number; rounds: number; stalls: number[] }>();
  for (const { cutBytes, rows } of rounds) {
    for (const { mode, kind, survived, stallMs } of rows.filter(({ inFlight }) => inFlight)) {
      const name = `${mode} ${kind}, after ${(cutBytes / 1e6).toFixed(1)} MB`;
      const cell = seen.get(name) ?? { survived: 0, rounds: 0, stalls: [] };
      cell.rounds += 1;
      if (survived) {
        cell.survived += 1;
        cell.stalls.push(stallMs);
      }
      seen.set(name, cell);
    }
  }
  return [...seen].map(([name, { survived, rounds: count, stalls }]) => {
    const sorted = stalls.toSorted((a, b) => a - b);
    const stall = sorted.length > 0 ? ` (${sorted[Math.floor(sorted.length / 2)]}, ${sorted.at(-1)})` : '';
    return [name, `${survived}/${count}${stall}`];
  });
}

export function rejoinTable(parts: readonly PartResult[]): string[] {
  const lines = parts
    .filter(({ part }) => part.startsWith('rejoin-'))
    .map(({ part, result }) => {
      const { sessions, afterRejoin, nextFileMs, transfers } = result as RejoinResult;
      const kept = transfers.filter(({ survived }) => survived).length;
      const times = nextFileMs.length > 0 ? `, next file after ${Math.max(...nextFileMs)} ms at most` : '';
      const name = part.slice('rejoin-'.length);
      return row(name, [`${afterRejoin}/${sessions} idle sessions, ${kept}/${transfers.length} transfers${times}`]);
    });
  return lines.length > 0
    ? ['One router rebooted and back, then the other loses its power: who is left', ...lines, '']
    : [];
}

export function otherTables(parts: readonly PartResult[]): string[] {
  return parts
    .filter(({ part }) => /^(resync|store)-/.test(part))
    .flatMap(({ part, result }) => [part, ...flat(result).map(([name, value]) => `  ${name.padEnd(34)} ${value}`), '']);
}

/** Every value with the path to it, lists as they are. */
function flat(value: unknown, prefix = ''): [string, string][] {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return [[prefix, JSON.stringify(value)]];
  return Object.entries(value).flatMap(([name, inner]) => flat(inner, prefix === '' ? name : `${prefix}.${name}`));
}

function row(name: string, cells: readonly string[]): string {
  return `  ${name.padEnd(42)}${cells.map(cell => cell.padEnd(22)).join('')}`.trimEnd();
}
