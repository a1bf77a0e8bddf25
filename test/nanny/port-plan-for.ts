// The plan of an ordinary check of a service that is not FTP, for tests to change.
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { CheckOutcome } from '../../src/nanny/io/check-outcome.ts';
import { runPortCheck } from '../../src/nanny/io/port-check.ts';
import type { ExchangeAsked, HttpAsked, PortPlan } from '../../src/nanny/plain-plan.ts';
import type { CheckResult } from '../../src/nanny/verdict.ts';
import type { Address } from '../../src/units/address.ts';
import { ms } from '../../src/units/duration.ts';
import { monotonicNow } from '../../src/units/io/clocks.ts';

export function portPlanFor(changes: Partial<PortPlan> = {}): PortPlan {
  return {
    type: 'port',
    protocol: 'tcp',
    address: '198.51.100.11' as Address,
    origin: undefined,
    port: 80,
    tls: undefined,
    asks: { type: 'nothing' },
    timeoutMs: ms(20_000),
    slowFail: {},
    ...changes,
  };
}

export function exchange(send: string, changes: Partial<ExchangeAsked> = {}): ExchangeAsked {
  const rest = { banner: undefined, expect: undefined, maxBytes: 4_096, isSecret: false };
  return { type: 'exchange', send: Buffer.from(send), ...rest, ...changes };
}

export function http(changes: Partial<HttpAsked> = {}): HttpAsked {
  return {
    ...{ type: 'http', method: 'GET', path: '/', host: undefined, statuses: [{ first: 200, last: 299 }] },
    content: { size: undefined, sha256: undefined, text: undefined },
    maxBytes: 65_536,
    ...changes,
  };
}

/** Something that listens on loopback. */
export interface Listening {
  readonly port: number;
  close(): Promise<void>;
}

export async function listening(server: Server): Promise<Listening> {
  const sockets = new Set<Socket>();
  server.on('connection', socket => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise(resolve => server.close(resolve));
  };
  return { port: (server.address() as AddressInfo).port, close };
}

/** A TCP server that does `serve` with each connection. */
export function startStream(serve: (socket: Socket) => void): Promise<Listening> {
  return listening(createServer(serve));
}

export function startHttp(serve: RequestListener): Promise<Listening> {
  return listening(createHttpServer(serve));
}

/** Checks a port of loopback; for a result of whichever kind. */
export async function outcomeHere(port: number, changes: Partial<PortPlan>): Promise<CheckOutcome> {
  const plan = portPlanFor({ address: '127.0.0.1' as Address, port, ...changes });
  return await runPortCheck(plan, { now: monotonicNow });
}

export async function checkHere(port: number, changes: Partial<PortPlan>): Promise<CheckResult> {
  const outcome = await outcomeHere(port, changes);
  if (outcome.type !== 'result') throw new Error(`no result but ${JSON.stringify(outcome)}`);
  return outcome.result;
}

/** The same with a server of its own, which is gone afterwards. */
export async function checkOf(server: Promise<Listening>, changes: Partial<PortPlan>): Promise<CheckResult> {
  const { port, close } = await server;
  try {
    return await checkHere(port, changes);
  } finally {
    await close();
  }
}
