// Short names for what a config says, to tell whether two are the same. Pure.
import { createHash } from 'node:crypto';
import { noticeTimes } from './check-time.ts';
import { nodeView } from './node.ts';
import type { Config } from './schema.ts';
import { unitsOf } from './units.ts';

/**
 * The first 8 bytes of the SHA-256 of the parsed config, as 16 hex digits. Defaults filled in, keys
 * sorted: comments, order and spelling ("1s" or "1000ms") do not change it, meaning does. The
 * routers compare it over the heartbeat.
 */
export function configDigest(config: Config): string {
  return digestOf(config);
}

/**
 * The same of the part that is pulse's on `node`: when this differs it has not read the config yet.
 * The rest of the config (weights, schedulers, the sync) is the director's.
 */
export function pulseDigest(config: Config, node: string): string {
  const { pair, heartbeat, witness } = config;
  // How long a failed server may go unnoticed, whether there are sessions at all, and what is
  // served together.
  const noticeMs = noticeTimes(config);
  const view = nodeView(config, node);
  return digestOf({ pair, heartbeat, witness, view, noticeMs, units: unitsOf(config, view.addresses) });
}

/**
 * What pulse cannot change while it runs, by the name that people know it by, each part as a
 * digest: sockets, vipd and the rules of the packet lease are made for it at the start. alone_keep
 * is among them because the peer, which must listen for as long, is not told.
 */
export function restartParts(config: Config, node: string): Readonly<Record<string, string>> {
  const { pair, routers, lans, heartbeat, witness } = config;
  const { alone_keep, port, links, key_file, packet_lease } = heartbeat;
  const fields = Object.entries({ alone_keep, port, links, key_file, packet_lease });
  const { targets } = nodeView(config, node);
  const parts: Record<string, unknown> = {
    pair,
    routers: Object.keys(routers).sort(),
    witness,
    ...Object.fromEntries(fields.map(([name, value]) => [`heartbeat.${name}`, value])),
    ...Object.fromEntries(Object.entries(lans).map(([name, lan]) => [`lans.${name}`, lan])),
    // Real servers among them.
    'the hosts that are asked whether a LAN lives': targets.map(({ address, lan }) => [lan, address]),
  };
  return Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, digestOf({ part })]));
}

/**
 * The config part by part, services and LANs by their names, each as 8 hex digits: so that two
 * routers can say where their files differ.
 */
export function partDigests(config: Config): Readonly<Record<string, string>> {
  const { lans, services, ...rest } = config;
  const named = (section: string, parts: Readonly<Record<string, unknown>>) =>
    Object.entries(parts).map(([name, part]): [string, unknown] => [`${section}.${name}`, part]);
  const parts: [string, unknown][] = [...Object.entries(rest), ...named('lans', lans), ...named('services', services)];
  return Object.fromEntries(parts.map(([name, part]) => [name, digestOf({ part }).slice(0, 8)]));
}

/** The names of the parts that are not the same in both. */
export function differingParts(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter(name => a[name] !== b[name]).sort();
}

function digestOf(value: object): string {
  return createHash('sha256').update(canonical(value)).digest('hex').slice(0, 16);
}

/** JSON with sorted keys. */
function canonical(value: object): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
