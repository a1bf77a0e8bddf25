// The links between the two directors, on loopback addresses: who gets in, what gets through, and that it always comes back.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, connect as tlsConnect } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import type { PairKeys } from '../../../src/config/io/key.ts';
import { createPeerLinks, type TlsPeerLinks } from '../../../src/sync/link/io/peer-links.ts';
import { framed } from '../../../src/sync/link/length-prefix.ts';
import { linkKeys, TLS_ONLY } from '../../../src/sync/link/link-key.ts';
import { backoffMs, LINK_LIMITS, type LinkLimits } from '../../../src/sync/link/link-limits.ts';
import type { Address } from '../../../src/units/address.ts';
import { inPieces } from '../samples.ts';

const A = Buffer.alloc(32, 0xaa);
const B = Buffer.alloc(32, 0xbb);
const keys = (...accept: Buffer[]): PairKeys => ({ sign: accept[0] as Buffer, accept });
const PAIR = 'test';
const ADDRESSES: readonly (readonly [string, string])[] = [
  ['127.0.0.2', '127.0.0.3'],
  ['127.0.0.4', '127.0.0.5'],
];
/** Short, so that tests are; but nobody sends pings here, so that silence is no reason, except where it is the test's. */
const QUICK: Partial<LinkLimits> = { backoffMsMin: 10, backoffMsMax: 100, bindAgainMs: 50, silenceMs: 60_000 };

interface NodeOptions {
  readonly port: number;
  readonly pairKeys?: PairKeys;
  readonly limits?: Partial<LinkLimits>;
  readonly addresses?: readonly (readonly [string, string])[];
  readonly pair?: string;
}

interface TestNode {
  readonly links: TlsPeerLinks;
  /** "up 0", "down 0 why", in order. */
  readonly events: string[];
  readonly frames: Buffer[];
}

function startNode(t: ExecutionContext, nodeId: 1 | 2, options: NodeOptions): TestNode {
  const { port, pairKeys = keys(A), limits, addresses = ADDRESSES, pair = PAIR } = options;
  const links = addresses.map(([one, two], index) => ({
    lan: `lan${index}`,
    interface: 'lo',
    local: (nodeId === 1 ? one : two) as Address,
    remote: (nodeId === 1 ? two : one) as Address,
  }));
  const [events, frames]: [string[], Buffer[]] = [[], []];
  const started = createPeerLinks(
    { pair, view: { nodeId, links }, port, keys: pairKeys, random: () => 0.5, limits: { ...QUICK, ...limits } },
    {
      up: (index, saysTakes) => events.push(`up ${index}${saysTakes ? '' : ' old'}`),
      down: (index, why) => events.push(`down ${index} ${why}`),
      frame: (_, frame) => frames.push(frame),
    },
  );
  t.teardown(() => started.close());
  return { links: started, events, frames };
}

async function until(condition: () => boolean, ms = 10_000): Promise<boolean> {
  for (const end = performance.now() + ms; performance.now() < end; ) {
    if (condition()) return true;
    await pause(5);
  }
  return condition();
}

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));
const isUp = ({ links }: TestNode) => links.states().every(({ connected }) => connected);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.3');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await new Promise(resolve => server.close(resolve));
  return port;
}

/** A TCP connection from node 1's address on the first link, or from another one. */
async function rawConnection(t: ExecutionContext, port: number, localAddress = '127.0.0.2'): Promise<Socket> {
  const socket = connect({ host: '127.0.0.3', port, localAddress });
  socket.on('error', () => socket.destroy());
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** Speaks TLS as node 1 would, with an identity and key of choice. Resolves when it is open, or with undefined when refused. */
async function rawPeer(
  t: ExecutionContext,
  port: number,
  psk: Buffer = linkKeys(PAIR, keys(A)).offer.key,
  identity: string = linkKeys(PAIR, keys(A)).offer.identity,
): Promise<TLSSocket | undefined> {
  const socket = await rawConnection(t, port);
  const secure = tlsConnect({ ...TLS_ONLY, socket, pskCallback: () => ({ identity, psk }) });
  secure.on('error', () => secure.destroy());
  return Promise.race([
    once(secure, 'secureConnect').then(
      () => secure,
      () => undefined,
    ),
    once(secure, 'close').then(() => undefined),
  ]);
}

/** Made for this test only: a key and a certificate that nobody trusts. */
const IMPOSTOR_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgLZJLzhzPTcPH3G2t
DZXStTeRso7Pjdts8j9Zu5Ik6MehRANCAAQ9TRa3+rfqe09lc7Ked4UVJjrsVGlY
OQEl9g6xMp7ADUg2C+AzXYbKI7OvlNqCv87IuqAwu3FLK6o2DnjBoLTD
-----END PRIVATE KEY-----`;
const IMPOSTOR_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBfTCCASOgAwIBAgIUI7agvUU8yHK7zDgQ08RmZ6Sw9yUwCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIaW1wb3N0b3IwIBcNMjYxMTIzMTQ1OTU4WhgPMjEyNjEwMzAx
NDU5NThaMBMxETAPBgNVBAMMCGltcG9zdG9yMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEPU0Wt/q36ntPZXOynneFFSY67FRpWDkBJfYOsTKewA1INgvgM12GyiOz
r5Tagr/OyLqgMLtxSyuqNg54waC0w6NTMFEwHQYDVR0OBBYEFAfBIrYXVIQc8Qow
c3VK/MNB77kgMB8GA1UdIwQYMBaAFAfBIrYXVIQc8Qowc3VK/MNB77kgMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAPSBZIsi0Ddr92+RkYYTRRwc
kbVFu9iriP/EKKuexCr/AiACEgEDZ0+5xs8SjZLZVgpJzLxEI2FHQkqbY6MNPdUQ
Eg==
-----END CERTIFICATE-----`;

test('every link comes up and carries frames both ways, in their order', async t => {
  const port = await freePort();
  const [one, two] = [startNode(t, 1, { port }), startNode(t, 2, { port })];
  t.true(await until(() => isUp(one) && isUp(two)));
  const sent = Array.from({ length: 200 }, (_, i) => Buffer.from(`frame ${i}`));
  for (const [i, frame] of sent.entries()) {
    t.true(one.links.send(0, frame));
    t.true(two.links.send(i % 2, frame));
  }
  t.true(await until(() => two.frames.length === 200 && one.frames.length === 200));
  t.deepEqual(two.frames, sent);
  t.deepEqual(
    one.links.states().map(({ lan, connected, problem }) => ({ lan, connected, problem })),
    [
      { lan: 'lan0', connected: true, problem: '' },
      { lan: 'lan1', connected: true, problem: '' },
    ],
  );
  t.deepEqual([...one.events].sort(), ['up 0', 'up 1']);
});

test('frames of every size up to the largest pass', async t => {
  const port = await freePort();
  const [one, two] = [startNode(t, 1, { port }), startNode(t, 2, { port })];
  t.true(await until(() => isUp(one) && isUp(two)));
  const sent = [1, 2, 16_383, 16_384, 16_385, 65_536, 66_560].map(bytes => randomBytes(bytes));
  for (const frame of sent) t.true(one.links.send(1, frame));
  t.true(await until(() => two.frames.length === sent.length));
  t.deepEqual(two.frames, sent);
});

test('a link over IPv6 comes up', async t => {
  const port = await freePort();
  const addresses: [string, string][] = [['::1', '::1']];
  const [one, two] = [startNode(t, 1, { port, addresses }), startNode(t, 2, { port, addresses })];
  t.true(await until(() => isUp(one) && isUp(two)));
});

test('a peer with another key gets no link, and both sides say so', async t => {
  const port = await freePort();
  const one = startNode(t, 1, { port, pairKeys: keys(B) });
  const two = startNode(t, 2, { port, pairKeys: keys(A) });
  t.true(await until(() => two.links.counters()['refused_unknown-key'] >= 2));
  t.true(await until(() => one.links.states().every(({ problem }) => problem.includes('is the key the same'))));
  t.deepEqual([...one.events, ...two.events], []);
  t.is(two.links.counters().refused_handshake, 0);
});

test('a pair of another name gets no link', async t => {
  const port = await freePort();
  startNode(t, 1, { port, pair: 'other' });
  const two = startNode(t, 2, { port });
  t.true(await until(() => two.links.counters()['refused_unknown-key'] >= 2));
  t.deepEqual(two.events, []);
});

const rotation: readonly (readonly [string, PairKeys, PairKeys])[] = [
  ['the new key is on node 1 only, second', keys(A, B), keys(A)],
  ['the new key is on node 2 only, second', keys(A), keys(A, B)],
  ['node 1 signs with the new key', keys(B, A), keys(A, B)],
  ['node 2 signs with the new key', keys(A, B), keys(B, A)],
  ['the old key is gone from node 1', keys(B), keys(B, A)],
];
for (const [what, first, second] of rotation) {
  test(`while keys are rotated the links come up: ${what}`, async t => {
    const port = await freePort();
    const [one, two] = [startNode(t, 1, { port, pairKeys: first }), startNode(t, 2, { port, pairKeys: second })];
    t.true(await until(() => isUp(one) && isUp(two)));
  });
}

test('keys are changed step by step without a link that stays away; no connection under the old one is left', async t => {
  const port = await freePort();
  const [one, two] = [startNode(t, 1, { port, pairKeys: keys(A) }), startNode(t, 2, { port, pairKeys: keys(A) })];
  t.true(await until(() => isUp(one) && isUp(two)));
  one.links.takeKeys(keys(A, B));
  two.links.takeKeys(keys(A, B));
  t.deepEqual([one.events.length, two.events.length], [2, 2], 'nothing to be made anew');
  one.links.takeKeys(keys(B, A));
  two.links.takeKeys(keys(B, A));
  t.true(await until(() => two.links.counters().connections === 4 && isUp(one) && isUp(two)));
  t.deepEqual(
    one.events.slice(2).map(event => event.slice(0, 6)),
    ['down 0', 'up 0', 'down 1', 'up 1'],
    'one after the other',
  );
  one.links.takeKeys(keys(B));
  two.links.takeKeys(keys(B));
  await pause(100);
  t.is(two.links.counters().connections, 4);
  t.true(isUp(one) && isUp(two));
});

test('a key that the peer does not accept, or the loss of one, does not part them while they have one in common', async t => {
  const port = await freePort();
  const [one, two] = [startNode(t, 1, { port, pairKeys: keys(A) }), startNode(t, 2, { port, pairKeys: keys(A) })];
  t.true(await until(() => isUp(one) && isUp(two)));
  one.links.takeKeys(keys(B, A));
  t.true(await until(() => two.links.counters().connections >= 3 && isUp(one) && isUp(two)), 'by the other key');
  two.links.takeKeys(keys(B));
  t.true(
    await until(() => isUp(one) && isUp(two) && two.links.counters().connections >= 5),
    'under the key that is left',
  );
});

test('who knows the name of the key but not the key is refused', async t => {
  const port = await freePort();
  const two = startNode(t, 2, { port });
  t.is(await rawPeer(t, port, Buffer.alloc(32, 1)), undefined);
  t.true(await until(() => two.links.counters().refused_handshake === 1));
  t.deepEqual(two.events, []);
});

test('a server with a certificate instead of the key is refused', async t => {
  const port = await freePort();
  const impostor = createTlsServer({ key: IMPOSTOR_KEY, cert: IMPOSTOR_CERTIFICATE });
  impostor.on('tlsClientError', () => undefined);
  await listening(t, impostor, port);
  const one = startNode(t, 1, { port, addresses: ADDRESSES.slice(0, 1) });
  t.true(await until(() => one.links.counters().handshakeFailures >= 2));
  t.deepEqual(one.events, []);
});

test('a connection from another address is closed before TLS', async t => {
  const port = await freePort();
  const two = startNode(t, 2, { port });
  await until(() => two.links.states().every(({ problem }) => problem === ''));
  const socket = await rawConnection(t, port, '127.0.0.9');
  let heard = 0;
  socket.on('data', chunk => {
    heard += chunk.length;
  });
  await until(() => socket.destroyed || socket.readableEnded);
  t.true(await until(() => two.links.counters()['refused_foreign-source'] === 1));
  t.is(heard, 0);
  t.is(two.links.counters().refused_handshake, 0);
});

test('a flood of connections that never authenticate does not keep the peer out', async t => {
  const port = await freePort();
  const two = startNode(t, 2, { port, addresses: ADDRESSES.slice(0, 1), limits: { handshakeMs: 30_000 } });
  await rawConnection(t, port);
  for (let i = 0; i < 60; i++) await rawConnection(t, port);
  t.true(await until(() => two.links.counters()['refused_half-open'] >= 57));
  const one = startNode(t, 1, { port, addresses: ADDRESSES.slice(0, 1) });
  t.true(await until(() => isUp(one) && isUp(two)));
});

test('whatever is sent instead of a handshake is counted and dropped', async t => {
  const port = await freePort();
  const two = startNode(t, 2, { port, limits: { handshakeMs: 1_000 } });
  const noise = [Buffer.from('GET / HTTP/1.0\r\n\r\n'), randomBytes(5_000), Buffer.alloc(300), Buffer.from([0x16])];
  // What looks like TLS and ends in the middle, and nothing at all.
  noise.push(Buffer.from('160301020001000001fc0303', 'hex'), Buffer.alloc(0));
  const sockets = await Promise.all(noise.map(() => rawConnection(t, port)));
  for (const [i, socket] of sockets.entries()) socket.write(noise[i] as Buffer);
  const refused = () => two.links.counters().refused_handshake;
  t.true(await until(() => sockets.every(({ destroyed }) => destroyed)));
  t.true(await until(() => refused() === noise.length), `${refused()}`);
  t.deepEqual(two.events, []);
  t.truthy(await rawPeer(t, port), 'and the peer still gets in');
});

test('frames may be cut anywhere on the way', async t => {
  const port = await freePort();
  const two = startNode(t, 2, { port });
  const peer = await rawPeer(t, port);
  const sent = [randomBytes(10), randomBytes(300), randomBytes(1)];
  const bytes = Buffer.concat(sent.map(frame => framed(frame)));
  const cuts = Array.from({ length: bytes.length }, () => 1 + Math.floor(Math.random() * 9));
  for (const piece of inPieces(bytes, cuts)) {
    peer?.write(piece);
    await new Promise(resolve => setImmediate(resolve));
  }
  t.true(await until(() => two.frames.length === 3));
  t.deepEqual(two.frames, sent);
});

test('a frame of impossible length ends the link, and frames before it count', async t => {
  const port = await freePort();
  const two = startNode(t, 2, { port, addresses: ADDRESSES.slice(0, 1) });
  const peer = await rawPeer(t, port);
  peer?.write(Buffer.concat([framed(Buffer.from('good')), Buffer.from('00010401', 'hex'), randomBytes(100)]));
  t.true(await until(() => two.events.length === 2));
  t.regex(two.events[1] ?? '', /^down 0 a frame of impossible length/);
  t.deepEqual(two.frames, [Buffer.from('good')]);
  t.is(two.links.counters().badFrames, 1);
});

test('random bytes of a peer with the right key do no harm', async t => {
  const port = await freePort();
  const two = startNode(t, 2, { port, addresses: ADDRESSES.slice(0, 1) });
  for (let i = 0; i < 20; i++) {
    const peer = await rawPeer(t, port);
    t.truthy(peer);
    peer?.end(randomBytes(1 + 400 * i));
    t.true(await until(() => two.events.filter(event => event.startsWith('down')).length === i + 1));
  }
  const [one] = [startNode(t, 1, { port, addresses: ADDRESSES.slice(0, 1) })];
  t.true(await until(() => isUp(one) && isUp(two)));
});

test('a link that brings nothing is dropped after its time', async t => {
  const port = await freePort();
  const two = startNode(t, 2, { port, limits: { silenceMs: 300 } });
  const start = performance.now();
  await rawPeer(t, port);
  t.true(await until(() => two.events.length === 2));
  t.true(performance.now() - start >= 300);
  t.deepEqual(two.events, ['up 0 old', 'down 0 nothing came for 0.3 s']);
  t.is(two.links.counters().silent, 1);
});

test.serial('a loop that was itself late does not take its own pause for silence', async t => {
  const port = await freePort();
  const two = startNode(t, 2, { port, limits: { silenceMs: 1_000 } });
  const peer = await rawPeer(t, port);
  t.true(await until(() => two.events.length === 1));
  // Stopped inside a timer, the loop finds the timer of silence before the bytes that wait in the socket.
  const stop = () => {
    peer?.write(framed(Buffer.from('ping')));
    for (const end = performance.now() + 1_200; performance.now() < end; );
  };
  await new Promise<void>(resolve => setTimeout(() => resolve(stop()), 20));
  t.true(await until(() => two.frames.length === 1, 500));
  t.deepEqual(two.events, ['up 0 old']);
});

test('both ends learn that the other one says what it takes, and of one from before that it does not', async t => {
  const port = await freePort();
  const addresses = ADDRESSES.slice(0, 1);
  const [one, two] = [startNode(t, 1, { port, addresses }), startNode(t, 2, { port, addresses })];
  t.true(await until(() => isUp(one) && isUp(two)));
  t.deepEqual([one.events, two.events], [['up 0'], ['up 0']]);
  await one.links.close();
  await rawPeer(t, port);
  t.true(await until(() => two.events.at(-1) === 'up 0 old'));
});

test('a newer authenticated connection takes the place of an older one', async t => {
  const port = await freePort();
  const two = startNode(t, 2, { port });
  const old = await rawPeer(t, port);
  t.true(await until(() => two.events.length === 1));
  const newer = await rawPeer(t, port);
  t.true(await until(() => two.events.length === 3));
  t.deepEqual(two.events, ['up 0 old', 'down 0 a newer connection took its place', 'up 0 old']);
  t.true(await until(() => old?.destroyed === true));
  newer?.write(framed(Buffer.from('here')));
  t.true(await until(() => two.frames.length === 1));
  t.is(two.links.counters().replaced, 1);
});

test('when the peer restarts, the links come back by themselves', async t => {
  const port = await freePort();
  const one = startNode(t, 1, { port });
  for (let round = 1; round <= 3; round++) {
    const two = startNode(t, 2, { port });
    t.true(await until(() => isUp(one) && isUp(two)));
    await two.links.close();
    t.true(await until(() => one.links.states().every(({ connected }) => !connected)));
    t.false(one.links.send(0, Buffer.from('x')));
  }
  t.is(one.events.filter(event => event.startsWith('up')).length, 6);
  t.true(one.links.counters().connectFailures > 0);
});

test('a port that is taken, and an address that is not there, are tried again until they are free', async t => {
  const port = await freePort();
  const squatter = createServer();
  await listening(t, squatter, port);
  const addresses: [string, string][] = [...ADDRESSES.slice(0, 1), ['127.0.0.4', '203.0.113.77']] as [string, string][];
  const two = startNode(t, 2, { port, addresses });
  t.true(await until(() => two.links.counters().bindFailures >= 4));
  const [taken, absent] = two.links.states().map(({ problem }) => problem);
  t.regex(taken ?? '', /^cannot listen on 127\.0\.0\.3:\d+ \(.*EADDRINUSE/);
  t.regex(absent ?? '', /^cannot listen on 203\.0\.113\.77:\d+ \(.*EADDRNOTAVAIL/);
  await new Promise(resolve => squatter.close(resolve));
  const one = startNode(t, 1, { port, addresses: ADDRESSES.slice(0, 1) });
  t.true(await until(() => isUp(one)));
  t.is(two.links.states()[0]?.problem, '');
});

test('a peer that does not read is told so by send(), and what waits is bounded', async t => {
  const port = await freePort();
  const queuedBytesMax = 500_000;
  const two = startNode(t, 2, { port, limits: { queuedBytesMax } });
  const peer = await rawPeer(t, port);
  peer?.pause();
  t.true(await until(() => two.events.length === 1));
  const frame = randomBytes(60_000);
  let accepted = 0;
  // The kernel's buffers take some megabytes first.
  while (accepted < 1_000 && two.links.send(0, frame)) {
    accepted++;
    if (accepted % 8 === 0) await pause(1);
  }
  t.true(accepted < 1_000);
  t.true((two.links.states()[0]?.queuedBytes ?? 0) <= queuedBytesMax);
  t.is(two.links.counters().queueFull, 1);
  peer?.resume();
  t.true(await until(() => two.links.send(0, frame)), 'once it reads again, it goes on');
});

test('send() is false on a link that is not there', async t => {
  const two = startNode(t, 2, { port: await freePort() });
  t.false(two.links.send(0, Buffer.from('x')));
  t.false(two.links.send(7, Buffer.from('x')));
});

test('a peer that accepts and says nothing is left after its time, and tried again', async t => {
  const port = await freePort();
  const silent = createServer(socket => socket.on('error', () => undefined));
  await listening(t, silent, port);
  const limits = { handshakeMs: 100 };
  const one = startNode(t, 1, { port, addresses: ADDRESSES.slice(0, 1), limits });
  t.true(await until(() => one.links.counters().handshakeFailures >= 3));
  t.is(one.links.states()[0]?.problem, 'no TLS handshake within 0.1 s');
});

test('a peer that takes every connection and drops it is not asked in a tight circle', async t => {
  const port = await freePort();
  let connections = 0;
  const rude = createServer(socket => {
    connections++;
    socket.destroy();
  });
  await listening(t, rude, port);
  startNode(t, 1, { port, addresses: ADDRESSES.slice(0, 1), limits: { backoffMsMin: 100, backoffMsMax: 400 } });
  await pause(1_000);
  // 75, 150, 300, 300 ms with chance at one half.
  t.true(connections >= 1 && connections <= 6, `${connections}`);
});

test('after close() nothing happens any more, and the port is free', async t => {
  const port = await freePort();
  const [one, two] = [startNode(t, 1, { port }), startNode(t, 2, { port })];
  t.true(await until(() => isUp(one) && isUp(two)));
  await Promise.all([one.links.close(), two.links.close()]);
  const events = [...one.events, ...two.events].length;
  t.is(events, 8, 'each link once up and once down, on both sides');
  t.false(one.links.send(0, Buffer.from('x')));
  await pause(150);
  t.is([...one.events, ...two.events].length, events);
  await listening(t, createServer(), port);
});

test('close() before anything has begun is no error', async t => {
  const port = await freePort();
  const two = startNode(t, 2, { port });
  const one = startNode(t, 1, { port });
  await Promise.all([one.links.close(), two.links.close()]);
  await pause(50);
  t.deepEqual([...one.events, ...two.events], []);
  await listening(t, createServer(), port);
});

test('the pause between attempts doubles up to its bound, half of it by chance', t => {
  const full = [0, 1, 2, 3, 4, 5, 6, 1_000].map(failures => backoffMs(failures, LINK_LIMITS, () => 1));
  t.deepEqual(full, [100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000]);
  t.is(
    backoffMs(0, LINK_LIMITS, () => 0),
    50,
  );
});

test('a link’s key is not the pair’s, and its name tells nothing but which of two it is', t => {
  const { offer, accept } = linkKeys(PAIR, keys(A, B));
  t.is(offer.identity, 'tandem-sync test cfbb5f10', 'computed by hand from RFC 5869');
  t.not(offer.key.toString('hex'), A.toString('hex'));
  t.is(offer.key.length, 32);
  t.is(accept.size, 2);
  t.deepEqual(accept.get(offer.identity), offer.key);
});

async function listening(t: ExecutionContext, server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.3');
  t.teardown(() => server.close());
  await once(server, 'listening');
}
