// Server-sent events: a snapshot first, then each change with a sequence number, a comment every 15
// s. A reader that does not read is dropped, never waited for; changes that come close together are
// told as one. Not pure: timers and connections.

import type { ServerResponse } from 'node:http';
import type { Log } from '../../log/log.ts';
import { monotonicNow } from '../../units/io/clocks.ts';
import { changedParts } from '../change.ts';
import type { StatusReport } from '../status-report.ts';

export const READERS_MAX = 32;
const QUEUE_BYTES_MAX = 262_144;
const HEARTBEAT_MS = 15_000;
/** A reader with anything unread for this long is as good as gone. */
const STALL_MS_MAX = 60_000;
const COALESCE_MS = 50;
const REASONS_MAX = 16;

interface Reader {
  readonly response: ServerResponse;
  sent: number;
  /**
   * Monotonic time since when something has been waiting for it; undefined when it is up to date.
   */
  waitingSince: number | undefined;
}

interface Hub {
  readonly options: HubOptions;
  readonly readers: Set<Reader>;
  /** Number of the last change told; readers see it as the event's id. */
  seq: number;
  told: StatusReport | undefined;
  reasons: string[];
  coalescing: NodeJS.Timeout | undefined;
}

interface HubOptions {
  readonly report: () => StatusReport;
  readonly log: Log;
  /** Time between two comments, in milliseconds. */
  readonly heartbeatMs?: number;
}

export interface EventHub {
  /**
   * Takes over the response; false when the limit of readers is reached (nothing has been written
   * then).
   */
  add(response: ServerResponse): boolean;
  /** Something may have changed. */
  notify(reason: string): void;
  close(): void;
}

export function createEventHub(options: HubOptions): EventHub {
  const hub: Hub = { options, readers: new Set(), seq: 0, told: undefined, reasons: [], coalescing: undefined };
  const heartbeat = setInterval(() => {
    for (const reader of hub.readers) send(hub, reader, ': heartbeat\n\n');
  }, options.heartbeatMs ?? HEARTBEAT_MS).unref();
  return {
    add: response => addReader(hub, response),
    notify: reason => notify(hub, reason),
    close: () => {
      clearInterval(heartbeat);
      clearTimeout(hub.coalescing);
      for (const { response } of hub.readers) response.end();
      hub.readers.clear();
    },
  };
}

function addReader(hub: Hub, response: ServerResponse): boolean {
  if (hub.readers.size >= READERS_MAX) {
    hub.options.log.event('STATUS_READERS_FULL', { readersMax: READERS_MAX });
    return false;
  }
  const report = hub.options.report();
  if (hub.readers.size === 0) hub.told = report;
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  // The server's idle time-out is for those who ask; here silence is normal and stalls are noticed
  // by their queue.
  response.socket?.setTimeout(0);
  const reader: Reader = { response, sent: 0, waitingSince: undefined };
  hub.readers.add(reader);
  response.once('close', () => hub.readers.delete(reader));
  response.on('error', () => hub.readers.delete(reader));
  // A Last-Event-ID needs no history: whoever comes back gets the whole state as it is now.
  send(hub, reader, `retry: 1000\n${frame(hub.seq, 'snapshot', report)}`);
  return true;
}

function notify(hub: Hub, reason: string): void {
  if (hub.readers.size === 0) return;
  if (hub.reasons.length < REASONS_MAX && !hub.reasons.includes(reason)) hub.reasons.push(reason);
  hub.coalescing ??= setTimeout(() => tellChange(hub), COALESCE_MS);
}

function tellChange(hub: Hub): void {
  const reasons = hub.reasons;
  hub.coalescing = undefined;
  hub.reasons = [];
  if (hub.readers.size === 0) return;
  try {
    const report = hub.options.report();
    const changed = hub.told ? changedParts(hub.told, report) : report;
    if (!changed) return;
    hub.told = report;
    hub.seq += 1;
    const text = frame(hub.seq, 'change', { at: report.generatedAt, reasons, changed });
    for (const reader of hub.readers) send(hub, reader, text);
  } catch (error) {
    hub.options.log.event('STATUS_REPORT_FAILED', { path: '/events', problem: String(error) });
  }
}

function frame(id: number, event: string, data: unknown): string {
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

function send(hub: Hub, reader: Reader, text: string): void {
  const { response } = reader;
  const now = monotonicNow();
  reader.waitingSince = response.writableLength === 0 ? undefined : (reader.waitingSince ?? now);
  const stalled = reader.waitingSince !== undefined && now - reader.waitingSince > STALL_MS_MAX;
  if (stalled || response.writableLength > QUEUE_BYTES_MAX) {
    hub.readers.delete(reader);
    const queuedBytes = response.writableLength;
    response.destroy();
    hub.options.log.event('STATUS_READER_DROPPED', { queuedBytes, sent: reader.sent, readers: hub.readers.size });
    return;
  }
  response.write(text);
  reader.sent += 1;
}
