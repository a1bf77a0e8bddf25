// The pair's config file for the lab's topology, as text. Pure.
import { GATEWAY, SERVER_ADDRESSES, VIP } from './topology.ts';

export interface ConfigOptions extends Times {
  readonly keyFile: string;
  /** Further lines at the end, e.g. an `ipvs:` section. */
  readonly more?: string;
}

export interface Times {
  readonly interval: string;
  readonly lease: string;
  readonly dead: string;
}

/**
 * H, L, D that hold under software emulation on a busy machine, where timers of 20 ms come up to 180 ms late and two emulated
 * processors are shared by everything. Timing itself is tested in namespaces on the host's kernel.
 */
export const EMULATION_TIMES: Times = { interval: '200ms', lease: '700ms', dead: '1s' };
/** The defaults, for a lab on the host's own kernel. */
export const HOST_TIMES: Times = { interval: '100ms', lease: '220ms', dead: '300ms' };

/** The config, identical for both routers. r1 has the higher priority. */
export function labConfig(options: ConfigOptions): string {
  return `${pairConfig(options)}${serviceConfig()}${options.more ?? ''}`;
}

/** The pair without any service: what pulse alone needs. */
export function pairConfig(options: ConfigOptions): string {
  return `pair: lab
routers:
  r1: { priority: 110 }
  r2: { priority: 100 }
lans:
  clients:
    interface: c0
    addresses: { r1: 192.0.2.2/24, r2: 192.0.2.3/24 }
    vips: [${VIP}]
  servers:
    interface: s0
    addresses: { r1: 198.51.100.2/24, r2: 198.51.100.3/24 }
    gateways: [${GATEWAY}]
  cross:
    interface: x0
    addresses: { r1: 203.0.113.1/24, r2: 203.0.113.2/24 }
heartbeat:
  links: [clients, servers, cross]
  interval: ${options.interval}
  lease: ${options.lease}
  dead: ${options.dead}
  key_file: ${options.keyFile}
`;
}

function serviceConfig(): string {
  const servers = Object.entries(SERVER_ADDRESSES).map(([name, address]) => `      ${name}: { address: ${address} }`);
  return `sync:
  lan: cross
services:
  ftp:
    vip: ${VIP}
    servers_lan: servers
    mark: 21
    check: { interval: 10s, timeout: 15s, stage_timeout: 8s, rise: 1, fetch: whoami }
    servers:
${servers.join('\n')}
`;
}
