// How many columns of a terminal a text takes, and lines broken so that they fit: wide and
// combining characters counted, colours passed on to the next line. Pure. Source: Unicode
// Standard Annex 11.
import { eastAsianWidth } from 'get-east-asian-width';

let segmenter: Intl.Segmenter | undefined;
/** Made when it is needed: that takes as long as half of node's start. */
function segmentsOf(text: string): Intl.Segments {
  segmenter ??= new Intl.Segmenter();
  return segmenter.segment(text);
}
const ESCAPE = '\u001b';
/** What a terminal takes as a colour. */
const COLOUR = new RegExp(`${ESCAPE}\\[[\\d;]*m`, 'g');
const RESET = `${ESCAPE}[0m`;
/** A continued line stands this much deeper than its beginning. */
const HANGING = 4;
/** A word is not broken unless more of the line than this would be left empty. */
const BREAK_WITHIN = 0.5;

export function textWidth(text: string): number {
  const plain = text.replaceAll(COLOUR, '');
  // Most of what is shown is ASCII.
  if (/^[\u0020-\u007e]*$/.test(plain)) return plain.length;
  return [...segmentsOf(plain)].reduce((sum, { segment }) => sum + graphemeWidth(segment), 0);
}

function graphemeWidth(grapheme: string): number {
  const [first = ''] = grapheme;
  if (/^[\p{Mn}\p{Me}\p{Cf}\p{Cc}]$/u.test(first)) return 0;
  // Variation selector 16: shown as an emoji.
  return grapheme.includes('\ufe0f') ? 2 : eastAsianWidth(first.codePointAt(0) ?? 0);
}

interface Cell {
  /** A colour, or one character as people count them. */
  readonly text: string;
  readonly width: number;
}

/** The line, broken into as many as it takes at `columns`; none of them is wider. */
export function brokenLine(line: string, columns: number): string[] {
  if (textWidth(line) <= columns) return [line];
  const own = /^ */.exec(line)?.[0].length ?? 0;
  const indent = Math.min(own + HANGING, Math.floor(columns / 3));
  const lines: string[] = [];
  let colour = '';
  let rest = cellsOf(line);
  while (rest.length > 0) {
    const head = lines.length === 0 ? '' : ' '.repeat(indent);
    const count = fitting(rest, columns - head.length);
    const part = rest.slice(0, count);
    const text = part.map(({ text }) => text).join('');
    const before = colour;
    for (const one of part)
      if (one.width === 0 && one.text.startsWith('\u001b')) colour = one.text === RESET ? '' : one.text;
    lines.push(`${head}${before}${text.trimEnd()}${colour === '' ? '' : RESET}`);
    rest = withoutBlanks(rest.slice(count));
  }
  return lines;
}

function cellsOf(line: string): Cell[] {
  const cells: Cell[] = [];
  let from = 0;
  const plain = (text: string) => {
    for (const { segment } of segmentsOf(text)) cells.push({ text: segment, width: graphemeWidth(segment) });
  };
  for (const match of line.matchAll(COLOUR)) {
    plain(line.slice(from, match.index));
    cells.push({ text: match[0], width: 0 });
    from = match.index + match[0].length;
  }
  plain(line.slice(from));
  return cells;
}

/** How many cells fit: up to the last blank, unless the line would be half empty; at least one. */
function fitting(cells: readonly Cell[], columns: number): number {
  let width = 0;
  let blank = 0;
  for (const [index, cell] of cells.entries()) {
    width += cell.width;
    if (width > columns) return blank > 0 ? blank : Math.max(1, index);
    if (cell.text === ' ' && width >= columns * BREAK_WITHIN) blank = index + 1;
  }
  return cells.length;
}

function withoutBlanks(cells: readonly Cell[]): Cell[] {
  const start = cells.findIndex(({ text }) => text !== ' ');
  return start < 0 ? [] : cells.slice(start);
}
