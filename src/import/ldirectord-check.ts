// How an ldirectord.cf has the servers of a virtual checked. Pure. Source: ldirectord.in of
// ClusterLabs' resource-agents (check_* and the defaults of read_config).
import type { Address } from '../units/address.ts';
import type { Directive } from './directive.ts';
import type { Notes } from './note.ts';
import { decimal, portOf } from './numbers.ts';
import type { OldCheck } from './old-config.ts';
import { type Draft, FillIn } from './placeholder.ts';
import { dnsProbe, httpProbe, MAY_BE_SECRET, type Probe, plainText, sendProbe, smtpProbe } from './probes.ts';
import { RUNNER } from './script-draft.ts';

const CONNECT_S = 5;
const NEGOTIATE_S = 30;
const INTERVAL_S = 10;

/** Of ldirectord 4.12; its own check of another one is a patch. */
const SERVICES: ReadonlySet<string> = new Set(
  'dns ftp http https http_proxy imap imaps ldap ldaps mysql nntp none oracle pop pops radius pgsql sip smtp submission simpletcp'.split(
    ' ',
  ),
);

interface CheckAround {
  readonly name: string;
  readonly checktype: string;
  readonly kind: string;
  readonly isUdp: boolean;
  readonly value: (word: string) => string | undefined;
  readonly last: (word: string) => Directive | undefined;
  readonly head: { readonly vip: Address | undefined; readonly port: number; readonly mark: number | undefined };
  readonly block: Directive;
  readonly notes: Notes;
  readonly path: readonly string[];
}

export function unquoted(text: string): string {
  return text
    .trim()
    .replace(/^"(.*)"$/, '$1')
    .replace(/^'(.*)'$/, '$1');
}

export function readLdirectordCheck(around: CheckAround): OldCheck {
  const { checktype, kind, value, last, head, block } = around;
  const seconds = (word: string) => decimal(/^\d+/.exec(unquoted(value(word) ?? ''))?.[0]) || undefined;
  const isConnect = checktype === 'connect';
  const timeoutS = isConnect
    ? (seconds('checktimeout') ?? seconds('negotiatetimeout') ?? CONNECT_S)
    : (seconds('negotiatetimeout') ?? seconds('checktimeout') ?? NEGOTIATE_S);
  const { type, probe, script } = whatIsAsked(around);
  unusedNotes(around);
  const request = text(around, 'request');
  const isFtp = type === 'ftp';
  if (isFtp) ftpNotes(around);
  return {
    type,
    probe,
    script,
    intervalS: seconds('checkinterval') ?? INTERVAL_S,
    timeoutS,
    rise: 1,
    fall: seconds('failurecount') ?? 1,
    port: portOf(unquoted(value('checkport') ?? '')) || (kind === 'ftp' && head.port === 0 ? 21 : undefined),
    retryS: undefined,
    login: isFtp && (last('login') !== undefined || last('passwd') !== undefined),
    fetch: isFtp && request !== '' && request.length <= 255 ? fetched(request) : undefined,
    at: last('checktype') ?? last('service') ?? block,
  };
}

function text({ last }: CheckAround, word: string): string {
  return unquoted(last(word)?.words[0] ?? '');
}

function fetched(request: string): Draft {
  return MAY_BE_SECRET.test(request) ? new FillIn('the file that is fetched', 'pub/health.txt') : request;
}

type Asked = Pick<OldCheck, 'type' | 'probe' | 'script'>;

function asked(type: OldCheck['type'], probe?: Probe): Asked {
  return { type, probe, script: undefined };
}

function whatIsAsked(around: CheckAround): Asked {
  const { checktype, kind, last, block, head, notes, path } = around;
  if (!SERVICES.has(kind))
    notes.changed(last('service'), 'ldirectord knows no such service unless it is patched, and ends', path);
  const at = last('checktype') ?? last('service') ?? block;
  if (/^\d+$/.test(checktype))
    notes.changed(at, `of ${checktype} checks only the last one asked for an answer; here each does`, path);
  if (checktype === 'connect') return asked('connect');
  if (checktype === 'on') {
    notes.changed(at, 'the servers were always used; Tandem checks them', path);
    return asked('none');
  }
  if (checktype === 'ping') return asked('other', { type: 'icmp' });
  if (checktype.startsWith('external')) return external(around, at);
  if (kind === 'ftp') return asked('ftp');
  if (kind === 'none') {
    notes.changed(
      head.mark === undefined ? at : block,
      'nothing was checked; Tandem sees whether servers take connections',
      path,
    );
    return asked('none');
  }
  const probe = negotiated(around, at);
  if (probe === undefined)
    notes.changed(at, 'Tandem has no check of this service: the port is checked, and check.script can do more', path);
  return asked('other', probe);
}

/** It had its arguments from ldirectord: the program cannot be run as it is. */
function external({ name, checktype, last, notes, path }: CheckAround, at: Directive): Asked {
  const command = last('checkcommand');
  if (checktype !== 'external' || command === undefined) {
    notes.lost(command ?? at, 'code in Perl, or no checkcommand: write a program of your own (check.script)', path);
    return asked('other');
  }
  const known = /^(\/[\w./-]{1,200})\s*$/.exec(unquoted(command.words[0] ?? ''))?.[1] ?? 'the program';
  notes.changed(
    command,
    `it was given VIP, port, server and its port as arguments; a script of Tandem has TANDEM_VIP, TANDEM_PORT and TANDEM_ADDRESS. ${RUNNER}`,
    path,
  );
  const script = [new FillIn(`a script that calls ${known} with these variables`, `/etc/tandem/checks/${name}`)];
  return { type: 'other', probe: undefined, script };
}

const GREETINGS: Readonly<Record<string, Probe>> = {
  pop: { type: 'banner', expect: '+OK' },
  pops: { type: 'banner', expect: '+OK', tls: 'implicit' },
  imap: { type: 'banner', expect: '* OK' },
  imaps: { type: 'banner', expect: '* OK', tls: 'implicit' },
  nntp: { type: 'banner', expect: '20' },
};

function negotiated(around: CheckAround, at: Directive): Probe | undefined {
  const { name, kind, isUdp, notes, path } = around;
  if (kind === 'http' || kind === 'https') return page(around, at);
  if (kind === 'smtp' || kind === 'submission') return smtpProbe(undefined);
  if (Object.hasOwn(GREETINGS, kind)) return GREETINGS[kind];
  if (kind === 'dns') {
    const probe = dnsProbe(text(around, 'request') || '.', 'A', !isUdp);
    if (probe !== undefined) notes.changed(at, 'any answer passes, whatever its status (RCODE)', path);
    return probe;
  }
  if (kind === 'simpletcp' && !isUdp) {
    const expect = received(around);
    // Without a request the server speaks first.
    return text(around, 'request') === '' ? { type: 'banner', expect } : sendProbe(name, { expect });
  }
  return undefined;
}

function page(around: CheckAround, at: Directive): Probe {
  const { kind, value, notes, path } = around;
  notes.changed(at, 'ldirectord followed redirections; here the page itself has a status of 200 to 299', path);
  const request = text(around, 'request').replace(/^https?:\/\/[^/]*/, '');
  return httpProbe({
    path: `/${request.replace(/^\/+/, '')}`,
    host: unquoted(value('virtualhost') ?? '') || undefined,
    method: unquoted(value('httpmethod') ?? '').toUpperCase() === 'HEAD' ? 'HEAD' : 'GET',
    isTls: kind === 'https',
    content: received(around),
  });
}

/** What the answer holds, if it is no more than a text. */
function received(around: CheckAround): string | undefined {
  const { last, notes, path } = around;
  const pattern = text(around, 'receive');
  const plain = plainText(pattern);
  if (pattern !== '' && plain === undefined)
    notes.lost(last('receive'), 'regular expressions have no counterpart: write a plain text', path);
  return plain;
}

/** Lines that no check of this kind reads. */
function unusedNotes({ checktype, kind, isUdp, last, notes, path }: CheckAround): void {
  const isNegotiated = /^(negotiate|\d+)$/.test(checktype);
  const isPage = isNegotiated && (kind === 'http' || kind === 'https');
  const isFtp = isNegotiated && kind === 'ftp';
  const isText = isNegotiated && kind === 'simpletcp' && !isUdp;
  const read: Readonly<Record<string, boolean>> = {
    request: isPage || isFtp || isText || (isNegotiated && kind === 'dns'),
    receive: isPage || isFtp || isText,
    login: isFtp,
    passwd: isFtp,
    virtualhost: isPage,
    httpmethod: isPage,
    checkcommand: checktype.startsWith('external'),
  };
  for (const [word, isRead] of Object.entries(read)) {
    const line = last(word);
    if (line === undefined || isRead) continue;
    if (isNegotiated && word !== 'checkcommand') notes.lost(line, 'the check that is written does not use it', path);
    else notes.unneeded(line, 'with this checktype ldirectord did not use it', path);
  }
  if (isText && last('request') !== undefined)
    notes.changed(last('request'), 'an import does not show it: write it into check.send_file', path);
}

function ftpNotes({ last, notes, path }: CheckAround): void {
  const [login, passwd, receive, request] = ['login', 'passwd', 'receive', 'request'].map(last);
  if (MAY_BE_SECRET.test(request?.words[0] ?? ''))
    notes.changed(request, 'an import does not show it: write it into check.fetch', path);
  if (login !== undefined) notes.changed(login, 'an import does not show it: write it into check.user', path);
  if (passwd !== undefined)
    notes.changed(
      passwd,
      'an import does not show it: write it into the file check.password_file, root only (mode 0600)',
      path,
    );
  if (receive !== undefined)
    notes.changed(
      receive,
      'it was a regular expression on the fetched file: check.content is a plain text, write it there',
      path,
    );
}
