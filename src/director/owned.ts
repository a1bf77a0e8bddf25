// What Tandem has put into the kernel, remembered across a restart of the director
// (run-dir/director-owned.json): a service that leaves the config while the director is down is
// still known as ours, and anything not in here is somebody else's. scripts/uninstall goes by it,
// too. Pure.
import { z } from 'zod';
import type { ServiceKey, WantedService } from '../ipvs/table.ts';
import type { SysctlChange } from './sysctl.ts';

export const OWNED_FILE = 'director-owned.json';
const OWNED_MAX = 256;
/** Longest list of servers that leave; one that does not fit has no deadline. */
export const LEAVING_MAX = 4_096;

const ownedSchema = z.strictObject({
  version: z.literal(1),
  services: z
    .array(
      z.strictObject({
        /** As ipvsadm names it: "-f 21" or "-f 22 -6". */
        key: z.string().regex(/^-f \d{1,10}( -6)?$/),
        /** Its name in the config. */
        name: z.string().max(64),
      }),
    )
    .max(OWNED_MAX),
  /**
   * Servers that take no new clients; `sinceMs` on the monotonic clock. Absent when there is none,
   * as before this field.
   */
  leaving: z
    .array(
      z.strictObject({
        key: z.string().max(40),
        address: z.string().max(64),
        sinceMs: z.number().min(0),
      }),
    )
    .max(LEAVING_MAX)
    .optional(),
  /**
   * Of no use any more, but part of the file since 0.3.0 and before: what is there is not looked
   * at.
   */
  sync: z.null().catch(null),
  /**
   * Kernel settings that were changed, as they were before the first change and as they were set.
   */
  sysctls: z
    .array(z.strictObject({ name: z.string().max(128), before: z.string().max(128), set: z.string().max(128) }))
    .max(OWNED_MAX)
    .default([]),
});

export type Owned = z.output<typeof ownedSchema>;

export const NOTHING_OWNED: Owned = { version: 1, services: [], sync: null, sysctls: [] };

/**
 * The file's content, or undefined when it is not one of ours (then nothing is owned but what the
 * config wants).
 */
export function parseOwned(text: string): Owned | undefined {
  try {
    return ownedSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** With the servers that leave now. */
export function withLeaving(owned: Owned, leaving: NonNullable<Owned['leaving']>): Owned {
  const { leaving: _before, ...rest } = owned;
  return leaving.length === 0 ? rest : { ...rest, leaving };
}

export function ownedKeys(owned: Owned): ReadonlySet<ServiceKey> {
  return new Set(owned.services.map(service => service.key as ServiceKey));
}

/**
 * With what is about to go into the kernel added: written *before* that, so that nothing is ever
 * forgotten.
 */
export function claimOwned(
  owned: Owned,
  { wanted, sysctls }: { readonly wanted: readonly WantedService[]; readonly sysctls: readonly SysctlChange[] },
): Owned {
  const kept = owned.services.filter(service => !wanted.some(candidate => candidate.key === service.key));
  const services = [...wanted.map(({ key, name }) => ({ key, name })), ...kept].slice(0, OWNED_MAX);
  const changed = sysctls.map(({ rule: { name, value }, from }) => {
    const before = owned.sysctls.find(known => known.name === name)?.before ?? from;
    return { name, before, set: value };
  });
  const others = owned.sysctls.filter(({ name }) => !changed.some(change => change.name === name));
  return { ...owned, services, sysctls: [...others, ...changed].slice(0, OWNED_MAX) };
}

/** Without the services that are neither wanted nor in the kernel any more. */
export function forgetOwned(owned: Owned, wanted: readonly WantedService[], present: ReadonlySet<ServiceKey>): Owned {
  const keep = (key: ServiceKey) => present.has(key) || wanted.some(service => service.key === key);
  return { ...owned, services: owned.services.filter(service => keep(service.key as ServiceKey)) };
}
