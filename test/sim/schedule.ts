// From a seed to a plan: how the two routers are set up, which networks there are, which faults come when, and what must hold for
// that kind of schedule. The same seed gives the same plan.
import type { FixedSettings, Settings } from '../../src/pulse/election/machine.ts';
import { ms } from '../../src/units/duration.ts';
import { settingsFor } from '../settings-for.ts';
import { COPY_SINGLES, withCopy } from './copy-faults.ts';
import { type Fault, FOREVER, type Who } from './fault.ts';
import { LAN_SINGLES, withLanFaults } from './lan-faults.ts';
import { CLIENTS, R1, R2 } from './network.ts';
import { Random } from './random.ts';
import { isReloadKind, withReloads } from './reload-faults.ts';
import { OWN_SINGLES, SINGLES, VACANCY_SINGLES } from './singles.ts';
import { UNHEARD_SINGLES, withUnheardFaults } from './unheard-faults.ts';
import { isUnitKind, withUnitFaults } from './unit-faults.ts';
import type { RouterOptions, WorldOptions } from './world.ts';

/** What one fault on a settled pair may cost. Undefined: nothing is said of it. */
export interface Expectation {
  readonly ownerChangesMax: number;
  readonly ownerChangesMin: number;
  /** Longest time without anybody who serves. */
  readonly vacancyMsMax: number;
  /** How long the pair is watched. */
  readonly watchMs: number;
}

export interface Plan {
  readonly seed: number;
  readonly kind: string;
  readonly world: WorldOptions;
  /** The faults begin when the pair has settled, or at once. */
  readonly settled: boolean;
  /** The second router is started this much later. */
  readonly secondStartMs: number;
  readonly faults: readonly Fault[];
  readonly expects: Expectation | undefined;
}

/** H, L, D: the defaults, the fastest, and between; H = L / 2 and D = L + 8 ms are what `tandem check` allows at most. */
const TIMES = [
  [100, 220, 300],
  [50, 110, 150],
  [20, 44, 60],
  [10, 22, 30],
  [10, 30, 40],
  [100, 200, 250],
] as const;

export interface PlanOptions {
  readonly say?: WorldOptions['say'];
  /** Only this kind of single fault. */
  readonly kind?: string | undefined;
}

export function planOf(seed: number, { say, kind }: PlanOptions = {}): Plan {
  const random = new Random(seed);
  const base = random.pick(TIMES);
  const networks = random.chance(0.5) ? 3 : 4;
  const linkLans = random.pick([[0], [0, 2], [0, 2], [2], networks === 4 ? [2, 3] : [0, 2], [0, 1, 2]]);
  const directors = random.chance(0.15);
  const kept = random.pick([2_000, 2_000, 5_000]);
  const gated = random.chance(0.6);
  // How many, from numbers of their own.
  const targets = random.chance(0.5) ? new Random(seed ^ 0x7a26).pick([1, 3]) : 0;
  const onIsolation = random.chance(0.8) ? 'release' : 'keep';
  // Two configs in mid-change: any times that each router alone may have.
  const times = [0, 1].map(() => (random.chance(0.06) ? random.pick(TIMES) : base));
  const witness = witnessOf(random, Math.max(...times.map(t => t[1])), Math.max(...times.map(t => t[0])));
  const common: Common = { times, linkLans, directors, kept, gated, targets, networks, onIsolation, witness };
  const routers = [0, 1].map(index => routerOptions(random, index as 0 | 1, common)) as [RouterOptions, RouterOptions];
  const fastest = Math.min(...times.map(t => t[0]));
  const world: WorldOptions = {
    seed,
    routers,
    linkLans,
    networks,
    // A LAN is faster than the probe window of the faster router.
    delayMs: random.between(0.05, 0.02 * fastest),
    jitterMs: random.between(0, 0.05 * fastest),
    pipeJitterMs: random.chance(0.3) ? random.between(0, 1) : 0,
    wire: random.chance(1 / 16),
    older: random.chance(0.1) ? (random.below(2) as 0 | 1) : undefined,
    witness,
    reloads: [],
    say,
  };
  const maker = new FaultMaker(random, world, Math.max(...routers.map(r => r.settings.deadMs)));
  const roll = random.next();
  const made =
    kind !== undefined || (roll >= 0.6 && roll < 0.9)
      ? maker.single(isReloadKind(kind) || isUnitKind(kind) ? undefined : kind)
      : roll < 0.6
        ? maker.chaos(directors)
        : maker.asymmetric();
  const plan = {
    seed,
    world,
    secondStartMs: random.chance(0.3) ? random.between(0, 3 * base[2]) : random.between(0, 5),
    ...made,
  };
  if (isUnitKind(kind)) return withUnitFaults(plan, kind);
  if (kind !== undefined) return isReloadKind(kind) ? withReloads(plan, kind) : plan;
  const deadMs = Math.max(...routers.map(r => r.settings.deadMs));
  return withFailedChecks(
    withVacancy(withCopy(withUnitFaults(withReloads(withUnheardFaults(withOwnLost(withLanFaults(plan), deadMs)))))),
    deadMs,
  );
}

/** Share of the schedules without a known price in which fitness checks fail. */
const FAILED_CHECKS_SHARE = 0.1;

/**
 * As withOwnLost(). Some for longer than an owner keeps its role, so that it moves for them. The
 * routers have directors then, who make these checks: one that reports for the fault alone would
 * be taken for gone afterwards.
 */
function withFailedChecks(plan: Plan, deadMs: number): Plan {
  const random = new Random(plan.seed ^ 0xf17c);
  if (plan.kind !== 'chaos' || !random.chance(FAILED_CHECKS_SHARE)) return plan;
  const failed = (): Fault => ({
    type: 'check-fails',
    who: random.pick(['owner', 'owner', 'standby', 0, 1] as const),
    atMs: random.between(0, 6) * deadMs,
    forMs: random.chance(0.5) ? random.between(0.1, 6) * deadMs : random.between(10_000, 30_000),
  });
  const withDirector = (router: RouterOptions): RouterOptions => ({
    ...router,
    settings: { ...router.settings, keepsSessions: true },
  });
  const [first, second] = plan.world.routers;
  return {
    ...plan,
    world: { ...plan.world, routers: [withDirector(first), withDirector(second)] },
    faults: [...plan.faults, ...Array.from({ length: 1 + random.below(3) }, failed)],
  };
}

/** Share of schedules in which a router loses addresses of its own. */
const OWN_SHARE = 0.1;

/** Drawn from numbers of their own, so that all other schedules are what they were before. */
function withOwnLost(plan: Plan, deadMs: number): Plan {
  const random = new Random(plan.seed ^ 0x0ad2);
  if (!random.chance(OWN_SHARE)) return plan;
  if (plan.kind !== 'chaos') return { ...plan, settled: true, ...random.pick(OWN_SINGLES)(random, plan.world, deadMs) };
  const lost = (): Fault => ({
    type: 'own-lost',
    who: random.pick(['owner', 'owner', 'standby', 0, 1] as const),
    lan: random.pick(['all', 'all', ...Array.from({ length: plan.world.networks }, (_, lan) => lan)] as const),
    family: random.pick([4, 6, 'both', 'both'] as const),
    withCarrier: random.chance(0.25),
    atMs: random.between(0, 6) * deadMs,
    forMs: 0.1 + random.between(0, random.chance(0.2) ? 30 : 4) * deadMs,
  });
  return { ...plan, faults: [...plan.faults, ...Array.from({ length: 1 + random.below(2) }, lost)] };
}

const VACANCY_SHARE = 0.01;

/** As withOwnLost(). */
function withVacancy(plan: Plan): Plan {
  const random = new Random(plan.seed ^ 0x7acb);
  if (plan.kind === 'chaos' || !random.chance(VACANCY_SHARE)) return plan;
  return { ...plan, settled: true, ...vacancySingle(plan.world) };
}

function vacancySingle(world: WorldOptions, kind?: string): Omit<Made, 'settled'> | undefined {
  const random = new Random(world.seed ^ 0x7acc);
  const deadMs = Math.max(...world.routers.map(({ settings }) => settings.deadMs));
  const made = VACANCY_SINGLES.map(make => make(random, world, deadMs));
  return kind === undefined ? random.pick(made) : made.find(one => one.kind === kind);
}

interface Common {
  readonly times: readonly (readonly [number, number, number])[];
  readonly linkLans: readonly number[];
  readonly directors: boolean;
  readonly kept: number;
  readonly gated: boolean;
  readonly targets: number;
  readonly networks: number;
  readonly onIsolation: 'release' | 'keep';
  readonly witness: WorldOptions['witness'];
}

/** As settingsOf() of main.ts makes them: clients' LAN, servers' LAN, heartbeat LANs. */
export function lansOf({
  targets,
  networks,
  linkLans,
}: Pick<Common, 'targets' | 'networks' | 'linkLans'>): Settings['lans'] {
  return Array.from({ length: networks }, (_, lan) => ({
    name: `lan${lan}`,
    id: 1_000 + lan,
    interface: `if${lan}`,
    vips: lan < 2,
    targets: lan < 2 ? Array.from({ length: targets }, (_, nth) => lan * targets + nth) : [],
    links: linkLans.flatMap((own, link) => (own === lan ? [link] : [])),
  }));
}

/** Own addresses by IPv4 on every LAN, on the clients' by IPv6 too; virtual addresses of both are there. */
export function fixedOf({ networks, linkLans }: Pick<Common, 'networks' | 'linkLans'>): Settings['fixed'] {
  const four = Array.from({ length: networks }, (_, lan): FixedSettings => {
    const link = linkLans.indexOf(lan);
    return ownAddress(`own${lan}`, lan, 4, link < 0 ? undefined : link);
  });
  // The peer's come last: the numbers of the own ones are what they were without.
  const peers = [0, 1].map(
    (lan): FixedSettings => ({ side: 'peer', address: `peer${lan}`, lan, family: 4, link: undefined, serves: true }),
  );
  return [...four, ownAddress('own0by6', 0, 6, undefined), ...peers];
}

function ownAddress(address: string, lan: number, family: 4 | 6, link: number | undefined): FixedSettings {
  return { side: 'own', address, lan, family, link, serves: lan < 2 };
}

/** At least what `tandem check` wants: L + 3 H + 50 ms, and two tries within it. */
function witnessOf(random: Random, leaseMs: number, intervalMs: number): WorldOptions['witness'] {
  if (!random.chance(0.35)) return undefined;
  const floor = leaseMs + 3 * intervalMs + 50;
  const lease = Math.ceil(random.pick([1, 1.5, 4]) * floor);
  return { leaseMs: lease, timeoutMs: Math.floor(random.between(0.15, 0.5) * lease) };
}

function routerOptions(random: Random, index: 0 | 1, common: Common): RouterOptions {
  const [h, l, d] = common.times[index] as readonly [number, number, number];
  const settings: Omit<Settings, 'bootId'> = settingsFor({
    node: `r${index + 1}`,
    nodeId: (index + 1) as 1 | 2,
    priority: random.pick([100, 100, 150]),
    intervalMs: ms(h),
    leaseMs: ms(l),
    deadMs: ms(d),
    aloneKeepMs: ms(common.kept),
    autoFailback: random.chance(0.1),
    keepsSessions: common.directors,
    configDigest: random.chance(0.95) ? '0011223344556677' : `00112233445566${index}8`,
    links: common.linkLans.length,
    lans: lansOf(common),
    fixed: fixedOf(common),
    onIsolation: common.onIsolation,
    witness: common.witness && { leaseMs: ms(common.witness.leaseMs) },
  });
  return {
    settings,
    clockRate: 1 + random.between(-500e-6, 500e-6),
    clockStart: random.between(1_000, 1e7),
    gated: common.gated,
    lifetimeLateMs: random.between(0, 200),
    timerJitterMs: random.pick([0, 0.2, 1.3]),
    removalMs: random.chance(0.7) ? 0 : random.between(0, 0.4 * (d - l)),
    diskMs: random.between(0.5, 20),
    restartMs: random.between(100, 400),
    ceiling: 3_500_000 + random.below(1_000),
  };
}

type Made = Pick<Plan, 'kind' | 'settled' | 'faults' | 'expects'>;

const CHAOS = [
  'cut',
  'cut',
  'loss',
  'duplication',
  'jitter',
  'clog',
  'split',
  'partition',
  'stall',
  'stall',
  'stall',
  'kill-pulse',
  'kill-pulse',
  'power',
  'stop-all',
  'stop-vipd',
  'kill-vipd',
  'vipd-broken',
  'kernel-refuses',
  'pause',
  'disk-stall',
  'handover',
  'handover',
  'sigterm',
  'carrier',
  'stranger',
  'replay',
  'replay',
  'witness-down',
  'witness-cut',
  'witness-slow',
] as const;

/** What chaos draws here; the others have numbers of their own. */
type Drawn = Exclude<
  Fault['type'],
  | 'lan-way'
  | 'quiet'
  | 'target-silent'
  | 'echo-dropped'
  | 'switch-answers'
  | 'own-lost'
  | 'heartbeats-dropped'
  | 'reload'
  | 'no-interface'
  | 'no-ipv6'
  | 'address-refused'
  | 'copy'
>;

/** Draws faults. Times are measured in D of the slower router. */
class FaultMaker {
  readonly #random: Random;
  readonly #world: WorldOptions;
  readonly #deadMs: number;

  constructor(random: Random, world: WorldOptions, deadMs: number) {
    this.#random = random;
    this.#world = world;
    this.#deadMs = deadMs;
  }

  chaos(directors: boolean): Made {
    const random = this.#random;
    const kinds: readonly Drawn[] = directors ? [...CHAOS, 'unhealthy', 'rules-out', 'unhealthy'] : CHAOS;
    const count = 1 + random.below(random.chance(0.7) ? 3 : 7);
    const faults = Array.from({ length: count }, () => this.#any(random.pick(kinds)));
    if (random.chance(0.1)) faults.push(this.#permanent());
    return { kind: 'chaos', settled: random.chance(0.8), faults, expects: undefined };
  }

  #when(): { atMs: number; forMs: number } {
    const random = this.#random;
    const forMs = random.chance(0.05)
      ? random.between(5, 30)
      : random.chance(0.5)
        ? random.between(0, 1.5)
        : random.between(0, 6);
    return { atMs: random.between(0, 6) * this.#deadMs, forMs: 0.1 + forMs * this.#deadMs };
  }

  #who(): Who {
    return this.#random.pick(['owner', 'owner', 'standby', 0, 1] as const);
  }

  #lan(): number {
    return this.#random.below(this.#world.networks);
  }

  /** Most of the time the two routers, else a router and a client. */
  #way(): { from: number; to: number } {
    const random = this.#random;
    const router = random.pick([R1, R2]);
    const other = random.chance(0.8) ? 1 - router : random.pick(CLIENTS);
    return random.chance(0.5) ? { from: router, to: other } : { from: other, to: router };
  }

  #effects(): number {
    return this.#random.chance(0.6) ? 1 + this.#random.below(10) : 0;
  }

  #any(type: Drawn): Fault {
    const random = this.#random;
    const when = this.#when();
    switch (type) {
      case 'cut':
        return { type, lan: this.#lan(), ...this.#way(), ...when };
      case 'loss':
        return { type, lan: this.#lan(), ...this.#way(), share: random.between(0.05, 1), ...when };
      case 'duplication':
        return { type, lan: this.#lan(), share: random.between(0.05, 0.6), ...when };
      case 'jitter':
        return { type, lan: this.#lan(), ms: random.between(0.1, 1.2) * this.#deadMs, ...when };
      case 'clog':
      case 'split':
        return { type, lan: this.#lan(), ...when };
      case 'partition':
        return { type, directions: random.pick(['both', 'both', 'r1-to-r2', 'r2-to-r1'] as const), ...when };
      case 'stall':
        return { type, who: this.#who(), effects: this.#effects(), ...when };
      case 'kill-pulse':
        return {
          type,
          who: this.#who(),
          effects: this.#effects(),
          vipdToo: random.chance(0.3),
          cleanup: random.chance(0.7),
          ...when,
        };
      case 'power':
        return { type, who: this.#who(), effects: this.#effects(), keepsDisk: random.chance(0.8), ...when };
      case 'carrier':
        return { type, who: this.#who(), lan: random.below(2), ...when };
      case 'stranger':
        return { type, ...when };
      case 'witness-down':
        return { type, empty: random.chance(0.5), ...when };
      case 'witness-slow':
        return { type, ms: random.between(0, 1.5) * this.#deadMs, ...when };
      default:
        return { type, who: this.#who(), ...when };
    }
  }

  /** One thing that stays broken and leaves a router that can serve. */
  #permanent(): Fault {
    const random = this.#random;
    const who = random.below(2) as 0 | 1;
    const when = { atMs: random.between(0, 4) * this.#deadMs, forMs: FOREVER };
    const links = this.#world.linkLans;
    const way = random.chance(0.5) ? { from: R1, to: R2 } : { from: R2, to: R1 };
    const choices: Fault[] = [
      { type: 'power', who, effects: 0, keepsDisk: true, ...when },
      { type: 'vipd-broken', who, ...when },
      { type: 'kernel-refuses', who, ...when },
    ];
    if (links.length > 1) choices.push({ type: 'cut', lan: random.pick(links), ...way, ...when });
    return random.pick(choices);
  }

  /** One fault on a settled pair: what it may cost is known. */
  single(kind: string | undefined): Made {
    const drawnElsewhere =
      kind === undefined ? [] : [...OWN_SINGLES, ...LAN_SINGLES, ...UNHEARD_SINGLES, ...COPY_SINGLES];
    const named = drawnElsewhere
      .map(make => make(this.#random, this.#world, this.#deadMs))
      .find(made => made.kind === kind);
    if (named) return { settled: true, ...named };
    const vacancy = kind === undefined ? undefined : vacancySingle(this.#world, kind);
    if (vacancy) return { settled: true, ...vacancy };
    for (let tries = 0; tries < 1_000; tries += 1) {
      const made = this.#random.pick(SINGLES)(this.#random, this.#world, this.#deadMs);
      if (kind === undefined || made.kind === kind) return { settled: true, ...made };
    }
    throw new Error(`no kind of schedule is called "${kind}"`);
  }

  /** One permanent fault in one direction only: at most two changes of the owner follow. */
  asymmetric(): Made {
    const random = this.#random;
    const lan = this.#lan();
    const way = this.#way();
    const when = { atMs: random.between(0, 2) * this.#deadMs, forMs: FOREVER };
    const fault: Fault = random.pick([
      { type: 'cut', lan, ...way, ...when },
      { type: 'loss', lan, ...way, share: random.between(0.1, 1), ...when },
      { type: 'partition', directions: random.pick(['r1-to-r2', 'r2-to-r1'] as const), ...when },
    ] as const);
    const expects = { ownerChangesMin: 0, ownerChangesMax: 2, vacancyMsMax: FOREVER, watchMs: 40 * this.#deadMs };
    return { kind: 'asymmetric', settled: true, faults: [fault], expects };
  }
}
