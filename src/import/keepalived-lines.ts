// The lines of a keepalived.conf before its words mean anything: comments, conditions (@host),
// definitions ($NAME=), sequences (~SEQ, ~LST) and includes, for one router. Everything is bounded:
// a file may define itself in a circle. Pure. Source: lib/parser.c of keepalived.
import { type Directive, LINE_LENGTH_MAX, LINES_MAX, type OldText, type Place, textLines } from './directive.ts';
import { maskedLines } from './mask.ts';
import { Notes } from './note.ts';

/** A line that is left after all that, with the place it came from. */
export interface PlainLine {
  readonly text: string;
  readonly place: Place;
  readonly quote: string;
}

/**
 * The files that an include names, in order; undefined: none could be read. `from` is the file that
 * it stands in.
 */
export type FindIncluded = (pattern: string, from: string) => readonly OldText[] | undefined;

const DEPTH_MAX = 10;
const REPEATS_MAX = 1_000;
const DEFINITIONS_MAX = 1_000;
const INCLUDES_MAX = 1_000;
const NAMES_MAX = 16;

const CONDITION = /^@(\^?)([^\s@^]+)(?:\s+|$)(.*)$/s;
const DEFINITION = /^\$([A-Za-z][A-Za-z0-9_]*)=(.*)$/s;
const INCLUDE = /^include[rmwab]?\s+(.+)$/;

/**
 * The names that lines with @ are for, in the file and in what it includes; without such lines
 * none. What is included may depend on the name, so the file is read once for each.
 */
export function conditionNames(main: OldText, find: FindIncluded): string[] {
  const found = new Set<string>();
  const views = [''];
  for (let view = views.pop(); view !== undefined; view = views.pop()) {
    const reading = new KeepalivedLines(view, find, new Notes());
    reading.file(main, 0);
    for (const name of reading.names) {
      if (found.has(name) || found.size >= NAMES_MAX) continue;
      found.add(name);
      views.push(name);
    }
  }
  return [...found];
}

/** Reads a file with its includes for the router called `view`. */
export function keepalivedLines(main: OldText, view: string, find: FindIncluded, notes: Notes): PlainLine[] {
  const reading = new KeepalivedLines(view, find, notes);
  reading.file(main, 0);
  return reading.lines;
}

class KeepalivedLines {
  readonly lines: PlainLine[] = [];
  /** Whom lines with @ are for, also those that are not read here. */
  readonly names = new Set<string>();
  private readonly definitions = new Map<string, string>();
  private readonly view: string;
  private readonly find: FindIncluded;
  private readonly notes: Notes;
  private isFull = false;
  private linesLeft = LINES_MAX;
  private includesLeft = INCLUDES_MAX;

  constructor(view: string, find: FindIncluded, notes: Notes) {
    this.view = view;
    this.find = find;
    this.notes = notes;
    const predefined = { _HASH: '#', _BANG: '!', _RANDOM: '0', _INSTANCE: '', _ENV: '' };
    for (const [name, value] of Object.entries(predefined)) this.definitions.set(name, value);
  }

  file({ file, text }: OldText, depth: number): void {
    const all = textLines(text);
    // Of an empty or a commented file each line counts, too: it may be included again and again.
    const raw = all.slice(0, this.linesLeft);
    this.linesLeft -= raw.length;
    const masked = maskedLines(raw);
    for (let index = 0; index < raw.length && !this.isFull; index++) {
      const at = { place: { file, line: index + 1 }, quote: masked[index] ?? '' };
      let line = raw[index] ?? '';
      if (line.length > LINE_LENGTH_MAX || line.includes('\0')) {
        this.notes.lost(directiveAt(at), 'keepalived ignores a line this long, or with a zero byte');
        continue;
      }
      // All lines of a definition but the last end in a backslash.
      while (/^\s*(@\S+\s+)?\$[A-Za-z]\w*=/.test(line) && line.endsWith('\\') && index + 1 < raw.length) {
        index++;
        line = `${line.slice(0, -1)}\n${raw[index]}`.slice(0, LINE_LENGTH_MAX);
      }
      this.line(line, at, depth);
    }
    if (raw.length < all.length) this.fill({ place: { file, line: raw.length + 1 }, quote: '' });
  }

  private line(raw: string, at: Omit<PlainLine, 'text'>, depth: number): void {
    const text = this.forThisView(withoutComment(raw).trim());
    if (text === undefined || text === '') return;
    const definition = DEFINITION.exec(text);
    if (definition !== null) {
      if (this.definitions.size < DEFINITIONS_MAX)
        this.definitions.set(definition[1] as string, (definition[2] ?? '').replace(/\\\n/g, '\n'));
      return;
    }
    for (const repeated of this.repeat(text, at)) {
      if (this.isFull) return;
      for (const plain of this.expand(repeated, at.place.file).split('\n')) {
        const again = this.forThisView(withoutComment(plain).trim());
        if (again !== undefined && again !== '') this.emit(again, at, depth);
      }
    }
  }

  private emit(text: string, at: Omit<PlainLine, 'text'>, depth: number): void {
    const include = INCLUDE.exec(text);
    if (include !== null) {
      this.include((include[1] as string).replace(/^"(.*)"$/, '$1'), at, depth);
      return;
    }
    if (this.lines.length < LINES_MAX) this.lines.push({ text, ...at });
    else this.fill(at);
  }

  private fill(at: Omit<PlainLine, 'text'>): void {
    if (this.isFull) return;
    this.isFull = true;
    this.notes.lost(directiveAt(at), 'there are too many lines or includes: from here on nothing is read');
  }

  /** Whether one more may be read: bounds those that are looked for, and those that are found. */
  private mayInclude(at: Omit<PlainLine, 'text'>): boolean {
    if (this.includesLeft <= 0) this.fill(at);
    this.includesLeft--;
    return !this.isFull;
  }

  private include(pattern: string, at: Omit<PlainLine, 'text'>, depth: number): void {
    if (depth >= DEPTH_MAX) {
      this.notes.lost(directiveAt(at), 'includes are nested too deeply: this one is not read');
      return;
    }
    if (!this.mayInclude(at)) return;
    const found = this.find(pattern, at.place.file) ?? [];
    if (found.length === 0)
      this.notes.lost(
        directiveAt(at),
        'no file of this include could be read: put it where the include says and import again',
      );
    for (const text of found) {
      if (!this.mayInclude(at)) return;
      this.file(text, depth + 1);
    }
  }

  /** Undefined: the line is for another router. */
  private forThisView(text: string): string | undefined {
    const condition = CONDITION.exec(text);
    if (condition === null) return text;
    const [, not, name = '', rest = ''] = condition;
    this.names.add(name);
    return (name === this.view) === (not === '') ? rest.trim() : undefined;
  }

  /**
   * ~SEQ(var, start, step, end), ~SEQx, ~LST(var, a, b): the rest of the line, once for each
   * value.
   */
  private repeat(text: string, at: Omit<PlainLine, 'text'>): string[] {
    let lines = [text];
    for (let round = 0; round < DEPTH_MAX && lines.some(line => line.startsWith('~')); round++) {
      const next: string[] = [];
      for (const line of lines) {
        if (next.length > REPEATS_MAX) break;
        next.push(...(line.startsWith('~') ? repeatOnce(line) : [line]));
      }
      if (next.length > REPEATS_MAX)
        this.notes.lost(directiveAt(at), `it repeats its line more than ${REPEATS_MAX} times`);
      lines = next.slice(0, REPEATS_MAX);
    }
    const [unread] = lines.filter(line => line.startsWith('~'));
    if (unread !== undefined) this.notes.lost(directiveAt(at), 'this repetition is of a form that is not read');
    return lines.filter(line => !line.startsWith('~'));
  }

  private expand(text: string, file: string): string {
    let expanded = text;
    for (let round = 0; round < DEPTH_MAX && expanded.includes('$'); round++) {
      const next = expanded.replace(/\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*)(?=\s|$))/g, (whole, braced, bare) => {
        const name = (braced ?? bare) as string;
        if (name === '_PWD') return file.includes('/') ? file.slice(0, file.lastIndexOf('/')) : '.';
        return this.definitions.get(name) ?? whole;
      });
      if (next === expanded || next.length > LINE_LENGTH_MAX * 16) break;
      expanded = next;
    }
    return expanded;
  }
}

function directiveAt(at: Omit<PlainLine, 'text'>): Directive {
  return { keyword: '', words: [], ...at };
}

/** # and ! begin a comment anywhere outside of double quotes; behind a backslash they are plain. */
function withoutComment(line: string): string {
  let plain = '';
  let isQuoted = false;
  for (let index = 0; index < line.length; index++) {
    const character = line[index] as string;
    const next = line[index + 1];
    if (character === '\\' && (next === '#' || next === '!')) {
      plain += next;
      index++;
    } else if (character === '"') {
      isQuoted = !isQuoted;
      plain += character;
    } else if (!isQuoted && (character === '#' || character === '!')) {
      const end = line.indexOf('\n', index);
      if (end < 0) return plain;
      index = end - 1;
    } else plain += character;
  }
  return plain;
}

function repeatOnce(line: string): string[] {
  const sequence = /^~SEQ(x?)\(\s*(\w+)\s*((?:,\s*-?[0-9a-fA-F]+\s*){1,3})\)\s*(.*)$/s.exec(line);
  if (sequence !== null) {
    const [, hexadecimal, name = '', list = '', rest = ''] = sequence;
    const numbers = list
      .split(',')
      .slice(1)
      .map(text => Number.parseInt(text, hexadecimal === '' ? 10 : 16));
    const [start = 1, step = 1, end = start] =
      numbers.length === 1 ? [1, 1, numbers[0]] : numbers.length === 2 ? [numbers[0], 1, numbers[1]] : numbers;
    if (step === 0 || (end - start) / step < 0) return [];
    const count = Math.min(Math.floor((end - start) / step) + 1, REPEATS_MAX + 1);
    const values = Array.from({ length: count }, (_, index) => start + index * step);
    return values.map(value => withValue(rest, name, value.toString(hexadecimal === '' ? 10 : 16)));
  }
  const list = /^~LST\(\s*(\w+)\s*,([^()]*)\)\s*(.*)$/s.exec(line);
  if (list === null) return [line];
  const [, name = '', values = '', rest = ''] = list;
  return values
    .split(',')
    .slice(0, REPEATS_MAX + 1)
    .map(value => withValue(rest, name, value.trim()));
}

function withValue(rest: string, name: string, value: string): string {
  return rest.replace(/\$(?:\{(\w+)\}|(\w+)(?=\s|$))/g, (whole, braced, bare) =>
    (braced ?? bare) === name ? value : whole,
  );
}
