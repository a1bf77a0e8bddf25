// The texts that the lab's benchmarks write and read: keepalived's config, lftp's settings, ipvsadm's tables, the report.
import test from 'ava';
import { parseConfig } from '../../../src/config/document.ts';
import { rejoinTable, stallTable } from '../../bench/sync-tables.ts';
import { lftpSettings } from '../ftp/session.ts';
import { parseCounts, parseDaemons } from '../kernel/resync.ts';
import { EMULATION_TIMES, labConfig } from '../pair/config.ts';
import { keepalivedConfig } from '../pair/keepalived.ts';
import { SERVER_ADDRESSES6, VIP6 } from '../pair/topology.ts';

test('the lab config with IPv6 is valid and has a service on each VIP', t => {
  const parsed = parseConfig(labConfig({ ...EMULATION_TIMES, keyFile: '/k', ipv6: true, persistence: '1h' }));
  if (!parsed.ok) return t.fail(JSON.stringify(parsed.mistakes));
  const { services } = parsed.config;
  t.deepEqual(
    Object.values(services).map(({ vip, mark, persistence }) => [vip as string, mark, persistence as number]),
    [
      ['192.0.2.100', 21, 3_600_000],
      [VIP6, 22, 3_600_000],
    ],
  );
  const addresses = Object.values(services.ftp6?.servers ?? {}).map(({ address }) => address as string);
  t.deepEqual(addresses, Object.values(SERVER_ADDRESSES6));
});

test('keepalived gets the same VIP, servers, mark and persistence, and its routers differ in what must differ', t => {
  const options = { intervalMs: 200, persistenceS: 1_800, tuned: false };
  const [first, second] = (['r1', 'r2'] as const).map(router => keepalivedConfig(router, options));
  t.regex(first ?? '', /priority 110\n {2}advert_int 0\.2\n {2}unicast_src_ip 192\.0\.2\.2\n/);
  t.regex(first ?? '', /virtual_server fwmark 21 \{[^}]*persistence_timeout 1800/);
  t.is(first?.match(/real_server 198\.51\.100\.1[123] 0 /g)?.length, 3);
  const different = first?.split('\n').filter((line, index) => line !== second?.split('\n')[index]);
  t.deepEqual(
    different?.map(line => line.trim()),
    ['router_id r1', 'priority 110', 'unicast_src_ip 192.0.2.2', '192.0.2.3'],
  );
});

test('a session binds the address of its family and never tries twice', t => {
  const base = { scratch: '/s', mode: 'active' } as const;
  t.regex(lftpSettings({ ...base, from: '192.0.2.10' }), /set net:socket-bind-ipv4 192\.0\.2\.10\n/);
  t.regex(
    lftpSettings({ ...base, from: '192.0.2.10' }),
    /set net:max-retries 1\n[\s\S]*open ftp:\/\/192\.0\.2\.100\n$/,
  );
  const six = lftpSettings({ ...base, from: '2001:db8:1::10', host: VIP6 });
  t.regex(six, /set net:socket-bind-ipv6 2001:db8:1::10\n[\s\S]*open ftp:\/\/\[2001:db8:1::100\]\n$/);
});

test('templates and connections are summed over all servers and services', t => {
  const persistent = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn
  -> RemoteAddress:Port
FWM  21                                     5
  -> 198.51.100.11:0              1         3           1          0
  -> 198.51.100.12:0              1         2           0          4
FWM  22 IPv6
  -> [2001:db8:2::11]:0           1         7           0          0
`;
  const plain = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
FWM  21 wlc persistent 360
  -> 198.51.100.11:0              Masq    1      1          0
  -> 198.51.100.12:0              Masq    1      0          4
`;
  t.deepEqual(parseCounts(persistent, plain), { templates: 12, connections: 5 });
});

test('the sync daemons are read with interface, sync id and port', t => {
  const text = `master sync daemon (mcast=tandem-sync0, syncid=21, maxlen=1472, group=224.0.0.81, port=8849, ttl=1)
backup sync daemon (mcast=lo, syncid=7)
`;
  t.deepEqual(parseDaemons(text), [
    { state: 'master', interface: 'tandem-sync0', syncId: 21, port: 8_849 },
    { state: 'backup', interface: 'lo', syncId: 7, port: 8_848 },
  ]);
});

test('the report counts survivors by kind of transfer and shows the stalls of those that lived', t => {
  const lived = (stallMs: number) => ({ kind: 'upload', mode: 'active', inFlight: true, survived: true, stallMs });
  const died = { kind: 'upload', mode: 'active', inFlight: true, survived: false, stallMs: 90_000 };
  const late = { ...lived(1), inFlight: false };
  const rounds = (...rows: object[]) => rows.map(one => ({ cutBytes: 2_500_000, rows: [one] }));
  const table = stallTable([
    { part: 'failover-tandem', tookMs: 1, result: rounds(lived(700), lived(1_500), lived(900), late) },
    { part: 'failover-keepalived', tookMs: 1, result: rounds(died, lived(1_400), died) },
  ]);
  t.regex(table[1] ?? '', /tandem +keepalived$/);
  t.regex(table[2] ?? '', /^ {2}active upload, after 2\.5 MB +3\/3 \(900, 1500\) +1\/3 \(1400, 1400\)$/);
  const result = { sessions: 6, afterFirst: 2, afterRejoin: 0, nextFileMs: [], transfers: [], errors: [] };
  t.regex(rejoinTable([{ part: 'rejoin-keepalived', tookMs: 1, result }])[1] ?? '', /keepalived +0\/6 idle sessions/);
});
