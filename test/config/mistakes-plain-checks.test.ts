// Mistakes about the checks of services that are not FTP.
import test from 'ava';
import { parseConfig } from '../../src/config/document.ts';
import { type Edit, SOUND, testCases } from './mistakes.ts';

/** SOUND with a second service of kind tcp and this check, which is on line 48. */
function web(check: string, ports = '80', kind = 'tcp'): Edit {
  const after = '      s2: { address: 198.51.100.12 }\n';
  const lines = [
    `kind: ${kind}`,
    `ports: ${ports}`,
    `check: { ${check} }`,
    'vip: 192.0.2.100',
    'servers_lan: servers',
    'mark: 80',
    'servers: { w1: { address: 198.51.100.13 } }',
  ];
  return [after, `${after}  web:\n${lines.map(line => `    ${line}\n`).join('')}`];
}

const SOUND_CHECKS = [
  'type: banner, expect: "SSH-2.0-", slow_warn: { greeting: 1s }',
  'type: send_expect, send: "PING\\r\\n", expect: +PONG, banner: hello, tls: implicit, tls_name: redis.example',
  'type: send_expect, send_hex: 0d 0a, expect_hex: 0D0A, port: 9000',
  'type: http, path: "/health?full=1", host: "www.example:8080", status: [200, 301-303], content: well, port: 8081',
  'type: http, method: HEAD, slow_fail: { answer: 1s, whole: 2s }',
  'type: http, tls: implicit, port: 443, slow_warn: { tls: 1s, body: 1s }',
  'type: tls, tls_name: www.example, tls_expiry_warn: 30d',
  'type: icmp, interval: 1s, timeout: 500ms, slow_warn: 100ms',
];

testCases([
  ...['type: connect, port: 8053', 'type: http, port: 8080', 'type: icmp', 'type: send_expect, send_hex: 2a'].map(
    check => ({
      ...{ mistake: `of UDP ${check}: nothing`, edits: [web(check, '53', 'udp')], told: [] },
    }),
  ),
  {
    mistake: 'a banner over UDP',
    edits: [web('type: banner', '53', 'udp')],
    told: ['48:20: error: "banner" is not a choice for "type"; write datagram, send_expect, connect, http or icmp'],
  },
  ...SOUND_CHECKS.map(check => ({ mistake: `${check}: nothing`, edits: [web(check)], told: [] })),
  {
    mistake: 'a type by the name that others have for it',
    edits: [web('type: HTTP_GET')],
    told: [
      '48:20: error: "HTTP_GET" is not a choice for "type"; did you mean "http"? (connect, banner, send_expect, http, tls or icmp)',
    ],
  },
  {
    mistake: 'the check of UDP by the name that keepalived has for it',
    edits: [web('type: UDP_CHECK', '53', 'udp')],
    told: [
      '48:20: error: "UDP_CHECK" is not a choice for "type"; did you mean "datagram"? (datagram, send_expect, connect, http or icmp)',
    ],
  },
  {
    mistake: 'a time of a check that waits for silence',
    edits: [web('type: datagram, slow_warn: 1s, slow_fail: { connect: 2s }', '53', 'udp')],
    told: [
      '48:41: error: check.slow_warn: a check of type datagram measures no time, as it waits for silence; delete it, or write type: send_expect',
      '48:56: error: check.slow_fail: a check of type datagram measures no time, as it waits for silence; delete it, or write type: send_expect',
    ],
  },
  {
    mistake: 'a time of the check that kind udp has without a word',
    edits: [web('slow_warn: 1s', '53', 'udp')],
    told: [
      '48:25: error: check.slow_warn: a check of type datagram measures no time, as it waits for silence; delete it, or write type: send_expect',
    ],
  },
  {
    mistake: 'a field of another type',
    edits: [web('type: icmp, port: 80')],
    told: [
      '48:26: error: unknown key "port"; delete it; known here: type, interval, interval_down, interval_changing, script, script_environment, manual_resume, timeout, slow_warn, slow_fail, rise, fall',
    ],
  },
  {
    mistake: 'a banner of a port that clients do not come to',
    edits: [web('type: banner, port: 22')],
    told: [
      '48:34: error: check.port 22 is no port of the service on its real servers, so its clients do not go there; write one of 80, or a check of type http or send_expect',
    ],
  },
  {
    mistake: 'nothing to send',
    edits: [web('type: send_expect')],
    told: [
      '48:20: error: a check of type send_expect sends nothing; add send, send_hex or send_file, or write type: banner',
    ],
  },
  {
    mistake: 'two things to send and to expect',
    edits: [web('type: send_expect, send: a, send_hex: 0a, expect: b, expect_hex: 0b')],
    told: [
      '48:52: error: check.send and check.send_hex say the same twice; delete send_hex',
      '48:79: error: check.expect and check.expect_hex say the same twice; delete expect_hex',
    ],
  },
  {
    mistake: 'a greeting that may be taken for the answer',
    edits: [web('type: send_expect, send: a, banner: "220 "')],
    told: [
      '48:50: error: with check.banner and no expect, the rest of the greeting counts as the answer to what is sent; add expect or expect_hex',
    ],
  },
  {
    mistake: 'bytes that are none, without quoting them',
    edits: [web('type: send_expect, send_hex: "hunter2"')],
    told: ['48:43: error: it is not hexadecimal; write pairs of digits, such as "0d 0a", at most 1024'],
  },
  {
    mistake: 'a text that is too long, without quoting it',
    edits: [web(`type: send_expect, send: ${'x'.repeat(1_025)}`)],
    told: ['48:39: error: it is too long; write at most 1024 characters'],
  },
  {
    mistake: 'a body of HEAD',
    edits: [web('type: http, method: HEAD, content: well')],
    told: [
      '48:49: error: check.content is about the body of the answer, and HEAD has none; write method: GET, or delete content',
    ],
  },
  {
    mistake: 'a size that is never read',
    edits: [web('type: http, size: 1000, max_bytes: 999')],
    told: [
      '48:32: error: check.size 1000 is more than the max_bytes 999 that are read; write max_bytes: 1000, or ask for a smaller page',
    ],
  },
  {
    mistake: 'a status beyond all',
    edits: [web('type: http, status: [200, 600]')],
    told: ['48:34: error: [200,600] is no status; write a status, a range like 200-299, or a list of up to 16'],
  },
  {
    mistake: 'a path that is none',
    edits: [web('type: http, path: "health page"')],
    told: ['48:32: error: it is no path; write one from / on, without blanks'],
  },
  {
    mistake: 'a name of a certificate that is not seen',
    edits: [web('type: http, tls_name: www.example')],
    told: [
      '48:36: error: check.tls_name is given, but the check is in the clear; write tls: implicit, or delete tls_name',
    ],
  },
  {
    mistake: 'authorities that are not asked',
    edits: [web('type: tls, tls_ca_file: /dev/null, tls_verify: none')],
    told: [
      '48:38: warning: check.tls_ca_file is not used with tls_verify: none; write tls_verify: chain, or delete tls_ca_file',
    ],
  },
  {
    mistake: 'HTTP in the clear on 443, and with TLS on 80',
    edits: [web('type: http', '443')],
    told: ['48:20: warning: the check asks port 443 in the clear, where servers begin with TLS; write tls: implicit'],
  },
  {
    mistake: 'HTTP with TLS on port 80',
    edits: [web('type: http, tls: implicit')],
    told: [
      '48:31: warning: the check begins with TLS on port 80, where servers begin in the clear; write tls: none, or port: 443',
    ],
  },
  {
    mistake: 'a time of a stage that the check has not',
    edits: [web('type: connect, slow_warn: { body: 1s }')],
    told: [
      '48:48: error: check.slow_warn.body: a check of type connect has no such stage here; write whole or connect',
    ],
  },
  {
    mistake: 'times that are never reached',
    edits: [web('type: banner, timeout: 2s, slow_warn: 1s, slow_fail: { whole: 1s, greeting: 2s }')],
    told: [
      '48:41: error: check.slow_warn 1s is never reached: slow_fail is 1s; write less than 1s',
      '48:90: error: check.slow_fail.greeting 2s is never reached: timeout is 2s; write less than 2s',
    ],
  },
]);

test('a check of HTTP asks for / and is content with 200 to 299', t => {
  const [from, to] = web('type: http');
  const parsed = parseConfig(SOUND.replace(from, to));
  if (!parsed.ok) return t.fail(JSON.stringify(parsed.mistakes));
  const check = parsed.config.services.web?.check;
  if (check === undefined || !('type' in check) || check.type !== 'http') return t.fail('it is of type http');
  t.like(check, { method: 'GET', path: '/', status: [{ first: 200, last: 299 }], tls: 'none' });
});
