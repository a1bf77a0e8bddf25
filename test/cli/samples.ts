// A realistic pair for the CLI tests: router-a took over five minutes ago, one server fails its login.
import type { Snapshot } from '../../src/feed/message.ts';
import type { SessionsReport } from '../../src/status/sessions-report.ts';
import type { StatusReport } from '../../src/status/status-report.ts';
import type { SyncStatus } from '../../src/status/sync-status.ts';

export const NOW = Date.parse('2026-11-22T16:25:00.000Z');

export function sampleSnapshot(changed: Partial<Snapshot> = {}): Snapshot {
  const link = { up: true, heardMsAgo: 43, rttMs: 0.214, peerHearsUs: true, received: 3021, refused: 0, problem: null };
  return {
    type: 'snapshot',
    version: 1,
    program: '0.4.0',
    seq: 311,
    node: 'router-a',
    peerNode: 'router-b',
    role: 'active',
    epoch: '12.1',
    since: '2026-11-22T16:20:00.000Z',
    reason: 'router-b was silent for 312 ms and no virtual address answered',
    serving: true,
    leaseArmed: true,
    leaseMargin: 0.54,
    lans: [
      {
        lan: 'client',
        interface: 'eth0',
        dead: false,
        own: [{ address: '192.0.2.2', state: 'here' }],
        targets: [{ address: '192.0.2.1', up: true }],
      },
    ],
    bar: null,
    wrongName: false,
    peerAddressesHere: [],
    packetLease: true,
    runningDigest: null,
    waiting: [],
    keys: null,
    timesPending: false,
    vipdTrouble: null,
    vipCheck: null,
    blindProbes: [],
    isolated: false,
    foreign: null,
    witness: null,
    hold: { on: false, until: null },
    fitness: 7,
    failedChecks: 0,
    rulesIn: true,
    warm: true,
    configDigest: 'd658d3a166bdafa7',
    peer: {
      role: 'standby',
      serving: false,
      epoch: '12.1',
      priority: 100,
      fitness: 7,
      failedChecks: 0,
      ready: true,
      hold: false,
      warm: true,
      configDigest: 'd658d3a166bdafa7',
      units: null,
      heardMsAgo: 43,
      silent: false,
    },
    links: [
      { ...link, lan: 'client', interface: 'eth0' },
      {
        ...link,
        lan: 'cross',
        interface: 'eth2',
        up: false,
        heardMsAgo: 61_000,
        rttMs: null,
        peerHearsUs: false,
        refused: 3,
      },
    ],
    units: { able: 1, all: 1 },
    vips: [
      { address: '192.0.2.100', interface: 'eth0', kind: 'vip', held: true, linkUp: true, obstacle: null },
      { address: '198.51.100.1', interface: 'eth1', kind: 'gateway', held: true, linkUp: true, obstacle: null },
    ],
    decisions: [
      {
        at: '2026-11-22T16:19:59.702Z',
        from: 'standby',
        to: 'claiming',
        epoch: '12.1',
        reason: 'router-b was silent for 312 ms and no virtual address answered',
        evidence: { silentMs: 312, 'links up': 2, answers: 'none', 'last will': false },
      },
      {
        at: '2026-11-22T16:20:00.000Z',
        from: 'claiming',
        to: 'active',
        epoch: '12.1',
        reason: 'vipd holds all addresses',
        evidence: {},
      },
    ],
    counters: { sent: 3100 },
    ...changed,
  };
}

export function sampleReport(): StatusReport {
  const good = {
    weight: 1,
    kernelWeight: 1,
    state: 'up',
    failedStage: null,
    words: '',
    checkMs: 14.2,
    stagesMs: {},
    slow: false,
    certificateDaysLeft: null,
    peer: null,
    disagrees: false,
    vipCheck: null,
    drained: false,
  } as const;
  return {
    schema: 'tandem-status/1',
    version: '0.1.0',
    generatedAt: '2026-11-22T16:25:00.000Z',
    pair: 'ftp-pair',
    health: 'degraded',
    problems: ['heartbeat link cross is down', 'ftp2 of service ftp is down: login: 530 Login incorrect.'],
    notices: [],
    fitness: [],
    hooks: [],
    pulse: sampleSnapshot(),
    services: [
      {
        name: 'ftp',
        vip: '192.0.2.100',
        mark: 21,
        kind: 'ftp',
        scheduler: 'wlc',
        inKernel: true,
        path: {
          state: 'not-checked',
          why: 'this router holds the VIP',
          failedStage: null,
          words: '',
          checkedAt: null,
          checkMs: null,
        },
        sorry: null,
        servers: [
          {
            ...good,
            name: 'ftp1',
            address: '198.51.100.11',
            checkedAt: '2026-11-22T16:24:57.500Z',
            activeConnections: 12,
            inactiveConnections: 3,
          },
          {
            name: 'ftp2',
            address: '198.51.100.12',
            weight: 1,
            kernelWeight: 0,
            state: 'down',
            failedStage: 'login',
            words: '530 Login\u001b[2J incorrect.',
            checkedAt: '2026-11-22T16:24:56.000Z',
            checkMs: 3.1,
            stagesMs: {},
            slow: false,
            certificateDaysLeft: null,
            peer: null,
            disagrees: false,
            vipCheck: null,
            drained: false,
            activeConnections: 1,
            inactiveConnections: 0,
          },
        ],
      },
    ],
    drains: [],
    kernel: {
      rulesIn: true,
      lastAuditAt: '2026-11-22T16:24:30.000Z',
      repairs: 0,
      refused: 0,
      errors: [],
      found: { injection: 'works' },
    },
    sync: sampleSync(),
  };
}

/** The source of a pair that streams over both links. */
export function sampleSync(changed: Partial<SyncStatus> = {}): SyncStatus {
  return {
    phase: 'streaming',
    role: 'source',
    warm: true,
    links: [
      { lan: 'client', connected: true, rttMs: 0.4 },
      { lan: 'cross', connected: false, rttMs: null },
    ],
    templates: 1_234,
    connections: 5_678,
    lagMs: 12,
    unacknowledged: 3,
    counters: { published: 12_345, holes: 2 },
    resync: {
      startedAt: '2026-11-22T16:20:10.000Z',
      endedAt: '2026-11-22T16:20:11.500Z',
      entries: 6_912,
      sent: 6_912,
      verifiedBy: 'entries',
      repaired: 1,
    },
    store: {
      type: 'file',
      savedAt: '2026-11-22T16:24:48.000Z',
      templates: 1_230,
      connections: 5_600,
      problem: '',
      restored: null,
    },
    problems: [],
    ...changed,
  };
}

/** What `tandem sessions` shows on a standby. */
export function sampleSessions(changes: Partial<SessionsReport> = {}): SessionsReport {
  const ago = (ms: number) => new Date(Date.parse('2026-11-22T12:00:00.000Z') - ms).toISOString();
  const open = { state: 'ESTABLISHED', closing: false, older: false };
  return {
    ...{ schema: 'tandem-sessions/1', generatedAt: ago(0), pair: 'ftp-pair', node: 'router-b', role: 'standby' },
    ...{ from: 'synced', whole: true, problem: '' },
    sessions: [
      {
        ...{ client: '203.0.113.7', service: 'ftp', vip: '192.0.2.100' },
        server: { name: 'ftp1', address: '198.51.100.11' },
        control: [{ ...open, clientPort: 40_001, port: 990, tls: 'implicit', firstSeenAt: ago(723_000), older: true }],
        data: [{ ...open, clientPort: 40_002, port: 10_233, mode: 'passive', firstSeenAt: ago(2_500) }],
        connections: [],
      },
      {
        ...{ client: '2001:db8::9', service: 'ftp6', vip: '2001:db8:1::100' },
        server: { name: 'ftp2', address: '2001:db8:2::12' },
        control: [{ ...open, clientPort: 50_000, port: 21, tls: 'not-by-port', firstSeenAt: ago(3_600_000) }],
        data: [
          {
            clientPort: 50_001,
            port: 20,
            mode: 'active',
            firstSeenAt: ago(4_000),
            older: false,
            state: 'FIN_WAIT',
            closing: true,
          },
        ],
        connections: [],
      },
    ],
    waiting: [
      {
        ...{ client: '203.0.113.0/24', service: 'ftp', vip: '192.0.2.100', leftS: 200, firstSeenAt: ago(600_000) },
        ...{ older: false, server: { name: '198.51.100.77', address: '198.51.100.77' } },
      },
    ],
    summary: {
      ...{ clients: 2, control: 2, data: 1, connections: 0, closing: 1, waiting: 1 },
      servers: [
        {
          ...{ service: 'ftp', server: 'ftp1', serverAddress: '198.51.100.11' },
          ...{ control: 1, data: 1, connection: 0, closing: 0, templates: 1_200 },
        },
      ],
    },
    ...changes,
  };
}
