// What a check demands of a server's TLS (RFC 4217) and of its certificate. Pure; io/tls-client.ts
// has OpenSSL's view of it.
import type { TlsPlan } from './check-plan.ts';
import { quoted, type Reply } from './reply.ts';
import type { Certificate } from './verdict.ts';

/** A certificate as OpenSSL sees it. */
export interface PresentedCertificate extends Certificate {
  /** Why its chain is not trusted: OpenSSL's code, such as CERT_HAS_EXPIRED; undefined: it is. */
  readonly chainFault: string | undefined;
  /** Why it does not stand for the name that is wanted; undefined: it does, or none is wanted. */
  readonly nameFault: string | undefined;
}

/** What is wrong with it, a sentence with its remedy; undefined: clients take it. */
export function certificateProblem(plan: TlsPlan, found: PresentedCertificate): string | undefined {
  if (plan.verify === 'none') return undefined;
  if (found.chainFault !== undefined) return chainProblem(found, found.chainFault);
  if (found.nameFault === undefined) return undefined;
  const remedy = 'give the server one for that name, or correct check.tls_name';
  return `its certificate is not for "${plan.name}" (${quoted(found.nameFault)}); ${remedy}`;
}

function chainProblem({ daysLeft, validUntil }: PresentedCertificate, fault: string): string {
  switch (fault) {
    case 'CERT_HAS_EXPIRED':
      return daysLeft < 0
        ? `its certificate has expired (${validUntil}); renew it`
        : 'a certificate between its own and the authority has expired; renew that one';
    case 'CERT_NOT_YET_VALID':
      return 'its certificate is not valid yet; set the clock right, there or here';
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return `no authority known here has signed its certificate (${fault}); name the authority's file in check.tls_ca_file, or write check.tls_verify: none`;
  }
  return `its certificate is not trusted (${quoted(fault)}); look at it with \`openssl s_client\``;
}

/** What is wrong with a server that does not take AUTH TLS. */
export function authProblem({ code }: Reply): string {
  const setting = 'ssl_enable=YES (vsftpd), TLSEngine on (proftpd) or --tls=1 (pure-ftpd)';
  return `AUTH TLS is answered with ${code}, not 234: the server has no TLS; set ${setting}, or write check.tls: none`;
}

/** What OpenSSL says when the other side speaks, but no TLS. */
const NO_TLS: ReadonlySet<string> = new Set(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG']);

/**
 * What OpenSSL says when the other side has answered with an alert (RFC 8446 section 6), or in a
 * version of TLS that is too old: it speaks TLS, so it lives. From OpenSSL 3.2 on SSLV3_ALERT_ is
 * called SSL/TLS_ALERT_.
 */
const TLS_ANSWER = /^ERR_SSL_(?:SSLV3_ALERT_|SSL\/TLS_ALERT_|TLSV1_|TLSV13_ALERT_|UNSUPPORTED_PROTOCOL$)/;

export function isTlsAnswer(error: string | undefined): boolean {
  return error !== undefined && TLS_ANSWER.test(error);
}

/**
 * Why TLS did not begin; `error` is OpenSSL's or the socket's code. `ifPlain`: what to do where the
 * server speaks, but no TLS.
 */
export function handshakeProblem({ mode }: TlsPlan, error: string | undefined, ifPlain: string): string {
  const problem = `the TLS handshake fails (${quoted(error ?? 'the server closed the connection')})`;
  const isPlain = mode === 'implicit' && error !== undefined && NO_TLS.has(error);
  return isPlain ? `${problem}; ${ifPlain}` : problem;
}

/**
 * A server that lets nobody in without TLS says so in words only; for the operator of a check
 * without it.
 */
export function tlsHint(tls: TlsPlan | undefined, { lines }: Reply): string {
  if (tls !== undefined || !lines.some(line => /\b(TLS|SSL|encrypt\w*|secure)\b/i.test(line))) return '';
  return '; it wants TLS: write check.tls: explicit';
}
