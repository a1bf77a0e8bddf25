// The seam between the director and whatever carries connection state to the peer, and what the kernel's own daemons should
// look like. Pure. Tandem's own stream will take the kernel daemons' place behind the same interface.

/** What is known of the sync after the last look. */
export interface SyncState {
  readonly mode: 'off' | 'kernel';
  readonly master: boolean;
  readonly backup: boolean;
  readonly interface: string | null;
  readonly syncId: number | null;
  /** Each a sentence; empty when all runs. */
  readonly problems: readonly string[];
  /** What was done just now, each a clause. */
  readonly changes: readonly string[];
}

export interface ConnectionSync {
  /** Puts the sync into the wanted state; services must be in the kernel before. Never rejects: problems are in the state. */
  ensure(): Promise<SyncState>;
  /** What ensure() would do, each a clause. */
  preview(): Promise<readonly string[]>;
  /** How long connection state may wait here before it is on the wire, in ms; 0: nothing runs. */
  flushMs(): number;
}

/** What is wanted of the kernel daemons. */
export interface SyncTarget {
  readonly interface: string;
  readonly syncId: number;
}

/** One kernel daemon, as it runs. */
export interface SyncDaemon extends SyncTarget {
  readonly state: 'master' | 'backup';
}

export type DaemonChange = { readonly action: 'start' | 'stop'; readonly daemon: SyncDaemon };

/**
 * The master flushes a part-filled buffer after 2 s (IPVS_SYNC_SEND_DELAY, IPVS_SYNC_CHECK_PERIOD in ip_vs_sync.c; seen: 2.2 s
 * and more until it is in the peer's table).
 */
export const KERNEL_FLUSH_MS = 2_300;

/**
 * Master and backup both run on both routers all the time, so a takeover has nothing to start. Daemons that are not wanted and
 * not `owned` (started by us) belong to somebody else and stay, unless they are in the way of ours.
 */
export function diffDaemons(
  running: readonly SyncDaemon[],
  wanted: SyncTarget | undefined,
  owned: SyncTarget | null,
): readonly DaemonChange[] {
  const changes: DaemonChange[] = [];
  for (const state of ['backup', 'master'] as const) {
    const present = running.find(daemon => daemon.state === state);
    const fits = (target: SyncTarget | null | undefined) =>
      present !== undefined && present.interface === target?.interface && present.syncId === target.syncId;
    if (present && !fits(wanted) && (wanted || fits(owned))) changes.push({ action: 'stop', daemon: present });
    if (wanted && !fits(wanted)) changes.push({ action: 'start', daemon: { state, ...wanted } });
  }
  return changes;
}

export function describeDaemonChange({ action, daemon }: DaemonChange): string {
  return `${action} the kernel's ${daemon.state} sync daemon on ${daemon.interface}, sync id ${daemon.syncId}`;
}
