// What the pair does, told as behaviour, in the simulated world without any noise.
import test from 'ava';
import { lowestMargin } from '../../src/pulse/election/beliefs/lease-margin.ts';
import { ms } from '../../src/units/duration.ts';
import { CalmPair, type CalmPairOptions } from './calm-pair.ts';

/** A pair that has settled: r1 active, r2 standby. */
function settled(options: CalmPairOptions = {}): CalmPair {
  const pair = new CalmPair({ priorities: [150, 100], ...options });
  pair.run(10_000);
  return pair;
}

test('two routers that start together agree on the one of higher priority', t => {
  const pair = new CalmPair({ priorities: [100, 150] });
  pair.run(3_000);
  t.deepEqual(pair.serving(), ['r2'], pair.describe());
  t.deepEqual(pair.holding(), ['r2']);
  t.is(pair.overlapMs(), 0);
});

test('the router of higher priority becomes active even if its rules come in a little later', t => {
  const pair = new CalmPair({ priorities: [150, 100] });
  pair.report(pair.r1, { rulesIn: false, healthyServers: null, flushMs: 0 });
  pair.run(600);
  pair.report(pair.r1, { rulesIn: true, healthyServers: null, flushMs: 0 });
  pair.run(2_000);
  t.deepEqual(pair.serving(), ['r1'], pair.describe());
  const other = new CalmPair({ priorities: [150, 100] });
  other.report(other.r1, { rulesIn: false, healthyServers: null, flushMs: 0 });
  other.run(3_000);
  t.deepEqual(other.serving(), ['r2'], 'but nobody waits for long');
});

test('two routers whose rules come in together, long after they started, do not both claim', t => {
  for (const laterBy of [0, 20, 100, 200]) {
    const pair = new CalmPair({ priorities: [100, 100] });
    for (const router of pair.sides) {
      pair.report(router, { rulesIn: false, healthyServers: null, flushMs: 0 });
    }
    pair.run(30_000);
    pair.report(pair.r2, { rulesIn: true, healthyServers: null, flushMs: 0 });
    if (laterBy > 0) pair.run(laterBy);
    pair.report(pair.r1, { rulesIn: true, healthyServers: null, flushMs: 0 });
    pair.run(3_000);
    t.is(pair.serving().length, 1, pair.describe());
    t.is(pair.overlapMs(), 0, `${laterBy} ms apart: ${pair.describe()}`);
  }
});

test('equal priorities are resolved, and by the same router every time', t => {
  const pair = new CalmPair({ priorities: [100, 100] });
  pair.run(3_000);
  t.deepEqual(pair.serving(), ['r1'], pair.describe());
});

test('a router without a peer becomes active after it has listened longer than a VIP can live without its pulse', t => {
  const pair = new CalmPair();
  pair.powerOff(pair.r2);
  pair.run(5_500);
  t.deepEqual(pair.serving(), []);
  pair.run(3_000);
  t.deepEqual(pair.serving(), ['r1'], pair.describe());
});

test('power loss: the standby takes over once D has passed, after probing in vain', t => {
  const pair = settled();
  const cutAt = pair.now;
  pair.powerOff(pair.r1);
  pair.run(1_000);
  t.deepEqual(pair.serving(), ['r2'], pair.describe());
  const takenAfter = (pair.takenAt('r2', cutAt) ?? Infinity) - cutAt;
  t.true(takenAfter > 190 && takenAfter <= 310, `taken after ${takenAfter} ms`);
  t.is(pair.overlapMs(), 0);
  const decision = pair.r2.decisions.find(d => d.to === 'claiming');
  t.regex(decision?.reason ?? '', /silence/);
  t.true((decision?.evidence.probeRoundsSilent as number) >= 2);
});

test('pulse killed: the last will lets the standby take over within a round trip', t => {
  const pair = settled();
  const at = pair.now;
  pair.killPulse(pair.r1);
  pair.run(50);
  const takenAfter = (pair.takenAt('r2', at) ?? Infinity) - at;
  t.true(takenAfter < 5, `taken after ${takenAfter} ms`);
  t.is(pair.overlapMs(), 0);
});

test('a stalled active router loses the address before the standby may take it', t => {
  for (const stall of [150, 230, 400, 2_000]) {
    const pair = settled();
    pair.runToRenewal(pair.r1);
    pair.freeze(pair.r1, stall);
    pair.run(stall + 2_000);
    t.is(pair.overlapMs(), 0, `stall of ${stall} ms`);
    t.is(pair.serving().length, 1, pair.describe());
    if (stall === 150) t.deepEqual(pair.serving(), ['r1']);
    if (stall > 300) t.deepEqual(pair.serving(), ['r2'], pair.describe());
  }
});

test('a router that lost its lease by its own stall lets the peer go first, whatever the priorities', t => {
  const pair = settled();
  // Both were starved; the loser wakes first.
  pair.freeze(pair.r1, 235);
  pair.freeze(pair.r2, 290);
  pair.run(3_000);
  t.deepEqual(pair.serving(), ['r2'], pair.describe());
  const { decisions } = pair.r1;
  t.false(decisions.slice(decisions.findIndex(d => /lease ran out/.test(d.reason))).some(d => d.to === 'claiming'));
});

test('a standby that was itself late does not judge silence by what it has not read yet', t => {
  const pair = settled();
  pair.freeze(pair.r2, 1_000);
  pair.run(5_000);
  t.deepEqual(pair.serving(), ['r1'], pair.describe());
  t.is(pair.overlapMs(), 0);
  t.true(pair.r2.events.includes('LOOP_LATE'));
});

test('heartbeat links cut only: nothing moves, and the standby says that the links are broken', t => {
  const pair = settled();
  pair.cutLinks();
  pair.run(20_000);
  t.deepEqual(pair.holding(), ['r1'], pair.describe());
  t.true(pair.r2.events.includes('LINKS_BROKEN'));
  pair.heal();
  pair.run(3_000);
  t.true(pair.r2.events.includes('LINKS_RESTORED'));
  t.deepEqual(pair.holding(), ['r1']);
});

test('one link lost is an event, not a failover', t => {
  const pair = settled();
  pair.cutLinks([0]);
  pair.run(5_000);
  t.deepEqual(pair.serving(), ['r1']);
  t.true(pair.r2.events.includes('LINK_SILENT'));
});

test('after a full partition heals, the higher epoch keeps the addresses and announces, the other lets go', t => {
  const pair = settled();
  pair.cutLinks();
  pair.cutVipLans();
  pair.run(3_000);
  t.is(pair.holding().length, 2, 'a full partition without a witness cannot be safe');
  pair.heal();
  pair.run(2_000);
  t.deepEqual(pair.holding(), ['r2'], pair.describe());
  t.true(pair.r1.events.includes('CONFLICT_LOST'));
});

test('a planned handover is make-before-break and leaves exactly one owner', t => {
  const pair = settled();
  pair.send(pair.r1, { type: 'handover', cold: false });
  t.true(pair.r1.answer?.ok);
  pair.run(1_000);
  t.deepEqual(pair.holding(), ['r2'], pair.describe());
  const given = pair.tenures.find(tenure => tenure.node === 'r1');
  const taken = pair.tenures.find(tenure => tenure.node === 'r2');
  t.true((given?.to ?? 0) >= (taken?.from ?? Infinity), 'no gap');
  t.true(pair.overlapMs() <= 5, `overlap ${pair.overlapMs()} ms`);
  pair.run(10_000);
  t.deepEqual(pair.holding(), ['r2']);
});

test('the overlap of a handover is no conflict, even when vipd tells of it after the heartbeat has ended it', t => {
  const pair = settled();
  pair.send(pair.r1, { type: 'handover', cold: false });
  pair.run(1_000);
  pair.hearsClaim(pair.r1, '02:00:00:00:02:00');
  t.false(pair.r1.events.includes('VIP_CLAIMED_BY_OTHER'), 'by the peer: planned');
  pair.hearsClaim(pair.r1, '02:00:00:00:09:01');
  t.true(pair.r1.events.includes('VIP_CLAIMED_BY_OTHER'), 'by a third machine: news');
});

test('an active router tells when its peer claims its addresses without a handover', t => {
  const pair = settled();
  pair.hearsClaim(pair.r1, '02:00:00:00:02:00');
  t.true(pair.r1.events.includes('VIP_CLAIMED_BY_OTHER'));
});

test('a handover waits for the sync buffer that the director reports', t => {
  const pair = settled();
  pair.report(pair.r1, { rulesIn: true, healthyServers: 3, flushMs: 2_300 });
  const at = pair.now;
  pair.send(pair.r1, { type: 'handover', cold: false });
  pair.run(2_200);
  t.deepEqual(pair.serving(), ['r1'], 'serves on while the buffer drains');
  pair.run(500);
  t.deepEqual(pair.serving(), ['r2']);
  t.true((pair.takenAt('r2', at) ?? 0) - at >= 2_300);
});

test('SIGTERM on the active router hands over first, then exits', t => {
  const pair = settled();
  pair.send(pair.r1, { type: 'stop' });
  pair.run(1_000);
  t.true(pair.r1.exited);
  t.deepEqual(pair.holding(), ['r2'], pair.describe());
  t.is(pair.r1.decisions.at(-1)?.to, 'stopping');
});

test('SIGTERM ends pulse also when the peer dies while the sync buffer drains; the VIPs are left to their lifetime', t => {
  const pair = settled();
  pair.report(pair.r1, { rulesIn: true, healthyServers: 3, flushMs: 2_300 });
  pair.send(pair.r1, { type: 'stop' });
  pair.run(500);
  pair.powerOff(pair.r2);
  pair.run(4_000);
  t.true(pair.r1.exited, pair.describe());
  t.true(pair.r1.events.includes('HANDOVER_FAILED'));
});

test('SIGTERM ends pulse also when its lease runs out during the handover', t => {
  const pair = settled();
  pair.send(pair.r1, { type: 'stop' });
  pair.cutLinks();
  pair.freeze(pair.r1, 1_000);
  pair.run(3_000);
  t.true(pair.r1.exited, pair.describe());
});

test('an offer that nobody hears is taken back under a higher epoch, without a gap', t => {
  const pair = settled();
  pair.cutLinks();
  pair.send(pair.r1, { type: 'handover', cold: false });
  pair.run(1_000);
  t.deepEqual(pair.holding(), ['r1'], pair.describe());
  t.true(pair.r1.events.includes('HANDOVER_FAILED'));
  pair.heal();
  pair.run(2_000);
  t.deepEqual(pair.serving(), ['r1'], pair.describe());
  t.is(pair.tenures.length, 1);
});

test('a handover without a peer is refused and says why', t => {
  const pair = new CalmPair();
  pair.powerOff(pair.r2);
  pair.run(10_000);
  pair.send(pair.r1, { type: 'handover', cold: false });
  t.false(pair.r1.answer?.ok);
  t.regex(pair.r1.answer?.message ?? '', /peer is not heard/);
});

test('a router on hold never becomes active; when the hold expires it may again', t => {
  const pair = settled();
  pair.send(pair.r2, { type: 'hold', forMs: 5_000 });
  t.true(pair.r2.answer?.ok);
  pair.powerOff(pair.r1);
  pair.run(4_000);
  t.deepEqual(pair.serving(), []);
  pair.run(3_000);
  t.deepEqual(pair.serving(), ['r2'], pair.describe());
});

test('a hold on the active router is refused', t => {
  const pair = settled();
  pair.send(pair.r1, { type: 'hold', forMs: undefined });
  t.false(pair.r1.answer?.ok);
  t.regex(pair.r1.answer?.message ?? '', /tandem handover/);
});

test('a router whose rules are not in does not claim', t => {
  const pair = settled();
  pair.report(pair.r2, { rulesIn: false, healthyServers: null, flushMs: 0 });
  pair.powerOff(pair.r1);
  pair.run(3_000);
  t.deepEqual(pair.serving(), []);
  pair.report(pair.r2, { rulesIn: true, healthyServers: 3, flushMs: 0 });
  pair.run(500);
  t.deepEqual(pair.serving(), ['r2'], pair.describe());
});

test('a pair whose peer is absent keeps its VIP through a restart of pulse', t => {
  const pair = settled();
  pair.powerOff(pair.r2);
  pair.run(5_000);
  const before = pair.tenures.length;
  pair.killPulse(pair.r1);
  pair.run(800);
  t.deepEqual(pair.holding(), ['r1']);
  pair.restart(pair.r1);
  pair.run(1_000);
  t.deepEqual(pair.serving(), ['r1'], pair.describe());
  t.is(pair.tenures.length, before, 'the addresses never left');
});

test('a pair whose peer is absent keeps its VIP through a stall', t => {
  const pair = settled();
  pair.powerOff(pair.r2);
  pair.run(5_000);
  const before = pair.tenures.length;
  pair.freeze(pair.r1, 3_000);
  pair.run(5_000);
  t.deepEqual(pair.serving(), ['r1'], pair.describe());
  t.is(pair.tenures.length, before);
});

test('how near the lease has come to its end is known for half a minute at least', t => {
  const pair = settled();
  const margin = (router = pair.r1) => router.machine.lease.margin && lowestMargin(router.machine.lease.margin);
  t.true((margin() ?? 0) > 0.5, `${margin()}`);
  t.is(margin(pair.r2), undefined, 'a standby has no lease');
  pair.runToRenewal(pair.r1);
  pair.freeze(pair.r1, 150);
  pair.run(25_000);
  t.deepEqual(pair.serving(), ['r1']);
  t.true((margin() ?? 1) < 0.35, `${margin()}`);
  pair.run(65_000);
  t.true((margin() ?? 0) > 0.5, `${margin()}`);
});

test('a stopped vipd is replaced and the addresses stay', t => {
  const pair = settled();
  pair.stopVipd(pair.r1);
  pair.run(2_000);
  t.deepEqual(pair.holding(), ['r1'], pair.describe());
  t.true(pair.r1.events.includes('VIPD_STUCK'));
  t.deepEqual(pair.serving(), ['r1']);
  t.is(pair.tenures.length, 1);
});

test('a router that returns does not take the addresses back by itself', t => {
  const pair = settled();
  pair.powerOff(pair.r1);
  pair.run(2_000);
  pair.restart(pair.r1);
  pair.run(60_000);
  t.deepEqual(pair.serving(), ['r2'], pair.describe());
  t.is(pair.r1.machine.state.role, 'standby');
  t.is(pair.overlapMs(), 0);
});

test('with automatic failback the router of higher priority gets the addresses back, once, without a gap', t => {
  const pair = settled({ settings: { autoFailback: true } });
  pair.powerOff(pair.r1);
  pair.run(2_000);
  pair.restart(pair.r1);
  pair.run(60_000);
  t.deepEqual(pair.serving(), ['r1'], pair.describe());
  t.true(pair.overlapMs() <= 5);
  t.is(pair.tenures.length, 3);
});

test('the client LAN of the active router loses carrier: it hands over', t => {
  const pair = settled();
  pair.loseCarrier(pair.r1, 0);
  pair.run(1_000);
  t.deepEqual(pair.serving(), ['r2'], pair.describe());
});

test('different leases on the two routers are safe: the standby waits for the longer one', t => {
  const pair = settled();
  const { pulse } = pair.r1.router;
  t.truthy(pulse);
  if (!pulse) return;
  pulse.machine = { ...pulse.machine, settings: { ...pulse.machine.settings, leaseMs: ms(600), deadMs: ms(800) } };
  pair.run(2_000);
  pair.freeze(pair.r1, 5_000);
  pair.run(10_000);
  t.is(pair.overlapMs(), 0, pair.describe());
  t.is(pair.serving().length, 1);
});

/** A router that has just become active gives up for servers after this. */
const HOLD_DOWN_MS = 10_000;

test('a handover by command to a cold peer is refused, says how to go on, and can be forced', t => {
  const pair = settled();
  pair.report(pair.r2, { warm: false });
  pair.run(300);
  pair.send(pair.r1, { type: 'handover', cold: false });
  t.false(pair.r1.answer?.ok);
  t.regex(pair.r1.answer?.message ?? '', /peer's tables are cold.*wait until.*warm.*tandem handover --cold/);
  pair.run(1_000);
  t.deepEqual(pair.serving(), ['r1']);
  pair.send(pair.r1, { type: 'handover', cold: true });
  t.true(pair.r1.answer?.ok);
  pair.run(1_000);
  t.deepEqual(pair.serving(), ['r2'], pair.describe());
});

test('a handover by command is refused when the director of the peer has been gone for 5 s, not earlier', t => {
  const pair = settled();
  pair.endDirector(pair.r2);
  pair.run(3_500);
  t.true(pair.r1.machine.peer.last?.warm);
  pair.run(3_000);
  t.false(pair.r1.machine.peer.last?.warm);
  pair.send(pair.r1, { type: 'handover', cold: false });
  t.regex(pair.r1.answer?.message ?? '', /cold/);
});

test('a peer that goes cold while the sync buffer drains is not handed to, unless it is forced', t => {
  for (const cold of [false, true]) {
    const pair = settled();
    pair.report(pair.r1, { flushMs: 2_000 });
    pair.send(pair.r1, { type: 'handover', cold });
    t.true(pair.r1.answer?.ok);
    pair.run(500);
    pair.report(pair.r2, { warm: false });
    pair.run(4_000);
    t.deepEqual(pair.serving(), [cold ? 'r2' : 'r1'], pair.describe());
    t.is(pair.r1.events.includes('HANDOVER_FAILED'), !cold);
  }
});

test('the cold peer is told once, and once when it is warm', t => {
  const pair = settled();
  const before = pair.r1.events.length;
  pair.report(pair.r2, { warm: false });
  pair.run(20_000);
  pair.report(pair.r2, { warm: true });
  pair.run(20_000);
  t.deepEqual(
    pair.r1.events.slice(before).filter(code => code.startsWith('PEER_')),
    ['PEER_COLD', 'PEER_WARM'],
  );
});

test('automatic failback waits until the tables of the router that wants it back are warm', t => {
  const pair = settled({ settings: { autoFailback: true } });
  pair.powerOff(pair.r1);
  pair.run(2_000);
  pair.restart(pair.r1);
  pair.report(pair.r1, { warm: false });
  pair.run(600_000);
  t.deepEqual(pair.serving(), ['r2'], pair.describe());
  pair.report(pair.r1, { warm: true });
  pair.run(5_000);
  t.deepEqual(pair.serving(), ['r1'], pair.describe());
});

test('automatic failback does not ask whether the router that gives back is warm', t => {
  const pair = settled({ settings: { autoFailback: true } });
  pair.powerOff(pair.r1);
  pair.run(2_000);
  pair.endDirector(pair.r2);
  pair.restart(pair.r1);
  pair.run(60_000);
  t.deepEqual(pair.serving(), ['r1'], pair.describe());
});

test('a warm peer that is fitter by servers gets the addresses once its checks are younger than our failure', t => {
  const pair = settled();
  pair.run(HOLD_DOWN_MS);
  pair.report(pair.r1, { healthyServers: 0 });
  pair.run(1_900);
  t.deepEqual(pair.serving(), ['r1'], 'the nannies there may not have noticed the same yet');
  pair.run(1_000);
  t.deepEqual(pair.serving(), ['r2'], pair.describe());
});

test('a peer whose fitness checks pass gets the addresses of an owner whose checks fail, and nobody moves when both fail', t => {
  const pair = settled();
  pair.run(HOLD_DOWN_MS);
  pair.report(pair.r1, { failedChecks: 1 });
  pair.run(1_900);
  t.deepEqual(pair.serving(), ['r1'], 'the checks there may not have noticed the same yet');
  pair.run(1_000);
  t.deepEqual(pair.serving(), ['r2'], pair.describe());
  pair.report(pair.r2, { failedChecks: 1 });
  pair.run(600_000);
  t.deepEqual(pair.serving(), ['r2'], 'both fail');
  pair.report(pair.r1, { failedChecks: 0 });
  pair.run(60_000);
  t.deepEqual(pair.serving(), ['r1'], pair.describe());
});

test('a fitness check that fails on both at about the same time moves nothing', t => {
  const pair = settled();
  pair.run(HOLD_DOWN_MS);
  pair.report(pair.r1, { failedChecks: 1 });
  pair.run(1_500);
  pair.report(pair.r2, { failedChecks: 1 });
  pair.run(60_000);
  t.deepEqual(pair.serving(), ['r1'], pair.describe());
});

test('a failed fitness check counts less than a server, and is no veto', t => {
  const pair = settled();
  pair.run(HOLD_DOWN_MS);
  pair.report(pair.r2, { healthyServers: 0 });
  pair.report(pair.r1, { failedChecks: 3 });
  pair.run(60_000);
  t.deepEqual(pair.serving(), ['r1'], 'the peer has no server');
  pair.report(pair.r2, { healthyServers: 3, failedChecks: 3 });
  pair.report(pair.r1, { healthyServers: 0 });
  pair.run(5_000);
  t.deepEqual(pair.serving(), ['r2'], 'the peer has servers, whatever its checks say');
  pair.powerOff(pair.r2);
  pair.run(20_000);
  t.deepEqual(pair.serving(), ['r1'], 'it takes over from a dead peer, whatever its own checks say');
});

test('a cold peer that is fitter by servers is waited for until it is warm, yet not for ever', t => {
  const pair = settled();
  pair.run(HOLD_DOWN_MS);
  pair.report(pair.r1, { healthyServers: 0 });
  pair.report(pair.r2, { warm: false });
  pair.run(30_000);
  t.deepEqual(pair.serving(), ['r1'], pair.describe());
  pair.report(pair.r2, { warm: true });
  pair.run(2_000);
  t.deepEqual(pair.serving(), ['r2'], pair.describe());
  const broken = settled();
  broken.run(HOLD_DOWN_MS);
  broken.report(broken.r2, { warm: false });
  broken.run(300_000);
  t.deepEqual(broken.serving(), ['r1']);
  broken.report(broken.r1, { healthyServers: 0 });
  broken.run(58_000);
  t.deepEqual(broken.serving(), ['r1'], 'the wait counts from the loss of the servers');
  broken.run(5_000);
  t.deepEqual(broken.serving(), ['r2'], broken.describe());
});

test('lost carrier hands over at once, to a cold peer too', t => {
  const pair = settled();
  pair.report(pair.r2, { warm: false });
  pair.run(1_000);
  pair.loseCarrier(pair.r1, 0);
  pair.run(1_000);
  t.deepEqual(pair.serving(), ['r2'], pair.describe());
});

test('SIGTERM hands over to a cold peer too', t => {
  const pair = settled();
  pair.report(pair.r2, { warm: false });
  pair.run(1_000);
  pair.send(pair.r1, { type: 'stop' });
  pair.run(1_000);
  t.true(pair.r1.exited);
  t.deepEqual(pair.holding(), ['r2'], pair.describe());
  t.true(pair.r1.events.includes('HANDOVER_DONE'));
});

test('SIGTERM during a planned handover whose peer has gone cold still hands over', t => {
  const pair = settled();
  pair.report(pair.r1, { flushMs: 2_000 });
  pair.send(pair.r1, { type: 'handover', cold: false });
  pair.report(pair.r2, { warm: false });
  pair.run(500);
  pair.send(pair.r1, { type: 'stop' });
  pair.run(6_000);
  t.true(pair.r1.exited);
  t.deepEqual(pair.holding(), ['r2'], pair.describe());
});

test('a cold standby takes over from a dead router as fast as a warm one, by silence and by will', t => {
  for (const end of ['powerOff', 'killPulse'] as const) {
    const taken = [true, false].map(warm => {
      const pair = settled();
      pair.report(pair.r2, { warm });
      pair.run(1_000);
      const at = pair.now;
      pair[end](pair.r1);
      pair.run(2_000);
      t.deepEqual(pair.serving(), ['r2'], pair.describe());
      return (pair.takenAt('r2', at) ?? Infinity) - at;
    });
    t.is(taken[0], taken[1]);
  }
});

test('without services there are no sessions to lose: nobody is cold, with or without a director', t => {
  const pair = settled({ settings: { keepsSessions: false } });
  for (const router of pair.sides) pair.endDirector(router);
  pair.run(10_000);
  pair.send(pair.r1, { type: 'handover', cold: false });
  pair.run(1_000);
  t.deepEqual(pair.serving(), ['r2'], pair.describe());
});

test('two cold routers that start together still agree on an owner', t => {
  const pair = new CalmPair({ priorities: [100, 150] });
  for (const router of pair.sides) pair.report(router, { warm: false });
  pair.run(3_000);
  t.deepEqual(pair.serving(), ['r2'], pair.describe());
});
