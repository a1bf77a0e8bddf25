// pulse's feed with real sockets: who gets a place on it, and who loses one.
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import { snapshot as readSnapshot } from '../../src/cli/io/socket.ts';
import { createPulseFeed } from '../../src/director/io/pulse-feed.ts';
import { type Feed, serveFeed } from '../../src/pulse/io/feed.ts';
import { sampleSnapshot } from '../cli/samples.ts';

const log = { event: () => undefined };

const test = anyTest as TestFn<{ runDir: string; feed: Feed; readers: Socket[] }>;

test.beforeEach(async t => {
  const runDir = mkdtempSync(join(tmpdir(), 'tandem-feed-'));
  const feed = await serveFeed(runDir);
  feed.publish(sampleSnapshot());
  t.context = { runDir, feed, readers: [] };
});

test.afterEach.always(t => {
  for (const reader of t.context.readers) reader.destroy();
  t.context.feed?.close();
  rmSync(t.context.runDir, { recursive: true, force: true });
});

/** `count` members of the group that connect, read what comes and never go. */
async function fill(context: { runDir: string; readers: Socket[] }, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    const reader = connect(join(context.runDir, 'pulse.sock'));
    reader.on('error', () => undefined);
    context.readers.push(reader);
    await once(reader, 'data');
    reader.resume();
  }
}

async function within(ms: number, condition: () => boolean): Promise<boolean> {
  for (let waited = 0; waited < ms; waited += 10) {
    if (condition()) return true;
    await new Promise(resolve => setTimeout(resolve, 10));
  }
  return condition();
}

test('readers of the group, however many, take no place from the director and from `tandem handover`', async t => {
  const { runDir, feed } = t.context;
  const director = createPulseFeed({
    runDir,
    log,
    onSnapshot: () => undefined,
    onEvents: () => undefined,
    onLost: () => t.fail('lost'),
  });
  t.teardown(() => director.close());
  t.true(await within(2_000, () => director.snapshot() !== null));
  await fill(t.context, 70);
  feed.publish(sampleSnapshot({ seq: 312 }));
  t.true(await within(2_000, () => director.snapshot()?.seq === 312), 'the director is still served');
  t.is((await readSnapshot(runDir)).seq, 312, 'the command line as root gets in');
  t.is(statSync(join(runDir, 'pulse-root.sock')).mode & 0o777, 0o600);
  t.is(feed.dropped(), 70 - 32);
});

test('one reader more than there are places takes that of the reader with the most unread', async t => {
  const { runDir, feed, readers } = t.context;
  await fill(t.context, 32);
  const stalled = readers[20] as Socket;
  stalled.pause();
  const large = sampleSnapshot({ reason: 'x'.repeat(60_000) });
  for (let n = 0; n < 6; n += 1) feed.publish(large);
  // The others have read all of it.
  await new Promise(resolve => setTimeout(resolve, 300));
  const gone: Socket[] = [];
  for (const reader of readers) reader.on('close', () => gone.push(reader));
  const newcomer = connect(join(runDir, 'pulse.sock'));
  readers.push(newcomer);
  await once(newcomer, 'data');
  stalled.resume();
  t.true(await within(2_000, () => gone.length > 0));
  t.is(gone.length, 1);
  t.is(gone[0], stalled);
});

test('a director beside a pulse of 0.3, which has one feed socket, uses that one', async t => {
  const { runDir } = t.context;
  rmSync(join(runDir, 'pulse-root.sock'));
  const director = createPulseFeed({
    runDir,
    log,
    onSnapshot: () => undefined,
    onEvents: () => undefined,
    onLost: () => undefined,
  });
  t.teardown(() => director.close());
  t.true(await within(2_000, () => director.snapshot() !== null));
});
