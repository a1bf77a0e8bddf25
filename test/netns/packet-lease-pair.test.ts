// Two real pulses with the packet lease, and a prober at the client that asks both routers by their MACs every few milliseconds: who
// lets packets for the VIP in, whatever addresses the kernels have. Needs root and `scripts/setup`.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { GATE_TABLE } from '../../src/firewall/packet-lease-rules.ts';
import { VIP } from '../lab/pair/topology.ts';
import { SLACK_MS } from './io/packet-lease.ts';
import { buildRouters, groupPids, type RouterOptions, type Routers, signalAll } from './io/routers.ts';
import { sleep, VIPD_PLAIN, Vipd } from './io/vipd.ts';

/** The defaults, as test/lab/pair/config.ts has them for the host's kernel. */
const [H_MS, L_MS, D_MS] = [100, 220, 300];

let built = 0;

async function withRouters(
  t: ExecutionContext,
  body: (routers: Routers) => Promise<void>,
  options: Partial<RouterOptions> = {},
): Promise<void> {
  t.timeout(90_000);
  built += 1;
  const routers = await buildRouters({ prefix: `tp${process.pid}-g${built}-`, ...options });
  try {
    routers.start('r1');
    routers.start('r2');
    await routers.settle('r1');
    await body(routers);
  } finally {
    if (!t.passed) for (const [name, pulse] of Object.entries(routers.pulses)) t.log(name, pulse?.log.slice(-12));
    await routers.destroy();
  }
}

/** Asks both routers for the VIP, each at its own MAC. */
class TwoWayProber {
  readonly #vipd: Vipd;
  readonly #macs: Readonly<Record<'r1' | 'r2', string>>;
  #timer: NodeJS.Timeout | undefined;
  #next = 0;

  private constructor(vipd: Vipd, macs: Readonly<Record<'r1' | 'r2', string>>) {
    this.#vipd = vipd;
    this.#macs = macs;
  }

  static async at(routers: Routers): Promise<TwoWayProber> {
    const { topology, directory } = routers;
    const macOf = async (router: 'r1' | 'r2') => {
      const { stdout } = await topology.exec(router, 'ip', ['-j', 'link', 'show', 'dev', 'c0']);
      return (JSON.parse(stdout) as { address: string }[])[0]?.address ?? '';
    };
    const state = join(directory, 'prober.state');
    const args = [VIPD_PLAIN, '--state', state, '--address', `${VIP},c0,192.0.2.10`];
    const vipd = new Vipd('ip', ['netns', 'exec', topology.namespace('client'), ...args]);
    await vipd.line(/^hello /);
    return new TwoWayProber(vipd, { r1: await macOf('r1'), r2: await macOf('r2') });
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#next += 1;
      for (const router of ['r1', 'r2'] as const)
        this.#vipd.send(`probe ${router}-${this.#next} 0 ${this.#macs[router]} 500`);
    }, 3);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await sleep(20);
    this.#vipd.closePipe();
    await this.#vipd.exited;
  }

  /** Times of a router's echoes, ms of performance.now(). */
  echoes(router: 'r1' | 'r2'): number[] {
    const mac = this.#macs[router];
    return this.#vipd.lines
      .filter(({ text }) => text.startsWith(`reply ${router}-`) && text.endsWith(`echo ${mac}`))
      .map(({ at }) => at);
  }
}

async function takenOver(routers: Routers): Promise<void> {
  await routers.until('r2 active', 5_000, async () => {
    const snapshot = await routers.snapshot('r2');
    return snapshot?.role === 'active' && snapshot.serving;
  });
}

const eventsOf = (routers: Routers, router: 'r1' | 'r2', code: string) =>
  routers.pulses[router]?.log.filter(line => line.code === code) ?? [];

for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
  test.serial(
    `${signal} of everything: the old owner is shut within L, the peer serves within L + D, never both`,
    async t => {
      await withRouters(t, async routers => {
        t.is(eventsOf(routers, 'r1', 'PACKET_LEASE_ON').length, 1);
        const prober = await TwoWayProber.at(routers);
        prober.start();
        await sleep(300);
        const pids = await groupPids(routers, 'r1');
        const at = performance.now();
        signalAll(pids, signal);
        await takenOver(routers);
        await sleep(1_000);
        const wokenAt = performance.now();
        if (signal === 'SIGSTOP') {
          signalAll(pids, 'SIGCONT');
          await routers.until('r1 standby', 5_000, async () => (await routers.snapshot('r1'))?.role === 'standby');
          await sleep(300);
        }
        await prober.stop();
        const last = Math.max(...prober.echoes('r1'));
        const first = Math.min(...prober.echoes('r2'));
        t.log(`r1 shut ${(last - at).toFixed(0)} ms, r2 open ${(first - at).toFixed(0)} ms after ${signal}`);
        t.true(last - at < L_MS + SLACK_MS, `r1 let packets in for ${last - at} ms`);
        t.true(first > last, 'never both');
        t.true(first - at < L_MS + D_MS, `r2 let packets in after ${first - at} ms`);
        t.deepEqual(
          prober.echoes('r1').filter(echo => echo > wokenAt),
          [],
          'nor when it woke',
        );
      });
    },
  );
}

test.serial('`nft flush ruleset` on the active router is noticed, repaired and told; nothing moves', async t => {
  await withRouters(t, async routers => {
    const prober = await TwoWayProber.at(routers);
    prober.start();
    await sleep(200);
    await routers.topology.exec('r1', 'nft', ['flush', 'ruleset']);
    await routers.until('repaired', 1_000, () => eventsOf(routers, 'r1', 'PACKET_LEASE_REPAIRED').length > 0);
    await sleep(500);
    await prober.stop();
    const echoes = prober.echoes('r1');
    const gap = Math.max(...echoes.slice(1).map((echo, i) => echo - (echoes[i] as number)));
    t.true(gap < H_MS, `the longest gap was ${gap.toFixed(0)} ms`);
    t.regex((await routers.topology.exec('r1', 'nft', ['list', 'tables'])).stdout, new RegExp(GATE_TABLE));
    t.is((await routers.snapshot('r1'))?.role, 'active');
    t.deepEqual(prober.echoes('r2'), []);
  });
});

test.serial('a clean stop of a router that holds nothing leaves no rules behind', async t => {
  await withRouters(t, async routers => {
    const tables = async (router: 'r1' | 'r2') =>
      (await routers.topology.exec(router, 'nft', ['list', 'tables'])).stdout;
    t.regex(await tables('r2'), new RegExp(GATE_TABLE));
    signalAll((await groupPids(routers, 'r2')).slice(1), 'SIGTERM');
    await routers.pulses.r2?.exited;
    t.notRegex(await tables('r2'), /tandem_gate/);
  });
});

test.serial('an nft that fails: both routers say so, and serve as they did without the packet lease', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-nft-'));
  mkdirSync(directory, { recursive: true });
  writeFileSync(
    join(directory, 'nft'),
    '#!/bin/sh\necho "Error: Could not process rule: Operation not supported" >&2\nexit 1\n',
  );
  chmodSync(join(directory, 'nft'), 0o755);
  try {
    await withRouters(
      t,
      async routers => {
        for (const router of ['r1', 'r2'] as const) {
          t.regex(String(eventsOf(routers, router, 'PACKET_LEASE_OFF')[0]?.reason), /Operation not supported/);
        }
        // As without it: the kernel drops the addresses by their lifetime, only then the peer takes over.
        signalAll(await groupPids(routers, 'r1'), 'SIGKILL');
        await takenOver(routers);
        t.deepEqual(routers.holders(), ['r2']);
        t.is(routers.overlapMs(), 0);
      },
      { env: { PATH: `${directory}:${process.env.PATH}` } },
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
