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

/** A peer of the version before flags were added: it sends none of them, and what it cannot read it does not use. */
export function olderVersion(codec: Codec): Codec {
  return {
    pack: message =>
      codec.pack(message.kind === 'heartbeat' ? ({ ...message, warm: false, sound: false } as Heartbeat) : message),
    unpack: packed => codec.unpack(packed),
  };
}
