// How `tandem handover` reads the role feed: done, failed, or still on its way.
import test from 'ava';
import {
  beginHandover,
  followHandover,
  handoverProgress,
  type Outcome,
  worthWaitingFor,
} from '../../src/cli/handover.ts';
import { routerOf } from '../../src/cli/router-name.ts';
import type { Role, Snapshot } from '../../src/feed/message.ts';
import { sampleSnapshot } from './samples.ts';

function pair(role: Role, peerRole: Role | null, epoch = '12.1'): Snapshot {
  const { peer } = sampleSnapshot();
  return sampleSnapshot({ role, epoch, peer: peer && peerRole ? { ...peer, role: peerRole, epoch } : null });
}

/** The states of the outcome after each snapshot, the first being the one before the command. */
function followed(first: Snapshot, ...rest: Snapshot[]): Outcome['state'][] {
  let handover = beginHandover(first);
  return rest.map(now => {
    const [next, outcome] = followHandover(handover, now);
    handover = next;
    return outcome.state;
  });
}

test('the active router is done when it is standby and its peer active', t => {
  const states = followed(
    pair('active', 'standby'),
    pair('active', 'standby'),
    pair('handing-over', 'standby'),
    pair('handing-over', 'claiming'),
    pair('standby', 'claiming', '13.2'),
    pair('standby', 'active', '13.2'),
  );
  t.deepEqual(states, ['waiting', 'waiting', 'waiting', 'waiting', 'done']);
});

test('the new owner and its epoch are named', t => {
  const [, outcome] = followHandover(beginHandover(pair('active', 'standby')), pair('standby', 'active', '13.2'));
  t.deepEqual(outcome, { state: 'done', owner: 'router-b', epoch: '13.2' });
});

test('the active router has failed when it is active again after its offer', t => {
  const offered = [
    pair('active', 'standby'),
    pair('handing-over', 'standby'),
    pair('active', 'standby', '14.1'),
  ] as const;
  t.deepEqual(followed(...offered), ['waiting', 'failed']);
});

test('an offer and its end between two snapshots are seen by the epoch', t => {
  t.deepEqual(followed(pair('active', 'standby'), pair('active', 'standby', '14.1')), ['failed']);
});

test('asked on the standby, it is done when this router is active', t => {
  const states = followed(
    pair('standby', 'active'),
    pair('standby', 'handing-over'),
    pair('claiming', 'handing-over'),
    pair('active', 'standby', '13.1'),
  );
  t.deepEqual(states, ['waiting', 'waiting', 'done']);
});

test('asked on the standby, it has failed when this router claims and falls back', t => {
  t.deepEqual(followed(pair('standby', 'active'), pair('claiming', 'active'), pair('standby', 'active')), [
    'waiting',
    'failed',
  ]);
});

test('a standby that lacks its rules or is cold is waited for; of everything else pulse knows better what to say', t => {
  const { peer } = sampleSnapshot();
  if (!peer) throw new Error('the sample has a peer');
  const cold = { ...peer, warm: false };
  t.is(worthWaitingFor(sampleSnapshot({ peer: cold })), 'warmth');
  t.is(worthWaitingFor(sampleSnapshot({ peer: { ...cold, ready: false } })), 'rules');
  t.is(worthWaitingFor(sampleSnapshot({ peer: { ...peer, ready: false } })), 'rules');
  t.is(worthWaitingFor(sampleSnapshot()), undefined);
  t.is(worthWaitingFor(sampleSnapshot({ peer: null })), undefined);
  t.is(worthWaitingFor(sampleSnapshot({ peer: cold, role: 'standby' })), undefined);
  for (const change of [{ silent: true }, { role: 'claiming' as const }]) {
    t.is(worthWaitingFor(sampleSnapshot({ peer: { ...cold, ...change } })), undefined);
  }
});

test('progress names both routers, also one that is not heard', t => {
  t.is(handoverProgress(pair('handing-over', 'standby')), 'router-a is handing-over, router-b is standby');
  t.is(handoverProgress(pair('active', null)), 'router-a is active, router-b is not heard');
});

test('a router finds itself by its host name or the first label of it', t => {
  t.is(routerOf('a.example.net', ['a', 'b']), 'a');
  t.is(routerOf('Router-A', ['router-a', 'router-b']), 'router-a');
  t.is(routerOf('c', ['a', 'b']), undefined);
});
