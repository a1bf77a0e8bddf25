// The messages between pulse and director, and from the CLI to pulse: what both daemons share, with
// the names in files.ts. JSON, one object a line. Feed (run-dir/pulse.sock; for root also
// pulse-root.sock): pulse sends a snapshot on connect, on every change and once a second; it reads
// nothing. Control (run-dir/pulse-control.sock, root-only): one request a line, one reply a line.
// Pure.
import { z } from 'zod';

/** Longest hold with an end, ten years; a longer one is written without an end. */
export const HOLD_MS_MAX = 10 * 366 * 86_400_000;

export const ROLES = ['starting', 'standby', 'claiming', 'active', 'handing-over', 'stopping'] as const;
export type Role = (typeof ROLES)[number];

/** A role decision with what it was based on; `at` is wall time (ISO 8601), for people. */
export const decisionSchema = z.object({
  at: z.string(),
  from: z.enum(ROLES),
  to: z.enum(ROLES),
  epoch: z.string(),
  reason: z.string(),
  evidence: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
});
export type Decision = z.output<typeof decisionSchema>;

const linkReportSchema = z.object({
  lan: z.string(),
  interface: z.string(),
  up: z.boolean(),
  /** Milliseconds since a valid heartbeat came in on it; null when none ever did. */
  heardMsAgo: z.number().nullable(),
  /** Round-trip time of the last heartbeat exchange, in milliseconds. */
  rttMs: z.number().nullable(),
  /** Whether the peer says that it hears us (its echo of our boot id). */
  peerHearsUs: z.boolean(),
  received: z.int(),
  refused: z.int(),
  /**
   * Why the link is not bound: its address is not here, or somebody else has the port; null: it is.
   */
  problem: z.string().nullable().default(null),
});

/** The key that signs, and all that are accepted. */
const keyIds = { signs: z.string(), accepts: z.array(z.string()) };

export const snapshotSchema = z.object({
  type: z.literal('snapshot'),
  version: z.literal(1),
  /** The version of pulse that runs; null: from a pulse of 0.3.0. */
  program: z.string().nullable().default(null),
  seq: z.int(),
  node: z.string(),
  peerNode: z.string(),
  role: z.enum(ROLES),
  /** "counter.node" of the current or last known term of ownership. */
  epoch: z.string(),
  /** Wall time of the last role change, ISO 8601. */
  since: z.string(),
  reason: z.string(),
  /** Whether vipd acknowledged the last renewal within the lease. */
  serving: z.boolean(),
  leaseArmed: z.boolean(),
  /**
   * Lowest share of the lease left at a renewal in the last half to whole minute, 0 to 1; null: not
   * the owner.
   */
  leaseMargin: z.number().nullable(),
  hold: z.object({ on: z.boolean(), until: z.string().nullable() }),
  /** 2 for all LANs of the VIPs, and 1 for a healthy server and a director that reports. */
  fitness: z.int(),
  /** Fitness checks by script that fail here. */
  failedChecks: z.int().default(0),
  rulesIn: z.boolean(),
  /** Its director has said lately that the tables here hold what the owner's hold. */
  warm: z.boolean(),
  /** Of the config that the router's director uses. */
  configDigest: z.string(),
  /**
   * Of the part that is pulse's, as it was last read there; null: from a pulse of 0.3.0.
   */
  runningDigest: z.string().nullable().default(null),
  /** Parts of that which wait for a restart of pulse, by name. */
  waiting: z.array(z.string()).default([]),
  /**
   * Keys by their names (keyId): those of this router, and of the peer as far as it has shown them.
   * null: from a pulse of 0.3.0.
   */
  keys: z
    .object({ ...keyIds, peer: z.object(keyIds).nullable() })
    .nullable()
    .default(null),
  /** New times or a new priority are read and not in force yet. */
  timesPending: z.boolean().default(false),
  peer: z
    .object({
      role: z.enum(ROLES),
      serving: z.boolean(),
      epoch: z.string(),
      priority: z.int(),
      fitness: z.int(),
      /** Fitness checks by script that fail there; null: it does not say. */
      failedChecks: z.int().nullable().default(null),
      ready: z.boolean(),
      hold: z.boolean(),
      warm: z.boolean(),
      configDigest: z.string(),
      /**
       * How many units (a VIP with the gateways that it needs) it can hold; null: it has not said.
       */
      units: z.int().nullable().default(null),
      heardMsAgo: z.number(),
      /**
       * No heartbeat for more than twice the dead time: the rest is its last word, not its state.
       */
      silent: z.boolean(),
    })
    .nullable(),
  links: z.array(linkReportSchema),
  vips: z.array(
    z.object({
      address: z.string(),
      interface: z.string(),
      kind: z.enum(['vip', 'gateway']),
      held: z.boolean(),
      /** Whether the interface has carrier. */
      linkUp: z.boolean(),
      /** What keeps this router from holding it; null: nothing that is known. */
      obstacle: z.string().nullable().default(null),
    }),
  ),
  /**
   * How many units (a VIP with the gateways that it needs) this router can hold, and how many there
   * are.
   */
  units: z.object({ able: z.int(), all: z.int() }).default({ able: 0, all: 0 }),
  /** Health of every LAN of the pair, from carrier, targets and traffic. */
  lans: z.array(
    z.object({
      lan: z.string(),
      interface: z.string(),
      dead: z.boolean(),
      /**
       * This router's own addresses there: here, here but unrouted (nothing can be sent from it to
       * the peer's), gone by itself, or down together with the carrier; null: not told yet.
       */
      own: z
        .array(z.object({ address: z.string(), state: z.enum(['here', 'unrouted', 'gone', 'down']).nullable() }))
        .default([]),
      /** Reachability targets; up is null before the first word of them. */
      targets: z.array(z.object({ address: z.string(), up: z.boolean().nullable() })),
    }),
  ),
  /** What keeps a router that is not active from becoming so; null: nothing. */
  bar: z.string().nullable().default(null),
  /** The host has addresses of the peer and none of its own. */
  wrongName: z.boolean().default(false),
  /** Addresses of the peer that this host has. */
  peerAddressesHere: z.array(z.string()).default([]),
  /**
   * Rules at netdev ingress let packets for the addresses in only while the lease lives; null: not
   * known.
   */
  packetLease: z.boolean().nullable(),
  /** What vipd refused or complained of in the last minute; null: nothing. */
  vipdTrouble: z.string().nullable().default(null),
  /**
   * What a standby found when it asked the addresses themselves, by an echo each: those that
   * answer (none, if nobody has for two rounds), and those that did in this term and answer no
   * more. null: it does not ask (it holds them, or starts), or nothing has ever answered.
   */
  vipCheck: z
    .object({ answering: z.array(z.string()), silent: z.array(z.string()) })
    .nullable()
    .default(null),
  /** Addresses whose probes are not answered although the peer serves them. */
  blindProbes: z.array(z.string()).default([]),
  /** Neither the peer nor any target nor any other frame is heard. */
  isolated: z.boolean(),
  /**
   * A third machine that was heard in the last minute to claim an address, or only to answer for it
   * (claims: false); standsDown: the addresses are left to it for now.
   */
  foreign: z
    .object({
      address: z.string(),
      mac: z.string(),
      port: z.string(),
      claims: z.boolean().default(true),
      standsDown: z.boolean(),
    })
    .nullable(),
  /** null: the pair has no witness. */
  witness: z
    .object({
      good: z.boolean(),
      /** Milliseconds since its newest answer; null: it never answered. */
      answeredMsAgo: z.number().nullable(),
      /** The newest epoch that it knows. */
      epoch: z.string(),
    })
    .nullable(),
  /** Newest last, at most 32. */
  decisions: z.array(decisionSchema),
  /**
   * Counters by name, each explained in docs/reference/EVENTS.md: heartbeats sent, received,
   * refused by reason, late loops…
   */
  counters: z.record(z.string(), z.int()),
});
export type Snapshot = z.output<typeof snapshotSchema>;

/** What the director tells pulse, at least once a second. */
export const directorReportSchema = z.object({
  command: z.literal('report'),
  /**
   * The kernel has the rules: without them this router must not claim. null: as said before, since
   * a director that has just started has not looked yet.
   */
  rulesIn: z.boolean().nullable(),
  /** Real servers that pass their checks, over all services; null before the first verdicts. */
  healthyServers: z.int().nullable(),
  totalServers: z.int(),
  /**
   * Fitness checks by script that fail here (a heartbeat has a byte for them); null: as said
   * before, since not all are judged yet.
   */
  failedChecks: z.int().min(0).max(255).nullable().default(null),
  /** How long connection state may wait in the kernel's sync buffer, in ms; 0 when no sync runs. */
  flushMs: z.int().min(0).max(10_000),
  /** This router's tables hold what the owner's hold; true when sync is off. */
  warm: z.boolean(),
  /** Of the config it uses, for the heartbeats. (Absent: from a director of 0.3.0.) */
  configDigest: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .optional(),
});
export type DirectorReport = z.output<typeof directorReportSchema>;

export const controlRequestSchema = z.discriminatedUnion('command', [
  directorReportSchema,
  /** cold: also to a peer whose tables are cold. */
  z.object({ command: z.literal('handover'), cold: z.boolean().default(false) }),
  /** forMs: how long the hold lasts; absent: until release. */
  z.object({
    command: z.literal('hold'),
    forMs: z.number().positive().max(HOLD_MS_MAX, 'hold for ten years at most, or without an end').optional(),
  }),
  z.object({ command: z.literal('release') }),
  /**
   * The config is read again, as by SIGHUP; the reply comes when it has been. dryRun: it is looked
   * at only.
   */
  z.object({ command: z.literal('reload'), dryRun: z.boolean().default(false) }),
  /** The pair's keys are read again, and nothing else; the reply comes when they have been. */
  z.object({ command: z.literal('keys') }),
]);
export type ControlRequest = z.output<typeof controlRequestSchema>;
/** Those that the election answers, at once. */
export type RoleRequest = Exclude<ControlRequest, { readonly command: 'reload' | 'keys' }>;

/** `message` is for people; `code` is stable: ok, refused, invalid. */
export const controlReplySchema = z.object({
  ok: z.boolean(),
  code: z.enum(['ok', 'refused', 'invalid']),
  message: z.string(),
  /** To `reload`, of a file without mistakes: see configDigest and pulseDigest. */
  reading: z
    .object({
      digest: z.string(),
      runningDigest: z.string(),
      /** Parts that wait, or would wait, for a restart of pulse, by name. */
      waiting: z.array(z.string()),
      /** Why the pair's keys stay as they were; empty: they do not, or are the same. */
      keysProblem: z.string().default(''),
    })
    .optional(),
});
export type ControlReply = z.output<typeof controlReplySchema>;
