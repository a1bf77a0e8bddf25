// pulse's end of the witness: an ask never waits, whatever becomes of the process: stopped, killed, mad, missing. The event loop of
// whoever asks is not delayed by it.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { ms } from '../../src/units/duration.ts';
import { freePort, type RedisServer, startRedis } from '../redis/redis-server.ts';
import { Asker, epoch, kill, now, TIMEOUT_MS } from './asker.ts';

const root = mkdtempSync(join(tmpdir(), 'tandem-witness-process-'));
let server: RedisServer;
test.before(async () => {
  server = await startRedis({ dir: root });
});
test.after.always(async () => {
  await server.kill();
  rmSync(root, { recursive: true, force: true });
});

const asker = (t: ExecutionContext, more: { program?: string; chrt?: string } = {}) =>
  new Asker(t, { redis: { port: server.port }, more });

function program(name: string, text: string): string {
  const file = join(root, `${name}.mjs`);
  writeFileSync(file, text);
  return file;
}

/** Field 41 of /proc/PID/stat. */
const policyOf = (pid: number) =>
  Number(
    readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ')[38],
  );
const isGone = (pid: number) => {
  try {
    process.kill(pid, 0);
    return readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .startsWith('Z');
  } catch {
    return true;
  }
};
async function gone(pid: number, msMax: number): Promise<boolean> {
  const end = performance.now() + msMax;
  while (!isGone(pid)) {
    if (performance.now() > end) return false;
    await sleep(10);
  }
  return true;
}

test.serial(
  'a stopped process: its asks fail in time; when it goes on, it answers none of the old ones, then the new',
  async t => {
    const one = await asker(t).ready();
    const pid = one.witness.pid as number;
    kill(pid, 'SIGSTOP');
    for (let i = 0; i < 3; i++) {
      const began = performance.now();
      const answer = await one.ask('claim', epoch(9, 1));
      t.regex(answer.problem, /does not answer in time; is it stopped or starved\?$/);
      t.true(performance.now() - began < TIMEOUT_MS + 1_000);
    }
    kill(pid, 'SIGCONT');
    const seen = await one.until(({ verdict }) => verdict !== 'failed');
    t.is(seen.verdict, 'empty');
    t.is(one.witness.pid, pid, 'it is the same one');
    t.is(new Set(one.answers.map(({ seq }) => seq)).size, one.answers.length, 'one answer to each ask');
    t.like(await one.ask('found', epoch(9, 1)), { verdict: 'granted' }, 'what was given up was not done later');
  },
);

test.serial('a process that stays stopped is replaced', async t => {
  const one = await asker(t).ready();
  const pid = one.witness.pid as number;
  kill(pid, 'SIGSTOP');
  const answer = await one.until(({ verdict }) => verdict !== 'failed', 40_000);
  t.not(answer.verdict, 'failed');
  t.not(one.witness.pid, pid);
  t.true(await gone(pid, 2_000));
  t.deepEqual(one.troubles, ['it does not answer']);
});

test.serial('a killed process: the ask under way fails at once, a new one serves soon', async t => {
  const one = await asker(t).ready();
  const pid = one.witness.pid as number;
  kill(pid, 'SIGSTOP');
  const asked = one.ask('look');
  kill(pid, 'SIGKILL');
  t.regex((await asked).problem, /the witness process ended \(SIGKILL\); a new one starts soon/);
  t.deepEqual(one.troubles, ['SIGKILL']);
  await one.ready();
  t.not((await one.ask('look')).verdict, 'failed');
});

test.serial('a second ask while one is under way fails, and not from within the asking', async t => {
  const one = await asker(t).ready();
  const before = one.answers.length;
  const both = [one.ask('look'), one.ask('look')];
  t.is(one.answers.length, before);
  const [first, second] = await Promise.all(both);
  t.not(first?.verdict, 'failed');
  t.regex(second?.problem ?? '', /an earlier ask is not answered yet/);
});

test.serial('an ask that was read too late is not done', async t => {
  const one = await asker(t).ready();
  const late = await one.ask('found', epoch(99, 1), (now() - TIMEOUT_MS - 1) as ReturnType<typeof now>);
  t.regex(late.problem, /came to read it \d+ ms late/);
  t.not((await one.ask('look')).record?.epoch.counter, 99);
});

test.serial('when pulse closes the pipe the process sees a release through, then ends', async t => {
  const one = await asker(t).ready();
  await one.ask('renew', epoch(200, 1));
  const pid = one.witness.pid as number;
  one.witness.ask({ seq: 1_000, verb: 'release', epoch: epoch(200, 1), at: now() });
  one.witness.close();
  t.true(await gone(pid, 5_000));
  const other = await asker(t).ready();
  t.is((await other.ask('look')).record?.remainingMs, 0);
});

test.serial(
  'words that are none, a line without end, an end at once: the process is replaced, with growing pauses',
  async t => {
    const cases = [
      [program('mad', 'console.log("{}"); setInterval(() => {}, 1000);'), /it says something unknown: \{\}/],
      [
        program('endless', 'process.stdout.write("x".repeat(200000)); setInterval(() => {}, 1000);'),
        /a line that is too long/,
      ],
      [program('short', 'process.exit(7);'), /exit code 7/],
    ] as const;
    for (const [file, trouble] of cases) {
      const one = asker(t, { program: file });
      const end = performance.now() + 20_000;
      while (one.troubles.length < 3 && performance.now() < end) {
        t.is((await one.ask('claim', epoch(9, 1))).verdict, 'failed');
        await sleep(20);
      }
      for (const told of one.troubles) t.regex(told, trouble);
      t.true(one.troubles.length >= 3 && one.troubles.length < 6, `${one.troubles}`);
      one.witness.close();
    }
  },
);

test.serial('a flood of answers to nothing is not passed on', async t => {
  const flood = `console.log('{"hello":1}');
    for (let seq = 0; seq < 1000; seq++) console.log(JSON.stringify({ seq: seq + 100, verdict: 'granted', problem: '' }));
    setInterval(() => {}, 1000);`;
  const one = asker(t, { program: program('flood', flood) });
  await one.until(({ problem }) => /does not answer in time/.test(problem));
  t.deepEqual(
    one.answers.filter(({ verdict }) => verdict !== 'failed'),
    [],
  );
});

test.serial('without chrt on this machine it runs all the same', async t => {
  const one = await asker(t, { chrt: '/nonexistent/chrt' }).ready();
  t.regex(one.troubles.join(), /ENOENT/);
  t.not((await one.ask('look')).verdict, 'failed');
});

const WITH_RR = process.getuid?.() === 0 ? test.serial : test.serial.skip;
WITH_RR('the process leaves the real-time class of pulse; where it cannot, it ends rather than share it', async t => {
  const asRealTime = (on: boolean) => {
    const [policy, priority] = on ? ['--rr', '1'] : ['--other', '0'];
    execFileSync('chrt', ['--all-tasks', policy as string, '--pid', priority as string, `${process.pid}`]);
  };
  try {
    asRealTime(true);
  } catch {
    t.log('no real-time class here');
    t.pass();
    return;
  }
  t.teardown(() => asRealTime(false));
  const one = await asker(t).ready();
  t.is(policyOf(process.pid), 2);
  t.is(policyOf(one.witness.pid as number), 0);
  const two = asker(t, { chrt: '/nonexistent/chrt' });
  const ended = /ended \(exit code 77\)/;
  t.regex((await two.until(({ problem }) => ended.test(problem))).problem, ended);
});

/** How late a timer of 10 ms ran while `work` ran: the lateness of each tick in ms, sorted. */
async function latenessDuring(work: Promise<unknown>): Promise<number[]> {
  const late: number[] = [];
  let due = performance.now() + 10;
  const timer = setInterval(() => {
    const at = performance.now();
    late.push(Math.max(0, at - due));
    due = at + 10;
  }, 10);
  await work;
  clearInterval(timer);
  return late.sort((x, y) => x - y);
}

/** Asks all the time for `count` asks; the longest that a single call of ask() took, ms. */
async function longestCall(one: Asker, count: number): Promise<number> {
  let longest = 0;
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    const answered = one.ask('renew', epoch(300, 1));
    longest = Math.max(longest, performance.now() - began);
    await answered;
    await sleep(5);
  }
  return longest;
}

test.serial('a loop that sends every 10 ms is not delayed by a witness that is stopped, or whose Redis is', async t => {
  t.timeout(120_000);
  const one = await new Asker(t, { redis: { port: server.port, timeout: ms(500) }, timeoutMs: 100 }).ready();
  const middle = (late: readonly number[]) => late[Math.floor(late.length / 2)] ?? Infinity;
  const times: Record<string, { calm: number; median: number; ticks: number; call: number; cpu: number }> = {};
  const measure = async (what: string) => {
    const calm = middle(await latenessDuring(sleep(1_000)));
    let call = 0;
    const before = process.cpuUsage();
    const late = await latenessDuring(
      longestCall(one, 15).then(longest => {
        call = longest;
      }),
    );
    const { user, system } = process.cpuUsage(before);
    const cpu = (user + system) / 1_000 / late.length;
    times[what] = { calm, median: middle(late), ticks: late.length, call, cpu };
  };
  await measure('answering');
  kill(one.witness.pid as number, 'SIGSTOP');
  await measure('process stopped');
  kill(one.witness.pid as number, 'SIGCONT');
  await one.until(({ verdict }) => verdict !== 'failed');
  server.signal('SIGSTOP');
  await measure('Redis stopped');
  server.signal('SIGCONT');
  t.log(times);
  for (const [what, { calm, median, ticks, call, cpu }] of Object.entries(times)) {
    // Were anything waited for, each tick beside an ask would be late by up to 100 ms. What the machine itself is late by is in both.
    t.true(median < calm + 10, `${what}: median lateness ${median} ms, ${calm} ms without`);
    t.true(ticks > 5, `${what}: ${ticks} ticks`);
    t.true(cpu < 10, `${what}: ${cpu} ms of processor time for each tick`);
    t.true(call < 50, `${what}: a call took ${call} ms`);
  }
});

test.serial('asking a Redis that is not there for long keeps nothing: no sockets, no memory of it', async t => {
  const one = new Asker(t, { redis: { port: await freePort() } });
  await one.until(({ problem }) => /does not run/.test(problem));
  const pid = one.witness.pid as number;
  const descriptors = () => readdirSync(`/proc/${pid}/fd`).length;
  const before = descriptors();
  for (let i = 0; i < 500; i++) t.is((await one.ask('renew', epoch(1, 1))).verdict, 'failed');
  await sleep(500);
  t.true(descriptors() <= before + 2, `${before} descriptors before, ${descriptors()} after`);
});
