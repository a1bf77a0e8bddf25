// The FTP clients of the matrix: how each is told its cell, with everything off that would do
// something else when that fails. The command lines are pure; starting one is io.
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { KnownFile } from '../ftp/ftp-servers.ts';
import { lftpSettings } from '../ftp/session.ts';
import type { Topology } from '../pair/topology.ts';
import { type Cell, controlPortOf, isPassive, type Verb } from './cells.ts';

export interface ClientPlace {
  /** The client's own address. */
  readonly from: string;
  readonly vip: string;
  /** PEM file of the servers' certificate, which names the VIPs. */
  readonly certificate: string;
  /** Where it leaves the server's whoami, and a directory of its own. */
  readonly whoami: string;
  readonly home: string;
}

/** An idle curl waits until so long after it began; the others wait for a word. */
const CURL_IDLE_MS = 30_000;
export const PYTHON = '/usr/bin/python3';
/** What test/lab/fetch-curl says, else this machine's own. */
export const CURL = process.argv[3] ?? 'curl';
const WORDS_BYTES_MAX = 65_536;

const CURL_VERB: Readonly<Record<Verb, readonly string[]>> = {
  // Use the address that 227 announces: announcing a wrong one must fail here.
  PASV: ['--disable-epsv', '--no-ftp-skip-pasv-ip'],
  EPSV: [],
  PORT: ['--ftp-port', '-', '--disable-eprt'],
  EPRT: ['--ftp-port', '-'],
};

interface CommandLine {
  readonly file: string;
  readonly args: readonly string[];
  /** Written to its stdin at once, and when an idle one is to go on. */
  readonly first?: string;
  readonly goOn?: string;
}

/** The file that counts: what is on its way in the failover, or is fetched after it. */
export function fileOf({ state }: Cell): 'big' | 'small' {
  return state === 'idle' ? 'small' : 'big';
}

export function commandLineOf(cell: Cell, place: ClientPlace): CommandLine {
  switch (cell.client) {
    case 'curl':
      return { file: CURL, args: curlArguments(cell, place) };
    case 'lftp':
      return lftpCommandLine(cell, place);
    case 'ftplib':
      return { file: PYTHON, args: ftplibArguments(cell, place), ...(cell.state === 'idle' && { goOn: '\n' }) };
  }
}

function urlHost(vip: string): string {
  return vip.includes(':') ? `[${vip}]` : vip;
}

/** Both files on one control connection; `--rate` keeps an idle one waiting, logged in, between them. */
function curlArguments(cell: Cell, { from, vip, certificate, whoami }: ClientPlace): string[] {
  const url = `${cell.security === 'implicit' ? 'ftps' : 'ftp'}://${urlHost(vip)}:${controlPortOf(cell)}`;
  const tls = cell.security === 'plain' ? [] : ['--ssl-reqd', '--cacert', certificate];
  return [
    '--disable',
    '--silent',
    '--show-error',
    '--verbose',
    '--connect-timeout',
    '20',
    '--interface',
    from,
    ...CURL_VERB[cell.verb],
    ...tls,
    ...(cell.state === 'idle' ? ['--rate', `${60_000 / CURL_IDLE_MS}/m`] : []),
    '--output',
    whoami,
    `${url}/whoami`,
    '--output',
    '-',
    '--no-buffer',
    `${url}/${fileOf(cell)}`,
  ];
}

function lftpCommandLine(cell: Cell, { from, vip, certificate, whoami }: ClientPlace): CommandLine {
  const mode = isPassive(cell.verb) ? (cell.verb === 'EPSV' ? 'extended-passive' : 'passive') : 'active';
  const settings = lftpSettings({ from, mode, host: vip, scratch: '' }).split('\n');
  const tls =
    cell.security === 'plain'
      ? []
      : [
          'set ftp:ssl-allow yes',
          'set ftp:ssl-allow-anonymous yes',
          'set ftp:ssl-force yes',
          'set ftp:ssl-protect-data yes',
          'set ftp:ssl-protect-list yes',
          'set ssl:verify-certificate yes',
          `set ssl:ca-file ${certificate}`,
        ];
  const scheme = cell.security === 'implicit' ? 'ftps' : 'ftp';
  const first = [
    ...settings.filter(line => line.startsWith('set ')),
    ...tls,
    'debug 5',
    `open ${scheme}://${urlHost(vip)}:${controlPortOf(cell)}`,
    `get whoami -o ${whoami}`,
  ];
  const last = `cat ${fileOf(cell)}\nexit\n`;
  const text = `${first.join('\n')}\n`;
  return cell.state === 'idle'
    ? { file: 'lftp', args: ['--norc'], first: text, goOn: last }
    : { file: 'lftp', args: ['--norc'], first: `${text}${last}` };
}

function ftplibArguments(cell: Cell, { from, vip, certificate, whoami }: ClientPlace): string[] {
  return [
    path.join(process.env.LAB_ROOT ?? process.cwd(), 'test/lab/matrix/ftplib-client.py'),
    '--host',
    vip,
    '--port',
    String(controlPortOf(cell)),
    '--source',
    from,
    ...(isPassive(cell.verb) ? [] : ['--active']),
    ...(cell.security === 'plain' ? [] : ['--tls', '--ca', certificate]),
    '--whoami',
    whoami,
    ...(cell.state === 'idle' ? ['--wait'] : []),
    fileOf(cell),
  ];
}

export interface ClientEnd {
  readonly error?: string;
  readonly whole: boolean;
}

export interface RunningClient {
  /** Of the file that counts, so far. */
  readonly bytes: () => number;
  readonly ended: () => boolean;
  /** Lets an idle one go on. */
  readonly goOn: () => void;
  /** Everything it said. */
  readonly words: () => string;
  readonly finished: Promise<ClientEnd>;
}

/** Starts a cell's client; it is ended after `timeoutMs`. */
export function startClient(
  topology: Topology,
  cell: Cell,
  place: ClientPlace,
  known: KnownFile,
  timeoutMs: number,
): RunningClient {
  const line = commandLineOf(cell, place);
  const child = topology.start('client', line.file, line.args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', HOME: place.home, LFTP_HOME: place.home },
  });
  let over = false;
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  child.stdin?.on('error', () => undefined);
  if (line.first !== undefined) child.stdin?.write(line.first);
  const exit = watchExit(child);
  const hash = createHash('sha256');
  let bytes = 0;
  child.stdout?.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    hash.update(chunk);
  });
  const finished = exit.status.then(status => {
    clearTimeout(timer);
    over = true;
    const whole = hash.digest('hex') === known.sha256;
    return {
      whole,
      ...(status !== '0' && { error: `${cell.client} ended with ${status}: ${lastWords(exit.words())}` }),
    };
  });
  const goOn = (): void => {
    if (line.goOn !== undefined) child.stdin?.write(line.goOn);
  };
  return { bytes: () => bytes, ended: () => over, goOn, words: exit.words, finished };
}

/** Its exit status, and its last words as they come. */
function watchExit(child: ChildProcess): { readonly status: Promise<string>; readonly words: () => string } {
  let words = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-WORDS_BYTES_MAX);
  });
  const status = new Promise<string>(resolve => {
    child.on('error', error => resolve(error.message)).on('close', (code, signal) => resolve(signal ?? String(code)));
  });
  return { status, words: () => words };
}

/** Without bytes of the data connection and of TLS, which curl tells too. */
function lastWords(text: string): string {
  const lines = text.split(/\r?\n/).filter(line => line.trim() !== '' && !/^[{}] |^\* TLS|bytes data\]/.test(line));
  return lines.slice(-5).join(' | ').slice(-500);
}

/** What the server is, as the client fetched it; empty before. */
export async function whoamiOf(place: ClientPlace): Promise<string> {
  return (await readFile(place.whoami, 'utf8').catch(() => '')).trim();
}
