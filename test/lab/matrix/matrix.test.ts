import test from 'ava';
import { allGroups, type Cell, cellName, cellsOf, type Group, groupName, isFtp } from './cells.ts';
import { type ClientPlace, commandLineOf } from './clients.ts';
import { connectionsOf, dialoguesOf, type Evidence } from './evidence.ts';
import { outcomeOf } from './judge.ts';
import { isComplete, latestOf, matrixOf, pageOf } from './report.ts';

const GROUP: Group = { forwarding: 'nat', client: 'curl', server: 'vsftpd', demandsReuse: false, announce: false };
const CELL: Cell = { ...GROUP, verb: 'EPSV', family: 'IPv4', security: 'explicit', state: 'in-flight' };
const [FROM, VIP] = ['192.0.2.51', '192.0.2.100'];

function connection(fromPort: number, toPort: number, openedAt: number, finishedAt: number | null) {
  const [from, to] = [
    { address: FROM, port: fromPort },
    { address: VIP, port: toPort },
  ];
  return { from, to, openedAt, finishedAt, reset: false };
}

const FLYING: Evidence = {
  from: FROM,
  vip: VIP,
  whoami: 'fs1',
  whole: true,
  bytesBeforeCut: 1_000_000,
  bytesAtTakeover: 1_000_000,
  bytes: 4_000_000,
  cutAt: 5_000,
  takenAt: 5_300,
  connections: [
    connection(40_000, 21, 100, 16_000),
    connection(40_001, 12_000, 200, 210),
    connection(40_002, 13_000, 300, 15_900),
  ],
  dialogue: {
    commands: ['AUTH TLS', 'USER anonymous', 'PASS', 'PBSZ 0', 'PROT P', 'EPSV', 'RETR whoami', 'EPSV', 'RETR big'],
    handshakes: [false, true, true].map(resumed => ({ words: 'TLSv1.3', resumed })),
  },
};
const commands = (...list: string[]): Partial<Evidence> => ({ dialogue: { ...FLYING.dialogue, commands: list } });
const shaken = (...resumed: boolean[]): Partial<Evidence> => ({
  dialogue: { ...FLYING.dialogue, handshakes: resumed.map(one => ({ words: 'TLSv1.3', resumed: one })) },
});

test('a cell has one way of FTP: 36 for each kind of forwarding, PASV and PORT not over IPv6', t => {
  const groups = allGroups().filter(group => group.client === 'curl' && group.server === 'vsftpd');
  const ordinary = groups.filter(({ demandsReuse, announce }) => !demandsReuse && !announce).flatMap(cellsOf);
  t.is(ordinary.length, 108);
  t.is(new Set(ordinary.map(cell => `${cell.forwarding} ${cellName(cell)}`)).size, 108);
  t.true(ordinary.every(isFtp));
  t.false(ordinary.some(({ family, verb }) => family === 'IPv6' && (verb === 'PASV' || verb === 'PORT')));
});

test('curl with vsftpd comes first, and a demand for resumed sessions is a group of its own without plain FTP', t => {
  t.deepEqual(allGroups().slice(0, 2).map(groupName), ['nat-curl-vsftpd', 'nat-curl-vsftpd-reuse']);
  t.is(cellsOf({ ...GROUP, demandsReuse: true }).length, 24);
});

test('a public 1:1 NAT is a group of its own, IPv4 only, and a column of its own', t => {
  const group = { ...GROUP, announce: true };
  const names = allGroups().flatMap(one => (one.announce ? [groupName(one)] : []));
  t.deepEqual(names, ['nat-curl-vsftpd-announce', 'dr-curl-vsftpd-announce', 'tun-curl-vsftpd-announce']);
  t.is(cellsOf(group).length, 24);
  t.true(cellsOf(group).every(({ family }) => family === 'IPv4'));
  const cells = [{ cell: { ...CELL, ...group }, evidence: FLYING }];
  const page = pageOf(matrixOf('abc', [{ group, versions: {}, virtualMs: 1, cells }]));
  t.regex(page, /^\| \| vsftpd, public 1:1 NAT \|$/m);
  t.regex(page, /\| EPSV, IPv4, TLS by AUTH, PROT P \(21\) \| idle not run, in flight survives \|/);
  t.regex(page, /\| EPSV, IPv6, plain \| – \|/);
});

test('a transfer in flight survives: same connections, bytes on both sides of the power cut, whole', t => {
  t.deepEqual(outcomeOf(CELL, FLYING), { kind: 'survives' });
});

const IDLE: Cell = { ...CELL, state: 'idle' };
const WAITED: Evidence = {
  ...FLYING,
  bytesBeforeCut: 0,
  bytesAtTakeover: 0,
  connections: [
    connection(40_000, 21, 100, 31_000),
    connection(40_001, 12_000, 200, 210),
    connection(40_002, 13_000, 30_000, 30_900),
  ],
};

test('an idle session survives: the same control connection, and a file after the takeover', t => {
  t.deepEqual(outcomeOf(IDLE, WAITED), { kind: 'survives' });
});

const LOST: readonly (readonly [string, Cell, Evidence, Partial<Evidence>, RegExp])[] = [
  ['a file that is not whole', CELL, FLYING, { whole: false }, /not whole/],
  ['a client that complains', CELL, FLYING, { error: 'curl ended with 56' }, /ended with 56/],
  ['a last file without a handshake', CELL, FLYING, shaken(false, true), /2 TLS handshakes on 3/],
  ['no byte before the cut', CELL, FLYING, { bytesBeforeCut: 0 }, /no bytes before/],
  ['no byte after the takeover', CELL, FLYING, { bytesAtTakeover: 4_000_000 }, /no bytes after/],
  [
    'REST',
    CELL,
    FLYING,
    commands('AUTH TLS', 'USER anonymous', 'PROT P', 'EPSV', 'RETR whoami', 'EPSV', 'REST 5', 'RETR big'),
    /REST/,
  ],
  [
    'a data connection that is younger than the cut',
    CELL,
    FLYING,
    { connections: WAITED.connections },
    /younger than the power cut/,
  ],
  [
    'a third data connection',
    CELL,
    FLYING,
    { connections: [...FLYING.connections, connection(40_003, 13_001, 6_000, 7_000)] },
    /3 data connections/,
  ],
  ['an idle session that transferred before', IDLE, WAITED, { connections: FLYING.connections }, /nothing after/],
];
for (const [what, cell, good, change, reason] of LOST)
  test(`lost: ${what}`, t => {
    const outcome = outcomeOf(cell, { ...good, ...change });
    t.is(outcome.kind, 'lost');
    t.regex(outcome.kind === 'lost' ? outcome.reasons.join() : '', reason);
  });

const control = FLYING.connections[0];
const FAILS: readonly (readonly [string, Cell, Partial<Evidence>, RegExp])[] = [
  ['nothing passed', CELL, { whoami: '', error: 'refused' }, /refused/],
  ['another command', CELL, commands('AUTH TLS', 'USER a', 'PROT P', 'EPSV', 'PASV', 'RETR big'), /sent EPSV, PASV/],
  ['no AUTH', CELL, commands('USER a', 'PROT P', 'EPSV', 'RETR big'), /no AUTH TLS/],
  ['data in the clear', CELL, commands('AUTH TLS', 'USER a', 'EPSV', 'RETR big'), /no PROT P/],
  ['TLS given up', CELL, commands('AUTH TLS', 'USER a', 'PROT P', 'PROT C', 'EPSV'), /gave TLS up/],
  ['plain that is not', { ...CELL, security: 'plain' }, {}, /spoke of TLS/],
  ['a second login', CELL, commands('AUTH TLS', 'USER a', 'USER a', 'PROT P', 'EPSV'), /logged in 2 times/],
  [
    'a second control connection',
    CELL,
    { connections: [...FLYING.connections, { ...(control as NonNullable<typeof control>), openedAt: 150 }] },
    /2 control connections/,
  ],
  [
    'data outside the passive range',
    CELL,
    { connections: [...FLYING.connections.slice(0, 2), connection(40_002, 9_999, 300, 15_900)] },
    /neither control nor data/,
  ],
  ['the wrong control port', { ...CELL, security: 'implicit' }, {}, /0 control connections/],
  ['data without a handshake', CELL, shaken(false), /1 TLS handshakes before/],
  ['plain with a handshake', { ...CELL, security: 'plain' }, shaken(false), /1 TLS handshakes/],
  [
    'a session that was not resumed',
    { ...CELL, demandsReuse: true },
    shaken(false, true, false),
    /1 data connections resumed no TLS session/,
  ],
];
for (const [what, cell, change, reason] of FAILS)
  test(`fails: ${what}`, t => {
    const outcome = outcomeOf(cell, { ...FLYING, ...change });
    t.is(outcome.kind, 'fails');
    t.regex(outcome.kind === 'fails' ? outcome.reasons.join() : '', reason);
  });

test('active data come from the port of their control port', t => {
  const active: Cell = { ...CELL, verb: 'EPRT', security: 'implicit' };
  const data = (port: number, openedAt: number, finishedAt: number) => ({
    ...connection(0, 0, openedAt, finishedAt),
    from: { address: VIP, port },
    to: { address: FROM, port: 41_000 + openedAt },
  });
  const evidence = (port: number): Evidence => ({
    ...FLYING,
    ...commands('USER a', 'PROT P', 'EPRT |1|192.0.2.51|1|', 'RETR whoami', 'EPRT |1|192.0.2.51|2|', 'RETR big'),
    connections: [connection(40_000, 990, 100, 16_000), data(port, 200, 210), data(port, 300, 15_900)],
  });
  t.is(outcomeOf(active, evidence(989)).kind, 'survives');
  t.is(outcomeOf(active, evidence(20)).kind, 'fails');
});

test('a limit of a client is only one as long as it fails there', t => {
  const cell: Cell = { ...CELL, client: 'lftp', verb: 'EPRT' };
  t.is(outcomeOf(cell, FLYING).kind, 'limit');
  const able: Cell = { ...CELL, server: 'pure-ftpd', security: 'implicit' };
  const evidence: Evidence = {
    ...FLYING,
    ...commands('USER a', 'PROT P', 'EPSV', 'RETR whoami', 'EPSV', 'RETR big'),
    connections: [connection(40_000, 990, 100, 16_000), ...FLYING.connections.slice(1)],
  };
  t.is(outcomeOf(able, evidence).kind, 'fails');
});

test('connections are read from a capture; a SYN that is sent again is the same one', t => {
  const capture = `1795900379.816343 IP 192.0.2.51.33400 > 192.0.2.100.21: Flags [S], seq 1, win 64240, length 0
1795900379.816400 IP 192.0.2.100.21 > 192.0.2.51.33400: Flags [S.], seq 9, ack 2, win 65160, length 0
1795900379.820796 IP 192.0.2.100.20 > 192.0.2.51.59925: Flags [S], seq 7, win 64240, length 0
1795900380.820796 IP 192.0.2.100.20 > 192.0.2.51.59925: Flags [S], seq 7, win 64240, length 0
1795900381.000000 IP 192.0.2.51.59925 > 192.0.2.100.20: Flags [F.], seq 1, ack 8, win 502, length 0
1795900382.000000 IP6 2001:db8:1::99.43523 > 2001:db8:1::100.990: Flags [S], seq 428564417, win 0, length 0
1795900383.000000 IP6 2001:db8:1::100.990 > 2001:db8:1::99.43523: Flags [R], seq 428564417, win 0, length 0
`;
  const found = connectionsOf(capture);
  t.deepEqual(
    found.map(({ from, to, finishedAt, reset }) => [from.port, to.port, finishedAt, reset]),
    [
      [33_400, 21, null, false],
      [20, 59_925, 1_795_900_381_000, false],
      [43_523, 990, null, true],
    ],
  );
  t.is(found[2]?.to.address, '2001:db8:1::100');
});

test('commands and handshakes are read from the log of each server, passwords not', t => {
  const vsftpd = `Sat Nov 28 21:12:59 2026 [pid 814] FTP command: Client "192.0.2.51", "AUTH SSL"
Sat Nov 28 21:12:59 2026 [pid 814] DEBUG: Client "192.0.2.51", "SSL version: TLSv1.3, SSL cipher: TLS_AES_256_GCM_SHA384, not reused, no cert"
Sat Nov 28 21:12:59 2026 [pid 814] DEBUG: Client "192.0.2.51", "SSL version: TLSv1.3, SSL cipher: TLS_AES_256_GCM_SHA384, reused, no cert"
Sat Nov 28 21:12:59 2026 [pid 850] [ftp] FTP command: Client "::ffff:192.0.2.51", "RETR big"
`;
  const dialogue = dialoguesOf('vsftpd', vsftpd).get('192.0.2.51');
  t.deepEqual(dialogue?.commands, ['AUTH SSL', 'RETR big']);
  t.deepEqual(
    dialogue?.handshakes?.map(({ resumed }) => resumed),
    [false, true],
  );
  const proftpd = 'command 2001:db8:1::99 "PASS (hidden)"\ncommand 2001:db8:1::99 "EPRT |2|2001:db8:1::99|5|"\n';
  t.deepEqual(dialoguesOf('proftpd', proftpd).get('2001:db8:1::99'), {
    commands: ['PASS', 'EPRT |2|2001:db8:1::99|5|'],
  });
  const pure = `<95>Nov 28 21:19:56 pure-ftpd: (?@192.0.2.51) [DEBUG] Command [auth] [TLS]
<95>Nov 28 21:19:56 pure-ftpd: (ftp@192.0.2.51) [DEBUG] Command [epsv] []
`;
  t.deepEqual(dialoguesOf('pure-ftpd', pure).get('192.0.2.51'), { commands: ['AUTH TLS', 'EPSV'] });
});

test('no client is allowed another way, a second try or plain FTP', t => {
  const place: ClientPlace = { from: FROM, vip: VIP, certificate: '/c.pem', whoami: '/w', home: '/h' };
  const curl = commandLineOf({ ...CELL, verb: 'PASV' }, place).args;
  for (const option of ['--disable-epsv', '--ssl-reqd', '--no-ftp-skip-pasv-ip', 'ftp://192.0.2.100:21/big'])
    t.true(curl.includes(option), option);
  t.false(curl.some(option => /retry|continue|^-C|insecure|^-k$/.test(option)));
  t.true(commandLineOf({ ...CELL, security: 'implicit' }, place).args.includes('ftps://192.0.2.100:990/big'));
  const lftp = commandLineOf({ ...IDLE, client: 'lftp' }, place);
  for (const setting of ['ftp:ssl-force yes', 'ftp:ssl-protect-data yes', 'net:max-retries 1', 'ssl:ca-file /c.pem'])
    t.true(lftp.first?.includes(`set ${setting}`), setting);
  t.false(lftp.first?.includes('cat small'));
  t.true(commandLineOf({ ...IDLE, client: 'ftplib' }, place).args.includes('--wait'));
});

test('of a group that ran at two commits the later one counts', t => {
  const record = (group: Group, virtualMs: number) => ({ group, versions: {}, virtualMs, cells: [] });
  const other = { ...GROUP, announce: true };
  const found = latestOf([record(GROUP, 1), record(other, 2), record(GROUP, 3)]);
  t.deepEqual(
    found.map(({ virtualMs }) => virtualMs),
    [3, 2],
  );
});

test('the matrix holds what ran, names what did not, and is complete only when all ran well', t => {
  const record = { group: GROUP, versions: { kernel: '6.1', curl: '8' }, virtualMs: 1, cells: [] };
  const cells = [
    { cell: CELL, evidence: FLYING },
    { cell: IDLE, evidence: { ...WAITED, whole: false } },
  ];
  const matrix = matrixOf('abc', [{ ...record, cells }]);
  t.is(matrix.cells.length, 2);
  t.is(matrix.wrong.length, 1);
  t.false(isComplete(matrix));
  const page = pageOf(matrix);
  t.regex(page, /\| EPSV, IPv4, TLS by AUTH, PROT P \(21\) \| idle works, is lost \[1\], in flight survives \|/);
  t.regex(page, /\| PASV, IPv4, plain \| not run \|/);
  t.regex(page, /^1\. the file is not whole/m);
  t.regex(page, /commit abc: kernel 6\.1/);
  t.regex(page, /- nat-lftp-vsftpd: not run/);
  t.regex(page, /- DR: not run/);
  t.notRegex(page, /- dr-/);
  const all = allGroups();
  t.true(
    isComplete(
      matrixOf(
        'abc',
        all.map(group => ({ ...record, group })),
      ),
    ),
  );
  t.false(
    isComplete(
      matrixOf(
        'abc',
        all.map(group => ({ ...record, group, error: 'hung' })),
      ),
    ),
  );
});
