// What a lab scenario is, and the lab it runs in: a fresh topology, FTP servers and clients on demand, and a record of what was
// measured. Io. Every scenario starts from nothing and everything it started is ended for it.
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { startTransfer, type Transfer, type TransferRequest } from '../ftp/ftp-client.ts';
import { type FtpServers, type FtpServersOptions, startFtpServers } from '../ftp/ftp-servers.ts';
import { buildTopology, type Topology, type TopologyOptions } from '../pair/topology.ts';

export interface Lab {
  readonly topology: Topology;
  /** A directory of this scenario, on a file system of the lab. */
  readonly dir: string;
  /** A directory that outlives the lab: daemons' logs go here. */
  readonly results: string;
  /** Starts the three FTP servers, once. */
  readonly ftpServers: (options: Omit<FtpServersOptions, 'dir'>) => Promise<FtpServers>;
  readonly transfer: (ftp: FtpServers, request: TransferRequest) => Transfer;
  /** Tells the person who watches. */
  readonly say: (text: string) => void;
  /** Keeps a measured value with the scenario's result. */
  readonly record: (name: string, value: unknown) => void;
}

export interface Scenario {
  /** A sentence about behaviour. */
  readonly title: string;
  /** Longest time for it, on the lab's clock; default 90 s. */
  readonly timeoutMs?: number;
  /**
   * `real` where it is about how fast a processor is, which in virtual time is infinitely fast. Default: virtual time where the lab has it
   * (test/lab/lab: --time inf-cpu).
   */
  readonly time?: 'real';
  /** What its topology has besides the usual. */
  readonly topology?: TopologyOptions;
  /** Throws when the behaviour is not there. */
  readonly run: (lab: Lab) => Promise<void>;
}

export interface ScenarioResult {
  readonly title: string;
  readonly ok: boolean;
  readonly error?: string;
  readonly tookMs: number;
  readonly record: Readonly<Record<string, unknown>>;
}

const TIMEOUT_MS = 90_000;

/** Where results go: LAB_RUN, which test/lab/lab sets. */
export function resultsDirectory(): string {
  const directory = process.env.LAB_RUN;
  if (directory === undefined) throw new Error('LAB_RUN is not set: run this through test/lab/lab run');
  return directory;
}

/** A lab with a fresh topology; `close` ends everything in it. */
export async function openLab(
  name: string,
  say: (text: string) => void,
  record: Lab['record'] = () => undefined,
  options: TopologyOptions = {},
): Promise<Lab & { close: () => Promise<void> }> {
  const dir = path.join('/run/lab', name);
  const results = path.join(resultsDirectory(), name);
  await rm(dir, { recursive: true, force: true });
  await Promise.all([mkdir(dir, { recursive: true }), mkdir(results, { recursive: true })]);
  const topology = await buildTopology(options);
  return {
    topology,
    dir,
    results,
    ftpServers: options => startFtpServers(topology, { dir: path.join(dir, 'ftp'), ...options }),
    transfer: (ftp, request) => startTransfer(topology, ftp, dir, request),
    say,
    record,
    close: async () => {
      await topology.destroy();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Runs one scenario in a lab of its own, bounded, and never throws. */
export async function runScenario(
  scenario: Scenario,
  name: string,
  say: (text: string) => void,
): Promise<ScenarioResult> {
  const startedAt = performance.now();
  const record: Record<string, unknown> = {};
  let error: string | undefined;
  try {
    const keep = (key: string, value: unknown): void => {
      record[key] = value;
    };
    const lab = await openLab(name, say, keep, scenario.topology);
    try {
      await bounded(scenario.run(lab), scenario.timeoutMs ?? TIMEOUT_MS);
    } finally {
      await lab.close();
    }
  } catch (thrown) {
    error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  }
  const tookMs = Math.round(performance.now() - startedAt);
  return { title: scenario.title, ok: error === undefined, ...(error !== undefined && { error }), tookMs, record };
}

async function bounded(work: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${timeoutMs / 1000} s`)), timeoutMs);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
