// Reads an ldirectord.cf into directives: global lines, and virtuals with the indented lines that
// belong to them. ldirectord ends at the first mistake; this one takes what people have. Pure.
// Source: ldirectord.in of ClusterLabs' resource-agents.
import { type Directive, LINE_LENGTH_MAX, LINES_MAX, type OldText, textLines } from './directive.ts';
import { maskedLines } from './mask.ts';
import type { Notes } from './note.ts';

type Block = Directive & { readonly children: Directive[] };

/** What belongs to a virtual begins with a tab or four blanks. */
const INDENTED = /^(?:\t| {4})/;
const ASSIGNMENT = /^([A-Za-z0-9_-]+)\s*=\s*(.*)$/;
const VIRTUAL = /^virtual6?$/;
/** Of a virtual only, so that their indentation may be lost. */
const OF_VIRTUAL =
  /^(real6?|checktype|service|checkport|request|receive|scheduler|persistent|netmask|protocol|login|passwd|database|virtualhost|httpmethod|checkcommand)$/;

/** Every directive of the file. Never throws. */
export function readLdirectordCf({ file, text }: OldText, notes: Notes): Directive[] {
  const lines = textLines(text);
  if (lines.length > LINES_MAX) notes.lost({ file, line: LINES_MAX + 1 }, 'the file is too long: the rest is not read');
  const kept = lines.slice(0, LINES_MAX);
  const masked = maskedLines(kept);
  const top: Directive[] = [];
  let open: Block | undefined;
  let lastBlock: Block | undefined;
  /** The open virtual's lines have lost their indentation. */
  let isFlat = false;
  for (const [index, raw] of kept.entries()) {
    const at = { place: { file, line: index + 1 }, quote: masked[index] ?? '' };
    if (raw.length > LINE_LENGTH_MAX) {
      notes.lost({ keyword: '', words: [], ...at }, 'a line this long is not read');
      continue;
    }
    if (raw.trim() === '') open = undefined;
    if (raw.trim() === '' || raw.trim().startsWith('#')) continue;
    const indented = INDENTED.test(raw);
    // In a virtual a # cuts its line, also inside quotes; a global line keeps it.
    const code = (indented ? raw.replace(/#.*$/, '') : raw.replace(/\s+#.*$/, '')).trim();
    const [, keyword, value = ''] = ASSIGNMENT.exec(code) ?? [];
    const seen: Directive = { keyword: keyword?.toLowerCase() ?? code.split(/\s/)[0] ?? '', words: [value], ...at };
    if (indented) {
      const block = open ?? lastBlock;
      if (open === undefined)
        notes.changed(
          seen,
          'ldirectord refuses an indented line that belongs to no virtual; it is read as one of the virtual above',
        );
      (block?.children ?? top).push(seen);
      continue;
    }
    isFlat ||= /^\s/.test(raw) || OF_VIRTUAL.test(seen.keyword);
    if (open !== undefined && keyword !== undefined && isFlat && !VIRTUAL.test(seen.keyword)) {
      notes.changed(seen, 'ldirectord wants a tab or four blanks before it; it is read as one of the virtual above');
      open.children.push(seen);
      continue;
    }
    open = undefined;
    if (keyword === undefined) {
      notes.lost(seen, 'this is no line of an ldirectord.cf');
      continue;
    }
    if (!VIRTUAL.test(seen.keyword)) {
      top.push(seen);
      continue;
    }
    isFlat = false;
    open = { ...seen, children: [] };
    lastBlock = open;
    top.push(open);
  }
  return top;
}
