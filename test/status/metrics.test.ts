// Metrics as Prometheus reads them: the text is parsed by its grammar, the values are those of the report.
import test from 'ava';
import { createExposition } from '../../src/status/io/exposition.ts';
import { counterName } from '../../src/status/metrics.ts';
import type { StatusReport } from '../../src/status/status-report.ts';
import { pulseSnapshot, statusReport, syncReport } from './fixture.ts';

interface Parsed {
  readonly types: Map<string, string>;
  readonly values: Map<string, number>;
}

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*",?)*)\})? (\S+)$/;

/** The exposition format 0.0.4, strictly: HELP and TYPE once and before the samples, no series twice, numbers only. */
function parse(text: string): Parsed {
  const types = new Map<string, string>();
  const values = new Map<string, number>();
  for (const line of text.split('\n').filter(candidate => candidate !== '')) {
    const type = /^# TYPE (\S+) (gauge|counter|histogram|summary)$/.exec(line);
    if (type) {
      if (types.has(String(type[1]))) throw new Error(`TYPE twice: ${line}`);
      types.set(String(type[1]), String(type[2]));
      continue;
    }
    if (line.startsWith('# HELP ')) continue;
    const sample = SAMPLE.exec(line);
    if (!sample) throw new Error(`not a sample: ${line}`);
    const name = String(sample[1]);
    const family = types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
    if (!types.has(family)) throw new Error(`sample before its TYPE: ${line}`);
    const series = sample[2] ? `${name}{${sample[2]}}` : name;
    if (values.has(series)) throw new Error(`series twice: ${series}`);
    if (Number.isNaN(Number(sample[3])) && !/^nan$/i.test(String(sample[3]))) throw new Error(`no number: ${line}`);
    values.set(series, Number(sample[3]));
  }
  return { types, values };
}

const exposition = createExposition();
const render = async (report: StatusReport) => parse(await exposition.render(report));

test('the values of a report come out under conventional names and in base units', async t => {
  const { values } = await render(statusReport());
  const expected: Record<string, number> = {
    'tandem_build_info{version="0.1.0"}': 1,
    'tandem_health{state="ok"}': 1,
    'tandem_health{state="failed"}': 0,
    'tandem_role{role="active"}': 1,
    'tandem_role{role="standby"}': 0,
    'tandem_vip_held{address="192.0.2.100",interface="eth0",kind="vip"}': 1,
    'tandem_probe_blind{address="192.0.2.100",interface="eth0"}': 0,
    tandem_epoch: 12,
    tandem_failed_fitness_checks: 1,
    'tandem_fitness_check_state{check="uplink",state="failing"}': 1,
    'tandem_fitness_check_state{check="uplink",state="passing"}': 0,
    'tandem_fitness_check_duration_seconds{check="uplink"}': 1.25,
    'tandem_hook_failing{hook="oncall"}': 1,
    'tandem_hook_waiting{hook="oncall"}': 3,
    'tandem_hook_sent_total{hook="oncall"}': 7,
    'tandem_hook_lost_total{hook="oncall"}': 2,
    'tandem_hook_dropped_total{hook="oncall"}': 4,
    tandem_lease_armed: 1,
    tandem_lease_margin_ratio: 0.54,
    tandem_pulse_up: 1,
    tandem_peer_heard_seconds: 0.04,
    tandem_peer_config_match: 1,
    'tandem_heartbeat_rtt_seconds{link="client",interface="eth0"}': 0.00025,
    'tandem_link_up{link="client",interface="eth0"}': 1,
    'tandem_link_up{link="pair",interface="eth1"}': 0,
    'tandem_heartbeats_refused_total{link="client",interface="eth0"}': 2,
    'tandem_server_up{service="ftp",server="ftp1"}': 1,
    'tandem_server_up{service="ftp",server="ftp2"}': 0,
    'tandem_server_check_seconds{service="ftp",server="ftp1"}': 0.0125,
    'tandem_server_stage_seconds{service="ftp",server="ftp1",stage="login"}': 0.01,
    'tandem_service_path_up{service="ftp"}': 1,
    'tandem_server_slow{service="ftp",server="ftp1"}': 0,
    'tandem_server_checks_disagree{service="ftp",server="ftp1"}': 0,
    'tandem_server_certificate_days_left{service="ftp",server="ftp1"}': 41.5,
    'tandem_server_connections{service="ftp",server="ftp1",state="active"}': 4,
    'tandem_server_drained{service="ftp",server="ftp2"}': 0,
    'tandem_drain_left_seconds{service="ftp",server="ftp1"}': 82_800,
    'tandem_drain_sessions{service="ftp",server="ftp1"}': 3,
    'tandem_drain_transfers{service="ftp",server="ftp1"}': 1,
    'tandem_drain_shared{service="ftp",server="ftp1"}': 1,
    tandem_rules_in: 1,
    tandem_repairs_total: 2,
    tandem_refused_packets_total: 3,
    tandem_pulse_heartbeats_sent_total: 100,
    tandem_pulse_refused_bad_mac_total: 2,
    'tandem_pair_info{pair="ftp-pair"}': 1,
    tandem_warm: 1,
    tandem_peer_warm: 1,
    tandem_sync_warm: 1,
    'tandem_sync_phase{phase="streaming"}': 1,
    'tandem_sync_phase{phase="resync"}': 0,
    'tandem_sync_role{role="source"}': 1,
    'tandem_sync_link_up{link="pair"}': 0,
    'tandem_sync_rtt_seconds{link="client"}': 0.0005,
    tandem_sync_links_up: 1,
    tandem_sync_lag_seconds: 0.012,
    tandem_sync_unacknowledged: 3,
    tandem_sync_templates: 12,
    tandem_sync_connections: 34,
    tandem_sync_resync_running: 0,
    tandem_sync_resync_progress_ratio: 1,
    tandem_sync_resync_seconds: 1.5,
    tandem_sync_resync_entries: 46,
    tandem_sync_resync_repaired: 2,
    tandem_sync_holes_total: 7,
    tandem_sync_kernel_injection_dropped_total: 0,
    'tandem_sync_store{type="file"}': 1,
    tandem_sync_store_saved_timestamp_seconds: Date.parse('2026-11-22T10:00:00Z') / 1_000,
    'tandem_sync_store_entries{kind="connection"}': 30,
    tandem_sync_store_problem: 0,
    tandem_sync_store_restored_entries: 40,
    tandem_role_since_seconds: Date.parse('2026-11-22T10:00:00Z') / 1_000,
  };
  for (const [series, value] of Object.entries(expected)) t.is(values.get(series), value, series);
});

test('what is not known has no series instead of a made-up zero', async t => {
  const { values } = await render(statusReport());
  t.false(values.has('tandem_heartbeat_rtt_seconds{link="pair",interface="eth1"}'));
  t.false(values.has('tandem_server_check_seconds{service="ftp",server="ftp2"}'));
  t.false(values.has('tandem_server_weight{service="ftp",server="ftp2"}'));
});

test('without pulse there is tandem_pulse_up 0 and no role', async t => {
  const { values } = await render(statusReport({ pulse: null }));
  t.is(values.get('tandem_pulse_up'), 0);
  t.false([...values.keys()].some(series => series.startsWith('tandem_role')));
});

test('every counter of ours ends in _total and nothing else does; the process metrics are there', async t => {
  const { types, values } = await render(statusReport());
  for (const [name, type] of types)
    if (name.startsWith('tandem_')) t.is(name.endsWith('_total'), type === 'counter', name);
  t.true((values.get('process_resident_memory_bytes') ?? 0) > 1_000_000);
  t.true(types.has('nodejs_eventloop_lag_seconds'));
});

test('a hostile number of counters is cut', async t => {
  const counters = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`made-up-${n}`, n]));
  const { types } = await render(statusReport({ pulse: pulseSnapshot({ counters }) }));
  t.is([...types.keys()].filter(name => name.startsWith('tandem_pulse_made_up')).length, 200);
});

test('a resync under way shows its progress and no length, a store that failed is a problem', async t => {
  const { resync, store } = syncReport();
  const running = { ...(resync as NonNullable<typeof resync>), endedAt: null, entries: 200, sent: 90 };
  const failing = { ...store, savedAt: null, problem: 'no space left on device', restored: null };
  const { values } = await render(statusReport({ sync: syncReport({ resync: running, store: failing }) }));
  t.is(values.get('tandem_sync_resync_running'), 1);
  t.is(values.get('tandem_sync_resync_progress_ratio'), 0.45);
  t.false(values.has('tandem_sync_resync_seconds'));
  t.is(values.get('tandem_sync_store_problem'), 1);
  t.false(values.has('tandem_sync_store_saved_timestamp_seconds'));
  t.false(values.has('tandem_sync_store_restored_entries'));
});

test('a sync that never ran has no series of a resync; its links and counters are cut', async t => {
  const counters = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`made-up-${n}`, n]));
  const links = Array.from({ length: 500 }, (_, n) => ({ lan: `lan${n}`, connected: true, rttMs: null }));
  const { values, types } = await render(statusReport({ sync: syncReport({ resync: null, counters, links }) }));
  t.false([...values.keys()].some(series => series.startsWith('tandem_sync_resync')));
  t.is([...types.keys()].filter(name => name.startsWith('tandem_sync_made_up')).length, 200);
  t.is([...values.keys()].filter(series => series.startsWith('tandem_sync_link_up')).length, 16);
});

test('a server that is gone from the report is gone from the next scrape', async t => {
  await render(statusReport());
  const { values } = await render(statusReport({ services: [], drains: [] }));
  t.false([...values.keys()].some(series => series.includes('ftp1')));
});

test('names of counters become metric names', t => {
  t.is(counterName('heartbeatsSent'), 'tandem_pulse_heartbeats_sent_total');
  t.is(counterName('refused.bad-mac'), 'tandem_pulse_refused_bad_mac_total');
  t.is(counterName('eventsLost', 'sync'), 'tandem_sync_events_lost_total');
  t.is(counterName('late_loops_total'), 'tandem_pulse_late_loops_total');
});
