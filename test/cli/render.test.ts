// What people see: whole transcripts of status, why and plan, and the words they are made of.
import test from 'ava';
import { age, milliseconds, printable, since } from '../../src/cli/format.ts';
import { renderDecisions, renderFeed, renderStatus } from '../../src/cli/render.ts';
import { NOW, sampleReport, sampleSnapshot, sampleSync } from './samples.ts';

const PLAIN = { colour: false, now: NOW };

test('status shows problems first, then the pair, then what it serves', t => {
  t.is(
    renderStatus(sampleReport(), PLAIN),
    `DEGRADED  pair ftp-pair, tandem 0.1.0, 2026-11-22T16:25:00.000Z

PROBLEMS
  ! heartbeat link cross is down
  ! ftp2 of service ftp is down: login: 530 Login incorrect.

ROUTERS
  router           role     epoch  since   fitness  rules  tables  config    heard
  router-a (here)  ACTIVE   12.1   5m ago  7        in     warm    d658d3a1  -
  router-b         standby  12.1   -       7        in     warm    d658d3a1  43ms ago
  reason: router-b was silent for 312 ms and no virtual address answered

LINKS
  link    interface  state  rtt      heard      peer hears us  received  refused
  client  eth0       up     0.21 ms  43ms ago   yes            3021      0
  cross   eth2       DOWN   -        1m 1s ago  NO             3021      3

LANS
  lan     interface  state  own addresses   targets
  client  eth0       alive  192.0.2.2 here  192.0.2.1 up

VIRTUAL ADDRESSES
  address       kind     interface  state             link
  192.0.2.100   vip      eth0       held by router-a  carrier
  198.51.100.1  gateway  eth1       held by router-a  carrier

SERVICE ftp  192.0.2.100, mark 21, wlc
  server  address        verdict  weight  connections  checked            what it said
  ftp1    198.51.100.11  up       1       12 + 3       2.5s ago, 14 ms
  ftp2    198.51.100.12  DOWN     0 of 1  1 + 0        4.0s ago, 3.10 ms  login: 530 Login [2J incorrect.
  through 192.0.2.100: not checked here (this router holds the VIP)

KERNEL  rules in, last audit 30s ago, repairs 0
SYNC  streaming to router-b over client; 1,234 templates, 5,678 connections; lag 12 ms
  store file, saved 12s ago, 1,230 templates, 5,600 connections
`,
  );
});

test('status says what the check through the VIP met, and what the other router says of a server where they disagree', t => {
  const report = sampleReport();
  const path = {
    state: 'down',
    why: '',
    failedStage: 'login',
    words: '530 no',
    checkedAt: report.generatedAt,
    checkMs: 20,
  } as const;
  const services = report.services.map(service => ({
    ...service,
    path,
    servers: service.servers.map(server => ({
      ...server,
      disagrees: server.name === 'ftp1',
      peer: { state: 'down' as const, failedStage: 'connect', words: 'refused' },
    })),
  }));
  const text = renderStatus({ ...report, services }, PLAIN);
  t.regex(text, /^ {2}through 192\.0\.2\.100: FAILS \([^,]* ago, 20 ms, login: 530 no\)$/m);
  t.regex(text, /ftp1 +198\.51\.100\.11 +up \(down at the peer\)/);
  t.notRegex(text, /DOWN \(down at the peer\)/);
});

test('status shows a sorry server below the real ones', t => {
  const report = sampleReport();
  const services = report.services.map(service => {
    const [real] = service.servers;
    if (!real) throw new Error('the sample has a server');
    return { ...service, sorry: { ...real, name: 'sorry_server', address: '198.51.100.99', kernelWeight: 0 } };
  });
  t.regex(renderStatus({ ...report, services }, PLAIN), /ftp2 .*\n +sorry server +198\.51\.100\.99 +up +0 of 1 /);
});

test('status does not show a silent peer as active, and does not say that it holds the VIPs', t => {
  const peer = sampleSnapshot().peer;
  if (!peer) throw new Error('the sample has a peer');
  const silent = { ...peer, role: 'active' as const, serving: true, heardMsAgo: 35_000, silent: true };
  const pulse = sampleSnapshot({ role: 'standby', serving: false, peer: silent });
  const text = renderStatus({ ...sampleReport(), pulse }, PLAIN);
  t.regex(text, /router-b +SILENT \(was active\)/);
  t.notRegex(text, /(at|held by) router-b/);
});

test('status says which config differs, who is on hold, what is not served and what is not in the kernel', t => {
  const report = sampleReport();
  const peer = sampleSnapshot().peer;
  if (!peer) throw new Error('the sample has a peer');
  const text = renderStatus(
    {
      ...report,
      pulse: sampleSnapshot({
        serving: false,
        leaseArmed: false,
        hold: { on: true, until: null },
        peer: { ...peer, configDigest: '0011223344556677', hold: true },
      }),
      services: report.services.map(service => ({ ...service, inKernel: false })),
      kernel: { ...report.kernel, rulesIn: false, errors: ['ipvsadm is not installed; apt-get install ipvsadm'] },
      sync: sampleSync({ phase: 'waiting', role: 'sink', warm: false }),
    },
    PLAIN,
  );
  for (const words of [
    'ACTIVE, NOT SERVING',
    '00112233 DIFFERS',
    'hold: router-a may not become active until `tandem release`',
    'hold: router-b may not become active',
    'alone: no fit peer',
    'wlc, NOT IN THE KERNEL',
    'RULES NOT IN',
    '! ipvsadm is not installed; apt-get install ipvsadm',
    'SYNC  COLD: waiting: no link to the director of router-b',
  ]) {
    t.true(text.includes(words), words);
  }
});

test('a standby shows where the addresses are, and a peer that was never heard is said to be so', t => {
  const peer = sampleSnapshot().peer;
  const vips = sampleSnapshot().vips.map(vip => ({ ...vip, held: false }));
  const beside = peer && { ...peer, role: 'active' as const, serving: true };
  const standby = renderFeed(sampleSnapshot({ role: 'standby', vips, peer: beside }), 'no director', PLAIN);
  t.regex(standby, /192\.0\.2\.100 .* at router-b/);
  const alone = renderFeed(sampleSnapshot({ role: 'standby', vips, peer: null }), 'no director', PLAIN);
  t.regex(alone, /router-b +NOT HEARD/);
  t.regex(alone, /192\.0\.2\.100 .* not held here/);
  const broken = renderFeed(sampleSnapshot({ vips }), 'no director', PLAIN);
  t.regex(broken, /192\.0\.2\.100 .* NOT HELD/);
  const barred = vips.map(vip => ({ ...vip, obstacle: 'there is no interface eth0' }));
  const unable = renderFeed(sampleSnapshot({ role: 'standby', vips: barred, peer: beside }), 'no director', PLAIN);
  t.regex(unable, /192\.0\.2\.100 .* CANNOT BE HELD here/);
  t.regex(unable, /! 192\.0\.2\.100: there is no interface eth0/);
});

test('when only pulse answers, status says so first and why', t => {
  const text = renderFeed(sampleSnapshot(), 'director does not run here', PLAIN);
  t.true(
    text.startsWith(
      'PARTIAL  pulse answers, the director does not\n\nPROBLEMS\n  ! director does not run here\n\nROUTERS\n',
    ),
  );
  t.false(text.includes('SERVICE'));
});

test('when pulse does not answer, the director shows the rest', t => {
  const text = renderStatus({ ...sampleReport(), pulse: null }, PLAIN);
  t.true(text.includes('PULSE\n  does not answer: systemctl status tandem-pulse\n'));
  t.true(text.includes('SERVICE ftp'));
});

test('colours change nothing but colours', t => {
  const coloured = renderStatus(sampleReport(), { ...PLAIN, colour: true });
  t.true(coloured.includes('\u001b[31mDOWN\u001b[0m'));
  const stripped = coloured
    .split('\u001b')
    .map((piece, index) => (index === 0 ? piece : piece.replace(/^\[\d+m/, '')))
    .join('');
  t.is(stripped, renderStatus(sampleReport(), PLAIN));
});

test('a kernel error that is among the problems is not told twice', t => {
  const report = sampleReport();
  const kernel = { ...report.kernel, errors: ['ipvsadm is not installed', 'nft is not installed'] };
  const text = renderStatus({ ...report, problems: ['ipvsadm is not installed'], kernel }, PLAIN);
  t.is(text.split('! ipvsadm is not installed').length, 2);
  t.is(text.split('! nft is not installed').length, 2);
});

test('why tells each decision with its reason and evidence', t => {
  t.is(
    renderDecisions(sampleSnapshot().decisions, PLAIN),
    `2026-11-22T16:19:59.702Z  standby -> claiming  epoch 12.1
  router-b was silent for 312 ms and no virtual address answered
  silentMs 312, links up 2, answers none, last will false
2026-11-22T16:20:00.000Z  claiming -> active  epoch 12.1
  vipd holds all addresses
`,
  );
  t.is(renderDecisions([], PLAIN), 'no role decision yet\n');
});

test("a server's words cannot move the cursor, change colours or fill the screen", t => {
  t.is(printable('530\u001b[2J\r\n\u0007 go\u202e away\u2028', 70), '530 [2J go away');
  t.is(printable('x'.repeat(100), 10), `${'x'.repeat(9)}…`);
});

test('ages and times are written as people read them', t => {
  const ages: [number, string][] = [
    [-5, '0ms'],
    [43, '43ms'],
    [1_250, '1.3s'],
    [9_990, '10.0s'],
    [59_000, '59s'],
    [61_000, '1m 1s'],
    [300_000, '5m'],
    [7_322_000, '2h 2m'],
    [360_000_000, '4d 4h'],
  ];
  for (const [ms, text] of ages) t.is(age(ms), text);
  t.is(since('2026-11-22T16:20:00.000Z', NOW), '5m ago');
  t.is(since(null, NOW), 'never');
  t.is(since('soon', NOW), 'soon');
  t.is(milliseconds(0.214), '0.21 ms');
  t.is(milliseconds(14.2), '14 ms');
  t.is(milliseconds(null), '-');
});
