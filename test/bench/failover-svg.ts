// The plot of scripts/bench failover: for each fault and interval, the client's gap (median to maximum) and beneath it how long both
// routers served, both on a logarithmic scale. Pure.
import { FAULTS, TOOLS, type Tool } from './failover-plan.ts';
import type { Row, Summary } from './failover-summary.ts';
import { FAULT_TITLES, TOOL_TITLES } from './failover-table.ts';

const WIDTH = 1_060;
const LEFT = 70;
const RIGHT = 20;
const PLOT_WIDTH = WIDTH - LEFT - RIGHT;
interface Panel {
  readonly top: number;
  readonly height: number;
  readonly title: string;
  readonly fromMs: number;
  readonly toMs: number;
}
const GAP: Panel = { top: 70, height: 250, title: "client's gap, ms", fromMs: 0.5, toMs: 5_000 };
const BOTH: Panel = { top: 360, height: 130, title: 'both routers served, ms', fromMs: 0.5, toMs: 5_000 };
const HEIGHT = 555;
const COLOURS: Readonly<Record<Tool, string>> = { keepalived: '#d9822b', tandem: '#1f6fb4' };
const INK = '#333';
const GRID = '#ddd';
/** Between the two contestants' marks of one interval, in pixels. */
const APART = 12;

export function plotOf({ rows }: Summary): string {
  const intervals = [...new Set(rows.map(({ intervalMs }) => intervalMs))].sort((a, b) => b - a);
  const faults = FAULTS.filter(fault => rows.some(row => row.fault === fault));
  const groupWidth = PLOT_WIDTH / Math.max(1, faults.length);
  const slotWidth = groupWidth / (intervals.length + 1);
  const slotOf = (row: Pick<Row, 'fault' | 'intervalMs'>): number =>
    LEFT + groupWidth * faults.indexOf(row.fault) + slotWidth * (intervals.indexOf(row.intervalMs) + 1);
  const xOf = (row: Row): number => slotOf(row) + (row.tool === 'tandem' ? APART : -APART) / 2;
  const bottom = BOTH.top + BOTH.height;
  const labels = faults.flatMap((fault, index) => [
    text(LEFT + groupWidth * (index + 0.5), bottom + 40, FAULT_TITLES[fault], 'middle', 12),
    ...(index === 0 ? [] : [line(LEFT + groupWidth * index, GAP.top, LEFT + groupWidth * index, bottom, GRID)]),
    ...intervals.map(intervalMs => text(slotOf({ fault, intervalMs }), bottom + 18, `${intervalMs}`, 'middle', 10)),
  ]);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 26, 'Failover as a client sees it, by fault and heartbeat interval (ms)', 'start', 16),
    ...legend(),
    ...axis(GAP),
    ...axis(BOTH),
    ...labels,
    ...rows.flatMap(row => [...gapMark(xOf(row), row), ...bothMark(xOf(row), row)]),
    '</svg>',
    '',
  ].join('\n');
}

/** Pixels of a value on a panel's scale; what is outside is drawn at its edge. */
function yOf({ top, height, fromMs, toMs }: Panel, ms: number): number {
  const share = Math.log(Math.min(Math.max(ms, fromMs), toMs) / fromMs) / Math.log(toMs / fromMs);
  return round(top + height * (1 - share));
}

function axis(panel: Panel): string[] {
  const ticks = [1, 10, 100, 1_000].filter(ms => ms >= panel.fromMs && ms <= panel.toMs);
  return [
    text(LEFT, panel.top - 8, panel.title, 'start', 12),
    ...ticks.flatMap(ms => [
      line(LEFT, yOf(panel, ms), WIDTH - RIGHT, yOf(panel, ms), GRID),
      text(LEFT - 8, yOf(panel, ms) + 4, `${ms}`, 'end', 11),
    ]),
    line(LEFT, panel.top + panel.height, WIDTH - RIGHT, panel.top + panel.height, INK),
  ];
}

/** A dot at the median, a line to the maximum, a bar across it at the 99th percentile. */
function gapMark(x: number, { tool, fault, intervalMs, gapMs }: Row): string[] {
  const colour = COLOURS[tool];
  const [median, high, most] = [yOf(GAP, gapMs.p50), yOf(GAP, gapMs.p99), yOf(GAP, gapMs.max)];
  const told = `${TOOL_TITLES[tool]}, ${FAULT_TITLES[fault]}, ${intervalMs} ms: p50 ${gapMs.p50}, p99 ${gapMs.p99}, max ${gapMs.max} ms`;
  return [
    `<g stroke="${colour}" fill="${colour}"><title>${told}</title>`,
    line(x, median, x, most, colour, 2),
    line(x - 4, high, x + 4, high, colour, 2),
    `<circle cx="${round(x)}" cy="${median}" r="4"/></g>`,
  ];
}

/** A bar to the maximum; nothing where both never served; an arrow where both still did at the end. */
function bothMark(x: number, { tool, bothServedMs, bothServedAtEnd }: Row): string[] {
  if (bothServedMs.max === 0) return [];
  const top = yOf(BOTH, bothServedMs.max);
  const height = round(BOTH.top + BOTH.height - top);
  const bar = `<rect x="${round(x - 4)}" y="${top}" width="8" height="${height}" fill="${COLOURS[tool]}"/>`;
  return bothServedAtEnd > 0 ? [bar, text(x, top - 3, '↑', 'middle', 14)] : [bar];
}

function legend(): string[] {
  const tools = TOOLS.flatMap((tool, index) => {
    const x = WIDTH - RIGHT - 330 + index * 110;
    return [
      `<circle cx="${x}" cy="22" r="5" fill="${COLOURS[tool]}"/>`,
      text(x + 10, 26, TOOL_TITLES[tool], 'start', 12),
    ];
  });
  return [
    ...tools,
    text(WIDTH - RIGHT, 26, '● p50  ┼ p99  │ max', 'end', 11),
    text(WIDTH - RIGHT, 44, '↑ both still served when the observation ended', 'end', 11),
  ];
}

function text(x: number, y: number, words: string, anchor: 'start' | 'middle' | 'end', size: number): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" font-size="${size}" fill="${INK}">${words}</text>`;
}

function line(x1: number, y1: number, x2: number, y2: number, colour: string, width = 1): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${colour}" stroke-width="${width}"/>`;
}

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}
