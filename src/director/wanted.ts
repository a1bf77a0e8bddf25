// What IPVS should look like: config plus verdicts plus, for servers not judged yet, what the
// kernel already does. Pure. A restart of the director must never take a working server away: until
// its first verdict a server keeps the kernel's word.
import type { Config, ServiceConfig } from '../config/schema.ts';
import {
  type IpvsServer,
  type IpvsService,
  type IpvsTable,
  type IpvsTimeouts,
  isInUse,
  type Leave,
  markKey,
  type ServiceKey,
  type WantedServer,
  type WantedService,
} from '../ipvs/table.ts';
import type { Verdict } from '../nanny/verdict.ts';
import { type Address, familyOf } from '../units/address.ts';

/** The kernel's name of a service of the config. */
export function ipvsKeyOf(service: Pick<ServiceConfig, 'mark' | 'vip'>): ServiceKey {
  return markKey(service.mark, familyOf(service.vip));
}

export function findVerdict(verdicts: readonly Verdict[], service: string, server: string): Verdict | undefined {
  return verdicts.find(verdict => verdict.service === service && verdict.server === server);
}

/**
 * All services that the config wants, with the weights that the verdicts allow. `leaveOf`:
 * leaving.ts.
 */
export function wantedServices(
  config: Config,
  verdicts: readonly Verdict[],
  actual: IpvsTable,
  leave: (key: ServiceKey, address: Address) => Leave,
): readonly WantedService[] {
  return Object.entries(config.services).map(([name, service]) => {
    const key = ipvsKeyOf(service);
    const present = actual.services.find(candidate => candidate.key === key);
    const servers = Object.entries(service.servers).map(([serverName, { address, weight }]) => {
      const verdict = findVerdict(verdicts, name, serverName);
      const found = serverOf(present, address);
      const stays = leave(key, address) === 'stays';
      return { address, forwarding: service.forwarding, ...wantedWeight(verdict, weight, found, stays) };
    });
    const persistenceS = Math.ceil(service.persistence / 1_000);
    return { key, name, scheduler: service.scheduler, persistenceS, servers };
  });
}

/** The server in the kernel's service; one with another port is not ours. */
export function serverOf(present: IpvsService | undefined, address: Address): IpvsServer | undefined {
  return present?.servers.find(candidate => candidate.address === address && candidate.port === 0);
}

/**
 * A server that is down but answers keeps its clients, and its weight with them, which their
 * templates need; without any it has weight 0, like a dead one. `stays`: it has not been so for too
 * long.
 */
function wantedWeight(
  verdict: Verdict | undefined,
  weight: number,
  found: IpvsServer | undefined,
  stays: boolean,
): Pick<WantedServer, 'weight' | 'quiesced'> {
  const { state = 'unknown', alive = true, kept = false } = verdict ?? {};
  if (kept) return { weight, quiesced: false };
  switch (state) {
    case 'up':
      return { weight, quiesced: false };
    case 'down': {
      const quiesced = alive && stays && found !== undefined && isInUse(found);
      return { weight: quiesced ? weight : 0, quiesced };
    }
    case 'unknown':
      return found && found.weight > 0
        ? { weight, quiesced: found.upperThreshold === 1 }
        : { weight: 0, quiesced: false };
  }
}

export function wantedTimeouts(config: Config): IpvsTimeouts {
  return {
    tcpS: Math.ceil(config.ipvs.tcp_timeout / 1_000),
    tcpFinS: Math.ceil(config.ipvs.tcp_fin_timeout / 1_000),
  };
}
