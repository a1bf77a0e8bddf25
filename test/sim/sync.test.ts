// What the sync promises, over many histories: the shipped machines on both sides, with every fault there is. A failing seed prints how
// to replay it: SYNC_SEED=… runs that one alone. SYNC_FROM=… begins elsewhere, to look at others than the usual ones.
import { setImmediate } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { SyncEffect } from '../../src/sync/stream/effect.ts';
import { readFrame, writeControl } from '../../src/sync/stream/frame.ts';
import type { At } from '../../src/units/duration.ts';
import { ALL_FAULTS } from './sync/faults.ts';
import { SyncPair, type SyncPairOptions } from './sync/sync-pair.ts';

const ONE = process.env.SYNC_SEED === undefined ? undefined : Number(process.env.SYNC_SEED);
const FROM = Number(process.env.SYNC_FROM ?? 0);

/** Faults for a while, then calm: the history, for the invariants at its end. */
function history(options: SyncPairOptions, faultsMs = 20_000, calmMs = 26_000): SyncPair {
  const pair = new SyncPair({ clients: 12, rate: 4, ...options });
  pair.history.run(faultsMs);
  pair.calm();
  pair.history.run(calmMs);
  return pair;
}

function mistakes(pair: SyncPair): string[] {
  return [
    ...pair.history.violations,
    ...(pair.standby.director.warm ? [] : ['the standby is not warm in the end']),
    ...pair.invariants.missing(4_000),
    ...pair.invariants.extra(),
    ...pair.invariants.untied(),
  ];
}

/** Every seed must hold; the first that does not is told in full. */
async function holds(t: ExecutionContext, from: number, count: number, run: (seed: number) => SyncPair): Promise<void> {
  const seeds = ONE === undefined ? Array.from({ length: count }, (_, i) => FROM + from + i) : [ONE];
  for (const seed of seeds) {
    const pair = run(seed);
    const found = mistakes(pair);
    // The runner wants to hear of what is done, on slow machines too.
    await setImmediate();
    if (found.length === 0) continue;
    t.fail(`${found.slice(0, 5).join('\n')}\n${pair.describe()}`);
    return;
  }
  t.pass();
}

const countersOf = (pair: SyncPair, router: 0 | 1) =>
  pair.routers[router].director.machine.status(pair.history.now as At, String).counters;

// In parts, so that a slow machine is not taken for one that hangs.
for (let from = 1; from <= 400; from += 50) {
  test.serial(
    `after any faults, once they end, the standby holds what the owner holds, and never said so too early (${from}…)`,
    async t => {
      await holds(t, from, 50, seed => history({ seed, faults: ALL_FAULTS }));
    },
  );
}

for (let from = 10_001; from <= 10_100; from += 50) {
  test.serial(`as long as links alone fail, nothing is sent twice in full (${from}…)`, async t => {
    await holds(t, from, 50, seed => {
      const pair = history({ seed, faults: { linkCuts: true, congestion: true, hostile: true } });
      const { streams, resyncs, ring_overflows } = countersOf(pair, 0);
      if (streams !== 1 || resyncs !== 1 || ring_overflows !== 0)
        pair.history.violate(`${streams} streams, ${resyncs} resyncs`);
      return pair;
    });
  });
}

test.serial('thousands of entries a second', async t => {
  await holds(t, 20_000, 3, seed =>
    history(
      { seed, faults: { linkCuts: true, congestion: true, drops: true }, clients: 250, rate: 2_000 },
      4_000,
      9_000,
    ),
  );
});

test.serial('a large table is brought over through links that break, without beginning anew', async t => {
  await holds(t, 40_000, 2, seed => {
    const faults = { linkCuts: true, congestion: true, drops: true };
    const pair = history({ seed, faults, idle: 12_000, faultEveryMs: 600 }, 6_000, 14_000);
    const { streams, resyncs } = countersOf(pair, 0);
    if (streams !== 1 || resyncs !== 1) pair.history.violate(`${streams} streams, ${resyncs} resyncs`);
    return pair;
  });
});

// Clients are numbered from 0: with 29 bits eight of them share a template.
test.serial('clients of one network share a template, whatever fails', async t => {
  await holds(t, 50_000, 40, seed => history({ seed, faults: ALL_FAULTS, prefix: 29 }));
  // Few new connections: what is connected must keep its template by itself (without the mask 10 of these 12 fail).
  await holds(t, 51_000, 12, seed =>
    history({ seed, faults: { failovers: true, powerLoss: true }, rate: 0.2, clients: 60, prefix: 30 }, 40_000, 90_000),
  );
});

test.serial('failover after failover, with clients that are idle all along', async t => {
  await holds(t, 30_000, 30, seed =>
    history({ seed, faults: { failovers: true, powerLoss: true }, rate: 1, clients: 30 }),
  );
});

/** Whether the invariants notice: in some of a few histories at least. */
function noticed(sabotage: NonNullable<SyncPairOptions['sabotage']>): string[] {
  const seeds = [1, 2, 3, 4, 5];
  return seeds.flatMap(seed => mistakes(history({ seed, faults: { linkCuts: true }, sabotage })));
}

test.serial('the invariants notice a kernel that loses entries without a word', t => {
  let n = 0;
  const found = noticed({ losesInSilence: entries => entries.filter(() => ++n % 10 !== 0) });
  t.true(
    found.some(text => /warm, but .* is missing/.test(text)),
    found[0],
  );
});

test.serial('the invariants notice acknowledgements that run ahead of the kernel', t => {
  const early = (effect: SyncEffect): SyncEffect => {
    if (effect.type !== 'send') return effect;
    const read = readFrame(effect.frame);
    if (read.type !== 'control' || read.message.type !== 'ack') return effect;
    return { ...effect, frame: writeControl({ ...read.message, seq: read.message.received }) };
  };
  const found = noticed({
    effects: (_router, effects) => effects.map(early),
    // A kernel that is slow to answer gives the lie its time.
    injectionMs: 300,
  });
  t.true(
    found.some(text => /acknowledged/.test(text)),
    found[0],
  );
});

test.serial('the invariants notice templates that are not kept alive', t => {
  const found = noticed({
    losesInSilence: entries => entries.filter(entry => entry.timeoutS !== 40 || entry.virtualPort !== 0),
  });
  t.true(found.length > 0);
});
