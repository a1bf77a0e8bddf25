// vsftpd with TLS for anonymous users, in a namespace of the test's own. Pure.
import type { KeyPair } from '../../nanny/certificates.ts';

interface VsftpdTls {
  readonly address: string;
  /** What PASV announces. */
  readonly vip: string;
  readonly root: string;
  readonly scratch: string;
  readonly pair: KeyPair;
  /** Further lines, such as what is forced. */
  readonly more: readonly string[];
}

export function vsftpdTls({ address, vip, root, scratch, pair, more }: VsftpdTls): string {
  return `listen=YES
listen_ipv6=NO
listen_address=${address}
background=NO
anonymous_enable=YES
local_enable=NO
ftp_username=ftp
anon_root=${root}
pasv_address=${vip}
pasv_min_port=10000
pasv_max_port=20000
secure_chroot_dir=${scratch}
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
xferlog_enable=NO
ssl_enable=YES
allow_anon_ssl=YES
ssl_ciphers=HIGH
rsa_cert_file=${pair.certFile}
rsa_private_key_file=${pair.keyFile}
${more.join('\n')}
`;
}
