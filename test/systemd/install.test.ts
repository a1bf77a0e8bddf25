// scripts/install and scripts/uninstall: twice is as good as once, configs and keys are never touched, nothing is left behind.
import { access, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { builtTree, emptyDirectory, filesBelow, REPOSITORY, run, runScript } from './install.ts';

const LIB = 'usr/local/lib/tandem';
const CONFIG = 'etc/tandem/tandem.yaml';

test.serial(
  'a second install keeps a changed config and the key, and says so; uninstall leaves only those',
  async t => {
    const tree = await builtTree();
    const root = await emptyDirectory();
    t.teardown(() => Promise.all([rm(tree, { recursive: true }), rm(root, { recursive: true })]));
    const first = await runScript(tree, 'install', { DESTDIR: root });
    t.regex(first, /new {6}\/etc\/tandem\/tandem\.yaml/);
    t.regex(first, /systemctl enable --now tandem-pulse tandem-director/);
    t.is(await readFile(join(root, CONFIG), 'utf8'), await readFile(join(REPOSITORY, 'conf/tandem.yaml'), 'utf8'));

    await writeFile(join(root, CONFIG), 'pair: mine\n');
    await writeFile(join(root, 'etc/tandem/pair.key'), 'secret', { mode: 0o600 });
    await writeFile(join(root, LIB, 'dist/src/left-over.js'), '');
    const second = await runScript(tree, 'install', { DESTDIR: root });
    t.regex(second, /kept {5}\/etc\/tandem\/tandem\.yaml/);
    t.is(await readFile(join(root, CONFIG), 'utf8'), 'pair: mine\n');
    t.is(await readFile(join(root, 'etc/tandem/pair.key'), 'utf8'), 'secret');
    t.is((await stat(join(root, 'etc/tandem/pair.key'))).mode & 0o777, 0o600);
    await t.throwsAsync(access(join(root, LIB, 'dist/src/left-over.js')), { code: 'ENOENT' }, 'old files are gone');

    const { stdout } = await run(process.execPath, [join(root, LIB, 'dist/src/cli/main.js'), '--help']);
    t.regex(stdout, /Usage: tandem/);
    const removed = await runScript(tree, 'uninstall', { DESTDIR: root });
    t.regex(removed, /kept {4}\/etc\/tandem \(config and key\)/);
    t.deepEqual(await filesBelow(root), ['etc/tandem/pair.key', CONFIG]);
    await t.throwsAsync(access(join(root, 'usr')), { code: 'ENOENT' }, 'no empty directories are left');
  },
);

test.serial('what is installed is the program with its production packages, not the tests or the tools', async t => {
  const tree = await builtTree();
  const root = await emptyDirectory();
  t.teardown(() => Promise.all([rm(tree, { recursive: true }), rm(root, { recursive: true })]));
  await runScript(tree, 'install', { DESTDIR: root });
  const files = await filesBelow(root);
  const { dependencies, devDependencies } = JSON.parse(
    await readFile(join(REPOSITORY, 'package.json'), 'utf8'),
  ) as Record<string, Record<string, string>>;
  for (const name of Object.keys(dependencies ?? {})) {
    t.true(files.includes(`${LIB}/node_modules/${name}/package.json`), name);
  }
  for (const name of Object.keys(devDependencies ?? {})) {
    t.false(files.includes(`${LIB}/node_modules/${name}/package.json`), name);
  }
  t.false(files.some(file => file.startsWith(`${LIB}/dist/test`)));
  t.is((await stat(join(root, LIB, 'dist/vipd'))).mode & 0o777, 0o755);
  t.is(await readFile(join(root, 'usr/local/bin/tandem'), 'utf8').then(text => text.split('\n')[0]), '#!/bin/sh');
  for (const file of files.filter(candidate => candidate.includes('/systemd/system/'))) {
    t.notRegex(await readFile(join(root, file), 'utf8'), /@[A-Z]+@/, `${file} has all paths filled in`);
  }
});

test.serial('PREFIX and SYSCONFDIR are honoured, and the installed command runs', async t => {
  const tree = await builtTree();
  const root = await emptyDirectory();
  t.teardown(() => Promise.all([rm(tree, { recursive: true }), rm(root, { recursive: true })]));
  const environment = { PREFIX: join(root, 'opt'), SYSCONFDIR: join(root, 'conf') };
  const said = await runScript(tree, 'install', environment);
  t.regex(said, /systemd does not look below/);
  const { stdout } = await run(join(root, 'opt/bin/tandem'), ['--help']);
  t.regex(stdout, /Usage: tandem/);
  const unit = await readFile(join(root, 'opt/lib/systemd/system/tandem-pulse.service'), 'utf8');
  t.true(unit.includes(`main.js pulse --realtime --config ${root}/conf/tandem/tandem.yaml`));
  t.true(unit.includes(`ExecStopPost=-${root}/opt/lib/tandem/dist/vipd --cleanup --state /run/tandem/vipd.state`));
});

test.serial('a config directory that exists keeps its mode', async t => {
  const tree = await builtTree();
  const root = await emptyDirectory();
  t.teardown(() => Promise.all([rm(tree, { recursive: true }), rm(root, { recursive: true })]));
  await mkdir(join(root, 'etc/tandem'), { recursive: true, mode: 0o700 });
  await runScript(tree, 'install', { DESTDIR: root });
  t.is((await stat(join(root, 'etc/tandem'))).mode & 0o777, 0o700);
});

test.serial('mistakes are refused before anything is written', async t => {
  const tree = await builtTree();
  const root = await emptyDirectory();
  t.teardown(() => Promise.all([rm(tree, { recursive: true }), rm(root, { recursive: true })]));
  const refused: [Record<string, string>, RegExp][] = [
    [{ DESTDIR: root, PREFIX: 'usr' }, /PREFIX must be an absolute path/],
    [{ DESTDIR: root, PREFIX: '/with blank' }, /characters that a systemd unit cannot carry/],
    [{ DESTDIR: root, NODE: '/nowhere/node' }, /cannot be run; set NODE/],
  ];
  for (const [environment, stderr] of refused) {
    const error = await t.throwsAsync(runScript(tree, 'install', environment));
    t.regex((error as Error & { stderr: string }).stderr, stderr);
  }
  await rm(join(tree, 'dist/vipd'));
  const error = await t.throwsAsync(runScript(tree, 'install', { DESTDIR: root }));
  t.regex((error as Error & { stderr: string }).stderr, /dist\/vipd is missing; run scripts\/build/);
  t.deepEqual(await filesBelow(root), []);
});

test('both scripts explain themselves and refuse arguments they do not know', async t => {
  for (const script of ['install', 'uninstall']) {
    const path = join(REPOSITORY, 'scripts', script);
    const { stdout } = await run(path, ['--help']);
    t.regex(stdout, new RegExp(`^usage: scripts/${script}`));
    await t.throwsAsync(run(path, ['--frob']), { code: 64 });
  }
});
