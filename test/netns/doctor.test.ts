// `tandem doctor` on a router where things are really wrong, beside real daemons: each is found, and gone once the printed command
// was run. Needs root and `scripts/setup`.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { type Act, activeIs, routersTest } from './io/act.ts';
import { directorConfig, startDirector, statusOf } from './io/plane.ts';
import { CLI } from './io/routers.ts';

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly sentence: string;
  readonly fix: string | null;
}

interface Said {
  readonly code: number;
  readonly findings: readonly Finding[];
}

/** As root on r1; its exit status comes as the last line. */
async function doctor({ routers }: Act): Promise<Said> {
  const run = join(routers.directory, 'r1', 'run');
  const where = ['--config', directorConfig(routers, 'r1'), '--node', 'r1', '--run-dir', run, '--json'];
  const command = [process.execPath, CLI, 'doctor', ...where];
  const { stdout } = await routers.topology.exec('r1', 'sh', ['-c', '"$@"; echo "$?"', 'sh', ...command]);
  const end = stdout.trimEnd().lastIndexOf('\n');
  const { findings } = JSON.parse(stdout.slice(0, end)) as Said;
  return { code: Number(stdout.slice(end)), findings };
}

const find = ({ findings }: Said, id: string) => findings.find(one => one.id === id && one.severity !== 'ok');

/** Runs the command that the finding has, and waits until it is not found any more. */
async function mended(act: Act, id: string, fix: string): Promise<void> {
  const { t, routers } = act;
  const finding = find(await doctor(act), id);
  t.is(finding?.fix, fix, id);
  await routers.topology.exec('r1', 'sh', ['-c', finding?.fix ?? 'false']);
  await routers.until(`${id} is gone`, 30_000, async () => find(await doctor(act), id) === undefined);
}

const setting = 'net.netfilter.nf_conntrack_tcp_loose';

routersTest('what is wrong is found, and gone after its own command', {}, async act => {
  const { t, routers } = act;
  const { topology } = routers;
  for (const router of ['r1', 'r2'] as const) routers.start(router);
  await activeIs(act, 'r1', 30_000);
  startDirector(routers, 'r1');
  await routers.until('the director has audited', 30_000, async () => {
    return await statusOf(routers, 'r1').then(
      ({ kernel }) => kernel.lastAuditAt !== null,
      () => false,
    );
  });
  const before = await doctor(act);
  for (const id of ['key', 'daemons', 'addresses'])
    t.is(before.findings.find(one => one.id === id)?.severity, 'ok', `${id}: ${JSON.stringify(before.findings)}`);
  t.is(
    before.findings.find(({ id }) => id === 'real-time:pulse'),
    undefined,
    'pulse has the real-time class',
  );

  await topology.exec('r1', 'sysctl', ['-w', `${setting}=0`]);
  await mended(act, `sysctl:${setting}`, `sysctl -w ${setting}=1`);

  const rules =
    'table inet site { chain in { type filter hook input priority 0; ip saddr 203.0.113.2 udp dport 694 drop; }; }';
  await topology.exec('r1', 'nft', [rules]);
  await routers.until('the link is silent', 20_000, async () => {
    return (await routers.snapshot('r1'))?.links.find(({ lan }) => lan === 'cross')?.up === false;
  });
  const accept = 'nft insert rule inet site in ip saddr 203.0.113.2 udp dport 694 accept';
  t.is((await doctor(act)).code, 5);
  await mended(act, 'heartbeat:cross', accept);

  const key = join(routers.directory, 'pair.key');
  chmodSync(key, 0o644);
  await mended(act, 'key', `chmod 0600 ${key}`);

  // The standby comes to the VIP as a client does. It is r1: without IPVS its director's rules do not
  // count as in, and the pair moves to r2, which has no director.
  await activeIs(act, 'r2', 30_000);
  await routers.until('the passive range is tried', 30_000, async () => {
    return (await doctor(act)).findings.some(({ id, severity }) => id === 'passive' && severity === 'ok');
  });
  const closed = 'table inet site { chain in { type filter hook input priority 0; tcp dport 10000-20000 drop; }; }';
  await topology.exec('r2', 'nft', [closed]);
  const passive = find(await doctor(act), 'passive:ftp');
  t.regex(passive?.sentence ?? '', /ports 10000, 15000, 20000 of the passive range do not come through 192\.0\.2\.100/);

  const own = '203.0.113.1/24';
  await topology.exec('r1', 'ip', ['address', 'del', own, 'dev', 'x0']);
  await mended(act, 'address:203.0.113.1', `ip address add ${own} dev x0`);
});
