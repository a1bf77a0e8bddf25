// Runs scenarios of the lab one after the other, inside the lab: `test/lab/lab run dist/test/lab/scenarios/run-scenarios.js [TITLE PART]`, or with
// --install before that those that boot Debian machines of their own (test/install/install.test.ts; `lab run --direct`).
// Progress on stderr, results in LAB_RUN/results.json (rewritten after each, so that a hang leaves what was known). Io.
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { INSTALL_SCENARIOS } from '../../install/scenarios.ts';
import { resultsDirectory, runScenario, type ScenarioResult } from './scenario.ts';
import { SCENARIOS } from './scenarios.ts';

/** Name of the results file in the run's directory. */
const RESULTS_FILE = 'results.json';

async function keep(results: readonly ScenarioResult[]): Promise<void> {
  const file = path.join(resultsDirectory(), RESULTS_FILE);
  await writeFile(`${file}.part`, `${JSON.stringify(results, null, 2)}\n`);
  await rename(`${file}.part`, file);
}

const install = process.argv[2] === '--install';
const scenarios = install ? INSTALL_SCENARIOS : SCENARIOS;
const wanted = process.argv[install ? 3 : 2] ?? '';
const chosen = scenarios.filter(scenario => scenario.title.includes(wanted));
if (chosen.length === 0) {
  process.stderr.write(`no scenario has "${wanted}" in its title; they are:\n`);
  for (const { title } of scenarios) process.stderr.write(`  ${title}\n`);
  process.exit(64);
}
const results: ScenarioResult[] = [];
for (const [index, scenario] of chosen.entries()) {
  process.stderr.write(`[${index + 1}/${chosen.length}] ${scenario.title}\n`);
  const began = performance.now();
  const say = (text: string): boolean =>
    process.stderr.write(`  ${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}\n`);
  const result = await runScenario(scenario, `scenario-${index + 1}`, say);
  results.push(result);
  await keep(results);
  say(result.ok ? 'passed' : `FAILED: ${result.error}`);
}
process.exit(results.every(({ ok }) => ok) ? 0 : 1);
