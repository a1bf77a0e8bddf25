// From the config to the plans of checks of services that are not FTP.
import test from 'ava';
import { configSchema, type PlainServiceConfig } from '../../src/config/schema.ts';
import { plainPlan } from '../../src/nanny/plain-plan.ts';
import type { Address } from '../../src/units/address.ts';

function serviceOf(check: object, service: object = {}): PlainServiceConfig {
  const { web } = configSchema.shape.services.parse({
    web: {
      ...{ kind: 'tcp', vip: '192.0.2.100', servers_lan: 'servers', mark: 80, ports: [80, 443] },
      ...{ servers: { w1: { address: '198.51.100.13' } }, check },
      ...service,
    },
  });
  if (web === undefined || web.kind === 'ftp') throw new Error('it is not of kind ftp');
  return web;
}

type As = Parameters<typeof plainPlan>[1]['as'];
const NO_FILES = { ca: undefined, sent: undefined };

function planOf(check: object, as: As = 'server', files: Partial<typeof FILES> = {}, service: object = {}) {
  const about = { address: '198.51.100.13' as Address, origin: undefined, as, files: { ...NO_FILES, ...files } };
  return plainPlan(serviceOf(check, service), about);
}
const FILES = { ca: 'PEM', sent: Buffer.from('secret') };

test('without a word a server is up that takes a connection at the first port', t => {
  t.deepEqual(planOf({}), {
    ...{ type: 'port', protocol: 'tcp', address: '198.51.100.13' as Address, origin: undefined, port: 80 },
    ...{ tls: undefined, asks: { type: 'nothing' }, timeoutMs: 5_000 as never, slowFail: {} },
  });
});

test('what the config asks is in the plan', t => {
  t.like(planOf({ type: 'banner', expect: 'SSH-', port: 443 }), {
    ...{ port: 443, asks: { type: 'banner', expect: Buffer.from('SSH-'), maxBytes: 65_536 } },
  });
  t.like(planOf({ type: 'send_expect', send_hex: '0d 0A', expect_hex: 'ff' }), {
    asks: {
      type: 'exchange',
      send: Buffer.from('\r\n'),
      expect: Buffer.from([255]),
      banner: undefined,
      isSecret: false,
    },
  });
  t.like(planOf({ type: 'send_expect', send_file: '/etc/tandem/send', expect: 'ok' }, 'server', FILES), {
    asks: { type: 'exchange', send: FILES.sent, isSecret: true },
  });
  t.like(planOf({ type: 'http', tls: 'implicit', port: 443, tls_name: 'www.example', sha256: 'A'.repeat(64) }), {
    tls: { mode: 'implicit', name: 'www.example', ca: undefined, verify: 'chain' },
    asks: {
      type: 'http',
      path: '/',
      host: 'www.example',
      content: { sha256: 'a'.repeat(64), size: undefined, text: undefined },
    },
  });
  t.like(planOf({ type: 'tls', tls_ca_file: '/etc/ca.pem' }, 'server', FILES), {
    ...{ tls: { name: undefined, ca: 'PEM', verify: 'chain' }, asks: { type: 'nothing' } },
  });
  t.like(planOf({ type: 'tls' }), { tls: { verify: 'none' } });
  t.like(planOf({ type: 'icmp', timeout: '500ms' }), { type: 'echo', timeoutMs: 500 as never });
});

test('of a sorry server a connection is enough, whatever the others are asked', t => {
  for (const check of [{ type: 'http', slow_fail: '1s' }, { type: 'tls' }, { type: 'banner' }])
    t.like(planOf(check, 'sorry'), { type: 'port', tls: undefined, asks: { type: 'nothing' }, slowFail: {} });
});

test('by the VIP the same is asked at its port; an echo or a health page on another port is not for its clients', t => {
  t.like(planOf({ type: 'http', port: 443 }, 'path'), { port: 443, asks: { type: 'http' } });
  t.like(planOf({ type: 'http', port: 8_080 }, 'path'), { port: 80, asks: { type: 'nothing' } });
  t.like(planOf({ type: 'icmp' }, 'path'), { type: 'port', port: 80, asks: { type: 'nothing' } });
  const mapped = { ports: 80, server_port: 8_080 };
  t.like(planOf({ type: 'http' }, 'server', {}, mapped), { port: 8_080, asks: { type: 'http' } });
  t.like(planOf({ type: 'http' }, 'path', {}, mapped), { port: 80, asks: { type: 'http' } });
  t.like(planOf({ type: 'http', port: 9_000 }, 'path', {}, mapped), { port: 80, asks: { type: 'nothing' } });
});

test('of a service over UDP a question goes as a datagram, a health page and a port are over TCP and not for its clients', t => {
  const udp = { kind: 'udp', ports: 53 };
  t.like(planOf({ type: 'send_expect', send: 'x' }, 'server', {}, udp), { protocol: 'udp', port: 53 });
  t.like(planOf({ type: 'send_expect', send: 'x' }, 'path', {}, udp), { protocol: 'udp', port: 53 });
  t.like(planOf({ type: 'connect' }, 'server', {}, udp), { type: 'port', protocol: 'tcp', port: 53 });
  t.like(planOf({ type: 'http', port: 8_080 }, 'server', {}, udp), { protocol: 'tcp', port: 8_080 });
  for (const check of [{ type: 'connect' }, { type: 'http', port: 8_080 }, { type: 'icmp' }, {}])
    t.like(planOf(check, 'path', {}, udp), { type: 'datagram', port: 53 });
});
