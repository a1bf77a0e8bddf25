// Reads /proc/net/udp: what waits in a socket's receive buffer, and what it has lost. Sockets of
// the kernel's own threads are in there too, which is how the backup daemon's are seen. Pure.
// Source: udp4_format_sock in net/ipv4/udp.c.

export interface UdpSocket {
  /** As the kernel prints it: the address in host byte order, hex. */
  readonly address: string;
  readonly port: number;
  /** Bytes that wait to be read, with the kernel's bookkeeping of them. */
  readonly receiveQueueBytes: number;
  /** Datagrams dropped since the socket was made. */
  readonly drops: number;
}

/** "sl: address:port remote:port st tx:rx tr:when retrnsmt uid timeout inode ref pointer drops" */
const LINE =
  /^ *\d+: ([0-9A-F]{8}):([0-9A-F]{4}) [0-9A-F]{8}:[0-9A-F]{4} [0-9A-F]{2} [0-9A-F]{8}:([0-9A-F]{8}) .* (\d+) *$/;

/**
 * The sockets bound to `port` of the IPv4 address `address`. Lines of another shape are passed
 * over.
 */
export function socketsAt(table: string, address: string, port: number): readonly UdpSocket[] {
  const wanted = procHexOf(address);
  const found: UdpSocket[] = [];
  for (const line of table.split('\n')) {
    // Most lines are other people's: the cheap test comes first.
    if (!line.includes(wanted)) continue;
    const match = LINE.exec(line);
    if (match?.[1] !== wanted || Number.parseInt(match[2] as string, 16) !== port) continue;
    found.push({
      address: wanted,
      port,
      receiveQueueBytes: Number.parseInt(match[3] as string, 16),
      drops: Number(match[4]),
    });
  }
  return found;
}

/** Local addresses, dotted, of the sockets that are connected to `port` of `address`. */
export function sendersTo(table: string, address: string, port: number): readonly string[] {
  const remote = `${procHexOf(address)}:${port.toString(16).padStart(4, '0').toUpperCase()}`;
  return [...table.matchAll(/^ *\d+: ([0-9A-F]{8}):[0-9A-F]{4} (\S+) /gm)]
    .filter(([, , to]) => to === remote)
    .map(([, local]) => [...Buffer.from(local as string, 'hex')].reverse().join('.'));
}

/** Little-endian machines only, which all are that run Tandem. */
function procHexOf(address: string): string {
  const octets = address.split('.').map(Number);
  return octets
    .reverse()
    .map(octet => octet.toString(16).padStart(2, '0').toUpperCase())
    .join('');
}
