// systemd's own command, for `tandem upgrade`. Throws a CliError with its words.
import { type CommandResult, run } from '../../command/io/run-command.ts';
import { CliError, EXIT } from '../exit.ts';

/** systemd's own limit for a unit's start and stop is 90 s each. */
const RESTART_MS_MAX = 240_000;
const LINES_MAX = 3;

export async function systemctl(args: readonly string[]): Promise<void> {
  const told = `systemctl ${args.join(' ')}`;
  let result: CommandResult;
  try {
    result = await run('systemctl', args, { timeoutMs: RESTART_MS_MAX });
  } catch (cause) {
    throw new CliError(`${told}: ${(cause as Error).message}`, { exitCode: EXIT.no, cause });
  }
  if (result.status === 0) return;
  const words = result.stderr.trim().split('\n').slice(0, LINES_MAX).join('; ');
  const where = 'journalctl -u tandem-pulse -u tandem-director';
  throw new CliError(`${told} ended with ${result.status}: ${words}; see: ${where}`, { exitCode: EXIT.no });
}
