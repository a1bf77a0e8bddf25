// README's installation and upgrade on machines that systemd has booted, a scenario after the
// other: each has two of them. A stage of its own, `scripts/test --only install`. What needs the
// network (roots, npm's packages) is made ready here; the scenarios run in namespaces of their own.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { ScenarioResult } from '../lab/scenarios/scenario.ts';
import { beginStep } from '../runner/step.ts';
import { fillCache } from './prepare.ts';
import { DEBIANS } from './readme.ts';
import { INSTALL_SCENARIOS } from './scenarios.ts';

/** The checkout: this file is compiled to dist/test/install/. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const LAB = path.join(ROOT, 'test/lab/lab');
/** Over the scenario's own: to build and remove its topology. */
const LAB_S = 60;
const CACHE_MS = 1_800_000;

for (const debian of DEBIANS)
  test.serial(`a root of Debian ${debian} and what its machines need are in the cache`, async t => {
    t.timeout(CACHE_MS);
    const { image } = await fillCache(ROOT, debian, text => process.stderr.write(`${text}\n`));
    t.log(image);
    t.regex(image, /^\//);
  });

async function runInLab(title: string, timeoutMs: number): Promise<{ result?: ScenarioResult; status: string }> {
  const directory = await mkdtemp(path.join(tmpdir(), 'tandem-install-'));
  try {
    const copy = path.join(directory, 'results.json');
    const limits = ['--timeout', String(Math.ceil(timeoutMs / 1_000) + LAB_S)];
    const command = ['dist/test/lab/scenarios/run-scenarios.js', '--install', title];
    const child = spawn(LAB, ['run', '--direct', ...limits, '--quiet', '--results', copy, '--', ...command], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    show(child, title);
    const status = await new Promise<string>((resolve, reject) => {
      child.on('error', reject).on('close', (code, signal) => resolve(signal ?? String(code)));
    });
    const [result] = JSON.parse(await readFile(copy, 'utf8').catch(() => '[]')) as ScenarioResult[];
    return { status, ...(result && { result }) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function show(child: ChildProcess, title: string): void {
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on('line', line => {
      beginStep(line.trim(), title);
      process.stderr.write(`${line}\n`);
    });
  }
}

for (const { title, timeoutMs = 0 } of INSTALL_SCENARIOS)
  test.serial(title, async t => {
    t.timeout(timeoutMs + 2 * LAB_S * 1_000);
    beginStep('boot', title);
    const { result, status } = await runInLab(title, timeoutMs);
    if (!result) return t.fail(`the lab ended with ${status} before the scenario did`);
    t.log(result.record);
    t.true(result.ok, result.error);
  });
