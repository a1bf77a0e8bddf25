// The scenarios of the lab, a test and a machine for each (test/lab/lab), as many side by side as there are processors; an emulated
// machine runs alone. What a scenario says is shown, each line with the scenario's number.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { testRules } from '../conf/io/promtool.ts';
import type { PromtoolTest } from '../conf/recording.ts';
import { beginStep } from '../runner/step.ts';
import { ALARM_INTERVAL } from './pair/alarm.ts';
import type { Scenario, ScenarioResult } from './scenarios/scenario.ts';
import { SCENARIOS, scenariosOfEveryRun } from './scenarios/scenarios.ts';

/** The checkout: this file is compiled to dist/test/lab/. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const LAB = path.join(ROOT, 'test/lab/lab');
/** Over the scenario's own: to build and remove its topology. */
const LAB_S = 60;
const TIMEOUT_MS = 90_000;

const where = spawnSync(LAB, ['where'], { encoding: 'utf8' }).stdout.split('\n')[0];
/** Places for machines that run at this moment. */
let free = where === 'qemu' ? 1 : Math.max(2, availableParallelism());
const waiting: (() => void)[] = [];

async function place(): Promise<() => void> {
  if (free === 0) await new Promise<void>(resolve => waiting.push(resolve));
  else free -= 1;
  return () => {
    const next = waiting.shift();
    if (next) next();
    else free += 1;
  };
}

/** Runs one scenario in a machine of its own; undefined as its result when the machine ended without one. */
async function runInLab(number: number, scenario: Scenario): Promise<{ result?: ScenarioResult; status: string }> {
  const directory = await mkdtemp(path.join(tmpdir(), 'tandem-lab-'));
  try {
    const copy = path.join(directory, 'results.json');
    const limits = ['--timeout', String(Math.ceil(limitOf(scenario) / 1_000) + LAB_S)];
    const options = ['--time', scenario.time ?? 'inf-cpu', ...limits, '--quiet', '--results', copy];
    const child = spawn(LAB, ['run', ...options, '--', 'dist/test/lab/scenarios/run-scenarios.js', scenario.title], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    show(child, number, scenario.title);
    const status = await new Promise<string>((resolve, reject) => {
      child.on('error', reject).on('close', (code, signal) => resolve(signal ?? String(code)));
    });
    const text = await readFile(copy, 'utf8').catch(() => '[]');
    const [result] = JSON.parse(text) as ScenarioResult[];
    return { status, ...(result && { result }) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function show(child: ChildProcess, number: number, title: string): void {
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on('line', line => {
      beginStep(line.trim(), title);
      process.stderr.write(`${String(number).padStart(2)} ${line}\n`);
    });
  }
}

/** The long ones first, so that no machine is left alone with one at the end; what they may take tells which those are. */
const limitOf = ({ timeoutMs = TIMEOUT_MS }: Scenario): number => timeoutMs;
const longestFirst = [...SCENARIOS.entries()].sort(([, a], [, b]) => limitOf(b) - limitOf(a));
/** scripts/test says `every-run` where nobody asked for the lab by name. */
const chosen = new Set(process.env.TANDEM_LAB === 'every-run' ? scenariosOfEveryRun() : SCENARIOS);
if (chosen.size < SCENARIOS.length) {
  process.stderr.write(`lab: ${chosen.size} of ${SCENARIOS.length} scenarios; all of them: scripts/test --only lab\n`);
}

for (const [index, scenario] of longestFirst) {
  if (!chosen.has(scenario)) continue;
  test(scenario.title, async t => {
    const leave = await place();
    const began = performance.now();
    try {
      beginStep('boot', scenario.title);
      const { result, status } = await runInLab(index + 1, scenario);
      if (!result) return t.fail(`the lab ended with ${status} before the scenario did`);
      const real = (performance.now() - began) / 1_000;
      t.log(`${(result.tookMs / 1_000).toFixed(1)} s on the lab's clock, ${real.toFixed(1)} s of real time`);
      t.true(result.ok, result.error);
      // Faults that were to alarm, as they were scraped in the lab: promtool is here.
      const { alarms } = result.record as { alarms?: readonly PromtoolTest[] };
      if (alarms) await testRules(ALARM_INTERVAL, alarms);
    } finally {
      leave();
    }
  });
}
