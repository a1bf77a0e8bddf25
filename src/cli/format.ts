// Words and colours of the CLI's tables. Pure. Text from outside (a server's words) is made
// printable here, so that it cannot move the cursor or change colours.
import { textWidth } from './text-width.ts';

type Tone = 'good' | 'bad' | 'warn' | 'dim' | 'bold';
/** Colours a text, or leaves it as it is when colours are off. */
export type Paint = (tone: Tone, text: string) => string;

const CODES: Readonly<Record<Tone, number>> = { good: 32, bad: 31, warn: 33, dim: 2, bold: 1 };

export function painter(colour: boolean): Paint {
  return (tone, text) => (colour && text !== '' ? `\u001b[${CODES[tone]}m${text}\u001b[0m` : text);
}

/** `text` without control characters, at most `length` characters long. */
export function printable(text: string, length: number): string {
  const plain = text.replaceAll(/[\s\p{Cc}\p{Cf}]+/gu, ' ').trim();
  return plain.length <= length ? plain : `${plain.slice(0, length - 1)}…`;
}

/**
 * How long ago, in the two largest units: "3m 12s", "2d 4h"; with one decimal under 10 s; "43ms".
 */
export function age(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`;
  const s = ms / 1_000;
  if (s < 10) return `${s.toFixed(1)}s`;
  const units: [string, number][] = [
    ['d', 86_400],
    ['h', 3_600],
    ['m', 60],
    ['s', 1],
  ];
  const first = units.findIndex(([, size]) => s >= size);
  let rest = Math.floor(s);
  const parts = units.slice(first, first + 2).map(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return `${count}${unit}`;
  });
  return parts.filter((part, index) => index === 0 || !part.startsWith('0')).join(' ');
}

/** How long before `now` (ms since 1970) an ISO time was; the text itself when it is no time. */
export function since(iso: string | null, now: number): string {
  if (iso === null) return 'never';
  const at = Date.parse(iso);
  return Number.isNaN(at) ? printable(iso, 40) : `${age(now - at)} ago`;
}

/** Milliseconds on a link: "0.21 ms", "12 ms". */
export function milliseconds(ms: number | null): string {
  if (ms === null) return '-';
  return ms < 10 ? `${ms.toFixed(2)} ms` : `${Math.round(ms)} ms`;
}

/** Columns without lines, heads dimmed, indented by two. Made for a hundred thousand rows. */
export function columns(paint: Paint, heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const table = [heads.map(head => paint('dim', head)), ...rows].map(row =>
    row.map(cell => ({ cell, width: textWidth(cell) })),
  );
  const widths = heads.map((_, column) => table.reduce((most, row) => Math.max(most, row[column]?.width ?? 0), 0));
  return table
    .map(row => row.map(({ cell, width }, column) => cell + ' '.repeat((widths[column] ?? 0) - width)).join('  '))
    .map(line => `  ${line}`.trimEnd())
    .join('\n');
}
