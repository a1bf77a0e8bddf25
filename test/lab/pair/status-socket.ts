// Asks one of the director's unix sockets over HTTP, from the test's own process: a socket's file needs no network namespace. Io.
import { request } from 'node:http';

const TIMEOUT_MS = 60_000;

/** The answer's JSON; undefined when its body is empty. */
export function askStatusSocket(
  socketPath: string,
  method: string,
  target: string,
  timeoutMs = TIMEOUT_MS,
): Promise<unknown> {
  const what = `${method} ${target} on ${socketPath}`;
  return new Promise((resolve, reject) => {
    const ask = request({ socketPath, method, path: target, timeout: timeoutMs }, response => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => {
        try {
          resolve(body === '' ? undefined : JSON.parse(body));
        } catch (cause) {
          reject(new Error(`${what} is no JSON: ${body.slice(0, 200)}`, { cause }));
        }
      });
      response.on('error', reject);
    });
    ask.on('timeout', () => ask.destroy(new Error(`${what}: no answer in ${timeoutMs / 1_000} s`)));
    ask.on('error', reject).end();
  });
}
