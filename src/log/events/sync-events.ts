// Events of the connection sync: Tandem's stream between the directors, the kernel's part in it,
// and the store. Pure.
import type { EventEntry } from '../event.ts';

const ENTRIES = { templates: 'persistence templates', connections: 'connections' } as const;
const STORE = { store: 'file or redis' } as const;

export const SYNC_EVENTS = {
  SYNC_STREAM_UP: {
    severity: 'notice',
    says: "The stream to the peer's director runs on this link.",
    fields: { lan: 'the LAN of the link', peer: 'name of the peer' },
    identity: ['lan'],
  },
  SYNC_STREAM_DOWN: {
    severity: 'warning',
    says: "The stream to the peer's director is down on this link; the other links carry it on, if there are any.",
    remedy:
      'Is the director running on the peer? Is TCP port sync.port open between the routers on this LAN? Do both have the same pair key?',
    fields: { lan: 'the LAN of the link', peer: 'name of the peer', reason: 'why it ended' },
    identity: ['lan'],
    endedBy: 'SYNC_STREAM_UP',
  },
  SYNC_ROLE: {
    severity: 'info',
    says: 'The sync has another part to play: source (this router owns the VIPs), sink (it takes the owner’s table), or idle.',
    fields: { from: 'before', to: 'now', epoch: 'term of ownership' },
    identity: [],
  },
  SYNC_PEER: {
    severity: 'info',
    says: "The peer's director was met.",
    fields: {
      lan: 'the LAN of the link',
      instance: 'id of its life, new at every start',
      kernel: "release of the peer's kernel",
      sameKernel: 'whether it is the same as here',
      ...ENTRIES,
    },
    identity: ['instance'],
  },
  SYNC_LINK_REFUSED: {
    severity: 'warning',
    says: "What came on a link is no word of the pair's other director; nothing of it is used.",
    remedy: 'Do both routers run the same version of Tandem, each with its own name?',
    fields: { lan: 'the LAN of the link', reason: 'why' },
    identity: ['lan', 'reason'],
  },
  SYNC_RESYNC_STARTED: {
    severity: 'info',
    says: 'The whole table is being sent to the other router.',
    fields: { entries: 'entries to send', ...ENTRIES },
    identity: [],
  },
  SYNC_RESYNC_SENT: {
    severity: 'info',
    says: 'Every entry of the table has been sent and taken; the other router compares its kernel.',
    fields: { entries: 'entries sent', digest: 'of all of them' },
    identity: [],
  },
  SYNC_RESYNC_ENDED: {
    severity: 'notice',
    says: 'The other router has compared its kernel with the table that was sent.',
    fields: {
      ok: 'whether it has all of it',
      same: 'whether number and digest of the entries are the same on both sides',
      entries: 'entries sent',
      by: "entries: all were compared; counts: every server's number of them",
      repaired: 'entries that were missing in its kernel at first and were put in again',
      tookMs: 'how long it took, in ms',
    },
    identity: [],
  },
  SYNC_STREAM_RESTARTED: {
    severity: 'warning',
    says: 'The stream to the other router could not be continued: a new one begins, with the whole table.',
    remedy:
      'Normal when the director of the other router starts. Else: is a link overloaded, or a router starved of CPU?',
    fields: { reason: 'why', unacknowledged: 'frames that were given up' },
    identity: ['reason'],
  },
  SYNC_WARM: {
    severity: 'notice',
    says: "This router's tables hold what the owner's hold: a failover keeps sessions and transfers.",
    fields: { reason: 'what made it so' },
    identity: [],
  },
  SYNC_COLD: {
    severity: 'warning',
    says: "This router's tables may lack what the owner's hold: a failover now could break sessions and transfers.",
    remedy: 'It mends itself by a resync as soon as the links are there; `tandem sync` shows how far it is.',
    fields: { reason: 'what made it so' },
    identity: [],
    endedBy: 'SYNC_WARM',
  },
  SYNC_VERIFY_FAILED: {
    severity: 'err',
    says: "After several repairs this kernel still lacks entries of the owner's table.",
    remedy: 'Compare services and real servers of both routers: `tandem plan` and `tandem check` on both.',
    fields: { missing: 'entries', rounds: 'how often it was tried', by: 'how it was compared: entries or counts' },
    identity: [],
    endedBy: 'SYNC_WARM',
  },
  SYNC_EVENTS_LOST: {
    severity: 'warning',
    says: 'The kernel dropped reports of connections because they were not read in time; its table is read instead.',
    remedy: 'Seen often: is the router starved of CPU? net.core.rmem_max limits the buffer.',
    fields: { what: 'which reports' },
    identity: ['what'],
  },
  SYNC_TABLE_READ: {
    severity: 'info',
    says: "The kernel's table was read and compared with what was known.",
    fields: {
      why: 'what it was read for',
      entries: 'entries in it',
      changed: 'of these, unknown before or with another server',
      gone: 'entries that were known and are no longer in it',
      tookMs: 'how long it took, in ms',
    },
    identity: ['why'],
  },
  SYNC_TWO_SOURCES: {
    severity: 'err',
    says: 'Both directors say that their router owns the VIPs: the one with the older term waits.',
    remedy: 'Normal for a moment while a handover runs. If it stays: `tandem why` on both routers.',
    fields: { epoch: 'term of this router', peerEpoch: 'term of the other', waits: 'whether this router waits' },
    identity: [],
  },
  SYNC_TABLE_FULL: {
    severity: 'err',
    says: 'The table of connections is over its bound; new entries are not sent to the other router.',
    remedy: 'Is somebody flooding the service with connections? The bound is 1.5 million entries.',
    fields: { rows: 'entries in it' },
    identity: [],
  },
  SYNC_INJECT_FAILED: {
    severity: 'err',
    says: 'This kernel did not take entries, even when they were given to it several times.',
    remedy: 'Is the router starved of CPU? net.core.rmem_max and net.ipv4.vs.sync_sock_size limit the buffer.',
    fields: { entries: 'entries in the batch', dropped: 'of these, not taken', attempts: 'how often it was tried' },
    identity: [],
  },
  SYNC_KERNEL: {
    severity: 'info',
    says: "What this router's kernel was found to do with synced connections.",
    fields: { found: 'name=value, separated by blanks' },
    identity: ['found'],
  },
  STORE_SAVED: {
    severity: 'debug',
    says: 'A snapshot of sessions is safely in the store.',
    fields: { ...STORE, ...ENTRIES, bytes: 'its size in bytes', tookMs: 'how long it took, in ms', reason: 'why now' },
    identity: ['store'],
  },
  STORE_PROBLEM: {
    severity: 'warning',
    says: 'Snapshots of sessions cannot be saved, or the store cannot be read; the service itself goes on.',
    remedy:
      'Do what the problem says. Until then a reboot of both routers loses the sessions, or brings back an older state of them.',
    fields: { ...STORE, doing: 'save or load', problem: 'what is wrong', retryMs: 'when it is tried again, in ms' },
    identity: ['store', 'doing'],
    endedBy: 'STORE_OK',
  },
  STORE_OK: {
    severity: 'notice',
    says: 'Snapshots of sessions are saved again.',
    fields: STORE,
    identity: ['store'],
  },
  STORE_RESTORED: {
    severity: 'notice',
    says: 'Sessions were brought back from the store, because neither this router nor its peer had any.',
    fields: {
      ...STORE,
      ...ENTRIES,
      savedAt: 'when the snapshot was saved',
      savedBy: 'the router that saved it',
      ageS: 'how old it was, in seconds',
      expired: 'entries whose lifetime had ended',
      outOfScope: 'entries of services or servers that the config no longer has',
      serverDown: 'entries of servers that are known to be down',
    },
    identity: ['store'],
  },
  STORE_REFUSED: {
    severity: 'warning',
    says: 'A snapshot was not restored.',
    remedy:
      'too-old: see sync.store.max_age. from-the-future: check the clocks. foreign-pair, foreign-key: another pair uses this store, or the pair’s name or key has changed. version: it was saved by another version of Tandem.',
    fields: {
      ...STORE,
      why: 'too-old, from-the-future, foreign-pair, foreign-key or version',
      savedAt: 'when it was saved, as far as it is known',
      savedBy: 'the router that saved it, as far as it is known',
      problem: 'in words',
    },
    identity: ['store', 'why'],
  },
  STORE_DAMAGED: {
    severity: 'err',
    says: 'A snapshot in the store is damaged; it was set aside, and the one before it is used.',
    remedy: 'Check the disk, or Redis. The damaged one is kept for a while; delete it when you have seen it.',
    fields: {
      ...STORE,
      why: 'truncated, damaged or not-a-snapshot',
      setAside: 'where it is kept now, or why it is not',
    },
    identity: ['store', 'why'],
  },
} as const satisfies Record<string, EventEntry>;
