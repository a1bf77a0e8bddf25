// Events of the director side. Pure.
import type { EventEntry } from '../event.ts';

export const DIRECTOR_EVENTS = {
  SERVER_CLAIMS_VIP: {
    severity: 'err',
    says: 'The machine that claims a virtual address, or answers for it (VIP_CLAIMED_BY_OTHER), is a real server: the kernel knows its address by that MAC.',
    remedy: 'Do what `problem` says on that server.',
    fields: {
      service: 'the service',
      server: 'the real server',
      address: 'its address',
      vip: 'the virtual address',
      mac: 'its MAC',
      problem: 'what is wrong, and what to set',
    },
    endedBy: 'SERVER_CLAIMS_VIP_OVER',
    identity: ['service', 'server', 'vip'],
  },
  SERVER_CLAIMS_VIP_OVER: {
    severity: 'info',
    says: 'A real server that claimed a virtual address, or answered for it, has not been heard to for a minute.',
    fields: { service: 'the service', server: 'the real server', vip: 'the virtual address' },
    identity: ['service', 'server', 'vip'],
  },
  DIRECTOR_STARTED: {
    severity: 'notice',
    says: 'The director runs: it adopts what the kernel has and keeps it as the config wants.',
    fields: {
      version: 'of Tandem',
      file: 'path of the config',
      services: 'number of services',
      runDir: 'run directory',
    },
  },
  DIRECTOR_STOPPED: {
    severity: 'notice',
    says: 'The director has stopped. The kernel keeps its rules, connections go on.',
    fields: { reason: 'the signal' },
  },
  DIRECTOR_FAULT: {
    severity: 'err',
    says: 'The director could not start, or something unexpected went wrong inside it.',
    remedy: 'Follow the problem; if it does not say what to do, it is a fault of Tandem: report it.',
    fields: { reason: 'what it was doing', problem: 'what went wrong' },
  },
  KERNEL_RULES_IN: {
    severity: 'notice',
    says: 'IPVS, nftables and kernel settings are as the config wants them, read back and compared.',
    fields: { services: 'number of services', reason: 'what the audit was for', tookMs: 'how long it took, in ms' },
  },
  KERNEL_RULES_MISSING: {
    severity: 'err',
    says: 'The kernel does not have the rules, so this router must not take the VIPs over.',
    remedy: 'Do what the problem says; `tandem plan` shows what is missing. The director tries again at every audit.',
    fields: { reason: 'what the audit was for', problem: 'what is wrong and what to do' },
    identity: [],
    endedBy: 'KERNEL_RULES_IN',
  },
  KERNEL_CHANGED: {
    severity: 'info',
    says: 'The director changed the kernel, as config or verdicts want it.',
    fields: {
      target: 'ipvs, nft, sysctl, sync or packet lease',
      change: 'what was done',
      reason: 'what the audit was for',
    },
    identity: ['target', 'change'],
  },
  DRIFT_REPAIRED: {
    severity: 'warning',
    says: 'Somebody changed what Tandem had set in the kernel; it was put back.',
    remedy: 'Find out who did (another tool, a person), and change the config instead of the kernel.',
    fields: {
      target: 'ipvs, nft, sysctl, sync or packet lease',
      change: 'what was done',
      reason: 'what the audit was for',
    },
    identity: ['target', 'change'],
  },
  DRIFT_REPEATS: {
    severity: 'err',
    says: 'Somebody changes again and again what Tandem has set in the kernel. It is put back each time, but later and later: until then FTP may not work.',
    remedy:
      'Find the other program (kube-proxy, a firewall manager, a cron job, a person) and make it leave alone the nftables tables "inet tandem" and "netdev tandem_gate" and the IPVS services of the config. DRIFT_REPAIRED says what was changed.',
    fields: {
      repairs: 'repairs in a row',
      pauseMs: 'least time until the next one, in ms; the audits of the timer come all the same',
      reason: 'what the audit was for',
    },
    identity: [],
    endedBy: 'DRIFT_CALM',
  },
  DRIFT_CALM: {
    severity: 'notice',
    says: 'Nobody has changed the kernel rules of Tandem for a minute.',
    fields: {},
  },
  FOREIGN_DROP: {
    severity: 'err',
    says: 'Packets of a service come to this router, and none of them gets past the firewall rules of others: counted before and after those.',
    remedy:
      'The problem names the chains that may do it and the rule that is missing; README says which packets must pass.',
    fields: {
      service: 'name of the service',
      way: 'from-clients, to-servers or from-servers, each with data- before it for passive data; or active-data',
      problem: 'what is lost, who may do it and what to do',
    },
    identity: ['service', 'way'],
    endedBy: 'FOREIGN_DROP_OVER',
  },
  FOREIGN_DROP_OVER: {
    severity: 'notice',
    says: 'Packets of a service get past the firewall rules of others again.',
    fields: {
      service: 'name of the service',
      way: 'from-clients, to-servers or from-servers, each with data- before it for passive data; or active-data',
    },
    identity: ['service', 'way'],
  },
  INTERFACE_NAMED: {
    severity: 'notice',
    says: 'The kernel knows an interface by another name than the config (an alternative name, or it was renamed): the rules follow it.',
    fields: { interface: 'name in the config', name: "the kernel's name of it now" },
    identity: ['interface', 'name'],
  },
  KERNEL_REFUSED: {
    severity: 'err',
    says: 'The kernel, or the tool that talks to it, refused a change.',
    remedy: 'Read the problem; `tandem plan` shows what is still to be done.',
    fields: { target: 'ipvs, nft, sysctl, sync or packet lease', problem: 'what it said' },
    identity: ['target', 'problem'],
  },
  SERVER_DRAINING: {
    severity: 'notice',
    says: 'A real server that left the config still has connections: it gets no new clients and goes when they end.',
    fields: {
      service: 'service, as ipvsadm names it',
      address: 'address of the server',
      connections: 'connections left',
    },
    endedBy: 'SERVER_DRAINED',
  },
  SERVER_DRAINED: {
    severity: 'notice',
    says: 'A real server that left the config is out of the kernel: its last connection has finished, or its time (ipvs.drain) was over.',
    fields: {
      service: 'service, as ipvsadm names it',
      address: 'address of the server',
      cut: 'connections that it still had when its time was over; 0: all had finished',
    },
  },
  DRAIN_STARTED: {
    severity: 'notice',
    says: 'An operator drains a real server of a service: it gets no new clients, and its sessions may run to their end or to the end of their time. Told on both routers, and again when the drain is given a new time.',
    fields: {
      service: 'the service',
      server: 'the real server',
      spanMs: 'time for its sessions, in ms',
      reason: 'as the operator gave it; may be empty',
      who: 'who gave the command, as far as known',
      router: 'the router on which it was given',
    },
    endedBy: 'DRAIN_ENDED',
    identity: ['service', 'server'],
  },
  DRAIN_EMPTY: {
    severity: 'notice',
    says: 'A real server that is drained has no session left, as this router sees it: it can be taken down.',
    fields: { service: 'the service', server: 'the real server' },
  },
  DRAIN_OVER: {
    severity: 'notice',
    says: 'The time of a drained real server is over: it is out of the kernel until it is enabled, with what it still had.',
    fields: {
      service: 'the service',
      server: 'the real server',
      cut: 'connections that it had when this router last counted; 0: all had finished',
    },
  },
  DRAIN_REFUSED: {
    severity: 'warning',
    says: 'A drain of the peer is numbered so far ahead of all that is known here that only a fault can have done it: it is not taken. Told once.',
    fields: {
      service: 'the service',
      server: 'the real server',
      counter: 'the number that it has at the peer',
      own: 'the highest number that is known here',
    },
    remedy:
      'On the peer stop tandem-director, remove director-drains.json from its state directory, start it, and give the drains that only it had again.',
  },
  DRAIN_ENDED: {
    severity: 'notice',
    says: 'A real server is not drained any more: it gets new clients if it passes its check.',
    fields: {
      service: 'the service',
      server: 'the real server',
      reason: 'enabled, or left the config',
      who: 'who enabled it, as far as known; else empty',
      router: 'the router on which that was done; else empty',
    },
    identity: ['service', 'server'],
  },
  KERNEL_PROBLEM: {
    severity: 'warning',
    says: 'Something in the kernel stands in the way of the service.',
    remedy: 'The problem says what to do.',
    fields: {
      kind: 'which problem',
      about: 'service or setting; empty when there is only one',
      problem: 'what is wrong',
    },
    identity: ['kind', 'about'],
    endedBy: 'KERNEL_PROBLEM_OVER',
  },
  KERNEL_PROBLEM_OVER: {
    severity: 'notice',
    says: 'A problem in the kernel is over.',
    fields: { kind: 'which problem', about: 'service or setting; empty when there is only one' },
    identity: ['kind', 'about'],
  },
  TIMEOUTS_SHARED: {
    severity: 'warning',
    says: 'IPVS has services of others, and its time-outs, of which there is one set for all, were changed for ours.',
    remedy:
      'Set ipvs.tcp_timeout and ipvs.tcp_fin_timeout to what suits all services, or give the others a router or network namespace of their own.',
    fields: { change: 'what they were, what they become, and the services of others' },
    identity: [],
  },
  FTP_HELPER_LOADED: {
    severity: 'err',
    says: 'ip_vs_ftp is loaded: it attaches to firewall-mark services too and breaks PASV.',
    remedy:
      'rmmod ip_vs_ftp, and keep it out: echo "install ip_vs_ftp /bin/false" > /etc/modprobe.d/tandem.conf. Find out what loads it (/etc/modules-load.d, another balancer).',
    fields: { module: 'name of the module' },
    endedBy: 'FTP_HELPER_GONE',
  },
  FTP_HELPER_GONE: {
    severity: 'notice',
    says: 'ip_vs_ftp is not loaded any more.',
    fields: { module: 'name of the module' },
  },
  NO_SERVER_UP: {
    severity: 'crit',
    says: 'No real server of a service passes its check: new clients are refused.',
    remedy: '`tandem status` names the stage at which each server fails and what it said.',
    fields: { service: 'name of the service', problem: 'what is wrong' },
    endedBy: 'SERVERS_UP',
  },
  ALL_SERVERS_FAIL: {
    severity: 'crit',
    says: 'The real servers of a service fail their checks alike, but answer: they keep their weights. This router counts them as failed when it is compared with its peer.',
    remedy:
      'Look at what they share: the account and the file of the check, their name server, their limit of clients. on_all_failed: empty would refuse new clients instead.',
    fields: { service: 'name of the service', problem: 'what is wrong' },
    endedBy: 'ALL_SERVERS_FAIL_OVER',
  },
  ALL_SERVERS_FAIL_OVER: {
    severity: 'notice',
    says: 'The real servers of a service are judged one by one again: enough of them pass their checks, or none answers.',
    fields: { service: 'name of the service' },
  },
  SERVERS_UP: {
    severity: 'notice',
    says: 'A service has a real server that passes its check again.',
    fields: { service: 'name of the service' },
  },
  SYNC_RUNNING: {
    severity: 'notice',
    says: "The kernel's part of the connection sync runs: its events are heard, and it takes entries.",
    fields: {},
  },
  SYNC_PROBLEM: {
    severity: 'err',
    says: "The kernel's part of the connection sync does not run as it should: a failover now may break running transfers.",
    remedy: 'Do what the problem says.',
    fields: { problem: 'what is wrong and what to do' },
    identity: ['problem'],
    endedBy: 'SYNC_RUNNING',
  },
  SYNC_KEYS_KEPT: {
    severity: 'warning',
    says: 'The links of the connection sync stay with their keys: those that pulse uses are not in the key file.',
    remedy: '`tandem rotate-key` shows what both routers use, and the next step.',
    fields: { problem: 'why they stay' },
  },
  PULSE_CONNECTED: {
    severity: 'info',
    says: 'The director hears pulse on its feed.',
    fields: { role: 'role of this router' },
    identity: [],
  },
  PULSE_LOST: {
    severity: 'err',
    says: 'The director does not hear pulse; it keeps the kernel as it is and tries again.',
    remedy: 'systemctl status tandem-pulse',
    fields: { socket: 'path of the feed', problem: 'what went wrong' },
    identity: ['socket'],
    endedBy: 'PULSE_CONNECTED',
  },
  PULSE_MESSAGE_REFUSED: {
    severity: 'warning',
    says: 'pulse sent something that is not a message of the feed; it was dropped.',
    remedy: 'Are pulse and director of the same version? Restart the one that was not restarted after the upgrade.',
    fields: { socket: 'path of the socket', problem: 'what is wrong with it' },
    identity: ['socket'],
  },
  PULSE_REPORT_REFUSED: {
    severity: 'warning',
    says: 'pulse did not take the report of the director.',
    remedy: 'Are pulse and director of the same version?',
    fields: { socket: 'path of the socket', problem: 'what pulse answered' },
    identity: ['socket'],
  },
  CONNTRACK_CLEARED: {
    severity: 'info',
    says: 'This router is not active any more: its own conntrack entries of the service are deleted, or a transfer that comes back would hang on stale windows.',
    fields: { entries: 'number of entries' },
  },
  CONNTRACK_PROBLEM: {
    severity: 'warning',
    says: 'Stale conntrack entries could not be deleted after the VIPs left; a transfer that comes back may hang.',
    remedy: 'apt-get install conntrack, if it is missing.',
    fields: { problem: 'what went wrong' },
    identity: [],
  },
  CLIENTS_KNOWN: {
    severity: 'info',
    says: 'This router has taken over, and knows the clients of its services with dr or tun: their active mode goes on, and so do transfers in mid-stream whose connections did not come by the sync.',
    fields: { clients: 'how many', tookMs: 'how long it took to tell nftables, in ms' },
  },
  CLIENTS_PROBLEM: {
    severity: 'warning',
    says: 'This router has taken over, and could not tell nftables which clients the services with dr or tun have: until a client says something new, its active mode waits.',
    remedy: 'Look at the problem; `tandem status` says whether the rules are in.',
    fields: { problem: 'what went wrong' },
    identity: [],
  },
  CLOCK_STEPPED: {
    severity: 'notice',
    says: 'The wall clock of this router was set. Checks, audits, leases and deadlines go on by the monotonic clock; what a cron expression names is neither made up for nor done for every time jumped over.',
    fields: { stepMs: 'by how much, in ms; negative: back' },
    identity: [],
  },
  CONTROL_REQUEST: {
    severity: 'info',
    says: 'Somebody asked the director for something over its control socket.',
    fields: { request: 'method and path', status: 'HTTP status of the answer' },
    identity: ['request'],
  },
  CONTROL_PROBLEM: {
    severity: 'warning',
    says: "The director's control socket met an error; the service itself goes on.",
    fields: { socket: 'path of the socket', problem: 'what went wrong' },
  },
  JOURNAL_KEPT: {
    severity: 'info',
    says: "What went into this router's election in the minute around a decision has been written down.",
    remedy: 'To see the decision again: `tandem replay` with the path.',
    fields: { path: 'path of the file', decided: 'when the newest decision in it was made' },
  },
  JOURNAL_LOST: {
    severity: 'notice',
    says: "What went into this router's election around a decision could not be written down: `tandem replay` cannot show it.",
    remedy:
      'Nothing else is touched. Look at the state directory: is it writable, not full? A pulse of 0.3 has no journal.',
    fields: { decided: 'when the decision was made', problem: 'what went wrong' },
    identity: [],
  },
  MEMORY_PROBLEM: {
    severity: 'warning',
    says: 'What Tandem has put into the kernel, or what operators drain, cannot be remembered on disk; the service itself goes on.',
    remedy:
      'Look at the directory of the file: is it there, writable, not full? A file that cannot be read is set aside.',
    fields: { path: 'path of the file', problem: 'what went wrong' },
  },
} as const satisfies Record<string, EventEntry>;
