// Records the demo for README: `node dist/test/tools/docs/record-demo.js`, as root, writes
// docs/demo.svg. Io.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { type RecordedLine, recording } from './recording.ts';

const COMMAND = 'scripts/demo';

const began = performance.now();
const lines: RecordedLine[] = [];
const child = spawn(COMMAND, ['--no-setup'], { stdio: ['ignore', 'pipe', 'pipe'] });
for (const stream of [child.stdout, child.stderr]) {
  createInterface({ input: stream }).on('line', text => {
    process.stderr.write(`${text}\n`);
    lines.push({ atS: (performance.now() - began) / 1_000, text });
  });
}
const [status] = (await once(child, 'close')) as [number | null];
if (status !== 0) {
  process.stderr.write(`${COMMAND} ended with ${status}: nothing was written\n`);
  process.exit(1);
}
await writeFile('docs/demo.svg', recording(COMMAND, lines));
