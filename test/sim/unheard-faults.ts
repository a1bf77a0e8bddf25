// Pairs that never hear each other: heartbeats are filtered from the very start, or signed with
// different keys, while the LANs of the virtual addresses are well. Drawn from numbers of their
// own, so that all other schedules are what they were without.
import type { Fault } from './fault.ts';
import { FOREVER } from './fault.ts';
import { Random } from './random.ts';
import type { Plan } from './schedule.ts';
import { bySilence, type Single } from './singles.ts';

/** Share of schedules with such a pair; some of them are taken by topics that come later. */
const SHARE = 0.043;
/** src/vip/native/hold/announce.c. */
const ANNOUNCED_EVERY_MS = 30_000;

const deaf = (probesToo: boolean): Fault => ({ type: 'heartbeats-dropped', probesToo, atMs: 0, forMs: FOREVER });

export const UNHEARD_SINGLES: readonly Single[] = [
  (random, _world, deadMs) => ({
    kind: 'heartbeats never arrive',
    // Or only after all: then they win.
    faults: [{ ...deaf(false), forMs: random.chance(0.8) ? FOREVER : random.between(1, 10) * deadMs }],
    expects: { ownerChangesMin: 0, ownerChangesMax: 0, vacancyMsMax: 0, watchMs: 20 * deadMs },
  }),
  (_random, _world, deadMs) => ({
    kind: 'neither heartbeats nor probes ever arrive',
    faults: [deaf(true)],
    // The first announcement that is heard settles it, and each one after that counts until the
    // next.
    expects: { ownerChangesMin: 0, ownerChangesMax: 0, vacancyMsMax: 0, watchMs: ANNOUNCED_EVERY_MS + 10 * deadMs },
  }),
  (random, world, deadMs) => {
    const probesToo = random.chance(0.15);
    // Then nothing else is heard of the owner than its announcements.
    const heardMs = probesToo ? ANNOUNCED_EVERY_MS + deadMs : 0;
    const atMs = random.between(2, 3) * deadMs;
    return {
      kind: 'heartbeats never arrive, power loss',
      faults: [deaf(probesToo), { type: 'power', who: 'owner', effects: 0, keepsDisk: true, atMs, forMs: FOREVER }],
      expects: {
        ownerChangesMin: 1,
        ownerChangesMax: 1,
        vacancyMsMax: heardMs + 2 * deadMs + bySilence(world, deadMs),
        watchMs: heardMs + 12 * deadMs + 3 * (world.witness?.leaseMs ?? 0),
      },
    };
  },
];

/** Those that must be watched for long are rare. */
function pick(random: Random): Single {
  const [first, ...others] = UNHEARD_SINGLES;
  return first !== undefined && random.chance(0.7) ? first : random.pick(others);
}

export function withUnheardFaults(plan: Plan): Plan {
  const random = new Random(plan.seed ^ 0x0dea);
  if (!random.chance(SHARE)) return plan;
  const deadMs = Math.max(...plan.world.routers.map(({ settings }) => settings.deadMs));
  return { ...plan, settled: true, ...pick(random)(random, plan.world, deadMs) };
}
