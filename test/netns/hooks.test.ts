// A real pair with real directors, each with a runner of its own: a failover is told once in all. Needs root and `scripts/setup`.
// The pair has no services, since where the kernel has no IPVS no router with services takes over.
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { RunnerConfig } from '../../src/runner/io/runner-config.ts';
import { createRunnerServer } from '../../src/runner/io/runner-server.ts';
import { monotonicNow } from '../../src/units/io/clocks.ts';
import { ROUTERS, type Router } from '../lab/pair/topology.ts';
import { directorConfig, eventsOf, startDirector } from './io/plane.ts';
import { buildRouters, groupPids, type PulseProcess, type Routers, signalAll } from './io/routers.ts';
import { sleep } from './io/vipd.ts';

/** Nothing here is about how quick a failover is. */
const CALM_TIMES = { interval: '200ms', lease: '2s', dead: '3s' };

interface Told {
  readonly code: string;
  readonly node: string;
  readonly dedup: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

interface Pair {
  readonly routers: Routers;
  readonly directors: Readonly<Record<Router, PulseProcess>>;
  /** What hooks of both routers were told, in all. */
  told(): Told[];
}

async function withPair(
  t: ExecutionContext,
  { events, edit }: { readonly events: string; readonly edit: (text: string) => string },
  body: (pair: Pair) => Promise<void>,
): Promise<void> {
  t.timeout(150_000);
  const dir = mkdtempSync('/var/lib/tandem-hooks-');
  chmodSync(dir, 0o755);
  const routers = await buildRouters({ prefix: `tk${process.pid}-`, times: CALM_TIMES });
  // A test that throws has not failed yet when the logs are to be shown.
  let isThrough = false;
  const closers: (() => void)[] = [() => rmSync(dir, { recursive: true, force: true })];
  try {
    for (const router of ROUTERS) routers.start(router);
    await routers.settle('r1');
    const hooks = `\nhooks:\n  note: { events: [${events}], command: [/bin/sh, -c, "cat >> ${dir}/told"] }\n`;
    const start = async (router: Router) => {
      const runnerSocket = join(dir, `${router}.sock`);
      const nodeOf = (names: readonly string[]) => names.find(name => name === router);
      const log = { event: () => undefined };
      const configFile = directorConfig(routers, router);
      const config = new RunnerConfig({ configFile, nodeOf, log, now: monotonicNow });
      const { server, end } = createRunnerServer({ log, find: request => config.find(request) });
      server.listen(runnerSocket);
      await once(server, 'listening');
      closers.push(end, () => server.close());
      return startDirector(routers, router, {
        ...{ ...CALM_TIMES, runnerSocket, edit: text => edit(text).trimEnd() + hooks },
      });
    };
    const directors = { r1: await start('r1'), r2: await start('r2') };
    for (const router of ROUTERS)
      await routers.until(`the director of ${router} hears pulse`, 30_000, async () =>
        eventsOf(directors[router], 'PULSE_CONNECTED').some(Boolean),
      );
    const file = join(dir, 'told');
    const told = () =>
      (existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []).map(
        line => JSON.parse(line) as Told,
      );
    await body({ routers, directors, told });
    isThrough = t.passed;
  } finally {
    if (!isThrough) for (const { log } of Object.values(routers.pulses)) t.log(log.slice(-8));
    await routers.destroy();
    for (const close of closers.reverse()) close();
  }
}

test.serial('a failover of a real pair is told once in all', async t => {
  const withoutServices = (text: string) => text.replace(/^services:\n(?: .*\n|\n)*/m, '');
  await withPair(t, { events: 'ROLE_CHANGED', edit: withoutServices }, async ({ routers, told }) => {
    await routers.until('r2 is ready', 20_000, async () => (await routers.snapshot('r1'))?.peer?.ready === true);
    // How the pair came to be is told, too.
    const owner = () => told().filter(({ node }) => node === 'r1');
    await routers.until('r1 has told of its own start', 20_000, async () => owner().length === 1);
    signalAll(await groupPids(routers, 'r1'), 'SIGKILL');
    await routers.until('r2 is active', 20_000, async () => (await routers.snapshot('r2'))?.role === 'active');
    await routers.until('it is told', 20_000, async () => told().length === 2);
    await sleep(2_500);
    t.deepEqual(
      told().map(({ node, fields }) => `${node} ${fields.to}`),
      ['r1 active', 'r2 active'],
    );
    t.is(new Set(told().map(({ dedup }) => dedup)).size, 2);
  });
});
