// Who is connected: put together from the lines, counted, asked for in a URL, and sent over the status socket.
import { request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { startStatusServer } from '../../src/status/io/server.ts';
import { SESSION_READERS_MAX } from '../../src/status/io/sessions.ts';
import {
  countByServer,
  readSessionFilter,
  type SessionEntry,
  type SessionHead,
  type SessionLine,
  type SessionTable,
  sessionLineSchema,
  sessionsPath,
} from '../../src/status/sessions.ts';
import { sessionsReport, sessionsReportSchema } from '../../src/status/sessions-report.ts';
import type { Address } from '../../src/units/address.ts';
import { keptLog, socketPath, testSource } from './fixture.ts';

const HEAD: SessionHead = {
  ...{ type: 'head', schema: 'tandem-session-lines/1', generatedAt: '2026-11-22T12:00:00.000Z', pair: 'p' },
  ...{ node: 'r1', peer: 'r2', role: 'active', from: 'own', whole: true },
};

function entry(fields: Partial<SessionEntry>): SessionEntry {
  return {
    ...{ type: 'entry', what: 'control', service: 'ftp', vip: '192.0.2.100', client: '203.0.113.7' },
    ...{ clientPort: 40_001, port: 21, server: 'ftp1', serverAddress: '198.51.100.11' },
    ...fields,
  };
}
const template = (fields: Partial<SessionEntry> = {}) =>
  entry({ what: 'template', clientPort: 0, port: 0, leftS: 200, ageS: 600, ...fields });
const control = (fields: Partial<SessionEntry> = {}) =>
  entry({ tls: 'not-by-port', state: 'ESTABLISHED', ageS: 60, ...fields });
const data = (fields: Partial<SessionEntry> = {}) =>
  entry({
    what: 'data',
    mode: 'passive',
    port: 10_233,
    clientPort: 40_002,
    state: 'ESTABLISHED',
    ageS: 2.5,
    ...fields,
  });

const reportOf = (entries: readonly SessionEntry[], wanted: { client?: Address; all?: boolean } = {}) =>
  sessionsReport({ head: HEAD, entries, problem: '' }, { client: wanted.client, all: wanted.all ?? false });

test('a session is a client on a server with its control and data connections, since when, and by which mode', t => {
  const report = reportOf([
    template(),
    data(),
    control(),
    control({ port: 990, clientPort: 40_009, tls: 'implicit', older: true }),
  ]);
  t.deepEqual(report.sessions, [
    {
      client: '203.0.113.7',
      service: 'ftp',
      vip: '192.0.2.100',
      server: { name: 'ftp1', address: '198.51.100.11' },
      control: [
        {
          ...{ clientPort: 40_001, port: 21, state: 'ESTABLISHED', closing: false },
          ...{ firstSeenAt: '2026-11-22T11:59:00.000Z', older: false, tls: 'not-by-port' },
        },
        {
          ...{ clientPort: 40_009, port: 990, state: 'ESTABLISHED', closing: false },
          ...{ firstSeenAt: '2026-11-22T11:59:00.000Z', older: true, tls: 'implicit' },
        },
      ],
      data: [
        {
          ...{ clientPort: 40_002, port: 10_233, state: 'ESTABLISHED', closing: false },
          ...{ firstSeenAt: '2026-11-22T11:59:57.500Z', older: false, mode: 'passive' },
        },
      ],
      connections: [],
    },
  ]);
  t.deepEqual(report.waiting, []);
  t.like(report.summary, { clients: 1, control: 2, data: 1, connections: 0, closing: 0, waiting: 0 });
  t.deepEqual(sessionsReportSchema.parse(report), report);
});

test('a template without a connection is a client that may come back; closing ones hold nobody here', t => {
  const closing = data({ closing: true, state: 'TIME_WAIT' });
  const report = reportOf([closing, template()]);
  t.deepEqual(report.sessions, []);
  t.deepEqual(
    report.waiting.map(({ client, leftS, server }) => [client, leftS, server.name]),
    [['203.0.113.7', 200, 'ftp1']],
  );
  t.like(report.summary, { clients: 0, closing: 1, waiting: 1 });
  t.is(reportOf([closing, template()], { all: true }).sessions[0]?.data[0]?.state, 'TIME_WAIT');
});

test('the template of a network is in use while any client of it is connected', t => {
  const network = '203.0.113.0/24';
  const shared = template({ client: '203.0.113.0', network });
  const other = control({ client: '203.0.113.9', network });
  t.deepEqual(reportOf([shared, other]).waiting, []);
  const asked = reportOf([shared, other], { client: '203.0.113.7' as Address });
  t.deepEqual([asked.sessions, asked.waiting], [[], []], 'nor for another client that asks about itself');
  t.is(reportOf([shared], { client: '203.0.113.7' as Address }).waiting[0]?.client, network);
});

test('clients come in the order of their addresses, IPv4 first, and their connections by port', t => {
  const clients = ['2001:db8::9', '203.0.113.100', '203.0.113.20', '9.0.0.1'];
  const report = reportOf(clients.flatMap(client => [control({ client, clientPort: 50_000 }), control({ client })]));
  t.deepEqual(
    report.sessions.map(({ client }) => client),
    ['9.0.0.1', '203.0.113.20', '203.0.113.100', '2001:db8::9'],
  );
  t.deepEqual(
    report.sessions[0]?.control.map(({ clientPort }) => clientPort),
    [40_001, 50_000],
  );
});

test('without a time nothing is made up', t => {
  const { ageS: _, ...timeless } = control();
  t.like(reportOf([timeless]).sessions[0]?.control[0], { firstSeenAt: null, older: false });
});

test('what a server has is counted: sessions, transfers, what closes, templates', t => {
  const two = { server: 'ftp2', serverAddress: '198.51.100.12' };
  t.deepEqual(countByServer([template(), control(), data(), data({ closing: true }), template(two), template(two)]), [
    {
      service: 'ftp',
      server: 'ftp1',
      serverAddress: '198.51.100.11',
      control: 1,
      data: 1,
      connection: 0,
      closing: 1,
      templates: 1,
    },
    {
      service: 'ftp',
      server: 'ftp2',
      serverAddress: '198.51.100.12',
      control: 0,
      data: 0,
      connection: 0,
      closing: 0,
      templates: 2,
    },
  ]);
});

test('filters go through the URL as they were given, and another one is refused', t => {
  const filter = { client: '2001:db8::9' as Address, service: 'a b&c', server: 'ftp1' };
  const query = sessionsPath(filter).split('?')[1];
  t.deepEqual(readSessionFilter(new URLSearchParams(query)), filter);
  t.is(sessionsPath({}), '/sessions');
  t.is(readSessionFilter(new URLSearchParams('client=1.2.3')), '"1.2.3" is no IPv4 or IPv6 address');
  t.regex(
    readSessionFilter(new URLSearchParams('clinet=x')) as string,
    /no filter "clinet"; there are: client, service/,
  );
});

// ---- over the socket -----------------------------------------------------------------------------------------

async function start(t: ExecutionContext, table: SessionTable | string) {
  const path = await socketPath(t);
  const source = testSource();
  source.table = table;
  const server = await startStatusServer({ socketPath: path, source, log: keptLog() });
  t.teardown(() => server.close());
  return { path, source };
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

function ask(socket: string, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: socket, path, agent: false }, async response => {
      let body = '';
      for await (const chunk of response.setEncoding('utf8')) body += chunk;
      resolve({ status: response.statusCode ?? 0, body });
    });
    sent.on('error', reject).end();
  });
}

function linesOf({ body }: Answer): SessionLine[] {
  const lines = body.trimEnd().split('\n');
  return lines.map(line => sessionLineSchema.parse(JSON.parse(line)));
}

async function* slicesOf(count: number, size = 500): AsyncGenerator<SessionEntry[]> {
  for (let slice = 0; slice < count; slice++) {
    yield Array.from({ length: size }, (_, n) => control({ clientPort: 1 + ((slice * size + n) % 60_000) }));
  }
}

test('GET /sessions answers line by line: whose table, each entry, the end; the filter reaches the director', async t => {
  const { path, source } = await start(t, { head: HEAD, slices: slicesOf(3) });
  const answer = await ask(path, '/sessions?service=ftp&client=203.0.113.7');
  t.is(answer.status, 200);
  const lines = linesOf(answer);
  t.deepEqual(lines[0], HEAD);
  t.is(lines.filter(({ type }) => type === 'entry').length, 1_500);
  t.deepEqual(lines.at(-1), { type: 'end', entries: 1_500, problem: '' });
  t.deepEqual(source.asked, [{ service: 'ftp', client: '203.0.113.7' as Address }]);
});

test('what goes wrong on the way is at the end, after what could be had; a name that is not there is a 400', async t => {
  async function* breaking(): AsyncGenerator<SessionEntry[]> {
    yield [control()];
    throw new Error('conntrack cannot be run');
  }
  const { path, source } = await start(t, { head: HEAD, slices: breaking() });
  const lines = linesOf(await ask(path, '/sessions'));
  t.deepEqual(lines.slice(1), [control(), { type: 'end', entries: 1, problem: 'conntrack cannot be run' }]);
  source.table = 'there is no service "x"';
  const refused = await ask(path, '/sessions?service=x');
  t.deepEqual([refused.status, refused.body], [400, '{"error":"there is no service \\"x\\""}\n']);
  t.is((await ask(path, '/sessions?clinet=1')).status, 400);
});

test('a reader that stops reading makes the walk wait, not the director; more than two have to ask again', async t => {
  let slices = 0;
  async function* endless(): AsyncGenerator<SessionEntry[]> {
    for await (const slice of slicesOf(100_000)) {
      slices++;
      yield slice;
    }
  }
  const { path, source } = await start(t, '');
  source.sessions = () => ({ head: HEAD, slices: endless() });
  const stalled = [];
  for (let n = 0; n < SESSION_READERS_MAX; n++) {
    const socket = connect(path).pause();
    socket.on('error', () => undefined).write('GET /sessions HTTP/1.1\r\nhost: x\r\n\r\n');
    t.teardown(() => socket.destroy());
    stalled.push(socket);
  }
  const settled = async (): Promise<number> => {
    for (let before = -1; ; await sleep(100)) {
      if (before === slices && slices > 0) return slices;
      before = slices;
    }
  };
  t.true((await settled()) < 200, `${slices} slices for readers that take nothing`);
  t.is((await ask(path, '/healthz')).status, 200);
  const refused = await ask(path, '/sessions');
  t.deepEqual([refused.status, refused.body], [503, '{"error":"2 read /sessions already; ask again"}\n']);
  for (const socket of stalled) socket.destroy();
  source.sessions = () => ({ head: HEAD, slices: slicesOf(1) });
  for (let tries = 0; tries < 200; tries++) {
    const answer = await ask(path, '/sessions');
    if (answer.status === 200) {
      t.is(linesOf(answer).length, 502);
      return;
    }
    await sleep(20);
  }
  t.fail('there is never room again');
});
