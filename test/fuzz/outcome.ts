// What a turn of one target came to, and the folder where findings and corpora are kept. Io only for the latter.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Git-ignored. One folder a target: corpus/ (what reached something new), findings/. */
export const FUZZ_DIRECTORY = fileURLToPath(new URL('../../../.lab/fuzz/', import.meta.url));
const CORPUS_FILES_MAX = 1_000;

export interface Outcome {
  readonly target: string;
  readonly executions: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly corpus: number;
  /** Of the target's files; null when it was not measured. */
  readonly lines: { readonly ran: number; readonly all: number } | null;
  readonly finding: Finding | null;
}

export interface Finding {
  readonly problem: string;
  /** The input that shows it; null when it could not be saved. */
  readonly file: string | null;
}

export function coveragePercent({ lines }: Outcome): string {
  return lines === null || lines.all === 0 ? '-' : `${((100 * lines.ran) / lines.all).toFixed(1)} %`;
}

export function corpusDirectory(target: string): string {
  return join(FUZZ_DIRECTORY, target, 'corpus');
}

export function readCorpus(target: string): Buffer[] {
  try {
    const directory = corpusDirectory(target);
    return readdirSync(directory)
      .slice(0, CORPUS_FILES_MAX)
      .map(name => readFileSync(join(directory, name)));
  } catch {
    // Nobody has fuzzed it here before.
    return [];
  }
}

/** Replaces the kept corpus: what no longer reaches anything of its own goes. */
export function writeCorpus(target: string, inputs: readonly Buffer[]): void {
  const directory = corpusDirectory(target);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  for (const input of inputs.slice(0, CORPUS_FILES_MAX)) writeFileSync(join(directory, nameOf(input)), input);
}

export function saveFinding(target: string, input: Buffer): string {
  const directory = join(FUZZ_DIRECTORY, target, 'findings');
  mkdirSync(directory, { recursive: true });
  const file = join(directory, nameOf(input));
  writeFileSync(file, input);
  return file;
}

function nameOf(input: Buffer): string {
  return createHash('sha256').update(input).digest('hex').slice(0, 16);
}
