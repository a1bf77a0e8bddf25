// Entries for tests of the sync's store: as many as are wanted, IPv4 and IPv6, all different.

import type { RedisConfig } from '../../../src/config/schema.ts';
import type { SavedHeader, SavedRow } from '../../../src/sync/store/saved-sessions.ts';
import { type Entry, FLAG, type RawAddress, rawOf, templateOf } from '../../../src/sync/table/entry.ts';
import type { Address } from '../../../src/units/address.ts';
import { ms } from '../../../src/units/duration.ts';

export const VIP = rawOf('192.0.2.100' as Address);
export const VIP6 = rawOf('2001:db8:1::100' as Address);
export const SERVER = rawOf('198.51.100.11' as Address);
export const OTHER_SERVER = rawOf('198.51.100.12' as Address);
const SERVER6 = rawOf('2001:db8:2::11' as Address);
export const MARK = 21;

export const KEY = Buffer.alloc(32, 7);

export const HEADER: SavedHeader = {
  pair: 'ftp-pair',
  node: 'router-a',
  nodeId: 1,
  epoch: { counter: 4_711, node: 1 },
  savedAtMs: 1_795_000_000_000,
  instance: '0123456789abcdef',
};

/** The n-th client's connection of passive mode. */
export function connection(n: number, of: Partial<Entry> = {}): Entry {
  const client = (0xc6336400 + n).toString(16).padStart(8, '0') as RawAddress;
  return {
    protocol: 6,
    client,
    clientPort: 1_024 + (n % 60_000),
    virtual: VIP,
    virtualPort: 10_000,
    server: n % 2 === 0 ? SERVER : OTHER_SERVER,
    serverPort: 10_000,
    flags: FLAG.noOutput,
    state: 1,
    mark: MARK,
    timeoutS: 7_200,
    ...of,
  };
}

export function connection6(n: number): Entry {
  const client = rawOf(`2001:db8:9::${(n + 1).toString(16)}` as Address);
  return connection(n, { client, virtual: VIP6, server: SERVER6 });
}

export function template(n: number): Entry {
  return templateOf(connection(n), 360);
}

/** Connections and templates in turn, each with 300 s left. */
export function* rowsOf(count: number): Generator<SavedRow> {
  for (let n = 0; n < count; n++) yield { entry: n % 2 === 0 ? connection(n) : template(n), remainingS: 300 };
}

/** The redis section of a config on loopback, with its defaults. */
export function redisConfig(of: Partial<RedisConfig>): RedisConfig {
  return {
    ...(of.sentinels ? {} : { host: '127.0.0.1' }),
    port: 6_379,
    tls: false,
    database: 0,
    timeout: ms(2_000),
    key_prefix: 'tandem',
    ...of,
  };
}
