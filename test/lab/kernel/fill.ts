// Puts many entries into the kernel of the namespace that it runs in, by sync messages to its backup daemon:
// `fill.js ENTRIES INTERFACE ADDRESS PORT SYNC_ID`. Half are TCP connections by IPv4, half are persistence templates by IPv6, as the
// lab's two services have them. Paced by the daemon's own socket: a message that does not fit into it is lost. Io.
import { createSocket, type Socket } from 'node:dgram';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeMessages } from '../../../src/sync/kernel/wire.ts';
import {
  type Entry,
  FLAG,
  PROTOCOL_TCP,
  type RawAddress,
  rawOf,
  TEMPLATE_ASSURED,
  templateOf,
} from '../../../src/sync/table/entry.ts';
import type { Address } from '../../../src/units/address.ts';
import { SERVER_ADDRESSES, SERVER_ADDRESSES6, VIP } from '../pair/topology.ts';

const GROUP = '224.0.0.81';
/** Messages before the socket is looked at: well within the default buffer. */
const BURST = 32;
const CHUNK = 20_000;
/** Beyond anything a benchmark takes. */
const TIMEOUT_S = 7_200;
/** First port and number of ports of an invented client. */
const PORTS = { first: 1_024, count: 60_000 };

const servers = Object.values(SERVER_ADDRESSES).map(address => rawOf(address as Address));
const servers6 = Object.values(SERVER_ADDRESSES6).map(address => rawOf(address as Address));
const vip = rawOf(VIP as Address);
/** The invented clients: 192.0.2.110 and on, 2001:db8:1:1:: and on, without their last byte and last four bytes. */
const clients = rawOf('192.0.2.0' as Address).slice(0, 6);
const clients6 = rawOf('2001:db8:1:1::' as Address).slice(0, 24);

/** Entry number `index`, the same in every run. */
function entryOf(index: number): Entry {
  const number = Math.floor(index / 2);
  return index % 2 === 0 ? connectionOf(number) : templateOf6(number);
}

function connectionOf(number: number): Entry {
  const last = 110 + Math.floor(number / PORTS.count);
  return {
    protocol: PROTOCOL_TCP,
    client: `${clients}${last.toString(16)}` as RawAddress,
    clientPort: PORTS.first + (number % PORTS.count),
    virtual: vip,
    virtualPort: 21,
    server: servers[number % servers.length] as RawAddress,
    serverPort: 21,
    flags: 0,
    state: 1,
    mark: 21,
    timeoutS: TIMEOUT_S,
  };
}

function templateOf6(number: number): Entry {
  const client = `${clients6}${number.toString(16).padStart(8, '0')}`;
  const server = servers6[number % servers6.length] as RawAddress;
  return {
    ...templateOf({ client: client as RawAddress, server, mark: 22, flags: FLAG.template }, TIMEOUT_S),
    state: TEMPLATE_ASSURED,
  };
}

/** Bytes that wait in the daemon's socket, and datagrams it has dropped, of this namespace. */
async function backlog(port: number): Promise<{ readonly bytes: number; readonly drops: number }> {
  const table = await readFile('/proc/self/net/udp', 'utf8');
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  let bytes = 0;
  let drops = 0;
  for (const row of table.split('\n').slice(1)) {
    const fields = row.trim().split(/\s+/);
    if (!fields[1]?.endsWith(suffix)) continue;
    bytes += Number.parseInt(fields[4]?.split(':')[1] ?? '0', 16);
    drops += Number(fields.at(-1));
  }
  return { bytes, drops };
}

function send(socket: Socket, message: Buffer, port: number): Promise<void> {
  return new Promise((resolve, reject) =>
    socket.send(message, port, GROUP, error => (error ? reject(error) : resolve())),
  );
}

async function fill(total: number, address: string, port: number, syncId: number): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>(resolve => socket.bind(0, address, resolve));
  socket.setMulticastInterface(address);
  socket.setMulticastLoopback(true);
  // 0 would not leave by a veth.
  socket.setMulticastTTL(1);
  const before = (await backlog(port)).drops;
  for (let next = 0; next < total; next += CHUNK) {
    const size = Math.min(CHUNK, total - next);
    const entries = Array.from({ length: size }, (_, offset) => entryOf(next + offset));
    const messages = encodeMessages(entries, syncId);
    for (const [index, message] of messages.entries()) {
      await send(socket, message, port);
      if (index % BURST !== BURST - 1) continue;
      while ((await backlog(port)).bytes > 0) await sleep(2);
    }
    process.stderr.write(`fill: ${next + size} of ${total}\n`);
  }
  while ((await backlog(port)).bytes > 0) await sleep(5);
  socket.close();
  return (await backlog(port)).drops - before;
}

const [total, address, port, syncId] = [process.argv[2], process.argv[3], process.argv[4], process.argv[5]];
if (total === undefined || address === undefined) {
  process.stderr.write('usage: fill.js ENTRIES LOCAL_ADDRESS [PORT [SYNC_ID]]\n');
  process.exit(64);
}
const startedAt = performance.now();
const dropped = await fill(Number(total), address, Number(port ?? 8848), Number(syncId ?? 0));
process.stdout.write(`${JSON.stringify({ tookMs: Math.round(performance.now() - startedAt), dropped })}\n`);
