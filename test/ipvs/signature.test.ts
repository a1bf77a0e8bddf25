import test from 'ava';
import { tableSignature } from '../../src/ipvs/signature.ts';

/** As the kernel prints it (ip_vs_info_seq_show). */
const TABLE = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
FWM  00000015 wlc persistent 360 FFFFFFFF
  -> C633640B:0000      Masq    1      3          17        
  -> C633640C:0000      Masq    2      0          0         
FWM  0000001A sh 
  -> [2001:0db8:0002:0000:0000:0000:0000:0011]:0000      Masq    1      0          0         
`;

test('connections that come and go leave the signature as it is', t => {
  const busy = TABLE.replace('3          17  ', '12345      678 ').replace('Masq    2      0 ', 'Masq    2      9 ');
  t.not(busy, TABLE);
  t.is(tableSignature(busy), tableSignature(TABLE));
});

for (const [what, from, to] of [
  ['a weight', 'Masq    2', 'Masq    0'],
  ['a method', 'Masq    1', 'Route   1'],
  ['a server less', '  -> C633640C:0000      Masq    2      0          0         \n', ''],
  ['a scheduler', '15 wlc', '15 rr'],
  ['a persistence', 'persistent 360', 'persistent 60'],
  ['an IPv6 server', ':0011]', ':0012]'],
] as const) {
  test(`${what} changes the signature`, t => {
    t.true(TABLE.includes(from));
    t.not(tableSignature(TABLE.replace(from, to)), tableSignature(TABLE));
  });
}

test('`ipvsadm -C` changes the signature, and so does a module that is gone', t => {
  const [head] = TABLE.split('FWM');
  t.not(tableSignature(head ?? ''), tableSignature(TABLE));
  t.not(tableSignature(''), tableSignature(TABLE));
});
