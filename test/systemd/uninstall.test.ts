// scripts/uninstall and the kernel: what Tandem has put in goes, each thing said; what others have put in stays. In a network
// namespace of its own; needs root. This kernel may have no IPVS, so ipvsadm is a stand-in that knows a few services.
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { claimOwned, NOTHING_OWNED } from '../../src/director/owned.ts';
import type { WantedService } from '../../src/ipvs/table.ts';
import { emptyDirectory, REPOSITORY, run } from './install.ts';

const set = (name: string, value: string, from: string) => ({
  rule: { name, value, why: '', mode: 'set' as const },
  from,
});

/** As the director notes it: two services, and two settings, of which one was set twice. */
function note(): string {
  const wanted = [
    { key: '-f 21', name: 'ftp' },
    { key: '-f 22 -6', name: 'ftp6' },
  ] as unknown as readonly WantedService[];
  const first = claimOwned(NOTHING_OWNED, { wanted, sysctls: [set('net.ipv4.ip_forward', '2', '0')] });
  const sysctls = [
    set('net.ipv4.ip_forward', '1', '2'),
    set('net.ipv4.conf.all.rp_filter', '2', '0'),
    set('net.ipv4.ip_local_port_range', '20000 60000', '32768 60999'),
  ];
  return JSON.stringify(claimOwned(first, { wanted, sysctls }));
}

const IPVSADM = `#!/bin/sh
echo "ipvsadm $*" >> "$CALLS"
case "$*" in
  '-L --daemon')
    echo 'master sync daemon (mcast=tandem-sync0, syncid=84, maxlen=1472, group=224.0.0.81, port=8849, ttl=1)'
    echo 'backup sync daemon (mcast=eth7, syncid=9, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)' ;;
  '-L -n -f 22 -6') exit 255 ;;
esac
`;

/** No service runs, but the runner's socket does. */
const SYSTEMCTL = `#!/bin/sh
echo "systemctl $*" >> "$CALLS"
case "$*" in *is-active*) case "$*" in *tandem-runner.socket) ;; *) exit 3 ;; esac ;; esac
`;

test('what Tandem put into the kernel is taken out and said one by one; what others put in stays', async t => {
  const directory = await emptyDirectory();
  t.teardown(() => rm(directory, { recursive: true }));
  const [runDir, bin, calls] = [join(directory, 'run'), join(directory, 'bin'), join(directory, 'calls')];
  for (const path of [runDir, bin]) await mkdir(path);
  await writeFile(join(runDir, 'director-owned.json'), note());
  // What pulse leaves behind when it ends as the last owner.
  for (const file of ['gate.json', 'vipd.state', 'pulse.sock']) await writeFile(join(runDir, file), '');
  await writeFile(join(bin, 'ipvsadm'), IPVSADM, { mode: 0o755 });
  await writeFile(join(bin, 'systemctl'), SYSTEMCTL, { mode: 0o755 });
  const script = `set -e
    ip link add tandem-sync0 type veth peer name tandem-sync1
    nft 'table inet tandem { chain guard { }; }; table netdev tandem_gate { set lease { type mark; }; }; table inet mine { chain c { }; }'
    sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=1 'net.ipv4.ip_local_port_range=20000 60000'
    ${REPOSITORY}scripts/uninstall < /dev/null
    nft list tables
    sysctl -n net.ipv4.ip_forward net.ipv4.conf.all.rp_filter net.ipv4.ip_local_port_range | tr '\\t' ' '
    ip -o link show | grep -c tandem || true`;
  const { stdout, stderr } = await run('unshare', ['--net', 'bash', '--norc', '-c', script], {
    env: { PATH: `${bin}:${process.env.PATH}`, CALLS: calls, PREFIX: join(directory, 'opt'), RUN_DIR: runDir },
  });
  t.is(stderr, '');
  for (const line of [
    'stopped  tandem-runner.socket',
    'removed  nftables table inet tandem',
    'removed  nftables table netdev tandem_gate',
    'removed  IPVS sync daemon (master)',
    'removed  IPVS service ftp (-f 21)',
    'restored net.ipv4.ip_forward = 0 (was 1)',
    'kept     net.ipv4.conf.all.rp_filter = 1: somebody has changed it since',
    'restored net.ipv4.ip_local_port_range = 32768 60999 (was 20000 60000)',
    'removed  private interface tandem-sync0',
  ]) {
    t.true(stdout.includes(`${line}\n`), line);
  }
  t.regex(stdout, /\ntable inet mine\n0\n1\n32768 60999\n0\n$/);
  const made = (await readFile(calls, 'utf8')).split('\n').filter(line => /-D|stop/.test(line));
  t.deepEqual(
    made,
    ['systemctl stop tandem-runner.socket', 'ipvsadm --stop-daemon master', 'ipvsadm -D -f 21'],
    'the rest is gone already or not ours',
  );
  await t.throwsAsync(access(runDir), { code: 'ENOENT' });
});
