// Sends one message to a page, bounded in time and in what is read of the answer. Not pure. No
// answer is followed elsewhere: a header for one host is nobody else's.
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { rootCertificates } from 'node:tls';
import { readPublic } from '../../config/io/secrets.ts';
import { monotonicNow } from '../../units/io/clocks.ts';
import { firstLine, keptOutput, NO_OUTPUT, type Output, withOutput } from '../output.ts';
import { type Ended, REASON_LENGTH_MAX, type RunAnswer } from '../runner-message.ts';
import { type WebRequest, withoutSecrets } from '../web-request.ts';

/** Of an answer's body; the rest is not read. */
const BODY_BYTES_MAX = 65_536;

interface Posting {
  /** Never rejects. */
  readonly answer: Promise<RunAnswer>;
  kill(): void;
}

export function postMessage(post: WebRequest): Posting {
  let settle: (answer: RunAnswer) => void = () => undefined;
  const answer = new Promise<RunAnswer>(resolve => {
    settle = resolve;
  });
  const startedAt = monotonicNow();
  const end = (how: Ended['how'], status: number | null, reason: string, output: Output = NO_OUTPUT) => {
    clearTimeout(timer);
    asked?.destroy();
    const said = withoutSecrets(firstLine(output), post);
    const whole = withoutSecrets(said === '' ? reason : `${reason}: ${said}`, post);
    settle({
      ...{ type: 'ended', how, status, tookMs: Math.round(monotonicNow() - startedAt) },
      ...{ reason: whole.slice(0, 2 * REASON_LENGTH_MAX), output: withoutSecrets(keptOutput(output), post) },
    });
  };
  // As a script's: what came in time and was not read yet is read first.
  const timer = setTimeout(
    () => setImmediate(() => end('timeout', null, `no answer within ${post.timeoutMs} ms`)),
    post.timeoutMs,
  );
  let asked: ClientRequest | undefined;
  try {
    asked = open(post);
    asked.on('error', error => end('exit', 1, error.message));
    asked.on('response', response => void hear(response, end, post));
    asked.end(post.body);
  } catch (error) {
    end('exit', 1, error instanceof Error ? error.message : String(error));
  }
  return { answer, kill: () => end('signal', null, 'given up') };
}

function open({ url, headers, body, caFile }: WebRequest): ClientRequest {
  const about = { method: 'POST', agent: false, headers: { ...headers, 'content-length': Buffer.byteLength(body) } };
  if (!/^https:/i.test(url)) return httpRequest(url, about);
  const ca = caFile === undefined ? {} : { ca: [...rootCertificates, readPublic(caFile)] };
  return httpsRequest(url, { ...about, ...ca });
}

async function hear(
  response: IncomingMessage,
  end: (how: Ended['how'], status: number | null, reason: string, output: Output) => void,
  post: WebRequest,
): Promise<void> {
  const { statusCode = 0 } = response;
  const good = statusCode >= 200 && statusCode <= 299;
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response) {
      chunks.push(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      if (bytes > BODY_BYTES_MAX) break;
    }
  } catch {
    // The status has come as a whole; what is missing of the body was for people.
  }
  const elsewhere = statusCode >= 300 && statusCode <= 399 ? ', which leads elsewhere and is not followed' : '';
  end('exit', good ? 0 : statusCode, `HTTP ${statusCode}${elsewhere}`, saidWithoutSecrets(chunks, bytes, post));
}

/** The secrets go before anything is cut: the half of one would not be known as one. */
function saidWithoutSecrets(chunks: readonly Buffer[], bytes: number, post: WebRequest): Output {
  const text = withoutSecrets(Buffer.concat(chunks).toString('utf8'), post);
  const longest = Math.max(0, ...post.secrets.map(({ length }) => length));
  // What was not read may be the rest of one.
  const whole = bytes > BODY_BYTES_MAX ? text.slice(0, -longest || undefined) : text;
  return withOutput(NO_OUTPUT, Buffer.from(whole));
}
