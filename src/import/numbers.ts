// Numbers, ports and masks as old configs write them. Pure.

/** Ports by their names in /etc/services, those that such files name. */
const PORTS: Readonly<Record<string, number>> = {
  'ftp-data': 20,
  ftp: 21,
  ssh: 22,
  telnet: 23,
  smtp: 25,
  domain: 53,
  http: 80,
  www: 80,
  pop3: 110,
  imap: 143,
  imap2: 143,
  ldap: 389,
  https: 443,
  submission: 587,
  ldaps: 636,
  'ftps-data': 989,
  ftps: 990,
  imaps: 993,
  pop3s: 995,
  mysql: 3306,
  sip: 5060,
  postgresql: 5432,
  'http-alt': 8080,
};

/** A plain decimal number of at most nine digits. */
export function decimal(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** As strtol reads it in base 0: 0x10 is 16, 021 is 17; what follows the number does not count. */
export function baseZero(text: string | undefined): number | undefined {
  const match = /^\s*(?:0[xX]([0-9a-fA-F]{1,8})|0([0-7]{1,11})|(\d{1,10}))/.exec(text ?? '');
  if (match === null) return undefined;
  const [, hexadecimal, octal, plain] = match;
  if (hexadecimal !== undefined) return Number.parseInt(hexadecimal, 16);
  return octal === undefined ? Number(plain) : Number.parseInt(octal, 8);
}

/** Seconds with a fraction, as "3" or "0.5". */
export function fraction(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}(\.\d{1,9})?$/.test(text) ? Number(text) : undefined;
}

/** A port by its number or name, 0 to 65535. */
export function portOf(text: string | undefined, number = decimal): number | undefined {
  const port = PORTS[text?.toLowerCase() ?? ''] ?? number(text);
  return port !== undefined && port <= 65_535 ? port : undefined;
}

/** 24 for 255.255.255.0; undefined for what is no mask. */
export function maskLength(text: string | undefined): number | undefined {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text ?? '')) return undefined;
  const bytes = (text as string).split('.').map(Number);
  if (bytes.some(byte => byte > 255)) return undefined;
  const bits = bytes.map(byte => byte.toString(2).padStart(8, '0')).join('');
  return /^1*0*$/.test(bits) ? bits.lastIndexOf('1') + 1 : undefined;
}
