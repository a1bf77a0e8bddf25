// The soak's eyes on the client LAN: vip-watch.c in the client's namespace, its answers gathered until they are taken. Io.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CLIENT_ADDRESSES, ROUTERS, type Router, type Topology, VIP } from '../../lab/pair/topology.ts';
import { type Answer, parseAnswer, parseStall, type Stall } from '../../soak/evidence.ts';

const run = promisify(execFile);
const HERE = fileURLToPath(new URL('../../../../test/netns/io/', import.meta.url));
/** Answers kept if nobody takes them: more than come in the longest fault. */
const ANSWERS_MAX = 100_000;

/** The tests' own C programs: `watch` (vip-watch.c) and `wire` (wire.c). */
export interface Tools {
  /** Where they are; goes with them. */
  readonly directory: string;
  readonly watch: string;
  readonly wire: string;
  remove(): Promise<void>;
}

export async function buildTools(): Promise<Tools> {
  const directory = await mkdtemp(join(tmpdir(), 'tandem-tools-'));
  const strict = ['-std=c17', '-D_GNU_SOURCE', '-O1', '-g', '-Wall', '-Wextra', '-Werror'];
  const [watch, wire] = [join(directory, 'vip-watch'), join(directory, 'wire')];
  await run('cc', [...strict, '-o', watch, join(HERE, 'vip-watch.c')]);
  await run('cc', [...strict, '-o', wire, join(HERE, 'wire.c')]);
  return { directory, watch, wire, remove: () => rm(directory, { recursive: true, force: true }) };
}

export interface Watch {
  /** The routers' MACs on the client LAN. */
  readonly macs: Readonly<Record<Router, string>>;
  /** What came since the last call. */
  take(): { readonly answers: readonly Answer[]; readonly stalls: readonly Stall[] };
  /** Of its whole life. */
  longestStallMs(): number;
  /** Why it ended, if it did. */
  ended(): string | undefined;
  end(): void;
}

export async function startWatch(topology: Topology, tools: Tools): Promise<Watch> {
  const [r1, r2] = await Promise.all(ROUTERS.map(router => macOf(topology, router)));
  const macs = { r1: r1 as string, r2: r2 as string };
  // In the real-time class: an answer not asked for in time would look like a silence. Just below pulse's own priority: a machine on
  // which others starve pulse is then seen to stand still, one on which pulse starves itself is not.
  const args = ['--rr', '49', tools.watch, 'c0', CLIENT_ADDRESSES[0], VIP, macs.r1, macs.r2];
  const child = topology.start('client', 'chrt', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  let answers: Answer[] = [];
  let stalls: Stall[] = [];
  let longestStallMs = 0;
  let pending = '';
  let ended: string | undefined;
  child.on('error', error => {
    ended = error.message;
  });
  child.on('exit', (code, signal) => {
    ended ??= `ended with ${signal ?? code}`;
  });
  child.stdin?.on('error', () => undefined);
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (pending + text).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) {
      const answer = parseAnswer(line);
      if (answer && answers.length < ANSWERS_MAX) answers.push(answer);
      const stall = answer ? undefined : parseStall(line);
      longestStallMs = Math.max(longestStallMs, stall?.ms ?? 0);
      if (stall && stalls.length < ANSWERS_MAX) stalls.push(stall);
    }
  });
  return {
    macs,
    take() {
      const taken = { answers, stalls };
      answers = [];
      stalls = [];
      return taken;
    },
    longestStallMs: () => longestStallMs,
    ended: () => ended,
    end: () => child.stdin?.end(),
  };
}

async function macOf(topology: Topology, router: Router): Promise<string> {
  const { stdout } = await topology.exec(router, 'ip', ['-o', 'link', 'show', 'c0']);
  const mac = /link\/ether ([0-9a-f:]{17})/.exec(stdout)?.[1];
  if (mac === undefined) throw new Error(`${router} has no c0: ${stdout}`);
  return mac;
}
