// The director's process: config, nannies, pulse's feed, timers, sockets and signals around the
// loop. Not pure. It adopts what the kernel has and never flushes: SIGTERM leaves everything as it
// is, connections go on.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { loadConfig } from '../config/io/load.ts';
import { DIRECTOR_CONTROL_SOCKET, STATUS_SOCKET } from '../feed/files.ts';
import { createNftWatch } from '../firewall/io/nft-watch.ts';
import { type ClosableLog, createLog, type Log } from '../log/log.ts';
import { type Nannies, startNannies, systemClock } from '../nanny/io/nannies.ts';
import { type ClockReader, startSchedule, watchClock } from '../schedule/io/run-schedule.ts';
import { removeStaleSocket } from '../socket/io/unix.ts';
import { startStatusServer } from '../status/io/server.ts';
import { createConnectionSync } from '../sync/sync.ts';
import { packageVersion } from '../units/io/version.ts';
import { startControl } from './io/control.ts';
import { createKernel } from './io/kernel.ts';
import { createNotify, type Notify } from './io/notify.ts';
import { oneAtATime } from './io/one-at-a-time.ts';
import { readOwned, writeOwned } from './io/owned-file.ts';
import { createPacketLeaseAudit } from './io/packet-lease-audit.ts';
import { createPulseFeed } from './io/pulse-feed.ts';
import { createPulseReporter } from './io/pulse-reporter.ts';
import { type Loaded, readConfig, reload } from './io/reload.ts';
import { createDirector, type Director } from './loop.ts';

export interface DirectorOptions {
  /** Path of the config. */
  readonly configFile: string;
  /** Name of this router. */
  readonly node: string;
  /** Where sockets are, and what must survive a restart of the director but not of the router. */
  readonly runDir: string;
  /** Where lasting state is: the file store of the sync. */
  readonly stateDir: string;
}

const CLOCK: ClockReader = { now: systemClock.now, wallMs: Date.now };
/** How often connections are counted. */
const POLL_MS = 5_000;
/** How often it is looked whether others have changed IPVS, which has no events. */
const LOOK_MS = 500;

/**
 * Runs until SIGTERM or SIGINT. Rejects when the config cannot be used or another director runs.
 */
export async function runDirector(options: DirectorOptions): Promise<void> {
  const log = createLog({ process: 'director', node: options.node });
  try {
    await runWith(options, log);
  } catch (error) {
    log.event('DIRECTOR_FAULT', { reason: 'start', problem: error instanceof Error ? error.message : String(error) });
    throw error;
  } finally {
    await log.close();
  }
}

async function runWith(options: DirectorOptions, log: ClosableLog): Promise<void> {
  const { configFile, runDir, node } = options;
  const stopped = stopSignal();
  const loaded = readConfig(loadConfig(configFile), configFile, node, log);
  if (!loaded.ok) throw new Error(loaded.message);
  await mkdir(runDir, { recursive: true });
  // Before anything else: where another director answers, a second one must not touch the kernel.
  for (const name of [STATUS_SOCKET, DIRECTOR_CONTROL_SOCKET]) await removeStaleSocket(join(runDir, name));
  const notify = createNotify();
  const parts = await assemble(options, loaded, log, notify);
  log.event('DIRECTOR_STARTED', { file: configFile, services: Object.keys(loaded.config.services).length, runDir });
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

interface Parts {
  readonly director: Director;
  close(): Promise<void>;
}

async function assemble(options: DirectorOptions, loaded: Loaded, log: Log, notify: Notify): Promise<Parts> {
  const { runDir, node } = options;
  const owned = await readOwned(runDir, log);
  // Nannies, feed and loop know each other: their callbacks run only after all three are there.
  const late: { director?: Director } = {};
  const nannies = startNannies({
    config: loaded.config,
    clock: systemClock,
    log,
    random: Math.random,
    onVerdict: () => late.director?.verdictChanged(),
  });
  const feed = createPulseFeed({
    runDir,
    log,
    onSnapshot: snapshot => late.director?.pulseSays(snapshot),
    onLost: () => late.director?.changed('pulse'),
  });
  const sync = createConnectionSync({
    config: loaded.config,
    node,
    stateDir: options.stateDir,
    log,
    now: systemClock.now,
  });
  const watch = createNftWatch(what => late.director?.nftChanged(what));
  const director = createDirector(
    { config: loaded.config, digest: loaded.digest, node, version: packageVersion(), owned },
    {
      kernel: createKernel(),
      sync,
      log,
      verdicts: () => nannies.verdicts(),
      leavers: () => nannies.leaving(),
      watchLeaving: servers => nannies.watchLeaving(servers),
      snapshot: () => feed.snapshot(),
      saveOwned: next => writeOwned(runDir, log, next),
      auditPacketLease: createPacketLeaseAudit(runDir),
      watchProblem: () => watch.problem(),
      now: systemClock.now,
      wall: systemClock.wall,
    },
  );
  late.director = director;
  const surroundings = await surround(options, director, nannies, log, notify);
  return {
    director,
    close: async () => {
      feed.close();
      watch.close();
      await surroundings.close();
      await nannies.stop();
      await director.close();
      await sync.close();
    },
  };
}

/** Timers, sockets and SIGHUP: all that asks the loop for something. */
async function surround(
  options: DirectorOptions,
  director: Director,
  nannies: Nannies,
  log: Log,
  notify: Notify,
): Promise<{ close(): Promise<void> }> {
  const { runDir, configFile, node } = options;
  const reporter = createPulseReporter({ runDir, log, report: () => director.reportForPulse() });
  const unsubscribe = director.subscribe(() => reporter.changed());
  const startAudits = () => startSchedule(director.config().ipvs.audit, () => void director.audit('timer'), CLOCK);
  let stopAudits = startAudits();
  let closing = false;
  const reloads = oneAtATime(async () => {
    notify.reloading();
    const answer = await reload({ configFile, node, director, nannies, log });
    if (closing) return answer;
    stopAudits();
    stopAudits = startAudits();
    notify.ready('running');
    return answer;
  });
  // It stays to the end: without a listener the signal would end the process before its last save.
  process.on('SIGHUP', () => void reloads.run());
  const unwatchClock = watchClock(CLOCK, stepMs => log.event('CLOCK_STEPPED', { stepMs }));
  const status = await startStatusServer({ socketPath: join(runDir, STATUS_SOCKET), source: director, log });
  const control = await startControl({
    socketPath: join(runDir, DIRECTOR_CONTROL_SOCKET),
    log,
    audit: async () => {
      await director.audit('asked for over the control socket');
      return { status: 200, body: director.report().kernel };
    },
    reload: reloads.run,
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
      closing = true;
      clearInterval(poll);
      unwatchClock();
      clearInterval(look);
      unsubscribe();
      stopAudits();
      await reloads.close({ status: 503, body: { reloaded: false, mistakes: ['the director is stopping'] } });
      reporter.close();
      await control.close();
      await status.close();
    },
  };
}
