// What to do when a socket does not answer, by errno. Pure.
import { CONTROL_SOCKET, type DIRECTOR_CONTROL_SOCKET, FEED_SOCKET, STATUS_SOCKET } from '../feed/files.ts';
import { CliError, EXIT } from './exit.ts';

export type SocketName =
  | typeof FEED_SOCKET
  | typeof CONTROL_SOCKET
  | typeof STATUS_SOCKET
  | typeof DIRECTOR_CONTROL_SOCKET;

/** Anyone in the group may read these; the others are for root. */
const READABLE: readonly SocketName[] = [FEED_SOCKET, STATUS_SOCKET];

/** The error for a socket that could not be used: which daemon, why, and the command that helps. */
export function unreachable(socket: SocketName, path: string, cause: unknown): CliError {
  const daemon = socket === FEED_SOCKET || socket === CONTROL_SOCKET ? 'pulse' : 'director';
  const unit = `tandem-${daemon}`;
  const code = cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined;
  return new CliError(explain(daemon, unit, socket, path, code, cause), { exitCode: EXIT.unreachable, cause });
}

function explain(
  daemon: string,
  unit: string,
  socket: SocketName,
  path: string,
  code: string | undefined,
  cause: unknown,
): string {
  switch (code) {
    case 'ENOENT':
      return `${daemon} does not run here: ${path} does not exist; run: systemctl start ${unit}`;
    case 'ECONNREFUSED':
      return `${daemon} has gone and left ${path} behind; run: systemctl restart ${unit}`;
    case 'EACCES':
    case 'EPERM': {
      const help = READABLE.includes(socket) ? 'run as root, or join the group tandem' : 'run as root';
      return `you may not use ${path}; ${help}`;
    }
    case 'ETIMEDOUT':
      return `${daemon} does not answer on ${path}; look at: journalctl -u ${unit}`;
    default: {
      const reason = cause instanceof Error ? cause.message : String(cause);
      return `${daemon} does not answer properly on ${path} (${reason}); look at: journalctl -u ${unit}`;
    }
  }
}
