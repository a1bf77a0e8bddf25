// The counters that pulse and the sync publish (feed, status, metrics), each with its meaning.
// docs/reference/EVENTS.md is generated from it. Pure.

export const PULSE_COUNTERS = {
  sent: 'heartbeats sent, once for all links',
  received: 'genuine datagrams of the pair received, on all links',
  lateLoops: 'times the event loop was late by more than a heartbeat interval',
  feedReadersDropped: 'readers of the feed that were dropped because they did not read, or to make room for another',
  journalsGiven: 'journals of the last minute that the director has fetched whole',
  journalsLost: 'journals of a decision that the director did not fetch in time, or not whole',
  'refused_foreign-source': 'datagrams from another address than the peer’s on that link',
  refused_oversized: 'datagrams longer than 256 bytes',
  refused_truncated: 'datagrams too short to be a heartbeat',
  'refused_not-tandem': 'datagrams of something else',
  refused_version: 'datagrams of another version of Tandem’s protocol',
  'refused_wrong-pair': 'datagrams of another pair',
  refused_forged: 'datagrams whose signature does not fit our keys',
  refused_malformed: 'signed datagrams whose fields make no sense',
} as const satisfies Record<string, string>;

export type PulseCounter = keyof typeof PULSE_COUNTERS;

/**
 * Of the connection sync's machine (src/sync/stream/sync-machine.ts), since the director's start.
 */
export const SYNC_MACHINE_COUNTERS = {
  native_entries: "entries that this router's kernel or conntrack reported",
  native_ignored: 'of these, those reported while the peer owned the VIPs: not used',
  published: 'entries given to the stream',
  unpublished: 'entries reported while no peer was there to take them; the resync has them',
  frames_sent: 'numbered frames given to links, repetitions counted',
  frames_resent: 'of these, repetitions: after a link went down, was full, or the peer asked',
  frames_received: 'numbered frames received, whatever became of them',
  frames_duplicate: 'received a second time: not used',
  frames_stale: 'of another stream than the current one: not used',
  frames_beyond: 'so far ahead of the next one that there was no room: not used, asked for again',
  frames_refused: 'frames that no director of this version can have sent: not used',
  control_refused: 'control messages that were not valid, or not valid at that moment: not used',
  sends_refused: 'frames that a link did not take, because it was down or its queue full',
  holes: 'gaps in the sequence that had to be asked for',
  ring_overflows: 'times the peer was so far behind that the stream was given up for a new one',
  streams: 'streams begun as source',
  resyncs: 'full resyncs begun as source',
  resync_mismatches: 'resyncs whose number or digest of entries was not the same on both sides',
  entries_received: 'entries that came by the stream',
  entries_out_of_scope: "entries that belong to no service or server of this router's config: not used",
  entries_invalid: 'entries in the stream that no kernel can have: not used',
  injected: 'entries given to the kernel',
  inject_dropped: 'entries that the kernel lost at injection; given to it again',
  inject_failures: 'batches that the kernel did not take even after several attempts',
  replaced: 'entries whose real server had changed: expired first, then put in anew',
  expired_extra: 'entries that only this kernel had: made to expire',
  repaired: 'entries that this kernel lacked at a comparison: given to it again',
  verify_rounds: 'comparisons of the kernel with the table of the owner',
  keepalive: 'templates kept alive because their client still has a connection',
  lost_events: 'times that the kernel reported more than could be read',
  table_reads: "times that the kernel's table was read",
  table_full: 'entries that did not fit into the bounded table',
  reload_words: 'words of the peer on a reload of both routers (tandem reload --pair)',
  reload_dropped: 'of these, more than 200 in a minute: not used',
  faults: 'answers to questions that were not asked: a fault of the loop',
} as const satisfies Record<string, string>;

/** Of the kernel's side of the sync. */
export const SYNC_KERNEL_COUNTERS = {
  events_received: "entries of ours that this kernel's sync master reported",
  events_foreign: 'entries it reported that are not of our services',
  events_refused: 'messages or entries from it that were malformed',
  events_other_source: 'datagrams on the private link from another address',
  events_dropped: 'messages from it that did not fit into the receive buffer',
  flows_used: 'conntrack events that told of a connection of ours',
  flows_foreign: 'conntrack events that said nothing new, or were not ours',
  flows_unknown: 'lines of conntrack that could not be read',
  flows_lost: 'times that conntrack events were lost',
  flow_watch_restarts: 'times that conntrack -E had to be started again',
  syns_used: 'SYNs to servers of dr and tun that told of a connection of ours',
  syns_foreign: 'SYNs of services or servers that are not ours any more',
  syns_unknown: 'lines of syn-log that could not be read',
  syns_lost: 'times that the kernel had more SYNs than syn-log could take',
  syn_watch_restarts: 'times that syn-log had to be started again',
  injected: 'entries put into this kernel',
  injection_dropped: 'entries that this kernel did not take',
  table_reads: 'times the whole connection table was read',
  table_unknown: 'lines of the connection table that could not be read',
} as const satisfies Record<string, string>;

/** Of the links to the peer's director. */
export const SYNC_LINK_COUNTERS = {
  connections: 'authenticated connections to the peer’s director, on all links',
  connectFailures: 'attempts to connect that failed before the TLS handshake',
  handshakeFailures: 'own TLS handshakes that the peer refused or did not finish',
  'refused_foreign-source': 'connections from another address than the peer’s on that link',
  'refused_half-open': 'connections dropped because newer ones came before they had authenticated',
  'refused_unknown-key': 'connections that offered a key we do not have',
  refused_handshake: 'connections whose TLS handshake failed or took too long',
  replaced: 'connections that a newer authenticated one took the place of',
  badFrames: 'connections dropped because of a frame of impossible length',
  silent: 'connections dropped because nothing came for 3 s',
  queueFull: 'frames refused because too much waited to be written',
  bindFailures: 'attempts to listen that failed',
} as const satisfies Record<string, string>;

/** Of the store. */
const SYNC_STORE_COUNTERS = {
  saved: 'snapshots saved',
  failed: 'snapshots that could not be saved',
} as const satisfies Record<string, string>;

/**
 * All of the sync, as status, metrics and docs name them: the kernel's side, the links and the
 * store with their prefix.
 */
export const SYNC_COUNTERS: Readonly<Record<string, string>> = {
  ...SYNC_MACHINE_COUNTERS,
  ...prefixed('kernel', SYNC_KERNEL_COUNTERS),
  ...prefixed('link', SYNC_LINK_COUNTERS),
  ...prefixed('store', SYNC_STORE_COUNTERS),
};

/** The same with the names as they are shown: "kernel" and "injected" make "kernel_injected". */
export function prefixed<T>(prefix: string, counters: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(counters).map(([name, value]) => [`${prefix}_${name}`, value]));
}

/** Those that grow only when something was lost on the way, even if it was repaired since. */
export const SYNC_LOSSES = [
  'frames_refused',
  'ring_overflows',
  'inject_failures',
  'lost_events',
  'table_full',
  'kernel_injection_dropped',
] as const;
