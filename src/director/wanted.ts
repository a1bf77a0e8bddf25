// What IPVS should look like: config plus verdicts plus, for servers not judged yet, what the kernel already does. Pure.
// A restart of the director must never take a working server away: until its first verdict a server keeps the kernel's word.
import type { Config, ServiceConfig } from '../config/schema.ts';
import {
  type IpvsService,
  type IpvsTable,
  type IpvsTimeouts,
  markKey,
  type ServiceKey,
  type WantedService,
} from '../ipvs/table.ts';
import type { Verdict } from '../nanny/verdict.ts';
import { type Address, familyOf } from '../units/address.ts';

/** The kernel's name of a service of the config. */
export function keyOf(service: Pick<ServiceConfig, 'mark' | 'vip'>): ServiceKey {
  return markKey(service.mark, familyOf(service.vip));
}

export function verdictOf(verdicts: readonly Verdict[], service: string, server: string): Verdict | undefined {
  return verdicts.find(verdict => verdict.service === service && verdict.server === server);
}

/** All services that the config wants, with the weights that the verdicts allow. */
export function wantedServices(
  config: Config,
  verdicts: readonly Verdict[],
  actual: IpvsTable,
): readonly WantedService[] {
  return Object.entries(config.services).map(([name, service]) => {
    const key = keyOf(service);
    const present = actual.services.find(candidate => candidate.key === key);
    const servers = Object.entries(service.servers).map(([serverName, { address, weight }]) => {
      const state = verdictOf(verdicts, name, serverName)?.state ?? 'unknown';
      return { address, forwarding: service.forwarding, weight: wantedWeight(state, weight, present, address) };
    });
    const persistenceS = Math.ceil(service.persistence / 1_000);
    return { key, name, scheduler: service.scheduler, persistenceS, servers };
  });
}

function wantedWeight(
  state: Verdict['state'],
  weight: number,
  present: IpvsService | undefined,
  address: Address,
): number {
  switch (state) {
    case 'up':
      return weight;
    case 'down':
      return 0;
    case 'unknown': {
      const server = present?.servers.find(candidate => candidate.address === address && candidate.port === 0);
      return server && server.weight > 0 ? weight : 0;
    }
  }
}

export function wantedTimeouts(config: Config): IpvsTimeouts {
  return {
    tcpS: Math.ceil(config.ipvs.tcp_timeout / 1_000),
    tcpFinS: Math.ceil(config.ipvs.tcp_fin_timeout / 1_000),
  };
}
