// A director on a fake kernel, with everything around it played by the test. For loop.test.ts and its like.
import type { Config } from '../../src/config/schema.ts';
import type { FitnessReport } from '../../src/director/fitness-check.ts';
import type { PacketLeaseFinding } from '../../src/director/io/packet-lease-audit.ts';
import { createDirector, type Director } from '../../src/director/loop.ts';
import type { SeenUp } from '../../src/director/manual-resume.ts';
import { NOTHING_OWNED, type Owned } from '../../src/director/owned.ts';
import type { DrainWord } from '../../src/drain/drain-word.ts';
import { type Drains, NO_DRAINS } from '../../src/drain/drains.ts';
import type { Snapshot } from '../../src/feed/message.ts';
import type { CheckWord } from '../../src/nanny/check-word.ts';
import type { Verdict } from '../../src/nanny/verdict.ts';
import type { SessionFilter } from '../../src/status/sessions.ts';
import type { SyncStatus } from '../../src/status/sync-status.ts';
import type { EnsureResult } from '../../src/sync/sync.ts';
import type { Address } from '../../src/units/address.ts';
import type { At } from '../../src/units/duration.ts';
import { sampleSnapshot } from '../cli/samples.ts';
import { configOf, type FakeKernel, fakeKernel, NODE, syncStatus, verdict } from './fixture.ts';

export interface Rig {
  readonly fake: FakeKernel;
  readonly director: Director;
  readonly events: { readonly code: string; readonly fields: Readonly<Record<string, unknown>> }[];
  verdicts: Verdict[];
  /** Verdicts on servers that drain, and which of them the director wants watched. */
  otherVerdicts: Verdict[];
  watched: string[];
  /** Servers without which the nannies are to judge their services. */
  judgedWithout: string[];
  /** Verdicts on checks through VIPs, and which of them the director wants made. */
  pathVerdicts: Verdict[];
  paths: string[];
  /** What the kernel is to have for that, and why it does not. */
  ways: string[];
  waysProblem: string | undefined;
  fitness: FitnessReport[];
  sync: SyncStatus;
  /** What the sync's part of the kernel will say at the next audit. */
  ensured: EnsureResult;
  /** Until then the sync's part of an audit lasts. */
  syncTakes: Promise<void>;
  pulse: Snapshot | null;
  /** What the sync knows of each service. */
  clients: readonly Address[];
  /** Which of all connections were asked for. */
  readonly asked: SessionFilter[];
  /** What the peer is told of the nannies here. */
  told: readonly CheckWord[];
  /** What the next look at the packet lease finds. */
  gate: PacketLeaseFinding;
  saved: Owned | undefined;
  /** What the peer is told of drains, and what is on disk. */
  toldDrains: readonly DrainWord[];
  savedDrains: Drains | undefined;
  seenUp: SeenUp | undefined;
  /** What happens before it is saved. */
  onSave: (drains: Drains) => Promise<void>;
  /** Why it can't be saved. */
  saveProblem: string | undefined;
  now: number;
  /** Codes of the events since the last call, without those of every change. */
  news(): string[];
}

async function* none(): AsyncGenerator<never> {}

interface RigOptions {
  readonly config?: Config;
  readonly fake?: FakeKernel;
  readonly owned?: Owned;
  readonly drains?: Drains;
  readonly seenUp?: SeenUp;
}

export function rigOf(options: RigOptions = {}): Rig {
  const { config = configOf(), fake = fakeKernel(), owned = NOTHING_OWNED, drains = NO_DRAINS, seenUp } = options;
  const events: Rig['events'] = [];
  const rig = {
    fake,
    events,
    verdicts: [verdict('fs1', 'up'), verdict('fs2', 'up')],
    now: 0,
    otherVerdicts: [],
    pathVerdicts: [],
    paths: [],
    ways: [],
    waysProblem: undefined,
    fitness: [],
    watched: [],
    judgedWithout: [],
    pulse: null,
    clients: [],
    asked: [],
    toldDrains: [],
  } as unknown as Rig;
  rig.ensured = { running: true, changes: [], problems: [], found: { expiry: 'by time-out 1' } };
  rig.sync = syncStatus();
  rig.gate = {};
  rig.onSave = async () => undefined;
  rig.syncTakes = Promise.resolve();
  const director = createDirector(
    { config, digest: 'd1', node: NODE, version: '0.1.0', owned, drains, seenUp },
    {
      kernel: fake.kernel,
      sync: {
        ensure: async () => {
          await rig.syncTakes;
          return rig.ensured;
        },
        preview: async () => [],
        sayReload: () => 'off',
        takeKeys: () => '',
        sayHookSent: () => undefined,
        status: () => rig.sync,
        found: () => rig.ensured.found,
        flushMs: () => 250,
        clients: services => new Map(services.map(name => [name, rig.clients] as const)),
        sessions: filter => {
          rig.asked.push(filter);
          return { from: 'own', whole: true, slices: none() };
        },
        pulseSays: () => undefined,
        verdicts: () => undefined,
        tellChecks: words => {
          rig.told = words;
        },
        draining: () => undefined,
        tellDrains: words => {
          rig.toldDrains = words;
        },
        loadOf: () => undefined,
        configure: async () => undefined,
        close: async () => undefined,
      },
      log: { event: (code, fields = {}) => void events.push({ code, fields }) },
      verdicts: () => rig.verdicts,
      otherVerdicts: () => rig.otherVerdicts,
      fitness: () => rig.fitness,
      hooks: () => [],
      pathVerdicts: () => rig.pathVerdicts,
      watchPaths: paths => {
        rig.paths = paths.map(({ service, name, origin }) => `${service} ${name} from ${origin.source}`);
      },
      vipWays: {
        ensure: async ways => {
          rig.ways = ways.map(({ server, table }) => `${server} ${table}`);
          return rig.waysProblem;
        },
      },
      watchLeaving: servers => {
        rig.watched = [...servers].map(([service, addresses]) => `${service} ${addresses}`);
      },
      judgeWithout: drained => {
        rig.judgedWithout = [...drained].map(([service, servers]) => `${service} ${servers}`);
      },
      snapshot: () => rig.pulse,
      saveOwned: async next => {
        rig.saved = next;
      },
      saveDrains: async next => {
        await rig.onSave(next);
        rig.savedDrains = next;
        return rig.saveProblem;
      },
      saveSeenUp: next => {
        rig.seenUp = next;
      },
      rulesTried: () => undefined,
      auditPacketLease: async () => rig.gate,
      watchProblem: () => undefined,
      now: () => rig.now as At,
      wall: () => '2026-11-22T16:00:00.000Z',
    },
  );
  return Object.assign(rig, {
    director,
    news: () =>
      events
        .splice(0)
        .map(event => event.code)
        .filter(code => code !== 'KERNEL_CHANGED'),
  });
}

export const role = (name: Snapshot['role'], held = false): Snapshot =>
  sampleSnapshot({
    role: name,
    vips: [{ address: '192.0.2.100', interface: 'c0', kind: 'vip', held, linkUp: true, obstacle: null }],
  });

/** Lets what nftChanged() began come to its end. */
export async function settledOf(rig: Rig): Promise<void> {
  await new Promise(resolve => setImmediate(resolve));
  await rig.director.plan();
  await new Promise(resolve => setTimeout(resolve, 20));
}

export const serverIn = (fake: FakeKernel, address: string) =>
  fake.ipvs.services.get('-f 21')?.servers.find(server => server.address === address);
