// What becomes of an ldirectord.cf: services, and nothing about routers.
import test from 'ava';
import { filled, imported, told } from './importing.ts';

const FTP = `checktimeout=3
checkinterval=5
autoreload=yes
quiescent=yes

virtual=192.0.2.100:21
	real=198.51.100.11->198.51.100.13:21 masq 2
	fallback=198.51.100.99:21 masq
	service=ftp
	scheduler=wlc
	persistent=600
	netmask=255.255.255.0
	login="probe"
	passwd="hunter2x"
	request="pub/health.txt"
	receive="OK"
	failurecount=2
`;

test('an FTP virtual is a service of Tandem; routers, LANs and the gateway are to be filled in', t => {
  const result = imported('ldirectord.cf', FTP);
  const { services } = filled(result);
  t.like(services.ftp, {
    vip: '192.0.2.100',
    forwarding: 'nat',
    scheduler: 'wlc',
    persistence: 600_000,
    persistence_prefix: 24,
    sorry_server: { address: '198.51.100.99' },
  });
  t.like(services.ftp?.check, {
    interval: 5_000,
    timeout: 3_000,
    rise: 1,
    fall: 2,
    fetch: 'pub/health.txt',
    until: 'transfer',
  });
  t.is(Object.keys(services.ftp?.servers ?? {}).length, 3);
  t.true(result.placeholders.some(({ path }) => path.join('.') === 'lans.servers.gateways.0'));
  t.true(result.placeholders.some(({ path }) => path.join('.') === 'services.ftp.check.user'));
});

test('neither login nor password nor what is asked for is shown', t => {
  const { yaml, notes } = imported('ldirectord.cf', FTP);
  t.notRegex(yaml + JSON.stringify(notes), /hunter2x|"probe"/);
  t.regex(yaml, /# changed: old\.conf:14: `passwd= \*{8}`/);
});

test('blanks, comments and lines that belong nowhere stop nothing', t => {
  const odd = FTP.replace('virtual=', '[ftp]\nvirtual = ').replace(
    '\tscheduler=wlc',
    '# remark\n    scheduler = wlc # the usual\n\n\tnonsense=1',
  );
  const result = imported('ldirectord.cf', odd);
  t.like(filled(result).services.ftp, { scheduler: 'wlc', check: { fall: 2 } });
  const notes = told(result);
  t.true(notes.some(note => note.startsWith('lost 6: this is no line')));
  t.true(
    notes.some(note => note.startsWith('changed 14: ldirectord refuses an indented line')),
    notes.join('\n'),
  );
  t.true(notes.some(note => note.startsWith('lost 14: no such line is known')));
});

test('a mark is FTP when its check is, and its VIP is to be filled in', t => {
  const result = imported(
    'ldirectord.cf',
    FTP.replace('192.0.2.100:21', '7')
      .replace('masq 2', 'gate 2')
      .replace(/\tfallback.*\n/, ''),
  );
  t.true(result.placeholders.some(({ path }) => path.join('.') === 'services.ftp.vip'));
  t.like(filled(result).services.ftp, { mark: 7, forwarding: 'dr', control_port: [21] });
});

test('a fallback on the router, a server without a method and a weight of 0 are told', t => {
  const text = FTP.replace('198.51.100.99:21 masq', '127.0.0.1:21').replace(
    '\tservice',
    '\treal=198.51.100.20:21\n\treal=198.51.100.21:21 masq 0\n\tservice',
  );
  const result = imported('ldirectord.cf', text);
  t.is(filled(result).services.ftp?.sorry_server, undefined);
  t.deepEqual(
    told(result)
      .filter(note => note.startsWith('lost'))
      .map(note => note.slice(0, 40)),
    [
      'lost 9: the method is missing (gate, masq',
      'lost 10: its weight is 0; this server is',
      'lost 8: the fallback is the router itself: ',
    ].map(text => text.slice(0, 40)),
  );
});

test('a virtual over UDP, and port 53 without a word, are services of kind udp', t => {
  const dns = 'virtual=192.0.2.100:53\n\treal=198.51.100.11:53 masq\n\tchecktype=connect\n\n';
  const syslog = 'virtual=192.0.2.100:514\n\treal=198.51.100.11:514 masq\n\tprotocol=udp\n\tchecktype=on\n';
  const { services } = filled(imported('ldirectord.cf', dns + syslog));
  t.like(services['192-0-2-100-53'], { kind: 'udp', check: { type: 'connect' } });
  t.like(services['192-0-2-100-514'], { kind: 'udp', check: { type: 'datagram' } });
});

const webText = 'virtual=192.0.2.100:80\n\treal=198.51.100.11:80 masq\n';
const web = (lines: string) => imported('ldirectord.cf', webText + lines);
const checkOf = (lines: string) => Object.values(filled(web(lines)).services)[0]?.check;

test('a page is asked for as it was, and what it holds if that is a plain text', t => {
  const lines = '\trequest="index.html"\n\treceive="It works"\n\tvirtualhost=www.example.com\n\tcheckport=8080\n';
  t.like(checkOf(lines), {
    type: 'http',
    method: 'GET',
    path: '/index.html',
    host: 'www.example.com',
    content: 'It works',
    port: 8080,
  });
  t.like(checkOf('\tservice=https\n\thttpmethod=HEAD\n'), { type: 'http', method: 'HEAD', tls: 'implicit' });
  const pattern = web('\treceive="(up|ok)$"\n');
  t.true(told(pattern).some(note => /^lost 3: regular expressions have no counterpart/.test(note)));
});

test("greetings, ping, names and programs of one's own", t => {
  t.like(checkOf('\tchecktype=ping\n'), { type: 'icmp' });
  t.like(checkOf('\tservice=imaps\n'), { type: 'banner', expect: '* OK', tls: 'implicit' });
  t.like(checkOf('\tservice=smtp\n'), { type: 'send_expect', banner: '220' });
  t.like(checkOf('\tservice=dns\n\tprotocol=udp\n\trequest="example.com"\n'), { expect_hex: '2a 2a' });
  t.like(checkOf('\tservice=mysql\n\tlogin="root"\n\tpasswd="hunter2x"\n'), { type: 'connect' });
  const external = web('\tchecktype=external\n\tcheckcommand="/opt/check hunter2x"\n');
  t.deepEqual(Object.values(filled(external).services)[0]?.check.script, ['/etc/tandem/checks/192-0-2-100-80']);
  t.notRegex(external.yaml + JSON.stringify(external), /hunter2x/);
  const text = web('\tservice=simpletcp\n\trequest="hunter2x"\n\treceive="fine"\n');
  t.like(Object.values(filled(text).services)[0]?.check, { type: 'send_expect', expect: 'fine' });
  t.notRegex(text.yaml + JSON.stringify(text), /hunter2x/);
});

test('a line before all virtuals that belongs into one is told, and does nothing', t => {
  const result = imported('ldirectord.cf', `service=ftp\nchecktype=off\nprotocol=udp\npersistent=600\n${webText}`);
  const [service] = Object.values(filled(result).services);
  t.like(service, { kind: 'tcp', persistence: undefined, check: { type: 'http' } });
  t.is(told(result).filter(note => note.includes('in a virtual only')).length, 4);
});

test('what an FTP check fetches is to be filled in when it may be a secret', t => {
  const result = imported('ldirectord.cf', FTP.replace('pub/health.txt', 'private/token-hunter2x'));
  t.notRegex(result.yaml + JSON.stringify(result), /hunter2x/);
  t.like(filled(result).services.ftp?.check, { fetch: 'pub/health.txt' });
});

test('a text check without a request waits for what the server says first', t => {
  t.like(checkOf('\tservice=simpletcp\n\treceive="SSH"\n'), { type: 'banner', expect: 'SSH' });
  t.deepEqual(
    told(web('\tservice=simpletcp\n')).filter(note => note.includes('an import does not show')),
    [],
  );
});

test('a request of one server, and what stands behind a misspelt word, are not shown', t => {
  const real = '\treal=198.51.100.12:80 masq 1 "/hunter2x", "hunter2x"\n';
  const result = web(`${real}\treqest="hunter2x"\n\trecieve="hunter2x"\n\tcheckcomand="/bin/x hunter2x"\n`);
  t.notRegex(result.yaml + JSON.stringify(result), /hunter2x/);
  t.regex(result.yaml, /`reqest= \*{8}`/);
});

test('more servers than any pair has are told once', t => {
  const result = imported('ldirectord.cf', webText + '\treal=10.0.0.1->10.0.0.250:80 masq\n'.repeat(20));
  t.is(told(result).filter(note => note.includes('more than 2000 servers')).length, 1);
});

test('lines of a virtual whose indentation was lost are read as its own, and told', t => {
  for (const margin of ['', '  ']) {
    const result = imported('ldirectord.cf', FTP.replace(/^\t/gm, margin));
    t.like(filled(result).services.ftp, { scheduler: 'wlc', persistence: 600_000, check: { until: 'transfer' } });
    t.true(told(result).some(note => note.startsWith('changed 7: ldirectord wants a tab or four blanks before it')));
  }
});

test('a section and a word in front of a line say where they are', t => {
  const { notes } = imported('ldirectord.cf', `quiescent=yes\n[192-0-2-100:80]\n${webText}`);
  t.true(
    notes.some(({ quote }) => quote === '[192-0-2-100:80]'),
    JSON.stringify(notes),
  );
});
