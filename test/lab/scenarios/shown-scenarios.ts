// What `tandem sessions` shows of real clients, with real daemons and real IPVS: on the owner, on the standby, and on the new owner
// after the old one has lost its power. Io.
import assert from 'node:assert/strict';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SessionsReport, sessionsReportSchema } from '../../../src/status/sessions-report.ts';
import { makeCertificate } from '../ftp/certificate.ts';
import { CHECK_BY_TLS } from '../ftp/server-tls.ts';
import { loginsOf, openSessions, type Session, type SessionRequest } from '../ftp/session.ts';
import { type Job, type Service, startService, startTransfers, untilUnderWay } from '../measure/failover.ts';
import {
  clientAddress,
  clientAddress6,
  ROUTERS,
  type Router,
  SERVER_ADDRESSES,
  SERVER_ADDRESSES6,
  VIP,
  VIP6,
} from '../pair/topology.ts';
import { assertWhole } from './failover-scenarios.ts';
import type { Lab, Scenario } from './scenario.ts';
import { failOver } from './session-scenarios.ts';

const WARM_MS = 60_000;
const SHOWN_MS = 30_000;
/** What a list may differ by on two routers: rounding, and the way of the news. */
const SAME_MS = 1_500;

/** Idle sessions; the data connections are those of JOBS. */
const SESSIONS: readonly Omit<SessionRequest, 'scratch'>[] = [
  { from: clientAddress(0), mode: 'passive' },
  { from: clientAddress(1), mode: 'active' },
  { from: clientAddress(2), mode: 'passive', tls: 'explicit' },
  { from: clientAddress(3), mode: 'passive', tls: 'implicit' },
  { from: clientAddress6(0), mode: 'passive', host: VIP6 },
  { from: clientAddress6(1), mode: 'extended-passive', host: VIP6, tls: 'explicit' },
  { from: clientAddress6(2), mode: 'extended-passive', host: VIP6, tls: 'implicit' },
];
const JOBS: readonly Job[] = [
  { kind: 'download', mode: 'passive', from: clientAddress(10) },
  { kind: 'download', mode: 'active', from: clientAddress(11) },
  { kind: 'download', mode: 'extended-passive', from: clientAddress6(10), host: VIP6 },
  { kind: 'download', mode: 'extended-active', from: clientAddress6(11), host: VIP6 },
];
/** It logged in once, and went. */
const GONE = clientAddress(20);

async function sessionsAreShown(lab: Lab): Promise<void> {
  const service = await startTls(lab);
  const { ftp, pair, active, standby } = service;
  const requests = SESSIONS.map(session => ({ ...session, scratch: lab.dir }));
  const sessions = await openSessions(lab.topology, ftp, requests);
  const servers = new Map<string, string>();
  for (const session of sessions) servers.set(session.request.from, await session.server());
  const gone = (await loginsOf(lab.topology, lab.dir, [GONE])).servers.get(GONE);
  assert.ok(gone, 'the client that goes could not log in');
  const transfers = startTransfers(lab, ftp, JOBS, 200_000, 300_000);
  await untilUnderWay(transfers, lab.say, 600_000);

  const before = new Map<Router, SessionsReport>();
  for (const router of ROUTERS) before.set(router, await untilShown(lab, service, router, sessions, servers, gone));
  assert.equal(before.get(active)?.from, 'own');
  assert.equal(before.get(standby)?.from, 'synced');
  assertSameTimes(before.get(active), before.get(standby));
  await assertFiltered(service, active, servers.get(clientAddress(0)) ?? '');
  lab.record('text', await pair.tandem(active, ['sessions']));

  const cutAt = Date.now();
  const { taker } = await failOver(lab, service);
  const after = await untilShown(lab, service, taker, sessions, servers, gone);
  assert.equal(after.from, 'own');
  assertSameTimes(before.get(taker), after);
  const younger = controlsOf(after).filter(one => !(Date.parse(one.firstSeenAt ?? '') < cutAt));
  assert.deepEqual(younger, [], 'sessions that are said to be younger than the takeover');
  assertWhole(await Promise.all(transfers.map(transfer => transfer.finished)));
}

async function startTls(lab: Lab): Promise<Service> {
  const tls = await makeCertificate(path.join(lab.dir, 'tls'), false);
  const ports = 'control_port: [21,990]';
  const service = await startService(lab, {
    ...{ bigBytes: 12_000_000, rateBytesPerS: 200_000, ipv6: true, persistence: '30m' },
    ...{ tls, check: CHECK_BY_TLS, hosts: ['fs1', 'fs2'], fields: { ftp: ports, ftp6: ports } },
  });
  await service.pair.untilWarm(service.standby, WARM_MS);
  return service;
}

/** Until the router shows all of them as they are; throws with what is missing at the last look. */
async function untilShown(
  lab: Lab,
  { pair }: Service,
  router: Router,
  sessions: readonly Session[],
  servers: ReadonlyMap<string, string>,
  gone: string,
): Promise<SessionsReport> {
  for (const endAt = performance.now() + SHOWN_MS; ; await sleep(500)) {
    const report = sessionsReportSchema.parse(JSON.parse(await pair.tandem(router, ['sessions', '--json'])));
    const mistakes = [
      ...sessions.flatMap(session => mistakesOfSession(report, session, servers)),
      ...JOBS.flatMap(job => mistakesOfTransfer(report, job)),
      ...mistakesOfGone(report, gone),
      ...(report.whole && report.problem === '' ? [] : [`it is not all: ${report.problem}`]),
    ];
    if (mistakes.length === 0) {
      lab.say(
        `  ${router} (${report.role}, ${report.from}) shows them: ${JSON.stringify({ ...report.summary, servers: 0 })}`,
      );
      return report;
    }
    if (performance.now() > endAt) {
      lab.record(`shown by ${router}`, report);
      assert.fail(`${router}: ${mistakes.join('; ')}`);
    }
  }
}

function mistakesOfSession(
  report: SessionsReport,
  { request }: Session,
  servers: ReadonlyMap<string, string>,
): string[] {
  const { from, tls } = request;
  const of = report.sessions.filter(({ client }) => client === from);
  const [shown] = of;
  const wanted = { port: tls === 'implicit' ? 990 : 21, tls: tls === 'implicit' ? 'implicit' : 'not-by-port' };
  const control = shown?.control.map(one => ({ port: one.port, tls: one.tls }));
  const six = from.includes(':');
  const server = servers.get(from) as 'fs1';
  const right =
    of.length === 1 &&
    JSON.stringify(control) === JSON.stringify([wanted]) &&
    shown?.control[0]?.state === 'ESTABLISHED' &&
    shown.service === (six ? 'ftp6' : 'ftp') &&
    shown.vip === (six ? VIP6 : VIP) &&
    shown.server.name === server &&
    shown.server.address === (six ? SERVER_ADDRESSES6 : SERVER_ADDRESSES)[server];
  return right ? [] : [`${from} on ${server} is ${JSON.stringify(of)}`];
}

function mistakesOfTransfer(report: SessionsReport, { from, mode }: Job): string[] {
  const of = report.sessions.filter(({ client }) => client === from);
  const data = of.flatMap(session => session.data);
  const right =
    of.length === 1 &&
    of[0]?.control.length === 1 &&
    data.length === 1 &&
    data[0]?.state === 'ESTABLISHED' &&
    data[0].mode === (mode.endsWith('active') ? 'active' : 'passive');
  return right ? [] : [`the ${mode} download of ${from} is ${JSON.stringify(of)}`];
}

function mistakesOfGone({ sessions, waiting }: SessionsReport, server: string): string[] {
  const found = waiting.filter(({ client }) => client === GONE);
  const right = found.length === 1 && found[0]?.server.name === server && (found[0]?.leftS ?? 0) > 1_000;
  if (right && sessions.every(({ client }) => client !== GONE)) return [];
  return [`${GONE}, which has gone from ${server}, is ${JSON.stringify(found)}`];
}

function controlsOf({ sessions }: SessionsReport) {
  return sessions.flatMap(({ client, control }) => control.map(one => ({ client, ...one })));
}

/** The same sessions, first seen at the same time. */
function assertSameTimes(before: SessionsReport | undefined, after: SessionsReport | undefined): void {
  assert.ok(before && after);
  const times = new Map(
    controlsOf(after).map(one => [`${one.client} ${one.clientPort}`, Date.parse(one.firstSeenAt ?? '')]),
  );
  const apart = controlsOf(before).filter(one => {
    const other = times.get(`${one.client} ${one.clientPort}`) ?? Number.NaN;
    return !(Math.abs(Date.parse(one.firstSeenAt ?? '') - other) < SAME_MS);
  });
  assert.deepEqual(apart, [], 'sessions that were first seen at another time');
}

async function assertFiltered({ pair }: Service, router: Router, server: string): Promise<void> {
  const ask = async (...args: string[]) =>
    sessionsReportSchema.parse(JSON.parse(await pair.tandem(router, ['sessions', '--json', ...args])));
  const one = await ask('--client', clientAddress(0));
  assert.deepEqual(
    one.sessions.map(({ client }) => client),
    [clientAddress(0)],
  );
  assert.deepEqual(one.waiting, []);
  const of = await ask('--service', 'ftp', '--server', server);
  assert.deepEqual(
    [...new Set(of.sessions.map(session => `${session.service} ${session.server.name}`))],
    [`ftp ${server}`],
  );
}

/** Nothing follows the connections: IPVS' table and conntrack are read for the answer. */
async function kernelIsRead(lab: Lab): Promise<void> {
  const service = await startService(lab, {
    ...{ bigBytes: 8_000_000, rateBytesPerS: 200_000, persistence: '30m', sync: '{ enabled: false }' },
  });
  const jobs = JOBS.filter(({ host }) => host === undefined);
  const transfers = startTransfers(lab, service.ftp, jobs, 200_000, 300_000);
  await untilUnderWay(transfers, lab.say, 400_000);
  const report = sessionsReportSchema.parse(
    JSON.parse(await service.pair.tandem(service.active, ['sessions', '--json'])),
  );
  lab.record('report', report);
  assert.deepEqual([report.from, report.problem], ['kernel', '']);
  assert.deepEqual(
    jobs.flatMap(job => mistakesOfTransfer(report, job)),
    [],
  );
  const times = report.sessions.flatMap(({ control, data }) => [...control, ...data]).map(one => one.firstSeenAt);
  assert.deepEqual([...new Set(times)], [null]);
  assertWhole(await Promise.all(transfers.map(transfer => transfer.finished)));
}

export const SHOWN_SCENARIOS: readonly Scenario[] = [
  {
    title:
      'tandem sessions shows who is connected on both routers, and after a failover: active, passive, TLS, IPv4 and IPv6',
    timeoutMs: 500_000,
    topology: { clients: 24, ipv6: true },
    run: sessionsAreShown,
  },
  {
    title: 'without the sync tandem sessions reads the kernel: passive data from IPVS, active data from conntrack',
    timeoutMs: 300_000,
    topology: { clients: 24 },
    run: kernelIsRead,
  },
];
