// What the tests of vipd beside this file look for: its will, the order of removal and will, and no word of a sanitizer.
import type { ExecutionContext } from 'ava';
import { type Lines, VIPS, type Vipd } from './io/vipd.ts';

export const WILL = 'c0ffee5a';

export function wills(witness: Lines): string[] {
  return witness.matching(new RegExp(` udp .*${WILL}$`));
}

/** Every address is gone before the first datagram of the will. */
export function assertRemovedBeforeWill(t: ExecutionContext, witness: Lines): void {
  const order = witness.lines.map(({ text }) => text);
  const first = order.findIndex(text => text.includes(WILL));
  t.true(first >= 0, 'a will was sent');
  for (const vip of VIPS) {
    const gone = order.findLastIndex(text => text.endsWith(` gone ${vip}`));
    t.true(gone >= 0 && gone < first, `${vip} went before the will: ${JSON.stringify(order)}`);
  }
}

export function assertClean(t: ExecutionContext, vipd: Vipd): void {
  t.is(vipd.stderr, '');
}
