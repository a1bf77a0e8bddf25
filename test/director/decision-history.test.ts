// The director writes every decision down once, whatever it hears again, and `tandem history` reads it.
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import { writeHistory } from '../../src/director/io/decision-history.ts';
import type { Decision } from '../../src/feed/message.ts';
import { pastDecisions } from '../../src/feed/past-decision.ts';
import { sampleSnapshot } from '../cli/samples.ts';
import { until } from '../until.ts';

const test = anyTest as TestFn<string>;
test.beforeEach(t => {
  t.context = mkdtempSync(join(tmpdir(), 'tandem-history-'));
});
test.afterEach.always(t => rmSync(t.context, { recursive: true, force: true }));

function decision(n: number): Decision {
  const at = new Date(Date.UTC(2026, 10, 22) + n * 1_000).toISOString();
  return { at, from: 'standby', to: 'active', epoch: `${n}.1`, reason: 'silence', evidence: {} };
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => decision(from + n));
const silent = { event: () => undefined };
const times = (path: string) => pastDecisions(readFileSync(path, 'utf8')).map(({ epoch }) => epoch);

test('each decision is written once, also through a restart of the director, and those it has missed', async t => {
  const path = join(t.context, 'history.jsonl');
  const first = writeHistory(t.context, silent);
  first.hear(sampleSnapshot({ decisions: range(0, 2) }));
  first.hear(sampleSnapshot({ decisions: range(0, 2) }));
  first.hear(sampleSnapshot({ decisions: range(0, 3) }));
  await first.close();
  t.deepEqual(times(path), ['0.1', '1.1', '2.1']);
  t.is(statSync(path).mode & 0o777, 0o600);
  // Cut by a power loss.
  appendFileSync(path, '{"at":"2026-');
  const second = writeHistory(t.context, silent);
  second.hear(sampleSnapshot({ decisions: range(1, 5) }));
  await second.close();
  t.deepEqual(times(path), ['0.1', '1.1', '2.1', '3.1', '4.1']);
  t.is(pastDecisions(readFileSync(path, 'utf8'))[0]?.node, sampleSnapshot().node);
});

test('a full file becomes the older one, and there are two at most', async t => {
  const [path, older] = [join(t.context, 'history.jsonl'), join(t.context, 'history.1.jsonl')];
  const history = writeHistory(t.context, silent);
  writeFileSync(older, 'old\n');
  writeFileSync(path, `${JSON.stringify({ node: 'r1', ...decision(1), reason: 'x'.repeat(600_000) })}\n`);
  history.hear(sampleSnapshot({ decisions: range(7, 8) }));
  await history.close();
  t.deepEqual(times(path), ['7.1']);
  t.deepEqual(times(older), ['1.1']);
});

test('a disk that does not take it is told of, and tried again later only', async t => {
  const told: string[] = [];
  const history = writeHistory(join(t.context, 'missing'), { event: code => void told.push(code) });
  history.hear(sampleSnapshot({ decisions: range(0, 1) }));
  await until('told', () => told.length > 0);
  history.hear(sampleSnapshot({ decisions: range(0, 2) }));
  await history.close();
  t.deepEqual(told, ['MEMORY_PROBLEM']);
});
