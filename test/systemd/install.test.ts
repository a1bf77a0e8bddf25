// scripts/install and scripts/uninstall: twice is as good as once, configs and keys are never touched, nothing is left behind.
import { execFile } from 'node:child_process';
import { access, copyFile, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { builtTree, emptyDirectory, filesBelow, HELPERS, REPOSITORY, run, runScript } from './install.ts';

const VERSIONS = 'usr/local/lib/tandem';
const CONFIG = 'etc/tandem/tandem.yaml';

/** The one version that is installed below `root`, relative to it. */
async function libOf(root: string): Promise<string> {
  const versions = await readdir(join(root, VERSIONS));
  if (versions.length !== 1) throw new Error(`not one version: ${versions.join(', ')}`);
  return join(VERSIONS, versions[0] as string);
}

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
    const before = await libOf(root);
    const second = await runScript(tree, 'install', { DESTDIR: root });
    t.regex(second, /kept {5}\/etc\/tandem\/tandem\.yaml/);
    t.is(await readFile(join(root, CONFIG), 'utf8'), 'pair: mine\n');
    t.is(await readFile(join(root, 'etc/tandem/pair.key'), 'utf8'), 'secret');
    t.is((await stat(join(root, 'etc/tandem/pair.key'))).mode & 0o777, 0o600);
    const lib = await libOf(root);
    t.not(lib, before, 'old files are gone');
    t.regex(lib, /\/\d+\.\d+\.\d+-\w{6}$/);
    t.is((await stat(join(root, lib))).mode & 0o777, 0o755);

    const { stdout } = await run(process.execPath, [join(root, lib, 'dist/program/tandem.js'), '--help']);
    t.regex(stdout, /Usage: tandem/);
    const removed = await runScript(tree, 'uninstall', { DESTDIR: root });
    t.regex(removed, /kept {4}\/etc\/tandem \(config and key\)/);
    t.deepEqual(await filesBelow(root), ['etc/tandem/pair.key', CONFIG]);
    await t.throwsAsync(access(join(root, 'usr')), { code: 'ENOENT' }, 'no empty directories are left');
  },
);

test.serial(
  'what is installed is the program, its packages and their licences in it, not the tests or the tools',
  async t => {
    const tree = await builtTree();
    const root = await emptyDirectory();
    t.teardown(() => Promise.all([rm(tree, { recursive: true }), rm(root, { recursive: true })]));
    await runScript(tree, 'install', { DESTDIR: root });
    const files = await filesBelow(root);
    const LIB = await libOf(root);
    const { dependencies } = JSON.parse(await readFile(join(REPOSITORY, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const licences = await readFile(join(root, LIB, 'dist/program/LICENCES'), 'utf8');
    for (const [name, version] of Object.entries(dependencies)) t.true(licences.includes(`${name} ${version}\n`), name);
    t.false(files.some(file => file.includes('node_modules')));
    t.false(files.some(file => file.startsWith(`${LIB}/dist/test`)));
    for (const helper of HELPERS) t.is((await stat(join(root, LIB, helper))).mode & 0o777, 0o755, helper);
    t.is(await readFile(join(root, 'usr/local/bin/tandem'), 'utf8').then(text => text.split('\n')[0]), '#!/bin/sh');
    for (const page of ['man8/tandem.8', 'man5/tandem.yaml.5', 'man7/tandem-events.7']) {
      t.regex(await readFile(join(root, 'usr/local/share/man', page), 'utf8'), /^\.TH /m, page);
    }
    for (const [file, opens] of [
      ['bash-completion/completions/tandem', /^complete -F _tandem tandem$/m],
      ['zsh/site-functions/_tandem', /^#compdef tandem\n/],
      ['fish/vendor_completions.d/tandem.fish', /^complete -c tandem -f$/m],
    ] as const) {
      t.regex(await readFile(join(root, 'usr/local/share', file), 'utf8'), opens, file);
    }
    for (const file of files.filter(candidate => candidate.includes('/systemd/system/'))) {
      t.notRegex(await readFile(join(root, file), 'utf8'), /@[A-Z]+@/, `${file} has all paths filled in`);
    }
  },
);

test.serial('PREFIX and SYSCONFDIR are honoured, and the installed command runs', async t => {
  const tree = await builtTree();
  const root = await emptyDirectory();
  t.teardown(() => Promise.all([rm(tree, { recursive: true }), rm(root, { recursive: true })]));
  const environment = { PREFIX: join(root, 'opt'), SYSCONFDIR: join(root, 'conf') };
  const said = await runScript(tree, 'install', environment);
  t.regex(said, /systemd does not look below/);
  const { stdout } = await run(join(root, 'opt/bin/tandem'), ['--help']);
  t.regex(stdout, /Usage: tandem/);
  const checked = await run(join(root, 'opt/bin/tandem'), ['check', join(REPOSITORY, 'conf/tandem.yaml')]);
  t.regex(checked.stdout, /: ok, /);
  const unit = await readFile(join(root, 'opt/lib/systemd/system/tandem-pulse.service'), 'utf8');
  const [version] = await readdir(join(root, 'opt/lib/tandem'));
  t.true(unit.includes(`program/tandem.js pulse --realtime --config ${root}/conf/tandem/tandem.yaml`));
  t.true(
    unit.includes(`ExecStopPost=-${root}/opt/lib/tandem/${version}/dist/vipd --cleanup --state /run/tandem/vipd.state`),
  );
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
    [
      { DESTDIR: root, NODE: '/root/.nvm/node' },
      /NODE is \/root\/.nvm\/node, and the units cannot see \/root .*for all users/,
    ],
    [{ DESTDIR: root, NODE: join(root, 'node') }, /NODE is \/home\/somebody\/node, and the units cannot see \/home/],
    [{ DESTDIR: root, PREFIX: '/home/tandem' }, /PREFIX is \/home\/tandem, and the units cannot see \/home/],
  ];
  await symlink('/home/somebody/node', join(root, 'node'));
  for (const [environment, stderr] of refused) {
    const error = await t.throwsAsync(runScript(tree, 'install', environment));
    t.regex((error as Error & { stderr: string }).stderr, stderr);
  }
  for (const helper of HELPERS.toReversed()) {
    await rm(join(tree, helper));
    const error = await t.throwsAsync(runScript(tree, 'install', { DESTDIR: root }));
    t.true((error as Error & { stderr: string }).stderr.includes(`${helper} is missing; run scripts/build`));
  }
  t.deepEqual(await filesBelow(root), ['node']);
});

test.serial('what runs keeps its own vipd and program until nothing runs them any more', async t => {
  const tree = await builtTree();
  const root = await emptyDirectory();
  t.teardown(() => Promise.all([rm(tree, { recursive: true }), rm(root, { recursive: true })]));
  const environment = { PREFIX: join(root, 'opt'), SYSCONFDIR: join(root, 'conf') };
  const versions = join(root, 'opt/lib/tandem');
  const installed = async () => (await readdir(versions)).filter(name => /^\d/.test(name)).sort();
  await runScript(tree, 'install', environment);
  const [first] = (await installed()) as [string];
  // As a pulse of the first version runs its vipd, and as 0.3.0 lay in lib/tandem itself.
  const sleeper = async (path: string) => {
    await copyFile('/bin/sleep', path);
    return execFile(path, ['60']);
  };
  await mkdir(join(versions, 'dist'));
  const old = await sleeper(join(versions, 'dist/vipd'));
  await rm(join(versions, first, 'dist/vipd'));
  const running = await sleeper(join(versions, first, 'dist/vipd'));
  const ended = [old, running].map(child => new Promise(resolve => child.once('exit', resolve)));
  const said = await runScript(tree, 'install', { ...environment, PREFIX: `${environment.PREFIX}/` });
  t.true(said.includes(`kept     ${versions}/${first}: it runs`));
  t.true(said.includes(`kept     ${versions}/{dist,node_modules}: an older Tandem runs from there`));
  t.is((await installed()).length, 2);
  await access(join(versions, 'dist/vipd'));
  const [, second] = /main\.js|tandem\/([^/]+)\/dist/.exec(await readFile(join(root, 'opt/bin/tandem'), 'utf8')) ?? [];
  t.not(second, first, 'the command is the new one');
  for (const child of [old, running]) child.kill();
  await Promise.all(ended);
  await runScript(tree, 'install', environment);
  t.is((await installed()).length, 1);
  t.false((await installed()).includes(first));
  await t.throwsAsync(access(join(versions, 'dist')), { code: 'ENOENT' });
});

test.serial('installed on a machine, the group and the directories that the units need are there', async t => {
  const tree = await builtTree();
  t.teardown(() => rm(tree, { recursive: true }));
  // A machine of its own as far as files go: nothing below /usr/local, /run and /var/lib, and /etc as a copy.
  const script = `set -e
    mount --make-rprivate /
    for place in /usr/local /run /var/lib /mnt; do mount -t tmpfs -o mode=0755 tmpfs $place; done
    mkdir /mnt/upper /mnt/work
    mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc
    sed -i '/^tandem/d' /etc/group /etc/gshadow /etc/passwd /etc/shadow
    ${tree}/scripts/install > /mnt/said
    ! grep -q sysusers /mnt/said
    getent group tandem > /dev/null
    [ "$(getent passwd tandem-runner | cut -d: -f7)" = /usr/sbin/nologin ]
    stat -c '%a %U:%G' /run/tandem /var/lib/tandem
    test -f /etc/tandem/tandem.yaml
    /usr/local/bin/tandem --version`;
  const { stdout } = await run('unshare', ['--mount', 'bash', '--norc', '-c', script], {
    env: { PATH: process.env.PATH, NODE: process.execPath },
  });
  t.regex(stdout, /^750 root:tandem\n700 root:tandem\n\d+\.\d+/);
});

test('both scripts explain themselves and refuse arguments they do not know', async t => {
  for (const script of ['install', 'uninstall']) {
    const path = join(REPOSITORY, 'scripts', script);
    const { stdout } = await run(path, ['--help']);
    t.regex(stdout, new RegExp(`^usage: scripts/${script}`));
    await t.throwsAsync(run(path, ['--frob']), { code: 64 });
  }
});
