// Decides when a check of a service that is not FTP has passed or failed: connect, TLS, banner,
// what is sent and what must come back, or one HTTP request (RFC 9110). Events with their time go
// in, effects come out. Pure; io/port-check.ts runs it, HTTP itself is Node's there.
import { Buffer } from 'node:buffer';
import { rangeText } from '../config/service-ports.ts';
import { hostPort } from '../units/address.ts';
import { type At, formatDuration } from '../units/duration.ts';
import { certificateProblem, handshakeProblem, isTlsAnswer, type PresentedCertificate } from './certificate.ts';
import { type Content, contentAfter, contentProblem, NO_CONTENT, wantsWhole } from './content.ts';
import type { HttpAsked, PortAsks, PortPlan } from './plain-plan.ts';
import { queryValues, repeatsSecret, secretWords } from './repeated-secret.ts';
import { printableLine, quoted } from './reply.ts';
import { firstStage, nextStage, type StageClock, slowProblem, stageTimesOf } from './stage-clock.ts';
import type { Certificate, CheckResult, Failure, Life } from './verdict.ts';

/** What happened. `error`: the code of a socket operation, of OpenSSL or of HTTP's reader. */
export type PortEvent =
  | { readonly type: 'connected' }
  | { readonly type: 'secured'; readonly certificate: PresentedCertificate }
  /** Of UDP: one datagram. */
  | { readonly type: 'received'; readonly bytes: Uint8Array }
  /** Status line and headers of the answer to a request have come. */
  | { readonly type: 'responded'; readonly status: number; readonly reason: string }
  | { readonly type: 'body'; readonly bytes: Uint8Array }
  /** `sha256`: of the whole body, where the plan asks for it. */
  | { readonly type: 'body-ended'; readonly sha256?: string }
  | { readonly type: 'closed'; readonly error?: string }
  /** The deadline that was set last is over. */
  | { readonly type: 'timeout' };

/** What must be done; after `finish` the connection is closed. */
export type PortEffect =
  | { readonly type: 'secure' }
  | { readonly type: 'send'; readonly bytes: Uint8Array }
  /** Makes the request of the plan. */
  | { readonly type: 'request' }
  | { readonly type: 'setDeadline'; readonly at: At }
  | { readonly type: 'finish'; readonly result: CheckResult };

type Phase =
  | { readonly name: 'connecting' | 'securing' }
  /** Bytes of the server, before or after ours. */
  | { readonly name: 'greeting' | 'answer' }
  | { readonly name: 'responding' }
  | { readonly name: 'body'; readonly content: Content }
  | { readonly name: 'finished'; readonly result: CheckResult };

export interface PortDialogue extends StageClock {
  readonly plan: PortPlan;
  /** Whether anything has come over the connection. */
  readonly spoke: boolean;
  /** The first bytes of what came last: greeting, answer or status line. At most SAID_BYTES_MAX. */
  readonly said: Uint8Array;
  /** What came in this stage, looked through for what is expected. */
  readonly heard: Content;
  readonly certificate: Certificate | undefined;
  readonly phase: Phase;
}

export interface PortStep {
  readonly next: PortDialogue;
  readonly effects: readonly PortEffect[];
}

/** Enough for what is quoted of it, whatever its characters take. */
export const SAID_BYTES_MAX = 1_024;

/** A check whose connection is being opened at `at`. */
export function beginPort(plan: PortPlan, at: At): PortStep {
  const clock = firstStage('connect', boundsOf(plan), at);
  const nothing = { spoke: false, said: new Uint8Array(0), heard: NO_CONTENT, certificate: undefined };
  const next: PortDialogue = { ...clock, ...nothing, plan, phase: { name: 'connecting' } };
  return { next, effects: [{ type: 'setDeadline', at: clock.deadline }] };
}

/** The next state and what to do. Events that come after the finish change nothing. */
export function stepPort(dialogue: PortDialogue, event: PortEvent, at: At): PortStep {
  const { phase } = dialogue;
  if (phase.name === 'finished') return stay(dialogue);
  switch (event.type) {
    case 'connected':
      return phase.name === 'connecting' ? onConnected(dialogue, at) : stay(dialogue);
    case 'secured':
      return phase.name === 'securing' ? onSecured(dialogue, event.certificate, at) : stay(dialogue);
    case 'received':
      return onReceived(dialogue, event.bytes, at);
    case 'responded':
      return onResponded(dialogue, event.status, event.reason, at);
    case 'body':
      return phase.name === 'body' ? onBody(dialogue, phase.content, event.bytes, at) : stay(dialogue);
    case 'body-ended':
      return onBodyEnded(dialogue, event.sha256, at);
    case 'closed':
      return onClosed(dialogue, event.error, at);
    case 'timeout':
      return onTimeout(dialogue, at);
  }
}

/** Its stages have no time of their own: each may take all that is left of the check's. */
function boundsOf({ timeoutMs }: PortPlan) {
  return { timeoutMs, stageTimeoutMs: timeoutMs };
}

function stay(dialogue: PortDialogue): PortStep {
  return { next: dialogue, effects: [] };
}

type StageName = 'tls' | 'greeting' | 'answer' | 'body';

function enter(before: PortDialogue, stage: StageName, phase: Phase, at: At, effects: readonly PortEffect[]): PortStep {
  const next = { ...before, ...nextStage(before, stage, boundsOf(before.plan), at), phase, heard: NO_CONTENT };
  return { next, effects: [...effects, { type: 'setDeadline', at: next.deadline }] };
}

function onConnected(dialogue: PortDialogue, at: At): PortStep {
  if (dialogue.plan.tls === undefined) return ask(dialogue, at);
  return enter(dialogue, 'tls', { name: 'securing' }, at, [{ type: 'secure' }]);
}

function onSecured(before: PortDialogue, presented: PresentedCertificate, at: At): PortStep {
  const { tls } = before.plan;
  const { validUntil, daysLeft } = presented;
  const dialogue: PortDialogue = { ...before, spoke: true, certificate: { validUntil, daysLeft } };
  const problem = tls && certificateProblem(tls, presented);
  if (problem === undefined) return ask(dialogue, at);
  return finish(dialogue, { ...failure(dialogue, problem, 'speaks', at), misconfigured: true });
}

/** The connection is there: what is asked now. */
function ask(dialogue: PortDialogue, at: At): PortStep {
  const { asks } = dialogue.plan;
  switch (asks.type) {
    case 'nothing':
      return pass(dialogue, 0, at);
    case 'banner':
      return enter(dialogue, 'greeting', { name: 'greeting' }, at, []);
    case 'exchange':
      return asks.banner === undefined
        ? sendIt(dialogue, asks.send, at)
        : enter(dialogue, 'greeting', { name: 'greeting' }, at, []);
    case 'http':
      return enter(dialogue, 'answer', { name: 'responding' }, at, [{ type: 'request' }]);
  }
}

function sendIt(dialogue: PortDialogue, bytes: Uint8Array, at: At): PortStep {
  return enter({ ...dialogue, said: new Uint8Array(0) }, 'answer', { name: 'answer' }, at, [{ type: 'send', bytes }]);
}

/** What must come in this phase, and in how many bytes; `field` is where the config has it. */
function expected(dialogue: PortDialogue) {
  const { asks } = dialogue.plan;
  const isGreeting = dialogue.phase.name === 'greeting';
  if (asks.type === 'banner') return { text: asks.expect, field: 'check.expect', maxBytes: asks.maxBytes };
  if (asks.type !== 'exchange') return { text: undefined, field: '', maxBytes: 0 };
  const { maxBytes } = asks;
  return isGreeting
    ? { text: asks.banner, field: 'check.banner', maxBytes }
    : { text: asks.expect, field: 'check.expect', maxBytes };
}

function onReceived(before: PortDialogue, bytes: Uint8Array, at: At): PortStep {
  const { phase, plan } = before;
  if (phase.name !== 'greeting' && phase.name !== 'answer') return stay(before);
  if (bytes.length === 0 && plan.protocol === 'tcp') return stay(before);
  const { text, field, maxBytes } = expected(before);
  const allowed = bytes.subarray(0, maxBytes - before.heard.bytes);
  const heard = contentAfter(before.heard, allowed, { text });
  const said = Buffer.concat([before.said, allowed.subarray(0, SAID_BYTES_MAX - before.said.length)]);
  const dialogue: PortDialogue = { ...before, spoke: true, heard, said };
  if (text === undefined || heard.found) return onWord(dialogue, at);
  // An answer over UDP is one datagram: no more is waited for.
  if (plan.protocol === 'udp') return fail(dialogue, `the answer does not hold ${field}`, 'speaks', at);
  if (heard.bytes < maxBytes) return { next: dialogue, effects: [] };
  const problem = `the first ${maxBytes} bytes of the ${phase.name} do not hold ${field}`;
  return fail(dialogue, problem, 'speaks', at);
}

/** The greeting or the answer is what it must be. */
function onWord(dialogue: PortDialogue, at: At): PortStep {
  const { asks } = dialogue.plan;
  if (dialogue.phase.name === 'greeting' && asks.type === 'exchange') return sendIt(dialogue, asks.send, at);
  return pass(dialogue, dialogue.heard.bytes, at);
}

function onResponded(before: PortDialogue, status: number, reason: string, at: At): PortStep {
  const { asks } = before.plan;
  if (before.phase.name !== 'responding' || asks.type !== 'http') return stay(before);
  const said = Buffer.from(`${status} ${reason}`).subarray(0, SAID_BYTES_MAX);
  const dialogue: PortDialogue = { ...before, spoke: true, said };
  const problem = statusProblem(asks, status);
  if (problem !== undefined) return fail(dialogue, problem, 'speaks', at);
  return enter(dialogue, 'body', { name: 'body', content: NO_CONTENT }, at, []);
}

function statusProblem(asks: HttpAsked, status: number): string | undefined {
  if (asks.statuses.some(({ first, last }) => status >= first && status <= last)) return undefined;
  const wanted = asks.statuses.map(rangeText).join(', ');
  return `${requestLine(asks)} is answered with ${status}, not ${wanted}${statusHint(asks, status)}`;
}

/** Without what follows the `?`, which may be a secret. */
function requestLine({ method, path }: HttpAsked): string {
  return `${method} ${path.split('?', 1)[0]}`;
}

function statusHint({ host }: HttpAsked, status: number): string {
  if (status >= 300 && status < 400)
    return '; the check follows nowhere: correct check.path, or allow it in check.status';
  const isHostUnknown = (status === 400 || status === 404 || status === 421) && host === undefined;
  return isHostUnknown ? '; if it serves by name, write that name in check.host' : '';
}

function onBody(dialogue: PortDialogue, before: Content, bytes: Uint8Array, at: At): PortStep {
  const { asks } = dialogue.plan;
  if (asks.type !== 'http') return stay(dialogue);
  const content = contentAfter(before, bytes, asks.content);
  const isMore = wantsWhole(asks.content) ? content.bytes <= asks.maxBytes : content.bytes < asks.maxBytes;
  const next: PortDialogue = { ...dialogue, phase: { name: 'body', content } };
  return isMore ? { next, effects: [] } : judgeBody(next, asks, content, true, at);
}

function onBodyEnded(dialogue: PortDialogue, sha256: string | undefined, at: At): PortStep {
  const { plan, phase } = dialogue;
  if (phase.name !== 'body' || plan.asks.type !== 'http') return stay(dialogue);
  return judgeBody(dialogue, plan.asks, { ...phase.content, sha256 }, false, at);
}

function judgeBody(dialogue: PortDialogue, asks: HttpAsked, content: Content, cut: boolean, at: At): PortStep {
  const problem = contentProblem(asks.content, content, cut, asks.maxBytes, 'the body of the answer');
  return problem === undefined ? pass(dialogue, content.bytes, at) : fail(dialogue, problem, 'speaks', at);
}

function onClosed(dialogue: PortDialogue, error: string | undefined, at: At): PortStep {
  const { phase, plan } = dialogue;
  const where = hostPort(plan.address, plan.port);
  if (phase.name === 'connecting')
    return fail(dialogue, `${where} cannot be reached (${error ?? 'closed'})`, 'none', at);
  if (plan.protocol === 'udp') {
    const problem = error === 'ECONNREFUSED' ? `nobody listens at ${where}` : `${where} cannot be asked by UDP`;
    return fail(dialogue, `${problem} (${error ?? 'closed'})`, 'none', at);
  }
  // One that hangs up in order has decided to: it lives. What it says that is no TLS or no HTTP, or
  // a reset before its first word, is no sign of it.
  const life: Life = dialogue.spoke || error === undefined || isTlsAnswer(error) ? 'speaks' : 'none';
  if (phase.name === 'securing' && plan.tls) return fail(dialogue, tlsProblem(plan, error), life, at);
  if (error?.startsWith('HPE_')) return fail(dialogue, `what comes is not HTTP (${quoted(error)})`, life, at);
  const how = error === undefined ? 'closes the connection' : `breaks the connection (${quoted(error)})`;
  return fail(dialogue, `the server ${how}: ${awaited(dialogue)}`, life, at);
}

function tlsProblem({ tls }: PortPlan, error: string | undefined): string {
  return tls === undefined
    ? ''
    : handshakeProblem(tls, error, 'if it speaks without TLS on this port, write tls: none');
}

function onTimeout(dialogue: PortDialogue, at: At): PortStep {
  const { phase, plan, deadline, spoke } = dialogue;
  // A timer may fire a little early; the deadline counts.
  if (at < deadline) return { next: dialogue, effects: [{ type: 'setDeadline', at: deadline }] };
  // A connection that was taken and then silence is what a hung server and a busy one have in
  // common; a datagram that is not answered says nothing of either.
  const isConnected = phase.name !== 'connecting' && plan.protocol === 'tcp';
  const life: Life = spoke ? 'speaks' : isConnected ? 'silent' : 'none';
  return fail(dialogue, `${awaited(dialogue)} within ${formatDuration(plan.timeoutMs)}`, life, at);
}

/** What has not come, as the start of a sentence. */
function awaited(dialogue: PortDialogue): string {
  const { phase, plan, heard } = dialogue;
  switch (phase.name) {
    case 'connecting':
      return `no connection to ${hostPort(plan.address, plan.port)}`;
    case 'securing':
      return 'no end of the TLS handshake';
    case 'greeting':
    case 'answer':
      return heard.bytes === 0 ? `no ${phase.name}` : `no ${phase.name} that holds ${expected(dialogue).field}`;
    case 'responding':
      return `no answer to ${plan.asks.type === 'http' ? requestLine(plan.asks) : 'the request'}`;
    case 'body':
      return `no end of the body after ${phase.content.bytes} bytes`;
    case 'finished':
      return 'nothing more';
  }
}

function pass(dialogue: PortDialogue, bytes: number, at: At): PortStep {
  const times = { ...stageTimesOf(dialogue, at), certificate: dialogue.certificate };
  const slow = slowProblem(dialogue.plan.slowFail, times);
  if (slow === undefined) return finish(dialogue, { ok: true, ...times, bytes });
  const { stage, problem } = slow;
  return finish(dialogue, { ...failure({ ...dialogue, stage }, problem, 'speaks', at), ...times });
}

function fail(dialogue: PortDialogue, problem: string, life: Life, at: At): PortStep {
  return finish(dialogue, failure(dialogue, problem, life, at));
}

function finish(dialogue: PortDialogue, result: CheckResult): PortStep {
  return { next: { ...dialogue, phase: { name: 'finished', result } }, effects: [{ type: 'finish', result }] };
}

function failure(dialogue: PortDialogue, problem: string, life: Life, at: At): Failure {
  const { stage, certificate } = dialogue;
  const told = { stage, life, problem: printableLine(problem), words: wordsOf(dialogue) };
  return { ok: false, ...stageTimesOf(dialogue, at), certificate, ...told };
}

/** The server's words: their first line that is not empty, unless they repeat what was sent. */
function wordsOf({ said, plan: { asks } }: PortDialogue): string {
  const text = new TextDecoder().decode(said);
  const secrets = secretsOf(asks);
  const isCut = said.length === SAID_BYTES_MAX || (asks.type !== 'http' && !text.endsWith('\n'));
  if (secrets === undefined || repeatsSecret(text, secrets, isCut)) return '';
  return quoted(printableLine(text.split(/[\r\n]+/).find(line => line.trim() !== '') ?? ''));
}

/** What is sent may be one. Undefined: it is, and no word may be told. */
function secretsOf(asks: PortAsks): readonly string[] | undefined {
  switch (asks.type) {
    case 'nothing':
    case 'banner':
      return [];
    case 'exchange':
      return asks.isSecret ? undefined : secretWords(new TextDecoder().decode(asks.send));
    case 'http':
      return queryValues(asks.path);
  }
}
