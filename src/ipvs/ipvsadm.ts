// ipvsadm's text: reads `-Sn`, `-Ln --thresholds`, `-L --timeout` and `-L --daemon`, writes the
// lines of a `-R` batch. Pure. Source: ipvsadm 1.31's ipvsadm.c (print_service_entry, list_daemon,
// list_timeout); the tests hold text from a real kernel.
import { type Address, hostPort, parseAddress } from '../units/address.ts';
import type { KernelDaemon } from './sync-daemon.ts';
import type { Forwarding, IpvsCommand, IpvsServer, IpvsService, IpvsTable, IpvsTimeouts, ServiceKey } from './table.ts';

/** What `-Ln --thresholds` and `-Ln --persistent-conn` together tell of one real server. */
export interface ServerCounts {
  readonly key: ServiceKey;
  readonly address: Address;
  readonly port: number;
  readonly upperThreshold: number;
  readonly lowerThreshold: number;
  readonly activeConnections: number;
  readonly inactiveConnections: number;
  readonly templates: number;
}

/** What `-Ln --persistent-conn` tells of one real server. */
export interface PersistentCounts {
  readonly key: ServiceKey;
  readonly address: Address;
  readonly port: number;
  readonly templates: number;
  readonly activeConnections: number;
  readonly inactiveConnections: number;
}

/** Text that ipvsadm should not have written: another version, or output cut off. */
export class IpvsadmTextError extends Error {
  constructor(what: string, line: string) {
    super(`ipvsadm wrote a ${what} that Tandem cannot read: "${line.slice(0, 200)}" (known: ipvsadm 1.31)`);
    this.name = 'IpvsadmTextError';
  }
}

const FORWARDING = { '-m': 'nat', '-g': 'dr', '-i': 'tun' } as const;
const FORWARDING_OPTION: Readonly<Record<Forwarding, string>> = { nat: '-m', dr: '-g', tun: '-i' };
const PROTOCOL_OPTION = { TCP: '-t', UDP: '-u', SCTP: '--sctp-service' } as const;

type MutableService = Omit<IpvsService, 'servers'> & { readonly servers: IpvsServer[] };

/**
 * The table from `ipvsadm -Sn`, with the counts that `-Sn` leaves out. Undefined when the two do
 * not speak of the same servers: something changed in between, read again.
 */
export function parseTable(rules: string, counts: readonly ServerCounts[]): IpvsTable | undefined {
  const services = new Map<ServiceKey, MutableService>();
  const known = new Map(counts.map(count => [serverId(count.key, count.address, count.port), count]));
  let servers = 0;
  for (const line of rules.split('\n')) {
    if (line.trim() === '') continue;
    const words = line.trim().split(/\s+/);
    const { key, rest } = readKey(words.slice(1), line);
    if (words[0] === '-A') services.set(key, readService(key, rest, line));
    else if (words[0] === '-a') {
      const server = readServer(rest, line);
      const count = known.get(serverId(key, server.address, server.port));
      if (!count) return undefined;
      const { key: _key, address: _address, port: _port, ...counts } = count;
      services.get(key)?.servers.push({ ...server, ...counts });
      servers += 1;
    } else throw new IpvsadmTextError('rule', line);
  }
  return servers === counts.length ? { services: [...services.values()] } : undefined;
}

function serverId(key: ServiceKey, address: Address, port: number): string {
  return `${key} ${hostPort(address, port)}`;
}

/** "-f 22 -6 …" or "-t 192.0.2.50:80 …" into the service's name and what follows. */
function readKey(words: readonly string[], line: string): { key: ServiceKey; rest: readonly string[] } {
  const [option, value] = words;
  if (option === undefined || value === undefined) throw new IpvsadmTextError('rule', line);
  const six = option === '-f' && words[2] === '-6';
  const name = option === '--tcp-service' ? '-t' : option === '--udp-service' ? '-u' : option;
  const key = (six ? `${name} ${value} -6` : `${name} ${value}`) as ServiceKey;
  return { key, rest: words.slice(six ? 3 : 2) };
}

function readService(key: ServiceKey, words: readonly string[], line: string): MutableService {
  let scheduler = '';
  let persistenceS: number | undefined;
  let mask = '';
  let schedulerFlags = '';
  const extras: string[] = [];
  for (let i = 0; i < words.length; i += 1) {
    const value = words[i + 1] ?? '';
    if (words[i] === '-s') scheduler = words[++i] ?? '';
    else if (words[i] === '-p') persistenceS = readNumber(words[++i] ?? '', line);
    else if (words[i] === '-M') mask = words[++i] ?? '';
    else if (words[i] === '-b') schedulerFlags = (words[++i] ?? '').split(',').sort().join(',');
    else if (value === '' || value.startsWith('-')) extras.push(words[i] as string);
    else extras.push(`${words[i++]} ${value}`);
  }
  if (scheduler === '') throw new IpvsadmTextError('service', line);
  return { key, scheduler, persistenceS, mask, schedulerFlags, extras: extras.join(' '), servers: [] };
}

function readServer(
  words: readonly string[],
  line: string,
): Pick<IpvsServer, 'address' | 'port' | 'forwarding' | 'weight'> {
  let forwarding: Forwarding | undefined;
  let weight: number | undefined;
  let target: { address: Address; port: number } | undefined;
  for (let i = 0; i < words.length; i += 1) {
    const word = words[i] as string;
    if (word === '-r') target = readEndpoint(words[++i] ?? '', line);
    else if (word === '-w') weight = readNumber(words[++i] ?? '', line);
    else if (word in FORWARDING) forwarding = FORWARDING[word as keyof typeof FORWARDING];
    // Options of tunnels (--tun-type gue --tun-port 6080 …): only foreign services have them.
    else if (word.startsWith('--') && words[i + 1] !== undefined && !words[i + 1]?.startsWith('-')) i += 1;
  }
  if (!target || !forwarding || weight === undefined) throw new IpvsadmTextError('real server', line);
  return { ...target, forwarding, weight };
}

/** "198.51.100.11:0" or "[2001:db8::11]:0". */
function readEndpoint(text: string, line: string): { address: Address; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const address = match && parseAddress((match[1] ?? match[2]) as string);
  if (!match || !address) throw new IpvsadmTextError('address', line);
  return { address, port: Number(match[3]) };
}

function readNumber(text: string, line: string): number {
  if (!/^-?\d{1,10}$/.test(text)) throw new IpvsadmTextError('number', line);
  return Number(text);
}

/**
 * The counts of every real server, from both lists; a server that only the first one knows has just
 * come: no template yet.
 */
export function parseCounts(thresholds: string, persistent: string): readonly ServerCounts[] {
  const known = new Map(
    parsePersistentCounts(persistent).map(({ key, address, port, templates }) => [
      serverId(key, address, port),
      templates,
    ]),
  );
  return parseThresholds(thresholds).map(counts => ({
    ...counts,
    templates: known.get(serverId(counts.key, counts.address, counts.port)) ?? 0,
  }));
}

/** Reads `ipvsadm -Ln --thresholds`: connections and thresholds of every real server. */
export function parseThresholds(text: string): readonly Omit<ServerCounts, 'templates'>[] {
  return listedServers(text).map(({ key, words, line }) => {
    const [upperThreshold, lowerThreshold, activeConnections, inactiveConnections] = words
      .slice(2, 6)
      .map(word => readNumber(word, line)) as [number, number, number, number];
    const target = readEndpoint(words[1] ?? '', line);
    return { key, ...target, upperThreshold, lowerThreshold, activeConnections, inactiveConnections };
  });
}

/** Reads `ipvsadm -Ln --persistent-conn`: templates and connections of every real server. */
export function parsePersistentCounts(text: string): readonly PersistentCounts[] {
  return listedServers(text).map(({ key, words, line }) => {
    const [, templates, activeConnections, inactiveConnections] = words
      .slice(2, 6)
      .map(word => readNumber(word, line)) as [number, number, number, number];
    return { key, ...readEndpoint(words[1] ?? '', line), templates, activeConnections, inactiveConnections };
  });
}

interface ListedServer {
  readonly key: ServiceKey;
  /** "->", the address, and four numbers. */
  readonly words: readonly string[];
  readonly line: string;
}

/** The lines of real servers in a list with four columns of numbers, each with its service. */
function listedServers(text: string): readonly ListedServer[] {
  const servers: ListedServer[] = [];
  let key: ServiceKey | undefined;
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/);
    if (words[0] === '' || /^(IP Virtual|Prot |\s*-> RemoteAddress)/.test(line)) continue;
    if (words[0] === '->') {
      if (!key || words.length < 6) throw new IpvsadmTextError('list', line);
      servers.push({ key, words, line });
    } else key = listedKey(words, line);
  }
  return servers;
}

function listedKey(words: readonly string[], line: string): ServiceKey {
  const [protocol, name] = words;
  if (name === undefined) throw new IpvsadmTextError('list', line);
  if (protocol === 'FWM') return (words[2] === 'IPv6' ? `-f ${name} -6` : `-f ${name}`) as ServiceKey;
  const option = PROTOCOL_OPTION[protocol as keyof typeof PROTOCOL_OPTION];
  if (option === undefined) throw new IpvsadmTextError('list', line);
  return `${option} ${name}` as ServiceKey;
}

/** Reads `ipvsadm -L --timeout`. */
export function parseTimeouts(text: string): IpvsTimeouts {
  const match = /^Timeout \(tcp tcpfin udp\): (\d+) (\d+) (\d+)$/m.exec(text);
  if (!match) throw new IpvsadmTextError('time-out line', text.trim());
  return { tcpS: Number(match[1]), tcpFinS: Number(match[2]), udpS: Number(match[3]) };
}

const DAEMON_LINE =
  /^(master|backup) sync daemon \(mcast=([^,]+), syncid=(\d+)(?:, maxlen=(\d+), group=([^,]+), port=(\d+), ttl=\d+)?\)/;

/**
 * Reads `ipvsadm -L --daemon`; nothing runs: nothing is written. Kernels before 4.3 tell interface
 * and sync id only.
 */
export function parseDaemons(text: string): readonly KernelDaemon[] {
  const lines = text.split('\n').filter(line => line.trim() !== '');
  return lines.map(line => {
    const match = DAEMON_LINE.exec(line);
    if (!match) throw new IpvsadmTextError('sync daemon line', line);
    return {
      state: match[1] as 'master' | 'backup',
      interface: match[2] as string,
      syncId: Number(match[3]),
      lengthMax: Number(match[4] ?? 1472),
      group: match[5] ?? '224.0.0.81',
      port: Number(match[6] ?? 8848),
    };
  });
}

/** One line of an `ipvsadm -R` batch. */
export function formatCommand(command: IpvsCommand): string {
  switch (command.type) {
    case 'add-service':
    case 'edit-service': {
      const { key, scheduler, persistenceS, mask, schedulerFlags } = command.service;
      const flags = `${mask === '' ? '' : ` -M ${mask}`}${schedulerFlags === '' ? '' : ` -b ${schedulerFlags}`}`;
      const persistence = persistenceS === undefined ? '' : ` -p ${persistenceS}`;
      return `${command.type === 'add-service' ? '-A' : '-E'} ${key} -s ${scheduler}${persistence}${flags}`;
    }
    case 'delete-service':
      return `-D ${command.key}`;
    case 'add-server':
    case 'edit-server':
    case 'drain-server': {
      const { key, address, port, forwarding, weight, upperThreshold, lowerThreshold } = command.server;
      const option = command.type === 'add-server' ? '-a' : '-e';
      const target = `-r ${hostPort(address, port)} ${FORWARDING_OPTION[forwarding]}`;
      // What is not written is 0.
      const lower = lowerThreshold === 0 ? '' : ` -y ${lowerThreshold}`;
      return `${option} ${key} ${target} -w ${weight} -x ${upperThreshold}${lower}`;
    }
    case 'delete-server':
      return `-d ${command.key} -r ${hostPort(command.address, command.port)}`;
    case 'set-timeouts':
      // 0 leaves one as it is.
      return `--set ${command.timeouts.tcpS} ${command.timeouts.tcpFinS} ${command.timeouts.udpS}`;
  }
}

/** The text for `ipvsadm -R`: one line a command. */
export function formatBatch(commands: readonly IpvsCommand[]): string {
  return commands.map(command => `${formatCommand(command)}\n`).join('');
}
