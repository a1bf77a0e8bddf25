// r1 as a router with the shipped rules and settings, without any daemon, and the shipped SyncKernel in its namespace. Io.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { configSchema } from '../../../src/config/schema.ts';
import { wantedSysctls } from '../../../src/director/sysctl.ts';
import { firewallOf, ruleset } from '../../../src/firewall/ruleset.ts';
import type { EnsureResult } from '../../../src/sync/kernel/sync-kernel.ts';
import type { Entry, ServerEntryCounts } from '../../../src/sync/table/entry.ts';
import { EMULATION_TIMES, labConfig } from '../pair/config.ts';
import { GATEWAY, SERVER_ADDRESSES, VIP } from '../pair/topology.ts';
import type { Lab } from '../scenarios/scenario.ts';

export const VIP6 = '2001:db8:1::100';
export const SERVER6 = '2001:db8:2::11';
export const MARK6 = 26;

/** What the listener was told. */
export interface Told {
  readonly entries: readonly Entry[];
  readonly by: string;
  /** Wall time in ms. */
  readonly at: number;
}

export interface Rig {
  readonly ensure: () => Promise<EnsureResult>;
  readonly inject: (entries: readonly Entry[]) => Promise<{ readonly dropped: number; readonly tookMs: number }>;
  readonly readTable: () => Promise<readonly Entry[]>;
  readonly readCounts: () => Promise<readonly ServerEntryCounts[]>;
  readonly readActiveData: () => Promise<readonly Entry[]>;
  readonly counters: () => Promise<Readonly<Record<string, number>>>;
  readonly told: readonly Told[];
  readonly losses: readonly string[];
  /** The first telling of an entry that `fits`, by `by` or by anybody. */
  readonly untilTold: (what: string, fits: (entry: Entry) => boolean, by?: string, timeoutMs?: number) => Promise<Told>;
  /** How long the last call took inside. */
  readonly tookMs: () => number;
  readonly process: ChildProcess;
  readonly stop: () => void;
}

const CONFIG6 = `  ftp6:
    vip: ${VIP6}
    servers_lan: servers
    mark: ${MARK6}
    servers:
      fs1: { address: "${SERVER6}" }
`;

function configText(): string {
  const text = labConfig({ keyFile: '/nowhere', ...EMULATION_TIMES, more: CONFIG6 });
  return text.replace(`vips: [${VIP}]`, `vips: [${VIP}, "${VIP6}"]`);
}

/** Rules, settings, services and the VIP on r1. */
export async function makeRouter({ topology, dir }: Lab): Promise<void> {
  const text = configText();
  const config = configSchema.parse(parse(text));
  await writeFile(path.join(dir, 'tandem.yaml'), text);
  const servers = Object.values(SERVER_ADDRESSES).map(address => `-a -f 21 -r ${address}:0 -m -w 1`);
  const six = [`-A -f ${MARK6} -6 -s wlc -p 360`, `-a -f ${MARK6} -6 -r [${SERVER6}]:0 -m -w 1`];
  const table = ['-A -f 21 -s rr -p 360', ...servers, ...six, '--set 7200 120 0'];
  await topology.exec('r1', 'ipvsadm', ['-R'], { input: `${table.join('\n')}\n` });
  await topology.exec('r1', 'nft', ['-f', '-'], { input: ruleset(firewallOf(config, 'r1')) });
  const settings = wantedSysctls(config).filter(rule => rule.mode === 'set' && !rule.name.startsWith('net.core.'));
  await topology.exec('r1', 'sysctl', ['-qw', ...settings.map(({ name, value }) => `${name}=${value}`)]);
  const addresses = [`address add ${VIP}/32 dev c0`, `address add ${GATEWAY}/24 dev s0`];
  await topology.exec('r1', 'ip', ['-batch', '-'], { input: `${addresses.join('\n')}\n` });
}

/** Starts the SyncKernel in r1's namespace. */
export async function startRig({ topology, dir }: Lab): Promise<Rig> {
  const runner = path.resolve('dist/test/lab/kernel/sync-kernel-runner.js');
  const child = topology.start(
    'r1',
    process.execPath,
    ['--enable-source-maps', runner, path.join(dir, 'tandem.yaml')],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const told: Told[] = [];
  const losses: string[] = [];
  let tookMs = 0;
  const waiting: ((line: Record<string, unknown>) => void)[] = [];
  const ready = new Promise<void>((resolve, reject) => {
    child.on('close', code => reject(new Error(`the runner ended with ${code}`)));
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', text => {
      const line = JSON.parse(text) as Record<string, unknown>;
      if ('ready' in line) resolve();
      else if ('entries' in line) told.push(line as unknown as Told);
      else if ('lost' in line) losses.push(line.lost as string);
      else waiting.shift()?.(line);
    });
  });
  await ready;
  const call = async (name: string, ...args: unknown[]): Promise<{ result: unknown; tookMs: number }> => {
    const answer = new Promise<Record<string, unknown>>(resolve => waiting.push(resolve));
    child.stdin?.write(`${JSON.stringify({ call: name, args })}\n`);
    const line = await answer;
    if ('error' in line) throw new Error(`${name}: ${line.error}`);
    tookMs = line.tookMs as number;
    return { result: line.result, tookMs };
  };
  const ask = async <T>(name: string, ...args: unknown[]): Promise<T> => (await call(name, ...args)).result as T;
  return {
    ensure: () => ask('ensure'),
    inject: async entries => {
      const { result, tookMs } = await call('inject', entries);
      return { ...(result as { dropped: number }), tookMs };
    },
    readTable: () => ask('readTable'),
    readCounts: () => ask('readCounts'),
    readActiveData: () => ask('readActiveData'),
    counters: () => ask('counters'),
    told,
    losses,
    tookMs: () => tookMs,
    untilTold: async (what, fits, by, timeoutMs = 15_000) => {
      let found: Told | undefined;
      await until(
        what,
        async () => {
          found = told.find(one => (by === undefined || one.by === by) && one.entries.some(fits));
          return found !== undefined;
        },
        timeoutMs,
      );
      return found as unknown as Told;
    },
    process: child,
    stop: () => child.kill('SIGKILL'),
  };
}

export async function until(what: string, condition: () => Promise<boolean>, timeoutMs = 15_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (performance.now() < end) {
    if (await condition()) return;
    await sleep(50);
  }
  assert.fail(`not within ${timeoutMs / 1000} s: ${what}`);
}

/** One TCP end in a namespace (test/netns/io/tcp-peer.ts), with wall times of its events. */
export interface Peer {
  readonly say: (command: object) => void;
  readonly next: (
    event: string,
    timeoutMs?: number,
  ) => Promise<Readonly<Record<string, unknown>> & { readonly at: number }>;
  readonly end: () => void;
}

export function startPeer({ topology }: Lab, host: Parameters<Lab['topology']['namespace']>[0]): Peer {
  const script = path.resolve('dist/test/netns/io/tcp-peer.js');
  const child = spawn('nsenter', [`--net=/run/netns/${topology.namespace(host)}`, '--', process.execPath, script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const events: (Readonly<Record<string, unknown>> & { at: number })[] = [];
  createInterface({ input: child.stdout }).on('line', text => {
    events.push({ ...(JSON.parse(text) as Record<string, unknown>), at: performance.timeOrigin + performance.now() });
  });
  return {
    say: command => child.stdin.write(`${JSON.stringify(command)}\n`),
    next: async (event, timeoutMs = 15_000) => {
      await until(
        `${event}; seen: ${JSON.stringify(events)}`,
        async () => events.some(e => e.event === event),
        timeoutMs,
      );
      const index = events.findIndex(e => e.event === event);
      return events.splice(index, 1)[0] as Readonly<Record<string, unknown>> & { at: number };
    },
    end: () => child.kill('SIGKILL'),
  };
}
