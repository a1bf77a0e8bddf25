// Files that the sections of the store and of the witness name: `tandem check` warns of those that this machine lacks or that others may read.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { loadConfig } from '../../src/config/io/load.ts';
import { secretFindings } from '../../src/config/io/secrets.ts';

const directory = mkdtempSync(join(tmpdir(), 'tandem-secrets-'));
test.after.always(() => rmSync(directory, { recursive: true }));

function file(name: string, mode: number): string {
  const path = join(directory, name);
  writeFileSync(path, 'secret\n');
  chmodSync(path, mode);
  return path;
}

function told(redis: string, type = 'redis'): string[] {
  const config = join(directory, 'tandem.yaml');
  const text = `pair: p1
routers: { a: {}, b: {} }
lans:
  client: { interface: eth0, addresses: { a: 192.0.2.2/24, b: 192.0.2.3/24 } }
  cross: { interface: eth1, addresses: { a: 203.0.113.1/24, b: 203.0.113.2/24 } }
heartbeat: { links: [client, cross] }
sync:
  store:
    type: ${type}
    redis:
      host: localhost
${redis}`;
  writeFileSync(config, text);
  const loaded = loadConfig(config, secretFindings);
  const mistakes = loaded.ok ? loaded.warnings : loaded.mistakes;
  return mistakes.map(({ line, severity, problem, remedy }) => `${line}: ${severity}: ${problem}; ${remedy}`);
}

test('secrets that are there and root-only, and certificates that all may read: nothing to say', t => {
  const [password, key, ca, cert] = [file('pw', 0o600), file('key', 0o400), file('ca', 0o644), file('cert', 0o644)];
  const tls = `      tls: { ca_file: ${ca}, cert_file: ${cert}, key_file: ${key} }\n`;
  t.deepEqual(told(`      password_file: ${password}\n${tls}`), []);
});

test('each file that is missing, open to others or no file is a warning at its place', t => {
  const open = file('open', 0o644);
  const redis = `      password_file: ${open}\n      tls:\n        ca_file: ${directory}\n        cert_file: /nonexistent/cert\n        key_file: /nonexistent/key\n`;
  t.deepEqual(told(redis), [
    `12: warning: on this machine, ${open}: its mode is 0644, so that others than its owner may use it; run: chmod 0600 ${open}`,
    `14: warning: on this machine, ${directory}: it is not a regular file; name a regular file`,
    '15: warning: on this machine, /nonexistent/cert: there is no such file; correct the path',
    '16: warning: on this machine, /nonexistent/key: there is no such file; make it with mode 0600, or correct the path',
  ]);
});

test('files of a Redis that is not used are not looked at', t => {
  t.deepEqual(told('      password_file: /nonexistent\n', 'file'), [
    '11: warning: "redis" is not used: type is file; write type: redis, or delete it',
  ]);
});

test('files of the witness are looked at as those of the store are', t => {
  const open = file('witness-open', 0o644);
  const section = `witness:\n  redis: { host: localhost, password_file: ${open}, tls: { key_file: /nonexistent/key, cert_file: ${open} } }\n`;
  t.deepEqual(
    told(section, 'none').filter(text => text.includes('on this machine')),
    [
      `13: warning: on this machine, ${open}: its mode is 0644, so that others than its owner may use it; run: chmod 0600 ${open}`,
      '13: warning: on this machine, /nonexistent/key: there is no such file; make it with mode 0600, or correct the path',
    ],
  );
});

test('authorities of a check that are missing are a warning at their place; without TLS they are not looked at', t => {
  const config = join(directory, 'checks.yaml');
  const toldOf = (tls: string, path: string) => {
    writeFileSync(
      config,
      `pair: p1
routers: { a: {}, b: {} }
lans:
  client: { interface: eth0, addresses: { a: 192.0.2.2/24, b: 192.0.2.3/24 }, vips: [192.0.2.100], targets: [192.0.2.1] }
  servers: { interface: eth1, addresses: { a: 198.51.100.2/24, b: 198.51.100.3/24 }, gateways: [198.51.100.1] }
heartbeat: { links: [client, servers] }
services:
  ftp:
    vip: 192.0.2.100
    servers_lan: servers
    mark: 21
    check:
      tls: ${tls}
      tls_ca_file: ${path}
    servers: { fs1: { address: 198.51.100.11 } }
`,
    );
    const loaded = loadConfig(config, secretFindings);
    return (loaded.ok ? loaded.warnings : loaded.mistakes).map(({ line, problem }) => `${line}: ${problem}`);
  };
  t.deepEqual(toldOf('explicit', file('authority', 0o644)), []);
  t.deepEqual(toldOf('explicit', '/nonexistent/ca'), ['14: on this machine, /nonexistent/ca: there is no such file']);
  t.false(toldOf('none', '/nonexistent/ca').some(problem => problem.includes('on this machine')));
});
