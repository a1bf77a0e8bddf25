// Decides when the checks of a whole service say more than each of them: when all its servers fail
// alike, it is not they that are broken but what they or the check stand on (a name server, the
// check's account, peak load), and taking all away helps nobody. Pure: the nannies in, which
// servers keep their weight out.
import type { Ms } from '../units/duration.ts';
import type { Nanny } from './nanny.ts';
import { isCondemned } from './verdict.ts';

type Members = ReadonlyMap<string, Nanny>;

/** The servers of a service fail alike. */
export interface Together {
  /** Servers that keep the weight they had. */
  readonly kept: ReadonlySet<string>;
  /** Checks of each server when the first of them passed again; undefined while none does. */
  readonly sincePassing: ReadonlyMap<string, number> | undefined;
}

export interface TogetherRules {
  /** `empty`: each server is judged alone, even if none is left. */
  readonly onAllFailed: 'keep' | 'empty';
  readonly rise: number;
  /** The longest that a round of checks takes: so far apart a common cause shows on two servers. */
  readonly roundMs: Ms;
}

/**
 * The next state; undefined: each server is judged alone. It begins when every check fails and some
 * server is down by it. It ends when half of the servers are up, or when each has been checked
 * `rise` times since one of them passed: whoever can recover has.
 */
export function together(before: Together | undefined, members: Members, rules: TogetherRules): Together | undefined {
  if (rules.onAllFailed === 'empty' || members.size === 0) return undefined;
  const nannies = [...members.values()];
  const allFail = nannies.every(isFailing);
  if (before === undefined && !allFail) return undefined;
  const kept = keptOf(before, members, allFail, rules.roundMs);
  if (before === undefined) {
    const began = [...kept].some(name => isCondemned(members.get(name) ?? { state: 'unknown' }));
    return began ? { kept, sincePassing: undefined } : undefined;
  }
  const passing = nannies.filter(nanny => nanny.state === 'up' && !isFailing(nanny)).length;
  if (passing * 2 >= nannies.length) return undefined;
  if (passing === 0) return { kept, sincePassing: undefined };
  const since = before.sincePassing ?? new Map([...members].map(([name, { checks }]) => [name, checks]));
  const roundsOver = [...members].every(([name, { checks }]) => checks - (since.get(name) ?? 0) >= rules.rise);
  return roundsOver ? undefined : { kept, sincePassing: since };
}

export function isFailing({ bad }: Nanny): boolean {
  return bad > 0;
}

/** Whether one and the other mean the same to {@link together}, as long as it counts no checks. */
export function isAlikeForAll(one: Nanny, other: Nanny): boolean {
  return (
    one.state === other.state &&
    one.alive === other.alive &&
    one.failingSince === other.failingSince &&
    lifeOf(one) === lifeOf(other)
  );
}

function lifeOf({ last }: Nanny) {
  return last?.ok === false ? last.life : undefined;
}

/**
 * Servers that take connections and began to fail within one round of the last one that did: those
 * keep the weight they had. One that has failed alone before has lost its new clients, and does not
 * get them back by this; unless nobody else speaks any more.
 */
function keptOf(before: Together | undefined, members: Members, allFail: boolean, roundMs: Ms): ReadonlySet<string> {
  const lastAt = Math.max(...[...members.values()].map(({ failingSince }) => failingSince ?? Number.NEGATIVE_INFINITY));
  const isAlike = (name: string, nanny: Nanny): boolean => {
    // One that passes again stays until it is up: else it would lose its clients on the way there.
    if (before?.kept.has(name)) return isFailing(nanny) || nanny.state !== 'up';
    return isFailing(nanny) && (nanny.failingSince ?? Number.NEGATIVE_INFINITY) >= lastAt - roundMs;
  };
  const alike = [...members].filter(([name, nanny]) => isConnected(nanny) && isAlike(name, nanny));
  const speaking = [...members].filter(([, nanny]) => isFailing(nanny) && nanny.alive);
  const isLastResort = allFail && !alike.some(([, nanny]) => nanny.alive) && speaking.length > 0;
  return new Set((isLastResort ? speaking : alike).map(([name]) => name));
}

/** A long silence of one server is death; the same of all at once is a name server or the like. */
function isConnected(nanny: Nanny): boolean {
  return nanny.alive || lifeOf(nanny) === 'silent';
}
