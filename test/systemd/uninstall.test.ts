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
    set('net.ipv4.conf.lo.forwarding', '1', '0'),
    set('net.ipv4.conf.d0/7.accept_local', '1', '0'),
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

/** No service runs, but the runner's socket does; $DIRECTOR is the state of the director. */
const SYSTEMCTL = `#!/bin/sh
echo "systemctl $*" >> "$CALLS"
case "$*" in
  show*tandem-director.service) echo "\${DIRECTOR:-inactive}" ;;
  show*) echo inactive ;;
  *is-active*tandem-runner.socket) ;;
  *is-active*) exit 3 ;;
esac
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
    ip link set lo up
    ip link add tandem-way0 type veth peer name tandem-wayside
    for family in '-4 192.0.2.100' '-6 fd00::100'; do
      set -- $family
      for table in 21000 21031; do
        ip $1 rule add pref 20999 to $2 ipproto tcp sport 61000-61127 lookup $table
        ip $1 route add unreachable $2 metric 9999 table $table
      done
      ip $1 rule add pref 20999 to $2 lookup 77
      ip $1 rule add pref 20998 to $2 lookup 21000
      ip $1 route add unreachable $2 table 77
    done
    ip link add d0.7 type veth peer name d1
    sysctl -qw net.ipv4.conf.d0/7.accept_local=1
    nft 'table inet tandem { chain guard { }; }; table netdev tandem_gate { set lease { type mark; }; }; table inet mine { chain c { }; }'
    sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=1 'net.ipv4.ip_local_port_range=20000 60000'
    ${REPOSITORY}scripts/uninstall < /dev/null
    nft list tables
    sysctl -n net.ipv4.ip_forward net.ipv4.conf.all.rp_filter net.ipv4.ip_local_port_range | tr '\\t' ' '
    for family in -4 -6; do
      ip $family rule show | sed -n 's/^\\(20...\\):.*lookup/\\1/p'
      ip $family route show table all | grep -c 'table \\(210\\|77\\)'
    done
    ip -o link show | grep -o 'tandem[^@:]*' || true`;
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
    'restored net.ipv4.conf.d0/7.accept_local = 0 (was 1)',
    'kept     net.ipv4.conf.all.rp_filter = 1: somebody has changed it since',
    'restored net.ipv4.ip_local_port_range = 32768 60999 (was 20000 60000)',
    'removed  private interface tandem-sync0',
    'removed  rule of table 21031 (ip -4)',
    'removed  rule of table 21000 (ip -6)',
    'removed  routes of table 21000 (ip -4)',
    'removed  routes of table 21031 (ip -6)',
    'removed  tunnel tandem-way0',
  ]) {
    t.true(stdout.includes(`${line}\n`), line);
  }
  t.false(stdout.includes('conf.lo.forwarding'), 'ip_forward has taken it along');
  // The rules of others: one that leads elsewhere, one of another priority. A veth goes with its other end.
  const left = '20998 21000\n20999 77\n1\n'.repeat(2);
  t.is(stdout.split('\ntable inet mine\n')[1], `0\n1\n32768 60999\n${left}`);
  const made = (await readFile(calls, 'utf8')).split('\n').filter(line => /-D|stop/.test(line));
  t.deepEqual(
    made,
    ['systemctl stop tandem-runner.socket', 'ipvsadm --stop-daemon master', 'ipvsadm -D -f 21'],
    'the rest is gone already or not ours',
  );
  await t.throwsAsync(access(runDir), { code: 'ENOENT' });
});

for (const state of ['activating', 'deactivating', 'active'])
  test(`uninstall refuses while a service is ${state}`, async t => {
    const directory = await emptyDirectory();
    t.teardown(() => rm(directory, { recursive: true }));
    await writeFile(join(directory, 'systemctl'), SYSTEMCTL, { mode: 0o755 });
    const env = { PATH: `${directory}:${process.env.PATH}`, CALLS: '/dev/null', DIRECTOR: state };
    const where = { PREFIX: join(directory, 'opt'), RUN_DIR: join(directory, 'run') };
    const refused = run('unshare', ['--net', `${REPOSITORY}scripts/uninstall`], { env: { ...env, ...where } });
    const error = await t.throwsAsync(refused);
    t.true((error as Error & { stderr: string }).stderr.includes(`tandem-director runs (${state}); first:`));
  });
