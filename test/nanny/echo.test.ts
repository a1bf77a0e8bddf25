// Checks by ICMP echo: what ping is asked, what its words mean, and ping itself on loopback.
import test from 'ava';
import { CommandError } from '../../src/command/io/run-command.ts';
import { echoResult, pingArguments } from '../../src/nanny/echo.ts';
import { runEchoCheck } from '../../src/nanny/io/echo-check.ts';
import type { EchoPlan } from '../../src/nanny/plain-plan.ts';
import type { Address } from '../../src/units/address.ts';
import { ms } from '../../src/units/duration.ts';
import { monotonicNow } from '../../src/units/io/clocks.ts';

function planOf(changes: Partial<EchoPlan> = {}): EchoPlan {
  return {
    type: 'echo',
    address: '198.51.100.11' as Address,
    origin: undefined,
    timeoutMs: ms(1_500),
    slowFail: {},
    ...changes,
  };
}

/** Words of iputils 20221126. */
const ANSWERED = `PING 198.51.100.11 (198.51.100.11) 56(84) bytes of data.
64 bytes from 198.51.100.11: icmp_seq=1 ttl=64 time=12.6 ms

--- 198.51.100.11 ping statistics ---
1 packets transmitted, 1 received, 0% packet loss, time 0ms
rtt min/avg/max/mdev = 12.600/12.600/12.600/0.000 ms
`;
const SILENT = `PING 198.51.100.11 (198.51.100.11) 56(84) bytes of data.

--- 198.51.100.11 ping statistics ---
1 packets transmitted, 0 received, 100% packet loss, time 0ms
`;
const NO_HOST = `PING 198.51.100.11 (198.51.100.11) 56(84) bytes of data.
From 198.51.100.2 icmp_seq=1 Destination Host Unreachable

--- 198.51.100.11 ping statistics ---
1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms
`;

test('one echo is asked for, from the address that it is given, in the family of the server', t => {
  t.deepEqual(pingArguments(planOf()), ['-4', '-n', '-c', '1', '-W', '1.500', '198.51.100.11']);
  const origin = { source: '2001:db8::2' as Address, ports: undefined };
  const six = pingArguments(planOf({ address: '2001:db8::11' as Address, origin }));
  t.deepEqual(six, ['-6', '-n', '-c', '1', '-W', '1.500', '-I', '2001:db8::2', '2001:db8::11']);
});

test('the time of the echo counts, not that of the program', t => {
  const end = { status: 0, stdout: ANSWERED, stderr: '', ranMs: 99 };
  t.deepEqual(echoResult(planOf(), end), { ok: true, tookMs: ms(13), stagesMs: { echo: 13 }, bytes: 0 });
  t.like(echoResult(planOf({ slowFail: { echo: ms(10) } }), end), { ok: false, stage: 'echo', life: 'speaks' });
});

test('no answer, and a host that is not there, are the server’s', t => {
  const failed = {
    ok: false,
    stage: 'echo',
    life: 'none',
    problem: 'no answer to an ICMP echo within 1500ms',
  } as const;
  t.like(echoResult(planOf(), { status: 1, stdout: SILENT, stderr: '', ranMs: 1_501.4 }), {
    ...{ ...failed, words: '', tookMs: ms(1_501) },
  });
  t.like(echoResult(planOf(), { status: 1, stdout: NO_HOST, stderr: '', ranMs: 9 }), {
    ...{ ...failed, words: 'From 198.51.100.2 icmp_seq=1 Destination Host Unreachable' },
  });
  t.like(echoResult(planOf(), { status: 2, stdout: '', stderr: 'ping: connect: Network is unreachable\n', ranMs: 3 }), {
    ...{ ...failed, words: 'ping: connect: Network is unreachable' },
  });
});

test('what ping may not do here is this router’s trouble', async t => {
  const reason = 'ping: setuid: Operation not permitted';
  t.is(echoResult(planOf(), { status: 2, stdout: '', stderr: `${reason}\n`, ranMs: 3 }), reason);
  const missing = () => Promise.reject(new CommandError('ping', 'missing', 'ping is not installed'));
  const outcome = await runEchoCheck(planOf(), { now: monotonicNow }, missing);
  t.like(outcome, { type: 'impossible' });
  t.regex(JSON.stringify(outcome), /install iputils-ping/);
});

test('ping answers on loopback, of both families where there are two, and is given up at once', async t => {
  const options = { now: monotonicNow };
  t.like(await runEchoCheck(planOf({ address: '127.0.0.1' as Address }), options), {
    type: 'result',
    result: { ok: true },
  });
  const abort = new AbortController();
  const hanging = planOf({ address: '127.0.0.1' as Address, timeoutMs: ms(30_000) });
  const sleeps = ((_program, _args, bounds) =>
    new Promise((_, reject) =>
      bounds?.signal?.addEventListener('abort', () => reject(new Error('killed'))),
    )) as Parameters<typeof runEchoCheck>[2];
  const running = runEchoCheck(hanging, { ...options, signal: abort.signal }, sleeps);
  abort.abort();
  t.deepEqual(await running, { type: 'aborted' });
});
