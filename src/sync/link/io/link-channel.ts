// One authenticated connection to the peer's director: frames in and out, bounded, and watched for
// silence. Not pure.
import type { TLSSocket } from 'node:tls';
import { framed, frameReader, LENGTH_BYTES, LINK_FRAME_BYTES_MAX } from '../length-prefix.ts';
import type { CountLink, LinkLimits } from '../link-limits.ts';

/**
 * A loop that was itself late finds its timer before the bytes that came meanwhile: they get this
 * long to be seen.
 */
const GRACE_MS = 50;

export interface Channel {
  send(frame: Buffer): boolean;
  queuedBytes(): number;
  /** Ends it; `closed` is called once, before this returns. */
  close(why: string): void;
}

interface ChannelListener {
  frame(frame: Buffer): void;
  /** Once, when it is over; nothing comes after it. */
  closed(why: string): void;
}

export function openChannel(
  socket: TLSSocket,
  limits: LinkLimits,
  count: CountLink,
  listener: ChannelListener,
): Channel {
  const reader = frameReader();
  let open = true;

  const close = (why: string): void => {
    if (!open) return;
    open = false;
    stopWatch();
    socket.destroy();
    listener.closed(why);
  };
  const { heard, stopWatch } = watchSilence(limits.silenceMs, () => {
    count('silent');
    close(`nothing came for ${limits.silenceMs / 1_000} s`);
  });
  const take = (frame: Buffer): void => {
    // A listener may end the connection while frames of the same piece are still to come.
    if (open) listener.frame(frame);
  };
  socket.on('data', (chunk: Buffer) => {
    heard();
    if (reader.push(chunk, take) || !open) return;
    count('badFrames');
    close(`a frame of impossible length came (1 to ${LINK_FRAME_BYTES_MAX} bytes are possible)`);
  });
  socket.on('error', error => close(error.message));
  socket.on('end', () => close('the peer closed it'));
  socket.on('close', () => close('it was closed'));

  const send = (frame: Buffer): boolean => {
    if (!open || !socket.writable) return false;
    if (socket.writableLength + LENGTH_BYTES + frame.length > limits.queuedBytesMax) {
      count('queueFull');
      return false;
    }
    socket.write(framed(frame));
    return true;
  };
  return { send, queuedBytes: () => (open ? socket.writableLength : 0), close };
}

/** Calls `silent` once when `heard` was not called for `ms`. */
function watchSilence(ms: number, silent: () => void): { readonly heard: () => void; readonly stopWatch: () => void } {
  let grace: NodeJS.Timeout | undefined;
  const timer = setTimeout(() => {
    grace = setTimeout(silent, GRACE_MS);
  }, ms);
  const heard = (): void => {
    clearTimeout(grace);
    timer.refresh();
  };
  const stopWatch = (): void => {
    clearTimeout(grace);
    clearTimeout(timer);
  };
  return { heard, stopWatch };
}
