// The port of a bridge where a claim was heard, from files as the kernel shows them in /sys/class/net.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { bridgePort, withBridgePort } from '../../src/pulse/io/bridge-port.ts';
import { parseVipdLine } from '../../src/vip/protocol.ts';

const MAC = '02:00:00:00:00:42';

function entry(mac: string, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.write(mac.replaceAll(':', ''), 'hex');
  bytes[6] = port & 255;
  bytes[12] = port >> 8;
  return bytes;
}

function bridge(t: ExecutionContext, entries: readonly Buffer[], ports: Readonly<Record<string, number>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-bridge-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, 'br0'));
  writeFileSync(join(directory, 'br0/brforward'), Buffer.concat(entries));
  for (const [name, number] of Object.entries(ports)) {
    mkdirSync(join(directory, 'br0/brif', name), { recursive: true });
    writeFileSync(join(directory, 'br0/brif', name, 'port_no'), `0x${number.toString(16)}\n`);
  }
  return directory;
}

/** The look gives up after some milliseconds, and a loaded machine may take those from a test. */
function portOf(iface: string, mac: string, directory: string): string {
  const looks = Array.from({ length: 20 }, () => bridgePort(iface, mac, directory));
  return looks.find(look => look !== iface) ?? iface;
}

test('the port of a bridge is found by the MAC, whatever its number', t => {
  const others = Array.from({ length: 300 }, (_, i) => entry(`02:01:00:00:${i > 255 ? '01' : '00'}:09`, 1));
  const directory = bridge(t, [...others, entry(MAC, 0x102)], { lan0: 1, lan1: 2, lan258: 0x102 });
  t.is(portOf('br0', MAC, directory), 'br0/lan258');
  t.is(portOf('br0', '02:01:00:00:00:09', directory), 'br0/lan0');
});

for (const [what, iface, mac, port] of [
  ['an interface that is no bridge', 'lan0', MAC, 2],
  ['a MAC that the bridge does not know', 'br0', '02:00:00:00:00:43', 2],
  ['a port that has gone', 'br0', MAC, 7],
] as const)
  test(`${what} is told by the interface's name`, t => {
    t.is(portOf(iface, mac, bridge(t, [entry(MAC, port)], { lan0: 1 })), iface);
  });

test('a table that is cut in the middle of an entry is read as far as it goes', t => {
  const directory = bridge(t, [entry('02:00:00:00:00:41', 1), entry(MAC, 1).subarray(0, 9)], { lan0: 1 });
  t.is(portOf('br0', '02:00:00:00:00:41', directory), 'br0/lan0');
  t.is(portOf('br0', MAC, directory), 'br0');
});

for (const [from, line, port] of [
  ['a vipd of 0.3.0', `conflict 3 ${MAC} br0/lan0`, 'br0/lan0'],
  ['this vipd', `conflict 3 ${MAC} no-such-bridge 02:00:00:00:00:44`, 'no-such-bridge'],
  ['a vipd that says nothing of it', `conflict 3 ${MAC}`, ''],
] as const)
  test(`the machine is told of a conflict in one form, by ${from}`, t => {
    const message = parseVipdLine(line);
    t.truthy(message);
    if (message) t.deepEqual(withBridgePort(message), { type: 'conflict', index: 3, mac: MAC, port });
  });
