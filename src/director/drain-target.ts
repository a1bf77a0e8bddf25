// What an operator means by the name that he gives to `tandem drain` and `tandem enable`: a server
// in all services that have it, a server of one service, or all servers of a service. Pure.

import type { Config } from '../config/schema.ts';
import { drainKey, type ServerName } from '../drain/drains.ts';

const LISTED_MAX = 20;

export type Target =
  | { readonly ok: true; readonly servers: readonly ServerName[] }
  /** A sentence with what could be written instead. */
  | { readonly ok: false; readonly problem: string };

/**
 * `NAME` is a server or a service, whichever there is; `SERVICE/SERVER`; and where a name is both,
 * `/SERVER` and `SERVICE/`.
 */
export function targetOf(text: string, { services }: Pick<Config, 'services'>): Target {
  const slash = text.indexOf('/');
  const [service, server] = slash < 0 ? [text, text] : [text.slice(0, slash), text.slice(slash + 1)];
  const all = allServers({ services });
  const named = (name: ServerName) => slash > 0 && server !== '' && name.service === service && name.server === server;
  const ofServer = slash > 0 ? [] : all.filter(name => name.server === server);
  const ofService = slash === 0 || (slash > 0 && server !== '') ? [] : all.filter(name => name.service === service);
  const exact = all.filter(named);
  if (ofServer.length > 0 && ofService.length > 0) {
    const problem = `${text} is the name of a service and of a server: write ${text}/ for all servers of the service, /${text} for the server in all its services, or SERVICE/SERVER`;
    return { ok: false, problem };
  }
  const servers = [...exact, ...ofServer, ...ofService];
  if (servers.length > 0) return { ok: true, servers };
  return { ok: false, problem: `there is no server and no service ${text}; there are: ${listed(all)}` };
}

/** All real servers of a config, in its order. */
export function allServers({ services }: Pick<Config, 'services'>): readonly ServerName[] {
  return Object.entries(services).flatMap(([service, { servers }]) =>
    Object.keys(servers).map(server => ({ service, server })),
  );
}

export function hasServer({ services }: Pick<Config, 'services'>, { service, server }: ServerName): boolean {
  return Object.hasOwn(services, service) && Object.hasOwn(services[service]?.servers ?? {}, server);
}

function listed(all: readonly ServerName[]): string {
  if (all.length === 0) return 'none';
  const names = all.slice(0, LISTED_MAX).map(drainKey).join(', ');
  return all.length > LISTED_MAX ? `${names} and ${all.length - LISTED_MAX} more` : names;
}
