// What the Debian machines need from outside, made ready on the host before they boot: the root,
// the packages of npm, an archive of node, and this checkout as a repository. They themselves have
// no network but the lab's. Io. What is slow is kept in the lab's cache.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  access,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { run } from '../lab/pair/netns.ts';
import { COMMIT_OF_030 } from '../netns/io/old-build.ts';
import { type Debian, installCommands } from './readme.ts';

const SUITES: Readonly<Record<Debian, string>> = { '12': 'bookworm', '13': 'trixie' };
const NPM_MS = 300_000;
const GIT_MS = 60_000;
/** Of a command's last words, in characters. */
const WORDS_MAX = 2_000;

export interface Prepared {
  /** The root file system, as installed. */
  readonly image: string;
  /** What a machine finds in /srv: npm's cache and configuration, the archive of node. */
  readonly shared: string;
}

/** Runs a command whose lines on stderr are its progress; resolves with its stdout. */
async function told(file: string, args: readonly string[], say: (text: string) => void): Promise<string> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, words] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-WORDS_MAX);
    say(text.trim());
  });
  const status = await new Promise<string>((resolve, reject) => {
    child.on('error', reject).on('close', (code, signal) => resolve(signal ?? String(code)));
  });
  if (status !== '0') throw new Error(`${path.basename(file)} ended with ${status}: ${words.trim()}`);
  return stdout.trim();
}

/** A directory of the cache that `make` fills once; what is left half made is made anew. */
async function cached(name: string, stem: string, make: (directory: string) => Promise<void>): Promise<string> {
  const cache = process.env.TANDEM_LAB_CACHE ?? '/var/cache/tandem-lab';
  const target = path.join(cache, name);
  if (await exists(target)) return target;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(path.join(cache, `${stem}.`));
  try {
    await make(work);
    // Older ones of this kind go, and what was left half made.
    for (const old of await readdir(cache))
      if (/^[-.]/.test(old.slice(stem.length)) && old.startsWith(stem) && old !== path.basename(work))
        await rm(path.join(cache, old), { recursive: true, force: true });
    await rename(work, target);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return target;
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

function keyOf(parts: readonly (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex').slice(0, 12);
}

/** A file of a commit of this clone. */
async function ofCommit(root: string, commit: string, file: string): Promise<string> {
  const { stdout } = await run('git', ['-C', root, 'show', `${commit}:${file}`]).catch((cause: Error) => {
    const advice = 'the tests need a whole clone (git fetch --unshallow)';
    throw new Error(`commit ${commit} is not in ${root}: ${advice}`, { cause });
  });
  return stdout;
}

/**
 * The packages of 0.3.0 and of this checkout in a cache of npm, which can be asked without a
 * network.
 */
async function npmCache(root: string, say: (text: string) => void): Promise<string> {
  const files = ['package.json', 'package-lock.json', '.npmrc'];
  const trees = await Promise.all([
    Promise.all(files.map(file => readFile(path.join(root, file), 'utf8'))),
    Promise.all(files.map(file => ofCommit(root, COMMIT_OF_030, file))),
  ]);
  return await cached(`npm-${keyOf(trees.flat())}`, 'npm', async directory => {
    for (const [index, texts] of trees.entries()) {
      say(`npm's packages, ${index + 1} of ${trees.length}`);
      const tree = path.join(directory, 'tree');
      await mkdir(tree);
      await Promise.all(files.map((file, at) => writeFile(path.join(tree, file), texts[at] as string)));
      const options = ['--cache', path.join(directory, 'cache'), '--ignore-scripts', '--prefix', tree];
      await run('npm', ['ci', '--no-audit', '--no-fund', ...options], { timeoutMs: NPM_MS });
      await rm(tree, { recursive: true });
    }
  });
}

/**
 * This machine's node and npm, packed as the archives of its makers are: the release cannot be
 * downloaded here without naming a host.
 */
async function nodeArchive(say: (text: string) => void): Promise<string> {
  const name = `node-${process.version}-linux-x64`;
  const { stdout } = await run('npm', ['root', '-g']);
  const modules = stdout.trim();
  const npm = await readFile(path.join(modules, 'npm/package.json'));
  return await cached(`node-${keyOf([process.version, npm])}`, 'node', async directory => {
    const tree = path.join(directory, name);
    await mkdir(path.join(tree, 'lib/node_modules'), { recursive: true });
    await mkdir(path.join(tree, 'bin'));
    await cp(await realpath(process.execPath), path.join(tree, 'bin/node'));
    await cp(path.join(modules, 'npm'), path.join(tree, 'lib/node_modules/npm'), { recursive: true });
    for (const command of ['npm', 'npx'])
      await symlink(`../lib/node_modules/npm/bin/${command}-cli.js`, path.join(tree, 'bin', command));
    const archive = path.join(directory, `${name}.tar.xz`);
    say(`packing ${name}`);
    await run('tar', ['-C', directory, '-I', 'xz -1 -T0', '-cf', archive, name], { timeoutMs: NPM_MS });
    await rm(tree, { recursive: true });
  });
}

interface Cached {
  /** The root file system, as installed. */
  readonly image: string;
  /** A directory with npm's cache. */
  readonly npm: string;
  /** A directory with the archive of node. */
  readonly node: string;
}

/**
 * Fills the lab's cache for a release of Debian; needs the network when something is not there yet.
 */
export async function fillCache(root: string, debian: Debian, say: (text: string) => void): Promise<Cached> {
  const readme = await readFile(path.join(root, 'README.md'), 'utf8');
  const packages = installCommands(readme, debian).filter(command => command.startsWith('apt-get install '));
  const setup = await ofCommit(root, COMMIT_OF_030, 'scripts/setup');
  const fetch = /^base_packages="(.*)"$/m.exec(setup)?.[1] ?? '';
  const script = path.join(root, 'test/install/root');
  const image = await told(script, [SUITES[debian], '--fetch', fetch, ...packages], say);
  return { image, npm: await npmCache(root, say), node: await nodeArchive(say) };
}

/**
 * What machines find in /srv: npm's cache and configuration, the archive of node. `work`: the run's
 * own directory.
 */
export async function prepare(
  root: string,
  work: string,
  debian: Debian,
  say: (text: string) => void,
): Promise<Prepared> {
  const { image, npm, node } = await fillCache(root, debian, say);
  const shared = path.join(work, 'shared');
  await mkdir(shared, { recursive: true });
  const { stdout: registry } = await run('npm', ['config', 'get', 'registry']);
  await Promise.all([
    cp(path.join(npm, 'cache'), path.join(shared, 'npm'), { recursive: true }),
    cp(node, shared, { recursive: true }),
    writeFile(path.join(shared, 'npmrc'), `registry=${registry.trim()}\noffline=true\n`),
  ]);
  return { image, shared };
}

/** A bare repository whose branch main is a commit of this clone, for machines to clone. */
export async function repositoryOf(root: string, directory: string, commit: string): Promise<void> {
  await run('git', ['clone', '-q', '--bare', root, directory], { timeoutMs: GIT_MS });
  const git = (...args: string[]) => run('git', ['--git-dir', directory, ...args], { timeoutMs: GIT_MS });
  await git('update-ref', 'refs/heads/main', commit);
  await git('symbolic-ref', 'HEAD', 'refs/heads/main');
}

/** A commit in that repository of the checkout as it lies there, with what is not committed yet. */
export async function commitOfCheckout(root: string, repository: string): Promise<string> {
  const who = { GIT_AUTHOR_NAME: 'lab', GIT_AUTHOR_EMAIL: 'lab@localhost' };
  const env = {
    ...process.env,
    ...who,
    GIT_COMMITTER_NAME: who.GIT_AUTHOR_NAME,
    GIT_COMMITTER_EMAIL: who.GIT_AUTHOR_EMAIL,
    GIT_DIR: repository,
    GIT_WORK_TREE: root,
    GIT_INDEX_FILE: path.join(repository, 'lab-index'),
  };
  const git = async (...args: string[]): Promise<string> =>
    (await run('git', ['-C', root, ...args], { env, timeoutMs: GIT_MS })).stdout.trim();
  const { stdout: head } = await run('git', ['-C', root, 'rev-parse', 'HEAD']);
  await git('-c', 'core.bare=false', 'add', '--all');
  const tree = await git('write-tree');
  return await git('commit-tree', tree, '-p', head.trim(), '-m', 'the checkout');
}
