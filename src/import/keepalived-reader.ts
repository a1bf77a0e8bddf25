// Reads the lines of a keepalived.conf into directives. A brace outside of double quotes is a word
// of its own wherever it stands; what keepalived reports and skips is a note here. Pure. Source:
// lib/parser.c of keepalived.
import type { Directive } from './directive.ts';
import type { PlainLine } from './keepalived-lines.ts';
import type { Notes } from './note.ts';

type Block = Directive & { readonly children: Directive[] };

const DEPTH_MAX = 12;
const WORDS_MAX = 512;

/** Every directive, blocks with their own inside. Never throws. */
export function readKeepalived(lines: readonly PlainLine[], notes: Notes): Directive[] {
  const top: Directive[] = [];
  const stack: Block[] = [];
  const here = () => stack.at(-1)?.children ?? top;
  for (const line of lines) {
    const { place, quote } = line;
    const seen: Directive = { keyword: '', words: [], place, quote };
    const words = wordsOf(line, notes);
    let open: string[] = [];
    const flush = (): void => {
      const [keyword, ...rest] = open;
      if (keyword !== undefined) here().push({ keyword, words: rest, place, quote });
      open = [];
    };
    for (const word of words) {
      if (word === OPEN) {
        flush();
        openBlock(here(), stack, seen, notes);
      } else if (word === CLOSE) {
        flush();
        if (stack.pop() === undefined)
          notes.changed(
            seen,
            'this } closes nothing and is ignored, as keepalived does; what follows is outside of any block',
          );
      } else open.push(word);
    }
    flush();
  }
  for (const block of stack) notes.changed(block, 'its } is missing: it ends with the file');
  return top;
}

/** A { belongs to the directive before it, which may stand on a line before. */
function openBlock(here: Directive[], stack: Block[], seen: Directive, notes: Notes): void {
  const last = here.at(-1);
  if (last === undefined || last.children !== undefined || stack.length >= DEPTH_MAX) {
    notes.lost(seen, 'this { has no word before it: what it holds is not read');
    stack.push({ ...seen, children: [] });
    return;
  }
  const block: Block = { ...last, children: [] };
  here[here.length - 1] = block;
  stack.push(block);
}

const OPEN = '\0{';
const CLOSE = '\0}';

/** Words of a line; double quotes make one and are dropped. */
function wordsOf({ text, place, quote }: PlainLine, notes: Notes): string[] {
  const words: string[] = [];
  for (const match of text.matchAll(
    /"([^"]*)("?)|\$\{[^}]*\}?[^\s"{}]*|[{}]|[^\s"{}$]+(?:\$\{[^}]*\}?[^\s"{}]*)?|\$[^\s"{}]*/g,
  )) {
    if (words.length >= WORDS_MAX) break;
    const [word, quoted, end] = match;
    if (quoted !== undefined) {
      if (end === '') notes.changed({ keyword: '', words: [], place, quote }, 'the closing quote is missing');
      words.push(quoted);
    } else words.push(word === '{' ? OPEN : word === '}' ? CLOSE : word);
  }
  return words;
}
