// What sessions and transfers must survive, with real daemons, real IPVS and real clients. Io. Under emulation only the outcome
// counts: who is still logged in, on which server, and whether files are whole. Routers take half a minute to come up there, so
// one topology goes through several faults in a row; an error names the phase.
import assert from 'node:assert/strict';
import type { TransferMode } from '../ftp/ftp-client.ts';
import { loginsOf, openSessions, type Session, type SessionMode } from '../ftp/session.ts';
import {
  type Job,
  type RunOptions,
  rolesNow,
  type Service,
  startService,
  startTransfers,
  untilUnderWay,
} from '../measure/failover.ts';
import type { SyncSeen } from '../pair/pair.ts';
import { startRedis } from '../pair/redis.ts';
import { clientAddress, clientAddress6, type Router, STORE_ADDRESS, VIP6 } from '../pair/topology.ts';
import { assertWhole, handOver } from './failover-scenarios.ts';
import type { Lab, Scenario } from './scenario.ts';

const READY_MS = 240_000;
const WARM_MS = 60_000;
const SESSION_MODES: readonly SessionMode[] = ['passive', 'active', 'extended-passive'];
/** Three servers: that twelve clients all return to theirs by chance has a probability of 3⁻¹² = 2 · 10⁻⁶. */
const SESSIONS = 12;
const CLIENTS = 24;

/** A session, and the server that it was on when it logged in. */
export interface Known {
  readonly session: Session;
  readonly server: string;
}

/** Runs a part of a scenario; its error says which part it was. */
async function phase<T>(lab: Lab, what: string, work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  lab.say(what);
  try {
    const result = await work();
    lab.say(`  ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    return result;
  } catch (cause) {
    throw new Error(`${what}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

/** Opens `count` sessions from as many addresses, in all modes, and notes where each is. */
export async function openKnown(lab: Lab, service: Service, count: number, host?: string): Promise<Known[]> {
  const requests = Array.from({ length: count }, (_, index) => ({
    from: host?.includes(':') ? clientAddress6(index) : clientAddress(index),
    mode: SESSION_MODES[index % SESSION_MODES.length] as SessionMode,
    scratch: lab.dir,
    ...(host !== undefined && { host }),
  }));
  const sessions = await openSessions(lab.topology, service.ftp, requests);
  const known: Known[] = [];
  for (const session of sessions) known.push({ session, server: await session.server() });
  const servers = new Set(known.map(({ server }) => server));
  assert.ok(servers.size > 1, `all ${count} clients are on ${[...servers]}: staying there would prove nothing`);
  return known;
}

/** What became of a session: undefined when it is still logged in, on its server, and a file passes. */
export async function mistakeOf({ session, server }: Known): Promise<string | undefined> {
  const who = `${session.request.mode} session of ${session.request.from} (${server})`;
  try {
    await session.download();
    const now = await session.server();
    if (now !== server) return `${who} is on ${now} now`;
  } catch (error) {
    return `${who}: ${(error as Error).message}`;
  }
  return session.logins() === 1 ? undefined : `${who} had to log in again (${session.logins()} logins)`;
}

/** Every session transfers something, some at a time; returns a sentence for each that did not live on. */
export async function mistakesOf(known: readonly Known[]): Promise<string[]> {
  const mistakes: string[] = [];
  for (let next = 0; next < known.length; next += 4) {
    const some = await Promise.all(known.slice(next, next + 4).map(mistakeOf));
    mistakes.push(...some.filter(mistake => mistake !== undefined));
  }
  return mistakes;
}

async function assertAlive(known: readonly Known[]): Promise<void> {
  const mistakes = await mistakesOf(known);
  assert.deepEqual(mistakes, [], `${mistakes.length} of ${known.length} sessions did not live on`);
}

/** Cuts the active router's power and waits until the other one serves. */
export async function failOver(lab: Lab, service: Pick<Service, 'pair'>): Promise<{ lost: Router; taker: Router }> {
  const { active: lost, standby: taker } = rolesNow(service.pair);
  await lab.topology.cutPower(lost);
  await service.pair
    .feed(taker)
    .until(({ role, serving }) => role === 'active' && serving, `${taker} to be active`, 20_000);
  return { lost, taker };
}

/** A router without power comes back and stands by, warm. */
export async function rejoin(service: Pick<Service, 'pair'>, router: Router): Promise<void> {
  await service.pair.comeBack(router);
  await service.pair.untilReady(READY_MS);
  await service.pair.untilWarm(router, WARM_MS);
}

// ---- one power cut -----------------------------------------------------------------------------------------------------

const MODES: readonly TransferMode[] = ['passive', 'extended-passive', 'active', 'extended-active'];
/** Each mode both ways, each from an address of its own, beside the sessions' addresses; two of them by IPv6 too. */
const ALL_JOBS: readonly Job[] = [
  ...(['download', 'upload'] as const).flatMap((kind, row) =>
    MODES.map((mode, column) => ({ kind, mode, from: clientAddress(SESSIONS + 4 * row + column) })),
  ),
  { kind: 'download', mode: 'extended-passive', from: clientAddress6(SESSIONS), host: VIP6 },
  { kind: 'upload', mode: 'extended-active', from: clientAddress6(SESSIONS + 1), host: VIP6 },
];

async function everythingAtOnce(lab: Lab): Promise<void> {
  const options: RunOptions = { bigBytes: 8_000_000, rateBytesPerS: 400_000, persistence: '30m', ipv6: true };
  const service = await startService(lab, options);
  const known = await phase(lab, 'sessions log in by IPv4 and IPv6', async () => [
    ...(await openKnown(lab, service, 4)),
    ...(await openKnown(lab, service, 4, VIP6)),
  ]);
  const transfers = startTransfers(lab, service.ftp, ALL_JOBS, options.rateBytesPerS);
  await untilUnderWay(transfers, lab.say, 2_000_000);
  const { lost } = await phase(lab, 'power cut', () => failOver(lab, service));
  lab.say(`  of ${lost}`);
  await phase(lab, 'the idle sessions transfer', () => assertAlive(known));
  const results = await Promise.all(transfers.map(transfer => transfer.finished));
  lab.record('transfers', results);
  assertWhole(results);
}

// ---- reboots and the store ---------------------------------------------------------------------------------

/** Sessions that transfer after every fault, and sessions that do nothing until the end. */
interface Company {
  readonly busy: readonly Known[];
  readonly quiet: readonly Known[];
}

/** Slow enough to outlast a router's way up, twice. */
const LONG: RunOptions = { bigBytes: 30_000_000, rateBytesPerS: 200_000, persistence: '1h' };
const LONG_MS = 420_000;
const LONG_JOB: Job = { kind: 'download', mode: 'active', from: clientAddress(SESSIONS) };

async function lifeOfSessions(lab: Lab): Promise<void> {
  const service = await startService(lab, { ...LONG, sync: '{}' });
  const { pair, ftp } = service;
  const known = await phase(lab, `${SESSIONS} sessions log in`, () => openKnown(lab, service, SESSIONS));
  const company: Company = { busy: known.slice(0, SESSIONS / 2), quiet: known.slice(SESSIONS / 2) };
  await phase(lab, 'the standby reboots', () => rebootStandby(service));
  const [download] = startTransfers(lab, ftp, [LONG_JOB], LONG.rateBytesPerS, LONG_MS);
  assert.ok(download);
  await untilUnderWay([download], lab.say, 1_000_000);
  const first = await phase(lab, 'then the active router loses its power', () => failOver(lab, service));
  await phase(lab, 'sessions transfer through the other one', () => assertAlive(company.busy));
  await phase(lab, `${first.lost} rejoins`, () => rejoin(service, first.lost));
  assert.ok(download.progress().bytes < ftp.big.bytes, 'the download ended too early: nothing is proven');
  const second = await phase(lab, `${first.taker} loses its power too`, () => failOver(lab, service));
  assert.equal(second.taker, first.lost);
  await untilUnderWay([download], lab.say, download.progress().bytes + 500_000);
  await phase(lab, 'sessions transfer again', () => assertAlive(company.busy));
  await phase(lab, `${second.lost} rejoins`, () => rejoin(service, second.lost));
  await phase(lab, 'planned handover to it', () => handOver(lab, service, second.taker));
  await phase(lab, 'all sessions transfer, also those idle all along', () => assertAlive(known));
  const result = await phase(lab, 'the download ends', () => download.finished);
  lab.record('download', result);
  assertWhole([result]);
  await bothReboot(lab, service, () => pair.rebootBoth());
}

async function rebootStandby({ pair }: Service): Promise<void> {
  const { standby } = rolesNow(pair);
  await pair.reboot(standby);
  await pair.untilReady(READY_MS);
  await pair.untilWarm(standby, WARM_MS);
}

/** All clients log in; both routers reboot; the clients log in again and meet the same servers. */
async function bothReboot(lab: Lab, { pair }: Service, reboot: () => Promise<void>): Promise<void> {
  const addresses = Array.from({ length: CLIENTS }, (_, index) => clientAddress(index));
  const before = await phase(lab, `${CLIENTS} clients log in`, () => loginsOf(lab.topology, lab.dir, addresses));
  assert.equal(before.servers.size, CLIENTS, before.error);
  await phase(lab, 'they are in the store', () => untilStored(pair, CLIENTS));
  await phase(lab, 'both routers reboot', async () => {
    await reboot();
    await pair.untilReady(READY_MS);
  });
  const after = await phase(lab, 'the clients return', () => loginsOf(lab.topology, lab.dir, addresses));
  lab.record('clients', { before: Object.fromEntries(before.servers), after: Object.fromEntries(after.servers) });
  assert.deepEqual(after.servers, before.servers, after.error);
}

/**
 * Until a snapshot taken from now on, with at least so many templates, is safely in the store: in that of each router where both keep
 * a file of their own, for after a reboot of both either may be the one that serves.
 */
async function untilStored(pair: Service['pair'], templates: number): Promise<void> {
  const since = Date.now();
  const { active, standby } = rolesNow(pair);
  const untilSaved = (router: Router): Promise<SyncSeen> =>
    pair.untilSync(
      router,
      ({ store }) => (store?.templates ?? 0) >= templates && Date.parse(store?.savedAt ?? '') >= since,
      `a snapshot of ${templates} templates`,
      90_000,
    );
  const { store } = await untilSaved(active);
  if (store?.type === 'file') await untilSaved(standby);
}

const REDIS_SYNC = `{ store: { type: redis, schedule: "*/5 * * * * *", redis: { host: ${STORE_ADDRESS} } } }`;
const REDIS_JOBS: readonly Job[] = [
  { kind: 'download', mode: 'passive', from: clientAddress(0) },
  { kind: 'upload', mode: 'active', from: clientAddress(1) },
];

async function redisFaults(lab: Lab): Promise<void> {
  const redis = await startRedis(lab);
  const service = await startService(lab, {
    bigBytes: 24_000_000,
    rateBytesPerS: 400_000,
    persistence: '1h',
    sync: REDIS_SYNC,
  });
  const { pair, ftp } = service;
  const known = await phase(lab, 'six sessions log in', () => openKnown(lab, service, 6));
  await phase(lab, 'they are in Redis', () => untilStored(pair, 6));
  const transfers = startTransfers(lab, ftp, REDIS_JOBS, 400_000);
  await untilUnderWay(transfers, lab.say, 500_000);
  await phase(lab, 'Redis is slow', () => redis.pause(4_000));
  await phase(lab, 'they are in it again', () => untilStored(pair, 6));
  await phase(lab, 'Redis stops answering', async () => redis.signal('SIGSTOP'));
  await phase(lab, 'a handover meanwhile', async () => handOver(lab, service, rolesNow(pair).active));
  await phase(lab, 'sessions transfer', () => assertAlive(known.slice(0, 3)));
  await phase(lab, 'Redis goes on', async () => redis.signal('SIGCONT'));
  await phase(lab, 'Redis is killed in the middle of writes', () => redis.killWhileWriting());
  await phase(lab, 'sessions transfer without it', () => assertAlive(known.slice(3)));
  await phase(lab, 'its loss is told', () => untilStoreProblem(pair));
  await phase(lab, 'it comes back empty and full: nothing fits', () => redis.start({ full: true }));
  await phase(lab, 'that is told too', () => untilStoreProblem(pair));
  await phase(lab, 'there is room again', () => redis.makeRoom());
  const results = await phase(lab, 'the transfers end', () => Promise.all(transfers.map(({ finished }) => finished)));
  lab.record('transfers', results);
  assertWhole(results);
  await phase(lab, 'all sessions transfer', () => assertAlive(known));
  await bothReboot(lab, service, () => pair.rebootBoth());
  await redis.stop();
}

async function untilStoreProblem(pair: Service['pair']): Promise<void> {
  const { active } = rolesNow(pair);
  await pair.untilSync(active, ({ store }) => (store?.problem ?? '') !== '', 'a word on the store', 60_000);
}

export const SESSION_SCENARIOS: readonly Scenario[] = [
  {
    title:
      'transfers of all modes at once, by IPv4 and IPv6, and idle sessions outlive a power cut, each on its server',
    run: everythingAtOnce,
    timeoutMs: 420_000,
    topology: { clients: CLIENTS, ipv6: true },
  },
  {
    title:
      'sessions idle all along live through both routers’ reboots, one after the other, and clients return after both',
    run: lifeOfSessions,
    timeoutMs: 660_000,
    topology: { clients: CLIENTS },
  },
  {
    title:
      'Redis stopped, killed in mid-write, full, restarted empty: nobody cares, and clients return after a reboot of both',
    run: redisFaults,
    timeoutMs: 480_000,
    topology: { clients: CLIENTS, store: true },
  },
];
