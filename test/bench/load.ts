// Many services into an empty kernel and one change among them, by Tandem's director and by keepalived, by turns; run inside the lab by
// scripts/bench scale --load: `load.js [--services N] [--rounds N]`. The rounds, one JSON object, go to LAB_RUN/results.json. Io.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { parseConfig } from '../../src/config/document.ts';
import { DIRECTOR_CONTROL_SOCKET } from '../../src/feed/files.ts';
import { firewallOf, ruleset } from '../../src/firewall/ruleset.ts';
import { killAllIn, processesIn, run, runIn, startIn } from '../lab/pair/netns.ts';
import { askStatusSocket } from '../lab/pair/status-socket.ts';
import { resultsDirectory } from '../lab/scenarios/scenario.ts';
import {
  keepalivedLoadConfig,
  type Listed,
  type LoadRound,
  listedIn,
  loadTable,
  type Took,
  ticksOf,
} from './load-plan.ts';
import { type Size, servicesOf, tandemConfig } from './scale-plan.ts';

const [ROUTER, OTHERS] = ['load-router', 'load-others'];
const DIR = '/run/load';
const CLI = path.join(process.env.LAB_ROOT ?? process.cwd(), 'dist', 'program', 'tandem.js');
/** The kernel's USER_HZ. */
const MS_PER_TICK = 10;
/** Reading the whole list costs the one processor something: both managers the same. */
const LOOK_MS = 50;
const LONGEST_MS = 240_000;
const AUDITS = 3;
const NEW_WEIGHT = 3;
/** Every address of the servers, by a greeting at their control ports. */
const GREETERS = `for (const port of process.argv.slice(1))
  require('node:net').createServer(socket => socket.on('error', () => 0).end('220 here\\r\\n')).listen({ port: Number(port), host: '0.0.0.0', backlog: 4096 });`;

const { values } = parseArgs({
  options: { services: { type: 'string', default: '200' }, rounds: { type: 'string', default: '5' } },
});
const size: Size = { services: Number(values.services), servers: 10 };
const startedAt = performance.now();
const say = (text: string): void => {
  process.stderr.write(`[${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s] ${text}\n`);
};

/** A router without any rules, and behind one leg all servers. */
async function build(): Promise<void> {
  const lines = (...commands: readonly string[]) => ({ input: `${commands.join('\n')}\n` });
  const all = servicesOf(size);
  const nets = new Set(all.flatMap(({ servers }) => servers.map(address => address.replace(/\.\d+$/, '.0/24'))));
  await run('ip', ['-batch', '-'], lines(`netns add ${ROUTER}`, `netns add ${OTHERS}`));
  const legs = ['c0', 's0'].map(name => `link add ${name} type veth peer name ${name} netns ${OTHERS}`);
  const up = ['lo', 'c0', 's0'].map(name => `link set ${name} up`);
  const own = ['address add 192.0.2.2/24 dev c0', 'address add 198.18.0.2/16 dev s0'];
  await runIn(ROUTER, 'ip', ['-batch', '-'], lines(...legs, ...up, ...own));
  const theirs = [...nets].map(net => `route add local ${net} dev lo`);
  await runIn(OTHERS, 'ip', ['-batch', '-'], lines(...up, 'address add 198.18.0.9/16 dev s0', ...theirs));
  const ports = [...new Set(all.map(({ controlPort }) => String(controlPort)))];
  startIn(OTHERS, 'node', ['-e', GREETERS, ...ports], { stdio: ['ignore', 'inherit', 'inherit'] });
}

async function destroy(): Promise<void> {
  for (const name of [ROUTER, OTHERS]) {
    await killAllIn(name);
    await run('ip', ['netns', 'delete', name]).catch(() => undefined);
  }
}

async function cpuMs(): Promise<number> {
  const stats = (await processesIn(ROUTER)).map(pid => readFile(`/proc/${pid}/stat`, 'latin1').catch(() => ''));
  return (await Promise.all(stats)).reduce((sum, stat) => sum + (stat ? ticksOf(stat) : 0), 0) * MS_PER_TICK;
}

/** A clock that begins now, in time and in the processor time of all in the router. */
async function watch(): Promise<() => Promise<Took>> {
  const [cpu, at] = [await cpuMs(), performance.now()];
  return async () => {
    const ms = performance.now() - at;
    return { ms, cpuMs: (await cpuMs()) - cpu };
  };
}

async function until<T>(what: string, child: ChildProcess, look: () => Promise<T | undefined | false>): Promise<T> {
  const giveUp = performance.now() + LONGEST_MS;
  while (performance.now() < giveUp) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the manager ended before: ${what}`);
    const found = await look();
    if (found) return found;
    await sleep(LOOK_MS);
  }
  throw new Error(`not in ${LONGEST_MS / 1000} s: ${what}`);
}

const listed = async (child: ChildProcess): Promise<Listed> =>
  listedIn(await readFile(`/proc/${child.pid}/net/ip_vs`, 'latin1').catch(() => ''));

const untilServers = (child: ChildProcess): Promise<true> =>
  until('all servers in IPVS', child, async () => {
    const { services, servers } = await listed(child);
    return services === size.services && servers === size.services * size.servers;
  });

const untilChanged = (child: ChildProcess): Promise<true> =>
  until('the new weight', child, async () => (await listed(child)).weight === NEW_WEIGHT);

function start(name: string, file: string, args: readonly string[]): { child: ChildProcess; log: string } {
  const logs = path.join(resultsDirectory(), 'load');
  mkdirSync(logs, { recursive: true });
  const log = path.join(logs, `${name}.log`);
  const to = openSync(log, 'w');
  const child = spawn('nsenter', [`--net=/run/netns/${ROUTER}`, '--', file, ...args], { stdio: ['ignore', to, to] });
  closeSync(to);
  return { child, log };
}

async function tandemRound(round: number): Promise<LoadRound['tandem']> {
  const [config, key, runDir] = [path.join(DIR, 'tandem.yaml'), path.join(DIR, 'key'), path.join(DIR, 'run')];
  await writeFile(key, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  await writeFile(config, tandemConfig(size, key));
  const args = [
    'director',
    '--config',
    config,
    '--node',
    'r1',
    '--run-dir',
    runDir,
    '--state-dir',
    path.join(DIR, 'state'),
  ];
  const took = await watch();
  const { child, log } = start(`tandem-${round}`, 'node', [CLI, ...args]);
  const has = async () => (await readFile(log, 'utf8')).includes('DIRECTOR_STARTED');
  await until('the config is read', child, has);
  const started = await took();
  await untilServers(child);
  const servers = await took();
  await until('the rules are in', child, async () =>
    (await runIn(ROUTER, 'nft', ['list', 'tables'])).stdout.includes('inet tandem\n'),
  );
  const rules = await took();
  await until('every server has its weight', child, async () => (await listed(child)).weighty === 10 * size.services);
  const weights = await took();
  const audit = await auditRound(path.join(runDir, DIRECTOR_CONTROL_SOCKET));
  await writeFile(config, tandemConfig(size, key, NEW_WEIGHT));
  const changing = await watch();
  child.kill('SIGHUP');
  await untilChanged(child);
  return { started, servers, rules, weights, change: await changing(), audit };
}

/** The mean of a few, after one that settles what is left. */
async function auditRound(socket: string): Promise<Took> {
  await askStatusSocket(socket, 'POST', '/audit', LONGEST_MS);
  const took = await watch();
  for (let n = 0; n < AUDITS; n += 1) await askStatusSocket(socket, 'POST', '/audit', LONGEST_MS);
  const { ms, cpuMs } = await took();
  return { ms: ms / AUDITS, cpuMs: cpuMs / AUDITS };
}

async function keepalivedRound(round: number, rules: string): Promise<LoadRound['keepalived']> {
  const config = path.join(DIR, 'keepalived.conf');
  await writeFile(config, keepalivedLoadConfig(size));
  const nft = await nftRound(rules);
  const took = await watch();
  // --check: no VRRP. Its real servers have no checks and are in with their weights at once.
  const pids = ['-p', path.join(DIR, 'keepalived.pid'), '-c', path.join(DIR, 'checkers.pid')];
  const words = ['--check', '--dont-fork', '--log-console', '--no-syslog', '-f', config, ...pids];
  const { child } = start(`keepalived-${round}`, 'keepalived', words);
  await untilServers(child);
  const servers = await took();
  // As long as Tandem has before its change.
  await sleep(2_000);
  await writeFile(config, keepalivedLoadConfig(size, NEW_WEIGHT));
  const changing = await watch();
  child.kill('SIGHUP');
  await untilChanged(child);
  return { nft, servers, change: await changing() };
}

/** Its processor time is that of this process's ended children. */
async function nftRound(rules: string): Promise<Took> {
  const ended = async () => ticksOf(await readFile('/proc/self/stat', 'latin1')) * MS_PER_TICK - own();
  const own = () => (process.cpuUsage().user + process.cpuUsage().system) / 1000;
  const [cpu, at] = [await ended(), performance.now()];
  await runIn(ROUTER, 'nft', ['-f', '-'], { input: rules, timeoutMs: LONGEST_MS });
  const ms = performance.now() - at;
  return { ms, cpuMs: (await ended()) - cpu };
}

async function inFresh<T>(measure: () => Promise<T>): Promise<T> {
  await destroy();
  await rm(DIR, { recursive: true, force: true });
  for (const place of ['run', 'state']) await mkdir(path.join(DIR, place), { recursive: true });
  await build();
  await sleep(1_000);
  try {
    return await measure();
  } finally {
    await destroy();
  }
}

const parsed = parseConfig(tandemConfig(size, '/nowhere'));
if (!parsed.ok) throw new Error(`the config is wrong: ${JSON.stringify(parsed.mistakes).slice(0, 500)}`);
const rules = ruleset(firewallOf(parsed.config, 'r1', { adopting: false }));
const rounds: LoadRound[] = [];
for (let round = 1; round <= Number(values.rounds); round += 1) {
  const measured: Partial<{ -readonly [Tool in keyof LoadRound]: LoadRound[Tool] }> = {};
  // Every other round the other way about.
  for (const tool of round % 2 ? (['tandem', 'keepalived'] as const) : (['keepalived', 'tandem'] as const)) {
    if (tool === 'tandem') measured.tandem = await inFresh(() => tandemRound(round));
    else measured.keepalived = await inFresh(() => keepalivedRound(round, rules));
    say(`round ${round}: ${tool} ${JSON.stringify(measured[tool])}`);
  }
  rounds.push(measured as LoadRound);
  await writeFile(path.join(resultsDirectory(), 'results.json'), `${JSON.stringify({ size, rounds })}\n`);
}
process.stdout.write(`${loadTable(size, rounds)}\n`);
