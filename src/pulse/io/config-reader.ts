// Has the config and the pair's keys read again by a process of its own, one at a time: whole and
// valid, or all stays as it is. The event loop is left alone; it costs the start of a child, as a
// look at nftables does. Not pure.
import { CommandError, type CommandResult, run } from '../../command/io/run-command.ts';
import type { PairKeys } from '../../config/io/key.ts';
import type { ControlReply } from '../../feed/message.ts';
import type { Log } from '../../log/log.ts';
import { ownFile } from '../../units/io/own-files.ts';
import type { Reloadable } from '../election/machine.ts';
import type { Running } from '../loop.ts';
import { type ConfigReading, divide, type FilesReading, type InUse, type KeysReading } from '../reading.ts';

const PROGRAM = ownFile('dist/program/config-reader.js');
/**
 * Node.js starts and reads the file within 0.3 s on an idle machine. Shorter than systemd waits for
 * a stop.
 */
const READ_MS_MAX = 10_000;
/** A ConfigReading has a few lines for each LAN. */
const BYTES_MAX = 65_536;

interface ReloadOptions {
  readonly file: string;
  readonly node: string;
  readonly log: Log;
  readonly inUse: InUse;
  /** pulseDigest of the config that pulse was started with. */
  readonly digest: string;
  readonly onNext: (next: Reloadable) => void;
  readonly keyFile: string;
  /**
   * Goes over to these keys, or says why not (`isDry`: only that). undefined: they are in use.
   */
  readonly onKeys: (keys: PairKeys, isDry: boolean) => string | undefined;
}

export interface Reload {
  /** SIGHUP. */
  read(): void;
  /** The same for whoever wants to know what came of it; `dryRun`: nothing is taken. */
  ask(dryRun: boolean): Promise<ControlReply>;
  /** The keys alone. */
  askKeys(): Promise<ControlReply>;
  running(): Running;
  close(): void;
}

interface Asked {
  readonly what: 'all' | 'keys';
  readonly dryRun: boolean;
  readonly tell: (reply: ControlReply) => void;
}

/** Who asks while the file is read shares the next reading; more of them are sent away. */
const ASKED_MAX = 16;

export function openReload(options: ReloadOptions): Reload {
  return new FileReloads(options);
}

class FileReloads implements Reload {
  readonly #options: ReloadOptions;
  #taken: Reloadable;
  #running: Running;
  #asked: Asked[] = [];
  #reading = false;
  #closed = false;

  constructor(options: ReloadOptions) {
    this.#options = options;
    this.#taken = options.inUse.taken;
    this.#running = { digest: options.digest, waiting: [] };
  }

  read(): void {
    if (this.#asked.some(({ what, dryRun }) => what === 'all' && !dryRun)) return;
    this.#want({ what: 'all', dryRun: false, tell: () => undefined });
  }

  ask(dryRun: boolean): Promise<ControlReply> {
    return this.#queued('all', dryRun);
  }

  askKeys(): Promise<ControlReply> {
    return this.#queued('keys', false);
  }

  running(): Running {
    return this.#running;
  }

  close(): void {
    this.#closed = true;
  }

  #queued(what: Asked['what'], dryRun: boolean): Promise<ControlReply> {
    if (this.#asked.length >= ASKED_MAX) return Promise.resolve(BUSY);
    return new Promise(tell => this.#want({ what, dryRun, tell }));
  }

  #want(one: Asked): void {
    this.#asked.push(one);
    if (this.#reading || this.#closed) return;
    this.#reading = true;
    void this.#readAll();
  }

  async #readAll(): Promise<void> {
    while (this.#asked.length > 0 && !this.#closed) {
      const these = this.#asked;
      this.#asked = [];
      const config = these.filter(({ what }) => what === 'all');
      const read = await this.#readOnce(config.length > 0);
      if (this.#closed) return;
      const isDry = these.every(({ dryRun }) => dryRun);
      const keys = this.#takeKeys(read.keys, isDry);
      const reply = read.config && (isDry ? this.#look(read.config, keys) : this.#take(read.config, keys));
      for (const { what, tell } of these) tell(what === 'all' && reply ? reply : keysReply(keys));
    }
    this.#reading = false;
  }

  async #readOnce(withConfig: boolean): Promise<FilesReading> {
    const { file, node, keyFile } = this.#options;
    try {
      return await readInChild([keyFile, ...(withConfig ? [file, node] : [])]);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const first = `${file}:1:1: it could not be read: ${why}; reload again`;
      const config = withConfig ? ({ ok: false, mistakes: 1, first } as const) : null;
      return { config, keys: { ok: false, problem: `${keyFile}: it could not be read: ${why}; reload again` } };
    }
  }

  /** What is wrong with the keys; undefined: they are in use, or would be. */
  #takeKeys(read: KeysReading, isDry: boolean): string | undefined {
    const { keyFile, log, onKeys } = this.#options;
    const problem = read.ok ? onKeys(pairKeys(read.keys), isDry) : read.problem;
    if (problem !== undefined && !isDry) log.event('KEYS_REFUSED', { file: keyFile, problem });
    return problem;
  }

  #take(read: ConfigReading, keys: string | undefined): ControlReply {
    const { file, log, inUse, onNext } = this.#options;
    if (!read.ok) {
      log.event('CONFIG_REFUSED', { file, mistakes: read.mistakes, first: read.first });
      return refused(read);
    }
    const { next, waiting } = divide({ ...inUse, taken: this.#taken }, read);
    this.#taken = next;
    this.#running = { digest: read.pulseDigest, waiting };
    log.event('CONFIG_LOADED', { file, digest: read.digest, warnings: read.warnings });
    if (waiting.length > 0) log.event('CONFIG_WAITS', { parts: waiting.join(', ') });
    onNext(next);
    return readingOf(read, waiting, keys);
  }

  #look(read: ConfigReading, keys: string | undefined): ControlReply {
    const { inUse } = this.#options;
    return read.ok ? readingOf(read, divide({ ...inUse, taken: this.#taken }, read).waiting, keys) : refused(read);
  }
}

function pairKeys(texts: readonly string[]): PairKeys {
  const accept = texts.map(text => Buffer.from(text, 'hex'));
  return { sign: accept[0] as Buffer, accept };
}

function keysReply(problem: string | undefined): ControlReply {
  if (problem === undefined) return { ok: true, code: 'ok', message: 'the keys of the file are in use' };
  return { ok: false, code: 'refused', message: problem };
}

const BUSY: ControlReply = { ok: false, code: 'refused', message: 'too many ask at once; try again in a moment' };

function refused({ mistakes, first }: ConfigReading & { ok: false }): ControlReply {
  const more = mistakes > 1 ? ` (and ${mistakes - 1} more)` : '';
  return { ok: false, code: 'refused', message: `${first}${more}` };
}

function readingOf(
  { digest, pulseDigest }: ConfigReading & { ok: true },
  waiting: string[],
  keysProblem = '',
): ControlReply {
  const message = waiting.length === 0 ? 'all of it at once' : `${waiting.join(', ')}: at a restart only`;
  return { ok: true, code: 'ok', message, reading: { digest, runningDigest: pulseDigest, waiting, keysProblem } };
}

async function readInChild(args: readonly string[]): Promise<FilesReading> {
  const { status, stdout, stderr } = await ordinary([process.execPath, PROGRAM, ...args]);
  if (status !== 0) throw new Error(stderr.trim().split('\n').at(-1) ?? `the reader ended with ${status}`);
  const reading = asReading(stdout);
  if (reading === undefined) throw new Error('the reader has said what is no JSON');
  return reading;
}

/** Without the error of JSON.parse, which quotes what was read: the keys are in it. */
function asReading(text: string): FilesReading | undefined {
  try {
    return JSON.parse(text) as FilesReading;
  } catch {
    return undefined;
  }
}

/** Out of the real-time class; where there is no chrt, pulse has not taken it either. */
async function ordinary(command: readonly [string, ...string[]]): Promise<CommandResult> {
  const options = { timeoutMs: READ_MS_MAX, outputBytesMax: BYTES_MAX };
  try {
    return await run('chrt', ['--other', '0', ...command], options);
  } catch (error) {
    if (!(error instanceof CommandError) || error.failure !== 'missing') throw error;
    const [program, ...args] = command;
    return await run(program, args, options);
  }
}
