// A third machine is switched on that has the disk of one of the routers: the same name, key and
// own addresses. Drawn from numbers of their own, so that all other schedules are what they were
// without.
import type { Fault } from './fault.ts';
import { FOREVER } from './fault.ts';
import { Random } from './random.ts';
import type { Plan } from './schedule.ts';
import { bySilence, type Single } from './singles.ts';
import type { WorldOptions } from './world.ts';

/** Share of schedules with such a machine. */
const SHARE = 0.06;

/** So long a router that has just started listens, and a little more. */
const listensMs = (world: WorldOptions) =>
  1_300 + Math.max(...world.routers.map(({ settings: s }) => s.aloneKeepMs + s.leaseMs + s.deadMs));

export const COPY_SINGLES: readonly Single[] = [
  (random, world, deadMs) => ({
    kind: 'a copy of a router is switched on',
    faults: [
      {
        type: 'copy',
        who: random.pick(['owner', 'standby'] as const),
        draws: 'none',
        atMs: random.between(0, 2) * deadMs,
        forMs: FOREVER,
      },
    ],
    expects: { ownerChangesMin: 0, ownerChangesMax: 0, vacancyMsMax: 0, watchMs: listensMs(world) + 20 * deadMs },
  }),
  (random, world, deadMs) => ({
    kind: 'power loss of the owner, which has a copy',
    faults: [
      { type: 'copy', who: 'owner', draws: 'none', atMs: 0, forMs: FOREVER },
      {
        type: 'power',
        who: 'owner',
        effects: 0,
        keepsDisk: true,
        atMs: deadMs + random.between(0, 1) * listensMs(world),
        forMs: FOREVER,
      },
    ],
    expects: {
      ownerChangesMin: 1,
      ownerChangesMax: 1,
      vacancyMsMax: bySilence(world, deadMs),
      watchMs: 2 * listensMs(world) + 20 * deadMs + 2 * (world.witness?.leaseMs ?? 0),
    },
  }),
  (random, world, deadMs) => ({
    kind: 'a copy takes the place of a router, which then comes back',
    faults: [
      {
        type: 'copy',
        who: 'owner',
        draws: random.pick(['none', 'all'] as const),
        atMs: 0,
        forMs: 3 * listensMs(world),
      },
      {
        type: 'power',
        who: 'owner',
        effects: 0,
        keepsDisk: true,
        atMs: deadMs,
        forMs: listensMs(world) + random.between(0, 20) * deadMs,
      },
    ],
    expects: undefined,
  }),
  (random, world, deadMs) => {
    const stopMs = listensMs(world) + 7 * deadMs + random.between(0, 1) * deadMs;
    // Not for longer than a lone router's kernel keeps what it serves.
    const forMs = Math.min(12 * deadMs, 1_900);
    return {
      kind: 'a lone owner that has a copy stands still, and its peer comes back',
      faults: [
        { type: 'copy', who: 'owner', draws: 'none', atMs: 0, forMs: stopMs + 2 * forMs },
        {
          type: 'power',
          who: 'standby',
          effects: 0,
          keepsDisk: true,
          atMs: listensMs(world),
          forMs: 7 * deadMs + 0.8 * forMs,
        },
        { type: 'stop-all', who: 'owner', atMs: stopMs, forMs },
      ],
      expects: undefined,
    };
  },
  // By ARP. An owner of the version before gives no word: with its echoes astray nothing tells that it lives.
  (random, world, deadMs) => ({
    kind: 'a copy draws to itself what the peer says to the router',
    faults: [
      {
        type: 'copy',
        who: random.pick(['owner', 'standby'] as const),
        draws: world.older === undefined ? random.pick(['all', 0, 2] as const) : 'none',
        atMs: random.between(0, 2) * deadMs,
        forMs: listensMs(world) + 20 * deadMs,
      },
    ],
    expects: {
      ownerChangesMin: 0,
      ownerChangesMax: 1,
      vacancyMsMax: FOREVER,
      watchMs: 2 * listensMs(world) + 20 * deadMs,
    },
  }),
];

/**
 * Adds such a machine to a share of the schedules of chaos, and puts one alone in the place of
 * others. In chaos it is there first, and draws nothing to itself: a router that cannot answer while
 * its copy starts, or that is unheard because of it while the other vipd stands still, is replaced.
 */
export function withCopy(plan: Plan): Plan {
  const random = new Random(plan.seed ^ 0xc0b5);
  // The version before does not answer who asks for its own addresses.
  if (!random.chance(SHARE) || plan.world.older !== undefined) return plan;
  const deadMs = Math.max(...plan.world.routers.map(({ settings }) => settings.deadMs));
  if (plan.kind !== 'chaos')
    return { ...plan, settled: true, ...random.pick(COPY_SINGLES)(random, plan.world, deadMs) };
  // What else goes wrong comes while it listens, as after every start, or later.
  const laterMs = 2 * deadMs + (random.chance(0.5) ? listensMs(plan.world) : 0);
  const copy: Fault = {
    type: 'copy',
    who: random.pick(['owner', 'standby', 0, 1] as const),
    draws: 'none',
    atMs: 0,
    forMs: laterMs + random.between(2, 20) * deadMs,
  };
  return {
    ...plan,
    settled: true,
    faults: [copy, ...plan.faults.map(fault => ({ ...fault, atMs: fault.atMs + laterMs }))],
  };
}
