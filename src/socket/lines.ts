// Splits a byte stream into lines, bounded: what arrives before its newline may not grow past a limit. Pure.

export interface LineSplitter {
  /** Bytes of the unfinished line. */
  readonly pending: Buffer;
}

export const NO_LINES: LineSplitter = { pending: Buffer.alloc(0) };

export type Split =
  | { readonly ok: true; readonly lines: readonly string[]; readonly rest: LineSplitter }
  /** A line is longer than allowed: the connection is to be closed. */
  | { readonly ok: false };

/** Takes in `chunk`; lines come without their newline. `bytesMax` bounds each line. */
export function splitLines(splitter: LineSplitter, chunk: Buffer, bytesMax: number): Split {
  const bytes = splitter.pending.length === 0 ? chunk : Buffer.concat([splitter.pending, chunk]);
  const lines: string[] = [];
  let from = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, from)) {
    if (at - from > bytesMax) return { ok: false };
    lines.push(bytes.toString('utf8', from, at));
    from = at + 1;
  }
  if (bytes.length - from > bytesMax) return { ok: false };
  return { ok: true, lines, rest: { pending: Buffer.from(bytes.subarray(from)) } };
}
