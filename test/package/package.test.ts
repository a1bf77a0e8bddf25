// scripts/package: what is in the packages, that Debian's lintian finds no error, that their scripts restart nothing, and that the same
// build makes the same bytes. By dpkg-deb, lintian and rpm themselves, which scripts/setup installs; roots.test.ts installs one.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';

const run = promisify(execFile);
const work = mkdtempSync(join(tmpdir(), 'tandem-package-'));
test.after.always(() => rmSync(work, { recursive: true, force: true }));

/** By kind; those of two runs of scripts/package. */
const made: Record<'deb' | 'rpm', string[]> = { deb: [], rpm: [] };

test.before(async t => {
  t.timeout(600_000);
  for (const name of ['one', 'two']) {
    const output = join(work, name);
    await mkdir(output);
    await run('scripts/package', ['--output', output, '--version', '9.8.7']);
    for (const kind of ['deb', 'rpm'] as const)
      made[kind].push(
        ...readdirSync(output)
          .filter(file => file.endsWith(kind))
          .map(file => join(output, file)),
      );
  }
});

const digest = (file: string | undefined) =>
  createHash('sha256')
    .update(readFileSync(file as string))
    .digest('hex');

for (const kind of ['deb', 'rpm'] as const) {
  test(`two builds of the ${kind} are the same to the byte`, t => {
    const [one, two] = made[kind];
    t.regex(one ?? '', kind === 'deb' ? /tandem_9\.8\.7_\w+\.deb$/ : /tandem-9\.8\.7-1\.\w+\.rpm$/);
    t.is(digest(one), digest(two));
  });
}

test('lintian finds no error', async t => {
  t.timeout(300_000);
  const { stdout } = await run('lintian', ['--allow-root', '--fail-on', 'error', made.deb[0] as string]);
  t.notRegex(stdout, /^E:/m);
});

/** Modes and paths of all files, by path without the leading dot. */
async function contents(kind: 'deb' | 'rpm'): Promise<ReadonlyMap<string, string>> {
  const [file = ''] = made[kind];
  const { stdout } = await (kind === 'deb'
    ? run('dpkg-deb', ['--contents', file])
    : run('rpm', ['-qp', '--qf', '[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} 0 d t %{FILENAMES}\\n]', file]));
  const lines = stdout.trimEnd().split('\n');
  return new Map(
    lines.map(line => {
      const [mode = '', owner, , , , path = ''] = line.split(/\s+/);
      return [path.replace(/^\./, '').replace(/(?<=.)\/$/, ''), `${mode} ${owner}`];
    }),
  );
}

for (const kind of ['deb', 'rpm'] as const) {
  test(`the ${kind} has the program, units, man pages and completion, all root's, and no config or key`, async t => {
    const files = await contents(kind);
    const zsh = kind === 'deb' ? 'vendor-completions' : 'site-functions';
    for (const [path, mode] of [
      ['/usr/bin/tandem', '-rwxr-xr-x'],
      ['/usr/lib/tandem/package/dist/program/tandem.js', '-rwxr-xr-x'],
      ['/usr/lib/tandem/package/dist/vipd', '-rwxr-xr-x'],
      ['/usr/lib/tandem/tools/release', '-rwxr-xr-x'],
      ['/usr/lib/systemd/system/tandem-pulse.service', '-rw-r--r--'],
      ['/usr/lib/systemd/system/tandem-runner.socket', '-rw-r--r--'],
      ['/usr/lib/sysusers.d/tandem.conf', '-rw-r--r--'],
      ['/usr/share/bash-completion/completions/tandem', '-rw-r--r--'],
      [`/usr/share/zsh/${zsh}/_tandem`, '-rw-r--r--'],
      ['/usr/share/doc/tandem/docs/operating/upgrade.md', '-rw-r--r--'],
      [`/usr/share/man/man8/tandem.8${kind === 'deb' ? '.gz' : ''}`, '-rw-r--r--'],
    ] as const)
      t.is(files.get(path), `${mode} root/root`, path);
    const paths = [...files.keys()];
    t.true([...files.values()].every(value => value.endsWith(' root/root')));
    t.deepEqual(
      paths.filter(path => path.startsWith('/etc/') && !path.startsWith('/etc/needrestart') && path !== '/etc/tandem'),
      [],
      'a config that comes with a package would be asked about at every upgrade',
    );
    t.false(paths.some(path => path.includes('node_modules') || path.includes('/dist/test')));
    t.false(
      paths.some(path => path.startsWith('/usr/lib/tandem/releases')),
      'what runs is not what the package owns',
    );
  });
}

test('the scripts of both start, stop and restart nothing but at the removal', async t => {
  const control = join(work, 'control');
  await run('dpkg-deb', ['--control', made.deb[0] as string, control]);
  t.deepEqual(readdirSync(control).sort(), ['conffiles', 'control', 'md5sums', 'postinst', 'postrm', 'prerm']);
  t.regex(readFileSync(join(control, 'control'), 'utf8'), /^Depends: .*libc6 .*nodejs \(>= 20\)/m);
  const text = (name: string) => readFileSync(join(control, name), 'utf8');
  t.is(
    text('prerm'),
    '#!/bin/sh\nset -e\n# Not in an upgrade.\nif [ "$1" = remove ]; then /usr/lib/tandem/tools/release retire; fi\n\n',
  );
  t.regex(text('postinst'), /^if \[ "\$1" = configure \]; then \/usr\/lib\/tandem\/tools\/release use '9\.8\.7'; fi$/m);
  const { stdout: scripts } = await run('rpm', ['-qp', '--scripts', made.rpm[0] as string]);
  t.regex(scripts, /^if \[ "\$1" = 0 \]; then \/usr\/lib\/tandem\/tools\/release retire; fi$/m);
  for (const said of [...['postinst', 'postrm', 'prerm'].map(text), scripts])
    t.notRegex(said, /systemctl|invoke-rc\.d|deb-systemd/);
  const release = readFileSync('scripts/packaging/release', 'utf8');
  const use = /^use\(\) \{\n(.*?)^\}/ms.exec(release)?.[1] ?? '';
  t.deepEqual(use.match(/systemctl [\w-]+/g), ['systemctl daemon-reload']);
  const { stdout: requires } = await run('rpm', ['-qp', '--requires', made.rpm[0] as string]);
  t.regex(requires, /^nodejs >= 20$/m);
});

test('a version that a package manager does not know is refused', async t => {
  const error = await t.throwsAsync(run('scripts/package', ['--output', work, '--version', 'v1-2', 'deb']));
  t.regex((error as Error & { stderr: string }).stderr, /"v1-2" is no version/);
});
