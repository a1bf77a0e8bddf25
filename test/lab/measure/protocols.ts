// What scripts/bench lab measures, cell by cell, and its table: a heartbeat interval, a round-trip
// time, who manages the pair. Pure.
import type { PartResult } from '../../bench/sync-tables.ts';
import type { Times } from '../pair/config.ts';
import { CONTESTANTS, type Contestant, CUTS, type StallRound, type StallRow } from './contest.ts';

/** H, L and D of Tandem; keepalived has H as its advertisement interval. */
const TIMES: Readonly<Record<string, Times>> = {
  '100': { interval: '100ms', lease: '220ms', dead: '300ms' },
  '50': { interval: '50ms', lease: '110ms', dead: '150ms' },
  '10': { interval: '10ms', lease: '22ms', dead: '30ms' },
};
const RTTS_MS: readonly number[] = [0.2, 1, 20];

export interface Cell {
  readonly intervalMs: number;
  readonly times: Times;
  readonly rttMs: number;
  readonly contestant: Contestant;
}

/** The cell of a part's name, like `lab-h50-rtt0.2-tandem`; undefined when there is none. */
export function cellOf(part: string): Cell | undefined {
  const [, interval = '', rtt = '', name] = /^lab-h(\d+)-rtt([\d.]+)-([a-z-]+)$/.exec(part) ?? [];
  const times = TIMES[interval];
  const rttMs = RTTS_MS.find(candidate => String(candidate) === rtt);
  const contestant = CONTESTANTS.find(candidate => candidate === name);
  if (!times || rttMs === undefined || !contestant) return undefined;
  return { intervalMs: Number(interval), times, rttMs, contestant };
}

/** Twice what a settled transfer has passed: on an exact clock no stall outlasts the rest of it. */
export const CELL_FILE_BYTES = 2 * CUTS.settled;

/** Bytes at each power cut: settled and young in turns, so that both spread over the interval. */
export function cutsOf(quick: boolean): number[] {
  return Array.from({ length: quick ? 1 : 3 }, () => [CUTS.settled, CUTS.young]).flat();
}

/** What must be known to read the figures. */
const NOTES: readonly string[] = [
  'Virtual time (User Mode Linux, inf-cpu): the clock stands still while anything runs. Processors are infinitely fast, nothing is',
  "ever late, and only what waits takes time: timers, the network (netem on the clients' leg), the servers' pacing. So these are the",
  'costs of the protocols and not of a machine; a real one adds its own.',
  '"VIP": from the power cut until the other router\'s kernel has the address, median and greatest. The cuts are spread over one interval.',
  'The others: transfers that survived, of those under way; longest stall of each that did, median and greatest, in ms. PASV with EPSV, PORT with EPRT.',
  'A stall ends when TCP sends again: 200 ms after the last packet (and a round trip), then after 400 ms more, 800 ms more. A router that',
  'is ready a moment after such a step waits for the next, so stalls come in steps and a faster takeover is not always seen.',
  'The servers\' pacing is in the stalls too ("before the cut": the longest gap without any fault); uploads are looked at every 20 ms.',
];

/** Markdown: a block of rows for each interval and round-trip time, a column for each contestant. */
export function labTable(parts: readonly PartResult[]): string[] {
  const measured = parts.flatMap(({ part, result }) => {
    const cell = cellOf(part);
    return cell ? [{ ...cell, rounds: result as readonly StallRound[] }] : [];
  });
  if (measured.length === 0) return [];
  const blocks = Object.keys(TIMES)
    .map(Number)
    .sort((a, b) => b - a)
    .flatMap(intervalMs => RTTS_MS.map(rttMs => ({ intervalMs, rttMs })));
  return [
    'What the protocols alone cost',
    '',
    ...NOTES,
    '',
    `| H ms | round trip ms | | ${CONTESTANTS.join(' | ')} |`,
    `|---|---|---|${CONTESTANTS.map(() => '---|').join('')}`,
    ...blocks.flatMap(({ intervalMs, rttMs }) => {
      const here = measured.filter(cell => cell.intervalMs === intervalMs && cell.rttMs === rttMs);
      if (here.length === 0) return [];
      const columns = CONTESTANTS.map(name => here.find(({ contestant }) => contestant === name)?.rounds);
      return ROWS.map(({ name, cell }) => {
        const cells = columns.map(rounds => (rounds === undefined ? '–' : cell(rounds)));
        return `| ${intervalMs} | ${rttMs} | ${name} | ${cells.join(' | ')} |`;
      });
    }),
    '',
  ];
}

interface Row {
  readonly name: string;
  readonly cell: (rounds: readonly StallRound[]) => string;
}

const AGES = [
  { age: 'settled', cutBytes: CUTS.settled },
  { age: 'young', cutBytes: CUTS.young },
] as const;

const ROWS: readonly Row[] = [
  { name: 'VIP on the other router after', cell: takenCell },
  ...AGES.flatMap(({ age, cutBytes }) =>
    (['download', 'upload'] as const).flatMap(kind =>
      (['passive', 'active'] as const).map(mode => ({
        name: `${age} ${mode} ${kind}`,
        cell: (rounds: readonly StallRound[]) =>
          stallCell(
            rounds
              .filter(round => round.cutBytes === cutBytes)
              .flatMap(({ rows }) => rows)
              .filter(row => row.inFlight && row.kind === kind && row.mode.endsWith(mode)),
          ),
      })),
    ),
  ),
  {
    name: 'before the cut',
    cell: rounds => medianAndMost(rounds.flatMap(({ rows }) => rows).map(({ pacingMs }) => pacingMs)),
  },
];

function takenCell(rounds: readonly StallRound[]): string {
  const taken = rounds.flatMap(({ takenMs }) => (takenMs === null ? [] : [takenMs]));
  const never = rounds.length - taken.length;
  return `${medianAndMost(taken)}${never === 0 ? '' : `, **never: ${never} of ${rounds.length}**`}`;
}

function stallCell(rows: readonly StallRow[]): string {
  if (rows.length === 0) return '–';
  const lived = rows.filter(({ survived }) => survived);
  const stalls = lived.length === 0 ? '' : `: ${medianAndMost(lived.map(({ stallMs }) => stallMs))}`;
  const share = `${lived.length}/${rows.length}`;
  return `${lived.length === rows.length ? share : `**${share}**`}${stalls}`;
}

function medianAndMost(values: readonly number[]): string {
  if (values.length === 0) return '–';
  const sorted = values.toSorted((a, b) => a - b);
  return `${sorted[Math.floor(sorted.length / 2)]}, ${sorted.at(-1)}`;
}
