// One end of the traffic of scripts/bench stall, in a namespace of its own: `server` sends without end to whoever connects (the link is what limits it: always a full window in flight) and
// echoes datagrams; `client` reads the stream, sends a datagram every millisecond and tells every silence. Io. Events are JSON
// lines on stdout, times wall ms with a fraction.
//   stall-host server ADDRESS PORT     stall-host client LOCAL ADDRESS PORT     both end with their stdin
import { createSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';
import { wallNow } from '../../lab/pair/topology.ts';

const WRITE_BYTES = 65_536;
/** A silence of the stream worth telling. */
const STREAM_GAP_MS = 50;
/** A silence of the probes worth telling. */
const PROBE_GAP_MS = 10;

const say = (event: Readonly<Record<string, unknown>>): boolean => process.stdout.write(`${JSON.stringify(event)}\n`);

function serve(address: string, port: number): void {
  createServer(socket => stream(socket)).listen(port, address, () => say({ event: 'listening' }));
  const echo = createSocket('udp4');
  echo.on('message', (message, from) => echo.send(message, from.port, from.address, () => undefined));
  echo.bind(port, address);
}

function stream(socket: Socket): void {
  const data = Buffer.alloc(WRITE_BYTES);
  const fill = (): void => {
    while (socket.writable && socket.write(data));
  };
  socket.on('drain', fill).on('error', () => undefined);
  fill();
}

function watch(what: string, gapMs: number): () => void {
  let last = wallNow();
  return () => {
    const now = wallNow();
    if (now - last > gapMs) say({ event: what, from: last, to: now });
    last = now;
  };
}

function attend(local: string, address: string, port: number): void {
  const heard = watch('stream-gap', STREAM_GAP_MS);
  const socket = connect({ host: address, port, localAddress: local });
  socket.on('connect', () => say({ event: 'connected' }));
  socket.on('data', heard);
  socket.on('error', error => say({ event: 'broken', why: error.message }));
  socket.on('close', () => say({ event: 'closed' }));
  const probe = createSocket('udp4');
  const answered = watch('probe-gap', PROBE_GAP_MS);
  probe.on('message', answered);
  probe.on('error', error => say({ event: 'broken', why: error.message }));
  probe.bind(0, local, () => setInterval(() => probe.send('p', port, address, () => undefined), 1));
}

const [role, ...rest] = process.argv.slice(2);
process.stdin.resume().on('end', () => process.exit(0));
if (role === 'server') serve(rest[0] as string, Number(rest[1]));
else attend(rest[0] as string, rest[1] as string, Number(rest[2]));
