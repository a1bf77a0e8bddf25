// What each alert of conf/alerts.yaml is for: series that change for a while on one router or both of a healthy pair, and what fires
// then. Pure.
import { SYNC_COUNTERS } from '../../src/log/counters.ts';
import type { StatusReport } from '../../src/status/status-report.ts';
import { pulseSnapshot, serverReport, statusReport, syncReport } from '../status/fixture.ts';

/** `null`: the series goes. A list: its values, one each step; the last stays, when the fault is over, too. */
type Change = number | null | readonly number[];
/** `gone`: the router is not scraped any more. */
type Changes = Readonly<Record<string, Change>> | 'gone';

export interface AlertCase {
  readonly alert: string;
  /** What happens, where an alert has several cases. */
  readonly when?: string;
  readonly r1?: Changes;
  readonly r2?: Changes;
  /** The labels of what fires, without its severity; `job` is added where there is an `instance`. */
  readonly labels: readonly Readonly<Record<string, string>>[];
  /** What `$value` reads as in the summary, where it has one. */
  readonly value?: string;
  /** Further alerts that the fault causes. */
  readonly also?: readonly string[];
}

const NO_FAULTS: Partial<StatusReport> = {
  drains: [],
  hooks: statusReport().hooks.map(hook => ({ ...hook, failing: false })),
  kernel: { rulesIn: true, lastAuditAt: null, repairs: 0, refused: 0, errors: [], found: {} },
  fitness: [{ name: 'uplink', state: 'passing', reason: '', output: '', checkedAt: null, checkMs: 20 }],
};

/** Reports of a pair that lacks nothing; r1 serves. */
export function healthyReport(router: 'r1' | 'r2'): StatusReport {
  const isOwner = router === 'r1';
  const { peer, links } = pulseSnapshot();
  if (!peer) throw new Error('the fixture has no peer');
  const pulse = pulseSnapshot({
    ...(isOwner ? {} : { role: 'standby', serving: false, leaseArmed: false, leaseMargin: null }),
    failedChecks: 0,
    peer: { ...peer, serving: !isOwner, role: isOwner ? 'standby' : 'active' },
    links: links.map(link => ({ ...link, up: true, peerHearsUs: true, heardMsAgo: 40, rttMs: 0.25 })),
    counters: { lateLoops: 0 },
  });
  const { links: syncLinks, counters } = syncReport();
  const [service] = statusReport().services;
  if (!service) throw new Error('the fixture has no service');
  return statusReport({
    ...NO_FAULTS,
    pulse,
    services: [{ ...service, servers: ['ftp1', 'ftp2'].map(name => serverReport({ name })) }],
    sync: syncReport({
      role: isOwner ? 'source' : 'sink',
      links: syncLinks.map(link => ({ ...link, connected: true, rttMs: 0.5 })),
      counters: { ...counters, ...Object.fromEntries(Object.keys(SYNC_COUNTERS).map(name => [name, 0])) },
    }),
  });
}

const PAIR = [{ pair: 'ftp-pair' }];
const on = (router: 'r1' | 'r2', labels: Readonly<Record<string, string>> = {}) => [{ instance: router, ...labels }];
const FTP1 = { service: 'ftp', server: 'ftp1' };
const VIP = { address: '192.0.2.100', interface: 'eth0' };
const LINK = { link: 'client', interface: 'eth0' };
/** Of ftp1 and ftp2. */
const state = (server: string, name: string) => `tandem_server_state{service="ftp",server="${server}",state="${name}"}`;
const server = (metric: string, name = 'ftp1') => `tandem_${metric}{service="ftp",server="${name}"}`;
const link = (metric: string) => `tandem_link_${metric}{link="client",interface="eth0"}`;
const counting = (to: number) => Array.from({ length: to }, (_, index) => index + 1);

const OWNER_CASES: readonly AlertCase[] = [
  { alert: 'TandemNoOwner', r1: { tandem_serving: 0 }, labels: PAIR },
  {
    alert: 'TandemNoOwner',
    when: 'no pulse runs',
    r1: { tandem_serving: null, tandem_pulse_up: 0 },
    r2: { tandem_serving: null, tandem_pulse_up: 0 },
    labels: PAIR,
    also: ['TandemPulseGone', 'TandemPulseGone'],
  },
  { alert: 'TandemTwoOwners', r2: { tandem_serving: 1 }, labels: PAIR },
  {
    alert: 'TandemFlapping',
    r1: { 'tandem_role{role="active"}': [0, 1, 0, 1] },
    labels: on('r1', { role: 'active' }),
    value: '4',
  },
];

const PAIR_CASES: readonly AlertCase[] = [
  {
    alert: 'TandemFitnessCheckFails',
    r1: { 'tandem_fitness_check_state{check="uplink",state="failing"}': 1 },
    labels: on('r1', { check: 'uplink', state: 'failing' }),
  },
  {
    alert: 'TandemFitnessCheckNotJudged',
    r1: { 'tandem_fitness_check_state{check="uplink",state="unknown"}': 1 },
    labels: on('r1', { check: 'uplink', state: 'unknown' }),
  },
  { alert: 'TandemPeerSilent', r1: { tandem_peer_silent: 1 }, labels: on('r1') },
  { alert: 'TandemPeerSilent', when: 'it was never heard', r2: { tandem_peer_known: 0 }, labels: on('r2') },
  { alert: 'TandemLinkDown', r1: { [link('up')]: 0, [link('peer_hears_us')]: 0 }, labels: on('r1', LINK) },
  { alert: 'TandemHeartbeatAsymmetry', r1: { [link('peer_hears_us')]: 0 }, labels: on('r1', LINK) },
  { alert: 'TandemPeerNotReady', r1: { tandem_peer_ready: 0 }, labels: on('r1') },
  {
    alert: 'TandemConfigMismatch',
    r1: { tandem_peer_config_match: 0 },
    r2: { tandem_peer_config_match: 0 },
    labels: [...on('r1'), ...on('r2')],
  },
  {
    alert: 'TandemVersionsDiffer',
    r1: { 'tandem_build_info{version="0.1.0"}': null, 'tandem_build_info{version="0.2.0"}': 1 },
    labels: PAIR,
  },
  {
    alert: 'TandemProbesBlind',
    r2: { 'tandem_probe_blind{address="192.0.2.100",interface="eth0"}': 1 },
    labels: on('r2', VIP),
  },
  {
    alert: 'TandemLanDead',
    r1: { 'tandem_lan_dead{lan="client",interface="eth0"}': 1 },
    labels: on('r1', { lan: 'client', interface: 'eth0' }),
  },
  {
    alert: 'TandemTargetSilent',
    r1: { 'tandem_target_up{lan="client",address="192.0.2.1"}': 0 },
    labels: on('r1', { lan: 'client', address: '192.0.2.1' }),
  },
  { alert: 'TandemIsolated', r1: { tandem_isolated: 1 }, labels: on('r1') },
  { alert: 'TandemStandsDown', r1: { tandem_stands_down: 1 }, labels: on('r1') },
  { alert: 'TandemWitnessLost', r2: { tandem_witness_good: 0 }, labels: on('r2') },
  { alert: 'TandemPacketLeaseOff', r1: { tandem_packet_lease: 0 }, labels: on('r1') },
  {
    alert: 'TandemVipWithoutCarrier',
    r1: { 'tandem_vip_link_up{address="192.0.2.100",interface="eth0"}': 0 },
    labels: on('r1', VIP),
  },
];

const DAEMON_CASES: readonly AlertCase[] = [
  {
    alert: 'TandemVipNotHoldable',
    r2: { 'tandem_vip_holdable{address="192.0.2.100",interface="eth0"}': 0 },
    labels: on('r2', VIP),
  },
  { alert: 'TandemPulseGone', r2: { tandem_pulse_up: 0, tandem_serving: null }, labels: on('r2') },
  { alert: 'TandemDirectorGone', r2: 'gone', labels: PAIR, value: '1' },
  { alert: 'TandemAbsent', r1: 'gone', r2: 'gone', labels: [{}], also: ['TandemPairGone'] },
  { alert: 'TandemPairGone', r1: 'gone', r2: 'gone', labels: PAIR, also: ['TandemAbsent'] },
  {
    alert: 'TandemLoopLate',
    r1: { tandem_pulse_late_loops_total: counting(10) },
    labels: on('r1'),
    value: '10',
  },
  { alert: 'TandemLeaseMargin', r1: { tandem_lease_margin_ratio: 0.125 }, labels: on('r1'), value: '12.5%' },
  { alert: 'TandemRulesMissing', r2: { tandem_rules_in: 0 }, labels: on('r2') },
  { alert: 'TandemRepairs', r1: { tandem_repairs_total: 1 }, labels: on('r1') },
  {
    alert: 'TandemRepairsRepeat',
    r1: { tandem_repairs_total: [2, 4, 6, 8, 10, 12, 14, 16, 18, 20] },
    labels: on('r1'),
    also: ['TandemRepairs'],
  },
];

const SERVER_CASES: readonly AlertCase[] = [
  { alert: 'TandemServerDown', r1: { [state('ftp1', 'down')]: 1 }, labels: on('r1', { ...FTP1, state: 'down' }) },
  {
    alert: 'TandemServerMisconfigured',
    r1: { [state('ftp1', 'misconfigured')]: 1 },
    labels: on('r1', { ...FTP1, state: 'misconfigured' }),
  },
  { alert: 'TandemChecksDisagree', r1: { [server('server_checks_disagree')]: 1 }, labels: on('r1', FTP1) },
  {
    alert: 'TandemCertificateExpires',
    r1: { [server('server_certificate_days_left')]: 6.5 },
    labels: on('r1', FTP1),
    value: '6.5',
  },
  { alert: 'TandemServerSlow', r1: { [server('server_slow')]: 1 }, labels: on('r1', FTP1) },
  { alert: 'TandemDrainForgotten', r1: { [server('drain_left_seconds')]: 0 }, labels: on('r1', FTP1) },
  { alert: 'TandemHookFails', r1: { 'tandem_hook_failing{hook="oncall"}': 1 }, labels: on('r1', { hook: 'oncall' }) },
  { alert: 'TandemDrainNotShared', r1: { [server('drain_shared')]: 0 }, labels: on('r1', FTP1) },
  {
    alert: 'TandemVipPathFails',
    r2: { 'tandem_service_path_up{service="ftp"}': 0 },
    labels: on('r2', { service: 'ftp' }),
  },
  {
    alert: 'TandemNoServerUp',
    r1: { [server('server_up')]: 0, [server('server_up', 'ftp2')]: 0 },
    labels: on('r1', { service: 'ftp' }),
  },
];

const COLD = { phase: 'tandem_sync_phase{phase="streaming"}', warm: 'tandem_sync_warm' };
const loss = (counter: string): AlertCase => ({
  alert: 'TandemSyncLosses',
  when: counter,
  r1: { [counter]: counting(10) },
  labels: on('r1'),
});

const SYNC_CASES: readonly AlertCase[] = [
  { alert: 'TandemStandbyCold', when: 'this one is cold', r2: { [COLD.warm]: 0 }, labels: on('r2') },
  { alert: 'TandemStandbyCold', when: 'the peer says that it is cold', r1: { tandem_peer_warm: 0 }, labels: on('r1') },
  { alert: 'TandemSyncUnlinked', r2: { tandem_sync_links_up: 0 }, labels: on('r2') },
  { alert: 'TandemSyncLag', r1: { tandem_sync_lag_seconds: 2.5 }, labels: on('r1'), value: '2.5s' },
  loss('tandem_sync_lost_events_total'),
  loss('tandem_sync_ring_overflows_total'),
  loss('tandem_sync_inject_failures_total'),
  loss('tandem_sync_kernel_injection_dropped_total'),
  loss('tandem_sync_table_full_total'),
  {
    alert: 'TandemSyncGaps',
    r2: { tandem_sync_holes_total: counting(10).map(n => 3 * n) },
    labels: on('r2'),
    value: '30',
  },
  {
    alert: 'TandemSyncRefused',
    when: 'frames',
    r2: { tandem_sync_frames_refused_total: counting(10) },
    labels: on('r2'),
  },
  {
    alert: 'TandemSyncRefused',
    when: 'an unknown key',
    r2: { tandem_sync_link_refused_unknown_key_total: counting(10) },
    labels: on('r2'),
  },
  { alert: 'TandemStoreFailing', r1: { tandem_sync_store_problem: 1 }, labels: on('r1') },
  {
    alert: 'TandemStoreStale',
    r1: { tandem_sync_store_saved_timestamp_seconds: 0 },
    labels: on('r1'),
    value: '17m 0s',
  },
];

export const ALERT_CASES: readonly AlertCase[] = [
  ...OWNER_CASES,
  ...PAIR_CASES,
  ...DAEMON_CASES,
  ...SERVER_CASES,
  ...SYNC_CASES,
];
