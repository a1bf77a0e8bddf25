// The packet lease in the tests' namespaces: its rules put in as pulse does, and a prober on the peer that asks every few
// milliseconds by echo, ARP and neighbour solicitation and notes what is answered when. Io, for the tests beside it.
import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { chainsIn, GATE_TABLE, packetLeaseRules } from '../../../src/firewall/packet-lease-rules.ts';
import type { Address } from '../../../src/units/address.ts';
import { type Pair, sleep, VIPS, type Vipd } from './vipd.ts';

const run = promisify(execFile);

export const LEASE_MS = 220;
export const KEEP_MS = 2_000;
/** The kernel counts in jiffies (4 ms at 250 Hz); and the processes of the test wait for each other. */
export const SLACK_MS = 30;

const INTERFACES = ['lan0', 'lan0', 'lan1', 'lan1'];
export const ADDRESSES = VIPS.map((address, i) => ({
  address: address as Address,
  interface: INTERFACES[i] as string,
}));

/** Runs nft in a namespace. */
export async function nft(ns: string, args: readonly string[], input = ''): Promise<string> {
  const child = spawn('ip', ['netns', 'exec', ns, 'nft', ...args]);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => undefined); // it reads none unless told to
  child.stdin.end(input);
  const code = await new Promise(resolve => child.on('close', resolve));
  if (code !== 0) throw new Error(`nft ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** Puts the gate in on router a, or brings it up to date. */
export async function installGate(pair: Pair, leaseMs = LEASE_MS, keepMs = KEEP_MS, ns = pair.a): Promise<void> {
  const listing = await nft(ns, ['list', 'table', 'netdev', GATE_TABLE]).catch(() => '');
  const interfaces = { others: ['lan0', 'lan1'], present: ['lo', 'lan0', 'lan1'] };
  const plan = { addresses: ADDRESSES, leaseMs, keepMs, ...interfaces, chains: chainsIn(listing) };
  await nft(ns, ['-f', '-'], packetLeaseRules(plan));
}

/** vipd on router a with the gate installed. */
export async function gatedVipd(pair: Pair, leaseMs = LEASE_MS, keepMs = KEEP_MS): Promise<Vipd> {
  await installGate(pair, leaseMs, keepMs);
  return await pair.vipd('a', [...pair.args('a'), '--gate']);
}

/** Asks for every address again and again from router b. */
export class Prober {
  readonly #vipd: Vipd;
  readonly #macs: readonly string[];
  readonly #asked = new Set<string>();
  #next = 0;

  private constructor(vipd: Vipd, macs: readonly string[]) {
    this.#vipd = vipd;
    this.#macs = macs;
  }

  static async on(pair: Pair): Promise<Prober> {
    const macs = [await pair.mac(pair.a, 'lan0'), await pair.mac(pair.a, 'lan1')];
    return new Prober(await pair.vipd('b'), macs);
  }

  /** One question for every address, then the next after `everyMs`, for `forMs`. */
  async ask(forMs: number, everyMs = 4): Promise<void> {
    const end = performance.now() + forMs;
    while (performance.now() < end) {
      const id = `p${++this.#next}`;
      this.#asked.add(id);
      for (const i of VIPS.keys()) this.#vipd.send(`probe ${id} ${i} ${this.#macs[i < 2 ? 0 : 1]} 500`);
      await sleep(everyMs);
    }
    await sleep(20);
  }

  /** Questions for an address that got no echo. */
  unanswered(index: number): string[] {
    const told = new Set(this.#vipd.matching(/^reply \S+ \d+ echo/).map(line => line.split(' ').slice(1, 3).join(' ')));
    return [...this.#asked].filter(id => !told.has(`${id} ${index}`));
  }

  get questions(): number {
    return this.#asked.size;
  }

  /** Milliseconds from `since` to the last answer for an address; undefined when there was none after it. */
  last(index: number, via: 'echo' | 'arp', since: number): number | undefined {
    const pattern = new RegExp(`^reply \\S+ ${index} ${via} `);
    const line = this.#vipd.lines.findLast(({ text, at }) => pattern.test(text) && at >= since);
    return line && line.at - since;
  }
}

/** One ping by the namespace's own kernel. */
export async function pings(ns: string, address: string): Promise<boolean> {
  return await run('ip', ['netns', 'exec', ns, 'ping', '-n', '-c', '1', '-W', '0.2', address]).then(
    () => true,
    () => false,
  );
}

/** Whether the neighbour resolves for a kernel that has forgotten it. */
export async function resolves(pair: Pair, index: number): Promise<boolean> {
  const address = VIPS[index] as string;
  await pair.ip(pair.b, 'neigh', 'flush', 'to', address);
  await pings(pair.b, address);
  return (await pair.neighbour(pair.b, address)) !== undefined;
}
