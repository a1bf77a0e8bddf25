// Hears what the kernel's master daemon says on the private link. Not pure. Nothing else is taken:
// only datagrams from the master's own address, which no packet from a wire can have (the kernel
// drops it as its own), in the kernel's own format.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { EVENT_PORT, SYNC_GROUP } from '../../../ipvs/sync-daemon.ts';
import type { Entry } from '../../table/entry.ts';
import type { Scope } from '../../table/scope.ts';
import { SYNC_ID } from '../daemon-plan.ts';
import { decodeMessage } from '../wire.ts';
import { readUdpSocket } from './udp-socket-table.ts';

interface EventSocketOptions {
  readonly masterAddress: string;
  readonly listenerAddress: string;
  readonly scope: () => Scope;
  readonly entries: (entries: readonly Entry[]) => void;
  readonly lost: (what: string) => void;
  readonly count: (name: EventCounter, by: number) => void;
}

type EventCounter = 'events_received' | 'events_foreign' | 'events_refused' | 'events_other_source' | 'events_dropped';

export interface EventSocket {
  readonly masterAddress: string;
  readonly listenerAddress: string;
  /**
   * Sends a datagram the way the master's go and says whether it arrived: a firewall or a setting
   * may be in the way. `patient`: it should arrive, so one that is lost on a busy machine is sent
   * again; else one try is enough to see that nothing has changed.
   */
  probe(patient: boolean): Promise<boolean>;
  close(): void;
}

/** As much as the kernel grants (net.core.rmem_max): some seconds of a loop that is late. */
const BUFFER_BYTES = 8 * 1024 * 1024;
const DROPS_POLL_MS = 500;
const PROBE_MS_MAX = 1_000;
const PROBE_ATTEMPTS = 3;

/** Rejects when the socket cannot be bound or cannot join the group. */
export async function openEventSocket(options: EventSocketOptions): Promise<EventSocket> {
  const { masterAddress, listenerAddress } = options;
  const socket = await bindSocket(listenerAddress);
  const probes = new Map<string, () => void>();
  let serial = 0;
  socket.on('message', (message, from) => {
    const arrived = message.length < 64 ? probes.get(message.toString('latin1')) : undefined;
    if (arrived !== undefined && from.address === masterAddress) arrived();
    else take(options, message, from);
  });
  const watch = watchDrops(options);
  return {
    masterAddress,
    listenerAddress,
    probe: async patient => {
      for (let attempt = 0; attempt < (patient ? PROBE_ATTEMPTS : 1); attempt += 1) {
        serial += 1;
        const text = `tandem probe ${process.pid} ${serial}`;
        const heard = new Promise<boolean>(resolve => {
          const timer = setTimeout(() => resolve(false), PROBE_MS_MAX);
          probes.set(text, () => {
            clearTimeout(timer);
            resolve(true);
          });
        });
        await sendFrom(masterAddress, Buffer.from(text, 'latin1')).catch(() => undefined);
        const ok = await heard;
        probes.delete(text);
        if (ok) return true;
      }
      return false;
    },
    close: () => {
      clearInterval(watch);
      socket.close();
    },
  };
}

async function bindSocket(listenerAddress: string): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true, recvBufferSize: BUFFER_BYTES });
  try {
    // Bound to the group: datagrams to this router's own addresses do not come here.
    socket.bind({ port: EVENT_PORT, address: SYNC_GROUP, exclusive: true });
    await once(socket, 'listening');
    socket.addMembership(SYNC_GROUP, listenerAddress);
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.on('error', () => undefined);
  return socket;
}

function take({ masterAddress, scope, entries, count }: EventSocketOptions, message: Buffer, from: RemoteInfo): void {
  if (from.address !== masterAddress) return count('events_other_source', 1);
  const decoded = decodeMessage(message);
  if (!decoded.ok || decoded.syncId !== SYNC_ID) return count('events_refused', 1);
  const current = scope();
  const ours = decoded.entries.filter(entry => current.inScope(entry));
  count('events_received', ours.length);
  count('events_foreign', decoded.entries.length - ours.length + decoded.ignored);
  if (decoded.skipped > 0) count('events_refused', decoded.skipped);
  if (ours.length > 0) entries(ours);
}

/** The kernel counts what did not fit into the buffer. */
function watchDrops({ lost, count }: EventSocketOptions): NodeJS.Timeout {
  let known: number | undefined;
  const look = async () => {
    const found = await readUdpSocket(SYNC_GROUP, EVENT_PORT).catch(() => undefined);
    if (found === undefined) return;
    const more = known === undefined ? 0 : found.drops - known;
    known = found.drops;
    if (more <= 0) return;
    count('events_dropped', more);
    lost(`${more} messages of the kernel's sync master did not fit into the receive buffer (net.core.rmem_max)`);
  };
  void look();
  return setInterval(() => void look(), DROPS_POLL_MS).unref();
}

async function sendFrom(masterAddress: string, datagram: Buffer): Promise<void> {
  const socket = createSocket('udp4');
  try {
    socket.bind({ port: 0, address: masterAddress, exclusive: true });
    await once(socket, 'listening');
    socket.setMulticastInterface(masterAddress);
    // Out on the link only, as the kernel's own messages go.
    socket.setMulticastLoopback(false);
    await new Promise<void>((resolve, reject) => {
      socket.send(datagram, EVENT_PORT, SYNC_GROUP, error => (error ? reject(error) : resolve()));
    });
  } finally {
    socket.close();
  }
}
