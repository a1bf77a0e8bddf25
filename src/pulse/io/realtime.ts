// Takes the real-time class for this process, where the kernel lets it. pulse does that itself, and
// not its unit: a container or kernel that refuses the class would keep a unit from starting at all
// (systemd's 214/SETSCHEDULER), and a pulse that ends at its start, for a bad config, does so in
// the ordinary class.
import { execFileSync } from 'node:child_process';

/**
 * Round robin, not fifo: on one processor Node's main thread waits actively for helper threads of
 * the same priority.
 */
const PRIORITY = 50;
const TIMEOUT_MS = 2_000;

/**
 * All threads of this process; what it starts later inherits the class. Returns what stood in the
 * way. Blocks: for the start only.
 */
export function takeRealTimeClass(): string | undefined {
  try {
    const command = ['--all-tasks', '--rr', '--pid', String(PRIORITY), String(process.pid)];
    execFileSync('chrt', command, { timeout: TIMEOUT_MS, stdio: ['ignore', 'ignore', 'pipe'] });
    return undefined;
  } catch (error) {
    const said = String((error as { stderr?: Buffer | string }).stderr ?? '').trim();
    return said || (error instanceof Error ? error.message : String(error));
  }
}
