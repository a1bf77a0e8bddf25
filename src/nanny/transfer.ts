// The part of an FTP check that moves data: where the data connection goes or comes from, what
// comes over it, how it ends; a listing or a file first, then a probe file, if one is wanted. Pure;
// ftp.ts has the rest of the dialogue.
import { type Address, familyOf, hostPort } from '../units/address.ts';
import type { At } from '../units/duration.ts';
import type { CheckPlan } from './check-plan.ts';
import { contentAfter, contentProblem, NO_CONTENT, PROBE_TEXT, wantsWhole } from './content.ts';
import {
  type DataOrigin,
  type Dialogue,
  type DialogueEffect,
  enter,
  fail,
  misconfigured,
  type Phase,
  passed,
  proceed,
  quit,
  type Step,
  send,
  stay,
  type TransferVerb,
} from './dialogue.ts';
import { activeProblem, announced, finalReplyProblem, preliminaryProblem, sourceProblem } from './ftp-rules.ts';
import { lastWords, type Reply, wordsOf } from './reply.ts';

type Transferring = Extract<Phase, { name: 'transferring' }>;
type Completing = Extract<Phase, { name: 'completing' }>;

/** The first transfer of a check: a file, or a listing of the directory. */
export function beginFetch(dialogue: Dialogue, at: At): Step {
  return beginTransfer(dialogue, dialogue.plan.fetch === undefined ? 'LIST' : 'RETR', at);
}

function beginTransfer(dialogue: Dialogue, verb: TransferVerb, at: At): Step {
  switch (dialogue.plan.data) {
    case 'active':
      return enter(dialogue, 'active', { name: 'listening', verb }, at, [{ type: 'listen' }]);
    case 'pasv':
      return enter(dialogue, 'passive', { name: 'passive', verb }, at, [send('PASV')]);
    case 'epsv':
      return enter(dialogue, 'passive', { name: 'passive', verb }, at, [send('EPSV')]);
  }
}

function command({ plan }: Dialogue, verb: TransferVerb): DialogueEffect {
  switch (verb) {
    case 'LIST':
      return send('LIST');
    case 'RETR':
      return send('RETR', plan.fetch);
    case 'STOR':
      return send('STOR', plan.upload);
  }
}

export function onPassiveReply(dialogue: Dialogue, verb: TransferVerb, reply: Reply, at: At): Step {
  const target = announced(dialogue.plan, reply);
  if (!target.ok) {
    const end = target.misconfigured ? misconfigured : fail;
    return end(dialogue, target.problem, wordsOf(reply), at);
  }
  const { port } = target;
  return enter(dialogue, 'data-connect', { name: 'data-connecting', verb, port }, at, [{ type: 'openData', port }]);
}

/** Active mode: this router listens, and says where. */
export function onListening(dialogue: Dialogue, verb: TransferVerb, address: Address, port: number): Step {
  const told = familyOf(address) === 4 ? portCommand(address, port) : send('EPRT', `|2|${address}|${port}|`);
  return proceed(dialogue, { name: 'port', verb, here: hostPort(address, port) }, [told]);
}

function portCommand(address: Address, port: number): DialogueEffect {
  return send('PORT', [...address.split('.'), port >> 8, port & 255].join(','));
}

export function onPortReply(
  dialogue: Dialogue,
  { verb, here }: Extract<Phase, { name: 'port' }>,
  reply: Reply,
  at: At,
): Step {
  if (reply.code !== 200) return misconfigured(dialogue, activeProblem(dialogue.plan, reply), wordsOf(reply), at);
  const phase: Phase = { ...NOT_BEGUN, verb, data: { awaitedAt: here } };
  return enter(dialogue, 'data-connect', phase, at, [command(dialogue, verb)]);
}

const NOT_BEGUN = { name: 'transferring', started: false, content: NO_CONTENT, final: undefined } as const;

export function onDataConnected(dialogue: Dialogue, from: DataOrigin | undefined, at: At): Step {
  const { phase, plan } = dialogue;
  if (phase.name === 'data-connecting') {
    const { verb } = phase;
    return enter(dialogue, 'transfer', { ...NOT_BEGUN, verb, data: 'open' }, at, [command(dialogue, verb)]);
  }
  if (phase.name !== 'transferring' || !isAwaiting(phase.data)) return stay(dialogue);
  const problem = from && sourceProblem(plan, from.port);
  if (problem !== undefined) return misconfigured(dialogue, problem, lastWords(dialogue.reader), at);
  const { next, effects } = enter(dialogue, 'transfer', { ...phase, data: 'open' }, at, []);
  const settled = settleTransfer(next, { ...phase, data: 'open' }, at);
  return { next: settled.next, effects: [...effects, ...settled.effects] };
}

function isAwaiting(data: Transferring['data']): data is { readonly awaitedAt: string } {
  return typeof data === 'object' && 'awaitedAt' in data;
}

export function onTransferReply(dialogue: Dialogue, phase: Transferring, reply: Reply, at: At): Step {
  const { code } = reply;
  if (isAwaiting(phase.data) && code === 425)
    return misconfigured(dialogue, activeProblem(dialogue.plan, reply), wordsOf(reply), at);
  if (phase.started) {
    // The data may still be on its way when the final reply is here: they travel on different
    // connections.
    if (code < 400 && phase.final === undefined) return settleTransfer(dialogue, { ...phase, final: reply }, at);
    return fail(dialogue, `the transfer is answered with ${code}`, wordsOf(reply), at);
  }
  const problem = preliminaryProblem(phase.verb, reply);
  if (problem !== undefined) return fail(dialogue, problem, wordsOf(reply), at);
  return settleTransfer(dialogue, { ...phase, started: true }, at);
}

export function onData(dialogue: Dialogue, bytes: Uint8Array, at: At): Step {
  const { phase, plan } = dialogue;
  if (phase.name !== 'transferring' && phase.name !== 'completing') return stay(dialogue);
  if (phase.verb === 'STOR') {
    return fail(dialogue, 'the server sends data where it should take them', lastWords(dialogue.reader), at);
  }
  if (phase.name !== 'transferring' || phase.data !== 'open') return stay(dialogue);
  const content = contentAfter(phase.content, bytes, plan.content);
  const isMore = wantsWhole(plan.content) ? content.bytes <= plan.maxBytes : content.bytes < plan.maxBytes;
  if (isMore) return proceed(dialogue, { ...phase, content }, []);
  const step = settleTransfer(dialogue, { ...phase, content, data: 'cut' }, at);
  return { next: step.next, effects: [{ type: 'closeData' }, ...step.effects] };
}

/** `sha256`: of all that came, where the plan wants it. */
export function onDataClosed(dialogue: Dialogue, error: string | undefined, sha256: string | undefined, at: At): Step {
  const { phase, plan } = dialogue;
  if (phase.name === 'data-connecting') {
    const target = hostPort(plan.address, phase.port);
    const problem = `the data connection to ${target} fails${error ? ` (${error})` : ''}; is the passive range open there?`;
    return misconfigured(dialogue, problem, lastWords(dialogue.reader), at);
  }
  if (phase.name !== 'transferring' || phase.data !== 'open') return stay(dialogue);
  const content = { ...phase.content, sha256 };
  // Broken or ended, the server's reply says why: it is waited for, within the stage.
  return settleTransfer(dialogue, { ...phase, content, data: error === undefined ? 'ended' : { error } }, at);
}

/**
 * The transfer is over once it was announced (125, 150) and the data connection has ended; then
 * only its final reply is missing. A file of ours is sent once it was announced.
 */
function settleTransfer(dialogue: Dialogue, phase: Transferring, at: At): Step {
  const { started, verb, content, data, final } = phase;
  const isSending = started && data === 'open' && verb === 'STOR';
  const end = isSending ? 'sent' : data;
  if (!started || end === 'open' || isAwaiting(end)) return proceed(dialogue, phase, []);
  const completing: Completing = { name: 'completing', verb, content, data: end };
  const effects: DialogueEffect[] = isSending ? [{ type: 'sendData', text: PROBE_TEXT }] : [];
  const stage = typeof data === 'object' ? 'transfer' : 'complete';
  const step = enter(dialogue, stage, completing, at, effects);
  if (!final) return step;
  const completed = complete(step.next, completing, final, at);
  return { next: completed.next, effects: [...step.effects, ...completed.effects] };
}

export function complete(dialogue: Dialogue, { verb, content, data }: Completing, reply: Reply, at: At): Step {
  const { plan } = dialogue;
  const words = wordsOf(reply);
  const failAt = (stage: Dialogue['stage'], problem: string) => fail({ ...dialogue, stage }, problem, words, at);
  if (typeof data === 'object')
    return failAt(dialogue.stage, `the data connection breaks after ${content.bytes} bytes (${data.error})`);
  if (verb === 'STOR' && data !== 'sent')
    return failAt('transfer', 'the server closes the data connection before it has taken the file');
  const problem = finalReplyProblem(verb, reply, content.bytes, data === 'cut');
  if (problem) return failAt(problem.stage, problem.problem);
  if (verb === 'STOR') return enter(dialogue, 'upload', { name: 'deleting' }, at, [send('DELE', plan.upload)]);
  const wrong = verb === 'RETR' && contentProblem(plan.content, content, data === 'cut', plan.maxBytes);
  if (wrong) return failAt('transfer', wrong);
  const now: Dialogue = { ...dialogue, bytes: content.bytes };
  if (plan.upload === undefined) return quit(now, passed(now, at), at);
  return enter(now, 'upload', { name: 'clearing' }, at, [{ type: 'closeData' }, send('DELE', plan.upload)]);
}

/** What a crash of this router left is gone, or there was nothing: both are well. */
export function onCleared(dialogue: Dialogue, at: At): Step {
  return beginTransfer(dialogue, 'STOR', at);
}

export function onDeleted(dialogue: Dialogue, reply: Reply, at: At): Step {
  if (reply.code === 250 || reply.code === 200) return quit(dialogue, passed(dialogue, at), at);
  const { upload, user } = dialogue.plan;
  const problem = `the probe file ${upload} cannot be deleted (${reply.code}); let user "${user}" delete, or leave out check.upload`;
  return fail(dialogue, problem, wordsOf(reply), at);
}

/** What has not come, as the start of a sentence; for the phases of this file. */
export function awaitedData({ plan }: Dialogue, phase: Transferring | Completing): string {
  const { data, verb, content } = phase;
  const { bytes } = content;
  if (isAwaiting(data))
    return `no data connection from ${plan.address} to ${data.awaitedAt} (active mode; does a firewall there or here drop it?)`;
  if (phase.name === 'transferring') {
    return phase.started ? `no end of the data after ${bytes} bytes` : `no answer (125 or 150) to ${verb}`;
  }
  if (typeof data === 'object')
    return `the data connection broke after ${bytes} bytes (${data.error}) and no reply said why`;
  return verb === 'STOR' ? 'no 226 after the probe file' : `no 226 after ${bytes} bytes of data`;
}

/** Whether silence means that the way of the data is wrong: the control connection works. */
export function isDataPath({ phase }: Dialogue): boolean {
  return phase.name === 'data-connecting' || (phase.name === 'transferring' && isAwaiting(phase.data));
}

export function verbOfData(plan: CheckPlan): 'PASV' | 'EPSV' {
  return plan.data === 'pasv' ? 'PASV' : 'EPSV';
}
