// Whether the pair serves at all, from what pulse says: the difference between a router that is not
// redundant and one whose clients get nothing. Pure.
import type { Snapshot } from '../feed/message.ts';
import { type At, between, type Ms } from '../units/duration.ts';

export interface ServiceWatch {
  /** Since when nobody has served, as far as this router can tell; undefined: somebody does. */
  readonly unservedSince: At | undefined;
}

export const NOTHING_SERVED_YET: ServiceWatch = { unservedSince: undefined };

/**
 * In dead times: a takeover takes one, and its probes; a handover that fails and is taken back
 * takes no longer.
 */
const UNSERVED_DEAD_TIMES = 3;

/** The watch after another snapshot. Without pulse (null) nothing new is known. */
export function watchService(before: ServiceWatch, pulse: Snapshot | null, now: At): ServiceWatch {
  if (!pulse) return before;
  return { unservedSince: isServed(pulse) ? undefined : (before.unservedSince ?? now) };
}

/**
 * By whoever says so, or by addresses that answer the standby: then the heartbeats are lost, not
 * the service.
 */
function isServed({ serving, peer, vipCheck }: Snapshot): boolean {
  return serving || (peer !== null && !peer.silent && peer.serving) || (vipCheck?.answering.length ?? 0) > 0;
}

interface ServiceLook {
  readonly watch: ServiceWatch;
  readonly pulse: Snapshot | null;
  /** The kernel of this router has the rules; undefined: no audit has looked yet. */
  readonly rulesIn: boolean | undefined;
  readonly deadMs: Ms;
  readonly now: At;
}

/** Why clients are not served, each a sentence: any of them makes the router FAILED. */
export function serviceFailures({ watch, pulse, rulesIn, deadMs, now }: ServiceLook): string[] {
  if (!pulse) return ['pulse does not answer: this router neither holds nor takes the VIPs under its control'];
  const failures: string[] = [];
  const { unservedSince } = watch;
  if (unservedSince !== undefined && between(unservedSince, now) >= UNSERVED_DEAD_TIMES * deadMs)
    failures.push('nobody serves the VIPs: see `tandem why` on both routers');
  if (pulse.serving && rulesIn === false) failures.push(`${pulse.node} serves without its rules in the kernel`);
  if (!pulse.serving && pulse.peer?.serving)
    for (const address of pulse.vipCheck?.silent ?? [])
      failures.push(`${address} does not answer, although ${pulse.peerNode} says that it serves`);
  return failures;
}
