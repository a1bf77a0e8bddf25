// Scope, entries and random ones for tests of the sync's formats.
import fc from 'fast-check';
import { BACKUP_FLAGS, TIMEOUT_S_MAX } from '../../src/sync/kernel/wire.ts';
import {
  type Entry,
  FLAG,
  markAddress,
  PROTOCOL_MARK,
  PROTOCOL_TCP,
  type RawAddress,
  rawOf,
  TCP_STATES,
} from '../../src/sync/table/entry.ts';
import { type Scope, scopeOf } from '../../src/sync/table/scope.ts';
import type { Address } from '../../src/units/address.ts';
import { configOf, FTP, FTP6 } from '../director/fixture.ts';

export const raw = (text: string): RawAddress => rawOf(text as Address);

export const VIP = raw('192.0.2.100');
export const VIP6 = raw('2001:db8:1::100');
export const SERVER = raw('198.51.100.11');
export const SERVER6 = raw('2001:db8:2::11');
export const CLIENT = raw('203.0.113.9');
export const CLIENT6 = raw('2001:db8:9::9');
export const MARK = 21;
export const MARK6 = 26;

/** Services ftp (192.0.2.100, mark 21) and ftp6 (2001:db8:1::100, mark 26), both with control port 21 and 10000-20000. */
export function scope(draining?: ReadonlyMap<string, readonly Address[]>): Scope {
  return scopeOf(configOf({ services: { ftp: FTP, ftp6: FTP6 }, sync: false }), draining);
}

/** The same with clients known by their networks, /21 and /47: neither ends at a whole digit. */
export function maskedScope(): Scope {
  const services = { ftp: { ...FTP, persistence_prefix: 21 }, ftp6: { ...FTP6, persistence_prefix: 47 } };
  return scopeOf(configOf({ services, sync: false }));
}

/** An established passive data connection. */
export const CONNECTION: Entry = {
  protocol: PROTOCOL_TCP,
  client: CLIENT,
  clientPort: 40_001,
  virtual: VIP,
  virtualPort: 10_001,
  server: SERVER,
  serverPort: 10_001,
  flags: 0,
  state: 1,
  mark: MARK,
  timeoutS: 7_200,
};

export const CONNECTION6: Entry = {
  ...CONNECTION,
  client: CLIENT6,
  virtual: VIP6,
  server: SERVER6,
  mark: MARK6,
};

export const TEMPLATE: Entry = {
  protocol: PROTOCOL_MARK,
  client: CLIENT,
  clientPort: 0,
  virtual: markAddress(MARK, CLIENT),
  virtualPort: 0,
  server: SERVER,
  serverPort: 0,
  flags: FLAG.template,
  state: 1,
  mark: MARK,
  timeoutS: 360,
};

export const TEMPLATE6: Entry = {
  ...TEMPLATE,
  client: CLIENT6,
  virtual: markAddress(MARK6, CLIENT6),
  server: SERVER6,
  mark: MARK6,
};

export const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

function anyRaw(bytes: number): fc.Arbitrary<RawAddress> {
  return fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .map(array => Buffer.from(array).toString('hex') as RawAddress)
    .filter(address => !/^0+$/.test(address));
}

/** Every entry a kernel could report of a TCP connection or a mark template. */
export const anyEntry: fc.Arbitrary<Entry> = fc.constantFrom(4, 16).chain(bytes => {
  const common = { client: anyRaw(bytes), server: anyRaw(bytes), timeoutS: fc.integer({ min: 1, max: TIMEOUT_S_MAX }) };
  const mark = fc.integer({ min: 1, max: 0x7fff_ffff });
  const forwarding = fc.integer({ min: 0, max: 4 });
  const port = fc.integer({ min: 1, max: 65_535 });
  const template = fc.record({ ...common, mark, forwarding, state: fc.integer({ min: 0, max: 1 }) }).map(
    ({ forwarding: method, ...rest }): Entry => ({
      ...rest,
      protocol: PROTOCOL_MARK,
      clientPort: 0,
      virtual: markAddress(rest.mark, rest.client),
      virtualPort: 0,
      serverPort: 0,
      flags: FLAG.template | method,
    }),
  );
  const connection = fc
    .record({
      ...common,
      virtual: anyRaw(bytes),
      clientPort: port,
      virtualPort: port,
      serverPort: port,
      mark,
      forwarding,
      extra: fc.integer({ min: 0, max: 0xffff }),
      state: fc.integer({ min: 0, max: TCP_STATES.length - 1 }),
    })
    .map(({ forwarding: method, extra, ...rest }): Entry => {
      const flags = (extra & BACKUP_FLAGS & ~FLAG.template & ~0x7) | method;
      return { ...rest, protocol: PROTOCOL_TCP, flags };
    });
  return fc.oneof(template, connection);
});

/** The bytes in pieces of random lengths. */
export function inPieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let from = 0;
  for (const cut of cuts) {
    if (from >= bytes.length) break;
    pieces.push(bytes.subarray(from, from + cut));
    from += cut;
  }
  pieces.push(bytes.subarray(from));
  return pieces;
}
