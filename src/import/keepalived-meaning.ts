// What the directives of a keepalived.conf mean, in the words of old-config.ts; every line that has
// no such meaning is a note. Pure. Source: check_parser.c, check_data.c, vrrp_parser.c and vrrp.c
// of keepalived.
import { type Address, addressOf, familyOf, parseAddress, parseCidr, prefixOf } from '../units/address.ts';
import type { Directive } from './directive.ts';
import { readTrackScripts } from './keepalived-scripts.ts';
import { readVirtualServer } from './keepalived-services.ts';
import { GLOBAL_WORDS, GROUP_WORDS, INSTANCE_WORDS, saying, TOP_WORDS } from './keepalived-words.ts';
import type { Notes } from './note.ts';
import { decimal } from './numbers.ts';
import { atMost, Names, type OldAddress, type OldConfig, type OldLan, type OldService } from './old-config.ts';

const PREEMPTS =
  'keepalived gave the addresses back to the router of higher priority; Tandem leaves things as they are (heartbeat.auto_failback: true changes that)';

/** The config that a keepalived.conf describes, as read for one router. */
export function keepalivedMeaning(top: readonly Directive[], notes: Notes): OldConfig {
  const lans = new Map<string, MutableLan>();
  const timeouts: Timeouts = {};
  const names = new Names();
  const services: OldService[] = [];
  const instances = top.filter(({ keyword }) => keyword === 'vrrp_instance');
  const groups = new Map(
    top.filter(({ keyword }) => keyword === 'virtual_server_group').map(group => [group.words[0] ?? '', group]),
  );
  for (const directive of top) {
    switch (directive.keyword) {
      case 'global_defs':
        readGlobals(directive, timeouts, notes);
        break;
      case 'vrrp_instance':
        readInstance(directive, lans, notes);
        break;
      case 'vrrp_sync_group':
        for (const child of directive.children ?? [])
          if (child.keyword !== 'track_script') saying(child, GROUP_WORDS, notes, []);
        break;
      case 'virtual_server_group':
      case 'virtual_server':
      case 'vrrp_script':
        break;
      default:
        saying(directive, TOP_WORDS, notes, []);
    }
  }
  for (const block of atMost(
    top.filter(({ keyword }) => keyword === 'virtual_server'),
    notes,
  ))
    services.push(...readVirtualServer(block, { groups, names, notes }));
  groupNotes(top, instances, notes);
  const own = instances[0] === undefined ? undefined : priorityOf(instances[0]);
  return {
    kind: 'keepalived.conf',
    routers: [
      { name: undefined, priority: own },
      { name: undefined, priority: undefined },
    ],
    lans: [...lans.values()],
    services,
    tcpTimeoutS: timeouts.tcp,
    tcpFinTimeoutS: timeouts.tcpfin,
    udpTimeoutS: timeouts.udp,
    fitness: readTrackScripts(top, notes),
  };
}

interface Timeouts {
  tcp?: number;
  tcpfin?: number;
  udp?: number;
}

interface MutableLan extends OldLan {
  readonly vips: OldAddress[];
  readonly own: [OldAddress[], OldAddress[]];
}

function readGlobals(block: Directive, timeouts: Timeouts, notes: Notes): void {
  for (const child of block.children ?? []) {
    if (child.keyword !== 'lvs_timeouts') {
      saying(child, GLOBAL_WORDS, notes, []);
      continue;
    }
    for (let index = 0; index + 1 < child.words.length; index += 2) {
      const seconds = decimal(child.words[index + 1]);
      if (child.words[index] === 'tcp' && seconds !== undefined) timeouts.tcp = seconds;
      else if (child.words[index] === 'tcpfin' && seconds !== undefined) timeouts.tcpfin = seconds;
      else if (child.words[index] === 'udp' && seconds !== undefined) timeouts.udp = seconds;
      else notes.lost(child, `the time-out of ${child.words[index]} in IPVS is left as it is`, ['ipvs']);
    }
  }
}

function readInstance(block: Directive, lans: Map<string, MutableLan>, notes: Notes): void {
  const children = block.children ?? [];
  const device = children.findLast(({ keyword }) => keyword === 'interface')?.words[0] ?? '';
  const lan = lanOf(lans, device);
  for (const child of children) {
    switch (child.keyword) {
      case 'interface':
      case 'nopreempt':
      case 'track_script':
        break;
      case 'priority':
        if (!/^\d+$/.test(child.words[0] ?? '') || child.words.length > 1)
          notes.changed(child, 'what stands behind the number was ignored, and is ignored here', ['routers']);
        break;
      case 'state':
        if (!['MASTER', 'BACKUP'].includes(child.words[0] ?? '') || child.words.length > 1)
          notes.changed(
            child,
            'only MASTER and BACKUP are states, anything else is BACKUP, and more words are ignored',
            ['routers'],
          );
        else saying(child, INSTANCE_WORDS, notes, []);
        break;
      case 'virtual_ipaddress':
      case 'virtual_ipaddress_excluded':
        for (const line of child.children ?? []) readVip(line, device, lans, notes);
        break;
      case 'unicast_src_ip':
      case 'mcast_src_ip':
        addOwn(lan.own[0], child, child.words[0], notes);
        break;
      case 'unicast_peer':
        readPeers(child, lan, notes);
        break;
      default:
        saying(child, INSTANCE_WORDS, notes, []);
    }
  }
  if (!children.some(({ keyword }) => keyword === 'nopreempt'))
    notes.changed(block, PREEMPTS, ['heartbeat', 'auto_failback']);
}

function lanOf(lans: Map<string, MutableLan>, device: string): MutableLan {
  const known = lans.get(device);
  if (known !== undefined) return known;
  const lan: MutableLan = { interface: device === '' ? undefined : device, vips: [], gateways: [], own: [[], []] };
  lans.set(device, lan);
  return lan;
}

function readVip(line: Directive, device: string, lans: Map<string, MutableLan>, notes: Notes): void {
  const written = parseCidr(line.keyword);
  const address: Address | undefined = written === undefined ? parseAddress(line.keyword) : addressOf(written);
  if (address === undefined) {
    notes.lost(line, 'this is no address', ['lans']);
    return;
  }
  const length = written === undefined ? undefined : prefixOf(written);
  const prefix = length === (familyOf(address) === 4 ? 32 : 128) ? undefined : length;
  const dev = line.words.indexOf('dev');
  const own = dev >= 0 ? line.words[dev + 1] : undefined;
  const { vips } = lanOf(lans, own ?? device);
  if (own === 'lo') notes.changed(line, 'Tandem holds its addresses on the interfaces of LANs, not on lo', ['lans']);
  if (!vips.some(other => other.address === address)) vips.push({ address, prefix, at: line });
  const rest = line.words.filter((_, index) => dev < 0 || (index !== dev && index !== dev + 1));
  if (rest.length > 0) notes.unneeded(line, 'Tandem gives its addresses no label, scope or broadcast', ['lans']);
}

function readPeers(block: Directive, lan: MutableLan, notes: Notes): void {
  for (const [index, line] of (block.children ?? []).entries()) {
    if (index === 0) addOwn(lan.own[1], line, line.keyword, notes);
    else notes.lost(line, 'a Tandem pair has two routers: this one is left out', ['routers']);
  }
}

function addOwn(list: OldAddress[], at: Directive, text: string | undefined, notes: Notes): void {
  const address = parseAddress(text ?? '');
  if (address === undefined) notes.lost(at, 'this is no address', ['lans']);
  else if (!list.some(other => other.address === address)) list.push({ address, prefix: undefined, at });
}

function priorityOf(instance: Directive): number {
  const find = (keyword: string) => instance.children?.findLast(child => child.keyword === keyword)?.words[0];
  const written = Number.parseInt(find('priority') ?? '', 10);
  const isMaster = find('state') === 'MASTER';
  return written >= 1 && written <= 255 ? written : isMaster ? 255 : 100;
}

/** Instances that did not move together do so now; MASTER and BACKUP mixed was both active. */
function groupNotes(top: readonly Directive[], instances: readonly Directive[], notes: Notes): void {
  const grouped = new Set(
    top
      .filter(({ keyword }) => keyword === 'vrrp_sync_group')
      .flatMap(({ children = [] }) => children)
      .filter(({ keyword }) => keyword === 'group')
      .flatMap(({ children = [] }) => children.flatMap(child => [child.keyword, ...child.words])),
  );
  if (instances.length < 2) return;
  for (const instance of instances.filter(({ words }) => !grouped.has(words[0] ?? '')))
    notes.changed(
      instance,
      'it is in no vrrp_sync_group and moved alone; all addresses of a Tandem pair move together',
      ['lans'],
    );
  const ranks = instances.map(instance => priorityOf(instance));
  const states = new Set(
    instances.map(({ children = [] }) => children.find(({ keyword }) => keyword === 'state')?.words[0] === 'MASTER'),
  );
  if (states.size > 1 || new Set(ranks).size > 1)
    notes.changed(
      instances[0],
      'instances differ in state or priority: both routers may have been active at a time; in a Tandem pair one is',
      ['routers'],
    );
}
