// Reads old config files from disk, with the files that a keepalived.conf includes: bounded in size
// and number, regular files only. Bytes that are no UTF-8 are taken for Latin-1, since such files
// are old.
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import type { OldText } from '../directive.ts';
import type { FindIncluded } from '../keepalived-lines.ts';

const BYTES_MAX = 4_194_304;
const BYTES_INCLUDED_MAX = 67_108_864;
const INCLUDED_MAX = 500;
const NAMES_MAX = 10_000;

/** A file that cannot be read: what is wrong with it. */
export class OldFileError extends Error {
  override readonly name = 'OldFileError';
}

/** The text of a file. Throws OldFileError. */
export function readOldFile(file: string): OldText {
  try {
    const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw new OldFileError(`${file} is not a regular file`);
      if (stat.size > BYTES_MAX)
        throw new OldFileError(`${file} is larger than ${BYTES_MAX} bytes: is it the right file?`);
      return { file, text: decoded(readWhole(fd)) };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (error instanceof OldFileError) throw error;
    throw new OldFileError(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function readWhole(fd: number): Buffer {
  const buffer = Buffer.alloc(BYTES_MAX);
  let length = 0;
  while (length < BYTES_MAX) {
    const count = readSync(fd, buffer, length, BYTES_MAX - length, null);
    if (count === 0) break;
    length += count;
  }
  return buffer.subarray(0, length);
}

function decoded(bytes: Buffer): string {
  // As an editor on Windows may have saved it.
  if (bytes.length >= 2 && bytes.readUInt16LE(0) === 0xfeff) return new TextDecoder('utf-16le').decode(bytes);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return bytes.toString('latin1');
  }
}

/** Finds included files on this machine; what stands in no such file is undefined. */
export function findIncludedOnDisk(): FindIncluded {
  const read = new Map<string, OldText | undefined>();
  let left = BYTES_INCLUDED_MAX;
  // Each is read once, however often it is included.
  const included = (path: string) => {
    if (read.has(path)) return read.get(path);
    const text = read.size < INCLUDED_MAX && left > 0 ? orUndefined(path) : undefined;
    left -= text?.text.length ?? 0;
    read.set(path, text);
    return text;
  };
  const globs = new Map<string, readonly string[]>();
  return (pattern, from) => {
    const whole = isAbsolute(pattern) ? pattern : join(dirname(from), pattern);
    const paths = globs.get(whole) ?? glob(whole).slice(0, INCLUDED_MAX);
    globs.set(whole, paths);
    const texts = paths.map(included);
    return texts.some(text => text !== undefined) ? texts.filter(text => text !== undefined) : undefined;
  };
}

function orUndefined(path: string): OldText | undefined {
  try {
    return readOldFile(path);
  } catch (error) {
    if (error instanceof OldFileError) return undefined;
    throw error;
  }
}

/** The paths that a pattern with *, ? and [] names, in order. */
function glob(pattern: string): string[] {
  let paths = [pattern.startsWith('/') ? '/' : '.'];
  for (const part of pattern.split('/').filter(step => step !== '' && step !== '.')) {
    paths = /[*?[]/.test(part)
      ? paths.flatMap(path => entries(path, wildcard(part)).map(name => join(path, name)))
      : paths.map(path => join(path, part));
    paths = paths.slice(0, NAMES_MAX);
  }
  return paths.sort();
}

function entries(directory: string, matches: (name: string) => boolean): string[] {
  try {
    return readdirSync(directory).slice(0, NAMES_MAX).filter(matches);
  } catch {
    return [];
  }
}

/** fnmatch's *, ? and []; a name that begins with a dot wants one in the pattern. */
function wildcard(part: string): (name: string) => boolean {
  // Each run of * is one: else a hostile pattern takes for ever.
  const source = part
    .replace(/\*+/g, '*')
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replace(/\*/g, '[^/]*')
    .replace(/\?/g, '[^/]')
    .replace(/\[!/g, '[^');
  if ((part.match(/\*/g)?.length ?? 0) > 4) return () => false;
  try {
    const expression = new RegExp(`^${source}$`);
    return name => (part.startsWith('.') || !name.startsWith('.')) && expression.test(name);
  } catch {
    return name => name === part;
  }
}
