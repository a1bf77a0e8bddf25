// Decides what an FTP check says and when it has failed: connect, greeting, login, PASV or EPSV,
// one transfer, its end (RFC 959 section 5.4, RFC 2428). Events with their time go in, effects come
// out. Pure; io/ftp-check.ts runs it. Why not basic-ftp 6.2.6 (read in its sources): it loses
// replies split over packets ("22" then "0 hi"), reads port bytes modulo 256, has one idle time-out
// which a slow drip resets for ever and no stages; and where PASV announces the VIP it refuses or
// connects to the VIP, which is the active router: a nanny must compare what is announced and
// connect to the server itself.
import { hostPort } from '../units/address.ts';
import { type At, after, between, formatDuration, type Ms, ms } from '../units/duration.ts';
import { type Announced, announced, type CheckPlan, finalReplyProblem, preliminaryProblem } from './ftp-rules.ts';
import {
  lastWords,
  NEW_READER,
  printableLine,
  quoted,
  type Reply,
  type ReplyReader,
  readReplies,
  wordsOf,
} from './reply.ts';
import type { CheckResult, Life, Stage } from './verdict.ts';

/** How long the server may take to answer QUIT; the result is known by then. */
export const QUIT_MS = 200;

/** What happened. `error` is the code of a failed socket operation, such as ECONNREFUSED. */
export type DialogueEvent =
  | { readonly type: 'connected' }
  | { readonly type: 'received'; readonly bytes: Uint8Array }
  | { readonly type: 'closed'; readonly error?: string }
  | { readonly type: 'data-connected' }
  | { readonly type: 'data'; readonly count: number }
  | { readonly type: 'data-closed'; readonly error?: string }
  /** The deadline that was set last is over. */
  | { readonly type: 'timeout' };

/**
 * What must be done. A new deadline replaces the last one; after `finish` the control connection is
 * closed too.
 */
export type DialogueEffect =
  | { readonly type: 'sendLine'; readonly line: string }
  | { readonly type: 'openData'; readonly port: number }
  | { readonly type: 'closeData' }
  | { readonly type: 'setDeadline'; readonly at: At }
  | { readonly type: 'finish'; readonly result: CheckResult };

/**
 * The data connection during a transfer: open, ended by the server, cut by us at max_bytes, or
 * broken (with an error code).
 */
type DataEnd = 'open' | 'ended' | 'cut' | { readonly error: string };

type Phase =
  | { readonly name: 'connecting' | 'greeting' | 'user' | 'pass' | 'type' | 'passive' }
  | { readonly name: 'data-connecting'; readonly port: number }
  /**
   * `started`: 125 or 150 came. `final`: the reply that ends the transfer, when it came before the
   * end of the data.
   */
  | {
      readonly name: 'transferring';
      readonly started: boolean;
      readonly bytes: number;
      readonly data: DataEnd;
      readonly final: Reply | undefined;
    }
  | { readonly name: 'completing'; readonly bytes: number; readonly data: DataEnd }
  | { readonly name: 'quitting' | 'finished'; readonly result: CheckResult };

export interface Dialogue {
  readonly plan: CheckPlan;
  readonly startedAt: At;
  readonly stage: Stage;
  readonly deadline: At;
  /** Until then the greeting is in time; the deadline of a patient check is later. */
  readonly greetingDueAt: At;
  /** Whether a reply has come, whatever it said. */
  readonly spoke: boolean;
  readonly reader: ReplyReader;
  readonly phase: Phase;
}

export interface Step {
  readonly next: Dialogue;
  readonly effects: readonly DialogueEffect[];
}

/** A dialogue whose control connection is being opened at `at`. */
export function beginDialogue(plan: CheckPlan, at: At): Step {
  const deadline = after(at, ms(Math.min(plan.stageTimeoutMs, plan.timeoutMs)));
  const next: Dialogue = {
    plan,
    startedAt: at,
    stage: 'connect',
    deadline,
    greetingDueAt: deadline,
    spoke: false,
    reader: NEW_READER,
    phase: { name: 'connecting' },
  };
  return { next, effects: [{ type: 'setDeadline', at: deadline }] };
}

/** The next state and what to do. Events that come after the finish change nothing. */
export function stepDialogue(dialogue: Dialogue, event: DialogueEvent, at: At): Step {
  const { phase } = dialogue;
  if (phase.name === 'finished') return stay(dialogue);
  switch (event.type) {
    case 'connected':
      return phase.name === 'connecting' ? awaitGreeting(dialogue, at) : stay(dialogue);
    case 'received':
      return onReceived(dialogue, event.bytes, at);
    case 'closed':
      return onClosed(dialogue, event.error, at);
    case 'data-connected':
      return phase.name === 'data-connecting' ? onDataConnected(dialogue, at) : stay(dialogue);
    case 'data':
      return phase.name === 'transferring' ? onData(dialogue, phase, event.count, at) : stay(dialogue);
    case 'data-closed':
      return onDataClosed(dialogue, event.error, at);
    case 'timeout':
      return onTimeout(dialogue, at);
  }
}

function stay(dialogue: Dialogue): Step {
  return { next: dialogue, effects: [] };
}

/**
 * Goes on within the same stage, whose deadline stays: a stage is bounded as a whole, so that no
 * drip can stretch it.
 */
function proceed(dialogue: Dialogue, phase: Phase, effects: readonly DialogueEffect[]): Step {
  return { next: { ...dialogue, phase }, effects };
}

function enter(dialogue: Dialogue, stage: Stage, phase: Phase, at: At, effects: readonly DialogueEffect[]): Step {
  const { plan, startedAt } = dialogue;
  const deadline = Math.min(after(at, plan.stageTimeoutMs), after(startedAt, plan.timeoutMs)) as At;
  const next = { ...dialogue, stage, phase, deadline };
  return { next, effects: [...effects, { type: 'setDeadline', at: deadline }] };
}

/** In the greeting a server may wait for its resolver; a patient check waits with it. */
function awaitGreeting(dialogue: Dialogue, at: At): Step {
  const { plan, startedAt } = dialogue;
  const { next, effects } = enter(dialogue, 'greeting', { name: 'greeting' }, at, []);
  if (!plan.patient) return { next: { ...next, greetingDueAt: next.deadline }, effects };
  const deadline = after(startedAt, plan.timeoutMs);
  return {
    next: { ...next, greetingDueAt: next.deadline, deadline },
    effects: [{ type: 'setDeadline', at: deadline }],
  };
}

function send(verb: string, argument = ''): DialogueEffect {
  // The config refuses line breaks; a password file or a path must never become a second command
  // all the same.
  return { type: 'sendLine', line: argument === '' ? verb : `${verb} ${argument.replace(/[\r\n\0]/gu, '?')}` };
}

function transferCommand(plan: CheckPlan): 'RETR' | 'LIST' {
  return plan.fetch === undefined ? 'LIST' : 'RETR';
}

function onReceived(dialogue: Dialogue, bytes: Uint8Array, at: At): Step {
  const { reader, replies } = readReplies(dialogue.reader, bytes);
  const effects: DialogueEffect[] = [];
  let next: Dialogue = { ...dialogue, reader };
  for (const reply of replies) {
    const step = onReply(next, reply, at);
    next = step.next;
    effects.push(...step.effects);
  }
  if (reader.fault !== undefined && next.phase.name !== 'finished') {
    const step =
      next.phase.name === 'quitting'
        ? finish(next, next.phase.result)
        : failMute(next, reader.fault, next.spoke ? 'speaks' : 'none', at);
    next = step.next;
    effects.push(...step.effects);
  }
  return { next, effects };
}

function onReply(before: Dialogue, reply: Reply, at: At): Step {
  const dialogue: Dialogue = { ...before, spoke: true };
  const { phase, plan } = dialogue;
  const { code } = reply;
  const isOver = phase.name === 'quitting' || phase.name === 'finished';
  if (code === 421 && !isOver) return fail(dialogue, 'the server refuses service and closes (421)', wordsOf(reply), at);
  switch (phase.name) {
    case 'connecting':
      return stay(dialogue);
    case 'greeting':
      // 120 says "ready in some minutes": the greeting is still to come, and the deadline of its
      // stage bounds the wait.
      if (code === 120) return stay(dialogue);
      if (code === 220 && (!plan.patient || at <= dialogue.greetingDueAt)) {
        return enter(dialogue, 'login', { name: 'user' }, at, [send('USER', plan.user)]);
      }
      if (code === 220) {
        const problem = `the greeting comes, but not within ${formatDuration(plan.stageTimeoutMs)}; is its resolver slow?`;
        return fail(dialogue, problem, wordsOf(reply), at);
      }
      return fail(dialogue, `the greeting is ${code}, not 220`, wordsOf(reply), at);
    case 'user':
      if (code === 331) return proceed(dialogue, { name: 'pass' }, [send('PASS', plan.password)]);
      return onLoginReply(dialogue, 'USER', reply, at);
    case 'pass':
      return onLoginReply(dialogue, 'PASS', reply, at);
    case 'type':
      if (code === 200) {
        return enter(dialogue, 'passive', { name: 'passive' }, at, [send(plan.data === 'pasv' ? 'PASV' : 'EPSV')]);
      }
      return fail(dialogue, `TYPE I is answered with ${code}, not 200`, wordsOf(reply), at);
    case 'passive':
      return onPassiveReply(dialogue, announced(plan, reply), reply, at);
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

function onLoginReply(dialogue: Dialogue, verb: 'USER' | 'PASS', reply: Reply, at: At): Step {
  const { user } = dialogue.plan;
  if (reply.code === 230 || (verb === 'PASS' && reply.code === 202)) {
    return proceed(dialogue, { name: 'type' }, [send('TYPE', 'I')]);
  }
  const problem =
    reply.code === 332
      ? `the server wants an account (ACCT) for user "${user}", which a check does not have`
      : `login of user "${user}" is refused: ${verb} is answered with ${reply.code}`;
  return fail(dialogue, problem, wordsOf(reply), at);
}

function onPassiveReply(dialogue: Dialogue, target: Announced, reply: Reply, at: At): Step {
  if (!target.ok) return fail(dialogue, target.problem, wordsOf(reply), at);
  const { port } = target;
  return enter(dialogue, 'data-connect', { name: 'data-connecting', port }, at, [{ type: 'openData', port }]);
}

function onDataConnected(dialogue: Dialogue, at: At): Step {
  const { plan } = dialogue;
  const phase: Phase = { name: 'transferring', started: false, bytes: 0, data: 'open', final: undefined };
  return enter(dialogue, 'transfer', phase, at, [send(transferCommand(plan), plan.fetch)]);
}

type Transferring = Extract<Phase, { name: 'transferring' }>;

function onTransferReply(dialogue: Dialogue, phase: Transferring, reply: Reply, at: At): Step {
  if (phase.started) {
    // The data may still be on its way when the final reply is here: they travel on different
    // connections.
    if (reply.code < 400 && phase.final === undefined) return settleTransfer(dialogue, { ...phase, final: reply }, at);
    return fail(dialogue, `the transfer is answered with ${reply.code}`, wordsOf(reply), at);
  }
  const problem = preliminaryProblem(transferCommand(dialogue.plan), reply);
  if (problem !== undefined) return fail(dialogue, problem, wordsOf(reply), at);
  return settleTransfer(dialogue, { ...phase, started: true }, at);
}

function onData(dialogue: Dialogue, phase: Transferring, count: number, at: At): Step {
  if (phase.data !== 'open') return stay(dialogue);
  const bytes = phase.bytes + count;
  if (bytes < dialogue.plan.maxBytes) return proceed(dialogue, { ...phase, bytes }, []);
  const step = settleTransfer(dialogue, { ...phase, bytes, data: 'cut' }, at);
  return { next: step.next, effects: [{ type: 'closeData' }, ...step.effects] };
}

function onDataClosed(dialogue: Dialogue, error: string | undefined, at: At): Step {
  const { phase, plan } = dialogue;
  if (phase.name === 'data-connecting') {
    const target = hostPort(plan.address, phase.port);
    const problem = `the data connection to ${target} fails${error ? ` (${error})` : ''}; is the passive range open there?`;
    return fail(dialogue, problem, lastWords(dialogue.reader), at);
  }
  if (phase.name !== 'transferring' || phase.data !== 'open') return stay(dialogue);
  // Broken or ended, the server's reply says why: it is waited for, within the stage.
  return settleTransfer(dialogue, { ...phase, data: error === undefined ? 'ended' : { error } }, at);
}

/**
 * The transfer is over once it was announced (125, 150) and the data connection has ended; then
 * only its final reply is missing.
 */
function settleTransfer(dialogue: Dialogue, phase: Transferring, at: At): Step {
  if (!phase.started || phase.data === 'open') return proceed(dialogue, phase, []);
  const completing = { name: 'completing', bytes: phase.bytes, data: phase.data } as const;
  const stage = typeof phase.data === 'object' ? 'transfer' : 'complete';
  const step = enter(dialogue, stage, completing, at, []);
  return phase.final ? complete(step.next, completing, phase.final, at) : step;
}

function complete(dialogue: Dialogue, phase: Extract<Phase, { name: 'completing' }>, reply: Reply, at: At): Step {
  const { bytes, data } = phase;
  const words = wordsOf(reply);
  if (typeof data === 'object') {
    const problem = `the data connection breaks after ${bytes} bytes (${data.error})`;
    return fail(dialogue, problem, words, at);
  }
  const problem = finalReplyProblem(transferCommand(dialogue.plan), reply, bytes, data === 'cut');
  if (problem) return fail({ ...dialogue, stage: problem.stage }, problem.problem, words, at);
  return quit(dialogue, { ok: true, tookMs: tookMs(dialogue, at), bytes }, at);
}

function onClosed(dialogue: Dialogue, error: string | undefined, at: At): Step {
  const { phase, plan } = dialogue;
  if (phase.name === 'quitting') return finish(dialogue, phase.result);
  if (phase.name === 'connecting') {
    const problem = `${hostPort(plan.address, plan.controlPort)} cannot be reached (${error ?? 'closed'})`;
    return failMute(dialogue, problem, 'none', at);
  }
  const how = error === undefined ? 'closed the connection' : `broke the connection (${error})`;
  // One that hangs up in order has decided to: servers at their limit do (proftpd's MaxInstances),
  // without a word.
  const life = dialogue.spoke || error === undefined ? 'speaks' : 'none';
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
  const life = dialogue.spoke ? 'speaks' : phase.name === 'greeting' ? 'silent' : 'none';
  return failMute(dialogue, `${awaited(dialogue)} ${bound}`, life, at);
}

/** What has not come, as the start of a sentence. */
function awaited(dialogue: Dialogue): string {
  const { phase, plan } = dialogue;
  switch (phase.name) {
    case 'connecting':
      return `no connection to ${hostPort(plan.address, plan.controlPort)}`;
    case 'greeting':
      return 'no greeting (220)';
    case 'user':
      return 'no answer to USER';
    case 'pass':
      return 'no answer to PASS';
    case 'type':
      return 'no answer to TYPE I';
    case 'passive':
      return `no answer to ${plan.data === 'pasv' ? 'PASV' : 'EPSV'}`;
    case 'data-connecting':
      return `no data connection to ${hostPort(plan.address, phase.port)}`;
    case 'transferring':
      return phase.started
        ? `no end of the data after ${phase.bytes} bytes`
        : `no answer (125 or 150) to ${transferCommand(plan)}`;
    case 'completing':
      return typeof phase.data === 'object'
        ? `the data connection broke after ${phase.bytes} bytes (${phase.data.error}) and no reply said why`
        : `no 226 after ${phase.bytes} bytes of data`;
    case 'quitting':
    case 'finished':
      return 'nothing more';
  }
}

function tookMs(dialogue: Dialogue, at: At): Ms {
  return ms(Math.round(between(dialogue.startedAt, at)));
}

function failure(dialogue: Dialogue, problem: string, words: string, life: Life, at: At): CheckResult {
  const { password } = dialogue.plan;
  // Some servers quote what they got. The secret stays out of logs and status, the well-known
  // anonymous one may be shown.
  const shown = password.length < 4 ? words : words.replaceAll(password, '***');
  return {
    ok: false,
    tookMs: tookMs(dialogue, at),
    stage: dialogue.stage,
    life,
    problem: printableLine(problem),
    words: quoted(shown),
  };
}

/**
 * Fails on something the server said; it is told goodbye, so that its log does not speak of an
 * aborted client.
 */
function fail(dialogue: Dialogue, problem: string, words: string, at: At): Step {
  return quit(dialogue, failure(dialogue, problem, words, 'speaks', at), at);
}

/** Fails with a server that hangs, is gone or talks nonsense: there is nobody to say goodbye to. */
function failMute(dialogue: Dialogue, problem: string, life: Life, at: At): Step {
  return finish(dialogue, failure(dialogue, problem, lastWords(dialogue.reader), life, at));
}

function quit(dialogue: Dialogue, result: CheckResult, at: At): Step {
  const deadline = after(at, ms(QUIT_MS));
  return {
    next: { ...dialogue, phase: { name: 'quitting', result }, deadline },
    effects: [{ type: 'closeData' }, send('QUIT'), { type: 'setDeadline', at: deadline }],
  };
}

function finish(dialogue: Dialogue, result: CheckResult): Step {
  return {
    next: { ...dialogue, phase: { name: 'finished', result } },
    effects: [{ type: 'closeData' }, { type: 'finish', result }],
  };
}
