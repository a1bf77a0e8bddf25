// Bundles the compiled programs with the packages that they use into dist/program: what routers run.
// A command's files are a chunk of their own, read when it runs. Run by scripts/build.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { z } from 'zod';

/** The checkout: this file is compiled to dist/test/tools/. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const TARGET = join(ROOT, 'dist/program');
const PROGRAMS = {
  tandem: 'dist/src/cli/main.js',
  witness: 'dist/src/witness/main.js',
  'config-reader': 'dist/src/pulse/reader/main.js',
};

const lockSchema = z.object({
  packages: z.record(z.string(), z.object({ dev: z.boolean().optional(), version: z.string().optional() })),
});

/** The licences of all that is bundled, which each of them asks for. */
function licences(): string {
  const { packages } = lockSchema.parse(JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')));
  const texts: string[] = [];
  for (const [path, { dev, version }] of Object.entries(packages)) {
    const directory = join(ROOT, path);
    if (path === '' || dev === true || !existsSync(directory)) continue;
    const file = readdirSync(directory).find(name => /^licen[cs]e/i.test(name));
    const text = file === undefined ? licenceField(directory) : readFileSync(join(directory, file), 'utf8');
    texts.push(`${path.slice(path.lastIndexOf('node_modules/') + 13)} ${version}\n\n${text.trim()}\n`);
  }
  return texts.join(`\n${'-'.repeat(78)}\n\n`);
}

function licenceField(directory: string): string {
  const { license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { license?: unknown };
  return `Licence: ${license}`;
}

const bundle = await rolldown({
  cwd: ROOT,
  input: PROGRAMS,
  platform: 'node',
  onLog: (level, { message }) => {
    if (level === 'warn') process.stderr.write(`bundle: ${message}\n`);
  },
});
rmSync(TARGET, { recursive: true, force: true });
await bundle.write({ dir: TARGET, format: 'esm', chunkFileNames: 'parts/[name]-[hash].js' });
await bundle.close();
writeFileSync(join(TARGET, 'LICENCES'), licences());
