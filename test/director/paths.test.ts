// Which services are checked through their VIP, from where, and why others are not.
import test from 'ava';
import { type PathCheck, pathChecks, withWay } from '../../src/director/paths.ts';
import type { Snapshot } from '../../src/feed/message.ts';
import type { Verdict } from '../../src/nanny/verdict.ts';
import { sampleSnapshot } from '../cli/samples.ts';
import { configOf, FTP, FTP_DR, FTP6, verdict } from './fixture.ts';

const config = configOf({ services: { ftp: FTP, ftp6: FTP6, direct: { ...FTP_DR, vip: '192.0.2.101' } } });

function standby(changed: Partial<Snapshot> = {}, peerChanged: Partial<NonNullable<Snapshot['peer']>> = {}): Snapshot {
  const { peer, vips } = sampleSnapshot();
  if (peer === null) throw new Error('the sample has a peer');
  return sampleSnapshot({
    role: 'standby',
    serving: false,
    vips: vips.map(vip => ({ ...vip, held: false })),
    peer: { ...peer, role: 'active', serving: true, silent: false, ...peerChanged },
    ...changed,
  });
}

const found = (pulse: Snapshot | null, draining: readonly string[] = [], node = 'r2') =>
  pathChecks({ config, node, pulse, draining: new Set(draining) });
const whyOf = (check: PathCheck | undefined) => (check?.type === 'not-checked' ? check.why : 'checked');

test("the standby checks the NAT services, from its own address in each VIP's network", t => {
  const checks = found(standby());
  t.deepEqual(checks.get('ftp'), { type: 'checked', source: '192.0.2.3' } as PathCheck);
  t.deepEqual(checks.get('ftp6'), { type: 'checked', source: '2001:db8:1::3' } as PathCheck);
  t.is(whyOf(checks.get('direct')), 'checked', 'on each of its servers');
});

test('a router that holds the VIP, or does not stand by, checks nothing', t => {
  const holds = standby({
    role: 'active',
    serving: true,
    vips: sampleSnapshot().vips.map(vip => ({ ...vip, held: true })),
  });
  t.is(whyOf(found(holds).get('ftp')), 'this router holds the VIP');
  t.is(whyOf(found(standby({ role: 'starting' })).get('ftp')), 'this router is starting');
  t.is(whyOf(found(null).get('ftp')), 'pulse does not answer');
});

test('where nobody is heard to serve there is nothing to check', t => {
  for (const pulse of [standby({ peer: null }), standby({}, { silent: true }), standby({}, { serving: false })]) {
    t.is(whyOf(found(pulse).get('ftp')), 'nobody is heard to serve it');
  }
});

test('no check keeps a server that drains from its end', t => {
  const checks = found(standby(), ['ftp']);
  t.regex(whyOf(checks.get('ftp')), /^a server drains/);
  t.is(whyOf(checks.get('ftp6')), 'checked');
});

test('a VIP outside the own networks is not checked', t => {
  const routed = configOf({ services: { ftp: FTP } });
  const lans = {
    ...routed.lans,
    client: { ...routed.lans.client, addresses: { r1: '203.0.113.9/29', r2: '203.0.113.10/29' } },
  };
  const check = pathChecks({
    config: { ...routed, lans } as unknown as typeof routed,
    node: 'r2',
    pulse: standby(),
    draining: new Set(),
  }).get('ftp');
  t.is(whyOf(check), 'r2 has no own address in the network of 192.0.2.100');
});

test('a server that is well by its own address and not by the VIP is misconfigured, in what is said of it only', t => {
  const good = verdict('fs1', 'up');
  const way = {
    ...verdict('fs1_vip', 'down'),
    last: { ok: false, stage: 'connect', life: 'none', problem: 'timed out', words: '', tookMs: 1 },
  };
  const said = withWay(good, [verdict('fs2_vip', 'up'), way as Verdict]);
  t.is(said.state, 'misconfigured');
  t.regex(
    said.last?.ok === false ? said.last.problem : '',
    /by the VIP not \(timed out\): the server must have the VIP/,
  );
  t.is(withWay(good, [{ ...way, service: 'other' } as Verdict]), good);
  t.is(withWay(good, [verdict('fs1_vip', 'up')]), good);
  const down = verdict('fs1', 'down');
  t.is(withWay(down, [way as Verdict]), down, 'down by its own address says more');
});
