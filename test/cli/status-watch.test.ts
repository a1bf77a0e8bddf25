// `tandem status --watch` on a real pseudo-terminal: what it draws, at any width, and that the
// terminal is as it was afterwards.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { ENTER_SCREEN, LEAVE_SCREEN, picture } from '../../src/cli/picture.ts';
import { brokenLine, textWidth } from '../../src/cli/text-width.ts';
import { sampleReport } from './samples.ts';

const PROGRAM = fileURLToPath(new URL('../../program/tandem.js', import.meta.url));
const test = anyTest as TestFn<string>;

test.beforeEach(t => {
  t.context = mkdtempSync(join(tmpdir(), 'tandem-watch-'));
});
test.afterEach.always(t => rmSync(t.context, { recursive: true, force: true }));

const ESC = '\u001b';
const MOVES = new RegExp(`${ESC}\\[[HKJ]`, 'g');
const COLOUR = new RegExp(`${ESC}\\[[\\d;]*m`);

/**
 * Runs a program on a terminal of its own: waits for frames, makes the window another one, waits
 * for more, then types a key or sends a signal; prints what came before and after, and whether the
 * terminal's settings are the same.
 */
const ON_A_TERMINAL = `
import fcntl, json, os, select, signal, struct, sys, termios, time
sizes, last, argv = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3:]
size = lambda fd, s: fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', s[1], s[0], 0, 0))
master, slave = os.openpty()
size(master, sizes[0])
before = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2): os.dup2(slave, fd)
    os.execvp(argv[0], argv)
out, ended, end = [b''], None, time.time() + 60
def read(until):
    global ended
    while time.time() < end and not until():
        if select.select([master], [], [], 0.05)[0]: out[-1] += os.read(master, 65536)
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            ended = os.waitstatus_to_exitcode(status)
            while select.select([master], [], [], 0.2)[0]: out[-1] += os.read(master, 65536)
            return
frames = lambda count: lambda: out[-1].count(b'\\x1b[?2026l') >= count
read(frames(2))
for s in sizes[1:]:
    out.append(b'')
    size(master, s)
    read(frames(2))
out.append(b'')
if last == 'ctrl-c': os.write(master, b'\\x03')
else: os.kill(pid, getattr(signal, last))
read(lambda: False)
if ended is None: os.kill(pid, signal.SIGKILL)
print(json.dumps({'out': [o.decode('utf8', 'replace') for o in out], 'code': ended,
  'same': termios.tcgetattr(slave) == before}))
`;

interface Seen {
  /** What came at each size, and after the key. */
  readonly out: readonly string[];
  readonly code: number | null;
  readonly same: boolean;
}

async function watch(
  t: ExecutionContext<string>,
  sizes: readonly (readonly [number, number])[],
  { last = 'ctrl-c', env = {}, words = 'ftp2 is down' } = {},
): Promise<Seen> {
  const path = join(t.context, 'status.sock');
  const report = { ...sampleReport(), problems: [words] };
  const server = createServer((_, response) => void response.end(JSON.stringify(report)));
  await new Promise<void>(resolve => server.listen(path, resolve));
  t.teardown(() => void server.close());
  const program = [process.execPath, PROGRAM, 'status', '--watch', '--run-dir', t.context];
  const { stdout } = await promisify(execFile)(
    'python3',
    ['-c', ON_A_TERMINAL, JSON.stringify(sizes), last, ...program],
    {
      env: { ...process.env, TERM: 'xterm', NO_COLOR: '', ...env },
      timeout: 90_000,
    },
  );
  return JSON.parse(stdout) as Seen;
}

/** The lines of each whole frame. */
function framesIn(out: string): string[][] {
  const frames = out.split('\u001b[?2026h').slice(1);
  return frames
    .filter(frame => frame.includes('\u001b[?2026l'))
    .map(frame => (frame.split('\u001b[?2026l')[0] as string).split('\r\n').map(line => line.replaceAll(MOVES, '')));
}

test('each frame fits the window, also one made smaller meanwhile, and Ctrl-C leaves the terminal as it was', async t => {
  const words =
    'the server 文件服务器 says 很长的一句话，没有空格也没有尽头，一直写下去直到行尾再写一行 and does not answer';
  const sizes = [
    [120, 50],
    [40, 24],
    [63, 80],
  ] as const;
  const { out, code, same } = await watch(t, sizes, { words });
  t.is(code, 0);
  t.true(same, 'the settings of the terminal');
  const all = out.join('');
  t.true(all.startsWith(ENTER_SCREEN), JSON.stringify(all.slice(0, 60)));
  t.true(all.endsWith(LEAVE_SCREEN) || all.endsWith(`^C${LEAVE_SCREEN}`), JSON.stringify(all.slice(-60)));
  t.is(all.split(ENTER_SCREEN).length, 2);
  t.false(all.includes('\u001b[2J'), 'the screen is never empty between two frames');
  for (const [index, [columns, rows]] of sizes.entries()) {
    const frame = framesIn(out[index] ?? '').at(-1) ?? [];
    t.true(frame.length > 5 && frame.length <= rows, `${frame.length} lines in ${rows}`);
    for (const line of frame) t.true(textWidth(line) < columns, `${textWidth(line)} of ${columns}: ${line}`);
    t.regex(frame[0] ?? '', /DEGRADED/);
  }
  t.regex((framesIn(out[1] ?? '').at(-1) ?? []).at(-1) ?? '', /^… \d+ more lines/);
  t.regex(
    framesIn(out[2] ?? '')
      .at(-1)
      ?.join('\n') ?? '',
    /文件服务器/,
  );
});

test('without colours nothing is coloured, and SIGTERM leaves the terminal as it was, too', async t => {
  const { out, code, same } = await watch(t, [[100, 60]], { last: 'SIGTERM', env: { NO_COLOR: '1' } });
  t.is(code, 143);
  t.true(same);
  const all = out.join('');
  t.notRegex(all, COLOUR);
  t.true(all.endsWith(LEAVE_SCREEN), JSON.stringify(all.slice(-60)));
  t.regex(framesIn(all)[0]?.join('\n') ?? '', /! ftp2 is down/);
});

test('a line is broken at blanks, by the columns that it takes, and its colour goes on', t => {
  t.deepEqual(brokenLine('  one two three four', 12), ['  one two', '    three', '    four']);
  t.deepEqual(brokenLine('  \u001b[31mone two three\u001b[0m x', 12), [
    '  \u001b[31mone two\u001b[0m',
    '    \u001b[31mthree\u001b[0m x',
  ]);
  t.deepEqual(brokenLine('没有空格也没有尽头', 10), ['没有空格也', '   没有尽', '   头']);
  for (let columns = 20; columns < 200; columns += 1)
    for (const text of [
      'x'.repeat(300),
      `  ${'word '.repeat(60)}`,
      '漢字'.repeat(80),
      'e\u0301'.repeat(90),
      '👩‍👩‍👧‍👦 ❤️ '.repeat(40),
    ]) {
      const lines = brokenLine(text, columns);
      t.true(
        lines.every(line => textWidth(line) <= columns),
        `${columns}: ${text.slice(0, 8)}`,
      );
      t.is(lines.join('').replaceAll(' ', ''), text.replaceAll(' ', ''), 'nothing is lost');
    }
});

test('widths are as terminals show them', t => {
  const widths: [string, number][] = [
    ['abc', 3],
    ['漢字', 4],
    ['e\u0301', 1],
    ['\u001b[31mred\u001b[0m', 3],
    ['❤️', 2],
    ['…', 1],
    ['', 0],
  ];
  for (const [text, width] of widths) t.is(textWidth(text), width, text);
});

test('what does not fit is told, in the last line', t => {
  const text = Array.from({ length: 30 }, (_, n) => `line ${n}`).join('\n');
  const lines = framesIn(picture(text, { columns: 80, rows: 10 }))[0] ?? [];
  t.is(lines.length, 10);
  t.is(lines[8], 'line 8');
  t.is(lines[9], '… 21 more lines: a taller window, or `tandem status`');
});
