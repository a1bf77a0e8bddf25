// What is known of the sync at any moment: for the status report, metrics, alerts and pulse. Pure (types).

/** off: not configured. waiting: no link to the peer's director. resync: the full table is under way. streaming: up to date. */
export const SYNC_PHASES = ['off', 'waiting', 'resync', 'streaming'] as const;
export type SyncPhase = (typeof SYNC_PHASES)[number];

/** source: this router owns the VIPs, its table goes to the peer. sink: the peer's table comes here. idle: nobody owns. */
export const SYNC_ROLES = ['idle', 'source', 'sink'] as const;
export type SyncRole = (typeof SYNC_ROLES)[number];

export interface SyncLinkStatus {
  readonly lan: string;
  readonly connected: boolean;
  /** Round-trip time of the last exchange on it, in ms. */
  readonly rttMs: number | null;
}

export interface ResyncStatus {
  readonly startedAt: string;
  /** null while it runs. */
  readonly endedAt: string | null;
  readonly entries: number;
  readonly sent: number;
  /** How the receiver's kernel was compared: every entry, or the per-server counts (tables too large to be read in full). */
  readonly verifiedBy: 'entries' | 'counts' | null;
  /** Entries that were not in the receiver's kernel at first and had to be sent again. */
  readonly repaired: number;
}

export interface StoreStatus {
  readonly type: 'none' | 'file' | 'redis';
  /** Wall time of the newest snapshot that is safely in the store. */
  readonly savedAt: string | null;
  readonly templates: number;
  readonly connections: number;
  /** What the last attempt said when it failed; empty when it did not. */
  readonly problem: string;
  /** Entries brought back at the start of this director; null when nothing was. */
  readonly restored: number | null;
}

export interface SyncStatus {
  readonly phase: SyncPhase;
  readonly role: SyncRole;
  /**
   * This router's tables hold what the owner's hold: always true on the owner; on the other one only after a verified resync and a
   * stream without a gap since.
   */
  readonly warm: boolean;
  readonly links: readonly SyncLinkStatus[];
  readonly templates: number;
  readonly connections: number;
  /** Age of the oldest entry that the peer has not acknowledged (source) or the source's last word on it (sink), in ms. */
  readonly lagMs: number;
  readonly unacknowledged: number;
  /** Since the director's start, by name; each is in docs/EVENTS.md. */
  readonly counters: Readonly<Record<string, number>>;
  readonly resync: ResyncStatus | null;
  readonly store: StoreStatus;
  /** Each a sentence; empty when all is well. */
  readonly problems: readonly string[];
}

/** The sync is switched off: nothing to wait for. */
export const STATUS_OFF: SyncStatus = {
  phase: 'off',
  role: 'idle',
  warm: true,
  links: [],
  templates: 0,
  connections: 0,
  lagMs: 0,
  unacknowledged: 0,
  counters: {},
  resync: null,
  store: { type: 'none', savedAt: null, templates: 0, connections: 0, problem: '', restored: null },
  problems: [],
};
