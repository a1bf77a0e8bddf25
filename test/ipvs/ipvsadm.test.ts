import test from 'ava';
import {
  formatBatch,
  formatCommand,
  parseCounts,
  parseDaemons,
  parsePersistentCounts,
  parseTable,
  parseThresholds,
  parseTimeouts,
} from '../../src/ipvs/ipvsadm.ts';
import { type IpvsCommand, markKey } from '../../src/ipvs/table.ts';
import type { Address } from '../../src/units/address.ts';

// Text of ipvsadm 1.31 on Linux 6.1.
const RULES = `-A -t 192.0.2.50:80 -s rr
-a -t 192.0.2.50:80 -r 198.51.100.11:8080 -m -w 1
-A -u 192.0.2.50:53 -s wrr -o
-A -t [2001:db8::50]:80 -s rr -p 300 -M 64
-A -f 21 -s wlc -p 360
-a -f 21 -r 198.51.100.11:0 -m -w 1
-a -f 21 -r 198.51.100.12:0 -m -w 0
-A -f 22 -6 -s sh -p 360
-a -f 22 -6 -r [2001:db8::11]:0 -m -w 3
-A -f 30 -s rr -p 300 -M 255.255.255.0
-A -f 31 -s sh -b sh-port,sh-fallback
-a -f 31 -r 198.51.100.13:0 -i -w 1 --tun-type ipip
`;
const COUNTS = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn 
  -> RemoteAddress:Port
TCP  192.0.2.50:80 rr
  -> 198.51.100.11:8080           5          2          0          0         
UDP  192.0.2.50:53 wrr ops
TCP  [2001:db8::50]:80 rr persistent 300 mask 64
FWM  21 wlc persistent 360
  -> 198.51.100.11:0              0          0          7          2         
  -> 198.51.100.12:0              1          0          0          0         
FWM  22 IPv6 sh persistent 360
  -> [2001:db8::11]:0             0          0          0          0         
FWM  30 rr persistent 300 mask 255.255.255.0
FWM  31 sh (sh-fallback,sh-port)
  -> 198.51.100.13:0              0          0          0          0         
`;
/** The same moment, but for a server that has just come. */
const PERSISTENT = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn
  -> RemoteAddress:Port
FWM  21 wlc persistent 360
  -> 198.51.100.11:0              1         4           7          2         
FWM  22 IPv6 sh persistent 360
  -> [2001:db8::11]:0             1         1           0          0         
`;

test("the table of a real kernel is read with services of others, both families and every server's connections", t => {
  const table = parseTable(RULES, parseCounts(COUNTS, PERSISTENT));
  t.deepEqual(
    table?.services.map(service => service.key as string),
    ['-t 192.0.2.50:80', '-u 192.0.2.50:53', '-t [2001:db8::50]:80', '-f 21', '-f 22 -6', '-f 30', '-f 31'],
  );
  const ours = table?.services.find(service => service.key === markKey(21, 4));
  t.like(ours, { scheduler: 'wlc', persistenceS: 360, mask: '', schedulerFlags: '', extras: '' });
  t.deepEqual(ours?.servers[0], {
    address: '198.51.100.11' as Address,
    port: 0,
    forwarding: 'nat',
    weight: 1,
    upperThreshold: 0,
    lowerThreshold: 0,
    activeConnections: 7,
    inactiveConnections: 2,
    templates: 4,
  });
  t.is(ours?.servers[1]?.templates, 0);
  t.is(ours?.servers[1]?.upperThreshold, 1);
  t.is(table?.services[4]?.servers[0]?.address, '2001:db8::11' as Address);
  t.like(table?.services[5], { mask: '255.255.255.0', extras: '' });
  t.is(table?.services[1]?.extras, '-o');
  t.is(table?.services[6]?.schedulerFlags, 'sh-fallback,sh-port');
  t.is(table?.services[6]?.servers[0]?.forwarding, 'tun');
});

test('an empty table is an empty table', t => {
  const head = COUNTS.split('\n').slice(0, 3).join('\n');
  t.deepEqual(parseTable('', parseCounts(head, PERSISTENT)), { services: [] });
});

test('rules and counts that speak of different servers are refused, so that no server is taken for idle', t => {
  const fewer = COUNTS.replace(/.*198\.51\.100\.12:0.*\n/, '');
  t.is(parseTable(RULES, parseCounts(fewer, PERSISTENT)), undefined);
  const more = RULES.replace(/.*198\.51\.100\.12:0.*\n/, '');
  t.is(parseTable(more, parseCounts(COUNTS, PERSISTENT)), undefined);
});

for (const [what, read] of [
  ['a rule of an unknown kind', () => parseTable('-Z -f 21\n', [])],
  ['a service without a scheduler', () => parseTable('-A -f 21\n', [])],
  ['a server without a weight', () => parseTable('-a -f 21 -r 198.51.100.11:0 -m\n', [])],
  ['a host name for an address', () => parseTable('-a -f 21 -r ftp1:0 -m -w 1\n', [])],
  ['a list cut off in mid-line', () => parseThresholds('FWM  21 wlc persistent 360\n  -> 198.51.100.11:0   0')],
  ['a server before its service', () => parseThresholds('  -> 198.51.100.11:0   0 0 0 0')],
  ['something else for time-outs', () => parseTimeouts('Zeit (tcp): 900')],
  ['something else for daemons', () => parseDaemons('master daemon')],
] as const) {
  test(`${what} is an error that quotes the line, not a wrong table`, t => {
    t.throws(read, { name: 'IpvsadmTextError', message: /cannot read: ".+"/ });
  });
}

test('time-outs and sync daemons of a real kernel are read', t => {
  t.deepEqual(parseTimeouts('Timeout (tcp tcpfin udp): 7200 120 300\n'), { tcpS: 7200, tcpFinS: 120, udpS: 300 });
  t.deepEqual(parseDaemons(''), []);
  const daemons = `master sync daemon (mcast=x0, syncid=21, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)
backup sync daemon (mcast=x0, syncid=21, maxlen=65507, group=224.0.0.81, port=8848, ttl=1)
`;
  t.deepEqual(parseDaemons(daemons), [
    { state: 'master', interface: 'x0', syncId: 21, lengthMax: 1472, group: '224.0.0.81', port: 8848 },
    { state: 'backup', interface: 'x0', syncId: 21, lengthMax: 65507, group: '224.0.0.81', port: 8848 },
  ]);
  t.like(parseDaemons('backup sync daemon (mcast=eth1, syncid=7)\n')[0], { interface: 'eth1', syncId: 7, port: 8848 });
});

test('templates and connections of a real kernel are read by server', t => {
  const text = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn 
  -> RemoteAddress:Port
FWM  21 wlc persistent 360
  -> 198.51.100.11:0              1         17603       0          2         
FWM  21 IPv6 wlc persistent 360
  -> [2001:db8::11]:0             1         256         1          0         
`;
  const one = { key: markKey(21, 4), address: '198.51.100.11', port: 0, templates: 17_603 };
  const six = { key: markKey(21, 6), address: '2001:db8::11', port: 0, templates: 256 };
  t.deepEqual(parsePersistentCounts(text) as readonly object[], [
    { ...one, activeConnections: 0, inactiveConnections: 2 },
    { ...six, activeConnections: 1, inactiveConnections: 0 },
  ]);
});

test('a batch is written as ipvsadm -R reads it', t => {
  const key = markKey(22, 6);
  const server = {
    key,
    address: '2001:db8::11' as Address,
    port: 0,
    forwarding: 'nat',
    weight: 3,
    upperThreshold: 0,
    lowerThreshold: 0,
  } as const;
  const commands: IpvsCommand[] = [
    { type: 'set-timeouts', timeouts: { tcpS: 7200, tcpFinS: 120, udpS: 0 } },
    {
      type: 'add-service',
      service: { key, scheduler: 'sh', persistenceS: 360, mask: '', schedulerFlags: 'sh-fallback' },
    },
    { type: 'add-server', server },
    { type: 'drain-server', server: { ...server, upperThreshold: 1 }, connections: 2 },
    { type: 'delete-server', key, address: server.address, port: 0 },
    { type: 'delete-service', key },
  ];
  t.is(
    formatBatch(commands),
    `--set 7200 120 0
-A -f 22 -6 -s sh -p 360 -b sh-fallback
-a -f 22 -6 -r [2001:db8::11]:0 -m -w 3 -x 0
-e -f 22 -6 -r [2001:db8::11]:0 -m -w 3 -x 1
-d -f 22 -6 -r [2001:db8::11]:0
-D -f 22 -6
`,
  );
  const edit: IpvsCommand = {
    type: 'edit-service',
    vital: true,
    service: { key: markKey(21, 4), scheduler: 'wlc', persistenceS: 60, mask: '', schedulerFlags: '' },
  };
  t.is(formatCommand(edit), '-E -f 21 -s wlc -p 60');
});
