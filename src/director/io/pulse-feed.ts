// Listens to pulse: snapshots from run-dir/pulse-root.sock (a pulse of 0.3 has only pulse.sock),
// checked against the schema. Not pure. The loss of pulse changes nothing in the kernel; it is told
// once, and ends with the next snapshot.
import { join } from 'node:path';
import { type FeedEvents, feedLineSchema } from '../../feed/feed-events.ts';
import { FEED_ROOT_SOCKET, FEED_SOCKET } from '../../feed/files.ts';
import type { Snapshot } from '../../feed/message.ts';
import type { Log } from '../../log/log.ts';
import { firstUsable } from '../../socket/io/unix.ts';
import { createLineClient } from './line-client.ts';

interface PulseFeed {
  /** The last snapshot; null when pulse is not heard. */
  snapshot(): Snapshot | null;
  close(): void;
}

interface PulseFeedOptions {
  readonly runDir: string;
  readonly log: Log;
  readonly onSnapshot: (snapshot: Snapshot) => void;
  /** What pulse has logged lately, which is said again and again. */
  readonly onEvents: (events: FeedEvents) => void;
  readonly onLost: () => void;
}

/** pulse sends one a second; three missed and it is stuck. */
const SILENCE_MS = 3_500;

export function createPulseFeed(options: PulseFeedOptions): PulseFeed {
  const { log, runDir } = options;
  const path = () => firstUsable([join(runDir, FEED_ROOT_SOCKET), join(runDir, FEED_SOCKET)]);
  let snapshot: Snapshot | null = null;
  let lossTold = false;
  const refuse = (problem: string) => log.event('PULSE_MESSAGE_REFUSED', { socket: path(), problem });
  const client = createLineClient({
    path,
    silenceMs: SILENCE_MS,
    onLine: line => {
      const read = parseSnapshot(line);
      if (typeof read === 'string') return refuse(read);
      if (!snapshot) log.event('PULSE_CONNECTED', { role: read.role });
      lossTold = false;
      const { events, ...rest } = read;
      snapshot = rest;
      options.onSnapshot(rest);
      if (events !== undefined) options.onEvents(events);
    },
    onLost: problem => {
      snapshot = null;
      if (lossTold) return;
      lossTold = true;
      log.event('PULSE_LOST', { socket: path(), problem });
      options.onLost();
    },
  });
  return { snapshot: () => snapshot, close: () => client.close() };
}

/** The snapshot, or what is wrong with the line. */
function parseSnapshot(line: string): (Snapshot & { readonly events?: FeedEvents | undefined }) | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return 'not JSON';
  }
  const parsed = feedLineSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a snapshot'}`;
}
