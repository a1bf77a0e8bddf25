// Scripts that say whether a router is fit, on a real pair: what the VIPs do when one fails. The runner's socket is served here, by
// its own code; the process and its unit are tested in test/systemd/boot.test.ts. Io.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RUNNER_SOCKET } from '../../../src/feed/files.ts';
import { RunnerConfig } from '../../../src/runner/io/runner-config.ts';
import { createRunnerServer } from '../../../src/runner/io/runner-server.ts';
import { monotonicNow } from '../../../src/units/io/clocks.ts';
import { rolesNow, startService } from '../measure/failover.ts';
import type { Pair } from '../pair/pair.ts';
import { ROUTERS, type Router } from '../pair/topology.ts';
import { until } from './director-scenarios.ts';
import type { Lab, Scenario } from './scenario.ts';

const STATE_MS = 30_000;
const MOVE_MS = 90_000;

/** Of both routers: they ask at one place here, each by what its own script is told. */
async function serveScripts(configFile: () => string): Promise<() => Promise<void>> {
  let configs: RunnerConfig[] | undefined;
  const log = { event: () => undefined };
  const { server, end } = createRunnerServer({
    log,
    find: request => {
      configs ??= ROUTERS.map(
        router => new RunnerConfig({ configFile: configFile(), nodeOf: () => router, log, now: monotonicNow }),
      );
      const found = configs.map(config => config.find(request));
      return found.find(script => typeof script !== 'string') ?? found[0] ?? 'no config';
    },
  });
  await mkdir(path.dirname(RUNNER_SOCKET), { recursive: true });
  await rm(RUNNER_SOCKET, { force: true });
  server.listen(RUNNER_SOCKET);
  await once(server, 'listening');
  return async () => {
    end();
    server.close();
    await rm(RUNNER_SOCKET, { force: true });
  };
}

async function failingScriptMoves(lab: Lab): Promise<void> {
  const flag = (router: string) => path.join(lab.dir, `unfit-${router}`);
  const script = `[/bin/sh, -c, 'if [ -e ${flag('$TANDEM_ROUTER')} ]; then echo no uplink; exit 1; fi']`;
  const more = `fitness:\n  checks:\n    uplink: { script: ${script}, interval: 1s, timeout: 1s, rise: 1, fall: 1 }\n`;
  const stop = await serveScripts(() => path.join(lab.dir, 'tandem.yaml'));
  try {
    // How long an owner waits for its peer's own failure goes by the longest check of a server, too.
    const { pair } = await startService(lab, { bigBytes: 1_000, check: 'fall: 1', more });
    await pair.untilWarm(rolesNow(pair).standby, 60_000);
    await judge(lab, pair, flag);
  } finally {
    await stop();
  }
}

async function judge(lab: Lab, pair: Pair, flag: (router: Router) => string): Promise<void> {
  const { active, standby } = rolesNow(pair);
  const untilState = (router: Router, state: string) =>
    until(
      `the script on ${router} is ${state}`,
      async () => (await pair.status(router)).fitness.every(check => check.state === state),
      STATE_MS,
    );
  for (const router of [standby, active]) {
    await untilState(router, 'passing');
    await writeFile(flag(router), '');
    await untilState(router, 'failing');
  }
  const { problems } = await pair.status(active);
  assert.ok(
    problems.some(problem => /uplink fails.*no uplink/.test(problem)),
    problems.join('; '),
  );
  // Longer than the move takes that follows: so it is the peer's failure that keeps the VIPs.
  await sleep(MOVE_MS / 2);
  assert.deepEqual(rolesNow(pair), { active, standby }, 'it fails on both: nothing moves');
  for (const router of [active, standby]) {
    await rm(flag(router));
    await untilState(router, 'passing');
  }
  const began = performance.now();
  await writeFile(flag(active), '');
  await pair.feed(standby).until(({ role }) => role === 'active', `${standby} to be given the VIPs`, MOVE_MS);
  const tookMs = Math.round(performance.now() - began);
  lab.record('moveMs', tookMs);
  assert.ok(tookMs < MOVE_MS / 2, `the move took ${tookMs} ms, so the wait before it says nothing`);
  await pair.feed(active).until(({ role }) => role === 'standby', `${active} to stand by`, 10_000);
}

export const FITNESS_SCENARIOS: readonly Scenario[] = [
  {
    title:
      'a fitness script that fails on both routers moves nothing, and one that fails on the owner alone moves the VIPs',
    run: failingScriptMoves,
    timeoutMs: 400_000,
  },
];
