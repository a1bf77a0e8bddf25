// What scripts/demo shows, run inside the lab: `demo.js [--json] [--keep]`. Progress on stderr; on stdout the timeline with a
// verdict, or with --json one object. Exit status 0 when every file arrived whole. Io.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { openLab, resultsDirectory } from '../scenarios/scenario.ts';
import { measureFailover } from './failover.ts';
import { type DemoResult, demoResult, timeline } from './failover-report.ts';

const json = process.argv.includes('--json');
const keep = process.argv.includes('--keep');
const startedAt = performance.now();

function say(text: string): void {
  process.stderr.write(`[${((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)} s] ${text}\n`);
}

function verdict({ failover, ok }: DemoResult): string {
  return ok
    ? `PASSED: every file arrived whole; the clients waited at most ${failover.clientStallMs} ms`
    : 'FAILED: see the transfers above';
}

say('building the network: a client, two routers, three FTP servers');
const lab = await openLab('demo', say);
let status = 1;
try {
  const measured = await measureFailover(lab);
  const result = demoResult(measured);
  await writeFile(path.join(resultsDirectory(), 'demo.json'), `${JSON.stringify(result)}\n`);
  const text = json ? JSON.stringify(result) : ['', ...timeline(measured), '', verdict(result)].join('\n');
  process.stdout.write(`${text}\n`);
  if (keep) {
    const runDir = measured.pair.runDir(measured.taker);
    say(`${measured.taker} keeps serving; inside, see: node dist/program/tandem.js status --run-dir ${runDir}`);
  }
  status = result.ok ? 0 : 1;
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
  process.stderr.write(`demo: the daemons' logs are in ${lab.results}\n`);
} finally {
  if (!keep) await lab.close();
}
process.exit(status);
