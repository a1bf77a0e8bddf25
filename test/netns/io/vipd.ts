// Two routers in network namespaces for the tests of vipd: a client LAN and a servers' LAN between them, vipd's process
// with its lines, and witnesses (addresses, packets). Namespaces are named after this process and removed by close().
import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beginStep } from '../../runner/step.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
export const VIPD = join(ROOT, 'dist/vipd-asan');
export const VIPD_PLAIN = join(ROOT, 'dist/vipd');
export const TRIAL = join(ROOT, 'dist/packet-lease-trial-asan');
export const TRIAL_PLAIN = join(ROOT, 'dist/packet-lease-trial');
const WIRE = join(ROOT, `dist/vipd-wire-${process.pid}`);

export const PORT = 694;
/** The virtual addresses of every test, by index: client LAN, then the servers' floating gateway. */
export const VIPS = ['192.0.2.100', '2001:db8:1::100', '198.51.100.1', '2001:db8:2::1'] as const;

/** Builds vipd (with and without sanitizers) and the test's own C programs. */
export async function buildAll(): Promise<void> {
  await run(join(ROOT, 'scripts/build-vipd'), ['--asan']);
  await run(join(ROOT, 'scripts/build-vipd'), []);
  const strict = ['-std=c17', '-D_GNU_SOURCE', '-O1', '-g', '-Wall', '-Wextra', '-Werror'];
  await run('cc', [...strict, '-o', WIRE, join(ROOT, 'test/netns/io/wire.c')]);
}

export async function removeBuilt(): Promise<void> {
  await rm(WIRE, { force: true });
}

/** CLOCK_MONOTONIC in microseconds, as vipd counts. */
export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

export function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}

/** A process whose output is kept as lines with the time (ms, monotonic) they came. */
export class Lines {
  readonly lines: { text: string; at: number }[] = [];
  readonly exited: Promise<number | string>;
  stderr = '';
  readonly child: ChildProcessWithoutNullStreams;
  #waiting = new Set<() => void>();

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.child = spawn(command, args, { env });
    let rest = '';
    this.child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      for (const text of parts) this.lines.push({ text, at: performance.now() });
      for (const wake of this.#waiting) wake();
    });
    this.child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      this.stderr += chunk;
    });
    this.child.stdin.on('error', () => {}); // a killed process: the tests look at its exit instead
    this.exited = new Promise(resolve =>
      this.child.on('close', (code, signal) => resolve(code ?? signal ?? 'unknown')),
    );
  }

  /** The first line from `from` on that matches; rejects after `timeoutMs`, quoting what came instead. */
  async line(pattern: RegExp, timeoutMs = 3_000, from = 0): Promise<string> {
    beginStep(`waits for ${pattern}`);
    const end = performance.now() + timeoutMs;
    for (;;) {
      const found = this.lines.slice(from).find(({ text }) => pattern.test(text));
      if (found) return found.text;
      const left = end - performance.now();
      if (left <= 0) throw new Error(`no ${pattern} in ${timeoutMs} ms; ${this.summary()}`);
      await new Promise<void>(resolve => {
        const wake = () => {
          clearTimeout(timer);
          this.#waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, left);
        this.#waiting.add(wake);
      });
    }
  }

  matching(pattern: RegExp): string[] {
    return this.lines.map(({ text }) => text).filter(text => pattern.test(text));
  }

  summary(): string {
    return `lines: ${JSON.stringify(this.lines.slice(-20).map(({ text }) => text))} stderr: ${this.stderr.slice(0, 2_000)}`;
  }
}

export type Mode = 'armed' | 'alone';

/** vipd in a namespace, driven as pulse drives it. */
export class Vipd extends Lines {
  seq = 0;
  /** The addresses that claims and renewals ask for, one bit each, as hexadecimal digits; at first all. */
  mask = 'f';
  #renewing: NodeJS.Timeout | undefined;

  send(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  /** Claims and waits for the answer, which it returns. `at` is microseconds ago. */
  async claim(epoch: string, leaseMs: number, mode: Mode = 'armed', keepMs = 2_000, agoMs = 0): Promise<string> {
    return await this.ask('claim', epoch, leaseMs, mode, keepMs, agoMs);
  }

  async renew(epoch: string, leaseMs: number, mode: Mode = 'armed', keepMs = 2_000, agoMs = 0): Promise<string> {
    return await this.ask('renew', epoch, leaseMs, mode, keepMs, agoMs);
  }

  async ask(verb: string, epoch: string, leaseMs: number, mode: Mode, keepMs: number, agoMs: number): Promise<string> {
    const seq = ++this.seq;
    this.send(`${verb} ${seq} ${epoch} ${nowUs() - agoMs * 1_000} ${leaseMs} ${mode} ${keepMs} ${this.mask}`);
    // How long the announcement of a claim took is another matter: announcedAfterUs().
    return (await this.line(new RegExp(`^(held|refused) ${seq} `))).replace(/^(held \S+ \S+) \d+$/, '$1');
  }

  /** Microseconds from each claim to its first announcement, as vipd tells them. */
  announcedAfterUs(): number[] {
    return this.matching(/^held \S+ \S+ \d+$/).map(line => Number(line.split(' ')[3]));
  }

  async release(epoch: string, how: 'will' | 'quiet'): Promise<string> {
    const seq = ++this.seq;
    this.send(`release ${seq} ${epoch} ${how}`);
    return await this.line(new RegExp(`^(released|refused) ${seq} `));
  }

  /** Renews every `everyMs` until stopRenewing(), as a healthy pulse does. */
  keepRenewing(epoch: string, leaseMs: number, mode: Mode = 'armed', keepMs = 2_000, everyMs = 100): void {
    const renew = () => this.send(`renew ${++this.seq} ${epoch} ${nowUs()} ${leaseMs} ${mode} ${keepMs} ${this.mask}`);
    renew();
    this.#renewing = setInterval(renew, everyMs);
  }

  stopRenewing(): void {
    clearInterval(this.#renewing);
  }

  /** Sends bytes that are no line. */
  raw(bytes: Buffer): void {
    this.child.stdin.write(bytes);
  }

  closePipe(): void {
    this.stopRenewing();
    this.child.stdin.end();
  }
}

let made = 0;

export class Pair {
  readonly a: string;
  readonly b: string;
  readonly dir: string;
  readonly #children: Lines[] = [];

  private constructor(a: string, b: string, dir: string) {
    this.a = a;
    this.b = b;
    this.dir = dir;
  }

  static async make(): Promise<Pair> {
    const stem = `tdm-vipd-${process.pid}-${++made}`;
    const pair = new Pair(`${stem}a`, `${stem}b`, await mkdtemp(join(tmpdir(), 'tandem-vipd-')));
    const { a, b } = pair;
    await run('ip', ['netns', 'add', a]);
    await run('ip', ['netns', 'add', b]);
    for (const [lan, net, net6] of [
      ['lan0', '192.0.2', '2001:db8:1:'],
      ['lan1', '198.51.100', '2001:db8:2:'],
    ] as const) {
      await run('ip', ['-n', a, 'link', 'add', lan, 'type', 'veth', 'peer', 'name', lan, 'netns', b]);
      for (const [ns, host] of [
        [a, '2'],
        [b, '3'],
      ] as const) {
        await run('ip', ['-n', ns, 'link', 'set', 'lo', 'up']);
        await run('ip', ['-n', ns, 'link', 'set', lan, 'up']);
        await run('ip', ['-n', ns, 'addr', 'add', `${net}.${host}/24`, 'dev', lan]);
        await run('ip', ['-n', ns, 'addr', 'add', `${net6}:${host}/64`, 'dev', lan, 'nodad']);
      }
    }
    return pair;
  }

  /** lan1 again, after it was deleted. */
  async remakeLan1(): Promise<void> {
    await run('ip', ['-n', this.a, 'link', 'add', 'lan1', 'type', 'veth', 'peer', 'name', 'lan1', 'netns', this.b]);
    for (const [ns, host] of [
      [this.a, '2'],
      [this.b, '3'],
    ] as const) {
      await run('ip', ['-n', ns, 'link', 'set', 'lan1', 'up']);
      await run('ip', ['-n', ns, 'addr', 'add', `198.51.100.${host}/24`, 'dev', 'lan1']);
      await run('ip', ['-n', ns, 'addr', 'add', `2001:db8:2::${host}/64`, 'dev', 'lan1', 'nodad']);
    }
  }

  get statePath(): string {
    return join(this.dir, 'vipd.state');
  }

  /** vipd's arguments on router a or b; b's state file is another one. */
  args(side: 'a' | 'b' = 'a'): string[] {
    const [own, other] = side === 'a' ? ['2', '3'] : ['3', '2'];
    const address = (vip: string, lan: string, mine: string) => ['--address', `${vip},${lan},${mine}`];
    return [
      ...['--state', side === 'a' ? this.statePath : `${this.statePath}.b`],
      ...address(VIPS[0], 'lan0', `192.0.2.${own}`),
      ...address(VIPS[1], 'lan0', `2001:db8:1::${own}`),
      ...address(VIPS[2], 'lan1', `198.51.100.${own}`),
      ...address(VIPS[3], 'lan1', `2001:db8:2::${own}`),
      ...['--link', `192.0.2.${own},192.0.2.${other},${PORT}`],
      ...['--link', `198.51.100.${own},198.51.100.${other},${PORT}`],
    ];
  }

  async vipd(side: 'a' | 'b' = 'a', args = this.args(side), binary = VIPD, env?: NodeJS.ProcessEnv): Promise<Vipd> {
    const vipd = new Vipd('ip', ['netns', 'exec', side === 'a' ? this.a : this.b, binary, ...args], env);
    const addresses = args.filter(argument => argument === '--address').length;
    vipd.mask = ((1n << BigInt(addresses)) - 1n).toString(16);
    this.#children.push(vipd);
    await vipd.line(/^hello /, 10_000);
    return vipd;
  }

  /** Runs vipd to its end: --cleanup, --help, usage errors. */
  async once(args: readonly string[]): Promise<{ code: number | string; lines: string[]; stderr: string }> {
    const once = new Lines('ip', ['netns', 'exec', this.a, VIPD, ...args]);
    this.#children.push(once);
    once.child.stdin.end();
    return { code: await once.exited, lines: once.lines.map(({ text }) => text), stderr: once.stderr };
  }

  /** Watches addresses and datagrams to the heartbeat port on a's `lan`. */
  async witness(lan = 'lan0'): Promise<Lines> {
    const witness = new Lines('ip', ['netns', 'exec', this.a, WIRE, 'watch', lan, String(PORT)]);
    this.#children.push(witness);
    await witness.line(/ ready$/);
    return witness;
  }

  /** Prints what comes to a service manager's socket. */
  async notifyListener(path: string): Promise<Lines> {
    const listener = new Lines(WIRE, ['notify', path, '-']);
    this.#children.push(listener);
    await listener.line(/ ready$/);
    return listener;
  }

  /** tcpdump on `lan` of the peer b, or of `ns`. */
  async capture(lan: string, filter: string, ns = this.b): Promise<Lines> {
    const options = ['-i', lan, '-n', '-e', '-v', '-l', '--immediate-mode', '-Z', 'root'];
    const capture = new Lines('ip', ['netns', 'exec', ns, 'tcpdump', ...options, filter]);
    this.#children.push(capture);
    for (let i = 0; i < 100 && !capture.stderr.includes('listening on'); i++) await sleep(20);
    return capture;
  }

  /** Starts a program in a namespace; ended by close(). */
  start(ns: string, command: string, ...args: string[]): Lines {
    const started = new Lines('ip', ['netns', 'exec', ns, command, ...args]);
    this.#children.push(started);
    return started;
  }

  async inject(lan: string, frame: Buffer): Promise<void> {
    await run('ip', ['netns', 'exec', this.b, WIRE, 'send', lan, frame.toString('hex')]);
  }

  async ip(ns: string, ...args: string[]): Promise<string> {
    return (await run('ip', ['-n', ns, ...args])).stdout;
  }

  /** Several commands of ip(8) in one process. */
  async batch(ns: string, commands: readonly string[]): Promise<void> {
    const child = new Lines('ip', ['-n', ns, '-batch', '-']);
    child.child.stdin.end(`${commands.join('\n')}\n`);
    const code = await child.exited;
    if (code !== 0) throw new Error(`ip -batch exited with ${code}: ${child.stderr}`);
  }

  /** Virtual addresses in the namespace, with their valid and preferred lifetimes in seconds. */
  async vips(ns = this.a): Promise<{ address: string; valid: number; preferred: number; prefix: number }[]> {
    const links = JSON.parse(await this.ip(ns, '-j', 'addr', 'show')) as {
      addr_info: { local: string; prefixlen: number; valid_life_time: number; preferred_life_time: number }[];
    }[];
    return links
      .flatMap(link => link.addr_info)
      .filter(({ local }) => (VIPS as readonly string[]).includes(local))
      .map(info => ({
        address: info.local,
        prefix: info.prefixlen,
        valid: info.valid_life_time,
        preferred: info.preferred_life_time,
      }));
  }

  /** Milliseconds until no virtual address is left; rejects after `timeoutMs`. */
  async goneAfter(timeoutMs: number, ns = this.a): Promise<number> {
    const start = performance.now();
    for (;;) {
      const left = await this.vips(ns);
      if (left.length === 0) return performance.now() - start;
      if (performance.now() - start > timeoutMs) throw new Error(`still there: ${JSON.stringify(left)}`);
      await sleep(10);
    }
  }

  async mac(ns: string, lan: string): Promise<string> {
    const [link] = JSON.parse(await this.ip(ns, '-j', 'link', 'show', 'dev', lan)) as { address: string }[];
    return link?.address ?? '';
  }

  async neighbour(ns: string, address: string): Promise<string | undefined> {
    const entries = JSON.parse((await this.ip(ns, '-j', 'neigh', 'show', address)) || '[]') as { lladdr?: string }[];
    return entries[0]?.lladdr;
  }

  async close(): Promise<void> {
    for (const child of this.#children) {
      if (child instanceof Vipd) child.stopRenewing();
      child.child.kill('SIGCONT');
      child.child.kill('SIGKILL');
      await child.exited;
    }
    await run('ip', ['netns', 'del', this.a]);
    await run('ip', ['netns', 'del', this.b]);
    await rm(this.dir, { recursive: true, force: true });
  }
}
