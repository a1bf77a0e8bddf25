// Keeps pulse's journal of each decision on disk, for `tandem replay`: state-dir/journal, the
// oldest removed. It is fetched a moment after the decision, so that what came of it is in it.
// Decisions that follow soon share one: it is longer than the pause between two. Not pure.
import { createWriteStream } from 'node:fs';
import { access, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { JOURNAL_DIRECTORY, JOURNAL_SOCKET } from '../../feed/files.ts';
import type { Decision, Snapshot } from '../../feed/message.ts';
import type { Log } from '../../log/log.ts';
import { monotonicNow } from '../../units/io/clocks.ts';

/** What comes so soon after a decision belongs to it. */
const AFTERMATH_MS = 2_000;
/** pulse keeps a minute. */
const REACHES_BACK_MS = 55_000;
const PAUSE_MS = 30_000;
const FETCH_MS_MAX = 60_000;
/** Of one, before it is compressed. */
const BYTES_MAX = 33_554_432;
const FILES_MAX = 50;
const ALL_BYTES_MAX = 67_108_864;
const TAIL_BYTES = 64;
const SUFFIX = '.jsonl.gz';

interface JournalKeeper {
  hear(snapshot: Snapshot): void;
  close(): Promise<void>;
}

interface KeeperOptions {
  readonly runDir: string;
  readonly stateDir: string;
  readonly log: Log;
  /** For tests: default 2 s. */
  readonly aftermathMs?: number;
  /** For tests: default 30 s. */
  readonly pauseMs?: number;
}

export function keepJournals(options: KeeperOptions): JournalKeeper {
  const { log, aftermathMs = AFTERMATH_MS, pauseMs = PAUSE_MS } = options;
  const closing = new AbortController();
  let newest: Decision | undefined;
  let timer: NodeJS.Timeout | undefined;
  let fetching: Promise<void> | undefined;
  let fetchedAt = -Infinity;
  const fetch = async () => {
    timer = undefined;
    const decision = newest;
    if (decision === undefined || fetching !== undefined) return;
    fetchedAt = monotonicNow();
    fetching = fetchOne(options, decision, closing.signal).catch((error: Error) => {
      if (!closing.signal.aborted) log.event('JOURNAL_LOST', { decided: decision.at, problem: error.message });
    });
    await fetching;
    fetching = undefined;
    if (newest !== decision) plan();
  };
  const plan = () => {
    if (timer !== undefined || fetching !== undefined || closing.signal.aborted) return;
    const restMs = fetchedAt + pauseMs - monotonicNow();
    timer = setTimeout(() => void fetch(), Math.max(aftermathMs, restMs));
  };
  return {
    hear({ decisions }) {
      const last = decisions.at(-1);
      if (!last || last.at === newest?.at) return;
      newest = last;
      if (Date.now() - Date.parse(last.at) < REACHES_BACK_MS) plan();
    },
    close: async () => {
      closing.abort();
      clearTimeout(timer);
      await fetching;
    },
  };
}

/** Throws an error that says why there is no file. */
async function fetchOne({ runDir, stateDir, log }: KeeperOptions, decision: Decision, closing: AbortSignal) {
  const directory = join(stateDir, JOURNAL_DIRECTORY);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, nameOf(decision));
  if (await exists(path)) return;
  const draft = join(directory, 'new');
  const { watch, whole } = watched();
  try {
    const socket = connect(join(runDir, JOURNAL_SOCKET));
    const signal = AbortSignal.any([closing, AbortSignal.timeout(FETCH_MS_MAX)]);
    await pipeline(socket, watch, createGzip(), createWriteStream(draft, { mode: 0o600 }), { signal });
    if (!whole()) throw new Error('pulse broke off: it was busy with another reader, or this one was too slow');
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  log.event('JOURNAL_KEPT', { path, decided: decision.at });
  await removeOldest(directory);
}

/** Lets bytes through, up to the limit; `whole`: they ended with the last line of a journal. */
function watched(): { watch: Transform; whole: () => boolean } {
  let bytes = 0;
  let tail = Buffer.alloc(0);
  const watch = new Transform({
    transform(chunk: Buffer, _, done) {
      bytes += chunk.length;
      tail = Buffer.concat([tail, chunk]).subarray(-TAIL_BYTES);
      if (bytes > BYTES_MAX) done(new Error(`the journal is longer than ${BYTES_MAX} bytes`));
      else done(null, chunk);
    },
  });
  return { watch, whole: () => /\{"type":"end","steps":\d+\}\n$/.test(tail.toString('utf8')) };
}

/** By time, then what it led to: "2026-11-22T162000.014Z-active.jsonl.gz". */
function nameOf({ at, to }: Decision): string {
  return `${at.replaceAll(/[^0-9TZ.-]/g, '').slice(0, 40)}-${to}${SUFFIX}`;
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

async function removeOldest(directory: string): Promise<void> {
  const names = (await readdir(directory)).filter(name => name.endsWith(SUFFIX)).sort();
  const files = await Promise.all(names.map(async name => ({ name, bytes: (await stat(join(directory, name))).size })));
  let all = files.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const [index, { name, bytes }] of files.entries()) {
    if (files.length - index <= FILES_MAX && all <= ALL_BYTES_MAX) return;
    await rm(join(directory, name), { force: true });
    all -= bytes;
  }
}
