// What the packet lease costs a packet: small UDP datagrams through a veth into a router with and without the gate, by turns in one
// run, so that the machine's other load meets both alike; the round trip of a ping; and vipd's own work for a renewal. Io.
import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { GATE_TABLE, packetLeaseRemoval, packetLeaseRules } from '../../src/firewall/packet-lease-rules.ts';
import type { Address } from '../../src/units/address.ts';
import { KEEP_MS, nft } from '../netns/io/packet-lease.ts';
import { Pair, sleep, VIPD_PLAIN, type Vipd } from '../netns/io/vipd.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const FLOOD = join(ROOT, `dist/flood-${process.pid}`);
const PORT = 9;
const LEASE_MS = 60_000;
const RENEWALS = 500;
/** Short bursts that other processes do not interrupt. */
const REAL_TIME = ['chrt', '--rr', '40'];
const OWN = '192.0.2.2';
const VIP = '192.0.2.100';

interface Case {
  readonly name: string;
  /** VIPs that the gate has on this interface; 0: no gate. */
  readonly vips: number;
  readonly open: boolean;
  readonly to: string;
}
const CASES: readonly Case[] = [
  { name: 'no gate', vips: 0, open: true, to: VIP },
  { name: 'gate, to the VIP', vips: 2, open: true, to: VIP },
  { name: 'gate of 16 VIPs, to the VIP', vips: 16, open: true, to: VIP },
  { name: 'gate, to another address', vips: 2, open: true, to: OWN },
  { name: 'gate shut, to the VIP', vips: 2, open: false, to: VIP },
];

interface Options {
  readonly rounds: number;
  readonly packets: number;
  readonly pings: number;
}

function rules(vips: number): string {
  const addresses = Array.from({ length: vips }, (_, i) => ({
    address: `192.0.2.${100 + i}` as Address,
    interface: 'lan0',
  }));
  return packetLeaseRules({
    addresses,
    leaseMs: LEASE_MS,
    keepMs: KEEP_MS,
    others: [],
    present: ['lo', 'lan0'],
    chains: [],
  });
}

/** Puts a case's rules in; vipd renews at once, so that the gate is open when it should be. */
async function prepare(pair: Pair, vipd: Vipd, { vips, open }: Case): Promise<void> {
  await nft(pair.a, ['-f', '-'], packetLeaseRemoval(GATE_TABLE) + (vips > 0 ? rules(vips) : ''));
  if (open) vipd.send('gate');
  await sleep(20);
}

/** Nanoseconds for a datagram, from the sender's call to the end of the receiver's kernel's work. */
async function flood(pair: Pair, to: string, packets: number): Promise<number> {
  const { stdout } = await run('ip', ['netns', 'exec', pair.b, ...REAL_TIME, FLOOD, to, String(PORT), String(packets)]);
  return Number(stdout);
}

/** Time for a ping and its answer, one after the other as fast as it goes, in microseconds. */
async function ping(pair: Pair, to: string, count: number): Promise<number> {
  const { stdout } = await run('ip', [
    'netns',
    'exec',
    pair.b,
    ...REAL_TIME,
    'ping',
    '-f',
    '-q',
    '-n',
    '-c',
    String(count),
    to,
  ]);
  return (Number(/ time (\d+)ms/.exec(stdout)?.[1] ?? NaN) * 1_000) / count;
}

/** Processor time of vipd for one renewal, in microseconds. */
async function renewal(vipd: Vipd): Promise<number> {
  const pid = Number((await run('pgrep', ['-n', '-f', `^${VIPD_PLAIN} --state`])).stdout);
  const spentNs = async () => Number((await readFile(`/proc/${pid}/schedstat`, 'utf8')).split(' ')[0]);
  const before = await spentNs();
  for (let i = 0; i < RENEWALS; i++) {
    await vipd.renew('7.1', LEASE_MS, 'armed');
    await sleep(1);
  }
  return ((await spentNs()) - before) / 1_000 / RENEWALS;
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;

interface Row {
  readonly name: string;
  readonly nsPerPacket: number;
  /** Of the same round's figure without the gate, median. */
  readonly ratio: number;
  readonly addedNs: number;
}

async function measure(pair: Pair, vipd: Vipd, { rounds, packets, pings }: Options) {
  const ns = CASES.map((): number[] => []);
  const us: { without: number[]; with: number[] } = { without: [], with: [] };
  for (let round = 0; round < rounds; round++) {
    process.stderr.write(`\rround ${round + 1} of ${rounds}`);
    // Every other round backwards: what drifts slowly meets all alike.
    const order = [...CASES.keys()];
    for (const i of round % 2 ? order.reverse() : order) {
      const one = CASES[i] as Case;
      await prepare(pair, vipd, one);
      ns[i]?.push(await flood(pair, one.to, packets));
      if (i === 0) us.without.push(await ping(pair, one.to, pings));
      if (i === 1) us.with.push(await ping(pair, one.to, pings));
    }
  }
  process.stderr.write('\n');
  const bare = ns[0] as number[];
  const rows = CASES.map(({ name }, i): Row => {
    const own = ns[i] as number[];
    const pairs = own.map((value, round) => [value, bare[round] as number] as const);
    return {
      name,
      nsPerPacket: median(own),
      ratio: median(pairs.map(([a, b]) => a / b)),
      addedNs: median(pairs.map(([a, b]) => a - b)),
    };
  });
  return { rows, pingUs: { without: median(us.without), with: median(us.with) } };
}

async function bench(options: Options) {
  await run('cc', [
    '-std=c17',
    '-D_GNU_SOURCE',
    '-O2',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-o',
    FLOOD,
    join(ROOT, 'test/bench/io/flood.c'),
  ]);
  const pair = await Pair.make();
  try {
    const args = ['--state', pair.statePath, '--address', `${VIP},lan0,${OWN}`];
    const vipd = await pair.vipd('a', args, VIPD_PLAIN);
    await vipd.claim('7.1', LEASE_MS, 'armed');
    vipd.keepRenewing('7.1', LEASE_MS, 'armed', 0, 5_000);
    // Nobody reads them: the socket fills up, and what comes then is counted and dropped, which costs always the same.
    const sink = pair.start(pair.a, FLOOD, 'sink', String(PORT));
    await sleep(200);
    const measured = await measure(pair, vipd, options);
    sink.child.kill('SIGKILL');
    vipd.stopRenewing();
    await prepare(pair, vipd, CASES[1] as Case);
    return { ...options, ...measured, renewalUs: await renewal(vipd) };
  } finally {
    await pair.close();
    await rm(FLOOD, { force: true });
  }
}

function table({ rows, pingUs, renewalUs }: Awaited<ReturnType<typeof bench>>): string {
  const line = (...cells: string[]) => `| ${cells.join(' | ')} |`;
  return [
    line('packets into the router', 'ns each', 'of no gate', 'added ns'),
    '|---|---|---|---|',
    ...rows.map(row => line(row.name, row.nsPerPacket.toFixed(0), row.ratio.toFixed(3), row.addedNs.toFixed(0))),
    '',
    `ping -f, a ping and its answer: ${pingUs.without.toFixed(1)} µs without, ${pingUs.with.toFixed(1)} µs with the gate (${(pingUs.with / pingUs.without).toFixed(3)})`,
    `vipd, processor time for a renewal with its frames: ${renewalUs.toFixed(0)} µs`,
  ].join('\n');
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '101' },
    packets: { type: 'string', default: '20000' },
    json: { type: 'string' },
  },
});
const result = await bench({ rounds: Number(values.rounds), packets: Number(values.packets), pings: 30_000 });
process.stdout.write(`${table(result)}\n`);
if (values.json) await writeFile(values.json, `${JSON.stringify(result, null, 2)}\n`);
