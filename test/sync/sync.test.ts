import test from 'ava';
import { createKernelSync, type DaemonPort } from '../../src/sync/io/kernel-daemons.ts';
import { describeDaemonChange, diffDaemons, type SyncDaemon, type SyncTarget } from '../../src/sync/sync.ts';

const X0: SyncTarget = { interface: 'x0', syncId: 21 };
const X1: SyncTarget = { interface: 'x1', syncId: 21 };
const both = (target: SyncTarget): SyncDaemon[] => [
  { state: 'master', ...target },
  { state: 'backup', ...target },
];

for (const { title, running, wanted, owned, changes } of [
  {
    title: 'nothing runs, both are started',
    running: [],
    wanted: X0,
    owned: null,
    changes: ['start backup x0', 'start master x0'],
  },
  { title: 'both run as wanted', running: both(X0), wanted: X0, owned: X0, changes: [] },
  { title: 'the master is missing', running: both(X0).slice(1), wanted: X0, owned: X0, changes: ['start master x0'] },
  {
    title: 'the sync LAN changes',
    running: both(X0),
    wanted: X1,
    owned: X0,
    changes: ['stop backup x0', 'start backup x1', 'stop master x0', 'start master x1'],
  },
  {
    title: 'sync leaves the config',
    running: both(X0),
    wanted: undefined,
    owned: X0,
    changes: ['stop backup x0', 'stop master x0'],
  },
  { title: 'daemons of others stay when we want none', running: both(X1), wanted: undefined, owned: null, changes: [] },
  {
    title: 'another sync id is another target',
    running: both({ ...X0, syncId: 3 }),
    wanted: undefined,
    owned: X0,
    changes: [],
  },
] as const) {
  test(`kernel daemons: ${title}`, t => {
    const made = diffDaemons(running, wanted, owned);
    t.deepEqual(
      made.map(({ action, daemon }) => `${action} ${daemon.state} ${daemon.interface}`),
      [...changes],
    );
    for (const change of made) t.regex(describeDaemonChange(change), /sync daemon on x\d, sync id \d+$/);
  });
}

function portOf(running: SyncDaemon[], failing?: string): DaemonPort {
  return {
    listDaemons: async () => [...running],
    startDaemon: async daemon => {
      if (failing !== undefined) throw new Error(failing);
      running.push(daemon);
    },
    stopDaemon: async daemon => {
      running.splice(
        running.findIndex(candidate => candidate.state === daemon.state),
        1,
      );
    },
  };
}

test('the flush time is that of the kernel once the master runs, and 0 before', async t => {
  const sync = createKernelSync(portOf([]), () => ({ wanted: X0, owned: null }));
  t.is(sync.flushMs(), 0);
  t.is((await sync.preview()).length, 2);
  t.is(sync.flushMs(), 0);
  t.like(await sync.ensure(), { mode: 'kernel', master: true, backup: true, interface: 'x0', problems: [] });
  t.is(sync.flushMs(), 2300);
  t.deepEqual(await sync.preview(), []);
});

test('a daemon that does not start is a problem with its reason, not an exception', async t => {
  const sync = createKernelSync(portOf([], 'No such device'), () => ({ wanted: X0, owned: null }));
  const state = await sync.ensure();
  t.is(state.problems.length, 2);
  t.regex(state.problems[0] ?? '', /No such device; is the interface there/);
  t.is(sync.flushMs(), 0);
});

test('without sync in the config nothing is asked of the kernel', async t => {
  const port: DaemonPort = { ...portOf([]), listDaemons: async () => t.fail() as never };
  const state = await createKernelSync(port, () => ({ wanted: undefined, owned: null })).ensure();
  t.like(state, { mode: 'off', master: false, problems: [] });
});
