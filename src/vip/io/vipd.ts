// Runs vipd as a child of pulse and speaks its language over the pipes. A vipd that died or got
// stuck is replaced; words of an earlier one are not passed on. Nothing here waits: commands are
// written without back-pressure, bounded by the respawn.

import { type ChildProcess, spawn } from 'node:child_process';
import type { FixedAddress, Link, ReachTarget, VirtualAddress } from '../../config/node.ts';
import { lineReader } from '../../socket/lines.ts';
import { monotonicNow } from '../../units/io/clocks.ts';
import { parseVipdLine, VIPD_LINE_BYTES_MAX, type VipdMessage } from '../protocol.ts';

/**
 * Unread commands beyond this mean that vipd is stuck; more are not queued (pulse replaces it
 * soon).
 */
const UNREAD_BYTES_MAX = 65_536;
/**
 * Respawns: at once for the first few in a row, then with pauses, so that a broken binary does not
 * spin.
 */
const EAGER_RESPAWNS = 5;
const RESPAWN_PAUSE_MS = 100;
const CALM_MS = 10_000;

interface VipdOptions {
  readonly binary: string;
  readonly stateFile: string;
  readonly addresses: readonly VirtualAddress[];
  readonly links: readonly Link[];
  readonly targets: readonly ReachTarget[];
  readonly fixed: readonly FixedAddress[];
  readonly port: number;
  /** The packet lease's rules are in: vipd tells when they are gone. */
  readonly gate: boolean;
  readonly onMessage: (message: VipdMessage) => void;
  /** The present vipd ended by itself. */
  readonly onGone: (how: string) => void;
  readonly onTrouble: (text: string) => void;
}

export interface Vipd {
  send(line: string): void;
  /** Ends the present vipd, if it still runs, and starts another. */
  respawn(): void;
  /** Closes the pipe: vipd acts on its lease and ends by itself. */
  close(): void;
  readonly pid: number | undefined;
}

/** The command line of vipd for a set of addresses and links. */
function vipdArguments(
  options: Pick<VipdOptions, 'stateFile' | 'addresses' | 'links' | 'targets' | 'fixed' | 'port' | 'gate'>,
): string[] {
  const { stateFile, addresses, links, targets, fixed, port, gate } = options;
  return [
    ...['--state', stateFile],
    ...addresses.flatMap(a => ['--address', `${a.address},${a.interface},${a.own ?? '-'}`]),
    ...links.flatMap(l => ['--link', `${l.local},${l.remote},${port}`]),
    ...targets.flatMap(t => ['--target', `${t.address},${t.interface},${t.own ?? '-'}`]),
    ...fixed.flatMap(f => ['--fixed', `${f.address},${placeOf(f)}`]),
    ...(gate ? ['--gate'] : []),
  ];
}

/** The peer's must be nowhere on this host; it is on that LAN. */
function placeOf({ side, interface: name }: FixedAddress): string {
  return side === 'own' ? name : `-,${name}`;
}

export function startVipd(options: VipdOptions): Vipd {
  let child: ChildProcess | undefined;
  let respawns = 0;
  let lastSpawnAt = 0;
  let closed = false;
  let pause: NodeJS.Timeout | undefined;

  const start = () => {
    if (closed) return;
    lastSpawnAt = monotonicNow();
    // detached: a signal to pulse's process group (Ctrl-C) is not vipd's business; its pipe tells
    // it when to end.
    const started = spawn(options.binary, vipdArguments(options), {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
    child = started;
    const gone = (how: string) => {
      if (child !== started || closed) return;
      child = undefined;
      options.onGone(how);
    };
    started.on('error', error => gone(`cannot run ${options.binary}: ${error.message}`));
    started.on('exit', (code, signal) => gone(signal ?? `exit code ${code}`));
    started.stdin?.on('error', () => {});
    readLines(started, line => {
      if (child !== started) return;
      const message = parseVipdLine(line);
      if (message) options.onMessage(message);
      else options.onTrouble(`vipd said something unknown: ${line.slice(0, 80)}`);
    });
  };

  start();
  return {
    send(line) {
      const pipe = child?.stdin;
      if (pipe?.writable && pipe.writableLength < UNREAD_BYTES_MAX) pipe.write(`${line}\n`);
    },
    respawn() {
      const old = child;
      child = undefined;
      // SIGKILL also ends a stopped process; the kernel keeps the addresses until their lifetime
      // ends, the new one adopts them.
      old?.kill('SIGKILL');
      if (monotonicNow() - lastSpawnAt > CALM_MS) respawns = 0;
      respawns += 1;
      clearTimeout(pause);
      if (respawns <= EAGER_RESPAWNS) start();
      else pause = setTimeout(start, RESPAWN_PAUSE_MS);
    },
    close() {
      closed = true;
      clearTimeout(pause);
      child?.stdin?.end();
    },
    get pid() {
      return child?.pid;
    },
  };
}

/** Calls back for each complete line; one that is too long is dropped. */
function readLines(child: ChildProcess, onLine: (line: string) => void): void {
  const lines = lineReader({ bytesMax: VIPD_LINE_BYTES_MAX, tooLong: 'skip' });
  child.stdout?.on('error', () => {});
  child.stdout?.on('data', (chunk: Buffer) => lines.push(chunk, onLine));
}
