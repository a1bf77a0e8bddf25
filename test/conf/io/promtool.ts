// The real promtool, as scripts/setup unpacks it, on conf/alerts.yaml. Io.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { PromtoolTest } from '../recording.ts';

const run = promisify(execFile);
/** The checkout: this file is compiled to dist/test/conf/io/. */
const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const RULES = path.join(ROOT, 'conf/alerts.yaml');
/** Where test/conf/fetch-alerting unpacks. */
const ALERTING = path.join(ROOT, '.lab/alerting');

async function promtool(...args: string[]): Promise<string> {
  try {
    return (await run(path.join(ALERTING, 'usr/bin/promtool'), args, { maxBuffer: 64 * 1_024 * 1_024 })).stdout;
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: unknown; stdout?: string; stderr?: string };
    if (code === 'ENOENT') throw new Error('promtool is missing: run scripts/setup', { cause: error });
    throw new Error(`promtool ${args[0]} ${args[1]}: ${stdout}${stderr}`, { cause: error });
  }
}

/** Throws with promtool's words when it does not take the rules. */
export async function checkRules(): Promise<string> {
  return await promtool('check', 'rules', RULES);
}

/** Of the example beside the rules. */
export async function checkConfig(): Promise<string> {
  return await promtool('check', 'config', path.join(ROOT, 'conf/prometheus.yaml'));
}

/** Throws with promtool's words when a test fails. Rules are evaluated every `interval`. */
export async function testRules(interval: string, tests: readonly PromtoolTest[]): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), 'tandem-promtool-'));
  try {
    const file = path.join(directory, 'tests.yaml');
    await writeFile(file, JSON.stringify({ rule_files: [RULES], evaluation_interval: interval, tests }));
    await promtool('test', 'rules', file);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
