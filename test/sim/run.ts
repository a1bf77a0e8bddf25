// Runs one schedule: the pair settles, faults come and end, then calm, in which liveness must come back; or one known fault whose
// price is known. Answers what was breached, if anything.
import { HEAL_MS } from '../../src/pulse/timing.ts';
import { type Fault, FOREVER, inject } from './fault.ts';
import type { Breach, Invariant } from './monitor.ts';
import type { Router } from './router.ts';
import { type Plan, planOf } from './schedule.ts';
import { World } from './world.ts';

/** Beyond this many steps something runs in circles. */
const STEPS_MAX = 400_000;
/** Slack for what restarts and spawns take, beyond times that the config names. */
const RESTART_MS = 1_500;
/** What stays broken for ever shows when a kernel lifetime has ended. */
const KEPT_MS = 3_000;
/** PAUSE_MS_MAX of src/pulse/timing.ts. */
const RETRY_MS = 10_000;
/** src/vip/io/vipd.ts waits this long between eager respawns. */
const SPAWN_PAUSE_MS = 150;
/** Clients find the owner by their own resolution only after this. */
const RESOLVED_MS = 12_000;

export interface Result {
  readonly seed: number;
  readonly kind: string;
  readonly breach: Breach | undefined;
  readonly steps: number;
  readonly virtualMs: number;
  readonly ownerChanges: number;
  readonly longestVacancyMs: number;
  /** What an exemption allowed, by its rule. */
  readonly exemptions: readonly string[];
  /** The types of fault in the plan, each once. */
  readonly faults: readonly string[];
}

export interface RunOptions {
  readonly kind?: string | undefined;
  readonly say?: ((at: number, who: string, text: string) => void) | undefined;
}

export function runSeed(seed: number, options: RunOptions = {}): Result {
  return runPlan(planOf(seed, options));
}

/** `watch` gets the world before anything has happened in it. */
export function runPlan(plan: Plan, watch: (world: World) => void = () => undefined): Result {
  const world = new World(plan.world);
  watch(world);
  const { monitor, timeline } = world;
  try {
    play(world, plan);
  } catch (error) {
    monitor.fail('crash', (error as Error).stack ?? String(error));
  }
  return {
    seed: plan.seed,
    kind: plan.kind,
    breach: monitor.breach,
    steps: timeline.steps,
    virtualMs: timeline.now,
    ownerChanges: monitor.ownerChanges,
    longestVacancyMs: monitor.longestVacancyMs,
    exemptions: monitor.exemptions,
    faults: [...new Set(plan.faults.map(({ type }) => type))],
  };
}

function play(world: World, plan: Plan): void {
  const { timeline, routers, monitor } = world;
  // Filters are there before the routers are: what the probe sees of the peer is known by the time that anything goes wrong.
  for (const fault of plan.faults) {
    if (fault.type === 'echo-dropped') world.echoDropped = fault.share;
    if (fault.type !== 'heartbeats-dropped') continue;
    world.heartbeatsDropped = true;
    world.probesDropped = fault.probesToo;
  }
  routers[0].start();
  timeline.in(plan.secondStartMs, () => routers[1].start());
  const bounds = boundsOf(world, plan);
  const end = bounds.livenessMs * 3 + 60_000;
  const guard = () => {
    if (timeline.steps > STEPS_MAX) monitor.fail('endless', `${timeline.steps} steps`);
    return false;
  };
  if (plan.settled) {
    if (!settle(world, plan.secondStartMs, bounds)) return;
    world.run(timeline.now + bounds.livenessMs, () => isPair(world));
    // A command to hand over is refused until the owner has heard that the other stands by.
    if (plan.expects && plan.faults.some(({ type }) => type === 'handover'))
      world.run(timeline.now + world.longest.deadMs, () => knowsStandby(world));
    // Not always at the same moment of the heartbeat.
    world.run(timeline.now + world.random.between(0, 2 * world.longest.intervalMs));
  }
  const startAt = timeline.now;
  monitor.ownerChanges = 0;
  monitor.longestVacancyMs = 0;
  for (const fault of plan.faults) timeline.at(startAt + fault.atMs, () => inject(world, fault));
  if (plan.expects) {
    world.run(startAt + Math.min(end, plan.expects.watchMs), guard);
    judge(world, plan);
    return;
  }
  const calmAt = startAt + Math.max(...plan.faults.map(lastsUntil));
  world.run(calmAt, guard);
  // A pause that begins in another one comes on top of it.
  const pausedUntil = world.pauseEndedAt();
  if (pausedUntil > calmAt) world.run(pausedUntil, guard);
  world.say('FAULT', () => 'calm from here on');
  // What the faults have begun may still come to its end: a claim under way, a peer's first word after a partition.
  let since = Math.max(calmAt, pausedUntil);
  if (!settle(world, since, bounds)) return;
  // Who was restarted beside a copy of itself says nothing until that has gone for as long as a kernel may serve.
  if (plan.faults.some(({ type }) => type === 'copy')) {
    world.run(since + bounds.livenessMs, () => isHeardByBoth(world));
    since = timeline.now;
  }
  world.run(Math.max(timeline.now + 3 * world.longest.deadMs + SPAWN_PAUSE_MS, knownAt(world, plan, since)), guard);
  if (!settle(world, since, bounds)) return;
  // What a kernel no longer refuses is only known once it is tried again: until then something is wrong still.
  serveAll(world, since + RETRY_MS + 2 * world.longest.deadMs);
  if (!monitor.breach) stay(world, 2 * world.longest.deadMs);
}

/** One serves, known to the witness if there is one, and the other could take over at once. */
function isPair({ routers, witness }: World): boolean {
  const isKnown = routers.some(router => router.pulse?.machine.witness.heldAt !== undefined);
  const standsBy = routers.some(router => router.pulse?.machine.state.role === 'standby' && router.vipd?.alive);
  return standsBy && (witness === undefined || isKnown);
}

function knowsStandby({ routers }: World): boolean {
  return routers.some(router => router.serves() && router.pulse?.machine.peer.last?.role === 'standby');
}

/**
 * What stays broken for ever may leave one router the fitter one: by when both know, and the VIPs are with it. A direction that stays
 * cut is judged once the links between the two work for 3 D: the others must have echoed for as long. A LAN that was dead is alive
 * again after HEAL_MS, and a wish to hand over must last.
 */
function knownAt({ timeline, longest: { deadMs } }: World, { faults }: Plan, since: number): number {
  if (!faults.some(({ forMs }) => forMs === FOREVER)) return since;
  return Math.max(timeline.now + 6 * deadMs + SPAWN_PAUSE_MS, since + HEAL_MS + 6 * deadMs);
}

/** Both hear each other, or one is switched off. */
function isHeardByBoth({ routers, longest: { deadMs } }: World): boolean {
  const hears = ({ pulse, clock }: Router) =>
    pulse !== undefined && clock.now() - (pulse.machine.peer.heardAt ?? -deadMs) < deadMs;
  return routers.every(hears) || routers.some(({ up }) => !up);
}

const lastsUntil = ({ atMs, forMs }: Fault) => atMs + (forMs === FOREVER ? KEPT_MS : forMs);

interface Bounds {
  readonly livenessMs: number;
  readonly convergenceMs: number;
}

function boundsOf({ longest, witness }: World, { faults }: Plan): Bounds {
  const { intervalMs, leaseMs, deadMs, keepMs } = longest;
  // A restarted router that hears nobody listens longer than addresses can live without their pulse.
  // Nothing tells that the kernel no longer refuses: the next try may be the longest pause away.
  const refuses = faults.some(({ type }) => type === 'kernel-refuses' || type === 'address-refused');
  const pauseMs = refuses ? RETRY_MS : 0;
  const listenMs = keepMs + leaseMs + 1_250 + deadMs;
  return {
    livenessMs: listenMs + RESTART_MS + 8 * deadMs + 3 * (witness?.leaseMs ?? 0) + pauseMs,
    convergenceMs: 2 * deadMs + 2 * intervalMs,
  };
}

/** Runs until exactly one router serves and every client points at it; a breach when that does not come in time. */
function settle(world: World, since: number, bounds: Bounds): boolean {
  const { monitor, timeline, clients, routers } = world;
  let settled = false;
  // An owner whose pulse is being started again announces once that is there.
  let ownedSince: number | undefined;
  world.run(since + Math.max(bounds.livenessMs, RESOLVED_MS), () => {
    if (timeline.steps > STEPS_MAX) monitor.fail('endless', `${timeline.steps} steps`);
    const [a, b] = [routers[0].serves(), routers[1].serves()];
    if (a === b) {
      if (timeline.now - since > bounds.livenessMs) monitor.fail('liveness', a ? 'both still serve' : 'nobody serves');
      return false;
    }
    const owner = a ? 0 : 1;
    if (routers[owner].pulse?.machine.state.role !== 'active') {
      ownedSince = undefined;
      return false;
    }
    ownedSince ??= timeline.now;
    const astray = clients.find(client => client.reaches(owner) && client.neighbour !== owner);
    settled = astray === undefined;
    const anew = monitor.changedAt >= since;
    const waitedMs = timeline.now - Math.max(monitor.changedAt, since, ownedSince);
    if (!settled && waitedMs > (anew ? bounds.convergenceMs : RESOLVED_MS))
      monitor.fail(
        'convergence',
        `client ${astray?.host} still points elsewhere ${Math.round(waitedMs)} ms after it became calm`,
      );
    return settled;
  });
  if (monitor.breach) return false;
  if (!settled) monitor.fail('liveness', `not settled: ${describe(world)}`);
  return settled;
}

/** Calm must stay calm. */
function stay(world: World, forMs: number): void {
  const { monitor, timeline } = world;
  const before = monitor.ownerChanges;
  world.run(timeline.now + forMs);
  const planned = world.routers.some(router => router.options.settings.autoFailback);
  if (planned && monitor.ownerChanges === before + 1) monitor.exemptions.push('automatic failback in the calm');
  if (monitor.ownerChanges > before + (planned ? 1 : 0))
    monitor.fail('flap', 'the owner changed although nothing was wrong any more');
}

/** By then the owner holds what its kernel takes, each unit as a whole, and nothing else. */
function serveAll(world: World, by: number): void {
  const { monitor, timeline, routers } = world;
  // In the middle of a handover both serve, and the change is yet to be counted.
  const owner = () =>
    routers[0].serves() === routers[1].serves() ? undefined : routers.find(router => router.serves());
  world.run(Math.max(by, timeline.now), () => owner()?.units().exact === true);
  const served = owner();
  if (served && !served.units().exact)
    monitor.fail('unit-unserved', `${served.name} holds ${[...served.kernel.present]} of what it could`);
}

function judge(world: World, plan: Plan): void {
  const { monitor } = world;
  const { expects, kind } = plan;
  if (!expects || monitor.breach) return;
  const { ownerChanges, longestVacancyMs } = monitor;
  const fail = (invariant: Invariant, text: string) => monitor.fail(invariant, `${kind}: ${text}`);
  if (ownerChanges > expects.ownerChangesMax)
    fail(expects.ownerChangesMax === 0 ? 'no-change' : 'flap', `the owner changed ${ownerChanges} times`);
  if (ownerChanges < expects.ownerChangesMin) fail('liveness', `the owner changed ${ownerChanges} times`);
  if (longestVacancyMs > expects.vacancyMsMax)
    fail(
      expects.vacancyMsMax === 0 ? 'handover-gap' : 'takeover-time',
      `nobody served for ${longestVacancyMs.toFixed(1)} ms`,
    );
  const [a, b] = world.routers.map(router => router.serves());
  if (a === b) fail('liveness', a ? 'both serve at the end' : 'nobody serves at the end');
  const owner = a ? 0 : 1;
  if (!world.hasOwn(owner, 0) && world.hasOwn(1 - owner, 0) && world.routers[1 - owner]?.up)
    fail('liveness', 'who serves at the end has no address of its own on the client LAN');
  judgeUnits(world, owner);
  const astray = world.clients.find(client => client.reaches(owner) && client.neighbour !== owner);
  const waited = world.timeline.now - monitor.changedAt;
  if (astray && waited > 2 * world.longest.deadMs && plan.kind !== 'asymmetric')
    fail('convergence', `client ${astray.host} points elsewhere at the end`);
}

/** The owner holds what it can, and its peer, standing by, could not hold more. */
function judgeUnits({ routers, monitor, options }: World, owner: 0 | 1): void {
  const [own, peer] = [routers[owner], routers[owner === 0 ? 1 : 0]];
  const { held, possible, exact } = own.units();
  if (!exact) monitor.fail('unit-unserved', `${own.name} holds ${held} of the ${possible} units that it could`);
  // One of the version before never says that it is warm.
  const standsBy =
    options.older === undefined && peer.up && peer.pulse?.machine.state.role === 'standby' && peer.vipd?.alive;
  if (standsBy && peer.units().possible > held)
    monitor.fail('unit-unserved', `${peer.name} could hold ${peer.units().possible} units, and ${held} are served`);
}

/** Both routers in a line each. */
export function describe(world: World): string {
  return world.routers
    .map(({ name, pulse, vipd, kernel, up }) => {
      const process = pulse?.alive ? pulse.machine.state.role : 'no pulse';
      return `${name} ${up ? process : 'off'}, vipd ${vipd?.alive ? vipd.phase : 'none'}, ${kernel.held ? 'held' : 'not held'}`;
    })
    .join('; ');
}
