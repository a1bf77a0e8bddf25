// Checks over TLS against real vsftpd and pure-ftpd: explicit and implicit, a server that lets nobody in without TLS, and one that
// demands that data connections resume the control connection's session.
import { mkdirSync } from 'node:fs';
import { chown, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type { CheckPlan, TlsPlan } from '../../src/nanny/check-plan.ts';
import type { CheckResult } from '../../src/nanny/verdict.ts';
import type { Address } from '../../src/units/address.ts';
import { ms } from '../../src/units/duration.ts';
import { type KeyPair, makeCertificate } from '../nanny/certificates.ts';
import { planFor } from '../nanny/plan-for.ts';
import { FTP_UID, type FtpdNamespace, ftpdNamespace } from './io/ftpd-namespace.ts';
import { vsftpdTls } from './io/vsftpd-tls.ts';

const VIP = '192.0.2.100';
const EXPLICIT = '198.51.100.31';
const IMPLICIT = '198.51.100.32';
const PURE = '198.51.100.33';

let place: FtpdNamespace;
let pair: KeyPair;

const FORCED = ['anon_logins', 'anon_data', 'local_logins', 'local_data'].map(what => `force_${what}_ssl=YES`);

async function vsftpd(address: string, name: string, more: readonly string[]): Promise<void> {
  await place.ftpd('vsftpd', name, async scratch => {
    const config = path.join(scratch, 'conf');
    const about = { address, vip: VIP, root: place.root, scratch, pair };
    const all = ['no_anon_password=NO', 'require_ssl_reuse=YES', ...FORCED, ...more];
    await writeFile(config, vsftpdTls({ ...about, more: all }), { mode: 0o600 });
    return [config];
  });
}

test.before(async () => {
  place = await ftpdNamespace(`tdtls-${process.pid}`, [EXPLICIT, IMPLICIT, PURE]);
  const keys = path.join(place.folder, 'keys');
  mkdirSync(keys, { mode: 0o700 });
  pair = makeCertificate(keys, 'real', ['DNS:ftp.example'], 30);
  await writeFile(path.join(place.root, 'hello'), 'hello, nanny\n');
  await chown(path.join(place.root, 'hello'), FTP_UID, 65_534);
  await vsftpd(EXPLICIT, 'explicit', []);
  await vsftpd(IMPLICIT, 'implicit', ['implicit_ssl=YES', 'listen_port=990']);
  const both = path.join(keys, 'both.pem');
  await writeFile(both, (await readFile(pair.keyFile, 'utf8')) + pair.cert, { mode: 0o600 });
  await place.ftpd('pure-ftpd', 'pure', async scratch => [
    ...['-l', 'unix', '-S', `${PURE},21`, '-p', '10000:20000', '-P', VIP, '-g', `${scratch}/pid`, '-H'],
    // 3: clients without TLS are refused, for data too.
    ...['-Y', '3', '-2', both],
  ]);
  await place.listening(21, 2);
  await place.listening(990, 1);
});

test.after.always(() => place?.close());

const TLS = (): TlsPlan => ({ mode: 'explicit', name: 'ftp.example', ca: pair.cert, verify: 'chain' });

function check(address: string, ...plans: readonly Partial<CheckPlan>[]): Promise<CheckResult[]> {
  const times = { timeoutMs: ms(20_000), stageTimeoutMs: ms(10_000) };
  const about = { address: address as Address, announce: VIP as Address, ...times };
  return place.check(...plans.map(plan => planFor({ ...about, ...plan })));
}

for (const [name, address] of [
  ['vsftpd', EXPLICIT],
  ['pure-ftpd', PURE],
] as const) {
  test.serial(`${name} that lets nobody in without TLS is up with tls: explicit alone`, async t => {
    const tls = TLS();
    const alone: TlsPlan = { mode: 'explicit', name: undefined, ca: undefined, verify: 'none' };
    const [plain, anybody, listing, file, epsv, login] = await check(
      address,
      {},
      { tls: alone },
      { tls },
      { tls, fetch: 'hello' },
      { tls, data: 'epsv', fetch: 'hello' },
      { tls, until: 'login' },
    );
    t.like(plain, { ok: false, stage: 'login' });
    t.regex(plain?.ok === false ? plain.problem : '', /it wants TLS: write check\.tls: explicit$/);
    for (const result of [anybody, listing, file, epsv, login]) t.true(result?.ok, JSON.stringify(result));
    t.deepEqual([file?.ok && file.bytes, epsv?.ok && epsv.bytes], [13, 13]);
    t.true((listing?.certificate?.daysLeft ?? 0) > 28);
  });

  test.serial(`${name}: a certificate that is not trusted, or for another name, fails at stage tls`, async t => {
    const [unknown, other, anything] = await check(
      address,
      { tls: { ...TLS(), ca: undefined } },
      { tls: { ...TLS(), name: 'other.example' } },
      { tls: { ...TLS(), ca: undefined, verify: 'none' } },
    );
    t.like(unknown, { ok: false, stage: 'tls', life: 'speaks' });
    t.like(other, { ok: false, stage: 'tls' });
    t.regex(other?.ok === false ? other.problem : '', /is not for "other\.example"/);
    t.true(anything?.ok, JSON.stringify(anything));
  });
}

test.serial('vsftpd with implicit TLS on port 990 passes, and its session is resumed there too', async t => {
  const tls: TlsPlan = { ...TLS(), mode: 'implicit' };
  const [listing, file, plain] = await check(
    IMPLICIT,
    { tls, controlPort: 990 },
    { tls, controlPort: 990, fetch: 'hello' },
    { controlPort: 990, stageTimeoutMs: ms(500) },
  );
  t.true(listing?.ok, JSON.stringify(listing));
  t.true(file?.ok, JSON.stringify(file));
  t.like(plain, { ok: false, stage: 'greeting' });
});
