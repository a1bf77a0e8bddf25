// The pair's config file for the lab's topology, as text. Pure.
import { GATEWAY, SERVER_ADDRESSES, VIP } from './topology.ts';

export interface ConfigOptions {
  readonly keyFile: string;
  /** Durations as the config writes them. */
  readonly interval: string;
  readonly lease: string;
  readonly dead: string;
  /** Further lines at the end, e.g. an `ipvs:` section. */
  readonly more?: string;
}

/**
 * H, L, D that hold under software emulation, where timers of 20 ms come up to 180 ms late and two busy processors are shared
 * by everything. Timing itself is tested in namespaces on the host's kernel.
 */
export const EMULATION_TIMES = { interval: '200ms', lease: '450ms', dead: '700ms' } as const;

/** The config, identical for both routers. r1 has the higher priority. */
export function labConfig(options: ConfigOptions): string {
  const servers = Object.entries(SERVER_ADDRESSES).map(([name, address]) => `      ${name}: { address: ${address} }`);
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
sync:
  lan: cross
services:
  ftp:
    vip: ${VIP}
    servers_lan: servers
    mark: 21
    check: { interval: 10s, timeout: 15s, stage_timeout: 8s, rise: 1, fetch: whoami }
    servers:
${servers.join('\n')}
${options.more ?? ''}`;
}
