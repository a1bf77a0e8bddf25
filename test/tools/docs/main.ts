// Writes the generated pages of docs/, or with --check says which are out of date. Run by scripts/docs.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv, exit, stderr, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { generatedPages } from './pages.ts';

/** Paths of the pages under `root` that are missing or differ from what the code says. */
export function outdatedPages(root: string): string[] {
  return Object.entries(generatedPages())
    .filter(([path, text]) => readIfThere(join(root, path)) !== text)
    .map(([path]) => path);
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function main(root: string, check: boolean): number {
  const outdated = outdatedPages(root);
  if (check) {
    for (const path of outdated) stderr.write(`${path} is out of date: run scripts/docs\n`);
    return outdated.length > 0 ? 1 : 0;
  }
  const pages = generatedPages();
  for (const path of outdated) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), pages[path] as string);
    stdout.write(`wrote ${path}\n`);
  }
  return 0;
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  exit(main(process.cwd(), argv.includes('--check')));
}
