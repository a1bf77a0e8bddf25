// Checks of services that are not FTP against honest servers on loopback: Node's, Python's, OpenSSL's protocol by Node.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import test from 'ava';
import type { TlsPlan } from '../../src/nanny/check-plan.ts';
import { runPortCheck } from '../../src/nanny/io/port-check.ts';
import type { HttpAsked } from '../../src/nanny/plain-plan.ts';
import { beginPort, stepPort } from '../../src/nanny/port-check.ts';
import type { Address } from '../../src/units/address.ts';
import { type At, ms } from '../../src/units/duration.ts';
import { monotonicNow } from '../../src/units/io/clocks.ts';
import { freePort } from '../redis/redis-server.ts';
import { expired, makeCertificate } from './certificates.ts';
import {
  checkHere,
  checkOf,
  exchange,
  http,
  listening,
  outcomeHere,
  portPlanFor,
  startHttp,
  startStream,
} from './port-plan-for.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tandem-port-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
const GOOD = makeCertificate(folder, 'good', ['DNS:www.example'], 100);
const OLD = expired(folder, GOOD);
const TRUSTING: TlsPlan = { mode: 'implicit', name: 'www.example', ca: GOOD.cert, verify: 'chain' };

test('connect: a server that takes the connection passes, a closed port fails and shows no life', async t => {
  t.like(
    await checkOf(
      startStream(() => {}),
      {},
    ),
    { ok: true, bytes: 0 },
  );
  const closed = await checkHere(await freePort(), {});
  t.like(closed, { ok: false, stage: 'connect', life: 'none' });
  t.regex(closed.ok ? '' : closed.problem, /^127\.0\.0\.1:\d+ cannot be reached \(ECONNREFUSED\)$/);
});

test('a check comes from the address that it is given', async t => {
  let from: string | undefined;
  const server = startStream(socket => {
    from = socket.remoteAddress;
  });
  await checkOf(server, { origin: { source: '127.0.0.5' as Address, ports: undefined } });
  t.is(from, '127.0.0.5');
});

test('banner: what SSH says before its version string does not matter, what it is must come', async t => {
  const ssh = () => startStream(socket => socket.write('Authorised people only.\r\nSSH-2.0-OpenSSH_9.2p1\r\n'));
  const expect = (text: string) => ({ type: 'banner', expect: Buffer.from(text), maxBytes: 4_096 }) as const;
  t.like(await checkOf(ssh(), { asks: expect('SSH-2.0-') }), { ok: true });
  const any = await checkOf(ssh(), { asks: { type: 'banner', expect: undefined, maxBytes: 4_096 } });
  t.true(any.ok);
  const other = await checkOf(
    startStream(socket => socket.end('220 mail.example ESMTP\r\n')),
    { asks: expect('SSH-') },
  );
  t.like(other, { ok: false, stage: 'greeting', life: 'speaks', words: '220 mail.example ESMTP' });
  t.regex(other.ok ? '' : other.problem, /closes the connection: no greeting that holds check\.expect$/);
});

test('an answer is found that comes in pieces', async t => {
  const pieces = (socket: import('node:net').Socket) => {
    socket.setNoDelay();
    socket.once('data', () => {
      socket.write('+PO');
      setTimeout(() => socket.write('NG\r\n'), 30);
    });
  };
  const asks = exchange('PING\r\n', { expect: Buffer.from('+PONG') });
  t.like(await checkOf(startStream(pieces), { asks }), { ok: true, bytes: 7 });
});

test('send and expect: nothing is sent before the banner is there', async t => {
  const seen: string[] = [];
  const smtp = startStream(socket => {
    socket.on('data', bytes => {
      seen.push(String(bytes));
      socket.write('250 hello\r\n');
    });
    setTimeout(() => {
      seen.push('220');
      socket.write('220 ready\r\n');
    }, 50);
  });
  const asks = exchange('EHLO me\r\n', { banner: Buffer.from('220 '), expect: Buffer.from('250') });
  const result = await checkOf(smtp, { asks });
  t.true(result.ok, JSON.stringify(result));
  t.deepEqual(seen, ['220', 'EHLO me\r\n']);
  t.deepEqual(Object.keys(result.stagesMs ?? {}), ['connect', 'greeting', 'answer']);
});

test('what was sent is never told, not even when the server repeats it', async t => {
  const parrot = (before: string) => () =>
    startStream(socket => socket.on('data', bytes => socket.end(`${before}${bytes}`)));
  const asks = exchange('AUTH hunter2secret\r\n', { expect: Buffer.from('+OK') });
  const repeated = await checkOf(parrot('-ERR unknown command ')(), { asks });
  t.like(repeated, { ok: false, stage: 'answer', words: '' });
  const argument = startStream(socket => socket.on('data', () => socket.end("-ERR args: 'hunter2secret'\r\n")));
  t.notRegex(JSON.stringify(await checkOf(argument, { asks })), /hunter2/);
  const plain = startStream(socket => socket.on('data', () => socket.end('-ERR busy\r\n')));
  t.like(await checkOf(plain, { asks }), { words: '-ERR busy' });
  const file = startStream(socket => socket.on('data', () => socket.end('-ERR hun\r\n')));
  t.like(await checkOf(file, { asks: { ...asks, isSecret: true } }), { ok: false, words: '' });
});

test('nor is it decoded, amid other signs, or the part of it that has come; nor what follows the ? of a path', async t => {
  const asks = exchange('token=hunter%2Fsecret;x\r\n', { expect: Buffer.from('+OK') });
  for (const said of ['-ERR hunter/secret\r\n', '-ERR bad SECRET\r\n', '-ERR token=hunt'])
    t.like(
      await checkOf(
        startStream(socket => socket.once('data', () => socket.end(said))),
        { asks },
      ),
      { words: '' },
    );
  const page = { asks: http({ path: '/health?key=hunter%202&full' }) };
  for (const [reason, words] of [
    ['No key hunter%202', ''],
    ['No key hunter 2', ''],
    ['No key', '403 No key'],
  ] as const)
    t.like(
      await checkOf(
        startHttp((_, response) => response.writeHead(403, reason).end()),
        page,
      ),
      { words },
      reason,
    );
});

async function startUdp(answer: (text: Buffer) => Buffer | undefined) {
  const socket = createSocket('udp4');
  socket.on('message', (text, from) => {
    const said = answer(text);
    if (said) socket.send(said, from.port, from.address);
  });
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve));
  return { port: socket.address().port, close: () => new Promise<void>(resolve => socket.close(resolve)) };
}

test('UDP: one datagram goes, one answer decides; a closed port and silence show no life', async t => {
  const asks = exchange('\x12\x34ping', { expect: Buffer.from([0x12, 0x34]) });
  const udp = { protocol: 'udp', asks } as const;
  t.like(
    await checkOf(
      startUdp(text => text),
      udp,
    ),
    { ok: true, bytes: 6 },
  );
  const other = await checkOf(
    startUdp(() => Buffer.from('no')),
    udp,
  );
  t.like(other, { ok: false, stage: 'answer', life: 'speaks', problem: 'the answer does not hold check.expect' });
  const silent = await checkOf(
    startUdp(() => undefined),
    { ...udp, timeoutMs: ms(300) },
  );
  t.like(silent, { ok: false, stage: 'answer', life: 'none', problem: 'no answer within 300ms' });
  const closed = await checkHere(await freePort(), udp);
  t.like(closed, { ok: false, life: 'none' });
  t.regex(closed.ok ? '' : closed.problem, /^nobody listens at 127\.0\.0\.1:\d+ \(ECONNREFUSED\)$/);
});

test('UDP: what cannot be sent is a verdict at once, not silence', async t => {
  const asks = exchange('x'.repeat(70_000));
  const result = await checkHere(await freePort(), { protocol: 'udp', asks });
  t.like(result, { ok: false, stage: 'answer', life: 'none' });
  t.regex(result.ok ? '' : result.problem, /^127\.0\.0\.1:\d+ cannot be asked by UDP \(EMSGSIZE\)$/);
});

test('UDP: an answer from anybody else is none', async t => {
  const stranger = createSocket('udp4');
  await new Promise<void>(resolve => stranger.bind(0, '127.0.0.9', resolve));
  const server = createSocket('udp4');
  server.on('message', (_text, from) => stranger.send('spoof', from.port, from.address));
  await new Promise<void>(resolve => server.bind(0, '127.0.0.1', resolve));
  const result = await checkHere(server.address().port, { protocol: 'udp', asks: exchange('x'), timeoutMs: ms(300) });
  t.like(result, { ok: false, problem: 'no answer within 300ms' });
  stranger.close();
  server.close();
});

test('HTTP: the request says what it is asked to, and the status decides', async t => {
  const seen: IncomingMessage[] = [];
  const server = await startHttp((request, response) => {
    seen.push(request);
    const status = Number(request.url?.slice(1).split('?')[0]) || 200;
    response.writeHead(status, status === 301 ? { Location: '/elsewhere' } : {}).end('is well\n');
  });
  const get = (changes: Partial<HttpAsked>) => checkHere(server.port, { asks: http(changes) });
  t.like(await get({ path: '/?a=1', host: 'www.example' }), { ok: true, bytes: 8 });
  t.like(seen[0], { method: 'GET', url: '/?a=1', httpVersion: '1.1' });
  t.like(seen[0]?.headers, { host: 'www.example', connection: 'close', 'user-agent': 'tandem' });
  t.like(await get({ method: 'HEAD', path: '/204' }), { ok: true, bytes: 0 });
  t.is(seen[1]?.headers.host, `127.0.0.1:${server.port}`);
  t.like(await get({ path: '/503?token=secret1' }), {
    ...{ ok: false, stage: 'answer', life: 'speaks', words: '503 Service Unavailable' },
    problem: 'GET /503 is answered with 503, not 200-299',
  });
  const moved = await get({ path: '/301' });
  t.regex(moved.ok ? '' : moved.problem, /^GET \/301 is answered with 301, not 200-299; the check follows nowhere: /);
  t.is(seen.at(-1)?.url, '/301');
  const both = [
    { first: 200, last: 200 },
    { first: 301, last: 302 },
  ];
  t.true((await get({ path: '/301', statuses: both })).ok);
  t.regex(JSON.stringify(await get({ path: '/404', statuses: both })), /not 200, 301-302; if it serves by name/);
  await server.close();
});

test('HTTP: the body is compared by text, by length and by hash, also when it is chunked', async t => {
  const body = 'status: all is well\n'.repeat(1_000);
  const sha256 = createHash('sha256').update(body).digest('hex');
  const server = await startHttp((_request, response) => {
    response.write(body.slice(0, 7_777));
    setTimeout(() => response.end(body.slice(7_777)), 20);
  });
  const get = (content: Partial<HttpAsked['content']>, maxBytes = 65_536) =>
    checkHere(server.port, {
      asks: http({ content: { size: undefined, sha256: undefined, text: undefined, ...content }, maxBytes }),
    });
  t.like(await get({ text: 'all is well', sha256, size: 20_000 }), { ok: true, bytes: 20_000 });
  t.regex(JSON.stringify(await get({ text: 'all is lost' })), /the body of the answer does not hold check\.content/);
  t.regex(JSON.stringify(await get({ sha256: 'a'.repeat(64) })), /the SHA-256 of the body of the answer is/);
  t.regex(JSON.stringify(await get({ size: 19_999 })), /has 20000 bytes, not the 19999/);
  t.regex(JSON.stringify(await get({ sha256 }, 10_000)), /longer than the 10000 bytes of check\.max_bytes/);
  t.true((await get({ text: 'all is well' }, 100)).ok, 'what comes later is not waited for');
  await server.close();
});

test('a server of Python passes, with the file that it serves', async t => {
  writeFileSync(path.join(folder, 'health'), 'fine');
  const port = await freePort();
  const python = spawn('python3', ['-m', 'http.server', `${port}`, '--bind', '127.0.0.1', '--directory', folder], {
    stdio: 'ignore',
  });
  t.teardown(() => python.kill('SIGKILL'));
  const content = { size: 4, sha256: undefined, text: 'fine' };
  const asks = http({ path: '/health', content });
  const deadline = monotonicNow() + 60_000;
  let result = await checkHere(port, { asks });
  while (!result.ok && result.stage === 'connect' && monotonicNow() < deadline) {
    await new Promise(resolve => setTimeout(resolve, 100));
    result = await checkHere(port, { asks });
  }
  t.like(result, { ok: true, bytes: 4 }, JSON.stringify(result));
  t.like(await checkHere(port, { asks: http({ path: '/none' }) }), { ok: false, words: '404 File not found' });
});

test('HTTPS: within TLS, with the name of the certificate', async t => {
  const https = () => listening(createHttpsServer({ key: GOOD.key, cert: GOOD.cert }, (_, answer) => answer.end('hi')));
  const asks = http({ content: { size: undefined, sha256: undefined, text: 'hi' } });
  const good = await checkOf(https(), { tls: TRUSTING, asks });
  t.like(good, { ok: true, bytes: 2 }, JSON.stringify(good));
  t.true((good.certificate?.daysLeft ?? 0) > 98);
  t.deepEqual(Object.keys(good.stagesMs ?? {}), ['connect', 'tls', 'answer', 'body']);
  const plain = await checkOf(https(), { asks });
  t.like(plain, { ok: false, stage: 'answer' });
});

test('TLS: chain, name and end of the certificate, as FTP checks have them', async t => {
  const serve = (pair = GOOD) => listening(createTlsServer({ key: pair.key, cert: pair.cert }, socket => socket.end()));
  t.like(await checkOf(serve(), { tls: TRUSTING }), { ok: true });
  const wrong = await checkOf(serve(), { tls: { ...TRUSTING, name: 'mail.example' } });
  t.like(wrong, { ok: false, stage: 'tls', life: 'speaks', misconfigured: true });
  t.regex(wrong.ok ? '' : wrong.problem, /^its certificate is not for "mail\.example"/);
  t.like(await checkOf(serve(OLD), { tls: { ...TRUSTING, ca: OLD.cert, name: undefined } }), {
    ...{ ok: false, misconfigured: true },
  });
  const unseen = await checkOf(serve(OLD), { tls: { ...TRUSTING, verify: 'none' } });
  t.true(unseen.ok && (unseen.certificate?.daysLeft ?? 0) < -0.9);
  const plain = await checkOf(
    startStream(socket => socket.write('220 hello\r\n')),
    { tls: TRUSTING },
  );
  t.like(plain, { ok: false, stage: 'tls', life: 'none' });
  t.regex(plain.ok ? '' : plain.problem, /^the TLS handshake fails .*; if it speaks without TLS on this port/);
});

test('a banner within TLS, as IMAPS has it', async t => {
  const imaps = listening(
    createTlsServer({ key: GOOD.key, cert: GOOD.cert }, socket => socket.write('* OK ready\r\n')),
  );
  const asks = { type: 'banner', expect: Buffer.from('* OK'), maxBytes: 1_000 } as const;
  t.like(await checkOf(imaps, { tls: TRUSTING, asks }), { ok: true, bytes: 12 });
});

test('a check that is given up ends at once, and one that was never begun', async t => {
  const server = await startStream(() => {});
  const abort = new AbortController();
  const plan = portPlanFor({
    ...{ address: '127.0.0.1' as Address, port: server.port },
    asks: { type: 'banner', expect: undefined, maxBytes: 10 },
  });
  const running = runPortCheck(plan, { now: monotonicNow, signal: abort.signal });
  setTimeout(() => abort.abort(), 30);
  t.deepEqual(await running, { type: 'aborted' });
  t.deepEqual(await runPortCheck(plan, { now: monotonicNow, signal: abort.signal }), { type: 'aborted' });
  await server.close();
});

test('an address that is not this router’s is its own trouble, over TCP and UDP', async t => {
  const origin = { source: '192.0.2.77' as Address, ports: undefined };
  for (const protocol of ['tcp', 'udp'] as const)
    t.deepEqual(await outcomeHere(9, { protocol, origin, asks: exchange('x') }), {
      type: 'impossible',
      reason: 'this router cannot open a connection (EADDRNOTAVAIL)',
    });
});

test('a check that passes too slowly fails, by its stage or as a whole', t => {
  const slow = (slowFail: object) => {
    const { next } = beginPort(portPlanFor({ asks: exchange('x'), slowFail }), 0 as At);
    const sent = stepPort(next, { type: 'connected' }, 40 as At);
    const { effects } = stepPort(sent.next, { type: 'received', bytes: Buffer.from('y') }, 100 as At);
    const [effect] = effects;
    return effect?.type === 'finish' ? effect.result : undefined;
  };
  t.like(slow({ answer: 70 }), { ok: true, tookMs: 100, stagesMs: { connect: 40, answer: 60 } });
  t.like(slow({ answer: 50 }), { ok: false, stage: 'answer', life: 'speaks' });
  t.like(slow({ whole: 90 }), { ok: false, stage: 'answer' });
});
