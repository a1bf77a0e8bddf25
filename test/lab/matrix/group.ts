// One group of the FTP matrix, run inside the lab: `group.js NAME CURL`. All its cells share a topology,
// a pair and one power cut of the active router; what each leaves is LAB_RUN/results.json. Io.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, open, readFile, stat, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Daemon } from '../../../src/real-server/ftp-daemons.ts';
import { makeCertificate } from '../ftp/certificate.ts';
import { type FtpServers, KINDS, programOf } from '../ftp/ftp-servers.ts';
import { CHECK_BY_TLS, COMMAND_LOG, controlPorts, type ServerTls } from '../ftp/server-tls.ts';
import { rolesNow, type Service, startService } from '../measure/failover.ts';
import { run } from '../pair/netns.ts';
import { addPublicNat, outsideAddress, PUBLIC } from '../pair/outside.ts';
import {
  clientAddress,
  clientAddress6,
  FILE_SERVERS,
  type FileServer,
  type Router,
  VIP,
  VIP6,
  wallNow,
} from '../pair/topology.ts';
import { type Lab, openLab, resultsDirectory } from '../scenarios/scenario.ts';
import {
  allGroups,
  type Cell,
  cellName,
  cellsOf,
  type Family,
  type Forwarding,
  type Group,
  groupName,
} from './cells.ts';
import {
  type ClientEnd,
  type ClientPlace,
  CURL,
  fileOf,
  PYTHON,
  type RunningClient,
  startClient,
  whoamiOf,
} from './clients.ts';
import { connectionsOf, type Dialogue, dialoguesOf } from './evidence.ts';
import type { GroupRecord } from './record.ts';

/** Each transfer lasts sixteen seconds; the cut comes past the kernel's sync latency of up to 2.75 s. */
const BIG_BYTES = 4_000_000;
const RATE_BYTES_PER_S = 250_000;
const CUT_BYTES = 1_250_000;
/** A third of them has each server. */
const CLIENTS = 90;
const CLIENT_MS = 150_000;
/** Before a transfer is over and before an idle curl goes on by itself, the cut must have come. */
const UNDER_WAY_MS = 10_000;
const POLL_MS = 50;
const SYN_FIN_RST = '(tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0) or (ip6 proto 6 and ip6[53] & 7 != 0)';

/** How each server greets. */
const GREETING: Readonly<Record<Daemon, RegExp>> = {
  vsftpd: /vsFTPd/,
  proftpd: /ProFTPD/,
  'pure-ftpd': /Pure-FTPd/,
};

interface Running {
  readonly cell: Cell;
  readonly place: ClientPlace;
  readonly client: RunningClient;
}

function scriptOf(name: string): string {
  return path.join(process.env.LAB_ROOT ?? process.cwd(), 'test/lab/matrix', name);
}

function clientOf({ announce }: Group, family: Family, index: number): string {
  if (announce) return outsideAddress(index);
  return family === 'IPv6' ? clientAddress6(index) : clientAddress(index);
}

/** What clients know the service by. */
function vipOf({ announce }: Group, family: Family): string {
  if (announce) return PUBLIC;
  return family === 'IPv6' ? VIP6 : VIP;
}

/** The client addresses whose persistence template leads to the server, of one family. */
async function addressesOf(lab: Lab, group: Group, family: Family): Promise<string[]> {
  const all = Array.from({ length: CLIENTS }, (_, index) => clientOf(group, family, index));
  const args = [scriptOf('first-lines.py'), vipOf(group, family), '21', ...all];
  const { stdout } = await lab.topology.exec('client', PYTHON, args, { timeoutMs: 120_000 });
  const lines = stdout.split('\n').map(line => line.split(' ', 1).concat(line));
  return lines.flatMap(([from = '', line = '']) => (GREETING[group.server].test(line) ? [from] : []));
}

/** An address of its own for each cell, so that capture and log tell cells apart. */
async function placesFor(lab: Lab, group: Group, tls: ServerTls): Promise<ClientPlace[]> {
  const { server } = group;
  const four = await addressesOf(lab, group, 'IPv4');
  const six = group.announce ? [] : await addressesOf(lab, group, 'IPv6');
  lab.say(`${server} has ${four.length} clients over IPv4, ${six.length} over IPv6`);
  return Promise.all(
    cellsOf(group).map(async cell => {
      const from = (cell.family === 'IPv6' ? six : four).shift();
      if (from === undefined) throw new Error(`too few of ${CLIENTS} addresses of ${cell.family} lead to ${server}`);
      const home = path.join(lab.dir, 'clients', from.replaceAll(':', '-'));
      await mkdir(home, { recursive: true });
      const vip = vipOf(group, cell.family);
      return { from, vip, certificate: tls.certificate, whoami: path.join(home, 'whoami'), home };
    }),
  );
}

/** Starts a program that writes to a file until it is ended; resolves once `isUp`. */
async function startWriter(child: ChildProcess, what: string, isUp: () => Promise<boolean>): Promise<ChildProcess> {
  child.on('error', error => process.stderr.write(`${what} did not start: ${error.message}\n`));
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) throw new Error(`${what} ended with ${child.exitCode}`);
    if (await isUp()) return child;
    await sleep(POLL_MS);
  }
  throw new Error(`${what} is not up after 10 s`);
}

async function startCapture(lab: Lab, where: string, file: string): Promise<ChildProcess> {
  const words = `${file}.words`;
  const [out, errors] = await Promise.all([open(file, 'w'), open(words, 'w')]);
  const args = ['-i', where, '-nn', '-tt', '-l', '-Z', 'root', SYN_FIN_RST];
  const child = lab.topology.start('client', 'tcpdump', args, { stdio: ['ignore', out.fd, errors.fd] });
  await Promise.all([out.close(), errors.close()]);
  return startWriter(child, 'tcpdump', async () => (await readFile(words, 'utf8')).includes('listening on'));
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

/** Until every transfer is in mid-flow and every idle session is logged in, or its client has ended. */
async function untilUnderWay(lab: Lab, running: readonly Running[]): Promise<void> {
  const startedAt = performance.now();
  const missing = async (): Promise<string[]> => {
    const names = await Promise.all(
      running.map(async ({ cell, place, client }) => {
        if (client.ended()) return [];
        const ready = cell.state === 'idle' ? (await whoamiOf(place)) !== '' : client.bytes() >= CUT_BYTES;
        return ready ? [] : [cellName(cell)];
      }),
    );
    return names.flat();
  };
  while (performance.now() - startedAt < UNDER_WAY_MS) {
    const names = await missing();
    if (names.length === 0) return;
    await sleep(POLL_MS);
  }
  lab.say(`not under way: ${(await missing()).join(', ')}`);
}

/** Cuts the power of the active router; resolves when the other one serves. */
async function cutPower(lab: Lab, { pair }: Service): Promise<{ cutAt: number; takenAt: number; taker: Router }> {
  const { active, standby: taker } = rolesNow(pair);
  const { at: cutAt } = await lab.topology.cutPower(active);
  const { decisions } = await pair
    .feed(taker)
    .until(({ role, serving }) => role === 'active' && serving, `${taker} to be active`, 20_000);
  const taken = decisions.findLast(({ to, at }) => to === 'active' && Date.parse(at) >= Math.floor(cutAt));
  const takenAt = taken ? Date.parse(taken.at) : wallNow();
  lab.say(`power of ${active} cut, ${taker} serves ${Math.round(takenAt - cutAt)} ms later`);
  return { cutAt, takenAt, taker };
}

const IPVSADM_METHOD: Readonly<Record<Forwarding, string>> = { nat: '-m', dr: '-g', tun: '-i' };

/** Throws unless IPVS there forwards to every server so, for both VIPs. */
async function askForwarding(lab: Lab, router: Router, { forwarding, server }: Group): Promise<void> {
  const { stdout } = await lab.topology.exec(router, 'ipvsadm', ['-S', '-n']);
  const servers = stdout.split('\n').filter(line => line.startsWith('-a '));
  const others = servers.filter(line => !line.split(' ').includes(IPVSADM_METHOD[forwarding]));
  if (servers.length !== 2 * hostsOf(server).length || others.length > 0)
    throw new Error(`${router} does not forward to every server by ${forwarding}: ${stdout}`);
}

/** Asked of the programs themselves. */
async function versionsOf({ client, server }: Group): Promise<Record<string, string>> {
  const ask = async (file: string, args: readonly string[], env = process.env): Promise<string> => {
    // vsftpd says it to its input.
    const script = '"$0" "$@" 2>&1 0>&1 | cat; true';
    const { stdout } = await run('sh', ['-c', script, file, ...args], { env });
    return /\d+\.\d[\w.]*/.exec(stdout)?.[0] ?? 'unknown';
  };
  const clients = { curl: [CURL, '--version'], lftp: ['lftp', '--version'], ftplib: [PYTHON, '--version'] } as const;
  const [file, option] = clients[client];
  const program = await programOf(server);
  return {
    kernel: release(),
    [client]: await ask(file, [option]),
    [server]: await ask(program.file, [server === 'pure-ftpd' ? '-h' : '-v'], program.env),
  };
}

/** What the server wrote down of every client; kept with the logs. */
async function dialoguesAt(lab: Lab, ftp: FtpServers, server: Daemon, syslog: string): Promise<Map<string, Dialogue>> {
  const scratch = ftp.servers.find(({ kind }) => kind === server)?.scratch ?? '';
  const kept = path.join(lab.results, COMMAND_LOG);
  await copyFile(server === 'pure-ftpd' ? syslog : path.join(scratch, COMMAND_LOG), kept);
  return dialoguesOf(server, await readFile(kept, 'utf8'));
}

/** Takes what programs tell syslog, from before the servers start. */
function startSyslog(lab: Lab, file: string): Promise<ChildProcess> {
  const args = [scriptOf('syslog.py'), file];
  const child = lab.topology.start('client', PYTHON, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const isUp = (): Promise<boolean> =>
    stat('/dev/log').then(
      () => true,
      () => false,
    );
  return startWriter(child, 'the taker of syslog', isUp);
}

/** All servers of a service have the same control ports, so pure-ftpd is no server of one with 990. */
function hostsOf(server: Daemon): readonly FileServer[] {
  return FILE_SERVERS.filter(host => server === 'pure-ftpd' || KINDS[host] !== 'pure-ftpd');
}

async function startPair(lab: Lab, { forwarding, server, announce }: Group, tls: ServerTls): Promise<Service> {
  const ports = controlPorts(server);
  if (announce) await addPublicNat(lab.topology, { clients: CLIENTS, direct: forwarding !== 'nat' });
  const service = await startService(lab, {
    ...{ bigBytes: BIG_BYTES, rateBytesPerS: RATE_BYTES_PER_S, ipv6: true, persistence: '1h' },
    ...{ forwarding, tls, check: CHECK_BY_TLS, hosts: hostsOf(server), fields: { ftp: ports, ftp6: ports } },
    ...(announce && { announce: PUBLIC }),
  });
  await service.pair.untilWarm(service.standby, 60_000);
  return service;
}

type Shown = Pick<GroupRecord, 'cells' | 'versions'>;

async function runGroup(lab: Lab, group: Group): Promise<Shown> {
  const tls = await makeCertificate(path.join(lab.dir, 'tls'), group.demandsReuse);
  const syslog = path.join(lab.results, 'syslog.log');
  const logger = await startSyslog(lab, syslog);
  const service = await startPair(lab, group, tls);
  const cells = cellsOf(group);
  const places = await placesFor(lab, group, tls);
  const capture = path.join(lab.results, 'capture.log');
  const tcpdump = await startCapture(lab, group.announce ? 'far0' : 'c0', capture);
  const running = cells.map((cell, index): Running => {
    const place = places[index] as ClientPlace;
    return { cell, place, client: startClient(lab.topology, cell, place, service.ftp[fileOf(cell)], CLIENT_MS) };
  });
  await untilUnderWay(lab, running);
  const whoami = await Promise.all(running.map(({ place }) => whoamiOf(place)));
  const bytesBeforeCut = running.map(({ client }) => client.bytes());
  const { cutAt, takenAt, taker } = await cutPower(lab, service);
  const bytesAtTakeover = running.map(({ client }) => client.bytes());
  for (const { cell, client } of running) if (cell.state === 'idle') client.goOn();
  await askForwarding(lab, taker, group);
  const ends = await Promise.all(running.map(({ client }) => client.finished));
  // The last FINs.
  await sleep(1_000);
  await Promise.all([tcpdump, logger].map(end));
  const connections = connectionsOf(await readFile(capture, 'utf8'));
  const dialogues = await dialoguesAt(lab, service.ftp, group.server, syslog);
  const words = running.map(({ cell, client }) => `==== ${cellName(cell)}\n${client.words()}\n`);
  await writeFile(path.join(lab.results, 'clients.log'), words.join(''));
  return {
    versions: await versionsOf(group),
    cells: running.map(({ cell, place: { from, vip }, client }, index) => ({
      cell,
      evidence: {
        from,
        vip,
        ...(ends[index] as ClientEnd),
        whoami: whoami[index] ?? '',
        bytesBeforeCut: bytesBeforeCut[index] ?? 0,
        bytesAtTakeover: bytesAtTakeover[index] ?? 0,
        bytes: client.bytes(),
        cutAt,
        takenAt,
        connections: connections.filter(one => [one.from.address, one.to.address].includes(from)),
        dialogue: dialogues.get(from) ?? { commands: [] },
      },
    })),
  };
}

const [wanted = ''] = process.argv.slice(2);
const group = allGroups().find(one => groupName(one) === wanted);
if (!group) {
  process.stderr.write(`no group "${wanted}"; they are: ${allGroups().map(groupName).join(', ')}\n`);
  process.exit(64);
}
const began = performance.now();
const say = (text: string): void => {
  process.stderr.write(`[${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s] ${text}\n`);
};
const lab = await openLab('matrix', say, undefined, {
  clients: CLIENTS,
  ipv6: true,
  direct: group.forwarding !== 'nat',
  store: group.announce,
});
let done: Shown = { cells: [], versions: {} };
let error: string | undefined;
try {
  done = await runGroup(lab, group);
} catch (thrown) {
  error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  say(error);
} finally {
  await lab.close();
}
const virtualMs = Math.round(performance.now() - began);
const record: GroupRecord = { group, ...done, virtualMs, ...(error !== undefined && { error }) };
await writeFile(path.join(resultsDirectory(), 'results.json'), `${JSON.stringify(record)}\n`);
process.exit(error === undefined ? 0 : 1);
