// A reload of both routers as one (tandem reload --pair), in two steps over the sync's links: the
// other director looks at its own file and says what it would use; if that is what this one would
// use, the other takes it, then this one. Not pure: time, chance, and the parts it is given. What
// is decided is in ../pair-reload.ts.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { partDigests } from '../../config/digest.ts';
import { loadConfig } from '../../config/io/load.ts';
import { fittingAnswer, type ReloadAnswer, type ReloadAsk, type ReloadWord } from '../../config/reload-word.ts';
import type { Snapshot } from '../../feed/message.ts';
import type { PairOutcome, PairPlan, ReloadOutcome } from '../../feed/reload-answer.ts';
import type { Log } from '../../log/log.ts';
import { type At, after, between, ms } from '../../units/duration.ts';
import {
  type Asks,
  answered,
  judgeAsk,
  keyOf,
  NO_ASKS,
  pairRefusal,
  shortcomingsOf,
  troublesOf,
} from '../pair-reload.ts';
import type { Reloads } from './reload.ts';

/** A link may go with an ask, or with its answer. */
const AGAIN_MS = ms(1_000);
/** pulse over there has 22 s to read the file (ask-pulse.ts). */
const CHECK_MS_MAX = ms(30_000);
const APPLY_MS_MAX = ms(60_000);
/** Longer than a link may be silent: after that, no ask is on its way any more. */
const HEARTBEAT_MS = ms(5_000);
const LOOK_MS = ms(100);

interface PairReloadParts {
  readonly configFile: string;
  readonly node: string;
  readonly peer: () => string;
  readonly reloads: Reloads;
  readonly rulesIn: () => boolean;
  readonly digest: () => string;
  /** See ConnectionSync. */
  readonly say: (word: ReloadWord) => true | string;
  readonly snapshot: () => Snapshot | null;
  readonly log: Log;
  /** Monotonic. */
  readonly now: () => At;
  /** Times in tests. */
  readonly waits?: { readonly check: number; readonly apply: number; readonly heartbeat: number };
}

export interface PairReload {
  /** The peer's word, whatever it is. */
  hear(word: ReloadWord): void;
  plan(): Promise<PairPlan>;
  /** `digest`: of the file as it was shown. */
  reload(digest: string | null): Promise<PairOutcome>;
  /** Whoever waits is told that the director stops; nothing is begun any more. */
  close(): void;
}

export function createPairReload(parts: PairReloadParts): PairReload {
  return new BothRouters(parts);
}

const STOPPING = 'the director is stopping';

type There = Pick<PairOutcome, 'peer' | 'peerUses' | 'problem'>;
type Answered = { readonly answer: ReloadAnswer } | { readonly answer: undefined; readonly why: string };

class BothRouters implements PairReload {
  readonly #parts: PairReloadParts;
  readonly #waits: { readonly check: number; readonly apply: number; readonly heartbeat: number };
  #asks: Asks = NO_ASKS;
  #asking = false;
  readonly #closing = new AbortController();
  readonly #closed = new Promise<void>(resolve => this.#closing.signal.addEventListener('abort', () => resolve()));
  /** Who waits for an answer, by keyOf. */
  readonly #waiting = new Map<string, (answer: ReloadAnswer) => void>();

  constructor(parts: PairReloadParts) {
    this.#parts = parts;
    this.#waits = parts.waits ?? { check: CHECK_MS_MAX, apply: APPLY_MS_MAX, heartbeat: HEARTBEAT_MS };
  }

  // This router asks

  async plan(): Promise<PairPlan> {
    return (await this.#look(newId())).plan;
  }

  async #look(id: string): Promise<{ readonly plan: PairPlan; readonly peer: ReloadAnswer | undefined }> {
    const { configFile, node, peer, reloads, digest } = this.#parts;
    const peerNode = peer();
    const [own, theirs] = await Promise.all([
      reloads.plan(),
      this.#ask({ says: 'ask', id, step: 'check', digest: null, withinMs: this.#waits.check }),
    ]);
    const { answer } = theirs;
    if (answer === undefined)
      return { plan: { own, peer: null, peerNode, refusal: alone(peerNode, theirs.why) }, peer: undefined };
    const loaded = loadConfig(configFile);
    const parts = loaded.ok ? partDigests(loaded.config) : {};
    const [trouble] = troublesOf(own);
    const refusal =
      own.digest.after !== null && trouble !== undefined
        ? `${node} cannot take its file: ${trouble}`
        : pairRefusal(
            { node, file: configFile, digest: own.digest.after, inUse: digest(), parts },
            { node: peerNode, ...answer },
          );
    return { plan: { own, peer: answer, peerNode, refusal: refusal ?? '' }, peer: answer };
  }

  async reload(digest: string | null): Promise<PairOutcome> {
    const peerNode = this.#parts.peer();
    if (this.#closing.signal.aborted) return untouched(peerNode, STOPPING);
    if (this.#asking) return untouched(peerNode, 'somebody else asks for it here just now; try again in a moment');
    this.#asking = true;
    try {
      const outcome = await this.#both(peerNode, digest);
      this.#tell(outcome, digest);
      return outcome;
    } finally {
      this.#asking = false;
    }
  }

  async #both(peerNode: string, digest: string | null): Promise<PairOutcome> {
    const id = newId();
    const { plan, peer } = await this.#look(id);
    const uses = peer?.inUse ?? null;
    if (plan.refusal !== '') return untouched(peerNode, plan.refusal, uses);
    const next = plan.own.digest.after as string;
    if (digest !== null && next !== digest) {
      const problem = `${plan.own.file} has changed meanwhile: look again: tandem reload --pair --dry-run`;
      return untouched(peerNode, problem, uses);
    }
    const there = await this.#applyThere(id, next, uses);
    if (there.problem !== '') return { peerNode, own: null, ...there };
    const had = this.#parts.rulesIn();
    const own = await this.#parts.reloads.reload({ by: 'tandem reload --pair', digest: next });
    return { peerNode, ...there, own, problem: this.#ownProblem(own, had, peerNode, next) };
  }

  #ownProblem(own: ReloadOutcome, had: boolean, peerNode: string, digest: string): string {
    const { node } = this.#parts;
    const short = shortcomingsOf(own, had);
    if (own.reloaded) return short.length === 0 ? '' : `${node} uses it, but not as it should: ${short.join('; ')}`;
    const why = own.problem || own.mistakes.join('; ');
    return `${peerNode} uses ${digest} now, and ${node} does not (${why}): run \`tandem reload\` here, or put the old file back on ${peerNode} and reload there`;
  }

  /** `problem` empty: the peer uses it, by its answer or by its heartbeat. */
  async #applyThere(id: string, digest: string, uses: string | null): Promise<There> {
    const peer = this.#parts.peer();
    const asked = await this.#ask({ says: 'ask', id, step: 'apply', digest, withinMs: this.#waits.apply });
    if (asked.answer === undefined) return this.#byHeartbeat(digest, uses, asked.why);
    const { ok, inUse, inUseBefore, words } = asked.answer;
    const peerUses = { before: inUseBefore ?? uses, now: inUse };
    if (ok) return { peer: 'reloaded', peerUses, problem: '' };
    const why = words.join('; ');
    if (inUse !== digest) {
      const problem = `${peer} did not take it: ${why}; nothing was changed here either`;
      return { peer: 'untouched', peerUses, problem };
    }
    if (peerUses.before === digest) {
      const problem = `${peer} uses it as before, but not as it should: ${why}; nothing was changed here: mend that, then \`tandem reload --pair\` again`;
      return { peer: 'untouched', peerUses, problem };
    }
    const problem = `${peer} uses it, but not as it should: ${why}; nothing was changed here: mend that, then \`tandem reload --pair\` again, or put the old file back on ${peer} and reload there`;
    return { peer: 'reloaded', peerUses, problem };
  }

  /** Its heartbeats name the config that its director uses. */
  async #byHeartbeat(digest: string, before: string | null, why: string): Promise<There> {
    const { snapshot, now, peer } = this.#parts;
    const { signal } = this.#closing;
    const heard = () => {
      const said = snapshot()?.peer;
      return said && !said.silent ? said.configDigest : undefined;
    };
    const end = after(now(), ms(this.#waits.heartbeat));
    while (now() < end && heard() !== digest && !signal.aborted) await sleep(LOOK_MS);
    const said = heard();
    const peerUses = { before, now: said ?? null };
    if (said === digest) return { peer: 'reloaded', peerUses, problem: '' };
    // It may take it in this very moment.
    if (signal.aborted) {
      const problem = `${why} before ${peer()} has answered: whether it uses ${digest} is not known, nothing was changed here; look at \`tandem status\` on both`;
      return { peer: 'unknown', peerUses, problem };
    }
    if (said !== undefined) {
      const problem = `${peer()} has not answered (${why}), and its heartbeats say that it still uses ${said}: nothing was changed on either router; try again`;
      return { peer: 'untouched', peerUses, problem };
    }
    const problem = `${peer()} has not answered (${why}) and is not heard: whether it uses ${digest} is not known, nothing was changed here; when it is back, look at \`tandem status\` on both`;
    return { peer: 'unknown', peerUses, problem };
  }

  /** Says it again and again, by whichever link there is, until it is answered. */
  async #ask(ask: ReloadAsk): Promise<Answered> {
    const { say, snapshot, now } = this.#parts;
    const key = keyOf(ask);
    const end = after(now(), ms(ask.withinMs));
    const { signal } = this.#closing;
    let answer: ReloadAnswer | undefined;
    const heard = new Promise<void>(resolve => {
      this.#waiting.set(key, given => {
        answer = given;
        resolve();
      });
    });
    try {
      for (let isSaid = false; now() < end; ) {
        const said = say({ ...ask, withinMs: Math.max(1, Math.round(between(now(), end))) });
        if (said === true) isSaid = true;
        else if (!isSaid) return { answer: undefined, why: said };
        // Taken, and the link went with the answer.
        else if (ask.step === 'apply' && snapshot()?.peer?.configDigest === ask.digest)
          return { answer: undefined, why: said };
        await Promise.race([heard, this.#closed, sleep(AGAIN_MS)]);
        if (answer !== undefined) return { answer };
        if (signal.aborted) return { answer: undefined, why: STOPPING };
      }
      return { answer: undefined, why: `no answer within ${Math.round(ask.withinMs / 1_000)} s` };
    } finally {
      this.#waiting.delete(key);
    }
  }

  close(): void {
    this.#closing.abort();
  }

  #tell({ peerNode, peer, own, problem }: PairOutcome, wanted: string | null): void {
    const digest = own?.digest ?? wanted ?? '';
    const whole = problem === '' || (peer === 'untouched' && own === null);
    if (!whole) this.#parts.log.event('PAIR_RELOAD_HALF', { peer: peerNode, digest, there: peer, problem });
    else this.#parts.log.event('PAIR_RELOAD', { peer: peerNode, digest, reloaded: problem === '', problem });
  }

  // The other one asks

  hear(word: ReloadWord): void {
    if (word.says === 'answer') {
      this.#waiting.get(keyOf(word))?.(word);
      return;
    }
    if (this.#closing.signal.aborted) return;
    const judged = judgeAsk(this.#asks, word, this.#asking, this.#parts.now());
    if (judged.do === 'nothing') return;
    if (judged.do === 'repeat') return void this.#parts.say(judged.answer);
    if (judged.do === 'refuse') {
      // Not remembered: the same ask may come again when it can be done.
      const words = [`${this.#parts.node} does not: ${judged.why}`];
      this.#logAsk(word, false, words);
      return void this.#parts.say(this.#answer(word, { words }));
    }
    this.#asks = { ...this.#asks, running: keyOf(word) };
    void this.#do(word).then(answer => {
      this.#asks = answered(this.#asks, answer, this.#parts.now());
      this.#logAsk(word, answer.ok, answer.words);
      this.#parts.say(answer);
    });
  }

  #logAsk({ step, digest }: ReloadAsk, ok: boolean, words: readonly string[]): void {
    const peer = this.#parts.peer();
    this.#parts.log.event('PAIR_RELOAD_ASKED', { peer, step, digest: digest ?? '', ok, problem: words.join('; ') });
  }

  #do(ask: ReloadAsk): Promise<ReloadAnswer> {
    const done = ask.step === 'check' ? this.#check(ask) : this.#apply(ask);
    return done.catch((error: unknown) => {
      const words = [`a fault: ${error instanceof Error ? error.message : String(error)}`];
      return this.#answer(ask, { words });
    });
  }

  async #check(ask: ReloadAsk): Promise<ReloadAnswer> {
    const { reloads, configFile } = this.#parts;
    const plan = await reloads.plan();
    const loaded = loadConfig(configFile);
    const words = troublesOf(plan);
    const parts = loaded.ok ? partDigests(loaded.config) : {};
    const { after: next } = plan.digest;
    return this.#answer(ask, { ok: words.length === 0, digest: next, waiting: plan.pulse.waiting, parts, words });
  }

  async #apply(ask: ReloadAsk): Promise<ReloadAnswer> {
    const { reloads, rulesIn, peer, now } = this.#parts;
    const end = after(now(), ms(ask.withinMs));
    const had = rulesIn();
    const inUseBefore = this.#parts.digest();
    const by = `${peer()} (tandem reload --pair there)`;
    const done = await reloads.reload({ by, digest: ask.digest, isTooLate: () => now() > end });
    const words = done.reloaded
      ? shortcomingsOf(done, had)
      : [...done.mistakes, ...(done.problem === '' ? [] : [done.problem])];
    const ok = done.reloaded && words.length === 0;
    return this.#answer(ask, { ok, digest: done.digest, inUseBefore, waiting: done.pulse.waiting, words });
  }

  #answer({ id, step }: ReloadAsk, given: Partial<ReloadAnswer>): ReloadAnswer {
    const { configFile, digest } = this.#parts;
    const nothing = { ok: false, digest: null, parts: {}, waiting: [], words: [] };
    const inUse = { inUse: digest(), inUseBefore: digest() };
    return fittingAnswer({ says: 'answer', id, step, file: configFile, ...inUse, ...nothing, ...given });
  }
}

const newId = (): string => randomBytes(8).toString('hex');

function untouched(peerNode: string, problem: string, uses: string | null = null): PairOutcome {
  return { peerNode, peer: 'untouched', peerUses: { before: uses, now: uses }, own: null, problem };
}

function alone(peerNode: string, why: string): string {
  return `${peerNode} cannot be asked (${why}): copy the file there, and run \`tandem reload\` on each router`;
}
