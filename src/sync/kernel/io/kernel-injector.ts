// Puts entries into this router's own kernel: sync messages on lo, no faster than the backup daemon
// reads them. Not pure. What waits in the daemon's socket and what it has dropped are in
// /proc/net/udp, so that nothing is lost with the smallest buffers and without waiting for longer
// than needed (seen: 79 messages of 255 entries at once, default buffer: 12 lost; so: none).

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { INJECTION_PORT, SYNC_GROUP } from '../../../ipvs/sync-daemon.ts';
import { monotonicNow } from '../../../units/io/clocks.ts';
import type { Entry } from '../../table/entry.ts';
import { INJECTION_BYTES_MAX, SYNC_ID } from '../daemon-plan.ts';
import { encodeMessages } from '../wire.ts';
import { readUdpSocket } from './udp-socket-table.ts';

export interface KernelInjector {
  /**
   * Resolves when the kernel has read them all. Calls are served one after the other. Rejects when
   * the socket fails.
   */
  inject(entries: readonly Entry[]): Promise<{ readonly dropped: number }>;
  close(): void;
}

/**
 * Messages that are sent before the daemon's socket is looked at. With the kernel's bookkeeping a
 * message of 9 KB takes 16.6 KB of the buffer, which holds 208 KB unless somebody made it smaller.
 */
const BURST_MESSAGES = 8;
const LOOPBACK = '127.0.0.1';
/** Never leaves the host, not even by mistake. */
const TTL = 0;
const POLL_MS = 1;
const DRAIN_MS_MAX = 5_000;
/**
 * The message that was read last may still be at work: 255 entries take the kernel less than this.
 */
const SETTLE_MS = 2;
const ATTEMPTS_MAX = 4;
/** Entries made into messages at a time, so that the loop is never blocked for long. */
const SLICE_ENTRIES = 255 * BURST_MESSAGES;

export function createKernelInjector(): KernelInjector {
  let socket: Promise<Socket> | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const open = () => {
    socket ??= openSocket().catch((error: unknown) => {
      socket = undefined;
      throw error;
    });
    return socket;
  };
  return {
    inject: entries => {
      const done = last.then(async () => injectAll(await open(), entries));
      last = done.catch(() => undefined);
      return done;
    },
    close: () => {
      void socket?.then(
        opened => opened.close(),
        () => undefined,
      );
      socket = undefined;
    },
  };
}

async function openSocket(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.on('error', () => undefined);
  socket.bind(0, LOOPBACK);
  await Promise.race([once(socket, 'listening'), once(socket, 'close')]);
  socket.setMulticastInterface(LOOPBACK);
  socket.setMulticastLoopback(true);
  socket.setMulticastTTL(TTL);
  return socket;
}

async function injectAll(socket: Socket, entries: readonly Entry[]): Promise<{ dropped: number }> {
  let dropped = 0;
  for (let from = 0; from < entries.length; from += SLICE_ENTRIES) {
    const slice = entries.slice(from, from + SLICE_ENTRIES);
    const messages = encodeMessages(slice, SYNC_ID, INJECTION_BYTES_MAX);
    for (let at = 0; at < messages.length; at += BURST_MESSAGES) {
      dropped += await injectBurst(socket, messages.slice(at, at + BURST_MESSAGES));
    }
  }
  if (entries.length > 0) await sleep(SETTLE_MS);
  return { dropped };
}

/**
 * Sends until the kernel has read all of them without a loss: what it has already does no harm
 * twice. After a loss one by one, for buffers that somebody made smaller. Returns entries lost.
 */
async function injectBurst(socket: Socket, messages: readonly Buffer[]): Promise<number> {
  let outcome = await injectOnce(socket, messages);
  if (outcome === 'taken') return 0;
  let lost = 0;
  for (const message of messages) {
    for (let attempt = 1; outcome !== 'nobody' && attempt < ATTEMPTS_MAX; attempt += 1) {
      outcome = await injectOnce(socket, [message]);
      if (outcome === 'taken') break;
    }
    if (outcome !== 'taken') lost += message.readUInt8(4);
  }
  return lost;
}

/** nobody: no daemon runs, or it reads nothing. */
async function injectOnce(socket: Socket, messages: readonly Buffer[]): Promise<'taken' | 'lost' | 'nobody'> {
  const before = await readUdpSocket(SYNC_GROUP, INJECTION_PORT);
  if (before === undefined) return 'nobody';
  await Promise.all(messages.map(message => send(socket, message)));
  const after = await drained();
  if (after === undefined) return 'nobody';
  return after.drops === before.drops ? 'taken' : 'lost';
}

function send(socket: Socket, message: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(message, INJECTION_PORT, SYNC_GROUP, error => (error ? reject(error) : resolve()));
  });
}

/**
 * The daemon's socket once nothing waits in it; undefined when it is gone, or reads nothing for
 * long.
 */
async function drained(): ReturnType<typeof readUdpSocket> {
  const end = monotonicNow() + DRAIN_MS_MAX;
  while (monotonicNow() < end) {
    const socket = await readUdpSocket(SYNC_GROUP, INJECTION_PORT);
    if (socket === undefined || socket.receiveQueueBytes === 0) return socket;
    await sleep(POLL_MS);
  }
  return undefined;
}
