// pulse gives its journal away with a real socket: to one reader, all of it or none.
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { serveJournal } from '../../src/pulse/io/journal-socket.ts';
import { until } from '../until.ts';

const test = anyTest as TestFn<string>;

test.beforeEach(t => {
  t.context = mkdtempSync(join(tmpdir(), 'tandem-journal-'));
});
test.afterEach.always(t => rmSync(t.context, { recursive: true, force: true }));

async function serve(t: ExecutionContext<string>, lines: () => Iterator<string, void> | undefined, sendMsMax?: number) {
  const path = join(t.context, 'pulse-journal.sock');
  const sent: boolean[] = [];
  const options = sendMsMax === undefined ? {} : { sendMsMax };
  const server = await serveJournal(path, { lines, onSent: whole => sent.push(whole), ...options });
  t.teardown(() => server.close());
  return { path, sent };
}

test('who connects gets every line in order, in slices between which the loop is free', async t => {
  const lines = Array.from({ length: 5_000 }, (_, n) => `${n} ${'x'.repeat(90)}\n`);
  const { path, sent } = await serve(t, () => lines[Symbol.iterator]());
  t.is(statSync(path).mode & 0o777, 0o600);
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 1);
  t.is(await text(connect(path)), lines.join(''));
  clearInterval(timer);
  t.true(turns >= 5, `${turns} turns of the loop meanwhile`);
  await until('told', () => sent.length === 1);
  t.deepEqual(sent, [true]);
});

test('a reader that does not read loses it, and no more is made than it may leave unread', async t => {
  let made = 0;
  function* endless() {
    for (;;) {
      made += 1;
      yield `${'x'.repeat(1_000)}\n`;
    }
  }
  const { path, sent } = await serve(t, endless, 500);
  const reader = connect(path).on('error', () => undefined);
  reader.pause();
  await until('given up', () => sent.length === 1);
  t.deepEqual(sent, [false]);
  t.true(made < 1_000, `${made} KB were made`);
  reader.destroy();
});

test('a second reader, one that writes, and one that comes before there is anything get nothing', async t => {
  let has = true;
  const { path, sent } = await serve(t, () => (has ? endlessly() : undefined), 5_000);
  const first = connect(path).on('error', () => undefined);
  await once(first, 'data');
  t.is(await text(connect(path)), '');
  first.write('hello');
  await once(first.resume(), 'close');
  await until('given up', () => sent.length === 1);
  t.deepEqual(sent, [false]);
  has = false;
  t.is(await text(connect(path)), '');
});

function* endlessly() {
  for (;;) yield `${'x'.repeat(1_000)}\n`;
}
