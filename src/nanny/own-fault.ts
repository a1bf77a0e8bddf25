// Which errors of a socket speak of this router, not of the server that is checked. Pure.

/** Error codes of connect(2), socket(2) and send(2); EPERM: a firewall of this router. */
const OWN_FAULTS: ReadonlySet<string> = new Set([
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
  'EADDRNOTAVAIL',
  'EADDRINUSE',
  'EPERM',
]);

/** A sentence, or undefined. */
export function ownFault(code: string): string | undefined {
  return OWN_FAULTS.has(code) ? `this router cannot open a connection (${code})` : undefined;
}
