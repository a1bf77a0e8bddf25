// One service as the firewall sees it: what its rules and the evidence about them are made from.
// Type only.
import type { PortRange } from '../config/fields.ts';
import type { ServiceConfig } from '../config/schema.ts';
import type { Transport } from '../config/service-ports.ts';
import type { Address } from '../units/address.ts';

/** One service as the firewall sees it. */
export interface FirewallService {
  readonly name: string;
  readonly vip: Address;
  readonly forwarding: ServiceConfig['forwarding'];
  /**
   * This router's interfaces by which clients are served: that of the VIP's LAN and of every other
   * one. With NAT not of the servers' own, whose answers would not come back through this router;
   * with DR and TUN they need not.
   */
  readonly interfaces: readonly string[];
  readonly mark: number;
  readonly isFtp: boolean;
  readonly transport: Transport;
  /** What clients open on the VIP: of FTP, control and passive data. */
  readonly openedPorts: readonly PortRange[];
  /** The same on the real servers. */
  readonly serverPorts: readonly PortRange[];
  /** Those of them on which a client says something for as long as it is there. */
  readonly controlPorts: readonly PortRange[];
  /** Of FTP, the passive range, the same on VIP and servers; none otherwise. */
  readonly passivePorts: readonly PortRange[];
  /** Where active mode's data come from on the real servers; empty: it is not served. */
  readonly activePorts: readonly number[];
  /** Real servers, those that drain included. */
  readonly servers: readonly Address[];
  /**
   * Where the servers answer past this router: how long a client with a template may be silent and
   * still be known, in seconds. Undefined: nobody is known.
   */
  readonly knownS: number | undefined;
  /** Leading bits of a client's address by which it is known: its template has no more. */
  readonly clientPrefix: number;
}
