// The heartbeat's decoder, for strangers' datagrams and for correctly signed nonsense.
import { createHmac } from 'node:crypto';
import type { Message } from '../../../src/pulse/heartbeat.ts';
import { insist, type Target } from '../target.ts';

export const PAIR_NAME = 'fuzz';
export const KEY = Buffer.alloc(32, 5);
const HMAC_BYTES = 32;
/** Where what a stranger does not know stands: magic, pair id. */
const FIXED = [
  [0, 4],
  [8, 16],
] as const;

/** A datagram with the body `bytes`, of our pair and genuinely signed. */
export function signed(bytes: Buffer, good: Buffer): Buffer {
  const body = Buffer.from(bytes);
  for (const [from, to] of FIXED) good.copy(body, from, from, Math.min(to, body.length));
  return Buffer.concat([body, createHmac('sha256', KEY).update(body).digest()]);
}

export const heartbeatTarget: Target = {
  name: 'heartbeat',
  says: 'datagrams, half of them genuinely signed: never throws, reads back what it wrote',
  files: ['src/pulse/heartbeat.ts', 'src/pulse/key-word.ts'],
  bytesMax: 300,
  async load() {
    const { decode, encode, pairIdOf } = await import('../../../src/pulse/heartbeat.ts');
    const { encodeKeyWord, readKeyWord } = await import('../../../src/pulse/key-word.ts');
    const { EPOCH_COUNTER_MAX } = await import('../../../src/units/epoch.ts');
    const { aHeartbeat, aSecond, aWill } = await import('../samples.ts');
    const pairId = pairIdOf(PAIR_NAME);
    const goods = [aHeartbeat(), aSecond(), aWill()].map(message => encode(message, pairId, KEY));
    const good = goods[0] as Buffer;
    const life = { nodeId: 2, bootId: '00000000000000aa', peerBootId: '00000000000000bb', seq: 7 };
    const word = encodeKeyWord({ ...life, accepts: ['01020304', '05060708'] }, pairId, KEY);
    const check = (message: Message) => {
      insist(message.epoch.counter <= EPOCH_COUNTER_MAX, 'an epoch came that cannot be counted on from');
      const again = decode(encode(message, pairId, KEY), pairId, [KEY]);
      insist(again.ok && JSON.stringify(again.message) === JSON.stringify(message), 'what was read is not read again');
    };
    return {
      seeds: [...goods, word].flatMap(bytes => [
        Buffer.concat([Buffer.from([0]), bytes]),
        Buffer.concat([Buffer.from([1]), bytes.subarray(0, -HMAC_BYTES)]),
      ]),
      run(input) {
        const genuine = ((input[0] ?? 0) & 1) === 1;
        const bytes = Buffer.from(input.subarray(1));
        const datagram = genuine ? signed(bytes, good) : bytes;
        const said = readKeyWord(datagram, pairId, [KEY]);
        if (said !== undefined) {
          insist(genuine || datagram.equals(word), 'a word that nobody signed was taken');
          const again = readKeyWord(encodeKeyWord(said, pairId, KEY), pairId, [KEY]);
          insist(JSON.stringify(again) === JSON.stringify(said), 'a word that was read is not read again');
        }
        const read = decode(datagram, pairId, [Buffer.alloc(32, 6), KEY]);
        if (!read.ok) return;
        insist(genuine || goods.some(one => bytes.equals(one)), 'a datagram that nobody signed was taken');
        check(read.message);
      },
    };
  },
};
