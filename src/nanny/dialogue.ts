// The state of an FTP check, and the moves that its stages are made of: to go on, to enter the next
// stage, to fail, to end. Pure; which move comes is decided in ftp.ts and transfer.ts.

import type { Stage } from '../config/check-stages.ts';
import type { Address } from '../units/address.ts';
import { type At, after, ms } from '../units/duration.ts';
import type { PresentedCertificate } from './certificate.ts';
import { ANONYMOUS_PASSWORD, type CheckPlan } from './check-plan.ts';
import type { Content } from './content.ts';
import { repeatsSecret, SECRET_LENGTH_MIN } from './repeated-secret.ts';
import { lastWords, printableLine, quoted, type Reply, type ReplyReader } from './reply.ts';
import { nextStage, type StageClock, slowProblem, stageTimesOf } from './stage-clock.ts';
import type { Certificate, CheckResult, Failure, Life } from './verdict.ts';

/** How long the server may take to answer QUIT; the result is known by then. */
export const QUIT_MS = 200;

/** What happened. `error` is the code of a failed socket operation, such as ECONNREFUSED. */
export type DialogueEvent =
  | { readonly type: 'connected' }
  | { readonly type: 'received'; readonly bytes: Uint8Array }
  | { readonly type: 'closed'; readonly error?: string }
  /** TLS on the control connection has begun, with this certificate. */
  | { readonly type: 'secured'; readonly certificate: PresentedCertificate }
  /** This router waits for a data connection of active mode. */
  | { readonly type: 'listening'; readonly address: Address; readonly port: number }
  /** `from`: in active mode. */
  | { readonly type: 'data-connected'; readonly from?: DataOrigin }
  | { readonly type: 'data'; readonly bytes: Uint8Array }
  /** `sha256`: of all data, where the plan asks for it. */
  | { readonly type: 'data-closed'; readonly error?: string; readonly sha256?: string }
  /** The deadline that was set last is over. */
  | { readonly type: 'timeout' };

/**
 * What must be done. A new deadline replaces the last one; after `finish` the control connection is
 * closed too.
 */
export type DialogueEffect =
  | { readonly type: 'sendLine'; readonly line: string }
  /** Begins TLS on the control connection; data connections have it from then on. */
  | { readonly type: 'secure' }
  | { readonly type: 'openData'; readonly port: number }
  /** Listens for a data connection from the server (active mode). */
  | { readonly type: 'listen' }
  /** Sends `text` over the data connection, and its end. */
  | { readonly type: 'sendData'; readonly text: string }
  | { readonly type: 'closeData' }
  | { readonly type: 'setDeadline'; readonly at: At }
  | { readonly type: 'finish'; readonly result: CheckResult };

export type TransferVerb = 'LIST' | 'RETR' | 'STOR';

/** Who opened a data connection of active mode. */
export interface DataOrigin {
  readonly address: string;
  readonly port: number;
}

/**
 * The data connection during a transfer: the server has still to open it (active mode), open, ended
 * by the server, cut by us at max_bytes, done with by us, or broken (with an error code).
 */
type DataState = { readonly awaitedAt: string } | 'open' | DataEnd;
type DataEnd = 'ended' | 'cut' | 'sent' | { readonly error: string };

/** Phases that do nothing but wait for one reply. */
type Asking = 'greeting' | 'auth' | 'user' | 'pass' | 'pbsz' | 'prot' | 'type' | 'directory' | 'clearing' | 'deleting';

export type Phase =
  | { readonly name: 'connecting' | 'securing' | Asking }
  | { readonly name: 'passive' | 'listening'; readonly verb: TransferVerb }
  /** `here`: where this router listens for the data connection. */
  | { readonly name: 'port'; readonly verb: TransferVerb; readonly here: string }
  | { readonly name: 'data-connecting'; readonly verb: TransferVerb; readonly port: number }
  /**
   * `started`: 125 or 150 came. `final`: the reply that ends the transfer, when it came before the
   * end of the data.
   */
  | {
      readonly name: 'transferring';
      readonly verb: TransferVerb;
      readonly started: boolean;
      readonly content: Content;
      readonly data: DataState;
      readonly final: Reply | undefined;
    }
  | {
      readonly name: 'completing';
      readonly verb: TransferVerb;
      readonly content: Content;
      readonly data: DataEnd;
    }
  | { readonly name: 'quitting' | 'finished'; readonly result: CheckResult };

export interface Dialogue extends StageClock {
  readonly plan: CheckPlan;
  /** Until then the server's first word is in time; the deadline of a patient check is later. */
  readonly firstWordDueAt: At;
  /** Whether a whole reply has come, whatever it said. */
  readonly spoke: boolean;
  readonly reader: ReplyReader;
  readonly certificate: Certificate | undefined;
  /** Of the first transfer. */
  readonly bytes: number;
  readonly phase: Phase;
}

export interface Step {
  readonly next: Dialogue;
  readonly effects: readonly DialogueEffect[];
}

export function stay(dialogue: Dialogue): Step {
  return { next: dialogue, effects: [] };
}

/**
 * Goes on within the same stage, whose deadline stays: a stage is bounded as a whole, so that no
 * drip can stretch it.
 */
export function proceed(dialogue: Dialogue, phase: Phase, effects: readonly DialogueEffect[]): Step {
  return { next: { ...dialogue, phase }, effects };
}

export function enter(
  dialogue: Dialogue,
  stage: Stage,
  phase: Phase,
  at: At,
  effects: readonly DialogueEffect[],
): Step {
  const next = { ...dialogue, ...nextStage(dialogue, stage, dialogue.plan, at), phase };
  return { next, effects: [...effects, { type: 'setDeadline', at: next.deadline }] };
}

export function send(verb: string, argument = ''): DialogueEffect {
  // The config refuses line breaks; a password file or a path must never become a second command
  // all the same.
  return { type: 'sendLine', line: argument === '' ? verb : `${verb} ${argument.replace(/[\r\n\0]/gu, '?')}` };
}

function found(dialogue: Dialogue, at: At) {
  return { ...stageTimesOf(dialogue, at), certificate: dialogue.certificate };
}

/** The result of a check that ends well now, unless it was too slow. */
export function passed(dialogue: Dialogue, at: At): CheckResult {
  const all = found(dialogue, at);
  const slow = slowProblem(dialogue.plan.slowFail, all);
  if (slow === undefined) return { ok: true, ...all, bytes: dialogue.bytes };
  const { stage, problem } = slow;
  return { ...failure({ ...dialogue, stage }, problem, lastWords(dialogue.reader), 'speaks', at), ...all };
}

function failure(dialogue: Dialogue, problem: string, words: string, life: Life, at: At): Failure {
  return {
    ok: false,
    ...found(dialogue, at),
    stage: dialogue.stage,
    life,
    problem: printableLine(problem),
    words: quoted(withoutPassword(dialogue, words)),
  };
}

/** Some servers quote what they got. The well-known password of anonymous logins is no secret. */
function withoutPassword({ plan: { password }, reader }: Dialogue, words: string): string {
  if (password.length < SECRET_LENGTH_MIN || password === ANONYMOUS_PASSWORD) return words;
  const masked = words.replaceAll(password, '***');
  return repeatsSecret(masked, [password, printableLine(password)], reader.partial.length > 0) ? '' : masked;
}

/**
 * Fails on something the server said; it is told goodbye, so that its log does not speak of an
 * aborted client.
 */
export function fail(dialogue: Dialogue, problem: string, words: string, at: At): Step {
  return quit(dialogue, failure(dialogue, problem, words, 'speaks', at), at);
}

/** Fails with a server that serves, but not as it must behind a VIP; `problem` says what to set. */
export function misconfigured(dialogue: Dialogue, problem: string, words: string, at: At): Step {
  return quit(dialogue, { ...failure(dialogue, problem, words, 'speaks', at), misconfigured: true }, at);
}

/**
 * Fails with a server that hangs, is gone or talks nonsense: there is nobody to say goodbye to.
 * `wrongly`: it is {@link misconfigured}.
 */
export function failMute(dialogue: Dialogue, problem: string, life: Life, at: At, wrongly = false): Step {
  const result = failure(dialogue, problem, lastWords(dialogue.reader), life, at);
  return finish(dialogue, wrongly ? { ...result, misconfigured: true } : result);
}

export function quit(dialogue: Dialogue, result: CheckResult, at: At): Step {
  const deadline = after(at, ms(QUIT_MS));
  return {
    next: { ...dialogue, phase: { name: 'quitting', result }, deadline },
    effects: [{ type: 'closeData' }, send('QUIT'), { type: 'setDeadline', at: deadline }],
  };
}

export function finish(dialogue: Dialogue, result: CheckResult): Step {
  return {
    next: { ...dialogue, phase: { name: 'finished', result } },
    effects: [{ type: 'closeData' }, { type: 'finish', result }],
  };
}
