// The status server: HTTP over a unix socket, read-only. /status /healthz /metrics /events
// /sessions. Everything a reader can do is bounded in number, size and time; no reader is ever
// waited for. One request a connection: many sent at once would be answered at once, and nothing
// else would be done meanwhile. Not pure.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Log } from '../../log/log.ts';
import { LimitedConnections } from '../../socket/io/limited-connections.ts';
import { grantGroup, listenOn, removeStaleSocket } from '../../socket/io/unix.ts';
import { readSessionFilter, type SessionFilter, type SessionTable } from '../sessions.ts';
import type { StatusReport } from '../status-report.ts';
import { createEventHub, type EventHub, READERS_MAX } from './events.ts';
import { createExposition, type Exposition } from './exposition.ts';
import { createSessionStreams, SESSION_READERS_MAX, type SessionStreams } from './sessions.ts';

const STATUS_PATHS = ['/status', '/healthz', '/metrics', '/events', '/sessions'] as const;

export interface StatusSource {
  report(): StatusReport;
  /** Who is connected; a sentence, when what is asked for does not exist. */
  sessions(filter: SessionFilter): SessionTable | string;
  /** Calls `listener` when something may have changed; returns the way to stop that. */
  subscribe(listener: (reason: string) => void): () => void;
}

interface StatusServerOptions {
  readonly socketPath: string;
  readonly source: StatusSource;
  readonly log: Log;
  /** Time between two comments on /events, in milliseconds (default 15 s). */
  readonly heartbeatMs?: number;
}

const JSON_TYPE = 'application/json; charset=utf-8';
/** Besides those that follow /events or read /sessions, which are bounded there. */
const CONNECTIONS_MAX = 32;
const LIMITS = {
  maxHeaderSize: 8_192,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
} as const;
/**
 * A connection on which nothing moves for this long is closed (readers of /events are watched by
 * their queue instead).
 */
const IDLE_MS_MAX = 30_000;

interface Context {
  readonly options: StatusServerOptions;
  readonly connections: LimitedConnections;
  /** Connections that have brought their request. */
  readonly asked: WeakSet<Socket>;
  readonly hub: EventHub;
  readonly exposition: Exposition;
  readonly sessions: SessionStreams;
}

/** Starts the server; throws when somebody else answers on the socket or it cannot be made. */
export async function startStatusServer(options: StatusServerOptions): Promise<{ close(): Promise<void> }> {
  const { socketPath, source, log } = options;
  await removeStaleSocket(socketPath);
  const hub = createEventHub({ report: () => source.report(), log, ...pickHeartbeat(options) });
  const context: Context = {
    options,
    connections: new LimitedConnections(CONNECTIONS_MAX),
    asked: new WeakSet(),
    hub,
    exposition: createExposition(),
    sessions: createSessionStreams(),
  };
  const server = createServer(LIMITS, (request, response) => void handle(context, request, response));
  server.on('connection', socket => context.connections.add(socket));
  server.setTimeout(IDLE_MS_MAX);
  try {
    await listenOn(server, socketPath, 'group');
    const group = await grantGroup(socketPath);
    log.event('STATUS_SERVER_STARTED', { socket: socketPath, group });
  } catch (error) {
    hub.close();
    server.close();
    throw error;
  }
  server.on('error', error => log.event('STATUS_SERVER_ERROR', { socket: socketPath, problem: error.message }));
  const unsubscribe = source.subscribe(reason => hub.notify(reason));
  return { close: () => stop(context, server, unsubscribe) };
}

function pickHeartbeat(options: StatusServerOptions): { heartbeatMs?: number } {
  return options.heartbeatMs === undefined ? {} : { heartbeatMs: options.heartbeatMs };
}

function stop(context: Context, server: Server, unsubscribe: () => void): Promise<void> {
  unsubscribe();
  context.hub.close();
  return new Promise(resolve => {
    // Node removes the socket file when the server closes.
    server.close(() => {
      context.options.log.event('STATUS_SERVER_STOPPED', { socket: context.options.socketPath });
      resolve();
    });
    server.closeAllConnections();
  });
}

async function handle(context: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { socket } = request;
  // The first answer said "connection: close": whoever sends more has not waited for it.
  if (context.asked.has(socket)) return void socket.destroy();
  context.asked.add(socket);
  context.connections.use(socket);
  response.shouldKeepAlive = false;
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  response.on('error', () => response.destroy());
  try {
    await answer(context, request.method ?? '', { path, query }, response);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    context.options.log.event('STATUS_REPORT_FAILED', { path, problem });
    if (response.headersSent) response.destroy();
    else reply(response, 500, JSON_TYPE, json({ error: 'the report could not be made', problem }));
  }
}

interface Asked {
  readonly path: string;
  readonly query: string;
}

async function answer(
  context: Context,
  method: string,
  { path, query }: Asked,
  response: ServerResponse,
): Promise<void> {
  if (method !== 'GET' && method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    const error = `${method} is not possible here: this socket only reads; use \`tandem\` (as root) to change things`;
    return reply(response, 405, JSON_TYPE, json({ error }));
  }
  const { source } = context.options;
  switch (path) {
    case '/status':
      return reply(response, 200, JSON_TYPE, json(source.report()));
    case '/healthz': {
      const { status, body } = healthOf(source.report());
      return reply(response, status, JSON_TYPE, json(body));
    }
    case '/metrics':
      return reply(response, 200, context.exposition.contentType, await context.exposition.render(source.report()));
    case '/events':
      return follow(context, method, response);
    case '/sessions':
      return tellSessions(context, method, query, response);
    default:
      return reply(response, 404, JSON_TYPE, json({ error: `there is no ${path}`, paths: STATUS_PATHS }));
  }
}

function follow(context: Context, method: string, response: ServerResponse): void {
  if (method === 'HEAD') {
    reply(response, 200, 'text/event-stream', '');
    return;
  }
  if (context.hub.add(response)) return release(context, response);
  response.setHeader('retry-after', '10');
  reply(response, 503, JSON_TYPE, json({ error: `${READERS_MAX} readers follow /events already; close one` }));
}

function release({ connections }: Context, { socket }: ServerResponse): void {
  if (socket) connections.release(socket);
}

async function tellSessions(context: Context, method: string, query: string, response: ServerResponse): Promise<void> {
  const { options, sessions } = context;
  const filter = readSessionFilter(new URLSearchParams(query));
  const table = typeof filter === 'string' ? filter : options.source.sessions(filter);
  if (typeof table === 'string') return reply(response, 400, JSON_TYPE, json({ error: table }));
  if (method === 'HEAD') return reply(response, 200, 'application/x-ndjson; charset=utf-8', '');
  if (sessions.free()) {
    release(context, response);
    return sessions.send(table, response);
  }
  response.setHeader('retry-after', '1');
  reply(response, 503, JSON_TYPE, json({ error: `${SESSION_READERS_MAX} read /sessions already; ask again` }));
}

/**
 * 200 while clients are served (also degraded: the word says so), 503 when nobody is served or
 * pulse does not answer.
 */
function healthOf(report: StatusReport): { status: 200 | 503; body: object } {
  const { health, problems, pulse } = report;
  const fine = health !== 'failed' && pulse !== null;
  const body = { health: pulse === null ? 'failed' : health, role: pulse?.role ?? null, problems };
  return { status: fine ? 200 : 503, body };
}

function json(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

/** Node leaves out the body of an answer to HEAD by itself. */
function reply(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  response.end(body);
}
