// The rules of services that are not FTP, beside one that is.
import test from 'ava';
import { acceptMatch, firewallOf, ruleset } from '../../src/firewall/ruleset.ts';
import { configOf, DNS, FTP, NODE, PROXY, WEB_DR } from '../director/fixture.ts';

const SYN = 'tcp flags & (fin | syn | rst | ack) == syn';
const config = configOf({ services: { ftp: FTP, proxy: PROXY, web: WEB_DR } });

function rulesOf(chain: string, text = ruleset(firewallOf(config, NODE))): string[] {
  const found = new RegExp(`\\tchain ${chain} \\{\\n\\t\\t.*\\n((?:\\t\\t.*\\n)*)`).exec(text)?.[1] ?? '';
  return found
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '');
}

test('only SYNs are marked, so that nothing is scheduled in mid-stream', t => {
  t.deepEqual(
    rulesOf('marks').filter(rule => rule.includes('192.0.2.101')),
    [
      `iifname { "c0", "x0" } ${SYN} meta mark set ip daddr . tcp dport map { 192.0.2.100 . 21 : 21, 192.0.2.100 . 10000-20000 : 21, 192.0.2.101 . 80 : 81 }`,
    ],
  );
});

test('DR with persistence: a client that is known is adopted by its template; without it nobody is', t => {
  const to = 'iifname { "c0", "s0", "x0" } ip daddr 192.0.2.100';
  t.deepEqual(
    rulesOf('marks').filter(rule => rule.includes('@known')),
    [
      `${to} tcp dport { 80, 443 } ${SYN} meta mark set 80 add @known_web { ip saddr timeout 1m }`,
      `${to} tcp dport { 80, 443 } tcp flags & (fin | syn | rst | ack) == ack ip saddr @known_web update @known_web { ip saddr timeout 7200s }`,
      `${to} tcp dport { 80, 443 } tcp flags & (syn | rst) == 0 ip saddr @known_web meta mark set 80`,
    ],
  );
  const without = ruleset(firewallOf(configOf({ services: { web: { ...WEB_DR, persistence: 'off' } } }), NODE));
  t.notRegex(without, /known_/);
  t.deepEqual(rulesOf('marks', without), [`${to} tcp dport { 80, 443 } ${SYN} meta mark set 80`]);
  t.true(without.includes(`${to} tcp dport { 80, 443 } notrack`));
});

test('what has no state here stays silent, on the port of the VIP and on that of the servers', t => {
  t.regex(rulesOf('guard_in').join('\n'), /ip daddr \. tcp dport \{.* 192\.0\.2\.101 \. 80[ ,].*\} jump guard_in_ip$/);
  t.regex(rulesOf('guard_in_ip')[0] ?? '', /^counter drop$/);
  t.regex(rulesOf('guard_out')[0] ?? '', /ip saddr \. tcp sport \{.* 198\.51\.100\.31 \. 8080 \} jump guard_out_ip$/);
  t.regex(
    rulesOf('guard_out_ip').join('\n'),
    /ip saddr \. ct reply ip daddr \{.* 198\.51\.100\.31 \. 192\.0\.2\.101 \}/,
  );
});

test('no service but FTP has source NAT', t => {
  t.deepEqual(
    rulesOf('active_data').filter(rule => rule.includes('192.0.2.101')),
    [],
  );
});

test('the ways are counted by the port that each has there', t => {
  const text = ruleset(firewallOf(config, NODE));
  t.regex(text, /192\.0\.2\.101 \. 80 : "from_clients_late_proxy"/);
  t.regex(text, /81 \. 198\.51\.100\.31 \. 8080 : "to_servers_late_proxy"/);
  t.regex(text, /198\.51\.100\.31 \. 8080 : "from_servers_late_proxy"/);
  t.regex(text, /80 \. 192\.0\.2\.100 \. 443 : "to_servers_late_web"/);
  t.notRegex(text, /data_\w+_(proxy|web)/);
  const proxy = firewallOf(config, NODE).services[1];
  t.is(proxy && acceptMatch('to-servers', proxy), 'ip daddr { 198.51.100.31 } tcp dport 8080');
  t.is(proxy && acceptMatch('from-clients', proxy), 'ip daddr 192.0.2.101 tcp dport 80');
});

test('UDP: each datagram is marked, by NAT and by DR; none is adopted, counted, or told to the sync', t => {
  const direct = { ...DNS, servers_lan: undefined, forwarding: 'dr', servers: { d1: { address: '192.0.2.153' } } };
  const nat = ruleset(firewallOf(configOf({ services: { dns: DNS } }), NODE));
  const dr = ruleset(firewallOf(configOf({ services: { dns: direct } }), NODE));
  const map = 'meta mark set ip daddr . udp dport map { 192.0.2.100 . 53 : 53 }';
  t.deepEqual(rulesOf('marks', nat), [`iifname { "c0", "x0" } ${map}`]);
  t.deepEqual(rulesOf('marks', dr), [`iifname { "c0", "s0", "x0" } ${map}`]);
  t.true(dr.includes('udp dport 53 notrack'));
  t.notRegex(dr, /known_|log prefix/);
  for (const text of [nat, dr]) t.notRegex(text, /tcp [ds]port|counter name from_/);
});

test('UDP: what has no state stays silent, and what a server begins itself goes out', t => {
  const text = ruleset(firewallOf(configOf({ services: { dns: DNS } }), NODE));
  t.deepEqual(rulesOf('guard_in', text), ['ip daddr . udp dport { 192.0.2.100 . 53 } jump guard_in_ip']);
  t.deepEqual(rulesOf('guard_out', text), [
    'oifname { "c0", "x0" } ip saddr . udp sport { 198.51.100.53 . 53 } jump guard_out_ip_udp',
  ]);
  t.regex(
    text,
    /chain guard_out_ip_udp \{\n\t\tip saddr . ct original .* counter drop\n\t\tip saddr . ct reply .* counter drop\n\t\}/,
  );
  t.deepEqual(rulesOf('not_served', text), [
    'iifname != { "c0", "x0" } counter name ip daddr . udp dport map { 192.0.2.100 . 53 : "refused_dns" } reject with icmpx port-unreachable',
  ]);
});
