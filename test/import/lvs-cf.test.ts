// What becomes of a Piranha lvs.cf: an FTP service as its owners wrote it, and the mistakes that such files have.
import test from 'ava';
import { OLD_KINDS } from '../../src/import/old-kind.ts';
import { ms } from '../../src/units/duration.ts';
import { filled, imported, told } from './importing.ts';

const FTP_NAT = `serial_no = 12
primary = 192.0.2.2
primary_private = 198.51.100.2
service = lvs
backup_active = 1
backup = 192.0.2.3
backup_private = 198.51.100.3
heartbeat = 1
heartbeat_port = 539
keepalive = 6
deadtime = 18
network = nat
nat_router = 198.51.100.1 eth1:1
nat_nmask = 255.255.255.0
tcp_timeout = 3600
virtual ftp {
     active = 1
     address = 192.0.2.100 eth0:1
     vip_nmask = 255.255.255.0
     fwmark = 21
     port = 21
     persistent = 300
     pmask = 255.255.255.0
     send = "quit\\r\\n"
     expect = "220"
     load_monitor = none
     scheduler = wrr
     protocol = tcp
     timeout = 6
     reentry = 18
     quiesce_server = 1
     server one {
         address = 198.51.100.11
         active = 1
         weight = 1
     }
     server two {
         address = 198.51.100.12
         active = 1
         weight = 3
     }
     server three {
         address = 198.51.100.13
         active = 0
         weight = 1
     }
}
`;

test('an FTP service by NAT is one of Tandem, with nothing left to fill in', t => {
  const result = imported('lvs.cf', FTP_NAT);
  t.deepEqual(result.placeholders, []);
  const { services, lans, ipvs, heartbeat } = filled(result);
  t.like(services.ftp, {
    vip: '192.0.2.100',
    servers_lan: 'servers',
    forwarding: 'nat',
    mark: 21,
    control_port: [21],
    scheduler: 'wrr',
    persistence: ms(300_000),
    persistence_prefix: 24,
  });
  t.like(services.ftp?.check, { interval: ms(6_000), timeout: ms(6_000), rise: 3, fall: 1, until: 'greeting' });
  t.deepEqual(Object.keys(services.ftp?.servers ?? {}), ['one', 'two']);
  t.is(services.ftp?.servers.two?.weight, 3);
  t.deepEqual(lans.client?.addresses, { r1: '192.0.2.2/24', r2: '192.0.2.3/24' } as never);
  t.like(lans.servers, { interface: 'eth1', gateways: ['198.51.100.1'] });
  t.deepEqual(heartbeat.links, ['client', 'servers']);
  t.is(ipvs.tcp_timeout, ms(3_600_000));
});

test('what it does not carry over is told with its line, in the text next to what it is about', t => {
  const result = imported('lvs.cf', FTP_NAT);
  const notes = told(result);
  t.true(notes.includes("changed 10: Tandem's times are written instead: a heartbeat each 100ms"));
  t.true(
    notes.some(note => /^lost 44: it was not active; this server is left out/.test(note)),
    notes.join('\n'),
  );
  t.regex(result.yaml, /# lost: old\.conf:44: `active = 0`: it was not active(.|\n)*\n {2}ftp:\n/);
  t.regex(result.yaml, /# changed: old\.conf:16:[^\n]*passive data(.|\n)*\n {4}passive_ports: 10000-20000\n/);
});

test('a file without primary_private has one LAN, and addresses without a mask want their prefix', t => {
  const text = FTP_NAT.replace('network = nat', 'network = direct')
    .replace(/^(primary_private|backup_private|nat_.*) = .*\n/gm, '')
    .replace('vip_nmask = 255.255.255.0', 'vip_nmask = 255.255.255.255')
    .replaceAll('198.51.100.', '192.0.2.');
  const result = imported('lvs.cf', text);
  t.deepEqual(
    result.placeholders.map(({ path }) => path.join('.')),
    ['lans.client.addresses.r1', 'lans.client.addresses.r2'],
  );
  t.like(filled(result).services.ftp, { forwarding: 'dr', servers_lan: undefined });
});

const withFtp = (lines: string) => FTP_NAT.replace('     persistent = 300\n', lines);

test('remarks behind values, CRs and braces in odd places are taken, and told once', t => {
  const odd = FTP_NAT.replace('fwmark = 21', 'fwmark = 21     <---- see iptables')
    .replace('timeout = 6\n', 'timeout = 6     # seconds\n')
    .replace('virtual ftp {', 'virtual ftp{')
    .replace('server one {', 'server one\n{')
    .replaceAll('\n', '\r\n');
  const result = imported('lvs.cf', odd);
  t.like(filled(result).services.ftp, { mark: 21, check: { interval: 6_000 } });
  t.is(told(result).filter(note => note.includes('words behind a value')).length, 1);
  t.is(told(result).filter(note => note.includes('carriage returns')).length, 1);
});

test('numbers are read as strtol does, the last of two lines counts, and an unknown word stops nothing', t => {
  const result = imported('lvs.cf', withFtp('     persistent = 0x3c\n     persistent = 074\n     sheduler = rr\n'));
  t.is(filled(result).services.ftp?.persistence, ms(60_000));
  t.true(told(result).includes('unneeded 22: written again on line 23, and the last one counts'));
  t.true(told(result).includes('lost 24: no such word is known in an lvs.cf'));
});

test('a line that the GUI cut runs into the next one, which is read all the same', t => {
  const result = imported(
    'lvs.cf',
    withFtp('     send_program = "/usr/local/bin/check-ftp --user=probe %h     scheduler = lc\n'),
  );
  t.true(told(result).some(note => note.startsWith('lost 22: the closing quote is missing')));
  t.notRegex(result.yaml, /probe/);
  t.regex(result.yaml, /`send_program \/usr\/local\/bin\/check-ftp \*{8}`/);
});

test('a single router becomes a pair whose second router is to be filled in', t => {
  const alone = FTP_NAT.replace('backup_active = 1', 'backup_active = 0').replace(
    /^backup(_private)? = .*$/gm,
    'backup = 0.0.0.0',
  );
  const result = imported('lvs.cf', alone);
  t.true(told(result).some(note => /^changed 5: this was a single router/.test(note)));
  t.deepEqual(
    result.placeholders.map(({ path }) => path.join('.')),
    ['lans.client.addresses.r2', 'lans.servers.addresses.r2'],
  );
  t.notThrows(() => filled(result));
});

test('a router that is a real server itself is left out, in the words of tandem check', t => {
  const text = FTP_NAT.replace('address = 198.51.100.12', 'address = 198.51.100.2');
  const result = imported('lvs.cf', text);
  t.deepEqual(Object.keys(filled(result).services.ftp?.servers ?? {}), ['one']);
  t.true(told(result).some(note => /^lost 37: Tandem refuses this server.*is router "r1" itself/.test(note)));
});

test('two virtuals of one mark and one VIP are one service', t => {
  const second = FTP_NAT.slice(FTP_NAT.indexOf('virtual ftp'))
    .replace('virtual ftp', 'virtual ftps')
    .replace('port = 21', 'port = 990');
  const result = imported('lvs.cf', FTP_NAT + second);
  const { services } = filled(result);
  t.deepEqual(Object.keys(services), ['ftp']);
  t.like(services.ftp, { control_port: [21, 990] });
  t.true(told(result).some(note => /^changed \d+: it has the mark and the VIP of "ftp"/.test(note)));
});

test("the other router's copy shows where the two drifted", t => {
  const peer = FTP_NAT.replace('weight = 3', 'weight = 1').replace('serial_no = 12', 'serial_no = 11');
  const result = imported('lvs.cf', FTP_NAT, { peer });
  t.deepEqual(
    told(result).filter(note => note.includes('something else (')),
    [
      'changed 1: the other router\'s file has something else (peer.conf:1 "serial_no = 11"): the first file counts',
      'changed 40: the other router\'s file has something else (peer.conf:40 "weight = 1"): the first file counts',
    ],
  );
  t.is(filled(result).services.ftp?.servers.two?.weight, 3);
});

test('a virtual over UDP is a service of kind udp, also by a mark, with udp_timeout', t => {
  const sip = FTP_NAT.slice(FTP_NAT.indexOf('virtual ftp'))
    .replace('virtual ftp', 'virtual sip')
    .replace('port = 21', 'port = 5060')
    .replace('fwmark = 21', 'fwmark = 3')
    .replace('protocol = tcp', 'protocol = udp');
  const result = imported('lvs.cf', FTP_NAT.replace('tcp_timeout', 'udp_timeout = 60\ntcp_timeout') + sip);
  const { services, ipvs } = filled(result);
  t.like(services.sip, { kind: 'udp', mark: 3, vip: '192.0.2.100', check: { type: 'send_expect', send: 'quit\r\n' } });
  t.is(ipvs.udp_timeout, ms(60_000));
});

const webCheck = (lines: string, port = 80) => {
  const web = FTP_NAT.slice(FTP_NAT.indexOf('virtual ftp'))
    .replace('virtual ftp', 'virtual web')
    .replace('port = 21', `port = ${port}`)
    .replace(/ {5}fwmark.*\n/, '')
    .replace(/ {5}send = .*\n {5}expect = .*\n/, lines);
  const result = imported('lvs.cf', FTP_NAT + web);
  return { result, check: filled(result).services.web?.check, notes: told(result) };
};
const texts = (send: string, expect: string) => `     send = "${send}"\n     expect = "${expect}"\n`;

test('send and expect are a request for a page where they are one, and else a text that is sent', t => {
  const any = [{ first: 100, last: 599 }];
  t.like(webCheck(texts('GET / HTTP/1.0\\r\\n\\r\\n', 'HTTP')).check, { type: 'http', path: '/', status: any });
  t.like(webCheck('').check, { type: 'http', path: '/', status: any });
  t.like(webCheck(texts('HEAD /up HTTP/1.1\\r\\nHost: www.example.com\\r\\n\\r\\n', 'HTTP/1.1 200 OK')).check, {
    type: 'http',
    method: 'HEAD',
    path: '/up',
    host: 'www.example.com',
    status: [{ first: 200, last: 200 }],
  });
  t.like(webCheck(texts('GET /iwl/.lvs.html\\n', 'OK')).check, { type: 'http', path: '/iwl/.lvs.html', content: 'OK' });
  t.like(webCheck(texts('PING\\r\\n', '+PONG\\r\\n'), 6379).check, { send: 'PING\r\n', expect: '+PONG' });
  t.like(webCheck(texts('quit', '220'), 25).check, { type: 'send_expect', send: 'quit', expect: '220' });
  t.like(webCheck('     expect = "SSH-2.0"\n', 22).check, { type: 'banner', expect: 'SSH-2.0' });
});

test('a pattern is expected only as far as it is a plain text', t => {
  const pattern = webCheck(`     use_regex = 1\n${texts('PING\\r\\n', '^.PONG')}`, 6379);
  t.like(pattern.check, { type: 'send_expect', send: 'PING\r\n', expect: undefined });
  t.true(pattern.notes.some(note => /^changed \d+: regular expressions have no counterpart/.test(note)));
});

test('a text that may be a secret, and a program, are to be filled in', t => {
  const sent = webCheck(texts('AUTH hunter2x\\r\\n', '+OK'), 6379);
  t.like(sent.check, { type: 'send_expect', send_file: '/etc/tandem/web-check.send', expect: '+OK' });
  t.true(sent.notes.some(note => note.includes('an import does not show it: write it into check.send_file')));
  const run = webCheck('     send_program = "/usr/local/bin/up --key=hunter2x %h"\n     expect = "OK"\n');
  t.deepEqual(run.check?.script, ['/etc/tandem/checks/web']);
  t.true(run.notes.some(note => /its output had to be what expect says/.test(note)));
  for (const { result } of [sent, run]) t.notRegex(result.yaml + JSON.stringify(result), /hunter2x/);
});

test('what stands behind a misspelt word is not shown', t => {
  const text = FTP_NAT.replace(/^virtual .*$/m, '$&\n  sned = "AUTH hunter2x"\n  send_progam = "/bin/x hunter2x"\n');
  const result = imported('lvs.cf', text);
  t.notRegex(result.yaml + JSON.stringify(result), /hunter2x/);
  t.regex(result.yaml, /`sned = \*{8}`/);
});

test('nor in mid-line, behind a word that is known', t => {
  const text = FTP_NAT.replace(/^virtual .*$/m, '$&\n  address * chekcmmand="/bin/check hunter2x"\n');
  const result = imported('lvs.cf', text);
  t.notRegex(result.yaml + JSON.stringify(result), /hunter2x/);
});

test('a file with nothing in it is told, of whatever kind it is said to be', t => {
  for (const kind of OLD_KINDS)
    for (const text of ['', '# nothing\n\n', 'checkinterval = 5\n'])
      t.true(
        told(imported(kind, text)).some(
          note => note === `lost 1: nothing of this file is in the new config: is it a ${kind}?`,
        ),
      );
});

test('a line of more than 4096 characters is told, and the others are read', t => {
  for (const kind of OLD_KINDS)
    t.true(
      told(imported(kind, `${' '.repeat(5_000)}x = 1\n`)).some(note => /^lost 1: .*line this long/.test(note)),
      kind,
    );
});
