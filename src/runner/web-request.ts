// The request that a webhook makes, of its config, its secrets and its message. Pure. A secret is
// never quoted.
import type { HookTask } from '../config/hook-task.ts';
import { urlProblem } from '../config/web-url.ts';
import type { Ms } from '../units/duration.ts';
import type { RunRequest } from './runner-message.ts';

export interface WebRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly caFile: string | undefined;
  readonly timeoutMs: Ms;
  /** Not to be shown, whoever says them. */
  readonly secrets: readonly string[];
}

const HEADERS_MAX = 8;
/** Those that are the request's own. */
const OWN = /^(?:content-length|content-type|transfer-encoding|connection|host|expect|upgrade|trailer|te)$/i;
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\t]*)$/;
/** Shorter words are in every text by chance. */
const SECRET_LENGTH_MIN = 6;

/** Or why it cannot be made. */
export function webRequest(
  task: Extract<HookTask, { readonly type: 'webhook' }>,
  secret: NonNullable<RunRequest['secret']>,
  message: string,
): WebRequest | string {
  const url = (task.url ?? secret.url ?? '').trim();
  const problem = urlProblem(url);
  if (problem !== undefined) return `${task.url === undefined ? task.urlFile : 'webhook.url'}: ${problem}`;
  const headers = readHeaders(secret.headers ?? '');
  if (typeof headers === 'string') return `${task.headerFile}: ${headers}`;
  const words = Object.values(headers).flatMap(value => [value, ...value.split(/[\s,;=:]+/)]);
  const hidden = task.url === undefined ? [url, ...url.split(/[/?&=]+/).slice(2)] : [];
  return {
    ...{ url, caFile: task.caFile, timeoutMs: task.timeoutMs, body: message },
    headers: { 'user-agent': 'tandem', ...headers, 'content-type': 'application/json' },
    secrets: [...words, ...hidden].filter(word => word.length >= SECRET_LENGTH_MIN).sort((a, b) => b.length - a.length),
  };
}

function readHeaders(text: string): Record<string, string> | string {
  const lines = text.split('\n').map(line => line.trim());
  const said = lines.filter(line => line !== '' && !line.startsWith('#'));
  if (said.length > HEADERS_MAX) return `it has more than ${HEADERS_MAX} headers`;
  const headers: Record<string, string> = {};
  for (const line of said) {
    const [, name, value] = HEADER.exec(line) ?? [];
    const at = `line ${lines.indexOf(line) + 1}`;
    if (name === undefined || value === undefined) return `${at} is no header; write "Name: value"`;
    if (OWN.test(name)) return `${at} sets a header that Tandem sets itself`;
    headers[name.toLowerCase()] = value;
  }
  return headers;
}

/** What a stranger said, without our secrets: an echo of the request is a common answer. */
export function withoutSecrets(text: string, { secrets }: Pick<WebRequest, 'secrets'>): string {
  return secrets.reduce((clean, secret) => clean.replaceAll(secret, '(secret)'), text);
}
