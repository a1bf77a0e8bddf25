// What waits in, and was lost by, the UDP sockets of this network namespace. Not pure: reads /proc.
import { readFile } from 'node:fs/promises';
import { sendersTo, socketsAt, type UdpSocket } from '../udp-table.ts';

const TABLE_FILE = '/proc/self/net/udp';

/** Whether a socket that sends to `address`:`port` has this source address. */
export async function sendsFrom(source: string, address: string, port: number): Promise<boolean> {
  return sendersTo(await readFile(TABLE_FILE, 'latin1'), address, port).includes(source);
}

/**
 * The sockets bound to `address`:`port`, summed; undefined when there is none. Rejects when /proc
 * cannot be read.
 */
export async function readUdpSocket(
  address: string,
  port: number,
): Promise<Pick<UdpSocket, 'receiveQueueBytes' | 'drops'> | undefined> {
  const sockets = socketsAt(await readFile(TABLE_FILE, 'latin1'), address, port);
  if (sockets.length === 0) return undefined;
  return {
    receiveQueueBytes: sockets.reduce((sum, socket) => sum + socket.receiveQueueBytes, 0),
    drops: sockets.reduce((sum, socket) => sum + socket.drops, 0),
  };
}
