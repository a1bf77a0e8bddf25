// check.manual_resume: a server that went down waits for an operator, and what is no going down.
import test from 'ava';
import { NOTHING_COMPARED } from '../../src/director/check-watch.ts';
import { ManualResume } from '../../src/director/io/manual-resume.ts';
import { formatSeenUp, gonePending, parseSeenUp, type SeenUp, settledFor } from '../../src/director/manual-resume.ts';
import { drainOf } from '../../src/drain/drains.ts';
import type { Verdict } from '../../src/nanny/verdict.ts';
import { configOf, FTP, verdict } from './fixture.ts';
import { type Rig, rigOf, role, serverIn } from './loop-rig.ts';

const MANUAL = configOf({ services: { ftp: { ...FTP, check: { manual_resume: true } } } });
const NOBODY: SeenUp = new Set();
const SEEN = ['ftp/fs1 198.51.100.11'];
const down = (changes: Partial<Verdict> = {}): Verdict => ({ ...verdict('fs1', 'down'), ...changes });

function look(before: SeenUp, verdicts: readonly Verdict[], changes: Partial<Parameters<typeof gonePending>[1]> = {}) {
  const { next, orders } = gonePending(before, {
    ...{ config: MANUAL, drainOf: () => undefined, isOwner: true, verdicts },
    ...{ peerSaysUp: () => false, isApart: () => false },
    ...changes,
  });
  return { next, targets: orders.map(({ target }) => target) };
}

test('a server that was up and is down is held once, by the router that serves, and again when it was up since', t => {
  const up = look(NOBODY, [verdict('fs1', 'up'), verdict('fs2', 'up')]);
  t.deepEqual(up.targets, []);
  const gone = look(up.next, [down(), verdict('fs2', 'up')]);
  t.deepEqual(gone.targets, ['ftp/fs1']);
  t.deepEqual(look(gone.next, [down(), verdict('fs2', 'up')]).targets, []);
  t.deepEqual(look(look(gone.next, [verdict('fs1', 'up')]).next, [verdict('fs1', 'misconfigured')]).targets, [
    'ftp/fs1',
  ]);
});

test('it has not gone down: without manual_resume, never up, kept with all others, drained already', t => {
  const seen: SeenUp = new Set(SEEN);
  t.deepEqual(look(seen, [down()], { config: configOf() }).targets, []);
  t.deepEqual(look(NOBODY, [down()]).targets, []);
  const kept = look(seen, [down({ kept: true })]);
  t.deepEqual(kept.targets, []);
  t.deepEqual(look(kept.next, [down()]).targets, ['ftp/fs1'], 'its weight goes later');
  const drained = look(seen, [down()], { drainOf: () => 'stays' });
  t.deepEqual(drained.targets, []);
  t.deepEqual(look(drained.next, [down()]).targets, [], 'enabled while it is down: it may come back by itself');
});

test('the standby says nothing, and says it once it serves', t => {
  const standby = look(new Set(SEEN), [down()], { isOwner: false });
  t.deepEqual(standby.targets, []);
  t.deepEqual(look(standby.next, [down()]).targets, ['ftp/fs1']);
});

test('a check that begins anew forgets nothing; another machine under the name is another server', t => {
  const anew = look(new Set(SEEN), [verdict('fs1', 'unknown')]);
  t.deepEqual([...anew.next], SEEN);
  t.deepEqual(look(anew.next, [down()]).targets, ['ftp/fs1']);
  const fs1 = { address: '198.51.100.77' };
  const config = configOf({
    services: { ftp: { ...FTP, servers: { ...FTP.servers, fs1 }, check: { manual_resume: true } } },
  });
  t.deepEqual(look(anew.next, [down()], { config }).targets, []);
});

test('what is not judged here yet counts as up if the peer says so, what is judged does not', t => {
  const told = { peerSaysUp: () => true };
  const seen = look(NOBODY, [verdict('fs1', 'unknown')], told);
  t.deepEqual(look(seen.next, [down()], told).targets, ['ftp/fs1']);
  t.deepEqual(look(NOBODY, [down()], told).targets, []);
  t.deepEqual([...look(NOBODY, [down()], told).next], []);
});

test('a router that takes over holds no server that the other one has long found well', t => {
  const standby = look(new Set(SEEN), [down()], { isOwner: false, isApart: () => true });
  const owner = look(standby.next, [down()], { isApart: () => true });
  t.deepEqual(owner.targets, []);
  t.deepEqual(look(owner.next, [down()]).targets, [], 'nor later: it comes back by itself');
});

test('a command settles the faults from before it', t => {
  const about = { config: MANUAL, verdicts: [down(), verdict('fs2', 'up')] };
  const both = [...SEEN, 'ftp/fs2 198.51.100.12'];
  const names = ['fs1', 'fs2'].map(server => ({ service: 'ftp', server }));
  t.deepEqual([...settledFor(new Set(both), names, about)], both.slice(1), 'what is up has no fault');
  t.deepEqual([...settledFor(new Set(both), names.slice(1), about)], both);
});

test('the file says who was up; what is not a file of ours says nothing', t => {
  t.deepEqual([...(parseSeenUp(formatSeenUp(new Set(SEEN))) ?? [])], SEEN);
  for (const text of ['', '[]', '{"version":2,"up":[]}', '{"version":1,"up":[7]}']) t.is(parseSeenUp(text), undefined);
});

const weightOf = (rig: Rig) => serverIn(rig.fake, '198.51.100.11')?.weight;

test('the server gets no clients after it is well again, until it is enabled', async t => {
  const rig = rigOf({ config: MANUAL });
  const say = async (state: Verdict['state']) => {
    rig.verdicts = [verdict('fs1', state), verdict('fs2', 'up')];
    rig.director.verdictChanged();
    await rig.director.audit('test');
  };
  rig.director.pulseSays(role('active'));
  await say('up');
  const weight = weightOf(rig);
  t.true((weight ?? 0) > 0);
  await say('down');
  t.is(weightOf(rig), 0);
  t.true(rig.news().includes('DRAIN_STARTED'));
  t.like(rig.director.report().drains[0], {
    server: 'fs1',
    who: 'tandem',
    reason: 'check.manual_resume: it was down at stage login',
  });
  await say('up');
  t.is(weightOf(rig), 0);
  await rig.director.drain({ target: 'fs1', drained: false, reason: '', who: 'jo', force: false });
  t.is(weightOf(rig), weight);
});

test('a service all of whose servers are drained is a problem where one of them waits for an operator', async t => {
  const rig = rigOf({ config: MANUAL });
  const sayBoth = async (fs1: Verdict['state'], fs2: Verdict['state']) => {
    rig.verdicts = [verdict('fs1', fs1), verdict('fs2', fs2)];
    rig.director.verdictChanged();
    await rig.director.audit('test');
  };
  const said = () => {
    const { problems, notices } = rig.director.report();
    return [problems, notices].map(list => list.filter(text => text.includes('all its servers are drained')).length);
  };
  rig.director.pulseSays(role('active'));
  await sayBoth('up', 'up');
  await sayBoth('down', 'up');
  t.deepEqual(said(), [0, 0]);
  await sayBoth('up', 'down');
  await sayBoth('up', 'up');
  t.deepEqual(said(), [1, 0]);
  t.not(rig.director.report().health, 'ok');
  await rig.director.drain({ ...enabling, target: 'ftp' });
  t.deepEqual(said(), [0, 0]);
  await rig.director.drain({ ...enabling, target: 'ftp', drained: true, force: true });
  t.deepEqual(said(), [0, 1], 'who drains all of them means it');
});

const FS1 = { service: 'ftp', server: 'fs1' };
const held = (rig: Rig) => rig.director.report().drains.length > 0;
function saying(rig: Rig, state: Verdict['state']): void {
  rig.verdicts = [verdict('fs1', state), verdict('fs2', 'up')];
  rig.director.verdictChanged();
}
/** Two routers on a link that may be down: what one says of drains the other hears. */
function pair() {
  const [here, there] = [rigOf({ config: MANUAL }), rigOf({ config: MANUAL })];
  here.director.pulseSays(role('active'));
  there.director.pulseSays(role('standby'));
  for (const rig of [here, there]) saying(rig, 'up');
  const talk = async () => {
    for (const rig of [here, there]) await rig.director.look();
    here.director.peerDrains(there.toldDrains);
    there.director.peerDrains(here.toldDrains);
    for (const rig of [here, there]) await rig.director.audit('test');
  };
  const failOver = async () => {
    here.director.pulseSays(role('standby'));
    there.director.pulseSays(role('active'));
    for (const rig of [here, there]) await rig.director.audit('test');
  };
  return { here, there, talk, failOver };
}
const enabling = { target: 'fs1', drained: false, reason: '', who: 'jo', force: false };

test('a server that goes down while the director is away is held by the next one', async t => {
  const before = rigOf({ config: MANUAL });
  before.director.pulseSays(role('active'));
  saying(before, 'up');
  const { seenUp } = before;
  if (seenUp === undefined) return t.fail('nothing was saved');
  const rig = rigOf({ config: MANUAL, fake: before.fake, seenUp });
  saying(rig, 'unknown');
  rig.director.pulseSays(role('active'));
  saying(rig, 'down');
  await rig.director.audit('test');
  t.true(held(rig));
});

test('one that was enabled while it is down is not held again by a restart', async t => {
  const before = rigOf({ config: MANUAL });
  before.director.pulseSays(role('active'));
  saying(before, 'up');
  saying(before, 'down');
  await before.director.drain(enabling);
  saying(before, 'down');
  t.false(held(before));
  const { seenUp, savedDrains } = before;
  if (seenUp === undefined || savedDrains === undefined) return t.fail('nothing was saved');
  const rig = rigOf({ config: MANUAL, fake: before.fake, seenUp, drains: savedDrains });
  rig.verdicts = [verdict('fs1', 'unknown'), verdict('fs2', 'up')];
  rig.director.pulseSays(role('active'));
  rig.director.peerChecks([{ ...FS1, state: 'up', stage: null, problem: '' }]);
  saying(rig, 'down');
  t.false(held(rig));
});

test('the link was down: what the owner held, and somebody enabled, is not held by the next owner', async t => {
  const { here, there, talk, failOver } = pair();
  saying(here, 'down');
  saying(there, 'down');
  await here.director.drain(enabling);
  // Only now the link is up.
  await talk();
  t.truthy(there.savedDrains?.decrees.get('ftp/fs1'));
  await failOver();
  t.deepEqual([held(here), held(there)], [false, false]);
});

test('the link was down: what one owner held is held by both once it is up, whoever serves then', async t => {
  const { here, there, talk, failOver } = pair();
  saying(here, 'down');
  saying(here, 'up');
  t.deepEqual([held(here), held(there)], [true, false]);
  await failOver();
  await talk();
  t.deepEqual([held(here), held(there)], [true, true]);
  await there.director.drain(enabling);
  await talk();
  t.deepEqual([held(here), held(there)], [false, false]);
  t.is(drainOf(here.savedDrains ?? (t.fail() as never), FS1), undefined);
});

test('a server that the new owner alone finds down is not held, one that both do is', async t => {
  const config = configOf({ services: { ftp: { ...FTP, check: { manual_resume: true, interval: '1s' } } } });
  for (const state of ['up', 'down'] as const) {
    const rig = rigOf({ config });
    rig.director.pulseSays(role('standby'));
    saying(rig, 'up');
    saying(rig, 'down');
    for (rig.now = 0; rig.now < 200_000; rig.now += 4_000) {
      rig.director.peerChecks([{ ...FS1, state, stage: null, problem: '' }]);
      await rig.director.look();
    }
    rig.director.pulseSays(role('active'));
    t.is(held(rig), state === 'down', state);
  }
});

test('manual_resume that comes with a reload holds for who is up then', async t => {
  const rig = rigOf();
  rig.director.pulseSays(role('active'));
  saying(rig, 'up');
  await rig.director.setConfig(MANUAL, 'd2');
  saying(rig, 'down');
  t.true(held(rig));
});

test('an order that fails is given again at the next look, and told once', async t => {
  const asked: string[] = [];
  const told: string[] = [];
  let isFull = true;
  const resume = new ManualResume({
    ...{ seenUp: new Set(SEEN), config: () => MANUAL, isOwner: () => true, drainOf: () => () => undefined },
    ...{ verdicts: () => [down()], saveSeenUp: () => undefined, checks: () => NOTHING_COMPARED },
    log: { event: code => void told.push(code) },
    drain: async ({ target }) => {
      asked.push(target);
      return isFull ? { ok: false, kind: 'refused', problem: 'no room' } : { ok: true, servers: [], unsaved: '' };
    },
  });
  const look = async () => {
    resume.look();
    await new Promise(resolve => setImmediate(resolve));
  };
  await look();
  await look();
  isFull = false;
  await look();
  await look();
  t.deepEqual(asked, ['ftp/fs1', 'ftp/fs1', 'ftp/fs1']);
  t.deepEqual(told, ['DIRECTOR_FAULT']);
});
