// Schedules of one known fault, or of a known sequence, on a pair that has settled: what they may cost is known. Also what mutation runs
// look at first, by kind.
import { FOREVER } from './fault.ts';
import { R1, R2 } from './network.ts';
import type { Random } from './random.ts';
import type { Plan } from './schedule.ts';
import type { WorldOptions } from './world.ts';

export type Single = (random: Random, world: WorldOptions, deadMs: number) => Pick<Plan, 'kind' | 'faults' | 'expects'>;

/** Any of them, or the one of this kind. */
export function pickKind<T extends { readonly kind: string }>(
  random: Random,
  made: readonly T[],
  only: string | undefined,
): T {
  if (only === undefined) return random.pick(made);
  const found = made.find(({ kind }) => kind === only);
  if (!found) throw new Error(`no kind of schedule is called "${only}"`);
  return found;
}

const roundMs = (world: WorldOptions) =>
  Math.max(...world.routers.map(({ settings }) => Math.max(5, Math.min(25, settings.intervalMs / 2))));
const slowest = (world: WorldOptions, field: 'intervalMs' | 'leaseMs') =>
  Math.max(...world.routers.map(({ settings }) => settings[field]));
const still = (watchMs: number) => ({ ownerChangesMin: 0, ownerChangesMax: 0, vacancyMsMax: 0, watchMs });
const once = (vacancyMsMax: number, watchMs: number) => ({
  ownerChangesMin: 1,
  ownerChangesMax: 1,
  vacancyMsMax,
  watchMs,
});

/** D of the slower, three probe rounds, and what timers and wires add; with a witness, the dead router's lease there comes first. */
export const bySilence = (world: WorldOptions, deadMs: number) =>
  Math.max(
    deadMs,
    slowest(world, 'leaseMs') + 0.8 * slowest(world, 'intervalMs'),
    world.witness ? world.witness.leaseMs * 1.1 + 25 : 0,
  ) +
  4 * roundMs(world) +
  15;
/** Long enough to see it, also with a witness. */
const watched = (world: WorldOptions, deadMs: number) => 6 * deadMs + 2 * (world.witness?.leaseMs ?? 0);

export const SINGLES: readonly Single[] = [
  (random, world, deadMs) => ({
    kind: 'power loss',
    faults: [
      {
        type: 'power',
        who: 'owner',
        effects: random.below(6),
        keepsDisk: true,
        atMs: random.between(0, deadMs),
        forMs: FOREVER,
      },
    ],
    expects: once(bySilence(world, deadMs), watched(world, deadMs)),
  }),
  (random, world, deadMs) => ({
    kind: 'power loss, a stranger answers',
    faults: [
      { type: 'stranger', atMs: 0, forMs: FOREVER },
      { type: 'power', who: 'owner', effects: 0, keepsDisk: true, atMs: random.between(0, deadMs), forMs: FOREVER },
    ],
    expects: once(bySilence(world, deadMs), watched(world, deadMs)),
  }),
  (random, _world, deadMs) => ({
    kind: 'pulse killed',
    faults: [
      {
        type: 'kill-pulse',
        who: 'owner',
        effects: random.below(6),
        vipdToo: random.chance(0.3),
        cleanup: true,
        atMs: random.between(0, deadMs),
        forMs: random.between(100, 200) + deadMs,
      },
    ],
    expects: once(40, 6 * deadMs),
  }),
  (random, world, deadMs) => ({
    kind: 'all stopped',
    faults: [{ type: 'stop-all', who: 'owner', atMs: random.between(0, deadMs), forMs: 3_000 + 4 * deadMs }],
    // Without the packet lease the kernel serves on for its lifetime; the standby asks at a slower pace by then.
    expects: once(
      bySilence(world, deadMs) + (world.routers[0].gated ? 0 : 6 * slowest(world, 'intervalMs')),
      3_500 + watched(world, deadMs),
    ),
  }),
  (random, world, deadMs) => {
    const shortest = Math.min(...world.routers.map(({ settings }) => settings.leaseMs - settings.intervalMs));
    const forMs = random.between(0.1, Math.max(0.2, shortest - 6));
    return {
      kind: 'short stall',
      faults: [{ type: 'stall', who: 'owner', effects: random.below(8), atMs: random.between(0, deadMs), forMs }],
      expects: still(6 * deadMs),
    };
  },
  (random, _world, deadMs) => ({
    kind: 'stalled standby',
    faults: [
      {
        type: 'stall',
        who: 'standby',
        effects: random.below(8),
        atMs: random.between(0, deadMs),
        forMs: random.between(0, 8 * deadMs),
      },
    ],
    expects: still(12 * deadMs),
  }),
  (random, _world, deadMs) => ({
    kind: 'handover',
    faults: [{ type: 'handover', who: 'owner', atMs: random.between(0, deadMs), forMs: 1 }],
    expects: once(0, 8 * deadMs),
  }),
  (random, _world, deadMs) => ({
    kind: 'graceful stop',
    faults: [{ type: 'sigterm', who: 'owner', atMs: random.between(0, deadMs), forMs: 1 }],
    expects: once(0, 8 * deadMs),
  }),
  (random, world, deadMs) => ({
    kind: 'one link cut',
    faults: [
      {
        type: 'cut',
        lan: 2,
        ...random.pick([
          { from: R1, to: R2 },
          { from: R2, to: R1 },
        ]),
        atMs: random.between(0, deadMs),
        forMs: FOREVER,
      },
    ],
    // With heartbeats on that link alone it is "all links broken": probes keep the standby from taking over.
    expects: still((world.linkLans.length > 1 ? 6 : 20) * deadMs),
  }),
  (random, _world, deadMs) => ({
    kind: 'all heartbeat links cut, the client LAN is well',
    faults: [R1, R2].map(from => ({
      type: 'cut' as const,
      lan: 2,
      from,
      to: 1 - from,
      atMs: random.between(0, deadMs),
      forMs: FOREVER,
    })),
    expects: still(20 * deadMs),
  }),
  (random, _world, deadMs) => ({
    kind: 'vipd killed',
    faults: [{ type: 'kill-vipd', who: 'owner', atMs: random.between(0, deadMs), forMs: 1 }],
    expects: still(8 * deadMs),
  }),
  (random, world, deadMs) => ({
    kind: 'carrier lost',
    faults: [{ type: 'carrier', who: 'owner', lan: 0, atMs: random.between(2, 3) * deadMs, forMs: FOREVER }],
    // With heartbeats on that LAN alone nobody can say so, and the other LAN's address is served: the standby must not take it.
    expects: { ...once(FOREVER, 10 * deadMs), ownerChangesMin: world.linkLans.some(lan => lan !== 0) ? 1 : 0 },
  }),
  (random, world, deadMs) => ({
    kind: 'vipd broken for ever',
    // Not in the owner's first moments: the peer must know that the lease it served under last was armed.
    faults: [{ type: 'vipd-broken', who: 'owner', atMs: random.between(3, 4) * deadMs, forMs: FOREVER }],
    expects: once(bySilence(world, deadMs), 3_500 + 4 * deadMs + watched(world, deadMs)),
  }),
  (random, _world, deadMs) => ({
    kind: 'full partition, healed',
    faults: [
      { type: 'partition', directions: 'both', atMs: random.between(0, deadMs), forMs: random.between(2, 12) * deadMs },
    ],
    expects: undefined,
  }),
  (random, _world, deadMs) => ({
    kind: 'split in two, healed',
    faults: [
      ...[0, 1].map(lan => ({ type: 'split' as const, lan, atMs: 0, forMs: 9 * deadMs })),
      { type: 'partition', directions: 'both', atMs: 0, forMs: random.between(4, 9) * deadMs },
    ],
    expects: undefined,
  }),
  (random, _world, deadMs) => ({
    kind: 'both stalled',
    faults: Array.from({ length: 4 }, (_, i) => ({
      type: 'stall' as const,
      who: i % 2 === 0 ? ('owner' as const) : ('standby' as const),
      effects: random.below(6),
      atMs: random.between(0, 5) * deadMs,
      forMs: random.between(0.3, 4) * deadMs,
    })),
    expects: undefined,
  }),
  (random, _world, deadMs) => ({
    kind: 'the new owner stalls while the old one starts again',
    faults: [
      {
        type: 'kill-pulse',
        who: 'owner',
        effects: 0,
        vipdToo: false,
        cleanup: true,
        atMs: 0,
        forMs: random.between(100, 300),
      },
      {
        type: 'stall',
        who: 'owner',
        effects: 0,
        atMs: random.between(20, 90),
        forMs: 4_000 + 4 * deadMs + random.between(0, 3_000),
      },
    ],
    expects: undefined,
  }),
  (random, world, deadMs) => ({
    kind: 'power loss, the standby is unfit',
    faults: [
      { type: 'carrier', who: 'standby', lan: 1, atMs: 0, forMs: FOREVER },
      { type: 'power', who: 'owner', effects: 0, keepsDisk: true, atMs: random.between(1, 2) * deadMs, forMs: FOREVER },
    ],
    expects: once(bySilence(world, deadMs), 2 * deadMs + watched(world, deadMs)),
  }),
  (random, _world, deadMs) => {
    const kill = { type: 'kill-pulse', who: 'owner', effects: 0, vipdToo: false, cleanup: true, forMs: 100 } as const;
    const pauseMs = 700 + 6 * deadMs;
    return {
      kind: 'both started again, then old datagrams are played back, then a handover',
      faults: [
        { ...kill, atMs: 20 * random.next() + 2 * deadMs },
        { ...kill, atMs: pauseMs },
        { type: 'replay', who: 'owner', atMs: 2 * pauseMs, forMs: 1 },
        { type: 'handover', who: 'owner', atMs: 2 * pauseMs + 2 * deadMs, forMs: 1 },
      ],
      expects: { ownerChangesMin: 3, ownerChangesMax: 3, vacancyMsMax: 60, watchMs: 3 * pauseMs },
    };
  },
  (random, _world, deadMs) => ({
    kind: 'cut off from peer and witness',
    faults: [{ type: 'cut-off', who: 'owner', atMs: random.between(0, deadMs), forMs: 3_000 + 20 * deadMs }],
    expects: undefined,
  }),
  (random, _world, deadMs) => ({
    kind: 'handover to a stalled standby',
    faults: [
      { type: 'stall', who: 'standby', effects: 0, atMs: 0, forMs: random.between(0.2, 1.5) * deadMs },
      { type: 'handover', who: 'owner', atMs: random.between(0, 0.3) * deadMs, forMs: 1 },
    ],
    expects: undefined,
  }),
  (random, _world, deadMs) => ({
    kind: 'one direction between the routers cut for ever',
    faults: [
      {
        type: 'partition',
        directions: random.pick(['r1-to-r2', 'r2-to-r1'] as const),
        atMs: random.between(0, 2) * deadMs,
        forMs: FOREVER,
      },
    ],
    expects: { ownerChangesMin: 0, ownerChangesMax: 2, vacancyMsMax: FOREVER, watchMs: 3_500 + 20 * deadMs },
  }),
  (random, _world, deadMs) => ({
    kind: 'vipd stopped for about a lease',
    faults: [
      { type: 'stop-vipd', who: 'owner', atMs: random.between(0, 1) * deadMs, forMs: random.between(0.2, 3) * deadMs },
    ],
    expects: undefined,
  }),
  (random, world, deadMs) => ({
    kind: 'handover into a full queue',
    faults: [
      ...Array.from({ length: world.networks }, (_, lan) => ({
        type: 'clog' as const,
        lan,
        atMs: deadMs,
        forMs: (0.2 + random.next()) * deadMs,
      })),
      { type: 'handover', who: 'owner', atMs: random.between(0.9, 1.3) * deadMs, forMs: 1 },
    ],
    expects: undefined,
  }),
  (random, world, deadMs) => {
    const keptMs = Math.max(...world.routers.map(({ settings }) => settings.aloneKeepMs));
    const awayMs = keptMs + 1_600 + 2 * deadMs + (world.witness?.leaseMs ?? 0);
    const restartMs = random.between(100, 200);
    return {
      kind: 'asleep while the owner starts again, woken in a partition',
      faults: [
        { type: 'stall', who: 'standby', effects: 0, atMs: 0, forMs: awayMs + random.between(0, 2) * deadMs },
        { type: 'kill-pulse', who: 'owner', effects: 0, vipdToo: true, cleanup: true, atMs: 1, forMs: restartMs },
        { type: 'partition', directions: 'both', atMs: restartMs + 8 * deadMs, forMs: awayMs },
      ],
      expects: undefined,
    };
  },
  (random, world, deadMs) => {
    const h = slowest(world, 'intervalMs');
    const stallMs = 1.5 * slowest(world, 'leaseMs');
    // The owner loses the addresses by its own stall, does not hear the peer, is granted them and waits; the peer wakes meanwhile.
    const wakesMs = stallMs + random.between(2, 3 + (2 * deadMs) / h) * h;
    return {
      kind: 'nobody serves, behind a one-way cut',
      faults: [
        { type: 'partition', directions: random.pick(['r1-to-r2', 'r2-to-r1'] as const), atMs: 0, forMs: 20 * deadMs },
        { type: 'stall', who: 'owner', effects: 0, atMs: 3 * deadMs, forMs: stallMs },
        { type: 'stall', who: 'standby', effects: 0, atMs: 3 * deadMs, forMs: wakesMs },
      ],
      expects: undefined,
    };
  },
  (random, world, deadMs) => {
    const backMs = 200 + 3 * deadMs;
    const seenMs = 3 * slowest(world, 'intervalMs');
    return {
      kind: 'vipd of the owner stops as the standby comes back',
      faults: [
        { type: 'kill-pulse', who: 'standby', effects: 0, vipdToo: true, cleanup: true, atMs: 0, forMs: backMs },
        { type: 'carrier', who: 'owner', lan: 1, atMs: deadMs, forMs: 9 * deadMs },
        { type: 'stop-vipd', who: 'owner', atMs: backMs + random.between(0, seenMs), forMs: 5 * deadMs },
      ],
      expects: undefined,
    };
  },
  (random, world, deadMs) => {
    const backMs = 200 + 3 * deadMs;
    const cut = { type: 'cut', forMs: 8 * deadMs, atMs: backMs } as const;
    const lostMs = backMs + random.between(0, 3) * slowest(world, 'intervalMs');
    return {
      kind: 'the owner is alone and loses vipd as the standby comes back, probes are lost',
      faults: [
        { type: 'kill-pulse', who: 'standby', effects: 0, vipdToo: true, cleanup: true, atMs: 0, forMs: backMs },
        { type: 'vipd-broken', who: 'owner', atMs: lostMs, forMs: 6 * deadMs },
        ...[0, 1].flatMap(lan => [R1, R2].map(from => ({ ...cut, lan, from, to: 1 - from }))),
      ],
      expects: undefined,
    };
  },
  (random, _world, deadMs) => {
    const aloneMs = random.between(2.5, 3.5) * deadMs;
    return {
      kind: 'the owner finds itself alone and stops, the standby wakes behind a one-way cut',
      faults: [
        { type: 'partition', directions: random.pick(['r1-to-r2', 'r2-to-r1'] as const), atMs: 0, forMs: 20 * deadMs },
        { type: 'stall', who: 'standby', effects: 0, atMs: 0, forMs: aloneMs + random.between(0, 3) * deadMs },
        { type: 'stall', who: 'owner', effects: 0, atMs: aloneMs, forMs: 6 * deadMs },
      ],
      expects: undefined,
    };
  },
];

/** Own addresses are gone for so long before the LAN counts as lost. */
const ownLostMs = (deadMs: number) => Math.max(1_000, deadMs);
const lost = { type: 'own-lost', who: 'owner', lan: 'all', family: 'both', withCarrier: false } as const;
/** The only heartbeat link is on the clients' LAN: who loses the address there can say nothing any more. */
/** Drawn from numbers of their own. */
export const VACANCY_SINGLES: readonly Single[] = [
  (random, world, deadMs) => {
    const refusesMs = random.between(3, 9) * deadMs;
    const directions = random.pick(['r1-to-r2', 'r2-to-r1'] as const);
    return {
      kind: 'neither kernel takes the addresses, and a one-way cut before one does',
      faults: [
        { type: 'kernel-refuses', who: 'owner', atMs: 0, forMs: refusesMs },
        { type: 'kernel-refuses', who: 'standby', atMs: 0, forMs: refusesMs },
        { type: 'stall', who: 'owner', effects: 0, atMs: 1, forMs: 1.5 * slowest(world, 'leaseMs') },
        { type: 'partition', directions, atMs: refusesMs + random.between(-1, 2) * deadMs, forMs: 20 * deadMs },
      ],
      expects: undefined,
    };
  },
];

const oneLan = ({ linkLans }: WorldOptions) => linkLans.every(lan => lan === 0);

export const OWN_SINGLES: readonly Single[] = [
  (random, world, deadMs) => ({
    kind: 'own addresses of all LANs lost',
    faults: [{ ...lost, atMs: random.between(0, deadMs), forMs: FOREVER }],
    expects: once(bySilence(world, deadMs), watched(world, deadMs)),
  }),
  (random, world, deadMs) => ({
    kind: 'own addresses of all LANs lost for a while',
    faults: [{ ...lost, atMs: random.between(0, deadMs), forMs: random.between(1.5, 12) * deadMs }],
    // Until a witness grants it, the addresses may be back.
    expects: {
      ...once(bySilence(world, deadMs), 12 * deadMs + watched(world, deadMs)),
      ownerChangesMin: world.witness === undefined ? 1 : 0,
    },
  }),
  (random, world, deadMs) => ({
    kind: 'own address of the client LAN lost',
    faults: [{ ...lost, lan: 0, atMs: random.between(2, 3) * deadMs, forMs: FOREVER }],
    expects: once(
      oneLan(world) ? bySilence(world, deadMs) : 0,
      ownLostMs(deadMs) + 4 * deadMs + watched(world, deadMs),
    ),
  }),
  (random, world, deadMs) => ({
    kind: 'own address of one family lost',
    faults: [{ ...lost, lan: 0, family: 6, atMs: random.between(2, 3) * deadMs, forMs: FOREVER }],
    expects: once(0, ownLostMs(deadMs) + 4 * deadMs + watched(world, deadMs)),
  }),
  (random, world, deadMs) => {
    // What is left of a lease that is not renewed meanwhile, less what timers and pipes add. A way that is gone may have taken the last
    // heartbeat along, if that is no older than vipd's sample.
    const least = Math.min(...world.routers.map(({ settings: s }) => s.leaseMs - 1.8 * s.intervalMs)) - 4;
    return {
      kind: 'own addresses lost for a moment',
      faults: [{ ...lost, atMs: random.between(0, deadMs), forMs: random.between(0.1, Math.max(0.2, least)) }],
      expects: still(6 * deadMs),
    };
  },
  (random, _world, deadMs) => ({
    kind: 'the standby boots before its addresses are there',
    faults: [
      { ...lost, who: 'standby', atMs: 0, forMs: 8_000 + 4 * deadMs + random.between(0, 1_000) },
      { type: 'power', who: 'standby', effects: 0, keepsDisk: true, atMs: 0.1, forMs: random.between(10, 500) },
    ],
    expects: still(9_000 + 12 * deadMs),
  }),
  (random, world, deadMs) => ({
    kind: 'power loss takes the cross link along, with carrier and address',
    faults: [
      { type: 'power', who: 'owner', effects: 0, keepsDisk: true, atMs: deadMs, forMs: FOREVER },
      {
        ...lost,
        who: 'standby',
        lan: 'no-vips',
        withCarrier: true,
        atMs: deadMs + random.between(0, 2),
        forMs: FOREVER,
      },
    ],
    expects: once(bySilence(world, deadMs), watched(world, deadMs)),
  }),
  (random, world, deadMs) => ({
    kind: 'who cannot speak is alone, and the peer starts again',
    faults: [
      { type: 'power', who: 'standby', effects: 0, keepsDisk: true, atMs: 0, forMs: 6 * deadMs },
      { ...lost, atMs: 4 * deadMs + random.between(0, deadMs), forMs: 12_000 + 12 * deadMs },
    ],
    expects: {
      ...once(FOREVER, 14_000 + 20 * deadMs),
      ownerChangesMin: world.linkLans.includes(0) ? 1 : 0,
    },
  }),
  (_random, world, deadMs) => {
    const everyMs = 3_000 + 6 * deadMs;
    const elsewhere = world.linkLans.some(lan => lan !== 0);
    return {
      kind: 'carrier lost again and again',
      faults: Array.from({ length: elsewhere ? 5 : 1 }, (_, i) => ({
        type: 'carrier' as const,
        who: 'owner' as const,
        lan: 0,
        atMs: 2 * deadMs + i * everyMs,
        forMs: 2 * deadMs,
      })),
      // With heartbeats on that LAN alone nobody can say so.
      expects: elsewhere
        ? { ...once(FOREVER, 6 * everyMs), ownerChangesMin: 5, ownerChangesMax: 5 }
        : { ...once(FOREVER, 2 * everyMs), ownerChangesMin: 0 },
    };
  },
  (random, _world, deadMs) => ({
    kind: 'the kernel refuses, and nobody else is left',
    faults: [
      { type: 'kernel-refuses', who: 'standby', atMs: 0, forMs: 8_000 + random.between(0, 4_000) },
      { type: 'power', who: 'owner', effects: 0, keepsDisk: true, atMs: random.between(0, deadMs), forMs: FOREVER },
    ],
    expects: undefined,
  }),
];
