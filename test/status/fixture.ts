// A status report of a working pair, and a source whose report a test can change. Used by the tests of src/status/.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { EventCode } from '../../src/log/catalogue.ts';
import { SYNC_COUNTERS } from '../../src/log/counters.ts';
import type { Fields } from '../../src/log/event.ts';
import type { Log } from '../../src/log/log.ts';
import type { StatusSource } from '../../src/status/io/server.ts';
import type { SessionFilter, SessionTable } from '../../src/status/sessions.ts';
import type { DrainReport, ServerReport, StatusReport } from '../../src/status/status-report.ts';
import type { SyncStatus } from '../../src/status/sync-status.ts';

export type Pulse = NonNullable<StatusReport['pulse']>;

export function pulseSnapshot(changes: Partial<Pulse> = {}): Pulse {
  return {
    type: 'snapshot',
    version: 1,
    program: '0.4.0',
    seq: 7,
    node: 'alpha',
    peerNode: 'beta',
    role: 'active',
    epoch: '12.1',
    since: '2026-11-22T10:00:00.000Z',
    reason: 'the peer fell silent',
    serving: true,
    leaseArmed: true,
    leaseMargin: 0.54,
    hold: { on: false, until: null },
    fitness: 3,
    failedChecks: 1,
    rulesIn: true,
    warm: true,
    configDigest: 'abcd',
    peer: {
      role: 'standby',
      serving: false,
      epoch: '12.1',
      priority: 100,
      fitness: 3,
      failedChecks: 0,
      ready: true,
      hold: false,
      warm: true,
      configDigest: 'abcd',
      units: null,
      heardMsAgo: 40,
      silent: false,
    },
    links: [
      {
        lan: 'client',
        interface: 'eth0',
        up: true,
        heardMsAgo: 40,
        rttMs: 0.25,
        peerHearsUs: true,
        received: 90,
        refused: 2,
        problem: null,
      },
      {
        lan: 'pair',
        interface: 'eth1',
        up: false,
        heardMsAgo: null,
        rttMs: null,
        peerHearsUs: false,
        received: 0,
        refused: 0,
        problem: null,
      },
    ],
    units: { able: 1, all: 1 },
    vips: [{ address: '192.0.2.100', interface: 'eth0', kind: 'vip', held: true, linkUp: true, obstacle: null }],
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
    witness: { good: true, answeredMsAgo: 120, epoch: '12.1' },
    decisions: [],
    counters: { heartbeatsSent: 100, 'refused.bad-mac': 2, refused_bad_mac: 3 },
    ...changes,
  };
}

export function serverReport(changes: Partial<ServerReport> = {}): ServerReport {
  return {
    name: 'ftp1',
    address: '198.51.100.11',
    weight: 1,
    kernelWeight: 1,
    state: 'up',
    failedStage: null,
    words: '',
    checkedAt: '2026-11-22T10:00:05.000Z',
    checkMs: 12.5,
    stagesMs: { connect: 0.5, login: 10 },
    slow: false,
    certificateDaysLeft: 41.5,
    peer: { state: 'up', failedStage: null, words: '' },
    disagrees: false,
    vipCheck: null,
    drained: false,
    activeConnections: 4,
    inactiveConnections: 1,
    ...changes,
  };
}

export function drainReport(changes: Partial<DrainReport> = {}): DrainReport {
  return {
    service: 'ftp',
    server: 'ftp1',
    kind: 'ftp',
    phase: 'draining',
    since: '2026-11-22T09:00:00.000Z',
    router: 'r1',
    who: 'jo',
    reason: 'new disk',
    spanMs: 86_400_000,
    leftMs: 82_800_000,
    sessions: 3,
    transfers: 1,
    activeConnections: 4,
    inactiveConnections: 1,
    shared: true,
    ...changes,
  };
}

export function statusReport(changes: Partial<StatusReport> = {}): StatusReport {
  const sick = serverReport({
    name: 'ftp2',
    state: 'down',
    kernelWeight: null,
    failedStage: 'login',
    words: '530 "no"\\',
    checkMs: null,
  });
  return {
    schema: 'tandem-status/1',
    version: '0.1.0',
    generatedAt: '2026-11-22T10:00:06.000Z',
    pair: 'ftp-pair',
    health: 'ok',
    problems: [],
    notices: [],
    pulse: pulseSnapshot(),
    services: [
      {
        name: 'ftp',
        vip: '192.0.2.100',
        mark: 21,
        kind: 'ftp',
        scheduler: 'wlc',
        inKernel: true,
        path: {
          state: 'up',
          why: '',
          failedStage: null,
          words: '',
          checkedAt: '2026-11-22T10:00:05.000Z',
          checkMs: 14.2,
        },
        sorry: null,
        servers: [serverReport(), sick],
      },
    ],
    drains: [drainReport()],
    kernel: { rulesIn: true, lastAuditAt: '2026-11-22T10:00:00.000Z', repairs: 2, refused: 3, errors: [], found: {} },
    sync: syncReport(),
    fitness: [
      {
        name: 'uplink',
        state: 'failing',
        reason: 'exit status 1: no answer from 192.0.2.1',
        output: 'no answer from 192.0.2.1',
        checkedAt: '2026-11-22T10:00:05.000Z',
        checkMs: 1_250,
      },
    ],
    hooks: [
      {
        ...{
          name: 'oncall',
          does: 'command',
          failing: true,
          waiting: 3,
          tries: 1,
          held: 0,
          sent: 7,
          lost: 2,
          dropped: 4,
        },
        triedAt: '2026-11-22T10:00:05.000Z',
        outcome: 'exit status 1: no route',
      },
    ],
    ...changes,
  };
}

export function syncReport(changes: Partial<SyncStatus> = {}): SyncStatus {
  return {
    phase: 'streaming',
    role: 'source',
    warm: true,
    links: [
      { lan: 'client', connected: true, rttMs: 0.5 },
      { lan: 'pair', connected: false, rttMs: null },
    ],
    templates: 12,
    connections: 34,
    lagMs: 12,
    unacknowledged: 3,
    counters: { ...Object.fromEntries(Object.keys(SYNC_COUNTERS).map(name => [name, 0])), holes: 7 },
    resync: {
      startedAt: '2026-11-22T10:00:00.000Z',
      endedAt: '2026-11-22T10:00:01.500Z',
      entries: 46,
      sent: 46,
      verifiedBy: 'entries',
      repaired: 2,
    },
    store: {
      type: 'file',
      savedAt: '2026-11-22T10:00:00.000Z',
      templates: 11,
      connections: 30,
      problem: '',
      restored: 40,
    },
    problems: [],
    ...changes,
  };
}

/** A source that a test can change; `change` tells the subscribers. */
export interface TestSource extends StatusSource {
  current: StatusReport | Error;
  /** What /sessions answers. */
  table: SessionTable | string;
  readonly asked: SessionFilter[];
  readonly listeners: Set<(reason: string) => void>;
  change(report: StatusReport, reason?: string): void;
}

export function testSource(report: StatusReport = statusReport()): TestSource {
  const source: TestSource = {
    current: report,
    listeners: new Set(),
    report: () => {
      if (source.current instanceof Error) throw source.current;
      return source.current;
    },
    table: 'nothing is there',
    asked: [],
    sessions: filter => {
      source.asked.push(filter);
      return source.table;
    },
    subscribe: listener => {
      source.listeners.add(listener);
      return () => source.listeners.delete(listener);
    },
    change: (next, reason = 'test') => {
      source.current = next;
      for (const listener of source.listeners) listener(reason);
    },
  };
  return source;
}

/** A log that keeps what it is told. */
export interface KeptLog extends Log {
  readonly kept: { code: EventCode; fields: Fields }[];
}

export function keptLog(): KeptLog {
  const kept: KeptLog['kept'] = [];
  return { kept, event: (code, fields = {}) => void kept.push({ code, fields }) };
}

/** A path for a socket in a new, empty directory, which goes when the test is over. */
export async function socketPath(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'tandem-status-'));
  t.teardown(() => rm(directory, { recursive: true }));
  return join(directory, 'status.sock');
}
