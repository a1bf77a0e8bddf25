// What this host adds to a support bundle: listings of the kernel, the journal, versions. Not pure;
// each is bounded in time and size, and one that cannot be had says why in its own place.
import { constants } from 'node:fs';
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { type CommandResult, run } from '../../command/io/run-command.ts';
import { HISTORY_FILES, HOOKS_FILE, JOURNAL_DIRECTORY } from '../../feed/files.ts';
import { environmentSecrets } from '../redaction.ts';

/** A file of the bundle. */
export interface BundlePart {
  readonly name: string;
  readonly text: string;
}

const LISTING_MS = 10_000;
const BYTES_MAX = 8_388_608;
const JOURNAL_LINES = '5000';

const LISTINGS: readonly (readonly [name: string, program: string, ...args: string[]])[] = [
  ['ip-address.json', 'ip', '-j', '-d', '-s', 'address', 'show'],
  ['ip-route.txt', 'ip', 'route', 'show', 'table', 'all'],
  ['ip-rule.txt', 'ip', 'rule', 'show'],
  ['ip-neighbour.txt', 'ip', 'neighbour', 'show'],
  ['nft.txt', 'nft', '-t', 'list', 'ruleset'],
  ['ipvsadm.txt', 'ipvsadm', '--list', '--numeric', '--stats'],
  ['ipvsadm-daemon.txt', 'ipvsadm', '--list', '--daemon'],
  ...['tandem-pulse', 'tandem-director', 'tandem-runner'].map(
    unit =>
      [
        `journal-${unit}.txt`,
        ...['journalctl', '--no-pager', '--output', 'short-iso', '--lines', JOURNAL_LINES, '--unit', unit],
      ] as [string, string, ...string[]],
  ),
  ['versions/kernel.txt', 'uname', '-srvm'],
  ['versions/ip.txt', 'ip', '-V'],
  ['versions/nft.txt', 'nft', '--version'],
  ['versions/ipvsadm.txt', 'ipvsadm', '--version'],
];

export async function hostParts(): Promise<BundlePart[]> {
  const listings = LISTINGS.map(async ([name, program, ...args]) => ({ name, text: await listing(program, args) }));
  const files = ['/etc/os-release', '/proc/modules', '/proc/loadavg', '/proc/meminfo'].map(async file => {
    const text = await readFile(file, 'utf8').catch((error: Error) => `could not look: ${error.message}\n`);
    return { name: `host/${file.split('/').at(-1)}.txt`, text: text.slice(0, BYTES_MAX) };
  });
  return await Promise.all([...listings, ...files]);
}

async function listing(program: string, args: readonly string[]): Promise<string> {
  try {
    const limits = { timeoutMs: LISTING_MS, outputBytesMax: BYTES_MAX };
    const { status, stdout, stderr }: CommandResult = await run(program, args, limits);
    return status === 0 ? stdout || stderr : `could not look: ${program} ended with ${status}: ${stderr}\n${stdout}`;
  } catch (error) {
    return `could not look: ${(error as Error).message}\n`;
  }
}

/** The newest journals for `tandem replay`; pulse keeps at most 8 MiB. */
const REPLAYS_MAX = 3;
const REPLAY_BYTES_MAX = 16_777_216;

/** What the director keeps: decisions of weeks, the newest journals, what hooks have to send. */
export async function keptParts(stateDir: string, runDir: string): Promise<BundlePart[]> {
  const directory = join(stateDir, JOURNAL_DIRECTORY);
  const names = (await readdir(directory).catch(() => [])).filter(name => name.endsWith('.jsonl.gz')).sort();
  const history = Object.values(HISTORY_FILES).map(name => kept(name, join(stateDir, name)));
  const journals = names
    .slice(-REPLAYS_MAX)
    .map(name => kept(join(JOURNAL_DIRECTORY, name.slice(0, -'.gz'.length)), join(directory, name), unzip));
  return await Promise.all([...history, kept(HOOKS_FILE, join(runDir, HOOKS_FILE)), ...journals]);
}

const unzip = (bytes: Buffer) => promisify(gunzip)(bytes, { maxOutputLength: REPLAY_BYTES_MAX });

async function kept(name: string, path: string, read = async (bytes: Buffer) => bytes): Promise<BundlePart> {
  try {
    return { name, text: (await read(await readFile(path))).toString('utf8') };
  } catch (error) {
    return { name, text: `could not look: ${(error as Error).message}\n` };
  }
}

/** Those of this process' environment. */
export function ownEnvironmentSecrets(): string[] {
  return environmentSecrets(process.env);
}

const SECRET_BYTES_MAX = 65_536;

/** What is in these secret files: to be looked for, never to be kept. */
export async function secretFileTexts(files: readonly string[]): Promise<string[]> {
  const texts: string[] = [];
  // One after the other: there may be more files than a process may have open.
  for (const file of new Set(files)) texts.push(await secretFileText(file).catch(() => ''));
  return texts.filter(text => text !== '');
}

/** Of a regular file at most 64 KiB: a FIFO or a device in that place must not hang the bundle. */
async function secretFileText(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await file.stat()).isFile()) return '';
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SECRET_BYTES_MAX), 0, SECRET_BYTES_MAX, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
