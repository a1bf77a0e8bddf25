// The cells of the FTP matrix: what is tried, by which client and server, and how cells are put
// into groups that share a topology and a failover. Pure.
import type { Daemon } from '../../../src/real-server/ftp-daemons.ts';

export const FORWARDINGS = ['nat', 'dr', 'tun'] as const;
export type Forwarding = (typeof FORWARDINGS)[number];
export const VERBS = ['PASV', 'EPSV', 'PORT', 'EPRT'] as const;
export type Verb = (typeof VERBS)[number];
export const FAMILIES = ['IPv4', 'IPv6'] as const;
export type Family = (typeof FAMILIES)[number];
export const SECURITIES = ['plain', 'explicit', 'implicit'] as const;
export type Security = (typeof SECURITIES)[number];
export const STATES = ['idle', 'in-flight'] as const;
export type State = (typeof STATES)[number];
export const CLIENTS = ['curl', 'lftp', 'ftplib'] as const;
export type Client = (typeof CLIENTS)[number];
export const SERVERS: readonly Daemon[] = ['vsftpd', 'proftpd', 'pure-ftpd'];

/** What one machine, one topology and one failover show. */
export interface Group {
  readonly forwarding: Forwarding;
  readonly client: Client;
  readonly server: Daemon;
  /** The server refuses data over TLS that does not resume the control connection's session. */
  readonly demandsReuse: boolean;
  /** Clients come from outside and know a public address only (1:1 NAT), which PASV names. */
  readonly announce: boolean;
}

export interface Cell extends Group {
  readonly verb: Verb;
  readonly family: Family;
  readonly security: Security;
  readonly state: State;
}

/** FTP has no PASV and no PORT over IPv6 (RFC 2428). */
export function isFtp({ verb, family }: Pick<Cell, 'verb' | 'family'>): boolean {
  return family === 'IPv4' || verb === 'EPSV' || verb === 'EPRT';
}

export function isPassive(verb: Verb): boolean {
  return verb === 'PASV' || verb === 'EPSV';
}

/** The control port of the service that the cell's clients open. */
export function controlPortOf({ security }: Pick<Cell, 'security'>): number {
  return security === 'implicit' ? 990 : 21;
}

/** Where active mode's data come from. */
export function dataPortOf({ security }: Pick<Cell, 'security'>): number {
  return security === 'implicit' ? 989 : 20;
}

export function groupName({ forwarding, client, server, demandsReuse, announce }: Group): string {
  const marks = [...(demandsReuse ? ['reuse'] : []), ...(announce ? ['announce'] : [])];
  return [forwarding, client, server, ...marks].join('-');
}

export function cellName({ verb, family, security, state }: Cell): string {
  return `${verb} ${family} ${security} ${state}`;
}

/** All groups, the ones that come first first: curl with vsftpd, then every pair of client and server. */
export function allGroups(): Group[] {
  const groups = FORWARDINGS.flatMap(forwarding =>
    CLIENTS.flatMap(client =>
      SERVERS.flatMap(server =>
        // pure-ftpd has no such setting.
        (server === 'pure-ftpd' ? [false] : [false, true]).map(demandsReuse => ({
          forwarding,
          client,
          server,
          demandsReuse,
          announce: false,
        })),
      ),
    ),
  );
  for (const forwarding of FORWARDINGS)
    groups.push({ forwarding, client: 'curl', server: 'vsftpd', demandsReuse: false, announce: true });
  const first = (group: Group): number => (group.client === 'curl' && group.server === 'vsftpd' ? 0 : 1);
  return groups.sort(
    (a, b) =>
      FORWARDINGS.indexOf(a.forwarding) - FORWARDINGS.indexOf(b.forwarding) ||
      first(a) - first(b) ||
      Number(a.announce) - Number(b.announce) ||
      Number(a.demandsReuse) - Number(b.demandsReuse),
  );
}

/** A demand for a resumed TLS session says nothing about plain FTP; IPv6 has no such NAT. */
export function cellsOf(group: Group): Cell[] {
  const families = FAMILIES.filter(family => !group.announce || family === 'IPv4');
  const securities = SECURITIES.filter(security => !group.demandsReuse || security !== 'plain');
  return securities
    .flatMap(security =>
      families.flatMap(family =>
        VERBS.flatMap(verb => STATES.map(state => ({ ...group, security, family, verb, state }))),
      ),
    )
    .filter(isFtp);
}

/** What a client or server cannot do by itself, whatever forwards it. */
export interface Limit {
  readonly of: Client | Daemon;
  readonly reason: string;
  readonly applies: (cell: Cell) => boolean;
}

/** Each is tried all the same: a cell with a limit that survives says that the limit is gone. */
export const LIMITS: readonly Limit[] = [
  {
    of: 'ftplib',
    reason: 'knows no TLS from the start',
    applies: ({ client, security }) => client === 'ftplib' && security === 'implicit',
  },
  {
    of: 'ftplib',
    reason: 'resumes no TLS session for data',
    applies: ({ client, demandsReuse }) => client === 'ftplib' && demandsReuse,
  },
  {
    of: 'ftplib',
    reason: 'sends EPSV and EPRT only over IPv6',
    applies: ({ client, family, verb }) =>
      client === 'ftplib' && family === 'IPv4' && (verb === 'EPSV' || verb === 'EPRT'),
  },
  {
    of: 'lftp',
    reason: 'sends EPRT only over IPv6',
    applies: ({ client, family, verb }) => client === 'lftp' && family === 'IPv4' && verb === 'EPRT',
  },
  {
    of: 'pure-ftpd',
    reason: 'Debian builds it without TLS from the start',
    applies: ({ server, security }) => server === 'pure-ftpd' && security === 'implicit',
  },
];

export function limitOf(cell: Cell): Limit | undefined {
  return LIMITS.find(limit => limit.applies(cell));
}
