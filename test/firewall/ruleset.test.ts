import test from 'ava';
import { parseConfig } from '../../src/config/document.ts';
import { acceptMatch, firewallOf, removal, ruleset } from '../../src/firewall/ruleset.ts';
import type { Address } from '../../src/units/address.ts';
import { tandemConfig } from '../bench/scale-plan.ts';
import { configOf, FTP, FTP_DR, FTP6, FTP6_TUN, NODE } from '../director/fixture.ts';

/** The rules that decide something. */
function withoutEvidence(text: string): string {
  return text.replace(/\tcounter \S+ \{\n\t\}\n/g, '').replace(/\tchain seen_\w+ \{\n(\t\t.*\n)*\t\}\n/g, '');
}

test('new connections are counted before and after the hooks of others, each way', t => {
  const text = ruleset(firewallOf(configOf(), NODE));
  const counted = [...text.matchAll(/\tchain (seen_\w+) \{\n((?:\t\t.*\n)*)/g)].flatMap(([, chain, rules = '']) =>
    rules
      .trim()
      .split('\n')
      .map(rule => `${chain}: ${rule.trim()}`),
  );
  const syn = 'tcp flags & (fin | syn | rst | ack) == syn';
  const data = (counter: string) => `data_${counter}`;
  const toVip = (mark: string, counter: string) =>
    `${mark}192.0.2.100 . 21 : "${counter}", ${mark}192.0.2.100 . 10000-20000 : "${data(counter)}"`;
  const each = (mark: string, counter: string) =>
    ['11', '12']
      .map(host => `${mark}198.51.100.${host}`)
      .map(at => `${at} . 21 : "${counter}", ${at} . 10000-20000 : "${data(counter)}"`)
      .join(', ');
  const active = (counter: string) => `198.51.100.11 . 20 : "${counter}", 198.51.100.12 . 20 : "${counter}"`;
  const clients = `iifname { "c0", "x0" } ${syn}`;
  const sport = 'counter name ip saddr . tcp sport map';
  const dport = 'counter name ip daddr . tcp dport map';
  const marked = 'counter name meta mark . ip daddr . tcp dport map';
  t.deepEqual(counted, [
    'seen_prerouting: type filter hook prerouting priority -310; policy accept;',
    `seen_prerouting: ${clients} fib daddr type local ${dport} { ${toVip('', 'from_clients_early_ftp')} }`,
    `seen_prerouting: ${syn} | ack fib daddr type != local ${sport} { ${each('', 'from_servers_early_ftp')} }`,
    `seen_prerouting: ${syn} fib daddr type != local ${sport} { ${active('active_data_early_ftp')} }`,
    'seen_input: type filter hook input priority 97; policy accept;',
    `seen_input: ${clients} ${marked} { ${toVip('21 . ', 'from_clients_late_ftp')} }`,
    'seen_forward: type filter hook forward priority 97; policy accept;',
    `seen_forward: ${syn} | ack ${sport} { ${each('', 'from_servers_late_ftp')} }`,
    `seen_forward: ${syn} ${sport} { ${active('active_data_late_ftp')} }`,
    'seen_output: type filter hook output priority -310; policy accept;',
    `seen_output: ${syn} ${marked} { ${each('21 . ', 'to_servers_early_ftp')} }`,
    'seen_postrouting: type filter hook postrouting priority 109; policy accept;',
    `seen_postrouting: ${syn} ${marked} { ${each('21 . ', 'to_servers_late_ftp')} }`,
  ]);
  const counters = [...text.matchAll(/\tcounter (\S+) \{/g)].map(match => match[1]);
  t.deepEqual(
    counters.filter(counter => !counter?.startsWith('refused_')),
    [...new Set([...text.matchAll(/"([a-z_]+_(?:early|late)_ftp)"/g)].map(match => match[1]))].sort(),
  );
});

test('two hundred services have as many rules as two, apart from their own limits of adoption', t => {
  const rules = (services: number) => {
    const parsed = parseConfig(tandemConfig({ services, servers: 10 }, '/k'));
    if (!parsed.ok) return t.fail(JSON.stringify(parsed.mistakes.slice(0, 3)));
    const lines = ruleset(firewallOf(parsed.config, NODE)).split('\n');
    return lines.filter(line => line.startsWith('\t\t') && !line.includes('limit rate')).length;
  };
  t.is(rules(200), rules(2));
});

test('the rules of an IPv4 and an IPv6 service read as follows', t => {
  const config = configOf({ services: { ftp: FTP, ftp6: FTP6 } });
  t.is(
    withoutEvidence(ruleset(firewallOf(config, NODE))),
    `add table inet tandem
delete table inet tandem
table inet tandem {
	comment "written by tandem-director; changes by hand are undone"
	chain elsewhere {
		type filter hook prerouting priority raw; policy accept;
		iifname { "lo", "c0", "s0", "x0" } accept
		meta iifkind "vrf" accept
		ip daddr { 192.0.2.100, 192.0.2.101, 198.51.100.1 } fib daddr type local counter name refused_elsewhere reject with icmpx admin-prohibited
		ip6 daddr { 2001:db8:1::100 } fib daddr type local counter name refused_elsewhere reject with icmpx admin-prohibited
	}
	chain marks {
		type filter hook prerouting priority mangle + 1; policy accept;
		iifname { "c0", "x0" } tcp flags & (fin | syn | rst | ack) == syn meta mark set ip daddr . tcp dport map { 192.0.2.100 . 21 : 21, 192.0.2.100 . 10000-20000 : 21 }
		iifname { "c0", "x0" } tcp flags & (fin | syn | rst | ack) != syn ct state { invalid, new, untracked } ip daddr . tcp dport vmap { 192.0.2.100 . 20 : jump adopt_ftp }
		iifname { "c0", "x0" } tcp flags & (fin | syn | rst | ack) == syn meta mark set ip6 daddr . tcp dport map { 2001:db8:1::100 . 21 : 26, 2001:db8:1::100 . 10000-20000 : 26 }
		iifname { "c0", "x0" } tcp flags & (fin | syn | rst | ack) != syn ct state { invalid, new, untracked } ip6 daddr . tcp dport vmap { 2001:db8:1::100 . 20 : jump adopt_ftp6 }
	}
	chain adopt_ftp {
		limit rate 100/second burst 200 packets meta mark set 21
	}
	chain adopt_ftp6 {
		limit rate 100/second burst 200 packets meta mark set 26
	}
	chain active_data {
		type nat hook postrouting priority srcnat - 1; policy accept;
		oifname { "c0", "x0" } snat ip to ip saddr . tcp sport map { 198.51.100.11 . 20 : 192.0.2.100, 198.51.100.12 . 20 : 192.0.2.100 }
		oifname { "c0", "x0" } snat ip6 to ip6 saddr . tcp sport map { 2001:db8:2::11 . 20 : 2001:db8:1::100 }
	}
	chain not_served {
		type filter hook input priority 96; policy accept;
		iifname != { "c0", "x0" } tcp flags & (fin | syn | rst | ack) == syn counter name ip daddr . tcp dport map { 192.0.2.100 . 21 : "refused_ftp", 192.0.2.100 . 10000-20000 : "refused_ftp" } reject with tcp reset
		iifname != { "c0", "x0" } tcp flags & (fin | syn | rst | ack) == syn counter name ip6 daddr . tcp dport map { 2001:db8:1::100 . 21 : "refused_ftp6", 2001:db8:1::100 . 10000-20000 : "refused_ftp6" } reject with tcp reset
	}
	chain guard_in {
		type filter hook input priority 101; policy accept;
		ip daddr . tcp dport { 192.0.2.100 . 20, 192.0.2.100 . 21, 192.0.2.100 . 10000-20000 } jump guard_in_ip
		ip6 daddr . tcp dport { 2001:db8:1::100 . 20, 2001:db8:1::100 . 21, 2001:db8:1::100 . 10000-20000 } jump guard_in_ip6
	}
	chain guard_in_ip {
		ct direction reply ct original ip saddr . ip daddr { 192.0.2.100 . 192.0.2.100 } accept
		counter drop
	}
	chain guard_in_ip6 {
		ct direction reply ct original ip6 saddr . ip6 daddr { 2001:db8:1::100 . 2001:db8:1::100 } accept
		counter drop
	}
	chain guard_out {
		type filter hook postrouting priority 110; policy accept;
		oifname { "c0", "x0" } ip saddr . tcp sport { 198.51.100.11 . 20, 198.51.100.11 . 21, 198.51.100.11 . 10000-20000, 198.51.100.12 . 20, 198.51.100.12 . 21, 198.51.100.12 . 10000-20000 } jump guard_out_ip
		oifname { "c0", "x0" } ip6 saddr . tcp sport { 2001:db8:2::11 . 20, 2001:db8:2::11 . 21, 2001:db8:2::11 . 10000-20000 } jump guard_out_ip6
	}
	chain guard_out_ip {
		ip saddr . ct original ip daddr { 198.51.100.11 . 192.0.2.100, 198.51.100.12 . 192.0.2.100 } counter drop
		ip saddr . ct reply ip daddr { 198.51.100.11 . 192.0.2.100, 198.51.100.12 . 192.0.2.100 } counter drop
		ct direction reply accept
		ct state { invalid, new, untracked } tcp flags & (fin | syn | rst | ack) != syn counter drop
	}
	chain guard_out_ip6 {
		ip6 saddr . ct original ip6 daddr { 2001:db8:2::11 . 2001:db8:1::100 } counter drop
		ip6 saddr . ct reply ip6 daddr { 2001:db8:2::11 . 2001:db8:1::100 } counter drop
		ct direction reply accept
		ct state { invalid, new, untracked } tcp flags & (fin | syn | rst | ack) != syn counter drop
	}
	chain sync_guard {
		type filter hook output priority filter; policy accept;
		ip daddr 224.0.0.81 udp dport { 8848, 8849 } meta skuid != 0 counter drop
	}
}
`,
  );
});

test('the rules of a DR service beside a tunnelled one read as follows', t => {
  const config = configOf({ services: { ftp: FTP_DR, ftp6: FTP6_TUN } });
  const syn = 'tcp flags & (fin | syn | rst | ack)';
  const text = withoutEvidence(ruleset(firewallOf(config, NODE)));
  const of = (name: string) =>
    new RegExp(`\\t(?:chain|set) ${name} \\{\\n((?:\\t\\t.*\\n)*)`).exec(text)?.[1]?.replaceAll('\t', '');
  t.is(of('known_ftp'), 'type ipv4_addr; flags dynamic,timeout; size 65536;\n');
  t.is(of('known_ftp6'), 'type ipv6_addr; flags dynamic,timeout; size 65536;\n');
  const to = 'iifname { "c0", "s0", "x0" } ip daddr 192.0.2.100';
  const to6 = 'iifname { "c0", "s0", "x0" } ip6 daddr 2001:db8:1::100';
  t.is(
    of('untracked'),
    `type filter hook prerouting priority raw; policy accept;
${to} tcp dport { 20, 21, 10000-20000 } notrack
${to} icmp type { destination-unreachable, time-exceeded, parameter-problem } notrack
${to6} tcp dport { 21, 10000-20000 } notrack
${to6} icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } notrack
`,
  );
  const marks = (
    adopting: string,
    adopting6: string,
  ) => `type filter hook prerouting priority mangle + 1; policy accept;
${to} tcp dport { 21, 10000-20000 } ${syn} == syn meta mark set 23 add @known_ftp { ip saddr timeout 1m }
${to} tcp dport 21 ${syn} == ack ip saddr @known_ftp update @known_ftp { ip saddr timeout 7200s }
${to} tcp dport 20 ${syn} == syn | ack ip saddr @known_ftp meta mark set 23
${adopting}${to6} tcp dport { 21, 10000-20000 } ${syn} == syn meta mark set 24 add @known_ftp6 { ip6 saddr timeout 1m }
${to6} tcp dport 21 ${syn} == ack ip6 saddr @known_ftp6 update @known_ftp6 { ip6 saddr timeout 7200s }
${adopting6}`;
  t.is(
    of('marks'),
    marks(
      `${to} tcp dport { 20, 21, 10000-20000 } tcp flags & (syn | rst) == 0 ip saddr @known_ftp meta mark set 23\n`,
      `${to6} tcp dport { 21, 10000-20000 } tcp flags & (syn | rst) == 0 ip6 saddr @known_ftp6 meta mark set 24\n`,
    ),
  );
  t.is(of('active_data'), 'type nat hook postrouting priority srcnat - 1; policy accept;\n');
  t.is(of('guard_out'), 'type filter hook postrouting priority 110; policy accept;\n');
  const guarded = '{ 192.0.2.100 . 20, 192.0.2.100 . 21, 192.0.2.100 . 10000-20000 }';
  t.true(of('guard_in')?.includes(`ip daddr . tcp dport ${guarded} jump guard_in_ip\n`));
  const limit = 'limit rate 5000/second burst 5000 packets log prefix';
  const log = (server: string) => `${limit} "${server}" snaplen 128 group 8848\n`;
  const opens = 'tcp flags & (fin | syn | rst) == syn';
  t.is(
    of('syn_reports'),
    `type filter hook postrouting priority 108; policy accept;
meta mark 23 ip daddr 192.0.2.100 ${opens} rt ip nexthop 192.0.2.111 ${log('23 192.0.2.111')}\
meta mark 23 ip daddr 192.0.2.100 ${opens} rt ip nexthop 192.0.2.112 ${log('23 192.0.2.112')}\
meta mark 24 ip6 daddr { 2001:db8:9::11 } meta l4proto 41 @nh,744,8 & 0x07 == 0x02 ${log('24 2001:db8:9::11')}`,
  );
  const settled = withoutEvidence(ruleset(firewallOf(config, NODE, { adopting: false })));
  t.true(settled.includes(marks('', '').replaceAll('\n', '\n\t\t').trimEnd()));
});

test('with a persistence_prefix the known are networks: what a SYN puts in, what is looked up, and what the sync puts in at a takeover are one', t => {
  const services = { ftp: { ...FTP_DR, persistence_prefix: 24 }, ftp6: { ...FTP6_TUN, persistence_prefix: 60 } };
  const text = ruleset(firewallOf(configOf({ services }), NODE));
  for (const [client, set, mark] of [
    ['ip saddr & 255.255.255.0', '@known_ftp', 23],
    ['ip6 saddr & ffff:ffff:ffff:fff0::', '@known_ftp6', 24],
  ] as const) {
    t.true(text.includes(`meta mark set ${mark} add ${set} { ${client} timeout 1m }\n`));
    t.true(text.includes(`== ack ${client} ${set} update ${set} { ${client} timeout 7200s }\n`));
    t.true(text.includes(`tcp flags & (syn | rst) == 0 ${client} ${set} meta mark set ${mark}\n`));
  }
  t.true(text.includes('== syn | ack ip saddr & 255.255.255.0 @known_ftp meta mark set 23\n'));
  t.notRegex(text, /saddr @known/);
  // A prefix as long as an address is no mask.
  const whole = ruleset(firewallOf(configOf({ services: { ftp: { ...FTP_DR, persistence_prefix: 32 } } }), NODE));
  t.true(whole.includes('ip saddr @known_ftp meta mark set 23\n'));
});

test('the way to servers that answer by themselves is counted, their answers are not: they go past this router', t => {
  const text = ruleset(firewallOf(configOf({ services: { ftp: FTP_DR, ftp6: FTP6_TUN } }), NODE));
  t.notRegex(text, /from_servers|active_data_/);
  const at = '23 . 192.0.2.100 .';
  t.true(text.includes(`{ ${at} 21 : "to_servers_late_ftp", ${at} 10000-20000 : "data_to_servers_late_ftp" }\n`));
  t.regex(text, /meta mark 24 ip6 daddr \{ 2001:db8:9::11 \} meta l4proto 41 counter name to_servers_late_ftp6\n/);
  t.notRegex(text, /data_to_servers_\w+_ftp6/, 'in a tunnel no port is seen');
  const [direct, tunnelled] = firewallOf(configOf({ services: { ftp: FTP_DR, ftp6: FTP6_TUN } }), NODE).services;
  t.is(direct && acceptMatch('to-servers', direct), 'ip daddr 192.0.2.100 tcp dport { 21, 10000-20000 }');
  t.is(direct && acceptMatch('data-to-servers', direct), 'ip daddr 192.0.2.100 tcp dport { 21, 10000-20000 }');
  t.is(tunnelled && acceptMatch('to-servers', tunnelled), 'ip6 daddr { 2001:db8:9::11 } meta l4proto 41');
});

test('FTP and FTPS in one service: one mark for both control ports, source NAT for both ports of active data', t => {
  const text = ruleset(firewallOf(configOf({ services: { ftp: { ...FTP, control_port: [21, 990] } } }), NODE));
  const at = (ports: readonly string[]) => ports.map(port => `192.0.2.100 . ${port} : 21`).join(', ');
  t.true(text.includes(`== syn meta mark set ip daddr . tcp dport map { ${at(['21', '990', '10000-20000'])} }\n`));
  t.regex(text, /vmap \{ 192\.0\.2\.100 \. 20 : jump adopt_ftp, 192\.0\.2\.100 \. 989 : jump adopt_ftp \}\n/);
  t.regex(text, /chain adopt_ftp \{\n\t\tlimit rate .* meta mark set 21\n/);
  t.regex(text, /sport map \{ 198\.51\.100\.11 \. 20 : 192\.0\.2\.100, 198\.51\.100\.11 \. 989 : 192\.0\.2\.100,/);
  t.regex(text, /guard_in \{[^}]*\{( 192\.0\.2\.100 \. (20|21|989|990|10000-20000),?){5} \} jump guard_in_ip\n/);
  const moved = { ...FTP, control_port: [21, 2121], active_port: [20, 2120] };
  const other = ruleset(firewallOf(configOf({ services: { ftp: moved } }), NODE));
  t.regex(other, /snat ip to .*\. 2120 : 192\.0\.2\.100/);
});

test('a service without active mode gets no mark and no source NAT for port 20, but the guard', t => {
  const text = ruleset(firewallOf(configOf({ services: { ftp: { ...FTP, active: false } } }), NODE));
  t.notRegex(text, /adopt_|limit rate/);
  t.notRegex(text, /snat/);
  t.regex(text, /guard_in \{[^}]*\{ 192\.0\.2\.100 \. 20, 192\.0\.2\.100 \. 21, 192\.0\.2\.100 \. 10000-20000 \}/);
});

test('on an owner that has long been it nothing in mid-stream is adopted: strangers would fill the table', t => {
  const config = configOf({ services: { ftp: FTP, ftp6: FTP6 } });
  t.notRegex(ruleset(firewallOf(config, NODE, { adopting: false })), /adopt_|limit rate/);
});

test('clients of the servers own LAN are not served, nor does a router without services refuse anything', t => {
  const [service] = firewallOf(configOf(), NODE).services;
  t.deepEqual(service?.interfaces, ['c0', 'x0']);
  t.notRegex(ruleset(firewallOf(configOf({ services: {} }), NODE)), /daddr/);
});

test('a service without servers makes no rule with an empty set, which nft would refuse', t => {
  const text = ruleset(firewallOf(configOf({ services: { ftp: { ...FTP, servers: {} } } }), NODE));
  t.notRegex(withoutEvidence(text), /\{\s*\}/);
});

test('servers that drain keep their source NAT and their guard', t => {
  const draining = new Map([['ftp', ['198.51.100.19' as Address]]]);
  const text = ruleset(firewallOf(configOf(), NODE, { draining }));
  const rules = withoutEvidence(text);
  t.regex(rules, /snat ip to .* 198\.51\.100\.19 \. 20 : 192\.0\.2\.100/);
  t.regex(rules, /sport \{.* 198\.51\.100\.19 \. 21,.* \} jump guard_out_ip\n/);
  t.is(rules.match(/198\.51\.100\.19 \. 192\.0\.2\.100/g)?.length, 2);
});

test('a passive range of one port is written as a port', t => {
  const text = ruleset(firewallOf(configOf({ services: { ftp: { ...FTP, passive_ports: '10000-10000' } } }), NODE));
  t.regex(text, /dport map \{ 192\.0\.2\.100 \. 21 : 21, 192\.0\.2\.100 \. 10000 : 21 \}/);
});

test("a router uses its own interface's name", t => {
  const config = configOf();
  const own = {
    ...config,
    lans: { ...config.lans, client: { ...config.lans.client, interface: { r1: 'c0', r2: 'eth7' } } },
  };
  t.regex(ruleset(firewallOf(own as typeof config, 'r2')), /iifname \{ "eth7", "x0" \}/);
});

for (const bad of ['c"0', 'eth*', 'a\\b']) {
  test(`an interface called ${bad} is refused instead of written into a rule`, t => {
    const config = configOf();
    const odd = {
      ...config,
      lans: { ...config.lans, client: { ...config.lans.client, interface: bad } },
    } as typeof config;
    t.throws(() => firewallOf(odd, NODE), { message: /cannot be written in an nftables rule/ });
  });
}

test('a VIP that is on no LAN is an error that names the field', t => {
  t.throws(() => firewallOf(configOf({ services: { ftp: { ...FTP, vip: '203.0.113.77' } } }), NODE), {
    message: /services\.ftp\.vip 203\.0\.113\.77/,
  });
});

test('removing the table is no error when it is not there', t => {
  t.is(removal(), 'add table inet tandem\ndelete table inet tandem\n');
});
