// What becomes of a keepalived.conf: FTP services by mark and by port, the grammar that its owners stumble over, and files for
// two routers.
import test from 'ava';
import { parseConfig } from '../../src/config/document.ts';
import type { OldText } from '../../src/import/directive.ts';
import { filled, imported, told } from './importing.ts';

const PAIR = `vrrp_sync_group both { group { outer inner } }
vrrp_instance outer {
  state MASTER
  interface eth0
  virtual_router_id 51
  priority 150
  nopreempt
  unicast_src_ip 192.0.2.2
  unicast_peer { 192.0.2.3 }
  authentication {
    auth_type PASS
    auth_pass hunter2x
  }
  virtual_ipaddress { 192.0.2.100/24 }
}
vrrp_instance inner {
  state MASTER
  interface eth1
  virtual_router_id 52
  priority 150
  nopreempt
  unicast_src_ip 198.51.100.2
  unicast_peer { 198.51.100.3 }
  virtual_ipaddress { 198.51.100.1/24 }
}
`;
const server = (address: string) => `  real_server ${address} 21 {
    weight 2
    inhibit_on_failure
    TCP_CHECK {
      connect_port 21
      connect_timeout 3
      retry 2
      delay_before_retry 2
    }
  }
`;
const FTP = `virtual_server fwmark 21 {
  delay_loop 6
  lb_algo rr
  lb_kind NAT
  persistence_timeout 300
  inhibit_on_failure
${server('198.51.100.11')}${server('198.51.100.12')}}
`;

test('a mark with port 21 behind it is FTP, the inner address is the gateway, the outer one the VIP', t => {
  const result = imported('keepalived.conf', PAIR + FTP);
  t.deepEqual(result.placeholders, []);
  const { services, lans, routers } = filled(result);
  t.deepEqual(Object.keys(services), ['ftp']);
  t.like(services.ftp, { vip: '192.0.2.100', servers_lan: 'servers', mark: 21, scheduler: 'rr', persistence: 300_000 });
  t.like(services.ftp?.check, {
    interval: 6_000,
    interval_changing: 2_000,
    timeout: 3_000,
    rise: 1,
    fall: 3,
    until: 'connect',
  });
  t.like(lans.servers, { interface: 'eth1', gateways: ['198.51.100.1'], vips: [] });
  t.deepEqual(lans.client?.addresses, { r1: '192.0.2.2/24', r2: '192.0.2.3/24' } as never);
  t.is(routers.r1?.priority, 150);
});

test('its password is shown nowhere, and nobody needs it', t => {
  const { yaml, notes } = imported('keepalived.conf', PAIR + FTP);
  t.notRegex(yaml + JSON.stringify(notes), /hunter2x/);
});

test('FTP by its port takes what its file says; another port than 21 on the servers is no FTP of Tandem', t => {
  const byPort = FTP.replace('fwmark 21', '192.0.2.100 21').replace('delay_loop', 'protocol TCP\n  delay_loop');
  t.like(filled(imported('keepalived.conf', PAIR + byPort)).services.ftp, { vip: '192.0.2.100', control_port: [21] });
  const mapped = imported(
    'keepalived.conf',
    PAIR + byPort.replaceAll('real_server 198.51.100.11 21', 'real_server 198.51.100.11 2121'),
  );
  t.deepEqual(filled(mapped).services, {});
  t.true(told(mapped).some(note => /^lost 26: an FTP server has the control port 2121 and the VIP 21/.test(note)));
});

test('every port of a VIP with a check of 21 is FTP, and the rest of the ports is told', t => {
  const all = FTP.replace('fwmark 21', '192.0.2.100')
    .replace('delay_loop', 'protocol TCP\n  delay_loop')
    .replace(/(real_server \S+) 21/g, '$1');
  const result = imported('keepalived.conf', PAIR + all);
  t.like(filled(result).services.ftp, { vip: '192.0.2.100', control_port: [21] });
  t.true(told(result).some(note => note.startsWith('changed 26: every port of the VIP was forwarded')));
});

test('braces and comments stand anywhere, and an unknown word or a } too many stops nothing', t => {
  const odd = (PAIR + FTP)
    .replace('vrrp_instance outer {', 'vrrp_instance outer{')
    .replace('vrrp_instance inner {', 'vrrp_instance inner # the inner one\n{')
    .replace('  delay_loop 6', '! delay_loop 60\n  delay_loop 6   ! seconds\n  connetc_port 21\n  lb_knid { DR }')
    .replace(/}\n$/, '}\n}\nreal_server 198.51.100.13 21 { weight 1 }\n');
  const result = imported('keepalived.conf', odd);
  t.like(filled(result).services.ftp, { vip: '192.0.2.100', check: { interval: 6_000 } });
  const unknown = told(result).filter(note => note.includes('keepalived knows no such'));
  t.is(unknown.length, 3, unknown.join('\n'));
  t.true(told(result).some(note => note.includes('this } closes nothing')));
});

test('what keepalived takes for another word is told: lower-case dr is NAT, a missing protocol is UDP', t => {
  const lower = imported('keepalived.conf', PAIR + FTP.replace('lb_kind NAT', 'lb_kind dr'));
  t.is(filled(lower).services.ftp?.forwarding, 'nat');
  t.true(told(lower).some(note => /^changed 29: keepalived refuses this word/.test(note)));
  const udp = imported('keepalived.conf', PAIR + FTP.replace('fwmark 21', '192.0.2.100 21'));
  t.like(filled(udp).services['192-0-2-100-21'], { kind: 'udp', check: { type: 'connect' } });
  t.true(told(udp).some(note => note.includes('takes UDP, and so does this: was TCP meant?')));
});

test('a file with @host lines is read once for each name, and shows where the two differ', t => {
  const both = PAIR.replace(
    '  unicast_src_ip 192.0.2.2\n  unicast_peer { 192.0.2.3 }',
    [
      '  @one unicast_src_ip 192.0.2.2',
      '  @two unicast_src_ip 192.0.2.3',
      '  @one unicast_peer { 192.0.2.3 }',
      '  @two unicast_peer { 192.0.2.2 }',
    ].join('\n'),
  ).replace('  priority 150', '  @one priority 150\n  @^one priority 90');
  const result = imported(
    'keepalived.conf',
    both + FTP.replace('  lb_algo rr', '  @one lb_algo rr\n  @two lb_algo wrr'),
    {
      names: [undefined, undefined],
    },
  );
  const { routers, lans, services } = filled(result);
  t.deepEqual(routers, { one: { priority: 150 }, two: { priority: 90 } });
  t.deepEqual(lans.client?.addresses, { one: '192.0.2.2/24', two: '192.0.2.3/24' } as never);
  t.is(services.ftp?.scheduler, 'rr');
  t.true(
    told(result).some(note => note.includes('something else (old.conf:32 "@two lb_algo wrr")')),
    told(result).join('\n'),
  );
});

test('@host lines of an included file count as those of the file, and each name reads its own includes', t => {
  const texts: Record<string, string> = {
    'own.conf': '@one include one.conf\n@^one include two.conf\n',
    'one.conf': '@one priority 150\n@three priority 10\n',
    'two.conf': '@two priority 90\n@two unicast_src_ip 192.0.2.3\n',
  };
  const text = (PAIR + FTP).replace('  priority 150', '  include own.conf').replace('  unicast_src_ip 192.0.2.2\n', '');
  const result = imported('keepalived.conf', text, {
    names: [undefined, undefined],
    findIncluded: pattern => [{ file: pattern, text: texts[pattern] ?? '' }],
  });
  const { routers, lans } = filled(result);
  t.deepEqual(routers, { one: { priority: 150 }, two: { priority: 90 } });
  t.like(lans.client?.addresses, { two: '192.0.2.3/24' });
  t.true(told(result).some(note => note.includes('the file is for "three", too')));
});

test('of two files with @host lines in one of them, each is read for its own router', t => {
  const peer = (PAIR + FTP).replace('  priority 150', '  @one priority 150\n  @two priority 90');
  const { routers } = filled(imported('keepalived.conf', PAIR + FTP, { peer, names: ['one', 'two'] }));
  t.deepEqual(routers, { one: { priority: 150 }, two: { priority: 90 } });
});

test('definitions, sequences and includes are followed', t => {
  const use = (name: string) => `\${${name}}`;
  const included: Record<string, OldText> = {
    'servers.conf': {
      file: 'servers.conf',
      text: `~SEQ(n, 11, 12) real_server ${use('NET')}.${use('n')} 21 { inhibit_on_failure }\n`,
    },
  };
  const text = `$NET=198.51.100
$KIND=lb_kind NAT
${PAIR}virtual_server 192.0.2.100 21 {
  protocol TCP
  $KIND
  inhibit_on_failure
  include servers.conf
}
include missing.conf
`;
  const result = imported('keepalived.conf', text, {
    findIncluded: pattern => (included[pattern] === undefined ? undefined : [included[pattern]]),
  });
  t.deepEqual(
    Object.values(filled(result).services.ftp?.servers ?? {}).map(({ address }) => `${address}`),
    ['198.51.100.11', '198.51.100.12'],
  );
  t.true(
    told(result).some(note => /^lost 34: no file of this include could be read/.test(note)),
    told(result).join('\n'),
  );
});

test('a definition or an include that names itself ends', t => {
  const text = `$A=$B x\n$B=$A y\n$A\ninclude self.conf\n${PAIR}${FTP}`;
  const self = { file: 'self.conf', text: 'include self.conf\n' };
  const result = imported('keepalived.conf', text, { findIncluded: () => [self] });
  t.notThrows(() => filled(result));
  t.true(told(result).some(note => note.includes('nested too deeply')));
});

test("with the other router's file, its own addresses and priority are carried over, too", t => {
  const ours = (PAIR + FTP).replace(/ {2}unicast_peer.*\n/g, '');
  const peer = ours
    .replaceAll('150', '100')
    .replaceAll('MASTER', 'BACKUP')
    .replace('192.0.2.2\n', '192.0.2.3\n')
    .replace('198.51.100.2\n', '198.51.100.3\n');
  const result = imported('keepalived.conf', ours, { peer });
  t.deepEqual(result.placeholders, []);
  t.deepEqual(filled(result).routers, { r1: { priority: 150 }, r2: { priority: 100 } });
  t.deepEqual(
    told(result).filter(note => note.includes('other router')),
    [],
  );
});

test('own addresses come from ip -json addr, without the VIPs that are there at the moment', t => {
  const bare = (PAIR + FTP).replace(/ {2}unicast_.*\n/g, '').replaceAll('/24', '');
  const hosts = (last: number) => [
    { name: 'eth0', addresses: [`192.0.2.${last}/24`, '192.0.2.100/32', '192.0.2.100/24'] as never[] },
    { name: 'eth1', addresses: [`198.51.100.${last}/24`, '198.51.100.1/24'] as never[] },
    { name: 'eth9', addresses: [`203.0.113.${last}/24`] as never[] },
  ];
  const result = imported('keepalived.conf', bare, { hosts: [hosts(2), hosts(3)] });
  t.deepEqual(result.placeholders, []);
  t.deepEqual(filled(result).lans.servers?.addresses, { r1: '198.51.100.2/24', r2: '198.51.100.3/24' } as never);
  const alone = imported('keepalived.conf', bare, { hosts: [hosts(2), undefined] });
  t.deepEqual(
    alone.placeholders.map(({ path }) => path.join('.')),
    ['lans.client.addresses.r2', 'lans.servers.addresses.r2'],
  );
  t.notThrows(() => filled(alone));
});

test('instances that moved alone, and more addresses than a pair holds, are told', t => {
  const many = Array.from({ length: 70 }, (_, index) => `    192.0.2.${index + 110}`).join('\n');
  const text = (PAIR + FTP)
    .replace(/^vrrp_sync_group.*\n/, '')
    .replace('{ 192.0.2.100/24 }', `{\n192.0.2.100/24\n${many}\n}`);
  const result = imported(
    'keepalived.conf',
    text.replace('fwmark 21', '192.0.2.100 21').replace('delay_loop', 'protocol TCP\ndelay_loop'),
  );
  const { lans, services } = filled(result);
  t.is((lans.client?.vips.length ?? 0) + (lans.servers?.gateways.length ?? 0), 64);
  t.is(services.ftp?.vip as string, '192.0.2.100');
  t.is(told(result).filter(note => note.includes('a pair holds at most 64')).length, 8);
  t.is(told(result).filter(note => note.includes('moved alone')).length, 2);
});

const DNS = `virtual_server 192.0.2.100 53 {
  protocol UDP
  lb_kind NAT
  inhibit_on_failure
  real_server 198.51.100.11 53 { weight 1 }
  real_server 198.51.100.12 53 { weight 1 }
}
`;

test('a service over UDP is carried over beside one over TCP, with the time-out of UDP', t => {
  const timeouts = 'global_defs { lvs_timeouts tcp 3600 udp 15 }\n';
  const result = imported('keepalived.conf', timeouts + PAIR + DNS + DNS.replace('UDP', 'TCP'));
  const { services, ipvs } = filled(result);
  t.like(services['192-0-2-100-53'], { kind: 'udp', vip: '192.0.2.100', check: { type: 'datagram' } });
  t.like(services['192-0-2-100-53-2'], { kind: 'tcp', check: { type: 'connect' } });
  t.is(ipvs.udp_timeout as number, 15_000);
  t.deepEqual(
    told(result).filter(note => note.startsWith('lost')),
    [],
  );
});

test('a script that an instance tracks is a check of fitness, and one that nothing tracks is not', t => {
  const scripts = `vrrp_script uplink {
  script "/etc/keepalived/uplink"
  interval 2
  timeout 1.5
  rise 2
  fall 3
  weight -20
}
vrrp_script haproxy { script "/usr/bin/pgrep -f hunter2x" }
vrrp_script unused { script /bin/false }
`;
  const text =
    scripts + PAIR.replace('  nopreempt\n', '  nopreempt\n  track_script { uplink\n haproxy\n gone }\n') + FTP;
  const result = imported('keepalived.conf', text);
  t.notRegex(result.yaml + JSON.stringify(result), /hunter2x/);
  const { checks } = filled(result).fitness;
  t.deepEqual(Object.keys(checks), ['uplink', 'haproxy']);
  t.like(checks.uplink, { script: ['/etc/keepalived/uplink'], interval: 2_000, timeout: 1_500, rise: 2, fall: 3 });
  t.deepEqual(checks.haproxy?.script, ['/etc/tandem/checks/haproxy']);
  t.deepEqual(
    result.placeholders.map(({ path }) => path.join('.')),
    ['fitness.checks.haproxy.script.0'],
  );
  const notes = told(result);
  t.true(notes.some(note => /^changed 2: Tandem runs it as user tandem-runner/.test(note)));
  t.true(notes.some(note => /^changed 7: its weight was added to the priority/.test(note)));
  t.true(notes.some(note => /^changed 9: a failure put the instance into the state FAULT/.test(note)));
  t.true(notes.some(note => /^unneeded 10: nothing tracks this script/.test(note)));
  t.true(notes.some(note => /^lost \d+: there is no vrrp_script of this name/.test(note)));
  const wrong = parseConfig(result.yaml);
  t.true(!wrong.ok && wrong.mistakes.some(({ path }) => path.startsWith('fitness.checks.haproxy.script')));
});

test('a script whose failure is good is told, wherever its weight says so, and the weight of a track line comes first', t => {
  const scripts = 'vrrp_script backup {\n  script /bin/is-backup\n  weight -20 reverse\n}\n';
  const tracked = (line: string) =>
    imported(
      'keepalived.conf',
      scripts + PAIR.replace('  nopreempt\n', `  nopreempt\n  track_script { ${line} }\n`) + FTP,
    );
  const lost = (line: string) => told(tracked(line)).filter(note => note.includes('whose failure is good')).length;
  t.deepEqual(['backup', 'backup weight 5', 'backup weight 5 reverse'].map(lost), [1, 0, 1]);
  t.deepEqual(filled(tracked('backup')).fitness.checks, {});
  t.deepEqual(Object.keys(filled(tracked('backup weight 5')).fitness.checks), ['backup']);
});

test('servers that all have inhibit_on_failure are kept in keepalived, too; one without it is told', t => {
  const inhibited = (text: string) => text.replace('persistence_timeout 300\n  inhibit_on_failure\n', '');
  const notes = (text: string) =>
    told(imported('keepalived.conf', PAIR + text)).filter(note => note.includes('inhibit'));
  t.deepEqual(notes(inhibited(FTP)), []);
  const one = inhibited(FTP).replace(/(198\.51\.100\.12 21 {\n {4}weight 2\n) {4}inhibit_on_failure\n/, '$1');
  t.regex(notes(one).join('\n'), /^changed 40: without inhibit_on_failure a failed server was removed[^\n]*$/);
});

test('a word that keepalived does not know is quoted without what stands behind it, and without the next line', t => {
  const text = `global_defs {
  notfy_down "/bin/x hunter2x"
  script

  # remark
  "/bin/y hunter2x"
  atuh_pss
  hunter2x
  chek_script "/bin/z
  hunter2x"
}
`;
  const { yaml, notes } = imported('keepalived.conf', text + PAIR + FTP);
  t.notRegex(yaml + JSON.stringify(notes), /hunter2x/);
  t.true(notes.some(({ quote }) => quote === 'notfy_down ********'));
});

test('what a terminal obeys is in nothing that is printed', t => {
  const text = `global_defs { lvs_timeouts sctp\u001b[31m 5 }
@a\u001b[31m priority 1
@b\u009b31m priority 1
@c priority 1
vrrp_instance x { interface e\u001b[1m
  virtual_ipaddress { 192.0.2.1\u202e }
}
`;
  const file = { file: 'k\u001b[31m.conf', text: text + PAIR + FTP };
  const { yaml, notes } = imported('keepalived.conf', '', { file });
  t.notRegex(
    yaml + notes.map(({ why, quote, place }) => `${why} ${quote} ${place?.file}`).join(''),
    /(?!\n)\p{Cc}|\p{Cf}/u,
  );
});

test('a group has a service for each address of a range, and a mark that is there already is told', t => {
  const group = 'virtual_server_group g {\n192.0.2.110-112 80\nfwmark 7\nfwmark 7\n}\n';
  const text = `${group}virtual_server group g { protocol TCP\n real_server 198.51.100.11 80 { weight 1 }\n}\n`;
  const result = imported('keepalived.conf', PAIR + text);
  t.deepEqual(Object.keys(filled(result).services), ['192-0-2-110-80', '192-0-2-111-80', '192-0-2-112-80', 'mark-7']);
  t.is(told(result).filter(note => note.includes('"mark-7" has this mark already')).length, 1);
});

test('a real server of the other family is left out, and the others stay', t => {
  const other = FTP.replace('fwmark 21', '192.0.2.100 21')
    .replace('delay_loop', 'protocol TCP\n  delay_loop')
    .replace('.12 21', '.12 21 {\n}\n real_server 2001:db8::5 21');
  const result = imported('keepalived.conf', PAIR + other);
  t.is(Object.keys(filled(result).services.ftp?.servers ?? {}).length, 2);
  t.true(told(result).some(note => note.includes('its address is not IPv4 as that of the virtual_server is')));
});

test('a config with many comments that quote an open brace is one that tandem check takes', t => {
  const one = (port: number) =>
    `virtual_server 192.0.2.100 ${port} { protocol TCP\n real_server 198.51.100.11 ${port} { }\n}\n`;
  const text = PAIR + Array.from({ length: 70 }, (_, index) => one(1_000 + index)).join('');
  t.is(Object.keys(filled(imported('keepalived.conf', text)).services).length, 70);
});

test('a service with another port on its servers comes along without its persistence, which is told', t => {
  const text = web('TCP_CHECK { }')
    .replace('198.51.100.11 80', '198.51.100.11 8080')
    .replace('protocol', 'persistence_timeout 50\n  protocol');
  const result = imported('keepalived.conf', PAIR + text);
  t.like(filled(result).services['192-0-2-100-80'], { server_port: 8080, persistence: undefined });
  t.true(told(result).some(note => /^lost \d+: Tandem has another port on the servers only without/.test(note)));
});

test('why a service is left out is told with the lines that are to blame', t => {
  const result = imported('keepalived.conf', PAIR + web('TCP_CHECK { }').replace('198.51.100.11', 'web1.example.com'));
  const lost = told(result).filter(note => note.startsWith('lost'));
  t.true(
    lost.some(note => note.includes('its address is not an IP address')),
    lost.join('\n'),
  );
  t.true(lost.some(note => note.includes('it has no real server that serves')));
});

const web = (check: string) => `virtual_server 192.0.2.100 80 {
  protocol TCP
  lb_kind NAT
  inhibit_on_failure
  virtualhost www.example.com
  real_server 198.51.100.11 80 {
    ${check}
  }
}
`;
const checkOf = (check: string, change = (text: string) => text) => {
  const result = imported('keepalived.conf', PAIR + change(web(check)));
  const [service] = Object.values(filled(result).services);
  return { result, check: service?.check, notes: told(result) };
};

test('a page is asked for as it was, with its name and its status; MD5, patterns and a second page are told', t => {
  const { check, notes } = checkOf(`HTTP_GET {
      url {
        path /health
        status_code 200 301-302
        digest 640205b7b0fc66c1ea91c463fac6334d
      }
      url { path /other }
      connect_timeout 3
    }`);
  t.like(check, { type: 'http', path: '/health', host: 'www.example.com', tls: 'none', timeout: 3_000, fall: 4 });
  t.like(check, {
    status: [
      { first: 200, last: 200 },
      { first: 301, last: 302 },
    ],
  });
  t.true(notes.some(note => /^lost \d+: MD5 has no counterpart/.test(note)));
  t.true(notes.some(note => /^lost \d+: a check asks for one page/.test(note)));
});

test('SSL_GET is HTTPS, and a path that may hold a secret is to be filled in', t => {
  const { check, result } = checkOf(`SSL_GET { 
      enable_sni
      url { path /health?token=hunter2x } 
    }`);
  t.like(check, { type: 'http', path: '/health', tls: 'implicit', tls_name: 'www.example.com', tls_verify: 'none' });
  t.notRegex(result.yaml + JSON.stringify(result.config), /hunter2x/);
  t.deepEqual(
    result.placeholders.map(({ path }) => path.join('.')),
    ['services.192-0-2-100-80.check.path'],
  );
});

test('ping, mail, a question to a name server and datagrams are asked in the same way', t => {
  const udp = (text: string) => text.replace('protocol TCP', 'protocol UDP');
  t.like(checkOf('PING_CHECK { }').check, { type: 'icmp' });
  t.like(checkOf('SMTP_CHECK { helo_name lb.example.com }').check, {
    type: 'send_expect',
    banner: '220',
    send: 'HELO lb.example.com\r\n',
    expect: '250',
  });
  t.like(checkOf('DNS_CHECK {\ntype a\nname example.com\n}', udp).check, {
    type: 'send_expect',
    send_hex: '2a 2a 01 00 00 01 00 00 00 00 00 00 07 65 78 61 6d 70 6c 65 03 63 6f 6d 00 00 01 00 01',
    expect_hex: '2a 2a',
  });
  t.like(checkOf('DNS_CHECK { }').check, {
    type: 'send_expect',
    send_hex: '00 11 2a 2a 01 00 00 01 00 00 00 00 00 00 00 00 06 00 01',
  });
  t.like(checkOf('UDP_CHECK { }', udp).check, { type: 'datagram' });
  const asked = checkOf('UDP_CHECK {\npayload 68756e74\nrequire_reply\n}', udp);
  t.like(asked.check, { type: 'send_expect', send_file: '/etc/tandem/192-0-2-100-80-check.send' });
  t.notRegex(asked.result.yaml, /68756e74/);
  const spoken = checkOf('SMTP_CHECK { }', udp);
  t.like(spoken.check, { type: 'datagram' });
  t.true(spoken.notes.some(note => /^lost \d+: over UDP nobody speaks first/.test(note)));
});

test('MISC_CHECK is check.script beside the check of the port, and its arguments are not shown', t => {
  const plain = checkOf(`TCP_CHECK { connect_timeout 3 }
    MISC_CHECK {
      misc_path "/etc/keepalived/replica"
      misc_timeout 7
      misc_dynamic
    }`);
  t.like(plain.check, { type: 'connect', script: ['/etc/keepalived/replica'], timeout: 7_000 });
  t.true(plain.notes.some(note => /^changed \d+: it is run once .*tandem-runner without rights/.test(note)));
  t.true(plain.notes.some(note => /^lost \d+: the exit status is no weight/.test(note)));
  const secret = checkOf('MISC_CHECK { misc_path "/usr/bin/mysql -phunter2x" }');
  t.deepEqual(secret.check?.script, ['/etc/tandem/checks/192-0-2-100-80']);
  t.notRegex(secret.result.yaml + JSON.stringify(secret.result), /hunter2x/);
  t.regex(secret.result.yaml, /FILL-IN: \/usr\/bin\/mysql, then its arguments/);
});
