// Reloads: new H, L, D and priority for one router or for both, at drawn moments, one of them maybe
// never, with whatever else goes wrong meanwhile. Drawn from numbers of their own, so that all
// other schedules are what they were without.

import type { Settings, Times } from '../../src/pulse/election/machine.ts';
import { ms } from '../../src/units/duration.ts';
import { type Fault, FOREVER } from './fault.ts';
import { R1, R2 } from './network.ts';
import { Random } from './random.ts';
import type { Plan } from './schedule.ts';
import { bySilence, pickKind, type Single } from './singles.ts';
import type { RouterOptions, WorldOptions } from './world.ts';

/** Share of schedules with a reload. */
const SHARE = 0.08;
/**
 * What H, L and D are multiplied with; never less for the one that comes later, so that the rules
 * of `tandem check` hold.
 */
const FACTORS = [1, 1.5, 2, 3] as const;
const TRIPLES = FACTORS.flatMap(h => FACTORS.flatMap(l => FACTORS.map(d => [h, l, d] as const))).filter(
  ([h, l, d]) => h <= l && l <= d,
);

type Base = Pick<Settings, 'intervalMs' | 'leaseMs' | 'deadMs'>;

/**
 * All that a router of this world may be told, from its own times up: a LAN stays faster than the
 * probe window.
 */
function choices(base: Base, witness: WorldOptions['witness'], slowestMs: number): Omit<Times, 'priority'>[] {
  return TRIPLES.map(([h, l, d]) => ({
    intervalMs: ms(base.intervalMs * h),
    leaseMs: ms(base.leaseMs * l),
    deadMs: ms(base.deadMs * d),
  })).filter(
    ({ intervalMs, leaseMs }) =>
      witness === undefined || leaseMs + 3 * Math.max(intervalMs, slowestMs) + 50 <= witness.leaseMs,
  );
}

/** The router as it starts, with any of its choices; and the world with all of them. */
function worldOf(random: Random, world: WorldOptions): { world: WorldOptions; draw: (who: 0 | 1) => Times } {
  const slowestMs = Math.max(...world.routers.map(({ settings }) => settings.intervalMs));
  const all = world.routers.map(({ settings }) => {
    const found = choices(settings, world.witness, slowestMs);
    return found.length > 0 ? found : [settings];
  });
  const draw = (who: 0 | 1): Times => {
    const { intervalMs, leaseMs, deadMs } = random.pick(all[who] as Omit<Times, 'priority'>[]);
    return { intervalMs, leaseMs, deadMs, priority: random.pick([50, 100, 100, 150]) };
  };
  const routers = world.routers.map((router, index) => ({
    ...router,
    settings: { ...router.settings, ...draw(index as 0 | 1) },
  })) as unknown as readonly [RouterOptions, RouterOptions];
  return { world: { ...world, routers, reloads: all.flat() }, draw };
}

/** The world with the slowest times that a reload may bring. */
function slowestOf(world: WorldOptions): WorldOptions {
  const most = (field: keyof Base) => ms(Math.max(...world.reloads.map(times => times[field])));
  const slowest = { intervalMs: most('intervalMs'), leaseMs: most('leaseMs') };
  const [a, b] = world.routers;
  const slow = (router: RouterOptions) => ({ ...router, settings: { ...router.settings, ...slowest } });
  return { ...world, routers: [slow(a), slow(b)] };
}

type Draw = (who: 0 | 1) => Times;

/** One to four, each of one router or of both one after the other. */
function reloads(random: Random, deadMs: number, draw: Draw): Fault[] {
  return Array.from({ length: 1 + random.below(4) }, () => {
    const who = random.pick([R1, R2]) as 0 | 1;
    return { type: 'reload' as const, who, times: draw(who), atMs: random.between(0, 5) * deadMs, forMs: 0 };
  });
}

const KINDS = {
  calm: 'reloads in calm weather',
  power: 'reloads, power loss',
  stall: 'a reload, and the owner stalls in the middle of it, unseen by probes',
} as const;

export const RELOAD_KINDS: readonly string[] = Object.values(KINDS);

export function isReloadKind(kind: string | undefined): boolean {
  return kind !== undefined && RELOAD_KINDS.includes(kind);
}

const singles = (draw: Draw): readonly Single[] => [
  (random, _world, deadMs) => ({
    kind: KINDS.calm,
    faults: reloads(random, deadMs, draw),
    expects: { ownerChangesMin: 0, ownerChangesMax: 0, vacancyMsMax: 0, watchMs: 12 * deadMs + 1_000 },
  }),
  (random, world, deadMs) => ({
    kind: KINDS.power,
    faults: [
      ...reloads(random, deadMs, draw),
      { type: 'power', who: 'owner', effects: 0, keepsDisk: true, atMs: random.between(2, 6) * deadMs, forMs: FOREVER },
    ],
    expects: {
      ownerChangesMin: 1,
      ownerChangesMax: 1,
      vacancyMsMax: bySilence(slowestOf(world), deadMs),
      watchMs: 14 * deadMs + 2 * (world.witness?.leaseMs ?? 0),
    },
  }),
  (random, world, deadMs) => {
    const atMs = random.between(0.5, 6) * deadMs;
    const stallAtMs = atMs + random.between(0, 1) ** 2 * deadMs;
    return {
      kind: KINDS.stall,
      faults: [
        ...reloads(random, deadMs, draw),
        { type: 'reload', who: 'owner', times: draw(R1), atMs, forMs: 0 },
        // Only the lease keeps the two apart: where no link is on these LANs, no heartbeat is lost
        // with the probes.
        ...[0, 1].flatMap(lan =>
          [R1, R2].map(from => ({ type: 'cut' as const, lan, from, to: 1 - from, atMs, forMs: 6 * deadMs })),
        ),
        random.chance(0.5)
          ? { type: 'stall', who: 'owner', effects: 0, atMs: stallAtMs, forMs: 3 * deadMs }
          : { type: 'stop-all', who: 'owner', atMs: stallAtMs, forMs: 3 * deadMs },
        // Or what is said of it does not arrive.
        ...(random.chance(0.4) ? world.linkLans : []).flatMap(lan =>
          [R1, R2].map(from => ({ type: 'cut' as const, lan, from, to: 1 - from, atMs, forMs: 2 * deadMs })),
        ),
      ],
      expects: undefined,
    };
  },
];

/** What goes wrong in the same moment, so that a half of what is said and done gets lost. */
function companions(random: Random, plan: Plan, deadMs: number, atMs: number): Fault[] {
  const near = () => ({ atMs: atMs + random.between(0, 1) * deadMs, forMs: random.between(0.2, 3) * deadMs });
  const who = random.pick(['owner', 'owner', 'standby'] as const);
  const lost = (): Fault[] => {
    const share = random.between(0.2, 1);
    const from = random.pick([R1, R2]);
    const when = near();
    return plan.world.linkLans.map(lan => ({ type: 'loss', lan, from, to: 1 - from, share, ...when }));
  };
  return random.pick<() => Fault[]>([
    () => [],
    lost,
    () => [{ type: 'stall', who, effects: random.below(10), ...near() }],
    () => [...lost(), { type: 'stall', who, effects: random.below(10), ...near() }],
    () => [{ type: 'stop-all', who, ...near() }],
    () => [{ type: 'stop-vipd', who, ...near() }],
    () => [
      { type: 'kill-pulse', who, effects: random.below(10), vipdToo: random.chance(0.5), cleanup: true, ...near() },
    ],
  ])();
}

/** `only`: this kind, in any case. */
export function withReloads(plan: Plan, only?: string): Plan {
  const random = new Random(plan.seed ^ 0x2e10);
  if (!random.chance(SHARE) && only === undefined) return plan;
  const { world, draw } = worldOf(random, plan.world);
  const deadMs = Math.max(...[...world.routers.map(({ settings }) => settings), ...world.reloads].map(t => t.deadMs));
  if (only !== undefined || plan.kind !== 'chaos' || random.chance(0.3)) {
    const made = singles(draw).map(make => make(random, world, deadMs));
    const { kind, faults, expects } = pickKind(random, made, only);
    return { ...plan, world, settled: true, kind, faults, expects };
  }
  const added = reloads(random, deadMs, draw);
  const first = added[0]?.atMs ?? 0;
  return { ...plan, world, faults: [...plan.faults, ...added, ...companions(random, plan, deadMs, first)] };
}
