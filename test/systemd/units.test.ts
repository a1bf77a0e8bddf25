// The installed units as systemd itself judges them, and the promises of the design that only a unit can keep.
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { builtTree, emptyDirectory, REPOSITORY, run, runScript } from './install.ts';

const UNITS = ['tandem-pulse.service', 'tandem-director.service'] as const;
const RUNNER = 'tandem-runner.service';
const RUNNER_SOCKET = 'tandem-runner.socket';
const EXPOSURE_MAX = 3;

async function settings(unit: string): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const line of (await readFile(join(REPOSITORY, 'systemd', unit), 'utf8')).split('\n')) {
    const match = /^([A-Za-z]+)=(.*)$/.exec(line);
    if (match) found.set(String(match[1]), [...(found.get(String(match[1])) ?? []), String(match[2])]);
  }
  return found;
}

test('systemd-analyze verify has nothing to say about the installed units', async t => {
  const tree = await builtTree();
  const root = await emptyDirectory();
  t.teardown(() => Promise.all([rm(tree, { recursive: true }), rm(root, { recursive: true })]));
  await runScript(tree, 'install', { PREFIX: join(root, 'usr'), SYSCONFDIR: join(root, 'etc') });
  for (const unit of [...UNITS, RUNNER, RUNNER_SOCKET]) {
    const path = join(root, 'usr/lib/systemd/system', unit);
    const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', path]);
    t.is(stdout + stderr, '', unit);
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace(/Restart=(always|no)|RemoveOnStop=yes/, '$&alwaus'));
    const broken = await run('systemd-analyze', ['verify', '--man=no', path]).catch(
      (error: { stderr: string }) => error,
    );
    t.regex(broken.stderr, /alwaus/, 'verify would have seen a mistake');
    await writeFile(path, text);
  }
});

test('systemd-analyze security rates the units at 3.0 or lower', async t => {
  for (const unit of [...UNITS, RUNNER]) {
    const path = join(REPOSITORY, 'systemd', unit);
    const { stdout } = await run('systemd-analyze', ['security', '--offline=true', '--no-pager', path]);
    const exposure = /Overall exposure level for \S+: (\d+\.\d+)/.exec(stdout)?.[1];
    t.true(Number(exposure) <= EXPOSURE_MAX, `${unit}: ${exposure}`);
  }
});

test('both units notify, are watched, restart for ever and share directories that outlive them', async t => {
  for (const unit of UNITS) {
    const unitSettings = await settings(unit);
    for (const [name, value] of Object.entries({
      Type: 'notify',
      NotifyAccess: 'all',
      Restart: 'always',
      RestartSec: '100ms',
      RestartPreventExitStatus: '78',
      StartLimitIntervalSec: '0',
      KillMode: 'mixed',
      RuntimeDirectory: 'tandem',
      RuntimeDirectoryMode: '0750',
      RuntimeDirectoryPreserve: 'yes',
      StateDirectoryMode: '0700',
      Group: 'tandem',
      UMask: '0077',
    })) {
      t.deepEqual(unitSettings.get(name), [value], `${unit} ${name}`);
    }
    t.false(unitSettings.has('MemoryDenyWriteExecute'), 'V8 would not start');
    t.false(unitSettings.has('MemoryMax'), 'a limit that kills a router is no protection');
  }
});

test('pulse runs in real time, may bind port 694, has time to hand over, and vipd cleans up after it', async t => {
  const pulse = await settings('tandem-pulse.service');
  t.false(pulse.has('CPUSchedulingPolicy'), 'where it is refused, pulse would not start');
  t.regex(pulse.get('ExecStart')?.[0] ?? '', / pulse --realtime /);
  t.deepEqual(pulse.get('LimitRTPRIO'), ['51']);
  t.deepEqual(pulse.get('WatchdogSec'), ['5s']);
  t.true(Number.parseInt(pulse.get('TimeoutStopSec')?.[0] ?? '', 10) >= 10);
  t.deepEqual(pulse.get('CapabilityBoundingSet'), ['CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_SYS_NICE']);
  t.true(pulse.get('SystemCallFilter')?.includes('~@privileged @resources'));
  t.is(
    pulse.get('SystemCallFilter')?.at(-1),
    '@chown sched_setscheduler sched_setattr',
    'pulse enters the class by chrt, the witness process leaves it',
  );
  t.regex(pulse.get('ExecStopPost')?.[0] ?? '', /vipd --cleanup --state \/run\/tandem\/vipd\.state$/);
  for (const family of ['AF_PACKET', 'AF_NETLINK'])
    t.true(pulse.get('RestrictAddressFamilies')?.[0]?.split(' ').includes(family), family);
  t.true(pulse.get('After')?.[0]?.split(' ').includes('nftables.service'), 'its start flushes all rules');
});

test('the director may write sysctls, cannot load modules, reloads on SIGHUP and waits for nobody', async t => {
  const director = await settings('tandem-director.service');
  t.deepEqual(director.get('ProtectKernelTunables'), ['no']);
  t.deepEqual(director.get('ProtectKernelModules'), ['yes']);
  t.deepEqual(director.get('ExecReload'), ['/bin/kill -HUP $MAINPID']);
  t.deepEqual((await settings('tandem-pulse.service')).get('ExecReload'), ['/bin/kill -HUP $MAINPID']);
  t.deepEqual(director.get('WatchdogSec'), ['30s']);
  for (const name of ['Requires', 'BindsTo', 'PartOf']) t.false(director.has(name), name);
  t.false(director.get('After')?.[0]?.includes('tandem-pulse'));
});

test('the runner has no right and cannot gain one, is bounded, and only root may ask it', async t => {
  const runner = await settings(RUNNER);
  for (const [name, value] of Object.entries({
    ...{ User: 'tandem-runner', Group: 'tandem-runner', CapabilityBoundingSet: '', AmbientCapabilities: '' },
    ...{ NoNewPrivileges: 'yes', RestrictSUIDSGID: 'yes', ProtectSystem: 'strict', PrivateTmp: 'yes' },
    ...{ TasksMax: '128', MemoryMax: '512M', OOMPolicy: 'continue', KillMode: 'mixed' },
    ...{ PartOf: 'tandem-director.service' },
  })) {
    t.deepEqual(runner.get(name), [value], name);
  }
  const socket = await settings(RUNNER_SOCKET);
  for (const [name, value] of Object.entries({
    ...{ SocketUser: 'root', SocketGroup: 'root', SocketMode: '0600', DirectoryMode: '0755' },
    ...{ ListenStream: '/run/tandem-runner/runner.sock', PartOf: 'tandem-director.service' },
    // systemd removes what it listened on, not the directory that it made for it.
    ...{ RemoveOnStop: 'yes', ExecStopPost: '-/usr/bin/rmdir /run/tandem-runner' },
  })) {
    t.deepEqual(socket.get(name), [value], name);
  }
  t.true((await settings('tandem-director.service')).get('Wants')?.[0]?.split(' ').includes(RUNNER_SOCKET));
});

test('ip_vs_ftp is loaded by none of the files: it breaks passive mode', async t => {
  for (const file of [...UNITS, 'tandem.modules.conf']) {
    const text = await readFile(join(REPOSITORY, 'systemd', file), 'utf8');
    const active = text.split('\n').filter(line => !line.startsWith('#'));
    t.notRegex(active.join('\n'), /ip_vs_ftp/);
  }
});

test('sysusers makes the group and tmpfiles the directories: the group may enter the run directory only', async t => {
  const root = await emptyDirectory();
  t.teardown(() => rm(root, { recursive: true }));
  const conf = (name: string) => join(REPOSITORY, 'systemd', name);
  await mkdir(join(root, 'etc'));
  await run('systemd-sysusers', [`--root=${root}`, conf('tandem.sysusers.conf')]);
  const group = /^tandem:[^:]*:(\d+):/m.exec(await readFile(join(root, 'etc/group'), 'utf8'));
  t.regex(await readFile(join(root, 'etc/passwd'), 'utf8'), /^tandem-runner:.*:\/usr\/sbin\/nologin$/m);
  t.truthy(group);
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\n');
  await run('systemd-tmpfiles', [`--root=${root}`, '--create', conf('tandem.tmpfiles.conf')]);
  const [runDirectory, state] = [await stat(join(root, 'run/tandem')), await stat(join(root, 'var/lib/tandem'))];
  t.is(runDirectory.mode & 0o777, 0o750);
  t.is(state.mode & 0o777, 0o700);
  t.deepEqual([runDirectory.uid, runDirectory.gid], [0, Number(group?.[1])]);
});
