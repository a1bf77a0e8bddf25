// The director keeps pulse's journals, with a real socket and a real disk.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { keepJournals } from '../../src/director/io/journal-keeper.ts';
import type { Decision } from '../../src/feed/message.ts';
import { sampleSnapshot } from '../cli/samples.ts';
import { until } from '../until.ts';

const WHOLE = '{"type":"journal"}\n{"type":"step"}\n{"type":"end","steps":1}\n';
const test = anyTest as TestFn<string>;

test.beforeEach(t => {
  t.context = mkdtempSync(join(tmpdir(), 'tandem-keeper-'));
});
test.afterEach.always(t => rmSync(t.context, { recursive: true, force: true }));

function decided(at: string): Decision {
  return { at, from: 'standby', to: 'active', epoch: '12.1', reason: 'silence', evidence: {} };
}

/** A keeper, and a pulse that says `text` to each who asks, if it says anything. */
async function keeper(t: ExecutionContext<string>, text: string | undefined) {
  const asked = { times: 0 };
  if (text !== undefined) {
    const server = createServer(socket => {
      asked.times += 1;
      socket.on('error', () => undefined).end(text);
    });
    await new Promise<void>(resolve => server.listen(join(t.context, 'pulse-journal.sock'), resolve));
    t.teardown(() => void server.close());
  }
  const told: { code: string; fields: Record<string, unknown> }[] = [];
  const log = { event: (code: string, fields = {}) => void told.push({ code, fields }) };
  const kept = keepJournals({ runDir: t.context, stateDir: t.context, log, aftermathMs: 20, pauseMs: 0 });
  t.teardown(() => kept.close());
  const hear = (...decisions: Decision[]) => kept.hear(sampleSnapshot({ decisions }));
  const directory = join(t.context, 'journal');
  return { asked, told, hear, directory, files: () => readdirSync(directory).sort() };
}

test('the journal of a decision is fetched once, compressed, for root alone', async t => {
  const { asked, told, hear, directory, files } = await keeper(t, WHOLE);
  const now = new Date().toISOString();
  hear(decided(now));
  hear(decided(now));
  await until('kept', () => told.some(({ code }) => code === 'JOURNAL_KEPT'));
  hear(decided(now));
  await new Promise(resolve => setTimeout(resolve, 300));
  t.is(asked.times, 1);
  const [name] = files();
  t.deepEqual(files(), [`${now.replaceAll(':', '')}-active.jsonl.gz`]);
  const path = join(directory, name ?? '');
  t.is(gunzipSync(readFileSync(path)).toString(), WHOLE);
  t.is(statSync(path).mode & 0o777, 0o600);
  t.is(statSync(directory).mode & 0o777, 0o700);
});

test('a decision of long ago, as after a start of the director, has no journal any more', async t => {
  const { asked, told, hear } = await keeper(t, WHOLE);
  hear(decided(new Date(Date.now() - 120_000).toISOString()));
  await new Promise(resolve => setTimeout(resolve, 100));
  t.is(asked.times, 0);
  t.deepEqual(told, []);
});

for (const [what, text] of [
  ['one that was cut', '{"type":"journal"}\n{"type":"step"}\n'],
  ['none', ''],
  ['that of a pulse without a journal', undefined],
] as const) {
  test(`${what} is not kept, and the log says why`, async t => {
    const { told, hear, files } = await keeper(t, text);
    hear(decided(new Date().toISOString()));
    await until('told', () => told.length > 0);
    t.like(told[0], { code: 'JOURNAL_LOST' });
    t.regex(String(told[0]?.fields.problem), text === undefined ? /ENOENT/ : /broke off/);
    t.deepEqual(files(), []);
  });
}

test('no more than fifty are kept, the newest', async t => {
  const { told, hear, directory, files } = await keeper(t, WHOLE);
  mkdirSync(directory);
  const old = (n: number) => `2026-01-01T0000${String(n).padStart(2, '0')}.000Z-active.jsonl.gz`;
  for (let n = 0; n < 59; n += 1) writeFileSync(join(directory, old(n)), 'x');
  hear(decided(new Date().toISOString()));
  await until('kept', () => told.length > 0 && files().length <= 50);
  t.is(files().length, 50);
  t.is(files()[0], old(10));
  t.false(files().at(-1)?.startsWith('2026-01-01'));
});
