// Checks by an empty datagram, on real sockets: silence passes, what ICMP or this router's own kernel says is a verdict, and no
// error leaves the check.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { runDatagramCheck } from '../../src/nanny/io/datagram-check.ts';
import type { DatagramPlan } from '../../src/nanny/plain-plan.ts';
import type { Address } from '../../src/units/address.ts';
import { ms } from '../../src/units/duration.ts';
import { monotonicNow } from '../../src/units/io/clocks.ts';

function check(changes: Partial<DatagramPlan>, signal?: AbortSignal) {
  const timeoutMs = ms(20_000);
  const plan = { type: 'datagram', address: '127.0.0.1' as Address, origin: undefined, port: 9, timeoutMs } as const;
  return runDatagramCheck({ ...plan, ...changes }, { now: monotonicNow, ...(signal && { signal }) });
}

/** A port of loopback; `answers` what comes. */
async function serve(t: ExecutionContext, answers: boolean): Promise<number> {
  const socket = createSocket('udp4');
  socket.on('message', (_, from) => answers && socket.send('x', from.port, from.address));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  return socket.address().port;
}

test('a server that says nothing passes, and its silence is no response time', async t => {
  const outcome = await check({ port: await serve(t, false), timeoutMs: ms(200) });
  t.deepEqual(outcome, { type: 'result', result: { ok: true, tookMs: 0, bytes: 0 } });
});

test('a server that answers passes at once', async t => {
  t.like(await check({ port: await serve(t, true) }), { type: 'result', result: { ok: true, bytes: 0 } });
});

test('a port where nobody listens fails by what ICMP says', async t => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise<void>(resolve => socket.close(resolve));
  const problem = `127.0.0.1:${port} cannot be reached by UDP (ECONNREFUSED)`;
  t.like(await check({ port }), { type: 'result', result: { ok: false, stage: 'connect', life: 'none', problem } });
});

// connect(2) itself refuses a broadcast address, as it does one without a route: no packet leaves the machine.
test('a server to which the kernel has no way fails, and nothing is thrown', async t => {
  const problem = '255.255.255.255:9 cannot be reached by UDP (EACCES)';
  const outcome = await check({ address: '255.255.255.255' as Address });
  t.like(outcome, { type: 'result', result: { ok: false, stage: 'connect', life: 'none', problem } });
});

test('an address that this router does not have is its own trouble', async t => {
  const outcome = await check({ origin: { source: '192.0.2.77' as Address, ports: undefined } });
  t.deepEqual(outcome, { type: 'impossible', reason: 'this router cannot open a connection (EADDRNOTAVAIL)' });
});

test.serial('it is given up at once, at whatever step, and leaves no socket and no timer', async t => {
  const port = await serve(t, false);
  const kept = () => process.getActiveResourcesInfo().filter(name => /^(UDP|Timeout)/.test(name)).length;
  const before = kept();
  for (const turns of [0, 1, 2, 5, 20]) {
    const abort = new AbortController();
    const running = check({ port }, abort.signal);
    for (let turn = 0; turn < turns; turn++) await new Promise(resolve => setImmediate(resolve));
    abort.abort();
    t.deepEqual(await running, { type: 'aborted' });
  }
  t.deepEqual(await check({ port }, AbortSignal.abort()), { type: 'aborted' });
  for (let turn = 0; turn < 100 && kept() > before; turn++) await new Promise(resolve => setImmediate(resolve));
  t.true(kept() <= before, `left behind: ${process.getActiveResourcesInfo()}`);
});
