// What readers of the feed get at once; of everything else they hear with the next snapshot, within
// a second. Pure.
import { between } from '../units/duration.ts';
import { deadMs } from './election/beliefs/deadlines.ts';
import type { Machine } from './election/machine.ts';
import { goneAfter } from './timing.ts';

/**
 * Whether readers of the feed should know at once: what a person or the command line decides by
 * must not be a second old.
 */
export function isNews(before: Machine, now: Machine): boolean {
  return (
    now.state.role !== before.state.role ||
    now.hold !== before.hold ||
    now.rulesIn !== before.rulesIn ||
    now.warm !== before.warm ||
    now.heldAddresses !== before.heldAddresses ||
    now.addresses !== before.addresses ||
    isNewsOfPeer(before, now)
  );
}

function isNewsOfPeer({ peer: before }: Machine, machine: Machine): boolean {
  const now = machine.peer;
  const [old, last] = [before.last, now.last];
  if (last?.warm !== old?.warm || last?.ready !== old?.ready || last?.role !== old?.role) return true;
  // It was silent, as the snapshot says it, and is heard again.
  const silence = now.heardAt === undefined || before.heardAt === undefined ? 0 : between(before.heardAt, now.heardAt);
  return silence > goneAfter(deadMs(machine));
}
