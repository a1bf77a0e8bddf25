// What a check demands of what it fetches: length, SHA-256, a text in it. Bytes are looked at as
// they come and not kept. Pure.
import { Buffer } from 'node:buffer';

/** What a fetched file must be; all undefined: anything but empty. */
export interface ContentPlan {
  readonly size: number | undefined;
  /** Hexadecimal, lower case. */
  readonly sha256: string | undefined;
  readonly text: string | Buffer | undefined;
}

/** What has come of a file so far. */
export interface Content {
  readonly bytes: number;
  /** The last bytes, in which the text may have begun: less than its length. */
  readonly tail: Uint8Array;
  readonly found: boolean;
  /** Of all bytes, once they have ended and somebody wants to know. */
  readonly sha256: string | undefined;
}

export const NO_CONTENT: Content = { bytes: 0, tail: new Uint8Array(0), found: false, sha256: undefined };

/** Whether all of the file must come, since its length or its hash is asked for. */
export function wantsWhole({ size, sha256 }: ContentPlan): boolean {
  return size !== undefined || sha256 !== undefined;
}

export function contentAfter(before: Content, chunk: Uint8Array, { text }: Pick<ContentPlan, 'text'>): Content {
  const bytes = before.bytes + chunk.length;
  if (text === undefined || before.found) return { ...before, bytes };
  const wanted = typeof text === 'string' ? Buffer.from(text) : text;
  const joined = Buffer.concat([before.tail, chunk]);
  const tail = joined.subarray(Math.max(0, joined.length - wanted.length + 1));
  return { ...before, bytes, found: joined.includes(wanted), tail: Uint8Array.from(tail) };
}

/** What is wrong with `what` was fetched. `cut`: we have stopped at `maxBytes`. */
export function contentProblem(
  plan: ContentPlan,
  content: Content,
  cut: boolean,
  maxBytes: number,
  what = 'the fetched file',
): string | undefined {
  const { size, sha256, text } = plan;
  if (cut && wantsWhole(plan)) {
    return `${what} is longer than the ${maxBytes} bytes of check.max_bytes; name a smaller one, or raise it`;
  }
  if (size !== undefined && content.bytes !== size)
    return `${what} has ${content.bytes} bytes, not the ${size} of check.size`;
  if (sha256 !== undefined && content.sha256 !== sha256)
    return `the SHA-256 of ${what} is ${content.sha256}, not that of check.sha256`;
  if (text !== undefined && !content.found)
    return `${what} does not hold check.content within its first ${content.bytes} bytes`;
  return undefined;
}

/**
 * Name of the probe file of one check of this router: nobody else's, so that one which a crash left
 * behind may be deleted. It has the server in it, too, since real servers often share their files,
 * and two checks of one router run at once. Names of routers and services hold no dots.
 */
export function probeName(prefix: string, about: Readonly<Record<'node' | 'service' | 'server', string>>): string {
  // A server that leaves is named by its address; a colon is not for every file system.
  return [prefix, about.node, about.service, about.server.replaceAll(':', '-')].join('.');
}

/** What the probe file holds. */
export const PROBE_TEXT = 'tandem checks whether this server takes files; delete me if I am old\r\n';
