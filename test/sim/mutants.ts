// Makes mutants: finds the marks of mutations.ts in the source, changes the files that they are in, compiles these in one go, and
// puts each beside a copy of the rest of the simulator.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { changed, type Mutation, marksIn } from './mutations.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Where a safeguard may be, below the root. */
const PLACES = ['src', 'test/sim'];

/** Every mark, with the file that it is in; one that is there twice comes twice. */
export function marks(): { readonly mark: string; readonly file: string }[] {
  return PLACES.flatMap(place =>
    readdirSync(join(ROOT, place), { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.ts'))
      .map(name => join(place, name))
      .flatMap(file => marksIn(readFileSync(join(ROOT, file), 'utf8')).map(mark => ({ mark, file }))),
  );
}

/** The files that a mutation changes, by their path below the root. */
export function changedFiles({ change, also = [] }: Mutation): Map<string, string> {
  const files = new Map(marks().map(({ mark, file }) => [mark, file]));
  const texts = new Map<string, string>();
  for (const one of [change, ...also]) {
    const file = files.get(one.mark);
    if (file === undefined) throw new Error(`no file of ${PLACES.join(', ')} has "// safeguard: ${one.mark}"`);
    texts.set(file, changed(texts.get(file) ?? readFileSync(join(ROOT, file), 'utf8'), one));
  }
  return texts;
}

/**
 * Compiles the changed files of every mutation; answers a directory that has those of mutation
 * number N below N/. Types are not looked at: a mutant may say what makes no sense.
 */
export async function compileMutants(mutations: readonly Mutation[]): Promise<string> {
  const work = await mkdtemp(join(tmpdir(), 'tandem-mutants-'));
  const names: string[] = [];
  for (const [number, mutation] of mutations.entries()) {
    for (const [file, text] of changedFiles(mutation)) {
      const name = join(String(number), file);
      names.push(name);
      await mkdir(dirname(join(work, name)), { recursive: true });
      await writeFile(join(work, name), text);
    }
  }
  const compilerOptions = { noCheck: true, noResolve: true, types: [], sourceMap: false, rootDir: '.', outDir: 'out' };
  const config = { extends: join(ROOT, 'tsconfig.json'), compilerOptions, include: [], files: names };
  await writeFile(join(work, 'tsconfig.json'), JSON.stringify(config));
  await writeFile(join(work, 'package.json'), JSON.stringify({ type: 'module' }));
  await promisify(execFile)(join(ROOT, 'node_modules/.bin/tsc'), ['-p', work]);
  return join(work, 'out');
}

/** A copy of what the simulator needs, with the compiled files below `changes` in it. */
export async function mutant(changes: string): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'tandem-mutant-'));
  await mkdir(join(copy, 'dist/test'), { recursive: true });
  await cp(join(ROOT, 'dist/src'), join(copy, 'dist/src'), { recursive: true });
  await cp(join(ROOT, 'dist/test/sim'), join(copy, 'dist/test/sim'), { recursive: true });
  await cp(join(ROOT, 'dist/test/settings-for.js'), join(copy, 'dist/test/settings-for.js'));
  await cp(changes, join(copy, 'dist'), { recursive: true });
  await cp(join(ROOT, 'package.json'), join(copy, 'package.json'));
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}
