// The decisions of a reload of both routers as one: whether what both say of their files allows it,
// and what a router does with an ask that may come twice, late, or from nowhere. Pure.
//
// The other router goes first, since what this one does is certain: if the other's outcome stays
// unknown, nothing has changed here.
import { differingParts } from '../config/digest.ts';
import type { ReloadAnswer, ReloadAsk } from '../config/reload-word.ts';
import type { ReloadOutcome, ReloadPlan } from '../feed/reload-answer.ts';
import { type At, between, ms } from '../units/duration.ts';

/** What was checked so long ago is checked again before it is taken. */
const CHECKED_MS_MAX = ms(60_000);
const ANSWERS_MAX = 8;

interface Side {
  readonly node: string;
  readonly file: string;
  readonly digest: string | null;
  readonly inUse: string;
  readonly parts: Readonly<Record<string, string>>;
}

/** Why the two cannot take their files as one, with what to do; undefined: they can. */
export function pairRefusal(own: Side, peer: Side & { readonly words: readonly string[] }): string | undefined {
  if (own.digest === null) return `the config on ${own.node} has mistakes: mend it, then again`;
  if (peer.digest === null || peer.words.length > 0) {
    return `${peer.node} cannot take its file ${peer.file}: ${peer.words.join('; ') || 'it does not say why'}`;
  }
  if (own.digest === peer.digest) return undefined;
  const known = Object.keys(peer.parts).length > 0;
  const where = known ? ` in ${differingParts(own.parts, peer.parts).join(', ')}` : '';
  const side = ({ node, digest, inUse }: Side) =>
    `${node}'s has digest ${digest}${digest === inUse ? ' (what it uses now)' : ''}`;
  return `the files differ${where}: ${side(own)}, ${side(peer)}; copy the one that is meant (here: scp -p ${own.file} ${peer.node}:${peer.file}), then again`;
}

/** What must be well on a router besides its file; each a sentence. */
export function troublesOf({ mistakes, pulse }: Pick<ReloadPlan, 'mistakes' | 'pulse'>): string[] {
  if (mistakes.length > 0) return [...mistakes];
  if (pulse.state !== 'read') return [pulse.problem];
  return pulse.problem === '' ? [] : [pulse.problem];
}

/**
 * In what a router uses its file, but not as it should; each a sentence. `had`: all was in before.
 */
export function shortcomingsOf({ kernel, pulse }: Pick<ReloadOutcome, 'kernel' | 'pulse'>, had: boolean): string[] {
  const lacks = had && !kernel.rulesIn ? ['its kernel does not have all of it', ...kernel.errors] : [];
  return [...lacks, ...(pulse.problem === '' ? [] : [pulse.problem])];
}

/** What a router remembers of the asks that it has heard. */
export interface Asks {
  /** "id step" of the one that is being done. */
  readonly running: string | undefined;
  readonly checked: { readonly id: string; readonly digest: string; readonly at: At } | undefined;
  /** By "id step", oldest first. */
  readonly answers: ReadonlyMap<string, ReloadAnswer>;
}

export const NO_ASKS: Asks = { running: undefined, checked: undefined, answers: new Map() };

export const keyOf = ({ id, step }: Pick<ReloadAsk, 'id' | 'step'>): string => `${id} ${step}`;

type Judged =
  | { readonly do: 'it' | 'nothing' }
  | { readonly do: 'repeat'; readonly answer: ReloadAnswer }
  | { readonly do: 'refuse'; readonly why: string };

/** An ask is done once, however often it is heard, and only one at a time. */
export function judgeAsk({ running, checked, answers }: Asks, ask: ReloadAsk, isAsking: boolean, now: At): Judged {
  const answer = answers.get(keyOf(ask));
  if (answer !== undefined) return { do: 'repeat', answer };
  if (running === keyOf(ask)) return { do: 'nothing' };
  if (running !== undefined) return { do: 'refuse', why: 'it does what was asked before: try again in a moment' };
  if (ask.step === 'check') return { do: 'it' };
  if (isAsking) return { do: 'refuse', why: 'it asks for a reload of both itself: try again in a moment' };
  const isChecked =
    checked?.id === ask.id && checked.digest === ask.digest && between(checked.at, now) <= CHECKED_MS_MAX;
  return isChecked ? { do: 'it' } : { do: 'refuse', why: 'its file was not looked at before, or too long ago: again' };
}

/** With the answer that was given, and what that means for an apply to come. */
export function answered(asks: Asks, answer: ReloadAnswer, now: At): Asks {
  const answers = [...asks.answers, [keyOf(answer), answer] as const].slice(-ANSWERS_MAX);
  const { id, digest } = answer;
  const good = answer.step === 'check' && answer.ok && digest !== null;
  const checked = good ? { id, digest, at: now } : answer.step === 'check' ? undefined : asks.checked;
  return { running: undefined, checked, answers: new Map(answers) };
}
