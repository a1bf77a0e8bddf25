// The ports of an FTP service on the VIP and on its real servers: control, which of them are
// checked, how they are encrypted, and where active mode's data connections come from. Pure.
import type { FtpServiceConfig, ServiceConfig } from './schema.ts';

/**
 * Source port of active mode's data connections where it is the same everywhere: 20 for FTP (RFC
 * 959, 3.2), 989 for FTPS over TLS from the start (IANA ftps-data).
 */
const DATA_PORT: Readonly<Record<number, number>> = { 21: 20, 990: 989 };

type Ports = Pick<FtpServiceConfig, 'control_port' | 'active' | 'active_port'>;

/** By control port: where its active data come from; undefined: nobody has said. */
export function activePortOf({ control_port: control, active_port: given }: Ports, port: number): number | undefined {
  if (given === undefined) return DATA_PORT[port];
  return given.length === 1 ? given[0] : given[control.indexOf(port)];
}

/** The source ports of active mode's data connections, ascending, each once; none without it. */
export function activePortsOf(service: Ports): readonly number[] {
  if (!service.active) return [];
  const ports = service.control_port.map(port => activePortOf(service, port)).filter(port => port !== undefined);
  return [...new Set(ports)].sort((a, b) => a - b);
}

/** FTPS with TLS from the first byte (IANA ftps): a client that knocks here begins with it. */
const IMPLICIT_TLS_PORT = 990;

/** Whether clients speak TLS to this control port from the first byte. */
export function isImplicitTls(port: number): boolean {
  return port === IMPLICIT_TLS_PORT;
}

type Checked = Pick<FtpServiceConfig, 'check' | 'control_port'>;

/** The control ports that are checked: all, as clients come to each, or the one of check.port. */
export function checkedControlPorts({ check, control_port: control }: Checked): readonly number[] {
  return check.port === undefined ? control : [check.port];
}

/** How a control port is encrypted: as check.tls says, but for 990. */
export function tlsAt({ check }: Checked, port: number): Checked['check']['tls'] {
  return isImplicitTls(port) ? 'implicit' : check.tls;
}

/** Whether a check sees a certificate. */
export function isCheckedByTls(service: Checked): boolean {
  return checkedControlPorts(service).some(port => tlsAt(service, port) !== 'none');
}

/** What PASV has to announce to clients. */
export function announcedAddress({ announce, vip }: Pick<FtpServiceConfig, 'announce' | 'vip'>): ServiceConfig['vip'] {
  return announce ?? vip;
}

/** Whether a server has one daemon's port for the VIPs of both, which are two. */
export function sharePort(
  first: Pick<FtpServiceConfig, 'vip' | 'servers' | 'control_port'>,
  second: Pick<FtpServiceConfig, 'vip' | 'servers' | 'control_port'>,
  server: ServiceConfig['vip'],
): boolean {
  const has = ({ servers }: typeof first) => Object.values(servers).some(({ address }) => address === server);
  if (first.vip === second.vip || !has(first) || !has(second)) return false;
  return first.control_port.some(port => second.control_port.includes(port));
}
