// Runs vipd as a child of pulse and speaks its language over the pipes. A vipd that died or got
// stuck is replaced; words of an earlier one are not passed on. Nothing here waits: commands are
// written without back-pressure, bounded by the respawn.

import { ChildProgram } from '../../command/io/child-program.ts';
import type { FixedAddress, Link, ReachTarget, VirtualAddress } from '../../config/node.ts';
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
  /** Lines given together are one write. */
  send(...lines: string[]): void;
  /** Ends the present vipd, if it still runs, and starts another. */
  respawn(): void;
  /** Closes the pipe: vipd acts on its lease and ends by itself. */
  close(): void;
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
  const { binary } = options;
  const child = new ChildProgram({
    command: () => [binary, ...vipdArguments(options)],
    lines: { bytesMax: VIPD_LINE_BYTES_MAX, tooLong: 'skip' },
    pauseMs: nth => (nth <= EAGER_RESPAWNS ? 0 : RESPAWN_PAUSE_MS),
    calmMs: CALM_MS,
    onLine: line => {
      const message = parseVipdLine(line);
      if (message) options.onMessage(message);
      else options.onTrouble(`vipd said something unknown: ${line.slice(0, 80)}`);
    },
    onGone: options.onGone,
    onFailedStart: error => options.onGone(`cannot run ${binary}: ${error.message}`),
  });
  return {
    send(...lines) {
      if (child.unreadBytes < UNREAD_BYTES_MAX) child.send(lines.join('\n'));
    },
    // The kernel keeps the addresses until their lifetime ends; the new vipd adopts them.
    respawn: () => child.respawn(),
    close: () => child.close(),
  };
}
