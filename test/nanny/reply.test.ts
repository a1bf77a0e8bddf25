import test from 'ava';
import fc from 'fast-check';
import {
  DIALOGUE_BYTES_MAX,
  hasBegunReply,
  lastWords,
  NEW_READER,
  parseEpsv,
  parsePasv,
  printableLine,
  quoted,
  type Reply,
  type ReplyReader,
  readReplies,
  WORDS_LENGTH_MAX,
  wordsOf,
} from '../../src/nanny/reply.ts';

function read(...chunks: readonly (string | Uint8Array)[]): { reader: ReplyReader; replies: Reply[] } {
  let reader = NEW_READER;
  const replies: Reply[] = [];
  for (const chunk of chunks) {
    const reading = readReplies(reader, typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    reader = reading.reader;
    replies.push(...reading.replies);
  }
  return { reader, replies };
}

const SESSION = Buffer.from(
  '220-Welcome\r\n to the café\r\n220-not yet\r\n331 nor this\r\n220 ready\r\n\r\n331 Password?\n230\r\n421 bye\r\n',
);
const SESSION_REPLIES: Reply[] = [
  { code: 220, lines: ['Welcome', ' to the café', '220-not yet', '331 nor this', 'ready'] },
  { code: 331, lines: ['Password?'] },
  { code: 230, lines: [''] },
  { code: 421, lines: ['bye'] },
];

test('a session is read the same wherever its packets are split', t => {
  t.deepEqual(read(SESSION).replies, SESSION_REPLIES);
  for (let cut = 1; cut < SESSION.length; cut++) {
    const { reader, replies } = read(SESSION.subarray(0, cut), SESSION.subarray(cut));
    t.deepEqual(replies, SESSION_REPLIES, `cut at byte ${cut}`);
    t.is(reader.fault, undefined);
  }
  t.deepEqual(read(...[...SESSION].map(byte => Uint8Array.of(byte))).replies, SESSION_REPLIES);
});

test('a multi-line reply ends only with its own code and a blank', t => {
  const { replies } = read('230-a\r\n230-230 b\r\n2300 c\r\n230x\r\n 230 d\r\n230 end\r\n');
  t.deepEqual(replies, [{ code: 230, lines: ['a', '230-230 b', '2300 c', '230x', ' 230 d', 'end'] }]);
});

test('a reply has as many lines, and as long ones, as its server likes', t => {
  const long = 'x'.repeat(20_000);
  const middle = Array.from({ length: 1_000 }, (_, index) => `line ${index}`);
  for (const end of ['\n', '\r\n']) {
    const { reader, replies } = read(['220-a', ...middle, long, '220 z', `230 ${long}`, ''].join(end));
    t.deepEqual(replies, [
      { code: 220, lines: ['a', ...middle, long, 'z'] },
      { code: 230, lines: [long] },
    ]);
    t.is(reader.fault, undefined);
  }
});

test('the longest reply may come byte by byte', t => {
  const floods = ['x'.repeat(DIALOGUE_BYTES_MAX - 4), '\n'.repeat(DIALOGUE_BYTES_MAX - 4)];
  for (const flood of floods) {
    const { reader } = read(...[...Buffer.from(`220-${flood}`)].map(byte => Uint8Array.of(byte)));
    t.is(reader.bytes, DIALOGUE_BYTES_MAX);
    t.is(reader.fault, undefined);
  }
});

test('a reply has begun with its code and what follows it, in whatever line', t => {
  for (const text of ['220 ', '220-', '220-Welcome', '220-Welcome\r\n', '220-Welcome\r\nto\r\n', '\r\n220 x'])
    t.true(hasBegunReply(read(text).reader), text);
  for (const text of ['', '220', 'SSH-2.0-', '220 ready\r\n', '620 x', '2200'])
    t.false(hasBegunReply(read(text).reader), text);
});

test('a dialogue of more bytes than allowed is a fault, after the replies that fit', t => {
  const line = `200 ${'x'.repeat(506)}\r\n`;
  const lines = DIALOGUE_BYTES_MAX / line.length;
  t.is(lines, 128);
  const full = read(line.repeat(lines));
  t.is(full.reader.fault, undefined);
  t.is(full.replies.length, lines);
  const { reader, replies } = read(line.repeat(lines - 1), `${line}2`);
  t.is(replies.length, 1 + lines - 1);
  t.regex(reader.fault ?? '', /more than 65536 bytes/);
});

for (const bad of [
  'HTTP/1.1 400 Bad Request\r\n',
  'SSH-2.0-OpenSSH_9.2\r\n',
  '22 short\r\n',
  '2200 long\r\n',
  '620 x\r\n',
  '\u0000\n',
]) {
  test(`${JSON.stringify(bad)} is not an FTP reply, and nothing after it is read`, t => {
    const { reader, replies } = read(bad, '220 ready\r\n');
    t.is(replies.length, 0);
    t.regex(reader.fault ?? '', /not an FTP reply/);
    t.is(lastWords(reader), printableLine(bad.trimEnd()));
  });
}

test('control and format characters of a server never reach the log as they are', t => {
  const { replies } = read(Buffer.from('530 \u001b[2Jno\u0007 \u202eevil\u2028 \u0085\u0000 é\r\n'));
  t.is(wordsOf(replies[0] as Reply), '530 \\x1b[2Jno\\x07 \\u{202e}evil\\u{2028} \\x85\\x00 é');
  t.is(read(Uint8Array.of(0x35, 0x33, 0x30, 0x20, 0xff, 0x0a)).replies[0]?.lines[0], '\ufffd');
});

test('the words of a reply are its code and its last line with text', t => {
  t.is(wordsOf({ code: 530, lines: ['Sorry', 'too many users', ''] }), '530 too many users');
  t.is(wordsOf({ code: 230, lines: [''] }), '230');
  t.is(lastWords(read('220-Wel').reader), '220-Wel');
  t.is(lastWords(read('220-Welcome\r\nto\r\n').reader), 'to');
  t.is(lastWords(NEW_READER), '');
});

test('the reader never throws, stays bounded, and does not depend on how bytes are cut', t => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc
      .constantFrom('220 x\r\n', '220-a\r\n', '220 \n', '\r', '\n', '1', '599-', `${'y'.repeat(900)}`, '\u202e')
      .map(text => Buffer.from(text)),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), fc.array(fc.nat(2000), { maxLength: 20 }), (pieces, cuts) => {
      const whole = Buffer.concat(pieces);
      const once = read(whole);
      const sorted = [0, ...cuts.map(cut => cut % (whole.length + 1)), whole.length].sort((a, b) => a - b);
      const parts = sorted.slice(1).map((cut, index) => whole.subarray(sorted[index], cut));
      const cut = read(...parts);
      t.deepEqual(cut.replies, once.replies);
      t.is(cut.reader.fault, once.reader.fault);
      t.is(lastWords(cut.reader), lastWords(once.reader));
      t.true(once.reader.partial.length <= DIALOGUE_BYTES_MAX);
      t.true(once.reader.bytes <= DIALOGUE_BYTES_MAX);
      for (const reply of once.replies) {
        t.true(reply.code >= 100 && reply.code <= 599);
        t.true(reply.lines.length >= 1);
        const words = quoted(wordsOf(reply));
        t.true([...words].length <= WORDS_LENGTH_MAX);
        t.notRegex(words, /[\p{C}\p{Zl}\p{Zp}]/u);
      }
      t.notRegex(lastWords(once.reader), /[\p{C}\p{Zl}\p{Zp}]/u);
    }),
    { numRuns: 1_000 },
  );
});

test('the reader stays bounded under any flood', t => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 3_000 }), bytes => {
      let reader = NEW_READER;
      for (let round = 0; round < 100; round++) reader = readReplies(reader, bytes).reader;
      t.true(reader.bytes <= DIALOGUE_BYTES_MAX);
      t.true(reader.bytes === bytes.length * 100 || reader.fault !== undefined);
      t.true([...quoted(lastWords(reader))].length <= WORDS_LENGTH_MAX);
    }),
    { numRuns: 200 },
  );
});

const PASV: readonly [text: string, target: { address: string; port: number } | undefined][] = [
  ['Entering Passive Mode (192,0,2,100,39,17).', { address: '192.0.2.100', port: 10_001 }],
  ['Entering Passive Mode (0,0,0,0,255,255)', { address: '0.0.0.0', port: 65_535 }],
  ['passive 192,0,2,100,39,17', { address: '192.0.2.100', port: 10_001 }],
  ['=192,0,2,100,0,1', { address: '192.0.2.100', port: 1 }],
  ['Entering Passive Mode (192,0,2,256,39,17)', undefined],
  ['Entering Passive Mode (192,0,2,100,39,273)', undefined],
  ['Entering Passive Mode (192,0,2,100,0,0)', undefined],
  ['Entering Passive Mode (192,0,2,100,39)', undefined],
  ['Entering Passive Mode (192,0,2,100,39,17,3)', undefined],
  ['Entering Passive Mode (192,0,2,-100,39,17)', undefined],
  ['Entering Passive Mode (192,0,2,0100,39,17)', undefined],
  ['Entering Passive Mode (192,0,02,100,39,17)', undefined],
  ['Entering Passive Mode (192, 0, 2, 100, 39, 16)', { address: '192.0.2.100', port: 10_000 }],
  ['Entering Passive Mode ( 192 ,0,\t2,100 , 39,16 )', { address: '192.0.2.100', port: 10_000 }],
  ['Entering Passive Mode 192,0,2,100,39,16, welcome', { address: '192.0.2.100', port: 10_000 }],
  ['(192,0,2,100,39,17), that is (192,0,2,100,39,17)', { address: '192.0.2.100', port: 10_001 }],
  ['Entering Passive Mode (192, 0, 2, 100, 39, 17, 3)', undefined],
  ['Entering Passive Mode (7, 192, 0, 2, 100, 39, 17)', undefined],
  ['Entering Passive Mode (192, 0, 2, -100, 39, 17)', undefined],
  ['Entering Passive Mode (192.0.2.100.39.17)', undefined],
  ['(192,0,2,100,39,17) or (192,0,2,100,39,18)', undefined],
  ['Entering Passive Mode', undefined],
  ['', undefined],
];
for (const [text, target] of PASV) {
  test(`227 "${text}" announces ${target ? `${target.address} port ${target.port}` : 'nothing'}`, t => {
    t.deepEqual(parsePasv({ code: 227, lines: [text] }), target);
  });
}

const EPSV: readonly [text: string, port: number | undefined][] = [
  ['Entering Extended Passive Mode (|||6446|)', 6446],
  ['Entering Extended Passive Mode (|||6446|).', 6446],
  ['Extended (!!!65535!)', 65_535],
  ['Extended (|||65536|)', undefined],
  ['Extended (|||0|)', undefined],
  ['Extended (|||06446|)', undefined],
  ['Extended (||6446|)', undefined],
  ['Extended (|||6446!)', undefined],
  ['Extended (|1|192.0.2.1|6446|)', undefined],
  ['Extended |||6446|', 6446],
  ['Extended Passive Mode OK. !!!6446!', 6446],
  ['Extended (||| 6446 |)', 6446],
  ['(|||6446|), that is (|||6446|)', 6446],
  ['|||6446|, at last (|||6447|)', 6447],
  ['Extended ||||6446|', undefined],
  ['Extended |||6446||', undefined],
  ['Extended ...6446.', undefined],
  ['|||6446| |||6447|', undefined],
  ['Extended (555123 5)', undefined],
  ['Extended (11144441)', undefined],
  ['Extended (|||-1|)', undefined],
  ['(|||6446|) (|||6447|)', undefined],
  ['', undefined],
];
for (const [text, port] of EPSV) {
  test(`229 "${text}" announces ${port ?? 'nothing'}`, t => {
    t.is(parseEpsv({ code: 229, lines: [text] }), port);
  });
}

test('the numbers of a long 227 or 229 are found in its first line, or in any one, as clients find them', t => {
  const target = { address: '192.0.2.100', port: 10_000 };
  t.deepEqual(parsePasv({ code: 227, lines: ['Entering Passive Mode (192,0,2,100,39,16)', 'End'] }), target);
  t.deepEqual(parsePasv({ code: 227, lines: ['Hello', ' (192,0,2,100,39,16)', ''] }), target);
  t.is(parseEpsv({ code: 229, lines: ['Entering Extended Passive Mode (|||10000|)', 'End'] }), 10_000);
  t.deepEqual(parsePasv({ code: 227, lines: ['(192,0,2,9,1,1)', '(192,0,2,100,39,16)'] }), target, 'the last counts');
  t.is(parsePasv({ code: 227, lines: ['(192,0,2,9,1,1)', '(192,0,2,100,39,16)', 'End'] }), undefined);
  t.is(parseEpsv({ code: 229, lines: ['(|||1|)', '(|||2|)', 'End'] }), undefined);
});

test('what is announced does not depend on the blanks between the numbers, nor on the line; nothing else is made up', t => {
  const octet = fc.integer({ min: 0, max: 255 });
  const six = fc.tuple(octet, octet, octet, octet, octet, octet);
  const blank = fc.constantFrom('', ' ', '  ', '\t');
  fc.assert(
    fc.property(
      six,
      fc.array(blank, { minLength: 12, maxLength: 12 }),
      fc.nat(2),
      fc.nat(2),
      (parts, blanks, up, down) => {
        const numbers = parts.map((part, i) => `${blanks[2 * i]}${part}${blanks[2 * i + 1]}`).join(',');
        const lines = [
          ...Array<string>(up).fill('text'),
          `Entering (${numbers}).`,
          ...Array<string>(down).fill('text'),
        ];
        const port = parts[4] * 256 + parts[5];
        const expected = port === 0 ? undefined : { address: parts.slice(0, 4).join('.'), port };
        t.deepEqual(parsePasv({ code: 227, lines }), expected);
      },
    ),
  );
  const noise = fc.string({
    unit: fc.constantFrom('1', '25', '256', ',', ' ', '|', '!', '(', ')', '-', '.'),
    maxLength: 60,
  });
  fc.assert(
    fc.property(fc.array(noise, { minLength: 1, maxLength: 4 }), lines => {
      const target = parsePasv({ code: 227, lines });
      const port = parseEpsv({ code: 229, lines });
      const text = lines.map(line => line.replaceAll(' ', '')).join('\n');
      if (target) {
        const { address } = target;
        const wanted = [...address.split('.'), target.port >> 8, target.port & 255].join(',');
        t.true(text.includes(wanted) && target.port > 0 && target.port < 65_536);
      }
      if (port !== undefined)
        t.true(
          port > 0 &&
            port < 65_536 &&
            new RegExp(`([|!])\\1\\1(?:${port})\\1|\\((.)\\2\\2(?:${port})\\2\\)`).test(text),
        );
    }),
    { numRuns: 3_000 },
  );
});
