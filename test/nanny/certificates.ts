// Certificates for tests, made by openssl in a directory of the test's own.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** A key with its self-signed certificate, as text and as files. */
export interface KeyPair {
  readonly key: string;
  readonly cert: string;
  readonly keyFile: string;
  readonly certFile: string;
}

/** For the names `names` (`DNS:ftp.example`, `IP:192.0.2.1`), from now for `days`. */
export function makeCertificate(folder: string, name: string, names: readonly string[], days: number): KeyPair {
  const [keyFile, certFile] = [path.join(folder, `${name}.key`), path.join(folder, `${name}.crt`)];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=${names.join(',')}`];
  openssl('req', '-x509', ...curve, '-keyout', keyFile, '-out', certFile, '-days', `${days}`, ...subject);
  return filesOf(keyFile, certFile);
}

/** The same key with a certificate that ended yesterday. */
export function expired(folder: string, { keyFile }: KeyPair): KeyPair {
  const [request, certFile] = [path.join(folder, 'old.csr'), path.join(folder, 'old.crt')];
  openssl('req', '-new', '-key', keyFile, '-subj', '/CN=old', '-out', request);
  openssl('x509', '-req', '-in', request, '-signkey', keyFile, '-days', '-1', '-out', certFile);
  return filesOf(keyFile, certFile);
}

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 60_000 });
}

function filesOf(keyFile: string, certFile: string): KeyPair {
  return { keyFile, certFile, key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8') };
}
