// One service as the firewall sees it: what its rules and the evidence about them are made from.
// Type only.
import type { Address } from '../units/address.ts';

/** One service as the firewall sees it. */
export interface FirewallService {
  readonly name: string;
  readonly vip: Address;
  /**
   * This router's interfaces by which clients are served: that of the VIP's LAN and of every other
   * one, but not of the servers' own, whose answers would not come back through this router.
   */
  readonly interfaces: readonly string[];
  readonly mark: number;
  readonly controlPort: number;
  readonly passivePorts: { readonly first: number; readonly last: number };
  /** Whether active mode is served. */
  readonly active: boolean;
  /** Real servers, those that drain included. */
  readonly servers: readonly Address[];
}
