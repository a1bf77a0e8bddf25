// Servers that mean no good, at every stage of a check of a service that is not FTP, over real sockets on loopback: whatever they
// do, the check ends in bounded time with a clear verdict, keeps little, and leaves no socket and no timer behind.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import type { Stage } from '../../src/config/check-stages.ts';
import type { TlsPlan } from '../../src/nanny/check-plan.ts';
import type { HttpAsked, PortPlan } from '../../src/nanny/plain-plan.ts';
import type { Failure } from '../../src/nanny/verdict.ts';
import { ms } from '../../src/units/duration.ts';
import { monotonicNow } from '../../src/units/io/clocks.ts';
import { makeCertificate } from './certificates.ts';
import { checkOf, exchange, http, listening } from './port-plan-for.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tandem-port-hostile-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
const PAIR = makeCertificate(folder, 'hostile', ['DNS:www.example'], 100);
const TLS: TlsPlan = { mode: 'implicit', name: 'www.example', ca: PAIR.cert, verify: 'chain' };

/** Longer than an honest step takes on a busy machine: rows with a hang last so long. */
const TIMEOUT_MS = 1_500;
const ROW_MS_MAX = TIMEOUT_MS + 20_000;
/** Far less than any flood here could fill in that time. */
const KEPT_BYTES_MAX = 100_000_000;

type Serve = (socket: Socket) => void;

const hang: Serve = () => {};
/** Not at once, or the client has not seen its connection yet. */
const reset: Serve = socket => void setTimeout(() => socket.resetAndDestroy(), 100);
const close: Serve = socket => socket.end();
/** Begins to serve when the client has said something. */
const onAsked =
  (serve: Serve): Serve =>
  socket =>
    socket.once('data', () => serve(socket));
const say =
  (text: string): Serve =>
  socket =>
    socket.write(text, 'latin1');
const sayAndClose =
  (text: string): Serve =>
  socket =>
    socket.end(text, 'latin1');
/** `before`, then `text` over and over, as fast as it is taken. */
function flood(before: string, text: string): Serve {
  return socket => {
    socket.write(before, 'latin1');
    const more = () => {
      while (!socket.destroyed && socket.write(text, 'latin1'));
    };
    socket.on('drain', more);
    more();
  };
}
/** Its last character is without end. */
function drip(text: string): Serve {
  return socket => {
    let at = 0;
    const timer = setInterval(() => socket.write(text.charAt(Math.min(at++, text.length - 1)), 'latin1'), 20);
    socket.on('close', () => clearInterval(timer));
  };
}

interface Row {
  readonly title: string;
  readonly serve: Serve;
  readonly plan?: Partial<PortPlan>;
  /** Speaks TLS itself. */
  readonly isSecure?: boolean;
  readonly stage: Stage;
  readonly life: Failure['life'];
  readonly problem: RegExp;
}

const HTTP = { asks: http() };
const TEXT: Partial<HttpAsked> = { content: { size: undefined, sha256: undefined, text: 'all is well' } };
const HASH: Partial<HttpAsked> = { content: { size: undefined, sha256: 'a'.repeat(64), text: undefined } };
const BANNER = { asks: { type: 'banner', expect: Buffer.from('SSH-2.0-'), maxBytes: 4_096 } } as const;
const PING = { asks: exchange('PING\r\n', { expect: Buffer.from('+PONG') }) };
const OK = 'HTTP/1.1 200 OK\r\n';
const garbage = '\x7f\x01garbage\xff'.repeat(1_000);

const row = (title: string, serve: Serve, stage: Stage, life: Failure['life'], problem: RegExp) => ({
  ...{ title, serve, stage, life, problem },
});
const all = (about: string, plan: Partial<PortPlan>, rows: readonly ReturnType<typeof row>[]): Row[] =>
  rows.map(each => ({ ...each, title: `${about}: ${each.title}`, plan }));

const ROWS: readonly Row[] = [
  ...all('banner', BANNER, [
    row('is silent', hang, 'greeting', 'silent', /^no greeting within 1500ms$/),
    row('resets', reset, 'greeting', 'none', /breaks the connection \(ECONNRESET\): no greeting$/),
    row('closes without a word', close, 'greeting', 'speaks', /closes the connection: no greeting$/),
    row('is endless', flood('', 'x'.repeat(100_000)), 'greeting', 'speaks', /^the first 4096 bytes of the greeting/),
    row('drips', drip('SSH-1.99'), 'greeting', 'speaks', /^no greeting that holds check\.expect within/),
    row('is of control characters', sayAndClose(garbage.slice(0, 900)), 'greeting', 'speaks', /closes the connection/),
  ]),
  ...all('send and expect', PING, [
    row('never answers', onAsked(hang), 'answer', 'silent', /^no answer within 1500ms$/),
    row('resets when asked', onAsked(reset), 'answer', 'none', /ECONNRESET/),
    row('closes when asked', onAsked(close), 'answer', 'speaks', /closes the connection: no answer$/),
    row(
      'floods',
      onAsked(flood('+PON', 'PON'.repeat(50_000))),
      'answer',
      'speaks',
      /^the first 4096 bytes of the answer/,
    ),
    row('half an answer', onAsked(say('+PON')), 'answer', 'speaks', /^no answer that holds check\.expect within/),
  ]),
  ...all('HTTP', HTTP, [
    row('never answers', onAsked(hang), 'answer', 'silent', /^no answer to GET \/ within 1500ms$/),
    row('resets when asked', onAsked(reset), 'answer', 'none', /ECONNRESET/),
    row('closes when asked', onAsked(close), 'answer', 'speaks', /closes the connection: no answer to GET \//),
    row('is no HTTP', onAsked(say('220 ftp ready\r\n')), 'answer', 'none', /^what comes is not HTTP \(HPE_/),
    row('is garbage', onAsked(flood('', garbage)), 'answer', 'none', /^what comes is not HTTP \(HPE_/),
    row(
      'has a status line of megabytes',
      onAsked(flood('HTTP/1.1 200 ', 'x'.repeat(1_000_000))),
      'answer',
      'none',
      /HPE_/,
    ),
    row(
      'has endless headers',
      onAsked(flood(OK, 'x: yyyyyyyyyyyyyyyy\r\n'.repeat(500))),
      'answer',
      'none',
      /HPE_HEADER_OVERFLOW/,
    ),
    row('drips headers', onAsked(drip(`${OK}x: y`)), 'answer', 'silent', /^no answer to GET \/ within/),
    row(
      'says endlessly that it goes on',
      onAsked(flood('', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100))),
      'answer',
      'none',
      /HPE_TOO_MANY_INTERIM/,
    ),
    row(
      'changes the protocol',
      onAsked(say('HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')),
      'answer',
      'speaks',
      /answered with 101, not 200-299/,
    ),
    row(
      'has two lengths',
      onAsked(say(`${OK}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`)),
      'answer',
      'none',
      /HPE_UNEXPECTED_CONTENT_LENGTH/,
    ),
    row(
      'has a length and chunks',
      onAsked(say(`${OK}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`)),
      'answer',
      'none',
      /HPE_/,
    ),
    row(
      'never ends its body',
      onAsked(say(`${OK}Content-Length: 9\r\n\r\nab`)),
      'body',
      'speaks',
      /^no end of the body after 2 bytes within/,
    ),
    row(
      'closes in its body',
      onAsked(sayAndClose(`${OK}Content-Length: 9\r\n\r\nab`)),
      'body',
      'speaks',
      /no end of the body after 2 bytes$/,
    ),
    row(
      'has a chunk of no size',
      onAsked(say(`${OK}Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n`)),
      'body',
      'speaks',
      /^what comes is not HTTP \(HPE_INVALID_CHUNK_SIZE/,
    ),
    row(
      'has a chunk longer than it says',
      onAsked(say(`${OK}Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n`)),
      'body',
      'speaks',
      /HPE_/,
    ),
    row(
      'has a chunk beyond all numbers',
      onAsked(say(`${OK}Transfer-Encoding: chunked\r\n\r\n${'f'.repeat(40)}\r\nab`)),
      'body',
      'speaks',
      /HPE_/,
    ),
    row(
      'promises a chunk and hangs',
      onAsked(say(`${OK}Transfer-Encoding: chunked\r\n\r\nff\r\nab`)),
      'body',
      'speaks',
      /^no end of the body after 2 bytes/,
    ),
    row(
      'has a chunk extension of megabytes',
      onAsked(flood(`${OK}Transfer-Encoding: chunked\r\n\r\n1;`, 'x'.repeat(100_000))),
      'body',
      'speaks',
      /HPE_/,
    ),
    row(
      'has endless trailers',
      onAsked(flood(`${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n`, 'x: y\r\n'.repeat(1_000))),
      'body',
      'speaks',
      /HPE_/,
    ),
  ]),
  ...all('HTTP with a text', { asks: http(TEXT) }, [
    row(
      'has an endless body without it',
      onAsked(flood(`${OK}\r\n`, 'all is '.repeat(10_000))),
      'body',
      'speaks',
      /does not hold check\.content within its first/,
    ),
  ]),
  ...all('HTTP with a hash', { asks: http(HASH) }, [
    row(
      'has an endless body',
      onAsked(flood(`${OK}\r\n`, 'x'.repeat(100_000))),
      'body',
      'speaks',
      /longer than the 65536 bytes/,
    ),
  ]),
  ...all('TLS', { tls: TLS }, [
    row('never shakes hands', hang, 'tls', 'silent', /^no end of the TLS handshake within/),
    row(
      'shakes half a hand',
      onAsked(say('\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03')),
      'tls',
      'silent',
      /^no end of the TLS/,
    ),
    row('is garbage', flood('', garbage), 'tls', 'none', /^the TLS handshake fails \(ERR_SSL/),
    // A record of type 21, two bytes: fatal, handshake_failure.
    row(
      'answers with an alert',
      onAsked(sayAndClose('\x15\x03\x03\x00\x02\x02\x28')),
      'tls',
      'speaks',
      /^the TLS handshake fails \(ERR_SSL_[\w/]*ALERT_HANDSHAKE_FAILURE\)/,
    ),
    row('resets', onAsked(reset), 'tls', 'none', /ECONNRESET/),
    row('closes', onAsked(close), 'tls', 'speaks', /the server closed the connection/),
  ]),
  ...all('HTTP within TLS', { tls: TLS, asks: http() }, [
    row('never answers', onAsked(hang), 'answer', 'speaks', /^no answer to GET \/ within/),
    row('is garbage', onAsked(flood('', garbage)), 'answer', 'speaks', /^what comes is not HTTP/),
    row('closes when asked', onAsked(close), 'answer', 'speaks', /closes the connection/),
  ]).map(each => ({ ...each, isSecure: true })),
];

function resources(): number {
  return process.getActiveResourcesInfo().filter(name => /^(TCP|UDP|Timeout|Immediate|TLS)/.test(name)).length;
}

function kept(): number {
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
}

async function tryRow(t: ExecutionContext, { serve, plan, isSecure, ...expected }: Row): Promise<void> {
  const [before, keptBefore] = [resources(), kept()];
  const quiet: Serve = socket => serve(socket.on('error', () => {}));
  const server = isSecure ? createTlsServer({ key: PAIR.key, cert: PAIR.cert }, quiet) : createServer(quiet);
  const startedAt = monotonicNow();
  let keptMost = 0;
  const watch = setInterval(() => {
    keptMost = Math.max(keptMost, kept() - keptBefore);
  }, 20);
  const result = await checkOf(listening(server), { timeoutMs: ms(TIMEOUT_MS), ...plan });
  clearInterval(watch);
  const elapsedMs = monotonicNow() - startedAt;
  if (result.ok) return t.fail(JSON.stringify(result));
  t.like(result, { stage: expected.stage, life: expected.life }, JSON.stringify(result));
  t.regex(result.problem, expected.problem);
  t.notRegex(`${result.problem}${result.words}`, /\p{Cc}/u);
  t.true([...result.words].length <= 200);
  t.true(elapsedMs < ROW_MS_MAX, `${elapsedMs} ms`);
  t.true(keptMost < KEPT_BYTES_MAX, `${keptMost} bytes were kept`);
  for (let turn = 0; turn < 100 && resources() > before; turn++) await new Promise(resolve => setImmediate(resolve));
  t.true(resources() <= before, `left behind: ${process.getActiveResourcesInfo()}`);
}

for (const each of ROWS)
  test.serial(`${each.title}: fails at stage ${each.stage}, in bounded time and memory`, t => tryRow(t, each));
