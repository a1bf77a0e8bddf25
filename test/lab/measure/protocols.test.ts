// The cells of scripts/bench lab and its table.
import { spawnSync } from 'node:child_process';
import test from 'ava';
import { CUTS, type StallRow } from './contest.ts';
import { cellOf, cutsOf, labTable } from './protocols.ts';

test('every part that scripts/bench lab lists is a cell with times of its own', t => {
  const { stdout } = spawnSync('scripts/bench', ['lab', '--list'], { encoding: 'utf8' });
  const parts = stdout
    .trim()
    .split('\n')
    .map(line => line.split(' ')[0] as string);
  t.is(new Set(parts).size, 27);
  const cells = parts.map(cellOf);
  t.false(cells.includes(undefined), parts.filter(part => !cellOf(part)).join());
  for (const cell of cells) t.is(cell?.times.interval, `${cell?.intervalMs}ms`);
  t.is(cellOf('lab-h10-rtt0.2-keepalived-tuned')?.contestant, 'keepalived-tuned');
});

test('a name with an interval, a round-trip time or a contestant that is not measured is no cell', t => {
  for (const part of ['lab-h20-rtt1-tandem', 'lab-h50-rtt2-tandem', 'lab-h50-rtt1-ucarp', 'failover-tandem'])
    t.is(cellOf(part), undefined);
});

test('settled and young transfers are cut in turns', t => {
  t.deepEqual(cutsOf(true), [2_500_000, 200_000]);
  t.deepEqual(cutsOf(false), [2_500_000, 200_000, 2_500_000, 200_000, 2_500_000, 200_000]);
});

const row = (rest: Partial<StallRow>): StallRow => ({
  kind: 'download',
  mode: 'passive',
  inFlight: true,
  survived: true,
  stallMs: 400,
  pacingMs: 40,
  ...rest,
});

/** The cells of the table's row of this name, as text. */
function cellsOf(table: readonly string[], name: string): string[] | undefined {
  const line = table.find(text => text.includes(`| ${name} |`));
  return line
    ?.split('|')
    .slice(4, -1)
    .map(cell => cell.trim());
}

test('the table counts survivors by age and kind, and shows the stalls of those that lived', t => {
  const tandem = [
    { cutBytes: CUTS.settled, takenMs: 120.5, rows: [row({}), row({ mode: 'extended-passive', stallMs: 202 })] },
    { cutBytes: CUTS.settled, takenMs: 148, rows: [row({ stallMs: 610 }), row({ inFlight: false, stallMs: 1 })] },
    { cutBytes: CUTS.young, takenMs: 130, rows: [row({ kind: 'upload', mode: 'extended-active', stallMs: 220 })] },
  ];
  const lost = { survived: false, stallMs: 90_000 };
  const tuned = [
    { cutBytes: CUTS.settled, takenMs: null, rows: [row(lost), row({ stallMs: 700 })] },
    { cutBytes: CUTS.young, takenMs: 180, rows: [row({ ...lost, kind: 'upload', mode: 'active' })] },
  ];
  const table = labTable([
    { part: 'lab-h50-rtt1-tandem', tookMs: 1, result: tandem },
    { part: 'lab-h50-rtt1-keepalived-tuned', tookMs: 1, result: tuned },
    { part: 'failover-tandem', tookMs: 1, result: tandem },
  ]);
  t.true(table.some(line => line.startsWith('| 50 | 1 | ')));
  t.false(table.some(line => line.startsWith('| 100 | ') || line.startsWith('| 50 | 20 | ')));
  t.deepEqual(cellsOf(table, 'VIP on the other router after'), ['130, 148', '–', '180, 180, **never: 1 of 2**']);
  t.deepEqual(cellsOf(table, 'settled passive download'), ['3/3: 400, 610', '–', '**1/2**: 700, 700']);
  t.deepEqual(cellsOf(table, 'young active upload'), ['1/1: 220, 220', '–', '**0/1**']);
  t.deepEqual(cellsOf(table, 'young passive download'), ['–', '–', '–']);
  t.deepEqual(cellsOf(table, 'before the cut'), ['40, 40', '–', '40, 40']);
});

test('the table says what the exact clock means and that stalls come in steps, and is not there without a cell', t => {
  const text = labTable([{ part: 'lab-h10-rtt20-tandem', tookMs: 1, result: [] }]).join('\n');
  t.regex(text, /the clock stands still while anything runs/);
  t.regex(text, /stalls come in steps/);
  t.deepEqual(labTable([{ part: 'failover-tandem', tookMs: 1, result: [] }]), []);
});
