import test from 'ava';
import fc from 'fast-check';
import { formatBatch } from '../../src/ipvs/ipvsadm.ts';
import {
  diff,
  type IpvsServer,
  type IpvsService,
  type IpvsTable,
  type Leave,
  markKey,
  type ServiceKey,
  type WantedService,
} from '../../src/ipvs/table.ts';
import type { Address } from '../../src/units/address.ts';
import { applyBatch, tableOf } from './model.ts';

const KEY = markKey(21, 4);
const A = '198.51.100.11' as Address;
const B = '198.51.100.12' as Address;
const C = '198.51.100.13' as Address;

function server(address: Address, changes: Partial<IpvsServer> = {}): IpvsServer {
  const counts = { activeConnections: 0, inactiveConnections: 0, templates: 0 };
  return {
    address,
    port: 0,
    forwarding: 'nat',
    weight: 1,
    upperThreshold: 0,
    lowerThreshold: 0,
    ...counts,
    ...changes,
  };
}

function service(servers: readonly IpvsServer[], changes: Partial<IpvsService> = {}): IpvsService {
  return {
    key: KEY,
    scheduler: 'wlc',
    persistenceS: 360,
    mask: '',
    schedulerFlags: '',
    extras: '',
    servers,
    ...changes,
  };
}

function wanted(servers: Readonly<Record<string, number>>, changes: Partial<WantedService> = {}): WantedService {
  const list = Object.entries(servers).map(([address, weight]) => ({
    address: address as Address,
    port: 0,
    forwarding: 'nat' as const,
    weight,
    upperThreshold: 0,
    lowerThreshold: 0,
    quiesced: false,
  }));
  const rest = { mask: '', schedulerFlags: '', persistenceS: 360, servers: list };
  return { key: KEY, name: 'ftp', scheduler: 'wlc', ...rest, ...changes };
}

const FOREIGN: IpvsService = service([server(C, { port: 8080, activeConnections: 4 })], {
  key: '-t 192.0.2.50:80' as ServiceKey,
  persistenceS: undefined,
});

const quiesced = (address: Address): WantedService => ({
  ...wanted({}),
  servers: [{ address, port: 0, forwarding: 'nat', weight: 4, upperThreshold: 40, lowerThreshold: 30, quiesced: true }],
});

interface Row {
  readonly title: string;
  readonly leave?: Leave;
  readonly actual: readonly IpvsService[];
  readonly wanted: readonly WantedService[];
  readonly owned?: readonly ServiceKey[];
  readonly batch: string;
}

const ROWS: readonly Row[] = [
  {
    title: 'an empty kernel gets the service, then its servers with port 0',
    actual: [],
    wanted: [wanted({ [A]: 1, [B]: 0 })],
    batch: `-A -f 21 -s wlc -p 360
-a -f 21 -r 198.51.100.11:0 -m -w 1 -x 0
-a -f 21 -r 198.51.100.12:0 -m -w 0 -x 0
`,
  },
  {
    title: 'a kernel that is as wanted is left alone',
    actual: [service([server(A), server(B, { weight: 0, activeConnections: 3 })])],
    wanted: [wanted({ [A]: 1, [B]: 0 })],
    batch: '',
  },
  {
    title: 'a weight is changed in place',
    actual: [service([server(A, { activeConnections: 3 })])],
    wanted: [wanted({ [A]: 5 })],
    batch: '-e -f 21 -r 198.51.100.11:0 -m -w 5 -x 0\n',
  },
  {
    title: 'scheduler and persistence are changed in place',
    actual: [service([server(A)])],
    wanted: [wanted({ [A]: 1 }, { scheduler: 'rr', persistenceS: 60 })],
    batch: '-E -f 21 -s rr -p 60\n',
  },
  {
    title: 'the options of a scheduler are changed in place',
    actual: [service([server(A)], { scheduler: 'mh', schedulerFlags: 'mh-fallback' })],
    wanted: [wanted({ [A]: 1 }, { scheduler: 'mh', schedulerFlags: 'mh-fallback,mh-port' })],
    batch: '-E -f 21 -s mh -p 360 -b mh-fallback,mh-port\n',
  },
  {
    title: 'a netmask that somebody added to our service is taken away',
    actual: [service([server(A)], { mask: '255.255.255.0' })],
    wanted: [wanted({ [A]: 1 })],
    batch: '-E -f 21 -s wlc -p 360\n',
  },
  {
    title: 'a mask for persistence is a netmask for IPv4, a length for IPv6',
    actual: [service([server(A)])],
    wanted: [wanted({ [A]: 1 }, { mask: '255.255.255.0' }), wanted({}, { key: markKey(21, 6), mask: '64' })],
    batch: '-E -f 21 -s wlc -p 360 -M 255.255.255.0\n-A -f 21 -6 -s wlc -p 360 -M 64\n',
  },
  {
    title: 'a server that left the config and is idle is deleted',
    actual: [service([server(A), server(B)])],
    wanted: [wanted({ [A]: 1 })],
    batch: '-d -f 21 -r 198.51.100.12:0\n',
  },
  {
    title: 'a server that left the config with connections keeps its weight and gets no new clients',
    actual: [service([server(A), server(B, { weight: 4, inactiveConnections: 1 })])],
    wanted: [wanted({ [A]: 1 })],
    batch: '-e -f 21 -r 198.51.100.12:0 -m -w 4 -x 1\n',
  },
  {
    title: 'a server that drains already is waited for',
    actual: [service([server(A), server(B, { upperThreshold: 1, activeConnections: 2 })])],
    wanted: [wanted({ [A]: 1 })],
    batch: '',
  },
  {
    title: 'a server that was down when it left the config just finishes its connections',
    actual: [service([server(A), server(B, { weight: 0, activeConnections: 2 })])],
    wanted: [wanted({ [A]: 1 })],
    batch: '',
  },
  {
    title: 'a server that drains and shows no life, or whose time is nearly over, keeps no clients',
    leave: 'ends',
    actual: [service([server(A), server(B, { weight: 4, upperThreshold: 1, activeConnections: 2 })])],
    wanted: [wanted({ [A]: 1 })],
    batch: '-e -f 21 -r 198.51.100.12:0 -m -w 0 -x 1\n',
  },
  {
    title: 'a server that drains goes with its connections when its time is over',
    leave: 'over',
    actual: [service([server(A), server(B, { weight: 4, upperThreshold: 1, activeConnections: 2 })])],
    wanted: [wanted({ [A]: 1 })],
    batch: '-d -f 21 -r 198.51.100.12:0\n',
  },
  {
    title: 'a service of ours that left the config goes with its connections when their time is over',
    leave: 'over',
    actual: [service([server(A, { activeConnections: 1 })])],
    wanted: [],
    owned: [KEY],
    batch: '-D -f 21\n',
  },
  {
    title: 'a server of the config that is quiesced keeps its weight',
    actual: [service([server(A, { weight: 4, activeConnections: 2 })])],
    wanted: [quiesced(A)],
    batch: '-e -f 21 -r 198.51.100.11:0 -m -w 4 -x 1\n',
  },
  {
    title: 'a server that comes back while it drains takes clients again',
    actual: [service([server(A), server(B, { upperThreshold: 1, activeConnections: 2 })])],
    wanted: [wanted({ [A]: 1, [B]: 1 })],
    batch: '-e -f 21 -r 198.51.100.12:0 -m -w 1 -x 0\n',
  },
  {
    title: 'one that has thresholds in the config gets both of them back',
    actual: [service([server(A, { weight: 4, upperThreshold: 1, activeConnections: 2 })])],
    wanted: [{ ...quiesced(A), servers: quiesced(A).servers.map(one => ({ ...one, quiesced: false })) }],
    batch: '-e -f 21 -r 198.51.100.11:0 -m -w 4 -x 40 -y 30\n',
  },
  {
    title: 'a threshold that somebody changed is put right, the lower one, too',
    actual: [service([server(A, { weight: 4, upperThreshold: 40, lowerThreshold: 10, activeConnections: 2 })])],
    wanted: [{ ...quiesced(A), servers: quiesced(A).servers.map(one => ({ ...one, quiesced: false })) }],
    batch: '-e -f 21 -r 198.51.100.11:0 -m -w 4 -x 40 -y 30\n',
  },
  {
    title: 'a server with thresholds that leaves the config has that of draining alone',
    actual: [service([server(A), server(B, { upperThreshold: 40, lowerThreshold: 30, activeConnections: 2 })])],
    wanted: [wanted({ [A]: 1 })],
    batch: '-e -f 21 -r 198.51.100.12:0 -m -w 1 -x 1\n',
  },
  {
    title: 'the same address with a real port is another server, and leaves',
    actual: [service([server(A, { port: 21 })])],
    wanted: [wanted({ [A]: 1 })],
    batch: `-a -f 21 -r 198.51.100.11:0 -m -w 1 -x 0
-d -f 21 -r 198.51.100.11:21
`,
  },
  {
    title: "somebody else's service stays, whatever it is",
    actual: [FOREIGN, service([server(A)], { key: markKey(99, 4) })],
    wanted: [],
    batch: '',
  },
  {
    title: 'a service of ours that left the config goes when it is idle',
    actual: [FOREIGN, service([server(A)])],
    wanted: [],
    owned: [KEY],
    batch: '-D -f 21\n',
  },
  {
    title: 'a service of ours that left the config stays while it has connections',
    actual: [service([server(A, { activeConnections: 1 }), server(B)])],
    wanted: [],
    owned: [KEY],
    batch: '',
  },
  {
    title: 'the same mark of the other family is another service',
    actual: [service([server(A)])],
    wanted: [wanted({ [A]: 1 }), wanted({ '2001:db8::11': 1 }, { key: markKey(21, 6) })],
    batch: `-A -f 21 -6 -s wlc -p 360
-a -f 21 -6 -r [2001:db8::11]:0 -m -w 1 -x 0
`,
  },
];

for (const row of ROWS) {
  test(row.title, t => {
    const rules = { owned: new Set(row.owned ?? []), leaveOf: () => row.leave ?? ('stays' as const) };
    const { commands } = diff({ services: row.actual }, row.wanted, rules);
    t.is(formatBatch(commands), row.batch);
  });
}

test('services of others are named, and servers that drain are listed with their connections', t => {
  const actual = [FOREIGN, service([server(B, { activeConnections: 2, inactiveConnections: 3 })])];
  const rules = { owned: new Set([KEY]), leaveOf: () => 'stays' as const };
  const { foreign, draining } = diff({ services: actual }, [wanted({ [A]: 1 })], rules);
  t.deepEqual(foreign, [FOREIGN.key]);
  t.deepEqual(draining, [{ key: KEY, address: B, connections: 5, leave: 'stays' }]);
});

const addresses = fc.uniqueArray(
  fc.integer({ min: 1, max: 8 }).map(n => `198.51.100.${n}` as Address),
  { maxLength: 6 },
);
const kernelServer = (address: Address) =>
  fc.record({
    address: fc.constant(address),
    port: fc.constantFrom(0, 0, 0, 21),
    forwarding: fc.constantFrom('nat' as const, 'dr' as const),
    weight: fc.integer({ min: 0, max: 3 }),
    upperThreshold: fc.integer({ min: 0, max: 2 }),
    lowerThreshold: fc.integer({ min: 0, max: 1 }),
    activeConnections: fc.constantFrom(0, 0, 2),
    inactiveConnections: fc.constantFrom(0, 0, 1),
    templates: fc.constantFrom(0, 3),
  });
const marks = fc.integer({ min: 21, max: 24 });
const kernelTable: fc.Arbitrary<IpvsTable> = fc
  .uniqueArray(marks, { maxLength: 4 })
  .chain(list =>
    fc.tuple(
      ...list.map(mark =>
        addresses
          .chain(found => fc.tuple(...found.map(kernelServer)))
          .map(servers => service(servers as IpvsServer[], { key: markKey(mark, 4) })),
      ),
    ),
  )
  .map(services => ({ services: [FOREIGN, ...(services as IpvsService[])] }));
const leaves = fc.constantFrom('stays' as const, 'ends' as const, 'over' as const);
const wantedList = fc
  .uniqueArray(marks, { maxLength: 3 })
  .chain(list =>
    fc.tuple(
      ...list.map(mark =>
        fc
          .tuple(addresses, fc.integer({ min: 0, max: 3 }), fc.constantFrom('wlc', 'rr', 'sh'))
          .map(([found, weight, scheduler]) =>
            wanted(Object.fromEntries(found.map(address => [address, weight])), { key: markKey(mark, 4), scheduler }),
          ),
      ),
    ),
  )
  .map(list => list as WantedService[]);

test('after its batch the diff is empty, nothing busy is deleted, nothing foreign is touched, nothing is flushed', t => {
  fc.assert(
    fc.property(kernelTable, wantedList, fc.uniqueArray(marks), leaves, (actual, list, ownedMarks, leave) => {
      const rules = { owned: new Set(ownedMarks.map(mark => markKey(mark, 4))), leaveOf: () => leave };
      const ours = new Set([...rules.owned, ...list.map(item => item.key)]);
      const batch = formatBatch(diff(actual, list, rules).commands);
      if (/(^|\s)(-C|-Z|--clear|--zero)/m.test(batch)) throw new Error(`a flush: ${batch}`);
      const after = tableOf(applyBatch(actual, batch));
      const second = formatBatch(diff(after, list, rules).commands);
      if (second !== '') throw new Error(`not empty after apply: ${second}`);
      for (const before of actual.services) {
        const now = after.services.find(candidate => candidate.key === before.key);
        if (!ours.has(before.key)) t.deepEqual(now, before);
        for (const busy of before.servers.filter(s => s.activeConnections + s.inactiveConnections > 0)) {
          if (leave !== 'over' && !now?.servers.some(s => s.address === busy.address && s.port === busy.port))
            throw new Error('busy server deleted');
        }
      }
    }),
    { numRuns: 500 },
  );
  t.pass();
});
