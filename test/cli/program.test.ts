// The compiled `tandem` as a user runs it: what it prints and how it ends, against sockets that behave in every way they may.
// Orders to pulse and the director: program-orders.test.ts.
import { execFile, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Snapshot } from '../../src/feed/message.ts';
import { type StatusSource, startStatusServer } from '../../src/status/io/server.ts';
import type { SessionEntry, SessionFilter, SessionHead } from '../../src/status/sessions.ts';
import type { Address } from '../../src/units/address.ts';
import { keptLog, testSource } from '../status/fixture.ts';
import { deadSocket, fakeControl, fakeFeed, fakeHttp, listening, PROGRAM, place, tandem } from './program-rig.ts';
import { sampleReport, sampleSnapshot } from './samples.ts';

test('check accepts the example, also through the link that an installation makes', async t => {
  const directory = place(t);
  const link = join(directory, 'tandem');
  symlinkSync(PROGRAM, link);
  const direct = await tandem(['check', 'conf/tandem.yaml']);
  t.is(direct.code, 0);
  t.regex(direct.out, /^conf\/tandem\.yaml: ok, router-a and router-b, 1 service, 0 warnings, digest [0-9a-f]{16}\n$/);
  t.is(direct.err, '');
  const linked = await new Promise<number>(resolve => {
    execFile(process.execPath, [link, 'check', 'conf/tandem.yaml'], error => resolve(error === null ? 0 : 1));
  });
  t.is(linked, 0);
});

test('check prints every mistake as file:line:column and ends with 1', async t => {
  const file = join(place(t), 'bad.yaml');
  writeFileSync(file, 'pair: P\nrouters: { a: {}, b: {} }\nlans: {}\nheartbeat: { links: [x], intervall: 5 }\n');
  const { code, out } = await tandem(['check', file]);
  t.is(code, 1);
  t.deepEqual(out.trimEnd().split('\n'), [
    `${file}:1:7: error: "P" is not allowed for "pair"; write lower-case letters, digits and dashes, at most 31 characters`,
    `${file}:4:21: warning: only one heartbeat link: when it breaks, the routers cannot tell a dead peer from a cut cable; name a second LAN`,
    `${file}:4:22: error: there is no LAN "x"; write none, or add it`,
    `${file}:4:26: error: unknown key "intervall"; did you mean "interval"?`,
    `${file}: 3 errors, 1 warning`,
  ]);
});

test('check --json gives the same to programs', async t => {
  const file = join(place(t), 'bad.yaml');
  writeFileSync(file, 'pair: P\n');
  const bad = await tandem(['check', file, '--json']);
  const report = JSON.parse(bad.out);
  t.is(bad.code, 1);
  t.like(report, { ok: false, file, digest: null, errors: 4, warnings: 0 });
  t.deepEqual(Object.keys(report.mistakes[0]), ['severity', 'line', 'column', 'path', 'problem', 'remedy']);
  const good = await tandem(['check', 'conf/tandem.yaml', '--json']);
  t.is(good.code, 0);
  t.like(JSON.parse(good.out), { ok: true, errors: 0, mistakes: [] });
});

test('check of a file you may not read ends with 3, of a missing one with 1', async t => {
  const file = join(place(t), 'secret.yaml');
  copyFileSync('conf/tandem.yaml', file);
  chmodSync(file, 0o600);
  const denied = await tandem(['check', file], { anotherUser: true });
  t.is(denied.code, 3);
  t.regex(denied.out, /permission denied.*run as root/);
  t.is((await tandem(['check', `${file}.not`])).code, 1);
});

test('server-config prints for the example what a real server must have, also as JSON', async t => {
  const asked = ['server-config', 'ftp', '--for', 'proftpd', '--server', 'ftp1', '--config', 'conf/tandem.yaml'];
  t.deepEqual(await tandem(asked), {
    code: 0,
    err: '',
    out: `# /etc/proftpd/conf.d/tandem.conf: instead of lines of the same names in proftpd.conf.
Port 21
PassivePorts 10000 20000
MasqueradeAddress 192.0.2.100
RootRevoke off

# Commands: the default route goes to the pair, until the next boot.
ip route replace default via 198.51.100.1

# /etc/systemd/network/INTERFACE.network.d/tandem.conf: the same for good. INTERFACE.network is the file of the interface on LAN "servers"; no other may name a gateway. That of the other family is a further line Gateway=.
[Network]
Gateway=198.51.100.1
`,
  });
  const { service, server, sections } = JSON.parse((await tandem([...asked, '--json'])).out);
  t.deepEqual([service, server, sections.length], ['ftp', 'ftp1', 3]);
  t.deepEqual(Object.keys(sections[1]), ['kind', 'file', 'about', 'lines']);
  t.like(sections[1], { kind: 'commands', file: null, lines: ['ip route replace default via 198.51.100.1'] });
});

test('server-config prints nothing but the reason when it has no whole answer', async t => {
  const config = ['--config', 'conf/tandem.yaml'];
  const refused = async (code: number, err: RegExp, ...args: string[]) => {
    const ended = await tandem(['server-config', ...args]);
    t.is(ended.code, code, args.join(' '));
    t.is(ended.out, '');
    t.regex(ended.err, err);
  };
  await refused(
    1,
    /^conf\/tandem\.yaml: there is no service "web"; the config has: ftp\n$/,
    'web',
    '--for',
    'vsftpd',
    ...config,
  );
  await refused(
    1,
    /no real server "x"; the config has: ftp1, ftp2, ftp3\n$/,
    'ftp',
    '--for',
    'vsftpd',
    '--server',
    'x',
    ...config,
  );
  await refused(2, /Allowed choices are vsftpd, proftpd, pure-ftpd/, 'ftp', '--for', 'wu-ftpd', ...config);
  await refused(1, /services\.ftp is FTP; add --for vsftpd or --for proftpd or --for pure-ftpd\n$/, 'ftp', ...config);
  const file = join(place(t), 'bad.yaml');
  await refused(1, /bad\.yaml:1:1: error: .*\n$/, 'ftp', '--for', 'vsftpd', '--config', file);
  writeFileSync(file, 'pair: P\n');
  await refused(1, /bad\.yaml:1:7: error: "P" is not allowed/, 'ftp', '--for', 'vsftpd', '--config', file);
});

test('keygen writes a key once, and again only by force', async t => {
  const file = join(place(t), 'pair.key');
  const made = await tandem(['keygen', file]);
  t.is(made.code, 0);
  t.is(made.out, `wrote ${file} (mode 0600); copy it to the other router: scp -p ${file} OTHER:${file}\n`);
  const again = await tandem(['keygen', file]);
  t.is(again.code, 1);
  t.regex(again.err, /it exists, .*add --force/);
  t.is((await tandem(['keygen', '--force', file])).code, 0);
  t.is((await tandem(['keygen', join(file, 'below')])).code, 3);
});

for (const args of [
  [],
  ['frobnicate'],
  ['status', '--jsn'],
  ['hold', '--for', 'ever'],
  ['why', '-n', '0'],
  ['handover', '--wait', 'long'],
  ['check', 'a', 'b'],
]) {
  test(`"tandem ${args.join(' ')}" is a usage error`, async t => {
    const { code, out, err } = await tandem(args);
    t.is(code, 2);
    t.is(out, '');
    t.regex(err, /Usage: tandem|--help/);
  });
}

test('help and version are no errors', async t => {
  const help = await tandem(['--help']);
  t.is(help.code, 0);
  for (const name of [
    'pulse',
    'director',
    'check',
    'keygen',
    'server-config',
    'status',
    'handover',
    'hold',
    'release',
    'why',
    'plan',
    'sync',
  ]) {
    t.regex(help.out, new RegExp(`^  ${name} `, 'm'));
  }
  t.regex((await tandem(['--version'])).out, /^\d+\.\d+\.\d+\n$/);
  t.is((await tandem(['status', '--help'])).code, 0);
});

test('without daemons every command ends with 3 and says what to start', async t => {
  const runDir = place(t);
  const pulseMissing = `tandem: pulse does not run here: ${runDir}/pulse.sock does not exist; run: systemctl start tandem-pulse\n`;
  const told = async (args: string[]) => {
    const where =
      args[0] === 'why' || args[0] === 'history' ? ['--run-dir', runDir, '--state-dir', runDir] : ['--run-dir', runDir];
    const { code, err, out } = await tandem([...args, ...where]);
    t.is(code, 3, args.join(' '));
    t.is(out, '');
    return err;
  };
  t.is(
    await told(['status']),
    `tandem: director does not run here: ${runDir}/status.sock does not exist; run: systemctl start tandem-director\n${pulseMissing}`,
  );
  t.is(await told(['why']), pulseMissing);
  t.is(await told(['history']), pulseMissing);
  t.is(await told(['handover']), pulseMissing);
  t.regex(await told(['hold']), /pulse-control\.sock does not exist; run: systemctl start tandem-pulse/);
  t.regex(await told(['release']), /pulse-control\.sock does not exist/);
  t.regex(await told(['sync']), /director does not run here: .*status\.sock does not exist/);
  t.regex(await told(['plan']), /director-control\.sock does not exist; run: systemctl start tandem-director/);
});

test('a socket that a dead daemon left behind is told from one that never was', async t => {
  const runDir = place(t);
  await deadSocket(join(runDir, 'pulse.sock'));
  const { code, err } = await tandem(['why', '--run-dir', runDir, '--state-dir', runDir]);
  t.is(code, 3);
  t.regex(err, /pulse has gone and left .*pulse\.sock behind; run: systemctl restart tandem-pulse/);
});

test('a user who may not use a socket is told which group helps, or that only root may', async t => {
  const runDir = place(t);
  await fakeFeed(t, runDir, [sampleSnapshot()]);
  await fakeControl(t, runDir, { ok: true, code: 'ok', message: 'held' });
  for (const name of ['pulse.sock', 'pulse-control.sock']) chmodSync(join(runDir, name), 0o600);
  const why = await tandem(['why', '--run-dir', runDir, '--state-dir', runDir], { anotherUser: true });
  t.is(why.code, 3);
  t.is(why.err, `tandem: you may not use ${runDir}/pulse.sock; run as root, or join the group tandem\n`);
  const hold = await tandem(['hold', '--run-dir', runDir], { anotherUser: true });
  t.is(hold.code, 3);
  t.is(hold.err, `tandem: you may not use ${runDir}/pulse-control.sock; run as root\n`);
});

test('status shows the report of the director, or gives it as JSON', async t => {
  const runDir = place(t);
  await fakeHttp(t, join(runDir, 'status.sock'), { '/status': sampleReport() });
  const shown = await tandem(['status', '--run-dir', runDir], { env: { FORCE_COLOR: '1' } });
  t.is(shown.code, 4);
  t.regex(shown.out, /^DEGRADED {2}pair ftp-pair[\s\S]*router-a \(here\) +ACTIVE[\s\S]*ftp2 .* DOWN/);
  t.false(shown.out.includes('\u001b'), 'no colours into a pipe');
  const json = await tandem(['status', '--json', '--run-dir', runDir]);
  t.deepEqual(JSON.parse(json.out), sampleReport());
});

for (const [health, code] of [
  ['ok', 0],
  ['degraded', 4],
  ['failed', 5],
] as const) {
  test(`status of a router whose health is ${health} ends with ${code}`, async t => {
    const runDir = place(t);
    const report = {
      ...sampleReport(),
      health,
      problems: [],
      notices: ['it waits for: systemctl restart tandem-pulse'],
    };
    await fakeHttp(t, join(runDir, 'status.sock'), { '/status': report });
    const shown = await tandem(['status', '--run-dir', runDir]);
    t.is(shown.code, code);
    t.regex(shown.out, /WAITING\n {2}it waits for: systemctl restart tandem-pulse/);
    t.is((await tandem(['status', '--json', '--run-dir', runDir])).code, code);
  });
}

test('status falls back to pulse, says so, and ends with 3', async t => {
  const runDir = place(t);
  await fakeFeed(t, runDir, [sampleSnapshot()]);
  const shown = await tandem(['status', '--run-dir', runDir]);
  t.is(shown.code, 3);
  t.regex(shown.out, /^PARTIAL[\s\S]*! director does not run here: .*systemctl start tandem-director\n\nROUTERS/);
  const json = await tandem(['status', '--json', '--run-dir', runDir]);
  t.like(JSON.parse(json.out), { schema: 'tandem-status-partial/1', health: 'degraded', pulse: { role: 'active' } });
});

test('an answer that makes no sense ends with 3 and is not printed', async t => {
  const runDir = place(t);
  await fakeHttp(t, join(runDir, 'director-control.sock'), { '/plan': '<html>' });
  const plan = await tandem(['plan', '--run-dir', runDir]);
  t.is(plan.code, 3);
  t.regex(plan.err, /director does not answer properly on .*look at: journalctl -u tandem-director/);
  // A pulse of this very version is taken at its word.
  await fakeFeed(t, runDir, [{ ...sampleSnapshot(), program: '0.3.9', node: 7 } as unknown as Snapshot]);
  const why = await tandem(['why', '--run-dir', runDir, '--state-dir', runDir]);
  t.is(why.code, 3);
  t.regex(why.err, /not the answer this version knows, at "node"/);
});

test('a daemon that sends a line without end, or nothing, is given up on', async t => {
  const runDir = place(t);
  const flood = createServer(client => {
    client.on('error', () => undefined).write('x'.repeat(200_000));
  });
  await listening(t, flood, join(runDir, 'pulse.sock'));
  const why = await tandem(['why', '--run-dir', runDir, '--state-dir', runDir]);
  t.is(why.code, 3);
  t.regex(why.err, /a line is longer than 65536 bytes/);
  const silent = createServer(client => client.on('error', () => undefined));
  await listening(t, silent, join(runDir, 'director-control.sock'));
  const plan = await tandem(['plan', '--run-dir', runDir]);
  t.is(plan.code, 3);
  t.regex(plan.err, /director does not answer on .*director-control\.sock/);
});

test('status --watch draws again every second until Ctrl-C', async t => {
  const runDir = place(t);
  await fakeHttp(t, join(runDir, 'status.sock'), { '/status': sampleReport() });
  const child = spawn(process.execPath, [PROGRAM, 'status', '--watch', '--json', '--run-dir', runDir]);
  let out = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    out += String(chunk);
    if (out.split('\n').length > 2) child.kill('SIGINT');
  }
  const pictures = out.trimEnd().split('\n');
  t.true(pictures.length >= 2);
  t.deepEqual(JSON.parse(pictures[1] ?? ''), sampleReport());
});

test('sync shows all of the sync, or gives it as JSON', async t => {
  const runDir = place(t);
  await fakeHttp(t, join(runDir, 'status.sock'), { '/status': sampleReport() });
  const shown = await tandem(['sync', '--run-dir', runDir]);
  t.is(shown.code, 0);
  t.regex(shown.out, /^WARM {2}router-a owns the VIPs; streaming to router-b over client\n/);
  const json = await tandem(['sync', '--json', '--run-dir', runDir]);
  t.is(json.code, 0);
  const { generatedAt, pair, sync, kernel } = sampleReport();
  const peer = { node: 'router-b', warm: true };
  t.deepEqual(JSON.parse(json.out), {
    ...{ schema: 'tandem-sync/1', generatedAt, pair, node: 'router-a', peer, sync, kernelFound: kernel.found },
  });
});

test('why gives the last decisions, as many as asked for', async t => {
  const runDir = place(t);
  await fakeFeed(t, runDir, [sampleSnapshot()]);
  const last = await tandem(['why', '-n', '1', '--json', '--run-dir', runDir]);
  t.is(last.code, 0);
  t.deepEqual(JSON.parse(last.out), sampleSnapshot().decisions.slice(-1));
  t.regex(
    (await tandem(['why', '--run-dir', runDir, '--state-dir', runDir])).out,
    /standby -> claiming -> active.*\n .*silent for 312 ms/,
  );
  const verbose = await tandem(['why', '--verbose', '--run-dir', runDir, '--state-dir', runDir]);
  t.regex(verbose.out, /standby -> claiming .*\n .*silent for 312 ms.*\n .*silentMs 312, links up 2/);
});

test('why tells what pulse wrote down when pulse itself is gone', async t => {
  const [runDir, stateDir] = [place(t), place(t)];
  const { decisions } = sampleSnapshot();
  writeFileSync(join(stateDir, 'pulse.json'), JSON.stringify({ version: 1, ceiling: 64, decisions }));
  const why = await tandem(['why', '--json', '--run-dir', runDir, '--state-dir', stateDir]);
  t.is(why.code, 0);
  t.deepEqual(JSON.parse(why.out), decisions);
  t.regex(why.err, /pulse does not run here: .*\nthese decisions are from .*pulse\.json\n$/);
});

test('history lists the changes that the director wrote down, and those that only pulse knows yet', async t => {
  const [runDir, stateDir] = [place(t), place(t)];
  const { decisions, node } = sampleSnapshot();
  const old = (at: string, from: string, to: string, reason: string) => ({
    ...{ node, at, from, to, epoch: '11.2', reason },
    evidence: { peerServingMsAgo: 300 },
  });
  const written = [
    old('2026-11-01T10:00:00.000Z', 'standby', 'claiming', 'silence: no heartbeat and no answer'),
    old('2026-11-01T10:00:00.020Z', 'claiming', 'active', 'silence: no heartbeat and no answer'),
    old('2026-11-02T10:00:00.000Z', 'active', 'standby', 'the peer serves under a higher epoch'),
    { node, ...decisions[0] },
  ];
  writeFileSync(join(stateDir, 'history.1.jsonl'), `${JSON.stringify(written[0])}\n`);
  writeFileSync(
    join(stateDir, 'history.jsonl'),
    `${written
      .slice(1)
      .map(line => JSON.stringify(line))
      .join('\n')}\n{"at":`,
  );
  await fakeFeed(t, runDir, [sampleSnapshot()]);
  const where = ['--run-dir', runDir, '--state-dir', stateDir];
  const all = await tandem(['history', ...where]);
  t.is(all.code, 0, all.err);
  const lines = all.out.trimEnd().split('\n');
  t.is(lines.length, 4, all.out);
  t.regex(lines[1] ?? '', /^ {2}2026-11-01T10:00:00Z {2}router-a {2}standby -> active +at most 320ms +silence: no/);
  t.regex(lines[2] ?? '', /active -> standby +- +the peer serves under a higher epoch$/);
  t.regex(lines[3] ?? '', /2026-11-22T16:20:00Z {2}router-a {2}standby -> active/);
  const json = await tandem(['history', '--json', '--since', '2026-11-02', '--last', '1', ...where]);
  t.like(JSON.parse(json.out), [{ at: '2026-11-22T16:20:00.000Z', node, from: 'standby', to: 'active' }]);
  t.is((await tandem(['history', '--since', '1h', ...where])).out, 'no role change in this time\n');
  const wrong = await tandem(['history', '--since', 'soon', ...where]);
  t.is(wrong.code, 2);
  t.regex(wrong.err, /--since soon is no time: write 2026-/);
});

test('plan shows what the director would change', async t => {
  const runDir = place(t);
  const changes = [{ target: 'nft', change: 'add table inet tandem', disruptive: false }];
  const problems = [
    'one',
    { code: 'ftp-helper', about: '', text: 'ip_vs_ftp is loaded; rmmod ip_vs_ftp', blocking: true },
  ];
  await fakeHttp(t, join(runDir, 'director-control.sock'), { '/plan': { changes, problems } });
  const plan = await tandem(['plan', '--run-dir', runDir]);
  t.is(plan.code, 0);
  t.regex(plan.out, /! ip_vs_ftp is loaded; rmmod ip_vs_ftp\n\nCHANGES\n {2}nft: add table inet tandem\n$/);
});

test('plan that the director cannot make ends with 1 and the reason', async t => {
  const runDir = place(t);
  const server = createHttpServer((_, response) => {
    response.statusCode = 500;
    response.end(JSON.stringify({ error: 'this kernel has no IPVS: modprobe ip_vs' }));
  });
  await listening(t, server, join(runDir, 'director-control.sock'));
  const plan = await tandem(['plan', '--run-dir', runDir]);
  t.deepEqual([plan.code, plan.err], [1, 'tandem: the daemon answers: this kernel has no IPVS: modprobe ip_vs\n']);
});

test('pulse without its key ends as with a bad config, so that its unit does not try it again and again', async t => {
  const directory = place(t);
  const file = join(directory, 'tandem.yaml');
  const config = readFileSync('conf/tandem.yaml', 'utf8');
  writeFileSync(file, config.replace(/^heartbeat:\n/m, `heartbeat:\n  key_file: ${directory}/none.key\n`));
  const args = ['pulse', '--config', file, '--node', 'router-a', '--run-dir', directory, '--state-dir', directory];
  const { code, err } = await tandem(args);
  t.is(code, 78, err);
  t.regex(err, /none\.key/);
});

for (const daemon of ['pulse', 'director']) {
  test(`${daemon} tells every mistake of its config before it ends`, async t => {
    const directory = place(t);
    const file = join(directory, 'bad.yaml');
    writeFileSync(file, 'pair: P\n');
    const { code, err } = await tandem([daemon, '--config', file, '--run-dir', directory, '--state-dir', directory]);
    t.is(code, 78);
    t.regex(
      err,
      /bad\.yaml:1:7: error: "P" is not allowed.*\n[\s\S]*mend it, and try it with: tandem check .*bad\.yaml\n$/,
    );
  });

  test(`${daemon} on a host that is no router of the config says how to name it`, async t => {
    const directory = place(t);
    const args = [daemon, '--config', 'conf/tandem.yaml', '--run-dir', directory, '--state-dir', directory];
    const { code, err } = await tandem([...args, '--node', 'router-c']);
    t.is(code, 1);
    t.regex(err, /"router-c" is not a router of conf\/tandem\.yaml \(router-a, router-b\); use --node/);
  });
}

/** A director that has `table`: the real status server. */
async function directorWith(t: ExecutionContext, runDir: string, table: StatusSource['sessions']): Promise<void> {
  const source = { ...testSource(), sessions: table };
  const server = await startStatusServer({ socketPath: join(runDir, 'status.sock'), source, log: keptLog() });
  t.teardown(() => server.close());
}

const SESSION_HEAD: SessionHead = {
  ...{ type: 'head', schema: 'tandem-session-lines/1', generatedAt: '2026-11-22T12:00:00.000Z', pair: 'p' },
  ...{ node: 'r2', peer: 'r1', role: 'standby', from: 'synced', whole: true },
};
const CONTROL: SessionEntry = {
  ...{ type: 'entry', what: 'control', service: 'ftp', vip: '192.0.2.100', client: '203.0.113.7', clientPort: 40_001 },
  ...{ port: 21, server: 'ftp1', serverAddress: '198.51.100.11', tls: 'not-by-port', state: 'ESTABLISHED', ageS: 61 },
};

test('sessions shows who is connected, hands its filters to the director, and gives programs JSON', async t => {
  const runDir = place(t);
  const asked: SessionFilter[] = [];
  async function* slices() {
    yield [CONTROL];
  }
  await directorWith(t, runDir, filter => {
    asked.push(filter);
    return { head: SESSION_HEAD, slices: slices() };
  });
  const shown = await tandem(['sessions', '--run-dir', runDir, '--server', 'ftp1', '--client', '203.0.113.7']);
  t.is(shown.code, 0);
  t.regex(shown.out, /^r2 \(standby\): what is synced from the other router\n/);
  t.regex(
    shown.out,
    /control +203\.0\.113\.7:40001 +→ +192\.0\.2\.100:21 +ftp +ftp1 198\.51\.100\.11 +ESTABLISHED +1m 1s ago/,
  );
  t.regex(shown.out, /\n1 client, 1 control connection, 0 data connections\n$/);
  const json = await tandem(['sessions', '--run-dir', runDir, '--service', 'ftp', '--json']);
  t.is(json.code, 0);
  t.like(JSON.parse(json.out), { schema: 'tandem-sessions/1', from: 'synced', summary: { clients: 1, control: 1 } });
  t.deepEqual(asked, [{ client: '203.0.113.7' as Address, server: 'ftp1' }, { service: 'ftp' }]);
});

test('sessions ends with 1 when that was not all, or a name is wrong; 2 for a wrong address; 3 without a director', async t => {
  const runDir = place(t);
  async function* broken(): AsyncGenerator<SessionEntry[]> {
    yield [CONTROL];
    throw new Error('conntrack cannot be run');
  }
  const service = 'there is no service "x" in the config; it has: ftp';
  await directorWith(t, runDir, filter => (filter.service ? service : { head: SESSION_HEAD, slices: broken() }));
  const cut = await tandem(['sessions', '--run-dir', runDir]);
  t.is(cut.code, 1);
  t.regex(cut.out, /\n! this is not all: conntrack cannot be run\n/);
  t.regex(cut.out, /203\.0\.113\.7:40001/);
  const wrong = await tandem(['sessions', '--run-dir', runDir, '--service', 'x']);
  t.deepEqual(wrong, { code: 1, out: '', err: `tandem: the daemon answers: ${service}\n` });
  const address = await tandem(['sessions', '--run-dir', runDir, '--client', '1.2.3']);
  t.is(address.code, 2);
  t.regex(address.err, /--client "1\.2\.3" is no address; write an IPv4 or IPv6 address/);
  const gone = await tandem(['sessions', '--run-dir', place(t)]);
  t.is(gone.code, 3);
  t.regex(gone.err, /director does not run here/);
});

test('every command has a help with an example of itself', async t => {
  const { out } = await tandem(['--help']);
  const commands = [...out.slice(out.indexOf('Commands:')).matchAll(/^ {2}([a-z][a-z-]+) /gm)].map(
    ([, name]) => name ?? '',
  );
  t.true(commands.includes('status') && commands.includes('pulse'), out);
  for (const name of commands.filter(one => one !== 'help')) {
    const help = await tandem([name, '--help']);
    t.is(help.code, 0, help.err);
    t.regex(help.out, new RegExp(`^ *Example: [^]*\\btandem ${name}\\b`, 'm'), help.out);
  }
});
