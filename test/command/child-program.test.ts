// A child that speaks lines: what it says, its end, what replaces it and when, and what becomes of it when we close.
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { ChildProgram } from '../../src/command/io/child-program.ts';

interface Given {
  readonly command?: () => readonly [string, ...string[]];
  readonly pauseMs?: (nth: number) => number;
  readonly calmMs?: number;
  readonly tooLong?: 'end' | 'skip';
  readonly onLine?: () => void;
}

interface Heard {
  readonly child: ChildProgram;
  readonly lines: string[];
  readonly ends: string[];
  readonly failures: string[];
  readonly pids: (number | undefined)[];
}

/** Ends with the test. */
function run(t: ExecutionContext, script: string, given: Given = {}): Heard {
  const heard = {
    lines: [] as string[],
    ends: [] as string[],
    failures: [] as string[],
    pids: [] as (number | undefined)[],
  };
  const child = new ChildProgram({
    command: given.command ?? (() => ['sh', '-c', script]),
    lines: { bytesMax: 100, tooLong: given.tooLong ?? 'skip' },
    pauseMs: given.pauseMs ?? (() => 0),
    calmMs: given.calmMs ?? 60_000,
    onStart: ({ pid }) => heard.pids.push(pid),
    onLine: line => {
      heard.lines.push(line);
      given.onLine?.();
    },
    onGone: how => heard.ends.push(how),
    onFailedStart: ({ code }) => heard.failures.push(`${code}`),
  });
  t.teardown(() => {
    const { pid } = child;
    child.abandon();
    if (pid !== undefined && isAlive(pid)) process.kill(pid, 'SIGKILL');
  });
  return Object.assign(heard, { child });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Nothing of this process runs meanwhile. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

async function until(done: () => boolean): Promise<void> {
  for (let tries = 0; tries < 1_000 && !done(); tries += 1) await sleep(10);
}

test('lines go both ways; an end is told once, and the next child waits to be asked for', async t => {
  const heard = run(t, 'read word; echo "heard $word"; exit 3');
  heard.child.send('this');
  await until(() => heard.ends.length > 0);
  t.deepEqual([heard.lines, heard.ends], [['heard this'], ['exit code 3']]);
  t.deepEqual([heard.child.pid, heard.child.unreadBytes], [undefined, Infinity]);
  heard.child.send('nobody is there');
  await sleep(100);
  t.is(heard.pids.length, 1);
  heard.child.respawn();
  heard.child.send('that');
  await until(() => heard.ends.length > 1);
  t.deepEqual(heard.lines, ['heard this', 'heard that']);
  t.deepEqual([heard.ends, heard.failures], [['exit code 3', 'exit code 3'], []]);
});

test('the last words are told before the end, although node reaps all children at one signal', async t => {
  // Its line and its signal are read together, and the line's reader is slow: meanwhile the other
  // one speaks and ends.
  run(t, 'echo first', { onLine: () => block(600) });
  const heard = run(t, 'sleep 0.5; echo "last words"; exit 3');
  block(300);
  await until(() => heard.ends.length > 0);
  t.deepEqual([heard.lines, heard.ends], [['last words'], ['exit code 3']]);
});

test('a stopped child is replaced: it is killed, its words and its end are not told', async t => {
  const heard = run(t, 'echo $$; exec cat');
  await until(() => heard.lines.length > 0);
  const old = heard.child.pid as number;
  heard.child.send('a word that the old one says');
  process.kill(old, 'SIGSTOP');
  heard.child.send('x'.repeat(4_000_000));
  t.true(heard.child.unreadBytes > 0);
  heard.child.respawn();
  t.is(heard.child.unreadBytes, 0);
  await until(() => heard.lines.includes(`${heard.child.pid}`) && !isAlive(old));
  t.false(isAlive(old));
  t.not(heard.child.pid, old);
  t.deepEqual([heard.lines, heard.ends], [[`${old}`, `${heard.child.pid}`], []]);
});

test('respawns are counted in a row, a child that lived for long begins a new one, and pauses are kept', async t => {
  const asked: number[] = [];
  const pauseMs = (nth: number) => {
    asked.push(nth);
    return nth <= 2 ? 0 : 300;
  };
  const heard = run(t, 'exec cat', { pauseMs, calmMs: 1_000 });
  heard.child.respawn();
  heard.child.respawn();
  t.is(heard.pids.length, 3, 'at once');
  const began = performance.now();
  heard.child.respawn();
  // The one that waits is not started beside another.
  heard.child.respawn();
  t.deepEqual([heard.child.pid, heard.pids.length], [undefined, 3]);
  await until(() => heard.pids.length > 3);
  t.true(performance.now() - began >= 299);
  await sleep(1_100);
  heard.child.respawn();
  t.deepEqual(asked, [1, 2, 3, 4, 1]);
  t.is(heard.pids.length, 5);
});

test('a program that cannot be started is told later, also where Node.js throws', async t => {
  const missing = run(t, '', { command: () => ['/nonexistent/program'] });
  const huge = run(t, '', { command: () => ['sh', '-c', ':'.repeat(2 ** 20)] });
  t.deepEqual([missing.failures, huge.failures], [[], []]);
  await until(() => missing.failures.length > 0 && huge.failures.length > 0);
  t.deepEqual([missing.child.unreadBytes, huge.child.unreadBytes], [Infinity, Infinity]);
  t.deepEqual([missing.failures, huge.failures], [['ENOENT'], ['E2BIG']]);
  huge.child.respawn();
  await until(() => huge.failures.length > 1);
  t.deepEqual([huge.failures, huge.ends], [['E2BIG', 'E2BIG'], []]);
});

test('a line that is too long is left out, or ends the child', async t => {
  const script = `echo ${'x'.repeat(101)}; echo short; exec cat`;
  const skipping = run(t, script);
  const ending = run(t, script, { tooLong: 'end' });
  const pid = ending.child.pid as number;
  await until(() => skipping.lines.length > 0 && ending.ends.length > 0 && !isAlive(pid));
  t.deepEqual([skipping.lines, skipping.ends], [['short'], []]);
  t.deepEqual([ending.lines, ending.ends, isAlive(pid)], [[], ['it says a line that is too long'], false]);
});

test('closing ends the pipe: the child says its last words, and no other is started', async t => {
  const closed = run(t, 'cat; echo last; exit 4');
  const abandoned = run(t, 'cat; echo last; exit 4');
  const pids = [closed.child.pid as number, abandoned.child.pid as number];
  closed.child.close();
  abandoned.child.abandon();
  await until(() => closed.lines.length > 0 && !pids.some(isAlive));
  t.deepEqual(pids.filter(isAlive), []);
  t.deepEqual([closed.lines, abandoned.lines], [['last'], []]);
  for (const { child } of [closed, abandoned]) child.respawn();
  await sleep(50);
  t.deepEqual([closed.pids.length, abandoned.pids.length], [1, 1]);
  t.deepEqual([closed.ends, abandoned.ends], [[], []]);
});
