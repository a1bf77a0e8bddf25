// Which real server a third machine is, by its MAC.
import test from 'ava';
import { claimerOf, claimerProblem, parseNeighbours } from '../../src/director/vip-claimer.ts';
import { configOf, FTP, FTP_DR } from './fixture.ts';

const NEIGHBOURS = parseNeighbours(
  JSON.stringify([
    { dst: '192.0.2.111', dev: 'c0', lladdr: '02:00:00:00:00:0A', state: ['REACHABLE'] },
    { dst: '192.0.2.112', dev: 'c0', lladdr: '02:00:00:00:00:0b', state: ['STALE'] },
    { dst: '192.0.2.113', dev: 'c0', state: ['FAILED'] },
    { dst: 'nonsense', lladdr: '02:00:00:00:00:0c' },
    null,
    {},
  ]),
);
const config = configOf({ services: { ftp: { ...FTP, vip: '192.0.2.101' }, direct: FTP_DR } });
const foreign = (mac: string) => ({ address: '192.0.2.100', mac });

test('a MAC that the kernel has beside the address of a real server is that server', t => {
  const found = claimerOf(config, foreign('02:00:00:00:00:0a'), NEIGHBOURS);
  t.like(found, { service: 'direct', server: 'fs1', address: '192.0.2.111', vip: '192.0.2.100' });
  t.like(claimerOf(config, foreign('02:00:00:00:00:0B'), NEIGHBOURS), { server: 'fs2' });
});

test('any other is a third machine', t => {
  for (const mac of ['02:00:00:00:00:0c', '02:00:00:00:00:ff', '']) {
    t.is(claimerOf(config, foreign(mac), NEIGHBOURS), undefined, mac);
  }
  t.is(claimerOf(configOf(), foreign('02:00:00:00:00:0a'), NEIGHBOURS), undefined);
});

test('of two services of one server that with the VIP is named', t => {
  const servers = { one: { address: '192.0.2.111' } };
  const both = configOf({
    services: { a: { ...FTP_DR, vip: '192.0.2.101', servers }, b: { ...FTP_DR, mark: 24, servers } },
  });
  t.is(claimerOf(both, foreign('02:00:00:00:00:0a'), NEIGHBOURS)?.service, 'b');
});

test('the sentence has the lines that mend it, by family', t => {
  const about = { service: 'ftp', server: 'fs1', address: '192.0.2.111', mac: '02:00:00:00:00:0a' } as const;
  const claimer = { ...about, address: '192.0.2.111' } as unknown as Parameters<typeof claimerProblem>[0];
  t.regex(claimerProblem({ ...claimer, vip: '192.0.2.100' }), /arp_ignore = 1.*arp_announce = 2/);
  t.regex(claimerProblem({ ...claimer, vip: '2001:db8:1::100' }), /dummy interface/);
});

test('what is no list of neighbours is refused', t => {
  t.throws(() => parseNeighbours('{}'), { message: /printed no list/ });
  t.throws(() => parseNeighbours(''));
});
