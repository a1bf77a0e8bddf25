// The experiment of scripts/bench sync --one-link, with a few seeds: what docs/internals/sync.md says of it still holds.
import test from 'ava';
import { measureCut, measureTakeover, TRANSPORTS } from './one-link.ts';

const SEEDS = [1, 2, 3, 4, 5];
const [every, silence, pulse] = TRANSPORTS as [(typeof TRANSPORTS)[0], (typeof TRANSPORTS)[0], (typeof TRANSPORTS)[0]];

test('a cut link delays the standby by less than a second, one link at a time by the whole silence', t => {
  for (const seed of SEEDS) {
    t.true(measureCut(seed, every).lagMs < 1_000, `seed ${seed}`);
    t.true(measureCut(seed, silence).lagMs > 2_500, `seed ${seed}`);
    const { lagMs, changeOverMs, resyncs } = measureCut(seed, pulse);
    t.true(lagMs > changeOverMs / 2, `seed ${seed}`);
    t.is(resyncs, 1, 'the stream goes on where it was');
  }
});

test('a takeover before one link at a time has noticed the cut loses connections that every link at once has brought', t => {
  for (const seed of SEEDS) {
    const kept = measureTakeover(seed, every, 2_500);
    const lost = measureTakeover(seed, silence, 2_500);
    t.true(kept.lostConnections <= 3, `seed ${seed}: ${kept.lostConnections}`);
    t.true(lost.lostConnections > 10, `seed ${seed}: ${lost.lostConnections}`);
    t.true(lost.lostTemplates > 5, `seed ${seed}: ${lost.lostTemplates}`);
  }
});
