// What `tandem server-config` prints: whole texts for each daemon, family and forwarding method, and what is refused. That the lines
// work is shown by the lab, whose servers run with them.
import test from 'ava';
import { parseConfig } from '../../src/config/document.ts';
import { type Config, configSchema, type FtpServiceConfig } from '../../src/config/schema.ts';
import type { Forwarding } from '../../src/ipvs/table.ts';
import { DAEMONS, type Daemon, daemonProblems, daemonSections } from '../../src/real-server/ftp-daemons.ts';
import { requirementsOf } from '../../src/real-server/requirements.ts';
import { type Section, sectionsText } from '../../src/real-server/section.ts';
import { serverConfig } from '../../src/real-server/whole.ts';

/** A pair with one IPv4 and one IPv6 service; `ftp` has the lines of YAML given. */
function pairWith(...ftp: readonly string[]): Config {
  const parsed = parseConfig(`pair: p1
routers: { a: {}, b: {} }
lans:
  client:
    interface: eth0
    addresses: { a: [192.0.2.2/24, "2001:db8:1::2/64"], b: [192.0.2.3/24, "2001:db8:1::3/64"] }
    vips: [192.0.2.100, "2001:db8:1::100"]
  servers:
    interface: eth1
    addresses:
      a: [198.51.100.2/25, 198.51.100.130/25, "2001:db8:2::2/64"]
      b: [198.51.100.3/25, 198.51.100.131/25, "2001:db8:2::3/64"]
    gateways: ["2001:db8:2::1", 198.51.100.1, 198.51.100.129]
heartbeat: { links: [client, servers] }
services:
  ftp:
    vip: 192.0.2.100
    servers_lan: servers
    mark: 21
    servers: { s1: { address: 198.51.100.11 }, s2: { address: 198.51.100.140 } }
${ftp.map(line => `    ${line}\n`).join('')}
  ftp6:
    vip: "2001:db8:1::100"
    servers_lan: servers
    mark: 22
    servers: { s1: { address: "2001:db8:2::11" } }
`);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.mistakes));
  return parsed.config;
}

interface Asked {
  readonly service?: string;
  readonly server?: string;
  readonly forwarding?: Forwarding;
}

function sectionsOf(config: Config, daemon: Daemon, { service = 'ftp', ...asked }: Asked = {}): readonly Section[] {
  const made = serverConfig(config, { service, daemon, ...asked });
  if (!made.ok) throw new Error(made.problems.join('\n'));
  return made.sections;
}

/** The daemon's lines only, one text for each of its processes. */
function daemonLines(config: Config, daemon: Daemon, asked: Asked = {}): string[] {
  return sectionsOf(config, daemon, asked)
    .filter(({ kind }) => kind === 'daemon')
    .map(({ lines }) => lines.join('\n'));
}

/** What stands under the daemon's lines: the host's part. */
function hostText(asked: Asked): string {
  return sectionsText(sectionsOf(pairWith(), 'vsftpd', asked).filter(({ kind }) => kind !== 'daemon'));
}

test('a section has its file and its use as a comment, then its lines', t => {
  t.is(
    sectionsText(sectionsOf(pairWith(), 'vsftpd')),
    `# /etc/vsftpd.conf: instead of lines of the same names.
listen=YES
listen_ipv6=NO
listen_port=21
pasv_enable=YES
pasv_min_port=10000
pasv_max_port=20000
pasv_address=192.0.2.100
port_enable=YES
connect_from_port_20=YES
ftp_data_port=20

# Commands: the default route goes to the pair, until the next boot.
ip route replace default via 198.51.100.1

# /etc/systemd/network/INTERFACE.network.d/tandem.conf: the same for good. INTERFACE.network is the file of the interface on LAN "servers"; no other may name a gateway. That of the other family is a further line Gateway=.
[Network]
Gateway=198.51.100.1
`,
  );
});

test('proftpd and pure-ftpd are told the same in their own words', t => {
  t.deepEqual(daemonLines(pairWith(), 'proftpd'), [
    'Port 21\nPassivePorts 10000 20000\nMasqueradeAddress 192.0.2.100\nRootRevoke off',
  ]);
  t.deepEqual(daemonLines(pairWith(), 'pure-ftpd'), [
    'Bind ,21\nPassivePortRange 10000 20000\nForcePassiveIP 192.0.2.100',
  ]);
});

test('an IPv6 service names no address, since EPSV has none', t => {
  const asked = { service: 'ftp6', server: 's1' };
  t.deepEqual(daemonLines(pairWith(), 'vsftpd', asked), [
    `listen=NO
listen_ipv6=YES
listen_address6=2001:db8:2::11
listen_port=21
pasv_enable=YES
pasv_min_port=10000
pasv_max_port=20000
port_enable=YES
connect_from_port_20=YES
ftp_data_port=20`,
  ]);
  t.deepEqual(daemonLines(pairWith(), 'proftpd', asked), [
    'UseIPv6 on\nPort 21\nPassivePorts 10000 20000\nRootRevoke off',
  ]);
  t.deepEqual(daemonLines(pairWith(), 'pure-ftpd', asked), ['Bind ,21\nPassivePortRange 10000 20000']);
});

test('what all servers have in common names none of them', t => {
  t.notRegex(daemonLines(pairWith(), 'vsftpd', { service: 'ftp6' }).join('\n'), /listen_address6/);
});

for (const daemon of DAEMONS) {
  test(`${daemon} announces what the config says, not the VIP`, t => {
    const text = daemonLines(pairWith('announce: 203.0.113.77'), daemon).join('\n');
    t.regex(text, /^(pasv_address=|MasqueradeAddress |ForcePassiveIP )203\.0\.113\.77$/m);
    t.notRegex(text, /192\.0\.2\.100/);
  });

  test(`${daemon} keeps to the passive range of the service`, t => {
    const text = daemonLines(pairWith('passive_ports: 12000-12999'), daemon).join('\n');
    t.regex(text, /12000[\s\S]{1,15}12999/);
    t.notRegex(text, /10000|20000/);
  });
}

test('without active mode vsftpd and proftpd refuse it at once, and pure-ftpd cannot', t => {
  const config = pairWith('active: false');
  const [vsftpd = ''] = daemonLines(config, 'vsftpd');
  t.regex(vsftpd, /^port_enable=NO$/m);
  t.notRegex(vsftpd, /connect_from_port_20|ftp_data_port/);
  t.deepEqual(daemonLines(config, 'proftpd'), [
    'Port 21\nPassivePorts 10000 20000\nMasqueradeAddress 192.0.2.100\n<Limit EPRT PORT>\n  DenyAll\n</Limit>',
  ]);
  t.deepEqual(daemonLines(config, 'pure-ftpd'), daemonLines(pairWith(), 'pure-ftpd'));
});

test('for FTP and FTPS there are two vsftpd, and two servers in one proftpd', t => {
  const config = pairWith('control_port: [21, 990]');
  t.regex(
    sectionsText(sectionsOf(config, 'proftpd')),
    /both families has one VirtualHost.*<VirtualHost 0\.0\.0\.0 ::>/,
  );
  const files = sectionsOf(config, 'vsftpd').filter(({ kind }) => kind === 'daemon');
  t.deepEqual(
    files.map(({ file }) => file),
    ['/etc/vsftpd.conf', '/etc/vsftpd-990.conf'],
  );
  const [plain = '', tls = ''] = daemonLines(config, 'vsftpd');
  t.notRegex(plain, /ssl/);
  t.is(
    tls,
    `listen=YES
listen_ipv6=NO
listen_port=990
pasv_enable=YES
pasv_min_port=10000
pasv_max_port=20000
pasv_address=192.0.2.100
port_enable=YES
connect_from_port_20=YES
ftp_data_port=989
ssl_enable=YES
rsa_cert_file=/etc/ssl/certs/ftp.pem
rsa_private_key_file=/etc/ssl/private/ftp.key
implicit_ssl=YES
allow_anon_ssl=YES`,
  );
  t.deepEqual(daemonLines(config, 'proftpd'), [
    `Port 21
PassivePorts 10000 20000
MasqueradeAddress 192.0.2.100
RootRevoke off
<VirtualHost 0.0.0.0>
  Port 990
  PassivePorts 10000 20000
  MasqueradeAddress 192.0.2.100
  RootRevoke off
  TLSEngine on
  TLSRSACertificateFile /etc/ssl/certs/ftp.pem
  TLSRSACertificateKeyFile /etc/ssl/private/ftp.key
  TLSOptions UseImplicitSSL
</VirtualHost>`,
  ]);
});

test('FTPS alone is the main server of proftpd', t => {
  const [text = ''] = daemonLines(pairWith('control_port: 990'), 'proftpd');
  t.regex(text, /^Port 990\n[\s\S]*^TLSOptions UseImplicitSSL$/m);
  t.notRegex(text, /VirtualHost/);
});

test('TLS is what the check of the service says, port by port', t => {
  const modes = (...ftp: string[]) =>
    requirementsOf(pairWith(...ftp).services.ftp as FtpServiceConfig).ports.map(({ tls }) => tls);
  t.deepEqual(modes(), ['none']);
  t.deepEqual(modes('check: { tls: explicit }'), ['explicit']);
  t.deepEqual(modes('control_port: [21, 990]', 'check: { tls: explicit }'), ['explicit', 'implicit']);
  t.deepEqual(modes('control_port: 9990', 'active: false', 'check: { tls: implicit }'), ['implicit']);
  const [plain = '', tls = ''] = daemonLines(pairWith('control_port: [21, 990]', 'check: { tls: explicit }'), 'vsftpd');
  t.regex(plain, /^ssl_enable=YES$/m);
  t.notRegex(plain, /implicit_ssl/);
  t.regex(tls, /^ssl_enable=YES\n[\s\S]*^implicit_ssl=YES$/m);
});

test('vsftpd lets a nanny in that is anonymous within TLS, and opens that door for no other', t => {
  const lines = (check: string) => daemonLines(pairWith(`check: ${check}`), 'vsftpd').join('\n');
  t.regex(lines('{ tls: explicit }'), /^allow_anon_ssl=YES$/m);
  t.regex(lines('{ tls: explicit, user: ftp, until: login }'), /^allow_anon_ssl=YES$/m);
  for (const check of ['{}', '{ tls: explicit, user: probe, password_file: /etc/p }', '{ tls: none, until: greeting }'])
    t.notRegex(lines(check), /allow_anon_ssl/);
});

test('who has plain clients on vsftpd is told that TLS by AUTH would lock them out', t => {
  const about = (...ftp: string[]) => sectionsOf(pairWith(...ftp), 'vsftpd').map(section => section.about);
  const [explicit = '', implicit = ''] = about('control_port: [21, 990]', 'check: { tls: explicit }');
  t.regex(explicit, /Local users must use TLS from then on; force_local_logins_ssl=NO and force_local_data_ssl=NO /);
  t.notRegex(`${implicit}${about()[0]}`, /force_local/);
});

test('TLS by AUTH is told to each daemon, with its files', t => {
  const explicit = requirementsOf(pairWith('check: { tls: explicit }').services.ftp as FtpServiceConfig);
  const text = (daemon: Daemon): string =>
    daemonSections(daemon, explicit, { certificate: '/c.pem', key: '/k.pem' })
      .flatMap(({ lines }) => lines)
      .join('\n');
  t.regex(text('vsftpd'), /ssl_enable=YES\nrsa_cert_file=\/c\.pem\nrsa_private_key_file=\/k\.pem\n/);
  t.regex(text('proftpd'), /TLSEngine on\nTLSRSACertificateFile \/c\.pem\nTLSRSACertificateKeyFile \/k\.pem$/);
  t.regex(text('pure-ftpd'), /TLS 1\nCertFileAndKey "\/c\.pem" "\/k\.pem"$/);
  for (const daemon of DAEMONS) t.deepEqual(daemonProblems(daemon, explicit), []);
});

test('each mode that a daemon cannot do is refused with its place and the remedy', t => {
  const problems = (daemon: Daemon, ...ftp: string[]): readonly string[] => {
    const made = serverConfig(pairWith(...ftp), { service: 'ftp', daemon });
    return made.ok ? [] : made.problems;
  };
  const elsewhere = ['control_port: 2121', 'active_port: 2020'];
  t.deepEqual(problems('vsftpd', ...elsewhere), []);
  t.deepEqual(problems('proftpd', ...elsewhere), [
    'services.ftp.active_port: proftpd opens active data from the port below its control port, 2120 for 2121, not from 2020; write active_port: 2120, or active: false, or use vsftpd',
  ]);
  t.deepEqual(problems('proftpd', 'control_port: 2121', 'active_port: 2120'), []);
  t.deepEqual(problems('pure-ftpd', ...elsewhere), [
    'services.ftp.active_port: pure-ftpd opens active data from port 20 whatever its control port, not from 2020 for 2121; write active_port: 20, or active: false, or use vsftpd',
  ]);
  t.deepEqual(problems('pure-ftpd', 'control_port: 2121', 'active_port: 20'), []);
  t.regex(
    problems('pure-ftpd', 'control_port: [21, 990]', 'active: false').join(),
    /^services\.ftp\.control_port: pure-ftpd takes TLS by AUTH only, .* on port 990 /,
  );
  t.is(problems('proftpd', ...elsewhere, 'active: false').length, 0);
});

test('a service or a server that is not there is answered with those that are', t => {
  const config = pairWith();
  t.deepEqual(serverConfig(config, { service: 'constructor', daemon: 'vsftpd' }), {
    ok: false,
    problems: ['there is no service "constructor"; the config has: ftp, ftp6'],
  });
  t.deepEqual(serverConfig(config, { service: 'ftp', daemon: 'vsftpd', server: 's9' }), {
    ok: false,
    problems: ['services.ftp.servers: there is no real server "s9"; the config has: s1, s2'],
  });
});

test('the default route is the gateway of the family, in the network of the server', t => {
  t.regex(hostText({ server: 's1' }), /ip route replace default via 198\.51\.100\.1\n/);
  t.regex(
    hostText({ server: 's2' }),
    /ip route replace default via 198\.51\.100\.129\n[\s\S]*^Gateway=198\.51\.100\.129$/m,
  );
  t.regex(hostText({ service: 'ftp6' }), /ip route replace default via 2001:db8:2::1\n/);
});

test('DR: the server has the VIP, and answers nobody who asks for it', t => {
  t.is(
    hostText({ forwarding: 'dr' }),
    `# /etc/sysctl.d/50-tandem-vip.conf: before the server has the VIP: it neither answers ARP for it nor asks in its name.
net.ipv4.conf.all.arp_ignore = 1
net.ipv4.conf.all.arp_announce = 2

# Commands: the VIP, until the next boot. The default route is the LAN’s own router, not the pair.
sysctl --system
ip link add tandem-vip type dummy
ip link set tandem-vip up
ip address replace 192.0.2.100/32 dev tandem-vip

# /etc/systemd/network/tandem-vip.netdev: the same for good, with the next file; one device holds all VIPs.
[NetDev]
Name=tandem-vip
Kind=dummy

# /etc/systemd/network/tandem-vip.network: the VIP; a further one is a further line Address=.
[Match]
Name=tandem-vip

[Network]
LinkLocalAddressing=no
Address=192.0.2.100/32
`,
  );
  const six = hostText({ service: 'ftp6', forwarding: 'dr' });
  t.notRegex(six, /arp/);
  t.regex(six, /ip address replace 2001:db8:1::100\/128 dev tandem-vip\n/);
});

test('TUN: the server ends the tunnel, and clients leave room for the outer header', t => {
  t.is(
    hostText({ forwarding: 'tun', server: 's1' }),
    `# /etc/sysctl.d/50-tandem-tun.conf: before the server has the VIP: it neither answers ARP for it nor asks in its name.
net.ipv4.conf.all.arp_ignore = 1
net.ipv4.conf.all.arp_announce = 2
net.ipv4.conf.tandem-tun.rp_filter = 2

# Commands: tunnel and VIP, until the next boot. The default route is the server’s own, not the pair.
ip link add tandem-tun type ipip mode ipip local 198.51.100.11 remote 0.0.0.0
sysctl --system
ip link set tandem-tun up
ip address replace 192.0.2.100/32 dev tandem-tun

# /etc/systemd/network/tandem-tun.netdev: the same for good, with the next file; one tunnel is the end for both routers and all VIPs.
[NetDev]
Name=tandem-tun
Kind=ipip

[Tunnel]
Local=198.51.100.11
Remote=any
Independent=yes

# /etc/systemd/network/tandem-tun.network: the VIP; a further one is a further line Address=.
[Match]
Name=tandem-tun

[Network]
LinkLocalAddressing=no
Address=192.0.2.100/32

# /etc/nftables.conf: clients leave room for the outer header on a path of 1500 bytes; take off what yours has less. It is added; what the file has stays.
table inet tandem_mss {
  chain output {
    type filter hook output priority mangle; policy accept;
    ip saddr 192.0.2.100 tcp flags & (syn | rst) == syn tcp option maxseg size set 1440
  }
}
`,
  );
  const six = hostText({ service: 'ftp6', server: 's1', forwarding: 'tun' });
  t.notRegex(six, /arp|rp_filter/);
  t.regex(six, /ip link add tandem-tun6 type ip6tnl mode ip6ip6 local 2001:db8:2::11 remote ::\n/);
  t.regex(six, /Kind=ip6tnl\n\n\[Tunnel\]\nMode=ip6ip6\nLocal=2001:db8:2::11\n/);
  t.regex(six, /ip6 saddr 2001:db8:1::100 tcp .* size set 1400\n/);
});

test('with DR and TUN the daemon listens on the VIP, too, and a tunnel needs to know its server', t => {
  for (const forwarding of ['dr', 'tun'] as const) {
    const asked = { service: 'ftp6', server: 's1', forwarding };
    t.notRegex(daemonLines(pairWith(), 'vsftpd', asked).join('\n'), /listen_address/);
    t.notRegex(hostText(asked), /default via|Gateway/);
    // On :: it would take port 21 of the IPv4 service's vsftpd, too.
    t.regex(hostText(asked), /^net.ipv6.bindv6only = 1$/m);
    t.notRegex(sectionsText(sectionsOf(pairWith(), 'proftpd', asked)), /bindv6only/);
  }
  t.notRegex(hostText({ service: 'ftp6', server: 's1' }), /bindv6only/);
  t.notRegex(hostText({ forwarding: 'dr' }), /bindv6only/);
  const made = serverConfig(pairWith(), { service: 'ftp', daemon: 'vsftpd', forwarding: 'tun' });
  t.deepEqual(made, {
    ok: false,
    problems: ['with forwarding tun each real server has its own end of the tunnel; add --server NAME (s1, s2)'],
  });
});

test('what one server needs for two services overwrites nothing of the other', t => {
  const files = new Map<string, string>();
  const asked = [
    { service: 'ftp', forwarding: 'dr' },
    { service: 'ftp', forwarding: 'tun' },
    { service: 'ftp6' },
  ] as const;
  for (const one of asked) {
    for (const { kind, file, lines } of sectionsOf(
      pairWith(),
      'vsftpd',
      one.service === 'ftp' ? { ...one, server: 's1' } : one,
    )) {
      if (file === null || kind === 'networkd') continue;
      const text = lines.join('\n');
      t.is(files.get(file) ?? text, text, file);
      files.set(file, text);
    }
  }
  t.true(files.has('/etc/vsftpd.conf') && files.has('/etc/vsftpd-ipv6.conf'));
});

test('one daemon for two VIPs of DR announces neither: it names the one that the client came to', t => {
  const direct = 'forwarding: dr\n    check: { data: epsv }\n    active: false';
  const parsed = parseConfig(`pair: p1
routers: { a: {}, b: {} }
lans:
  client: { interface: eth0, addresses: { a: 192.0.2.2/24, b: 192.0.2.3/24 }, vips: [192.0.2.100, 192.0.2.101] }
  cross: { interface: eth1, addresses: { a: 203.0.113.1/30, b: 203.0.113.2/30 } }
heartbeat: { links: [client, cross] }
services:
  one:
    vip: 192.0.2.100
    ${direct}
    mark: 21
    servers: { s1: { address: 192.0.2.11 }, s2: { address: 192.0.2.12 } }
  two:
    vip: 192.0.2.101
    ${direct}
    mark: 22
    servers: { s1: { address: 192.0.2.11 } }
`);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.mistakes));
  const text = (service: string, server: string) =>
    daemonLines(parsed.config, 'vsftpd', { service, server }).join('\n');
  t.notRegex(text('one', 's1'), /pasv_address/);
  t.notRegex(text('two', 's1'), /pasv_address/);
  t.regex(text('one', 's2'), /^pasv_address=192\.0\.2\.100$/m);
});

test('who runs pure-ftpd by Debian’s wrapper is told where its certificate goes', t => {
  const about = (...ftp: string[]) => sectionsOf(pairWith(...ftp), 'pure-ftpd')[0]?.about ?? '';
  t.regex(about('check: { tls: explicit }'), /CertFileAndKey it has none: .* \/etc\/ssl\/private\/pure-ftpd\.pem\./);
  t.notRegex(about(), /CertFileAndKey/);
});

test('a service that is not FTP has no FTP daemon: what its host needs is told all the same', t => {
  const ftp = pairWith();
  const web = { kind: 'tcp', vip: '192.0.2.100', servers_lan: 'servers', mark: 80, ports: 443 };
  const services = configSchema.shape.services.parse({ web: { ...web, servers: {} } });
  const config = { ...ftp, services: { ...ftp.services, ...services } };
  const made = serverConfig(config, { service: 'web' });
  t.true(made.ok && made.sections.every(({ kind }) => kind !== 'daemon') && made.sections.length > 0);
  t.deepEqual(serverConfig(config, { service: 'web', daemon: 'vsftpd' }), {
    ok: false,
    problems: ['services.web is of kind tcp, not FTP; leave --for out'],
  });
  t.deepEqual(serverConfig(config, { service: 'ftp' }), {
    ok: false,
    problems: ['services.ftp is FTP; add --for vsftpd or --for proftpd or --for pure-ftpd'],
  });
});
