// The status report: what GET /status answers, and what the CLI and the metrics are made from.
// Pure; the JSON Schema in docs/reference/status.schema.json is generated from it.
import { z } from 'zod';
import { snapshotSchema } from '../feed/message.ts';
import { syncStatusSchema } from './sync-status.ts';

/** A check through the VIP. */
const pathSchema = z
  .object({
    state: z.enum(['not-checked', 'unknown', 'up', 'misconfigured', 'down']),
    /** Why it is not checked here; empty when it is. */
    why: z.string(),
    failedStage: z.string().nullable(),
    /** What went wrong; empty when it passed. */
    words: z.string(),
    checkedAt: z.string().nullable(),
    checkMs: z.number().nullable(),
  })
  .nullable()
  .default(null);

const serverReportSchema = z.object({
  name: z.string(),
  address: z.string(),
  /** Weight in the config, and in the kernel now (null: not in the kernel). */
  weight: z.int(),
  kernelWeight: z.int().nullable(),
  state: z.enum(['unknown', 'up', 'misconfigured', 'down', 'draining']),
  /** Stage of the last check that failed; null when it passed. */
  failedStage: z.string().nullable(),
  /**
   * The server's own words, or what went wrong; of one that is misconfigured, what to set. Empty
   * when it passed.
   */
  words: z.string(),
  checkedAt: z.string().nullable(),
  checkMs: z.number().nullable(),
  /** Length of each stage of it that was begun, in ms. */
  stagesMs: z.record(z.string(), z.number()).default({}),
  /** Checks pass, but take longer than check.slow_warn. */
  slow: z.boolean().default(false),
  /** Of the certificate seen by the last check; null when it saw none. */
  certificateDaysLeft: z.number().nullable().default(null),
  /**
   * Under DR and TUN the check of the VIP on this server, by way of it, which the standby makes.
   * null: nothing is said of it.
   */
  vipCheck: pathSchema,
  /** What the peer's nannies say, as last heard; null: not heard. */
  peer: z
    .object({
      state: z.enum(['unknown', 'up', 'misconfigured', 'down']),
      failedStage: z.string().nullable(),
      words: z.string(),
    })
    .nullable()
    .default(null),
  /** They and the nannies here say different things, for longer than both need to notice. */
  disagrees: z.boolean().default(false),
  /** An operator drains it (`drains` says more); `state` is what its check says. */
  drained: z.boolean().default(false),
  /** Connections in the kernel: active and inactive, and persistence templates where known. */
  activeConnections: z.int(),
  inactiveConnections: z.int(),
});

/** A real server that an operator drains. */
const drainReportSchema = z.object({
  service: z.string(),
  server: z.string(),
  /** Of the service. With udp every connection that the kernel knows is a session. */
  kind: z.enum(['ftp', 'tcp', 'udp']).default('ftp'),
  /**
   * draining: sessions are open; ending: the last part of its time, clients that come back go to
   * other servers; empty: no session is left; over: its time is, and what it had was cut.
   */
  phase: z.enum(['draining', 'ending', 'empty', 'over']),
  /** When, on which router and by whom it was begun; why, if that was said. */
  since: z.string(),
  router: z.string(),
  who: z.string(),
  reason: z.string(),
  /** Time for its sessions, and what is left of it. */
  spanMs: z.int(),
  leftMs: z.int(),
  /** Open control and data connections; null: not known, see activeConnections. */
  sessions: z.int().nullable(),
  transfers: z.int().nullable(),
  activeConnections: z.int(),
  inactiveConnections: z.int(),
  /** Whether the other router is known to drain it, too. */
  shared: z.boolean(),
});

const serviceReportSchema = z.object({
  name: z.string(),
  kind: z.enum(['ftp', 'tcp', 'udp']).default('ftp'),
  vip: z.string(),
  mark: z.int(),
  scheduler: z.string(),
  inKernel: z.boolean(),
  servers: z.array(serverReportSchema),
  /**
   * The check through the VIP, by way of the router that serves, which the standby makes. null:
   * nothing is said of it.
   */
  path: pathSchema,
  /** The sorry server, in use while its weight in the kernel is not 0; null: there is none. */
  sorry: serverReportSchema.nullable().default(null),
});

export const statusReportSchema = z.object({
  schema: z.literal('tandem-status/1'),
  version: z.string(),
  generatedAt: z.string(),
  pair: z.string(),
  /**
   * Overall: ok, degraded (served, but not redundant or not complete), failed (nobody is served, or
   * pulse does not answer).
   */
  health: z.enum(['ok', 'degraded', 'failed']),
  /** Why it is not ok, each a sentence. */
  problems: z.array(z.string()),
  /** What is no fault but waits for somebody, each a sentence with its command. */
  notices: z.array(z.string()).default([]),
  /** The last snapshot from pulse; null when pulse does not answer. */
  pulse: snapshotSchema.nullable(),
  services: z.array(serviceReportSchema),
  /** What operators drain now: runtime state, no part of the config. */
  drains: z.array(drainReportSchema).default([]),
  kernel: z.object({
    rulesIn: z.boolean(),
    lastAuditAt: z.string().nullable(),
    repairs: z.int(),
    /**
     * Packets for VIPs and gateways, and FTP connections, refused since the director's start
     * because of where they came from.
     */
    refused: z.int(),
    /** Changes the last apply could not make, each a sentence. */
    errors: z.array(z.string()),
    /** What this kernel was found to do where kernels differ, by name. */
    found: z.record(z.string(), z.string()),
  }),
  sync: syncStatusSchema,
  /** Checks by script of what this router needs, by their names in the config. */
  fitness: z
    .array(
      z.object({
        name: z.string(),
        /** unknown: not judged yet, or it cannot be made. */
        state: z.enum(['unknown', 'passing', 'failing']),
        /** How the last run ended, or why it was not made; empty before it. */
        reason: z.string(),
        /** The last of what it said. */
        output: z.string(),
        checkedAt: z.string().nullable(),
        checkMs: z.number().nullable(),
      }),
    )
    .default([]),
  /** What is done when something happens, by the names in the config. */
  hooks: z
    .array(
      z.object({
        name: z.string(),
        /** command, webhook or mail; a later version may add others. */
        does: z.string(),
        /** The last message was given up, and none has got through since. */
        failing: z.boolean(),
        /** Messages that wait, with the one that is being tried. */
        waiting: z.int(),
        /** Tries of that one that failed. */
        tries: z.int(),
        /** Kept back besides, since the owner of the VIPs sends the same. */
        held: z.int().default(0),
        /** Since the director's start: that got through, were given up, had to go for others. */
        sent: z.int(),
        lost: z.int(),
        dropped: z.int(),
        triedAt: z.string().nullable(),
        /** How the last try ended; empty before it. */
        outcome: z.string(),
      }),
    )
    .default([]),
});
export type StatusReport = z.output<typeof statusReportSchema>;
export type ServiceReport = z.output<typeof serviceReportSchema>;
export type DrainReport = z.output<typeof drainReportSchema>;
export type ServerReport = z.output<typeof serverReportSchema>;
