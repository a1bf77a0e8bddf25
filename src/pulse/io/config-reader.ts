// Has the config read again by a process of its own, one at a time: whole and valid, or all stays
// as it is. The event loop is left alone; it costs the start of a child, as a look at nftables
// does. Not pure.
import { fileURLToPath } from 'node:url';
import { CommandError, type CommandResult, run } from '../../command/io/run-command.ts';
import type { Log } from '../../log/log.ts';
import type { Reloadable } from '../election/machine.ts';
import type { Running } from '../loop.ts';
import { type ConfigReading, divide, type InUse } from '../reading.ts';

const PROGRAM = fileURLToPath(new URL('../reader/main.js', import.meta.url));
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
}

export interface Reload {
  /** SIGHUP; during a reading: one more after it. */
  read(): void;
  running(): Running;
  close(): void;
}

export function openReload({ file, node, log, inUse, digest, onNext }: ReloadOptions): Reload {
  let { taken } = inUse;
  let running: Running = { digest, waiting: [] };
  let reading = false;
  let again = false;
  let closed = false;

  const take = (read: ConfigReading) => {
    if (!read.ok) {
      log.event('CONFIG_REFUSED', { file, mistakes: read.mistakes, first: read.first });
      return;
    }
    const { next, waiting } = divide({ ...inUse, taken }, read);
    taken = next;
    running = { digest: read.pulseDigest, waiting };
    log.event('CONFIG_LOADED', { file, digest: read.digest, warnings: read.warnings });
    if (waiting.length > 0) log.event('CONFIG_WAITS', { parts: waiting.join(', ') });
    onNext(next);
  };

  const readAll = async () => {
    do {
      again = false;
      const read = await readInChild(file, node).catch((error: unknown): ConfigReading => {
        const why = error instanceof Error ? error.message : String(error);
        return { ok: false, mistakes: 1, first: `${file}:1:1: it could not be read: ${why}; reload again` };
      });
      if (!closed) take(read);
    } while (again && !closed);
    reading = false;
  };

  return {
    read() {
      again = true;
      if (reading || closed) return;
      reading = true;
      void readAll();
    },
    running: () => running,
    close() {
      closed = true;
    },
  };
}

async function readInChild(file: string, node: string): Promise<ConfigReading> {
  const { status, stdout, stderr } = await ordinary([process.execPath, PROGRAM, file, node]);
  if (status !== 0) throw new Error(stderr.trim().split('\n').at(-1) ?? `the reader ended with ${status}`);
  return JSON.parse(stdout) as ConfigReading;
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
