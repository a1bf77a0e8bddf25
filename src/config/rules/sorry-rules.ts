// Rules about the sorry server of a service: it is reached as the real servers are, and is none of
// them. Pure; docs/internals/director.md says when it is used.
import { contains, familyOf } from '../../units/address.ts';
import { ownAddresses } from '../node.ts';
import { hasOptions } from '../scheduler.ts';
import type { Config, ServiceConfig } from '../schema.ts';
import { serversLanOf } from '../servers-lan.ts';
import { error, type Finding, type Path, type Rule } from './finding.ts';

export const SORRY_RULES: readonly Rule[] = [
  {
    says: '`sorry_server` is inside a network of `servers_lan` (with `tun` anywhere), of the family of the VIP, none of the real servers, and not behind `sh` or `mh` without `fallback`.',
    check: config => Object.entries(config.services).flatMap(([name, service]) => sorry(name, service, config)),
  },
];

function sorry(name: string, service: ServiceConfig, config: Config): Finding[] {
  const address = service.sorry_server?.address;
  if (address === undefined) return [];
  const at = (...rest: Path): Path => ['services', name, ...rest];
  const path = at('sorry_server', 'address');
  const { vip, servers, forwarding, scheduler, scheduler_options: options } = service;
  if (familyOf(address) !== familyOf(vip)) {
    const problem = `the sorry server is IPv${familyOf(address)}, the VIP ${vip} is IPv${familyOf(vip)}`;
    return [error(path, problem, `write an IPv${familyOf(vip)} address`, [at('vip')])];
  }
  const same = Object.entries(servers).find(([, server]) => server.address === address);
  if (same) {
    const problem = `the sorry server ${address} is the real server "${same[0]}"`;
    return [error(path, problem, 'write another machine', [at('servers', same[0])])];
  }
  if (hasOptions(scheduler) && options?.includes('fallback') === false) {
    const problem = `${scheduler} without fallback gives a client its own server or none, so nobody comes to the sorry server`;
    return [error(path, problem, 'add fallback to scheduler_options', [at('scheduler_options')])];
  }
  // Under TUN it may be anywhere, as the real servers.
  const lanName = serversLanOf(config, service);
  const lan = lanName === undefined ? undefined : config.lans[lanName];
  const networks = lan ? Object.keys(config.routers).flatMap(router => ownAddresses(lan, router)) : [];
  if (networks.length === 0 || networks.some(own => contains(own, address))) return [];
  const problem = `the sorry server ${address} is in no network of LAN "${lanName}"`;
  const basis: Path[] = [at('servers_lan'), ['lans', `${lanName}`, 'addresses'], at('forwarding')];
  const why = forwarding === 'nat' ? 'with nat its answers pass through the pair' : 'with dr it gets its packets there';
  return [error(path, problem, `write an address inside it: ${why}`, basis)];
}
