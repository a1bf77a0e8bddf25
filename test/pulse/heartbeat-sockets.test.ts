// The heartbeat's sockets on loopback: whom the kernel lets in, and what the network's complaints
// do to a link (nothing).
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import type { Link } from '../../src/config/node.ts';
import { type HeartbeatSockets, openHeartbeatSockets } from '../../src/pulse/io/heartbeat-sockets.ts';
import type { Address } from '../../src/units/address.ts';

const PORT = 20_694 + (process.pid % 20_000);
const OWN = '127.0.0.11' as Address;
const PEER = '127.0.0.12' as Address;
const STRANGER = '127.0.0.13';

interface Opened {
  readonly links: HeartbeatSockets;
  readonly heard: string[];
  readonly troubles: string[];
}

function open(t: ExecutionContext, port: number, remote: Address = PEER): Opened {
  const heard: string[] = [];
  const troubles: string[] = [];
  const link: Link = { lan: 'lo', interface: 'lo', local: OWN, remote };
  const links = openHeartbeatSockets({
    links: [link],
    port,
    onDatagram: (_, bytes, from) => heard.push(`${from} ${bytes.toString()}`),
    onBound: (_, problem) => problem !== undefined && troubles.push(problem),
    onTrouble: (_, problem) => troubles.push(problem),
  });
  t.teardown(() => links.close());
  return { links, heard, troubles };
}

async function socketAt(address: string, port: number): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(port, address);
  await once(socket, 'listening');
  return socket;
}

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

test.serial("the kernel lets in the peer's datagrams and nobody else's", async t => {
  const { heard } = open(t, PORT);
  const [peer, stranger] = [await socketAt(PEER, PORT), await socketAt(STRANGER, PORT)];
  // The right address, another port: a process of the peer's host that is not its pulse.
  const otherPort = await socketAt(PEER, PORT + 1);
  await pause(50);
  for (const socket of [stranger, otherPort]) socket.send('noise', PORT, OWN);
  peer.send('beat', PORT, OWN);
  await pause(100);
  t.deepEqual(heard, [`${PEER} beat`]);
  for (const socket of [peer, stranger, otherPort]) socket.close();
});

test.serial('a peer whose port is closed, and the ICMP that says so, cost no datagram and close nothing', async t => {
  const { links, heard, troubles } = open(t, PORT + 2);
  await pause(50);
  // On loopback the refusal of one is there before the next is sent: without a second try every
  // other one would be lost.
  for (let n = 0; n < 20; n += 1) {
    for (const word of ['early', 'too early']) links.send(0, Buffer.from(word));
    await pause(5);
  }
  const peer = await socketAt(PEER, PORT + 2);
  const arrived: string[] = [];
  peer.on('message', bytes => arrived.push(bytes.toString()));
  links.send(0, Buffer.from('one'));
  links.send(0, Buffer.from('two'));
  peer.send('beat', PORT + 2, OWN);
  await pause(100);
  t.deepEqual(arrived, ['one', 'two']);
  t.deepEqual(heard, [`${PEER} beat`]);
  t.deepEqual(troubles, [], 'what the network says of the peer is no trouble of the link');
  peer.close();
});

test.serial('a link without a route to the peer says so and is tried again', async t => {
  // From a loopback address the kernel sends nothing to a host outside: as without a route,
  // connect() fails.
  const { troubles } = open(t, PORT + 3, '192.0.2.77' as Address);
  await pause(1_300);
  t.true(troubles.length >= 2, troubles.join(', '));
});
