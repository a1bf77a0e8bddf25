// What is known of the connection sync at any moment: for the status report, metrics, alerts and
// pulse. The type comes from the schema; src/sync fills it in, everybody else reads it. Pure.
import { z } from 'zod';

/**
 * off: not configured. waiting: no link to the peer's director. resync: the full table is under
 * way. streaming: up to date.
 */
export const SYNC_PHASES = ['off', 'waiting', 'resync', 'streaming'] as const;

/**
 * source: this router owns the VIPs, its table goes to the peer. sink: the peer's table comes here.
 * idle: nobody owns.
 */
export const SYNC_ROLES = ['idle', 'source', 'sink'] as const;

export const STORE_TYPES = ['none', 'file', 'redis'] as const;

export const syncStatusSchema = z.object({
  phase: z.enum(SYNC_PHASES),
  role: z.enum(SYNC_ROLES),
  /**
   * This router's tables hold what the owner's hold: always true on the owner; on the other one
   * only after a verified resync and a stream without a gap since.
   */
  warm: z.boolean(),
  links: z
    .array(
      z.object({
        lan: z.string(),
        connected: z.boolean(),
        /** Round-trip time of the last exchange on it, in milliseconds. */
        rttMs: z.number().nullable(),
      }),
    )
    .readonly(),
  templates: z.int(),
  connections: z.int(),
  /**
   * Age of the oldest entry that the peer has not acknowledged (source), or of the source's last
   * word (sink), in milliseconds.
   */
  lagMs: z.number(),
  unacknowledged: z.int(),
  /** Since the director's start, by name; each is in docs/reference/EVENTS.md. */
  counters: z.record(z.string(), z.number()),
  /** The last full resync, or the one under way; null before the first. */
  resync: z
    .object({
      startedAt: z.string(),
      /** null while it runs. */
      endedAt: z.string().nullable(),
      entries: z.int(),
      sent: z.int(),
      /**
       * How the receiver's kernel was compared: every entry, or the counts of each server (tables
       * too large to be read in full).
       */
      verifiedBy: z.enum(['entries', 'counts']).nullable(),
      /** Entries that were not in the receiver's kernel at first and had to be sent again. */
      repaired: z.int(),
    })
    .nullable(),
  store: z.object({
    type: z.enum(STORE_TYPES),
    /** Wall time of the newest snapshot that is safely in the store. */
    savedAt: z.string().nullable(),
    templates: z.int(),
    connections: z.int(),
    /** What the last attempt said when it failed; empty when it did not. */
    problem: z.string(),
    /** Entries brought back at the start of this director; null when nothing was. */
    restored: z.int().nullable(),
  }),
  /** Each a sentence; empty when all is well. */
  problems: z.array(z.string()).readonly(),
});
export type SyncStatus = z.output<typeof syncStatusSchema>;
export type SyncPhase = SyncStatus['phase'];
export type SyncRole = SyncStatus['role'];
export type ResyncStatus = NonNullable<SyncStatus['resync']>;
export type StoreStatus = SyncStatus['store'];

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
