// Orders by the compiled `tandem`, as a user gives them: hold, release, drain, enable and handover. What is sent, printed, and how
// it ends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { Snapshot } from '../../src/feed/message.ts';
import type { DrainReport } from '../../src/status/status-report.ts';
import { drainReport, statusReport } from '../status/fixture.ts';
import { fakeControl, fakeFeed, fakeHttp, listening, PROGRAM, place, tandem } from './program-rig.ts';
import { sampleReport, sampleSnapshot, sampleSync } from './samples.ts';

/** Steps the wall clock at SIGUSR2. */
const STEPPING_CLOCK = fileURLToPath(new URL('../director/stepping-clock.js', import.meta.url));

test('hold and release tell pulse, and print what it says', async t => {
  const runDir = place(t);
  const got = await fakeControl(t, runDir, { ok: true, code: 'ok', message: 'on hold' });
  const hold = await tandem(['hold', '--for', '30m', '--run-dir', runDir]);
  t.deepEqual([hold.code, hold.out], [0, 'on hold\n']);
  t.is((await tandem(['hold', '--run-dir', runDir])).code, 0);
  t.is((await tandem(['release', '--run-dir', runDir])).code, 0);
  t.deepEqual(got, [{ command: 'hold', forMs: 1_800_000 }, { command: 'hold' }, { command: 'release' }]);
});

/** A director that answers orders to drain, each with the next status; returns the orders. */
async function fakeDrains(
  t: ExecutionContext,
  runDir: string,
  reports: readonly (Partial<DrainReport> | undefined)[],
  answer: { readonly status: number; readonly body: unknown } = {
    status: 200,
    body: { servers: [{ service: 'ftp', server: 'ftp1' }], unsaved: '' },
  },
  onStatus: (asked: number) => void = () => undefined,
): Promise<string[]> {
  const got: string[] = [];
  const control = createHttpServer((request, response) => {
    got.push(`${request.method} ${decodeURIComponent((request.url ?? '').replaceAll('+', ' '))}`);
    response.statusCode = answer.status;
    response.end(JSON.stringify(answer.body));
  });
  await listening(t, control, join(runDir, 'director-control.sock'));
  let asked = 0;
  const status = createHttpServer((_, response) => {
    const now = reports[Math.min(asked++, reports.length - 1)];
    response.end(JSON.stringify(statusReport({ drains: now === undefined ? [] : [drainReport(now)] })));
    onStatus(asked);
  });
  await listening(t, status, join(runDir, 'status.sock'));
  return got;
}

test('drain gives the order with its time and reason, and says where it holds', async t => {
  const runDir = place(t);
  const got = await fakeDrains(t, runDir, [{ shared: false }, {}]);
  const args = ['drain', 'ftp1', '--deadline', '2h', '--reason', 'new disk & more', '--run-dir', runDir];
  const { code, out, err } = await tandem(args, { env: { SUDO_USER: 'jo' } });
  t.deepEqual([code, err], [0, '']);
  t.is(out, 'drained: ftp/ftp1, on both routers\nftp/ftp1: 3 sessions, 1 transfer; 23h left\n');
  t.deepEqual(got, ['POST /drain?target=ftp1&who=jo&span_ms=7200000&reason=new disk & more']);
});

test('drain --wait tells its progress and ends when no session is left', async t => {
  const runDir = place(t);
  await fakeDrains(t, runDir, [{}, { sessions: 1, transfers: 0 }, { phase: 'empty', sessions: 0 }]);
  const { code, out, err } = await tandem(['drain', 'ftp1', '--wait', '--run-dir', runDir]);
  t.deepEqual([code, out], [0, 'drained: ftp/ftp1, on both routers\nno session is left on ftp/ftp1\n']);
  t.is(err, 'ftp/ftp1: 3 sessions, 1 transfer; 23h left\nftp/ftp1: 1 session, 0 transfers; 23h left\n');
});

test('drain --wait ends with 7 at its time-out and at the deadline, with 1 when somebody enables the server', async t => {
  const [late, over, enabled] = [place(t), place(t), place(t)] as const;
  await fakeDrains(t, late, [{}]);
  const timedOut = await tandem(['drain', 'ftp1', '--wait', '--timeout', '600ms', '--run-dir', late]);
  t.is(timedOut.code, 7);
  t.regex(timedOut.err, /the wait is over: ftp\/ftp1: 3 sessions, 1 transfer; the drain stays until: tandem enable/);
  await fakeDrains(t, over, [{}, { phase: 'over', leftMs: 0 }]);
  const cut = await tandem(['drain', 'ftp1', '--wait', '--json', '--run-dir', over]);
  t.is(cut.code, 7);
  t.like(JSON.parse(cut.out), { schema: 'tandem-drain/1', state: 'over', servers: [{ server: 'ftp1' }] });
  await fakeDrains(t, enabled, [{}, undefined]);
  const ended = await tandem(['drain', 'ftp1', '--wait', '--run-dir', enabled]);
  t.deepEqual([ended.code, ended.err.split('\n').at(-2)], [1, 'tandem: ftp/ftp1 was enabled meanwhile']);
});

test('a wait ends in its time, also when the wall clock is set back meanwhile', async t => {
  const runDir = place(t);
  await fakeDrains(t, runDir, [{}]);
  const args = [PROGRAM, 'drain', 'ftp1', '--wait', '--timeout', '3s', '--run-dir', runDir];
  const child = spawn(process.execPath, ['--import', STEPPING_CLOCK, ...args], {
    env: { ...process.env, STEP_MS: '-3600000' },
  });
  t.teardown(() => child.kill('SIGKILL'));
  // It has said what is left, and waits now.
  child.stderr.once('data', () => child.kill('SIGUSR2'));
  const ended = await Promise.race([once(child, 'close'), sleep(15_000, ['it waits on'])]);
  t.is(ended[0], 7);
});

test('Ctrl-C ends the wait and leaves the drain', async t => {
  const runDir = place(t);
  await fakeDrains(t, runDir, [{}]);
  const child = spawn(process.execPath, [PROGRAM, 'drain', 'ftp1', '--wait', '--run-dir', runDir]);
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    // It has said what is left, and waits now.
    if (err === '') setTimeout(() => child.kill('SIGINT'), 100);
    err += text;
  });
  const [code] = await once(child, 'close');
  t.is(code, 7);
  t.regex(err, /interrupted: .*; the drain stays until: tandem enable ftp\/ftp1\n$/);
});

test('the first Ctrl-C ends the wait for the other router, too', async t => {
  const runDir = place(t);
  let interrupt = () => {};
  await fakeDrains(t, runDir, [{ shared: false }], undefined, asked => {
    // It has paused between two looks.
    if (asked === 3) interrupt();
  });
  const child = spawn(process.execPath, [PROGRAM, 'drain', 'ftp1', '--wait', '--run-dir', runDir]);
  interrupt = () => void child.kill('SIGINT');
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  const [code] = await once(child, 'close');
  t.is(code, 7);
  t.regex(err, /interrupted: .*; the drain stays until: tandem enable ftp\/ftp1\n$/);
});

test('an order that the director refuses ends with 1 and its words', async t => {
  const runDir = place(t);
  const error = 'service ftp would have no other server for new clients: they would be refused';
  await fakeDrains(t, runDir, [{}], { status: 409, body: { error } });
  const { code, err } = await tandem(['drain', 'ftp1', '--run-dir', runDir]);
  t.deepEqual([code, err], [1, `tandem: the daemon answers: ${error}\n`]);
});

test('enable says what it did, and that there was nothing to do', async t => {
  const [some, none] = [place(t), place(t)] as const;
  const got = await fakeDrains(t, some, [undefined]);
  const done = await tandem(['enable', 'ftp/ftp1', '--run-dir', some], { env: { SUDO_USER: 'jo' } });
  t.deepEqual([done.code, done.out], [0, 'enabled: ftp/ftp1, on both routers\n']);
  t.deepEqual(got, ['POST /enable?target=ftp/ftp1&who=jo']);
  await fakeDrains(t, none, [undefined], { status: 200, body: { servers: [], unsaved: '' } });
  const nothing = await tandem(['enable', 'ftp1', '--run-dir', none]);
  t.deepEqual([nothing.code, nothing.out], [0, 'ftp1 is not drained\n']);
});

for (const args of [
  ['drain'],
  ['enable'],
  ['drain', 'ftp1', '--router'],
  ['drain', 'ftp1', '--timeout', '5s'],
  ['drain', '--router', '--reason', 'new disk'],
  ['drain', '--router', '--timeout', '5s'],
]) {
  test(`${args.join(' ')} is no command line`, async t => {
    t.is((await tandem([...args, '--run-dir', place(t)])).code, 2);
  });
}

test('drain --router hands over and holds, enable --router releases', async t => {
  const runDir = place(t);
  const send = await fakeFeed(t, runDir, [sampleSnapshot()]);
  const peer = sampleSnapshot().peer;
  const got = await fakeControl(t, runDir, { ok: true, code: 'ok', message: 'done' }, () => {
    send(sampleSnapshot({ role: 'handing-over' }));
    send(sampleSnapshot({ role: 'standby', peer: peer && { ...peer, role: 'active', epoch: '13.2' } }));
  });
  const { code, out } = await tandem(['drain', '--router', '--run-dir', runDir]);
  t.is(code, 0);
  t.regex(out, /router-a is drained: router-b serves\. Work on router-a, then: tandem enable --router\n$/);
  t.is((await tandem(['enable', '--router', '--run-dir', runDir])).code, 0);
  t.deepEqual(got, [{ command: 'handover', cold: false }, { command: 'hold' }, { command: 'release' }]);
});

test('drain --router of a standby holds it, unless nobody else is heard to serve', async t => {
  const [well, alone] = [place(t), place(t)] as const;
  const peer = sampleSnapshot().peer;
  await fakeFeed(t, well, [sampleSnapshot({ role: 'standby', vips: [], peer: peer && { ...peer, serving: true } })]);
  const got = await fakeControl(t, well, { ok: true, code: 'ok', message: 'on hold' });
  t.is((await tandem(['drain', '--router', '--run-dir', well])).code, 0);
  t.deepEqual(got, [{ command: 'hold' }]);
  await fakeFeed(t, alone, [sampleSnapshot({ role: 'standby', vips: [], peer: null })]);
  const refused = await tandem(['drain', '--router', '--run-dir', alone]);
  t.is(refused.code, 1);
  t.regex(refused.err, /router-b is not heard to serve, and without router-a nobody would/);
});

test('a command that pulse refuses ends with 1', async t => {
  const runDir = place(t);
  await fakeFeed(t, runDir, [sampleSnapshot()]);
  await fakeControl(t, runDir, { ok: false, code: 'refused', message: 'no fit peer to hand over to' });
  const hold = await tandem(['hold', '--run-dir', runDir]);
  t.deepEqual([hold.code, hold.err], [1, 'tandem: pulse refused: no fit peer to hand over to\n']);
  const handover = await tandem(['handover', '--run-dir', runDir]);
  t.deepEqual([handover.code, handover.err], [1, 'tandem: pulse on router-a refused: no fit peer to hand over to\n']);
});

test('handover waits for the outcome and names the new owner', async t => {
  const runDir = place(t);
  const send = await fakeFeed(t, runDir, [sampleSnapshot()]);
  const peer = sampleSnapshot().peer;
  await fakeControl(t, runDir, { ok: true, code: 'ok', message: 'offered' }, () => {
    send(sampleSnapshot({ role: 'handing-over' }));
    send(sampleSnapshot({ role: 'standby', peer: peer && { ...peer, role: 'active', epoch: '13.2' } }));
  });
  const { code, out, err } = await tandem(['handover', '--run-dir', runDir]);
  t.is(code, 0);
  t.regex(out, /^router-b is active \(epoch 13\.2\), \d\.\d\d s after the command\n$/);
  t.regex(err, /^offered\n\d\.\d\d s: router-a is handing-over, router-b is standby\n/);
});

test('a handover that the peer did not take ends with 1 and the reason', async t => {
  const runDir = place(t);
  const send = await fakeFeed(t, runDir, [sampleSnapshot()]);
  await fakeControl(t, runDir, { ok: true, code: 'ok', message: 'offered' }, () => {
    send(sampleSnapshot({ role: 'handing-over' }));
    send(sampleSnapshot({ epoch: '14.1', reason: 'router-b did not take the offer' }));
  });
  const { code, err } = await tandem(['handover', '--run-dir', runDir]);
  t.is(code, 1);
  t.regex(err, /tandem: the handover did not happen: router-b did not take the offer; see: tandem why\n$/);
});

const withPeer = (changes: Partial<NonNullable<Snapshot['peer']>>) => {
  const { peer } = sampleSnapshot();
  return sampleSnapshot({ peer: peer && { ...peer, ...changes } });
};
const coldPeer = () => withPeer({ warm: false });

test('handover waits for a standby whose rules are not in, and says so', async t => {
  const runDir = place(t);
  const send = await fakeFeed(t, runDir, [withPeer({ ready: false })]);
  const got = await fakeControl(t, runDir, { ok: false, code: 'refused', message: 'enough for this test' });
  const ready = setInterval(() => send(sampleSnapshot()), 300);
  const { err } = await tandem(['handover', '--run-dir', runDir, '--wait', '25']);
  clearInterval(ready);
  t.regex(err, /^the rules of router-b are not in; waiting up to 25 s for them\n/);
  t.deepEqual(got, [{ command: 'handover', cold: false }]);
});

test('handover waits for a cold peer, shows the progress of its resync, and asks pulse once it is warm', async t => {
  const runDir = place(t);
  const send = await fakeFeed(t, runDir, [coldPeer()]);
  const resync = { startedAt: '', endedAt: null, entries: 200, sent: 90, verifiedBy: null, repaired: 0 };
  const report = { ...sampleReport(), sync: sampleSync({ phase: 'resync', resync }) };
  await fakeHttp(t, join(runDir, 'status.sock'), { '/status': report });
  const got = await fakeControl(t, runDir, { ok: false, code: 'refused', message: 'enough for this test' });
  const warm = setInterval(() => send(sampleSnapshot()), 300);
  const { code, err } = await tandem(['handover', '--run-dir', runDir, '--wait', '25']);
  clearInterval(warm);
  t.is(code, 1);
  t.is(
    err,
    'router-b is cold; waiting up to 25 s for it to become warm\nrouter-b is cold, resync 45 %\nrouter-b is warm\n' +
      'tandem: pulse on router-a refused: enough for this test\n',
  );
  t.deepEqual(got, [{ command: 'handover', cold: false }]);
});

test('handover to a peer that stays cold ends with the refusal of pulse; --cold asks at once and says so', async t => {
  const runDir = place(t);
  await fakeFeed(t, runDir, [coldPeer()]);
  const got = await fakeControl(t, runDir, { ok: false, code: 'refused', message: "the peer's tables are cold" });
  const waited = await tandem(['handover', '--run-dir', runDir, '--wait', '0.5']);
  t.is(waited.code, 1);
  t.regex(waited.err, /waiting up to 0\.5 s.*\ntandem: pulse on router-a refused: the peer's tables are cold\n$/);
  for (const args of [['--cold'], ['--wait', '0']]) {
    t.notRegex((await tandem(['handover', '--run-dir', runDir, ...args])).err, /waiting/);
  }
  t.deepEqual(got, [
    { command: 'handover', cold: false },
    { command: 'handover', cold: true },
    { command: 'handover', cold: false },
  ]);
});

test('a handover without an outcome is given up after ten seconds', async t => {
  const runDir = place(t);
  await fakeFeed(t, runDir, [sampleSnapshot()]);
  await fakeControl(t, runDir, { ok: true, code: 'ok', message: 'offered' });
  const { code, err } = await tandem(['handover', '--run-dir', runDir]);
  t.is(code, 1);
  t.regex(err, /tandem: no handover within 10 s; see: tandem status, tandem why\n$/);
});
