// What a client feels of a power loss, by phase, on the host's own kernel: cut → decision → address → neighbours → first packet
// forwarded → the TCP stream goes on. `scripts/bench stall` runs it. Io. The host needs no IPVS: packets are routed through the VIP
// and the floating gateway, so the way of the packets is the pair's, only the address translation is missing.
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CLIENT_ADDRESSES, ROUTERS, type Router, SERVER_ADDRESSES, VIP, wallNow } from '../lab/pair/topology.ts';
import { buildRouters, type Routers } from '../netns/io/routers.ts';

const HOST = fileURLToPath(new URL('./io/stall-host.js', import.meta.url));
const VIPD = fileURLToPath(new URL('../../vipd', import.meta.url));
const TIMES = { interval: '50ms', lease: '110ms', dead: '150ms' };
const PORT = 9_000;
const SERVER_LINK = ['tbf', 'rate', '20mbit', 'burst', '32k', 'latency', '50ms'];
const REAL_TIME = ['chrt', '--rr', '50'] as const;
/** First retransmission of TCP: RTO_MIN of the kernel (net/ipv4/tcp.h TCP_RTO_MIN), and twice that for the second one after it. */
const FIRST_STEP_MS = 200;
const SECOND_STEP_MS = 600;
/** A step is met when the stream goes on within this of it: RTO is counted from the last packet sent, plus the round trip. */
const STEP_SLACK_MS = 150;

interface Run {
  readonly cut: Router;
  /** Milliseconds after the cut; null: not seen. */
  readonly decidedMs: number | null;
  readonly heldMs: number | null;
  readonly forwardedMs: number | null;
  readonly streamMs: number | null;
  readonly stallMs: number | null;
  readonly survived: boolean;
}

interface Gap {
  readonly event: string;
  readonly from: number;
  readonly to: number;
}

function options(): { runs: number; json: string | undefined } {
  const args = process.argv.slice(2);
  const value = (name: string): string | undefined => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
  const runs = Number(value('--runs') ?? '20');
  if (!Number.isInteger(runs) || runs < 1 || runs > 1_000) throw new Error('--runs: write a number from 1 to 1000');
  return { runs, json: value('--json') };
}

function follow(child: ChildProcess): { events: Record<string, unknown>[]; end: () => void } {
  const events: Record<string, unknown>[] = [];
  if (child.stdout) createInterface({ input: child.stdout }).on('line', line => events.push(JSON.parse(line)));
  return { events, end: () => child.stdin?.end() };
}

async function prepare(routers: Routers): Promise<void> {
  const { topology } = routers;
  // A transfer is limited by its link, not by its sender: what is in flight at the cut is a full window.
  await topology.exec('fs1', 'tc', ['qdisc', 'replace', 'dev', 's0', 'root', ...SERVER_LINK]);
  for (const router of ROUTERS) {
    await topology.exec(router, 'sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
    routers.start(router);
  }
  await topology.exec('client', 'ip', ['route', 'add', '198.51.100.0/24', 'via', VIP]);
}

async function measure(routers: Routers, active: Router): Promise<Run> {
  const { topology } = routers;
  const taker: Router = active === 'r1' ? 'r2' : 'r1';
  const args = [process.execPath, HOST, 'client', CLIENT_ADDRESSES[0], SERVER_ADDRESSES.fs1, `${PORT}`];
  const child = topology.start('client', 'chrt', ['--rr', '55', ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const client = follow(child);
  try {
    await routers.until('the stream runs', 5_000, () => client.events.some(({ event }) => event === 'connected'));
    // The phase of the heartbeats at the cut is random.
    await sleep(1_000 + Math.random() * 200);
    const { at } = await topology.cutPower(active);
    await sleep(2_500);
    const gap = (name: string): Gap | undefined =>
      (client.events as unknown as Gap[]).find(({ event, from, to }) => event === name && to > at && from < at + 100);
    const [probe, stream] = [gap('probe-gap'), gap('stream-gap')];
    const decision = (await routers.snapshot(taker))?.decisions.findLast(({ to }) => to === 'claiming');
    const since = (time: number | undefined): number | null => (time === undefined ? null : round(time - at));
    return {
      cut: active,
      decidedMs: since(decision && Date.parse(decision.at)),
      heldMs: since(routers.heldAt(taker, at)),
      forwardedMs: since(probe?.to),
      streamMs: since(stream?.to),
      stallMs: stream ? round(stream.to - stream.from) : null,
      survived: !client.events.some(({ event }) => event === 'broken' || event === 'closed'),
    };
  } finally {
    client.end();
    child.kill('SIGKILL');
  }
}

const round = (ms: number): number => Math.round(ms * 10) / 10;

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

function summary(runs: readonly Run[]) {
  const phases = ['decidedMs', 'heldMs', 'forwardedMs', 'streamMs', 'stallMs'] as const;
  const of = (phase: (typeof phases)[number]): number[] =>
    runs.map(run => run[phase]).filter((value): value is number => value !== null);
  const stalls = of('stallMs');
  return {
    runs: runs.length,
    survived: runs.filter(({ survived }) => survived).length,
    atFirstStep: stalls.filter(stall => stall < FIRST_STEP_MS + STEP_SLACK_MS).length,
    atSecondStep: stalls.filter(
      stall => stall >= FIRST_STEP_MS + STEP_SLACK_MS && stall < SECOND_STEP_MS + STEP_SLACK_MS,
    ).length,
    phases: Object.fromEntries(
      phases.map(phase => [
        phase,
        {
          p50: quantile(of(phase), 0.5),
          p99: quantile(of(phase), 0.99),
          max: Math.max(...of(phase)),
          seen: of(phase).length,
        },
      ]),
    ),
  };
}

function table(result: ReturnType<typeof summary>): string {
  const names: Record<string, string> = {
    decidedMs: 'the standby decides',
    heldMs: 'its kernel has the VIP',
    forwardedMs: 'first packet through it answered',
    streamMs: 'the TCP stream goes on',
    stallMs: 'longest silence of the stream',
  };
  const rows = Object.entries(result.phases).map(
    ([name, { p50, p99, max }]) => `| ${names[name]} | ${p50} | ${p99} | ${max} |`,
  );
  return ['| ms after the power cut | p50 | p99 | max |', '|---|---|---|---|', ...rows].join('\n');
}

async function main(): Promise<void> {
  const { runs, json } = options();
  if (!existsSync(VIPD)) throw new Error('dist/vipd is missing; run scripts/build');
  const routers = await buildRouters({
    prefix: `stall${process.pid}-`,
    times: TIMES,
    vipd: VIPD,
    scheduling: REAL_TIME,
  });
  const done: Run[] = [];
  try {
    await prepare(routers);
    const server = routers.topology.start('fs1', process.execPath, [HOST, 'server', SERVER_ADDRESSES.fs1, `${PORT}`], {
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    server.on('error', error => process.stderr.write(`${error.message}\n`));
    let active: Router = 'r1';
    for (let run = 1; run <= runs; run += 1) {
      await routers.settle(active);
      const result = await measure(routers, active);
      done.push(result);
      process.stderr.write(`[${run}/${runs}] ${JSON.stringify(result)}\n`);
      await routers.reboot(active);
      await routers.topology.exec(active, 'sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
      routers.start(active);
      active = active === 'r1' ? 'r2' : 'r1';
    }
  } finally {
    await routers.destroy();
  }
  const result = { at: new Date(wallNow()).toISOString(), times: TIMES, ...summary(done) };
  if (json !== undefined) await writeFile(json, `${JSON.stringify({ ...result, all: done }, null, 2)}\n`);
  process.stdout.write(
    `${table(result)}\n${result.survived} of ${done.length} streams survived; ${result.atFirstStep} went on at TCP's first retransmission (200 ms), ${result.atSecondStep} at the second\n`,
  );
  process.exitCode = result.survived === done.length ? 0 : 1;
}

await main().catch((error: Error) => {
  process.stderr.write(`bench stall: ${error.message}\n`);
  process.exitCode = 70;
});
