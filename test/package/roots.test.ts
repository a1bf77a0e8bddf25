// The Debian package in bare Debian 12 and 13, by dpkg itself: installed, upgraded beneath a process that still runs the old release,
// installed again, removed, purged. The roots come from this machine's Debian mirror once; nothing of them boots. Needs root.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';

const run = promisify(execFile);
const CACHE = process.env.TANDEM_LAB_CACHE ?? '/var/cache/tandem-lab';
/** What the package depends on, but for Node.js. */
const NEEDS = 'systemd,ipvsadm,nftables,conntrack,iproute2,iputils-ping,kmod';

/** A root as debootstrap leaves it, kept for the next time. Debian 12 has no Node.js that is new enough. */
async function rootOf(suite: 'bookworm' | 'trixie'): Promise<string> {
  const target = join(CACHE, `package-${suite}-1`);
  if (existsSync(target)) return target;
  await mkdir(CACHE, { recursive: true });
  const own = /^VERSION_CODENAME=(.*)$/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1];
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(REPO_URI)', `Codename: ${own}`]);
  const [mirror = ''] = stdout.split('\n');
  const work = await mkdtemp(`${target}.`);
  const include = suite === 'trixie' ? `${NEEDS},nodejs` : `${NEEDS},libstdc++6`;
  // The directory that TMPDIR names is not in the root, and packages that use it would fail to install.
  const { TMPDIR: _, ...env } = process.env;
  await run('debootstrap', ['--variant=minbase', `--include=${include}`, suite, join(work, 'root'), mirror], {
    ...{ env, maxBuffer: 67_108_864 },
  });
  await rm(target, { recursive: true, force: true });
  await rename(join(work, 'root'), target);
  await rm(work, { recursive: true });
  return target;
}

/** A package `nodejs` as its makers' archive has it: this machine's node at /usr/bin/node. */
async function nodePackage(directory: string): Promise<void> {
  const tree = join(directory, 'nodejs');
  await mkdir(join(tree, 'DEBIAN'), { recursive: true });
  await mkdir(join(tree, 'usr/bin'), { recursive: true });
  await cp(process.execPath, join(tree, 'usr/bin/node'), { dereference: true });
  const { stdout } = await run('dpkg', ['--print-architecture']);
  const fields = [
    'Package: nodejs',
    `Version: ${process.versions.node}-1nodesource1`,
    `Architecture: ${stdout.trim()}`,
  ];
  const rest = ['Depends: libc6, libstdc++6', 'Maintainer: nobody <nobody@example.net>', 'Description: for a test'];
  await writeFile(join(tree, 'DEBIAN/control'), `${[...fields, ...rest].join('\n')}\n`);
  await run('dpkg-deb', ['--build', '--root-owner-group', tree, join(directory, 'nodejs.deb')]);
}

/** Everything that happens in the root; each line of "= …" is compared. */
const SCRIPT = `set -eu
cd /srv
say() { echo "= $*"; }
[ ! -e nodejs.deb ] || dpkg -i nodejs.deb > /dev/null
dpkg -i first.deb
say "$(tandem completion bash | head -n 1)"
say "$(getent group tandem | cut -d: -f1) $(getent passwd tandem-runner | cut -d: -f1,7)"
say $(stat -c '%a %U:%G' /etc/tandem /run/tandem /var/lib/tandem)
tandem keygen > /dev/null
cp /usr/share/doc/tandem/tandem.yaml /etc/tandem/tandem.yaml
echo '# mine' >> /etc/tandem/tandem.yaml
say "$(tandem check | cut -d, -f1)"
# As a vipd of the first release that runs on.
/usr/lib/tandem/releases/1.0/dist/vipd --help > /dev/null 2>&1 || true
sh -c 'sleep 300; :' /usr/lib/tandem/releases/1.0/dist/vipd &
running=$!
dpkg -i second.deb | sed -n 's/^tandem: /= /p'
say current $(readlink /usr/lib/tandem/current), kept $(ls /usr/lib/tandem/releases)
kill -0 $running && say it runs, and its vipd is there: $(ls /usr/lib/tandem/releases/1.0/dist/vipd)
say "$(tail -n 1 /etc/tandem/tandem.yaml)"
# Reinstalled, as to mend a file: what is used is what the package has, and what nothing runs goes.
kill $running
wait $running || true
rm /usr/lib/tandem/releases/2.0/package.json /usr/lib/tandem/package/package.json
dpkg -i second.deb > /dev/null
say $(ls /usr/lib/tandem/releases) $(ls /usr/lib/tandem/current/package.json)
dpkg --verify tandem
dpkg --remove tandem > /dev/null
say removed, kept $(ls /etc/tandem)
[ ! -e /usr/lib/tandem ] && [ ! -e /usr/bin/tandem ]
dpkg --purge tandem > /dev/null
say purged $(find /etc /usr /var/lib /run -name '*tandem*' -not -path '/var/lib/dpkg/*' -not -path '/usr/share/doc/*')
`;

const SAID = [
  '# Completion of tandem for bash: made by `tandem completion bash`, do not edit.',
  'tandem tandem-runner:/usr/sbin/nologin',
  '755 root:root 750 root:tandem 700 root:tandem',
  '/etc/tandem/tandem.yaml: ok',
  '1.0 still runs here and is kept; next: tandem upgrade, on the standby first',
  'current releases/2.0, kept 1.0 2.0',
  'it runs, and its vipd is there: /usr/lib/tandem/releases/1.0/dist/vipd',
  '# mine',
  '2.0 /usr/lib/tandem/current/package.json',
  'removed, kept pair.key tandem.yaml',
  'purged',
];

for (const suite of ['bookworm', 'trixie'] as const) {
  test.serial(`Debian ${suite}: installed, upgraded while it runs, reinstalled, removed, purged`, async t => {
    t.timeout(1_800_000);
    const root = await rootOf(suite);
    const work = await mkdtemp(join(tmpdir(), 'tandem-roots-'));
    t.teardown(() => rm(work, { recursive: true, force: true }));
    const files = join(work, 'srv');
    await mkdir(files);
    for (const [name, version] of [
      ['first.deb', '1.0'],
      ['second.deb', '2.0'],
    ] as const) {
      const { stdout } = await run('scripts/package', ['--output', work, '--version', version, 'deb']);
      await rename(join(work, basename(stdout.trim())), join(files, name));
    }
    if (suite === 'bookworm') await nodePackage(files);
    // A file, since its text as an argument would count as a process that runs the old release.
    await writeFile(join(files, 'script'), SCRIPT);
    // All that is written goes to memory, and with the mount namespace.
    const enter = `mount --make-rprivate / && mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work /mnt/root
      mount -t overlay overlay -o lowerdir="$1",upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
      mount -t proc proc /mnt/root/proc && mount --bind /dev /mnt/root/dev && mount --bind "$2" /mnt/root/srv
      exec chroot /mnt/root /bin/sh /srv/script`;
    const namespaces = ['--mount', '--pid', '--fork', '--uts', '--ipc', '--net', '--kill-child'];
    const { stdout } = await run('unshare', [...namespaces, 'bash', '-c', enter, 'bash', root, files], {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive' },
    });
    t.log(stdout);
    t.deepEqual(
      stdout
        .split('\n')
        .filter(line => line.startsWith('= '))
        .map(line => line.slice(2)),
      SAID,
    );
  });
}
