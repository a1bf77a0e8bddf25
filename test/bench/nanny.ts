// How many real servers one director checks in time: the real process on one processor, servers that answer on another, pulse
// beside them. `scripts/bench nanny` runs it. Io. Lateness is what the servers see, so nothing in the director is changed for it.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { askStatusSocket } from '../lab/pair/status-socket.ts';
import { makeCertificate } from '../nanny/certificates.ts';
import { directorConfig, eventsOf } from '../netns/io/plane.ts';
import { buildRouters, CLI, follow, type PulseProcess, type Routers } from '../netns/io/routers.ts';
import {
  benchConfig,
  type FleetReport,
  gapsOf,
  INTERVAL_MS,
  LATE_P99_MS_MAX,
  latenessOf,
  nextToTry,
  type Options,
  parseOptions,
  type Searched,
  type Tls,
} from './nanny-plan.ts';
import { type Heartbeats, type Measured, tableOf } from './nanny-table.ts';

const FLEET = fileURLToPath(new URL('./io/ftp-fleet.js', import.meta.url));
const VIPD = fileURLToPath(new URL('../../vipd', import.meta.url));
const DIRECTOR_CPU = 0;
const FLEET_CPU = 1;
/** As if nothing else ran beside them, but not before pulse: in a session of their own (sched(7), autogroup). */
const FAVOURED = ['setsid', 'sh', '-c', 'echo -20 > /proc/self/autogroup; exec nice -n -20 "$@"', 'sh'];
/** Until the first checks of all servers are over and each has its verdict. */
const WARM_UP_MS = 120_000;
/** Clock ticks of /proc/PID/stat in a second (USER_HZ). */
const TICKS = 100;

const say = (text: string): boolean => process.stderr.write(`bench nanny: ${text}\n`);

interface Fleet {
  readonly child: ChildProcess;
  /** Ends it. */
  report(): Promise<FleetReport>;
}

function on(cpu: number, { alone }: Options): string[] {
  return [...(alone ? FAVOURED : []), 'taskset', '-c', `${cpu % cpus().length}`];
}

/** The command, started in the router's namespace. */
function start({ topology }: Routers, command: readonly string[], stdin: 'pipe' | 'ignore'): ChildProcess {
  const [program = '', ...args] = command;
  return topology.start('r1', program, args, { stdio: [stdin, 'pipe', 'pipe'] });
}

async function startFleet(routers: Routers, options: Options, tls: Tls): Promise<Fleet> {
  const pair = makeCertificate(routers.directory, 'fleet', ['DNS:ftp.example'], 30);
  const files = tls === 'none' ? [] : [pair.keyFile, pair.certFile];
  const child = start(routers, [...on(FLEET_CPU, options), process.execPath, FLEET, ...files], 'pipe');
  child.stderr?.pipe(process.stderr);
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const closed = once(child, 'close');
  await routers.until('the servers listen', 10_000, () => text.startsWith('ready\n'));
  return {
    child,
    report: async () => {
      child.stdin?.end();
      await closed;
      return JSON.parse(text.slice('ready\n'.length)) as FleetReport;
    },
  };
}

function startDirector(routers: Routers, options: Options, servers: number, tls: Tls): PulseProcess {
  const { directory } = routers;
  const files = { key: join(directory, 'pair.key'), password: join(directory, 'check.password') };
  writeFileSync(files.password, 'secret\n', { mode: 0o600 });
  const config = directorConfig(routers, 'r1');
  writeFileSync(config, benchConfig(servers, files, { tls, sync: existsSync('/proc/net/ip_vs') }));
  const [runDir, stateDir] = [join(directory, 'r1', 'run'), join(directory, 'r1', 'state')];
  for (const path of [runDir, stateDir]) mkdirSync(path, { recursive: true });
  const where = ['--config', config, '--node', 'r1', '--run-dir', runDir, '--state-dir', stateDir];
  const profile = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`];
  const command = [...on(DIRECTOR_CPU, options), process.execPath, ...profile, CLI, 'director', ...where];
  return follow(start(routers, command, 'ignore'));
}

/** Processor time of a process and of the children that it has waited for, in ms. */
function spentMs(pid: number): { own: number; children: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ').map(Number) ?? [];
  const [own, children] = [(fields[11] ?? 0) + (fields[12] ?? 0), (fields[13] ?? 0) + (fields[14] ?? 0)];
  return { own: (own * 1_000) / TICKS, children: (children * 1_000) / TICKS };
}

/** VmRSS and VmHWM in MiB. */
function memory(pid: number): { rss: number; most: number } {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name: string) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(text)?.[1] ?? 0) / 1_024);
  return { rss: of('VmRSS'), most: of('VmHWM') };
}

function sockets(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).filter(fd => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:');
    } catch {
      return false;
    }
  }).length;
}

/** The owner's heartbeats as the standby's link sees them, and what both pulses say of themselves. */
async function heartbeats(routers: Routers, during: () => Promise<void>): Promise<Heartbeats> {
  const both = () => Promise.all([routers.snapshot('r1'), routers.snapshot('r2')]);
  const before = await both();
  const capture = ['-i', 'x0', '-tt', '-n', '-l', '--immediate-mode', 'udp and src host 203.0.113.1'];
  const sniffer = routers.topology.start('r2', 'chrt', ['--rr', '60', 'tcpdump', ...capture], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let text = '';
  sniffer.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await during();
  const closed = once(sniffer, 'close');
  sniffer.kill('SIGTERM');
  await closed;
  const after = await both();
  const lateLoops = after.map((one, n) => (one?.counters.lateLoops ?? 0) - (before[n]?.counters.lateLoops ?? 0));
  const isCalm = after[0]?.role === 'active' && after[1]?.role === 'standby';
  const times = text.split('\n').flatMap(line => (line === '' ? [] : [Number(line.split(' ')[0]) * 1_000]));
  return { ...gapsOf(times), lateLoops: lateLoops.reduce((sum, one) => sum + one, 0), isCalm };
}

interface StatusServers {
  readonly services: readonly { readonly servers: readonly { readonly state: string }[] }[];
}

async function upOf(routers: Routers): Promise<number> {
  const socket = join(routers.directory, 'r1', 'run', 'status.sock');
  const status = (await askStatusSocket(socket, 'GET', '/status').catch(() => ({ services: [] }))) as StatusServers;
  return status.services.flatMap(({ servers }) => servers).filter(({ state }) => state === 'up').length;
}

async function measure(routers: Routers, options: Options, servers: number, tls: Tls): Promise<Measured> {
  say(`${servers} servers, TLS ${tls}: first checks`);
  const fleet = await startFleet(routers, options, tls);
  const director = startDirector(routers, options, servers, tls);
  const pid = director.child.pid ?? 0;
  const began = performance.now();
  let up = 0;
  while (performance.now() - began < WARM_UP_MS && up < servers) {
    if (director.child.exitCode !== null) throw new Error(`the director ended: ${JSON.stringify(director.log.at(-1))}`);
    await sleep(500);
    up = await upOf(routers);
  }
  const allUpMs = up < servers ? undefined : performance.now() - began;
  // Those that came up last are at their ordinary pace after one more round.
  await sleep(2 * INTERVAL_MS);
  say(`${up} up after ${Math.round(performance.now() - began)} ms; measuring for ${options.seconds} s`);
  let socketsMost = 0;
  let [from, to] = [0, 0];
  let spent = { own: 0, children: 0 };
  const pulse = await heartbeats(routers, async () => {
    const before = spentMs(pid);
    // The servers tell the wall time, too.
    from = performance.timeOrigin + performance.now();
    for (let second = 0; second < options.seconds; second += 1) {
      await sleep(1_000);
      socketsMost = Math.max(socketsMost, sockets(pid));
    }
    to = performance.timeOrigin + performance.now();
    const after = spentMs(pid);
    spent = { own: after.own - before.own, children: after.children - before.children };
  });
  const mib = memory(pid);
  const late = eventsOf(director, 'CHECKS_LATE').length;
  const gone = once(director.child, 'exit');
  director.child.kill('SIGTERM');
  await gone;
  const report = await fleet.report();
  const lateness = latenessOf(report, servers, from, to);
  const cpu = { own: spent.own / (to - from), children: spent.children / (to - from) };
  const load = loadavg()[0] ?? 0;
  const { complete, broken } = report;
  return { servers, tls, up, allUpMs, lateness, cpu, mib, socketsMost, pulse, complete, broken, late, load };
}

const isInTime = ({ lateness, up, servers }: Measured): boolean =>
  up === servers && lateness.p99 <= LATE_P99_MS_MAX && lateness.unseen === 0;

/** From what was measured with all servers up or down to the most that are in time. */
async function search(routers: Routers, options: Options, first: Measured): Promise<Measured[]> {
  const tried: Measured[] = [];
  let known: Searched = isInTime(first) ? { good: first.servers, bad: undefined } : { good: 0, bad: first.servers };
  for (let next = nextToTry(known); next !== undefined; next = nextToTry(known)) {
    const one = await measure(routers, { ...options, seconds: Math.min(options.seconds, 20) }, next, first.tls);
    tried.push(one);
    known = isInTime(one) ? { ...known, good: next } : { ...known, bad: next };
  }
  return tried;
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  const routers = await buildRouters({ prefix: `bn${process.pid}-`, vipd: VIPD, scheduling: ['chrt', '--rr', '50'] });
  const stop = (): void => {
    say('interrupted; removing the namespaces');
    void routers.destroy().finally(() => process.exit(130));
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  const measured: Measured[] = [];
  try {
    await routers.topology.exec('r1', 'ip', ['route', 'add', 'local', '198.18.0.0/16', 'dev', 'lo']);
    for (const router of ['r1', 'r2'] as const) routers.start(router);
    await routers.settle('r1');
    const idle = await heartbeats(routers, () => sleep(Math.min(options.seconds, 20) * 1_000));
    say(`pulse alone: ${JSON.stringify(idle)}`);
    for (const tls of options.tls) {
      const first = await measure(routers, options, options.servers, tls);
      measured.push(first);
      if (options.search) measured.push(...(await search(routers, options, first)));
    }
    process.stdout.write(`${tableOf(measured, idle)}\n`);
    if (options.json !== undefined)
      writeFileSync(options.json, `${JSON.stringify({ options, pulseAlone: idle, measured }, null, 2)}\n`);
  } finally {
    await routers.destroy();
  }
}

await main().catch((error: Error) => {
  say(error.message);
  process.exitCode = 1;
});
