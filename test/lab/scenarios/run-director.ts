// Runs the director's scenarios alone, inside the lab: `test/lab/lab run dist/test/lab/scenarios/run-director.js [TITLE PART]`. Io.
import { directorScenarios } from './director-scenarios.ts';
import { runScenario } from './scenario.ts';

const chosen = directorScenarios.filter(({ title }) => title.includes(process.argv[2] ?? ''));
let failed = chosen.length === 0;
for (const [index, scenario] of chosen.entries()) {
  process.stderr.write(`${scenario.title}\n`);
  const result = await runScenario(scenario, `director-${index + 1}`, text => process.stderr.write(`    ${text}\n`));
  process.stderr.write(
    `    ${result.ok ? 'passed' : `FAILED: ${result.error}`} (${(result.tookMs / 1000).toFixed(1)} s)\n`,
  );
  process.stdout.write(`${JSON.stringify(result)}\n`);
  failed ||= !result.ok;
}
process.exit(failed ? 1 : 0);
