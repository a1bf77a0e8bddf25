// Block coverage of compiled files as V8 counts it (node:inspector, no download): what was run since the start, and whether
// something new was run since the last look. Of this thread only.
import { readFileSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector';
import { fileURLToPath } from 'node:url';

interface FileCoverage {
  readonly text: string;
  /** For each character: 1 when it was run. */
  readonly ran: Uint8Array;
}

export interface Coverage {
  /** When something ran since the last call that had never run: what takes note of it. */
  news(): (() => void) | undefined;
  /** Lines of code run, and all there are, in the files watched. */
  lines(): { readonly ran: number; readonly all: number };
  close(): void;
}

/** `root`: URL of the compiled tree; `files`: paths below it (`src/pulse/heartbeat.js`). Start it before they are loaded. */
export function watchCoverage(root: URL, files: readonly string[]): Coverage {
  const watched = new Map<string, FileCoverage>();
  for (const file of files) {
    const url = new URL(file, root).href;
    const text = readFileSync(fileURLToPath(url), 'utf8');
    watched.set(url, { text, ran: new Uint8Array(text.length) });
  }
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  return {
    news() {
      const notes: (() => void)[] = [];
      // The callback of an in-thread session runs before post() returns.
      session.post('Profiler.takePreciseCoverage', (error, taken) => {
        if (error) throw error;
        for (const script of taken.result) {
          const file = watched.get(script.url);
          const note = file && newsOf(file, script.functions);
          if (note) notes.push(note);
        }
      });
      return notes.length === 0
        ? undefined
        : () => {
            for (const note of notes) note();
          };
    },
    lines() {
      const counts = [...watched.values()].map(linesOf);
      return { ran: sum(counts.map(count => count.ran)), all: sum(counts.map(count => count.all)) };
    },
    close() {
      session.post('Profiler.stopPreciseCoverage');
      session.disconnect();
    },
  };
}

/** Ranges come from the outside in: an inner one has the last word. */
function newsOf({ ran }: FileCoverage, functions: readonly Profiler.FunctionCoverage[]): (() => void) | undefined {
  const now = new Uint8Array(ran.length);
  for (const { ranges } of functions)
    for (const { startOffset, endOffset, count } of ranges) now.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  let news = false;
  for (let at = 0; at < now.length && !news; at++) news = now[at] === 1 && ran[at] === 0;
  if (!news) return undefined;
  return () => {
    for (let at = 0; at < now.length; at++) ran[at] = (ran[at] as number) | (now[at] as number);
  };
}

function linesOf({ text, ran }: FileCoverage): { ran: number; all: number } {
  const count = { ran: 0, all: 0 };
  let start = 0;
  for (const line of text.split('\n')) {
    const first = line.search(/\S/);
    // Brackets alone and comments are no code.
    if (first >= 0 && !/^\s*(\/\/|\/?\*|[)}\]]+[;,]?$)/.test(line)) {
      count.all += 1;
      count.ran += ran[start + first] ?? 0;
    }
    start += line.length + 1;
  }
  return count;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
