// What the director remembers of its kernel: files of earlier versions are read, and written as they were.
import test from 'ava';
import { NOTHING_OWNED, parseOwned } from '../../src/director/owned.ts';

const services = [{ key: '-f 21', name: 'ftp' }];

test('a file of 0.3.0 is read, whatever it says of sync daemons of before', t => {
  for (const sync of [null, { interface: 'eth1', syncId: 21 }]) {
    t.deepEqual(parseOwned(JSON.stringify({ version: 1, services, sync })), { ...NOTHING_OWNED, services });
  }
});

test('the file is written as it has been', t => {
  const text = '{"version":1,"services":[],"sync":null,"sysctls":[]}';
  t.is(JSON.stringify(NOTHING_OWNED), text);
  t.is(JSON.stringify(parseOwned(text)), text);
});
