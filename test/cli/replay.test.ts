// `tandem replay` on files: a whole journal of the simulator's, and what is none.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import anyTest, { type TestFn } from 'ava';
import { CliError } from '../../src/cli/exit.ts';
import { replay } from '../../src/cli/replay.ts';
import { takeoverJournal } from '../sim/takeover-journal.ts';

const test = anyTest as TestFn<string>;

test.beforeEach(t => {
  t.context = join(mkdtempSync(join(tmpdir(), 'tandem-replay-')), 'journal');
});
test.afterEach.always(t => rmSync(join(t.context, '..'), { recursive: true, force: true }));

function run(file: string, content: string | Buffer, json = false) {
  writeFileSync(file, content);
  let out = '';
  const terminal = {
    ...{
      screen: false,
      size: () => ({ columns: 80, rows: 24 }),
      takeScreen: () => undefined,
      colour: false,
      now: () => 0,
      monotonicNow: () => 0,
      pause: async () => false,
      err: () => undefined,
    },
    out: (text: string) => {
      out += text;
    },
  };
  try {
    return { code: replay(terminal, file, { json }), out };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return { code: error.exitCode, out: error.message };
  }
}

test('the decision of a journal is made again, the same, with its time and evidence', t => {
  for (const content of [takeoverJournal().join(''), gzipSync(takeoverJournal().join(''))]) {
    const { code, out } = run(t.context, content);
    t.is(code, 0, out);
    t.regex(out, /: r2, \d+ events in \d\.\ds, until 2026-11-22T00:00:00\.000Z\n/);
    t.regex(
      out,
      /2026-11-21T23:59:5\d\.\d+Z {2}standby -> claiming {2}epoch [\d.]+\n {2}silence: no heartbeat and no answer\n/,
    );
    t.regex(out, /claiming -> active[\s\S]*the same as was recorded: 2 decisions\n$/);
  }
  const { out } = run(t.context, takeoverJournal().join(''), true);
  t.like(JSON.parse(out), { same: true, tandem: '0.4.0', node: 'r2', decided: [{ to: 'claiming' }, { to: 'active' }] });
});

test('a decision that is not the one that was recorded is told, and ends with 8', t => {
  const lines = takeoverJournal().map(line => line.replace('"probeRoundsSilent":', '"probeRoundsSilent":9'));
  const { code, out } = run(t.context, lines.join(''));
  t.is(code, 8);
  t.regex(out, /DECIDED NOW\n[\s\S]*RECORDED\n[\s\S]*NOT THE SAME\n$/);
});

test('what is no journal, or not a whole one, or of another version ends with 1 and its line', t => {
  const lines = takeoverJournal();
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /line 1: this is not the head of a journal/],
    ['hello\n', /line 1: this is not the head of a journal/],
    [lines.slice(0, 20).join(''), /line 20: this is not the end of a journal/],
    [[...lines.slice(0, 20), lines.at(-1)].join(''), /line 21: it should have \d+ events and has 19: it was cut/],
    [
      lines.with(0, (lines[0] ?? '').replace(/"wallMs":\d+/, '"wallMs":1e18')).join(''),
      /line 1: this is not the head of a journal/,
    ],
    [lines.with(3, '{"type":"step"}\n').join(''), /line 4: this is not an event/],
    [
      lines.with(3, '{"type":"step","at":1,"event":{"type":"datagram","link":0}}\n').join(''),
      /line 4: the machine of this version cannot take this event/,
    ],
    [
      lines.with(0, (lines[0] ?? '').replace('"lateAt"', '"laterAt"')).join(''),
      /line 1: its state has no lateAt; recorded by tandem 0\.4\.0: replay it with that version/,
    ],
    [
      lines
        .with(0, (lines[0] ?? '').replace('"settings":{', '"settings":{"lans":3,"x":{'))
        .join('')
        .replace('}', '}}'),
      /line 1: /,
    ],
  ];
  for (const [content, words] of cases) {
    const { code, out } = run(t.context, content);
    t.is(code, 1);
    t.regex(out, words);
  }
  t.regex(run(t.context, gzipSync(Buffer.alloc(70_000_000))).out, /cannot read .*: /);
});

test('a file that is not there, or is none, ends with 1', t => {
  t.throws(() => replay({} as never, `${t.context}-missing`, {}), { message: /cannot read .*ENOENT/ });
  t.throws(() => replay({} as never, '/dev/zero', {}), { message: /it is no regular file/ });
});
