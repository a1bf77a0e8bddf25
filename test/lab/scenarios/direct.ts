// The lab's direct mode, tried inside User Mode Linux, whose kernel has IPVS as most users' has: `lab run --direct` makes namespaces of its own
// there and carries transfers through a failover. Io.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../pair/netns.ts';
import { type Lab, resultsDirectory, type Scenario, type ScenarioResult } from './scenario.ts';

const INNER = 'passive and active downloads and an upload outlive a power cut of the active router';
const INNER_S = 300;

async function directly(lab: Lab): Promise<void> {
  const results = path.join(resultsDirectory(), 'direct.json');
  const root = process.env.LAB_ROOT ?? process.cwd();
  const args = ['run', '--direct', '--quiet', '--timeout', String(INNER_S), '--results', results];
  const { stderr } = await run(
    path.join(root, 'test/lab/lab'),
    [...args, '--', 'dist/test/lab/scenarios/run-scenarios.js', INNER],
    {
      timeoutMs: (INNER_S + 30) * 1_000,
    },
  );
  lab.say(stderr.trim().split('\n').slice(-3).join(' | '));
  const [result] = JSON.parse(await readFile(results, 'utf8')) as ScenarioResult[];
  assert.equal(result?.title, INNER);
  assert.equal(result.ok, true, result.error);
}

export const DIRECT_SCENARIOS: readonly Scenario[] = [
  {
    title: 'the lab runs directly in namespaces of a kernel that has IPVS, and outlives a power cut there',
    run: directly,
    timeoutMs: (INNER_S + 60) * 1_000,
  },
];
