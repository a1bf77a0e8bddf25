import test from 'ava';
import { targetOf } from '../../src/director/drain-target.ts';
import { configOf, FTP, FTP6 } from './fixture.ts';

const CONFIG = configOf({ services: { ftp: FTP, ftp6: FTP6 } });
/** A server that is called like a service. */
const TWICE = configOf({ services: { ftp: FTP, fs1: FTP6 } });

for (const [text, servers, config] of [
  ['fs1', 'ftp/fs1 ftp6/fs1', CONFIG],
  ['fs2', 'ftp/fs2', CONFIG],
  ['ftp', 'ftp/fs1 ftp/fs2', CONFIG],
  ['ftp6/fs1', 'ftp6/fs1', CONFIG],
  ['/fs1', 'ftp/fs1 fs1/fs1', TWICE],
  ['fs1/', 'fs1/fs1', TWICE],
  ['fs1/fs1', 'fs1/fs1', TWICE],
] as const) {
  test(`${text} means ${servers}`, t => {
    const found = targetOf(text, config);
    t.is(found.ok && found.servers.map(({ service, server }) => `${service}/${server}`).join(' '), servers);
  });
}

for (const text of ['fs3', 'ftp/fs3', 'fs1/ftp', '/ftp', 'fs1/', '', '/', 'constructor', '__proto__/fs1']) {
  test(`"${text}" is nothing here, and what there is is listed`, t => {
    const found = targetOf(text, CONFIG);
    t.regex(found.ok ? '' : found.problem, /there are: ftp\/fs1, ftp\/fs2, ftp6\/fs1$/);
  });
}

test('a name of both is refused with what to write', t => {
  const found = targetOf('fs1', TWICE);
  t.regex(found.ok ? '' : found.problem, /write fs1\/ for all servers of the service, \/fs1 for the server/);
});
