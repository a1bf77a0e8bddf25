// FTP sessions that stay logged in and do things when told: one lftp for each in the client's namespace, driven through its
// stdin. Io. lftp logs in again in silence when its control connection is gone, so every session counts the control
// connections that lftp says it opened: one is the proof that it is still the same session.
import type { ChildProcess } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Topology, VIP } from '../pair/topology.ts';
import { type FtpServers, type KnownFile, sha256Of } from './ftp-servers.ts';

/** PASV, EPSV and PORT, in words (EPRT, where the host is an IPv6 address). */
export type SessionMode = 'passive' | 'extended-passive' | 'active';

export interface SessionRequest {
  /** The client's own address. */
  readonly from: string;
  readonly mode: SessionMode;
  /** Default the VIP. */
  readonly host?: string;
  /** Over TLS by AUTH, or from the first byte (to port 990); no certificate is looked at. Default: plain. */
  readonly tls?: 'explicit' | 'implicit';
  /** For its small files. */
  readonly scratch: string;
  /** Longest time for one thing it does; default 60 s. */
  readonly timeoutMs?: number;
}

export interface Session {
  readonly request: SessionRequest;
  /** Fetches `whoami` over a new data connection: the name of the server that it is on. */
  readonly server: () => Promise<string>;
  /** Fetches `small` and compares it; throws when it did not arrive whole. */
  readonly download: () => Promise<void>;
  /** Sends `small` and compares what the server has; throws when it is not whole. Returns the server's name. */
  readonly upload: () => Promise<string>;
  /** Control connections it has opened so far: 1 as long as it never had to log in again. */
  readonly logins: () => number;
  readonly close: () => Promise<void>;
}

const TIMEOUT_MS = 60_000;
const WORDS_BYTES_MAX = 65_536;
let serial = 0;

/**
 * lftp's settings: one attempt for everything, no time-out of its own that would end an idle session, nothing fetched twice or
 * from a cache, no extra commands around a transfer, and the address that 227 announces is used as it is.
 */
export function lftpSettings({ from, mode, host = VIP, tls }: SessionRequest): string {
  const six = host.includes(':');
  const settings: Readonly<Record<string, string>> = {
    'cmd:interactive': 'no',
    'cmd:fail-exit': 'no',
    'cache:enable': 'no',
    'net:max-retries': '1',
    'net:idle': 'never',
    'net:timeout': '45',
    'net:persist-retries': '0',
    [six ? 'net:socket-bind-ipv6' : 'net:socket-bind-ipv4']: from,
    'ftp:passive-mode': mode === 'active' ? 'off' : 'on',
    'ftp:prefer-epsv': mode === 'extended-passive' ? 'yes' : 'no',
    'ftp:fix-pasv-address': 'no',
    // lftp sends EPSV over IPv4 only to servers whose FEAT names it.
    'ftp:use-feat': mode === 'extended-passive' ? 'yes' : 'no',
    'ftp:use-size': 'no',
    'ftp:use-mdtm': 'no',
    'ftp:use-site-utime': 'no',
    'ftp:use-site-utime2': 'no',
    'ftp:use-allo': 'no',
    'ftp:ssl-allow': tls === undefined ? 'no' : 'yes',
    'ftp:ssl-force': tls === 'explicit' ? 'yes' : 'no',
    'ftp:ssl-protect-data': 'yes',
    'ssl:verify-certificate': 'no',
    'ftp:sync-mode': 'yes',
    'xfer:clobber': 'yes',
    'xfer:log': 'no',
  };
  const lines = Object.entries(settings).map(([name, value]) => `set ${name} ${value}`);
  return `${lines.join('\n')}\ndebug 5\nopen ${tls === 'implicit' ? 'ftps' : 'ftp'}://${six ? `[${host}]` : host}\n`;
}

interface Told {
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts lftp and logs in (its first transfer). */
export async function openSession(topology: Topology, ftp: FtpServers, request: SessionRequest): Promise<Session> {
  const id = `session-${process.pid}-${serial++}`;
  const scratch = path.join(request.scratch, id);
  await mkdir(scratch, { recursive: true });
  const child = topology.start('client', 'lftp', ['--norc'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', HOME: scratch, LFTP_HOME: scratch },
  });
  const console = driveConsole(child, `${request.mode} session of ${request.from}`, request.timeoutMs ?? TIMEOUT_MS);
  child.stdin?.write(lftpSettings(request));
  const file = path.join(scratch, 'small');
  const server = async (): Promise<string> => {
    const { stdout, stderr } = await console.tell('cat whoami');
    const name = stdout.trim();
    if (!ftp.servers.some(({ host }) => host === name)) throw new Error(`whoami says "${name}": ${lastWords(stderr)}`);
    return name;
  };
  const session: Session = {
    request,
    server,
    download: async () => {
      await rm(file, { force: true });
      const { stderr } = await console.tell(`get small -o ${file}`);
      await assertWhole(file, ftp.small, stderr);
    },
    upload: () => upload(ftp, console.tell, `up-${id}-${serial++}`),
    logins: console.logins,
    close: () => console.end(),
  };
  await server();
  return session;
}

async function upload(ftp: FtpServers, tell: Console['tell'], name: string): Promise<string> {
  const { stderr } = await tell(`put ${ftp.small.path} -o in/${name}`);
  for (const { root, host } of ftp.servers) {
    const file = path.join(root, 'in', name);
    const bytes = await readFile(file).catch(() => undefined);
    if (bytes === undefined) continue;
    await assertWhole(file, ftp.small, stderr);
    await rm(file, { force: true });
    return host;
  }
  throw new Error(`no server got ${name}: ${lastWords(stderr)}`);
}

async function assertWhole(file: string, known: KnownFile, words: string): Promise<void> {
  const sum = await sha256Of(file).catch(() => 'nothing');
  if (sum !== known.sha256) throw new Error(`${path.basename(file)} is not whole (${sum}): ${lastWords(words)}`);
}

/** The dialogue and what lftp says of it, without the passwords' line. */
function lastWords(text: string): string {
  return text.trim().split('\n').slice(-8).join(' | ');
}

interface Console {
  /** Gives lftp one command and waits until it is done; one at a time. */
  readonly tell: (command: string) => Promise<Told>;
  readonly logins: () => number;
  readonly end: () => Promise<void>;
}

/** Commands in, their output out: after each, lftp echoes a word that says that it is done. */
function driveConsole(child: ChildProcess, what: string, timeoutMs: number): Console {
  let stdout = '';
  let stderr = '';
  let logins = 0;
  let ended: string | undefined;
  let look = (): void => undefined;
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    look();
  });
  let line = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-WORDS_BYTES_MAX);
    const lines = (line + text).split('\n');
    line = lines.pop() ?? '';
    // "---- Connecting data socket to" is the other kind.
    logins += lines.filter(one => one.startsWith('---- Connecting to ')).length;
  });
  child.stdin?.on('error', () => undefined);
  const gone = new Promise<void>(resolve => {
    const end = (how: string): void => {
      ended = how;
      look();
      resolve();
    };
    child.on('error', error => end(error.message)).on('close', (code, signal) => end(`ended with ${signal ?? code}`));
  });
  const tell = async (command: string): Promise<Told> => {
    const done = `done-${serial++}`;
    stdout = '';
    stderr = '';
    child.stdin?.write(`${command}\necho ${done}\n`);
    await new Promise<void>((resolve, reject) => {
      const fail = (how: string): void => reject(new Error(`${what}: ${command}: ${how}: ${lastWords(stderr)}`));
      const timer = setTimeout(() => fail(`not done in ${timeoutMs / 1000} s`), timeoutMs);
      look = () => {
        if (!stdout.includes(done) && ended === undefined) return;
        clearTimeout(timer);
        look = () => undefined;
        if (ended === undefined) resolve();
        else fail(`lftp ${ended}`);
      };
      look();
    });
    return { stdout: stdout.slice(0, stdout.indexOf(done)), stderr };
  };
  const end = async (): Promise<void> => {
    child.kill('SIGKILL');
    await gone;
  };
  return { tell, logins: () => logins, end };
}

/** Opens sessions, some at a time: a login costs a second of processor under emulation. */
export async function openSessions(
  topology: Topology,
  ftp: FtpServers,
  requests: readonly SessionRequest[],
): Promise<Session[]> {
  const sessions: Session[] = [];
  for (let next = 0; next < requests.length; next += 4) {
    const some = requests.slice(next, next + 4).map(request => openSession(topology, ftp, request));
    sessions.push(...(await Promise.all(some)));
  }
  return sessions;
}

/**
 * Which server each address meets when it logs in anew, by one curl for all of them (each on a control connection of its own).
 * Addresses that could not are missing; `error` has curl's last words then.
 */
export async function loginsOf(
  topology: Topology,
  scratch: string,
  addresses: readonly string[],
  host = VIP,
): Promise<{ readonly servers: ReadonlyMap<string, string>; readonly error?: string }> {
  const directory = path.join(scratch, `logins-${serial++}`);
  await mkdir(directory, { recursive: true });
  const url = `ftp://${host.includes(':') ? `[${host}]` : host}/whoami`;
  const each = addresses.map(from => [
    '--silent',
    '--show-error',
    '--connect-timeout',
    '20',
    '--max-time',
    '40',
    '--interface',
    from,
    '--output',
    path.join(directory, from),
    url,
  ]);
  const args = each.flatMap((one, index) => (index === 0 ? one : ['--next', ...one]));
  const error = await topology.exec('client', 'curl', args, { timeoutMs: 240_000 }).then(
    () => undefined,
    (failure: Error) => failure.message.slice(-600),
  );
  const servers = new Map<string, string>();
  for (const from of addresses) {
    const name = (await readFile(path.join(directory, from), 'utf8').catch(() => '')).trim();
    if (name !== '') servers.set(from, name);
  }
  return { servers, ...(error !== undefined && { error }) };
}
