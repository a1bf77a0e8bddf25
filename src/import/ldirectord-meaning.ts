// What the directives of an ldirectord.cf mean, in the words of old-config.ts; every line that has
// no such meaning is a note. It knows neither routers nor the owners of addresses: an import of it
// gives services and nothing else. Pure. Source: ldirectord.in of ClusterLabs' resource-agents.
import { SCHEDULERS } from '../config/scheduler.ts';
import { type Address, familyOf, parseAddress } from '../units/address.ts';
import type { Directive } from './directive.ts';
import { readLdirectordCheck, unquoted } from './ldirectord-check.ts';
import { serversOf } from './ldirectord-servers.ts';
import type { Notes } from './note.ts';
import { decimal, maskLength, portOf } from './numbers.ts';
import { atMost, Names, type OldConfig, type OldService } from './old-config.ts';

const GLOBAL_UNNEEDED: Readonly<Record<string, string>> = {
  autoreload: 'after a change: systemctl reload tandem-director tandem-pulse',
  logfile: 'Tandem logs to the journal',
  supervised: 'systemd runs the daemons',
  fork: 'every server is checked beside the others',
  cleanstop: 'a director that stops leaves what is in IPVS',
  readdquiescent: 'Tandem repairs what somebody else changed',
  maintenancedir: 'to take a server out of service: `tandem drain SERVER`, and `tandem enable SERVER`',
};
const LOST: Readonly<Record<string, string>> = {
  callback: 'Tandem runs no program when its config changes',
  execute: 'Tandem starts no other program',
  fallbackcommand: 'Tandem runs no program when all servers are down: watch its events',
  emailalert: 'Tandem sends no mail: alert by its metrics (conf/alerts.yaml) or its events',
  emailalertfrom: 'Tandem sends no mail: alert by its metrics (conf/alerts.yaml) or its events',
  emailalertfreq: 'Tandem sends no mail: alert by its metrics (conf/alerts.yaml) or its events',
  emailalertstatus: 'Tandem sends no mail: alert by its metrics (conf/alerts.yaml) or its events',
  smtp: 'Tandem sends no mail: alert by its metrics (conf/alerts.yaml) or its events',
  monitorfile: 'Tandem has no such check: its own is written instead',
  database: 'Tandem asks no database',
  secret: 'Tandem has no such check',
  load: 'Tandem does not set weights by the load of a server',
  checkcount: 'write check.fall',
  ops: 'one-packet scheduling is for UDP, and Tandem does not set it',
};
/** Settings that a virtual has, or takes from the lines before all virtuals. */
const EVERYWHERE = [
  'checktimeout',
  'negotiatetimeout',
  'checkinterval',
  'failurecount',
  'quiescent',
  'fallback',
  'fallback6',
];
const VIRTUAL_READ = new Set([
  ...EVERYWHERE,
  'real',
  'real6',
  'checktype',
  'service',
  'checkport',
  'request',
  'receive',
  'virtualhost',
  'httpmethod',
  'checkcommand',
  'login',
  'passwd',
  'scheduler',
  'schedflags',
  'persistent',
  'netmask',
  'protocol',
]);
const SERVICES: Readonly<Record<number, string>> = { 21: 'ftp', 25: 'smtp', 53: 'dns', 80: 'http', 443: 'https' };

/** The services that an ldirectord.cf describes. */
export function ldirectordMeaning(top: readonly Directive[], notes: Notes): OldConfig {
  const globals = top.filter(({ children }) => children === undefined);
  for (const at of globals) {
    if (Object.hasOwn(GLOBAL_UNNEEDED, at.keyword)) notes.unneeded(at, GLOBAL_UNNEEDED[at.keyword] as string);
    else if (Object.hasOwn(LOST, at.keyword)) notes.lost(at, LOST[at.keyword] as string);
    else if (VIRTUAL_READ.has(at.keyword) && !EVERYWHERE.includes(at.keyword))
      notes.lost(at, 'ldirectord knows this line in a virtual only: write it into each that it is meant for');
    else if (!EVERYWHERE.includes(at.keyword)) notes.lost(at, 'no such line is known in an ldirectord.cf');
  }
  const names = new Names();
  const blocks = top.filter(({ children }) => children !== undefined);
  const services = atMost(blocks, notes).flatMap(block => readVirtual(block, globals, names, notes));
  const unknown = { name: undefined, priority: undefined };
  return {
    kind: 'ldirectord.cf',
    routers: [unknown, unknown],
    lans: [],
    services,
    tcpTimeoutS: undefined,
    tcpFinTimeoutS: undefined,
    udpTimeoutS: undefined,
    fitness: [],
  };
}

interface Head {
  readonly vip: Address | undefined;
  readonly port: number;
  readonly mark: number | undefined;
}

function headOf(text: string): Head | undefined {
  if (/^\d{1,9}$/.test(text) && Number(text) > 0) return { vip: undefined, port: 0, mark: Number(text) };
  const [, six, four, port] = /^(?:\[([^\]]+)\]|([^:\s]+)):([\w-]+)$/.exec(text) ?? [];
  const vip = parseAddress(six ?? four ?? '');
  const number = portOf(port);
  return vip === undefined || number === undefined ? undefined : { vip, port: number, mark: undefined };
}

function readVirtual(block: Directive, globals: readonly Directive[], names: Names, notes: Notes): OldService[] {
  const text = block.words[0] ?? '';
  const head = headOf(text);
  if (head === undefined) {
    notes.lost(block, 'its head is neither ADDRESS:PORT nor a mark; names of hosts are not looked up', ['services']);
    return [];
  }
  const children = block.children ?? [];
  const last = (word: string) => children.findLast(({ keyword }) => keyword === word);
  const global = (word: string) => globals.findLast(({ keyword }) => keyword === word);
  // A line that is of a virtual only is told as lost before all of them, and is not used.
  const value = (word: string) => (last(word) ?? (EVERYWHERE.includes(word) ? global(word) : undefined))?.words[0];
  const kind = unquoted(value('service') ?? SERVICES[head.port] ?? 'none').toLowerCase();
  const wanted = kind === 'ftp' ? 'ftp' : head.vip === undefined ? `mark-${head.mark}` : `${head.vip}-${head.port}`;
  const name = names.take(wanted, 'service');
  const path = ['services', name];
  for (const at of children) {
    if (VIRTUAL_READ.has(at.keyword)) continue;
    if (Object.hasOwn(LOST, at.keyword)) notes.lost(at, LOST[at.keyword] as string, path);
    else if (Object.hasOwn(GLOBAL_UNNEEDED, at.keyword))
      notes.unneeded(at, GLOBAL_UNNEEDED[at.keyword] as string, path);
    else notes.lost(at, 'no such line is known in a virtual of an ldirectord.cf', path);
  }
  const checktype = unquoted(value('checktype') ?? 'negotiate').toLowerCase();
  if (checktype === 'off') {
    notes.lost(last('checktype'), 'with checktype off the servers were never used: the service is left out', [
      'services',
    ]);
    return [];
  }
  quiescentNote(last('quiescent') ?? global('quiescent'), block, notes, path);
  const protocol = protocolOf(value('protocol'), head);
  const { servers, forwarding } = serversOf(children, head, notes, path);
  const scheduler = schedulerOf(last('scheduler'), notes, path);
  const persistenceS = decimal(unquoted(value('persistent') ?? '')) || undefined;
  return [
    {
      name,
      at: block,
      vip: head.vip,
      ports: [head.port],
      mark: head.mark,
      protocol,
      forwarding,
      scheduler,
      schedulerOptions: optionsOf(last('schedflags'), scheduler, notes, path),
      persistenceS,
      persistencePrefix: prefixOf(last('netmask'), persistenceS, head, notes, path),
      servers,
      sorry: fallbackOf(
        last('fallback') ?? last('fallback6') ?? globals.findLast(({ keyword }) => /^fallback6?$/.test(keyword)),
        head,
        notes,
        path,
      ),
      check: readLdirectordCheck({
        name,
        checktype,
        kind,
        isUdp: protocol === 'udp',
        value,
        last,
        head,
        block,
        notes,
        path: [...path, 'check'],
      }),
    },
  ];
}

function protocolOf(text: string | undefined, { mark, port }: Head): string {
  const word = unquoted(text ?? (port === 53 ? 'udp' : 'tcp')).toLowerCase();
  // Of a mark ldirectord writes fwm, whatever the rules mark.
  return mark === undefined || word === 'udp' ? word : 'tcp';
}

function schedulerOf(at: Directive | undefined, notes: Notes, path: readonly string[]): string {
  const word = unquoted(at?.words[0] ?? 'wrr');
  if ((SCHEDULERS as readonly string[]).includes(word)) return word;
  notes.lost(at, 'IPVS has no such scheduler: wrr is written', path);
  return 'wrr';
}

/** "sh-port,sh-fallback": those of its scheduler. */
function optionsOf(
  at: Directive | undefined,
  scheduler: string,
  notes: Notes,
  path: readonly string[],
): OldService['schedulerOptions'] {
  const flags = unquoted(at?.words[0] ?? '')
    .split(',')
    .filter(flag => flag !== '');
  const options = (['fallback', 'port'] as const).filter(option => flags.includes(`${scheduler}-${option}`));
  if (options.length !== flags.length) notes.lost(at, 'these are no flags of its scheduler that Tandem has', path);
  return options.length === 0 ? undefined : options;
}

/** What the manual says is not what the program does: without the word it is no. */
function quiescentNote(at: Directive | undefined, block: Directive, notes: Notes, path: readonly string[]): void {
  if (unquoted(at?.words[0] ?? 'no').toLowerCase() === 'yes') return;
  notes.changed(
    at ?? block,
    'with quiescent no (which is the default) a failed server was removed, and its connections with it; Tandem gives it no new clients, and keeps those it has while it answers',
    path,
  );
}

function prefixOf(
  at: Directive | undefined,
  persistenceS: number | undefined,
  { vip }: Head,
  notes: Notes,
  path: readonly string[],
): number | undefined {
  if (at === undefined) return undefined;
  const text = unquoted(at.words[0] ?? '');
  const prefix = vip !== undefined && familyOf(vip) === 6 ? decimal(text) : maskLength(text);
  if (!prefix) notes.lost(at, 'this is no mask', path);
  else if (persistenceS === undefined) notes.unneeded(at, 'without persistent it did nothing', path);
  else if (prefix !== 32 && prefix !== 128) return prefix;
  return undefined;
}

function fallbackOf(
  at: Directive | undefined,
  { port }: Head,
  notes: Notes,
  path: readonly string[],
): OldService['sorry'] {
  if (at === undefined) return undefined;
  const [text = '', method] = unquoted(at.words[0] ?? '').split(/\s+/);
  const [, six, four, own] = /^(?:\[([^\]]+)\]|([^:]+))(?::([\w-]+))?$/.exec(text) ?? [];
  const address = parseAddress(six ?? four ?? '');
  if (address === undefined) notes.lost(at, 'the fallback is not an IP address', path);
  else if (/^127\.|^::1$/.test(address))
    notes.lost(at, 'the fallback is the router itself: Tandem wants another machine (sorry_server)', path);
  else {
    notes.changed(
      at,
      `the fallback was reached by ${method ?? 'gate'}; the sorry server is reached as the servers are`,
      path,
    );
    return { address, port: portOf(own) ?? port, at };
  }
  return undefined;
}
