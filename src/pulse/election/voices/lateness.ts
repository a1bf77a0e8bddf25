// This process itself was late: what it knew of time says nothing any more. R3
// (docs/invariants.md). Pure.
import { givenUpMs } from '../beliefs/deadlines.ts';
import { setProbing } from '../moves.ts';
import { leaseWith } from '../replica.ts';
import { report, type Turn, update } from '../step-context.ts';

export function noteLateness(turn: Turn, byMs: number): void {
  // What was queued while we slept has not been read yet: D counts anew, and unread
  // acknowledgements are not vipd's fault.
  const inFlight = turn.machine.lease.inFlight.map(renewal => ({ ...renewal, waitingSince: turn.now }));
  const { state } = turn.machine;
  // Silence told before the stall is old news, and so is for how long nobody served.
  // safeguard: late-probes-forgotten
  if (state.role === 'standby') update(turn, { state: { ...state, probing: undefined, vacantSince: undefined } });
  else if ('probing' in state && state.probing)
    setProbing(turn, { ...state.probing, round: { ...state.probing.round, sentAt: turn.now } });
  // safeguard: long-sleep-listens-anew
  if (byMs >= givenUpMs(turn.machine)) sleptLong(turn);
  update(turn, {
    blindUntil: turn.now,
    lateAt: turn.now,
    unread: true,
    lease: leaseWith(turn.machine.lease, { inFlight }),
  });
  report(turn, 'LOOP_LATE', { byMs: Math.round(byMs) });
}

/** As a start: what was listened for before counts no more. */
function sleptLong(turn: Turn): void {
  const { state } = turn.machine;
  update(turn, { wokenAt: turn.now });
  if (state.role === 'starting') update(turn, { state: { ...state, startedAt: turn.now } });
}
