// The director's own control socket: HTTP over run-dir/director-control.sock, mode 0600, so only
// root changes things. POST /audit runs an audit and answers when it is done, POST /reload has both
// daemons read the config anew (?digest=…: only if it is still that one; ?pair: on both routers),
// GET /reload says what that would change, GET /plan what the director would change in the kernel,
// POST /drain and POST /enable take an operator's order in their query (drain-order.ts), POST
// /hook-test?hook=NAME tries a hook once. Not pure.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Log } from '../../log/log.ts';
import { listenOn, removeStaleSocket } from '../../socket/io/unix.ts';

interface ControlAnswer {
  readonly status: number;
  readonly body: unknown;
}

interface ControlOptions {
  readonly socketPath: string;
  readonly log: Log;
  readonly audit: () => Promise<ControlAnswer>;
  /** `digest`: of the file as it was looked at; null: whatever it says. `pair`: of both routers. */
  readonly reload: (pair: boolean, digest: string | null) => Promise<ControlAnswer>;
  readonly reloadPlan: (pair: boolean) => Promise<ControlAnswer>;
  readonly plan: () => Promise<ControlAnswer>;
  /** `drained` false: enable. */
  readonly drain: (drained: boolean, query: URLSearchParams) => Promise<ControlAnswer>;
  readonly testHook: (name: string) => Promise<ControlAnswer>;
}

const ROUTES = [
  'POST /audit',
  'POST /reload',
  'GET /reload',
  'GET /plan',
  'POST /drain',
  'POST /enable',
  'POST /hook-test',
] as const;
const LIMITS = {
  maxHeaderSize: 8_192,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 1_000,
} as const;
const CONNECTIONS_MAX = 16;

/** Starts it; throws when another director answers on the socket. */
export async function startControl(options: ControlOptions): Promise<{ close(): Promise<void> }> {
  const { socketPath, log } = options;
  await removeStaleSocket(socketPath);
  const server = createServer(LIMITS, (request, response) => void handle(options, request, response));
  server.maxConnections = CONNECTIONS_MAX;
  await listenOn(server, socketPath, 'root');
  server.on('error', error => log.event('CONTROL_PROBLEM', { socket: socketPath, problem: error.message }));
  return {
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function handle(options: ControlOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  const name = `${request.method ?? ''} ${path}`;
  response.on('error', () => response.destroy());
  // Nothing here has a body; what comes is read away, bounded by requestTimeout.
  request.resume();
  let answer: ControlAnswer;
  try {
    answer = await route(options, name, new URLSearchParams(query));
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    options.log.event('CONTROL_PROBLEM', { socket: options.socketPath, problem });
    answer = { status: 500, body: { error: problem } };
  }
  if (!name.startsWith('GET '))
    options.log.event('CONTROL_REQUEST', { request: name.slice(0, 100), status: answer.status });
  response.writeHead(answer.status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
  response.end(`${JSON.stringify(answer.body)}\n`);
}

async function route(options: ControlOptions, name: string, query: URLSearchParams): Promise<ControlAnswer> {
  if (name === 'POST /audit') return options.audit();
  if (name === 'POST /reload') return options.reload(query.has('pair'), query.get('digest'));
  if (name === 'GET /reload') return options.reloadPlan(query.has('pair'));
  if (name === 'GET /plan') return options.plan();
  if (name === 'POST /drain') return options.drain(true, query);
  if (name === 'POST /enable') return options.drain(false, query);
  if (name === 'POST /hook-test') return options.testHook(query.get('hook') ?? '');
  return { status: 404, body: { error: `there is no ${name}`, requests: ROUTES } };
}
