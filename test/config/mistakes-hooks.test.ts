// Mistakes about hooks.
import { type Edit, testCases } from './mistakes.ts';

/** SOUND with this hook, which is on line 47, and a sound one before it. */
function hook(about: string): Edit {
  const after = '      s2: { address: 198.51.100.12 }\n';
  return [after, `${after}hooks:\n  chat: { severity: err, command: [/bin/true] }\n  note: { ${about} }\n`];
}

const SOUND_HOOKS = [
  'events: [SERVER_DOWN, "NO_*", "ROLE_CHANGED to=active"], command: [/bin/true, "a b"], environment: { X: "1" }',
  'severity: debug, except: ["*_UP"], ends: false, command: [/bin/true], timeout: 2m, retries: 0, retry_after: 5m, queue: 1',
  'severity: err, webhook: { url: "https://alerts.example:8443/a?b=c", ca_file: /etc/ca.pem, header_file: /etc/a.header }',
  'severity: err, webhook: { url_file: /etc/tandem/chat.url }',
  'severity: err, webhook: { url: "http://127.0.0.1:9000/", header_file: /etc/a.header }',
  'severity: err, mail: { to: [root, a+b@example.net], from: tandem@example.net, sendmail: /usr/bin/msmtp }',
];

const URLS: readonly [url: string, told: string][] = [
  ['alerts.example/x', 'it is no http or https address; write one like https://alerts.example/tandem'],
  ['ftp://alerts.example/x', 'it is no http or https address; write one like https://alerts.example/tandem'],
  ['https:alerts.example', 'it is no http or https address; write one like https://alerts.example/tandem'],
  [
    'https://joe:word@alerts.example/',
    'it holds a name or password; write them into header_file ("Authorization: Basic …")',
  ],
  ['https://alerts.example/#x', 'a part after # is never sent; write it without'],
];

testCases([
  ...URLS.map(([url, told]) => ({
    mistake: `the address ${url}`,
    edits: [hook(`severity: err, webhook: { url: "${url}" }`)],
    told: [`47:42: error: ${told}`],
  })),
  {
    mistake: 'a webhook without an address, one with two',
    edits: [
      hook('severity: err, webhook: {}'),
      ['chat: {', 'two: { severity: err, webhook: { url: "http://a/", url_file: /b } }\n  chat: {'],
    ],
    told: [
      '46:64: error: this webhook has two addresses; delete url or url_file',
      '48:35: error: this webhook has no address; write url, or url_file',
    ],
  },
  {
    mistake: 'a secret header in the clear',
    edits: [hook('severity: err, webhook: { url: "http://alerts.example/", header_file: /etc/a.header }')],
    told: ['47:81: warning: what header_file says goes over the network unencrypted; write an https address'],
  },
  {
    mistake: 'two things, and an environment for neither',
    edits: [hook('severity: err, webhook: { url: "https://a/" }, mail: { to: [root] }, environment: { X: "1" }')],
    told: [
      '47:64: error: this hook has webhook and mail; write a hook for each',
      '47:93: error: only a command has an environment; delete it',
    ],
  },
  {
    mistake: 'what could mean something to a mailer',
    edits: [hook('severity: err, mail: { to: ["-oQ/tmp@example.net"] }')],
    told: [
      '47:39: error: "-oQ/tmp@example.net" is no mail address; write a mail address like oncall@example.net, or a local name like root',
    ],
  },
  ...SOUND_HOOKS.map(about => ({ mistake: `hook ${about}: nothing`, edits: [hook(about)], told: [] })),
  {
    mistake: 'an event that does not exist, nearly one that does',
    edits: [hook('events: [SERVER_DWON], command: [/bin/true]')],
    told: ['47:20: error: there is no event "SERVER_DWON"; did you mean "SERVER_DOWN"?'],
  },
  {
    mistake: 'a pattern that fits no event',
    edits: [hook('severity: err, except: ["FIREWALL*"], command: [/bin/true]')],
    told: ['47:35: error: there is no event "FIREWALL*"; see docs/reference/EVENTS.md'],
  },
  {
    mistake: 'a field that the event has not',
    edits: [hook('events: ["SERVER_DOWN sever=ftp1"], command: [/bin/true]')],
    told: ['47:20: error: SERVER_DOWN has no field "sever"; did you mean "server"?'],
  },
  {
    mistake: 'an event of hooks',
    edits: [hook('events: [HOOK_FAILED], command: [/bin/true]')],
    told: [
      '47:20: error: HOOK_FAILED never comes to a hook: hooks are told neither of events of hooks, which would go on for ever, nor of the runner’s; delete it',
    ],
  },
  {
    mistake: 'no pattern at all',
    edits: [hook('events: [server down], command: [/bin/true]')],
    told: [
      '47:20: error: "server down" names no event; write a code like SERVER_DOWN, one with * like SERVER_*, or one with fields like "ROLE_CHANGED to=active"',
    ],
  },
  {
    mistake: 'nothing is wanted',
    edits: [hook('command: [/bin/true]')],
    told: [
      '47:9: error: this hook is told of nothing; write events: [SERVER_DOWN, …], or severity: err for all of this severity and worse ones',
    ],
  },
  {
    mistake: 'nothing is done',
    edits: [hook('severity: err')],
    told: ['47:9: error: this hook does nothing; write command, webhook or mail'],
  },
  {
    mistake: 'a severity of another program',
    edits: [hook('severity: error, command: [/bin/true]')],
    told: [
      '47:21: error: "error" is not a choice for "severity"; did you mean "err"? (emerg, alert, crit, err, warning, notice, info or debug)',
    ],
  },
]);
