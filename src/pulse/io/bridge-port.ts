// Where a MAC was heard: the interface, or the port of it when it is a Linux bridge. From the
// bridge's forwarding table in /sys/class/net (linux/if_bridge.h, struct __fdb_entry), which is
// read without the kernel's lock of link changes. Read at once, so that what vipd says stays in
// order, and bounded: it is for people, and no heartbeat may be late for it.
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { monotonicNow } from '../../units/io/clocks.ts';
import type { VipdMessage } from '../../vip/protocol.ts';

/** Of everything together, in ms; then the interface has to do. */
const LOOK_MS_MAX = 5;
const ENTRIES_MAX = 4_096;
const PORTS_MAX = 256;

/** struct __fdb_entry: MAC, low byte of the port's number, …, its high byte. */
const ENTRY_BYTES = 16;
const PORT_LOW_AT = 6;
const PORT_HIGH_AT = 12;
const READ_BYTES = 256 * ENTRY_BYTES;

/** A conflict with the port where it was heard. A vipd of 0.3.0 has looked that up itself. */
export function withBridgePort(message: VipdMessage): VipdMessage {
  if (message.type !== 'conflict' || message.from === undefined) return message;
  const { type, index, mac, port, from } = message;
  return { type, index, mac, port: bridgePort(port, from) };
}

/** "IFACE", or "BRIDGE/PORT". Never throws. */
export function bridgePort(iface: string, mac: string, directory = '/sys/class/net'): string {
  const end = monotonicNow() + LOOK_MS_MAX;
  try {
    const wanted = portNumber(join(directory, iface, 'brforward'), Buffer.from(mac.replaceAll(':', ''), 'hex'), end);
    const ports = join(directory, iface, 'brif');
    const found = wanted > 0 ? namedPort(ports, wanted, end) : undefined;
    return found === undefined ? iface : `${iface}/${found}`;
  } catch {
    // No bridge, or one that has just gone.
    return iface;
  }
}

/** The number of the port behind which the bridge knows `mac`; 0: none. */
function portNumber(path: string, mac: Buffer, end: number): number {
  const table = openSync(path, 'r');
  try {
    const entries = Buffer.alloc(READ_BYTES);
    for (let seen = 0; seen < ENTRIES_MAX && monotonicNow() < end; ) {
      const count = Math.floor(readSync(table, entries, 0, READ_BYTES, null) / ENTRY_BYTES);
      if (count === 0) break;
      seen += count;
      for (let at = 0; at < count * ENTRY_BYTES; at += ENTRY_BYTES) {
        if (entries.compare(mac, 0, mac.length, at, at + mac.length) !== 0) continue;
        return (entries.readUInt8(at + PORT_HIGH_AT) << 8) | entries.readUInt8(at + PORT_LOW_AT);
      }
    }
    return 0;
  } finally {
    closeSync(table);
  }
}

function namedPort(ports: string, wanted: number, end: number): string | undefined {
  for (const name of readdirSync(ports).slice(0, PORTS_MAX)) {
    if (monotonicNow() >= end) return undefined;
    // "0x1" and a line's end.
    if (Number(readFileSync(join(ports, name, 'port_no'), 'latin1')) === wanted) return name;
  }
  return undefined;
}
