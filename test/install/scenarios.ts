// README's "Install on two routers" and "Upgrade", followed word for word on fresh Debian 12 and 13
// machines that systemd has booted. Io.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FtpServers } from '../lab/ftp/ftp-servers.ts';
import { run } from '../lab/pair/netns.ts';
import { CLIENT_ADDRESSES, type Router, VIP } from '../lab/pair/topology.ts';
import type { Lab, Scenario } from '../lab/scenarios/scenario.ts';
import { COMMIT_OF_030 } from '../netns/io/old-build.ts';
import type { Machine } from './machine.ts';
import { bootPair, type DebianPair, LEASE_MS, otherThan } from './pair.ts';
import { DEBIANS, type Debian, installCommands, removeCommand, upgradeCommands } from './readme.ts';
import { watchHolders, watchVip } from './watch.ts';

const TIMEOUT_MS = 1_500_000;
/**
 * What the VIP may be silent for: less than a reboot takes, so that somebody else has served. Not
 * the price of a handover, which is measured where a busy host makes nothing late (the lab's
 * virtual time); here it stops whole machines for seconds. The real figure is recorded.
 */
const SILENCE_MS = 15_000;
/** How late a router's look at its own addresses may be. */
const LOOK_MS = 4_000;
const TRANSFER_MS = 180_000;
/** With the restart after it. */
const HANDOVER_MS = 300_000;
const HANDOVER_TRIES = 10;
const FTP = { bigBytes: 1_000_000, rateBytesPerS: 300_000 };

/** The commands from the one that begins so up to, but without, the one that begins with `to`. */
function part(commands: readonly string[], from: string, to?: string): string[] {
  const at = (start: string): number => {
    const index = commands.findIndex(command => command.startsWith(start));
    assert.notEqual(index, -1, `README has no command "${start} …"`);
    return index;
  };
  return commands.slice(from === '' ? 0 : at(from), to === undefined ? undefined : at(to));
}

async function textOf(file: string): Promise<string> {
  return await readFile(path.join(process.env.LAB_ROOT ?? process.cwd(), file), 'utf8');
}

/** From the key to the running pair: the same in both versions' README. */
async function bringUp(lab: Lab, pair: DebianPair, commands: readonly string[]): Promise<void> {
  await pair.follow(pair.machines.r1, part(commands, 'tandem keygen', 'editor '));
  await pair.copyKey('r1');
  await pair.both(machine => pair.follow(machine, part(commands, 'editor ', 'systemctl enable')));
  // "the standby-to-be first, then the other"
  for (const router of ['r2', 'r1'] as const)
    await pair.follow(pair.machines[router], part(commands, 'systemctl enable', 'tandem status'));
  lab.say('both are enabled and started');
}

/**
 * What a machine has that an uninstall must leave as it was: files, tables, IPVS, interfaces,
 * settings.
 */
async function footprint(machine: Machine): Promise<string> {
  return await machine.exec(`find /usr /etc -xdev -path /etc/tandem -prune -o -print | sort
echo '# kernel'
nft list ruleset
ipvsadm --save --numeric
ipvsadm --list --daemon
ip -o link | cut -d: -f2
sysctl -a --pattern '^net\\.(ipv4\\.(vs|ip_forward|conf|neigh)|ipv6\\.conf|netfilter\\.nf_conntrack_(tcp|acct|timestamp))' 2>/dev/null |
  grep -v sync_qlen_max # of the memory that a boot finds`);
}

async function fetchFile(lab: Lab, ftp: FtpServers, mode: 'passive' | 'active'): Promise<void> {
  const transfer = lab.transfer(ftp, { kind: 'download', mode, from: CLIENT_ADDRESSES[0], timeoutMs: TRANSFER_MS });
  const { sha256Ok, error } = await transfer.finished;
  assert.equal(error, undefined, `a ${mode} download through the VIP`);
  assert.equal(sha256Ok, true);
}

/** What the units promise, on a machine where nobody has done anything but README's steps. */
async function assertUnits(machine: Machine): Promise<void> {
  const seen = await machine.exec(`systemctl is-system-running
systemctl is-enabled tandem-pulse tandem-director
systemctl show -p ActiveState,NRestarts tandem-pulse tandem-director | sort | paste -sd' '
stat -c '%a %U:%G %n' /run/tandem /var/lib/tandem /run/tandem/*.sock
chrt -p "$(systemctl show -p MainPID --value tandem-pulse)" | head -n 1 | sed 's/.*: //'`);
  assert.deepEqual(seen.trim().split('\n'), [
    'running',
    'enabled',
    'enabled',
    ' ActiveState=active ActiveState=active NRestarts=0 NRestarts=0',
    '750 root:tandem /run/tandem',
    '700 root:tandem /var/lib/tandem',
    '600 root:tandem /run/tandem/director-control.sock',
    '600 root:tandem /run/tandem/pulse-control.sock',
    '600 root:tandem /run/tandem/pulse-journal.sock',
    '600 root:tandem /run/tandem/pulse-root.sock',
    '660 root:tandem /run/tandem/pulse.sock',
    '660 root:tandem /run/tandem/status.sock',
    'SCHED_RR',
  ]);
}

/**
 * The active router is rebooted: the other serves meanwhile, and the first comes back by itself.
 */
async function rebootOfActive(lab: Lab, pair: DebianPair): Promise<void> {
  const before = await pair.owner();
  const machine = pair.machines[before];
  const boot = await machine.exec('cat /proc/sys/kernel/random/boot_id');
  const watch = watchVip(lab);
  await machine.reboot();
  lab.say(`${before} reboots`);
  await machine.untilUp();
  assert.notEqual(await machine.exec('cat /proc/sys/kernel/random/boot_id'), boot);
  await pair.untilOk();
  const longestMs = await watch.stop();
  lab.record('reboot: longest silence of the VIP, ms', longestMs);
  assert.ok(longestMs < SILENCE_MS, `the VIP was silent for ${longestMs} ms while ${before} was rebooted`);
  assert.equal(await pair.owner(), otherThan(before), 'no failback by itself');
  await assertUnits(machine);
}

async function uninstall(lab: Lab, pair: DebianPair, before: Readonly<Record<Router, string>>): Promise<void> {
  const active = await pair.owner();
  const remove = removeCommand(await textOf('README.md'));
  // "on the standby first"
  for (const router of [otherThan(active), active]) await pair.follow(pair.machines[router], [remove]);
  const after = await pair.both(footprint);
  for (const router of ['r1', 'r2'] as const)
    assert.deepEqual(after[router].split('\n'), before[router].split('\n'), router);
  const left = await pair.both(machine =>
    machine.exec(`systemctl is-system-running
ls /run | grep tandem
pgrep -fa "[t]andem/|vipd"
# The last owner's kernel keeps the addresses for as long as it would for a pulse that comes back.
for try in {1..60}; do [ -z "$(ip -o address show to ${VIP})" ] && break; sleep 0.5; done
ip -o address show to ${VIP}
systemctl --failed --no-legend --plain | cut -d' ' -f1 | xargs -r journalctl --no-pager -n 30 -u || true`),
  );
  assert.deepEqual(left, { r1: 'running\n', r2: 'running\n' }, 'left behind');
  lab.say('uninstalled: files, rules, IPVS and settings are as they were');
}

async function freshInstall(lab: Lab, debian: Debian): Promise<void> {
  const commands = installCommands(await textOf('README.md'), debian);
  const ftp = await lab.ftpServers(FTP);
  const pair = await bootPair(lab, debian);
  try {
    lab.say('both routers are booted');
    await pair.both(machine => pair.follow(machine, part(commands, '', 'scripts/install')));
    lab.say('cloned and built');
    const before = await pair.both(footprint);
    await pair.both(machine => pair.follow(machine, part(commands, 'scripts/install', 'tandem keygen')));
    await bringUp(lab, pair, commands);
    await pair.untilOk();
    lab.say(`${await pair.owner()} serves, tandem status is OK on both`);
    await pair.both(assertUnits);
    await fetchFile(lab, ftp, 'passive');
    await fetchFile(lab, ftp, 'active');
    await rebootOfActive(lab, pair);
    await fetchFile(lab, ftp, 'passive');
    await uninstall(lab, pair, before);
  } finally {
    await pair.close();
  }
}

/**
 * The commands of 0.3.0's README; on Debian 12 its first is known to be wrong there (nodejs is 18),
 * and people took node from its makers.
 */
function oldCommands(readme: string, own: string, debian: Debian): string[] {
  const commands = installCommands(readme, debian);
  if (debian === '13') return commands;
  return [...part(installCommands(own, debian), '', 'git clone'), ...part(commands, 'git clone')];
}

async function upgrade(lab: Lab, debian: Debian): Promise<void> {
  const root = process.env.LAB_ROOT ?? process.cwd();
  const { stdout: oldReadme } = await run('git', ['-C', root, 'show', `${COMMIT_OF_030}:README.md`]);
  const own = await textOf('README.md');
  const commands = oldCommands(oldReadme, own, debian);
  const steps = upgradeCommands(own);
  const ftp = await lab.ftpServers(FTP);
  const pair = await bootPair(lab, debian, COMMIT_OF_030);
  try {
    lab.say('both routers are booted');
    await pair.both(machine => pair.follow(machine, part(commands, '', 'tandem keygen')));
    // As its scripts/install says at its end.
    await pair.both(machine => pair.follow(machine, ['systemd-sysusers && systemd-tmpfiles --create']));
    await bringUp(lab, pair, commands);
    await served(lab, ftp);
    lab.say(`0.3.0 runs, ${await pair.owner()} serves`);
    await pair.publish(pair.checkout);
    const [vip, holders] = [watchVip(lab), await watchHolders(pair)];
    await upgradeBoth(lab, pair, steps);
    await pair.untilOk();
    const longestMs = await vip.stop();
    const { bothMs, owners } = await holders.stop();
    lab.record('upgrade', { longestMs, bothMs, owners });
    assert.ok(longestMs < SILENCE_MS, `the VIP was silent for ${longestMs} ms during the upgrade`);
    assert.ok(bothMs < LEASE_MS + LOOK_MS, `both held the VIP for ${bothMs} ms: longer than a lease`);
    assert.deepEqual(owners.length, 2, `one handover, and no other change: ${owners}`);
    await pair.both(assertUnits);
    await pair.both(assertOldIsGone);
    await fetchFile(lab, ftp, 'passive');
    await fetchFile(lab, ftp, 'active');
  } finally {
    await pair.close();
  }
}

/** Until a file comes through the VIP: 0.3.0 does not say by its exit status whether it serves. */
async function served(lab: Lab, ftp: FtpServers): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await fetchFile(lab, ftp, 'passive');
    } catch (error) {
      if (tries === 12) throw error;
      await sleep(5_000);
    }
  }
}

/** README: `tandem upgrade` on the standby; on the other one, which hands over first. */
async function upgradeBoth(lab: Lab, pair: DebianPair, steps: ReturnType<typeof upgradeCommands>): Promise<void> {
  const active = await pair.owner();
  const standby = otherThan(active);
  for (const router of [standby, active]) {
    await pair.follow(pair.machines[router], [steps.fetch]);
    await assertStillOld(pair.machines[router]);
  }
  await pair.follow(pair.machines[standby], [steps.restart]);
  assert.equal(await pair.owner(), active, 'the standby goes first');
  lab.say(`${standby} runs this version`);
  await handedOver(lab, pair, active, steps.handOver);
  assert.equal(await pair.owner(), standby, 'handed over');
  lab.say(`handed over to ${standby}; ${active} runs this version`);
}

/**
 * As a person does it: a handover that is refused (the peer is cold yet) or comes too late on a
 * busy host changes nothing, and is tried again.
 */
async function handedOver(lab: Lab, pair: DebianPair, active: Router, command: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    const { status, output } = await pair.machines[active].attempt(command, HANDOVER_MS);
    if (status === 0) return;
    lab.say(`${command}: ${output.trim().split('\n').at(-1)}`);
    assert.equal(await pair.owner(), active, 'a handover that fails changes nothing');
    assert.ok(tries < HANDOVER_TRIES, `${tries} times: ${output}`);
    await sleep(5_000);
  }
}

/** Installed, but not started: what runs is what ran. */
async function assertStillOld(machine: Machine): Promise<void> {
  const running = await machine.exec('tr "\\0" " " </proc/$(systemctl show -p MainPID --value tandem-pulse)/cmdline');
  assert.match(running, / \/usr\/local\/lib\/tandem\/dist\//);
}

async function assertOldIsGone(machine: Machine): Promise<void> {
  const running = await machine.exec('tr "\\0" " " </proc/$(systemctl show -p MainPID --value tandem-pulse)/cmdline');
  assert.match(running, / \/usr\/local\/lib\/tandem\/\d+\.\d+\.\d+-\w{6}\/dist\//);
}

export const INSTALL_SCENARIOS: readonly Scenario[] = DEBIANS.flatMap(debian => [
  {
    title: `Debian ${debian}: README's installation makes a pair that outlives a reboot, and uninstall leaves nothing`,
    run: lab => freshInstall(lab, debian),
    timeoutMs: TIMEOUT_MS,
  },
  {
    title: `Debian ${debian}: README's upgrade turns a pair of 0.3.0 into one of this version, one owner all the time`,
    run: lab => upgrade(lab, debian),
    timeoutMs: TIMEOUT_MS,
  },
]);
