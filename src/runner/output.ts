// What is kept of a script's output while it runs: the first line, which is the reason, and the
// last of it all. Bounded, whatever the script says. Pure.
import { OUTPUT_KEPT_MAX, REASON_LENGTH_MAX } from './runner-message.ts';

/** A script that says more than this is ended: it would keep the runner busy with reading. */
export const OUTPUT_BYTES_MAX = 1_048_576;
const FIRST_BYTES_MAX = 4 * REASON_LENGTH_MAX;

export interface Output {
  readonly bytes: number;
  readonly first: Buffer;
  readonly last: Buffer;
}

export const NO_OUTPUT: Output = { bytes: 0, first: Buffer.alloc(0), last: Buffer.alloc(0) };

export function withOutput({ bytes, first, last }: Output, chunk: Buffer): Output {
  const room = FIRST_BYTES_MAX - first.length;
  return {
    bytes: bytes + chunk.length,
    first: room > 0 ? Buffer.concat([first, chunk.subarray(0, room)]) : first,
    last: Buffer.concat([last, chunk]).subarray(-OUTPUT_KEPT_MAX),
  };
}

/** The first line that says anything; empty: none does. Printable, at most REASON_LENGTH_MAX. */
export function firstLine({ first }: Output): string {
  const lines = first.toString('utf8').split('\n');
  const said = lines.map(printable).find(line => line !== '');
  return (said ?? '').slice(0, REASON_LENGTH_MAX);
}

/** The last of it; other characters than line breaks are made printable. */
export function keptOutput({ last }: Output): string {
  return last.toString('utf8').split('\n').map(printable).join('\n').trim().slice(-OUTPUT_KEPT_MAX);
}

function printable(text: string): string {
  return text
    .replace(/[^\P{C}\t]|\ufffd/gu, '?')
    .replaceAll('\t', ' ')
    .trim();
}
