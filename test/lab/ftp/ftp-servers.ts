// Real FTP servers for the lab: vsftpd on fs1, proftpd on fs2, pure-ftpd on fs3, each with anonymous login, an upload directory, and
// for the rest what `tandem server-config` prints. Io; the config texts are pure.
import type { ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { chmod, link, mkdir, open, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseConfig } from '../../../src/config/document.ts';
import type { Forwarding } from '../../../src/ipvs/table.ts';
import type { Daemon } from '../../../src/real-server/ftp-daemons.ts';
import type { Section } from '../../../src/real-server/section.ts';
import { serverConfig } from '../../../src/real-server/whole.ts';
import { labConfig, labTimes } from '../pair/config.ts';
import {
  DIRECT_ADDRESSES,
  DIRECT_ADDRESSES6,
  FILE_SERVERS,
  type FileServer,
  SERVER_ADDRESSES,
  SERVER_ADDRESSES6,
  type Topology,
  VIP,
  VIP6,
} from '../pair/topology.ts';
import { CHECK_BY_TLS, controlPorts, proftpdTls, proftpdTlsModule, type ServerTls, vsftpdTls } from './server-tls.ts';

export const KINDS: Readonly<Record<FileServer, Daemon>> = { fs1: 'vsftpd', fs2: 'proftpd', fs3: 'pure-ftpd' };

export interface FtpServersOptions {
  /** Directory for their files, logs and configs; must be on a file system the servers' users can reach. */
  readonly dir: string;
  /** Size of the random file `big`. */
  readonly bigBytes: number;
  /** Most bytes a second for each transfer. */
  readonly rateBytesPerS: number;
  /** They listen on their IPv6 addresses too. */
  readonly ipv6?: boolean;
  /** Clients that each server takes at a time, by its own setting; default: no limit. */
  readonly clientsMax?: number;
  /** How clients' packets get to them, by the pair's services; default nat. The topology must be `direct` for the others. */
  readonly forwarding?: Forwarding;
  readonly forwarding6?: Forwarding;
  /** What they name in PASV; default the VIP. */
  readonly announce?: string;
  /** pure-ftpd asks the name server about each client before it greets. */
  readonly asksNames?: boolean;
  /** pure-ftpd takes names other than anonymous for those of accounts, and refuses them; else it lets them all in as anonymous. */
  readonly knowsAccounts?: boolean;
  /** They offer TLS, on 990 too (not pure-ftpd), and write down every command; default: neither. */
  readonly tls?: ServerTls;
}

/** A file that every server has, and that sessions and transfers compare with what they got. */
export interface KnownFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface FtpServer {
  readonly host: FileServer;
  readonly kind: Daemon;
  readonly address: string;
  /** Its root directory: `big`, `small`, `whoami` (the host's name) and `in/` for uploads. */
  readonly root: string;
  /** For its configs and logs. */
  readonly scratch: string;
}

export interface FtpServers {
  readonly servers: readonly FtpServer[];
  readonly big: KnownFile;
  /** A quick one, SMALL_BYTES long. */
  readonly small: KnownFile;
}

const SMALL_BYTES = 150_000;

/** What server-config prints for a service. */
type Printed = readonly Section[];

interface Site {
  readonly root: string;
  readonly scratch: string;
  readonly tree: string;
  readonly addresses: readonly string[];
  /** See printedFor. */
  readonly printed: readonly Printed[];
  readonly rateBytesPerS: number;
  readonly ipv6: boolean;
  readonly clientsMax?: number | undefined;
  readonly asksNames?: boolean | undefined;
  readonly knowsAccounts?: boolean | undefined;
  readonly tls?: ServerTls | undefined;
}

/** The home of the user ftp in the lab (test/lab/inside): pure-ftpd serves it, vsftpd enters it first. */
const FTP_HOME = '/run/lab/ftp-home';

/** Where scripts/setup unpacked the servers. */
export function treeOf(kind: Daemon | 'openssh'): string {
  return path.join(process.env.LAB_ROOT ?? process.cwd(), '.lab', 'ftpd', kind);
}

/**
 * What `tandem server-config` prints for the host's daemon, a list of lines for each service of the lab's config (with IPv6 there are
 * two): the servers run with these very lines, so every scenario is a proof of them.
 */
export function printedFor(
  host: FileServer,
  {
    ipv6 = false,
    forwarding,
    forwarding6,
    announce,
    tls,
  }: Pick<FtpServersOptions, 'ipv6' | 'forwarding' | 'forwarding6' | 'announce' | 'tls'>,
): Printed[] {
  const ports = tls === undefined ? '' : controlPorts(KINDS[host]);
  const text = labConfig({
    ...labTimes(),
    keyFile: '/run/lab/pair.key',
    ipv6,
    ...(forwarding && { forwarding }),
    ...(forwarding6 && { forwarding6 }),
    ...(announce !== undefined && { announce }),
    fields: { ftp: ports, ftp6: ports },
    ...(tls && { check: CHECK_BY_TLS }),
  });
  const parsed = parseConfig(text);
  if (!parsed.ok) throw new Error(`the lab's config: ${JSON.stringify(parsed.mistakes)}`);
  const files = tls && { certificate: tls.certificate, key: tls.key };
  return Object.keys(parsed.config.services).map(service => {
    const made = serverConfig(parsed.config, { service, daemon: KINDS[host], server: host, ...files });
    if (!made.ok) throw new Error(made.problems.join('\n'));
    return made.sections;
  });
}

/** The lines of each process that the daemon needs. */
function daemonLines(site: Site): (readonly string[])[] {
  return site.printed.flat().flatMap(({ kind, lines }) => (kind === 'daemon' ? [lines] : []));
}

/** All that is printed for the first service, and what the others add outside of blocks. */
function together(site: Site): string {
  const [first = [], ...others] = daemonLines(site);
  const more = others.flat().filter(line => /^\w/.test(line) && !first.includes(line));
  return [...first, ...more].join('\n');
}

/**
 * vsftpd.conf: anonymous is the user ftp, which test/lab/inside provides. A session may be idle for as long as a scenario takes.
 * `trans_chunk_size`: vsftpd divides the bytes of a chunk by the time that it took, into 32 bits; on an infinitely fast processor that
 * overflows for the usual 65,536 bytes, and the rate is not kept (seen).
 */
function vsftpdConfig(site: Site, printed: readonly string[]): string {
  return `${printed.join('\n')}
idle_session_timeout=3600
background=NO
anonymous_enable=YES
local_enable=NO
no_anon_password=YES
ftp_username=ftp
anon_root=${site.root}
anon_umask=022
write_enable=YES
anon_upload_enable=YES
anon_other_write_enable=YES
anon_max_rate=${site.rateBytesPerS}
trans_chunk_size=4096
secure_chroot_dir=${site.scratch}
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
${site.tls === undefined ? 'xferlog_enable=NO\n' : vsftpdTls(site.tls, site.scratch)}${
  site.clientsMax === undefined ? '' : `max_clients=${site.clientsMax}\n`
}`;
}

/**
 * proftpd.conf: only the modules that are compiled in. What `tandem server-config` prints for a second control port is a virtual
 * server, so what both share is global.
 */
function proftpdConfig(site: Site): string {
  // As it says for a server of both families.
  const printed = together(site).replace('<VirtualHost 0.0.0.0>', `<VirtualHost 0.0.0.0${site.ipv6 ? ' ::' : ''}>`);
  return `ModulePath ${site.tree}/usr/lib/proftpd
${site.tls ? proftpdTlsModule() : ''}${printed}
ServerName "lab"
ServerType standalone
DefaultServer on
DefaultAddress ${site.addresses.join(' ')}
${site.ipv6 ? '' : 'UseIPv6 off\n'}AuthOrder mod_auth_unix.c
ScoreboardFile ${site.scratch}/scoreboard
PidFile ${site.scratch}/pid
DelayTable none
SystemLog none
UseReverseDNS off
MaxInstances ${site.tls ? 100 : 30}
<Global>
User nobody
Group nogroup
TimeoutIdle 3600
TimeoutNoTransfer 3600
WtmpLog off
TransferLog none
RequireValidShell off
TransferRate RETR,STOR ${Math.ceil(site.rateBytesPerS / 1024)}
${site.tls ? proftpdTls(site.tls, site.scratch) : ''}<Anonymous ${site.root}>
  User ftp
  Group nogroup
  UserAlias anonymous ftp
  AllowOverwrite on
${site.clientsMax === undefined ? '' : `  MaxClients ${site.clientsMax}\n`}</Anonymous>
</Global>
`;
}

/** pure-ftpd.conf: its root is the home of the user ftp. Rates are in KiB a second, idle times in minutes. */
function pureFtpdConfig(site: Site): string {
  return `${together(site)}
IPV4Only ${site.ipv6 ? 'no' : 'yes'}
MaxIdleTime 60
AnonymousOnly ${site.knowsAccounts ? 'no' : 'yes'}
DontResolve ${site.asksNames ? 'no' : 'yes'}
${site.clientsMax === undefined ? '' : `MaxClientsNumber ${site.clientsMax}\n`}AnonymousBandwidth ${Math.ceil(site.rateBytesPerS / 1024)}
PIDFile ${site.scratch}/pid
${site.tls ? 'VerboseLog yes\n' : ''}`;
}

/** The arguments of each process that a server consists of. */
async function commandLines(kind: Daemon, site: Site): Promise<string[][]> {
  const write = async (name: string, text: string): Promise<string> => {
    const file = path.join(site.scratch, name);
    await writeFile(file, text, { mode: 0o600 });
    return file;
  };
  switch (kind) {
    case 'vsftpd':
      return Promise.all(
        daemonLines(site).map(async (printed, index) => [
          await write(`vsftpd-${index}.conf`, vsftpdConfig(site, printed)),
        ]),
      );
    case 'proftpd':
      return [['-n', '-c', await write('proftpd.conf', proftpdConfig(site))]];
    case 'pure-ftpd':
      return [[await write('pure-ftpd.conf', pureFtpdConfig(site))]];
  }
}

/** Makes the files, starts one server of each kind and waits until all of them listen. */
export async function startFtpServers(topology: Topology, options: FtpServersOptions): Promise<FtpServers> {
  await mkdir(options.dir, { recursive: true });
  const big = await makeRandomFile(path.join(options.dir, 'big'), options.bigBytes);
  const small = await makeRandomFile(path.join(options.dir, 'small'), SMALL_BYTES);
  const servers = await Promise.all(
    FILE_SERVERS.map(host => startFtpServer(topology, host, [big.path, small.path], options)),
  );
  return { servers, big, small };
}

async function makeRandomFile(file: string, bytes: number): Promise<KnownFile> {
  const handle = await open(file, 'w', 0o644);
  try {
    for (let left = bytes; left > 0; left -= 1_048_576) await handle.write(randomBytes(Math.min(left, 1_048_576)));
  } finally {
    await handle.close();
  }
  return { path: file, bytes, sha256: await sha256Of(file) };
}

/** SHA-256 of a file, in hex. */
export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** The addresses that the server serves. */
function addressesOf(host: FileServer, options: FtpServersOptions): string[] {
  const { ipv6 = false, forwarding = 'nat', forwarding6 = forwarding } = options;
  return [
    SERVER_ADDRESSES[host],
    ...(forwarding === 'nat' ? [] : [DIRECT_ADDRESSES[host], VIP]),
    ...(ipv6 ? [SERVER_ADDRESSES6[host]] : []),
    ...(ipv6 && forwarding6 !== 'nat' ? [DIRECT_ADDRESSES6[host], VIP6] : []),
  ];
}

/** What server-config prints for the host itself: settings, routes, VIPs, tunnels, by its very commands. */
export async function prepareHost(topology: Topology, host: FileServer, sections: Printed): Promise<void> {
  const linesOf = (kind: Section['kind']): string[] =>
    sections.flatMap(section => (section.kind === kind ? section.lines : []));
  const settings = linesOf('sysctl').map(line => line.replace(' = ', '='));
  // -e: a device that is not there yet; the commands come back to it.
  const setAll = () => settings.length > 0 && topology.exec(host, 'sysctl', ['-qe', '-w', ...settings]);
  await setAll();
  for (const line of linesOf('commands')) {
    const [file = '', ...args] = line.split(' ');
    if (line === 'sysctl --system') await setAll();
    else
      await topology.exec(host, file, args).catch((error: Error) => {
        // One device for the VIPs of all services, one tunnel for each family: the second service finds it there.
        if (!/^ip link add .*File exists/s.test(`${line} ${error.message}`)) throw error;
      });
  }
  const rules = linesOf('nftables');
  if (rules.length > 0) await topology.exec(host, 'nft', ['-f', '-'], { input: `${rules.join('\n')}\n` });
}

async function startFtpServer(
  topology: Topology,
  host: FileServer,
  files: readonly string[],
  options: FtpServersOptions,
): Promise<FtpServer> {
  const kind = KINDS[host];
  const root = path.join(options.dir, host);
  const scratch = path.join(options.dir, `${host}.scratch`);
  await mkdir(path.join(root, 'in'), { recursive: true });
  await mkdir(scratch, { recursive: true });
  await chmod(path.join(root, 'in'), 0o777);
  for (const file of files) await link(file, path.join(root, path.basename(file)));
  await writeFile(path.join(root, 'whoami'), `${host}\n`);
  if (kind === 'pure-ftpd') {
    await rm(FTP_HOME, { force: true });
    await symlink(root, FTP_HOME);
  }
  const address = SERVER_ADDRESSES[host];
  const { rateBytesPerS, ipv6 = false, clientsMax, asksNames, knowsAccounts, tls } = options;
  const printed = printedFor(host, options);
  for (const sections of printed) await prepareHost(topology, host, sections);
  const site: Site = {
    root,
    scratch,
    tree: treeOf(kind),
    addresses: addressesOf(host, options),
    printed,
    rateBytesPerS,
    ipv6,
    clientsMax,
    asksNames,
    knowsAccounts,
    tls,
  };
  for (const [index, args] of (await commandLines(kind, site)).entries()) {
    const log = await open(path.join(scratch, 'log'), 'a');
    const { file, env } = await programOf(kind);
    const child = topology.start(host, file, args, { stdio: ['ignore', log.fd, log.fd], env });
    try {
      await once(child, 'spawn');
      await untilListening(child, index + 1, `${kind} on ${host}`, path.join(scratch, 'log'));
    } finally {
      await log.close();
    }
  }
  return { host, kind, address, root, scratch };
}

/** A server's program, and what it needs to find its libraries. */
export async function programOf(kind: Daemon): Promise<{ file: string; env: NodeJS.ProcessEnv }> {
  const tree = treeOf(kind);
  const env = { PATH: process.env.PATH, LD_LIBRARY_PATH: await libraryPath(tree) };
  return { file: path.join(tree, 'usr', 'sbin', kind), env };
}

/** The unpacked tree's own library directories (usr/lib/x86_64-linux-gnu and the like). */
export async function libraryPath(tree: string): Promise<string> {
  const parents = ['lib', 'usr/lib'].map(name => path.join(tree, name));
  const found = await Promise.all(
    parents.map(async parent => (await readdir(parent).catch(() => [])).map(name => path.join(parent, name))),
  );
  return found
    .flat()
    .filter(name => name.endsWith('-linux-gnu'))
    .join(':');
}

/** Waits until the process's namespace has so many listeners on FTP's ports, at most 20 s (no command needed: /proc shows it). */
async function untilListening(child: ChildProcess, count: number, what: string, log: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null || child.signalCode !== null) break;
    const tables = await Promise.all(
      ['tcp', 'tcp6'].map(name => readFile(`/proc/${child.pid}/net/${name}`, 'utf8').catch(() => '')),
    );
    // Local port 21 = 0015, 990 = 03DE, state 0A = LISTEN.
    const listeners = tables.flatMap(table => table.match(/^\s*\d+: [0-9A-F]+:(?:0015|03DE) \S+ 0A /gm) ?? []);
    if (listeners.length >= count) return;
    await sleep(100);
  }
  const words = await readFile(log, 'utf8').catch(() => '');
  throw new Error(`${what} does not listen (exit ${child.exitCode ?? child.signalCode}): ${words.slice(-1_000)}`);
}
