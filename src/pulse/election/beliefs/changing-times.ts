// H, L, D and the priority while the two routers are brought from one config to another. What a
// router says, what it does and what its peer believes can differ for a moment, so a change goes
// through two steps: first the router acts by the more careful value and says the one that makes
// its peer more careful; once the peer has heard that, and nothing of before holds any more, both
// are the new value. Functions of the machine only. Pure.
import { ms } from '../../../units/duration.ts';
import type { Machine, Times } from '../machine.ts';

export function timesOf({ intervalMs, leaseMs, deadMs, priority }: Times): Times {
  return { intervalMs, leaseMs, deadMs, priority };
}

export function sameTimes(a: Times, b: Times): boolean {
  return a.intervalMs === b.intervalMs && a.leaseMs === b.leaseMs && a.deadMs === b.deadMs && a.priority === b.priority;
}

/**
 * What a router does until its peer knows: it renews early and for the shorter time, waits for
 * longer, and lets the other go first.
 */
export function careful(a: Times, b: Times): Times {
  return {
    intervalMs: ms(Math.min(a.intervalMs, b.intervalMs)),
    // safeguard: longer-lease-later
    leaseMs: ms(Math.min(a.leaseMs, b.leaseMs)),
    // safeguard: shorter-dead-time-later
    deadMs: ms(Math.max(a.deadMs, b.deadMs)),
    priority: Math.min(a.priority, b.priority),
  };
}

/**
 * What it says until then, `said` having been said before: the lease that may still run or is about
 * to, and the D that may soon be used. The priority is the new one at once: the peer steps back
 * before this router steps forward.
 */
export function saidOf(said: Times, wanted: Times): Times {
  return {
    intervalMs: ms(Math.max(said.intervalMs, wanted.intervalMs)),
    // safeguard: shorter-lease-said-later
    leaseMs: ms(Math.max(said.leaseMs, wanted.leaseMs)),
    deadMs: ms(Math.min(said.deadMs, wanted.deadMs)),
    priority: wanted.priority,
  };
}

/** What the heartbeats of this router say. */
export function saidTimes({ settings, change }: Machine): Times {
  return change?.said ?? timesOf(settings);
}
