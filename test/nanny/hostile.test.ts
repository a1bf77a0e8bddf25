// Servers that mean no good, at every stage of a check, over real sockets on loopback: whatever they do, the check ends in bounded
// time with a clear verdict, keeps little, and leaves no socket and no timer behind.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Stage } from '../../src/config/check-stages.ts';
import type { CheckPlan, TlsPlan } from '../../src/nanny/check-plan.ts';
import { runCheck } from '../../src/nanny/io/ftp-check.ts';
import type { Failure } from '../../src/nanny/verdict.ts';
import { ms } from '../../src/units/duration.ts';
import { monotonicNow } from '../../src/units/io/clocks.ts';
import { makeCertificate } from './certificates.ts';
import { type Script, startHostile } from './hostile-server.ts';
import { planHere } from './plan-for.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tandem-hostile-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
const PAIR = makeCertificate(folder, 'hostile', ['DNS:ftp.example'], 100);
const TLS: TlsPlan = { mode: 'explicit', name: 'ftp.example', ca: PAIR.cert, verify: 'chain' };
const IMPLICIT: TlsPlan = { ...TLS, mode: 'implicit' };
const SECURE = { mode: 'explicit', key: PAIR.key, cert: PAIR.cert } as const;

/** Longer than an honest step takes on a busy machine: rows with a hang last so long. */
const STAGE_MS = 1_500;
/** No row may take longer: each has one hang at most, and the machine may be busy. */
const ROW_MS_MAX = STAGE_MS + 20_000;
/** Far less than any flood here could fill in that time. */
const KEPT_BYTES_MAX = 100_000_000;

interface Row {
  readonly title: string;
  readonly script: Script;
  readonly plan?: Partial<CheckPlan>;
  readonly stage: Stage;
  readonly life: Failure['life'];
  readonly misconfigured?: boolean;
  readonly problem: RegExp;
}

const HANG = { kind: 'hang' } as const;
const CLOSE = { kind: 'close' } as const;
const RESET = { kind: 'reset' } as const;
const flood = (text: string) => ({ kind: 'flood', text }) as const;
/** The first bytes of a TLS record that says it is longer: half a ServerHello. */
const HALF_HELLO = '\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03';

const TLS_ROWS: readonly Row[] = [
  {
    title: 'is silent after AUTH TLS',
    ...{
      script: { on: { AUTH: HANG } },
      plan: { tls: TLS },
      stage: 'tls',
      life: 'speaks',
      problem: /^no answer to AUTH TLS/,
    },
  },
  {
    title: 'takes AUTH TLS and never shakes hands',
    ...{ script: { on: { AUTH: '234 go\r\n' } }, plan: { tls: TLS }, stage: 'tls', life: 'speaks' },
    problem: /^no end of the TLS handshake within/,
  },
  {
    title: 'shakes half a hand',
    ...{ script: { greeting: HALF_HELLO }, plan: { tls: IMPLICIT }, stage: 'tls', life: 'silent' },
    problem: /^no end of the TLS handshake within/,
  },
  {
    // A record of type 21, two bytes: fatal, handshake_failure.
    title: 'answers a handshake with an alert',
    ...{ script: { greeting: '\x15\x03\x03\x00\x02\x02\x28' }, plan: { tls: IMPLICIT }, stage: 'tls', life: 'speaks' },
    problem: /^the TLS handshake fails \(ERR_SSL_[\w/]*ALERT_HANDSHAKE_FAILURE\)/,
  },
  {
    title: 'drips a handshake',
    ...{ script: { greeting: { kind: 'drip', text: HALF_HELLO, everyMs: 20 } }, plan: { tls: IMPLICIT } },
    ...{ stage: 'tls', life: 'silent', problem: /./ },
  },
  {
    title: 'answers a handshake with endless garbage',
    ...{
      script: { greeting: flood('\x7f\x01garbage'.repeat(1_000)) },
      plan: { tls: IMPLICIT },
      stage: 'tls',
      life: 'none',
    },
    problem: /^the TLS handshake fails \(ERR_SSL/,
  },
  {
    title: 'resets in the handshake',
    ...{
      script: { on: { AUTH: { kind: 'reset' } } },
      plan: { tls: TLS },
      stage: 'tls',
      life: 'speaks',
      problem: /ECONNRESET/,
    },
  },
  {
    title: 'never answers PBSZ',
    ...{ script: { tls: SECURE, on: { PBSZ: HANG } }, plan: { tls: TLS }, stage: 'login', life: 'speaks' },
    problem: /^no answer to PBSZ 0/,
  },
  {
    title: 'refuses PROT P',
    ...{ script: { tls: SECURE, on: { PROT: '534 No.\r\n' } }, plan: { tls: TLS }, stage: 'login', life: 'speaks' },
    problem: /^PROT P is answered with 534/,
  },
  {
    title: 'floods replies within TLS',
    ...{ script: { tls: SECURE, on: { USER: flood(`331-${'x'.repeat(900)}\r\n`) } }, plan: { tls: TLS } },
    ...{ stage: 'login', life: 'speaks', problem: /more than 65536 bytes/ },
  },
  {
    title: 'sends data in the clear after PROT P',
    ...{ script: { tls: SECURE, isDataPlain: true }, plan: { tls: TLS }, stage: 'transfer', life: 'speaks' },
    problem: /^the data connection breaks after 0 bytes \(ERR_SSL_WRONG_VERSION_NUMBER\)/,
  },
  {
    title: 'never ends the data within TLS',
    ...{ script: { tls: SECURE, data: 'hang' }, plan: { tls: TLS }, stage: 'transfer', life: 'speaks' },
    problem: /^no end of the data after 0 bytes/,
  },
];

const PLAIN_ROWS: readonly Row[] = [
  {
    title: 'has an endless banner',
    ...{
      script: { greeting: flood(`220-${'x'.repeat(100)}\r\n`) },
      stage: 'greeting',
      life: 'speaks',
      problem: /more than 65536 bytes/,
    },
  },
  {
    title: 'sends a line of megabytes',
    ...{ script: { greeting: flood('x'.repeat(1_000_000)) }, stage: 'greeting', life: 'none', problem: /65536 bytes/ },
  },
  {
    title: 'sends a line of megabytes in mid-transfer',
    ...{
      script: { data: 'hang', on: { LIST: flood(`150 ${'x'.repeat(1_000_000)}`) } },
      stage: 'transfer',
      life: 'speaks',
    },
    problem: /65536 bytes/,
  },
  {
    title: 'sends replies without end',
    ...{
      script: { greeting: flood('120 wait\r\n') },
      stage: 'greeting',
      life: 'speaks',
      problem: /more than 65536 bytes/,
    },
  },
  {
    title: 'sends NULs and control characters',
    ...{ script: { greeting: '220 \0\x1b[2J\x07hi\r\n', on: { USER: '530 \x1b]0;x\x07\r\n' } } },
    ...{ stage: 'login', life: 'speaks', problem: /USER is answered with 530/ },
  },
  {
    title: 'answers a directory with the wrong code',
    ...{ script: { on: { CWD: '331 hm\r\n' } }, plan: { directory: 'pub' }, stage: 'directory', life: 'speaks' },
    problem: /^CWD pub is answered with 331, not 250/,
  },
  {
    title: 'hangs at the directory',
    ...{
      script: { on: { CWD: HANG } },
      plan: { directory: 'pub' },
      stage: 'directory',
      life: 'speaks',
      problem: /^no answer to CWD/,
    },
  },
  {
    title: 'announces a third host',
    ...{ script: { announce: '127.0.0.7' }, stage: 'passive', life: 'speaks', misconfigured: true },
    problem: /^PASV announces 127\.0\.0\.7, not 127\.0\.0\.1/,
  },
  {
    title: 'announces a third host in 229',
    ...{ script: { on: { EPSV: '229 ok (|1|127.0.0.7|%PORT%|)\r\n' } }, plan: { data: 'epsv' } },
    ...{ stage: 'passive', life: 'speaks', problem: /malformed/ },
  },
  {
    title: 'announces a port of the system',
    ...{
      script: { on: { PASV: '227 ok (127,0,0,1,0,22)\r\n' } },
      stage: 'passive',
      life: 'speaks',
      misconfigured: true,
    },
    problem: /^PASV announces port 22, outside/,
  },
  {
    title: 'refuses data',
    ...{
      script: { isDataPortClosed: true },
      stage: 'data-connect',
      life: 'speaks',
      misconfigured: true,
      problem: /ECONNREFUSED/,
    },
  },
  {
    title: 'resets data',
    ...{
      script: { data: 'reset' },
      stage: 'transfer',
      life: 'speaks',
      problem: /breaks after \d+ bytes \(ECONNRESET\)/,
    },
  },
  {
    title: 'never ends its data',
    ...{ script: { data: 'drip' }, stage: 'transfer', life: 'speaks', problem: /^no end of the data after \d+ bytes/ },
  },
  {
    title: 'sends an endless file where a hash is wanted',
    ...{
      script: { data: 'endless', final: '426 cut\r\n' },
      plan: { fetch: 'x', maxBytes: 1_000_000, content: { size: undefined, sha256: 'a', text: 'b' } },
    },
    ...{ stage: 'transfer', life: 'speaks', problem: /longer than the 1000000 bytes/ },
  },
  {
    title: 'never confirms the end',
    ...{ script: { final: HANG }, stage: 'complete', life: 'speaks', problem: /^no 226 after 38 bytes/ },
  },
  {
    title: 'closes instead of confirming',
    ...{
      script: { final: CLOSE },
      stage: 'complete',
      life: 'speaks',
      problem: /^the server closed the connection: no 226/,
    },
  },
  {
    title: 'resets at the login',
    ...{ script: { on: { USER: RESET } }, stage: 'login', life: 'speaks', problem: /ECONNRESET/ },
  },
];

const UPLOAD_ROWS: readonly Row[] = [
  {
    title: 'hangs at the deletion of a leftover',
    ...{
      script: { on: { DELE: HANG } },
      plan: { upload: 'p' },
      stage: 'upload',
      life: 'speaks',
      problem: /^no answer to DELE/,
    },
  },
  {
    title: 'never takes the upload',
    ...{
      script: { on: { STOR: HANG } },
      plan: { upload: 'p' },
      stage: 'transfer',
      life: 'speaks',
      problem: /150\) to STOR/,
    },
  },
  {
    title: 'sends data where it should take them',
    ...{ script: { data: 'endless', final: '226 ok\r\n' }, plan: { upload: 'p', maxBytes: 100 } },
    ...{ stage: 'complete', life: 'speaks', problem: /^the server sends data where it should take them/ },
  },
  {
    title: 'hangs at PORT',
    ...{
      script: { on: { PORT: HANG } },
      plan: { data: 'active' },
      stage: 'active',
      life: 'speaks',
      problem: /^no answer to PORT/,
    },
  },
  {
    title: 'connects from a port of its choice in active mode, after a stranger',
    ...{
      script: { stranger: 'first' },
      plan: { data: 'active', activePort: 1 },
      stage: 'data-connect',
      life: 'speaks',
    },
    ...{ misconfigured: true, problem: /^data of active mode come from port \d+, not 1/ },
  },
  {
    title: 'never connects in active mode, while a stranger does',
    ...{ script: { stranger: 'only', on: { LIST: '150 wait\r\n' } }, plan: { data: 'active' }, stage: 'data-connect' },
    ...{
      life: 'speaks',
      misconfigured: true,
      problem: /^no data connection from 127\.0\.0\.1 to 127\.0\.0\.1:\d+ \(active/,
    },
  },
];

/** Sockets and timers of this process, the pipes to ava left out. */
function resources(): number {
  return process.getActiveResourcesInfo().filter(name => /^(TCP|Timeout|Immediate|TLS)/.test(name)).length;
}

function kept(): number {
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
}

/** Somebody listens at a third host on every port that a server here announces: nobody may come. */
async function thirdHost(): Promise<{ readonly server: Server; readonly visits: () => number; readonly port: number }> {
  let visits = 0;
  const server = createServer(socket => {
    visits += 1;
    socket.destroy();
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.7', resolve));
  const bound = server.address();
  return { server, visits: () => visits, port: typeof bound === 'object' && bound ? bound.port : 0 };
}

async function tryRow(t: ExecutionContext, { script, plan = {}, ...expected }: Row): Promise<void> {
  const [before, keptBefore] = [resources(), kept()];
  const server = await startHostile(script);
  const times = { timeoutMs: ms(10_000), stageTimeoutMs: ms(STAGE_MS) };
  const startedAt = monotonicNow();
  let keptMost = 0;
  const watch = setInterval(() => {
    keptMost = Math.max(keptMost, kept() - keptBefore);
  }, 20);
  const outcome = await runCheck(planHere(server.port, { ...times, ...plan }), {
    now: monotonicNow,
  });
  clearInterval(watch);
  const elapsedMs = monotonicNow() - startedAt;
  await server.close();
  if (outcome.type !== 'result' || outcome.result.ok) return t.fail(JSON.stringify(outcome));
  const { result } = outcome;
  t.like(result, { stage: expected.stage, life: expected.life }, JSON.stringify(result));
  t.is(result.misconfigured ?? false, expected.misconfigured ?? false);
  t.regex(result.problem, expected.problem);
  t.notRegex(`${result.problem}${result.words}`, /\p{Cc}/u);
  t.true([...result.words].length <= 200);
  t.true(elapsedMs < ROW_MS_MAX, `${elapsedMs} ms`);
  t.true(keptMost < KEPT_BYTES_MAX, `${keptMost} bytes were kept`);
  for (let turn = 0; turn < 100 && resources() > before; turn++) await new Promise(resolve => setImmediate(resolve));
  t.true(resources() <= before, `left behind: ${process.getActiveResourcesInfo()}`);
}

for (const row of [...PLAIN_ROWS, ...TLS_ROWS, ...UPLOAD_ROWS]) {
  test.serial(`a server that ${row.title} fails at stage ${row.stage}, in bounded time and memory`, t =>
    tryRow(t, row),
  );
}

test.serial('a third host that is announced, by 227 or 229, is never connected to', async t => {
  const third = await thirdHost();
  const [high, low] = [third.port >> 8, third.port & 255];
  const rows = [
    { script: { on: { PASV: `227 ok (127,0,0,7,${high},${low})\r\n` } }, plan: {} },
    { script: { on: { EPSV: `229 ok (|1|127.0.0.7|${third.port}|)\r\n` } }, plan: { data: 'epsv' as const } },
    { script: { on: { EPSV: `229 ok (|||${third.port}|)\r\n` } }, plan: { data: 'epsv' as const } },
  ];
  for (const { script, plan } of rows) {
    const server = await startHostile(script);
    const times = { timeoutMs: ms(10_000), stageTimeoutMs: ms(STAGE_MS) };
    const outcome = await runCheck(planHere(server.port, { ...times, ...plan }), { now: monotonicNow });
    t.like(outcome, { type: 'result', result: { ok: false } });
    await server.close();
  }
  t.is(third.visits(), 0);
  await new Promise(resolve => third.server.close(resolve));
});
