// Events of the log itself and of the status server. Pure.
import type { EventEntry } from '../event.ts';

export const LOG_EVENTS = {
  EVENT_REPEATED: {
    severity: 'notice',
    says: 'An event came too often; these repetitions of it were not logged one by one',
    fields: {
      repeated: 'Code of the event',
      about: 'The identifying fields of the event, as name=value',
      count: 'Repetitions that were left out since the last line about this event',
      seconds: 'Length of time they fell into, in seconds',
      lastAt: 'Wall time of the last one, ISO 8601',
      ended: 'Whether the flood is over; false: it goes on, and the next summary follows in a minute',
    },
  },
  LOG_DROPPED: {
    severity: 'warning',
    says: 'Log lines were dropped because whoever reads the log did not keep up',
    remedy: 'Look at the log reader (journald, a pipe, a full disk): `journalctl -u systemd-journald`, `df`',
    fields: {
      lines: 'Lines that were dropped',
      bytes: 'Their size, in bytes',
    },
  },
  STATUS_SERVER_STARTED: {
    severity: 'info',
    says: 'The status server answers on its socket',
    fields: { socket: 'Path of the socket', group: 'Group that may read it; null when the group does not exist' },
  },
  STATUS_SERVER_STOPPED: {
    severity: 'info',
    says: 'The status server has closed its socket',
    fields: { socket: 'Path of the socket' },
  },
  STATUS_SERVER_ERROR: {
    severity: 'warning',
    says: 'The status server met an error; status readers may see gaps, the service itself goes on',
    remedy: 'Look at the problem named; restart tandem-director if /status stays silent (connections go on)',
    fields: { socket: 'Path of the socket', problem: 'What went wrong' },
  },
  STATUS_REPORT_FAILED: {
    severity: 'err',
    says: 'The status report could not be made, so a reader got an error instead',
    remedy: 'This is a fault of Tandem: report it with the problem named here',
    fields: { path: 'Path that was asked for', problem: 'What went wrong' },
  },
  STATUS_READER_DROPPED: {
    severity: 'notice',
    says: 'A reader of /events did not read, so its connection was closed',
    remedy: 'The reader may connect again: it gets a fresh snapshot',
    fields: {
      queuedBytes: 'Bytes that waited for it',
      sent: 'Events it had been sent',
      readers: 'Readers that remain',
    },
  },
  STATUS_READERS_FULL: {
    severity: 'warning',
    says: 'Another reader of /events was turned away because the limit is reached',
    remedy: 'Close readers that are not needed any more: `ss -xp` lists the processes on the status socket',
    fields: { readersMax: 'The limit' },
  },
} as const satisfies Record<string, EventEntry>;
