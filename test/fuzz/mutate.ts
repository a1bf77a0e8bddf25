// Byte mutations made with numbers from a seed. Pure.
import type { Random } from '../sim/random.ts';

/** Where lengths, counts, signs and texts break. */
const BYTES = [0, 1, 9, 0x0a, 0x0d, 0x20, 0x22, 0x2d, 0x2e, 0x30, 0x39, 0x3a, 0x5b, 0x7b, 0x7f, 0x80, 0xc3, 0xff];
const NUMBERS = [
  '0',
  '-1',
  '1e308',
  '4294967296',
  '281474976710655',
  '9007199254740993',
  '99999999999999999999',
  '0x10',
];
const STEPS_MAX = 6;
const REPEAT_MAX = 400;

export interface Material {
  /** Other inputs to take pieces from. */
  readonly corpus: readonly Buffer[];
  /** Words of the format. */
  readonly words: readonly string[];
  readonly bytesMax: number;
}

/** A changed copy of `input`. */
export function mutate(input: Buffer, random: Random, material: Material): Buffer {
  let bytes = Buffer.from(input);
  for (let steps = 1 + random.below(STEPS_MAX); steps > 0; steps--) bytes = mutateOnce(bytes, random, material);
  return bytes.subarray(0, material.bytesMax);
}

function mutateOnce(bytes: Buffer<ArrayBuffer>, random: Random, { corpus, words }: Material): Buffer<ArrayBuffer> {
  const at = random.below(bytes.length + 1);
  const to = Math.min(bytes.length, at + random.below(1 + random.below(64)));
  const insert = (piece: Buffer | string, until = at) =>
    Buffer.concat([bytes.subarray(0, at), Buffer.from(piece), bytes.subarray(until)]);
  switch (random.below(11)) {
    case 0:
      if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = random.below(256);
      return bytes;
    case 2:
      if (at < bytes.length) bytes[at] = BYTES[random.below(BYTES.length)] as number;
      return bytes;
    case 3:
      return insert('', to);
    case 4:
      return insert(bytes.subarray(at, to));
    case 5:
      return insert(
        Buffer.from(
          bytes
            .subarray(at, to)
            .toString('latin1')
            .repeat(1 + random.below(REPEAT_MAX / 40)),
          'latin1',
        ),
      );
    case 6:
      return insert(
        words.length > 0 ? (words[random.below(words.length)] as string) : Buffer.from([random.below(256)]),
        random.below(2) ? at : to,
      );
    case 7:
      return insert(NUMBERS[random.below(NUMBERS.length)] as string, endOfNumber(bytes, at));
    case 8: {
      const other = corpus.length > 0 ? (corpus[random.below(corpus.length)] as Buffer) : bytes;
      const from = random.below(other.length + 1);
      return insert(other.subarray(from, from + random.below(200)), random.below(2) ? at : to);
    }
    case 9:
      return moveLine(bytes, random);
    default:
      return insert(
        Buffer.alloc(1 + random.below(random.below(20) === 0 ? REPEAT_MAX : 8), BYTES[random.below(BYTES.length)]),
      );
  }
}

function endOfNumber(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length && (bytes[at] as number) >= 0x30 && (bytes[at] as number) <= 0x39) at++;
  return at;
}

/** Text formats break at lines: one is dropped, doubled or moved. */
function moveLine(bytes: Buffer, random: Random): Buffer<ArrayBuffer> {
  const lines = bytes.toString('latin1').split('\n');
  const [line] = lines.splice(random.below(lines.length), 1);
  for (let times = random.below(3); times > 0; times--) lines.splice(random.below(lines.length + 1), 0, line as string);
  return Buffer.from(lines.join('\n'), 'latin1');
}
