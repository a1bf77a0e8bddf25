// Which sync daemons the kernel should run, and what is left to do about those it runs. A network
// namespace has room for one master and one backup. Pure. Source: start_sync_thread in
// net/netfilter/ipvs/ip_vs_sync.c.
import { EVENT_PORT, INJECTION_PORT, type KernelDaemon, SYNC_GROUP } from '../../ipvs/sync-daemon.ts';
import { MASTER_END } from './private-link.ts';

/** Of the messages between this director and its own kernel; nothing with it is ever on a wire. */
export const SYNC_ID = 84;
/**
 * 255 entries of IPv4: the most that one message can count. Also when somebody has made the MTU of
 * lo smaller.
 */
export const INJECTION_BYTES_MAX = 9_188;

export const WANTED_DAEMONS: readonly KernelDaemon[] = [
  {
    state: 'backup',
    interface: 'lo',
    syncId: SYNC_ID,
    group: SYNC_GROUP,
    port: INJECTION_PORT,
    lengthMax: INJECTION_BYTES_MAX,
  },
  { state: 'master', interface: MASTER_END, syncId: SYNC_ID, group: SYNC_GROUP, port: EVENT_PORT, lengthMax: 1_472 },
];

interface DaemonPlan {
  readonly stop: readonly KernelDaemon[];
  readonly start: readonly KernelDaemon[];
  /** Those that run as they should. */
  readonly right: readonly KernelDaemon[];
  /** Each a sentence that says what to do. */
  readonly problems: readonly string[];
}

/** Daemons of others stay, and are in the way: that is for a person to decide. */
export function planDaemons(running: readonly KernelDaemon[]): DaemonPlan {
  const stop: KernelDaemon[] = [];
  const start: KernelDaemon[] = [];
  const right: KernelDaemon[] = [];
  const problems: string[] = [];
  for (const wanted of WANTED_DAEMONS) {
    const present = running.find(daemon => daemon.state === wanted.state);
    if (present !== undefined && fits(present, wanted)) right.push(present);
    else if (present !== undefined && !isOurs(present, wanted)) problems.push(inTheWay(present));
    else {
      if (present !== undefined) stop.push(present);
      start.push(wanted);
    }
  }
  return { stop, start, right, problems };
}

function fits(present: KernelDaemon, wanted: KernelDaemon): boolean {
  return (
    present.interface === wanted.interface &&
    present.syncId === wanted.syncId &&
    present.group === wanted.group &&
    present.port === wanted.port &&
    present.lengthMax >= wanted.lengthMax
  );
}

function isOurs(present: KernelDaemon, wanted: KernelDaemon): boolean {
  return present.interface === wanted.interface && (wanted.state === 'master' || present.syncId === SYNC_ID);
}

function inTheWay({ state, interface: name, syncId }: KernelDaemon): string {
  const lost =
    state === 'master' ? 'connections are reported late or not at all' : 'nothing can be put into this kernel';
  return `somebody else's ${state} sync daemon runs on ${name} (sync id ${syncId}), and a kernel has room for one: ${lost}; stop it (\`ipvsadm --stop-daemon ${state}\`) and whoever starts it`;
}

export function describeDaemon({ state, interface: name, port }: KernelDaemon): string {
  return `the kernel's ${state} sync daemon on ${name}, port ${port}`;
}

/** What of the kernel's part works. */
interface KernelParts {
  /** What the master daemon says arrives here. */
  readonly hears: boolean;
  readonly master: boolean;
  readonly backup: boolean;
  /** Entries given to the backup daemon get into the table. */
  readonly injection: boolean;
  readonly followsConntrack: boolean;
}

/**
 * Whether the sync may begin. Without the master's events, which a firewall may take, conntrack's
 * tell of connections and the table is read: a standby that is a little behind is better than none.
 */
export function isRunning({ hears, master, backup, injection, followsConntrack }: KernelParts): boolean {
  return backup && injection && ((hears && master) || followsConntrack);
}
