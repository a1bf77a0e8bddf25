// One picture of `status --watch` for a terminal of a given size: what fits, and how to draw it
// over the last one in one write, without a moment in which the screen is empty. Pure. Source:
// ECMA-48, and DEC's private modes as xterm has them.
import { brokenLine } from './text-width.ts';

export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
}

const ESC = '\u001b[';
/** Terminals that do not know it ignore it: drawn at once, when all of it has come. */
const SYNCHRONIZED = { begin: `${ESC}?2026h`, end: `${ESC}?2026l` } as const;
/** A screen of its own: what was there before is back afterwards. No cursor, no wrapping. */
export const ENTER_SCREEN = `${ESC}?1049h${ESC}?25l${ESC}?7l`;
export const LEAVE_SCREEN = `${ESC}?7h${ESC}?25h${ESC}?1049l`;
const HOME = `${ESC}H`;
const CLEAR_LINE = `${ESC}K`;
const CLEAR_BELOW = `${ESC}J`;

/** Below this nothing can be read; a terminal cuts what is too long. */
const SIZE_MIN: ScreenSize = { columns: 20, rows: 4 };

export function picture(text: string, size: ScreenSize): string {
  // Not up to the last column: what clears the rest of a line would clear a character there.
  const columns = Math.max(SIZE_MIN.columns, size.columns) - 1;
  const rows = Math.max(SIZE_MIN.rows, size.rows);
  const all = text
    .trimEnd()
    .split('\n')
    .flatMap(line => brokenLine(line, columns));
  const hidden = all.length - rows;
  const more = `… ${hidden + 1} more lines: a taller window, or \`tandem status\``;
  const shown = hidden > 0 ? [...all.slice(0, rows - 1), brokenLine(more, columns)[0] ?? ''] : all;
  // No line feed behind the last one: it would scroll a full screen.
  return `${SYNCHRONIZED.begin}${HOME}${shown.join(`${CLEAR_LINE}\r\n`)}${CLEAR_LINE}${CLEAR_BELOW}${SYNCHRONIZED.end}`;
}
