// Servers that are not FTP on the lab's file servers: OpenSSH for SFTP, HTTPS, and one that answers datagrams; and their clients.
// Io. Each server has the files of the FTP servers: `big`, and `whoami` with its name.
import type { ChildProcess } from 'node:child_process';
import { mkdir, open, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FtpServers, libraryPath, sha256Of, treeOf } from '../ftp/ftp-servers.ts';
import { type FileServer, type Topology, VIP, VIP6 } from '../pair/topology.ts';

/** Where the servers listen; SFTP's VIP has port 22. */
export const SSH_PORT = 22;
export const MAPPED_SSH_PORT = 2022;
export const UDP_PORT = 5300;
const LISTEN_MS = 30_000;
const programOf = (name: string) =>
  path.join(process.env.LAB_ROOT ?? process.cwd(), 'dist/test/lab/plain', `${name}.js`);
const MAIN = programOf('file-server');
const ASK = programOf('ask');

export interface PlainServers {
  readonly dir: string;
  readonly big: FtpServers['big'];
}

/** Starts them all, beside the FTP servers, whose files they have. */
export async function startPlainServers(topology: Topology, ftp: FtpServers, dir: string): Promise<PlainServers> {
  await mkdir(dir, { recursive: true });
  await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  const local = async (file: string, ...args: string[]) => topology.exec('client', file, args);
  await local(
    'openssl',
    ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=lab -keyout'.split(' '),
    at(dir, 'tls.key'),
    '-out',
    at(dir, 'tls.pem'),
  );
  for (const name of ['host', 'user'])
    await topology.exec(
      'client',
      program('ssh-keygen'),
      ['-q', '-t', 'ed25519', '-N', '', '-f', at(dir, name)],
      await env(),
    );
  const user = await readFile(at(dir, 'user.pub'), 'utf8');
  await writeFile(at(dir, 'authorized_keys'), user, { mode: 0o600 });
  await Promise.all(ftp.servers.map(server => startOn(topology, server.host, server.root, dir)));
  return { dir, big: ftp.big };
}

const at = (dir: string, name: string): string => path.join(dir, name);
const program = (name: string): string => path.join(treeOf('openssh'), name === 'sshd' ? 'usr/sbin' : 'usr/bin', name);
const env = async () => ({ env: { ...process.env, LD_LIBRARY_PATH: await libraryPath(treeOf('openssh')) } });

async function startOn(topology: Topology, host: FileServer, root: string, dir: string): Promise<void> {
  const config = at(dir, `${host}.sshd`);
  const lines = [
    ...[SSH_PORT, MAPPED_SSH_PORT].map(port => `Port ${port}`),
    `HostKey ${at(dir, 'host')}`,
    `AuthorizedKeysFile ${at(dir, 'authorized_keys')}`,
    'PermitRootLogin prohibit-password',
    'StrictModes no',
    'UsePAM no',
    'UseDNS no',
    `PidFile ${at(dir, `${host}.pid`)}`,
    // What a client fetches is this host's, whichever that is.
    `Subsystem sftp internal-sftp -d ${root}`,
  ];
  await writeFile(config, `${lines.join('\n')}\n`);
  const log = await open(at(dir, `${host}.log`), 'a');
  const options = { stdio: ['ignore', log.fd, log.fd] as ('ignore' | number)[], ...(await env()) };
  const sshd = topology.start(host, program('sshd'), ['-D', '-e', '-r', '-f', config], options);
  const files = [root, host, at(dir, 'tls.pem'), at(dir, 'tls.key'), '443,8443', `${UDP_PORT}`];
  const https = topology.start(host, process.execPath, [MAIN, ...files], options);
  await log.close();
  await untilListening(sshd, [SSH_PORT, MAPPED_SSH_PORT], at(dir, `${host}.log`));
  await untilListening(https, [443, 8_443], at(dir, `${host}.log`));
}

/** The kernel's own list of the process's namespace: local port in hexadecimal, state 0A. */
async function untilListening(child: ChildProcess, ports: readonly number[], log: string): Promise<void> {
  const limit = performance.now() + LISTEN_MS;
  while (performance.now() < limit && child.exitCode === null) {
    const table = await readFile(`/proc/${child.pid}/net/tcp6`, 'utf8').catch(() => '');
    const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, '0');
    if (ports.every(port => new RegExp(`:${hex(port)} \\S+ 0A `).test(table))) return;
    await sleep(100);
  }
  throw new Error(`nothing listens on ${ports}: ${(await readFile(log, 'utf8')).slice(-1_000)}`);
}

/** Which server answers a datagram of this client, from this port (0: any). */
export async function whoAnswers(topology: Topology, family: 4 | 6, from: string, localPort: number): Promise<string> {
  const ends = [family === 4 ? VIP : VIP6, `${UDP_PORT}`, from, `${localPort}`];
  const { stdout } = await topology.exec('client', process.execPath, [ASK, ...ends]);
  return stdout.trim();
}

export interface PlainTransfer {
  readonly what: string;
  /** Bytes that have come so far. */
  readonly bytes: () => Promise<number>;
  /** Whether the file is whole; rejects with the client's words. */
  readonly finished: Promise<boolean>;
}

export interface PlainRequest {
  readonly protocol: 'sftp' | 'https';
  readonly family: 4 | 6;
  readonly from: string;
  readonly bytesPerS: number;
  readonly timeoutMs: number;
}

/** Fetches `big` by the VIP, at most so fast. */
export async function fetchBig(
  topology: Topology,
  servers: PlainServers,
  request: PlainRequest,
): Promise<PlainTransfer> {
  const { protocol, family, from, bytesPerS, timeoutMs } = request;
  const what = `${protocol} IPv${family}`;
  const file = at(servers.dir, what.replace(' ', '-'));
  const host = family === 4 ? VIP : `[${VIP6}]`;
  const sftp = [
    ...[
      '-q',
      '-S',
      program('ssh'),
      '-P',
      `${SSH_PORT}`,
      '-i',
      at(servers.dir, 'user'),
      '-l',
      `${(bytesPerS * 8) / 1_000}`,
    ],
    ...[
      'StrictHostKeyChecking=no',
      'UserKnownHostsFile=/dev/null',
      'IdentitiesOnly=yes',
      `BindAddress=${from}`,
    ].flatMap(o => ['-o', o]),
    ...['-F', '/dev/null', `root@${host}:big`, file],
  ];
  const curl = ['-sS', '-k', '--interface', from, '--limit-rate', `${bytesPerS}`, '-o', file, `https://${host}/big`];
  const ended =
    protocol === 'sftp'
      ? topology.exec('client', program('sftp'), sftp, { timeoutMs, ...(await env()) })
      : topology.exec('client', 'curl', curl, { timeoutMs });
  return {
    what,
    bytes: async () => (await stat(file).catch(() => undefined))?.size ?? 0,
    finished: ended.then(async () => (await sha256Of(file)) === servers.big.sha256),
  };
}
