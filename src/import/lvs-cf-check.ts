// How an lvs.cf has the servers of a virtual checked. Pure. Source: nanny.c of Piranha 0.8: what is
// expected is compared with the beginning of the answer, and `*` is anything.

import { withoutControls } from './controls.ts';
import type { Directive } from './directive.ts';
import type { Notes } from './note.ts';
import { baseZero } from './numbers.ts';
import type { OldCheck } from './old-config.ts';
import { FillIn } from './placeholder.ts';
import { ANY_STATUS, httpProbe, type Probe, plainText, sendProbe } from './probes.ts';
import { RUNNER } from './script-draft.ts';

const TEXT_LENGTH_MAX = 2_000;
const TIMEOUT_S = 10;
const REENTRY_S = 180;
const HTTP_PORT = 80;
/** Mail servers greet with 220, too. */
const MAIL_PORTS: ReadonlySet<number> = new Set([25, 465, 587]);
/** Commands that hold no secret. */
const PLAIN_COMMAND = /^(?:PING|QUIT|NOOP|HELP|STAT|INFO|VERSION)(?:\\[rn])*$/i;
const REQUEST = /^(GET|HEAD) (\/\S*?)(?: HTTP\/1\.[01].*?)?(?:\\[rn])*$/;

interface Virtual {
  readonly name: string;
  readonly block: Directive;
  readonly lines: ReadonlyMap<string, Directive>;
  readonly port: number;
  readonly isUdp: boolean;
}

export function readLvsCheck(virtual: Virtual, notes: Notes, path: readonly string[]): OldCheck {
  const { lines, block } = virtual;
  const word = (name: string) => lines.get(name)?.words[0];
  const timeoutS = baseZero(word('timeout')) ?? TIMEOUT_S;
  const reentryS = baseZero(word('reentry')) ?? REENTRY_S;
  const program = lines.get('send_program');
  const monitor = lines.get('load_monitor');
  if (monitor !== undefined && monitor.words[0] !== 'none')
    notes.lost(monitor, 'Tandem does not set weights by the load of a server', path);
  const quiesce = lines.get('quiesce_server');
  if (quiesce !== undefined && baseZero(quiesce.words[0]) !== 1)
    notes.changed(
      quiesce,
      'a failed server was removed, and its connections with it; Tandem gives it no new clients, and keeps those it has while it answers',
      path,
    );
  const regex = lines.get('use_regex');
  if (regex !== undefined && !isPattern(lines)) notes.unneeded(regex, 'it was off', path);
  else if (regex !== undefined)
    notes.changed(regex, 'regular expressions have no counterpart: only what is a plain text is expected', path);
  const { type, probe, script, until } = whatIsAsked(virtual, notes, path);
  return {
    type,
    probe,
    script,
    intervalS: timeoutS,
    timeoutS,
    rise: timeoutS === 0 ? 1 : Math.max(1, Math.floor(reentryS / timeoutS)),
    fall: 1,
    port: undefined,
    retryS: undefined,
    login: false,
    fetch: undefined,
    at: until ?? program ?? lines.get('timeout') ?? block,
  };
}

type Asked = Pick<OldCheck, 'type' | 'probe' | 'script'> & { readonly until: Directive | undefined };

function asked(type: OldCheck['type'], until?: Directive, probe?: Probe): Asked {
  return { type, probe, script: undefined, until };
}

function wordsOf(lines: ReadonlyMap<string, Directive>, name: string): string {
  return (lines.get(name)?.words[0] ?? '').trim().slice(0, TEXT_LENGTH_MAX);
}

function whatIsAsked(virtual: Virtual, notes: Notes, path: readonly string[]): Asked {
  const { name, lines, port, isUdp } = virtual;
  const checked = [...path, 'check'];
  if (wordsOf(lines, 'send_program') !== '') return programAsked(virtual, notes, path);
  const [send, expect] = [lines.get('send'), lines.get('expect')];
  const [sent, wanted] = [wordsOf(lines, 'send'), wordsOf(lines, 'expect')];
  const isGreeting = wanted.startsWith('220') && /^(quit(\\r)?(\\n)?)?$/i.test(sent);
  if (isGreeting && !isUdp && !MAIL_PORTS.has(port)) return asked('banner', expect);
  const isBare = sent === '' && wanted === '';
  if (isBare && (port !== HTTP_PORT || isUdp)) return asked('connect');
  const request = isUdp ? null : REQUEST.exec(sent);
  if (isBare || request !== null) {
    const [, method, page = '/'] = request ?? [];
    return asked('other', send ?? expect, pageProbe({ lines, page, method, isBare }, notes, checked));
  }
  if (sent === '' && isUdp) {
    notes.lost(expect, 'over UDP nobody speaks first: the port is checked', checked);
    return asked('other', expect);
  }
  const text = expectedText(lines);
  if (wanted !== '' && wanted !== '*')
    notes.changed(
      expect,
      text === undefined
        ? 'it is no plain text: write check.expect or check.expect_hex'
        : 'the answer began with it; here it must hold it',
      checked,
    );
  if (sent === '') return asked('other', expect, { type: 'banner', expect: text });
  if (PLAIN_COMMAND.test(sent))
    return asked('other', send, { type: 'send_expect', send: unescaped(sent), expect: text });
  notes.changed(send, 'an import does not show it: write it into check.send_file', checked);
  return asked('other', send, sendProbe(name, { expect: text }));
}

/** It was judged by its output: the program cannot be run as it is. */
function programAsked({ name, lines }: Virtual, notes: Notes, path: readonly string[]): Asked {
  const program = lines.get('send_program');
  const known = /^(\/[\w./-]{1,200})(\s|$)/.exec(wordsOf(lines, 'send_program'))?.[1] ?? 'the program';
  notes.changed(
    program,
    `its output had to be what expect says; of a script of Tandem the exit status counts, %h is in TANDEM_ADDRESS. ${RUNNER}`,
    [...path, 'check'],
  );
  const send = lines.get('send');
  if (send !== undefined) notes.unneeded(send, 'send_program came before it', path);
  const what = `a script that ends with 0 where ${known} printed what expect says`;
  return { ...asked('other', program), script: [new FillIn(what, `/etc/tandem/checks/${name}`)] };
}

interface Page {
  readonly lines: ReadonlyMap<string, Directive>;
  readonly page: string;
  readonly method: string | undefined;
  /** Neither send nor expect: port 80 was asked for / then. */
  readonly isBare: boolean;
}

function pageProbe({ lines, page, method, isBare }: Page, notes: Notes, path: readonly string[]): Probe {
  const begins = isBare ? 'HTTP' : wordsOf(lines, 'expect');
  const [send, expect] = [lines.get('send'), lines.get('expect')];
  const status = /^HTTP\/\d\.\d ([1-5]\d\d)/.exec(begins)?.[1];
  const isText = begins !== '' && begins !== '*' && !begins.startsWith('HTTP');
  if (isText)
    notes.changed(expect, 'the answer began with it; here the page, with a status of 200 to 299, holds it', path);
  else if (status === undefined)
    notes.changed(
      expect ?? send ?? lines.get('port'),
      'any answer of HTTP passed, an error, too, and does here: status: 200-399 says more of a server',
      [...path, 'status'],
    );
  return httpProbe({
    path: page,
    host: /\\nHost:\s*([A-Za-z0-9._:-]+)/i.exec(wordsOf(lines, 'send'))?.[1],
    method: method === 'HEAD' ? 'HEAD' : 'GET',
    status: isText ? undefined : status === undefined ? ANY_STATUS : Number(status),
    content: isText ? expectedText(lines) : undefined,
  });
}

function unescaped(text: string): string {
  return text.replace(/\\([rnt\\'"])/g, (_, letter: string) => ({ r: '\r', n: '\n', t: '\t' })[letter] ?? letter);
}

function isPattern(lines: ReadonlyMap<string, Directive>): boolean {
  return (baseZero(lines.get('use_regex')?.words[0]) ?? 0) !== 0;
}

/** Undefined: any answer, or one that is no line of text. */
function expectedText(lines: ReadonlyMap<string, Directive>): string | undefined {
  const plain = unescaped(wordsOf(lines, 'expect')).replace(/[\r\n]+$/, '');
  if (plain === '' || plain === '*' || plain.length > 200 || withoutControls(plain) !== plain) return undefined;
  return isPattern(lines) ? plainText(plain) : plain;
}
