// How long a server that takes no new clients may keep those it has, one that left the config or
// one that fails its check but answers: until the deadline (ipvs.drain), and in its last part only
// what runs already. Pure; remembered in owned.ts.
import type { Config } from '../config/schema.ts';
import type { Leave } from '../ipvs/table.ts';
import type { At } from '../units/duration.ts';
import { LEAVING_MAX, type Owned } from './owned.ts';

/** A server of one of our services in the kernel. */
export interface ServerInKernel {
  /** The service, as ipvsadm names it. */
  readonly key: string;
  readonly address: string;
}

type LeavingList = NonNullable<Owned['leaving']>;

export const isSame = (a: ServerInKernel) => (b: ServerInKernel) => a.key === b.key && a.address === b.address;

/** The list for the servers that leave now: each with the instant at which it began. */
export function noteLeaving(before: LeavingList, now: readonly ServerInKernel[], at: At): LeavingList {
  return now.slice(0, LEAVING_MAX).map(server => {
    const known = before.find(isSame(server));
    // The clock begins anew with the machine; an instant after now is from before.
    const sinceMs = known && known.sinceMs <= at ? known.sinceMs : Math.floor(at);
    return { key: server.key, address: server.address, sinceMs };
  });
}

/**
 * Where a server stands at `at`. In the end it gets weight 0, so that clients which come back after
 * short breaks go to others; its last connections have the time in which IPVS forgets closed ones.
 */
export function leaveOf(
  list: LeavingList,
  server: ServerInKernel,
  at: At,
  { drain, tcp_fin_timeout }: Pick<Config['ipvs'], 'drain' | 'tcp_fin_timeout'>,
): Leave {
  const known = list.find(isSame(server));
  const passed = known ? at - known.sinceMs : 0;
  if (passed >= drain) return 'over';
  return passed >= drain - Math.min(tcp_fin_timeout, drain / 2) ? 'ends' : 'stays';
}

/** Where all servers of the list stand, to see when one has moved on. */
export function standOf(list: LeavingList, at: At, ipvs: Config['ipvs']): string {
  return list.map(server => leaveOf(list, server, at, ipvs)).join();
}
