// Reads FTP replies from bytes as they come, in whatever packets: RFC 959 section 4.2 (multi-line
// replies), RFC 1123 4.1.2.6 (how 227 must be read), RFC 2428 section 3 (229). Bounded, for what a
// broken or hostile server may send; never throws. Clients read lines of any length and any number
// of them, so only all bytes together are bounded; what has come is kept in strings that grow at
// their end, so that the time to read them grows with their length and no faster. Pure.
import { Buffer } from 'node:buffer';

/** Most bytes that a server may send over the control connection during one check. */
export const DIALOGUE_BYTES_MAX = 65_536;
/** Longest quotation of a server's words, in characters. */
export const WORDS_LENGTH_MAX = 200;

const LF = 0x0a;

/** One complete reply. */
export interface Reply {
  /** 100 to 599. */
  readonly code: number;
  /** Text of each line, printable; first and last line without their code. At least one. */
  readonly lines: readonly string[];
}

/** What has been read so far; start with {@link NEW_READER}. */
export interface ReplyReader {
  /** A line that has not ended; each character is one byte. */
  readonly partial: string;
  /** A multi-line reply that has not ended: its lines, with LF between them. */
  readonly open: { readonly code: number; readonly text: string } | undefined;
  /** All bytes read. */
  readonly bytes: number;
  /** The last complete line as it stood, printable. */
  readonly lastLine: string;
  /** Why reading stopped for good; nothing is read after a fault. */
  readonly fault: string | undefined;
}

export const NEW_READER: ReplyReader = {
  partial: '',
  open: undefined,
  bytes: 0,
  lastLine: '',
  fault: undefined,
};

interface ReadReplies {
  readonly reader: ReplyReader;
  readonly replies: readonly Reply[];
}

/**
 * Reads `chunk`. Replies and fault depend on the bytes alone, never on how they were cut into
 * packets. Lines end in LF, with or without CR before it; blank lines between replies are skipped,
 * as clients do.
 */
export function readReplies(reader: ReplyReader, chunk: Uint8Array): ReadReplies {
  const replies: Reply[] = [];
  if (reader.fault !== undefined) return { reader, replies };
  const allowed = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).subarray(
    0,
    DIALOGUE_BYTES_MAX - reader.bytes,
  );
  let now: ReplyReader = reader;
  for (let from = 0; from < allowed.length && now.fault === undefined; ) {
    const lf = allowed.indexOf(LF, from);
    const to = lf === -1 ? allowed.length : lf;
    now = { ...now, partial: now.partial + allowed.toString('latin1', from, to) };
    from = to + 1;
    if (lf !== -1) now = endLine(now, replies);
  }
  now = { ...now, bytes: reader.bytes + allowed.length };
  if (now.fault === undefined && allowed.length < chunk.length) {
    now = { ...now, fault: `the server sends more than ${DIALOGUE_BYTES_MAX} bytes of replies` };
  }
  return { reader: now, replies };
}

function endLine(reader: ReplyReader, replies: Reply[]): ReplyReader {
  const line = printableLine(decode(reader.partial));
  const next = { ...reader, partial: NEW_READER.partial, lastLine: line === '' ? reader.lastLine : line };
  if (reader.open) return continueReply(next, reader.open, line, replies);
  if (line.trim() === '') return next;
  const match = /^([1-5]\d\d)(?:([ -])(.*))?$/su.exec(line);
  if (!match) return { ...next, fault: 'the server sends something that is not an FTP reply' };
  const [, code, sign, text = ''] = match;
  if (sign === '-') return { ...next, open: { code: Number(code), text } };
  replies.push({ code: Number(code), lines: [text] });
  return next;
}

function continueReply(
  reader: ReplyReader,
  { code, text: before }: NonNullable<ReplyReader['open']>,
  line: string,
  replies: Reply[],
): ReplyReader {
  // The end is the same code followed by a blank; "226" alone is tolerated. Any other line is text,
  // whatever it begins with.
  const isEnd = line === `${code}` || line.startsWith(`${code} `);
  const text = `${before}\n${isEnd ? line.slice(4) : line}`;
  if (!isEnd) return { ...reader, open: { code, text } };
  // A printable line holds no LF.
  replies.push({ code, lines: text.split('\n') });
  return { ...reader, open: undefined };
}

/** Whether a reply has begun that has not ended. */
export function hasBegunReply({ open, partial }: ReplyReader): boolean {
  return open !== undefined || /^[1-5]\d\d[ -]/.test(partial);
}

const UTF8 = new TextDecoder();

function decode(line: string): string {
  return UTF8.decode(Buffer.from(line.endsWith('\r') ? line.slice(0, -1) : line, 'latin1'));
}

/**
 * Text that is safe in a log or on a terminal: control, format and unassigned characters become
 * \xHH or \u{HHHH}.
 */
export function printableLine(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, character => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** Cut to {@link WORDS_LENGTH_MAX} characters, with an ellipsis where something is missing. */
export function quoted(words: string): string {
  const characters = [...words.trim()];
  if (characters.length <= WORDS_LENGTH_MAX) return characters.join('');
  return `${characters.slice(0, WORDS_LENGTH_MAX - 1).join('')}…`;
}

/**
 * A reply in one line: its code and its last line with text, where servers put the sentence that
 * matters.
 */
export function wordsOf(reply: Reply): string {
  return `${reply.code} ${reply.lines.findLast(line => line.trim() !== '') ?? ''}`.trim();
}

/** The last thing the server said, also when it was not a whole line. */
export function lastWords(reader: ReplyReader): string {
  return reader.partial.length > 0 ? printableLine(decode(reader.partial)) : reader.lastLine;
}

/**
 * Six numbers and their commas, as clients find them: blanks are let pass, a seventh number or a
 * sign is not.
 */
const SIX_NUMBERS = /(?<![\d.-]|,[ \t]{0,8})\d{1,3}(?:[ \t]{0,8},[ \t]{0,8}\d{1,3}){5}(?!\d|[ \t]{0,8},[ \t]{0,8}\d)/gu;
/** RFC 2428's `(|||port|)`, network and address empty; any printable delimiter but a digit. */
const EXTENDED_PORT = /\(([!-/:-~])\1\1[ \t]{0,8}([1-9]\d{0,4})[ \t]{0,8}\1\)/gu;
/**
 * The same without parentheses: only with the two delimiters that servers use, as it stands amid
 * text.
 */
const BARE_EXTENDED_PORT = /(?<![|!])([|!])\1\1[ \t]{0,8}([1-9]\d{0,4})[ \t]{0,8}\1(?![|!\d])/gu;

/**
 * The one thing in a reply that `pattern` finds: in its last line, else in any other one (servers
 * put it into the first line of a long 227, and clients find it there). Undefined where there is
 * none, or where two differ: clients would, too.
 */
function onlyMatch({ lines }: Reply, pattern: RegExp): RegExpExecArray | undefined {
  const last = [...(lines.at(-1) ?? '').matchAll(pattern)];
  const found = last.length > 0 ? last : lines.slice(0, -1).flatMap(line => [...line.matchAll(pattern)]);
  const isOne = found.every(match => match[0] === found[0]?.[0]);
  return isOne ? (found[0] as RegExpExecArray | undefined) : undefined;
}

/**
 * What a 227 announces: address in dotted form and port; undefined when it is malformed (RFC 959,
 * RFC 1123 4.1.2.6).
 */
export function parsePasv(reply: Reply): { readonly address: string; readonly port: number } | undefined {
  // Numbers of 0 to 255 without leading zeros, which some clients read as octal; text and
  // parentheses around them are not fixed.
  const parts = (onlyMatch(reply, SIX_NUMBERS)?.[0] ?? '').split(',').map(part => part.trim());
  const numbers = parts.map(Number);
  if (parts.some((part, index) => part !== `${numbers[index]}`) || numbers.some(number => number > 255))
    return undefined;
  const [h1, h2, h3, h4, high = 0, low = 0] = numbers;
  const port = high * 256 + low;
  return port === 0 ? undefined : { address: `${h1}.${h2}.${h3}.${h4}`, port };
}

/** The port a 229 announces; undefined when it is malformed. */
export function parseEpsv(reply: Reply): number | undefined {
  const found = onlyMatch(reply, EXTENDED_PORT) ?? onlyMatch(reply, BARE_EXTENDED_PORT);
  const port = Number(found?.[2]);
  return port <= 65_535 ? port : undefined;
}
