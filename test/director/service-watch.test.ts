// OK, DEGRADED and FAILED: what makes a router each of them, and how it comes back.
import test from 'ava';
import { pulseDigest } from '../../src/config/digest.ts';
import { NOTHING_COMPARED } from '../../src/director/check-watch.ts';
import { NOTHING_KNOWN } from '../../src/director/findings.ts';
import { type ReportInput, statusReport } from '../../src/director/report.ts';
import {
  NOTHING_SERVED_YET,
  type ServiceWatch,
  serviceFailures,
  watchService,
} from '../../src/director/service-watch.ts';
import type { Snapshot } from '../../src/feed/message.ts';
import type { StatusReport } from '../../src/status/status-report.ts';
import { type At, ms } from '../../src/units/duration.ts';
import { sampleSnapshot } from '../cli/samples.ts';
import { configOf, syncStatus } from './fixture.ts';

const D = 300;
const config = configOf();
const DIGEST = '0123456789abcdef';
const at = (time: number) => time as At;

/** A standby beside an owner, all well. */
function standby(changed: Partial<Snapshot> = {}): Snapshot {
  const { peer, links } = sampleSnapshot();
  return sampleSnapshot({
    node: 'r1',
    peerNode: 'r2',
    role: 'standby',
    serving: false,
    configDigest: DIGEST,
    runningDigest: pulseDigest(config, 'r1'),
    peer: peer && { ...peer, role: 'active', serving: true, configDigest: DIGEST },
    links: links.map(link => ({ ...link, up: true, peerHearsUs: true })),
    vipCheck: { answering: ['192.0.2.100'], silent: [] },
    ...changed,
  });
}

function owner(changed: Partial<Snapshot> = {}): Snapshot {
  const { peer } = standby();
  const there = peer && { ...peer, role: 'standby' as const, serving: false };
  return standby({ role: 'active', serving: true, vipCheck: null, peer: there, ...changed });
}

/** A router that sees these snapshots, each at its time, and is asked at the last one's. */
function after(seen: readonly (readonly [number, Snapshot | null])[], rulesIn = true): StatusReport {
  let watch: ServiceWatch = NOTHING_SERVED_YET;
  for (const [time, pulse] of seen) watch = watchService(watch, pulse, at(time));
  const [now, pulse] = seen.at(-1) ?? [0, null];
  const input: ReportInput = {
    ...{
      config,
      digest: DIGEST,
      version: '0',
      generatedAt: '',
      pulse,
      verdicts: [],
      checks: NOTHING_COMPARED,
      drains: [],
      claimer: undefined,
      pathChecks: new Map(),
      pathVerdicts: [],
      node: 'r1',
      otherVerdicts: [],
      watchProblems: [],
      refused: 0,
      table: { services: [] },
      counts: [],
    },
    ...{
      known: { ...NOTHING_KNOWN, rulesIn },
      lastAuditAt: null,
      sync: syncStatus(),
      syncProblems: [],
      fitness: [],
      hooks: [],
      kernelFound: {},
    },
    failures: serviceFailures({ watch, pulse, rulesIn, deadMs: ms(D), now: at(now) }),
  };
  return statusReport(input);
}

const nobody = (changed: Partial<Snapshot> = {}) => {
  const { peer } = standby();
  const there = peer && { ...peer, role: 'standby' as const, serving: false };
  return standby({ vipCheck: null, peer: there, ...changed });
};
const unready = (pulse: Snapshot): Snapshot => ({ ...pulse, peer: pulse.peer && { ...pulse.peer, ready: false } });
const withPeer = (pulse: Snapshot, changed: Partial<NonNullable<Snapshot['peer']>>): Snapshot => ({
  ...pulse,
  peer: pulse.peer && { ...pulse.peer, ...changed },
});
const oneWay = (pulse: Snapshot): Snapshot => ({
  ...pulse,
  links: pulse.links.map(link => ({ ...link, peerHearsUs: false })),
});
const silent = (pulse: Snapshot): Snapshot => ({ ...pulse, peer: pulse.peer && { ...pulse.peer, silent: true } });

for (const [title, seen, health, problem] of [
  ['an owner with a fit standby', [[0, owner()]], 'ok', undefined],
  ['a standby beside an owner', [[0, standby()]], 'ok', undefined],
  ['an owner whose standby is not ready', [[0, unready(owner())]], 'degraded', /r2 is not ready to take over/],
  [
    'an owner whose standby lacks a LAN',
    [[0, withPeer(owner(), { fitness: 1 })]],
    'degraded',
    /^r2 lacks a LAN of the VIPs/,
  ],
  [
    'an owner whose standby has no server',
    [[0, withPeer(owner(), { fitness: 2 })]],
    'degraded',
    /^r2 finds no real server/,
  ],
  ['neither has a healthy server', [[0, withPeer(owner({ fitness: 2 }), { fitness: 2 })]], 'ok', undefined],
  [
    'a standby beside an owner without servers',
    [[0, withPeer(standby(), { fitness: 2 })]],
    'degraded',
    /^r2 finds no real/,
  ],
  [
    'checks fail at the standby',
    [[0, withPeer(owner(), { failedChecks: 2 })]],
    'degraded',
    /^fitness checks fail on r2/,
  ],
  ['a standby of 0.3.0 says nothing of checks', [[0, withPeer(owner(), { failedChecks: null })]], 'ok', undefined],
  [
    'the standby does not hear the owner',
    [[0, oneWay(owner())]],
    'degraded',
    /^heartbeat link .* r2 does not hear r1 there/,
  ],
  ['a router that starts is not heard yet', [[0, oneWay(standby({ role: 'starting' }))]], 'ok', undefined],
  ['an owner whose standby is silent', [[0, silent(owner())]], 'degraded', /nobody to take over/],
  [
    'that standby is back',
    [
      [0, silent(owner())],
      [9_999, owner()],
    ],
    'ok',
    undefined,
  ],
  [
    'nobody serves, for a moment',
    [
      [0, standby()],
      [100, nobody()],
      [100 + 3 * D - 1, nobody()],
    ],
    'ok',
    undefined,
  ],
  [
    'nobody serves for 3 D',
    [
      [0, standby()],
      [100, nobody()],
      [100 + 3 * D, nobody()],
    ],
    'failed',
    /nobody serves/,
  ],
  [
    'nobody serves since the start',
    [
      [0, nobody()],
      [3 * D, nobody()],
    ],
    'failed',
    /nobody serves/,
  ],
  [
    'somebody serves again',
    [
      [0, nobody()],
      [3 * D, nobody()],
      [3 * D + 10, standby()],
    ],
    'ok',
    undefined,
  ],
  [
    'this router serves again',
    [
      [0, nobody()],
      [3 * D, nobody()],
      [3 * D + 10, unready(owner())],
    ],
    'degraded',
    /not ready/,
  ],
  [
    'the owner is silent, and its VIP with it',
    [
      [0, silent(standby({ vipCheck: null }))],
      [3 * D, silent(standby({ vipCheck: null }))],
    ],
    'failed',
    /nobody serves/,
  ],
  [
    'the heartbeats are lost, the VIP answers',
    [
      [0, silent(standby())],
      [9_999, silent(standby())],
    ],
    'degraded',
    /r2 is silent/,
  ],
  [
    'the VIP does not answer the standby',
    [[0, standby({ vipCheck: { answering: [], silent: ['192.0.2.100'] } })]],
    'failed',
    /192\.0\.2\.100 does not answer, although r2 says that it serves/,
  ],
  [
    'one of two VIPs does not answer the standby',
    [[0, standby({ vipCheck: { answering: ['192.0.2.101'], silent: ['192.0.2.100'] } })]],
    'failed',
    /192\.0\.2\.100 does not answer/,
  ],
  [
    'the VIP answers again',
    [
      [0, standby({ vipCheck: { answering: [], silent: ['192.0.2.100'] } })],
      [1, standby()],
    ],
    'ok',
    undefined,
  ],
  ['echoes never came through: nothing is concluded', [[0, standby({ vipCheck: null })]], 'ok', undefined],
  [
    'pulse does not answer',
    [
      [0, owner()],
      [1, null],
    ],
    'failed',
    /pulse does not answer/,
  ],
  [
    'vipd refused',
    [[0, owner({ vipdTrouble: 'vipd refused to hold the addresses: kernel' })]],
    'degraded',
    /r1: vipd refused to hold the addresses: kernel/,
  ],
] as const) {
  test(`${title}: ${health}`, t => {
    const report = after(seen);
    t.is(report.health, health, report.problems.join('; '));
    if (problem) t.regex(report.problems.join('; '), problem);
    else t.deepEqual(report.problems, []);
  });
}

test('without its rules an owner has failed, a standby has not: the other one serves', t => {
  t.is(after([[0, owner()]], false).health, 'failed');
  t.not(after([[0, standby()]], false).health, 'failed');
});

test('a config that pulse has not read, and what of it waits for a restart, are notices with their commands, and no faults', t => {
  const report = after([[0, standby({ runningDigest: 'ffffffffffffffff' })]]);
  t.is(report.health, 'ok');
  t.deepEqual(report.notices, ['pulse on r1 has not read this config yet: systemctl reload tandem-pulse']);
  const waits = after([[0, standby({ waiting: ['heartbeat.port', 'lans.clients'] })]]);
  t.is(waits.health, 'ok');
  const pending = after([[0, standby({ timesPending: true })]]);
  t.is(pending.health, 'ok');
  t.regex(pending.notices.join(), /of r1 come into force once r2 has heard of them/);
  t.regex(waits.notices.join(), /on r1 .* changed in heartbeat.port, lans.clients: systemctl restart tandem-pulse/);
  t.deepEqual(after([[0, standby()]]).notices, []);
  t.deepEqual(after([[0, standby({ runningDigest: null })]]).notices, [], 'a pulse of 0.3 does not tell');
});
