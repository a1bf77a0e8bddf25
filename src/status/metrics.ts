// The metrics of a status report: names, help, types, labels and values, in Prometheus's
// conventions (base units, `_total` for counters, one series per state with 0 or 1).
// io/exposition.ts turns them into text. Pure.

import { STAGES } from '../config/check-stages.ts';
import { ROLES, type Snapshot } from '../feed/message.ts';
import { resyncProgress } from './resync-progress.ts';
import type { ServiceReport, StatusReport } from './status-report.ts';
import { STORE_TYPES, SYNC_PHASES, SYNC_ROLES, type SyncStatus } from './sync-status.ts';

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter';
  readonly samples: readonly Sample[];
}

const HEALTHS = ['ok', 'degraded', 'failed'] as const;
const SERVER_STATES = ['unknown', 'up', 'misconfigured', 'down', 'draining'] as const;
const FITNESS_STATES = ['unknown', 'passing', 'failing'] as const;
/**
 * A snapshot with more counters than this is cut: series must stay bounded whatever pulse sends.
 */
const COUNTERS_MAX = 200;

/** More links than a pair can have are cut, too. */
const LINKS_MAX = 16;

/**
 * All families of the report. What the report does not know (null) has no sample, never a made-up
 * zero.
 */
export function familiesOf(report: StatusReport): MetricFamily[] {
  return [
    ...overallFamilies(report),
    ...pulseFamilies(report),
    ...serviceFamilies(report),
    ...pathFamilies(report),
    ...drainFamilies(report),
    ...kernelFamilies(report),
    ...fitnessFamilies(report.fitness),
    ...hookFamilies(report.hooks),
    ...syncFamilies(report.sync),
  ];
}

/**
 * `heartbeatsSent`, `refused.bad-mac` → `tandem_pulse_heartbeats_sent_total`,
 * `tandem_pulse_refused_bad_mac_total`.
 */
export function counterName(name: string, part: 'pulse' | 'sync' = 'pulse'): string {
  const snake = name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .toLowerCase();
  return `tandem_${part}_${snake.replace(/_total$/, '')}_total`;
}

function overallFamilies(report: StatusReport): MetricFamily[] {
  return [
    gauge('tandem_build_info', 'Always 1; the version is in the label', [sample(1, { version: report.version })]),
    gauge('tandem_pair_info', 'Always 1; names the pair, to tell its routers from those of other pairs', [
      sample(1, { pair: report.pair }),
    ]),
    gauge('tandem_health', 'Overall health of this router: 1 for the current state', oneOf(HEALTHS, report.health)),
    gauge('tandem_problems', 'Problems that the status report names', [sample(report.problems.length)]),
    gauge('tandem_pulse_up', 'Whether pulse sends snapshots to the director', [sample(report.pulse !== null)]),
  ];
}

function pulseFamilies(report: StatusReport): MetricFamily[] {
  const { pulse } = report;
  if (!pulse) return [];
  return [
    ...roleFamilies(pulse),
    ...peerFamilies(pulse),
    ...linkFamilies(pulse),
    ...surroundingFamilies(pulse),
    ...counterFamilies(pulse.counters, 'pulse'),
  ];
}

function roleFamilies(pulse: Snapshot): MetricFamily[] {
  const roles = ROLES.map(role => sample(role === pulse.role, { role }));
  return [
    gauge('tandem_role', 'Role of this router: 1 for the current one', roles),
    gauge('tandem_role_since_seconds', 'Unix time of the last role change', timestamps(pulse.since)),
    gauge('tandem_epoch', 'Counter of the current or last known term of ownership', [sample(counterOf(pulse.epoch))]),
    gauge('tandem_serving', 'Whether vipd acknowledged the last renewal within the lease', [sample(pulse.serving)]),
    gauge('tandem_lease_armed', 'Whether the VIPs go away by themselves at lease end', [sample(pulse.leaseArmed)]),
    gauge(
      'tandem_lease_margin_ratio',
      'Lowest share of the lease that was left at a renewal lately; absent: not the owner',
      pulse.leaseMargin === null ? [] : [sample(pulse.leaseMargin)],
    ),
    gauge('tandem_hold', 'Whether an operator keeps this router from becoming active', [sample(pulse.hold.on)]),
    gauge('tandem_warm', 'Whether pulse takes this router for warm: by what its director last said, if that is young', [
      sample(pulse.warm),
    ]),
    gauge('tandem_fitness', 'Fitness of this router, as compared with the peer', [sample(pulse.fitness)]),
    gauge('tandem_failed_fitness_checks', 'Fitness checks by script that fail on this router, as pulse counts them', [
      sample(pulse.failedChecks),
    ]),
    gauge(
      'tandem_vip_held',
      'Whether this router holds the address',
      pulse.vips.map(vip => sample(vip.held, { address: vip.address, interface: vip.interface, kind: vip.kind })),
    ),
    gauge(
      'tandem_vip_holdable',
      'Whether this router could hold the address: its interface is there, takes its family, and the kernel has not refused it',
      pulse.vips.map(vip => sample(vip.obstacle === null, { address: vip.address, interface: vip.interface })),
    ),
    gauge(
      'tandem_vip_link_up',
      'Whether the interface of the address has carrier',
      pulse.vips.map(vip => sample(vip.linkUp, { address: vip.address, interface: vip.interface })),
    ),
  ];
}

/** LANs, targets, a third machine, the witness. */
function surroundingFamilies(pulse: Snapshot): MetricFamily[] {
  const { lans, witness } = pulse;
  const targets = lans.flatMap(({ lan, targets: on }) =>
    on.flatMap(({ address, up }) => (up === null ? [] : [sample(up, { lan, address })])),
  );
  return [
    gauge(
      'tandem_lan_dead',
      'Whether a LAN is dead on this router: no carrier, or no sign that both its directions work',
      lans.map(({ lan, interface: name, dead }) => sample(dead, { lan, interface: name })),
    ),
    gauge('tandem_target_up', 'Whether a reachability target answers', targets),
    gauge(
      'tandem_packet_lease',
      'Whether packets for the addresses get in only while the lease lives',
      pulse.packetLease === null ? [] : [sample(pulse.packetLease)],
    ),
    gauge(
      'tandem_probe_blind',
      'Whether the peer serves the address and answers no probe of it, so that its silence proves nothing',
      pulse.vips.map(({ address, interface: name }) =>
        sample(pulse.blindProbes.includes(address), { address, interface: name }),
      ),
    ),
    gauge('tandem_isolated', 'Whether this router hears neither its peer nor anybody else', [sample(pulse.isolated)]),
    gauge('tandem_stands_down', 'Whether the addresses are left to a third machine that claims them', [
      sample(pulse.foreign?.standsDown ?? false),
    ]),
    gauge(
      'tandem_witness_good',
      'Whether the witness has answered lately; absent: the pair has none',
      witness ? [sample(witness.good)] : [],
    ),
  ];
}

function peerFamilies(pulse: Snapshot): MetricFamily[] {
  const { peer } = pulse;
  if (!peer) return [gauge('tandem_peer_known', 'Whether a heartbeat of the peer was ever heard', [sample(0)])];
  const sameConfig = peer.configDigest === pulse.configDigest;
  const roles = ROLES.map(role => sample(role === peer.role, { role }));
  return [
    gauge('tandem_peer_known', 'Whether a heartbeat of the peer was ever heard', [sample(1)]),
    gauge('tandem_peer_role', "The peer's role as last heard: 1 for the current one", roles),
    gauge('tandem_peer_serving', 'Whether the peer is heard and says that it serves', [
      sample(peer.serving && !peer.silent),
    ]),
    gauge('tandem_peer_silent', 'Whether the peer has been silent for more than twice the dead time', [
      sample(peer.silent),
    ]),
    gauge('tandem_peer_heard_seconds', 'Time since the last valid heartbeat', [sample(peer.heardMsAgo / 1_000)]),
    gauge('tandem_peer_fitness', 'Fitness of the peer', [sample(peer.fitness)]),
    gauge('tandem_peer_ready', 'Whether the peer says that it can take over', [sample(peer.ready)]),
    gauge('tandem_peer_warm', "Whether the peer says that its tables hold what the owner's hold", [sample(peer.warm)]),
    gauge('tandem_peer_config_match', 'Whether both routers run the same config', [sample(sameConfig)]),
  ];
}

function linkFamilies(pulse: Snapshot): MetricFamily[] {
  const each = (value: (link: Snapshot['links'][number]) => number | boolean | null): Sample[] =>
    pulse.links.flatMap(link => {
      const known = value(link);
      return known === null ? [] : [sample(known, { link: link.lan, interface: link.interface })];
    });
  const seconds = (milliseconds: number | null) => (milliseconds === null ? null : milliseconds / 1_000);
  return [
    gauge(
      'tandem_link_up',
      'Whether heartbeats come in on the link',
      each(link => link.up),
    ),
    gauge(
      'tandem_link_peer_hears_us',
      'Whether the peer says that it hears us on it',
      each(link => link.peerHearsUs),
    ),
    gauge(
      'tandem_link_heard_seconds',
      'Time since a valid heartbeat on the link',
      each(link => seconds(link.heardMsAgo)),
    ),
    gauge(
      'tandem_heartbeat_rtt_seconds',
      'Round-trip time of the last heartbeat exchange',
      each(link => seconds(link.rttMs)),
    ),
    counter(
      'tandem_heartbeats_received_total',
      'Valid heartbeats received on the link',
      each(link => link.received),
    ),
    counter(
      'tandem_heartbeats_refused_total',
      'Datagrams refused on the link',
      each(link => link.refused),
    ),
  ];
}

function counterFamilies(counters: Readonly<Record<string, number>>, part: 'pulse' | 'sync'): MetricFamily[] {
  const families = new Map<string, MetricFamily>();
  for (const [name, value] of Object.entries(counters).slice(0, COUNTERS_MAX)) {
    const metric = counterName(name, part);
    // Two spellings of one name would make the exposition invalid; the first one stands.
    if (value >= 0 && !families.has(metric)) {
      families.set(
        metric,
        counter(metric, `Counter ${name} of ${part}, explained in docs/reference/EVENTS.md`, [sample(value)]),
      );
    }
  }
  return [...families.values()];
}

function serviceFamilies(report: StatusReport): MetricFamily[] {
  const servers = report.services.flatMap(service =>
    service.servers.map(server => ({ server, labels: { service: service.name, server: server.name } })),
  );
  const each = (value: (server: (typeof servers)[number]['server']) => number | boolean | null): Sample[] =>
    servers.flatMap(({ server, labels }) => {
      const known = value(server);
      return known === null ? [] : [sample(known, labels)];
    });
  const states = servers.flatMap(({ server, labels }) => oneOf(SERVER_STATES, server.state, labels));
  const connections = servers.flatMap(({ server, labels }) => [
    sample(server.activeConnections, { ...labels, state: 'active' }),
    sample(server.inactiveConnections, { ...labels, state: 'inactive' }),
  ]);
  const inKernel = report.services.map(service => sample(service.inKernel, { service: service.name }));
  const checked = servers.flatMap(({ server, labels }) => timestamps(server.checkedAt, labels));
  return [
    gauge('tandem_service_in_kernel', 'Whether IPVS has the service', inKernel),
    gauge(
      'tandem_server_up',
      'Whether the real server passes its checks',
      each(server => server.state === 'up'),
    ),
    gauge('tandem_server_state', 'State of the real server: 1 for the current one', states),
    gauge(
      'tandem_server_check_seconds',
      'Length of the last check',
      each(server => (server.checkMs === null ? null : server.checkMs / 1_000)),
    ),
    gauge(
      'tandem_server_stage_seconds',
      'Length of each stage of the last check',
      servers.flatMap(({ server, labels }) =>
        STAGES.flatMap(stage => {
          const took = server.stagesMs[stage];
          return took === undefined ? [] : [sample(took / 1_000, { ...labels, stage })];
        }),
      ),
    ),
    gauge(
      'tandem_server_slow',
      'Whether checks of the real server pass, but take longer than check.slow_warn',
      each(server => server.slow),
    ),
    gauge(
      'tandem_server_certificate_days_left',
      "Days until the real server's certificate ends, negative since it has ended; absent: the last check saw none",
      each(server => server.certificateDaysLeft),
    ),
    gauge('tandem_server_checked_timestamp_seconds', 'Unix time of the last check', checked),
    gauge(
      'tandem_server_weight',
      'Weight of the server in the kernel; absent: not in the kernel',
      each(server => server.kernelWeight),
    ),
    gauge('tandem_server_connections', "Connections in the kernel's table", connections),
  ];
}

/** What operators drain. */
function drainFamilies({ services, drains }: StatusReport): MetricFamily[] {
  const drained = services.flatMap(service =>
    service.servers.map(server => sample(server.drained, { service: service.name, server: server.name })),
  );
  const each = (value: (drain: StatusReport['drains'][number]) => number | boolean | null): Sample[] =>
    drains.flatMap(drain => {
      const known = value(drain);
      return known === null ? [] : [sample(known, { service: drain.service, server: drain.server })];
    });
  return [
    gauge('tandem_server_drained', 'Whether an operator drains the real server', drained),
    gauge(
      'tandem_drain_left_seconds',
      'Time that the sessions of a drained server still have; absent: it is not drained',
      each(({ leftMs }) => leftMs / 1_000),
    ),
    gauge(
      'tandem_drain_sessions',
      'Open control connections of a drained server; absent: it is not drained, or they are not counted',
      each(({ sessions }) => sessions),
    ),
    gauge(
      'tandem_drain_transfers',
      'Open data connections of a drained server; absent: it is not drained, or they are not counted',
      each(({ transfers }) => transfers),
    ),
    gauge(
      'tandem_drain_shared',
      'Whether the other router is known to drain the server, too; absent: it is not drained',
      each(({ shared }) => shared),
    ),
  ];
}

/** What the other router says of the servers, and what is met by way of the VIPs. */
function pathFamilies(report: StatusReport): MetricFamily[] {
  const servers = report.services.flatMap(service =>
    service.servers.map(server => ({ server, labels: { service: service.name, server: server.name } })),
  );
  return [
    gauge(
      'tandem_server_checks_disagree',
      'Whether the nannies of the two routers say different things of the real server',
      servers.map(({ server, labels }) => sample(server.disagrees, labels)),
    ),
    gauge(
      'tandem_server_vip_up',
      'Whether the check of the VIP on the real server, by way of it (DR, TUN), passes; absent: it is not made here',
      servers.flatMap(({ server, labels }) => passes(server.vipCheck, labels)),
    ),
    gauge(
      'tandem_service_path_up',
      'Whether the check through the VIP, from the standby, passes; absent: it is not made here',
      report.services.flatMap(({ name, path }) => passes(path, { service: name })),
    ),
  ];
}

function passes(path: ServiceReport['path'], labels: Readonly<Record<string, string>>): Sample[] {
  const isMade = path !== null && path.state !== 'not-checked' && path.state !== 'unknown';
  return isMade ? [sample(path.state === 'up', labels)] : [];
}

function kernelFamilies(report: StatusReport): MetricFamily[] {
  const { kernel } = report;
  return [
    gauge('tandem_rules_in', 'Whether the kernel has all rules', [sample(kernel.rulesIn)]),
    counter('tandem_repairs_total', 'Changes by others that the director put right', [sample(kernel.repairs)]),
    counter('tandem_refused_packets_total', 'Packets refused because of the interface they came by', [
      sample(kernel.refused),
    ]),
    gauge('tandem_kernel_errors', 'Changes that the last apply could not make', [sample(kernel.errors.length)]),
    gauge('tandem_audit_timestamp_seconds', 'Unix time of the last audit', timestamps(kernel.lastAuditAt)),
  ];
}

function fitnessFamilies(checks: StatusReport['fitness']): MetricFamily[] {
  return [
    gauge(
      'tandem_fitness_check_state',
      'State of each fitness check by script: 1 for the current one',
      checks.flatMap(({ name, state }) => oneOf(FITNESS_STATES, state, { check: name })),
    ),
    gauge(
      'tandem_fitness_check_duration_seconds',
      'Length of the last run of a fitness check',
      checks.flatMap(({ name, checkMs }) => (checkMs === null ? [] : [sample(checkMs / 1_000, { check: name })])),
    ),
  ];
}

function hookFamilies(hooks: StatusReport['hooks']): MetricFamily[] {
  const each = (value: (hook: StatusReport['hooks'][number]) => number | boolean) =>
    hooks.map(hook => sample(value(hook), { hook: hook.name }));
  return [
    gauge(
      'tandem_hook_failing',
      'Whether the last message of a hook was given up and none has got through since',
      each(hook => hook.failing),
    ),
    gauge(
      'tandem_hook_waiting',
      'Messages of a hook that wait, with the one that is being tried',
      each(hook => hook.waiting),
    ),
    counter(
      'tandem_hook_sent_total',
      'Messages of a hook that got through since the start of the director',
      each(hook => hook.sent),
    ),
    counter(
      'tandem_hook_lost_total',
      'Messages of a hook that were given up after all tries',
      each(hook => hook.lost),
    ),
    counter(
      'tandem_hook_dropped_total',
      'Messages of a hook that had to go since too many waited',
      each(hook => hook.dropped),
    ),
  ];
}

function syncFamilies(sync: SyncStatus): MetricFamily[] {
  const links = sync.links.slice(0, LINKS_MAX);
  const phases = SYNC_PHASES.map(phase => sample(phase === sync.phase, { phase }));
  const roles = SYNC_ROLES.map(role => sample(role === sync.role, { role }));
  const rtts = links.flatMap(({ lan, rttMs }) => (rttMs === null ? [] : [sample(rttMs / 1_000, { link: lan })]));
  return [
    gauge('tandem_sync_warm', "Whether the tables here hold what the owner's hold", [sample(sync.warm)]),
    gauge('tandem_sync_phase', 'Phase of the sync: 1 for the current one', phases),
    gauge('tandem_sync_role', 'What this router is in the sync: 1 for the current role', roles),
    gauge(
      'tandem_sync_link_up',
      "Whether the link to the peer's director is connected",
      links.map(link => sample(link.connected, { link: link.lan })),
    ),
    gauge('tandem_sync_links_up', "Connected links to the peer's director", [
      sample(links.filter(link => link.connected).length),
    ]),
    gauge('tandem_sync_rtt_seconds', 'Round-trip time of the last exchange on the link', rtts),
    gauge('tandem_sync_lag_seconds', 'Age of the oldest entry that the peer has not acknowledged', [
      sample(sync.lagMs / 1_000),
    ]),
    gauge('tandem_sync_unacknowledged', 'Entries that the peer has not acknowledged', [sample(sync.unacknowledged)]),
    gauge('tandem_sync_templates', 'Persistence templates known to the sync', [sample(sync.templates)]),
    gauge('tandem_sync_connections', 'Connections known to the sync', [sample(sync.connections)]),
    gauge('tandem_sync_problems', 'Problems that the sync itself names', [sample(sync.problems.length)]),
    ...resyncFamilies(sync),
    ...storeFamilies(sync.store),
    ...counterFamilies(sync.counters, 'sync'),
  ];
}

function resyncFamilies(sync: SyncStatus): MetricFamily[] {
  const { resync } = sync;
  if (!resync) return [];
  const progress = resyncProgress(sync);
  const took = resync.endedAt === null ? Number.NaN : Date.parse(resync.endedAt) - Date.parse(resync.startedAt);
  return [
    gauge('tandem_sync_resync_running', 'Whether a full resync is under way', [sample(progress !== undefined)]),
    gauge('tandem_sync_resync_progress_ratio', 'Share of the resync that has been sent', [sample(progress ?? 1)]),
    gauge(
      'tandem_sync_resync_started_timestamp_seconds',
      'Unix time at which the last resync began',
      timestamps(resync.startedAt),
    ),
    gauge(
      'tandem_sync_resync_seconds',
      'Length of the last full resync',
      Number.isNaN(took) ? [] : [sample(took / 1_000)],
    ),
    gauge('tandem_sync_resync_entries', 'Entries of the last full resync', [sample(resync.entries)]),
    gauge('tandem_sync_resync_repaired', 'Entries of the last full resync that had to be sent again', [
      sample(resync.repaired),
    ]),
  ];
}

function storeFamilies(store: SyncStatus['store']): MetricFamily[] {
  const types = STORE_TYPES.map(type => sample(type === store.type, { type }));
  const entries = [sample(store.templates, { kind: 'template' }), sample(store.connections, { kind: 'connection' })];
  return [
    gauge('tandem_sync_store', 'Where snapshots of the tables are kept: 1 for the type in use', types),
    gauge(
      'tandem_sync_store_saved_timestamp_seconds',
      'Unix time of the newest snapshot in the store',
      timestamps(store.savedAt),
    ),
    gauge('tandem_sync_store_entries', 'Entries of the newest snapshot in the store', entries),
    gauge('tandem_sync_store_problem', 'Whether the last attempt to save or read failed', [
      sample(store.problem !== ''),
    ]),
    gauge(
      'tandem_sync_store_restored_entries',
      'Entries brought back from the store when this director started',
      store.restored === null ? [] : [sample(store.restored)],
    ),
  ];
}

function gauge(name: string, help: string, samples: readonly Sample[]): MetricFamily {
  return { name, help, type: 'gauge', samples };
}

function counter(name: string, help: string, samples: readonly Sample[]): MetricFamily {
  return { name, help, type: 'counter', samples };
}

function sample(value: number | boolean, labels: Readonly<Record<string, string>> = {}): Sample {
  return { labels, value: Number(value) };
}

function oneOf(
  states: readonly string[],
  current: string,
  labels: Readonly<Record<string, string>> = {},
): readonly Sample[] {
  return states.map(state => sample(state === current, { ...labels, state }));
}

/** Unix seconds of an ISO 8601 time; none when unknown or unreadable. */
function timestamps(iso: string | null, labels: Readonly<Record<string, string>> = {}): Sample[] {
  const at = iso === null ? Number.NaN : Date.parse(iso);
  return Number.isNaN(at) ? [] : [sample(at / 1_000, labels)];
}

/** The counter of an epoch written "counter.node". */
function counterOf(epoch: string): number {
  const value = Number.parseInt(epoch, 10);
  return Number.isNaN(value) ? 0 : value;
}
