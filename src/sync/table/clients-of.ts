// Who has a template, by service: what a new owner of DR and TUN lets in in mid-stream
// (firewall/known-clients.ts). Bounded in clients and in time. Pure.
import type { Address } from '../../units/address.ts';
import type { At } from '../../units/duration.ts';
import { addressOfRaw } from './entry.ts';
import type { Mirror } from './mirror.ts';
import type { Scope } from './scope.ts';

/** What the firewall's set of known clients holds for a service. */
const CLIENTS_MAX = 65_536;
/** Bounds the time that it takes. */
const CLIENTS_LOOK_MAX = 4 * CLIENTS_MAX;

/** As the templates have them: with a `persistence_prefix` the first address of a network. */
export function clientsOf(
  mirror: Pick<Mirror, 'cursor'>,
  scope: Pick<Scope, 'services'>,
  services: readonly string[],
  now: At,
): ReadonlyMap<string, readonly Address[]> {
  const found = new Map(services.map(name => [name, [] as Address[]]));
  const byMark = new Map(
    scope.services.flatMap(({ name, mark }) => {
      const clients = found.get(name);
      return clients === undefined ? [] : [[mark, clients] as const];
    }),
  );
  if (byMark.size === 0) return found;
  for (const { client, mark } of mirror.cursor('templates').next(CLIENTS_LOOK_MAX, now)) {
    const clients = byMark.get(mark);
    if (clients !== undefined && clients.length < CLIENTS_MAX) clients.push(addressOfRaw(client));
  }
  return found;
}
