// One fault of the soak seen from outside: waits until the pair has settled, gathers what the client, the kernels and the logs say, and
// names what is wrong with it. Io at the top, the judging itself is test/soak.
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Snapshot } from '../../../src/feed/message.ts';
import { processesIn } from '../../lab/pair/netns.ts';
import { GATEWAY, ROUTERS, type Router, VIP } from '../../lab/pair/topology.ts';
import type { Routers } from '../../netns/io/routers.ts';
import type { Watch } from '../../netns/io/vip-watch.ts';
import {
  type Answer,
  epochProblems,
  eventProblems,
  type Held,
  heldSpans,
  type LogLine,
  longest,
  longestGap,
  movesOf,
  overlapsOf,
  type RoleDecision,
  type Span,
  spansOf,
  termsOf,
} from '../evidence.ts';
import { type Expectation, overlapMsMax, SETTLED_WITHIN_MS, type Times } from '../expectation.ts';
import { pidsOf } from './inject.ts';

/** Answers to direct questions further apart than this belong to different terms of service. */
const SERVICE_SPACING_MS = 35;
/** Without a fault the client is watched for this long. */
const QUIET_MS = 500;
const POLL_MS = 40;
const LOOKS_MAX = 3;

/** What a fault left behind. */
export interface Outcome {
  readonly active: Router;
  readonly moves: number;
  /** The client's longest wait. */
  readonly gapMs: number;
  /** Longest time in which both routers answered for the VIP. */
  readonly overlapMs: number;
  /** Longest time in which both kernels had it. */
  readonly kernelOverlapMs: number;
  readonly planned: boolean;
  readonly settledMs: number;
  /** Longest time in which the machine ran nobody, not even in the real-time class. */
  readonly stalledMs: number;
  readonly highest: number;
  readonly problems: readonly string[];
}

/** Everything about one fault, from the moment before it. */
export interface Scene {
  readonly routers: Routers;
  readonly watch: Watch;
  readonly times: Times;
  /** The packet lease is in force: what a kernel has is not served by that alone. */
  readonly gated: boolean;
  readonly before: Router;
  readonly from: number;
  readonly highest: number;
  /** Since `from`. */
  readonly held: () => readonly Held[];
  readonly takeLog: () => LogLine[];
  /** The log has told this code now or not long ago: it leaves out what repeats itself. */
  readonly toldLately: (code: string) => boolean;
}

interface Settled {
  readonly active: Router;
  /** Since when. */
  readonly at: number;
}

/**
 * Which router serves, once exactly one does, each hears the other on every link, and that has been so for a while (what was under way when
 * the fault healed has then come to its end); undefined when that never came. A snapshot may be a second old, so that only those of after
 * the while tell.
 */
export async function settled(routers: Routers): Promise<Settled | undefined> {
  const end = Date.now() + SETTLED_WITHIN_MS;
  let now: (Settled & { seen?: readonly (number | undefined)[] }) | undefined;
  while (Date.now() < end) {
    const [r1, r2] = await Promise.all(ROUTERS.map(router => routers.snapshot(router)));
    const active = r1 && r2 ? serving(r1, r2) : undefined;
    const seen = [r1?.seq, r2?.seq];
    if (active === undefined) now = undefined;
    else if (now?.active !== active) now = { active, at: Date.now() };
    else if (now.seen?.every((old, router) => old !== seen[router])) return { active, at: now.at };
    else if (now.seen === undefined && Date.now() - now.at >= QUIET_MS) now = { ...now, seen };
    await sleep(POLL_MS);
  }
  return undefined;
}

function serving(r1: Snapshot, r2: Snapshot): Router | undefined {
  if (servesAlone(r1, r2)) return 'r1';
  return servesAlone(r2, r1) ? 'r2' : undefined;
}

function servesAlone(one: Snapshot, other: Snapshot): boolean {
  // A link that was cut for a moment may stay silent for a second after, until ARP asks again.
  const hears = ({ links }: Snapshot): boolean =>
    links.every(({ heardMsAgo }) => heardMsAgo !== null && heardMsAgo < 200);
  const whole = ({ vips, lans, isolated }: Snapshot): boolean =>
    !isolated && vips.every(({ linkUp }) => linkUp) && lans.every(({ dead }) => !dead);
  return (
    one.role === 'active' &&
    one.serving &&
    one.leaseArmed &&
    other.role === 'standby' &&
    other.peer?.serving === true &&
    [one, other].every(snapshot => hears(snapshot) && whole(snapshot))
  );
}

export async function judge(scene: Scene, expectation: Expectation, trouble: readonly string[]): Promise<Outcome> {
  const healedAt = Date.now();
  const { calm, left } = await calmDown(scene.routers);
  const active = calm?.active;
  const settledAt = calm?.at ?? Date.now();
  const window: Span = { from: scene.from, to: Date.now() };
  const { answers, stalls } = scene.watch.take();
  const log = scene.takeLog();
  const decisions = await decisionsSince(scene);
  const terms = termsOf(log, decisions);
  const service = serviceOf(scene, answers, window);
  const planned =
    log.some(({ code }) => code === 'HANDOVER_STARTED') || decisions.some(({ to }) => to === 'handing-over');
  const moves = movesOf(scene.held(), scene.before);
  const stalledMs = stalls.reduce((most, { ms }) => Math.max(most, ms), 0);
  const stalled = stalledMs >= scene.times.intervalMs / 2;
  const problems = [
    // A fault that waits for a pair that moves under it cannot be done.
    ...(stalled ? [] : trouble),
    ...(scene.watch.ended() === undefined ? [] : [`the client's watch ${scene.watch.ended()}`]),
    ...(active === undefined ? [await unsettledWords(scene.routers)] : []),
    ...(active === undefined
      ? []
      : quietProblems(scene, answers, { from: settledAt, to: settledAt + QUIET_MS }, { active, stalled })),
    ...left,
    ...overlapProblems(scene, service, planned),
    ...epochProblems(terms, scene.highest),
    // A machine that stood still for so long may have made a healthy router let go: ownership must hold all the same, the rest cannot.
    ...(stalled ? [] : promptnessProblems(service, moves, expectation)),
    ...eventProblems(log, stalled ? withStall(expectation.events) : expectation.events),
    ...(stalled ? [] : expectation.wanted)
      .filter(codes => !codes.some(scene.toldLately))
      .map(codes => `nobody told ${codes.join(' or ')}`),
  ];
  const highest = terms.reduce((most, { order }) => Math.max(most, order), scene.highest);
  const settledMs = settledAt - healedAt;
  return { active: active ?? scene.before, moves, ...service, planned, settledMs, stalledMs, highest, problems };
}

/**
 * Settled, and nothing left over. The pair may move between the two looks (a machine that stands still is enough); that is judged by its
 * log, so look again.
 */
async function calmDown(routers: Routers): Promise<{ calm: Settled | undefined; left: readonly string[] }> {
  let left: readonly string[] = [];
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    const calm = await settled(routers);
    if (calm === undefined) return { calm, left: [] };
    left = await leftovers(routers, calm.active);
    if (left.length === 0 || looks === LOOKS_MAX - 1) return { calm, left };
  }
  return { calm: undefined, left };
}

async function decisionsSince({ routers, from }: Scene): Promise<RoleDecision[]> {
  const both = await Promise.all(
    ROUTERS.map(async router => ((await routers.snapshot(router))?.decisions ?? []).map(made => ({ ...made, router }))),
  );
  return both
    .flat()
    .map(({ router, at, to, epoch }) => ({ router, at: Date.parse(at), to, epoch }))
    .filter(({ at }) => at >= from);
}

interface Service {
  readonly gapMs: number;
  readonly overlapMs: number;
  readonly kernelOverlapMs: number;
}

function serviceOf({ watch, before, held }: Scene, answers: readonly Answer[], window: Span): Service {
  const direct = (kind: 'one' | 'two', router: Router): Span[] => {
    const own = answers.filter(answer => answer.kind === kind && answer.mac === watch.macs[router]);
    return spansOf(
      own.map(({ at }) => at),
      SERVICE_SPACING_MS,
    );
  };
  const both = overlapsOf(direct('one', 'r1'), direct('two', 'r2'));
  const kernels = ROUTERS.map(router => heldSpans(held(), router, router === before, window));
  return {
    gapMs: longestGap(
      answers.filter(({ kind }) => kind === 'path').map(({ at }) => at),
      window,
    ),
    // Two answers in the same microsecond are an overlap too.
    overlapMs: both.length === 0 ? 0 : Math.max(0.001, longest(both)),
    kernelOverlapMs: longest(overlapsOf(kernels[0] as Span[], kernels[1] as Span[])),
  };
}

function overlapProblems({ times, gated }: Scene, service: Service, planned: boolean): string[] {
  const most = overlapMsMax(planned, times);
  const problems: string[] = [];
  if (service.overlapMs > most)
    problems.push(`both routers answered for ${service.overlapMs.toFixed(3)} ms, allowed ${most}`);
  // With the packet lease the kernel's lifetime only tidies up, long after the service has ended.
  if (!gated && service.kernelOverlapMs > most)
    problems.push(`both kernels had the VIP for ${service.kernelOverlapMs.toFixed(3)} ms, allowed ${most}`);
  return problems;
}

function promptnessProblems({ gapMs }: Service, moves: number, expectation: Expectation): string[] {
  const { movesMin, movesMax, gapMsMax } = expectation;
  const allowed = movesMin === movesMax ? `${movesMin}` : `${movesMin} to ${movesMax}`;
  return [
    ...(gapMs > gapMsMax ? [`no answer for ${gapMs.toFixed(0)} ms, at most ${gapMsMax} ms are allowed`] : []),
    ...(moves < movesMin || moves > movesMax ? [`the role moved ${moves} times, expected ${allowed}`] : []),
  ];
}

/** What pulse and vipd may make of a machine that stood still. */
function withStall(events: ReadonlySet<string>): ReadonlySet<string> {
  return new Set([...events, 'LEASE_EXPIRED', 'VIPD_STUCK', 'VIPD_REFUSED', 'HANDOVER_FAILED', 'LINKS_BROKEN']);
}

interface Calm {
  readonly active: Router;
  readonly stalled: boolean;
}

/** With nothing wrong any more: answers all the time, all from the active router, and nobody else answers ARP. */
function quietProblems({ watch }: Scene, answers: readonly Answer[], quiet: Span, state: Calm): string[] {
  const { active, stalled } = state;
  const inside = answers.filter(({ at }) => at >= quiet.from && at <= quiet.to);
  const path = inside.filter(({ kind }) => kind === 'path');
  const wanted = (quiet.to - quiet.from) / 10 / 2;
  const wrong = [...new Set(inside.map(({ mac }) => mac))].filter(mac => mac !== watch.macs[active]);
  return [
    ...(path.length < wanted && !stalled ? [`${path.length} answers in ${quiet.to - quiet.from} quiet ms`] : []),
    ...wrong.map(mac => `${mac} answers for the VIP although ${active} (${watch.macs[active]}) is active`),
  ];
}

/** Addresses and processes that should not be there, or should be and are not. */
async function leftovers(routers: Routers, active: Router): Promise<string[]> {
  const problems: string[] = [];
  for (const router of ROUTERS) {
    const { stdout } = await routers.topology.exec(router, 'ip', ['-4', '-o', 'address', 'show']);
    for (const address of [VIP, GATEWAY]) {
      const there = stdout.includes(` ${address}/`);
      if (there !== (router === active))
        problems.push(`${router} ${there ? 'has' : 'lacks'} ${address}, ${active} is active`);
    }
    const { pulse, vipds } = await pidsOf(routers, router);
    if (vipds.length !== 1) problems.push(`pulse of ${router} has ${vipds.length} children`);
    const others = (await processesIn(routers.topology.namespace(router))).filter(
      pid => ![pulse, ...vipds].includes(pid),
    );
    const names = await Promise.all(others.map(async pid => `${pid} ${await nameOf(pid)}`));
    // `ip`: the witness of address events.
    const strays = names.filter(name => !/ (ip)?$/.test(name));
    if (strays.length > 0) problems.push(`${router} has processes nobody knows: ${strays.join(', ')}`);
  }
  return problems;
}

/** Empty when the process has ended meanwhile. */
async function nameOf(pid: number): Promise<string> {
  return (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
}

async function unsettledWords(routers: Routers): Promise<string> {
  const words = await Promise.all(
    ROUTERS.map(async router => {
      const snapshot = await routers.snapshot(router);
      if (!snapshot) return `pulse of ${router} does not answer`;
      const { role, serving, leaseArmed, reason, peer } = snapshot;
      return `${router} ${JSON.stringify({ role, serving, leaseArmed, reason, peer: peer?.role })}`;
    }),
  );
  return `not settled within ${SETTLED_WITHIN_MS} ms after the fault had healed: ${words.join('; ')}`;
}
