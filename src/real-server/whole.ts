// From the pair's config to all that a real server of one service must have, or why this daemon
// cannot be one. Pure.
import { sharePort } from '../config/ftp-ports.ts';
import { ownAddresses } from '../config/node.ts';
import type { Config, FtpServiceConfig, LanConfig, ServiceConfig } from '../config/schema.ts';
import type { Forwarding } from '../ipvs/table.ts';
import { type Address, contains, familyOf } from '../units/address.ts';
import { DAEMONS, type Daemon, type DaemonOptions, daemonProblems, daemonSections } from './ftp-daemons.ts';
import { drSections, natSections, tunSections } from './host.ts';
import { requirementsOf } from './requirements.ts';
import type { Section } from './section.ts';

export interface Wanted extends Omit<DaemonOptions, 'listen'> {
  /** A service of the config. */
  readonly service: string;
  /** Of an FTP service, and of no other. */
  readonly daemon?: Daemon | undefined;
  /** One of its real servers; without it there is only what all of them have in common. */
  readonly server?: string | undefined;
  /** Default: what the service says. */
  readonly forwarding?: Forwarding;
}

type ServerConfig =
  | { readonly ok: true; readonly sections: readonly Section[] }
  | { readonly ok: false; readonly problems: readonly string[] };

/** `config` must have passed rules.ts. Each problem says where it is and what to do. */
export function serverConfig(config: Config, wanted: Wanted): ServerConfig {
  const { services } = config;
  const service = Object.hasOwn(services, wanted.service) ? services[wanted.service] : undefined;
  if (service === undefined) {
    return refused(`there is no service "${wanted.service}"; ${choices('services', Object.keys(services))}`);
  }
  const names = Object.keys(service.servers);
  if (wanted.server !== undefined && !names.includes(wanted.server)) {
    const where = `services.${wanted.service}.servers`;
    return refused(`${where}: there is no real server "${wanted.server}"; ${choices('servers', names)}`);
  }
  const server = wanted.server === undefined ? undefined : service.servers[wanted.server]?.address;
  const forwarding = wanted.forwarding ?? service.forwarding;
  // With DR and TUN clients come to the VIP and nannies to the server's own address: all of them.
  const listen = forwarding === 'nat' ? server : undefined;
  const ofDaemon = daemonConfig(config, service, { ...wanted, listen }, server);
  if (!ofDaemon.ok) return ofDaemon;
  const host = hostSections(config, service, forwarding, server);
  if (host === undefined) {
    return refused(
      `with forwarding tun each real server has its own end of the tunnel; add --server NAME (${names.join(', ')})`,
    );
  }
  return { ok: true, sections: [...ofDaemon.sections, ...host] };
}

/** The FTP daemon's own lines; what serves another service is set up for its ports as anywhere. */
function daemonConfig(
  config: Config,
  service: ServiceConfig,
  { service: name, daemon, ...options }: Wanted & DaemonOptions,
  server: Address | undefined,
): ServerConfig {
  if (service.kind !== 'ftp') {
    if (daemon === undefined) return { ok: true, sections: [] };
    return refused(`services.${name} is of kind ${service.kind}, not FTP; leave --for out`);
  }
  if (daemon === undefined) return refused(`services.${name} is FTP; add --for ${DAEMONS.join(' or --for ')}`);
  const required = servesSeveralVips(config, service, server)
    ? { ...requirementsOf(service), announced: undefined }
    : requirementsOf(service);
  const problems = daemonProblems(daemon, required);
  if (problems.length > 0) return refused(...problems.map(problem => `services.${name}.${problem}`));
  return { ok: true, sections: daemonSections(daemon, required, options) };
}

function refused(...problems: string[]): ServerConfig {
  return { ok: false, problems };
}

function choices(what: string, names: readonly string[]): string {
  return names.length === 0 ? `the config has no ${what}` : `the config has: ${names.join(', ')}`;
}

/**
 * One daemon for several VIPs of DR or TUN must announce nothing: then it names the address that a
 * client came to. rules.ts has seen to it that no check needs more.
 */
function servesSeveralVips({ services }: Config, service: FtpServiceConfig, server: Address | undefined): boolean {
  if (service.forwarding === 'nat') return false;
  const addresses = server === undefined ? Object.values(service.servers).map(({ address }) => address) : [server];
  return Object.values(services).some(
    other =>
      other.kind === 'ftp' &&
      familyOf(other.vip) === familyOf(service.vip) &&
      addresses.some(address => sharePort(other, service, address)),
  );
}

/** undefined: the server's own address is needed. */
function hostSections(
  config: Config,
  service: ServiceConfig,
  forwarding: Forwarding,
  server: Address | undefined,
): Section[] | undefined {
  switch (forwarding) {
    case 'nat': {
      const name = service.servers_lan;
      const lan = name === undefined ? undefined : config.lans[name];
      if (name === undefined || lan === undefined) return [];
      const gateway = gatewayOf(lan, server ?? Object.values(service.servers)[0]?.address, service.vip);
      return gateway === undefined ? [] : natSections(gateway, name);
    }
    case 'dr':
      return drSections(service.vip);
    case 'tun':
      return server === undefined ? undefined : tunSections(service.vip, server);
  }
}

/** The floating gateway in the server's own network, else the first of the VIP's family. */
function gatewayOf(lan: LanConfig, server: Address | undefined, vip: Address): Address | undefined {
  const ours = lan.gateways.filter(gateway => familyOf(gateway) === familyOf(vip));
  const networks = Object.keys(lan.addresses).flatMap(router => ownAddresses(lan, router));
  const near = ours.find(gateway =>
    networks.some(network => server !== undefined && contains(network, server) && contains(network, gateway)),
  );
  return near ?? ours[0];
}
