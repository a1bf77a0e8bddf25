// Real FTP servers for the lab: vsftpd on fs1, proftpd on fs2, pure-ftpd on fs3, each with anonymous login, an upload
// directory, PASV announcing the VIP, passive ports 10000-20000 and active data from port 20. Io; the config texts are pure.
import type { ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { chmod, link, mkdir, open, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FILE_SERVERS, type FileServer, SERVER_ADDRESSES, SERVER_ADDRESSES6, type Topology, VIP } from './topology.ts';

export type ServerKind = 'vsftpd' | 'proftpd' | 'pure-ftpd';
export const KINDS: Readonly<Record<FileServer, ServerKind>> = { fs1: 'vsftpd', fs2: 'proftpd', fs3: 'pure-ftpd' };

export interface FtpServersOptions {
  /** Directory for their files, logs and configs; must be on a file system the servers' users can reach. */
  readonly dir: string;
  /** Size of the random file `big`. */
  readonly bigBytes: number;
  /** Most bytes a second for each transfer. */
  readonly rateBytesPerS: number;
  /** What PASV announces; default the VIP. */
  readonly announce?: string;
  /** They listen on their IPv6 addresses too. */
  readonly ipv6?: boolean;
  /** Clients that each server takes at a time, by its own setting; default: no limit. */
  readonly clientsMax?: number;
  /** pure-ftpd asks the name server about each client before it greets. */
  readonly asksNames?: boolean;
  /** pure-ftpd takes names other than anonymous for those of accounts, and refuses them; else it lets them all in as anonymous. */
  readonly knowsAccounts?: boolean;
}

/** A file that every server has, and that sessions and transfers compare with what they got. */
export interface KnownFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface FtpServer {
  readonly host: FileServer;
  readonly kind: ServerKind;
  readonly address: string;
  /** Its root directory: `big`, `small`, `whoami` (the host's name) and `in/` for uploads. */
  readonly root: string;
}

export interface FtpServers {
  readonly servers: readonly FtpServer[];
  readonly big: KnownFile;
  /** A quick one, SMALL_BYTES long. */
  readonly small: KnownFile;
}

const SMALL_BYTES = 150_000;

interface Site {
  readonly root: string;
  readonly scratch: string;
  readonly tree: string;
  readonly addresses: readonly string[];
  readonly announce: string;
  readonly rateBytesPerS: number;
  readonly ipv6: boolean;
  readonly clientsMax?: number | undefined;
  readonly asksNames?: boolean | undefined;
  readonly knowsAccounts?: boolean | undefined;
}

/** The home of the user ftp in the lab (test/lab/inside): pure-ftpd serves it, vsftpd enters it first. */
const FTP_HOME = '/run/lab/ftp-home';

/** Where scripts/setup unpacked the servers. */
function treeOf(kind: ServerKind): string {
  return path.join(process.env.LAB_ROOT ?? process.cwd(), '.lab', 'ftpd', kind);
}

/**
 * vsftpd.conf: anonymous is the user ftp, which test/lab/inside provides. A session may be idle for as long as a scenario takes.
 * `address6`: for a second process that serves IPv6 only. One for both would announce 0,0,0,0 to IPv4 clients (seen: its socket
 * is an IPv6 one then, and pasv_address is not used). `trans_chunk_size`: vsftpd divides the bytes of a chunk by the time that it took, into 32
 * bits; on an infinitely fast processor that overflows for the usual 65,536 bytes, and the rate is not kept (seen).
 */
export function vsftpdConfig(site: Site, address6?: string): string {
  const listen = address6 === undefined ? 'listen=YES\nlisten_ipv6=NO' : `listen_ipv6=YES\nlisten_address6=${address6}`;
  return `${listen}
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
connect_from_port_20=YES
port_enable=YES
pasv_enable=YES
pasv_address=${site.announce}
pasv_min_port=10000
pasv_max_port=20000
anon_max_rate=${site.rateBytesPerS}
trans_chunk_size=4096
secure_chroot_dir=${site.scratch}
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
xferlog_enable=NO
${site.clientsMax === undefined ? '' : `max_clients=${site.clientsMax}\n`}`;
}

/**
 * proftpd.conf: only the modules that are compiled in. Without `RootRevoke off` proftpd gives root up after login and then
 * opens active data connections from a high port, which no router can tell from other traffic.
 */
export function proftpdConfig(site: Site): string {
  return `ServerName "lab"
ServerType standalone
DefaultServer on
DefaultAddress ${site.addresses.join(' ')}
Port 21
UseIPv6 ${site.ipv6 ? 'on' : 'off'}
TimeoutIdle 3600
TimeoutNoTransfer 3600
UseReverseDNS off
User nobody
Group nogroup
ModulePath ${site.tree}/usr/lib/proftpd
AuthOrder mod_auth_unix.c
ScoreboardFile ${site.scratch}/scoreboard
PidFile ${site.scratch}/pid
DelayTable none
WtmpLog off
TransferLog none
SystemLog none
RequireValidShell off
RootRevoke off
MasqueradeAddress ${site.announce}
PassivePorts 10000 20000
TransferRate RETR,STOR ${Math.ceil(site.rateBytesPerS / 1024)}
MaxInstances 30
<Anonymous ${site.root}>
  User ftp
  Group nogroup
  UserAlias anonymous ftp
  AllowOverwrite on
${site.clientsMax === undefined ? '' : `  MaxClients ${site.clientsMax}\n`}</Anonymous>
`;
}

/** pure-ftpd takes its settings as arguments; its root is the home of the user ftp. Rates are in KiB a second. */
export function pureFtpdArguments(site: Site): string[] {
  const rate = String(Math.ceil(site.rateBytesPerS / 1024));
  return [
    ...(site.ipv6 ? [] : ['-4']),
    '-I',
    '60',
    ...(site.knowsAccounts ? [] : ['-e']),
    ...(site.asksNames ? [] : ['-H']),
    ...(site.clientsMax === undefined ? [] : ['-c', String(site.clientsMax)]),
    '-S',
    ',21',
    '-p',
    '10000:20000',
    '-P',
    site.announce,
    '-t',
    rate,
    '-g',
    `${site.scratch}/pid`,
  ];
}

/** The arguments of each process that a server consists of. */
async function commandLines(kind: ServerKind, site: Site): Promise<string[][]> {
  if (kind === 'pure-ftpd') return [pureFtpdArguments(site)];
  const write = async (name: string, text: string): Promise<string> => {
    const file = path.join(site.scratch, name);
    await writeFile(file, text, { mode: 0o600 });
    return file;
  };
  if (kind === 'proftpd') return [['-n', '-c', await write('proftpd.conf', proftpdConfig(site))]];
  const address6 = site.addresses.find(address => address.includes(':'));
  const second = address6 && [await write('vsftpd6.conf', vsftpdConfig(site, address6))];
  return [[await write('vsftpd.conf', vsftpdConfig(site))], ...(second ? [second] : [])];
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
  const announce = options.announce ?? VIP;
  const address = SERVER_ADDRESSES[host];
  const { rateBytesPerS, ipv6 = false, clientsMax, asksNames, knowsAccounts } = options;
  const addresses = [address, ...(ipv6 ? [SERVER_ADDRESSES6[host]] : [])];
  const site: Site = {
    root,
    scratch,
    tree: treeOf(kind),
    addresses,
    announce,
    rateBytesPerS,
    ipv6,
    clientsMax,
    asksNames,
    knowsAccounts,
  };
  for (const [index, args] of (await commandLines(kind, site)).entries()) {
    const log = await open(path.join(scratch, 'log'), 'a');
    const child = topology.start(host, path.join(site.tree, 'usr', 'sbin', kind), args, {
      stdio: ['ignore', log.fd, log.fd],
      env: { PATH: process.env.PATH, LD_LIBRARY_PATH: await libraryPath(site.tree) },
    });
    try {
      await once(child, 'spawn');
      await untilListening(child, index + 1, `${kind} on ${host}`, path.join(scratch, 'log'));
    } finally {
      await log.close();
    }
  }
  return { host, kind, address, root };
}

/** The unpacked tree's own library directories (usr/lib/x86_64-linux-gnu and the like). */
async function libraryPath(tree: string): Promise<string> {
  const parents = ['lib', 'usr/lib'].map(name => path.join(tree, name));
  const found = await Promise.all(
    parents.map(async parent => (await readdir(parent).catch(() => [])).map(name => path.join(parent, name))),
  );
  return found
    .flat()
    .filter(name => name.endsWith('-linux-gnu'))
    .join(':');
}

/** Waits until the process's namespace has so many listeners on port 21, at most 20 s (no command needed: /proc shows it). */
async function untilListening(child: ChildProcess, count: number, what: string, log: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null || child.signalCode !== null) break;
    const tables = await Promise.all(
      ['tcp', 'tcp6'].map(name => readFile(`/proc/${child.pid}/net/${name}`, 'utf8').catch(() => '')),
    );
    // Local port 21 = 0015, state 0A = LISTEN.
    if (tables.flatMap(table => table.match(/^\s*\d+: [0-9A-F]+:0015 \S+ 0A /gm) ?? []).length >= count) return;
    await sleep(100);
  }
  const words = await readFile(log, 'utf8').catch(() => '');
  throw new Error(
    `${what} does not listen on port 21 (exit ${child.exitCode ?? child.signalCode}): ${words.slice(-1_000)}`,
  );
}
