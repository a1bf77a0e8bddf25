// Connection sync by the kernel's own daemons (ip_vs_sync), master and backup on both routers. Not pure: runs commands through
// the port it is given. Unauthenticated multicast, so the sync LAN must be the pair's own.
import {
  type ConnectionSync,
  type DaemonChange,
  describeDaemonChange,
  diffDaemons,
  KERNEL_FLUSH_MS,
  type SyncDaemon,
  type SyncState,
  type SyncTarget,
} from '../sync.ts';

/** How the daemons are reached; ipvsadm in earnest, a model in tests. */
export interface DaemonPort {
  listDaemons(): Promise<readonly SyncDaemon[]>;
  startDaemon(daemon: SyncDaemon): Promise<void>;
  stopDaemon(daemon: SyncDaemon): Promise<void>;
}

/** What is wanted now and what we started earlier; asked anew each time, so a reload needs no new object. */
export interface DaemonIntent {
  readonly wanted: SyncTarget | undefined;
  readonly owned: SyncTarget | null;
}

export function createKernelSync(port: DaemonPort, intent: () => DaemonIntent): ConnectionSync {
  let masterRuns = false;
  const changesNow = async (): Promise<readonly DaemonChange[]> => {
    const { wanted, owned } = intent();
    if (!wanted && !owned) return [];
    return diffDaemons(await port.listDaemons(), wanted, owned);
  };
  return {
    flushMs: () => (masterRuns ? KERNEL_FLUSH_MS : 0),
    preview: async () => (await changesNow()).map(describeDaemonChange),
    ensure: async () => {
      const state = await ensure(port, intent(), changesNow);
      masterRuns = state.master;
      return state;
    },
  };
}

async function ensure(
  port: DaemonPort,
  { wanted, owned }: DaemonIntent,
  changesNow: () => Promise<readonly DaemonChange[]>,
): Promise<SyncState> {
  const problems: string[] = [];
  const changes: string[] = [];
  let running: readonly SyncDaemon[] = [];
  try {
    for (const change of await changesNow()) {
      const failed = await perform(port, change);
      if (failed === undefined) changes.push(describeDaemonChange(change));
      else problems.push(failed);
    }
    if (wanted || owned) running = await port.listDaemons();
  } catch (error) {
    problems.push(`the sync daemons cannot be listed: ${messageOf(error)}`);
  }
  const runs = (state: SyncDaemon['state']) =>
    running.some(d => d.state === state && d.interface === wanted?.interface && d.syncId === wanted.syncId);
  return {
    mode: wanted ? 'kernel' : 'off',
    master: runs('master'),
    backup: runs('backup'),
    interface: wanted?.interface ?? null,
    syncId: wanted?.syncId ?? null,
    problems,
    changes,
  };
}

async function perform(port: DaemonPort, change: DaemonChange): Promise<string | undefined> {
  try {
    await (change.action === 'start' ? port.startDaemon(change.daemon) : port.stopDaemon(change.daemon));
    return undefined;
  } catch (error) {
    return `cannot ${describeDaemonChange(change)}: ${messageOf(error)}; is the interface there and up?`;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
