// What a check may demand beyond a transfer: banner, directory, the contents of a file, an upload, active mode. Over real sockets
// on loopback, against a scripted server.
import { createHash } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import type { CheckPlan } from '../../src/nanny/check-plan.ts';
import { type ContentPlan, contentAfter, NO_CONTENT, PROBE_TEXT, probeName } from '../../src/nanny/content.ts';
import { runCheck } from '../../src/nanny/io/ftp-check.ts';
import type { CheckResult } from '../../src/nanny/verdict.ts';
import type { Address } from '../../src/units/address.ts';
import { ms } from '../../src/units/duration.ts';
import { monotonicNow } from '../../src/units/io/clocks.ts';
import { freePort } from '../redis/redis-server.ts';
import { type HostileServer, type Script, startHostile } from './hostile-server.ts';
import { planHere } from './plan-for.ts';

async function check(
  script: Script,
  plan: Partial<CheckPlan> = {},
): Promise<{ readonly result: CheckResult; readonly server: HostileServer }> {
  const server = await startHostile(script);
  try {
    const times = { timeoutMs: ms(30_000), stageTimeoutMs: ms(15_000) };
    const outcome = await runCheck(planHere(server.port, { ...times, ...plan }), { now: monotonicNow });
    if (outcome.type !== 'result') throw new Error(`no result but ${JSON.stringify(outcome)}`);
    return { result: outcome.result, server };
  } finally {
    await server.close();
  }
}

function passes(t: ExecutionContext, result: CheckResult): void {
  t.true(result.ok, JSON.stringify(result));
}

const NOTHING: ContentPlan = { size: undefined, sha256: undefined, text: undefined };
const contents = 'all is well\r\n';
const sha256 = createHash('sha256').update(contents).digest('hex');

const CONTENTS: readonly [
  title: string,
  content: Partial<ContentPlan>,
  contents: string,
  problem: RegExp | undefined,
][] = [
  ['of the right length', { size: 13 }, contents, undefined],
  ['of the wrong length', { size: 13 }, 'short', /^the fetched file has 5 bytes, not the 13 of check\.size$/],
  ['of the right hash', { sha256 }, contents, undefined],
  ['of the wrong hash', { sha256 }, 'all is ill\r\n', /^the SHA-256 of the fetched file is [0-9a-f]{64}, not that of/],
  ['with the text', { text: 'is well' }, contents, undefined],
  ['without the text', { text: 'is well' }, 'all is ill', /does not hold check\.content within its first 10 bytes$/],
  ['with all three', { size: 13, sha256, text: 'well' }, contents, undefined],
  ['that is too long to be hashed', { sha256 }, 'x'.repeat(101), /longer than the 100 bytes of check\.max_bytes/],
  ['that is as long as may be read', { size: 100 }, 'x'.repeat(100), undefined],
  ['whose text comes too late', { text: 'well' }, `${'x'.repeat(200_000)}well`, /does not hold check\.content/],
];
for (const [title, content, file, problem] of CONTENTS) {
  test(`a file ${title} ${problem ? 'fails at stage transfer' : 'passes'}`, async t => {
    const plan = { fetch: 'health.txt', content: { ...NOTHING, ...content }, maxBytes: 100 };
    const { result } = await check({ contents: file }, plan);
    if (problem === undefined) return passes(t, result);
    t.like(result, { ok: false, stage: 'transfer', life: 'speaks' });
    t.regex(result.ok ? '' : result.problem, problem);
  });
}

test('a text is found wherever the packets are cut, and only where it is', t => {
  const property = fc.property(fc.string({ unit: fc.constantFrom('a', 'b') }), fc.array(fc.nat(4)), (file, cuts) => {
    const plan = { ...NOTHING, text: 'abba' };
    let content = NO_CONTENT;
    let at = 0;
    for (const cut of [...cuts, file.length]) {
      content = contentAfter(content, Buffer.from(file.slice(at, at + cut)), plan);
      at += cut;
    }
    return content.found === file.includes('abba') && content.bytes === file.length && content.tail.length < 4;
  });
  t.notThrows(() => fc.assert(property, { numRuns: 500 }));
});

test('a greeting without the text of check.banner fails', async t => {
  passes(t, (await check({ greeting: '220-Hello\r\n220 ready\r\n' }, { banner: 'Hello' })).result);
  const { result } = await check({ greeting: '220-Hello\r\n220 ready\r\n' }, { banner: 'ACME' });
  t.like(result, { ok: false, stage: 'greeting', problem: 'the greeting does not hold "ACME" (check.banner)' });
});

test('the directory is entered before the transfer; one that cannot be entered fails at its own stage', async t => {
  const { result, server } = await check({}, { directory: 'pub/new', fetch: 'x' });
  passes(t, result);
  t.deepEqual(server.commands.slice(2), ['TYPE I', 'CWD pub/new', 'PASV', 'RETR x', 'QUIT']);
  const refused = await check({ on: { CWD: '550 No such directory.\r\n' } }, { directory: 'pub' });
  t.like(refused.result, { ok: false, stage: 'directory', words: '550 No such directory.' });
});

test('a probe file is stored and deleted; one that a crash left behind goes first, others stay', async t => {
  const upload = probeName('.probe', { node: 'alpha', service: 'ftp', server: 'fs1' });
  const files = new Map([
    ['.probe.alpha.ftp.fs1', 'of a crash'],
    ['.probe.beta.ftp.fs1', "the other router's"],
    ['.probe.alpha.ftp6.fs1', "the other service's"],
    ['.probe.alpha.ftp.fs2', "the other server's, on a disk that both share"],
  ]);
  const { result, server } = await check({ files }, { upload });
  passes(t, result);
  t.is(result.ok && result.bytes, 38, 'the bytes are those of the listing');
  const commands = ['PASV', 'LIST', `DELE ${upload}`, 'PASV', `STOR ${upload}`, `DELE ${upload}`, 'QUIT'];
  t.deepEqual(server.commands.slice(3), commands);
  t.deepEqual([...files.keys()], ['.probe.beta.ftp.fs1', '.probe.alpha.ftp6.fs1', '.probe.alpha.ftp.fs2']);
});

test('what is stored is the whole probe text', async t => {
  const files = new Map<string, string>();
  await check({ files, on: { QUIT: '221 bye\r\n' } }, { upload: 'p', data: 'epsv' });
  const { result } = await check({ files, on: { DELE: '550 No.\r\n' } }, { upload: 'p' });
  t.deepEqual([...files], [['p', PROBE_TEXT]]);
  t.like(result, { ok: false, stage: 'upload' });
  t.regex(result.ok ? '' : result.problem, /^the probe file p cannot be deleted \(550\); let user "anonymous" delete/);
});

const UPLOADS: readonly [title: string, script: Script, expected: object][] = [
  ['that may not be stored', { on: { STOR: '553 Could not create file.\r\n' } }, { stage: 'transfer' }],
  ['for which the disk is full', { final: '226 ok\r\n', on: { STOR: '452 No space.\r\n' } }, { stage: 'transfer' }],
];
for (const [title, script, expected] of UPLOADS) {
  test(`a probe file ${title} fails`, async t => {
    const { result } = await check(script, { upload: 'p' });
    t.like(result, { ok: false, life: 'speaks', ...expected });
    t.regex(result.ok ? '' : result.problem, /^STOR is answered with 45|^STOR is answered with 55/);
  });
}

test('active mode: the server connects to this router from the active port, and the listing comes', async t => {
  const activePort = await freePort();
  const { result, server } = await check({ activePort }, { data: 'active', activePort });
  passes(t, result);
  t.is(result.ok && result.bytes, 38);
  t.regex(server.commands[3] ?? '', /^PORT 127,0,0,1,\d+,\d+$/);
});

test('active mode on IPv6 uses EPRT', async t => {
  const activePort = await freePort();
  const six = '::1' as Address;
  const { result, server } = await check({ host: '::1', activePort }, { address: six, data: 'active', activePort });
  passes(t, result);
  t.regex(server.commands[3] ?? '', /^EPRT \|2\|::1\|\d+\|$/);
});

test('active data from another port than the active one fail, with the setting that mends it', async t => {
  const { result } = await check({}, { data: 'active' });
  t.like(result, { ok: false, stage: 'data-connect', misconfigured: true });
  t.regex(
    result.ok ? '' : result.problem,
    /^data of active mode come from port \d+, not 20, .*set connect_from_port_20=YES/,
  );
});

test('active data from a third host are not taken: only the server itself is', async t => {
  const activePort = await freePort();
  const { result } = await check({ activePort, stranger: 'first' }, { data: 'active', activePort });
  passes(t, result);
});

test('active mode that is refused, or whose data do not come, is misconfigured', async t => {
  const refused = await check({ on: { PORT: '500 Illegal PORT command.\r\n' } }, { data: 'active' });
  t.like(refused.result, { ok: false, stage: 'active', misconfigured: true });
  const blocked = await check({ on: { PORT: '200 ok\r\n', LIST: '425 Failed to connect.\r\n' } }, { data: 'active' });
  t.like(blocked.result, { ok: false, stage: 'data-connect', misconfigured: true });
  const silent = await check(
    { on: { PORT: '200 ok\r\n', LIST: '150 Here\r\n' } },
    { data: 'active', stageTimeoutMs: ms(300) },
  );
  t.like(silent.result, { ok: false, stage: 'data-connect', misconfigured: true });
  t.regex(
    silent.result.ok ? '' : silent.result.problem,
    /^no data connection from 127\.0\.0\.1 to 127\.0\.0\.1:\d+ \(active mode; does a firewall there or here drop it\?\) within/,
  );
});

test('active data from any port pass where nobody has said which port is the right one', async t => {
  const { result } = await check({}, { data: 'active', activePort: undefined });
  passes(t, result);
});

test('another active port than 20 is named with the setting that makes vsftpd use it', async t => {
  const { result } = await check({}, { data: 'active', activePort: 989 });
  t.regex(
    result.ok ? '' : result.problem,
    /not 989, .*set connect_from_port_20=YES and ftp_data_port=989 \(vsftpd\), RootRevoke off/,
  );
  const blocked = await check(
    { on: { PORT: '200 ok\r\n', LIST: '425 Failed to connect.\r\n' } },
    { data: 'active', activePort: 989 },
  );
  t.regex(blocked.result.ok ? '' : blocked.result.problem, /pass connections from its port 989$/);
});
