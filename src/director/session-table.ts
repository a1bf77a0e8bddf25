// What the director adds to a table of connections: whose it is, and whether the names that are
// asked for exist. Pure.
import type { Config } from '../config/schema.ts';
import type { Snapshot } from '../feed/message.ts';
import type { SessionFilter, SessionHead, SessionTable } from '../status/sessions.ts';
import { parseAddress } from '../units/address.ts';

interface Standing {
  readonly config: Config;
  readonly node: string;
  readonly pulse: Snapshot | null;
  /** ISO 8601. */
  readonly generatedAt: string;
}

type Sessions = Pick<SessionHead, 'from' | 'whole'> & Pick<SessionTable, 'slices'>;

export function sessionTable({ config, node, pulse, generatedAt }: Standing, sessions: Sessions): SessionTable {
  const { from, whole, slices } = sessions;
  const peer = Object.keys(config.routers).find(name => name !== node) ?? '';
  const own = { pair: config.pair, node, peer, role: pulse?.role ?? null };
  return { head: { type: 'head', schema: 'tandem-session-lines/1', generatedAt, ...own, from, whole }, slices };
}

/** A mistyped name would look like a service without clients; undefined: the names are right. */
export function filterProblem({ services }: Config, { service, server }: SessionFilter): string | undefined {
  if (service !== undefined && !Object.hasOwn(services, service)) {
    return `there is no service "${service}" in the config; it has: ${Object.keys(services).join(', ') || 'none'}`;
  }
  // By its address one may be asked for that has left the config and still has connections.
  if (server === undefined || server === 'sorry_server' || parseAddress(server) !== undefined) return undefined;
  const asked = Object.entries(services).filter(([name]) => service === undefined || name === service);
  const names = [...new Set(asked.flatMap(([, one]) => Object.keys(one.servers)))];
  if (names.includes(server)) return undefined;
  const where = service === undefined ? 'the config' : `service "${service}"`;
  return `there is no server "${server}" in ${where}; it has: ${names.join(', ') || 'none'}`;
}
