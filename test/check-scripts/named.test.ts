// Which script a name of the config stands for, and what it is told.
import test from 'ava';
import { scriptDigest, scriptOf } from '../../src/config/check-script.ts';
import { parseConfig } from '../../src/config/document.ts';

const parsed = parseConfig(`
pair: edge
routers: { r1: {}, r2: {} }
lans:
  client: { interface: eth0, addresses: { r1: 192.0.2.2/24, r2: 192.0.2.3/24 }, vips: [192.0.2.100] }
  servers: { interface: eth1, addresses: { r1: 198.51.100.2/24, r2: 198.51.100.3/24 }, gateways: [198.51.100.1] }
heartbeat: { links: [client, servers] }
fitness:
  checks:
    uplink: { script: [/etc/tandem/checks/uplink, 192.0.2.1], environment: { LC_ALL: de_DE, COUNT: "3" } }
services:
  ftp:
    vip: 192.0.2.100
    servers_lan: servers
    mark: 21
    control_port: 2121
    active: false
    check: { script: [/etc/tandem/checks/db], timeout: 9s, script_environment: { DB: main } }
    servers: { fs1: { address: 198.51.100.11 } }
`);

test('a script has what the config says, what is ours, and no name stands for another thing', t => {
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.mistakes));
  const { config } = parsed;
  const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const uplink = scriptOf(config, 'r1', { type: 'fitness', check: 'uplink' });
  t.deepEqual(uplink?.command, ['/etc/tandem/checks/uplink', '192.0.2.1']);
  t.deepEqual(uplink?.environment, {
    ...{ PATH, LC_ALL: 'de_DE', COUNT: '3', TANDEM_ROUTER: 'r1', TANDEM_CHECK: 'uplink' },
  });
  const fs1 = scriptOf(config, 'r2', { type: 'server', service: 'ftp', server: 'fs1' });
  t.is(fs1?.timeoutMs, 9_000 as never);
  t.deepEqual(fs1?.environment, {
    ...{ PATH, LC_ALL: 'C', DB: 'main', TANDEM_ROUTER: 'r2', TANDEM_CHECK: 'ftp/fs1', TANDEM_SERVICE: 'ftp' },
    ...{ TANDEM_SERVER: 'fs1', TANDEM_ADDRESS: '198.51.100.11', TANDEM_PORT: '2121', TANDEM_VIP: '192.0.2.100' },
  });
  for (const check of ['other', '__proto__', 'constructor'])
    t.is(scriptOf(config, 'r1', { type: 'fitness', check }), undefined);
  for (const [service, server] of [
    ['ftp', 'fs2'],
    ['http', 'fs1'],
    ['ftp', '__proto__'],
    ['toString', 'fs1'],
  ] as const)
    t.is(scriptOf(config, 'r1', { type: 'server', service, server }), undefined);
  t.not(scriptDigest(uplink as never), scriptDigest(fs1 as never));
});
