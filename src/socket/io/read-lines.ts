// Whole lines of a socket, as they come, for whoever asks once and waits for the answer. Not pure.
import type { Socket } from 'node:net';
import { lineReader } from '../lines.ts';

/**
 * Lines without their ends, empty ones left out. Destroys the socket and throws with ETIMEDOUT
 * after `forMs`; throws when a line is longer than `bytesMax`.
 */
export async function* readLines(socket: Socket, forMs: number, bytesMax: number): AsyncGenerator<string> {
  const timer = setTimeout(() => socket.destroy(timedOut()), forMs);
  try {
    yield* linesOf(socket, bytesMax);
  } finally {
    clearTimeout(timer);
  }
}

/** The same of any stream, for whoever bounds its time. */
export async function* linesOf(stream: AsyncIterable<Buffer>, bytesMax: number): AsyncGenerator<string> {
  const reader = lineReader({ bytesMax, tooLong: 'end' });
  for await (const chunk of stream) {
    const whole: string[] = [];
    const read = reader.push(chunk, line => whole.push(line));
    if (!read) throw new Error(`a line is longer than ${bytesMax} bytes`);
    yield* whole.filter(line => line !== '');
  }
}

export function timedOut(): NodeJS.ErrnoException {
  return Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' });
}
