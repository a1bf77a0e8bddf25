// The log: winston, set up once per process. JSON lines on stdout (the daemons) or stderr (the CLI,
// whose stdout is its answer), with journald's priority prefix under systemd. Never blocks, never
// grows, never throws. Not pure: clocks, timer and stream.
import { fstatSync } from 'node:fs';
import { Writable } from 'node:stream';
import winston from 'winston';
import { EVENTS, type EventCode } from './catalogue.ts';
import { type EventEntry, type Fields, SEVERITIES } from './event.ts';
import { createLogSink, type LogSink } from './io/log-sink.ts';
import { entryOf, formatLine, type LogEntry } from './log-line.ts';
import { admit, createRate, eventKeyOf, flushRate, type Rate, type RateLimits, type Summary, sweep } from './rate.ts';

export interface Log {
  event(code: EventCode, fields?: Fields): void;
}

/**
 * A log with its end: call `close` before the process exits, so that the last lines are not lost.
 */
export interface ClosableLog extends Log {
  /** Logs what is still counted, then waits for the reader, at most `timeoutMs` (default 200). */
  close(timeoutMs?: number): Promise<void>;
}

interface LogOptions {
  readonly process: 'pulse' | 'director' | 'runner' | 'cli';
  /** Name of this router. */
  readonly node?: string;
  /** Wall clock, milliseconds since 1970. */
  readonly now?: () => number;
  /** Monotonic clock of the rate limits, in milliseconds. */
  readonly monotonicNow?: () => number;
  readonly rateLimit?: Partial<RateLimits>;
  /** Where lines go; absent: stdout, the CLI stderr. */
  readonly stream?: Writable;
  /** Is handed each entry that is logged; it must neither throw nor wait. */
  readonly onEntry?: (entry: LogEntry) => void;
  /**
   * Whether lines carry `<N>`; absent: when the stream is the one systemd names in JOURNAL_STREAM.
   */
  readonly prefixed?: boolean;
}

const SWEEP_MS = 1_000;
const CLOSE_MS = 200;
/** Where winston keeps the formatted text of an info object. */
const MESSAGE = Symbol.for('message');

interface State {
  readonly options: LogOptions;
  readonly rate: Rate;
  readonly sink: LogSink;
  readonly logger: winston.Logger;
  readonly now: () => number;
  readonly monotonicNow: () => number;
}

export function createLog(options: LogOptions): ClosableLog {
  const sink = createLogSink(options.stream ?? (options.process === 'cli' ? process.stderr : process.stdout));
  const prefixed = options.prefixed ?? isJournalStream(options.process === 'cli' ? 2 : 1);
  const state: State = {
    options,
    rate: createRate(options.rateLimit),
    sink,
    logger: createLogger(sink, prefixed),
    now: options.now ?? Date.now,
    monotonicNow: options.monotonicNow ?? (() => performance.now()),
  };
  const timer = setInterval(() => tick(state), SWEEP_MS).unref();
  return {
    event: (code, fields = {}) => {
      const about: EventEntry = EVENTS[code];
      const key = eventKeyOf(code, about, fields);
      if (!admit(state.rate, key, state.monotonicNow())) return;
      reportDropped(state);
      emit(state, code, fields);
    },
    close: async (timeoutMs = CLOSE_MS) => {
      clearInterval(timer);
      for (const summary of flushRate(state.rate)) emitSummary(state, summary);
      reportDropped(state);
      await sink.drained(timeoutMs);
      state.logger.close();
      sink.close();
    },
  };
}

/**
 * Under systemd JOURNAL_STREAM is "device:inode" of the journal's socket; a redirected child must
 * not write prefixes.
 */
function isJournalStream(descriptor: number): boolean {
  const wanted = process.env.JOURNAL_STREAM;
  if (!wanted) return false;
  try {
    const { dev, ino } = fstatSync(descriptor);
    return wanted === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

function createLogger(sink: LogSink, prefixed: boolean): winston.Logger {
  const levels = Object.fromEntries(SEVERITIES.map((severity, number) => [severity, number]));
  const format = winston.format.printf(info => formatLine(info.entry as LogEntry, prefixed));
  // winston's console transport would queue without a bound; this stream hands over to the sink and
  // never waits.
  const stream = new Writable({
    objectMode: true,
    write: (info: Record<symbol, string>, _encoding, next) => {
      sink.write(info[MESSAGE] ?? '');
      next();
    },
  });
  const transports = [new winston.transports.Stream({ stream })];
  return winston.createLogger({ levels, level: 'debug', format, transports, exitOnError: false });
}

function tick(state: State): void {
  for (const summary of sweep(state.rate, state.monotonicNow())) emitSummary(state, summary);
  reportDropped(state);
}

function emitSummary(state: State, summary: Summary): void {
  const sinceLastMs = state.monotonicNow() - summary.lastAt;
  emit(state, 'EVENT_REPEATED', {
    repeated: summary.code,
    about: summary.about,
    count: summary.count,
    seconds: Math.round((summary.lastAt - summary.firstAt) / 100) / 10,
    lastAt: new Date(state.now() - sinceLastMs).toISOString(),
    ended: summary.ended,
  });
}

function reportDropped(state: State): void {
  const dropped = state.sink.takeDropped();
  if (dropped) emit(state, 'LOG_DROPPED', { lines: dropped.lines, bytes: dropped.bytes });
}

function emit(state: State, code: EventCode, fields: Fields): void {
  const about: EventEntry = EVENTS[code];
  const origin = {
    ts: new Date(state.now()).toISOString(),
    process: state.options.process,
    node: state.options.node ?? null,
  };
  const entry: LogEntry = entryOf(code, about, fields, origin);
  state.logger.log({ level: about.severity, message: code, entry });
  state.options.onEntry?.(entry);
}
