// The packet lease of pulse: puts the gate's rules in, finds out before the first heartbeat whether
// this kernel does what they ask for, and puts them back when vipd says that they are gone. Not
// pure. Every step is bounded; nothing of it is waited for once the election runs. Without it the
// router works as ever, and says so.

import { type Run, run } from '../../command/io/run-command.ts';
import { type LanInterface, realNames, relevantNames } from '../../firewall/interfaces.ts';
import { interfaceNames, readInterfaces } from '../../firewall/io/interfaces.ts';
import { removePacketLeaseRecord, writePacketLeaseRecord } from '../../firewall/io/packet-lease-record.ts';
import {
  chainsIn,
  GATE_FAMILY,
  GATE_TABLE,
  GATE_TRIAL_TABLE,
  interfacesOf,
  type PacketLeaseAddress,
  type PacketLeasePlan,
  packetLeaseRemoval,
  packetLeaseRules,
  TRIAL_MS,
  trialRules,
  withoutElements,
} from '../../firewall/packet-lease-rules.ts';
import type { Log } from '../../log/log.ts';
import { monotonicNow } from '../../units/io/clocks.ts';
import type { VipdMessage } from '../../vip/protocol.ts';

/** All of the start together, and each repair, in ms. */
const WORK_MS_MAX = 1_800;
/** Trials that must fail before the kernel counts as one that cannot. */
const TRIES_MAX = 3;
/** How often it is looked whether an interface of ours has come, gone or changed its name. */
const NAMES_EVERY_MS = 1_000;
/** Cleaning up gets at least this, in ms. */
const REMOVE_MS_MIN = 200;

interface PacketLeaseOptions {
  /** `heartbeat.packet_lease` is not off. */
  readonly wanted: boolean;
  /** By the names of the config. */
  readonly addresses: readonly PacketLeaseAddress[];
  /** The interfaces of all LANs, with this router's own addresses there. */
  readonly lans: readonly LanInterface[];
  readonly leaseMs: number;
  readonly keepMs: number;
  /** Where the director reads what was put in. */
  readonly runDir: string;
  /** Path of the program that sends the trial's frames. */
  readonly trialProgram: string;
  readonly log: Log;
  readonly runCommand?: Run;
}

export interface PacketLease {
  /** vipd is to watch the rules. */
  readonly installed: boolean;
  /** They are in now. */
  readonly inForce: boolean;
  /**
   * Takes notice of what vipd says: repairs in the background, then has `say` tell vipd to renew at
   * once.
   */
  hear(message: VipdMessage, say: (line: string) => void): void;
  /**
   * Makes the rules for another lease; resolves when they are in, or none are. Its answers come in
   * the order of the calls.
   */
  retime(leaseMs: number): Promise<void>;
  /** At the end: removes the table unless addresses stay in the kernel, whose lease it then is. */
  close(): Promise<void>;
}

/** Resolves within some two seconds, whatever nft does. */
export async function openPacketLease(options: PacketLeaseOptions): Promise<PacketLease> {
  const shell = shellOf(options);
  const { log, addresses } = options;
  const left = timeLeft();
  const began = monotonicNow();
  const wanted = options.wanted && addresses.length > 0;
  try {
    if (!wanted) throw new Error('not wanted');
    await shell.trial(left);
    await shell.install(left);
    const tookMs = Math.round(monotonicNow() - began);
    log.event('PACKET_LEASE_ON', { interfaces: interfacesOf(addresses).join(' '), tookMs });
    return new RunningPacketLease(shell, options);
  } catch (error) {
    // Whatever an earlier life left would shut the addresses out.
    await shell.remove(left);
    if (wanted) log.event('PACKET_LEASE_OFF', { reason: reasonOf(error) });
    const nothing = async () => undefined;
    return { installed: false, inForce: false, hear: () => undefined, retime: nothing, close: nothing };
  }
}

class RunningPacketLease implements PacketLease {
  readonly installed = true;
  readonly #shell: Shell;
  readonly #options: PacketLeaseOptions;
  #holding = false;
  #off = false;
  #closed = false;
  #repairing = false;
  /** Told during a repair that may have been past it; vipd says it again only after a second. */
  #lostMeanwhile: (() => void) | undefined;
  #repair: Promise<void> = Promise.resolve();
  #retimed: Promise<void> = Promise.resolve();
  readonly #names: NodeJS.Timeout;

  constructor(shell: Shell, options: PacketLeaseOptions) {
    this.#shell = shell;
    this.#options = options;
    this.#names = setInterval(() => void this.#followNames(), NAMES_EVERY_MS).unref();
  }

  get inForce(): boolean {
    return !this.#off;
  }

  hear(message: VipdMessage, say: (line: string) => void): void {
    if (message.type === 'held' || (message.type === 'hello' && message.held > 0)) this.#holding = true;
    if (message.type === 'released' || message.type === 'expired') this.#holding = false;
    if (message.type === 'gate') this.#startRepair(message.lost, say);
  }

  #startRepair(what: string, say: (line: string) => void): void {
    if (this.#closed) return;
    if (this.#repairing) {
      this.#lostMeanwhile = () => this.#startRepair(what, say);
      return;
    }
    this.#repairing = true;
    this.#repair = this.#repairNow(what, say).finally(() => {
      this.#repairing = false;
      const again = this.#lostMeanwhile;
      this.#lostMeanwhile = undefined;
      again?.();
    });
  }

  /**
   * A chain stays with the interface, or with the name, as the kernel's version has it: it is put
   * in anew under the new name.
   */
  async #followNames(): Promise<void> {
    if (this.#repairing || this.#off || !(await this.#shell.namesChanged().catch(() => false))) return;
    // The sets are kept, so that the lease that runs goes on: nothing is to be said to vipd.
    if (!this.#repairing && !this.#off) this.#startRepair('names', () => undefined);
  }

  async #repairNow(what: string, say: (line: string) => void): Promise<void> {
    const { log, addresses } = this.#options;
    const left = timeLeft();
    const began = monotonicNow();
    try {
      await this.#shell.install(left);
      // At once: until vipd has renewed it, a new table lets nothing in.
      say('gate');
      if (what === 'shut' || what === 'lo') await this.#shell.trial(left);
      const tookMs = Math.round(monotonicNow() - began);
      if (this.#off) log.event('PACKET_LEASE_ON', { interfaces: interfacesOf(addresses).join(' '), tookMs });
      else if (what !== 'lease') log.event('PACKET_LEASE_REPAIRED', { what, tookMs });
      this.#off = false;
    } catch (error) {
      // A gate that cannot be opened is worse than none.
      await this.#shell.remove(left);
      if (!this.#off) log.event('PACKET_LEASE_OFF', { reason: reasonOf(error) });
      this.#off = true;
    }
  }

  retime(leaseMs: number): Promise<void> {
    // From here on every repair makes them for it; those under way may not.
    const before = [this.#repair, this.#retimed];
    this.#shell.retime(leaseMs);
    this.#retimed = (async () => {
      await Promise.all(before);
      // The sets are kept, so that the lease that runs goes on: nothing is to be said to vipd.
      if (!this.#off) await this.#repairNow('lease', () => undefined);
    })();
    return this.#retimed;
  }

  async close(): Promise<void> {
    clearInterval(this.#names);
    this.#closed = true;
    await Promise.all([this.#repair, this.#retimed]);
    if (!this.#holding) await this.#shell.remove(timeLeft());
  }
}

/** Each of these is given the time that is left. */
interface Shell {
  install(left: TimeLeft): Promise<void>;
  /** The lease that rules are made for from now on. */
  retime(leaseMs: number): void;
  /** Whether the names that the rules were made with are not those of now. */
  namesChanged(): Promise<boolean>;
  trial(left: TimeLeft): Promise<void>;
  remove(left: TimeLeft): Promise<void>;
}

/** Milliseconds until all must be done, at least `floor`. */
type TimeLeft = (floor?: number) => number;

function timeLeft(): TimeLeft {
  const end = monotonicNow() + WORK_MS_MAX;
  return (floor = 1) => Math.max(floor, Math.ceil(end - monotonicNow()));
}

function shellOf({
  addresses,
  lans,
  keepMs,
  runDir,
  trialProgram,
  runCommand = run,
  ...options
}: PacketLeaseOptions): Shell {
  const nft = async (args: readonly string[], timeoutMs: number, input?: string): Promise<string> => {
    const result = await runCommand('nft', args, { timeoutMs, ...(input !== undefined && { input }) });
    if (result.status === 0) return result.stdout;
    throw new Error(`nft: ${result.stderr.trim().split('\n').slice(0, 2).join(' | ').slice(0, 300)}`);
  };
  const apply = async (text: string, timeoutMs: number) => {
    await nft(['-f', '-'], timeoutMs, text);
  };
  const list = (left: TimeLeft) => nft(['-s', 'list', 'table', GATE_FAMILY, GATE_TABLE], left());
  let { leaseMs } = options;
  let names = realNames(lans, []);
  let seen = '';
  return {
    install: async left => {
      names = await readInterfaces(runCommand, left()).then(
        interfaces => realNames(lans, interfaces),
        () => names,
      );
      const real = (name: string) => names.get(name) ?? name;
      const present = await interfaceNames();
      seen = relevantNames(names, present);
      const listing = await list(left).catch(() => '');
      const plan: PacketLeasePlan = {
        ...{ leaseMs, keepMs, present, chains: chainsIn(listing), others: [...names.values()] },
        addresses: addresses.map(({ address, interface: name }) => ({ address, interface: real(name) })),
      };
      const used = await firstThatWorks(
        [
          { plan, text: packetLeaseRules(plan) },
          // Sets of another version of ours do not fit: then all of it is made anew.
          { plan, text: `${packetLeaseRemoval(GATE_TABLE)}${packetLeaseRules({ ...plan, chains: [] })}` },
          // A kernel without nft_fib_netdev: whoever comes in by another LAN is not under the lease
          // then.
          {
            plan: { ...plan, others: [] },
            text: `${packetLeaseRemoval(GATE_TABLE)}${packetLeaseRules({ ...plan, others: [], chains: [] })}`,
          },
        ],
        text => apply(text, left()),
      );
      const record = { rules: packetLeaseRules({ ...used, chains: [] }), listing: withoutElements(await list(left)) };
      // Without it the director audits nothing of this, and that is all.
      await writePacketLeaseRecord(runDir, record).catch(() => undefined);
    },
    retime: to => {
      leaseMs = to;
    },
    namesChanged: async () => relevantNames(names, await interfaceNames()) !== seen,
    trial: async left => {
      try {
        await apply(trialRules(), left());
        // On a busy machine a trial of some milliseconds may fail by its own lateness.
        for (let tries = 1; ; tries++) {
          const { status, stderr } = await runCommand(trialProgram, [String(TRIAL_MS)], { timeoutMs: left() });
          if (status === 0) break;
          if (tries === TRIES_MAX)
            throw new Error(stderr.trim().slice(0, 300) || `${trialProgram} ended with ${status}`);
        }
      } finally {
        await apply(packetLeaseRemoval(GATE_TRIAL_TABLE), left(REMOVE_MS_MIN)).catch(() => undefined);
      }
    },
    // Nothing is left to do about a table that cannot be removed: vipd renews it all the same.
    remove: async left => {
      await removePacketLeaseRecord(runDir).catch(() => undefined);
      await apply(packetLeaseRemoval(GATE_TABLE), left(REMOVE_MS_MIN)).catch(() => undefined);
    },
  };
}

interface Attempt {
  readonly plan: PacketLeasePlan;
  readonly text: string;
}

/** The plan of the first text that nft takes; rejects with what it said of the last one. */
async function firstThatWorks(
  attempts: readonly Attempt[],
  apply: (text: string) => Promise<void>,
): Promise<PacketLeasePlan> {
  let last: unknown;
  for (const { plan, text } of attempts) {
    try {
      await apply(text);
      return plan;
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
