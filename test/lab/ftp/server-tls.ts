// What the lab's FTP servers need to speak TLS on 21 (by AUTH) and on 990 (from the start), and to
// write down every command. Pure; the files' places are arguments.

import type { Daemon } from '../../../src/real-server/ftp-daemons.ts';

export interface ServerTls {
  /** PEM files. */
  readonly certificate: string;
  readonly key: string;
  /** Data over TLS must resume the control connection's session. */
  readonly demandsReuse: boolean;
}

/** TLS in the pair's config: what `check` says, and the control ports. pure-ftpd has no implicit TLS. */
export const CHECK_BY_TLS = 'tls: explicit, tls_verify: none';
export function controlPorts(daemon: Daemon): string {
  return daemon === 'pure-ftpd' ? 'control_port: 21' : 'control_port: [21,990]';
}

/** Name of the log of commands in a server's scratch directory; pure-ftpd has none but syslog. */
export const COMMAND_LOG = 'commands.log';

/** For vsftpd.conf, beside what server-config prints. TLS is offered: who wants it is the client's choice. */
export function vsftpdTls(tls: ServerTls, scratch: string): string {
  return `force_local_logins_ssl=NO
force_local_data_ssl=NO
ssl_ciphers=HIGH
require_ssl_reuse=${tls.demandsReuse ? 'YES' : 'NO'}
debug_ssl=YES
xferlog_enable=YES
xferlog_std_format=NO
log_ftp_protocol=YES
vsftpd_log_file=${scratch}/${COMMAND_LOG}
`;
}

/** For proftpd.conf, at its top. */
export function proftpdTlsModule(): string {
  return 'LoadModule mod_tls.c\nLogFormat commands "command %a \\"%r\\""\n';
}

/** For all its servers. */
export function proftpdTls(tls: ServerTls, scratch: string): string {
  return `ExtendedLog ${scratch}/${COMMAND_LOG} ALL commands
TLSLog ${scratch}/tls.log
TLSVerifyClient off
TLSRequired off
TLSRenegotiate none
${tls.demandsReuse ? '' : 'TLSOptions NoSessionReuseRequired\n'}`;
}
