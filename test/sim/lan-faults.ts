// LANs that work in one direction, targets that are silent to one router only, probes that are filtered, and switches that answer for
// the dead: a share of the schedules meets them. Drawn from
// numbers of their own, so that all other schedules are what they were without.
import type { Fault } from './fault.ts';
import { FOREVER, type Who } from './fault.ts';
import { R1, R2, TARGETS } from './network.ts';
import { Random } from './random.ts';
import type { Plan } from './schedule.ts';
import { bySilence, type Single } from './singles.ts';
import type { WorldOptions } from './world.ts';

/** Share of schedules with such a fault. */
const SHARE = 0.3;
/** Of these, those of chaos in which a LAN is quiet. */
const QUIET_SHARE = 0.3;
/** LANs with virtual addresses. */
const LANS = [0, 1] as const;
/** A LAN counts as alive again after this. */
const HEAL_MS = 2_000;

const targetsOn = (world: WorldOptions, lan: number) => world.routers[0].settings.lans[lan]?.targets.length ?? 0;
const watched = (deadMs: number) => HEAL_MS + 14 * deadMs;
/** From the start, so that no neighbour has ever answered. */
const quietOn = (lan: number, whom: Who | 'both'): Fault => ({ type: 'quiet', whom, lan, atMs: 0, forMs: FOREVER });
const nothing = (watchMs: number) => ({ ownerChangesMin: 0, ownerChangesMax: 0, vacancyMsMax: 0, watchMs });

/** So many changes of the owner, no fewer and no more; how long nobody is served meanwhile is not judged. */
const moves = (changes: number, watchMs: number) => ({
  ownerChangesMin: changes,
  ownerChangesMax: changes,
  vacancyMsMax: FOREVER,
  watchMs,
});

export const LAN_SINGLES: readonly Single[] = [
  (random, _world, deadMs) => {
    const atMs = random.between(1, 2) * deadMs;
    const cut = { type: 'cut', forMs: 9 * deadMs, atMs } as const;
    const effects = 1 + random.below(10);
    return {
      kind: 'pulse of the owner stalls in the middle of a heartbeat, unseen by probes',
      faults: [
        // Only the lease keeps the two apart.
        ...LANS.flatMap(lan => [R1, R2].map(from => ({ ...cut, lan, from, to: 1 - from }))),
        { type: 'stall', who: 'owner', effects, atMs: atMs + random.between(0, 2) * deadMs, forMs: 4 * deadMs },
      ],
      expects: undefined,
    };
  },
  (random, world, deadMs) => {
    const lan = random.pick(LANS);
    const elsewhere = world.linkLans.some(other => other !== lan);
    // Somebody must be there to tell, and the peer must be heard by another way.
    const seen = targetsOn(world, lan) > 0 || world.linkLans.includes(lan);
    const lost = random.pick(['out', 'in'] as const);
    return {
      kind: 'a LAN of the owner loses a direction',
      faults: [{ type: 'lan-way', who: 'owner', lan, lost, atMs: random.between(2, 3) * deadMs, forMs: FOREVER }],
      expects: moves(elsewhere && seen ? 1 : 0, watched(deadMs)),
    };
  },
  (random, _world, deadMs) => {
    const lan = random.pick(LANS);
    const lost = random.pick(['out', 'in'] as const);
    return {
      kind: 'a LAN of the standby loses a direction',
      faults: [{ type: 'lan-way', who: 'standby', lan, lost, atMs: random.between(2, 3) * deadMs, forMs: FOREVER }],
      expects: nothing(watched(deadMs)),
    };
  },
  (random, _world, deadMs) => {
    const lan = random.pick(LANS);
    const lost = random.pick(['out', 'in'] as const);
    return {
      kind: 'a quiet LAN of the standby loses a direction',
      faults: [
        quietOn(lan, 'both'),
        { type: 'lan-way', who: 'standby', lan, lost, atMs: random.between(2, 3) * deadMs, forMs: FOREVER },
      ],
      expects: nothing(watched(deadMs)),
    };
  },
  (random, world, deadMs) => {
    const lan = random.pick(LANS);
    const elsewhere = world.linkLans.some(other => other !== lan);
    const lost = random.pick(['out', 'in'] as const);
    const changes = elsewhere && targetsOn(world, lan) > 0 ? 1 : 0;
    return {
      kind: 'a quiet LAN of the owner loses a direction',
      faults: [
        quietOn(lan, 'both'),
        { type: 'lan-way', who: 'owner', lan, lost, atMs: random.between(2, 3) * deadMs, forMs: FOREVER },
      ],
      // Without targets it is what the standby's loss is, seen from here and from there.
      expects: moves(changes, watched(deadMs)),
    };
  },
  (random, world, deadMs) => {
    const lan = random.pick(LANS);
    const elsewhere = world.linkLans.some(other => other !== lan);
    const changes = elsewhere && (targetsOn(world, lan) > 0 || world.linkLans.includes(lan)) ? 1 : 0;
    return {
      kind: 'a LAN that is quiet to the owner alone loses what it sends',
      faults: [
        quietOn(lan, 'owner'),
        { type: 'lan-way', who: 'owner', lan, lost: 'out', atMs: random.between(2, 3) * deadMs, forMs: FOREVER },
      ],
      // The standby's neighbours answer it.
      expects: moves(changes, watched(deadMs)),
    };
  },
  (random, world, deadMs) => {
    const lan = random.pick(LANS);
    const proven = world.linkLans.includes(lan) || targetsOn(world, lan) !== 1;
    return {
      kind: 'a target is silent to the owner alone',
      faults: [
        { type: 'target-silent', who: 'owner', lan, nth: 0, atMs: random.between(2, 3) * deadMs, forMs: FOREVER },
      ],
      // With that target alone nothing tells a silent host from a dead LAN; `check` warns of it.
      expects: proven ? nothing(watched(deadMs)) : { ...nothing(watched(deadMs)), ownerChangesMax: 1 },
    };
  },
  (random, world, deadMs) => {
    const links = world.linkLans.filter(lan => lan > 1);
    const atMs = random.between(1, 2) * deadMs;
    return {
      kind: 'echoes are dropped, all heartbeats are lost',
      faults: [
        { type: 'echo-dropped', share: random.pick([1, 1, 0.9]), atMs: 0, forMs: FOREVER },
        ...(world.older === undefined ? links : []).flatMap(lan =>
          [R1, R2].map(from => ({ type: 'cut' as const, lan, from, to: 1 - from, atMs, forMs: FOREVER })),
        ),
      ],
      // A peer of the version before gives no word: it is spared.
      expects: nothing(20 * deadMs),
    };
  },
  (random, world, deadMs) => {
    const { intervalMs, leaseMs, aloneKeepMs } = world.routers[0].settings;
    const keptMs = aloneKeepMs + 1_250 + 3 * leaseMs + 2 * intervalMs + 2 * (world.witness?.leaseMs ?? 0);
    return {
      kind: 'echoes are dropped, power loss, a switch answers for the dead owner',
      faults: [
        { type: 'echo-dropped', share: 1, atMs: 0, forMs: FOREVER },
        { type: 'switch-answers', atMs: 0, forMs: FOREVER },
        {
          type: 'power',
          who: 'owner',
          effects: 0,
          keepsDisk: true,
          atMs: random.between(0, 3) * deadMs,
          forMs: FOREVER,
        },
      ],
      // The answer delays the takeover once, by what a kernel may serve without its processes.
      expects: {
        ownerChangesMin: 1,
        ownerChangesMax: 1,
        vacancyMsMax: keptMs + 6 * deadMs,
        watchMs: keptMs + 8 * deadMs,
      },
    };
  },
  (random, world, deadMs) => ({
    kind: 'power loss, a switch answers for the dead owner',
    faults: [
      { type: 'switch-answers', atMs: 0, forMs: FOREVER },
      { type: 'power', who: 'owner', effects: 0, keepsDisk: true, atMs: random.between(2, 3) * deadMs, forMs: FOREVER },
    ],
    // Echoes were seen before: their silence counts.
    expects: {
      ownerChangesMin: 1,
      ownerChangesMax: 1,
      vacancyMsMax: bySilence(world, deadMs),
      watchMs: 8 * deadMs + 2 * (world.witness?.leaseMs ?? 0),
    },
  }),
];

/** Adds such faults to a share of the schedules of chaos, and puts one alone in the place of others. */
export function withLanFaults(plan: Plan): Plan {
  const random = new Random(plan.seed ^ 0x1a4f);
  if (!random.chance(SHARE)) return plan;
  const deadMs = Math.max(...plan.world.routers.map(({ settings }) => settings.deadMs));
  if (plan.kind !== 'chaos') return { ...plan, settled: true, ...random.pick(LAN_SINGLES)(random, plan.world, deadMs) };
  const drawn = (): Fault => {
    const when = { atMs: random.between(0, 6) * deadMs, forMs: 0.1 + random.between(0, 6) * deadMs };
    const who = random.pick(['owner', 'owner', 'standby', 0, 1] as const);
    const lan = random.below(plan.world.networks);
    // A peer of the version before gives no word: behind a default-deny it is what it was.
    if (random.chance(0.25) && plan.world.older === undefined)
      return { type: 'echo-dropped', share: 1, atMs: 0, forMs: FOREVER };
    if (random.chance(0.25)) return { type: 'switch-answers', ...when };
    if (random.chance(0.5)) return { type: 'lan-way', who, lan, lost: random.pick(['out', 'in'] as const), ...when };
    return { type: 'target-silent', who, lan: random.pick(LANS), nth: random.below(TARGETS.length), ...when };
  };
  const ways = Array.from({ length: 1 + random.below(2) }, drawn);
  const quiet = random.chance(QUIET_SHARE)
    ? [quietOn(random.pick(LANS), random.pick(['both', 'both', 0, 1] as const))]
    : [];
  return { ...plan, faults: [...plan.faults, ...ways, ...quiet] };
}
