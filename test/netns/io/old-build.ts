// An earlier version, built from this clone's history: for the tests that run it beside this one. Io.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Build } from './routers.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
/** Tags do not travel with the main branch, so versions are named by commit. */
export const COMMIT_OF_030 = 'fd50d4ae16e4542ede3a6bc02913c8837ec6ef61';

export interface OldBuild extends Build {
  remove(): Promise<void>;
}

/** Compiles that commit's sources into a temporary directory, with this checkout's compilers and packages. */
export async function buildOld(commit: string): Promise<OldBuild> {
  await run('git', ['-C', ROOT, 'cat-file', '-e', `${commit}^{commit}`]).catch((cause: Error) => {
    const advice = 'it is built from its commit, so the tests need a whole clone (git fetch --unshallow)';
    throw new Error(`commit ${commit} is not in ${ROOT}: ${advice}`, { cause });
  });
  const directory = await mkdtemp(join(tmpdir(), 'tandem-old-'));
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    const archive = join(directory, 'sources.tar');
    await run('git', ['-C', ROOT, 'archive', '-o', archive, commit, 'src', 'scripts', 'package.json', 'tsconfig.json']);
    await run('tar', ['-xf', archive, '-C', directory]);
    await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
    const project = join(directory, 'tsconfig.src.json');
    await writeFile(project, '{ "extends": "./tsconfig.json", "include": ["src"] }\n');
    await run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', project]);
    await run(join(directory, 'scripts/build-vipd'));
  } catch (error) {
    await remove();
    throw error;
  }
  return { cli: join(directory, 'dist/src/cli/main.js'), vipd: join(directory, 'dist/vipd'), remove };
}
