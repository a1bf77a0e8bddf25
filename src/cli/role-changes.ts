// Role decisions put together to what a person would call one change: a claim with its outcome, a
// handover with its end. And what it took: how long, and how long clients were without. Pure.
import type { Decision, Role } from '../feed/message.ts';

/** Its first and its last decision; one that is both when nothing came between. */
export interface RoleChange<D extends Decision = Decision> {
  readonly first: D;
  readonly last: D;
  /** The decision by which this router stopped serving last, before this change. */
  readonly servedUntil: D | undefined;
}

/** Between these two roles nobody would say that anything is over. */
const UNDER_WAY: ReadonlySet<Role> = new Set(['claiming', 'handing-over']);
const SERVES: ReadonlySet<Role> = new Set(['active', 'handing-over']);

/** Of decisions in their order. */
export function roleChanges<D extends Decision>(decisions: readonly D[]): RoleChange<D>[] {
  const changes: RoleChange<D>[] = [];
  let servedUntil: D | undefined;
  for (const decision of decisions) {
    const open = changes.at(-1);
    if (open && UNDER_WAY.has(open.last.to) && open.last.to === decision.from)
      changes[changes.length - 1] = { ...open, last: decision };
    else changes.push({ first: decision, last: decision, servedUntil });
    if (SERVES.has(decision.from) && !SERVES.has(decision.to)) servedUntil = decision;
  }
  return changes;
}

/** From its first decision to its last, in ms; undefined: it is one, or the clock was set. */
export function tookMs({ first, last }: RoleChange): number | undefined {
  return first === last ? undefined : msBetween(first, last);
}

function msBetween(one: Decision, other: Decision): number | undefined {
  const ms = Date.parse(other.at) - Date.parse(one.at);
  return ms >= 0 ? ms : undefined;
}

/**
 * How long clients may have been without their addresses, at most, as this router can know it:
 * since the last heartbeat that said that the peer serves, or since this router stopped serving; 0
 * when it was make-before-break. Undefined: it cannot know.
 */
export function withoutMs(change: RoleChange): number | undefined {
  const { first, last, servedUntil } = change;
  if (first.to === 'handing-over') return /^handed over: /.test(last.reason) ? 0 : undefined;
  if (first.to !== 'claiming' || last.to !== 'active') return undefined;
  // Taken at the peer's offer: it serves until this router does.
  if ('offeredEpoch' in first.evidence) return 0;
  const { peerServingMsAgo } = first.evidence;
  const own = servedUntil && msBetween(servedUntil, first);
  const known = [peerServingMsAgo, own].filter(ms => typeof ms === 'number');
  return known.length === 0 ? undefined : Math.round(Math.min(...known) + (tookMs(change) ?? 0));
}
