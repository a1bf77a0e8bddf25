// The page of time: what each function gives for the three configs that docs/BENCHMARKS.md
// measures, and for pairs of routers whose configs differ, as literal values; and what must hold
// between them for every config that `tandem check` lets pass.
import test from 'ava';
import fc from 'fast-check';
import { deadFloor, leaseFloor } from '../../src/config/rules/timing-rules.ts';
import { witnessLeaseFloor } from '../../src/config/rules/witness-rules.ts';
import {
  askEvery,
  calmProbeAgainAfter,
  calmProbeEvery,
  claimFailsAfter,
  claimLasts,
  copyGoneAfter,
  echoLasts,
  firstTurn,
  givenUpAfter,
  goneAfter,
  grantLasts,
  type HeartbeatTimes,
  heardNowWithin,
  holdDown,
  introducedAfter,
  introduction,
  leaseWithMargin,
  letGoAfter,
  listenFor,
  muteLetsGoAfter,
  offerInterval,
  offerLasts,
  oldLeaseLasts,
  oneFault,
  oneWayAfter,
  overdueAfter,
  ownLostAfter,
  patience,
  probeOverdueAfter,
  probeRound,
  retryPause,
  rivalYieldsAfter,
  sampling,
  seenWithin,
  slowerInterval,
  takeoverAfter,
  unheardAfter,
  unknownLetsGoAfter,
  vipCheckEvery,
  vipCheckStaleAfter,
  vipCheckWindow,
  vipdStuckAfter,
  wishLasts,
  witnessClaimEvery,
  witnessedAfter,
  witnessLostAfter,
  witnessRenewEvery,
} from '../../src/pulse/timing.ts';
import { type Ms, ms } from '../../src/units/duration.ts';

const pace = (intervalMs: number, leaseMs: number, deadMs: number): HeartbeatTimes => ({
  intervalMs: ms(intervalMs),
  leaseMs: ms(leaseMs),
  deadMs: ms(deadMs),
});

const USUAL = pace(100, 220, 300);
const HALF = pace(50, 110, 150);
const SHORTEST = pace(10, 22, 30);
const LONG_LEASE = pace(20, 200, 240);

/** This router, and its peer. */
const PAIRS: readonly (readonly [own: HeartbeatTimes, peer: HeartbeatTimes])[] = [
  [USUAL, USUAL],
  [HALF, HALF],
  [SHORTEST, SHORTEST],
  [USUAL, HALF],
  [HALF, USUAL],
  [SHORTEST, LONG_LEASE],
  [LONG_LEASE, SHORTEST],
];

const KEEP = ms(5_000);
const W = ms(3_000);

/** When this router takes over from its peer, and when its peer does from this one. */
const takes = (own: HeartbeatTimes, peer: HeartbeatTimes) => takeoverAfter(own.deadMs, leaseWithMargin(peer));
const taken = (own: HeartbeatTimes, peer: HeartbeatTimes) => takes(peer, own);
const slower = (own: HeartbeatTimes, peer: HeartbeatTimes) => slowerInterval(own.intervalMs, peer.intervalMs);

type Row = readonly [
  name: string,
  of: (own: HeartbeatTimes, peer: HeartbeatTimes) => number,
  values: readonly number[],
];

const TABLE: readonly Row[] = [
  ['leaseWithMargin', own => leaseWithMargin(own), [300, 150, 30, 300, 150, 30, 216]],
  ['takeoverAfter', takes, [300, 150, 30, 300, 300, 216, 240]],
  ['takeoverAfter of the peer', taken, [300, 150, 30, 300, 300, 240, 216]],
  [
    'takeoverAfter of a peer never heard',
    own => takeoverAfter(own.deadMs, undefined),
    [300, 150, 30, 300, 150, 30, 240],
  ],
  ['slowerInterval', slower, [100, 50, 10, 100, 100, 20, 20]],
  ['slowerInterval, alone', own => slowerInterval(own.intervalMs, undefined), [100, 50, 10, 100, 50, 10, 20]],
  ['overdueAfter', (_, peer) => overdueAfter(peer.intervalMs), [150, 75, 15, 75, 150, 30, 15]],
  ['goneAfter', (own, peer) => goneAfter(takes(own, peer)), [600, 300, 60, 600, 600, 432, 480]],
  ['givenUpAfter', (own, peer) => givenUpAfter(own.intervalMs, taken(own, peer)), [450, 225, 45, 450, 525, 465, 402]],
  ['unheardAfter', (own, peer) => unheardAfter(slower(own, peer), taken(own, peer)), [180, 90, 18, 180, 180, 216, 192]],
  [
    'heardNowWithin',
    (own, peer) => heardNowWithin(slower(own, peer), taken(own, peer)),
    [180, 90, 18, 180, 180, 50, 50],
  ],
  ['muteLetsGoAfter', own => muteLetsGoAfter(own, false), [200, 100, 20, 200, 100, 20, 196]],
  ['muteLetsGoAfter, unsent', own => muteLetsGoAfter(own, true), [100, 50, 10, 100, 50, 10, 176]],
  ['seenWithin', own => seenWithin(own.intervalMs), [60, 30, 6, 60, 30, 6, 12]],
  ['rivalYieldsAfter', (own, peer) => rivalYieldsAfter(slower(own, peer)), [250, 125, 25, 250, 250, 50, 50]],
  [
    'listenFor',
    (own, peer) => listenFor({ aloneKeepMs: KEEP, leaseMs: own.leaseMs }, takes(own, peer)),
    [6_770, 6_510, 6_302, 6_770, 6_660, 6_488, 6_690],
  ],
  ['introduction', own => introduction(own.intervalMs), [300, 150, 30, 300, 150, 30, 60]],
  [
    'introducedAfter',
    own => introducedAfter({ intervalMs: own.intervalMs, aloneKeepMs: KEEP }),
    [300, 150, 30, 300, 150, 30, 60],
  ],
  ['patience', (own, peer) => patience(own.intervalMs, takes(own, peer)), [600, 300, 60, 600, 450, 246, 300]],
  ['firstTurn', (own, peer) => firstTurn(own.intervalMs, takes(own, peer)), [500, 250, 50, 500, 400, 236, 280]],
  ['probeRound', own => probeRound(own.intervalMs), [25, 25, 5, 25, 25, 5, 10]],
  ['probeOverdueAfter', own => probeOverdueAfter(own.intervalMs), [125, 125, 105, 125, 125, 105, 110]],
  ['vipdStuckAfter', own => vipdStuckAfter(own), [60, 30, 10, 60, 30, 10, 90]],
  ['claimFailsAfter', own => claimFailsAfter(own.leaseMs), [250, 250, 250, 250, 250, 250, 250]],
  ['sampling, every', own => sampling(own.intervalMs).everyMs, [50, 25, 5, 50, 25, 5, 10]],
  ['sampling, window', own => sampling(own.intervalMs).windowMs, [125, 62.5, 15, 125, 62.5, 15, 25]],
  ['retryPause, first', own => retryPause(own.deadMs, 1), [300, 150, 30, 300, 150, 30, 240]],
  ['retryPause, third', own => retryPause(own.deadMs, 3), [1_200, 600, 120, 1_200, 600, 120, 960]],
  ['retryPause, longest', own => retryPause(own.deadMs, 20), [10_000, 10_000, 10_000, 10_000, 10_000, 10_000, 10_000]],
  ['offerLasts', own => offerLasts(own.leaseMs), [110, 55, 11, 110, 55, 11, 100]],
  ['offerInterval', own => offerInterval(own.intervalMs), [25, 12.5, 2.5, 25, 12.5, 2.5, 5]],
  ['oldLeaseLasts', own => oldLeaseLasts(own), [320, 160, 32, 320, 160, 32, 220]],
  ['letGoAfter', own => letGoAfter(W, own), [2_680, 2_840, 2_968, 2_680, 2_840, 2_968, 2_780]],
  ['unknownLetsGoAfter', (own, peer) => unknownLetsGoAfter(own, peer.deadMs), [200, 100, 20, 50, 100, 20, 10]],
  ['unknownLetsGoAfter, alone', own => unknownLetsGoAfter(own, undefined), [200, 100, 20, 200, 100, 20, 220]],
  ['ownLostAfter', own => ownLostAfter(own.deadMs), [1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000]],
  ['echoLasts', (own, peer) => echoLasts(own.deadMs, slower(own, peer)), [350, 175, 35, 350, 350, 70, 240]],
  ['oneWayAfter', (own, peer) => oneWayAfter(goneAfter(takes(own, peer))), [900, 450, 90, 900, 900, 648, 720]],
  ['witnessedAfter', (_, peer) => witnessedAfter(peer.intervalMs), [150, 75, 15, 75, 150, 30, 15]],
  ['wishLasts', (own, peer) => wishLasts(takes(own, peer)), [600, 300, 60, 600, 600, 432, 480]],
  ['askEvery', own => askEvery(own.deadMs), [900, 450, 90, 900, 450, 90, 720]],
  ['copyGoneAfter', own => copyGoneAfter(own.deadMs), [1_800, 900, 180, 1_800, 900, 180, 1_440]],
  ['claimLasts', own => claimLasts(own.deadMs), [30_300, 30_150, 30_030, 30_300, 30_150, 30_030, 30_240]],
  ['calmProbeEvery', (own, peer) => calmProbeEvery(takes(own, peer)), [6_000, 3_000, 600, 6_000, 6_000, 4_320, 4_800]],
  ['calmProbeAgainAfter', (own, peer) => calmProbeAgainAfter(takes(own, peer)), [600, 300, 60, 600, 600, 432, 480]],
  ['vipCheckEvery', own => vipCheckEvery(own.deadMs), [900, 450, 90, 900, 450, 90, 720]],
  ['vipCheckStaleAfter', own => vipCheckStaleAfter(own.deadMs), [1_800, 900, 180, 1_800, 900, 180, 1_440]],
  ['vipCheckWindow', own => vipCheckWindow(own.intervalMs), [100, 50, 10, 100, 50, 10, 20]],
];

for (const [name, of, values] of TABLE) {
  test(`what it is, for equal and unequal routers: ${name}`, t => {
    t.deepEqual(
      PAIRS.map(([own, peer]) => of(own, peer)),
      values,
    );
  });
}

test('slow heartbeats: what has an upper bound keeps to it', t => {
  const slow = ms(5_000);
  t.is(probeRound(slow), ms(25));
  t.is(vipCheckWindow(slow), ms(1_000));
  t.is(introducedAfter({ intervalMs: slow, aloneKeepMs: KEEP }), ms(2_500));
  t.is(claimFailsAfter(ms(15_000)), ms(15_000));
  t.is(ownLostAfter(ms(30_000)), ms(30_000));
});

test('the witness: shares of its lease', t => {
  const leases: (Ms | undefined)[] = [undefined, ms(400), ms(1_000), ms(3_000), ms(10_000)];
  t.deepEqual(leases.map(oneFault), [3_000, 3_000, 3_000, 9_000, 30_000] as Ms[]);
  const known = leases.filter(lease => lease !== undefined);
  t.deepEqual(known.map(grantLasts), [200, 500, 1_500, 5_000] as Ms[]);
  t.deepEqual(known.map(witnessLostAfter), [3_000, 3_000, 3_000, 10_000] as Ms[]);
  t.deepEqual(known.map(witnessRenewEvery), [80, 200, 600, 2_000] as Ms[]);
  t.deepEqual(known.map(witnessClaimEvery), [20, 50, 150, 500] as Ms[]);
});

test('the hold-down doubles with each change of late, up to five minutes, and is never less than at first', t => {
  const changes = [0, 1, 2, 3, 6, 7, 16];
  const of = (base: number) => changes.map(count => Number(holdDown(count, ms(base))));
  t.deepEqual(of(0), [0, 0, 20_000, 40_000, 300_000, 300_000, 300_000]);
  t.deepEqual(of(10_000), [10_000, 10_000, 20_000, 40_000, 300_000, 300_000, 300_000]);
  t.deepEqual(of(30_000), [30_000, 30_000, 30_000, 40_000, 300_000, 300_000, 300_000]);
});

/** Every pace that the rules of the config let pass. */
const anyPace: fc.Arbitrary<HeartbeatTimes> = fc
  .integer({ min: 10, max: 5_000 })
  .chain(interval =>
    fc
      .integer({ min: Math.max(22, leaseFloor(ms(interval))), max: 15_000 })
      .chain(lease =>
        fc
          .integer({ min: Math.max(30, Math.ceil(deadFloor(ms(lease), ms(interval)))), max: 30_000 })
          .map(dead => pace(interval, lease, dead)),
      ),
  );

const anyWitnessed = anyPace.chain(own =>
  fc
    .integer({ min: witnessLeaseFloor(own.leaseMs, own.intervalMs), max: 120_000 })
    .map(lease => ({ own, witnessLeaseMs: ms(lease) })),
);

const RUNS = { numRuns: 2_000 };

/** Rounding of sums of fractions. */
const EPSILON = 1e-6;

test('whatever the two configs: a lease that nobody renews ends before the other router takes over', t => {
  fc.assert(
    fc.property(anyPace, anyPace, (owner, taker) => owner.leaseMs < takes(taker, owner)),
    RUNS,
  );
  t.pass();
});

test('whatever the two configs: an owner that hears nobody lets go before the other router takes over', t => {
  fc.assert(
    fc.property(anyPace, anyPace, (owner, taker) => {
      const letsGo = unheardAfter(slower(owner, taker), takes(taker, owner));
      // The owner may have heard the taker last up to an interval after the taker heard it.
      return letsGo > 0 && letsGo + slower(owner, taker) <= takes(taker, owner) + EPSILON;
    }),
    RUNS,
  );
  t.pass();
});

test('whatever the two configs: an owner that cannot speak lets go before its lease ends, after it has got one', t => {
  fc.assert(
    fc.property(anyPace, anyPace, (owner, taker) => {
      const [early, late] = [muteLetsGoAfter(owner, true), muteLetsGoAfter(owner, false)];
      return (
        early > 0 && early + owner.intervalMs <= late + EPSILON && late < owner.leaseMs && late < takes(taker, owner)
      );
    }),
    RUNS,
  );
  t.pass();
});

test('whatever the config: an owner cut off from the witness has let go, and its lease here has ended, before the one there', t => {
  fc.assert(
    fc.property(anyWitnessed, ({ own, witnessLeaseMs }) => {
      const letsGo = letGoAfter(witnessLeaseMs, own);
      return letsGo > 0 && letsGo + own.intervalMs + own.leaseMs <= witnessLeaseMs;
    }),
    RUNS,
  );
  t.pass();
});

test('whatever the two configs: an owner that the witness does not know lets go before the peer has waited for its D', t => {
  fc.assert(
    fc.property(anyPace, anyPace, (owner, taker) => unknownLetsGoAfter(owner, taker.deadMs) < taker.deadMs),
    RUNS,
  );
  t.pass();
});

test('whatever the config: a grant ends before the lease of the witness does, and is asked for several times in that', t => {
  fc.assert(
    fc.property(anyWitnessed, ({ witnessLeaseMs }) => {
      return (
        grantLasts(witnessLeaseMs) < witnessLeaseMs &&
        2 * witnessRenewEvery(witnessLeaseMs) < witnessLeaseMs &&
        witnessClaimEvery(witnessLeaseMs) < grantLasts(witnessLeaseMs)
      );
    }),
    RUNS,
  );
  t.pass();
});

test('whatever the config: an offer that nobody takes, and the look whether somebody has, end within the lease', t => {
  fc.assert(
    fc.property(anyPace, own => offerLasts(own.leaseMs) + probeRound(own.intervalMs) < own.leaseMs),
    RUNS,
  );
  t.pass();
});

test('whatever the config: two rounds of probes fit between the first missing heartbeat and a takeover', t => {
  fc.assert(
    fc.property(anyPace, own => {
      return overdueAfter(own.intervalMs) + 2 * probeRound(own.intervalMs) <= takes(own, own) + EPSILON;
    }),
    RUNS,
  );
  t.pass();
});

test('whatever the config: a stuck vipd is replaced before the lease that it holds ends', t => {
  fc.assert(
    fc.property(anyPace, own => vipdStuckAfter(own) + own.intervalMs < own.leaseMs),
    RUNS,
  );
  t.pass();
});

test('whatever the config: that a target is silent is known before the peer may take over', t => {
  fc.assert(
    fc.property(anyPace, own => sampling(own.intervalMs).everyMs + sampling(own.intervalMs).windowMs < takes(own, own)),
    RUNS,
  );
  t.pass();
});

test('whatever the two configs: a start listens for longer than addresses live without their pulse', t => {
  fc.assert(
    fc.property(anyPace, anyPace, (own, peer) => {
      return listenFor({ aloneKeepMs: KEEP, leaseMs: own.leaseMs }, takes(own, peer)) > KEEP + peer.leaseMs;
    }),
    RUNS,
  );
  t.pass();
});
