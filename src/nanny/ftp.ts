// Decides what an FTP check says and when it has failed: connect, greeting, login, PASV or EPSV,
// one transfer, its end (RFC 959 section 5.4, RFC 2428). Events with their time go in, effects come
// out. Pure; io/ftp-check.ts runs it. Why not basic-ftp 6.2.6 (read in its sources): it loses
// replies split over packets ("22" then "0 hi"), reads port bytes modulo 256, has one idle time-out
// which a slow drip resets for ever and no stages; and where PASV announces the VIP it refuses or
// connects to the VIP, which is the active router: a nanny must compare what is announced and
// connect to the server itself.
import { hostPort } from '../units/address.ts';
import { type At, after, between, formatDuration } from '../units/duration.ts';
import {
  authProblem,
  certificateProblem,
  handshakeProblem,
  isTlsAnswer,
  type PresentedCertificate,
  tlsHint,
} from './certificate.ts';
import type { CheckPlan } from './check-plan.ts';
import {
  type Dialogue,
  type DialogueEffect,
  type DialogueEvent,
  enter,
  fail,
  failMute,
  finish,
  misconfigured,
  passed,
  proceed,
  quit,
  type Step,
  send,
  stay,
} from './dialogue.ts';
import { hasBegunReply, NEW_READER, type Reply, type ReplyReader, readReplies, wordsOf } from './reply.ts';
import { firstStage } from './stage-clock.ts';
import {
  awaitedData,
  beginFetch,
  complete,
  isDataPath,
  onCleared,
  onData,
  onDataClosed,
  onDataConnected,
  onDeleted,
  onListening,
  onPassiveReply,
  onPortReply,
  onTransferReply,
  verbOfData,
} from './transfer.ts';

/** A dialogue whose control connection is being opened at `at`. */
export function beginDialogue(plan: CheckPlan, at: At): Step {
  const clock = firstStage('connect', plan, at);
  const next: Dialogue = {
    ...clock,
    plan,
    firstWordDueAt: clock.deadline,
    spoke: false,
    reader: NEW_READER,
    certificate: undefined,
    bytes: 0,
    phase: { name: 'connecting' },
  };
  return { next, effects: [{ type: 'setDeadline', at: clock.deadline }] };
}

/** The next state and what to do. Events that come after the finish change nothing. */
export function stepDialogue(dialogue: Dialogue, event: DialogueEvent, at: At): Step {
  const { phase } = dialogue;
  if (phase.name === 'finished') return stay(dialogue);
  switch (event.type) {
    case 'connected':
      return phase.name === 'connecting' ? onConnected(dialogue, at) : stay(dialogue);
    case 'secured':
      return phase.name === 'securing' ? onSecured(dialogue, event.certificate, at) : stay(dialogue);
    case 'received':
      return onReceived(dialogue, event.bytes, at);
    case 'closed':
      return onClosed(dialogue, event.error, at);
    case 'listening':
      return phase.name === 'listening' ? onListening(dialogue, phase.verb, event.address, event.port) : stay(dialogue);
    case 'data-connected':
      return onDataConnected(dialogue, event.from, at);
    case 'data':
      return onData(dialogue, event.bytes, at);
    case 'data-closed':
      return onDataClosed(dialogue, event.error, event.sha256, at);
    case 'timeout':
      return onTimeout(dialogue, at);
  }
}

function onConnected(dialogue: Dialogue, at: At): Step {
  const { until, tls } = dialogue.plan;
  if (until === 'connect') return finish(dialogue, passed(dialogue, at));
  if (tls?.mode === 'implicit') return awaitFirstWord(secure(dialogue, at));
  return awaitFirstWord(enter(dialogue, 'greeting', { name: 'greeting' }, at, []));
}

/** Before its first word a server may wait for its resolver; a patient check waits with it. */
function awaitFirstWord({ next, effects }: Step): Step {
  const { plan, startedAt, deadline: firstWordDueAt } = next;
  if (!plan.patient) return { next: { ...next, firstWordDueAt }, effects };
  const deadline = after(startedAt, plan.timeoutMs);
  const others = effects.filter(({ type }) => type !== 'setDeadline');
  return {
    next: { ...next, firstWordDueAt, deadline },
    effects: [...others, { type: 'setDeadline', at: deadline }],
  };
}

function secure(dialogue: Dialogue, at: At): Step {
  return enter(dialogue, 'tls', { name: 'securing' }, at, [{ type: 'secure' }]);
}

function onSecured(before: Dialogue, presented: PresentedCertificate, at: At): Step {
  const { plan } = before;
  const { validUntil, daysLeft } = presented;
  const dialogue: Dialogue = { ...before, spoke: true, certificate: { validUntil, daysLeft } };
  if (plan.tls === undefined) return stay(before);
  const problem = certificateProblem(plan.tls, presented);
  if (problem !== undefined) return misconfigured(dialogue, problem, '', at);
  if (plan.tls.mode === 'explicit') return logIn(dialogue, at);
  if (isLate(dialogue, at)) return fail(dialogue, lateProblem('TLS comes', plan), '', at);
  return awaitFirstWord(enter(dialogue, 'greeting', { name: 'greeting' }, at, []));
}

function logIn(dialogue: Dialogue, at: At): Step {
  return enter(dialogue, 'login', { name: 'user' }, at, [send('USER', dialogue.plan.user)]);
}

function isLate({ plan, firstWordDueAt }: Dialogue, at: At): boolean {
  return plan.patient && at > firstWordDueAt;
}

function lateProblem(what: string, { stageTimeoutMs }: CheckPlan): string {
  return `${what}, but not within ${formatDuration(stageTimeoutMs)}; is its resolver slow?`;
}

function onReceived(dialogue: Dialogue, bytes: Uint8Array, at: At): Step {
  const { reader, replies } = readReplies(dialogue.reader, bytes);
  const effects: DialogueEffect[] = [];
  let next: Dialogue = { ...dialogue, reader };
  for (const [index, reply] of replies.entries()) {
    const step = onReply(next, reply, at);
    next = step.next;
    if (next.phase.name === 'securing') {
      const isAll = index === replies.length - 1 && isIdle(reader);
      const { next: now, effects: last } = isAll ? afresh(step, reader) : failMute(next, SENT_BEFORE_TLS, 'speaks', at);
      return { next: now, effects: [...effects, ...last] };
    }
    effects.push(...step.effects);
  }
  if (reader.fault !== undefined && next.phase.name !== 'finished') {
    const step =
      next.phase.name === 'quitting'
        ? finish(next, next.phase.result)
        : failMute(next, reader.fault, hasSpoken(next) ? 'speaks' : 'none', at);
    next = step.next;
    effects.push(...step.effects);
  }
  return { next, effects };
}

/** Also by a reply that has only begun: whatever comes of it, an FTP server is there. */
function hasSpoken({ spoke, reader }: Dialogue): boolean {
  return spoke || hasBegunReply(reader);
}

/**
 * Whoever sits in between could put replies behind the 234, to be taken for the server's own once
 * TLS runs (CVE-2011-0411, CVE-2021-22947). No honest server sends any.
 */
const SENT_BEFORE_TLS =
  'more than the 234 comes in the clear before TLS begins: the server is broken, or somebody in between adds to what it sends';

function isIdle({ partial, open, fault }: ReplyReader): boolean {
  return partial.length === 0 && open === undefined && fault === undefined;
}

/** What comes encrypted is read as if nothing had come before; the bytes still count. */
function afresh({ next, effects }: Step, { bytes, lastLine }: ReplyReader): Step {
  return { next: { ...next, reader: { ...NEW_READER, bytes, lastLine } }, effects };
}

function onReply(before: Dialogue, reply: Reply, at: At): Step {
  const dialogue: Dialogue = { ...before, spoke: true };
  const { phase, plan } = dialogue;
  const { code } = reply;
  const isOver = phase.name === 'quitting' || phase.name === 'finished';
  if (plan.greetingOnly && phase.name === 'greeting' && code !== 120) return quit(dialogue, passed(dialogue, at), at);
  if (code === 421 && !isOver) {
    const problem = `the server refuses service and closes (421)${tlsHint(plan.tls, reply)}`;
    return fail(dialogue, problem, wordsOf(reply), at);
  }
  switch (phase.name) {
    case 'connecting':
      return stay(dialogue);
    case 'securing':
      return failMute(before, SENT_BEFORE_TLS, 'speaks', at);
    case 'greeting':
      return onGreeting(dialogue, reply, at);
    case 'auth':
      return code === 234 ? secure(dialogue, at) : misconfigured(dialogue, authProblem(reply), wordsOf(reply), at);
    case 'user':
      if (code === 331) return proceed(dialogue, { name: 'pass' }, [send('PASS', plan.password)]);
      return onLoginReply(dialogue, 'USER', reply, at);
    case 'pass':
      return onLoginReply(dialogue, 'PASS', reply, at);
    case 'pbsz':
      if (code === 200) return proceed(dialogue, { name: 'prot' }, [send('PROT', 'P')]);
      return fail(dialogue, unexpected('PBSZ 0', code, 200), wordsOf(reply), at);
    case 'prot':
      if (code === 200) return proceed(dialogue, { name: 'type' }, [send('TYPE', 'I')]);
      return fail(dialogue, unexpected('PROT P', code, 200), wordsOf(reply), at);
    case 'type':
      return code === 200 ? onTyped(dialogue, at) : fail(dialogue, unexpected('TYPE I', code, 200), wordsOf(reply), at);
    case 'directory':
      return onDirectoryReply(dialogue, reply, at);
    case 'clearing':
      return onCleared(dialogue, at);
    case 'deleting':
      return onDeleted(dialogue, reply, at);
    case 'passive':
      return onPassiveReply(dialogue, phase.verb, reply, at);
    case 'port':
      return onPortReply(dialogue, phase, reply, at);
    case 'listening':
    case 'data-connecting':
      return fail(dialogue, `the server sends ${code} without being asked`, wordsOf(reply), at);
    case 'transferring':
      return onTransferReply(dialogue, phase, reply, at);
    case 'completing':
      return complete(dialogue, phase, reply, at);
    case 'quitting':
      return finish(dialogue, phase.result);
    case 'finished':
      return stay(dialogue);
  }
}

function unexpected(command: string, code: number, wanted: number): string {
  return `${command} is answered with ${code}, not ${wanted}`;
}

function onTyped(dialogue: Dialogue, at: At): Step {
  const { directory } = dialogue.plan;
  if (directory === undefined) return beginFetch(dialogue, at);
  return enter(dialogue, 'directory', { name: 'directory' }, at, [send('CWD', directory)]);
}

function onDirectoryReply(dialogue: Dialogue, reply: Reply, at: At): Step {
  const { directory, user } = dialogue.plan;
  if (reply.code === 250 || reply.code === 200) return beginFetch(dialogue, at);
  const problem = unexpected(`CWD ${directory}`, reply.code, 250);
  return fail(dialogue, `${problem}; let user "${user}" enter it, or correct check.directory`, wordsOf(reply), at);
}

function onGreeting(dialogue: Dialogue, reply: Reply, at: At): Step {
  const { plan } = dialogue;
  // 120 says "ready in some minutes": the greeting is still to come, and the deadline of its stage
  // bounds the wait.
  if (reply.code === 120) return stay(dialogue);
  if (reply.code !== 220) return fail(dialogue, `the greeting is ${reply.code}, not 220`, wordsOf(reply), at);
  if (isLate(dialogue, at)) return fail(dialogue, lateProblem('the greeting comes', plan), wordsOf(reply), at);
  const { banner } = plan;
  if (banner !== undefined && !reply.lines.some(line => line.includes(banner)))
    return fail(dialogue, `the greeting does not hold "${banner}" (check.banner)`, wordsOf(reply), at);
  if (plan.until === 'greeting') return finish(dialogue, passed(dialogue, at));
  if (plan.tls?.mode === 'explicit') return enter(dialogue, 'tls', { name: 'auth' }, at, [send('AUTH', 'TLS')]);
  return logIn(dialogue, at);
}

function onLoginReply(dialogue: Dialogue, verb: 'USER' | 'PASS', reply: Reply, at: At): Step {
  const { user } = dialogue.plan;
  if (reply.code === 230 || (verb === 'PASS' && reply.code === 202)) {
    if (dialogue.plan.until === 'login') return quit(dialogue, passed(dialogue, at), at);
    if (dialogue.plan.tls) return proceed(dialogue, { name: 'pbsz' }, [send('PBSZ', '0')]);
    return proceed(dialogue, { name: 'type' }, [send('TYPE', 'I')]);
  }
  const problem =
    reply.code === 332
      ? `the server wants an account (ACCT) for user "${user}", which a check does not have`
      : `login of user "${user}" is refused: ${verb} is answered with ${reply.code}${tlsHint(dialogue.plan.tls, reply)}`;
  return fail(dialogue, problem, wordsOf(reply), at);
}

function onClosed(dialogue: Dialogue, error: string | undefined, at: At): Step {
  const { phase, plan } = dialogue;
  if (phase.name === 'quitting') return finish(dialogue, phase.result);
  if (phase.name === 'connecting') {
    const problem = `${hostPort(plan.address, plan.controlPort)} cannot be reached (${error ?? 'closed'})`;
    return failMute(dialogue, problem, 'none', at);
  }
  const how = error === undefined ? 'closed the connection' : `broke the connection (${error})`;
  if (phase.name === 'securing' && plan.tls) {
    // Before its first word it may be anything: a server of plain FTP, or none.
    const life = dialogue.spoke || error === undefined || isTlsAnswer(error) ? 'speaks' : 'none';
    const ifPlain = 'if plain FTP is spoken on this port, write check.tls: explicit or none';
    return failMute(dialogue, handshakeProblem(plan.tls, error, ifPlain), life, at);
  }
  // One that hangs up in order has decided to: servers at their limit do (proftpd's MaxInstances),
  // without a word.
  const life = hasSpoken(dialogue) || error === undefined ? 'speaks' : 'none';
  return failMute(dialogue, `the server ${how}: ${awaited(dialogue)}`, life, at);
}

function onTimeout(dialogue: Dialogue, at: At): Step {
  const { phase, plan, deadline, startedAt } = dialogue;
  // A timer may fire a little early; the deadline counts.
  if (at < deadline) return { next: dialogue, effects: [{ type: 'setDeadline', at: deadline }] };
  if (phase.name === 'quitting') return finish(dialogue, phase.result);
  const bound =
    between(startedAt, deadline) >= plan.timeoutMs
      ? `within the ${formatDuration(plan.timeoutMs)} of the whole check`
      : `within ${formatDuration(plan.stageTimeoutMs)}`;
  const isFirstWord = phase.name === 'greeting' || phase.name === 'securing';
  const life = hasSpoken(dialogue) ? 'speaks' : isFirstWord ? 'silent' : 'none';
  return failMute(dialogue, `${awaited(dialogue)} ${bound}`, life, at, isDataPath(dialogue));
}

/** What has not come, as the start of a sentence. */
function awaited(dialogue: Dialogue): string {
  const { phase, plan } = dialogue;
  switch (phase.name) {
    case 'connecting':
      return `no connection to ${hostPort(plan.address, plan.controlPort)}`;
    case 'securing':
      return 'no end of the TLS handshake';
    case 'greeting':
      return 'no greeting (220)';
    case 'auth':
      return 'no answer to AUTH TLS';
    case 'user':
      return 'no answer to USER';
    case 'pass':
      return 'no answer to PASS';
    case 'pbsz':
      return 'no answer to PBSZ 0';
    case 'prot':
      return 'no answer to PROT P';
    case 'type':
      return 'no answer to TYPE I';
    case 'directory':
      return 'no answer to CWD';
    case 'clearing':
    case 'deleting':
      return 'no answer to DELE';
    case 'passive':
      return `no answer to ${verbOfData(plan)}`;
    case 'listening':
      return 'no socket of this router to listen on';
    case 'port':
      return 'no answer to PORT or EPRT';
    case 'data-connecting':
      return `no data connection to ${hostPort(plan.address, phase.port)}`;
    case 'transferring':
    case 'completing':
      return awaitedData(dialogue, phase);
    case 'quitting':
    case 'finished':
      return 'nothing more';
  }
}
