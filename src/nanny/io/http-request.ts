// One HTTP/1.1 request of a check, over a connection that is there already, read by Node's own
// reader. Bounded: 16 KiB of headers, a few interim answers; the body is handed on and not kept.
// Not pure.
import { createHash } from 'node:crypto';
import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { hostPort } from '../../units/address.ts';
import type { HttpAsked, PortPlan } from '../plain-plan.ts';
import type { PortEvent } from '../port-check.ts';

const HEADER_BYTES_MAX = 16_384;
/** Answers of 100 to 199 before the one that counts (RFC 9110 section 15.2). */
const INTERIM_MAX = 8;

interface HttpPorts {
  readonly feed: (event: PortEvent) => void;
  readonly fail: (error: NodeJS.ErrnoException) => void;
}

/** Whoever closes `socket` ends it. */
export function httpRequest(socket: Socket, { address, port }: PortPlan, asks: HttpAsked, ports: HttpPorts): void {
  const { method, path, host = hostPort(address, port) } = asks;
  const sent = request({
    // Without an agent the connection is this one and nobody keeps it.
    createConnection: () => socket,
    ...{ method, path, setHost: false, maxHeaderSize: HEADER_BYTES_MAX, insecureHTTPParser: false },
    headers: { Host: host, 'User-Agent': 'tandem', Accept: '*/*', Connection: 'close' },
  });
  let interim = 0;
  sent.on('information', () => {
    interim += 1;
    if (interim > INTERIM_MAX) ports.fail(Object.assign(new Error(), { code: 'HPE_TOO_MANY_INTERIM' }));
  });
  sent.on('response', response => read(response, asks, ports));
  // An upgrade that nobody asked for has no body that ends.
  sent.on('upgrade', ({ statusCode, statusMessage }) => {
    ports.feed({ type: 'responded', status: statusCode ?? 0, reason: statusMessage ?? '' });
    ports.feed({ type: 'closed' });
  });
  sent.on('error', (error: NodeJS.ErrnoException) => fail(error, ports));
  sent.end();
}

function read(response: IncomingMessage, { content }: HttpAsked, ports: HttpPorts): void {
  const hash = content.sha256 === undefined ? undefined : createHash('sha256');
  ports.feed({ type: 'responded', status: response.statusCode ?? 0, reason: response.statusMessage ?? '' });
  response.on('data', (bytes: Uint8Array) => {
    hash?.update(bytes);
    ports.feed({ type: 'body', bytes });
  });
  response.on('end', () => ports.feed({ type: 'body-ended', ...(hash && { sha256: hash.digest('hex') }) }));
  response.on('error', (error: NodeJS.ErrnoException) => fail(error, ports));
}

/** A connection that was closed in order before the answer is no error of the connection. */
function fail(error: NodeJS.ErrnoException, { feed, fail: tell }: HttpPorts): void {
  if (error.code === 'ECONNRESET' && error.syscall === undefined) feed({ type: 'closed' });
  else tell(error);
}
