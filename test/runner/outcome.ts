// What a run of ava said: each test's verdict and time, from the lines that its default reporter writes to a pipe. Pure.

export type Verdict = 'passed' | 'failed' | 'skipped';

export interface TestOutcome {
  readonly verdict: Verdict;
  readonly title: string;
  /** 0 when ava gave none: it names times above 100 ms only. */
  readonly tookMs: number;
}

const MARKS: Readonly<Record<string, Verdict>> = { '✔': 'passed', '✘': 'failed', '-': 'skipped' };
const UNITS_MS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** Milliseconds of ava's words for a duration ("1m 2.3s", "532ms"); undefined when they are none. */
export function durationMs(words: string): number | undefined {
  let total = 0;
  for (const part of words.split(' ')) {
    const match = /^(\d+(?:\.\d+)?)(d|h|m|s|ms)$/.exec(part);
    if (!match) return undefined;
    total += Number(match[1]) * (UNITS_MS[match[2] as string] as number);
  }
  return total;
}

/** The outcome that a line tells; undefined when it is another line. */
export function outcomeOf(line: string): TestOutcome | undefined {
  const match =
    /^ {2}(✔|✘|-(?= \[(?:skip|todo)\] )) (?:\[(?:fail|skip|todo|expected fail)\]: |\[(?:skip|todo)\] )?(.*)$/.exec(
      line,
    );
  if (!match) return undefined;
  const [, mark = '', rest = ''] = match;
  // "✘ test.js exited due to SIGKILL" and the like fail, too.
  const time = /^(.*) \(([^()]+)\)$/.exec(rest);
  const tookMs = time && durationMs(time[2] as string);
  const title = time && tookMs !== undefined ? (time[1] as string) : rest;
  return { verdict: MARKS[mark] as Verdict, title, tookMs: tookMs ?? 0 };
}

/**
 * The title of a failed test, whose line has the error's message behind it: ava writes the title alone, too, above the details at the end
 * of its run.
 */
export function titleOf(failedTitle: string, linesOfRun: readonly string[]): string {
  const heads = linesOfRun.map(line => line.trim()).filter(line => line !== '' && failedTitle.startsWith(`${line} `));
  return heads.reduce((longest, head) => (head.length > longest.length ? head : longest), '') || failedTitle;
}

/** A test that waited for its turn tells its own time in its log, in words that end so; in ms. */
export function ownTimeMs(line: string): number | undefined {
  const match = /^ {4}ℹ .*, (\d+(?:\.\d+)?) s of real time$/.exec(line);
  return match ? Number(match[1]) * 1_000 : undefined;
}

/** Counts of a whole run. `disturbed`: runs of a test that a stand-still of the machine spoilt. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly disturbed: number;
  readonly skipped: number;
}

/** More of the tests disturbed than this share fail a run: the machine is no place to judge anything on. */
export const DISTURBED_SHARE_MAX = 0.05;

export function tooDisturbed({ passed, failed, disturbed }: Counts): boolean {
  return disturbed > DISTURBED_SHARE_MAX * (passed + failed);
}

/** The last line of a run. Disturbed and skipped tests are named when there are some. */
export function closingLine({ passed, failed, disturbed, skipped }: Counts): string {
  const rest = [...(skipped > 0 ? [`${skipped} skipped`] : []), ...(disturbed > 0 ? [`${disturbed} disturbed`] : [])];
  return [`${passed} passed`, `${failed} failed`, ...rest].join(', ');
}

export interface Timed {
  readonly title: string;
  readonly tookMs: number;
}

/** The slowest tests, slowest first. */
export function slowest(tests: readonly Timed[], count: number): Timed[] {
  return [...tests].sort((a, b) => b.tookMs - a.tookMs).slice(0, count);
}
