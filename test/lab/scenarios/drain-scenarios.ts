// An operator drains a server of a pair that serves: real daemons, real IPVS, real clients. Io.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import path from 'node:path';
import type { DrainReport } from '../../../src/status/status-report.ts';
import {
  type Job,
  type RunOptions,
  rolesNow,
  type Service,
  startService,
  startTransfers,
  untilUnderWay,
} from '../measure/failover.ts';
import { clientAddress, type Router } from '../pair/topology.ts';
import { newClient } from './busy-scenarios.ts';
import { until } from './director-scenarios.ts';
import { assertWhole } from './failover-scenarios.ts';
import type { Lab, Scenario } from './scenario.ts';
import { failOver, type Known, mistakesOf, openKnown, rejoin } from './session-scenarios.ts';

const SESSIONS = 6;
const CLIENTS = 40;
/** Two minutes: longer than a failover and the way back of the router that was lost. */
const OPTIONS: RunOptions = { bigBytes: 24_000_000, rateBytesPerS: 200_000, persistence: '1h', sync: '{}' };
const TRANSFER_MS = 420_000;
const SHARED_MS = 20_000;
const WAIT_MS = 300_000;

async function drainOn({ pair }: Service, router: Router, server: string): Promise<DrainReport | undefined> {
  const { drains } = await pair.status(router);
  return drains.find(drain => drain.server === server);
}

/** Both routers drain it, and know that of each other. */
function untilShared(service: Service, server: string): Promise<void> {
  return until(
    `${server} is drained on both routers`,
    async () => {
      const both = await Promise.all((['r1', 'r2'] as const).map(router => drainOn(service, router, server)));
      return both.every(drain => drain?.shared === true);
    },
    SHARED_MS,
  );
}

/** Clients that were never here: which servers they meet. */
function strangers(lab: Lab): (count: number) => Promise<readonly string[]> {
  let next = SESSIONS;
  return async count => {
    const met: string[] = [];
    for (let n = 0; n < count; n++) met.push(await newClient(lab, clientAddress(next++)));
    assert.ok(
      met.every(name => /^fs/.test(name)),
      `new clients met ${met}`,
    );
    return met;
  };
}

async function assertOn(known: readonly Known[], when: string): Promise<void> {
  assert.deepEqual(await mistakesOf(known), [], when);
}

/** `tandem drain SERVER --wait`, which goes on beside what follows. */
function waitingDrain(lab: Lab, { pair }: Service, router: Router, server: string) {
  const main = path.resolve('dist/program/tandem.js');
  const args = [main, 'drain', server, '--wait', '--run-dir', pair.runDir(router)];
  const child = lab.topology.start(router, process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  return { said: () => said, ended: once(child, 'close').then(([code]) => Number(code)) };
}

async function drains(lab: Lab): Promise<void> {
  const service = await startService(lab, OPTIONS);
  const { pair, ftp } = service;
  const meet = strangers(lab);
  const known = await openKnown(lab, service, SESSIONS);
  const gone = (known[0] as Known).server;
  const other = known.find(({ server }) => server !== gone)?.server as string;
  const there = known.filter(({ server }) => server === gone);
  const job: Job = { kind: 'download', mode: 'passive', from: (there[0] as Known).session.request.from };
  const [download] = startTransfers(lab, ftp, [job], OPTIONS.rateBytesPerS, TRANSFER_MS);
  assert.ok(download);
  await untilUnderWay([download], lab.say, 1_000_000);

  lab.say(`${gone} is drained with ${there.length} sessions`);
  const { active } = rolesNow(pair);
  assert.match(await pair.tandem(active, ['drain', gone, '--reason', 'new disk']), /on both routers/);
  await untilShared(service, gone);
  await assertOn(there, 'its sessions go on');
  const met = await meet(8);
  assert.ok(!met.includes(gone), `new clients met ${met}`);
  // The end of a file reaches the standby within seconds. One that ended just before the cut stays open there.
  const { standby } = rolesNow(pair);
  await until(
    `${standby} knows of no file but the one that is under way`,
    async () => (await drainOn(service, standby, gone))?.transfers === 1,
    SHARED_MS,
  );

  lab.say('the active router loses its power; the other one drains another server meanwhile');
  const { lost, taker } = await failOver(lab, service);
  await assertOn(there, 'its sessions go on after the failover');
  const after = await meet(8);
  assert.ok(!after.includes(gone), `after the failover new clients met ${after}`);
  assert.match(await pair.tandem(taker, ['drain', other]), /this router only/);
  await rejoin(service, lost);
  await untilShared(service, gone);
  await untilShared(service, other);
  assert.match(await pair.tandem(lost, ['enable', other]), /on both routers/);
  await until(`${other} is enabled on both`, async () => (await drainOn(service, taker, other)) === undefined);

  lab.say('the command waits for the last session');
  const waiting = waitingDrain(lab, service, taker, gone);
  await until('it says what is left', async () => /\d+ sessions?, \d+ transfers?/.test(waiting.said()));
  const result = await download.finished;
  lab.record('download', result);
  assertWhole([result]);
  for (const { session } of there) await session.close();
  let code: number | undefined;
  void waiting.ended.then(ended => {
    code = ended;
  });
  try {
    await until('the wait is over', async () => code !== undefined, WAIT_MS);
  } catch (error) {
    assert.fail(`${(error as Error).message}; it said: ${waiting.said()}`);
  }
  lab.record('waited', waiting.said());
  assert.equal(code, 0, waiting.said());
  assert.match(waiting.said(), new RegExp(`no session is left on ftp/${gone}`));
  const empty = await meet(4);
  assert.ok(!empty.includes(gone), `new clients met ${empty} while it is empty`);

  await pair.tandem(taker, ['enable', gone]);
  const back = await meet(6);
  assert.ok(back.includes(gone), `new clients met ${back} after it was enabled`);
  await assertOn(
    known.filter(({ server }) => server !== gone),
    'the sessions of the others have noticed nothing',
  );
}

async function drainsRouter(lab: Lab): Promise<void> {
  const service = await startService(lab, OPTIONS);
  const { pair } = service;
  const known = await openKnown(lab, service, SESSIONS);
  const { active, standby } = rolesNow(pair);
  assert.match(await pair.tandem(active, ['drain', '--router']), new RegExp(`${active} is drained: ${standby} serves`));
  await assertOn(known, 'the router is drained');
  assert.ok((await pair.status(active)).pulse?.hold.on, 'it is held');
  await pair.tandem(active, ['enable', '--router']);
  await until('it is free again', async () => (await pair.status(active)).pulse?.hold.on === false);
}

export const DRAIN_SCENARIOS: readonly Scenario[] = [
  {
    title: 'a drained server keeps its sessions over a failover, gets no new clients, and is given back',
    topology: { clients: CLIENTS },
    run: drains,
    timeoutMs: 900_000,
  },
  {
    title: 'a drained router hands over, breaks no session, and stays standby until it is enabled',
    topology: { clients: SESSIONS },
    run: drainsRouter,
    timeoutMs: 400_000,
  },
];
