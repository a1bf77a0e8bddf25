import { performance } from 'node:perf_hooks';
import test, { type ExecutionContext } from 'ava';
import type { CheckPlan } from '../../src/nanny/check-plan.ts';
import type { CheckOutcome } from '../../src/nanny/io/check-outcome.ts';
import { runCheck } from '../../src/nanny/io/ftp-check.ts';
import type { CheckResult } from '../../src/nanny/verdict.ts';
import type { Address } from '../../src/units/address.ts';
import { type At, ms } from '../../src/units/duration.ts';
import { type HostileServer, type Script, startHostile, startSilent } from './hostile-server.ts';
import { planFor } from './plan-for.ts';

const STAGE_MS = 500;
const TOTAL_MS = 2_500;
/** What a busy machine may add to a time-out. */
const SLACK_MS = 10_000;
const now = () => performance.now() as At;

function loopbackPlan(port: number, plan: Partial<CheckPlan> = {}): CheckPlan {
  const here = '127.0.0.1' as Address;
  const times = { timeoutMs: ms(TOTAL_MS), stageTimeoutMs: ms(STAGE_MS) };
  const range = { first: 1_024, last: 65_535 };
  return planFor({ address: here, controlPort: port, announce: here, passivePorts: range, ...times, ...plan });
}

/** Sockets and timers of this process, the pipes to ava left out. */
function resources(): string[] {
  return process.getActiveResourcesInfo().filter(name => /^(TCP|Timeout|Immediate)/.test(name));
}

/** Waits for the ends of the test's own sockets to be reported, then compares with `before`. */
async function assertNothingLeft(t: ExecutionContext, before: readonly string[]): Promise<void> {
  for (let turn = 0; turn < 20 && resources().length > before.length; turn++) {
    await new Promise(resolve => setImmediate(resolve));
  }
  t.deepEqual(resources().sort(), [...before].sort(), 'sockets or timers were left behind');
}

interface Seen {
  readonly outcome: CheckOutcome;
  readonly result: CheckResult;
  readonly server: HostileServer;
  readonly elapsedMs: number;
}

/** Checks a server that follows `script`, and that the check leaves nothing behind. Tests here run one after the other. */
async function check(t: ExecutionContext, script: Script, plan: Partial<CheckPlan> = {}): Promise<Seen> {
  const before = resources();
  const server = await startHostile(script);
  const startedAt = now();
  const outcome = await runCheck(loopbackPlan(server.port, plan), { now });
  const elapsedMs = now() - startedAt;
  await server.close();
  await assertNothingLeft(t, before);
  if (outcome.type !== 'result') throw new Error(`no result but ${JSON.stringify(outcome)}`);
  return { outcome, result: outcome.result, server, elapsedMs };
}

test.serial('a good server passes, with every command sent once', async t => {
  const { result, server } = await check(t, {});
  t.like(result, { ok: true, bytes: 38 });
  t.deepEqual(server.commands, ['USER anonymous', 'PASS tandem@', 'TYPE I', 'PASV', 'LIST', 'QUIT']);
});

test.serial('a good server passes with EPSV, and with a file', async t => {
  const { result, server } = await check(t, { contents: 'hello' }, { data: 'epsv', fetch: 'pub/check.bin' });
  t.like(result, { ok: true, bytes: 5 });
  t.deepEqual(server.commands.slice(3), ['EPSV', 'RETR pub/check.bin', 'QUIT']);
});

test.serial('an IPv6 server passes', async t => {
  const { result } = await check(t, { host: '::1' }, { address: '::1' as Address, data: 'epsv' });
  t.like(result, { ok: true });
});

test.serial('a server that announces the VIP is reached at its own address', async t => {
  const { result } = await check(
    t,
    { host: '127.0.0.3', announce: '192.0.2.100' },
    { address: '127.0.0.3' as Address, announce: '192.0.2.100' as Address },
  );
  t.like(result, { ok: true });
});

test.serial('an endless file is content after max_bytes, and its end may be 426', async t => {
  const { result } = await check(
    t,
    { data: 'endless', final: '426 Broken pipe.\r\n' },
    { fetch: 'big', maxBytes: 300_000 },
  );
  t.true(result.ok && result.bytes >= 300_000 && result.bytes < 300_000 + 65_537);
});

const HANG = { kind: 'hang' } as const;
const HANGS: readonly [where: string, script: Script, stage: string][] = [
  ['before the greeting', { greeting: HANG }, 'greeting'],
  ['after USER', { on: { USER: HANG } }, 'login'],
  ['after PASS', { on: { PASS: HANG } }, 'login'],
  ['after TYPE', { on: { TYPE: HANG } }, 'login'],
  ['after PASV', { on: { PASV: HANG } }, 'passive'],
  ['after LIST', { on: { LIST: HANG } }, 'transfer'],
  ['in the data', { data: 'hang' }, 'transfer'],
  ['after the data', { final: HANG }, 'complete'],
];
for (const [where, script, stage] of HANGS) {
  test.serial(`a server that hangs ${where} fails at stage ${stage}, within the time of the stage`, async t => {
    const { result, elapsedMs } = await check(t, script);
    t.like(result, { ok: false, stage });
    t.regex(result.ok ? '' : result.problem, / within 500ms$/);
    t.true(elapsedMs >= STAGE_MS && elapsedMs < STAGE_MS + SLACK_MS, `${elapsedMs} ms`);
  });
}

test.serial('an address that swallows connections fails at stage connect, within the time of the stage', async t => {
  const silent = await startSilent();
  const before = resources();
  const startedAt = now();
  const outcome = await runCheck(loopbackPlan(silent.port), { now });
  t.true(now() - startedAt < STAGE_MS + SLACK_MS);
  await assertNothingLeft(t, before);
  t.like(outcome, { type: 'result', result: { ok: false, stage: 'connect', words: '' } });
  t.regex(JSON.stringify(outcome), /no connection to 127\.0\.0\.1:\d+ within 500ms/);
  await silent.close();
});

test.serial('a closed control port fails at stage connect at once', async t => {
  const server = await startHostile();
  await server.close();
  const outcome = await runCheck(loopbackPlan(server.port), { now });
  t.like(outcome, { type: 'result', result: { ok: false, stage: 'connect' } });
  t.regex(JSON.stringify(outcome), /ECONNREFUSED/);
});

const CLOSE = { kind: 'close' } as const;
const CLOSINGS: readonly [where: string, script: Script, stage: string][] = [
  ['before the greeting', { greeting: CLOSE }, 'greeting'],
  ['within the greeting', { greeting: { kind: 'close', after: '220-Wel' } }, 'greeting'],
  ['after USER', { on: { USER: CLOSE } }, 'login'],
  ['after PASS', { on: { PASS: CLOSE } }, 'login'],
  ['after TYPE', { on: { TYPE: CLOSE } }, 'login'],
  ['after PASV', { on: { PASV: CLOSE } }, 'passive'],
  ['after LIST', { on: { LIST: CLOSE } }, 'transfer'],
  ['after 150', { on: { LIST: { kind: 'close', after: '150 Here\r\n' } } }, 'transfer'],
  ['after the data', { final: CLOSE }, 'complete'],
];
for (const [where, script, stage] of CLOSINGS) {
  test.serial(`a server that closes ${where} fails at stage ${stage}, and is said to have closed`, async t => {
    const { result, elapsedMs } = await check(t, script);
    t.like(result, { ok: false, stage });
    t.regex(result.ok ? '' : result.problem, /^the server closed the connection: /);
    t.true(elapsedMs < STAGE_MS + SLACK_MS, `${elapsedMs} ms`);
  });
}

test.serial('a server that resets the connection is said to have broken it', async t => {
  const { result } = await check(t, { on: { PASS: { kind: 'reset' } } });
  t.like(result, {
    ok: false,
    stage: 'login',
    problem: 'the server broke the connection (ECONNRESET): no answer to PASS',
  });
});

interface Lie {
  readonly title: string;
  readonly script: Script;
  readonly plan?: Partial<CheckPlan>;
  readonly stage: string;
  readonly problem: RegExp;
  readonly words: RegExp;
}
const LIES: readonly Lie[] = [
  {
    title: 'announces its own address',
    script: { announce: '198.51.100.11' },
    plan: { announce: '192.0.2.100' as Address },
    stage: 'passive',
    problem: /^PASV announces 198\.51\.100\.11, not 192\.0\.2\.100; set pasv_address/,
    words: /^227 Entering Passive Mode \(198,51,100,11,/,
  },
  {
    title: 'announces a port outside the range',
    script: { on: { PASV: '227 Here (127,0,0,1,4,1)\r\n' } },
    plan: { passivePorts: { first: 10_000, last: 20_000 } },
    stage: 'passive',
    problem: /announces port 1025, outside 10000-20000/,
    words: /^227 Here/,
  },
  {
    title: 'announces a closed port',
    script: { isDataPortClosed: true },
    stage: 'data-connect',
    problem: /^the data connection to 127\.0\.0\.1:\d+ fails \(ECONNREFUSED\)/,
    words: /^227 /,
  },
  {
    title: 'sends a malformed 227',
    script: { on: { PASV: '227 Ha (1,2)\r\n' } },
    stage: 'passive',
    problem: /malformed/,
    words: /^227 Ha/,
  },
  {
    title: 'sends a malformed 229',
    script: { on: { EPSV: '229 Ha (|||x|)\r\n' } },
    plan: { data: 'epsv' },
    stage: 'passive',
    problem: /malformed/,
    words: /^229 Ha/,
  },
  {
    title: 'refuses the password',
    script: { on: { PASS: '530 Login incorrect.\r\n' } },
    stage: 'login',
    problem: /530/,
    words: /^530 Login incorrect\.$/,
  },
  {
    title: 'has too many users and closes',
    script: { greeting: { kind: 'close', after: '421 Too many users.\r\n' } },
    stage: 'greeting',
    problem: /421/,
    words: /^421 Too many users\.$/,
  },
  {
    title: 'cannot list',
    script: { on: { LIST: '550 Permission denied.\r\n' } },
    stage: 'transfer',
    problem: /LIST is answered with 550/,
    words: /^550 /,
  },
  {
    title: 'resets the data connection',
    script: { data: 'reset' },
    stage: 'transfer',
    problem: /breaks after \d+ bytes \(ECONNRESET\)/,
    words: /^226 /,
  },
  {
    title: 'sends an endless line',
    script: { greeting: { kind: 'flood', text: 'x'.repeat(9_999) } },
    stage: 'greeting',
    problem: /more than 65536 bytes/,
    words: /^x+…$/,
  },
  {
    title: 'sends an endless reply',
    script: { on: { USER: { kind: 'flood', text: '331-more\r\n' } } },
    stage: 'login',
    problem: /more than 65536 bytes/,
    words: /^33/,
  },
  {
    title: 'sends endless good replies',
    script: {
      final: { kind: 'flood', text: `226 ${'x'.repeat(500)}\r\n` },
      data: 'hang',
      on: { LIST: { kind: 'flood', text: `150 ${'x'.repeat(500)}\r\n` } },
    },
    stage: 'transfer',
    problem: /./,
    words: /^150 /,
  },
  {
    title: 'is not an FTP server',
    script: { greeting: 'SSH-2.0-OpenSSH_9.2p1\r\n' },
    stage: 'greeting',
    problem: /not an FTP reply/,
    words: /^SSH-2\.0/,
  },
];
for (const { title, script, plan, stage, problem, words } of LIES) {
  test.serial(`a server that ${title} fails at stage ${stage}, at once`, async t => {
    const { result, elapsedMs } = await check(t, script, plan);
    t.like(result, { ok: false, stage });
    if (result.ok) return;
    t.regex(result.problem, problem);
    t.regex(result.words, words);
    t.true([...result.words].length <= 200);
    t.true(elapsedMs < STAGE_MS + SLACK_MS, `${elapsedMs} ms`);
  });
}

test.serial('a greeting that drips in for ever fails when its stage is over', async t => {
  const { result, elapsedMs } = await check(t, { greeting: { kind: 'drip', text: '220-slow ', everyMs: 20 } });
  t.like(result, { ok: false, stage: 'greeting' });
  t.true(elapsedMs >= STAGE_MS && elapsedMs < STAGE_MS + SLACK_MS, `${elapsedMs} ms`);
});

test.serial('data that drip in for ever fail when the transfer is over', async t => {
  const { result, elapsedMs } = await check(t, { data: 'drip' });
  t.like(result, { ok: false, stage: 'transfer' });
  t.regex(result.ok ? '' : result.problem, /^no end of the data after \d+ bytes within 500ms$/);
  t.true(elapsedMs >= STAGE_MS && elapsedMs < STAGE_MS + SLACK_MS, `${elapsedMs} ms`);
});

test.serial('the whole check ends in its own time, also within a stage that has time left', async t => {
  const { result, elapsedMs } = await check(t, { on: { PASS: HANG } }, { timeoutMs: ms(200) });
  t.like(result, { ok: false, stage: 'login' });
  t.regex(result.ok ? '' : result.problem, /^no answer to PASS within the 200ms of the whole check$/);
  t.true(elapsedMs >= 200 && elapsedMs < 200 + SLACK_MS, `${elapsedMs} ms`);
});

test.serial('a server that never answers QUIT delays the end by no more than 200 ms', async t => {
  const { result, elapsedMs } = await check(t, { on: { QUIT: HANG } });
  t.true(result.ok);
  t.true(result.tookMs <= elapsedMs - 190, 'the wait is not part of the verdict');
  t.true(elapsedMs < 200 + SLACK_MS, `${elapsedMs} ms`);
});

test.serial('an answer that waits in the socket counts, even if this process was late to look', async t => {
  const before = resources();
  const server = await startHostile();
  const checking = runCheck(loopbackPlan(server.port), { now });
  while (!server.commands.includes('LIST')) await new Promise(resolve => setImmediate(resolve));
  // The server's answers are on their way or will be sent in this very process; then nobody looks for two stages.
  await new Promise(resolve => setImmediate(resolve));
  const blockedUntil = now() + 2 * STAGE_MS;
  while (now() < blockedUntil);
  t.like(await checking, { type: 'result', result: { ok: true } });
  await server.close();
  await assertNothingLeft(t, before);
});

for (const [where, script] of [
  ['in the greeting', { greeting: HANG }],
  ['in the data', { data: 'hang' }],
] as const) {
  test.serial(`a check aborted ${where} ends at once and leaves nothing behind`, async t => {
    const before = resources();
    const server = await startHostile(script);
    const abort = new AbortController();
    const checking = runCheck(loopbackPlan(server.port, { stageTimeoutMs: ms(60_000), timeoutMs: ms(60_000) }), {
      now,
      signal: abort.signal,
    });
    const wanted = 'greeting' in script ? 0 : 5;
    while (server.sessions() === 0 || server.commands.length < wanted)
      await new Promise(resolve => setImmediate(resolve));
    abort.abort();
    t.deepEqual(await checking, { type: 'aborted' });
    await server.close();
    await assertNothingLeft(t, before);
    t.deepEqual(await runCheck(loopbackPlan(server.port), { now, signal: abort.signal }), { type: 'aborted' });
  });
}
