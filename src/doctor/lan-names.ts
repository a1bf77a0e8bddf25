// The kernel's names of a LAN's interface on this router. Pure.
import { interfaceOf, ownAddresses } from '../config/node.ts';
import type { LanConfig } from '../config/schema.ts';
import { realName } from '../firewall/interfaces.ts';
import { addressOf } from '../units/address.ts';
import type { HostFacts } from './host-facts.ts';

type Interfaces = Pick<HostFacts, 'interfaces' | 'node'>;

/** One name, or none where the config names none for this router. */
export function namesOf({ interfaces, node }: Interfaces, lan: LanConfig): string[] {
  const name = interfaceOf(lan, node);
  if (name === undefined) return [];
  return [realName(name, ownAddresses(lan, node).map(addressOf), interfaces.ok ? interfaces.value : [])];
}
