// What the directives of an lvs.cf mean, in the words of old-config.ts; every line that has no such
// meaning is a note. Pure. Source: lvsconfig.c, lvsd.c and nanny.c of Piranha 0.8.

import { SCHEDULERS } from '../config/scheduler.ts';
import { type Address, familyOf, parseAddress } from '../units/address.ts';
import type { Directive } from './directive.ts';
import { readLvsCheck } from './lvs-cf-check.ts';
import type { Notes } from './note.ts';
import { baseZero, maskLength, portOf } from './numbers.ts';
import {
  atMost,
  Names,
  type OldAddress,
  type OldConfig,
  type OldLan,
  type OldRouter,
  type OldServer,
  type OldService,
} from './old-config.ts';

/** Lines that are not carried over, and why. */
const GLOBAL_UNNEEDED: Readonly<Record<string, string>> = {
  serial_no: 'the routers compare a digest of the config instead',
  heartbeat: 'heartbeats are always on',
  debug_level: 'Tandem logs events by their severity',
  monitor_links: 'every LAN is watched',
  syncdaemon: 'connections are synced over every heartbeat link (sync.enabled)',
  syncd_iface: 'connections are synced over every heartbeat link',
  syncd_id: 'connections are synced over every heartbeat link, encrypted',
  hard_shutdown: 'the addresses end with their lease, however a daemon ends',
  nmask: 'Piranha did not use it',
  method: 'Piranha did not use it',
  ipvsadm: 'Tandem finds ipvsadm in the path',
  sync: 'copy the config to the other router; `tandem status` says when they differ',
};
const GLOBAL_CHANGED: Readonly<Record<string, string>> = {
  heartbeat_port: 'heartbeats are UDP and sync is TCP on port 694: let both in between the routers',
  keepalive: "Tandem's times are written instead: a heartbeat each 100ms",
  deadtime: "Tandem's times are written instead: takeover after a silence of 300ms",
};
const GLOBAL_LOST: Readonly<Record<string, string>> = {
  active_cmd: 'Tandem runs no command when a router becomes active: watch the event BECAME_ACTIVE',
  inactive_cmd: 'Tandem runs no command when a router stops being active: watch its events',
  rsh_command: 'Tandem does not ask servers for their load',
  primary_shared: 'shared disks are nothing that Tandem does',
  backup_shared: 'shared disks are nothing that Tandem does',
  reservation_conflict_action: 'shared disks are nothing that Tandem does',
};

const VIRTUAL_UNNEEDED: Readonly<Record<string, string>> = {
  expect_program: 'Piranha did not use it',
  client_monitor: 'Piranha did not use it',
  master: 'Piranha did not document it',
  dirs: 'Piranha did not document it',
};
const VIRTUAL_LOST: Readonly<Record<string, string>> = {
  start_cmd: 'Tandem runs no command of a service',
  stop_cmd: 'Tandem runs no command of a service',
};
const FORWARDING = { nat: 'nat', direct: 'dr', tunnel: 'tun' } as const;

/** The last of a name counts; those before it are notes. */
function lastOf(children: readonly Directive[], notes: Notes): Map<string, Directive> {
  const last = new Map<string, Directive>();
  for (const directive of children) {
    if (directive.children !== undefined) continue;
    const before = last.get(directive.keyword);
    if (before !== undefined)
      notes.unneeded(before, `written again on line ${directive.place.line}, and the last one counts`);
    last.set(directive.keyword, directive);
  }
  return last;
}

/** The config that an lvs.cf describes. */
export function lvsCfMeaning(top: readonly Directive[], notes: Notes): OldConfig {
  const globals = lastOf(top, notes);
  const word = (name: string) => globals.get(name)?.words[0];
  tell(globals, notes, [GLOBAL_UNNEEDED, GLOBAL_CHANGED, GLOBAL_LOST], GLOBALS_READ, []);
  pairNotes(globals, notes);
  const method = word('network') ?? 'nat';
  if (!(method in FORWARDING)) notes.lost(globals.get('network'), 'this is no forwarding method: nat is written');
  const forwarding = FORWARDING[method as keyof typeof FORWARDING] ?? 'nat';
  const names = new Names();
  const interfaces = new Interfaces();
  const services: OldService[] = [];
  for (const block of atMost(
    top.filter(directive => directive.children !== undefined),
    notes,
  )) {
    if (block.keyword === 'failover') notes.lost(block, 'failover services are nothing that Tandem does');
    else if (block.keyword === 'server') notes.lost(block, 'a server outside of a virtual served nothing');
    else {
      const service = readVirtual(block, { forwarding, names, interfaces, notes });
      if (service !== undefined) services.push(service);
    }
  }
  return {
    kind: 'lvs.cf',
    routers: [router(word('primary')), router(word('backup'))],
    lans: lansOf(globals, interfaces, notes),
    services: mergeMarks(services, notes),
    tcpTimeoutS: baseZero(word('tcp_timeout')) || undefined,
    tcpFinTimeoutS: baseZero(word('tcpfin_timeout')) || undefined,
    udpTimeoutS: baseZero(word('udp_timeout')) || undefined,
    fitness: [],
  };
}

const GLOBALS_READ = [
  'service',
  'primary',
  'backup',
  'primary_private',
  'backup_private',
  'backup_active',
  'network',
  'nat_router',
  'nat_nmask',
  'tcp_timeout',
  'tcpfin_timeout',
  'udp_timeout',
];

/** Notes about all directives that are in none of `read`. */
function tell(
  directives: ReadonlyMap<string, Directive>,
  notes: Notes,
  [unneeded, changed, lost]: readonly Readonly<Record<string, string>>[],
  read: readonly string[],
  path: readonly string[],
): void {
  for (const [keyword, at] of directives) {
    if (unneeded !== undefined && Object.hasOwn(unneeded, keyword))
      notes.unneeded(at, unneeded[keyword] as string, path);
    else if (changed !== undefined && Object.hasOwn(changed, keyword))
      notes.changed(at, changed[keyword] as string, path);
    else if (lost !== undefined && Object.hasOwn(lost, keyword)) {
      if (baseZero(at.words[0]) === 0) notes.unneeded(at, 'it was off', path);
      else notes.lost(at, lost[keyword] as string, path);
    } else if (!read.includes(keyword)) notes.lost(at, 'no such word is known in an lvs.cf', path);
  }
}

function pairNotes(globals: ReadonlyMap<string, Directive>, notes: Notes): void {
  const at = (name: string) => globals.get(name);
  const service = at('service');
  if (service !== undefined && service.words[0] !== 'lvs')
    notes.lost(service, 'only service = lvs has a counterpart in Tandem');
  const backup = at('backup')?.words[0];
  if (backup === undefined || backup === '0.0.0.0' || baseZero(at('backup_active')?.words[0]) !== 1)
    notes.changed(
      at('backup_active') ?? at('backup'),
      'this was a single router, and Tandem is a pair: write what the second one has',
      ['routers'],
    );
  if (at('primary_private') === undefined && at('backup_private') !== undefined)
    notes.unneeded(at('backup_private'), 'without primary_private Piranha did not use it');
  for (const name of ['primary', 'backup', 'primary_private', 'backup_private']) {
    const text = at(name)?.words[0];
    if (text === undefined || parseAddress(text) !== undefined) continue;
    notes.lost(at(name), 'a name instead of an address is not looked up: write its address', ['lans']);
  }
}

function router(text: string | undefined): OldRouter {
  const isName = text !== undefined && parseAddress(text) === undefined && /^[A-Za-z0-9]/.test(text);
  return { name: isName ? text.split('.')[0] : undefined, priority: undefined };
}

/** Virtual addresses by the interface that their line names. */
class Interfaces {
  readonly vips = new Map<string, OldAddress[]>();

  add(device: string | undefined, vip: OldAddress): void {
    // eth0:1 is a label of eth0.
    const name = device?.split(':')[0] ?? '';
    const list = this.vips.get(name) ?? [];
    if (!list.some(other => other.address === vip.address)) list.push(vip);
    this.vips.set(name, list);
  }
}

function realMask(text: string | undefined): number | undefined {
  const length = maskLength(text);
  return length === undefined || length === 32 || length === 0 ? undefined : length;
}

function ownOf(at: Directive | undefined): OldAddress[] {
  const address = parseAddress(at?.words[0] ?? '');
  return at === undefined || address === undefined || address === '0.0.0.0' ? [] : [{ address, prefix: undefined, at }];
}

function lansOf(globals: ReadonlyMap<string, Directive>, { vips }: Interfaces, notes: Notes): OldLan[] {
  const primaries = ['primary', 'primary_private'].map(name => ownOf(globals.get(name)));
  const hasPrivate = globals.get('primary_private') !== undefined;
  const backups = ['backup', ...(hasPrivate ? ['backup_private'] : [])].map(name => ownOf(globals.get(name)));
  const nat = globals.get('nat_router');
  const gateway = parseAddress(nat?.words[0] ?? '');
  const device = nat?.words[1]?.split(':')[0];
  const lans: OldLan[] = [...vips].map(([name, list], index) => ({
    interface: name === '' ? undefined : name,
    vips: list,
    gateways: [],
    own: index === 0 ? [primaries[0] ?? [], backups[0] ?? []] : [[], []],
  }));
  if (lans.length === 0)
    lans.push({ interface: undefined, vips: [], gateways: [], own: [primaries[0] ?? [], backups[0] ?? []] });
  const privates: OldLan['own'] = [primaries[1] ?? [], backups[1] ?? []];
  if (nat !== undefined && gateway === undefined)
    notes.lost(nat, 'the address of the gateway is not an IP address', ['lans']);
  const gateways: OldAddress[] =
    nat === undefined || gateway === undefined
      ? []
      : [{ address: gateway, prefix: realMask(globals.get('nat_nmask')?.words[0]), at: nat }];
  if (gateways.length > 0 || privates.some(list => list.length > 0))
    lans.push({ interface: device, vips: [], gateways, own: privates });
  return lans;
}

interface Around {
  readonly forwarding: OldService['forwarding'];
  readonly names: Names;
  readonly interfaces: Interfaces;
  readonly notes: Notes;
}

const VIRTUAL_READ = [
  'active',
  'address',
  'vip_nmask',
  'port',
  'fwmark',
  'protocol',
  'scheduler',
  'persistent',
  'pmask',
  'sorry_server',
  'send',
  'expect',
  'send_program',
  'use_regex',
  'timeout',
  'reentry',
  'load_monitor',
  'quiesce_server',
];

function readVirtual(block: Directive, around: Around): OldService | undefined {
  const { notes, names } = around;
  const children = block.children ?? [];
  const lines = lastOf(children, notes);
  const word = (name: string) => lines.get(name)?.words[0];
  const name = names.take(block.words[0] ?? '', 'service');
  const path = ['services', name];
  if (baseZero(word('active')) !== 1) {
    notes.lost(lines.get('active') ?? block, `virtual "${name}" was not active: it is left out`, ['services']);
    return undefined;
  }
  tell(lines, notes, [VIRTUAL_UNNEEDED, {}, VIRTUAL_LOST], VIRTUAL_READ, path);
  const vip = parseAddress(word('address') ?? '');
  const address = lines.get('address');
  if (address !== undefined && vip === undefined)
    notes.lost(address, 'a name instead of an address is not looked up: write its address', path);
  if (address !== undefined && vip !== undefined)
    around.interfaces.add(address.words[1], { address: vip, prefix: realMask(word('vip_nmask')), at: address });
  const protocol = (word('protocol') ?? 'tcp').toLowerCase();
  const port = word('port') === undefined ? 80 : portOf(word('port'), baseZero);
  if (port === undefined) notes.lost(lines.get('port'), 'this is no port: 80 is written', path);
  const scheduler = word('scheduler') ?? 'wlc';
  if (!(SCHEDULERS as readonly string[]).includes(scheduler))
    notes.lost(lines.get('scheduler'), 'IPVS has no such scheduler: wlc is written', path);
  const persistence = baseZero(word('persistent')) || undefined;
  return {
    name,
    at: block,
    vip,
    ports: [port ?? 80],
    mark: baseZero(word('fwmark')) || undefined,
    protocol,
    forwarding: around.forwarding,
    scheduler: (SCHEDULERS as readonly string[]).includes(scheduler) ? scheduler : 'wlc',
    schedulerOptions: undefined,
    persistenceS: persistence,
    persistencePrefix: persistencePrefix(lines.get('pmask'), persistence, notes, path),
    servers: children
      .filter(child => child.keyword === 'server' && child.children !== undefined)
      .flatMap(server => readServer(server, notes, path)),
    sorry: sorryOf(lines.get('sorry_server'), port ?? 80, notes, path),
    check: readLvsCheck({ name, block, lines, port: port ?? 80, isUdp: protocol === 'udp' }, notes, path),
  };
}

function persistencePrefix(
  at: Directive | undefined,
  persistence: number | undefined,
  notes: Notes,
  path: readonly string[],
): number | undefined {
  const length = maskLength(at?.words[0]);
  if (at === undefined || length === 32) return undefined;
  if (length === undefined || length === 0) notes.lost(at, 'this is no mask', path);
  else if (persistence === undefined) notes.unneeded(at, 'without persistent it did nothing', path);
  else return length;
  return undefined;
}

function sorryOf(at: Directive | undefined, port: number, notes: Notes, path: readonly string[]): OldService['sorry'] {
  if (at === undefined) return undefined;
  const address = parseAddress(at.words[0] ?? '');
  if (address !== undefined) return { address, port, at };
  notes.lost(at, 'the sorry server is not an IP address', path);
  return undefined;
}

function readServer(block: Directive, notes: Notes, path: readonly string[]): OldServer[] {
  const lines = lastOf(block.children ?? [], notes);
  const word = (name: string) => lines.get(name)?.words[0];
  const name = block.words[0] ?? '';
  tell(lines, notes, [{ heartbeat: 'Piranha did not use it' }, {}, {}], ['address', 'active', 'weight', 'port'], path);
  const address: Address | undefined = parseAddress(word('address') ?? '');
  const out = 'this server is left out: write it into servers once it is to serve';
  if (address === undefined)
    notes.lost(lines.get('address') ?? block, `its address is not an IP address; ${out}`, path);
  else if (baseZero(word('active')) !== 1) notes.lost(lines.get('active') ?? block, `it was not active; ${out}`, path);
  else if (baseZero(word('weight')) === 0) notes.lost(lines.get('weight'), `its weight was 0; ${out}`, path);
  else if (familyOf(address) === 4) {
    const weight = baseZero(word('weight')) ?? 1;
    if (weight > 1)
      notes.changed(
        lines.get('weight'),
        'a weight above 1 let a server come in slowly with Piranha; here it has its whole weight at once',
        path,
      );
    return [{ name, address, port: baseZero(word('port')) ?? 0, weight, upper: 0, lower: 0, at: block }];
  } else notes.lost(block, 'Piranha knew IPv4 only', path);
  return [];
}

/** Two virtuals of one mark and one VIP were one service in IPVS, with two sets of checks. */
function mergeMarks(services: readonly OldService[], notes: Notes): OldService[] {
  const kept: OldService[] = [];
  for (const service of services) {
    const index = kept.findIndex(
      other => service.mark !== undefined && other.mark === service.mark && other.vip === service.vip,
    );
    const first = kept[index];
    if (first === undefined) {
      kept.push(service);
      continue;
    }
    notes.changed(
      service.at,
      `it has the mark and the VIP of "${first.name}": to IPVS they were one service, and here they are one, too; checks and servers are those of the first`,
      ['services', first.name],
    );
    const ports = [...new Set([...first.ports, ...service.ports])];
    const missing = service.servers.filter(({ address }) => !first.servers.some(other => other.address === address));
    for (const server of missing) notes.lost(server.at, `it is no server of "${first.name}"`, ['services', first.name]);
    kept[index] = { ...first, ports };
  }
  return kept;
}
