// The counters that pulse publishes (feed, status, metrics), each with its meaning. docs/EVENTS.md is generated from it. Pure.

export const PULSE_COUNTERS = {
  sent: 'heartbeats sent, once for all links',
  received: 'genuine datagrams of the pair received, on all links',
  lateLoops: 'times the event loop was late by more than a heartbeat interval',
  feedReadersDropped: 'readers of the feed that were dropped because they did not read',
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
