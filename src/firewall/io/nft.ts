// Our nftables table through nft: list it, replace it. Not pure.
import { CommandError, type CommandResult, type Run, run } from '../../command/io/run-command.ts';
import type { Address } from '../../units/address.ts';
import { type Counts, parseCounters } from '../evidence.ts';
import { knownSetName, parseKnown } from '../known-clients.ts';
import { stableListing } from '../stable-listing.ts';
import { TABLE_FAMILY, TABLE_NAME } from '../table-name.ts';

type NftFailure = 'missing' | 'no-kernel' | 'not-permitted' | 'failed';

/** nft could not do its part; the message says what to do. */
class NftError extends Error {
  readonly failure: NftFailure;

  constructor(message: string, options: { readonly failure: NftFailure; readonly cause?: unknown }) {
    super(message, options);
    this.name = 'NftError';
    this.failure = options.failure;
  }
}

/** All reject with {@link NftError}. */
export interface Nft {
  /**
   * The table as nft lists it, without what moves by itself: counters, and what is in its sets;
   * undefined when it is not there.
   */
  listTable(): Promise<string | undefined>;
  /** Packets by the names of our table's counters; empty when it is not there. */
  readCounters(): Promise<Counts>;
  /** What is in the set of clients of a service that are known; empty when it is not there. */
  readKnown(service: string): Promise<ReadonlyMap<Address, number>>;
  /** All rules, as `nft -j` lists them, without what is in sets; behind them all named maps. */
  listAll(): Promise<string>;
  /** Runs a rule set file as one transaction: all of it or nothing. */
  apply(text: string): Promise<void>;
}

export function createNft(runCommand: Run = run): Nft {
  return {
    listTable: async () => {
      // As JSON: the other form comes in writes of a few bytes, 220,000 of them for 200 services.
      const result = await call(runCommand, ['-j', '-s', '-t', 'list', 'table', TABLE_FAMILY, TABLE_NAME]);
      if (result.status !== 0 && result.stderr.includes('No such file or directory')) return undefined;
      return stableListing(check(result).stdout);
    },
    readCounters: async () => {
      const result = await call(runCommand, ['-j', 'list', 'counters', 'table', TABLE_FAMILY, TABLE_NAME]);
      if (result.status !== 0 && result.stderr.includes('No such file or directory')) return new Map();
      return parseCounters(check(result).stdout);
    },
    readKnown: async service => {
      const set = knownSetName(service);
      const result = await call(runCommand, ['-j', 'list', 'set', TABLE_FAMILY, TABLE_NAME, set]);
      if (result.status !== 0 && result.stderr.includes('No such file or directory')) return new Map();
      return parseKnown(check(result).stdout);
    },
    listAll: async () => {
      const rules = check(await call(runCommand, ['-j', '-t', 'list', 'ruleset'])).stdout;
      // "-t" leaves out sets, which may be long, and maps as well, whose verdicts lead to chains.
      const maps = await call(runCommand, ['-j', 'list', 'maps']).catch(() => undefined);
      return maps?.status === 0 ? joinedListings(rules, maps.stdout) : rules;
    },
    apply: async text => {
      check(await call(runCommand, ['-f', '-'], text));
    },
  };
}

function joinedListings(...listings: readonly string[]): string {
  const items = listings.flatMap(json => (JSON.parse(json) as { readonly nftables: readonly unknown[] }).nftables);
  return JSON.stringify({ nftables: items });
}

async function call(runCommand: Run, args: readonly string[], input?: string): Promise<CommandResult> {
  try {
    return await runCommand('nft', args, input === undefined ? {} : { input });
  } catch (cause) {
    if (cause instanceof CommandError && cause.failure === 'missing') {
      throw new NftError('nft is not installed: `apt-get install nftables`', { failure: 'missing', cause });
    }
    throw new NftError(cause instanceof Error ? cause.message : String(cause), { failure: 'failed', cause });
  }
}

function check(result: CommandResult): CommandResult {
  if (result.status === 0) return result;
  const words = result.stderr.trim().split('\n').slice(0, 3).join(' | ');
  if (/Operation not permitted/.test(words)) {
    throw new NftError('nft needs root (CAP_NET_ADMIN): run the director as root', { failure: 'not-permitted' });
  }
  if (/Operation not supported|Protocol not supported|Unable to initialize Netlink socket/.test(words)) {
    throw new NftError(`this kernel lacks part of nftables (\`modprobe nf_tables nft_ct nft_chain_nat\`): ${words}`, {
      failure: 'no-kernel',
    });
  }
  throw new NftError(`nft failed with status ${result.status}: ${words}`, { failure: 'failed' });
}
