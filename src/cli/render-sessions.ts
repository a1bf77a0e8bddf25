// What people see of `tandem sessions`: a line for each connection, so that grep finds one. Pure.
import type { SessionsReport } from '../status/sessions-report.ts';
import { type Address, hostPort } from '../units/address.ts';
import { age, columns, type Paint, painter, printable } from './format.ts';

const NAME_LENGTH_MAX = 60;
const SENTENCE_LENGTH_MAX = 300;

const TLS = { implicit: 'implicit', 'not-by-port': 'none or AUTH TLS' } as const;

export function renderSessions(report: SessionsReport, options: { readonly colour: boolean }): string {
  const paint = painter(options.colour);
  const { sessions, waiting, summary } = report;
  const sections = [
    headline(report, paint),
    sessions.length === 0 ? [] : [paint('bold', 'CONNECTIONS'), connectionTable(report, paint)],
    waiting.length === 0
      ? []
      : [paint('bold', 'NOT CONNECTED, MAY COME BACK TO THEIR SERVER'), waitingTable(report, paint)],
    summary.servers.length === 0 ? [] : [paint('bold', 'SERVERS'), serverTable(report, paint)],
    [total(report)],
  ];
  return `${sections
    .filter(lines => lines.length > 0)
    .map(lines => lines.join('\n'))
    .join('\n\n')}\n`;
}

function headline({ node, role, from, whole, problem }: SessionsReport, paint: Paint): string[] {
  const who = `${printable(node, NAME_LENGTH_MAX)} (${role === null ? 'pulse does not answer' : printable(role, NAME_LENGTH_MAX)})`;
  const source = {
    own: 'what its kernel has told of',
    synced: 'what is synced from the other router',
    kernel: `its kernel's table: nothing follows the connections, so nobody knows since when they are`,
  }[from];
  const lines = [`${paint('bold', who)}: ${source}`];
  if (!whole) {
    const why = from === 'synced' ? 'the tables are not warm (see `tandem sync`)' : 'the table is still being read';
    lines.push(`${paint('warn', '!')} this may not be all: ${why}`);
  }
  if (problem !== '') lines.push(`${paint('bad', '!')} this is not all: ${printable(problem, SENTENCE_LENGTH_MAX)}`);
  return lines;
}

function connectionTable({ sessions, generatedAt }: SessionsReport, paint: Paint): string {
  const rows = sessions.flatMap(session => {
    const end = (clientPort: number) => hostPort(session.client as Address, clientPort);
    const vip = (port: number) => hostPort(session.vip as Address, port);
    const about = [nameOf(session.service), serverOf(session.server)];
    const control = session.control.map(one => [
      ...['control', end(one.clientPort), '→', vip(one.port), ...about],
      ...[one.state, firstSeen(one, generatedAt), TLS[one.tls]],
    ]);
    const data = session.data.map(one => [
      ...[`data, ${one.mode}`, end(one.clientPort), one.mode === 'active' ? '←' : '→', vip(one.port), ...about],
      ...[one.state, firstSeen(one, generatedAt), ''],
    ]);
    const plain = session.connections.map(one => [
      ...['connection', end(one.clientPort), '→', vip(one.port), ...about],
      ...[one.state, firstSeen(one, generatedAt), ''],
    ]);
    return [...control, ...data, ...plain];
  });
  const heads = ['kind', 'client', '', 'VIP', 'service', 'server', 'state', 'first seen', 'TLS, by control port'];
  return columns(paint, heads, rows);
}

function waitingTable({ waiting, generatedAt }: SessionsReport, paint: Paint): string {
  const rows = waiting.map(one => [
    ...[printable(one.client, NAME_LENGTH_MAX), nameOf(one.service), serverOf(one.server)],
    ...[age(one.leftS * 1_000), firstSeen(one, generatedAt)],
  ]);
  return columns(paint, ['client', 'service', 'server', 'for another', 'first seen'], rows);
}

function serverTable({ summary }: SessionsReport, paint: Paint): string {
  const rows = summary.servers.map(one => [
    ...[nameOf(one.service), serverOf({ name: one.server, address: one.serverAddress })],
    ...[one.control, one.data, one.connection, one.closing, one.templates].map(count),
  ]);
  return columns(paint, ['service', 'server', 'control', 'data', 'other', 'closing', 'templates'], rows);
}

function total({ summary }: SessionsReport): string {
  const { clients, control, data, connections, closing, waiting } = summary;
  const parts = [
    plural(clients, 'client'),
    plural(control, 'control connection'),
    plural(data, 'data connection'),
    ...(connections > 0 ? [plural(connections, 'other connection')] : []),
    ...(closing > 0 ? [`${count(closing)} closing`] : []),
    ...(waiting > 0 ? [`${plural(waiting, 'client')} that may come back`] : []),
  ];
  return parts.join(', ');
}

/** "over 3m 2s ago": it was there before. */
function firstSeen(
  { firstSeenAt, older }: { firstSeenAt: string | null; older: boolean },
  generatedAt: string,
): string {
  if (firstSeenAt === null) return 'not known';
  const ago = `${age(Date.parse(generatedAt) - Date.parse(firstSeenAt))} ago`;
  return older ? `over ${ago}` : ago;
}

function nameOf(text: string): string {
  return printable(text, NAME_LENGTH_MAX);
}

function serverOf({ name, address }: { readonly name: string; readonly address: string }): string {
  return name === address ? nameOf(address) : `${nameOf(name)} ${nameOf(address)}`;
}

function plural(n: number, one: string): string {
  return `${count(n)} ${one}${n === 1 ? '' : 's'}`;
}

function count(n: number): string {
  return n.toLocaleString('en-US');
}
