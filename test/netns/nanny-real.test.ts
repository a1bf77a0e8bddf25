// Checks real vsftpd, proftpd and pure-ftpd in a network namespace of this test's own. Each listens on an address of its own and
// announces the VIP, which nobody holds here: a check that connected to what PASV says would fail.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import type { CheckOutcome } from '../../src/nanny/io/check.ts';
import type { CheckPlan } from '../../src/nanny/rules.ts';
import type { CheckResult } from '../../src/nanny/verdict.ts';
import type { Address } from '../../src/units/address.ts';
import { ms } from '../../src/units/duration.ts';

const run = promisify(execFile);
const NAMESPACE = `tdnan-${process.pid}`;
/** iproute2 lays the files in here over /etc inside the namespace: the servers need the user ftp, the machine does not. */
const ETC = `/etc/netns/${NAMESPACE}`;
const FTPD = path.resolve('.lab/ftpd');
const CLIENT = path.resolve('dist/test/netns/nanny-real-client.js');
const VIP = '192.0.2.100';
// By its path: under npx, `nft` is a program of that name in node_modules/.bin.
const NFT = '/usr/sbin/nft';
const BIG_BYTES = 8_000_000;

type Kind = 'vsftpd' | 'proftpd' | 'pure-ftpd';
interface Real {
  readonly name: string;
  readonly kind: Kind;
  readonly address: string;
}
const REALS: readonly Real[] = [
  { name: 'vsftpd', kind: 'vsftpd', address: '198.51.100.11' },
  { name: 'proftpd', kind: 'proftpd', address: '198.51.100.12' },
  { name: 'pure-ftpd', kind: 'pure-ftpd', address: '198.51.100.13' },
  { name: 'vsftpd on IPv6', kind: 'vsftpd', address: '2001:db8:100::11' },
];

let folder = '';
let root = '';
const processes = new Map<string, ChildProcess>();

function inNamespace(...command: readonly string[]): Promise<{ stdout: string }> {
  return run('ip', ['netns', 'exec', NAMESPACE, ...command], { timeout: 60_000 });
}

function planFor(real: Real, plan: Partial<CheckPlan> = {}): CheckPlan {
  return {
    address: real.address as Address,
    controlPort: 21,
    vip: VIP as Address,
    passivePorts: { first: 10_000, last: 20_000 },
    user: 'anonymous',
    password: 'tandem@',
    data: real.address.includes(':') ? 'epsv' : 'pasv',
    fetch: undefined,
    maxBytes: 65_536,
    timeoutMs: ms(20_000),
    stageTimeoutMs: ms(10_000),
    patient: false,
    ...plan,
  };
}

async function check(real: Real, ...plans: readonly Partial<CheckPlan>[]): Promise<CheckResult[]> {
  const argument = JSON.stringify(plans.map(plan => planFor(real, plan)));
  const { stdout } = await inNamespace(process.execPath, CLIENT, argument);
  return (JSON.parse(stdout) as CheckOutcome[]).map(outcome => {
    if (outcome.type !== 'result') throw new Error(`no result: ${JSON.stringify(outcome)}`);
    return outcome.result;
  });
}

function vsftpdConfig(real: Real, scratch: string): string {
  const listen = real.address.includes(':')
    ? `listen=NO\nlisten_ipv6=YES\nlisten_address6=${real.address}`
    : `listen=YES\nlisten_ipv6=NO\nlisten_address=${real.address}`;
  return `${listen}
background=NO
anonymous_enable=YES
local_enable=NO
no_anon_password=NO
ftp_username=ftp
anon_root=${root}
pasv_address=${VIP}
pasv_min_port=10000
pasv_max_port=20000
secure_chroot_dir=${scratch}
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
xferlog_enable=NO
`;
}

function proftpdConfig(real: Real, scratch: string): string {
  return `ServerName "real"
ServerType standalone
DefaultServer on
DefaultAddress ${real.address}
SocketBindTight on
Port 21
UseIPv6 off
UseReverseDNS off
User nobody
Group nogroup
ModulePath ${FTPD}/proftpd/usr/lib/proftpd
AuthOrder mod_auth_unix.c
ScoreboardFile ${scratch}/scoreboard
PidFile ${scratch}/pid
DelayTable none
WtmpLog off
TransferLog none
SystemLog none
RequireValidShell off
MasqueradeAddress ${VIP}
PassivePorts 10000 20000
<Anonymous ${root}>
  User ftp
  Group nogroup
  UserAlias anonymous ftp
</Anonymous>
`;
}

async function start(real: Real): Promise<void> {
  const tree = path.join(FTPD, real.kind);
  const binary = path.join(tree, 'usr/sbin', real.kind);
  await stat(binary).catch(cause => {
    throw new Error(`${binary} is missing: run scripts/setup`, { cause });
  });
  const scratch = path.join(folder, real.name.replaceAll(' ', '-'));
  await mkdir(scratch);
  const config = path.join(scratch, 'conf');
  let args = [config];
  if (real.kind === 'vsftpd') await writeFile(config, vsftpdConfig(real, scratch), { mode: 0o600 });
  else if (real.kind === 'proftpd') {
    await writeFile(config, proftpdConfig(real, scratch), { mode: 0o600 });
    args = ['-n', '-c', config];
  } else
    args = ['-l', 'unix', '-H', '-S', `${real.address},21`, '-p', '10000:20000', '-P', VIP, '-g', `${scratch}/pid`];
  const libraries = (await readdir(tree, { recursive: true })).filter(name => name.endsWith('-linux-gnu'));
  const child = spawn('ip', ['netns', 'exec', NAMESPACE, binary, ...args], {
    stdio: 'ignore',
    env: { PATH: '/usr/sbin:/usr/bin', LD_LIBRARY_PATH: libraries.map(name => path.join(tree, name)).join(':') },
  });
  processes.set(real.name, child);
}

/** Waits until all servers listen. */
async function listening(): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const { stdout } = await inNamespace('ss', '-Hltn', 'sport', '=', ':21');
    if (stdout.trim().split('\n').length >= REALS.length && stdout !== '') return;
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  throw new Error('the FTP servers do not listen; start one by hand to see why');
}

test.before(async () => {
  if (process.getuid?.() !== 0) throw new Error('this test makes a network namespace: run it as root (scripts/test)');
  await run('ip', ['netns', 'add', NAMESPACE]);
  folder = await mkdtemp('/tmp/tdnan-');
  root = path.join(folder, 'root');
  await mkdir(root, { mode: 0o755 });
  await chmod(folder, 0o755);
  await writeFile(path.join(root, 'hello'), 'hello, nanny\n');
  await writeFile(path.join(root, 'empty'), '');
  await writeFile(path.join(root, 'big'), Buffer.alloc(BIG_BYTES, 'x'));
  await mkdir(ETC, { recursive: true });
  const users = `root:x:0:0::/root:/bin/sh\nftp:x:30021:65534::${root}:/bin/false\nnobody:x:65534:65534::/:/bin/false\n`;
  await writeFile(path.join(ETC, 'passwd'), users);
  await writeFile(path.join(ETC, 'group'), 'root:x:0:\nnogroup:x:65534:\n');
  await inNamespace('ip', 'link', 'set', 'lo', 'up');
  for (const { address } of REALS) {
    await inNamespace('ip', 'address', 'add', `${address}/${address.includes(':') ? 128 : 32}`, 'dev', 'lo');
  }
  for (const real of REALS) await start(real);
  await listening();
});

test.after.always(async () => {
  // Sessions outlive their server: end all that run in this namespace, which only this test uses.
  const { stdout } = await run('ip', ['netns', 'pids', NAMESPACE]).catch(() => ({ stdout: '' }));
  for (const pid of stdout.split('\n').map(Number)) if (pid > 1) process.kill(pid, 'SIGKILL');
  await run('ip', ['netns', 'delete', NAMESPACE]).catch(() => {});
  await rm(ETC, { recursive: true, force: true });
  if (folder !== '') await rm(folder, { recursive: true, force: true });
});

for (const real of REALS) {
  const { name } = real;

  test.serial(`${name} passes: listing and files, PASV and EPSV, a file longer than max_bytes`, async t => {
    const plans: Partial<CheckPlan>[] = [
      {},
      { fetch: 'hello' },
      { data: 'epsv' },
      { data: 'epsv', fetch: 'hello' },
      { fetch: 'big' },
      { fetch: 'big', maxBytes: 1 },
      { fetch: 'big', maxBytes: 16_777_216 },
    ];
    const results = await check(real, ...plans);
    results.forEach((result, index) => {
      t.true(result.ok, `${JSON.stringify(plans[index])}: ${JSON.stringify(result)}`);
    });
    const bytes = results.map(result => (result.ok ? result.bytes : -1));
    t.true((bytes[0] ?? 0) > 0 && (bytes[2] ?? 0) > 0, 'the listings have contents');
    t.deepEqual([bytes[1], bytes[3], bytes[6]], [13, 13, BIG_BYTES]);
    t.true((bytes[4] ?? 0) >= 65_536);
  });

  test.serial(`${name} fails at the right stage, with its own words`, async t => {
    const [login, missing, empty, range] = await check(
      real,
      { user: 'nosuchuser', password: 'wrong' },
      { fetch: 'nosuchfile' },
      { fetch: 'empty' },
      { passivePorts: { first: 30_000, last: 30_100 } },
    );
    t.like(login, { ok: false, stage: 'login' });
    t.regex(wordsOf(login), /^530 /);
    t.like(missing, { ok: false, stage: 'transfer', problem: 'RETR is answered with 550, not 125 or 150' });
    t.regex(wordsOf(missing), /^550 /);
    t.like(empty, { ok: false, stage: 'transfer' });
    t.regex(wordsOf(empty), /^226 /);
    t.like(range, { ok: false, stage: 'passive' });
    t.regex(problemOf(range), /announces port 1\d{4}, outside 30000-30100/);
  });

  if (!real.address.includes(':')) {
    test.serial(`${name} that announces another address than the VIP fails at stage passive`, async t => {
      const [foreign] = await check(real, { vip: '203.0.113.5' as Address });
      t.like(foreign, { ok: false, stage: 'passive' });
      t.regex(problemOf(foreign), /^PASV announces 192\.0\.2\.100, not the VIP 203\.0\.113\.5; set pasv_address/);
      t.regex(wordsOf(foreign), /^227 .*192,0,2,100,/);
    });
  }

  test.serial(`${name} whose files nobody may read fails at stage transfer`, async t => {
    await chmod(path.join(root, 'hello'), 0o600);
    try {
      const [result] = await check(real, { fetch: 'hello' });
      t.like(result, { ok: false, stage: 'transfer' });
      t.regex(wordsOf(result), /^550 .*(Permission denied|Failed to open file)/);
    } finally {
      await chmod(path.join(root, 'hello'), 0o644);
    }
  });

  if (real.kind === 'vsftpd') {
    test.serial(`${name} with an unreadable login directory fails, although its code is good`, async t => {
      await chmod(root, 0o711);
      try {
        const [result] = await check(real, {});
        t.like(result, { ok: false, stage: 'transfer' });
        t.regex(wordsOf(result), /^226 .*failed to open directory/);
      } finally {
        await chmod(root, 0o755);
      }
    });
  }

  test.serial(`${name} behind a closed passive range fails at stage data-connect`, async t => {
    const ruleset =
      'table inet closed { chain in { type filter hook input priority 0; tcp dport 10000-20000 drop; }; }';
    await inNamespace(NFT, ruleset);
    try {
      const [result] = await check(real, { stageTimeoutMs: ms(1_000) });
      t.like(result, { ok: false, stage: 'data-connect' });
      t.regex(problemOf(result), / within 1s$/);
    } finally {
      await inNamespace(NFT, 'delete', 'table', 'inet', 'closed');
    }
    t.true((await check(real, {}))[0]?.ok);
  });

  test.serial(`${name} that is stopped fails at stage greeting, and killed at stage connect`, async t => {
    const child = processes.get(name);
    child?.kill('SIGSTOP');
    const [stopped] = await check(real, { stageTimeoutMs: ms(1_000) });
    t.like(stopped, { ok: false, stage: 'greeting', words: '' });
    const gone = new Promise(resolve => child?.once('exit', resolve));
    child?.kill('SIGKILL');
    await gone;
    const [killed] = await check(real, {});
    t.like(killed, { ok: false, stage: 'connect' });
    t.regex(problemOf(killed), /ECONNREFUSED/);
  });
}

function problemOf(result: CheckResult | undefined): string {
  return result && !result.ok ? result.problem : '';
}

function wordsOf(result: CheckResult | undefined): string {
  return result && !result.ok ? result.words : '';
}
