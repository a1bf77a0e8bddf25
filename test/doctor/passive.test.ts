// Which passive ports doctor tries, and what it makes of what it meets: a look must do no harm.
import { createServer } from 'node:net';
import test from 'ava';
import { tryPassivePorts } from '../../src/doctor/io/passive-look.ts';
import { passiveTries } from '../../src/doctor/passive-tries.ts';
import { configOf, FTP } from '../director/fixture.ts';
import { drainReport, serverReport, statusReport } from '../status/fixture.ts';
import { CONFIG, complaints, PULSE } from './facts.ts';

const [SERVICE] = statusReport().services;
const reportOf = (servers: ReturnType<typeof serverReport>[], drains: ReturnType<typeof drainReport>[] = []) =>
  statusReport({ drains, services: SERVICE === undefined ? [] : [{ ...SERVICE, servers }] });
const QUIET = reportOf([serverReport()]);
const STANDBY = { ...PULSE, peer: PULSE.peer && { ...PULSE.peer, role: 'active' as const, serving: true } };
const asked = { config: CONFIG, node: 'r1', pulse: STANDBY, report: QUIET };
const DRAINS = { ok: false, problem: 'a server drains, and each check would be a client of it', unseen: false };

test('a standby tries first, middle and last port of a service of which no server drains', t => {
  const tries = passiveTries(asked);
  t.true(tries.ok);
  if (tries.ok) t.deepEqual(new Set(tries.value.map(({ service }) => service)), new Set(['ftp']));
  t.is(tries.ok && tries.value.length, 3);
});

const DRAINING = {
  'is drained': reportOf([serverReport()], [drainReport({ service: 'ftp' })]),
  'has left the config and still has clients': reportOf([serverReport({ name: '198.51.100.19', state: 'draining' })]),
  'is down and still has clients': reportOf([serverReport({ state: 'down', kernelWeight: 0 })]),
};

for (const [what, report] of Object.entries(DRAINING)) {
  test(`a service is not tried of which a server ${what}, whatever its forwarding`, t => {
    t.deepEqual(passiveTries({ ...asked, report }), DRAINS);
    const { servers_lan: _, ...direct } = FTP;
    const config = configOf({ services: { ftp: { ...direct, forwarding: 'dr' } } });
    t.deepEqual(passiveTries({ ...asked, config, report }), DRAINS);
  });
}

test('a drain of another service is no bar', t => {
  const report = reportOf([serverReport()], [drainReport({ service: 'mail' })]);
  t.true(passiveTries({ ...asked, report }).ok);
});

test('without a director nothing is tried, which is said as something that could not be looked at', t => {
  const passive = passiveTries({ ...asked, report: null });
  if (passive.ok) return t.fail();
  const [finding] = complaints({ passive });
  t.is(finding?.severity, 'unseen');
  t.is(
    finding?.sentence,
    'could not look at the passive ranges through the VIP: the director does not say whether a server drains',
  );
});

test('the router that serves has nothing to try, with or without a director', t => {
  const pulse = { ...STANDBY, role: 'active', serving: true } as const;
  const look = passiveTries({ ...asked, pulse, report: null });
  t.like(look, { ok: false, unseen: false });
});

test('taken and refused are answers; what this router cannot send is no drop of a firewall', async t => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const about = { service: 'ftp', vip: '127.0.0.1', port };
  const [taken, foreign] = await tryPassivePorts([
    { ...about, source: '127.0.0.1' },
    // An address of the documentation's that no host has.
    { ...about, source: '192.0.2.254' },
  ]);
  await new Promise(resolve => server.close(resolve));
  const [refused] = await tryPassivePorts([{ ...about, source: '127.0.0.1' }]);
  t.like(taken, { answer: 'answered', code: '' });
  t.like(refused, { answer: 'answered', code: '' });
  t.like(foreign, { answer: 'failed', code: 'EADDRNOTAVAIL' });
  const [finding] = complaints({ passive: { ok: true, value: foreign === undefined ? [] : [foreign] } });
  t.is(finding?.severity, 'unseen');
  t.regex(finding?.sentence ?? '', /this router cannot open a connection \(EADDRNOTAVAIL\)$/);
  t.notRegex(finding?.sentence ?? '', /firewall/);
});
