// Which entries are ours.
import test from 'ava';
import { FLAG, isTemplate } from '../../../src/sync/table/entry.ts';
import { scopeOf } from '../../../src/sync/table/scope.ts';
import type { Address } from '../../../src/units/address.ts';
import { configOf, FTP } from '../../director/fixture.ts';
import {
  CONNECTION,
  CONNECTION6,
  MARK,
  MARK6,
  raw,
  SERVER,
  scope,
  TEMPLATE,
  TEMPLATE6,
  VIP,
  VIP6,
} from '../samples.ts';

const at = (port: number) => ({ ...CONNECTION, virtualPort: port, serverPort: port });

test('templates are ours by their mark, connections by VIP and port: control, passive range, 20', t => {
  const { inScope } = scope();
  for (const entry of [TEMPLATE, TEMPLATE6, CONNECTION, CONNECTION6]) t.true(inScope(entry));
  for (const port of [20, 21, 10_000, 20_000]) t.true(inScope(at(port)), `${port}`);
  for (const port of [19, 22, 80, 9_999, 20_001]) t.false(inScope(at(port)), `${port}`);
});

const foreign: readonly (readonly [string, typeof CONNECTION])[] = [
  ['to another VIP', { ...CONNECTION, virtual: raw('192.0.2.101') }],
  ['with another mark', { ...CONNECTION, mark: 22 }],
  ['with another server', { ...CONNECTION, server: raw('198.51.100.99') }],
  ['to another port of its server', { ...CONNECTION, serverPort: 21 }],
  ['of another protocol', { ...CONNECTION, protocol: 17 }],
  ['without a client port', { ...CONNECTION, clientPort: 0 }],
  ['that is tunnelled', { ...CONNECTION, flags: 2 }],
  ['whose client has the other family', { ...CONNECTION, client: CONNECTION6.client }],
  ['template of another mark', { ...TEMPLATE, mark: 22, virtual: raw('0.0.0.22') }],
  ['template whose mark and address disagree', { ...TEMPLATE, mark: 22 }],
  ['template of the mark of the other family', { ...TEMPLATE, mark: MARK6, virtual: raw('0.0.0.26') }],
  ['template with another server', { ...TEMPLATE, server: raw('198.51.100.99') }],
  ['template of a plain service', { ...TEMPLATE, protocol: 6, virtual: VIP, virtualPort: 21 }],
  ['template with a port', { ...TEMPLATE, serverPort: 21 }],
];
for (const [what, entry] of foreign) {
  test(`not ours: a${isTemplate(entry) ? '' : ' connection'} ${what}`, t => {
    t.false(scope().inScope(entry));
  });
}

test('a closing connection is ours as well', t => {
  t.true(scope().inScope({ ...CONNECTION, flags: FLAG.inactive, state: 4 }));
});

test('a server that left the config stays ours while it drains', t => {
  const gone = { ...CONNECTION, server: raw('198.51.100.13') };
  t.false(scope().inScope(gone));
  t.true(scope(new Map([['ftp', ['198.51.100.13' as Address]]])).inScope(gone));
  t.false(scope(new Map([['ftp6', ['198.51.100.13' as Address]]])).inScope(gone), 'of the right service only');
});

test('port 20 is ours only where active mode is served', t => {
  const passive = scopeOf(configOf({ services: { ftp: { ...FTP, active: false } }, sync: false }));
  t.false(passive.inScope(at(20)));
  t.is(passive.markOf(VIP, 20), undefined);
  t.deepEqual(passive.ofActiveServer(SERVER), []);
});

test('two services on one VIP are told apart by port, and on port 20 by server', t => {
  const second = { ...FTP, mark: 31, control_port: 2121, passive_ports: '21000-22000' };
  const both = scopeOf(
    configOf({
      services: { ftp: FTP, other: { ...second, servers: { fs9: { address: '198.51.100.19' } } } },
      sync: false,
    }),
  );
  t.is(both.markOf(VIP, 21), MARK);
  t.is(both.markOf(VIP, 2121), 31);
  t.is(both.markOf(VIP, 21_500), 31);
  const data = { ...at(20), server: raw('198.51.100.19') };
  t.true(both.inScope({ ...data, mark: 31 }));
  t.false(both.inScope({ ...data, mark: MARK }));
});

test('a scope knows marks, time-outs and persistence of the config', t => {
  const ours = scope();
  t.is(ours.markOf(VIP, 21), MARK);
  t.is(ours.markOf(VIP6, 15_000), MARK6);
  t.is(ours.markOf(VIP, 80), undefined);
  t.is(ours.ofMark(MARK)?.name, 'ftp');
  t.is(ours.ofMark(99), undefined);
  t.is(ours.ofMark(MARK)?.persistenceS, 360);
  t.is(ours.tcpTimeoutS, 7_200);
  t.is(ours.tcpFinTimeoutS, 120);
});
