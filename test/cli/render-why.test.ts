import test from 'ava';
import { renderWhy, sentencesOf } from '../../src/cli/render-why.ts';
import { roleChanges, withoutMs } from '../../src/cli/role-changes.ts';
import type { Decision, Role } from '../../src/feed/message.ts';
import { REASONS, type ReasonName, reasonIn } from '../../src/feed/role-reason.ts';

const EVIDENCE: Decision['evidence'] = {
  peerRole: 'active',
  peerServing: true,
  peerHeardMsAgo: 312.4,
  peerClaimedMsAgo: null,
  peerServingMsAgo: 312.4,
  deadMs: 300,
  probeRoundsSilent: 5,
  probeRoundsAnswered: 0,
  linksHeard: '0 of 3',
  linksHeardMsAgo: 'client 312, cross never, servers 320',
  fitness: 1,
  peerFitness: 3,
  failedChecks: 1,
  peerFailedChecks: 0,
  warm: true,
  peerWarm: false,
  deadLans: 'client',
  missingAddresses: '192.0.2.2',
  witness: 'none',
};

function decision(from: Role, to: Role, reason: string, about: Partial<Decision> = {}): Decision {
  return { at: '2026-11-22T16:20:00.000Z', from, to, epoch: '12.1', reason, evidence: EVIDENCE, ...about };
}

const at = (ms: number) => ({ at: new Date(Date.parse('2026-11-22T16:20:00.000Z') + ms).toISOString() });
const oneOf = (...decisions: Decision[]) => {
  const changes = roleChanges(decisions);
  const last = changes.at(-1);
  if (!last) throw new Error('no change');
  return last;
};

/** Of each reason: from which role to which, what stands in its gap, and words that must be said. */
const CASES: Readonly<Record<ReasonName, readonly [Role, Role, string, RegExp]>> = {
  peerActive: ['starting', 'standby', '', /started and heard that the peer serves/],
  peerIdle: ['starting', 'standby', '', /does not serve.*stands by first/],
  nobodyHeard: ['starting', 'standby', '2200', /listened for 2200 ms.*probes before it takes/],
  keptByAnotherName: ['starting', 'standby', '', /wrong name.*--node/],
  keptWithoutOwn: ['starting', 'standby', '', /no address of its own.*left them to the peer/],
  keptThroughRestart: ['starting', 'claiming', '', /started again.*kept them.*goes on/],
  peerHandsOver: ['standby', 'claiming', '', /offered the addresses in a planned handover/],
  lastWill: ['standby', 'claiming', '', /last will.*Its last heartbeat came 312ms before/],
  silence: [
    'standby',
    'claiming',
    '',
    /fell silent: .* came 312ms before; 300ms make a peer dead.*None of 3 heartbeat links heard it \(client 312ms before, cross never, servers 320ms before\).*5 rounds of probes, .* got no answer/,
  ],
  silenceGranted: ['standby', 'claiming', '', /fell silent.*The witness, .*granted them to this router/],
  vacancy: ['standby', 'claiming', 'standby', /heard as standby and does not serve.*5 rounds of probes/],
  vacancyGranted: ['standby', 'claiming', 'active', /heard as active and does not serve.*witness granted/],
  claimUnconfirmed: ['claiming', 'standby', '440', /did not say within 440 ms.*lets the peer go first/],
  vipdTooLate: ['claiming', 'standby', '', /started anew only after its time/],
  refused: ['claiming', 'standby', 'kernel', /refused it \(kernel\).*VIP_CANNOT_BE_HELD/],
  higherEpoch: ['active', 'standby', '', /higher epoch wins.*let go at once/],
  peerServes: ['active', 'standby', '', /The peer serves.*left the addresses to the peer/],
  leaseRanOut: ['active', 'standby', '', /did not renew the lease in time.*LOOP_LATE/],
  noVipd: ['active', 'standby', '', /no vipd for longer than the lease.*VIPD_STUCK/],
  vipdStaysAway: ['active', 'standby', '', /could not be started for longer.*not ready until vipd runs/],
  mute: ['active', 'standby', '', /could not speak to the peer.*Not here, or without a route: 192\.0\.2\.2\./],
  muteRival: ['active', 'standby', '02:00:00:00:00:07', /02:00:00:00:00:07 claims the addresses/],
  isolated: ['active', 'standby', '', /heard nothing at all.*cut off/],
  cutOff: ['active', 'standby', '', /neither the peer nor the witness/],
  grantedToPeer: ['active', 'standby', '', /granted the addresses to the peer/],
  standDown: ['active', 'standby', '02:00:00:00:00:07', /Another machine \(02:00:00:00:00:07\).*stand-down/],
  peerDeaf: ['active', 'standby', '', /does not hear this router.*let go/],
  rivalRanks: ['active', 'standby', '', /heartbeats do not arrive, and it ranks higher/],
  rivalNamedFirst: ['active', 'standby', '', /it has the name that comes first/],
  nothingToHold: ['active', 'standby', 'there is no interface eth0', /held here: there is no interface eth0\./],
  carrierLost: ['active', 'handing-over', 'client', /LAN client lost its carrier here/],
  ownAddressLost: ['active', 'handing-over', 'client', /own address on LAN client is gone.*192\.0\.2\.2/],
  lanDead: ['active', 'handing-over', 'client', /LAN client is dead here.*At the peer it is alive/],
  peerHoldsMore: ['active', 'handing-over', '', /hold VIPs that this router cannot/],
  peerFitter: [
    'active',
    'handing-over',
    '',
    /1 here, 3 there\. Dead here: LAN client\. Failed fitness checks: 1 here, 0/,
  ],
  failback: ['active', 'handing-over', '', /auto_failback is on/],
  command: ['active', 'handing-over', '', /Somebody gave `tandem handover`/],
  commandCold: ['active', 'handing-over', '', /--cold`.*tables were cold: running transfers break/],
  stopping: ['active', 'handing-over', '', /told to stop, so this router hands over first/],
  handedOver: ['handing-over', 'standby', 'the peer serves under epoch 13.2', /taken the addresses \(the peer serves/],
  handoverFailed: [
    'handing-over',
    'active',
    'the peer did not claim in time',
    /failed: the peer did not claim in time/,
  ],
  stopped: ['standby', 'stopping', '', /told to stop.*nothing moved/],
  stoppedAlone: [
    'active',
    'stopping',
    'the peer is not heard',
    /could not hand over: the peer is not heard.*alone_keep/,
  ],
  stoppedUnclaimed: ['handing-over', 'stopping', '', /did not claim the addresses in time.*with its will/],
};

for (const [name, [from, to, filling, words]] of Object.entries(CASES) as [ReasonName, (typeof CASES)[ReasonName]][]) {
  test(`why: ${name} is told in two to six sentences of plain words`, t => {
    const reason = REASONS[name].replace('{}', filling);
    t.deepEqual(reasonIn(reason), { name, filling }, 'the text is read back as this reason');
    const sentences = sentencesOf(oneOf(decision(from, to, reason)));
    const told = sentences.join(' ');
    t.regex(told, words);
    t.true(sentences.length <= 6 && sentences.every(text => text.length <= 200), told);
    for (const text of sentences) t.regex(text, /^\w.*\.$/);
    t.notRegex(told, /null|undefined|NaN|\{\}|peerHeard|MsAgo/);
    // Evidence of another version may lack anything.
    const bare = sentencesOf(oneOf(decision(from, to, reason, { evidence: {} })));
    t.notRegex(bare.join(' '), /null|undefined|NaN/);
  });
}

test('a takeover is one change: what happened, what was done, how long it took, how long clients were without', t => {
  const changes = roleChanges([
    decision('standby', 'claiming', REASONS.silence),
    decision('claiming', 'active', REASONS.silence, at(14)),
  ]);
  t.is(
    renderWhy(changes, { colour: false, node: 'router-b' }),
    `2026-11-22T16:20:00.014Z  router-b: standby -> claiming -> active, epoch 12.1
  The peer fell silent: the last heartbeat that said it serves came 312ms before; 300ms make a peer
    dead.
  None of 3 heartbeat links heard it (client 312ms before, cross never, servers 320ms before).
  5 rounds of probes, sent to the peer for each address, got no answer.
  It is dead, or its kernel has stopped serving.
  This router took the addresses under epoch 12.1; its kernel has them. It took 14ms.
  Clients were without for at most 326ms.
`,
  );
});

test('a claim that fails and a handover that is taken back say how they ended', t => {
  const failed = oneOf(
    decision('standby', 'claiming', REASONS.silence),
    decision('claiming', 'standby', 'vipd refused: kernel', at(3)),
  );
  t.regex(sentencesOf(failed).join(' '), /fell silent.*The claim failed: vipd refused it \(kernel\)/);
  t.is(withoutMs(failed), undefined);
  const back = oneOf(
    decision('active', 'handing-over', REASONS.command),
    decision('handing-over', 'active', 'handover failed: the peer did not claim in time', at(500)),
  );
  t.regex(
    sentencesOf(back).join(' '),
    /failed: the peer did not claim in time\. This router kept the addresses.*500ms/,
  );
});

test('a handover is make-before-break on both sides', t => {
  const given = oneOf(
    decision('active', 'handing-over', REASONS.command),
    decision('handing-over', 'standby', 'handed over: the peer serves under epoch 13.2', at(80)),
  );
  const taken = oneOf(
    decision('standby', 'claiming', REASONS.peerHandsOver, { evidence: { offeredEpoch: '13.2', remainingMs: 200 } }),
    decision('claiming', 'active', REASONS.peerHandsOver, { ...at(5), evidence: { offeredEpoch: '13.2' } }),
  );
  t.is(withoutMs(given), 0);
  t.is(withoutMs(taken), 0);
  t.regex(sentencesOf(given).join(' '), /It took 80ms\. Clients were not without/);
});

test('clients were without since this router let go, when that was later than the peer served', t => {
  const changes = roleChanges([
    decision('active', 'standby', REASONS.leaseRanOut),
    decision('standby', 'claiming', 'the peer is heard as standby and does not serve', {
      ...at(700),
      evidence: { ...EVIDENCE, peerServingMsAgo: 86_400_000 },
    }),
    decision('claiming', 'active', 'the peer is heard as standby and does not serve', at(710)),
  ]);
  t.is(changes.length, 2);
  t.is(changes[1] && withoutMs(changes[1]), 710);
});

test('a reason of another version is shown as it is, without its control characters', t => {
  const told = renderWhy([oneOf(decision('standby', 'active', 'a whim\u001b[2J'))], { colour: false, node: undefined });
  t.is(told, '2026-11-22T16:20:00.000Z  standby -> active, epoch 12.1\n  A whim [2J.\n');
  t.is(renderWhy([], { colour: false, node: undefined }), 'no role decision yet\n');
});
