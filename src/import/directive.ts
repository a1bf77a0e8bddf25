// What the readers of all three kinds make of a file: a tree of directives, each with its place and
// with its line as it may be shown (mask.ts). Pure.

/** A line of a file that was read, as in "lvs.cf:12". */
export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/** A file with its text. */
export interface OldText {
  readonly file: string;
  readonly text: string;
}

export interface Directive {
  readonly keyword: string;
  /** The words behind it, without quotes. */
  readonly words: readonly string[];
  readonly place: Place;
  /** Its line with secrets masked, short enough for a comment. */
  readonly quote: string;
  /** Undefined: it opens no block. */
  readonly children?: readonly Directive[];
}

/** Bounds what is read of one import, its includes and repetitions with it. */
export const LINES_MAX = 50_000;

/** Longer lines are not read: nobody wrote one, and a reader could take for ever over it. */
export const LINE_LENGTH_MAX = 4_096;

export function placeText({ file, line }: Place): string {
  return `${file}:${line}`;
}

/** The lines of a text; CR before LF is dropped. */
export function textLines(text: string): string[] {
  return text.split('\n').map(line => (line.endsWith('\r') ? line.slice(0, -1) : line));
}
