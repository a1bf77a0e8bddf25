// Events of the nannies: what they find out about the real servers, and what keeps them from
// finding out. Pure.
import type { EventEntry } from '../event.ts';

const SERVER = {
  service: 'the service',
  server: 'the real server',
  address: 'its address and control port',
} as const;
const FAILURE = {
  stage: 'connect, greeting, login, passive, data-connect, transfer or complete',
  problem: 'what went wrong',
  words: "the server's own last words; empty when it said nothing",
  tookMs: 'length of the last check, in ms',
} as const;
const IDENTITY = ['service', 'server'] as const;

export const NANNY_EVENTS = {
  SERVER_UP: {
    severity: 'notice',
    says: 'A real server passed enough checks in a row (rise) and gets clients.',
    fields: {
      ...SERVER,
      from: 'state before: unknown or down',
      checks: 'good checks in a row',
      bytes: 'bytes of the last transfer',
      tookMs: 'length of the last check, in ms',
    },
    identity: IDENTITY,
  },
  SERVER_DOWN: {
    severity: 'err',
    says: 'A real server failed enough checks in a row (fall) and gets no new clients; one that still answers keeps those it has.',
    remedy:
      'Look at that server: `stage` says how far a client gets, `problem` what is wrong, `words` what it said itself.',
    fields: {
      ...SERVER,
      from: 'state before: unknown or up',
      checks: 'failed checks in a row',
      answers: 'whether it still answers: then its sessions stay with it; if not, its clients go to other servers',
      stage: 'connect, greeting, login, passive, data-connect, transfer or complete',
      problem: 'what went wrong',
      words: "the server's own last words; empty when it said nothing",
      tookMs: 'length of the last check, in ms',
    },
    endedBy: 'SERVER_UP',
    identity: IDENTITY,
  },
  SERVER_DEAD: {
    severity: 'err',
    says: 'A real server that was down but still answered shows no life any more: its clients go to other servers, too.',
    remedy: 'Look at that server: `problem` says what the check met.',
    fields: {
      ...SERVER,
      checks: 'checks in a row without a sign of life',
      ...FAILURE,
    },
    endedBy: 'SERVER_UP',
    identity: IDENTITY,
  },
  SERVER_ANSWERS: {
    severity: 'notice',
    says: 'A real server that showed no life answers again, but its check still fails: clients that it has stay, no new ones come.',
    remedy:
      'Look at that server: `stage` says how far a client gets, `problem` what is wrong, `words` what it said itself.',
    fields: { ...SERVER, ...FAILURE },
    endedBy: 'SERVER_UP',
    identity: IDENTITY,
  },
  SERVER_CHECK_FAILED: {
    severity: 'warning',
    says: 'A check of a real server failed; its state stays until enough checks in a row agree.',
    remedy: 'Nothing yet; if it comes back often, look at that server or its network, or at check.stage_timeout.',
    fields: {
      ...SERVER,
      state: 'its state, which stays: unknown, up or down',
      checks: 'failed checks in a row',
      fall: 'failed checks in a row that take it down',
      stage: 'connect, greeting, login, passive, data-connect, transfer or complete',
      problem: 'what went wrong',
      words: "the server's own last words; empty when it said nothing",
      tookMs: 'length of the check, in ms',
    },
    endedBy: 'SERVER_CHECK_RECOVERED',
    identity: IDENTITY,
  },
  SERVER_CHECK_RECOVERED: {
    severity: 'info',
    says: 'A check of a real server passes again after failed ones.',
    fields: {
      ...SERVER,
      state: 'its state: unknown, up or down; down needs more good checks (rise)',
      failed: 'failed checks in a row before',
      tookMs: 'length of the check, in ms',
    },
    identity: IDENTITY,
  },
  SERVER_FAILS_DIFFERENTLY: {
    severity: 'notice',
    says: 'A real server that is down fails for another reason than before.',
    remedy: 'One fault may be mended and the next one showing: `stage` and `problem` say what is wrong now.',
    fields: {
      ...SERVER,
      before: 'stage that failed before',
      stage: 'stage that fails now',
      problem: 'what goes wrong now',
      words: "the server's own last words; empty when it said nothing",
      tookMs: 'length of the check, in ms',
    },
    endedBy: 'SERVER_UP',
    identity: IDENTITY,
  },
  SERVER_NOT_CHECKABLE: {
    severity: 'err',
    says: 'This router cannot check a real server for a reason of its own; the state of the server stays as it is.',
    remedy:
      'Do what `reason` says: the password file must be readable by root only; sockets and ports must not run out.',
    fields: { ...SERVER, reason: 'what is missing on this router' },
    endedBy: 'SERVER_CHECKABLE',
    identity: IDENTITY,
  },
  SERVER_CHECKABLE: {
    severity: 'info',
    says: 'This router can check a real server again.',
    fields: SERVER,
    identity: IDENTITY,
  },
  CHECKS_LATE: {
    severity: 'warning',
    says: 'Checks begin late, since too many run at once: verdicts come later than rise, fall and interval say.',
    remedy: 'Servers that hang hold the places: mend them, or lengthen check.interval or shorten check.timeout.',
    fields: {
      service: 'the service of the check that was late',
      server: 'the real server of it',
      lateMs: 'how late it began, in ms',
      running: 'checks that ran at that time',
    },
    endedBy: 'CHECKS_ON_TIME',
    identity: [],
  },
  CHECKS_ON_TIME: {
    severity: 'info',
    says: 'Checks begin on time again.',
    fields: { running: 'checks that run' },
    identity: [],
  },
} as const satisfies Record<string, EventEntry>;
