// Checks over TLS against a scripted server on loopback, and what the dialogue believes of what comes in the clear.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { certificateProblem, isTlsAnswer, type PresentedCertificate } from '../../src/nanny/certificate.ts';
import type { CheckPlan, TlsPlan } from '../../src/nanny/check-plan.ts';
import { conditionsAfter, NOTHING_WATCHED_YET } from '../../src/nanny/conditions.ts';
import { PROBE_TEXT } from '../../src/nanny/content.ts';
import type { DialogueEffect, DialogueEvent } from '../../src/nanny/dialogue.ts';
import { beginDialogue, stepDialogue } from '../../src/nanny/ftp.ts';
import { runCheck } from '../../src/nanny/io/ftp-check.ts';
import { readAuthorities } from '../../src/nanny/io/tls-client.ts';
import type { CheckResult } from '../../src/nanny/verdict.ts';
import { type At, ms } from '../../src/units/duration.ts';
import { monotonicNow } from '../../src/units/io/clocks.ts';
import { freePort } from '../redis/redis-server.ts';
import { expired, makeCertificate } from './certificates.ts';
import { type HostileServer, type Script, startHostile } from './hostile-server.ts';
import { planFor, planHere } from './plan-for.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tandem-tls-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
const GOOD = makeCertificate(folder, 'good', ['DNS:ftp.example'], 100);
const OTHER = makeCertificate(folder, 'other', ['DNS:other.example'], 100);
const OLD = expired(folder, GOOD);

const TRUSTING: TlsPlan = { mode: 'explicit', name: 'ftp.example', ca: GOOD.cert, verify: 'chain' };

interface Seen {
  readonly result: CheckResult;
  readonly server: HostileServer;
}

async function check(script: Script, tls: TlsPlan | undefined, plan: Partial<CheckPlan> = {}): Promise<Seen> {
  const server = await startHostile(script);
  try {
    const times = { timeoutMs: ms(20_000), stageTimeoutMs: ms(10_000) };
    const outcome = await runCheck(planHere(server.port, { ...times, tls, ...plan }), { now: monotonicNow });
    if (outcome.type !== 'result') throw new Error(`no result but ${JSON.stringify(outcome)}`);
    return { result: outcome.result, server };
  } finally {
    await server.close();
  }
}

const explicit = (pair = GOOD) => ({ mode: 'explicit', key: pair.key, cert: pair.cert }) as const;
const implicit = (pair = GOOD) => ({ mode: 'implicit', key: pair.key, cert: pair.cert }) as const;

test('explicit TLS: AUTH TLS, login, PBSZ and PROT, and a data connection that resumes the session', async t => {
  const { result, server } = await check({ tls: explicit() }, TRUSTING);
  t.like(result, { ok: true, bytes: 38 }, JSON.stringify(result));
  t.true((result.certificate?.daysLeft ?? 0) > 98 && (result.certificate?.daysLeft ?? 0) <= 100);
  const login = ['USER anonymous', 'PASS tandem@', 'PBSZ 0', 'PROT P', 'TYPE I', 'PASV', 'LIST', 'QUIT'];
  t.deepEqual(server.commands, ['AUTH TLS', ...login]);
  t.deepEqual(server.resumed(), { yes: 1, no: 0 });
});

test('implicit TLS: the first byte is encrypted, AUTH is not sent', async t => {
  const { result, server } = await check({ tls: implicit() }, { ...TRUSTING, mode: 'implicit' }, { data: 'epsv' });
  t.like(result, { ok: true, bytes: 38 }, JSON.stringify(result));
  t.is(server.commands[0], 'USER anonymous');
  t.deepEqual(server.resumed(), { yes: 1, no: 0 });
});

test('active data, a hash and an upload are encrypted, too, and every data connection resumes the session', async t => {
  const activePort = await freePort();
  const content = { size: undefined, sha256: createHash('sha256').update('hello').digest('hex'), text: 'ell' };
  const files = new Map<string, string>();
  const script = { tls: explicit(), contents: 'hello', files };
  const active = await check({ ...script, activePort }, TRUSTING, { data: 'active', activePort, fetch: 'x', content });
  t.like(active.result, { ok: true, bytes: 5 }, JSON.stringify(active.result));
  t.deepEqual(active.server.resumed(), { yes: 1, no: 0 });
  const upload = await check({ ...script, on: { DELE: '250 ok\r\n' } }, TRUSTING, { upload: 'p' });
  t.true(upload.result.ok, JSON.stringify(upload.result));
  t.deepEqual([...files], [['p', PROBE_TEXT]]);
  t.deepEqual(upload.server.resumed(), { yes: 2, no: 0 });
});

test('a check until login over TLS needs no PROT, one until greeting over implicit TLS no login', async t => {
  const login = await check({ tls: explicit() }, TRUSTING, { until: 'login' });
  t.deepEqual(login.server.commands, ['AUTH TLS', 'USER anonymous', 'PASS tandem@', 'QUIT']);
  const greeting = await check({ tls: implicit() }, { ...TRUSTING, mode: 'implicit' }, { until: 'greeting' });
  t.deepEqual([greeting.result.ok, greeting.server.commands], [true, []]);
});

const CERTIFICATES: readonly [title: string, script: Script, tls: Partial<TlsPlan>, problem: RegExp | undefined][] = [
  ['of an unknown authority', { tls: explicit() }, { ca: OTHER.cert }, /^no authority known here .*tls_ca_file/],
  ['that Node.js does not know', { tls: explicit() }, { ca: undefined }, /DEPTH_ZERO_SELF_SIGNED_CERT/],
  ['for another name', { tls: explicit() }, { name: 'ftp2.example' }, /^its certificate is not for "ftp2\.example"/],
  ['for another name, without tls_name', { tls: explicit() }, { name: undefined }, undefined],
  [
    'that has expired',
    { tls: explicit(OLD) },
    { ca: OLD.cert, name: undefined },
    /^its certificate has expired .*renew/,
  ],
  ['that nobody looks at', { tls: explicit(OLD) }, { verify: 'none' }, undefined],
  ['for no address', { tls: explicit() }, { name: '127.0.0.1' }, /^its certificate is not for "127\.0\.0\.1"/],
];
for (const [title, script, tls, problem] of CERTIFICATES) {
  test(`a certificate ${title} ${problem ? 'fails at stage tls, before the password is sent' : 'is taken'}`, async t => {
    const { result, server } = await check(script, { ...TRUSTING, ...tls });
    t.is(result.ok, problem === undefined, JSON.stringify(result));
    if (result.ok || problem === undefined) return;
    t.like(result, { stage: 'tls', life: 'speaks' });
    t.regex(result.problem, problem);
    t.false(server.commands.some(line => /^(USER|PASS)/.test(line)));
  });
}

test('an expired certificate has negative days left', async t => {
  const { result } = await check({ tls: explicit(OLD) }, { ...TRUSTING, verify: 'none' });
  t.true((result.certificate?.daysLeft ?? 0) < -0.9);
});

const REFUSALS: readonly [title: string, script: Script, mode: TlsPlan['mode'] | undefined, expected: object][] = [
  ['has no TLS', { on: { AUTH: '530 Please login.\r\n' } }, 'explicit', { stage: 'tls', life: 'speaks' }],
  ['speaks plain FTP', {}, 'implicit', { stage: 'tls', life: 'none' }],
  [
    'answers the handshake with garbage',
    { on: { AUTH: '234 go\r\n' }, greeting: '220 hi\r\n' },
    'explicit',
    { stage: 'tls' },
  ],
  ['closes at once', { greeting: { kind: 'close' } }, 'implicit', { stage: 'tls', life: 'speaks' }],
  ['wants TLS', { on: { USER: '530 Non-anonymous sessions must use encryption.\r\n' } }, undefined, { stage: 'login' }],
];
for (const [title, script, mode, expected] of REFUSALS) {
  test(`a server that ${title} fails a check with tls: ${mode ?? 'none'}`, async t => {
    const tls = mode && { ...TRUSTING, mode };
    const { result } = await check(script, tls, { stageTimeoutMs: ms(1_000) });
    t.like(result, { ok: false, ...expected });
    t.log(result.ok ? '' : result.problem);
    if (mode === undefined) t.regex(result.ok ? '' : result.problem, /it wants TLS: write check\.tls: explicit$/);
  });
}

test('a closed data port is named as such over TLS, too', async t => {
  const { result } = await check({ tls: explicit(), isDataPortClosed: true }, TRUSTING);
  t.like(result, { ok: false, stage: 'data-connect' });
  t.regex(result.ok ? '' : result.problem, /ECONNREFUSED/);
});

test('half a handshake ends with its stage', async t => {
  const { result } = await check(
    { greeting: { kind: 'hang' } },
    { ...TRUSTING, mode: 'implicit' },
    { stageTimeoutMs: ms(300) },
  );
  t.like(result, { ok: false, stage: 'tls', life: 'silent', problem: 'no end of the TLS handshake within 300ms' });
});

test('what a third party puts behind the 234 in the clear is not believed', async t => {
  const { result, server } = await check(
    { tls: explicit(), afterAuth: '331 Password?\r\n230 You are in.\r\n' },
    TRUSTING,
  );
  t.like(result, { ok: false, stage: 'tls', life: 'speaks' });
  t.regex(result.ok ? '' : result.problem, /^more than the 234 comes in the clear before TLS begins/);
  t.deepEqual(server.commands, ['AUTH TLS'], 'neither user nor password were sent');
});

/** Plays events of a dialogue with explicit TLS. */
function play(...events: readonly (string | DialogueEvent)[]): DialogueEffect[] {
  const begun = beginDialogue(planFor({ tls: TRUSTING }), 0 as At);
  let dialogue = begun.next;
  return events.flatMap(event => {
    const bytes = typeof event === 'string' ? ({ type: 'received', bytes: Buffer.from(event) } as const) : event;
    const step = stepDialogue(dialogue, bytes, 0 as At);
    dialogue = step.next;
    return step.effects;
  });
}

const TRUSTED: PresentedCertificate = {
  validUntil: '2027-01-01T00:00:00.000Z',
  daysLeft: 34,
  chainFault: undefined,
  nameFault: undefined,
};
const AUTH = [{ type: 'connected' }, '220 hi\r\n'] as const;
for (const behind of ['331 Password?\r\n', '331', '234-more\r\n', '\r\nx']) {
  test(`${JSON.stringify(behind)} behind the 234 ends the check without a handshake`, t => {
    const effects = play(...AUTH, `234 go\r\n${behind}`);
    t.false(effects.some(({ type }) => type === 'secure'));
    t.like(effects.at(-1), { type: 'finish', result: { ok: false, stage: 'tls' } });
  });
}

test('a 234 that comes with the greeting does not keep AUTH TLS from being sent', t => {
  const effects = play({ type: 'connected' }, '220 hi\r\n234 go\r\n');
  const [sent, secured] = ['sendLine', 'secure'].map(wanted => effects.findIndex(({ type }) => type === wanted));
  t.true((sent ?? -1) >= 0 && (sent ?? 0) < (secured ?? 0), JSON.stringify(effects));
});

test('what comes in the clear during the handshake ends the check, and half a line does not stay for later', t => {
  t.like(play(...AUTH, '234 go\r\n', '331 x\r\n').at(-1), { type: 'finish', result: { ok: false, stage: 'tls' } });
  const effects = play(...AUTH, '234 go\r\n', { type: 'secured', certificate: TRUSTED }, '331 yes\r\n');
  t.deepEqual(
    effects.flatMap(effect => (effect.type === 'sendLine' ? [effect.line] : [])),
    ['AUTH TLS', 'USER anonymous', 'PASS tandem@'],
  );
});

test('each fault of a chain has a sentence of its own', t => {
  const problem = (chainFault: string, daysLeft = 5) =>
    certificateProblem(TRUSTING, { ...TRUSTED, chainFault, daysLeft });
  t.regex(problem('CERT_HAS_EXPIRED', -1) ?? '', /has expired \(2027/);
  t.regex(problem('CERT_HAS_EXPIRED') ?? '', /between its own and the authority/);
  t.regex(problem('CERT_NOT_YET_VALID') ?? '', /set the clock right/);
  t.regex(problem('CERT_REVOKED') ?? '', /not trusted \(CERT_REVOKED\)/);
  t.is(certificateProblem({ ...TRUSTING, verify: 'none' }, { ...TRUSTED, chainFault: 'X' }), undefined);
});

test('a certificate near its end is told once, and once when it is renewed', t => {
  const rules = { expiryWarnMs: ms(14 * 86_400_000), slowWarn: {}, rise: 2, fall: 3 };
  const passed = (daysLeft?: number): CheckResult => ({
    ...{ ok: true, tookMs: 1, bytes: 1 },
    certificate: daysLeft === undefined ? undefined : { validUntil: '', daysLeft },
  });
  const failed: CheckResult = { ok: false, tookMs: 1, stage: 'connect', life: 'none', problem: '', words: '' };
  // Of another port: the one that ends soon was not come to.
  const failedElsewhere: CheckResult = { ...failed, certificate: { validUntil: '', daysLeft: 200 } };
  let now = NOTHING_WATCHED_YET;
  const results = [passed(20), passed(14), passed(13.9), failed, failedElsewhere, passed(-3)];
  const told = [...results, passed(90), passed(2), passed()].map(result => {
    const { next, effects } = conditionsAfter(now, rules, result);
    now = next;
    return effects.map(({ type }) => type).join();
  });
  t.deepEqual(told, [
    '',
    '',
    'certificate-expires',
    '',
    '',
    '',
    'certificate-renewed',
    'certificate-expires',
    'certificate-renewed',
  ]);
});

test('a file of authorities is read, or said to be none', t => {
  t.is(readAuthorities(GOOD.certFile), GOOD.cert);
  t.throws(() => readAuthorities(GOOD.keyFile), { message: /holds no certificate; name a file in PEM form/ });
  t.throws(() => readAuthorities(path.join(folder, 'none')), { message: /there is no such file/ });
});

test('the test server is what it says: it refuses what is not TLS', async t => {
  const server = await startHostile({ tls: implicit() });
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write('USER anonymous\r\n');
  await new Promise(resolve => socket.on('close', resolve).resume());
  t.deepEqual(server.commands, []);
  await server.close();
});

test('an alert is an answer, as OpenSSL names it before 3.2 and since; who speaks no TLS gives none', t => {
  for (const code of [
    'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
    'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
    'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
  ])
    t.true(isTlsAnswer(code), code);
  for (const code of ['ERR_SSL_WRONG_VERSION_NUMBER', 'ECONNRESET', undefined]) t.false(isTlsAnswer(code));
});
