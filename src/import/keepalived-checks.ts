// The checks of the real servers of a keepalived.conf. Settings inherit: virtual_server,
// real_server, check. Pure. Source: check_http.c, check_smtp.c, check_dns.c, check_misc.c,
// check_udp.c and check_data.c of keepalived.
import type { Directive } from './directive.ts';
import { CHECK_WORDS, saying } from './keepalived-words.ts';
import type { NoteTaker } from './note.ts';
import { decimal, fraction } from './numbers.ts';
import type { OldCheck } from './old-config.ts';
import type { Draft } from './placeholder.ts';
import { dnsProbe, httpProbe, type Probe, sendProbe, smtpProbe, statusDraft } from './probes.ts';
import { RUNNER, scriptDraft } from './script-draft.ts';

const DELAY_LOOP_S = 60;
const CONNECT_TIMEOUT_S = 5;

/** The words of each check that are read here; the first is the one that says most of a server. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  HTTP_GET: ['url', 'virtualhost', 'nb_get_retry'],
  SSL_GET: ['url', 'virtualhost', 'nb_get_retry', 'enable_sni'],
  SMTP_CHECK: ['helo_name'],
  DNS_CHECK: ['type', 'name'],
  UDP_CHECK: ['payload', 'require_reply'],
  TCP_CHECK: [],
  PING_CHECK: [],
  MISC_CHECK: ['misc_path', 'misc_timeout', 'misc_dynamic', 'user'],
};
const ORDER = Object.keys(WORDS);
export const CHECKS: ReadonlySet<string> = new Set([...ORDER, 'BFD_CHECK', 'FILE_CHECK']);
const READ = ['connect_port', 'connect_timeout', 'retry', 'delay_before_retry', 'delay_loop'];
/** Failures that are forgiven where no word says it. */
const RETRY: Readonly<Record<string, number>> = { HTTP_GET: 3, SSL_GET: 3, DNS_CHECK: 3, MISC_CHECK: 0 };

/** Whose servers are checked. */
interface Service {
  readonly name: string;
  readonly port: number;
  readonly isUdp: boolean;
}

interface FoundCheck {
  readonly at: Directive;
  readonly check: OldCheck;
  readonly what: string;
}

/** One check for the service: that of its servers, or the first where they differ. */
export function readChecks(block: Directive, service: Service, notes: NoteTaker, path: readonly string[]): OldCheck {
  const checked = [...path, 'check'];
  const children = block.children ?? [];
  const servers = children.filter(({ keyword }) => keyword === 'real_server');
  const found = servers.map(server => readServerChecks(server, children, service, notes, checked));
  const first = found.find(check => check !== undefined);
  if (first === undefined) {
    const delay = fraction(inherited([children], 'delay_loop')) ?? DELAY_LOOP_S;
    notes.changed(block, 'its servers had no check, and were always used; Tandem checks them', checked);
    return { ...NO_CHECK, intervalS: delay };
  }
  for (const [index, other] of found.entries()) {
    const server = servers[index] as Directive;
    if (other === undefined)
      notes.changed(server, 'it had no check; in Tandem all servers of a service have the same', checked);
    else if (other.what !== first.what)
      notes.changed(
        other.at,
        'it is not that of the first server; in Tandem all servers of a service have the same',
        checked,
      );
  }
  return first.check;
}

const NO_CHECK: OldCheck = {
  type: 'none',
  probe: undefined,
  script: undefined,
  intervalS: DELAY_LOOP_S,
  timeoutS: CONNECT_TIMEOUT_S,
  rise: 1,
  fall: 1,
  port: undefined,
  retryS: undefined,
  login: false,
  fetch: undefined,
  at: undefined,
};

type Levels = readonly (readonly Directive[])[];

/** The value nearest to the check. */
function inherited(levels: Levels, ...words: string[]): string | undefined {
  for (const level of levels) {
    const found = level.findLast(({ keyword }) => words.includes(keyword));
    if (found !== undefined) return found.words[0];
  }
  return undefined;
}

function wordOf({ children = [] }: Directive, ...words: string[]): Directive | undefined {
  return children.findLast(({ keyword }) => words.includes(keyword));
}

/** Those that keepalived uses: one for the service itself, and one script. */
function chosenOf(server: Directive, notes: NoteTaker, path: readonly string[]) {
  const asks = { HTTP_GET: 'url', SSL_GET: 'url', MISC_CHECK: 'misc_path' } as const;
  const usable: Directive[] = [];
  for (const check of (server.children ?? []).filter(({ keyword }) => CHECKS.has(keyword))) {
    const need = asks[check.keyword as keyof typeof asks];
    if (!ORDER.includes(check.keyword)) notes.lost(check, 'Tandem has no such check', path);
    else if (need !== undefined && wordOf(check, need) === undefined)
      notes.unneeded(check, `without ${need} keepalived leaves it out`, path);
    else usable.push(check);
  }
  const script = usable.find(({ keyword }) => keyword === 'MISC_CHECK');
  const [main] = usable
    .filter(({ keyword }) => keyword !== 'MISC_CHECK')
    .sort((a, b) => ORDER.indexOf(a.keyword) - ORDER.indexOf(b.keyword));
  for (const check of usable)
    if (check !== main && check !== script)
      notes.lost(check, 'a server has one check and one script in Tandem: others of this server are written', path);
  return { main, script };
}

function readServerChecks(
  server: Directive,
  around: readonly Directive[],
  service: Service,
  notes: NoteTaker,
  path: readonly string[],
): FoundCheck | undefined {
  const { main, script } = chosenOf(server, notes, path);
  const chosen = main ?? script;
  if (chosen === undefined) return undefined;
  for (const check of [main, script]) if (check !== undefined) tellWords(check, notes, path);
  const inside = chosen.children ?? [];
  const levels: Levels = [inside, server.children ?? [], around];
  const isHttp = chosen.keyword === 'HTTP_GET' || chosen.keyword === 'SSL_GET';
  const retry = isHttp ? inherited(levels, 'nb_get_retry', 'retry') : inherited(levels, 'retry');
  const written = decimal(server.words[1]);
  const intervalS = fraction(inherited(levels, 'delay_loop')) ?? DELAY_LOOP_S;
  const connectS = fraction(inherited(levels, 'connect_timeout')) ?? CONNECT_TIMEOUT_S;
  const scriptS = script === undefined ? 0 : fraction(wordOf(script, 'misc_timeout')?.words[0]) || intervalS;
  const check: OldCheck = {
    type: chosen.keyword === 'TCP_CHECK' ? 'connect' : 'other',
    probe: main === undefined ? undefined : probeOf(main, levels, service, notes, path),
    script: script === undefined ? undefined : scriptOf(script, service, notes, path),
    intervalS,
    timeoutS: main === undefined ? scriptS : Math.max(connectS, scriptS),
    rise: 1,
    fall: (decimal(retry) ?? RETRY[chosen.keyword] ?? 1) + 1,
    port: decimal(inherited([inside], 'connect_port')) ?? (written || service.port || undefined),
    retryS: fraction(inherited(levels, 'delay_before_retry')) ?? (isHttp ? 3 : 1),
    login: false,
    fetch: undefined,
    at: chosen,
  };
  const { at: _, ...said } = check;
  const asked = script === undefined ? '' : (wordOf(script, 'misc_path')?.words.join(' ') ?? '');
  // The server's own address is in the arguments of many scripts.
  const what = `${main?.keyword} ${JSON.stringify(said)} ${asked.replaceAll(server.words[0] ?? '', '')}`;
  return { at: chosen, check, what };
}

function tellWords(check: Directive, notes: NoteTaker, path: readonly string[]): void {
  for (const child of check.children ?? []) {
    if (READ.includes(child.keyword) || WORDS[check.keyword]?.includes(child.keyword)) continue;
    if (child.keyword === 'nb_get_retry')
      notes.unneeded(child, 'only HTTP_GET and SSL_GET have it, here it did nothing: the word is retry', path);
    else if (check.keyword === 'SMTP_CHECK' && child.keyword === 'host')
      notes.lost(child, 'a server is checked at its own address', path);
    else saying(child, CHECK_WORDS, notes, path);
  }
}

function probeOf(
  check: Directive,
  levels: Levels,
  { name, isUdp }: Service,
  notes: NoteTaker,
  path: readonly string[],
): Probe | undefined {
  switch (check.keyword) {
    case 'HTTP_GET':
    case 'SSL_GET':
      return httpOf(check, levels, notes, path);
    case 'SMTP_CHECK':
      return smtpProbe(wordOf(check, 'helo_name')?.words[0]);
    case 'DNS_CHECK': {
      const type = wordOf(check, 'type')?.words[0]?.toUpperCase() ?? 'SOA';
      const probe = dnsProbe(wordOf(check, 'name')?.words[0] ?? '.', type, !isUdp);
      if (probe === undefined) notes.lost(check, 'this question is not known here: the port is checked', path);
      else notes.changed(check, 'any answer passes, whatever its status (RCODE), which keepalived looked at', path);
      if (probe !== undefined && !isUdp)
        notes.changed(check, 'keepalived asked over UDP; Tandem asks a service over TCP by TCP', path);
      return probe;
    }
    case 'UDP_CHECK':
      if (wordOf(check, 'require_reply') !== undefined) {
        notes.changed(check, 'any answer passes: write what it must hold into check.expect_hex', path);
        return sendProbe(name, {});
      }
      if (wordOf(check, 'payload') !== undefined)
        notes.changed(wordOf(check, 'payload'), 'an empty datagram is sent instead', path);
      return { type: 'datagram' };
    case 'PING_CHECK':
      return { type: 'icmp' };
    default:
      return { type: 'connect' };
  }
}

function httpOf(check: Directive, levels: Levels, notes: NoteTaker, path: readonly string[]): Probe {
  const [url, ...more] = (check.children ?? []).filter(({ keyword }) => keyword === 'url');
  for (const other of more) notes.lost(other, 'a check asks for one page in Tandem: the first one is written', path);
  for (const child of url?.children ?? []) {
    if (child.keyword === 'digest')
      notes.lost(child, 'MD5 has no counterpart: check.sha256 is `curl -s URL | sha256sum`', path);
    else if (child.keyword.startsWith('regex'))
      notes.lost(child, 'regular expressions have no counterpart: check.content is a plain text', path);
    else if (!['path', 'status_code', 'virtualhost'].includes(child.keyword)) saying(child, CHECK_WORDS, notes, path);
  }
  const page = url ?? check;
  return httpProbe({
    path: wordOf(page, 'path')?.words[0] ?? '/',
    host: wordOf(page, 'virtualhost')?.words[0] ?? inherited(levels, 'virtualhost'),
    status: statusDraft(wordOf(page, 'status_code')?.words ?? []),
    isTls: check.keyword === 'SSL_GET',
    isNamed: wordOf(check, 'enable_sni') !== undefined,
  });
}

function scriptOf(check: Directive, { name }: Service, notes: NoteTaker, path: readonly string[]): Draft | undefined {
  const line = wordOf(check, 'misc_path');
  const script = scriptDraft(line?.words ?? [], `/etc/tandem/checks/${name}`);
  if (script === undefined) {
    notes.lost(check, 'it names no program', path);
    return undefined;
  }
  notes.changed(line, `it is run once Tandem's own check has passed, with TANDEM_ADDRESS and more. ${RUNNER}`, path);
  const dynamic = wordOf(check, 'misc_dynamic');
  if (dynamic !== undefined)
    notes.lost(dynamic, 'the exit status is no weight in Tandem: any but 0 is a failure', path);
  const user = wordOf(check, 'user');
  if (user !== undefined) notes.unneeded(user, 'it runs as user tandem-runner in any case', path);
  return script;
}
