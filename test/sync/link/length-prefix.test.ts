// Frames on a byte stream, whole, cut and hostile.
import test from 'ava';
import fc from 'fast-check';
import { framed, frameReader, LINK_FRAME_BYTES_MAX } from '../../../src/sync/link/length-prefix.ts';
import { hex, inPieces } from '../samples.ts';

function read(pieces: readonly Buffer[], bytesMax?: number): { frames: Buffer[]; ok: boolean } {
  const reader = frameReader(bytesMax);
  const frames: Buffer[] = [];
  let ok = true;
  for (const piece of pieces) ok = reader.push(piece, frame => frames.push(frame));
  return { frames, ok };
}

test('a frame is its length in 4 bytes, big-endian, and its payload', t => {
  t.deepEqual(framed(Buffer.from('abc')), hex('00000003 616263'));
  t.deepEqual(read([hex('00000003 616263 00000001 64')]), { frames: [Buffer.from('abc'), Buffer.from('d')], ok: true });
});

test('a frame that is not whole yet waits', t => {
  t.deepEqual(read([hex('000000')]), { frames: [], ok: true });
  t.deepEqual(read([hex('00000003 6162')]), { frames: [], ok: true });
  t.deepEqual(read([hex('00000003 6162'), hex('63')]).frames, [Buffer.from('abc')]);
});

test('an impossible length ends the stream for good, also for what follows', t => {
  for (const length of ['00000000', '00010401', 'ffffffff']) {
    t.deepEqual(read([hex(`00000001 61 ${length} 00000001 62`), hex('00000001 63')]), {
      frames: [Buffer.from('a')],
      ok: false,
    });
  }
  t.is(LINK_FRAME_BYTES_MAX, 0x10400);
  t.true(read([hex('00010400'), Buffer.alloc(LINK_FRAME_BYTES_MAX)]).ok);
});

test('frames that the other side would refuse cannot be sent', t => {
  t.throws(() => framed(Buffer.alloc(0)), { instanceOf: RangeError });
  t.throws(() => framed(Buffer.alloc(LINK_FRAME_BYTES_MAX + 1)), { instanceOf: RangeError });
  t.is(framed(Buffer.alloc(LINK_FRAME_BYTES_MAX)).length, LINK_FRAME_BYTES_MAX + 4);
});

test('a frame is a copy: the piece it came in may be used again', t => {
  const piece = hex('00000003 616263');
  const { frames } = read([piece]);
  piece.fill(0);
  t.deepEqual(frames, [Buffer.from('abc')]);
});

test('any frames, cut anywhere, come out as they went in', t => {
  const frame = fc.uint8Array({ minLength: 1, maxLength: 300 }).map(array => Buffer.from(array));
  fc.assert(
    fc.property(fc.array(frame), fc.array(fc.integer({ min: 1, max: 70 })), (frames, cuts) => {
      const bytes = Buffer.concat(frames.map(each => framed(each)));
      t.deepEqual(read(inPieces(bytes, cuts)), { frames, ok: true });
    }),
    { numRuns: 500 },
  );
});

test('any bytes, cut anywhere, are read without an exception, and give no more than came', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), fc.array(fc.integer({ min: 1, max: 70 })), (array, cuts) => {
      const { frames } = read(inPieces(Buffer.from(array), cuts), 64);
      t.true(frames.every(({ length }) => length >= 1 && length <= 64));
      t.true(frames.reduce((sum, { length }) => sum + 4 + length, 0) <= array.length);
    }),
    { numRuns: 1_000 },
  );
});
