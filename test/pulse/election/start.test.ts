// What a router says of itself before it can know what an earlier life of it has left behind.
import test from 'ava';
import type { PulseEvent } from '../../../src/pulse/election/machine.ts';
import { newMachine } from '../../../src/pulse/election/start.ts';
import { step } from '../../../src/pulse/election/step.ts';
import type { At } from '../../../src/units/duration.ts';
import { SETTINGS } from './driver.ts';

test('a router is starting until its vipd has said what is in the kernel: nobody may be told before that nobody serves', t => {
  const hold = { on: false, until: undefined };
  let now = 1_000;
  let machine = newMachine({ settings: SETTINGS, now: now as At, ceiling: 0, hold, rulesIn: true });
  const send = (event: PulseEvent) => {
    machine = step(machine, event, now as At).machine;
  };
  for (; now < 31_000; now += 25) send({ type: 'tick' });
  t.is(machine.state.role, 'starting', 'however long');
  send({
    type: 'vipd',
    message: { type: 'hello', version: 'test', epoch: { counter: 0, node: 0 }, mode: 'none', held: 0 },
  });
  send({ type: 'tick' });
  t.is(machine.state.role, 'standby');
});
