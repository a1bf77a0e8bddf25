// What the program that an old config was written for puts into IPVS, beside what Tandem puts there
// for the import of it: compared by what clients get, not by the words. Tandem's services are marks,
// and its config says which addresses and ports a mark stands for. Each difference must be told by a
// note of the import: at the line that says it, or at the field that differs. Pure.
import type { PortRange } from '../../src/config/fields.ts';
import type { Config, ServiceConfig } from '../../src/config/schema.ts';
import { openedPorts, rangeText, transportOf } from '../../src/config/service-ports.ts';
import type { Directive } from '../../src/import/directive.ts';
import type { Note } from '../../src/import/note.ts';
import type { IpvsServer, IpvsService, IpvsTable, ServiceKey } from '../../src/ipvs/table.ts';
import { familyOf, parseAddress } from '../../src/units/address.ts';

/** What differs, and where a note about it may stand. */
export interface Difference {
  /** A sentence: the service, and both sides. */
  readonly what: string;
  /** Lines of the old file that say what the old program does; none where a default does. */
  readonly lines: readonly number[];
  /** Fields of the new config, of the service `name`. */
  readonly name: string;
  readonly fields: readonly string[];
  /** The service as a whole is missing: only a note that says so tells it. */
  readonly isLost?: true;
}

export interface Comparison {
  /** The old file as the import reads it, for the places in it. */
  readonly tree: readonly Directive[];
  /** What the old program has put into IPVS. */
  readonly theirs: IpvsTable;
  /** What Tandem has put there for `config`. */
  readonly ours: IpvsTable;
  readonly config: Config;
}

interface Told {
  readonly difference: Difference;
  readonly note: Note;
}

/** The differences, each with the note that tells it, or without one. */
export function judged(differences: readonly Difference[], notes: readonly Note[]) {
  const told: Told[] = [];
  const untold: Difference[] = [];
  for (const difference of differences) {
    const note = notes.find(one => tells(one, difference));
    if (note === undefined) untold.push(difference);
    else told.push({ difference, note });
  }
  return { told, untold };
}

function tells({ effect, place, path }: Note, { lines, name, fields, isLost }: Difference): boolean {
  if (isLost && (effect !== 'lost' || path.length !== 1 || path[0] !== 'services')) return false;
  if (place !== undefined && lines.includes(place.line)) return true;
  const [part, service, field] = path;
  return part === 'services' && service === name && field !== undefined && fields.includes(field);
}

export function differences({ tree, theirs, ours, config }: Comparison): Difference[] {
  const found: Difference[] = [];
  const met = new Set<string>();
  for (const service of theirs.services) {
    const front = frontOf(service.key);
    const block = blockOf(tree, front);
    const [name, wanted] = Object.entries(config.services).find(([, one]) => serves(one, front)) ?? [];
    const own = wanted && ours.services.find(({ key }) => frontOf(key).mark === wanted.mark);
    if (name === undefined || wanted === undefined || own === undefined) {
      const what = `Tandem has no service for ${service.key}`;
      found.push({ what, lines: headLines(block), name: '', fields: [], isLost: true });
      continue;
    }
    met.add(own.key);
    found.push(...compareServices({ name, wanted, block, front, theirs: service, ours: own }));
  }
  for (const { key } of ours.services.filter(service => !met.has(service.key)))
    found.push({ what: `only Tandem has the service ${key}`, lines: [], name: '', fields: [] });
  return found;
}

/** What clients come to: an address with a port (0: all), or a mark. */
interface Front {
  readonly protocol: string;
  readonly address: string | undefined;
  readonly port: number;
  readonly mark: number | undefined;
}

function frontOf(key: ServiceKey): Front {
  const [option = '', text = ''] = key.split(' ');
  const protocol = option === '-u' ? 'udp' : 'tcp';
  if (option === '-f') return { protocol, address: undefined, port: 0, mark: Number(text) };
  const [, six, four, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text) ?? [];
  return { protocol, address: parseAddress(six ?? four ?? ''), port: Number(port), mark: undefined };
}

function serves(service: ServiceConfig, { protocol, address, port, mark }: Front): boolean {
  if (mark !== undefined) return service.mark === mark;
  if (service.vip !== address || transportOf(service) !== protocol) return false;
  return port === 0 || openedPorts(service).some(({ first, last }) => port >= first && port <= last);
}

interface Pair {
  readonly name: string;
  readonly wanted: ServiceConfig;
  readonly block: Directive | undefined;
  readonly front: Front;
  readonly theirs: IpvsService;
  readonly ours: IpvsService;
}

function compareServices(pair: Pair): Difference[] {
  const { name, wanted, block, front, theirs, ours } = pair;
  const found: Difference[] = [];
  const compare = (what: string, was: string, is: string, words: readonly string[], fields: readonly string[]) => {
    if (was === is) return;
    const lines = linesOf(block, words);
    found.push({ what: `${theirs.key}: ${what} was ${was}, and is ${is}`, lines, name, fields });
  };
  const text = (value: number | string | undefined) => (value === undefined || value === '' ? 'none' : `${value}`);
  if (front.mark === undefined)
    compare('ports', rangesText(portsOf(front)), rangesText(openedPorts(wanted)), [], ['ports', 'passive_ports']);
  compare('scheduler', theirs.scheduler, ours.scheduler, ['lb_algo', 'lvs_sched', 'scheduler'], ['scheduler']);
  compare(
    'flags of the scheduler',
    text(theirs.schedulerFlags),
    text(ours.schedulerFlags),
    ['sh-port', 'sh-fallback', 'mh-port', 'mh-fallback', 'schedflags'],
    ['scheduler', 'scheduler_options'],
  );
  compare(
    'persistence',
    text(theirs.persistenceS),
    text(ours.persistenceS),
    ['persistence_timeout', 'persistent'],
    ['persistence'],
  );
  compare(
    'mask of the persistence',
    text(theirs.mask),
    text(ours.mask),
    ['persistence_granularity', 'netmask'],
    ['persistence_prefix'],
  );
  compare('other options', text(theirs.extras), text(ours.extras), ['ops', 'persistence_engine'], []);
  return [...found, ...compareServers(pair)];
}

function compareServers({ name, wanted, block, front, theirs, ours }: Pair): Difference[] {
  const found: Difference[] = [];
  const left = new Set(ours.servers.filter(server => !waits(server, wanted)));
  const add = (what: string, lines: readonly number[]) =>
    found.push({ what: `${theirs.key}: ${what}`, lines, name, fields: [] });
  for (const was of theirs.servers) {
    const { address } = was;
    const lines = (...words: string[]) => serverLines(block, address, was.port, words);
    const same = [...left].filter(server => server.address === address);
    const is = same.find(({ port }) => portBehind(port, front) === portBehind(was.port, front)) ?? same[0];
    if (is === undefined) {
      add(`the server ${address}:${was.port} is missing`, lines('weight'));
      continue;
    }
    left.delete(is);
    if (portBehind(was.port, front) !== portBehind(is.port, front))
      add(`the port of ${address} was ${was.port}, and is ${is.port}`, lines());
    if (was.weight !== is.weight)
      add(`the weight of ${address} was ${was.weight}, and is ${is.weight}`, lines('weight'));
    if (was.forwarding !== is.forwarding)
      add(`${address} was reached by ${was.forwarding}, and is by ${is.forwarding}`, [
        ...lines('lb_kind', 'lvs_method'),
        ...linesOf(block, ['lb_kind', 'lvs_method']),
      ]);
    for (const field of ['upperThreshold', 'lowerThreshold'] as const)
      if (was[field] !== is[field])
        add(
          `the ${field} of ${address} was ${was[field]}, and is ${is[field]}`,
          lines(field === 'upperThreshold' ? 'uthreshold' : 'lthreshold'),
        );
  }
  for (const { address, port } of left)
    add(`only Tandem has the server ${address}`, serverLines(block, address, port, []));
  return found;
}

/** The sorry server, which Tandem has in the table from the start, without a weight. */
function waits({ address, weight }: IpvsServer, { sorry_server: sorry }: ServiceConfig): boolean {
  return weight === 0 && sorry?.address === address;
}

/** The port that a connection to the front's port comes to; 0: its own. */
function portBehind(port: number, front: Front): number {
  return port === front.port ? 0 : port;
}

function portsOf({ port }: Front): readonly PortRange[] {
  return [port === 0 ? { first: 1, last: 65_535 } : { first: port, last: port }];
}

function rangesText(ranges: readonly PortRange[]): string {
  return ranges.map(rangeText).join(', ');
}

/** The block of the old file that makes this service; the last one, as it is the one that counts. */
function blockOf(tree: readonly Directive[], front: Front): Directive | undefined {
  return tree.findLast(block => {
    if (block.children === undefined) return false;
    if (block.keyword === 'virtual_server') {
      const [first = '', second = '0'] = block.words;
      return first === 'fwmark'
        ? Number(second) === front.mark
        : parseAddress(first) === front.address && Number(second) === front.port;
    }
    const text = block.words[0] ?? '';
    if (!/^virtual6?$/.test(block.keyword)) return false;
    if (front.mark !== undefined) return Number(text) === front.mark;
    const [, six, four, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\w+)$/.exec(text) ?? [];
    const isPort = Number(port) === front.port || !/^\d+$/.test(port ?? '');
    return parseAddress(six ?? four ?? '') === front.address && isPort;
  });
}

function headLines(block: Directive | undefined): number[] {
  return block === undefined ? [] : [block.place.line];
}

/** Where the block says these words itself. */
function linesOf(block: Directive | undefined, words: readonly string[]): number[] {
  return (block?.children ?? []).filter(({ keyword }) => words.includes(keyword)).map(({ place }) => place.line);
}

/** Where a server is written: its head, and what of it is in these words. */
function serverLines(block: Directive | undefined, address: string, port: number, words: readonly string[]): number[] {
  const family = familyOf(address as IpvsServer['address']);
  const isServer = ({ keyword, words: [first = '', second] }: Directive): boolean => {
    if (keyword === 'real_server')
      return parseAddress(first) === address && (port === 0 || second === undefined || Number(second) === port);
    // "198.51.100.11:80 masq 2" of ldirectord, or a range of addresses.
    const text = first.trim().split(/\s+/)[0] ?? '';
    return (
      /^real6?$/.test(keyword) && (text.includes('->') || text.startsWith(family === 6 ? `[${address}]` : address))
    );
  };
  return (block?.children ?? []).filter(isServer).flatMap(server => [server.place.line, ...linesOf(server, words)]);
}
