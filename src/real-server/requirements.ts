// What a real server has to do so that a service works, in no daemon's words: where it listens,
// which passive ports it opens, which address it names, where its active data come from. Pure.
import { activePortOf, announcedAddress, tlsAt } from '../config/ftp-ports.ts';
import type { FtpServiceConfig } from '../config/schema.ts';
import { type Address, type Family, familyOf } from '../units/address.ts';

export interface ControlPort {
  readonly port: number;
  /** explicit: by AUTH TLS, for those who want it; implicit: from the first byte on. */
  readonly tls: 'none' | 'explicit' | 'implicit';
  /** The source port of active mode's data; undefined: the service has no active mode. */
  readonly activePort: number | undefined;
}

export interface Requirements {
  readonly family: Family;
  readonly ports: readonly ControlPort[];
  readonly passive: FtpServiceConfig['passive_ports'];
  /** What the answer to PASV names; undefined for IPv6, whose EPSV names no address. */
  readonly announced: Address | undefined;
  /** The nanny logs in as anonymous. */
  readonly anonymous: boolean;
}

/** The service must have passed rules.ts: then every port has an active port where it needs one. */
export function requirementsOf(service: FtpServiceConfig): Requirements {
  const family = familyOf(service.vip);
  return {
    family,
    ports: service.control_port.map(port => ({
      port,
      tls: tlsAt(service, port),
      activePort: service.active ? activePortOf(service, port) : undefined,
    })),
    passive: service.passive_ports,
    announced: family === 4 ? announcedAddress(service) : undefined,
    anonymous: logsInAsAnonymous(service),
  };
}

/** Both names mean anonymous to FTP servers (RFC 1635). */
function logsInAsAnonymous({ check: { until, user } }: FtpServiceConfig): boolean {
  const isLogin = until === 'login' || until === 'transfer';
  return isLogin && (user === 'anonymous' || user === 'ftp');
}
