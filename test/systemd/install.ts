// Installs into a temporary place, from a copy of the tree's parts that scripts/install reads. The copy has stand-ins for vipd
// and the trial of the packet lease, which install only copies; the program is the compiled one. Used by the tests of scripts/ and systemd/.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const run = promisify(execFile);

/** The repository: compiled tests live in dist/test/systemd/. */
export const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url));

/** The compiled C. */
export const HELPERS = ['dist/vipd', 'dist/packet-lease-trial', 'dist/syn-log'] as const;

/** A source tree that has been built, as far as scripts/install can tell. */
export async function builtTree(): Promise<string> {
  const tree = await mkdtemp(join(tmpdir(), 'tandem-tree-'));
  for (const part of ['scripts', 'systemd', 'conf', 'package.json', 'dist/program', 'dist/man']) {
    await cp(join(REPOSITORY, part), join(tree, part), { recursive: true });
  }
  for (const helper of HELPERS) await writeFile(join(tree, helper), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
  return tree;
}

export async function emptyDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'tandem-install-'));
  await mkdir(directory, { recursive: true });
  return directory;
}

export async function runScript(
  tree: string,
  script: 'install' | 'uninstall',
  environment: Record<string, string>,
): Promise<string> {
  const { stdout } = await run(join(tree, 'scripts', script), [], { env: { PATH: process.env.PATH, ...environment } });
  return stdout;
}

/** Every file below a directory, relative to it, sorted. */
export async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter(entry => !entry.isDirectory())
    .map(entry => relative(directory, join(entry.parentPath, entry.name)))
    .sort();
}
