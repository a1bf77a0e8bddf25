// Pairs with a second VIP, by IPv6 and without a gateway, so that a router may be able to hold a part: an interface goes, IPv6 is
// switched off, the kernel refuses one address. Drawn from numbers of their own, so that all other schedules are what they were without.
import type { Fault, Who } from './fault.ts';
import { FOREVER } from './fault.ts';
import { Random } from './random.ts';
import type { Plan } from './schedule.ts';
import { bySilence, pickKind, type Single } from './singles.ts';
import type { RouterOptions, WorldOptions } from './world.ts';

/** Share of schedules with such a pair. */
const SHARE = 0.12;
/** VIP and gateway, and the other VIP, which is on the first LAN, too. */
const ADDRESS_LANS = [0, 1, 0] as const;
const UNITS = [[0, 1], [2]] as const;
/** OWN_LOST_MS_MIN of src/pulse/timing.ts: own addresses that are gone for so long, and for D, are lost. */
const ownLostMs = (deadMs: number) => Math.max(1_000, deadMs);
/** PAUSE_MS_MAX of src/pulse/timing.ts: an owner tries again what was refused. */
const RETRY_MS = 10_000;

const GATEWAY_GONE = 'the interface of the gateway goes on both';

/** A peer of the version before counts as one that can hold all; it may be tried in vain. */
const still = ({ older }: WorldOptions, watchMs: number) => ({
  ownerChangesMin: 0,
  ownerChangesMax: older === undefined ? 0 : 2,
  vacancyMsMax: 0,
  watchMs,
});
const once = (vacancyMsMax: number, watchMs: number) => ({
  ownerChangesMin: 1,
  ownerChangesMax: 1,
  vacancyMsMax,
  watchMs,
});
const watched = (world: WorldOptions, deadMs: number) =>
  ownLostMs(deadMs) + 14 * deadMs + 2 * (world.witness?.leaseMs ?? 0);
const refused = (who: Who, address: number, when: Pick<Fault, 'atMs' | 'forMs'>): Fault => ({
  type: 'address-refused',
  who,
  address,
  ...when,
});

export const UNIT_SINGLES: readonly Single[] = [
  (random, world, deadMs) => ({
    kind: 'IPv6 is disabled on the owner',
    faults: [{ type: 'no-ipv6', who: 'owner', atMs: random.between(2, 3) * deadMs, forMs: FOREVER }],
    expects: once(0, watched(world, deadMs)),
  }),
  (random, world, deadMs) => ({
    kind: 'IPv6 is disabled on the standby, and enabled again',
    faults: [
      { type: 'no-ipv6', who: 'standby', atMs: random.between(0, 2) * deadMs, forMs: random.between(1, 8) * deadMs },
    ],
    expects: still(world, watched(world, deadMs)),
  }),
  (random, world, deadMs) => {
    const atMs = random.between(0, 2) * deadMs;
    const both = { type: 'no-ipv6', atMs } as const;
    return {
      kind: 'IPv6 is disabled on both, and enabled again on the owner',
      faults: [
        { ...both, who: 'standby', forMs: FOREVER },
        // The peer must have had the time to say that it is no better.
        { ...both, who: 'owner', atMs: atMs + 3 * deadMs, forMs: random.between(1, 8) * deadMs },
      ],
      expects: still(world, watched(world, deadMs)),
    };
  },
  (random, world, deadMs) => ({
    kind: 'the kernel of the owner takes one address no more',
    faults: [refused('owner', random.below(3), { atMs: random.between(3, 4) * deadMs, forMs: FOREVER })],
    // One of the version before never says that it is warm.
    expects: { ...once(0, watched(world, deadMs)), ownerChangesMin: world.older === undefined ? 1 : 0 },
  }),
  (random, world, deadMs) => {
    const address = random.below(3);
    const when = { atMs: random.between(3, 4) * deadMs, forMs: FOREVER };
    return {
      kind: 'neither kernel takes one address any more',
      faults: [refused(0, address, when), refused(1, address, when)],
      // The other one cannot know before it has tried.
      expects: { ...once(FOREVER, 2 * RETRY_MS + watched(world, deadMs)), ownerChangesMin: 0 },
    };
  },
  (random, world, deadMs) => {
    const atMs = random.between(0, 2) * deadMs;
    return {
      kind: 'the owner may hold one address again, and nothing tells it',
      faults: [
        refused('standby', 2, { atMs, forMs: FOREVER }),
        { type: 'no-ipv6', who: 'standby', atMs, forMs: FOREVER },
        refused('owner', 2, { atMs, forMs: random.between(1, 4) * deadMs }),
      ],
      expects: still(world, RETRY_MS + watched(world, deadMs)),
    };
  },
  (random, world, deadMs) => {
    const atMs = random.between(2, 3) * deadMs;
    const part: Fault = random.chance(0.5)
      ? { type: 'no-ipv6', who: 'standby', atMs: 0, forMs: FOREVER }
      : refused('standby', random.below(3), { atMs: 0, forMs: FOREVER });
    return {
      kind: 'power loss, the standby can hold a part',
      faults: [part, { type: 'power', who: 'owner', effects: 0, keepsDisk: true, atMs, forMs: FOREVER }],
      expects: once(bySilence(world, deadMs), watched(world, deadMs)),
    };
  },
  (random, world, deadMs) => {
    const gone = { type: 'no-interface', lan: 1, forMs: FOREVER } as const;
    const atMs = random.between(0, 2) * deadMs;
    return {
      kind: GATEWAY_GONE,
      faults: [
        { ...gone, who: 'standby', atMs },
        // The peer must have had the time to say that it is no better.
        { ...gone, who: 'owner', atMs: atMs + 3 * deadMs },
      ],
      expects: still(world, watched(world, deadMs)),
    };
  },
  (random, world, deadMs) => {
    const elsewhere = world.linkLans.some(lan => lan > 1);
    const lan = random.below(2);
    const atMs = random.between(2, 3) * deadMs;
    return {
      kind: 'an interface of the owner goes',
      faults: [{ type: 'no-interface', who: 'owner', lan, atMs, forMs: FOREVER }],
      // Where the peer is heard no more it takes silence for death.
      expects: once(elsewhere ? bySilence(world, deadMs) : FOREVER, watched(world, deadMs)),
    };
  },
];

export const UNIT_KINDS: readonly string[] = [
  'IPv6 is disabled on the owner',
  'IPv6 is disabled on the standby, and enabled again',
  'IPv6 is disabled on both, and enabled again on the owner',
  'the kernel of the owner takes one address no more',
  'neither kernel takes one address any more',
  'the owner may hold one address again, and nothing tells it',
  'power loss, the standby can hold a part',
  'an interface of the owner goes',
  GATEWAY_GONE,
];

function withSecondVip(world: WorldOptions): WorldOptions {
  const routerOf = (router: RouterOptions): RouterOptions => ({
    ...router,
    settings: { ...router.settings, addressLans: ADDRESS_LANS, units: UNITS },
  });
  const [a, b] = world.routers;
  return { ...world, routers: [routerOf(a), routerOf(b)] };
}

function drawn(random: Random, deadMs: number): Fault[] {
  const when = () => ({
    atMs: random.between(0, 6) * deadMs,
    forMs: 0.1 + random.between(0, random.chance(0.2) ? 20 : 4) * deadMs,
  });
  const who = () => random.pick(['owner', 'owner', 'standby', 0, 1] as const);
  const makers: readonly (() => Fault)[] = [
    () => ({ type: 'no-interface', who: who(), lan: random.below(2), ...when() }),
    () => ({ type: 'no-ipv6', who: who(), ...when() }),
    () => refused(who(), random.below(3), when()),
  ];
  // Two kinds of the three, one of them perhaps on both routers.
  const without = random.below(makers.length);
  const some = makers.filter((_, index) => index !== without);
  return [...some, ...(random.chance(0.5) ? [random.pick(some)] : [])].map(make => make());
}

/** `only`: this kind, in any case. */
export function withUnitFaults(plan: Plan, only?: string): Plan {
  const random = new Random(plan.seed ^ 0x0417);
  if (!random.chance(SHARE) && only === undefined) return plan;
  const world = withSecondVip(plan.world);
  const deadMs = Math.max(
    ...[...world.routers.map(({ settings }) => settings), ...world.reloads].map(times => times.deadMs),
  );
  if (only === undefined && plan.kind === 'chaos')
    return { ...plan, world, faults: [...plan.faults, ...drawn(random, deadMs)] };
  const made = UNIT_SINGLES.map(make => make(random, world, deadMs));
  const { kind, faults, expects } = pickKind(random, made, only);
  return { ...plan, world, settled: true, kind, faults, expects };
}

export function isUnitKind(kind: string | undefined): boolean {
  return kind !== undefined && UNIT_KINDS.includes(kind);
}
