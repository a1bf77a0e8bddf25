// From a cell's evidence to its outcome: every promise of the cell is looked up in the capture and
// the server's log, none is inferred from a transfer that happened to succeed. Pure.
import { type Cell, controlPortOf, dataPortOf, isPassive, limitOf, VERBS } from './cells.ts';
import type { Connection, Evidence } from './evidence.ts';

/** What every server opens for passive data. */
const PASSIVE_PORTS = { first: 10_000, last: 20_000 } as const;

export type Outcome =
  /** A session or transfer from before the failover went on after it. */
  | { readonly kind: 'survives' }
  /** A transfer passed before the failover, and what was promised after it did not hold. */
  | { readonly kind: 'lost'; readonly reasons: readonly string[] }
  /** Not even the transfer before the failover was as the cell demands. */
  | { readonly kind: 'fails'; readonly reasons: readonly string[] }
  /** The client or the server cannot, and did not. */
  | { readonly kind: 'limit'; readonly of: string; readonly reason: string; readonly seen: readonly string[] };

export function outcomeOf(cell: Cell, evidence: Evidence): Outcome {
  const before = wrongBefore(cell, evidence);
  const after = wrongAfter(cell, evidence);
  const limit = limitOf(cell);
  if (limit !== undefined) {
    if (before.length + after.length > 0)
      return { kind: 'limit', of: limit.of, reason: limit.reason, seen: [...before, ...after] };
    return { kind: 'fails', reasons: [`"${limit.of}: ${limit.reason}" is no longer true`] };
  }
  if (before.length > 0) return { kind: 'fails', reasons: [...before, ...after] };
  return after.length > 0 ? { kind: 'lost', reasons: after } : { kind: 'survives' };
}

/** What was not as demanded by then, in sentences: verb, TLS, login, data port, a first file. */
export function wrongBefore(cell: Cell, evidence: Evidence): string[] {
  const { commands, handshakes } = evidence.dialogue;
  const wrong: string[] = [];
  if (evidence.whoami === '') wrong.push(`no file passed: ${evidence.error ?? 'the client said nothing'}`);
  const verbs = [...new Set(commands.map(verbOf).filter(verb => (VERBS as readonly string[]).includes(verb)))];
  if (verbs.join() !== cell.verb) wrong.push(`sent ${verbs.join(', ') || 'no data command'} and not ${cell.verb}`);
  const logins = commands.filter(command => verbOf(command) === 'USER').length;
  if (logins !== 1) wrong.push(`logged in ${logins} times`);
  wrong.push(...wrongTls(cell, commands));
  const { control, data, others } = sorted(cell, evidence);
  if (control.length !== 1) wrong.push(`${control.length} control connections`);
  if (others.length > 0) wrong.push(`a connection that is neither control nor data: ${others.map(tuple).join(', ')}`);
  if (handshakes) wrong.push(...wrongHandshakes(cell, handshakes));
  if (data.length === 0) wrong.push('no data connection');
  return wrong;
}

function wrongTls({ security }: Cell, commands: readonly string[]): string[] {
  const wrong: string[] = [];
  const auth = commands.some(command => /^AUTH (TLS|SSL)$/i.test(command));
  const private_ = commands.some(command => /^PROT P$/i.test(command));
  if (commands.some(command => /^PROT [CSE]$/i.test(command)) || commands.includes('CCC')) wrong.push('gave TLS up');
  switch (security) {
    case 'plain':
      if (auth || private_) wrong.push('spoke of TLS');
      break;
    case 'explicit':
      if (!auth) wrong.push('no AUTH TLS');
      if (!private_) wrong.push('no PROT P');
      break;
    case 'implicit':
      if (auth) wrong.push('AUTH TLS on the port of TLS from the start');
      if (!private_) wrong.push('no PROT P');
      break;
  }
  return wrong;
}

type Handshakes = NonNullable<Evidence['dialogue']['handshakes']>;

/** Those that the login and the first file need; the control connection's own cannot resume anything. */
function wrongHandshakes({ security, demandsReuse }: Cell, handshakes: Handshakes): string[] {
  if (security === 'plain') return handshakes.length === 0 ? [] : [`${handshakes.length} TLS handshakes`];
  if (handshakes.length < 2) return [`${handshakes.length} TLS handshakes before the first file`];
  const unresumed = handshakes.slice(1).filter(({ resumed }) => !resumed).length;
  return demandsReuse && unresumed > 0 ? [`${unresumed} data connections resumed no TLS session`] : [];
}

/** What did not hold across the failover, in sentences. */
export function wrongAfter(cell: Cell, evidence: Evidence): string[] {
  const { control, data } = sorted(cell, evidence);
  const { cutAt, takenAt, error } = evidence;
  const wrong: string[] = [];
  if (error !== undefined) wrong.push(error);
  if (!evidence.whole) wrong.push('the file is not whole (SHA-256)');
  if (control.some(({ openedAt }) => openedAt >= cutAt)) wrong.push('logged in after the power cut');
  if ([...control, ...data].some(({ reset, finishedAt }) => reset && finishedAt === null))
    wrong.push('a connection was reset');
  if (evidence.dialogue.commands.some(command => verbOf(command) === 'REST')) wrong.push('resumed with REST');
  const { handshakes } = evidence.dialogue;
  if (handshakes && cell.security !== 'plain' && handshakes.length !== 1 + data.length)
    wrong.push(`${handshakes.length} TLS handshakes on ${1 + data.length} connections`);
  if (data.length !== 2) wrong.push(`${data.length} data connections and not two`);
  const last = data.at(-1);
  switch (cell.state) {
    case 'idle':
      if (last && last.openedAt <= takenAt) wrong.push('transferred nothing after the takeover');
      break;
    case 'in-flight':
      if (last && last.openedAt >= cutAt) wrong.push('the data connection is younger than the power cut');
      if (last && (last.finishedAt ?? 0) <= takenAt) wrong.push('the data connection ended before the takeover');
      if (evidence.bytesBeforeCut === 0) wrong.push('no bytes before the power cut');
      if (evidence.bytes <= evidence.bytesAtTakeover) wrong.push('no bytes after the takeover');
      break;
  }
  return wrong;
}

interface Sorted {
  readonly control: readonly Connection[];
  /** Those to the passive range of the VIP, or from its active port. */
  readonly data: readonly Connection[];
  readonly others: readonly Connection[];
}

/** The cell's connections, by address and port at both ends. */
export function sorted(cell: Cell, { from, vip, connections }: Evidence): Sorted {
  const isControl = (one: Connection): boolean =>
    one.from.address === from && one.to.address === vip && one.to.port === controlPortOf(cell);
  const isData = (one: Connection): boolean =>
    isPassive(cell.verb)
      ? one.from.address === from &&
        one.to.address === vip &&
        one.to.port >= PASSIVE_PORTS.first &&
        one.to.port <= PASSIVE_PORTS.last
      : one.from.address === vip && one.from.port === dataPortOf(cell) && one.to.address === from;
  const mine = connections.filter(one => one.from.address === from || one.to.address === from);
  return {
    control: mine.filter(isControl),
    data: mine.filter(isData),
    others: mine.filter(one => !isControl(one) && !isData(one)),
  };
}

export function tuple({ from, to }: Connection): string {
  return `${from.address} ${from.port} > ${to.address} ${to.port}`;
}

function verbOf(command: string): string {
  return command.split(' ', 1)[0] ?? '';
}
