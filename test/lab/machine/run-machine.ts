// Runs a program on a virtual-time machine of its own, with its words passed on line by line. Io; runs on the host. For runs of
// many machines whose results are kept: scripts/soak --lab, scripts/ftp-matrix.
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The checkout: this file is compiled to dist/test/lab/machine/. */
const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

interface MachineRun {
  /** A compiled program and its arguments. */
  readonly command: readonly string[];
  /** On the lab's clock. */
  readonly timeoutS: number;
  /** Of the kernel's random numbers; default: the host's. */
  readonly seed?: number;
  /** Where the program's results.json goes. */
  readonly results: string;
  readonly say: (line: string) => void;
}

/** The text of the results; `error`: there are none, and why. */
export async function runMachine(run: MachineRun): Promise<{ readonly text: string } | { readonly error: string }> {
  const { command, timeoutS, seed, results, say } = run;
  const random = seed === undefined ? [] : ['--seed', String(seed)];
  const options = ['--uml', '--time', 'inf-cpu', ...random, '--timeout', String(timeoutS), '--results', results];
  const child = spawn(path.join(ROOT, 'test/lab/lab'), ['run', ...options, '--', ...command], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let last = '';
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', line => {
      last = line;
      say(line);
    });
  const status = await new Promise<string>((resolve, reject) => {
    child.on('error', reject).on('close', (code, signal) => resolve(signal ?? String(code)));
  });
  const text = await readFile(results, 'utf8').catch(() => undefined);
  return text === undefined ? { error: `the lab ended with ${status}: ${last}` } : { text };
}
