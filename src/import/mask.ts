// A line of an old config as it may be shown to others. Passwords, logins, send strings, arguments
// of scripts and credentials in URLs are masked here and nowhere else: whatever quotes a line has
// it from `maskedLines`. It goes by the raw lines, so that no mistake of grammar gets past it; what
// stands behind a word that no reader knows is masked, too. Pure.
import { distance } from 'fastest-levenshtein';
import { withoutControls } from './controls.ts';
import { LINE_LENGTH_MAX } from './directive.ts';
import { isKnownWord } from './shown-words.ts';

const MASK = '********';
const QUOTE_LENGTH_MAX = 90;
/** What is looked at of a line, its blanks collapsed. */
const LOOKED_AT_MAX = 1_000;
const WORDS_MAX = 200;

/** What follows one of these on its line is never shown. */
const SECRET =
  /pass|pwd|login|secret|token|auth_|credential|database|request|receive|^send$|^expect$|^payload$|^require_reply$|^user(name)?$/;
/** Of these a slip of two letters counts, too. */
const SECRETS_MISSPELT = ['auth_pass', 'passwd', 'password'];
const LOGIN_MISSPELT = 'login';
/** Those whose names look like secrets and that hold none. */
const HARMLESS = new Set(['auth_type', 'authentication', 'passive', 'dont_pass', 'bypass']);
/** Of a script only the program is shown: people write passwords as arguments. */
const SCRIPT =
  /^(notify\w*|script|(startup|shutdown)_script|misc_path|monitorfile|(send|expect)_program|\w+_cmd|checkcommand|callback|execute|quorum_(up|down)|\w*command)$/;

/** Whether the next line may hold the value of a word on this one. */
type Open = 'no' | 'unknown' | 'secret';

/** Each line of a file, masked. */
export function maskedLines(lines: readonly string[]): string[] {
  let open: Open = 'no';
  return lines.map(line => {
    const text = withoutCredentials(collapsed(line.slice(0, LINE_LENGTH_MAX)).slice(0, LOOKED_AT_MAX));
    // Blank, or a comment in most files: the value may come behind it.
    if (/^([#!].*|[\\"'= ]*)$/.test(text)) {
      // A word that was made a comment leaves its value on the next line alone.
      if (open === 'no' && openAtEnd(text) === 'secret') open = 'unknown';
      return text === '' ? '' : MASK;
    }
    const isHidden = open === 'secret' || (open === 'unknown' && !startsWithKnown(text));
    open = openAfter(collapsed(line.slice(-LOOKED_AT_MAX)), open);
    return shown(isHidden ? MASK : maskedLine(text));
  });
}

function collapsed(line: string): string {
  return withoutControls(line).replace(/\s+/g, ' ').trim();
}

interface FoundWord {
  readonly word: string;
  /** Where it ends in its line. */
  readonly end: number;
}

function wordsIn(line: string): FoundWord[] {
  const found: FoundWord[] = [];
  for (const match of line.matchAll(/[A-Za-z_$][\w-]*/g)) {
    found.push({ word: match[0].toLowerCase(), end: match.index + match[0].length });
    if (found.length === WORDS_MAX) break;
  }
  return found;
}

function maskedLine(line: string): string {
  const cut = firstOf(unknownFrom(line), assignedFrom(line));
  const found = wordsIn(line).find(({ word }) => isHiding(word));
  if (found !== undefined && (cut === undefined || found.end <= cut)) {
    if (SCRIPT.test(found.word)) return programOnly(line, found.end);
    if (!isBare(line.slice(found.end))) return cutAt(line, found.end);
  }
  return cut === undefined ? line : cutAt(line, cut);
}

function firstOf(...places: readonly (number | undefined)[]): number | undefined {
  const known = places.filter(place => place !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

/** From where on something is not shown since an unknown word in mid-line is given a value. */
function assignedFrom(line: string): number | undefined {
  for (const { 0: all, 1: word = '', index } of line.matchAll(/([A-Za-z_][\w-]*) ?=/g)) {
    if (!isKnownWord(word)) return index + all.length - (all.endsWith(' =') ? 2 : 1);
  }
  return undefined;
}

function cutAt(line: string, end: number): string {
  return `${line.slice(0, end).trimEnd()}${/^ ?=/.exec(line.slice(end))?.[0] ?? ''} ${MASK}`;
}

/** Neither a value nor a word. */
function isBare(text: string): boolean {
  return /^[\s={}]*$/.test(text);
}

function isSecret(word: string): boolean {
  if (HARMLESS.has(word)) return false;
  if (SECRET.test(word)) return true;
  if (word.length < 4 || word.length > 12) return false;
  return SECRETS_MISSPELT.some(secret => distance(word, secret) <= 2) || distance(word, LOGIN_MISSPELT) <= 1;
}

/** Whether what follows the word is hidden, for what it is. */
function isHiding(word: string): boolean {
  return SCRIPT.test(word) || isSecret(word);
}

/** For whom, or how often, a line of a keepalived.conf is. */
const BEFORE_WORDS = /^(?:@\S+ ?|~(?:SEQx?|LST)\([^()]*\) ?)+/;
/** An address, a range, a port or a number. */
const NUMBERS = /^(?=[^\s{}]*\d)[[\]0-9a-fA-F.:/>-]+(?=[\s{}]|$)/;
const SECTION = /^\[[\w.:-]+\]$/;

/** From where on a line is not shown since nobody knows the word before; undefined: it is. */
function unknownFrom(line: string): number | undefined {
  const before = BEFORE_WORDS.exec(line)?.[0].length ?? 0;
  // A word stands at the beginning, and behind each brace.
  const braces = [...line.matchAll(/(?<!\$)\{|(?<!\$\{\w*)\}/g)].map(({ index }) => index + 1);
  const starts = [before, ...braces.filter(at => at > before)];
  for (const [index, start] of starts.entries()) {
    const at = start + (line[start] === ' ' ? 1 : 0);
    const part = line.slice(at, (starts[index + 1] ?? line.length + 1) - 1);
    if (isBare(part) || SECTION.test(part)) continue;
    const quoted = part.search(/["']/);
    if (NUMBERS.test(part) && quoted < 0) continue;
    const word = /^\$?[^\s={}"'$]+/.exec(part)?.[0];
    if (at > start && /^[#!]/.test(part)) return undefined;
    const isKnown = word !== undefined && isKnownWord(word);
    // What begins like no word, or ends a quoted text, is a value that goes on.
    if (word === undefined || !/^[$\w]/.test(word) || (!isKnown && isHalfQuoted(part))) return at;
    if (/^real6?$/i.test(word) && quoted >= 0) return at + quoted;
    const isAlone = isBare(part.slice(word.length));
    if (!isAlone && !isKnown) return at + word.length;
  }
  return undefined;
}

function isHalfQuoted(text: string): boolean {
  return (text.match(/"/g)?.length ?? 0) % 2 === 1;
}

function startsWithKnown(line: string): boolean {
  const word = /^[\w-]+/.exec(line.replace(BEFORE_WORDS, ''))?.[0];
  return /^[{}]/.test(line) || (word !== undefined && isKnownWord(word));
}

/** By the end of a line; a comment behind it may hide that its value is missing. */
function openAfter(line: string, before: Open): Open {
  const hides = unknownFrom(line) !== undefined || wordsIn(line).some(({ word }) => isHiding(word));
  if (line.endsWith('\\') && (before === 'secret' || hides)) return 'secret';
  const ends = [line, line.replace(/ ?[#!].*$/, '')].map(openAtEnd);
  // A quoted value that goes on.
  const goesOn = (hides && isHalfQuoted(line)) || /[=\\]$/.test(line);
  if (ends.includes('secret')) return 'secret';
  return ends.includes('unknown') || goesOn ? 'unknown' : 'no';
}

function openAtEnd(line: string): Open {
  const [last] = wordsIn(line.slice(-QUOTE_LENGTH_MAX)).slice(-1);
  const rest = last === undefined ? line : line.slice(-QUOTE_LENGTH_MAX).slice(last.end);
  if (last === undefined || !/^[\s=\\]*$/.test(rest)) return 'no';
  if (isHiding(last.word)) return 'secret';
  const words = line.replace(BEFORE_WORDS, '');
  const isAlone = /^[^\s{}"'=]+[\s=\\]*$/.test(words) && !NUMBERS.test(words);
  return isAlone && !isKnownWord(last.word) ? 'unknown' : 'no';
}

function programOnly(line: string, at: number): string {
  const rest = line.slice(at);
  const program = /^[\s="']*(\/[\w./-]+)/.exec(rest);
  if (program === null) return `${line.slice(0, at)} ${MASK}`;
  const more = rest.slice(program[0].length).replace(/["'\s]/g, '') === '' ? '' : ` ${MASK}`;
  return `${line.slice(0, at)} ${program[1]}${more}`;
}

function withoutCredentials(text: string): string {
  // And what is asked for behind the path of a page.
  return text
    .replace(/\?[^\s"'{}]+/g, `?${MASK}`)
    .replace(/:\/\/[^\s/"']*@/g, `://${MASK}@`)
    .replace(/[^\s"'/@:]+:[^\s"'/@]+@/g, `${MASK}@`);
}

function shown(text: string): string {
  // A comment behind the words says nothing.
  const plain = text.replace(/\s+[#!].*$/, '').trim();
  return plain.length > QUOTE_LENGTH_MAX ? `${plain.slice(0, QUOTE_LENGTH_MAX - 1)}…` : plain;
}
