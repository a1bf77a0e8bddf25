// Frames on a byte stream: 4 bytes of length, big-endian, then the payload. Pure. The reader's work
// and memory are bounded by what arrives, however it is cut: a byte is copied once, and a length is
// refused before anything is kept for it.

/** A frame of entries is at most 64 KiB; the rest is for what the layer above puts around them. */
export const LINK_FRAME_BYTES_MAX = 65_536 + 1_024;
export const LENGTH_BYTES = 4;

/**
 * A frame as it goes on the wire. Throws a RangeError for a length that the other side would
 * refuse.
 */
export function framed(frame: Buffer, bytesMax: number = LINK_FRAME_BYTES_MAX): Buffer {
  if (frame.length === 0 || frame.length > bytesMax) {
    throw new RangeError(`a frame of ${frame.length} bytes cannot be sent: 1 to ${bytesMax} are possible`);
  }
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + frame.length);
  bytes.writeUInt32BE(frame.length, 0);
  frame.copy(bytes, LENGTH_BYTES);
  return bytes;
}

interface FrameReader {
  /**
   * Takes the next piece, cut anywhere, and hands over each frame that is whole. False: the length
   * of a frame is 0 or over the bound, nothing after it can be read, the connection is to be
   * dropped (and every later call is false too).
   */
  push(chunk: Buffer, take: (frame: Buffer) => void): boolean;
}

export function frameReader(bytesMax: number = LINK_FRAME_BYTES_MAX): FrameReader {
  const header = Buffer.alloc(LENGTH_BYTES);
  let headerBytes = 0;
  let body: Buffer | undefined;
  let bodyBytes = 0;
  let broken = false;

  const push = (chunk: Buffer, take: (frame: Buffer) => void): boolean => {
    let at = 0;
    while (!broken && at < chunk.length) {
      if (body === undefined) {
        const copied = chunk.copy(header, headerBytes, at);
        at += copied;
        headerBytes += copied;
        if (headerBytes < LENGTH_BYTES) break;
        const length = header.readUInt32BE(0);
        broken = length === 0 || length > bytesMax;
        if (!broken) body = Buffer.allocUnsafe(length);
        continue;
      }
      const copied = chunk.copy(body, bodyBytes, at);
      at += copied;
      bodyBytes += copied;
      if (bodyBytes < body.length) break;
      const frame = body;
      body = undefined;
      headerBytes = 0;
      bodyBytes = 0;
      take(frame);
    }
    return !broken;
  };
  return { push };
}
