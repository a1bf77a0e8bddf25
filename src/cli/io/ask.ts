// Asks a person, one line at a time, on stderr, so that stdout stays the answer's.
import { createInterface } from 'node:readline/promises';

export interface Asker {
  /** The line without blanks around it; undefined: the input has ended. */
  readonly ask: (question: string) => Promise<string | undefined>;
  readonly close: () => void;
}

/** Undefined: nobody is there to answer. */
export function askOnTerminal(): Asker | undefined {
  if (process.stdin.isTTY !== true) return undefined;
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  const ended = new Promise<undefined>(resolve => reader.once('close', () => resolve(undefined)));
  return {
    ask: async question => (await Promise.race([reader.question(question), ended]))?.trim(),
    close: () => reader.close(),
  };
}
