// The kernel's IPVS sync daemons: what one is, and the multicast group and ports of ours. The sync
// starts them, the firewall keeps local users away from their ports. Pure.
// Source: net/netfilter/ipvs/ip_vs_sync.c.

/** The kernel's own default group. */
export const SYNC_GROUP = '224.0.0.81';
/** The backup daemon hears this port on lo. */
export const INJECTION_PORT = 8848;
/**
 * The master sends to another one, so that what a kernel reports is never taken for something to
 * put into it.
 */
export const EVENT_PORT = 8849;

/** nftables logs to this group of nfnetlink_log what the kernel's own sync tells late. */
export const SYN_GROUP = 8848;

/** What is enough to stop one. */
export interface SyncDaemonLine {
  readonly state: 'master' | 'backup';
  readonly interface: string;
  readonly syncId: number;
}

/** A daemon as it runs, or as it should: with where it sends or listens. */
export interface KernelDaemon extends SyncDaemonLine {
  readonly group: string;
  readonly port: number;
  /** Longest message in bytes; longer ones are dropped. */
  readonly lengthMax: number;
}
