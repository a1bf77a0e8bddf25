// Lines out of bytes that come in pieces: the same however they are cut, and what a line that is too long costs.
import test from 'ava';
import { type LineReader, lineReader } from '../../src/socket/lines.ts';

function read(reader: LineReader, ...pieces: readonly (string | Buffer)[]): { lines: string[]; ok: boolean } {
  const lines: string[] = [];
  const ok = pieces.every(piece => reader.push(Buffer.from(piece as string), line => lines.push(line)));
  return { lines, ok };
}

const ending = () => lineReader({ bytesMax: 8, tooLong: 'end' });
const skipping = () => lineReader({ bytesMax: 8, tooLong: 'skip' });

test('lines are the same however they are cut', t => {
  const text = Buffer.from('a\n\nüb\n12345678\nrest');
  for (let bytes = 1; bytes <= text.length; bytes++) {
    const pieces = [];
    for (let at = 0; at < text.length; at += bytes) pieces.push(text.subarray(at, at + bytes));
    for (const reader of [ending(), skipping()]) {
      t.deepEqual(read(reader, ...pieces), { lines: ['a', '', 'üb', '12345678'], ok: true }, `${bytes} bytes a piece`);
      t.is(reader.pendingBytes(), 4);
    }
  }
});

test('where a line that is too long ends the connection, nothing of its piece and nothing later is handed over', t => {
  for (const last of ['b\n123456789\n', 'b\n123456789', 'b\n1234567890123\nc\n']) {
    const reader = ending();
    t.deepEqual(read(reader, 'a\n', last), { lines: ['a'], ok: false }, last);
    t.deepEqual(read(reader, 'c\n'), { lines: [], ok: false }, last);
  }
  t.deepEqual(read(ending(), '12345', '6789\n'), { lines: [], ok: false });
});

test('where a line that is too long is skipped, it goes alone and is counted', t => {
  const reader = skipping();
  t.deepEqual(read(reader, 'a\n12345', '6789', '0\nb\n', '123456789\nc\n'), { lines: ['a', 'b', 'c'], ok: true });
  t.is(reader.dropped(), 2);
  t.is(reader.pendingBytes(), 0);
});

test('at the end a line without its newline counts as dropped', t => {
  const reader = skipping();
  read(reader, 'a\nb');
  reader.end();
  t.is(reader.dropped(), 1);
  read(reader, '0123456789');
  reader.end();
  t.is(reader.dropped(), 2);
  t.deepEqual(read(reader, 'c\n').lines, ['c']);
});

test('a piece may be a part of a buffer that is used again', t => {
  const buffer = Buffer.from('abc');
  const reader = skipping();
  reader.push(buffer, () => t.fail());
  buffer.fill('x');
  t.deepEqual(read(reader, '\n').lines, ['abc']);
});

test('text of the kernel is read byte by byte', t => {
  const reader = lineReader({ bytesMax: 8, tooLong: 'skip', encoding: 'latin1' });
  t.deepEqual(read(reader, Buffer.from([0xe4, 0xff, 10])).lines, ['\u00e4\u00ff']);
});
