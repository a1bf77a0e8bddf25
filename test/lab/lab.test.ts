// All scenarios of the lab, one test for each: the lab is started once (test/lab/lab: a virtual machine where the host has no
// IPVS) and runs them one after the other; its progress is shown on stderr.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ScenarioResult } from './scenario.ts';
import { SCENARIOS } from './scenarios.ts';

/** The checkout: this file is compiled to dist/test/lab/. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Twice and more what it takes on two quiet processors. */
const TIMEOUT_S = 2_700;

interface Outcome {
  readonly results: readonly ScenarioResult[];
  readonly status: string;
}

async function runLab(): Promise<Outcome> {
  const directory = await mkdtemp(path.join(tmpdir(), 'tandem-lab-'));
  try {
    const copy = path.join(directory, 'results.json');
    const args = ['run', '--timeout', String(TIMEOUT_S), '--results', copy, '--', 'dist/test/lab/run-scenarios.js'];
    const child = spawn(path.join(ROOT, 'test/lab/lab'), args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
    const status = await new Promise<string>((resolve, reject) => {
      child.on('error', reject).on('close', (code, signal) => resolve(signal ?? String(code)));
    });
    const text = await readFile(copy, 'utf8').catch(() => '[]');
    return { results: JSON.parse(text) as ScenarioResult[], status };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

let outcome: Outcome = { results: [], status: 'not run' };

test.before(async t => {
  t.timeout((TIMEOUT_S + 120) * 1_000, 'the lab takes too long');
  outcome = await runLab();
});

for (const { title } of SCENARIOS) {
  test(title, t => {
    const result = outcome.results.find(candidate => candidate.title === title);
    if (!result) return t.fail(`the lab ended with ${outcome.status} before it came to this scenario`);
    t.log(`${(result.tookMs / 1000).toFixed(1)} s`);
    t.true(result.ok, result.error);
  });
}
