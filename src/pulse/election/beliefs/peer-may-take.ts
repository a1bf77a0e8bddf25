// Whether the peer could take over from this router, heard or not: then the lease must be armed,
// and a router that cannot speak must not renew it. R2 (docs/invariants.md). Pure.
import type { At } from '../../../units/duration.ts';
import type { Machine } from '../machine.ts';
import { fitPeerHeard } from './peer-heard.ts';
import { unheardPeerMayTake } from './witness-say.ts';

export function peerMayTake(machine: Machine, now: At): boolean {
  return fitPeerHeard(machine, now) || unheardPeerMayTake(machine);
}

/**
 * An owner that cannot speak does not renew its lease while the peer may take over: the peer counts
 * D from the heartbeat with the last renewal, so the lease ends first, whatever becomes of this
 * process.
 */
export function holdsBack(machine: Machine, now: At): boolean {
  // safeguard: mute-owner-lets-go
  return machine.own.bareSince !== undefined && peerMayTake(machine, now);
}
