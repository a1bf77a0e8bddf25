// Checks real vsftpd, proftpd and pure-ftpd in a network namespace of this test's own. Each listens on an address of its own and
// announces the VIP, which nobody holds here: a check that connected to what PASV says would fail.
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, chown, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type { CheckPlan } from '../../src/nanny/check-plan.ts';
import type { CheckResult } from '../../src/nanny/verdict.ts';
import type { Address } from '../../src/units/address.ts';
import { ms } from '../../src/units/duration.ts';
import { planFor } from '../nanny/plan-for.ts';
import { FTP_UID, type FtpdKind, type FtpdNamespace, ftpdNamespace } from './io/ftpd-namespace.ts';

const NAMESPACE = `tdnan-${process.pid}`;
const FTPD = path.resolve('.lab/ftpd');
const VIP = '192.0.2.100';
// By its path: under npx, `nft` is a program of that name in node_modules/.bin.
const NFT = '/usr/sbin/nft';
const BIG_BYTES = 8_000_000;

interface Real {
  readonly name: string;
  readonly kind: FtpdKind;
  readonly address: string;
  /** It takes one client only, by each server's own setting. */
  readonly limit?: 'clients' | 'processes';
  /** proftpd does not give up root, so that its active data come from port 20. */
  readonly keepsRoot?: boolean;
  /** It asks the name server, which never answers, for each client. */
  readonly asksNames?: boolean;
}
const REALS: readonly Real[] = [
  { name: 'vsftpd', kind: 'vsftpd', address: '198.51.100.11' },
  { name: 'proftpd', kind: 'proftpd', address: '198.51.100.12', keepsRoot: true },
  { name: 'pure-ftpd', kind: 'pure-ftpd', address: '198.51.100.13' },
  { name: 'vsftpd on IPv6', kind: 'vsftpd', address: '2001:db8:100::11' },
];
/**
 * Servers at their limit, and what a client that is one too many is told; and one with a slow
 * resolver.
 */
const FULL: readonly (Real & { readonly words: RegExp })[] = [
  { name: 'full vsftpd', kind: 'vsftpd', address: '198.51.100.21', limit: 'clients', words: /^421 / },
  { name: 'full proftpd', kind: 'proftpd', address: '198.51.100.22', limit: 'clients', words: /^530 / },
  { name: 'full pure-ftpd', kind: 'pure-ftpd', address: '198.51.100.23', limit: 'clients', words: /^421 / },
  { name: 'proftpd with all processes', kind: 'proftpd', address: '198.51.100.24', limit: 'processes', words: /^$/ },
];
const SLOW: Real = { name: 'slow pure-ftpd', kind: 'pure-ftpd', address: '198.51.100.25', asksNames: true };
/** As proftpd is without a word on it. */
const REVOKED: Real = { name: 'unprivileged proftpd', kind: 'proftpd', address: '198.51.100.26' };
const ALL = [...REALS, ...FULL, SLOW, REVOKED];

let place: FtpdNamespace;
let root = '';
const processes = new Map<string, ChildProcess>();

function realPlan(real: Real, plan: Partial<CheckPlan> = {}): CheckPlan {
  const times = { timeoutMs: ms(20_000), stageTimeoutMs: ms(10_000) };
  const data = real.address.includes(':') ? ('epsv' as const) : ('pasv' as const);
  return planFor({ address: real.address as Address, announce: VIP as Address, data, ...times, ...plan });
}

function check(real: Real, ...plans: readonly Partial<CheckPlan>[]): Promise<CheckResult[]> {
  return place.check(...plans.map(plan => realPlan(real, plan)));
}

/** A name server in the namespace that takes every question and answers none. */
const DEAF_NAMES = "require('node:dgram').createSocket('udp4').bind(53, '127.0.0.1');";
/** A client that logs in, says so, and stays. */
const STAYS = `
  const socket = require('node:net').connect(21, process.argv[1]);
  const lines = ['USER anonymous', 'PASS x@'];
  socket.setEncoding('utf8').on('data', text => {
    for (const line of text.split('\\r\\n')) {
      if (/^(220|331) /.test(line)) socket.write(lines.shift() + '\\r\\n');
      if (/^230 /.test(line)) process.stdout.write('logged in');
    }
  });
`;

async function stayLoggedIn(address: string): Promise<ChildProcess> {
  const child = place.script(STAYS, address);
  await Promise.race([
    new Promise(resolve => child.stdout?.once('data', resolve)),
    new Promise((_resolve, reject) => setTimeout(() => reject(new Error(`no login on ${address}`)), 15_000).unref()),
  ]);
  return child;
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
anon_umask=022
write_enable=YES
anon_upload_enable=YES
anon_other_write_enable=YES
connect_from_port_20=YES
pasv_address=${VIP}
pasv_min_port=10000
pasv_max_port=20000
secure_chroot_dir=${scratch}
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
xferlog_enable=NO
${real.limit ? 'max_clients=1\n' : ''}`;
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
${real.limit === 'processes' ? 'MaxInstances 1' : ''}
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
${real.keepsRoot ? 'RootRevoke off' : ''}
MasqueradeAddress ${VIP}
PassivePorts 10000 20000
<Anonymous ${root}>
  User ftp
  Group nogroup
  UserAlias anonymous ftp
  AllowOverwrite on
${real.limit === 'clients' ? '  MaxClients 1' : ''}
</Anonymous>
`;
}

async function argsOf(real: Real, scratch: string): Promise<readonly string[]> {
  const config = path.join(scratch, 'conf');
  switch (real.kind) {
    case 'vsftpd':
      await writeFile(config, vsftpdConfig(real, scratch), { mode: 0o600 });
      return [config];
    case 'proftpd':
      await writeFile(config, proftpdConfig(real, scratch), { mode: 0o600 });
      return ['-n', '-c', config];
    case 'pure-ftpd':
      return [
        ...['-l', 'unix', '-S', `${real.address},21`, '-p', '10000:20000', '-P', VIP, '-g', `${scratch}/pid`],
        ...(real.limit ? ['-c', '1'] : []),
        ...(real.asksNames ? [] : ['-H']),
      ];
  }
}

test.before(async () => {
  place = await ftpdNamespace(
    NAMESPACE,
    ALL.map(({ address }) => address),
  );
  root = place.root;
  await writeFile(path.join(root, 'hello'), 'hello, nanny\n');
  await writeFile(path.join(root, 'empty'), '');
  await mkdir(path.join(root, 'in'));
  await chown(path.join(root, 'in'), FTP_UID, 65_534);
  await writeFile(path.join(root, 'big'), Buffer.alloc(BIG_BYTES, 'x'));
  place.script(DEAF_NAMES);
  for (const real of ALL) {
    const child = await place.ftpd(real.kind, real.name.replaceAll(' ', '-'), scratch => argsOf(real, scratch));
    processes.set(real.name, child);
  }
  await place.listening(21, ALL.length);
});

test.after.always(() => place?.close());

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

  test.serial(`${name} passes with active data from port 20, with a hash, in a directory`, async t => {
    const sha256 = createHash('sha256').update('hello, nanny\n').digest('hex');
    const content = { size: 13, sha256, text: 'nanny' };
    const [listing, hash, wrong, directory, none] = await check(
      real,
      { data: 'active' },
      { data: 'active', fetch: 'hello', content },
      { fetch: 'hello', content: { ...content, sha256: 'a'.repeat(64) } },
      { directory: 'in' },
      { directory: 'nowhere' },
    );
    for (const result of [listing, hash, directory]) t.true(result?.ok, JSON.stringify(result));
    t.like(wrong, { ok: false, stage: 'transfer' });
    t.like(none, { ok: false, stage: 'directory' });
    t.regex(wordsOf(none), /^550 /);
  });

  // pure-ftpd lets anonymous users delete nothing.
  if (real.kind !== 'pure-ftpd') {
    test.serial(`${name} takes a probe file and deletes it, and one that a crash left behind before it`, async t => {
      const upload = 'in/.probe.alpha.ftp';
      await writeFile(path.join(root, upload), 'of a crash');
      await chown(path.join(root, upload), FTP_UID, 65_534);
      await writeFile(path.join(root, 'in/.probe.beta.ftp'), "the other router's");
      const results = await check(real, { upload }, { upload, data: 'active' });
      for (const result of results) t.true(result.ok, JSON.stringify(result));
      t.deepEqual(await readdir(path.join(root, 'in')), ['.probe.beta.ftp']);
    });
  }

  test.serial(`${name} fails at the right stage, with its own words`, async t => {
    const [login, missing, empty, range] = await check(
      real,
      { user: 'nosuchuser', password: 'wrong' },
      { fetch: 'nosuchfile' },
      { fetch: 'empty' },
      { passivePorts: { first: 30_000, last: 30_100 } },
    );
    t.like(login, { ok: false, stage: 'login', life: 'speaks' });
    t.regex(wordsOf(login), /^530 /);
    t.like(missing, { ok: false, stage: 'transfer', problem: 'RETR is answered with 550, not 125 or 150' });
    t.regex(wordsOf(missing), /^550 /);
    t.like(empty, { ok: false, stage: 'transfer' });
    t.regex(wordsOf(empty), /^226 /);
    t.like(range, { ok: false, stage: 'passive' });
    t.regex(problemOf(range), /announces port (1\d{4}|20000), outside 30000-30100/);
  });

  if (!real.address.includes(':')) {
    test.serial(`${name} that announces another address than the VIP fails at stage passive`, async t => {
      const [foreign] = await check(real, { announce: '203.0.113.5' as Address });
      t.like(foreign, { ok: false, stage: 'passive' });
      t.regex(problemOf(foreign), /^PASV announces 192\.0\.2\.100, not 203\.0\.113\.5; set pasv_address/);
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
    await place.inside(NFT, ruleset);
    try {
      const [result] = await check(real, { stageTimeoutMs: ms(1_000) });
      t.like(result, { ok: false, stage: 'data-connect' });
      t.regex(problemOf(result), / within 1s$/);
    } finally {
      await place.inside(NFT, 'delete', 'table', 'inet', 'closed');
    }
    t.true((await check(real, {}))[0]?.ok);
  });

  test.serial(`${name} that is stopped fails at stage greeting, and killed at stage connect`, async t => {
    const child = processes.get(name);
    child?.kill('SIGSTOP');
    const [stopped] = await check(real, { stageTimeoutMs: ms(1_000) });
    t.like(stopped, { ok: false, stage: 'greeting', life: 'silent', words: '' });
    const gone = new Promise(resolve => child?.once('exit', resolve));
    child?.kill('SIGKILL');
    await gone;
    const [killed] = await check(real, {});
    t.like(killed, { ok: false, stage: 'connect', life: 'none' });
    t.regex(problemOf(killed), /ECONNREFUSED/);
  });
}

test.serial(
  'a proftpd that gives up root is misconfigured for active mode, with the setting that mends it',
  async t => {
    const [active, passive] = await check(REVOKED, { data: 'active' }, {});
    t.like(active, { ok: false, stage: 'data-connect', misconfigured: true });
    t.regex(problemOf(active), /^data of active mode come from port \d+, not 20, .*RootRevoke off \(proftpd\)/);
    t.true(passive?.ok, JSON.stringify(passive));
  },
);

for (const real of FULL) {
  test.serial(`a ${real.name} fails its check, but shows life, and passes when there is room again`, async t => {
    const client = await stayLoggedIn(real.address);
    try {
      const [full] = await check(real, { stageTimeoutMs: ms(2_000) });
      t.like(full, { ok: false, life: 'speaks' });
      t.regex(wordsOf(full), real.words);
    } finally {
      client.kill('SIGKILL');
    }
    let last: CheckResult | undefined;
    for (let attempt = 0; attempt < 50 && !last?.ok; attempt++) {
      [last] = await check(real, {});
      await new Promise(resolve => setTimeout(resolve, 100));
    }
    t.true(last?.ok, JSON.stringify(last));
  });
}

test.serial(
  'a server whose name server is gone greets late: silent to a short check, alive to a patient one',
  async t => {
    const [short] = await check(SLOW, { stageTimeoutMs: ms(1_000) });
    t.like(short, { ok: false, stage: 'greeting', life: 'silent' });
    const [patient] = await check(SLOW, { stageTimeoutMs: ms(1_000), timeoutMs: ms(30_000), patient: true });
    t.like(patient, { ok: false, stage: 'greeting', life: 'speaks' });
    t.regex(problemOf(patient), /^the greeting comes, but not within 1s; is its resolver slow\?$/);
    t.true((patient?.tookMs ?? 0) >= 5_000, `${patient?.tookMs} ms`);
  },
);

function problemOf(result: CheckResult | undefined): string {
  return result && !result.ok ? result.problem : '';
}

function wordsOf(result: CheckResult | undefined): string {
  return result && !result.ok ? result.words : '';
}
