// What a standby makes of the last will of an owner.
import test from 'ava';
import { Driver } from './driver.ts';

test('a last will opens the way at once, unless the heartbeats before it came out of a full queue', t => {
  const quick = Driver.standby();
  quick.hearWill();
  t.is(quick.role, 'active', quick.reason);
  const queued = Driver.standby();
  queued.peer = { ...queued.peer, echoSentAtUs: (queued.now - 2_000) * 1_000, echoDelayUs: 0 };
  queued.run(150);
  queued.hearWill();
  t.is(queued.role, 'standby', 'the addresses are probed first');
  queued.peerAnswers = false;
  queued.peer = undefined;
  queued.run(100);
  t.is(queued.role, 'active', queued.reason);
  t.regex(queued.reason, /last will/);
});
