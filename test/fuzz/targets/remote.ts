// What other programs and machines send the director: IPVS sync messages and tables, conntrack events, the frames between the two
// directors, a real server's FTP replies.
import { isIPv4 } from 'node:net';
import { Random } from '../../sim/random.ts';
import { insist, type Target } from '../target.ts';

export const syncTarget: Target = {
  name: 'sync',
  says: 'IPVS sync messages, kernel tables, conntrack events, frames: nothing that may not reach a kernel (test/fuzz/sync-bytes.ts)',
  files: ['kernel/wire', 'kernel/proc-table', 'kernel/conntrack-events', 'link/length-prefix', 'table/entry'].map(
    name => `src/sync/${name}.ts`,
  ),
  bytesMax: 8,
  async load() {
    const { fuzzRound } = await import('../sync-bytes.ts');
    return {
      seeds: [Buffer.from('00000001', 'hex'), Buffer.from('75bcd15a', 'hex')],
      run: input => fuzzRound(Buffer.concat([input, Buffer.alloc(4)]).readInt32BE(0)),
    };
  },
};

export const syncFrameTarget: Target = {
  name: 'sync-frame',
  says: "the peer director's frames: a frame or a refusal, never an exception",
  files: ['src/sync/stream/frame.ts', 'src/sync/kernel/wire.ts'],
  words: ['"type":"hello"', '"met":true', '"seq":', 'null', '0011223344556677'],
  bytesMax: 5_000,
  async load() {
    const { readEntries, readFrame, readResyncBegin, readResyncEnd, writeControl, writeEntries } = await import(
      '../../../src/sync/stream/frame.ts'
    );
    const { CONNECTION, TEMPLATE6 } = await import('../../sync/samples.ts');
    const stream = '0011223344556677' as never;
    return {
      seeds: [
        writeControl({ type: 'pong', at: 5 }),
        writeControl({ type: 'ping', at: 5, stream, seq: 9 }),
        writeEntries('live', stream, 3, [CONNECTION, TEMPLATE6]),
        Buffer.concat([
          Buffer.from([1]),
          Buffer.from('{"type":"role","n":1,"role":"source","epoch":{"counter":1,"node":1},"stream":null}'),
        ]),
      ],
      run(input) {
        const frame = readFrame(input);
        const payload = input.subarray(16);
        readEntries(payload);
        readResyncBegin(payload);
        readResyncEnd(payload);
        insist(typeof frame.type === 'string', 'neither a frame nor a refusal');
      },
    };
  },
};

export const ftpReplyTarget: Target = {
  name: 'ftp-reply',
  says: "a real server's FTP replies: the same however they are cut into packets, printable, bounded",
  files: ['src/nanny/reply.ts'],
  words: [
    '220 hi\r\n',
    '227 (192,0,2,1,39,16)\r\n',
    '230-\r\n',
    '230 \r\n',
    '\n',
    '\r',
    '\xff\xfb',
    '229 (|||10000|)\r\n',
    '227-192, 0, 2, 100, 39, 16\r\n227 \r\n',
    '229 |||10000|\r\n',
  ],
  bytesMax: 4_000,
  async load() {
    const { NEW_READER, parseEpsv, parsePasv, readReplies } = await import('../../../src/nanny/reply.ts');
    const isPort = (port: number | undefined) => port === undefined || (port > 0 && port < 65_536);
    const read = (bytes: Buffer, lengthOf: () => number) => {
      let reader = NEW_READER;
      const replies: unknown[] = [];
      for (let at = 0; at < bytes.length; ) {
        const length = lengthOf();
        const reading = readReplies(reader, bytes.subarray(at, at + length));
        reader = reading.reader;
        replies.push(...reading.replies);
        for (const reply of reading.replies) {
          const target = parsePasv(reply);
          insist(isPort(target?.port) && isPort(parseEpsv(reply)), 'a port that is none was read');
          insist(target === undefined || isIPv4(target.address), 'an address that is none was read');
        }
        at += length;
      }
      return JSON.stringify([replies, reader.fault ?? null]);
    };
    return {
      seeds: ['220 hi\r\n331 user\r\n230-a\r\n b\r\n230 in\r\n227 Entering (192,0,2,1,39,16).\r\n'].map(text =>
        Buffer.from(text),
      ),
      run(input) {
        const random = new Random(input.length + (input[0] ?? 0));
        const whole = read(input, () => input.length);
        insist(whole === read(input, () => 1 + random.below(40)), 'the replies depend on how they were cut');
        insist(!/\p{Cc}/u.test(whole), 'a control character came through');
      },
    };
  },
};
