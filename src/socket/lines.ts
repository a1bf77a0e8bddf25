// Cuts bytes that come in pieces into lines, bounded: what arrives before its newline may not grow
// past a limit. Who reads says what a line that is too long means: the end of the connection (the
// other side does not speak our language), or a line that is dropped and counted (output of a
// program or of the kernel, in which the next line is as good as if nothing had been). Pure.

const NEWLINE = 10;
const NOTHING: Buffer = Buffer.alloc(0);

export interface LineOptions {
  /** Longest line, in bytes, without its newline. */
  readonly bytesMax: number;
  readonly tooLong: 'end' | 'skip';
  /** latin1: every byte is a character, for what the kernel and its tools print. Default utf8. */
  readonly encoding?: 'utf8' | 'latin1';
}

export interface LineReader {
  /**
   * Takes the next piece, cut anywhere, and hands over each line that ends in it, without its
   * newline. False, with `tooLong: 'end'` only: a line is too long, nothing of this piece was
   * handed over, and the connection is to be closed (every later call is false too).
   */
  push(chunk: Buffer, take: (line: string) => void): boolean;
  /** No more will come. */
  end(): void;
  /** Lines that were too long, or ended without a newline. */
  dropped(): number;
  /** Bytes that are kept of a line that has not ended. */
  pendingBytes(): number;
}

export function lineReader({ bytesMax, tooLong, encoding = 'utf8' }: LineOptions): LineReader {
  let pending = NOTHING;
  let overlong = false;
  let dropped = 0;

  const textOf = ([before, rest]: readonly [Buffer, Buffer]): string =>
    (before.length === 0 ? rest : Buffer.concat([before, rest])).toString(encoding);
  const push = (chunk: Buffer, take: (line: string) => void): boolean => {
    if (tooLong === 'end') {
      overlong ||= hasOverlong(chunk, pending.length, bytesMax);
      if (overlong) return false;
    }
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      if (overlong || pending.length + at - from > bytesMax) dropped++;
      else take(textOf([pending, chunk.subarray(from, at)]));
      overlong = false;
      pending = NOTHING;
      from = at + 1;
    }
    overlong ||= pending.length + chunk.length - from > bytesMax;
    // Copied: a chunk may be a part of a buffer that is used again.
    pending = overlong ? NOTHING : Buffer.concat([pending, chunk.subarray(from)]);
    return true;
  };
  const end = (): void => {
    if (overlong || pending.length > 0) dropped++;
    overlong = false;
    pending = NOTHING;
  };
  return { push, end, dropped: () => dropped, pendingBytes: () => pending.length };
}

/**
 * Whether a line that ends in `chunk`, or what is left of it at its end, is longer than allowed.
 */
function hasOverlong(chunk: Buffer, pendingBytes: number, bytesMax: number): boolean {
  let from = -pendingBytes;
  for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
    if (at - from > bytesMax) return true;
    from = at + 1;
  }
  return chunk.length - from > bytesMax;
}
