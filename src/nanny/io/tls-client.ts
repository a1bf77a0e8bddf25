// TLS of a check, on connections that are there already: Node's own, which is OpenSSL. A data
// connection resumes the control connection's session, which servers may demand (vsftpd's
// require_ssl_reuse, proftpd's default). ../certificate.ts decides what a certificate must be.
// Not pure.
import { X509Certificate } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { readPublic } from '../../config/io/secrets.ts';
import type { PresentedCertificate } from '../certificate.ts';
import type { TlsPlan } from '../check-plan.ts';

const DAY_MS = 86_400_000;

/**
 * Begins TLS on `socket` as the control connection. Any certificate is taken: it is looked at
 * (`presentedCertificate`) before a byte is sent.
 */
export function secureControl(socket: Socket, plan: TlsPlan): TLSSocket {
  return connect({
    ...contextOf(socket, plan),
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
}

/**
 * Begins TLS on `socket` as a data connection, within `session` of the control connection. Where
 * the server does not resume it, the certificate is checked anew.
 */
export function secureData(socket: Socket, plan: TlsPlan, session: Buffer | undefined): TLSSocket {
  return connect({
    ...contextOf(socket, plan),
    ...(session && { session }),
    rejectUnauthorized: plan.verify === 'chain',
    checkServerIdentity: (_host, certificate) =>
      plan.name === undefined ? undefined : checkServerIdentity(plan.name, certificate),
  });
}

function contextOf(socket: Socket, { name, ca }: TlsPlan) {
  // An address is no name to be sent (RFC 6066); it may stand in a certificate all the same.
  const servername = name !== undefined && isIP(name) === 0 ? { servername: name } : {};
  return { socket, ...servername, secureContext: trusting(ca) };
}

/** More than services have authorities at a time. */
const CONTEXTS_MAX = 512;
/** By the authorities' certificates: to read those is most of what a handshake costs us. */
const contexts = new Map<string | undefined, SecureContext>();

function trusting(ca: string | undefined): SecureContext {
  const known = contexts.get(ca);
  if (known) return known;
  if (contexts.size >= CONTEXTS_MAX) contexts.clear();
  const made = createSecureContext(ca === undefined ? {} : { ca });
  contexts.set(ca, made);
  return made;
}

/** The server's certificate, and what OpenSSL says of it. */
export function presentedCertificate(socket: TLSSocket, { name }: TlsPlan): PresentedCertificate {
  const certificate = socket.getPeerCertificate();
  const until = Date.parse(certificate.valid_to ?? '');
  const isKnown = !Number.isNaN(until);
  // Node gives a code here, although its types say an Error.
  const fault = socket.authorizationError as unknown as string | Error | null;
  const nameFault = name === undefined || !isKnown ? undefined : checkServerIdentity(name, certificate);
  return {
    validUntil: isKnown ? new Date(until).toISOString() : '',
    daysLeft: isKnown ? Math.floor(((until - Date.now()) / DAY_MS) * 100) / 100 : 0,
    chainFault: fault ? (typeof fault === 'string' ? fault : fault.message) : undefined,
    nameFault:
      nameFault === undefined ? undefined : ((nameFault as Error & { reason?: string }).reason ?? nameFault.message),
  };
}

/**
 * The certificates of the authorities in `path`. Throws an Error that says what to do when there
 * are none.
 */
export function readAuthorities(path: string): string {
  const text = readPublic(path);
  try {
    new X509Certificate(text);
  } catch (cause) {
    throw new Error(`${path} holds no certificate; name a file in PEM form in check.tls_ca_file`, { cause });
  }
  return text;
}
