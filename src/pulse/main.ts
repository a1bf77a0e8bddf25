// Starts pulse: reads config, key and state, opens the sockets, runs vipd and the loop until a
// signal ends it. Everything that can block happens here, before the first heartbeat.
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { pulseDigest, restartParts } from '../config/digest.ts';
import { loadKeys } from '../config/io/key.ts';
import { loadConfig } from '../config/io/load.ts';
import { type NodeView, nodeView } from '../config/node.ts';
import type { Config } from '../config/schema.ts';
import { CONTROL_SOCKET, JOURNAL_SOCKET, STATE_FILE } from '../feed/files.ts';
import { RecentEvents } from '../feed/recent-events.ts';
import { lanInterfaces } from '../firewall/interfaces.ts';
import { createLog, type Log } from '../log/log.ts';
import type { LogEntry } from '../log/log-line.ts';
import type { At } from '../units/duration.ts';
import { EPOCH_BLOCK } from '../units/epoch.ts';
import { kernelBootId, monotonicNow } from '../units/io/clocks.ts';
import { ownFile } from '../units/io/own-files.ts';
import { packageVersion } from '../units/io/version.ts';
import { startVipd, type Vipd } from '../vip/io/vipd.ts';
import { witnessKey } from '../witness/script.ts';
import type { WitnessAnswer } from '../witness/witness.ts';
import type { Machine, Settings } from './election/machine.ts';
import { newMachine } from './election/start.ts';
import { pairIdOf } from './heartbeat.ts';
import { withBridgePort } from './io/bridge-port.ts';
import { openReload, type Reload } from './io/config-reader.ts';
import { serveControl } from './io/control-socket.ts';
import { serveFeed } from './io/feed.ts';
import { type HeartbeatSockets, openHeartbeatSockets } from './io/heartbeat-sockets.ts';
import { serveJournal } from './io/journal-socket.ts';
import { openPacketLease, type PacketLease } from './io/packet-lease.ts';
import { takeRealTimeClass } from './io/realtime.ts';
import { beginWith, type PulseState, readState, type StateFile, stateFile } from './io/state-file.ts';
import { startWitness, type Witness } from './io/witness-process.ts';
import { createLoop, type Loop } from './loop.ts';
import { rehearse } from './rehearsal.ts';
import { recalledHold, savedHold } from './saved-hold.ts';
import { reloadableOf, settingsOf } from './settings.ts';

interface PulseOptions {
  readonly configFile: string;
  readonly node: string;
  readonly runDir: string;
  readonly stateDir: string;
  /** Run in the real-time class, where the kernel allows it. */
  readonly realtime: boolean;
}

/**
 * vipd beside the compiled program; TANDEM_VIPD names another build (the tests run one with
 * sanitizers).
 */
const VIPD = process.env.TANDEM_VIPD ?? ownFile('dist/vipd');
const PACKET_LEASE_TRIAL = ownFile('dist/packet-lease-trial');
const STATE_FLUSH_MS = 500;

/**
 * Runs until SIGTERM or SIGINT; resolves when everything is closed. Throws before the start when
 * something is missing.
 */
export async function runPulse(options: PulseOptions): Promise<void> {
  const loaded = loadConfig(options.configFile);
  if (!loaded.ok) throw new Error(`${options.configFile} has mistakes; see: tandem check ${options.configFile}`);
  const { config, digest } = loaded;
  const view = nodeView(config, options.node);
  const keys = loadKeys(config.heartbeat.key_file);
  mkdirSync(options.runDir, { recursive: true, mode: 0o755 });
  const bootId = randomBytes(8).toString('hex');
  const recent = new RecentEvents(bootId);
  const onEntry = (entry: LogEntry) => recent.add(entry, monotonicNow());
  const log = createLog({ process: 'pulse', node: options.node, onEntry });
  const refused = options.realtime ? takeRealTimeClass() : undefined;
  if (refused !== undefined) log.event('REALTIME_REFUSED', { problem: refused });
  const { state, hold } = recall(join(options.stateDir, STATE_FILE), log);
  const settings = settingsOf(config, view, digest, bootId);
  log.event('PULSE_STARTED', {
    version: packageVersion(),
    peer: view.peer,
    intervalMs: settings.intervalMs,
    leaseMs: settings.leaseMs,
    deadMs: settings.deadMs,
    bootId: settings.bootId,
  });
  // Compiled once, a takeover's code must still be so after months of standing by: V8 throws away
  // what has long not run.
  setFlagsFromString('--no-flush-bytecode');
  rehearse(settings, { pairId: pairIdOf(config.pair), key: keys.sign });
  try {
    await serve({ options, config, view, keys, log, recent, state, hold, settings });
    log.event('PULSE_STOPPED', { reason: 'told to' });
  } finally {
    await log.close();
  }
}

interface Prepared {
  readonly options: PulseOptions;
  readonly config: Config;
  readonly view: NodeView;
  readonly keys: ReturnType<typeof loadKeys>;
  readonly log: Log;
  readonly recent: RecentEvents;
  readonly state: PulseState;
  readonly hold: Machine['hold'];
  readonly settings: Settings;
}

async function serve(prepared: Prepared): Promise<void> {
  const statePath = join(prepared.options.stateDir, STATE_FILE);
  const file = stateFile(statePath, problem => prepared.log.event('STATE_UNWRITABLE', { path: statePath, problem }));
  const closers: (() => void)[] = [];
  const late: (() => Promise<void>)[] = [];
  try {
    await open(prepared, file, closers, late);
  } finally {
    for (const close of closers.reverse()) close();
    for (const close of late) await close();
    await file.flush(STATE_FLUSH_MS);
  }
}

/**
 * Opens everything and runs until the election says exit. What is opened goes to `closers`, in
 * order; `late` is closed after those.
 */
async function open(
  prepared: Prepared,
  file: StateFile,
  closers: (() => void)[],
  late: (() => Promise<void>)[],
): Promise<void> {
  const { options, config, view, keys, log, recent, state } = prepared;
  // The sockets come first: while another pulse answers there, a second vipd must not touch its
  // addresses.
  const feed = await serveFeed(options.runDir);
  closers.push(feed.close);
  const reserved = await reserve(file, state);
  // Before the machine begins to listen and count.
  const gate = await packetLeaseOf(prepared);
  late.push(() => gate.close());
  let ended = () => {};
  const end = new Promise<void>(resolve => {
    ended = resolve;
  });
  const machine = machineOf(prepared, reserved, monotonicNow());
  const watchdogMs = process.env.WATCHDOG_USEC ? Number(process.env.WATCHDOG_USEC) / 1000 : undefined;
  const { decisions } = state;
  const reload = openReloads(prepared, {
    onNext: next => loop.dispatch({ type: 'reload', next }),
    onKeys: (read, isDry) => loop.useKeys(read, isDry),
  });
  closers.push(() => reload.close());
  const loop = createLoop({
    config,
    view,
    program: packageVersion(),
    keys,
    machine,
    decisions,
    log,
    state: file,
    kernelBoot: kernelBootId(),
    feed,
    watchdogMs,
    askWitness: ask => witness?.ask(ask),
    packetLease: () => gate.inForce,
    recentEvents: now => recent.at(now),
    running: () => reload.running(),
    retimePacketLease: (id, leaseMs) => void gate.retime(leaseMs).then(() => loop.dispatch({ type: 'gated', id })),
    onExit: ended,
  });
  const witness = openWitness(prepared, answer => loop.dispatch({ type: 'witness', answer }));
  closers.push(() => witness?.close());
  const control = await serveControl(join(options.runDir, CONTROL_SOCKET), request => {
    if (request.command === 'reload') return reload.ask(request.dryRun);
    return request.command === 'keys' ? reload.askKeys() : loop.obey(request);
  });
  closers.push(control.close);
  const journal = await serveJournal(join(options.runDir, JOURNAL_SOCKET), {
    lines: () => loop.journal(),
    onSent: whole => loop.journalGiven(whole),
  });
  closers.push(journal.close);
  const links = openHeartbeatSockets({
    links: view.links,
    port: config.heartbeat.port,
    onDatagram: (link, bytes, from) => loop.onDatagram(link, bytes, from),
    onBound: (link, problem) => loop.dispatch({ type: 'bound', link, problem }),
    onTrouble: (index, problem) => log.event('LINK_ERROR', { link: view.links[index]?.lan ?? String(index), problem }),
  });
  closers.push(links.close);
  const vipd = openVipd(prepared, { gate, loop, links });
  closers.push(vipd.close);
  loop.start({ links, vipd });
  const stop = () => loop.dispatch({ type: 'stop' });
  process
    .on('SIGTERM', stop)
    .on('SIGINT', stop)
    .on('SIGHUP', () => reload.read());
  await end;
  vipd.send('notify STOPPING=1');
}

function packetLeaseOf({ options, config, view, log }: Prepared): Promise<PacketLease> {
  return openPacketLease({
    wanted: config.heartbeat.packet_lease === 'auto',
    addresses: view.addresses,
    lans: lanInterfaces(config, options.node),
    leaseMs: config.heartbeat.lease,
    keepMs: config.heartbeat.alone_keep,
    runDir: options.runDir,
    trialProgram: PACKET_LEASE_TRIAL,
    log,
  });
}

interface VipdNeighbours {
  readonly gate: PacketLease;
  readonly loop: Loop;
  readonly links: HeartbeatSockets;
}

function openVipd({ options, config, view }: Prepared, { gate, loop, links }: VipdNeighbours): Vipd {
  const vipd = startVipd({
    binary: VIPD,
    stateFile: join(options.runDir, 'vipd.state'),
    addresses: view.addresses,
    links: view.links,
    targets: view.targets,
    fixed: view.fixed,
    port: config.heartbeat.port,
    gate: gate.installed,
    onMessage: told => {
      const message = withBridgePort(told);
      gate.hear(message, line => vipd.send(line));
      loop.dispatch({ type: 'vipd', message });
      // At each: the first vipd may have died before it could pass it on, and systemd would stop a
      // healthy pulse.
      if (message.type === 'hello') vipd.send('notify READY=1');
      if (message.type === 'fixed' && message.state === 'here') links.retry();
    },
    onGone: how => loop.dispatch({ type: 'vipd-gone', how }),
    onTrouble: text => loop.vipdTrouble(text),
  });
  return vipd;
}

function openReloads(
  { options, config, view, log }: Prepared,
  told: Pick<Parameters<typeof openReload>[0], 'onNext' | 'onKeys'>,
): Reload {
  return openReload({
    file: options.configFile,
    node: options.node,
    log,
    inUse: { taken: reloadableOf(config, view), parts: restartParts(config, options.node) },
    digest: pulseDigest(config, options.node),
    keyFile: config.heartbeat.key_file,
    ...told,
  });
}

/** The process that asks the witness, where the pair has one. */
function openWitness({ config, view, log }: Prepared, onAnswer: (answer: WitnessAnswer) => void): Witness | undefined {
  if (!config.witness) return undefined;
  const { redis, lease, timeout } = config.witness;
  return startWitness({
    setup: {
      redis,
      key: witnessKey(redis.key_prefix, config.pair),
      nodeId: view.nodeId,
      leaseMs: lease,
      timeoutMs: timeout,
    },
    onAnswer,
    onTrouble: how => log.event('WITNESS_PROCESS_GONE', { how }),
  });
}

/**
 * The first epochs are on disk as used before one of them can be: a crash right after the first
 * claim must not bring them back. A disk that does not take them is told of and not waited for: a
 * later start begins above them by the clock.
 */
async function reserve(file: StateFile, state: PulseState): Promise<number> {
  const ceiling = state.ceiling + EPOCH_BLOCK;
  file.write({ ...state, ceiling });
  await file.flush(STATE_FLUSH_MS);
  return ceiling;
}

function machineOf({ config, settings, state, hold }: Prepared, reserved: number, now: At): Machine {
  // Without services there are no rules to wait for.
  const rulesIn = Object.keys(config.services).length === 0;
  return newMachine({ settings, now, ceiling: state.ceiling, reserved, hold, rulesIn });
}

/**
 * What an earlier life left, and an epoch that it cannot have reached. The hold's time counts on
 * from now, on disk too: else each start after a reboot would begin it anew.
 */
function recall(path: string, log: Log): Pick<Prepared, 'state' | 'hold'> {
  const read = readState(path);
  if (!read.ok) log.event('STATE_UNREADABLE', { path, problem: read.problem });
  const wallMs = Date.now();
  const state = beginWith(read, wallMs);
  const moment = { boot: kernelBootId(), now: monotonicNow() };
  const hold = recalledHold(state.hold, moment, { nowMs: wallMs, writtenMs: read.writtenMs });
  return { state: { ...state, hold: savedHold(hold, moment, wallMs) }, hold };
}
