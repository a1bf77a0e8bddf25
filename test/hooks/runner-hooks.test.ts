// The hooks with a real runner behind a real socket: what a program, a page and a mailer are given, and what becomes of one that fails,
// hangs or is not root's. Needs root, as scripts do that only root may have written.
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { loadConfig } from '../../src/config/io/load.ts';
import { NOTHING_KEPT } from '../../src/hooks/hook-report.ts';
import { type Hooks, startHooks } from '../../src/hooks/io/hooks.ts';
import { EVENTS, type EventCode } from '../../src/log/catalogue.ts';
import type { Fields } from '../../src/log/event.ts';
import { RunnerConfig } from '../../src/runner/io/runner-config.ts';
import { createRunnerServer } from '../../src/runner/io/runner-server.ts';
import { monotonicNow, wallTime } from '../../src/units/io/clocks.ts';
import { until } from '../until.ts';

const BASE = `
pair: edge
routers: { r1: {}, r2: {} }
lans:
  client: { interface: eth0, addresses: { r1: 192.0.2.2/24, r2: 192.0.2.3/24 }, vips: [192.0.2.100] }
heartbeat: { links: [client] }
`;

interface Rig {
  readonly dir: string;
  readonly hooks: Hooks;
  readonly events: { code: EventCode; fields: Fields }[];
  happens(code: EventCode, fields?: Fields): void;
}

/** `hooks`: of the config, where DIR is the directory of the test. /var/lib is root's alone, as /tmp is not. */
async function rig(t: ExecutionContext, hooks: string, files: Record<string, string> = {}): Promise<Rig> {
  const dir = mkdtempSync('/var/lib/tandem-hooks-');
  chmodSync(dir, 0o755);
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(path.join(dir, name), text.replaceAll('DIR', dir));
    chmodSync(path.join(dir, name), 0o755);
  }
  const [file, socketPath] = [path.join(dir, 'tandem.yaml'), path.join(dir, 'runner.sock')];
  writeFileSync(file, `${BASE}hooks:\n${hooks.replaceAll('DIR', dir)}`);
  const events: Rig['events'] = [];
  const log = {
    event: (code: EventCode, fields: Fields = {}) => {
      const [said, known] = [fields, EVENTS[code].fields].map(names => Object.keys(names).sort().join());
      if (said !== known) throw new Error(`${code} has ${said}, and the catalogue ${known}`);
      events.push({ code, fields });
    },
  };
  const nodeOf = (routers: readonly string[]) => routers.find(name => name === 'r1');
  const config = new RunnerConfig({ configFile: file, nodeOf, log, now: monotonicNow });
  const { server, end } = createRunnerServer({ log, find: request => config.find(request) });
  server.listen(socketPath);
  await once(server, 'listening');
  const loaded = loadConfig(file);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.mistakes));
  const made = startHooks({
    ...{ config: loaded.config, node: 'r1', socketPath, now: monotonicNow, wall: wallTime, log },
    ...{ kept: NOTHING_KEPT, keep: () => undefined, onChange: () => undefined, owns: () => true, say: () => undefined },
  });
  t.teardown(() => {
    made.stop();
    end();
    server.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const happens = (code: EventCode, fields: Fields = {}) =>
    made.take({ at: '2026-11-29T19:00:00.000Z', process: 'director', code, fields });
  return { dir, hooks: made, events, happens };
}

const DOWN = { service: 'ftp', server: 'ftp1', problem: 'no "answer"\n$(id)' };

test('a program has the event on its standard input as one line of JSON, and in its environment', async t => {
  const script =
    '#!/bin/sh\ncat >> DIR/told\necho "$TANDEM_EVENT $TANDEM_SEVERITY $TANDEM_HOOK $TANDEM_ROUTER $1 $X" >> DIR/environment\n';
  const { dir, hooks, happens } = await rig(
    t,
    '  note: { severity: err, command: [DIR/note, "a b"], environment: { X: "7" } }\n',
    { note: script },
  );
  happens('SERVER_DOWN', DOWN);
  happens('SERVER_UP', { service: 'ftp', server: 'ftp1' });
  await until('both have got through', () => hooks.reports()[0]?.sent === 2);
  const told = readFileSync(path.join(dir, 'told'), 'utf8').trimEnd().split('\n');
  t.deepEqual(
    told.map(line => (JSON.parse(line) as { code: string }).code),
    ['SERVER_DOWN', 'SERVER_UP'],
  );
  t.like(JSON.parse(told[0] as string), { hook: 'note', fields: DOWN, dedup: 'edge/SERVER_DOWN/ftp/ftp1' });
  t.regex(readFileSync(path.join(dir, 'environment'), 'utf8'), /^SERVER_DOWN err note r1 a b 7\nSERVER_UP notice note/);
});

test('a program that reads nothing has been told all the same', async t => {
  const { hooks, happens } = await rig(t, '  note: { severity: err, command: [/bin/true] }\n');
  happens('SERVER_DOWN', { ...DOWN, problem: 'x'.repeat(1_000) });
  await until('it got through', () => hooks.reports()[0]?.sent === 1);
  t.is(hooks.reports()[0]?.outcome, 'exit status 0');
});

test('a program that fails is tried again until it takes it', async t => {
  const script = '#!/bin/sh\necho x >> DIR/tries\n[ "$(wc -l < DIR/tries)" -ge 3 ] || { echo "not yet"; exit 4; }\n';
  const { dir, hooks, events, happens } = await rig(
    t,
    '  note: { severity: err, command: [DIR/note], retry_after: 100ms }\n',
    { note: script },
  );
  happens('SERVER_DOWN', DOWN);
  await until('it got through', () => hooks.reports()[0]?.sent === 1);
  t.is(readFileSync(path.join(dir, 'tries'), 'utf8'), 'x\nx\nx\n');
  const retried = events.filter(({ code }) => code === 'HOOK_RETRIED');
  t.deepEqual(
    retried.map(({ fields }) => [fields.problem, fields.pauseMs]),
    [
      ['exit status 4: not yet', 100],
      ['exit status 4: not yet', 200],
    ],
  );
});

test('a program that hangs is ended at its time-out, and one that others may write is not run', async t => {
  const { dir, hooks, happens } = await rig(
    t,
    '  hangs: { severity: err, command: [/bin/sleep, "600"], timeout: 200ms, retries: 0 }\n' +
      '  open: { severity: err, command: [DIR/open], retries: 0 }\n',
    { open: '#!/bin/sh\ntouch DIR/was-run\n' },
  );
  chmodSync(path.join(dir, 'open'), 0o777);
  happens('SERVER_DOWN', DOWN);
  await until('both are lost', () => hooks.reports().every(({ lost }) => lost === 1));
  const [hangs, open] = hooks.reports();
  t.is(hangs?.outcome, 'not done within 200 ms');
  t.regex(open?.outcome ?? '', /open can be written by others than root: chmod go-w/);
  t.false(existsSync(path.join(dir, 'was-run')));
});

test('where no runner is, a message waits for the next try and says why', async t => {
  const { dir, hooks, events, happens } = await rig(t, '  note: { severity: err, command: [/bin/true] }\n');
  rmSync(path.join(dir, 'runner.sock'));
  happens('SERVER_DOWN', DOWN);
  await until('it was tried', () => events.length > 0);
  t.regex(
    hooks.reports()[0]?.outcome ?? '',
    /tandem-runner cannot be reached .*ENOENT.*systemctl status tandem-runner/,
  );
  t.is(hooks.reports()[0]?.waiting, 1);
});

interface Page {
  readonly url: string;
  readonly asked: { method: string; headers: IncomingMessage['headers']; body: string }[];
}

/** A real HTTP server on loopback; `answer` says what it does with each request. */
async function page(t: ExecutionContext, answer: (response: ServerResponse, n: number) => void): Promise<Page> {
  const asked: Page['asked'] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    asked.push({ method: `${request.method} ${request.url}`, headers: request.headers, body });
    answer(response, asked.length);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const secretFile = (dir: string, name: string, text: string, mode = 0o600) => {
  writeFileSync(path.join(dir, name), text);
  chmodSync(path.join(dir, name), mode);
};

test('a page has the event by POST, with the headers of a file that only root can read, and is tried again', async t => {
  const { url, asked } = await page(t, (response, n) => {
    response.writeHead(n === 1 ? 503 : 204);
    response.end(n === 1 ? 'Bearer tok-en-123 is too early\n' : '');
  });
  const { dir, hooks, events, happens } = await rig(
    t,
    `  chat: { severity: err, retry_after: 100ms, webhook: { url: "${url}/a?b=1", header_file: DIR/chat.header } }\n`,
  );
  secretFile(dir, 'chat.header', '# for chat\nAuthorization: Bearer tok-en-123\nX-Team: ftp\n');
  happens('SERVER_DOWN', DOWN);
  await until('it got through', () => hooks.reports()[0]?.sent === 1);
  t.is(asked.length, 2);
  t.like(asked[0], { method: 'POST /a?b=1', body: asked[1]?.body });
  t.like(asked[0]?.headers, {
    authorization: 'Bearer tok-en-123',
    'x-team': 'ftp',
    'content-type': 'application/json',
    'content-length': `${Buffer.byteLength(asked[0]?.body ?? '')}`,
  });
  t.like(JSON.parse(asked[0]?.body ?? ''), { code: 'SERVER_DOWN', hook: 'chat', fields: DOWN });
  t.is(hooks.reports()[0]?.outcome, 'HTTP 204');
  const retried = events.find(({ code }) => code === 'HOOK_RETRIED');
  t.is(retried?.fields.problem, 'HTTP 503: (secret) is too early');
});

test('an address that is a secret comes from a file; no answer is followed, and none is waited for longer than told', async t => {
  const elsewhere = await page(t, response => response.end());
  const { url, asked } = await page(t, (response, n) => {
    if (n > 1) return;
    response.writeHead(302, { location: elsewhere.url });
    response.end();
  });
  const { dir, hooks, happens } = await rig(
    t,
    '  moved: { events: [SERVER_DOWN], ends: false, retries: 0, timeout: 300ms, webhook: { url_file: DIR/url, header_file: DIR/header } }\n',
  );
  secretFile(dir, 'url', `${url}/services/T00/secret-part\n`);
  secretFile(dir, 'header', 'Authorization: Bearer tok-en-123\n');
  happens('SERVER_DOWN', DOWN);
  await until('it is lost', () => hooks.reports()[0]?.lost === 1);
  t.is(hooks.reports()[0]?.outcome, 'HTTP 302, which leads elsewhere and is not followed');
  happens('SERVER_DOWN', DOWN);
  await until('the next one, too', () => hooks.reports()[0]?.lost === 2);
  t.is(hooks.reports()[0]?.outcome, 'no answer within 300 ms');
  t.deepEqual(
    [asked.map(({ method }) => method), elsewhere.asked.length],
    [['POST /services/T00/secret-part', 'POST /services/T00/secret-part'], 0],
  );
});

test('a page that quotes a secret does not bring a part of it into an event, however its answer is cut', async t => {
  const token = 'T0K'.padEnd(75, 'abc');
  const { url } = await page(t, response => {
    response.writeHead(403);
    response.end(`${'x'.repeat(150)} Bearer ${token}\n${'y'.repeat(4_000)} ${token} ${'z'.repeat(4_030)}`);
  });
  const { dir, hooks, events, happens } = await rig(
    t,
    `  chat: { events: [SERVER_DOWN], ends: false, retries: 0, webhook: { url: "${url}/", header_file: DIR/header } }\n`,
  );
  secretFile(dir, 'header', `Authorization: Bearer ${token}\n`);
  happens('SERVER_DOWN', DOWN);
  await until('it is lost', () => hooks.reports()[0]?.lost === 1);
  t.regex(hooks.reports()[0]?.outcome ?? '', /^HTTP 403: x+/);
  for (const at of [0, 20, 50])
    t.notRegex(JSON.stringify([hooks.reports(), events]), new RegExp(token.slice(at, at + 20)));
});

test('a secret that others may read, is missing or is no header is not sent, and is not quoted', async t => {
  const { url, asked } = await page(t, response => response.end());
  const { dir, hooks, events, happens } = await rig(
    t,
    `${['open', 'none', 'wrong', 'own']
      .map(
        name =>
          `  ${name}: { severity: err, retries: 0, webhook: { url: "${url}/", header_file: DIR/${name}.header } }\n`,
      )
      .join('')}  refused: { severity: err, retries: 0, webhook: { url: "http://127.0.0.1:9/" } }\n`,
  );
  secretFile(dir, 'open.header', 'Authorization: tok-en-123\n', 0o644);
  secretFile(dir, 'wrong.header', 'tok-en-123\n');
  secretFile(dir, 'own.header', 'X-Token: tok-en-123\nHost: other.example\n');
  happens('SERVER_DOWN', DOWN);
  await until('all are lost', () => hooks.reports().every(({ lost }) => lost === 1));
  t.deepEqual(
    hooks.reports().map(({ outcome }) => outcome.replaceAll(dir, 'DIR')),
    [
      'DIR/open.header: its mode is 0644, so that others than its owner may use it; run: chmod 0600 DIR/open.header',
      'DIR/none.header: there is no such file; make it with mode 0600, or correct the path',
      'DIR/wrong.header: line 1 is no header; write "Name: value"',
      'DIR/own.header: line 2 sets a header that Tandem sets itself',
      'connect ECONNREFUSED 127.0.0.1:9',
    ],
  );
  t.notRegex(JSON.stringify([hooks.reports(), events]), /tok-en-123/);
  t.deepEqual(asked, []);
});

/** Records what a sendmail is given. */
const SENDMAIL = '#!/bin/sh\nprintf "%s\\n" "$*" "$(id -un)" >> DIR/arguments\ncat > DIR/mail\n';

test('a mailer has a mail as sendmail -t reads it, whatever an event says', async t => {
  const { dir, hooks, happens } = await rig(
    t,
    '  post: { events: [SERVER_DOWN], mail: { to: [oncall@example.net, root], from: tandem@example.net, sendmail: DIR/sendmail } }\n',
    { sendmail: SENDMAIL },
  );
  happens('SERVER_DOWN', { ...DOWN, words: 'x\r\nBcc: all@example.net\r\n\r\nboo' });
  await until('it got through', () => hooks.reports()[0]?.sent === 1);
  t.regex(readFileSync(path.join(dir, 'arguments'), 'utf8'), /^-i -t\n/);
  const [head = '', ...rest] = readFileSync(path.join(dir, 'mail'), 'utf8').split('\n\n');
  const headers = head.split('\n');
  t.deepEqual(
    headers.map(line => line.slice(0, line.indexOf(':'))),
    [
      ...['From', 'To', 'Subject', 'Date', 'Auto-Submitted', 'X-Tandem-Event', 'X-Tandem-Dedup'],
      ...['MIME-Version', 'Content-Type', 'Content-Transfer-Encoding'],
    ],
  );
  t.like(headers, {
    0: 'From: Tandem <tandem@example.net>',
    1: 'To: oncall@example.net, root',
    3: 'Date: Sun, 29 Nov 2026 19:00:00 +0000',
  });
  t.regex(headers[2] ?? '', /^Subject: \[edge\] err: r1: SERVER_DOWN service=ftp server=ftp1 /);
  const body = Buffer.from(rest.join('\n\n'), 'base64').toString();
  const text = headers.at(-1) === 'Content-Transfer-Encoding: base64' ? body : rest.join('\n\n');
  t.regex(text, /^SERVER_DOWN \(err\)\n[\s\S]*\nserver: ftp1\n[\s\S]*\ndedup: edge\/SERVER_DOWN\/ftp\/ftp1\n$/);
});

test('a mail beyond ASCII is encoded, in lines that every mailer takes', async t => {
  const { dir, hooks, happens } = await rig(
    t,
    '  post: { events: [SERVER_DOWN], mail: { to: [root], sendmail: DIR/sendmail } }\n',
    { sendmail: SENDMAIL },
  );
  happens('SERVER_DOWN', { ...DOWN, words: 'Größe überschritten '.repeat(50) });
  await until('it got through', () => hooks.reports()[0]?.sent === 1);
  const mail = readFileSync(path.join(dir, 'mail'), 'utf8');
  t.regex(mail, /^To: root\n/);
  t.regex(mail, /^Content-Transfer-Encoding: base64$/m);
  t.true(mail.split('\n').every(line => /^[\x20-\x7e]{0,200}$/.test(line)));
  const body = Buffer.from(mail.slice(mail.indexOf('\n\n')), 'base64').toString();
  t.regex(body, /words: Größe überschritten/);
});
