// Entries in a person's words: what `tandem sessions` says of each connection and template, by its ports and the config.
import test from 'ava';
import type { SessionEntry, SessionFilter } from '../../../src/status/sessions.ts';
import {
  type Entry,
  FLAG,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  rawOf,
  TCP_STATES,
  type TcpState,
  templateOf,
} from '../../../src/sync/table/entry.ts';
import { Mirror } from '../../../src/sync/table/mirror.ts';
import { scopeOf } from '../../../src/sync/table/scope.ts';
import { describeEntries, sessionsOfEntries, sessionsOfMirror } from '../../../src/sync/table/session-entries.ts';
import type { Address } from '../../../src/units/address.ts';
import { configOf, DNS, FTP, FTP6, PROXY } from '../../director/fixture.ts';
import { at } from '../stream/sync-entries.ts';

const address = (text: string) => rawOf(text as Address);
const FTP_BOTH = { ...FTP, control_port: [21, 990], servers: { ...FTP.servers, fs9: { address: '198.51.100.19' } } };
const CONFIG = configOf({
  services: { ftp: FTP_BOTH, ftp6: FTP6, shared: { ...FTP, vip: '192.0.2.101', mark: 31, persistence_prefix: 24 } },
});
const SCOPE = scopeOf(CONFIG, new Map([['ftp', ['198.51.100.77' as Address]]]));

interface Ends {
  readonly client?: string;
  readonly clientPort?: number;
  readonly port: number;
  readonly server?: string;
  readonly service?: 'ftp' | 'ftp6' | 'shared';
  readonly state?: TcpState;
}

function connection({
  client = '203.0.113.7',
  clientPort = 40_001,
  port,
  server,
  service = 'ftp',
  state,
}: Ends): Entry {
  const six = service === 'ftp6';
  return {
    protocol: PROTOCOL_TCP,
    client: address(client),
    clientPort,
    virtual: address({ ftp: '192.0.2.100', ftp6: FTP6.vip, shared: '192.0.2.101' }[service]),
    virtualPort: port,
    server: address(server ?? (six ? '2001:db8:2::11' : '198.51.100.11')),
    serverPort: port,
    flags: 0,
    state: TCP_STATES.indexOf(state ?? 'ESTABLISHED'),
    mark: { ftp: FTP.mark, ftp6: FTP6.mark, shared: 31 }[service],
    timeoutS: 900,
  };
}

const template = (client: string, server = '198.51.100.11', mark: number = FTP.mark) =>
  templateOf({ client: address(client), server: address(server), mark, flags: 0 }, 360);

function inWords(entries: readonly Entry[], filter: SessionFilter = {}): SessionEntry[] {
  return [...sessionsOfEntries(entries, describeEntries(CONFIG, SCOPE, filter))].flat();
}

test('a port says what a connection is: control with its TLS, passive or active data', t => {
  const ports = [21, 990, 10_500, 20, 989];
  t.deepEqual(
    inWords(ports.map(port => connection({ port }))).map(({ what, mode, tls }) => [what, mode ?? tls]),
    [
      ['control', 'not-by-port'],
      ['control', 'implicit'],
      ['data', 'passive'],
      ['data', 'active'],
      ['data', 'active'],
    ],
  );
});

test('a connection has its service, VIP, both ends and its server by name; nobody has noted its time', t => {
  t.deepEqual(inWords([connection({ port: 21, server: '198.51.100.19', state: 'FIN_WAIT' })]), [
    {
      type: 'entry',
      what: 'control',
      service: 'ftp',
      vip: '192.0.2.100',
      client: '203.0.113.7',
      clientPort: 40_001,
      port: 21,
      server: 'fs9',
      serverAddress: '198.51.100.19',
      tls: 'not-by-port',
      state: 'FIN_WAIT',
      closing: true,
    },
  ]);
});

test('a service that is not FTP has connections, by the port on the VIP', t => {
  const config = configOf({ services: { web: PROXY } });
  const entry = { ...connection({ port: 80, service: 'shared', server: '198.51.100.31' }), mark: 81, serverPort: 8080 };
  const [shown] = [...sessionsOfEntries([entry], describeEntries(config, scopeOf(config), {}))].flat();
  t.like(shown, { what: 'connection', service: 'web', vip: '192.0.2.101', port: 80, server: 'w1', tls: undefined });
});

test('a client port of a datagram service has the one state that IPVS has for it', t => {
  const config = configOf({ services: { dns: { ...DNS, sync: 'connections' } } });
  const about = { protocol: PROTOCOL_UDP, flags: FLAG.inactive, state: 0, mark: 53, serverPort: 53 };
  const entry = { ...connection({ port: 53, server: '198.51.100.53' }), ...about };
  const [shown] = [...sessionsOfEntries([entry], describeEntries(config, scopeOf(config), {}))].flat();
  t.like(shown, { what: 'connection', service: 'dns', port: 53, server: 'd1', state: 'UDP', closing: undefined });
});

test('a template has the time that is left, and its network where clients share one', t => {
  const words = inWords([template('203.0.113.7'), template('203.0.113.0', '198.51.100.12', 31)]);
  t.deepEqual(
    words.map(({ what, service, client, network, server, leftS }) => [what, service, client, network, server, leftS]),
    [
      ['template', 'ftp', '203.0.113.7', undefined, 'fs1', 360],
      ['template', 'shared', '203.0.113.0', '203.0.113.0/24', 'fs2', 360],
    ],
  );
});

test('IPv6 is as people write it, and a server that left the config has its address for a name', t => {
  const six = connection({ port: 21, service: 'ftp6', client: '2001:db8:5::9' });
  t.like(inWords([six])[0], { client: '2001:db8:5::9', vip: FTP6.vip, server: 'fs1', serverAddress: '2001:db8:2::11' });
  const left = connection({ port: 21, server: '198.51.100.77' });
  t.like(inWords([left])[0], { server: '198.51.100.77', serverAddress: '198.51.100.77' });
});

test('filters: by client, service, and server by name or address; of a shared network all of it', t => {
  const all = [
    connection({ port: 21 }),
    connection({ port: 21, client: '203.0.113.8', server: '198.51.100.12' }),
    connection({ port: 21, client: '203.0.113.7', service: 'shared' }),
    connection({ port: 21, client: '203.0.113.9', service: 'shared' }),
    connection({ port: 21, client: '203.0.114.7', service: 'shared' }),
  ];
  const asked = (filter: SessionFilter) => inWords(all, filter).map(({ service, client }) => `${service} ${client}`);
  t.deepEqual(asked({ client: '203.0.113.7' as Address }), [
    'ftp 203.0.113.7',
    'shared 203.0.113.7',
    'shared 203.0.113.9',
  ]);
  t.deepEqual(asked({ service: 'ftp' }), ['ftp 203.0.113.7', 'ftp 203.0.113.8']);
  t.deepEqual(asked({ server: 'fs2' }), ['ftp 203.0.113.8']);
  t.deepEqual(asked({ server: '198.51.100.12' }), ['ftp 203.0.113.8']);
  t.deepEqual(asked({ service: 'ftp', server: 'fs9' }), []);
});

async function ofMirror(mirror: Mirror, now: number): Promise<SessionEntry[]> {
  const entries: SessionEntry[] = [];
  for await (const slice of sessionsOfMirror(mirror, describeEntries(CONFIG, SCOPE, {}), () => at(now))) {
    refuseLong(slice.length);
    entries.push(...slice);
  }
  return entries;
}

/** No slice may be so long that the director would be held up. */
function refuseLong(length: number): void {
  if (length > 200) throw new Error(`${length} rows in one slice`);
}

test('first seen is when the news came; what a list told of is older than that', async t => {
  const mirror = new Mirror();
  mirror.upsert(connection({ port: 21 }), at(10_000));
  mirror.upsert(connection({ port: 10_500 }), at(15_000), true);
  mirror.upsert(connection({ port: 21 }), at(60_000), true);
  const words = await ofMirror(mirror, 70_000);
  t.deepEqual(
    words.map(({ what, ageS, older }) => [what, ageS, older ?? false]),
    [
      ['control', 60, false],
      ['data', 55, true],
    ],
  );
});

test('a new connection from the port of one that has ended is seen anew; one that goes on is not', async t => {
  const mirror = new Mirror();
  const told = (state: TcpState, second: number) =>
    mirror.upsert({ ...connection({ port: 10_500, state }), timeoutS: 120 }, at(second * 1_000));
  told('SYN_RECV', 1);
  told('ESTABLISHED', 2);
  t.is((await ofMirror(mirror, 11_000))[0]?.ageS, 10);
  told('FIN_WAIT', 20);
  told('TIME_WAIT', 21);
  t.like((await ofMirror(mirror, 31_000))[0], { ageS: 30, closing: true, state: 'TIME_WAIT' });
  told('SYN_RECV', 40);
  t.is((await ofMirror(mirror, 41_000))[0]?.ageS, 1);
});

test('a client that comes to another server is there since then', async t => {
  const mirror = new Mirror();
  mirror.upsert(template('203.0.113.7'), at(1_000));
  mirror.upsert(template('203.0.113.7', '198.51.100.12'), at(21_000));
  t.like((await ofMirror(mirror, 31_000))[0], { server: 'fs2', ageS: 10, leftS: 350 });
});

test('a table that grows while it is gone through is gone through once', async t => {
  const mirror = new Mirror();
  const client = (n: number) => `203.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
  for (let n = 0; n < 2_000; n++) mirror.upsert(connection({ port: 21, client: client(n) }), at(0));
  let seen = 0;
  let next = 2_000;
  for await (const slice of sessionsOfMirror(mirror, describeEntries(CONFIG, SCOPE, {}), () => at(0))) {
    seen += slice.length;
    // Faster than it is read.
    for (let n = 0; n < 600; n++) mirror.upsert(connection({ port: 21, client: client(next++) }), at(0));
  }
  t.true(seen >= 2_000);
  t.true(seen < 103_000, `${seen}`);
});
