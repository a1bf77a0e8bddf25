// A real FTP client (curl) in the client's namespace, watched: bytes as they arrive, the longest stall, checksum, and which
// server it met. Io. A download is read from curl's output; an upload is watched where it arrives, in the servers' directory,
// because the client's socket buffer would hide a stall.
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Topology, VIP, wallNow } from '../pair/topology.ts';
import { type FtpServers, sha256Of } from './ftp-servers.ts';
import { advance, NO_PROGRESS, type Progress, withoutStalls } from './progress.ts';

export type TransferKind = 'download' | 'upload';
/** PASV, EPSV, PORT and EPRT, in words. */
export type TransferMode = 'passive' | 'extended-passive' | 'active' | 'extended-active';

export interface TransferRequest {
  readonly kind: TransferKind;
  readonly mode: TransferMode;
  /** The client's own address; each has a persistence template of its own. */
  readonly from: string;
  readonly host?: string;
  /** Paces an upload, bytes a second; downloads are paced by the servers. */
  readonly uploadBytesPerS?: number;
  /** The transfer is given up after this long. */
  readonly timeoutMs: number;
}

export interface TransferResult {
  readonly kind: TransferKind;
  readonly mode: TransferMode;
  readonly bytes: number;
  readonly sha256Ok: boolean;
  /** Longest time without progress between the first byte and the last. */
  readonly stallMs: number;
  /** Wall time in ms at which that stall began; null when there was none. */
  readonly stallAt: number | null;
  /** The server's own answer to RETR whoami on the same control connection; null when it gave none. */
  readonly server: string | null;
  /** curl's exit status and last words; absent when all went well. */
  readonly error?: string;
}

export interface Transfer {
  readonly request: TransferRequest;
  /** Where it stands now. */
  readonly progress: () => Progress;
  /** Wall times in ms at which data arrived, the last 20,000 of them. */
  readonly arrivals: () => readonly number[];
  /** Counts the longest stall from now on only; one that has begun counts with its beginning. */
  readonly forgetStalls: () => void;
  readonly finished: Promise<TransferResult>;
  readonly abort: () => void;
}

const MODE_OPTIONS: Readonly<Record<TransferMode, readonly string[]>> = {
  // Use the address that 227 announces: announcing a wrong one must fail here.
  passive: ['--disable-epsv', '--no-ftp-skip-pasv-ip'],
  'extended-passive': [],
  active: ['--ftp-port', '-', '--disable-eprt'],
  'extended-active': ['--ftp-port', '-'],
};
const POLL_MS = 20;
const WORDS_BYTES_MAX = 65_536;
const ARRIVALS_MAX = 20_000;
let serial = 0;

interface Files {
  /** Where curl leaves the server's whoami. */
  readonly whoami: string;
  /** Name of an upload below a server's root. */
  readonly upload: string;
}

/** curl's arguments: whoami first, then the transfer, on one control connection. */
export function curlArguments(request: TransferRequest, big: string, files: Files): string[] {
  const host = request.host ?? VIP;
  const url = `ftp://${host.includes(':') ? `[${host}]` : host}`;
  const common = [
    '--silent',
    '--show-error',
    '--verbose',
    '--connect-timeout',
    '20',
    '--interface',
    request.from,
    ...MODE_OPTIONS[request.mode],
  ];
  const first = [...common, '--output', files.whoami, `${url}/whoami`];
  if (request.kind === 'download') return [...first, '--output', '-', '--no-buffer', `${url}/big`];
  const pace = request.uploadBytesPerS === undefined ? [] : ['--limit-rate', String(request.uploadBytesPerS)];
  return [...first, '--next', ...common, ...pace, '--upload-file', big, `${url}/${files.upload}`];
}

/** Starts a transfer in the client's namespace. `scratch` is a directory for its small files. */
export function startTransfer(
  topology: Topology,
  ftp: FtpServers,
  scratch: string,
  request: TransferRequest,
): Transfer {
  const id = `${process.pid}-${serial++}`;
  const files: Files = { whoami: path.join(scratch, `whoami.${id}`), upload: `in/up-${id}` };
  const child = topology.start('client', 'curl', curlArguments(request, ftp.big.path, files), {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), request.timeoutMs);
  let progress = NO_PROGRESS;
  const arrivals: number[] = [];
  const see = (bytes: number): void => {
    const before = progress.bytes;
    progress = advance(progress, wallNow(), bytes);
    if (progress.bytes > before) arrivals.push(progress.lastAt);
    if (arrivals.length > ARRIVALS_MAX) arrivals.shift();
  };
  const ended = watchExit(child);
  const sha256 = request.kind === 'download' ? hashDownload(child, see) : watchUpload(child, ftp, files.upload, see);
  const finished = (async (): Promise<TransferResult> => {
    const [error, sum] = await Promise.all([ended, sha256]);
    clearTimeout(timer);
    const server = (await readFile(files.whoami, 'utf8').catch(() => '')).trim();
    return resultOf(request, progress, sum === ftp.big.sha256, server === '' ? null : server, error);
  })();
  const forgetStalls = (): void => {
    progress = withoutStalls(progress);
  };
  const abort = (): boolean => child.kill('SIGKILL');
  return { request, progress: () => progress, arrivals: () => arrivals, forgetStalls, finished, abort };
}

function resultOf(
  { kind, mode }: TransferRequest,
  { bytes, stallMs, stallAt }: Progress,
  sha256Ok: boolean,
  server: string | null,
  error: string | undefined,
): TransferResult {
  const stall = { stallMs: Math.round(stallMs), stallAt: stallAt ?? null };
  return { kind, mode, bytes, sha256Ok, ...stall, server, ...(error !== undefined && { error }) };
}

/** Resolves with undefined when curl ended well, else with its status and last words. */
async function watchExit(child: ChildProcess): Promise<string | undefined> {
  let words = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-WORDS_BYTES_MAX);
  });
  const status = await new Promise<string>(resolve => {
    child.on('error', error => resolve(error.message)).on('close', (code, signal) => resolve(signal ?? String(code)));
  });
  if (status === '0') return undefined;
  const lines = words.split(/\r?\n/).filter(line => /^(<|>|curl:|\*)/.test(line));
  return `curl ended with ${status}: ${lines.slice(-6).join(' | ')}`;
}

async function hashDownload(child: ChildProcess, see: (bytes: number) => void): Promise<string> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of child.stdout ?? []) {
    bytes += (chunk as Buffer).length;
    see(bytes);
    hash.update(chunk as Buffer);
  }
  return hash.digest('hex');
}

async function watchUpload(
  child: ChildProcess,
  ftp: FtpServers,
  name: string,
  see: (bytes: number) => void,
): Promise<string> {
  const candidates = ftp.servers.map(server => path.join(server.root, name));
  let found: string | undefined;
  const look = async (): Promise<void> => {
    for (const file of found === undefined ? candidates : [found]) {
      const size = (await stat(file).catch(() => undefined))?.size;
      if (size === undefined) continue;
      found = file;
      see(size);
    }
  };
  while (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    await look();
    await sleep(POLL_MS);
  }
  await look();
  return found === undefined ? '' : sha256Of(found);
}
