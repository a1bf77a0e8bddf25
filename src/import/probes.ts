// Checks of old configs in the words of `check` of a service that is not FTP. What is asked for and
// may be a secret is not written: it is to be filled in. Pure.
import { type Draft, FillIn } from './placeholder.ts';

export type Probe = {
  readonly type: 'connect' | 'banner' | 'send_expect' | 'http' | 'datagram' | 'icmp';
} & { readonly [field: string]: Draft | undefined };

const PATH = /^\/[!-"$-~]{0,1023}$/;
const HOST = /^[A-Za-z0-9._:[\]-]{1,253}$/;
/** A path that may hold one. */
export const MAY_BE_SECRET = /[?@]|pass|pwd|token|secret|key|auth|login|user/i;
/** Any answer of HTTP. */
export const ANY_STATUS = '100-599';

interface HttpRequest {
  readonly path: string;
  readonly host?: string | undefined;
  readonly method?: 'GET' | 'HEAD' | undefined;
  /** Undefined: 200 to 299. */
  readonly status?: Draft | undefined;
  readonly isTls?: boolean;
  /** The name goes to the server by TLS, too; nothing of its certificate is checked. */
  readonly isNamed?: boolean;
  readonly content?: string | undefined;
}

export function httpProbe({ path, host, method, status, isTls, isNamed, content }: HttpRequest): Probe {
  const known = host !== undefined && HOST.test(host) ? host : undefined;
  return {
    type: 'http',
    method: method === 'HEAD' ? 'HEAD' : undefined,
    path: PATH.test(path) && !MAY_BE_SECRET.test(path) ? path : new FillIn('the path that is asked for', '/health'),
    host: known,
    status,
    content: method === 'HEAD' ? undefined : content,
    tls: isTls ? 'implicit' : undefined,
    tls_name: isTls && isNamed && known !== undefined && !/[[\]:]/.test(known) ? known : undefined,
    tls_verify: isTls && isNamed ? 'none' : undefined,
  };
}

/** `status` for words such as 200 or 200-299; undefined: none is one. */
export function statusDraft(words: readonly string[]): Draft | undefined {
  const all = words.flatMap(word => word.split(',')).filter(word => /^[1-5]\d\d(-[1-5]\d\d)?$/.test(word));
  const list = all.filter(word => Number(word.slice(0, 3)) <= Number(word.slice(-3))).slice(0, 16);
  return list.length === 0 ? undefined : list.map(word => (word.includes('-') ? word : Number(word)));
}

/** Mail: the greeting, HELO and its answer. */
export function smtpProbe(helo: string | undefined): Probe {
  const name = helo !== undefined && /^[A-Za-z0-9.-]{1,253}$/.test(helo) ? helo : 'router';
  return { type: 'send_expect', banner: '220', send: `HELO ${name}\r\n`, expect: '250' };
}

/** What is sent stands in a file that only root may read. */
export function sendProbe(name: string, expected: { readonly expect?: string | undefined }): Probe {
  return {
    type: 'send_expect',
    send_file: new FillIn('a file of root (mode 0600) with what is sent', `/etc/tandem/${name}-check.send`),
    ...expected,
  };
}

const DNS_TYPES: Readonly<Record<string, number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  RRSIG: 46,
  DNSKEY: 48,
};

/**
 * A question to a name server, whose answer begins with the same id; undefined: it is none. Source:
 * RFC 1035, 4.1 and 4.2.2 (over TCP its length comes first).
 */
export function dnsProbe(name: string, type: string, isTcp: boolean): Probe | undefined {
  const labels = name.split('.').filter(label => label !== '');
  const code = Object.hasOwn(DNS_TYPES, type) ? DNS_TYPES[type] : undefined;
  const isName = name.length <= 250 && labels.every(label => /^[A-Za-z0-9_-]{1,63}$/.test(label));
  if (!isName || code === undefined) return undefined;
  const question = labels.flatMap(label => [label.length, ...Buffer.from(label, 'latin1')]);
  const message = [0x2a, 0x2a, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...question, 0, 0, code, 0, 1];
  const bytes = isTcp ? [message.length >> 8, message.length & 0xff, ...message] : message;
  const hex = bytes.map(byte => byte.toString(16).padStart(2, '0')).join(' ');
  return { type: 'send_expect', send_hex: hex, expect_hex: '2a 2a' };
}

/** A pattern that is a plain text; undefined: it is more than that. */
export function plainText(pattern: string): string | undefined {
  return /^[\w ,;:=<>/!'"#%&@~-]{1,200}$/.test(pattern) ? pattern : undefined;
}
