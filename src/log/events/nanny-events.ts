// Events of the nannies: what they find out about the real servers, and what keeps them from
// finding out. Pure.
import type { EventEntry } from '../event.ts';

const SERVER = {
  service: 'the service',
  server: 'the real server; sorry_server for a sorry server',
  address: 'its address, with the control port where one is checked',
} as const;
const STAGES =
  'connect, tls, greeting, login, directory, passive, active, data-connect, transfer, complete or upload; of a service that is not FTP connect, tls, greeting, answer, body or echo; of any script';
const FAILURE = {
  stage: STAGES,
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
      from: 'state before: unknown, down or misconfigured',
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
      from: 'state before: unknown, up or misconfigured',
      checks: 'failed checks in a row',
      answers: 'whether it still answers: then its sessions stay with it; if not, its clients go to other servers',
      stage: STAGES,
      problem: 'what went wrong',
      words: "the server's own last words; empty when it said nothing",
      tookMs: 'length of the last check, in ms',
    },
    endedBy: 'SERVER_UP',
    identity: IDENTITY,
  },
  SERVER_MISCONFIGURED: {
    severity: 'err',
    says: 'A real server serves, but not as it must behind the VIP, in enough checks in a row (fall): it gets no new clients, those it has stay.',
    remedy: 'Do what `problem` says, on that server or in its firewall.',
    fields: {
      ...SERVER,
      from: 'state before: unknown, up or down',
      checks: 'failed checks in a row',
      ...FAILURE,
    },
    endedBy: 'SERVER_UP',
    identity: IDENTITY,
  },
  SERVER_DEAD: {
    severity: 'err',
    says: 'A real server that was not up but still answered shows no life any more: its clients go to other servers, too.',
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
      state: 'its state, which stays: unknown, up, misconfigured or down',
      checks: 'failed checks in a row',
      fall: 'failed checks in a row that take it down',
      stage: STAGES,
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
      state: 'its state: unknown, up, misconfigured or down; the last two need more good checks (rise)',
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
      'Do what `reason` says: the password file, and check.send_file, must be readable by root only; sockets and ports must not run out.',
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
  SERVER_SLOW: {
    severity: 'warning',
    says: 'Checks of a real server pass, but take longer than check.slow_warn, as a whole or in a stage, as many in a row as check.fall says.',
    remedy: 'Look at what `stage` needs: a name server at greeting, an account database at login, a disk at transfer.',
    fields: {
      ...SERVER,
      tookMs: 'length of the last check, in ms',
      stage: 'stage that was too slow, or that took most of it',
      stageMs: 'length of that stage, in ms',
    },
    endedBy: 'SERVER_QUICK',
    identity: IDENTITY,
  },
  SERVER_QUICK: {
    severity: 'info',
    says: 'Checks of a real server are quicker than check.slow_warn again, as many in a row as check.rise says, or it was deleted.',
    fields: { ...SERVER, tookMs: 'length of the last check, in ms' },
    identity: IDENTITY,
  },
  CERTIFICATE_EXPIRES: {
    severity: 'warning',
    says: "A real server's certificate has less time left than check.tls_expiry_warn.",
    remedy: 'Renew it on that server. Once it has expired, clients that look at it leave, and the check fails.',
    fields: { ...SERVER, validUntil: 'when it ends, ISO 8601', daysLeft: 'days until then; negative: since then' },
    endedBy: 'CERTIFICATE_RENEWED',
    identity: IDENTITY,
  },
  CERTIFICATE_RENEWED: {
    severity: 'info',
    says: "A real server's certificate has time left again, or is not looked at any more.",
    fields: {
      ...SERVER,
      validUntil: 'when it ends, ISO 8601; empty: the check is without TLS now',
      daysLeft: 'days until then; null: the check is without TLS now',
    },
    identity: IDENTITY,
  },
  CHECKS_DISAGREE: {
    severity: 'warning',
    says: 'The nannies of the two routers say different things of a real server, for longer than both need to notice. Each router goes by its own.',
    remedy:
      'See `stage` and `problem`, on the way from the router that finds it down: its cable, its own address or a firewall on the LAN of the servers. After a takeover clients would go that way.',
    fields: {
      service: 'the service',
      server: 'the real server',
      here: 'what this router says: up, misconfigured or down',
      there: 'what the peer says',
      stage: `${STAGES}, on the router that does not find it up; empty when its last check passed`,
      problem: 'what went wrong there',
    },
    endedBy: 'CHECKS_AGREE',
    identity: IDENTITY,
  },
  CHECKS_AGREE: {
    severity: 'info',
    says: 'The two routers do not contradict each other on a real server any more.',
    fields: {
      service: 'the service',
      server: 'the real server',
      reason: 'why: both say the same, the peer is not heard, or the server has left',
    },
    identity: IDENTITY,
  },
  VIP_PATH_FAILS: {
    severity: 'err',
    says: 'The check of a service through its VIP, from the standby, failed as often in a row as check.fall says: by way of the router that serves (NAT), or of one real server (DR, TUN).',
    remedy:
      'Where the real servers are up, the fault is on the way between: rules, source NAT, the default route of the server, another firewall on the router that serves; under DR and TUN the VIP on that server, its tunnel and rp_filter. `stage` says how far a client gets.',
    fields: {
      service: 'the service',
      server: 'vip_path: by whichever server the router that serves chooses; NAME_vip: by way of server NAME',
      address: 'the VIP, with the control port where one is checked',
      source: "this router's own address that the check came from",
      checks: 'failed checks in a row',
      ...FAILURE,
    },
    endedBy: 'VIP_PATH_UP',
    identity: IDENTITY,
  },
  VIP_PATH_UP: {
    severity: 'info',
    says: 'The check of a service through its VIP, from the standby, passes.',
    fields: {
      service: 'the service',
      server: 'vip_path: by whichever server the router that serves chooses; NAME_vip: by way of server NAME',
      address: 'the VIP, with the control port where one is checked',
      source: "this router's own address that the check came from",
      tookMs: 'length of the last check, in ms',
    },
    identity: IDENTITY,
  },
  VIP_PATH_OVER: {
    severity: 'info',
    says: 'A service whose check through its VIP failed is not checked that way any more: this router has become active, or nobody serves, or a server drains.',
    fields: { service: 'the service', server: 'as of VIP_PATH_FAILS' },
    identity: IDENTITY,
  },
  CHECKS_LATE: {
    severity: 'warning',
    says: 'Checks begin late, since more are due than can run: verdicts come later than rise, fall and interval say.',
    remedy:
      'Servers that hang hold the places (1,024): mend them, or shorten check.timeout. With fewer running, this router is too slow for so many checks: lengthen check.interval, or let check.until end them sooner.',
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
