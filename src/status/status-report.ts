// The status report: what GET /status answers, and what the CLI and the metrics are made from.
// Pure; the JSON Schema in docs/reference/status.schema.json is generated from it.
import { z } from 'zod';
import { snapshotSchema } from '../feed/message.ts';
import { syncStatusSchema } from './sync-status.ts';

const serverReportSchema = z.object({
  name: z.string(),
  address: z.string(),
  /** Weight in the config, and in the kernel now (null: not in the kernel). */
  weight: z.int(),
  kernelWeight: z.int().nullable(),
  state: z.enum(['unknown', 'up', 'down', 'draining']),
  /** Stage of the last check that failed; null when it passed. */
  failedStage: z.string().nullable(),
  /** The server's own words, or what went wrong; empty when it passed. */
  words: z.string(),
  checkedAt: z.string().nullable(),
  checkMs: z.number().nullable(),
  /** Connections in the kernel: active and inactive, and persistence templates where known. */
  activeConnections: z.int(),
  inactiveConnections: z.int(),
});

const serviceReportSchema = z.object({
  name: z.string(),
  vip: z.string(),
  mark: z.int(),
  scheduler: z.string(),
  inKernel: z.boolean(),
  servers: z.array(serverReportSchema),
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
});
export type StatusReport = z.output<typeof statusReportSchema>;
export type ServiceReport = z.output<typeof serviceReportSchema>;
export type ServerReport = z.output<typeof serverReportSchema>;
