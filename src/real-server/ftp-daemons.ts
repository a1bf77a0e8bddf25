// What a service requires of its real servers in the words of each FTP daemon, and what a daemon
// cannot do. Pure. Sources: vsftpd.conf(5); proftpd's mod_core, mod_auth and mod_tls pages;
// pure-ftpd(8) and its pure-ftpd.conf. The lab runs its servers with these very lines.
import type { Address } from '../units/address.ts';
import type { ControlPort, Requirements } from './requirements.ts';
import type { Section } from './section.ts';

export const DAEMONS = ['vsftpd', 'proftpd', 'pure-ftpd'] as const;
export type Daemon = (typeof DAEMONS)[number];

/** pure-ftpd binds active data to port 20 and has no setting for it (FTP_ACTIVE_SOURCE_PORTS). */
const PURE_FTPD_ACTIVE_PORT = 20;

export interface DaemonOptions {
  /** The one address to listen on, of an IPv6 service; default: all of the machine's. */
  readonly listen?: Address | undefined;
  readonly certificate?: string;
  readonly key?: string;
}

interface Files {
  readonly certificate: string;
  readonly key: string;
}

/** What this daemon cannot do of what is required: what is wrong, and what to do. */
export function daemonProblems(daemon: Daemon, { ports }: Requirements): string[] {
  switch (daemon) {
    case 'vsftpd':
      return [];
    case 'proftpd':
      return ports
        .filter(({ port, activePort }) => activePort !== undefined && activePort !== port - 1)
        .map(
          ({ port, activePort }) =>
            `active_port: proftpd opens active data from the port below its control port, ${port - 1} for ${port}, not from ${activePort}; write active_port: ${port - 1}, or active: false, or use vsftpd`,
        );
    case 'pure-ftpd':
      return [
        ...ports
          .filter(({ tls }) => tls === 'implicit')
          .map(
            ({ port }) =>
              `control_port: pure-ftpd takes TLS by AUTH only, not from the first byte on port ${port} (that is an option of its build, --with-implicittls, which no other port works with); leave ${port} out, or use vsftpd or proftpd`,
          ),
        ...ports
          .filter(({ activePort }) => activePort !== undefined && activePort !== PURE_FTPD_ACTIVE_PORT)
          .map(
            ({ port, activePort }) =>
              `active_port: pure-ftpd opens active data from port 20 whatever its control port, not from ${activePort} for ${port}; write active_port: 20, or active: false, or use vsftpd`,
          ),
      ];
  }
}

/** The daemon's settings; one section for each process that it needs. */
export function daemonSections(daemon: Daemon, required: Requirements, options: DaemonOptions = {}): Section[] {
  const { certificate = '/etc/ssl/certs/ftp.pem', key = '/etc/ssl/private/ftp.key' } = options;
  const files = { certificate, key };
  const several = required.ports.length > 1;
  switch (daemon) {
    case 'vsftpd':
      return [
        ...vsftpdSettings(required, options.listen),
        ...required.ports.map(
          (port): Section => ({
            kind: 'daemon',
            file: vsftpdFile(required, port),
            about: several
              ? `instead of lines of the same names; a vsftpd of its own for port ${port.port}.${vsftpdHint(port)}`
              : `instead of lines of the same names.${vsftpdHint(port)}`,
            lines: vsftpd(required, port, files, options.listen),
          }),
        ),
      ];
    case 'proftpd':
      return [
        {
          kind: 'daemon',
          file: '/etc/proftpd/conf.d/tandem.conf',
          about: `instead of lines of the same names in proftpd.conf.${proftpdHint(required.ports)}`,
          lines: proftpd(required, files),
        },
      ];
    case 'pure-ftpd':
      return required.ports.map(port => ({
        kind: 'daemon',
        file: port === required.ports[0] ? '/etc/pure-ftpd.conf' : `/etc/pure-ftpd-${port.port}.conf`,
        about: `instead of lines of the same names${several ? `; a pure-ftpd of its own for port ${port.port}` : ''}. Debian: each name is a file in /etc/pure-ftpd/conf, and the rest of the line its text.${pureFtpdHint(port)}`,
        lines: pureFtpd(required, port, files),
      }));
  }
}

function certificateHint(ports: readonly ControlPort[]): string {
  return ports.some(({ tls }) => tls !== 'none')
    ? ' Certificate and key: your own files; the same name on every server of the service.'
    : '';
}

/** Each process has a file of its own, also that of the other family on one server. */
function vsftpdFile({ family, ports }: Requirements, port: ControlPort): string {
  const of = family === 6 ? '-ipv6' : '';
  return port === ports[0] ? `/etc/vsftpd${of}.conf` : `/etc/vsftpd${of}-${port.port}.conf`;
}

/** Who offers TLS with ssl_enable demands it of local users, by vsftpd's defaults. */
function vsftpdHint(port: ControlPort): string {
  const demanded =
    ' Local users must use TLS from then on; force_local_logins_ssl=NO and force_local_data_ssl=NO leave them the choice.';
  return `${port.tls === 'explicit' ? demanded : ''}${certificateHint([port])}`;
}

function proftpdHint(ports: readonly ControlPort[]): string {
  const virtual =
    ports.length > 1
      ? ' What both ports share (users, Anonymous) belongs into <Global>. A server of both families has one VirtualHost, the IPv4 service’s, with <VirtualHost 0.0.0.0 ::> for its first line: one on :: alone would take IPv4 clients, too, and name them no address.'
      : '';
  const tls = ports.some(({ tls }) => tls !== 'none')
    ? ' mod_tls must be loaded (Debian: package proftpd-mod-crypto); an EC key is named by TLSECCertificateFile and TLSECCertificateKeyFile.'
    : '';
  return `${virtual}${tls}${certificateHint(ports)}`;
}

/** Debian's pure-ftpd-wrapper ends at a file CertFileAndKey: "No corresponding directive". */
function pureFtpdHint(port: ControlPort): string {
  const debian =
    ' For CertFileAndKey it has none: put key and certificate, one after the other, into /etc/ssl/private/pure-ftpd.pem.';
  return `${port.tls === 'none' ? '' : debian}${certificateHint([port])}`;
}

/**
 * One process serves one port and one family: on an IPv6 socket vsftpd does not use pasv_address,
 * and tells IPv4 clients 0,0,0,0. Without `allow_anon_ssl` it answers 530 to a nanny that is
 * anonymous within TLS.
 */
function vsftpd(
  { family, passive, announced, anonymous }: Requirements,
  { port, tls, activePort }: ControlPort,
  { certificate, key }: Files,
  listen: Address | undefined,
): string[] {
  return [
    ...(family === 4 ? ['listen=YES', 'listen_ipv6=NO'] : ['listen=NO', 'listen_ipv6=YES']),
    ...(family === 6 && listen !== undefined ? [`listen_address6=${listen}`] : []),
    `listen_port=${port}`,
    'pasv_enable=YES',
    `pasv_min_port=${passive.first}`,
    `pasv_max_port=${passive.last}`,
    ...(announced === undefined ? [] : [`pasv_address=${announced}`]),
    ...(activePort === undefined
      ? ['port_enable=NO']
      : ['port_enable=YES', 'connect_from_port_20=YES', `ftp_data_port=${activePort}`]),
    ...(tls === 'none' ? [] : ['ssl_enable=YES', `rsa_cert_file=${certificate}`, `rsa_private_key_file=${key}`]),
    ...(tls === 'implicit' ? ['implicit_ssl=YES'] : []),
    ...(tls !== 'none' && anonymous ? ['allow_anon_ssl=YES'] : []),
  ];
}

/** With DR and TUN it must listen on the VIP and on its own address, and can name one only. */
function vsftpdSettings({ family }: Requirements, listen: Address | undefined): Section[] {
  if (family === 4 || listen !== undefined) return [];
  return [
    {
      kind: 'sysctl',
      file: '/etc/sysctl.d/50-tandem-vsftpd.conf',
      about: 'then `sysctl --system`, before vsftpd starts: on :: it would take the port of an IPv4 service, too.',
      lines: ['net.ipv6.bindv6only = 1'],
    },
  ];
}

/** The first port is the main server's; each further one is a virtual server's. */
function proftpd(required: Requirements, files: Files): string[] {
  const [first, ...further] = required.ports;
  const any = required.family === 4 ? '0.0.0.0' : '::';
  return [
    ...(required.family === 6 ? ['UseIPv6 on'] : []),
    ...(first === undefined ? [] : proftpdServer(required, first, files)),
    ...further.flatMap(port => [
      `<VirtualHost ${any}>`,
      ...proftpdServer(required, port, files).map(line => `  ${line}`),
      '</VirtualHost>',
    ]),
  ];
}

/**
 * Without `RootRevoke off` proftpd gives root up after login and then opens active data connections
 * from a high port, which no router can tell from other traffic.
 */
function proftpdServer(
  { passive, announced }: Requirements,
  { port, tls, activePort }: ControlPort,
  { certificate, key }: Files,
): string[] {
  return [
    `Port ${port}`,
    `PassivePorts ${passive.first} ${passive.last}`,
    ...(announced === undefined ? [] : [`MasqueradeAddress ${announced}`]),
    ...(activePort === undefined ? ['<Limit EPRT PORT>', '  DenyAll', '</Limit>'] : ['RootRevoke off']),
    ...(tls === 'none'
      ? []
      : ['TLSEngine on', `TLSRSACertificateFile ${certificate}`, `TLSRSACertificateKeyFile ${key}`]),
    ...(tls === 'implicit' ? ['TLSOptions UseImplicitSSL'] : []),
  ];
}

/** It serves both families in one process. Active mode needs no line, and has none to refuse it. */
function pureFtpd({ passive, announced }: Requirements, { port, tls }: ControlPort, { certificate, key }: Files) {
  return [
    `Bind ,${port}`,
    `PassivePortRange ${passive.first} ${passive.last}`,
    ...(announced === undefined ? [] : [`ForcePassiveIP ${announced}`]),
    ...(tls === 'none' ? [] : ['TLS 1', `CertFileAndKey "${certificate}" "${key}"`]),
  ];
}
