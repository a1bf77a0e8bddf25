// Cuts text that comes in pieces into lines. A line that grows too long is dropped up to its newline and counted, and the next one is
// read as if nothing had been: unlike socket/lines.ts, where it ends a connection. Pure.

const NEWLINE = 10;

export interface TextLines {
  /** Takes the next piece, cut anywhere, and hands over each line that ends in it, without its newline. */
  push(chunk: Buffer, take: (line: string) => void): void;
  /** No more will come. */
  end(): void;
  /** Lines that were too long, or ended without a newline. */
  dropped(): number;
}

/** Text in which every byte is a character: what the kernel and conntrack print is ASCII. */
export function textLines(bytesMax: number): TextLines {
  let pending = '';
  let overlong = false;
  let dropped = 0;

  const push = (chunk: Buffer, take: (line: string) => void): void => {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      if (overlong || pending.length + at - from > bytesMax) dropped++;
      else take(pending + chunk.toString('latin1', from, at));
      overlong = false;
      pending = '';
      from = at + 1;
    }
    overlong ||= pending.length + chunk.length - from > bytesMax;
    pending = overlong ? '' : pending + chunk.toString('latin1', from);
  };
  const end = (): void => {
    if (overlong || pending !== '') dropped++;
    overlong = false;
    pending = '';
  };
  return { push, end, dropped: () => dropped };
}
