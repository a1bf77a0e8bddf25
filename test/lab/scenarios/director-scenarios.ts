// The director against a real IPVS kernel, alone (no pulse: the VIP is added by hand): it applies, adopts, repairs, drains, leaves
// others alone, and its data plane carries transfers of every mode. Io.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TransferMode } from '../ftp/ftp-client.ts';
import { askStatusSocket } from '../pair/status-socket.ts';
import { CLIENT_ADDRESSES, GATEWAY, SERVER_ADDRESSES, VIP } from '../pair/topology.ts';
import type { Lab, Scenario } from './scenario.ts';

const FOREIGN = '-A -t 192.0.2.50:80 -s rr\n-a -t 192.0.2.50:80 -r 198.51.100.99:8080 -m -w 1\n';
/** Addresses that no client had before, so that no persistence template is there. */
export const NEW_CLIENTS = [21, 22, 23, 24, 25, 26].map(last => `192.0.2.${last}`);
const SERVERS = Object.entries(SERVER_ADDRESSES);

/** `check`: its times. */
export function configText(
  servers: readonly (readonly [string, string])[],
  keyFile: string,
  check = 'interval: 2s, timeout: 20s, stage_timeout: 10s, fetch: whoami',
): string {
  return `pair: lab
routers: { r1: { priority: 110 }, r2: {} }
lans:
  client: { interface: c0, addresses: { r1: 192.0.2.2/24, r2: 192.0.2.3/24 }, vips: [${VIP}] }
  servers: { interface: s0, addresses: { r1: 198.51.100.2/24, r2: 198.51.100.3/24 }, gateways: [${GATEWAY}] }
  cross: { interface: x0, addresses: { r1: 203.0.113.1/24, r2: 203.0.113.2/24 } }
heartbeat: { links: [client, servers, cross], key_file: ${keyFile} }
ipvs: { audit: "0 0 0 1 1 *" }
services:
  ftp:
    vip: ${VIP}
    servers_lan: servers
    mark: 21
    scheduler: rr
    check: { ${check}, rise: 1, fall: 3 }
    servers: { ${servers.map(([name, address]) => `${name}: { address: ${address} }`).join(', ')} }
`;
}

/** A director on r1; its audits come only when asked for, so that what a test sees is what it asked for. */
export interface DirectorRig {
  readonly process: ChildProcess;
  readonly ask: (socket: 'status' | 'director-control', method: string, target: string) => Promise<unknown>;
  /** Lines of the log so far, parsed. */
  readonly events: () => Promise<readonly { readonly code: string; readonly [field: string]: unknown }[]>;
  readonly stop: (signal: NodeJS.Signals) => Promise<void>;
}

export async function startDirector(lab: Lab, name: string): Promise<DirectorRig> {
  const { topology, dir, results } = lab;
  const logFile = path.join(results, `${name}.log`);
  const runDir = path.join(dir, 'run');
  const main = path.resolve('dist/program/tandem.js');
  const config = path.join(dir, 'tandem.yaml');
  const where = ['--config', config, '--node', 'r1', '--run-dir', runDir, '--state-dir', path.join(dir, 'state')];
  const child = topology.start('r1', process.execPath, ['--enable-source-maps', main, 'director', ...where], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  writeFileSync(logFile, '');
  const log = createWriteStream(logFile, { flags: 'a' });
  child.stdout?.pipe(log, { end: false });
  child.stderr?.pipe(log, { end: false });
  const ended = once(child, 'exit');
  return {
    process: child,
    ask: (socket, method, target) => askStatusSocket(path.join(runDir, `${socket}.sock`), method, target),
    events: async () => parseLog(await readFile(logFile, 'utf8')),
    stop: async signal => {
      child.kill(signal);
      await Promise.race([
        ended,
        sleep(20_000, undefined, { ref: false }).then(() => assert.fail(`no end on ${signal}`)),
      ]);
    },
  };
}

function parseLog(text: string): { code: string }[] {
  return text.split('\n').flatMap(line => {
    try {
      return [JSON.parse(line) as { code: string }];
    } catch {
      return [];
    }
  });
}

export async function until(what: string, condition: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (performance.now() < end) {
    if (await condition()) return;
    await sleep(250);
  }
  assert.fail(`not within ${timeoutMs / 1000} s: ${what}`);
}

/** A real server as the kernel lists it: no command is needed to look at it again and again. */
interface Listed {
  readonly address: string;
  readonly weight: number;
  readonly active: number;
}

/** The real servers of the mark service, from /proc/net/ip_vs of the director's namespace (net/netfilter/ipvs/ip_vs_ctl.c). */
async function listedServers({ process: { pid } }: DirectorRig): Promise<Listed[]> {
  const text = await readFile(`/proc/${pid}/net/ip_vs`, 'utf8');
  const ofMark = text.split(/^(?=\S)/m).find(block => block.startsWith('FWM  00000015')) ?? '';
  return [...ofMark.matchAll(/^ {2}-> ([0-9A-F]{8}):[0-9A-F]{4} +\S+ +(\d+) +(\d+)/gm)].map(
    ([, hex = '', weight, active]) => ({
      address: [0, 2, 4, 6].map(at => Number.parseInt(hex.slice(at, at + 2), 16)).join('.'),
      weight: Number(weight),
      active: Number(active),
    }),
  );
}

export async function ipvsadm(lab: Lab, args: readonly string[], input?: string): Promise<string> {
  const { stdout } = await lab.topology.exec('r1', 'ipvsadm', args, input === undefined ? {} : { input });
  return stdout;
}

export const keyFileOf = (lab: Lab): string => path.join(lab.dir, 'pair.key');

function writeConfig(lab: Lab, servers: typeof SERVERS): Promise<void> {
  return writeFile(path.join(lab.dir, 'tandem.yaml'), configText(servers, keyFileOf(lab)));
}

export interface Setting {
  readonly rig: DirectorRig;
  readonly ftp: Awaited<ReturnType<Lab['ftpServers']>>;
}

/** FTP servers, a foreign service, a director with all servers up, and VIP and gateway on r1. */
export async function setUp(lab: Lab, sizes: { bigBytes: number; rateBytesPerS: number }): Promise<Setting> {
  await writeFile(keyFileOf(lab), `${'7f'.repeat(32)}\n`, { mode: 0o600 });
  await writeConfig(lab, SERVERS);
  const ftp = await lab.ftpServers(sizes);
  await ipvsadm(lab, ['-R'], FOREIGN);
  const rig = await startDirector(lab, 'director');
  await until('three servers of weight 1', async () => {
    const servers = await listedServers(rig);
    return servers.length === 3 && servers.every(({ weight }) => weight === 1);
  });
  await until('the rules', async () => (await rig.events()).some(event => event.code === 'KERNEL_RULES_IN'));
  const addresses = `address add ${VIP}/32 dev c0\naddress add ${GATEWAY}/24 dev s0\n`;
  await lab.topology.exec('r1', 'ip', ['-batch', '-'], { input: addresses });
  return { rig, ftp };
}

const sorted = (text: string): string[] => text.split('\n').sort();

async function appliesAndCarries(lab: Lab): Promise<void> {
  const { rig, ftp } = await setUp(lab, { bigBytes: 1_000_000, rateBytesPerS: 4_000_000 });
  const status = (await rig.ask('status', 'GET', '/status')) as {
    kernel: { rulesIn: boolean };
    sync: { phase: string };
  };
  lab.record('status', status);
  assert.equal(status.kernel.rulesIn, true);
  // There is no pulse and no peer: nobody to stream to.
  assert.equal(status.sync.phase, 'waiting');
  assert.deepEqual(await rig.ask('director-control', 'GET', '/plan'), {
    changes: [],
    problems: ((await rig.ask('director-control', 'GET', '/plan')) as { problems: string[] }).problems,
    rules: [],
  });
  const timeouts = await ipvsadm(lab, ['-L', '--timeout']);
  assert.match(timeouts, /: 7200 120 /);
  for (const mode of [
    'passive',
    'extended-passive',
    'active',
    'extended-active',
  ] as const satisfies readonly TransferMode[]) {
    const transfers = (['download', 'upload'] as const).map(kind =>
      lab.transfer(ftp, { kind, mode, from: CLIENT_ADDRESSES[0], timeoutMs: 40_000 }),
    );
    for (const { finished } of transfers) {
      const result = await finished;
      assert.equal(result.error, undefined, `${mode} ${result.kind}`);
      assert.ok(result.sha256Ok, `${mode} ${result.kind}: checksum`);
    }
  }
  assert.ok((await ipvsadm(lab, ['-Sn'])).includes(FOREIGN.split('\n')[1] as string));
  const codes = (await rig.events()).map(event => event.code);
  assert.ok(
    codes.includes('KERNEL_RULES_IN') && codes.includes('SYNC_RUNNING') && codes.includes('KERNEL_PROBLEM'),
    `${codes}`,
  );
}

async function repairsAndAdopts(lab: Lab): Promise<void> {
  const { rig } = await setUp(lab, { bigBytes: 100_000, rateBytesPerS: 4_000_000 });
  const before = await ipvsadm(lab, ['-Sn']);
  const audit = () => rig.ask('director-control', 'POST', '/audit');
  await ipvsadm(lab, ['-D', '-f', '21']);
  await audit();
  assert.deepEqual(sorted(await ipvsadm(lab, ['-Sn'])), sorted(before), 'a service deleted by hand');
  await ipvsadm(lab, ['-R'], `-e -f 21 -r ${SERVER_ADDRESSES.fs1}:0 -m -w 9\n-d -f 21 -r ${SERVER_ADDRESSES.fs2}:0\n`);
  await lab.topology.exec('r1', 'nft', ['flush', 'chain', 'inet', 'tandem', 'guard_in']);
  await lab.topology.exec('r1', 'sysctl', ['-qw', 'net.ipv4.vs.sloppy_tcp=0']);
  await ipvsadm(lab, ['--stop-daemon', 'master']);
  await audit();
  assert.deepEqual(sorted(await ipvsadm(lab, ['-Sn'])), sorted(before), 'servers changed by hand');
  const { stdout: table } = await lab.topology.exec('r1', 'nft', ['-s', 'list', 'table', 'inet', 'tandem']);
  assert.match(table, /hook input priority 101[^}]*policy accept;\s+ip daddr/);
  const { stdout: sloppy } = await lab.topology.exec('r1', 'sysctl', ['-n', 'net.ipv4.vs.sloppy_tcp']);
  assert.equal(sloppy.trim(), '1');
  assert.match(await ipvsadm(lab, ['-L', '--daemon']), /^master .*mcast=tandem-sync0,/m);
  const repairs = (await rig.events()).filter(event => event.code === 'DRIFT_REPAIRED');
  lab.record('repairs', repairs);
  assert.ok(repairs.length >= 6, `${repairs.length} repairs`);

  // A crash leaves the kernel alone, and so does the next director: the weights are those of before although no check has
  // passed yet.
  await rig.stop('SIGKILL');
  assert.deepEqual(await ipvsadm(lab, ['-Sn']), await ipvsadm(lab, ['-Sn']));
  const crashed = await ipvsadm(lab, ['-Sn']);
  const next = await startDirector(lab, 'director-2');
  await until('the rules of the second director', async () =>
    (await next.events()).some(event => event.code === 'KERNEL_RULES_IN'),
  );
  assert.equal(await ipvsadm(lab, ['-Sn']), crashed);
  const touched = (await next.events()).filter(event => event.code === 'KERNEL_CHANGED' && event.target === 'ipvs');
  assert.deepEqual(touched, []);
  await next.stop('SIGTERM');
  assert.equal(await ipvsadm(lab, ['-Sn']), crashed, 'SIGTERM');
  assert.match(crashed, /-a -t 192\.0\.2\.50:80 -r 198\.51\.100\.99:8080 -m -w 1/, 'a service of others');
}

/** A client that comes for the first time: which server does it meet? */
async function nameOfServer(lab: Lab, from: string): Promise<string> {
  const args = ['-s', '-m', '40', '--interface', from, `ftp://${VIP}/whoami`];
  return (await lab.topology.exec('client', 'curl', args, { timeoutMs: 45_000 })).stdout.trim();
}

/** A session that fetches a big file and then, over a new data connection, the server's name. */
function startSession(lab: Lab, from: string): { readonly finished: Promise<{ status: number | null; text: string }> } {
  const out = path.join(lab.dir, 'session-big');
  const child = lab.topology.start(
    'client',
    'curl',
    [
      '-s',
      '-S',
      '-m',
      '60',
      '--interface',
      from,
      '--disable-epsv',
      '--no-ftp-skip-pasv-ip',
      '-o',
      out,
      `ftp://${VIP}/big`,
      `ftp://${VIP}/whoami`,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
  return { finished: once(child, 'close').then(([status]) => ({ status: status as number | null, text })) };
}

async function drains(lab: Lab): Promise<void> {
  const { rig, ftp } = await setUp(lab, { bigBytes: 10_000_000, rateBytesPerS: 400_000 });
  await lab.topology.exec('client', 'ip', ['-batch', '-'], {
    input: NEW_CLIENTS.map(address => `address add ${address}/24 dev c0\n`).join(''),
  });
  const session = startSession(lab, CLIENT_ADDRESSES[0]);
  let leaving: string | undefined;
  await until('a data connection beside the control connection', async () => {
    leaving = (await listedServers(rig)).find(({ active }) => active === 2)?.address;
    return leaving !== undefined;
  });
  const name = SERVERS.find(([, address]) => address === leaving)?.[0];
  lab.say(`the session is on ${name}; it leaves the config now`);
  await writeConfig(
    lab,
    SERVERS.filter(([server]) => server !== name),
  );
  lab.record('plan', await rig.ask('director-control', 'GET', '/plan'));
  lab.record('reload', await rig.ask('director-control', 'POST', '/reload'));
  assert.match(
    await ipvsadm(lab, ['-Sn']),
    new RegExp(`-a -f 21 -r ${leaving}:0 -m -w 1`),
    'still there, with its weight',
  );
  // Round robin would give it every third of them. The first may still land there: the kernel sets the overload mark only when it
  // binds a connection.
  const met = await Promise.all(NEW_CLIENTS.map(from => nameOfServer(lab, from)));
  lab.record('newClients', met);
  assert.ok(met.filter(server => server === name).length <= 1, `new clients went to ${met}`);
  lab.record('whileDraining', await ipvsadm(lab, ['-Ln', '--thresholds']));
  const { status, text } = await session.finished;
  assert.equal(status, 0, text);
  assert.equal(text.trim(), name, 'the new data connection of the old session went to the same server');
  const big = await readFile(path.join(lab.dir, 'session-big'));
  assert.ok(big.equals(await readFile(ftp.big.path)), 'the file is whole');
  // IPVS keeps closed connections for tcp_fin_timeout; what has ended is given up at once here.
  await until(
    'the server is gone',
    async () => (await listedServers(rig)).every(one => one.address !== leaving),
    170_000,
  );
  await until('the end of the draining in the log', async () =>
    (await rig.events()).some(event => event.code === 'SERVER_DRAINED'),
  );
  assert.ok((await rig.events()).some(event => event.code === 'SERVER_DRAINING'));
}

export const directorScenarios: readonly Scenario[] = [
  {
    title: 'the director puts everything in beside a service of others, and transfers of every mode pass',
    run: appliesAndCarries,
    timeoutMs: 150_000,
  },
  {
    title: 'the director repairs what is changed by hand and adopts what a killed one left',
    run: repairsAndAdopts,
    timeoutMs: 150_000,
  },
  {
    title: 'a real server that leaves the config drains: its session opens new data connections, then it goes',
    run: drains,
    timeoutMs: 280_000,
  },
];
