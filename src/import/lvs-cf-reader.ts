// Reads Piranha's lvs.cf into directives. Piranha refused a file for any mistake; this one takes
// whatever people have: comments and remarks behind values, braces in odd places, CRs, lines that
// the GUI cut. Each leniency is a note. Pure. Source: lvsconfig.c of Piranha 0.8.
import { type Directive, LINE_LENGTH_MAX, LINES_MAX, type OldText, textLines } from './directive.ts';
import { maskedLines } from './mask.ts';
import type { Notes } from './note.ts';

const BLOCK = /^(virtual|failover|server)\b(?!\s*=)(.*)$/;

/** What a cut line may run into: a line that the GUI wrote behind a long value. */
const CUT_INTO =
  /\s((?:use_regex|send|expect|send_program|load_monitor|scheduler|protocol|timeout|reentry|quiesce_server|start_cmd|stop_cmd)\s*=\s*\S+)$/;

type Line = Pick<Directive, 'place' | 'quote'>;
type Block = Directive & { readonly children: Directive[] };

/** Every directive of the file, virtuals with their servers inside. Never throws. */
export function readLvsCf({ file, text }: OldText, notes: Notes): Directive[] {
  if (text.includes('\r'))
    notes.changed({ file, line: 1 }, 'carriage returns hid lines from Piranha; here they only end lines');
  const lines = textLines(text.replace(/\r(?!\n)/g, '\n'));
  if (lines.length > LINES_MAX) notes.lost({ file, line: LINES_MAX + 1 }, 'the file is too long: the rest is not read');
  const kept = lines.slice(0, LINES_MAX);
  const masked = maskedLines(kept);
  const tree = new LvsTree(notes);
  const remarks: Line[] = [];
  for (const [index, raw] of kept.entries()) {
    const at: Line = { place: { file, line: index + 1 }, quote: masked[index] ?? '' };
    if (raw.length > LINE_LENGTH_MAX) {
      notes.lost({ keyword: '', words: [], ...at }, 'a line this long is not read');
      continue;
    }
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const { code, remark } = withoutRemark(line);
    if (remark) remarks.push(at);
    tree.take(code, at);
  }
  tree.end();
  const more = remarks.length < 2 ? '' : ` (and ${remarks.length - 1} more lines like this)`;
  if (remarks[0] !== undefined)
    notes.unneeded(
      { keyword: '', words: [], ...remarks[0] },
      `words behind a value made Piranha refuse the file; they are ignored here${more}`,
    );
  return tree.top;
}

class LvsTree {
  readonly top: Directive[] = [];
  private readonly stack: Block[] = [];
  /** The last head had no { on its line. */
  private waits = false;
  private readonly notes: Notes;

  constructor(notes: Notes) {
    this.notes = notes;
  }

  take(code: string, at: Line): void {
    const seen: Directive = { keyword: code.split(/[\s=]/)[0] ?? '', words: [], ...at };
    if (code === '{') {
      if (!this.waits) this.notes.lost(seen, 'this { opens nothing');
      this.waits = false;
    } else if (/^}[\s}]*$/.test(code)) {
      for (const _ of code.replace(/\s/g, '')) {
        if (this.stack.pop() === undefined) this.notes.changed(seen, 'this } closes nothing, and is ignored');
      }
    } else if (BLOCK.test(code)) this.open(code, at);
    else for (const part of cutLine(code, seen, this.notes)) this.add(part, at);
  }

  end(): void {
    for (const block of this.stack) this.notes.changed(block, 'its } is missing: it ends with the file');
  }

  private open(code: string, at: Line): void {
    const [, keyword = '', rest = ''] = BLOCK.exec(code) ?? [];
    const hasBrace = rest.includes('{');
    const head = hasBrace ? rest.slice(0, rest.lastIndexOf('{')) : rest;
    const name = head.trim().replace(/^(["'])(.*)\1$/, '$2');
    // A server in a server, or a virtual in a virtual: a } is missing before it.
    while (this.stack.length > (keyword === 'server' ? 1 : 0)) {
      const block = this.stack.pop() as Block;
      this.notes.changed(block, `its } is missing: it ends before line ${at.place.line}`);
    }
    const block: Block = { keyword, words: [name], ...at, children: [] };
    (this.stack.at(-1)?.children ?? this.top).push(block);
    this.stack.push(block);
    this.waits = !hasBrace;
  }

  private add(part: string, at: Line): void {
    const here = this.stack.at(-1)?.children ?? this.top;
    const [keyword = '', ...words] = wordsOf(part.replace(/^([\w-]+)\s*=\s*/, '$1 '));
    here.push({ keyword, words, ...at });
  }
}

/** Takes off what stands behind the value: a comment, or any remark behind a single-word value. */
function withoutRemark(line: string): { readonly code: string; readonly remark: boolean } {
  const comment = commentAt(line);
  const code = (comment === undefined ? line : line.slice(0, comment)).trim();
  const extra = /^((?:[\w-]+)\s*=\s*(?:"[^"]*"|'[^']*'|[\w.:/-]+(?:\s+[\w.-]+:\d+)?))\s+(?:<|-->|—|→|\/\/).*$/.exec(
    code,
  );
  return extra === null ? { code, remark: comment !== undefined } : { code: extra[1] as string, remark: true };
}

/** Where a # stands that is in no quotes. */
function commentAt(line: string): number | undefined {
  let quote: string | undefined;
  for (let index = 0; index < line.length; index++) {
    const character = line[index] as string;
    if (quote !== undefined) quote = character === quote ? undefined : quote;
    else if (character === '"' || character === "'") quote = character;
    else if (character === '#') return index;
  }
  return undefined;
}

/** A line that the GUI cut has lost its closing quote and its end, and runs into the next one. */
function cutLine(code: string, at: Directive, notes: Notes): string[] {
  const quotes = code.replace(/\\./g, '').match(/["']/g) ?? [];
  const opening = quotes[0];
  if (opening === undefined || quotes.filter(quote => quote === opening).length % 2 === 0) return [code];
  const next = CUT_INTO.exec(code);
  const about = "the closing quote is missing, as in lines that Piranha's GUI cut at 80 bytes";
  notes.lost(at, next === null ? about : `${about}; what follows the cut is read as a line of its own`);
  return next === null ? [code] : [code.slice(0, next.index), next[1] as string];
}

/** Words, of which a quoted one may hold blanks. */
function wordsOf(code: string): string[] {
  const words = code.match(/"[^"]*"?|'[^']*'?|[^\s"']+/g) ?? [];
  return words.slice(0, 99).map(word => word.replace(/^(["'])(.*?)\1?$/s, '$2'));
}
