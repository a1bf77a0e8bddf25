// The router's own term of ownership: its role and epoch, the next epoch, and whether it serves by
// vipd's own word. Pure.
import type { Role } from '../../../feed/message.ts';
import { type At, between } from '../../../units/duration.ts';
import { compareEpochs, type Epoch, newerEpoch } from '../../../units/epoch.ts';
import type { Machine } from '../machine.ts';

export function roleOf(machine: Machine): Role {
  return machine.state.role;
}

/** The epoch to show: the one held, offered from or claimed, else the highest known. */
export function epochOf(machine: Machine): Epoch {
  return 'epoch' in machine.state ? machine.state.epoch : machine.highest;
}

/** The next epoch of our own, above everything heard of. */
export function nextEpoch(machine: Machine): Epoch {
  const highest = newerEpoch(machine.highest, machine.peer.highest);
  // safeguard: epochs-grow
  return { counter: highest.counter + 1, node: machine.settings.nodeId };
}

/** Whether the addresses are ours by vipd's own word: only then may a heartbeat say "serving". */
export function servingNow(machine: Machine, now: At): boolean {
  const { state, lease } = machine;
  if (state.role !== 'active' && state.role !== 'handing-over') return false;
  // safeguard: serving-by-the-lease
  return lease.ackedAt !== undefined && between(lease.ackedAt, now) <= lease.ackedLeaseMs;
}

/** We have said that we do not serve, or could have: the peer may be taking over. */
export function leaseIsOver(machine: Machine, now: At): boolean {
  const { role } = machine.state;
  return (role === 'active' || role === 'handing-over') && machine.lease.armed && !servingNow(machine, now);
}

/**
 * Our epoch, raised in place when a router that does not serve knows a higher one. A peer that
 * claims is about to serve: it may not hear us, then its epoch must win, or both would serve for as
 * long as it does not.
 */
export function raisedEpoch(machine: Machine, epoch: Epoch): Epoch {
  if (machine.peer.last?.role === 'claiming') return epoch;
  const highest = newerEpoch(machine.highest, machine.peer.highest);
  return compareEpochs(highest, epoch) > 0 ? nextEpoch(machine) : epoch;
}

/**
 * It stops, and nobody could take the addresses: the kernel keeps them for a while. That it serves
 * is its last word; "stopping" would tell the peer that it has let go.
 */
export function leavesToKernel({ state, lease }: Machine): boolean {
  // safeguard: leaves-without-a-word
  return state.role === 'stopping' && lease.ackedAt !== undefined;
}
