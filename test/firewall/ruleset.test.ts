import test from 'ava';
import { firewallOf, removal, ruleset } from '../../src/firewall/ruleset.ts';
import type { Address } from '../../src/units/address.ts';
import { configOf, FTP, FTP6, NODE } from '../director/fixture.ts';

/** The rules that decide something. */
function withoutEvidence(text: string): string {
  return text.replace(/\tcounter \S+ \{\n\t\}\n/g, '').replace(/\tchain seen_\w+ \{\n(\t\t.*\n)*\t\}\n/g, '');
}

test('new connections are counted before and after the hooks of others, each way', t => {
  const text = ruleset(firewallOf(configOf(), NODE));
  const counted = [...text.matchAll(/(?:chain (seen_\w+) \{\n\t\t(.*)\n)|(?:\t\t(.*) counter name (\w+)\n)/g)].map(
    ([, chain, head, rule, name]) => (chain ? `${chain}: ${head}` : `${name}: ${rule}`),
  );
  const syn = 'tcp flags & (fin | syn | rst | ack) == syn';
  const clients = `iifname { "c0", "x0" } ip daddr 192.0.2.100 tcp dport { 21, 10000-20000 } ${syn}`;
  const servers = 'ip saddr { 198.51.100.11, 198.51.100.12 } tcp sport';
  const toServers = `meta mark 21 ip daddr { 198.51.100.11, 198.51.100.12 } tcp dport { 21, 10000-20000 } ${syn}`;
  t.deepEqual(
    counted.filter(line => !line.startsWith('refused')),
    [
      'seen_prerouting: type filter hook prerouting priority -310; policy accept;',
      `from_clients_early_ftp: ${clients} fib daddr type local`,
      `from_servers_early_ftp: ${servers} { 21, 10000-20000 } ${syn} | ack fib daddr type != local`,
      `active_data_early_ftp: ${servers} 20 ${syn} fib daddr type != local`,
      'seen_input: type filter hook input priority 97; policy accept;',
      `from_clients_late_ftp: ${clients}`,
      'seen_forward: type filter hook forward priority 97; policy accept;',
      `from_servers_late_ftp: ${servers} { 21, 10000-20000 } ${syn} | ack`,
      `active_data_late_ftp: ${servers} 20 ${syn}`,
      'seen_output: type filter hook output priority -310; policy accept;',
      `to_servers_early_ftp: ${toServers}`,
      'seen_postrouting: type filter hook postrouting priority 109; policy accept;',
      `to_servers_late_ftp: ${toServers}`,
    ],
  );
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
	chain ftp_marks {
		type filter hook prerouting priority mangle; policy accept;
		iifname { "c0", "x0" } ip daddr 192.0.2.100 tcp dport { 21, 10000-20000 } tcp flags & (fin | syn | rst | ack) == syn meta mark set 21
		iifname { "c0", "x0" } ip daddr 192.0.2.100 tcp dport 20 tcp flags & (fin | syn | rst | ack) != syn ct state { invalid, new, untracked } limit rate 100/second burst 200 packets meta mark set 21
		iifname { "c0", "x0" } ip6 daddr 2001:db8:1::100 tcp dport { 21, 10000-20000 } tcp flags & (fin | syn | rst | ack) == syn meta mark set 26
		iifname { "c0", "x0" } ip6 daddr 2001:db8:1::100 tcp dport 20 tcp flags & (fin | syn | rst | ack) != syn ct state { invalid, new, untracked } limit rate 100/second burst 200 packets meta mark set 26
	}
	chain active_data {
		type nat hook postrouting priority srcnat; policy accept;
		oifname { "c0", "x0" } ip saddr { 198.51.100.11, 198.51.100.12 } tcp sport 20 snat ip to 192.0.2.100
		oifname { "c0", "x0" } ip6 saddr { 2001:db8:2::11 } tcp sport 20 snat ip6 to 2001:db8:1::100
	}
	chain not_served {
		type filter hook input priority 96; policy accept;
		iifname != { "c0", "x0" } ip daddr 192.0.2.100 tcp dport { 21, 10000-20000 } tcp flags & (fin | syn | rst | ack) == syn counter name refused_ftp reject with tcp reset
		iifname != { "c0", "x0" } ip6 daddr 2001:db8:1::100 tcp dport { 21, 10000-20000 } tcp flags & (fin | syn | rst | ack) == syn counter name refused_ftp6 reject with tcp reset
	}
	chain guard_in {
		type filter hook input priority 101; policy accept;
		ip daddr 192.0.2.100 tcp dport { 20, 21, 10000-20000 } ct direction reply ct original ip saddr 192.0.2.100 accept
		ip daddr 192.0.2.100 tcp dport { 20, 21, 10000-20000 } counter drop
		ip6 daddr 2001:db8:1::100 tcp dport { 20, 21, 10000-20000 } ct direction reply ct original ip6 saddr 2001:db8:1::100 accept
		ip6 daddr 2001:db8:1::100 tcp dport { 20, 21, 10000-20000 } counter drop
	}
	chain guard_out {
		type filter hook postrouting priority 110; policy accept;
		oifname { "c0", "x0" } ip saddr { 198.51.100.11, 198.51.100.12 } tcp sport { 20, 21, 10000-20000 } ct original ip daddr 192.0.2.100 counter drop
		oifname { "c0", "x0" } ip saddr { 198.51.100.11, 198.51.100.12 } tcp sport { 20, 21, 10000-20000 } ct reply ip daddr 192.0.2.100 counter drop
		oifname { "c0", "x0" } ip saddr { 198.51.100.11, 198.51.100.12 } tcp sport { 20, 21, 10000-20000 } ct direction reply accept
		oifname { "c0", "x0" } ip saddr { 198.51.100.11, 198.51.100.12 } tcp sport { 20, 21, 10000-20000 } ct state { invalid, new, untracked } tcp flags & (fin | syn | rst | ack) != syn counter drop
		oifname { "c0", "x0" } ip6 saddr { 2001:db8:2::11 } tcp sport { 20, 21, 10000-20000 } ct original ip6 daddr 2001:db8:1::100 counter drop
		oifname { "c0", "x0" } ip6 saddr { 2001:db8:2::11 } tcp sport { 20, 21, 10000-20000 } ct reply ip6 daddr 2001:db8:1::100 counter drop
		oifname { "c0", "x0" } ip6 saddr { 2001:db8:2::11 } tcp sport { 20, 21, 10000-20000 } ct direction reply accept
		oifname { "c0", "x0" } ip6 saddr { 2001:db8:2::11 } tcp sport { 20, 21, 10000-20000 } ct state { invalid, new, untracked } tcp flags & (fin | syn | rst | ack) != syn counter drop
	}
	chain sync_guard {
		type filter hook output priority filter; policy accept;
		ip daddr 224.0.0.81 udp dport { 8848, 8849 } meta skuid != 0 counter drop
	}
}
`,
  );
});

test('a service without active mode gets no mark and no source NAT for port 20, but the guard', t => {
  const text = ruleset(firewallOf(configOf({ services: { ftp: { ...FTP, active: false } } }), NODE));
  t.notRegex(text, /dport 20 .* meta mark/);
  t.notRegex(text, /snat/);
  t.regex(text, /guard_in[^}]*\n\t\tip daddr 192\.0\.2\.100 tcp dport \{ 20, 21, 10000-20000 \}/);
});

test('on an owner that has long been it nothing in mid-stream is adopted: strangers would fill the table', t => {
  const config = configOf({ services: { ftp: FTP, ftp6: FTP6 } });
  t.notRegex(ruleset(firewallOf(config, NODE, { adopting: false })), /dport 20 .*meta mark/);
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
  t.is(withoutEvidence(text).match(/198\.51\.100\.11, 198\.51\.100\.12, 198\.51\.100\.19/g)?.length, 5);
});

test('a passive range of one port is written as a port', t => {
  const text = ruleset(firewallOf(configOf({ services: { ftp: { ...FTP, passive_ports: '10000-10000' } } }), NODE));
  t.regex(text, /tcp dport \{ 21, 10000 \}/);
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
