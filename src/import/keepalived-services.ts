// The virtual servers of a keepalived.conf with their real servers and checks. Settings inherit:
// virtual_server, real_server, check. Pure. Source: check_parser.c and check_data.c of keepalived.
import { SCHEDULERS } from '../config/scheduler.ts';
import { type Address, familyOf, parseAddress } from '../units/address.ts';
import type { Directive } from './directive.ts';
import { CHECKS, readChecks } from './keepalived-checks.ts';
import { unreadNotes } from './keepalived-unread.ts';
import { REAL_SERVER_WORDS, saying, VIRTUAL_SERVER_WORDS } from './keepalived-words.ts';
import { type NoteTaker, SILENT } from './note.ts';
import { decimal, maskLength } from './numbers.ts';
import type { Names, OldServer, OldService } from './old-config.ts';

interface Around {
  /** virtual_server_group by name. */
  readonly groups: ReadonlyMap<string, Directive>;
  readonly names: Names;
  readonly notes: NoteTaker;
}

/** What a virtual_server's head says: where clients come to. */
interface Head {
  readonly vip: Address | undefined;
  readonly port: number;
  readonly mark: number | undefined;
}

const FORWARDING = { NAT: 'nat', DR: 'dr', TUN: 'tun' } as const;
const PERSISTENCE_S = 360;
const GROUP_ENTRIES_MAX = 64;
const VIRTUAL_READ = new Set([
  'lb_algo',
  'lvs_sched',
  'lb_kind',
  'lvs_method',
  'persistence_timeout',
  'persistence_granularity',
  'protocol',
  'sorry_server',
  'real_server',
  'inhibit_on_failure',
  'weight',
  'sh-port',
  'sh-fallback',
  'mh-port',
  'mh-fallback',
]);

/** The services of a virtual_server: one, or one for each entry of its group. */
export function readVirtualServer(block: Directive, around: Around): OldService[] {
  const { notes } = around;
  const heads = headsOf(block, around);
  if (heads.length === 0) return [];
  if (block.children === undefined || !block.children.some(({ keyword }) => keyword === 'real_server')) {
    notes.lost(block, 'a virtual_server without real servers did nothing', ['services']);
    return [];
  }
  return heads.map((head, index) => readService(block, head, around, index === 0));
}

function headsOf({ words, ...block }: Directive, { groups, notes }: Around): Head[] {
  const at: Directive = { ...block, words };
  const [first = '', second] = words;
  if (first === 'group') {
    const group = groups.get(second ?? '');
    if (group === undefined) notes.lost(at, 'there is no virtual_server_group of this name', ['services']);
    return (group?.children ?? []).slice(0, GROUP_ENTRIES_MAX).flatMap(line => {
      const heads = entryHeads([line.keyword, ...line.words]);
      if (heads.length === 0) notes.lost(line, 'this is neither an address with its port nor a mark', ['services']);
      return heads;
    });
  }
  const head = headOf(words);
  if (head === undefined) notes.lost(at, 'its head is neither an address with its port nor a mark', ['services']);
  const more = words.slice(first === 'fwmark' ? 3 : 2);
  if (more.length > 0) notes.changed(at, 'the words behind the port are not used', ['services']);
  return head === undefined ? [] : [head];
}

/** An entry of a group; 192.0.2.1-10 is ten addresses. */
function entryHeads([first = '', ...rest]: readonly string[]): Head[] {
  const [, network, low, high] = /^((?:\d{1,3}\.){3})(\d{1,3})-(\d{1,3})$/.exec(first) ?? [];
  const count = Number(high) - Number(low) + 1;
  const words = network === undefined || !(count >= 1 && count <= 256) ? [first] : [];
  for (let index = 0; words.length < count; index++) words.push(`${network}${Number(low) + index}`);
  return words.flatMap(word => headOf([word, ...rest]) ?? []);
}

function headOf([first = '', second]: readonly string[]): Head | undefined {
  if (first === 'fwmark') {
    const mark = decimal(second);
    return mark === undefined || mark === 0 ? undefined : { vip: undefined, port: 0, mark };
  }
  const vip = parseAddress(first);
  const port = second === undefined ? 0 : decimal(second);
  if (vip === undefined || port === undefined || port > 65_535) return undefined;
  return { vip, port, mark: undefined };
}

function readService(block: Directive, head: Head, around: Around, isFirst: boolean): OldService {
  const { names } = around;
  const what = head.mark === undefined ? `${head.vip}-${head.port}` : `mark-${head.mark}`;
  const children = block.children ?? [];
  const last = (...words: string[]) => children.findLast(({ keyword }) => words.includes(keyword));
  const isUdp = protocolOf(last('protocol'), head, block, SILENT, []) === 'udp';
  const isFtp = !isUdp && (head.port === 21 || connectsTo21(block));
  const name = names.take(isFtp ? 'ftp' : what.replace(/[.:]/g, '-'), 'service');
  const path = ['services', name];
  // Every entry of a group says the same: once is enough.
  const notes = isFirst ? around.notes : SILENT;
  for (const child of children)
    if (!VIRTUAL_READ.has(child.keyword) && !INHERITED.has(child.keyword) && !isHarmlessQuorum(child))
      saying(child, VIRTUAL_SERVER_WORDS, notes, path);
  unreadNotes(block, notes, path);
  const servers = readServers(children, head, notes, path, forwardingOf(last('lb_kind', 'lvs_method'), notes, path));
  const removed = last('inhibit_on_failure') === undefined ? removedServers(children) : [];
  if (removed.length > 0)
    notes.changed(
      removed.length === reals(children).length ? block : removed[0],
      'without inhibit_on_failure a failed server was removed, and its connections with it; Tandem gives it no new clients, and keeps those it has while it answers',
      path,
    );
  const options = ['fallback', 'port'] as const;
  const flags = options.filter(option => last(`sh-${option}`, `mh-${option}`) !== undefined);
  return {
    name,
    at: block,
    vip: head.vip,
    ports: [head.port],
    mark: head.mark,
    protocol: protocolOf(last('protocol'), head, block, notes, path),
    forwarding: forwardingOf(last('lb_kind', 'lvs_method'), undefined, path),
    scheduler: schedulerOf(last('lb_algo', 'lvs_sched'), notes, path),
    schedulerOptions: flags.length === 0 ? undefined : flags,
    ...persistenceOf(last('persistence_timeout'), last('persistence_granularity'), head, notes, path),
    servers,
    sorry: sorryOf(last('sorry_server'), head.port, notes, path),
    check: readChecks(block, { name, port: head.port, isUdp }, notes, path),
  };
}

const INHERITED = new Set(['delay_loop', 'connect_timeout', 'retry', 'delay_before_retry', 'virtualhost', 'warmup']);

function reals(children: readonly Directive[]): Directive[] {
  return children.filter(({ keyword }) => keyword === 'real_server');
}

/** Those that say nothing of what becomes of them when they fail. */
function removedServers(children: readonly Directive[]): Directive[] {
  return reals(children).filter(
    ({ children: own = [] }) => !own.some(({ keyword }) => keyword === 'inhibit_on_failure'),
  );
}

function isHarmlessQuorum({ keyword, words }: Directive): boolean {
  return keyword === 'quorum' && ['0', '1'].includes(words[0] ?? '');
}

function connectsTo21(block: Directive): boolean {
  return reals(block.children ?? []).some(
    ({ words, children = [] }) =>
      words[1] === '21' ||
      children.some(check =>
        check.children?.some(({ keyword, words: [port] }) => keyword === 'connect_port' && port === '21'),
      ),
  );
}

function forwardingOf(at: Directive | undefined, notes: NoteTaker | undefined, path: readonly string[]) {
  const word = at?.words[0] ?? 'NAT';
  if (Object.hasOwn(FORWARDING, word)) return FORWARDING[word as keyof typeof FORWARDING];
  notes?.changed(
    at,
    word === 'FNAT'
      ? 'full NAT is of a fork (LVS full NAT, DPVS); keepalived on Linux takes NAT instead, and so does this'
      : 'keepalived refuses this word (it is case sensitive) and takes NAT, and so does this: was DR or TUN meant?',
    path,
  );
  return 'nat';
}

function schedulerOf(at: Directive | undefined, notes: NoteTaker, path: readonly string[]): string {
  const word = at?.words[0] ?? 'wlc';
  if ((SCHEDULERS as readonly string[]).includes(word)) return word;
  notes.changed(at, 'IPVS has no such scheduler: keepalived takes wlc, and so does this', path);
  return 'wlc';
}

function protocolOf(
  at: Directive | undefined,
  { mark }: Head,
  block: Directive,
  notes: NoteTaker,
  path: readonly string[],
): string {
  const word = at?.words[0]?.toLowerCase();
  // The mark says it, by rules that are not in the file: the word is a hint at what they mark.
  if (mark !== undefined) return word ?? 'tcp';
  if (at === undefined)
    notes.changed(block, 'without the word protocol keepalived takes UDP, and so does this: was TCP meant?', path);
  return word ?? 'udp';
}

function persistenceOf(
  at: Directive | undefined,
  granularity: Directive | undefined,
  { port, mark, vip }: Head,
  notes: NoteTaker,
  path: readonly string[],
): Pick<OldService, 'persistenceS' | 'persistencePrefix'> {
  const written = at?.words[0] === undefined && at !== undefined ? PERSISTENCE_S : decimal(at?.words[0]);
  if (at !== undefined && (written === undefined || written === 0))
    notes.unneeded(at, 'this is an error to keepalived, which leaves persistence off', path);
  // All ports of a VIP need persistence, and keepalived switches it on.
  const persistenceS = written || (port === 0 && mark === undefined ? PERSISTENCE_S : undefined);
  const text = granularity?.words[0];
  const prefix = vip !== undefined && familyOf(vip) === 6 ? decimal(text) : maskLength(text);
  if (granularity !== undefined && !prefix) notes.lost(granularity, 'this is no mask', path);
  const isWhole = prefix === 32 || prefix === 128;
  return { persistenceS, persistencePrefix: prefix && !isWhole && persistenceS !== undefined ? prefix : undefined };
}

function sorryOf(
  at: Directive | undefined,
  port: number,
  notes: NoteTaker,
  path: readonly string[],
): OldService['sorry'] {
  const address = parseAddress(at?.words[0] ?? '');
  if (at !== undefined && address === undefined) notes.lost(at, 'the sorry server is not an IP address', path);
  return at === undefined || address === undefined ? undefined : { address, port: decimal(at.words[1]) || port, at };
}

function readServers(
  children: readonly Directive[],
  head: Head,
  notes: NoteTaker,
  path: readonly string[],
  forwarding: OldService['forwarding'],
): OldServer[] {
  const servers = new Map<string, OldServer>();
  const weight = decimal(children.findLast(({ keyword }) => keyword === 'weight')?.words[0]);
  for (const block of reals(children)) {
    const server = readServer(block, head, notes, path, forwarding, weight ?? 1);
    if (server === undefined) continue;
    const key = `${server.address} ${server.port}`;
    const before = servers.get(key);
    if (before !== undefined) notes.unneeded(before.at, 'this server is written again below, which counts', path);
    servers.set(key, server);
  }
  return [...servers.values()];
}

function readServer(
  block: Directive,
  { vip, mark, port: vipPort }: Head,
  notes: NoteTaker,
  path: readonly string[],
  forwarding: OldService['forwarding'],
  weightAll: number,
): OldServer | undefined {
  const address = parseAddress(block.words[0] ?? '');
  const children = block.children ?? [];
  const last = (word: string) => children.findLast(({ keyword }) => keyword === word);
  if (address === undefined) {
    notes.lost(block, 'its address is not an IP address, and keepalived takes no names: it is left out', path);
    return undefined;
  }
  if (vip !== undefined && familyOf(vip) !== familyOf(address)) {
    notes.lost(block, `its address is not IPv${familyOf(vip)} as that of the virtual_server is: it is left out`, path);
    return undefined;
  }
  for (const child of children) {
    const isRead = CHECKS.has(child.keyword) || INHERITED.has(child.keyword) || SERVER_READ.has(child.keyword);
    if (!isRead) saying(child, REAL_SERVER_WORDS, notes, path);
  }
  const method = last('lvs_method') ?? last('lb_kind');
  if (method !== undefined && FORWARDING[(method.words[0] ?? '') as keyof typeof FORWARDING] !== forwarding) {
    notes.lost(method, 'one server of a service has another forwarding: it is left out', path);
    return undefined;
  }
  const weight = decimal(last('weight')?.words[0]) ?? weightAll;
  if (weight === 0) {
    notes.lost(
      last('weight') ?? block,
      'its weight is 0: it is left out; write it into servers once it is to serve',
      path,
    );
    return undefined;
  }
  const written = decimal(block.words[1]) ?? 0;
  // Without NAT the packet keeps the port that the client came to; a mark has none of its own.
  const isFree = forwarding === 'nat';
  const port = isFree ? written : 0;
  if (!isFree && mark === undefined && written !== 0 && written !== vipPort)
    notes.changed(
      block,
      'only NAT can change the port: keepalived takes that of the virtual_server, and so does this',
      path,
    );
  const [upper, lower] = ['uthreshold', 'lthreshold'].map(word => decimal(last(word)?.words[0]) ?? 0);
  return { name: address, address, port, weight, upper: upper ?? 0, lower: lower ?? 0, at: block };
}

const SERVER_READ = new Set(['weight', 'inhibit_on_failure', 'uthreshold', 'lthreshold', 'lvs_method', 'lb_kind']);
