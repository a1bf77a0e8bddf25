// What readers of the feed get at once: all that a person or the command line decides by.
import test from 'ava';
import type { Machine } from '../../src/pulse/election/machine.ts';
import { isNews } from '../../src/pulse/news.ts';
import { after, ms } from '../../src/units/duration.ts';
import { Driver } from './election/driver.ts';

/** An active router that hears its peer. */
function settled(): Machine {
  const driver = Driver.active();
  driver.run(500);
  return driver.machine;
}

test('a peer that becomes warm, ready or takes another role is news, its next heartbeat is none', t => {
  const machine = settled();
  const { last, heardAt } = machine.peer;
  if (!last || heardAt === undefined) return t.fail('the peer was never heard');
  const withPeer = (change: Partial<typeof last>, ago = 100): Machine => ({
    ...machine,
    peer: { ...machine.peer, last: { ...last, ...change }, heardAt: after(heardAt, ms(ago)) },
  });
  t.false(isNews(machine, withPeer({ seq: last.seq + 1 })));
  t.true(isNews(machine, withPeer({ warm: !last.warm })));
  t.true(isNews(machine, withPeer({ ready: !last.ready })));
  t.true(isNews(machine, withPeer({ role: 'claiming' })));
  t.true(isNews(machine, withPeer({}, 60_000)), 'it was silent and is heard again');
});
