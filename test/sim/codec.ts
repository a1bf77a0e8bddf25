// What goes over the simulated wire. Most schedules pass messages as objects, cut to what the format can carry; a share uses the
// shipped encoder and decoder with their signature. An older version does not know some fields.
import { decode, encode, type Heartbeat, type Message, pairIdOf } from '../../src/pulse/heartbeat.ts';
import { ms } from '../../src/units/duration.ts';

export interface Codec {
  pack(message: Message): unknown;
  unpack(packed: unknown): Message | undefined;
}

const PAIR = pairIdOf('sim');
const KEY = Buffer.alloc(32, 7);

export const WIRE: Codec = {
  pack: message => encode(message, PAIR, KEY),
  unpack(packed) {
    const decoded = decode(packed as Buffer, PAIR, [KEY]);
    return decoded.ok ? decoded.message : undefined;
  },
};

export const OBJECTS: Codec = {
  pack(message) {
    if (message.kind === 'will' || !message.offer) return message;
    return { ...message, offer: { ...message.offer, remainingMs: ms(Math.floor(message.offer.remainingMs)) } };
  },
  unpack: packed => packed as Message,
};

/**
 * A router whose pulse is of an older version in some of its lives: then it sends no flags that were added, and what it cannot read
 * it does not use.
 */
export function sometimesOlder(codec: Codec, isOlder: () => boolean): Codec {
  return {
    pack: message => codec.pack(isOlder() && message.kind === 'heartbeat' ? withoutFlags(message) : message),
    unpack(packed) {
      const message = codec.unpack(packed);
      if (!message || !isOlder()) return message;
      if (message.version !== 1) return undefined;
      // It does not know the flag, so it never speaks version 2 itself.
      return message.kind === 'heartbeat' ? { ...message, readsVersion2: false } : message;
    },
  };
}

function withoutFlags(message: Heartbeat): Heartbeat {
  return { ...message, warm: false, sound: false, readsVersion2: false };
}
