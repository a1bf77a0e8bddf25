// What is served together: a VIP with the floating gateways of its family through which its
// services' real servers answer. Without its gateway a VIP under NAT serves nobody, so a router
// holds all of a unit or none of it. Under DR and TUN the servers answer by themselves. Pure.
import type { VirtualAddress } from './node.ts';
import type { Config } from './schema.ts';

/** Indexes into the addresses of a NodeView, ascending. */
export type Unit = readonly number[];

/**
 * One unit for each VIP, in the order of `addresses`. A gateway may be in several, and is held
 * while any of them is. One that no VIP needs is a unit of its own: servers may use it all the
 * same.
 */
export function unitsOf({ services }: Pick<Config, 'services'>, addresses: readonly VirtualAddress[]): Unit[] {
  const gatewaysOf = ({ address, family }: VirtualAddress): number[] => {
    const lans = Object.values(services)
      .filter(({ vip, forwarding }) => vip === address && forwarding === 'nat')
      .map(service => service.servers_lan);
    return [...addresses.entries()].flatMap(([index, other]) =>
      other.kind === 'gateway' && other.family === family && lans.includes(other.lan) ? [index] : [],
    );
  };
  const served = [...addresses.entries()].flatMap(([index, one]) =>
    one.kind === 'vip' ? [[index, ...gatewaysOf(one)].sort((a, b) => a - b)] : [],
  );
  const needed = new Set(served.flat());
  const alone = [...addresses.keys()].filter(index => !needed.has(index));
  return [...served, ...alone.map(index => [index])];
}
