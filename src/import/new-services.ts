// The services of the new config. FTP is recognised by its port, by a mark with port 21 behind it,
// or by a check that speaks it; it becomes one service for control and data. What Tandem does not
// have is a note, never a guess. Pure.
import { SERVICES_MAX } from '../config/rules/services-of.ts';
import { type Address, familyOf } from '../units/address.ts';
import { formatDuration, ms } from '../units/duration.ts';
import type { LanDraft } from './new-lans.ts';
import type { NoteTaker } from './note.ts';
import { Names, type OldCheck, type OldConfig, type OldService } from './old-config.ts';
import { type Draft, FillIn } from './placeholder.ts';
import type { Probe } from './probes.ts';

const FTP_PORT = 21;
const MARKS_FROM = 1_001;
/** Bounds of the fields (schema.ts, check-schema.ts). */
const PERSISTENCE_MS = { min: 1_000, max: 86_400_000 } as const;
const INTERVAL_MS = { min: 500, max: 600_000 } as const;
const TIMEOUT_MS = { min: 200, max: 120_000 } as const;
const COUNT_MAX = 20;
const WEIGHT_MAX = 65_535;
const MARK_MAX = 0x7fff_ffff;

interface ServiceAround {
  readonly old: OldConfig;
  readonly serversLan: ReadonlyMap<string, LanDraft>;
  readonly vipsOfMarks: ReadonlyMap<string, Address | FillIn>;
  readonly notes: NoteTaker;
}

/**
 * Whether it is FTP: by its port, by port 21 behind a mark or behind all ports, or by its check.
 */
export function isFtp({ protocol, ports, mark, servers, check }: OldService): boolean {
  if (protocol !== 'tcp') return false;
  if (ports.includes(FTP_PORT) || check.type === 'ftp' || check.type === 'banner') return true;
  const isOpen = mark !== undefined || ports.includes(0);
  return isOpen && (check.port === FTP_PORT || servers.some(({ port }) => port === FTP_PORT));
}

/** Bounds what is tried: more servers than any pair has. */
const SERVERS_MAX = 2_000;

/** Those that Tandem can have; the others are told. */
export function servable(services: readonly OldService[], notes: NoteTaker): readonly OldService[] {
  const places = new Map<string, string>();
  let serversInAll = 0;
  return services.slice(0, SERVICES_MAX).filter(service => {
    const { name, at, vip, ports, protocol, mark, servers } = service;
    const family = servers[0] && familyOf(servers[0].address);
    const place = mark === undefined ? `${protocol} ${vip} ${ports}` : `mark ${mark} ${vip} IPv${family}`;
    const other = places.get(place);
    serversInAll += servers.length;
    const tooMany = serversInAll > SERVERS_MAX ? `there are more than ${SERVERS_MAX} servers in all` : undefined;
    const twice =
      other === undefined
        ? undefined
        : `"${other}" has this ${mark === undefined ? 'address and port' : 'mark'} already`;
    const problem = obstacle(service) ?? twice ?? tooMany;
    if (problem === undefined) places.set(place, name);
    else notes.lost(at, `${problem}: the service "${name}" is left out, with all its lines`, ['services']);
    return problem === undefined;
  });
}

/** By name. */
export function servicesDraft(around: ServiceAround): { readonly [name: string]: Draft } {
  const marks = new Marks(around.old.services);
  return Object.fromEntries(
    around.old.services.flatMap((service): [string, Draft][] => {
      const draft = isFtp(service) ? ftpDraft(service, marks, around) : plainDraft(service, marks, around);
      return [[service.name, draft]];
    }),
  );
}

function obstacle(service: OldService): string | undefined {
  const { protocol, servers, vip, forwarding, ports, mark } = service;
  if (protocol !== 'tcp' && protocol !== 'udp') return 'Tandem balances TCP and UDP, and not this protocol';
  if (servers.length === 0) return 'it has no real server that serves';
  const mixed = servers.find(({ address }) => familyOf(address) !== familyOf(vip ?? (servers[0]?.address as Address)));
  if (mixed !== undefined) return 'its servers are IPv4 and IPv6';
  if (!isFtp(service) || forwarding !== 'nat' || mark !== undefined) return undefined;
  const control = ports.find(port => port !== 0) ?? FTP_PORT;
  const other = servers.find(({ port }) => port !== 0 && port !== control);
  return (
    other && `an FTP server has the control port ${other.port} and the VIP ${control}, and Tandem wants one for both`
  );
}

/** Marks, each once: those of the old config, and free ones. */
class Marks {
  private readonly taken = new Set<number>();
  private readonly reserved: ReadonlySet<number>;

  constructor(services: readonly OldService[]) {
    this.reserved = new Set(services.map(({ mark }) => mark).filter(mark => mark !== undefined));
  }

  take({ mark, name, at }: OldService, wanted: number, notes: NoteTaker): number {
    if (mark !== undefined && mark <= MARK_MAX && !this.taken.has(mark)) {
      this.taken.add(mark);
      notes.unneeded(at, `Tandem sets the mark ${mark} itself: take your own rules that set it out`, [
        'services',
        name,
        'mark',
      ]);
      return mark;
    }
    if (mark !== undefined)
      notes.changed(at, `another service has the mark ${mark} already, and each has its own`, [
        'services',
        name,
        'mark',
      ]);
    const isFree = (one: number) => !this.taken.has(one) && !this.reserved.has(one);
    let free = isFree(wanted) ? wanted : MARKS_FROM;
    while (!isFree(free)) free++;
    this.taken.add(free);
    return free;
  }
}

function ftpDraft(service: OldService, marks: Marks, around: ServiceAround): Draft {
  const { name, at, ports, check } = service;
  const { notes } = around;
  const path = ['services', name];
  const control = ports.filter(port => port !== 0).slice(0, 4);
  const isUsual = control.length === 0 || (control.length === 1 && control[0] === FTP_PORT);
  const known = control.every(port => port === 21 || port === 990);
  if (ports.includes(0))
    notes.changed(at, 'every port of the VIP was forwarded; FTP is port 21, its data, and nothing else', path);
  notes.changed(
    at,
    'the file does not say which ports passive data use: passive_ports must be what the real servers have',
    [...path, 'passive_ports'],
  );
  if (!known) notes.changed(at, 'nothing says where active data come from: it is off', [...path, 'active']);
  if (service.persistenceS === undefined)
    notes.changed(at, 'FTP wants persistence: control and data of a client must come to one server', [
      ...path,
      'persistence',
    ]);
  if (check.type !== 'ftp')
    notes.unneeded(check.at ?? at, 'Tandem can do more: log in and fetch a file (check.until: transfer)', [
      ...path,
      'check',
    ]);
  return {
    ...placeDraft(service, marks, around, FTP_PORT),
    control_port: isUsual ? undefined : control.length === 1 ? control[0] : control,
    passive_ports: '10000-20000',
    active: known ? undefined : false,
    ...balancingDraft(service, notes),
    persistence: persistenceText(service, notes) ?? '6m',
    persistence_prefix: service.persistencePrefix,
    check: ftpCheck(service, notes),
    ...serversDraft(service, control[0] ?? FTP_PORT, notes),
  };
}

function plainDraft(service: OldService, marks: Marks, around: ServiceAround): Draft {
  const { notes } = around;
  const { ports, check, name, at } = service;
  const [port = 0] = ports;
  const known = ports.filter(one => one !== 0);
  const behind = [...new Set(service.servers.map(one => one.port).filter(one => one !== 0))];
  const guess = check.port ?? behind[0] ?? 80;
  const listed: Draft =
    known.length > 0
      ? known.length === 1
        ? (known[0] as number)
        : known
      : service.mark === undefined
        ? '1-65535'
        : new FillIn('the ports that your rules give this mark', guess);
  const mapped = mappedTo(service);
  const checkPort = check.port !== undefined && check.port !== port && check.port !== mapped;
  if (service.mark !== undefined && service.vip !== undefined && known.length === 1)
    notes.changed(at, 'the rules that set the mark may have given it more ports than this one', [
      'services',
      name,
      'ports',
    ]);
  const asked = probeOf(service, notes);
  if (mapped !== undefined && service.persistenceS !== undefined)
    notes.lost(at, 'Tandem has another port on the servers only without persistence: it is off here', [
      'services',
      name,
      'persistence',
    ]);
  if (service.protocol === 'udp' && service.persistenceS === undefined)
    notes.changed(
      at,
      'the standby is not told which server a client port has: write sync: connections where that matters (SIP)',
      ['services', name],
    );
  return {
    kind: service.protocol,
    ...placeDraft(service, marks, around, known[0] ?? MARKS_FROM),
    ports: listed,
    server_port: mapped,
    ...balancingDraft(service, notes),
    persistence: (mapped === undefined ? persistenceText(service, notes) : undefined) ?? 'off',
    persistence_prefix: mapped === undefined ? service.persistencePrefix : undefined,
    check: {
      ...asked,
      ...checkPace(service, notes),
      port: checkPort && asked.type !== 'icmp' ? check.port : undefined,
      script: check.script,
    },
    ...serversDraft(service, mapped ?? known[0] ?? 0, notes),
  };
}

/** The port of the first server where NAT changes the port: the others must have it, too. */
function mappedTo({ forwarding, mark, ports: [port = 0], servers: [first] }: OldService): number | undefined {
  if (forwarding !== 'nat' || mark !== undefined || first === undefined) return undefined;
  return first.port === 0 || first.port === port ? undefined : first.port;
}

/** What its servers are asked, as far as it can be over this protocol. */
function probeOf({ name, at, protocol, check }: OldService, notes: NoteTaker): Probe {
  const isUdp = protocol === 'udp';
  const plain: Probe = { type: isUdp && check.type !== 'connect' ? 'datagram' : 'connect' };
  const { probe } = check;
  if (probe === undefined) return plain;
  const isWrong = isUdp ? probe.type === 'banner' || probe.banner !== undefined : probe.type === 'datagram';
  if (!isWrong) return probe;
  notes.lost(
    check.at ?? at,
    isUdp ? 'over UDP nobody speaks first: the port is checked' : 'a service over TCP is asked over TCP',
    ['services', name, 'check'],
  );
  return plain;
}

/** Where the service is: VIP, LAN, forwarding, mark. */
function placeDraft(
  service: OldService,
  marks: Marks,
  { serversLan, vipsOfMarks, notes }: ServiceAround,
  mark: number,
) {
  const lan = serversLan.get(service.name);
  const vip = service.vip ?? (vipsOfMarks.get(service.name) as Draft);
  const isVipsLan = lan?.vips.some(({ address }) => address === vip) === true;
  const isNeeded = service.forwarding === 'nat' || (service.forwarding === 'dr' && !isVipsLan);
  return {
    vip,
    servers_lan: isNeeded ? lan?.name : undefined,
    forwarding: service.forwarding === 'nat' ? undefined : service.forwarding,
    mark: marks.take(service, mark, notes),
  };
}

function balancingDraft({ scheduler, schedulerOptions, name, at }: OldService, notes: NoteTaker) {
  const hasOptions = scheduler === 'sh' || scheduler === 'mh';
  const options = hasOptions && schedulerOptions !== undefined ? [...schedulerOptions] : undefined;
  if (hasOptions && schedulerOptions?.includes('fallback') !== true)
    notes.changed(
      at,
      `without fallback ${scheduler} refused clients whose server was down; Tandem gives them another one`,
      ['services', name, 'scheduler'],
    );
  // wlc is the default, and written all the same: it may be what the old config said.
  return {
    scheduler,
    scheduler_options: options === undefined ? undefined : [...new Set([...options, 'fallback'])].sort(),
  };
}

function persistenceText({ persistenceS, name, at }: OldService, notes: NoteTaker): string | undefined {
  if (persistenceS === undefined) return undefined;
  return bounded(persistenceS * 1_000, PERSISTENCE_MS, at, ['services', name, 'persistence'], notes);
}

function bounded(
  value: number,
  { min, max }: { readonly min: number; readonly max: number },
  at: OldService['at'] | undefined,
  path: readonly string[],
  notes: NoteTaker,
): string {
  const kept = Math.round(Math.min(Math.max(value, min), max));
  if (kept !== Math.round(value))
    notes.changed(
      at,
      `${formatDuration(ms(Math.round(value)))} is out of Tandem's bounds: ${formatDuration(ms(kept))} is written`,
      path,
    );
  return formatDuration(ms(kept));
}

/** How often, how long, how many good and bad ones. */
function checkPace({ name, at, check }: OldService, notes: NoteTaker) {
  const path = (field: string) => ['services', name, 'check', field];
  const where = check.at ?? at;
  const count = (value: number) => Math.min(Math.max(value, 1), COUNT_MAX);
  if (count(check.rise) !== check.rise)
    notes.changed(
      where,
      `a server came back after ${check.rise} good checks; ${COUNT_MAX} is Tandem's most`,
      path('rise'),
    );
  if (count(check.fall) !== check.fall)
    notes.changed(where, `a server failed after ${check.fall} bad checks; ${COUNT_MAX} is Tandem's most`, path('fall'));
  if (check.rise > 1)
    notes.changed(where, 'at the start one good check was enough; in Tandem rise counts then, too', path('rise'));
  const isRetry = check.retryS !== undefined && check.retryS !== check.intervalS && check.fall > 1;
  return {
    interval: bounded(check.intervalS * 1_000, INTERVAL_MS, where, path('interval'), notes),
    interval_changing: isRetry
      ? bounded((check.retryS ?? 0) * 1_000, INTERVAL_MS, where, path('interval_changing'), notes)
      : undefined,
    timeout: bounded(check.timeoutS * 1_000, TIMEOUT_MS, where, path('timeout'), notes),
    rise: count(check.rise),
    fall: count(check.fall),
  };
}

const UNTIL: Readonly<Record<OldCheck['type'], 'connect' | 'greeting' | undefined>> = {
  none: 'connect',
  connect: 'connect',
  other: 'greeting',
  banner: 'greeting',
  ftp: undefined,
};

function ftpCheck(service: OldService, notes: NoteTaker): Draft {
  const { check, name, at, ports } = service;
  const path = ['services', name, 'check'];
  const { login, fetch, type } = check;
  if (type === 'ftp')
    notes.changed(
      check.at ?? at,
      "ldirectord took a server for good whose login or file failed; Tandem's check fails there",
      path,
    );
  if (check.port !== undefined && !ports.includes(check.port) && check.port !== FTP_PORT)
    notes.lost(check.at ?? at, `the check was on port ${check.port}; Tandem checks the control port`, path);
  if (check.probe !== undefined && type === 'other')
    notes.changed(check.at ?? at, 'an FTP service is checked as FTP: here until its greeting has come', path);
  return {
    ...checkPace(service, notes),
    until: UNTIL[type],
    script: check.script,
    ...(login
      ? {
          user: new FillIn('the login of the check', 'probe'),
          password_file: `/etc/tandem/${name}-check.password`,
        }
      : {}),
    fetch,
  };
}

function serversDraft(service: OldService, port: number, notes: NoteTaker) {
  const { servers, sorry, name, mark, forwarding } = service;
  const path = ['services', name];
  const names = new Names();
  const seen = new Set<Address>();
  const list: [string, Draft][] = [];
  const [vipPort = 0] = service.ports;
  const behind = servers[0]?.port || vipPort;
  for (const server of servers) {
    if (seen.has(server.address)) {
      notes.lost(server.at, `${server.address} is in the list already: a service has one port on each server`, path);
      continue;
    }
    if (forwarding === 'nat' && mark === undefined && (server.port || vipPort) !== behind) {
      notes.lost(
        server.at,
        `its port is ${server.port || vipPort}, that of the first ${behind}: all have the same in Tandem`,
        path,
      );
      continue;
    }
    seen.add(server.address);
    const isAddress = server.name === server.address;
    const key = names.take(isAddress ? `server-${list.length + 1}` : server.name, `server-${list.length + 1}`);
    if (server.weight > WEIGHT_MAX) notes.changed(server.at, `${WEIGHT_MAX} is the largest weight`, path);
    list.push([
      key,
      {
        address: server.address,
        weight: server.weight === 1 ? undefined : Math.min(server.weight, WEIGHT_MAX),
        upper_threshold: server.upper || undefined,
        lower_threshold: server.lower || undefined,
      },
    ]);
  }
  const isSorry = sorry !== undefined && (sorry.port === port || sorry.port === 0);
  if (sorry !== undefined && !isSorry)
    notes.lost(sorry.at, `the sorry server has the port ${sorry.port}, and in Tandem it has that of the VIP`, path);
  return {
    sorry_server: isSorry ? { address: sorry.address } : undefined,
    servers: Object.fromEntries(list),
  };
}
