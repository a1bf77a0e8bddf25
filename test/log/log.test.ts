// Lines as the journal gets them, and the sink's behaviour towards readers that stall, leave, or have no room.
import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { PassThrough, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { EVENTS } from '../../src/log/catalogue.ts';
import { type EventEntry, SEVERITIES } from '../../src/log/event.ts';
import { createLogSink, QUEUE_BYTES_MAX } from '../../src/log/io/log-sink.ts';
import { createLog } from '../../src/log/log.ts';

const CHILD = fileURLToPath(new URL('./flooding-child.js', import.meta.url));

function read(stream: PassThrough): Record<string, unknown>[] {
  const text = String(stream.read() ?? '');
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line.replace(/^<\d>/, '')) as Record<string, unknown>);
}

test('an event is one JSON line with time, severity, code, process, node, sentence, remedy and fields', async t => {
  const stream = new PassThrough();
  const log = createLog({ process: 'director', node: 'alpha', stream, prefixed: false, now: () => 0 });
  log.event('STATUS_REPORT_FAILED', { path: '/status', problem: 'line one\nline two' });
  t.deepEqual(read(stream), [
    {
      ts: '1970-01-01T00:00:00.000Z',
      severity: 'err',
      code: 'STATUS_REPORT_FAILED',
      process: 'director',
      node: 'alpha',
      says: EVENTS.STATUS_REPORT_FAILED.says,
      remedy: EVENTS.STATUS_REPORT_FAILED.remedy,
      path: '/status',
      problem: 'line one\nline two',
    },
  ]);
  await log.close();
});

test('under systemd each line carries the priority of its severity', async t => {
  const stream = new PassThrough();
  const log = createLog({ process: 'pulse', stream, prefixed: true });
  log.event('STATUS_REPORT_FAILED');
  log.event('STATUS_SERVER_ERROR');
  log.event('STATUS_READER_DROPPED');
  await log.close();
  const priorities = String(stream.read())
    .trim()
    .split('\n')
    .map(line => /^<\d>\{/.exec(line)?.[0]);
  t.deepEqual(priorities, ['<3>{', '<4>{', '<5>{']);
});

test('fields cannot forge the fixed ones, and values of any size or kind make a bounded, valid line', async t => {
  const stream = new PassThrough();
  const log = createLog({ process: 'pulse', node: 'alpha', stream, prefixed: false });
  log.event('STATUS_SERVER_ERROR', { code: 'FORGED', severity: 'emerg', problem: 'x'.repeat(100_000), n: Number.NaN });
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`f${n}`, '\u0001'.repeat(5_000)]));
  log.event('STATUS_READERS_FULL', many);
  const [forged, huge] = read(stream);
  t.is(forged?.code, 'STATUS_SERVER_ERROR');
  t.is(forged?.severity, 'warning');
  t.is(String(forged?.problem).length, 1_001);
  t.is(forged?.n, 'NaN');
  t.true(JSON.stringify(huge).length < 16_384);
  t.is(huge?.truncated, true);
  await log.close();
});

test("an event's own field `node` is left out when it says what the line says anyway", async t => {
  const stream = new PassThrough();
  const log = createLog({ process: 'pulse', node: 'alpha', stream, prefixed: false });
  log.event('STATUS_READERS_FULL', { node: 'alpha' });
  log.event('STATUS_READERS_FULL', { node: 'beta' });
  const lines = read(stream);
  t.false('node_' in (lines[0] ?? {}));
  t.like(lines[1], { node: 'alpha', node_: 'beta' });
  await log.close();
});

test('a flood leaves five lines and a summary with the count', async t => {
  const stream = new PassThrough();
  const log = createLog({ process: 'pulse', stream, prefixed: false });
  for (let n = 0; n < 1_000; n += 1) log.event('STATUS_READERS_FULL', { readersMax: 32 });
  await log.close();
  const lines = read(stream);
  t.is(lines.length, 6);
  t.like(lines.at(-1), { code: 'EVENT_REPEATED', repeated: 'STATUS_READERS_FULL', count: 995, ended: true });
});

test('the end of a flood is logged by the timer while the process runs', async t => {
  const stream = new PassThrough();
  const log = createLog({ process: 'pulse', stream, prefixed: false, rateLimit: { passMax: 1, windowMs: 300 } });
  for (let n = 0; n < 10; n += 1) log.event('STATUS_READERS_FULL', { readersMax: 32 });
  await sleep(2_500);
  t.like(read(stream).at(-1), { code: 'EVENT_REPEATED', count: 9, ended: true });
  await log.close();
});

test('every event of the catalogue has a known severity, ends in a known event and identifies by its own fields', t => {
  for (const [code, entry] of Object.entries(EVENTS) as [string, EventEntry][]) {
    t.regex(code, /^[A-Z][A-Z0-9_]+$/);
    t.true(SEVERITIES.includes(entry.severity), code);
    if (entry.endedBy !== undefined) t.true(entry.endedBy in EVENTS, `${code} is ended by ${entry.endedBy}`);
    for (const name of entry.identity ?? []) t.true(name in entry.fields, `${code} has a field ${name}`);
  }
});

test('a sink that was full starts again and says how much it dropped', t => {
  let release: (() => void) | undefined;
  const stream = new Writable({
    highWaterMark: 1_024,
    write: (_chunk, _encoding, next) => {
      release = next;
    },
  });
  const sink = createLogSink(stream);
  const line = 'x'.repeat(1_024);
  const accepted = Array.from({ length: 400 }, () => sink.write(line)).filter(taken => taken).length;
  t.is(accepted, QUEUE_BYTES_MAX / 1_024);
  t.is(stream.writableLength, QUEUE_BYTES_MAX);
  t.is(sink.takeDropped(), undefined, 'nobody could read it yet');
  while (stream.writableLength >= QUEUE_BYTES_MAX / 2) release?.();
  t.deepEqual(sink.takeDropped(), { lines: 144, bytes: 144 * 1_024 });
  t.true(sink.write(line));
  t.is(sink.takeDropped(), undefined);
});

test('when the line that tells of drops is lost too, the count is not', t => {
  let full = true;
  const stream = new Writable();
  stream.write = () => {
    if (full) throw new Error('ENOSPC: no space left on device');
    return true;
  };
  const sink = createLogSink(stream);
  sink.write('abc');
  t.deepEqual(sink.takeDropped(), { lines: 1, bytes: 3 });
  sink.write('told');
  t.deepEqual(sink.takeDropped(), { lines: 2, bytes: 7 });
  full = false;
  t.true(sink.write('told'));
  t.is(sink.takeDropped(), undefined);
});

interface Progress {
  readonly sent: number;
  readonly queued: number;
  readonly heapBytes: number;
  readonly lagMsMax: number;
}

test('with a reader that has stopped, the event loop stays live and memory bounded; the drops are logged later', async t => {
  const child = spawn(process.execPath, [CHILD, '3000'], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  const progress = await new Promise<Progress>((resolve, reject) => {
    child.once('message', message => resolve(message as Progress));
    child.once('exit', code => reject(new Error(`the child ended with ${code} before it reported`)));
  });
  t.true(progress.sent > 5_000, `it went on logging: ${progress.sent}`);
  t.true(progress.queued > QUEUE_BYTES_MAX / 2 && progress.queued <= QUEUE_BYTES_MAX, `queued ${progress.queued}`);
  t.true(progress.heapBytes < 100_000_000, `heap ${progress.heapBytes}`);
  t.true(progress.lagMsMax < 5_000, `event loop late by ${progress.lagMsMax} ms`);
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const code = await new Promise(resolve => child.once('close', resolve));
  t.is(code, 0);
  const lines = text.split('\n').filter(line => line !== '');
  const parsed = lines.map(line => JSON.parse(line) as { code: string; lines?: number });
  const drops = parsed.filter(line => line.code === 'LOG_DROPPED');
  const dropped = drops.reduce((sum, line) => sum + (line.lines ?? 0), 0);
  t.is(drops.length, 1, 'one line tells of all drops');
  t.is(parsed.length - drops.length + dropped, progress.sent, 'every line was written or counted');
});

test('a reader that has gone away (EPIPE) does not end the process', async t => {
  const child = spawn(process.execPath, [CHILD, '1000'], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  child.stdout?.destroy();
  t.is(await new Promise(resolve => child.once('exit', resolve)), 0);
});

test('a full disk under the log does not end the process', async t => {
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, [CHILD, '500'], { stdio: ['ignore', full, 'inherit', 'ipc'] });
  t.is(await new Promise(resolve => child.once('exit', resolve)), 0);
});
