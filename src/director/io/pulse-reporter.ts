// Tells pulse, over its root-only control socket, whether the rules are in and how many servers are
// healthy: at every change and once a second. Not pure.
import { join } from 'node:path';
import { CONTROL_SOCKET } from '../../feed/files.ts';
import { controlReplySchema, type DirectorReport } from '../../feed/message.ts';
import type { Log } from '../../log/log.ts';
import { createLineClient } from './line-client.ts';

interface PulseReporter {
  /** Sends the report now if it differs from the last one sent. */
  changed(): void;
  close(): void;
}

interface PulseReporterOptions {
  readonly runDir: string;
  readonly log: Log;
  readonly report: () => DirectorReport;
}

const EVERY_MS = 1_000;

export function createPulseReporter({ runDir, log, report }: PulseReporterOptions): PulseReporter {
  const path = join(runDir, CONTROL_SOCKET);
  let sent = '';
  const refused = (problem: string) => log.event('PULSE_REPORT_REFUSED', { socket: path, problem });
  const send = () => {
    const line = JSON.stringify(report());
    if (client.send(line)) sent = line;
  };
  const client = createLineClient({
    path: () => path,
    onConnect: send,
    // The feed tells of the loss of pulse; here it would be told twice.
    onLost: () => {
      sent = '';
    },
    onLine: line => {
      const reply = parseReply(line);
      if (reply !== undefined) refused(reply);
    },
  });
  const timer = setInterval(send, EVERY_MS);
  return {
    changed: () => {
      if (JSON.stringify(report()) !== sent) send();
    },
    close: () => {
      clearInterval(timer);
      client.close();
    },
  };
}

/** What pulse objects to; undefined when it took the report. */
function parseReply(line: string): string | undefined {
  try {
    const reply = controlReplySchema.parse(JSON.parse(line));
    return reply.ok ? undefined : reply.message;
  } catch {
    return `not a reply: ${line.slice(0, 100)}`;
  }
}
