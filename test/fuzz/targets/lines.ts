// What comes as lines: the splitter, vipd's words, the feed and the requests of the control socket, the state file.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { controlRequests, snapshotLine, vipdLines } from '../samples-lines.ts';
import { insist, type Target } from '../target.ts';

export const vipdLineTarget: Target = {
  name: 'vipd-line',
  says: 'lines of vipd: never throws; numbers are counts, MACs are MACs, epochs can be counted on from',
  files: ['src/vip/protocol.ts', 'src/units/epoch.ts'],
  words: [...vipdLines(), '02:00:00:00:00:01', '281474976710655.1', ' '],
  bytesMax: 1_100,
  async load() {
    const { parseVipdLine } = await import('../../../src/vip/protocol.ts');
    const { EPOCH_COUNTER_MAX } = await import('../../../src/units/epoch.ts');
    return {
      seeds: vipdLines().map(line => Buffer.from(line)),
      run(input) {
        const message = parseVipdLine(input.toString('utf8'));
        if (!message) return;
        for (const [key, value] of Object.entries(message)) {
          if (typeof value === 'number') insist(Number.isSafeInteger(value) && value >= 0, `${key} is ${value}`);
          if (key === 'mac') insist(/^$|^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(value as string), `a MAC is ${value}`);
          if (key === 'epoch') insist((value as { counter: number }).counter <= EPOCH_COUNTER_MAX, 'an absurd epoch');
        }
      },
    };
  },
};

const SPLIT_BYTES_MAX = 64;

export const splitterTarget: Target = {
  name: 'splitter',
  says: 'a byte stream cut anywhere: the same lines as uncut, none longer than allowed; too long a line ends it, or goes alone',
  files: ['src/socket/lines.ts'],
  words: ['\n', '\r\n', 'x'.repeat(SPLIT_BYTES_MAX), 'ü'],
  bytesMax: 1_000,
  async load() {
    const { lineReader } = await import('../../../src/socket/lines.ts');
    /** The lines, and whether a line was too long; `cuts`: lengths of the pieces, used in turn. */
    const split = (bytes: Buffer, cuts: Buffer, tooLong: 'end' | 'skip') => {
      const lines: string[] = [];
      const reader = lineReader({ bytesMax: SPLIT_BYTES_MAX, tooLong });
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const length = 1 + ((cuts[i % Math.max(1, cuts.length)] ?? 255) & 0x3f);
        if (!reader.push(bytes.subarray(at, at + length), line => lines.push(line))) return { lines, ok: false };
        insist(reader.pendingBytes() <= SPLIT_BYTES_MAX, `${reader.pendingBytes()} bytes are kept`);
        at += length;
      }
      return { lines, ok: true, dropped: reader.dropped() };
    };
    return {
      seeds: ['abc\ndef\n', 'a\n\nb', `${'x'.repeat(SPLIT_BYTES_MAX)}\ny\n`].map(text =>
        Buffer.from(`\x02\x01\x05${text}`),
      ),
      run(input) {
        const bytes = input.subarray(3);
        const cut = split(bytes, input.subarray(0, 3), 'end');
        const want = bytes.toString('latin1').split('\n');
        const tooLong = want.findIndex(line => line.length > SPLIT_BYTES_MAX);
        insist(cut.ok === tooLong < 0, 'an overlong line was not noticed, or a good one refused');
        const good = tooLong < 0 ? want.slice(0, -1) : want.slice(0, cut.lines.length);
        const decoded = good.map(line => Buffer.from(line, 'latin1').toString('utf8'));
        insist(JSON.stringify(cut.lines) === JSON.stringify(decoded), 'the lines depend on how they were cut');
        const skipped = split(bytes, input.subarray(0, 3), 'skip');
        const whole = want.slice(0, -1).filter(line => line.length <= SPLIT_BYTES_MAX);
        const left = whole.map(line => Buffer.from(line, 'latin1').toString('utf8'));
        insist(JSON.stringify(skipped.lines) === JSON.stringify(left), 'a line too long took others with it');
        insist(skipped.dropped === want.length - 1 - whole.length, `${skipped.dropped} lines were counted as dropped`);
      },
    };
  },
};

export const feedTarget: Target = {
  name: 'feed',
  says: 'lines of the feed and requests: never throws; what is understood can be written and read again',
  files: ['src/feed/message.ts'],
  words: [
    '"snapshot"',
    'null',
    'true',
    '1e308',
    '"active"',
    '{"command":',
    '"report"',
    '[]',
    '{}',
    '"__proto__":{}',
    '\\u0000',
  ],
  bytesMax: 8_000,
  async load() {
    const { controlRequestSchema, snapshotSchema } = await import('../../../src/feed/message.ts');
    return {
      seeds: [snapshotLine(), ...controlRequests()].map(line => Buffer.from(line)),
      run(input) {
        let value: unknown;
        try {
          value = JSON.parse(input.toString('utf8'));
        } catch {
          return;
        }
        for (const schema of [controlRequestSchema, snapshotSchema]) {
          const read = schema.safeParse(value);
          if (!read.success) continue;
          const text = JSON.stringify(read.data);
          insist(JSON.stringify(schema.parse(JSON.parse(text))) === text, 'what was read is not read again');
        }
      },
    };
  },
};

export const stateFileTarget: Target = {
  name: 'state-file',
  says: "pulse's state file: read as it was written, or an error; the ceiling can be counted on from",
  files: ['src/pulse/io/state-file.ts'],
  words: ['"ceiling":', '"version":2', '"sum":"', '9007199254740991', 'null', '"until":8.64e15'],
  bytesMax: 4_000,
  async load() {
    const { beginWith, NO_STATE, parseState, readState, renderState } = await import(
      '../../../src/pulse/io/state-file.ts'
    );
    const { createHash } = await import('node:crypto');
    const directory = mkdtempSync(join(tmpdir(), 'tandem-fuzz-'));
    const path = join(directory, 'pulse.json');
    /** The whole way from the disk, with the other half in the place of the copy. */
    const fromDisk = (bytes: Buffer) => {
      writeFileSync(path, bytes);
      if ((bytes[0] ?? 0) & 4) writeFileSync(`${path}.copy`, renderState(state));
      else rmSync(`${path}.copy`, { force: true });
      const { ceiling } = beginWith(readState(path), 1.8e12);
      insist(Number.isSafeInteger(ceiling) && ceiling <= 2 ** 48, `begins with ${ceiling}`);
    };
    const state = { ...NO_STATE, ceiling: 5_000, hold: { on: true, until: 1.8e12 } };
    /** Every other input gets a right checksum, or hardly any would be read further. */
    const summed = (bytes: Buffer) => {
      const end = bytes.lastIndexOf(',"sum":');
      const body = end < 0 ? bytes : bytes.subarray(0, end);
      return Buffer.from(
        `${body.toString('latin1')},"sum":"${createHash('sha256').update(body).digest('hex')}"}\n`,
        'latin1',
      );
    };
    const withKind = (kind: number, text: string) => Buffer.from(String.fromCharCode(kind) + text);
    return {
      seeds: [
        withKind(0, renderState(state)),
        withKind(1, renderState(state)),
        withKind(2, renderState(state)),
        withKind(0, JSON.stringify({ version: 2, ...state })),
      ],
      run(input) {
        const bytes = (input[0] ?? 0) & 1 ? summed(input.subarray(1)) : input.subarray(1);
        if ((input[0] ?? 0) & 2) fromDisk(bytes);
        let read: ReturnType<typeof parseState>;
        try {
          read = parseState(bytes);
        } catch (error) {
          insist(error instanceof Error && error.message !== '', 'an error without words');
          return;
        }
        insist(
          Number.isSafeInteger(read.ceiling) && read.ceiling >= 0 && read.ceiling <= 2 ** 48,
          `ceiling ${read.ceiling}`,
        );
        const again = parseState(Buffer.from(renderState(read)));
        insist(JSON.stringify(again) === JSON.stringify(read), 'what was read is not read again');
        if (read.hold.until !== null) new Date(read.hold.until).toISOString();
      },
      close: async () => rmSync(directory, { recursive: true, force: true }),
    };
  },
};
