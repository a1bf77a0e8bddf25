// The near end of a check's connections: the address that it is to come from, and the next of its
// ports. Not pure: it remembers which port was the last. A port that was used rests for a minute
// (TIME_WAIT), so they go round.
import type { Origin } from '../check-plan.ts';

/** By address and first port. */
const last = new Map<string, number>();

/** For net.connect(). */
export function localEnd(origin: Origin | undefined): { readonly localAddress?: string; readonly localPort?: number } {
  if (origin === undefined) return {};
  const { source: localAddress, ports } = origin;
  if (ports === undefined) return { localAddress };
  const key = `${localAddress} ${ports.first}`;
  const used = last.get(key) ?? ports.last;
  const localPort = used >= ports.last ? ports.first : used + 1;
  last.set(key, localPort);
  return { localAddress, localPort };
}
