// The pair's key file: who may own it, what must be in it, and how a new one is made. The same
// guard reads the other root-only secrets (password_file). One key a line in hex; the first signs,
// all (at most two) are accepted, which is how a key is rotated: the new one comes second on both
// routers, then first on both, then the old one goes. A comment above the second says which it is.
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/**
 * Bytes of a new key, and the fewest that are accepted: as long as the output of HMAC-SHA256 (RFC
 * 2104 section 3).
 */
export const KEY_BYTES = 32;
const KEY_BYTES_MAX = 128;
const KEYS_MAX = 2;
const SECRET_FILE_BYTES_MAX = 4_096;
const OTHERS_MASK = 0o077;

/**
 * The keys of the pair: `sign` signs what we send, any of `accept` (which holds `sign` too) is good
 * on what comes in.
 */
export interface PairKeys {
  readonly sign: Buffer;
  readonly accept: readonly Buffer[];
}

/** A secret file that must not be used, or could not be made. `code` is stable. */
export class KeyFileError extends Error {
  override readonly name = 'KeyFileError';
  readonly file: string;
  readonly code: 'missing' | 'unreadable' | 'not-a-file' | 'owner' | 'mode' | 'content' | 'exists' | 'unwritable';
  /** What is wrong, and the command that mends it. */
  readonly problem: string;
  readonly remedy: string;

  constructor(problem: string, options: Pick<KeyFileError, 'file' | 'code' | 'remedy'> & ErrorOptions) {
    super(`${options.file}: ${problem}; ${options.remedy}`, options);
    this.file = options.file;
    this.code = options.code;
    this.problem = problem;
    this.remedy = options.remedy;
  }
}

/** What the second key is: `tandem rotate-key` writes it above it. */
export type SecondKey = 'next' | 'old';
const MARKS: Readonly<Record<SecondKey, string>> = {
  next: '# next: accepted, does not sign yet (tandem rotate-key)',
  old: '# old: accepted, signs no more (tandem rotate-key)',
};

export interface KeyFile extends PairKeys {
  /** undefined: there is no second key, or nothing is said of it. */
  readonly second: SecondKey | undefined;
}

/** Reads the pair's keys. Throws KeyFileError. */
export function loadKeys(file: string): PairKeys {
  const { sign, accept } = loadKeyFile(file);
  return { sign, accept };
}

/** With what is said of the second. Throws KeyFileError. */
export function loadKeyFile(file: string): KeyFile {
  const all = readSecret(file, 'make one with: tandem keygen')
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '');
  const lines = all.filter(line => !line.startsWith('#'));
  const remedy = `write one key a line, ${2 * KEY_BYTES} hex digits or more, or make one with: tandem keygen --force ${file}`;
  if (lines.length === 0) throw new KeyFileError('it holds no key', { file, code: 'content', remedy });
  if (lines.length > KEYS_MAX) {
    throw new KeyFileError(`it holds ${lines.length} keys, at most ${KEYS_MAX} are possible`, {
      file,
      code: 'content',
      remedy,
    });
  }
  const accept = lines.map((line, index) => {
    const ordinal = index === 0 ? 'first' : 'second';
    const problem = keyProblem(line);
    if (problem !== undefined)
      throw new KeyFileError(`the ${ordinal} key ${problem}`, { file, code: 'content', remedy });
    return Buffer.from(line, 'hex');
  });
  const second = (['next', 'old'] as const).find(name => all.some(line => line.startsWith(`# ${name}:`)));
  return { sign: accept[0] as Buffer, accept, second: accept.length > 1 ? second : undefined };
}

/** A new random key. */
export function newKey(): Buffer {
  return randomBytes(KEY_BYTES);
}

/** Puts these keys in the place of those in the file. Throws KeyFileError. */
export function replaceKeys(file: string, { accept, second }: Pick<KeyFile, 'accept' | 'second'>): void {
  const [first, ...others] = accept.map(key => `${key.toString('hex')}\n`);
  const mark = second === undefined ? '' : `${MARKS[second]}\n`;
  writeKeys(file, [first, ...others.map(line => `${mark}${line}`)].join(''), true);
}

/** What is wrong with a key's text. Never quotes it. */
function keyProblem(text: string): string | undefined {
  if (!/^[0-9a-fA-F]+$/.test(text)) return 'is not in hex';
  if (text.length % 2 !== 0) return 'has an odd number of hex digits';
  const bytes = text.length / 2;
  if (bytes < KEY_BYTES) return `is ${bytes} bytes long, shorter than ${KEY_BYTES}`;
  return bytes > KEY_BYTES_MAX ? `is ${bytes} bytes long, longer than ${KEY_BYTES_MAX}` : undefined;
}

/**
 * The text of a root-only file of at most 4 KiB. Throws KeyFileError. `ifMissing` says how to make
 * the file.
 */
export function readSecret(file: string, ifMissing: string): string {
  let fd: number;
  try {
    // Non-blocking, so that a pipe in the place of the file cannot hang a daemon.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      throw new KeyFileError('there is no such file', { file, code: 'missing', remedy: ifMissing, cause: error });
    const remedy = code === 'EACCES' ? 'run as root' : 'see the path';
    throw new KeyFileError(`it cannot be read: ${message}`, { file, code: 'unreadable', remedy, cause: error });
  }
  try {
    refuseUnsafe(file, fstatSync(fd), process.geteuid?.() ?? 0);
    const buffer = Buffer.alloc(SECRET_FILE_BYTES_MAX + 1);
    const length = readSync(fd, buffer, 0, buffer.length, 0);
    if (length > SECRET_FILE_BYTES_MAX) {
      const problem = `it is larger than ${SECRET_FILE_BYTES_MAX} bytes`;
      throw new KeyFileError(problem, { file, code: 'content', remedy: 'is it the right file?' });
    }
    return buffer.toString('utf8', 0, length);
  } finally {
    closeSync(fd);
  }
}

/**
 * Throws KeyFileError unless the file belongs to root or to `euid` and nobody else may read or
 * write it.
 */
function refuseUnsafe(file: string, stats: Stats, euid: number): void {
  if (!stats.isFile())
    throw new KeyFileError('it is not a regular file', { file, code: 'not-a-file', remedy: 'name a regular file' });
  if (stats.uid !== 0 && stats.uid !== euid) {
    const problem = `it belongs to user ${stats.uid}, who could change it`;
    throw new KeyFileError(problem, { file, code: 'owner', remedy: `run: chown root:root ${file}` });
  }
  if ((stats.mode & OTHERS_MASK) !== 0) {
    const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
    const problem = `its mode is ${mode}, so that others than its owner may use it`;
    throw new KeyFileError(problem, { file, code: 'mode', remedy: `run: chmod 0600 ${file}` });
  }
}

/**
 * Writes a new random key, mode 0600. Throws KeyFileError, also when the file exists and `force` is
 * false.
 */
export function generateKey(file: string, force: boolean): void {
  writeKeys(file, `${newKey().toString('hex')}\n`, force);
}

function writeKeys(file: string, text: string, force: boolean): void {
  // With force, a rename replaces the old file whole: a daemon that starts meanwhile reads the old
  // key or the new one.
  // Behind a link, the file that it leads to: whoever keeps secrets there finds the new one, too.
  const real = force && existsSync(file) ? realpathSync(file) : file;
  const target = force ? `${real}.${process.pid}.new` : file;
  let created = false;
  try {
    const fd = openSync(
      target,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o600,
    );
    created = true;
    try {
      fchmodSync(fd, 0o600);
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (force) {
      renameSync(target, real);
      syncDirectory(dirname(real));
    }
  } catch (error) {
    if (created) rmSync(target, { force: true });
    throw cannotWrite(file, error as NodeJS.ErrnoException);
  }
}

/** So that a power cut cannot bring an old key back that the peer no longer accepts. */
function syncDirectory(directory: string): void {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function cannotWrite(file: string, error: NodeJS.ErrnoException): KeyFileError {
  if (error.code === 'EEXIST') {
    const problem = 'it exists, and replacing it stops the heartbeats until both routers have the new one';
    return new KeyFileError(problem, { file, code: 'exists', remedy: 'add --force to replace it', cause: error });
  }
  const remedies: Readonly<Record<string, string>> = {
    ENOENT: 'make its directory first (install -d -m 0755 DIRECTORY)',
    EACCES: 'run as root',
  };
  const remedy = remedies[error.code ?? ''] ?? 'see the path';
  return new KeyFileError(`it cannot be written: ${error.message}`, { file, code: 'unwritable', remedy, cause: error });
}
