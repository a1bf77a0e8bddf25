// The director's process: config, nannies, pulse's feed, timers, sockets and signals around the
// loop. Not pure. It adopts what the kernel has and never flushes: SIGTERM leaves everything as it
// is, connections go on.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { loadConfig } from '../config/io/load.ts';
import { nodeView } from '../config/node.ts';
import type { Config } from '../config/schema.ts';
import type { Drains } from '../drain/drains.ts';
import type { FeedEvents } from '../feed/feed-events.ts';
import { DIRECTOR_CONTROL_SOCKET, STATUS_SOCKET } from '../feed/files.ts';
import type { Snapshot } from '../feed/message.ts';
import { owns } from '../feed/owns.ts';
import { createNftWatch } from '../firewall/io/nft-watch.ts';
import { type Hooks, startHooks } from '../hooks/io/hooks.ts';
import type { EventCode } from '../log/catalogue.ts';
import { type ClosableLog, createLog, type Log } from '../log/log.ts';
import type { LogEntry } from '../log/log-line.ts';
import { type Nannies, startNannies, systemClock } from '../nanny/io/nannies.ts';
import { runNamed } from '../runner/io/ask-runner.ts';
import { type ClockReader, startSchedule, watchClock } from '../schedule/io/run-schedule.ts';
import { removeStaleSocket } from '../socket/io/unix.ts';
import { startStatusServer } from '../status/io/server.ts';
import { type ConnectionSync, createConnectionSync } from '../sync/sync.ts';
import { packageVersion } from '../units/io/version.ts';
import { drainAnswer, readOrder } from './drain-order.ts';
import { askPulse } from './io/ask-pulse.ts';
import { atMostEvery } from './io/at-most-every.ts';
import { startControl } from './io/control.ts';
import { writeHistory } from './io/decision-history.ts';
import { readDrains, saveDrains } from './io/drains-file.ts';
import { type FitnessChecks, startFitnessChecks } from './io/fitness-checks.ts';
import { keptHooksSaver, readKeptHooks } from './io/hooks-file.ts';
import { keepJournals } from './io/journal-keeper.ts';
import { createKernel } from './io/kernel.ts';
import { createNotify, type Notify } from './io/notify.ts';
import { readOwned, writeOwned } from './io/owned-file.ts';
import { createPacketLeaseAudit } from './io/packet-lease-audit.ts';
import { createPairReload, type PairReload } from './io/pair-reload.ts';
import { createPulseFeed } from './io/pulse-feed.ts';
import { createPulseReporter } from './io/pulse-reporter.ts';
import { createReloads, type Loaded, type Reloads, readConfig } from './io/reload.ts';
import { readSeenUp, seenUpSaver } from './io/seen-up-file.ts';
import { createVipWays } from './io/vip-ways.ts';
import { followKeys } from './keys-of-pulse.ts';
import { createDirector, type Director } from './loop.ts';
import type { SeenUp } from './manual-resume.ts';
import type { Owned } from './owned.ts';

export interface DirectorOptions {
  /** Path of the config. */
  readonly configFile: string;
  /** Name of this router. */
  readonly node: string;
  /** Where sockets are, and what must survive a restart of the director but not of the router. */
  readonly runDir: string;
  /** Where lasting state is: the file store of the sync. */
  readonly stateDir: string;
  /** Where tandem-runner listens. */
  readonly runnerSocket: string;
}

const CLOCK: ClockReader = { now: systemClock.now, wallMs: Date.now };
/** How often connections are counted. */
const POLL_MS = 5_000;
/** So long the first checks wait for the first rules, which need the processor, too. */
const RULES_FIRST_MS = 10_000;
/**
 * With each verdict all servers are looked at: those of thousands that start together are taken
 * together.
 */
const VERDICTS_MS = 50;
/** How often it is looked whether others have changed IPVS, which has no events. */
const LOOK_MS = 500;

/**
 * Runs until SIGTERM or SIGINT. Rejects when the config cannot be used or another director runs.
 */
export async function runDirector(options: DirectorOptions): Promise<void> {
  const heard: Heard = {};
  const onEntry = ({ ts: at, code, fields }: LogEntry) =>
    heard.hooks?.take({ at, process: 'director', code: code as EventCode, fields });
  const log = createLog({ process: 'director', node: options.node, onEntry });
  try {
    await runWith(options, log, heard);
  } catch (error) {
    log.event('DIRECTOR_FAULT', { reason: 'start', problem: error instanceof Error ? error.message : String(error) });
    throw error;
  } finally {
    await log.close();
  }
}

/** Who is told of what the log takes, once there is somebody. */
interface Heard {
  hooks?: Hooks;
}

async function runWith(options: DirectorOptions, log: ClosableLog, heard: Heard): Promise<void> {
  const { configFile, runDir, node } = options;
  const stopped = stopSignal();
  const loaded = readConfig(loadConfig(configFile), configFile, node, log);
  if (!loaded.ok) throw new Error(loaded.message);
  await mkdir(runDir, { recursive: true });
  // Before anything else: where another director answers, a second one must not touch the kernel.
  for (const name of [STATUS_SOCKET, DIRECTOR_CONTROL_SOCKET]) await removeStaleSocket(join(runDir, name));
  const notify = createNotify();
  const parts = await assemble(options, loaded, { log, heard, notify });
  const services = Object.keys(loaded.config.services).length;
  log.event('DIRECTOR_STARTED', { version: packageVersion(), file: configFile, services, runDir });
  void parts.director.audit('start').then(() => notify.ready('running'));
  const reason = await stopped;
  await notify.stopping();
  await parts.close();
  notify.close();
  log.event('DIRECTOR_STOPPED', { reason });
}

function stopSignal(): Promise<string> {
  return new Promise(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
}

/** Has the runner run check.script of a server, as the config in use says. */
function serverScripts({ runnerSocket, node }: DirectorOptions, first: Config, late: Late) {
  return (name: { service: string; server: string }, signal: AbortSignal) => {
    const config = late.director?.config() ?? first;
    return runNamed(runnerSocket, { config, node, name: { type: 'server', ...name } }, signal);
  };
}

function noSuchHook(name: string, { hooks }: Config): string {
  const names = Object.keys(hooks);
  const known = names.length === 0 ? 'the config in use has none' : `there are ${names.join(', ')}`;
  return `the config in use has no hook "${name}"; ${known} (tandem reload takes a new one)`;
}

async function hookTested(hooks: Hooks, name: string, config: Config) {
  const tried = await hooks.test(name);
  return tried ? { status: 200, body: tried } : { status: 404, body: { error: noSuchHook(name, config) } };
}

/** A thing that happens, or counts as if after `msMax`. */
function firstOf(msMax: number): { readonly happened: Promise<void>; happens(): void } {
  let happens: () => void = () => undefined;
  const happened = new Promise<void>(resolve => {
    happens = resolve;
    setTimeout(resolve, msMax).unref();
  });
  return { happened, happens: () => happens() };
}

interface Parts {
  readonly director: Director;
  close(): Promise<void>;
}

/** What the last run has left, and how this one leaves it. */
async function remembered({ runDir, stateDir }: DirectorOptions, log: Log) {
  const owned = await readOwned(runDir, log);
  const drains = await readDrains(stateDir, log, systemClock.now);
  const seenUp = await readSeenUp(runDir, log);
  const seenUpFile = seenUpSaver(runDir, log);
  const saves = {
    saveOwned: (next: Owned) => writeOwned(runDir, log, next),
    saveDrains: (next: Drains) => saveDrains(stateDir, log, next, systemClock.now),
    saveSeenUp: (seen: SeenUp) => seenUpFile.save(seen),
  };
  return { memory: { owned, drains, seenUp }, saves, seenUpFile };
}

interface Surroundings {
  readonly log: Log;
  readonly heard: Heard;
  readonly notify: Notify;
}

/** The hooks, as the last run left them; they hear from now on. */
async function openHooks({ runDir, node, runnerSocket }: DirectorOptions, config: Config, late: Late, log: Log) {
  const file = keptHooksSaver(runDir, log);
  const hooks = startHooks({
    ...{ ...systemClock, config, node, log, socketPath: runnerSocket },
    kept: await readKeptHooks(runDir, log),
    keep: kept => file.save(kept),
    onChange: () => late.director?.changed('hooks'),
    owns: () => {
      const snapshot = late.snapshot?.() ?? null;
      return snapshot !== null && owns(snapshot);
    },
    say: word => late.sync?.sayHookSent(word),
  });
  late.hooks = hooks;
  const close = async () => {
    hooks.stop();
    await file.close();
  };
  return { hooks, close };
}

function openSync({ node, stateDir }: DirectorOptions, config: Config, late: Late, log: Log): ConnectionSync {
  const sync = createConnectionSync({
    ...{ config, node, stateDir, log },
    onPeerChecks: words => late.director?.peerChecks(words),
    onPeerReload: word => late.pairReload?.hear(word),
    onPeerDrains: words => late.director?.peerDrains(words),
    onPeerHookSent: word => late.hooks?.peerSent(word),
    now: systemClock.now,
  });
  late.sync = sync;
  return sync;
}

async function assemble(
  options: DirectorOptions,
  loaded: Loaded,
  { log, heard, notify }: Surroundings,
): Promise<Parts> {
  const { runDir, node } = options;
  const { memory, saves, seenUpFile } = await remembered(options, log);
  // Nannies, feed and loop know each other: their callbacks run only after all three are there.
  const late: Late = {};
  const { hooks, close: closeHooks } = await openHooks(options, loaded.config, late, log);
  heard.hooks = hooks;
  const tried = firstOf(RULES_FIRST_MS);
  const nannies = startNannies({
    ...{ config: loaded.config, node, clock: systemClock, log },
    ...{ random: Math.random, after: tried.happened },
    onVerdict: atMostEvery(VERDICTS_MS, () => late.director?.verdictChanged()),
    runScript: serverScripts(options, loaded.config, late),
  });
  const feed = listenToPulse(options, log, late, events => hooks.takePulse(events));
  const sync = openSync(options, loaded.config, late, log);
  const fitness = startFitnessChecks({
    ...{ ...systemClock, config: loaded.config, node, log, socketPath: options.runnerSocket },
    onChange: () => late.director?.changed('fitness'),
  });
  const watch = createNftWatch(what => late.director?.nftChanged(what));
  const director = createDirector(
    { config: loaded.config, digest: loaded.digest, node, version: packageVersion(), ...memory },
    {
      kernel: createKernel(),
      sync,
      log,
      verdicts: () => nannies.verdicts(),
      judgeWithout: drained => nannies.judgeWithout(drained),
      otherVerdicts: () => [...nannies.leaving(), ...nannies.sorry()],
      pathVerdicts: () => nannies.paths(),
      watchPaths: paths => nannies.watchPaths(paths),
      vipWays: createVipWays(),
      watchLeaving: servers => nannies.watchLeaving(servers),
      fitness: () => fitness.reports(),
      hooks: () => hooks.reports(),
      snapshot: () => feed.snapshot(),
      ...saves,
      auditPacketLease: createPacketLeaseAudit(runDir),
      watchProblem: () => watch.problem(),
      ...{ now: systemClock.now, wall: systemClock.wall, rulesTried: tried.happens },
    },
  );
  late.director = director;
  const surroundings = await surround(options, { director, nannies, fitness, hooks, sync, feed, late }, log, notify);
  return {
    director,
    close: async () => {
      await feed.close();
      watch.close();
      fitness.stop();
      await surroundings.close();
      await nannies.stop();
      await director.close();
      await seenUpFile.close();
      await sync.close();
      await closeHooks();
    },
  };
}

/** The feed, and what is written down of it. */
function listenToPulse(
  { runDir, stateDir }: DirectorOptions,
  log: Log,
  late: Late,
  onEvents: (events: FeedEvents) => void,
) {
  const journals = keepJournals({ runDir, stateDir, log });
  const history = writeHistory(stateDir, log);
  const hearKeys = followKeys(inUse => late.sync?.takeKeys(inUse) ?? '', log);
  const feed = createPulseFeed({
    runDir,
    log,
    onSnapshot: snapshot => {
      late.director?.pulseSays(snapshot);
      journals.hear(snapshot);
      history.hear(snapshot);
      late.hooks?.settle();
      hearKeys(snapshot);
    },
    onEvents,
    onLost: () => late.director?.changed('pulse'),
  });
  late.snapshot = () => feed.snapshot();
  const close = async () => {
    feed.close();
    await journals.close();
    await history.close();
  };
  return { snapshot: () => feed.snapshot(), close };
}

interface World {
  readonly director: Director;
  readonly nannies: Nannies;
  readonly fitness: FitnessChecks;
  readonly hooks: Hooks;
  readonly sync: ConnectionSync;
  readonly feed: ReturnType<typeof listenToPulse>;
  readonly late: Late;
}

/** What the parts call back, each there only after them. */
interface Late {
  director?: Director;
  pairReload?: PairReload;
  hooks?: Hooks;
  sync?: ConnectionSync;
  /** Of pulse. */
  snapshot?: () => Snapshot | null;
}

function openPairReload(
  { configFile, node }: DirectorOptions,
  { director, sync, feed }: World,
  reloads: Reloads,
  log: Log,
): PairReload {
  return createPairReload({
    ...{ configFile, node, reloads, log, now: systemClock.now },
    peer: () => nodeView(director.config(), node).peer,
    rulesIn: () => director.report().kernel.rulesIn,
    digest: () => director.digest(),
    say: word => sync.sayReload(word),
    snapshot: () => feed.snapshot(),
  });
}

/** Timers, sockets and SIGHUP: all that asks the loop for something. */
async function surround(
  options: DirectorOptions,
  world: World,
  log: Log,
  notify: Notify,
): Promise<{ close(): Promise<void> }> {
  const { director, nannies, fitness, hooks, late } = world;
  const { runDir, configFile, node } = options;
  const reporter = createPulseReporter({ runDir, log, report: () => director.reportForPulse() });
  const unsubscribe = director.subscribe(() => reporter.changed());
  const startAudits = () => startSchedule(director.config().ipvs.audit, () => void director.audit('timer'), CLOCK);
  let stopAudits = startAudits();
  const reloads = createReloads({
    ...{ configFile, node, director, nannies, fitness, hooks, log },
    askPulse: (dryRun, digest) => askPulse(runDir, dryRun, digest),
    began: notify.reloading,
    ended: () => {
      stopAudits();
      stopAudits = startAudits();
      notify.ready('running');
    },
  });
  const pairReload = openPairReload(options, world, reloads, log);
  late.pairReload = pairReload;
  // It stays to the end: without a listener the signal would end the process before its last save.
  process.on('SIGHUP', reloads.signalled);
  const unwatchClock = watchClock(CLOCK, stepMs => log.event('CLOCK_STEPPED', { stepMs }));
  const status = await startStatusServer({ socketPath: join(runDir, STATUS_SOCKET), source: director, log });
  const control = await startControl({
    socketPath: join(runDir, DIRECTOR_CONTROL_SOCKET),
    log,
    audit: async () => {
      await director.audit('asked for over the control socket');
      return { status: 200, body: director.report().kernel };
    },
    reload: async (pair, digest) => {
      if (pair) {
        const both = await pairReload.reload(digest);
        return { status: both.problem === '' ? 200 : 409, body: both };
      }
      const outcome = await reloads.reload({ by: 'tandem reload', digest });
      return { status: outcome.reloaded ? 200 : outcome.mistakes.length > 0 ? 422 : 409, body: outcome };
    },
    reloadPlan: async pair => ({ status: 200, body: await (pair ? pairReload : reloads).plan() }),
    drain: async (drained, query) => {
      const order = readOrder(drained, query);
      if (!order.ok) return { status: 400, body: { error: order.problem } };
      return drainAnswer(await director.drain(order.order));
    },
    testHook: name => hookTested(hooks, name, director.config()),
    plan: async () => {
      const onDisk = readConfig(loadConfig(configFile), configFile, node, undefined);
      if (!onDisk.ok) return { status: 422, body: { changes: [], problems: onDisk.mistakes } };
      return { status: 200, body: await director.plan(onDisk.config) };
    },
  });
  const poll = setInterval(() => void director.poll(), POLL_MS);
  const look = setInterval(() => void director.look(), LOOK_MS);
  return {
    close: async () => {
      clearInterval(poll);
      unwatchClock();
      clearInterval(look);
      unsubscribe();
      stopAudits();
      pairReload.close();
      await reloads.close();
      reporter.close();
      await control.close();
      await status.close();
    },
  };
}
