// What the soak allows after a fault.
import test from 'ava';
import { expectationOf, overlapMsMax } from './expectation.ts';
import { faultAt, faultInWords } from './schedule.ts';

const TIMES = { intervalMs: 100, leaseMs: 220, deadMs: 300 };

test('nothing that befalls the standby alone moves the role', t => {
  for (let index = 0; index < 2_000; index += 1) {
    const fault = faultAt(9, index);
    if ('who' in fault && fault.who === 'standby')
      t.is(expectationOf(fault, TIMES, true).movesMax, 0, faultInWords(fault));
  }
});

test('overlap is for planned handovers, and no longer than the lease', t => {
  t.is(overlapMsMax(true, TIMES), 220);
  t.is(overlapMsMax(false, TIMES), 0);
});

test('a stop well within the lease moves nothing, one well beyond it must; in between both is right', t => {
  const moves = (stoppedMs: number) => {
    const { movesMin, movesMax } = expectationOf(
      { kind: 'stop', who: 'active', what: 'pulse', stoppedMs },
      TIMES,
      true,
    );
    return [movesMin, movesMax];
  };
  t.deepEqual(moves(30), [0, 0]);
  t.deepEqual(moves(200), [0, 1]);
  t.deepEqual(moves(500), [1, 1]);
});

test('with the packet lease a router whose every process is dead stops serving with its lease, without it with the kernel’s lifetime', t => {
  const fault = { kind: 'kill', who: 'active', what: 'all', downMs: 3_000 } as const;
  const [gated, ungated] = [expectationOf(fault, TIMES, true), expectationOf(fault, TIMES, false)];
  t.true(gated.gapMsMax < ungated.gapMsMax);
  t.false(gated.events.has('LINKS_BROKEN'), 'it does not answer any more');
  t.true(ungated.events.has('LINKS_BROKEN'));
});

test('lost heartbeats make a LAN dead only where no target tells more', t => {
  const cut = (legs: ('clients' | 'servers' | 'cross')[]) =>
    expectationOf({ kind: 'cut', who: 'active', legs, directions: ['in'], forMs: 2_000 }, TIMES, true).events;
  t.true(cut(['cross']).has('LAN_DEAD'));
  t.false(cut(['clients', 'servers']).has('LAN_DEAD'));
});

test("a damaged state file of pulse's is told, also one that is gone: its copy is there", t => {
  for (const how of ['empty', 'missing'] as const) {
    const fault = { kind: 'damage', who: 'standby', file: 'pulse.json', how } as const;
    t.deepEqual(expectationOf(fault, TIMES, true).wanted, [['STATE_UNREADABLE']]);
  }
});
