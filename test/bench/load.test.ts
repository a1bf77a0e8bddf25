// What scripts/bench scale --load reads from the kernel, and its table.
import test from 'ava';
import { keepalivedLoadConfig, type LoadRound, listedIn, loadTable, type Took, ticksOf } from './load-plan.ts';

const SIZE = { services: 200, servers: 10 };
const IP_VS = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
FWM  000003E9 wlc persistent 360 FFFFFFFF
  -> C6120101:0000      Masq    7      0          0
FWM  000003E8 wlc persistent 360 FFFFFFFF
  -> C6120102:0000      Masq    1      0          0
  -> C6120101:0000      Masq    0      2          0
`;

test('services, servers and weights are counted as the kernel lists them', t => {
  t.deepEqual(listedIn(IP_VS), { services: 2, servers: 3, weighty: 2, weight: 0 });
  t.deepEqual(listedIn(''), { services: 0, servers: 0, weighty: 0, weight: undefined });
});

test('keepalived gets every service and server by the same marks, and the first one a weight of its own', t => {
  const text = keepalivedLoadConfig(SIZE, 3);
  t.is(text.match(/^virtual_server fwmark /gm)?.length, 200);
  t.is(text.match(/^ {2}real_server /gm)?.length, 2_000);
  t.is(text.indexOf('weight 3'), text.indexOf('weight '));
  t.is(text.split('weight 3').length, 2);
});

test('processor time is that of a process and of its ended children, whatever its name', t => {
  t.is(ticksOf('7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 1 20 300 4000 20 0 1 0 5 6 7'), 4_321);
});

test('a ratio is the median of figures of one round; keepalived has the rules loaded before', t => {
  const took = (ms: number): Took => ({ ms, cpuMs: ms / 2 });
  const round = (ours: number, theirs: number): LoadRound => ({
    tandem: {
      ...{ started: took(1), servers: took(ours), rules: took(ours), weights: took(ours) },
      ...{ change: took(ours), audit: took(7) },
    },
    keepalived: { nft: took(theirs), servers: took(theirs), change: took(theirs) },
  });
  const rows = loadTable(SIZE, [round(100, 50), round(900, 100), round(500, 10)]).split('\n');
  t.true(rows.some(row => row.endsWith('all servers are in IPVS | 500 (250) | 50 (25) | 9.00 (9.00) |')));
  t.true(rows.some(row => row.endsWith('`nft -f` before it | 500 (250) | 100 (50) | 4.50 (4.50) |')));
  t.true(rows.includes('| an audit with nothing to do | 7 (4) | – | – |'));
});
