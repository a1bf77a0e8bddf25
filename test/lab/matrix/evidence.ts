// What a cell leaves behind: connections, out of a capture at the client, and commands, out of the
// server's log. Pure. Times are wall times of the lab in ms.
import type { Daemon } from '../../../src/real-server/ftp-daemons.ts';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** A TCP connection as its opener's SYN shows it. */
export interface Connection {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly openedAt: number;
  /** Of the first FIN; null when there was none. */
  readonly finishedAt: number | null;
  readonly reset: boolean;
}

const PACKET = /^(\d+\.\d+) IP6? (\S+)\.(\d+) > (\S+)\.(\d+): Flags \[([A-Z.]+)\]/;

/** The connections in what `tcpdump -tt -nn` wrote of SYN, FIN and RST, in the order of their SYNs. */
export function connectionsOf(capture: string): Connection[] {
  const found: { -readonly [Key in keyof Connection]: Connection[Key] }[] = [];
  const open = new Map<string, (typeof found)[number]>();
  for (const line of capture.split('\n')) {
    const [, second, source, sourcePort, target, targetPort, flags = ''] = PACKET.exec(line) ?? [];
    if (second === undefined || source === undefined || target === undefined) continue;
    const at = Number(second) * 1000;
    const from = { address: source, port: Number(sourcePort) };
    const to = { address: target, port: Number(targetPort) };
    const key = [from, to].map(({ address, port }) => `${address} ${port}`);
    const known = open.get(key.join(' ')) ?? open.get(key.reverse().join(' '));
    if (flags === 'S') {
      // A SYN that is sent again opens nothing new.
      if (known && known.finishedAt === null && !known.reset) continue;
      const one = { from, to, openedAt: at, finishedAt: null, reset: false };
      open.set(key.reverse().join(' '), one);
      found.push(one);
    } else if (known && flags.includes('F')) known.finishedAt ??= at;
    else if (known && flags.includes('R')) known.reset = true;
  }
  return found;
}

/** What a server's log says of one client address. */
export interface Dialogue {
  /** As the client sent them, passwords not: `AUTH TLS`, `RETR big`. */
  readonly commands: readonly string[];
  /** TLS handshakes as the server tells them; undefined where its log has none. */
  readonly handshakes?: readonly { readonly words: string; readonly resumed: boolean }[];
}

const COMMAND: Readonly<Record<Daemon, RegExp>> = {
  vsftpd: /FTP command: Client "(?<client>[^"]+)", "(?<command>[^"]*)"/,
  proftpd: /^command (?<client>\S+) "(?<command>.*)"$/,
  'pure-ftpd': /\(\S*?@(?<client>[^)]+)\) \[DEBUG\] Command \[(?<command>[^\]]*)\] \[(?<argument>[^\]]*)\]/,
};
const HANDSHAKE = /DEBUG: Client "(?<client>[^"]+)", "SSL version: (?<words>[^"]*)"/;

/** By client address. */
export function dialoguesOf(server: Daemon, log: string): Map<string, Dialogue> {
  const found = new Map<string, { commands: string[]; handshakes?: { words: string; resumed: boolean }[] }>();
  const of = (client = '') => {
    const address = client.replace(/^::ffff:/, '');
    const known = found.get(address) ?? { commands: [], ...(server === 'vsftpd' && { handshakes: [] }) };
    found.set(address, known);
    return known;
  };
  for (const line of log.split('\n')) {
    const { client, command = '', argument = '' } = COMMAND[server].exec(line)?.groups ?? {};
    if (client !== undefined) of(client).commands.push(tidyCommand(`${command} ${argument}`));
    const shaken = server === 'vsftpd' ? HANDSHAKE.exec(line)?.groups : undefined;
    const words = shaken?.words ?? '';
    if (shaken) of(shaken.client).handshakes?.push({ words, resumed: words.includes(', reused') });
  }
  return found;
}

function tidyCommand(text: string): string {
  const [verb = '', ...rest] = text.trim().split(/\s+/);
  const upper = verb.toUpperCase();
  return upper === 'PASS' ? upper : [upper, ...rest].join(' ');
}

/** Everything that is known of one cell after its failover. */
export interface Evidence {
  /** The client's own address, which no other cell has. */
  readonly from: string;
  readonly vip: string;
  /** The client's words when it failed. */
  readonly error?: string;
  /** The name of the server that it got before the failover; empty: nothing. */
  readonly whoami: string;
  /** Whether the file that counts is whole, by SHA-256. */
  readonly whole: boolean;
  readonly bytesBeforeCut: number;
  readonly bytesAtTakeover: number;
  readonly bytes: number;
  readonly cutAt: number;
  /** When the other router held the VIP. */
  readonly takenAt: number;
  readonly connections: readonly Connection[];
  readonly dialogue: Dialogue;
}
