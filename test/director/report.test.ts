// What the status report says of a router's own addresses and of what keeps it from becoming active.
import test from 'ava';
import { parseConfig } from '../../src/config/document.ts';
import { NOTHING_COMPARED } from '../../src/director/check-watch.ts';
import { NOTHING_KNOWN } from '../../src/director/findings.ts';
import { type ReportInput, statusReport } from '../../src/director/report.ts';
import type { Snapshot } from '../../src/feed/message.ts';
import type { StatusReport } from '../../src/status/status-report.ts';
import { STATUS_OFF } from '../../src/status/sync-status.ts';
import { pulseSnapshot } from '../status/fixture.ts';
import { configOf, verdict } from './fixture.ts';

const parsed = parseConfig(`pair: p
routers: { r1: {}, r2: {} }
lans:
  client: { interface: eth0, addresses: { r1: 192.0.2.2/24, r2: 192.0.2.3/24 }, vips: [192.0.2.100] }
heartbeat: { links: [client] }
`);

function report(changes: Partial<ReportInput>): StatusReport {
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.mistakes));
  const { config } = parsed;
  const { configDigest } = pulseSnapshot();
  return statusReport({
    ...{ config, digest: configDigest, version: '0', generatedAt: '', pulse: pulseSnapshot() },
    ...{
      verdicts: [],
      checks: NOTHING_COMPARED,
      drains: [],
      claimer: undefined,
      pathChecks: new Map(),
      pathVerdicts: [],
      node: 'r1',
      table: { services: [] },
      counts: [],
      lastAuditAt: null,
      sync: STATUS_OFF,
      syncProblems: [],
      kernelFound: {},
      fitness: [],
      hooks: [],
      ...{ otherVerdicts: [], watchProblems: [], refused: 0, failures: [] },
    },
    known: { ...NOTHING_KNOWN, rulesIn: true },
    ...changes,
  });
}

const problemsOf = (changes: Partial<Snapshot>) => report({ pulse: pulseSnapshot(changes) }).problems;

test('a misconfigured server is named with the sentence that mends it, in problems and in its row', t => {
  const problem = 'PASV announces 198.51.100.11, not 192.0.2.100; set pasv_address';
  const wrong = {
    ok: false,
    tookMs: 1,
    stage: 'passive',
    life: 'speaks',
    misconfigured: true,
    problem,
    words: '227 x',
  } as const;
  const found = { ...verdict('fs1', 'misconfigured'), last: wrong, alive: true };
  const told = report({ config: configOf(), verdicts: [found] });
  const sentence = `service ftp: server fs1 is misconfigured at stage passive: ${problem} (it answers, so the clients that it has stay)`;
  t.true(told.problems.includes(sentence), JSON.stringify(told.problems));
  t.like(told.services[0]?.servers[0], { state: 'misconfigured', words: problem });
  t.is(told.health, 'degraded');
});

test('a certificate that ends soon and a slow server are notices, not problems', t => {
  const end = '2027-01-01T00:00:00.000Z';
  const last = { ok: true, tookMs: 1, bytes: 1, certificate: { validUntil: end, daysLeft: 3 } } as const;
  const found = { ...verdict('fs1', 'up'), last, conditions: { expiring: true, slow: true } };
  const told = report({ config: configOf(), verdicts: [found] });
  t.deepEqual(told.notices, [
    `service ftp: the certificate of server fs1 ends soon (${end}): renew it`,
    'service ftp: checks of server fs1 take longer than check.slow_warn; see SERVER_SLOW',
  ]);
  t.is(told.services[0]?.servers[0]?.certificateDaysLeft, 3);
});

const calm = problemsOf({});
const added = (changes: Partial<Snapshot>) => problemsOf(changes).filter(problem => !calm.includes(problem));

test('an own address that is not there is a problem', t => {
  const [lan] = pulseSnapshot().lans;
  if (!lan) throw new Error('the fixture has a LAN');
  const own = [{ address: '192.0.2.2', state: 'gone' as const }];
  t.deepEqual(added({ lans: [{ ...lan, own }] }), ['own address 192.0.2.2 on client (eth0) is not there']);
});

test('a heartbeat port that another program has is named with it', t => {
  const [link] = pulseSnapshot().links;
  if (!link) throw new Error('the fixture has a link');
  const problem = 'UDP port 694 of 192.0.2.2 is in use by inetd (pid 12)';
  t.deepEqual(added({ links: [{ ...link, up: false, problem }] }), [
    `heartbeat link client (eth0) is not bound: ${problem}`,
  ]);
});

test('addresses of the peer and what bars a claim are problems', t => {
  t.deepEqual(added({ peerAddressesHere: ['192.0.2.3'], bar: 'it goes by the wrong name' }), [
    `this host has 192.0.2.3, an address of ${pulseSnapshot().peerNode}`,
    `${pulseSnapshot().node} cannot become active: it goes by the wrong name`,
  ]);
});

test('a third machine is a problem, whether it claims an address or only answers for it', t => {
  const third = { address: '192.0.2.100', mac: '02:00:00:00:09:01', port: 'br0/eth3', claims: true, standsDown: false };
  const claim = 'another machine, 02:00:00:00:09:01, claims 192.0.2.100 (heard on br0/eth3)';
  t.deepEqual(added({ foreign: third }), [claim]);
  t.deepEqual(added({ foreign: { ...third, standsDown: true } }), [`${claim}: the pair stands down`]);
  t.deepEqual(added({ foreign: { ...third, port: '', claims: false } }), [
    "another machine, 02:00:00:00:09:01, answers for 192.0.2.100, which is the peer's",
  ]);
});

test('a VIP that the owner cannot hold is named with the reason; so is what a standby could not hold', t => {
  const { node, peerNode, peer, vips } = pulseSnapshot();
  const unheld = vips.map(vip => ({ ...vip, held: false, obstacle: 'there is no interface eth0' }));
  const units = { able: 0, all: 1 };
  t.deepEqual(added({ role: 'active', vips: unheld, units }), [
    '192.0.2.100 is not served: there is no interface eth0',
  ]);
  t.deepEqual(added({ role: 'standby', vips: unheld, units }), [
    `${node} could not hold 192.0.2.100: there is no interface eth0`,
  ]);
  if (!peer) throw new Error('the fixture has a peer');
  const all = { units: { able: 2, all: 2 } };
  t.deepEqual(added({ ...all, peer: { ...peer, units: 1 } }), [
    `${peerNode} could hold only 1 of 2 VIPs; see \`tandem status\` there`,
  ]);
  t.deepEqual(added({ ...all, peer: { ...peer, units: 1, serving: true } }), [
    `${peerNode} serves only 1 of 2 VIPs; see \`tandem status\` there`,
  ]);
  t.deepEqual(added({ ...all, peer: { ...peer, units: 2 } }), []);
  t.deepEqual(added({ ...all, peer: { ...peer, units: null } }), [], 'it has not said');
});
