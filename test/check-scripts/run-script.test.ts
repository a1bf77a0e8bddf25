// Real scripts, run as the runner runs them: bounded in time and output, and gone afterwards with all that they began.
import { existsSync, mkdtempSync, readFileSync, rmSync, stat } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Script } from '../../src/config/check-script.ts';
import { runScript, TERM_GRACE_MS } from '../../src/runner/io/run-script.ts';
import { OUTPUT_KEPT_MAX, type RunAnswer } from '../../src/runner/runner-message.ts';
import { ms } from '../../src/units/duration.ts';
import { until } from '../until.ts';

function shell(text: string, timeoutMs = 20_000, environment: Record<string, string> = {}): Script {
  return {
    command: ['/bin/sh', '-c', text],
    environment: { PATH: '/usr/bin:/bin', ...environment },
    timeoutMs: ms(timeoutMs),
  };
}

const run = (script: Script): Promise<RunAnswer> => runScript(script).answer;

function directory(t: ExecutionContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'tandem-scripts-'));
  t.teardown(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Whether the process whose number is in the file lives; a zombie does not. */
function lives(file: string): boolean {
  try {
    const stat = readFileSync(`/proc/${readFileSync(file, 'utf8').trim()}/stat`, 'utf8');
    return !/\) [ZX] /.test(stat);
  } catch {
    return false;
  }
}

// Text, then how it ended, its status, the reason, and what is kept of its output.
const ENDS: readonly [text: string, how: string, status: number | null, reason: string, output: string][] = [
  ['exit 0', 'exit', 0, 'exit status 0', ''],
  ['echo; echo fine; echo more', 'exit', 0, 'exit status 0: fine', 'fine\nmore'],
  ['echo no route to host >&2; exit 3', 'exit', 3, 'exit status 3: no route to host', 'no route to host'],
  ['kill -KILL $$', 'signal', null, 'ended by SIGKILL', ''],
  ['echo cut; kill -TERM $$', 'signal', null, 'ended by SIGTERM: cut', 'cut'],
  ["printf 'a\\033[31mred\\tb\\r\\n\\377x'; exit 1", 'exit', 1, 'exit status 1: a?[31mred b?', 'a?[31mred b?\n?x'],
];

for (const [text, how, status, reason, output] of ENDS) {
  test(`${text}: ${reason.replace(/[^ -~]/g, '')}`, async t => {
    t.like(await run(shell(text)), { type: 'ended', how, status, reason, output });
  });
}

test('a script that hangs is told to end, and ended with its children when it does not listen', async t => {
  const dir = directory(t);
  const deaf = `trap '' TERM; echo $$ > ${dir}/pid; (trap '' TERM; while :; do sleep 1; done) & echo $! > ${dir}/child; while :; do sleep 1; done`;
  const answer = await run(shell(deaf, 300));
  t.like(answer, { type: 'ended', how: 'timeout', status: null, reason: 'not done within 300 ms' });
  await until('both are gone', () => !lives(`${dir}/pid`) && !lives(`${dir}/child`));
  const tidy = await run(shell(`trap 'echo cleaned; exit 0' TERM; echo begun; sleep 60 & wait`, 300));
  t.like(tidy, { how: 'timeout', status: null, reason: 'not done within 300 ms: begun', output: 'begun\ncleaned' });
});

test('what a good script left in the background is ended with it, and does not delay its answer', async t => {
  const dir = directory(t);
  const answer = await run(shell(`sleep 600 & echo $! > ${dir}/child; echo done`));
  t.like(answer, { how: 'exit', status: 0, reason: 'exit status 0: done' });
  await until('the child is gone', () => existsSync(`${dir}/child`) && !lives(`${dir}/child`));
});

test('a child that got away into a session of its own, with the output open, does not delay the answer', async t => {
  const dir = directory(t);
  const answer = await run(
    shell(`setsid sh -c 'echo $$ > ${dir}/child; exec sleep 600' & while ! [ -s ${dir}/child ]; do :; done`),
  );
  t.like(answer, { how: 'exit', status: 0 });
  t.true(lives(`${dir}/child`), 'only its unit ends such a one');
  process.kill(Number(readFileSync(`${dir}/child`, 'utf8')), 'SIGKILL');
});

test('a script that ended in time has not timed out, however late the runner looks', async t => {
  const running = run(shell('sleep 0.2', 1_000));
  // The runner stands still while it handles something else, behind which Node runs timers first.
  stat('/', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000));
  t.like(await running, { how: 'exit', status: 0 });
});

test.serial('a script that has ended is sent no signal any more: its number may be another process’s', async t => {
  const { kill } = process;
  t.teardown(() => {
    process.kill = kill;
  });
  const signals: string[] = [];
  process.kill = (pid, signal) => {
    signals.push(`${signal}`);
    return kill.call(process, pid, signal);
  };
  // What got away floods the pipe after the end.
  const dir = directory(t);
  const running = runScript(shell(`setsid sh -c 'touch ${dir}/x; exec yes' & while ! [ -e ${dir}/x ]; do :; done`));
  t.like(await running.answer, { type: 'ended' });
  const { length } = signals;
  running.kill();
  await new Promise(resolve => setTimeout(resolve, TERM_GRACE_MS + 500));
  t.deepEqual(signals.slice(length), []);
});

test('endless output ends the script, and only a little of it is kept', async t => {
  const answer = await run(shell('echo first; yes endless'));
  t.like(answer, { type: 'ended', how: 'output', status: null });
  if (answer.type !== 'ended') return;
  t.regex(answer.reason, /^more output than 1048576 bytes: first$/);
  t.true(answer.output.length <= OUTPUT_KEPT_MAX && answer.output.includes('endless'));
});

test('a script has its own environment only, no input, no descriptor of ours, and runs in /', async t => {
  process.env.TANDEM_TEST_SECRET = 'x';
  const answer = await run(
    shell('env | sort; pwd; cat; ls /proc/self/fd | grep -cx .', 20_000, { TANDEM_CHECK: 'uplink' }),
  );
  t.like(answer, { how: 'exit', status: 0 });
  if (answer.type !== 'ended') return;
  // `ls` has the directory open as well. (What the test's own parent left open may have a high number.)
  t.deepEqual(
    answer.output.split('\n').filter(line => !line.startsWith('_=')),
    [...['PATH=/usr/bin:/bin', 'PWD=/', 'TANDEM_CHECK=uplink', '/', '4']],
  );
});

test('what cannot be started is not judged', async t => {
  const none = await run({ command: ['/nonexistent/check'], environment: {}, timeoutMs: ms(1_000) });
  t.is(none.type, 'refused');
  t.regex(none.reason, /cannot be started: .*ENOENT/);
  const text = await run({ command: ['/etc/passwd'], environment: {}, timeoutMs: ms(1_000) });
  t.regex(text.reason, /cannot be started: .*EACCES/);
});

test('a run that is given up ends at once', async t => {
  const { answer, kill } = runScript(shell('sleep 600'));
  kill();
  t.like(await answer, { how: 'signal', reason: 'ended by SIGKILL' });
});
