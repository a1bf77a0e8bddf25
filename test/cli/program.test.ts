// The compiled `tandem` as a user runs it: what it prints and how it ends, against sockets that behave in every way they may.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { ControlReply, Snapshot } from '../../src/feed/message.ts';
import { asAnotherUser, theirs } from '../another-user.ts';
import { sampleReport, sampleSnapshot, sampleSync } from './samples.ts';

const PROGRAM = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Programs run at a time: the tests of a file start all at once, and would starve each other. */
const RUNNING_MAX = 2;
let running = 0;
const waiting: (() => void)[] = [];

async function tandem(args: readonly string[], options: Options = {}): Promise<Ended> {
  if (running >= RUNNING_MAX) {
    const { promise, resolve } = withResolvers<void>();
    waiting.push(() => resolve());
    await promise;
  }
  running++;
  try {
    return await run(args, options);
  } finally {
    running--;
    waiting.shift()?.();
  }
}

interface Options {
  readonly anotherUser?: boolean;
  readonly env?: NodeJS.ProcessEnv;
}

function run(args: readonly string[], { anotherUser, env }: Options): Promise<Ended> {
  const { promise, resolve } = withResolvers<Ended>();
  const command = anotherUser
    ? asAnotherUser([theirs('dist/src/cli/main.js'), ...args])
    : { file: process.execPath, args: [PROGRAM, ...args] };
  const limits = { timeout: 30_000, env: { ...process.env, ...env } };
  execFile(command.file, command.args, limits, (error, out, err) => {
    resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, out, err });
  });
  return promise;
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>(settle => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** A fresh directory that goes away with the test. */
function place(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-cli-'));
  chmodSync(directory, 0o755);
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function listening(t: ExecutionContext, server: Server, path: string): Promise<void> {
  server.listen(path);
  await once(server, 'listening');
  t.teardown(() => server.close());
}

/** pulse's feed: every client gets the snapshots given, and all that are sent later. */
async function fakeFeed(
  t: ExecutionContext,
  runDir: string,
  first: readonly Snapshot[],
): Promise<(now: Snapshot) => void> {
  const clients = new Set<Socket>();
  const line = (now: Snapshot) => `${JSON.stringify(now)}\n`;
  const server = createServer(client => {
    clients.add(client);
    client.on('error', () => clients.delete(client)).write(first.map(line).join(''));
  });
  await listening(t, server, join(runDir, 'pulse.sock'));
  t.teardown(() => {
    for (const client of clients) client.destroy();
  });
  return now => {
    for (const client of clients) client.write(line(now));
  };
}

/** pulse's control socket: answers every command with `reply`; returns the commands it got. */
async function fakeControl(
  t: ExecutionContext,
  runDir: string,
  reply: ControlReply,
  then?: () => void,
): Promise<unknown[]> {
  const got: unknown[] = [];
  const server = createServer(client => {
    client
      .on('error', () => undefined)
      .on('data', data => {
        got.push(JSON.parse(String(data)));
        client.end(`${JSON.stringify(reply)}\n`);
        then?.();
      });
  });
  await listening(t, server, join(runDir, 'pulse-control.sock'));
  return got;
}

async function fakeHttp(t: ExecutionContext, path: string, answers: Readonly<Record<string, unknown>>): Promise<void> {
  const server = createHttpServer((request, response) => {
    const answer = answers[request.url ?? ''];
    response.statusCode = answer === undefined ? 404 : 200;
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer ?? { error: 'no such page' }));
  });
  await listening(t, server, path);
}

/** A socket file that nobody listens on any more. */
async function deadSocket(path: string): Promise<void> {
  const script = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  await once(spawn(process.execPath, ['-e', script, path]), 'exit');
}

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
    const where = args[0] === 'why' ? ['--run-dir', runDir, '--state-dir', runDir] : ['--run-dir', runDir];
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
  await fakeFeed(t, runDir, [{ ...sampleSnapshot(), node: 7 } as unknown as Snapshot]);
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
    /standby -> claiming .*\n .*silent for 312 ms/,
  );
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

test('hold and release tell pulse, and print what it says', async t => {
  const runDir = place(t);
  const got = await fakeControl(t, runDir, { ok: true, code: 'ok', message: 'on hold' });
  const hold = await tandem(['hold', '--for', '30m', '--run-dir', runDir]);
  t.deepEqual([hold.code, hold.out], [0, 'on hold\n']);
  t.is((await tandem(['hold', '--run-dir', runDir])).code, 0);
  t.is((await tandem(['release', '--run-dir', runDir])).code, 0);
  t.deepEqual(got, [{ command: 'hold', forMs: 1_800_000 }, { command: 'hold' }, { command: 'release' }]);
});

test('a command that pulse refuses ends with 1', async t => {
  const runDir = place(t);
  await fakeFeed(t, runDir, [sampleSnapshot()]);
  await fakeControl(t, runDir, { ok: false, code: 'refused', message: 'no fit peer to hand over to' });
  const hold = await tandem(['hold', '--run-dir', runDir]);
  t.deepEqual([hold.code, hold.err], [1, 'tandem: pulse refused: no fit peer to hand over to\n']);
  const handover = await tandem(['handover', '--run-dir', runDir]);
  t.deepEqual([handover.code, handover.err], [1, 'tandem: pulse on router-a refused: no fit peer to hand over to\n']);
});

test('handover waits for the outcome and names the new owner', async t => {
  const runDir = place(t);
  const send = await fakeFeed(t, runDir, [sampleSnapshot()]);
  const peer = sampleSnapshot().peer;
  await fakeControl(t, runDir, { ok: true, code: 'ok', message: 'offered' }, () => {
    send(sampleSnapshot({ role: 'handing-over' }));
    send(sampleSnapshot({ role: 'standby', peer: peer && { ...peer, role: 'active', epoch: '13.2' } }));
  });
  const { code, out, err } = await tandem(['handover', '--run-dir', runDir]);
  t.is(code, 0);
  t.regex(out, /^router-b is active \(epoch 13\.2\), \d\.\d\d s after the command\n$/);
  t.regex(err, /^offered\n\d\.\d\d s: router-a is handing-over, router-b is standby\n/);
});

test('a handover that the peer did not take ends with 1 and the reason', async t => {
  const runDir = place(t);
  const send = await fakeFeed(t, runDir, [sampleSnapshot()]);
  await fakeControl(t, runDir, { ok: true, code: 'ok', message: 'offered' }, () => {
    send(sampleSnapshot({ role: 'handing-over' }));
    send(sampleSnapshot({ epoch: '14.1', reason: 'router-b did not take the offer' }));
  });
  const { code, err } = await tandem(['handover', '--run-dir', runDir]);
  t.is(code, 1);
  t.regex(err, /tandem: the handover did not happen: router-b did not take the offer; see: tandem why\n$/);
});

const coldPeer = () => {
  const { peer } = sampleSnapshot();
  return sampleSnapshot({ peer: peer && { ...peer, warm: false } });
};

test('handover waits for a cold peer, shows the progress of its resync, and asks pulse once it is warm', async t => {
  const runDir = place(t);
  const send = await fakeFeed(t, runDir, [coldPeer()]);
  const resync = { startedAt: '', endedAt: null, entries: 200, sent: 90, verifiedBy: null, repaired: 0 };
  const report = { ...sampleReport(), sync: sampleSync({ phase: 'resync', resync }) };
  await fakeHttp(t, join(runDir, 'status.sock'), { '/status': report });
  const got = await fakeControl(t, runDir, { ok: false, code: 'refused', message: 'enough for this test' });
  const warm = setInterval(() => send(sampleSnapshot()), 300);
  const { code, err } = await tandem(['handover', '--run-dir', runDir, '--wait', '25']);
  clearInterval(warm);
  t.is(code, 1);
  t.is(
    err,
    'router-b is cold; waiting up to 25 s for it to become warm\nrouter-b is cold, resync 45 %\nrouter-b is warm\n' +
      'tandem: pulse on router-a refused: enough for this test\n',
  );
  t.deepEqual(got, [{ command: 'handover', cold: false }]);
});

test('handover to a peer that stays cold ends with the refusal of pulse; --cold asks at once and says so', async t => {
  const runDir = place(t);
  await fakeFeed(t, runDir, [coldPeer()]);
  const got = await fakeControl(t, runDir, { ok: false, code: 'refused', message: "the peer's tables are cold" });
  const waited = await tandem(['handover', '--run-dir', runDir, '--wait', '0.5']);
  t.is(waited.code, 1);
  t.regex(waited.err, /waiting up to 0\.5 s.*\ntandem: pulse on router-a refused: the peer's tables are cold\n$/);
  for (const args of [['--cold'], ['--wait', '0']]) {
    t.notRegex((await tandem(['handover', '--run-dir', runDir, ...args])).err, /waiting/);
  }
  t.deepEqual(got, [
    { command: 'handover', cold: false },
    { command: 'handover', cold: true },
    { command: 'handover', cold: false },
  ]);
});

test('a handover without an outcome is given up after ten seconds', async t => {
  const runDir = place(t);
  await fakeFeed(t, runDir, [sampleSnapshot()]);
  await fakeControl(t, runDir, { ok: true, code: 'ok', message: 'offered' });
  const { code, err } = await tandem(['handover', '--run-dir', runDir]);
  t.is(code, 1);
  t.regex(err, /tandem: no handover within 10 s; see: tandem status, tandem why\n$/);
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
