// From the text of an old config to a Tandem config with its notes: one reader for each kind, one
// form of what they say (old-config.ts), one way from there. Never throws for what is in a file.
// Pure.

import { FILL_IN } from '../config/document.ts';
import { addressOf } from '../units/address.ts';
import { formatDuration, ms } from '../units/duration.ts';
import type { Directive, OldText } from './directive.ts';
import { driftNotes } from './file-drift.ts';
import { conditionNames, type FindIncluded, keepalivedLines } from './keepalived-lines.ts';
import { keepalivedMeaning } from './keepalived-meaning.ts';
import { readKeepalived } from './keepalived-reader.ts';
import { ldirectordMeaning } from './ldirectord-meaning.ts';
import { readLdirectordCf } from './ldirectord-reader.ts';
import { lvsCfMeaning } from './lvs-cf-meaning.ts';
import { readLvsCf } from './lvs-cf-reader.ts';
import type { HostInterface } from './networks.ts';
import { fitnessDraft } from './new-fitness.ts';
import { lansDraft, newLans } from './new-lans.ts';
import { servable, servicesDraft } from './new-services.ts';
import { type Note, Notes, type NoteTaker } from './note.ts';
import type { OldConfig } from './old-config.ts';
import type { OldKind } from './old-kind.ts';
import { type Draft, type Placeholder, placeholdersOf, withTexts } from './placeholder.ts';
import { type DraftMap, tried } from './trial.ts';
import { configYaml } from './yaml-text.ts';

export interface ImportRequest {
  readonly kind: OldKind;
  readonly file: OldText;
  /** The other router's copy of it. */
  readonly peerFile: OldText | undefined;
  /** Of keepalived. */
  readonly findIncluded: FindIncluded;
  /** What `ip -json addr` says on this router and on its peer. */
  readonly hosts: readonly [readonly HostInterface[] | undefined, readonly HostInterface[] | undefined];
  /** Names of this router and its peer; undefined: as the file says, else a placeholder. */
  readonly names: readonly [string | undefined, string | undefined];
}

export interface Imported {
  readonly yaml: string;
  readonly config: unknown;
  readonly notes: readonly Note[];
  readonly placeholders: readonly Placeholder[];
}

interface Reading {
  readonly tree: readonly Directive[];
  readonly old: OldConfig;
}

const LINKS_MAX = 4;
const TCP_TIMEOUT_MS = { min: 60_000, max: 604_800_000 } as const;
const TCP_FIN_TIMEOUT_MS = { min: 1_000, max: 3_600_000 } as const;
const UDP_TIMEOUT_MS = { min: 1_000, max: 86_400_000 } as const;

export function importConfig(request: ImportRequest): Imported {
  const notes = new Notes();
  const [view, peerView, more] = viewsOf(request);
  const first = read(request, request.file, view, notes);
  if (isEmpty(first.old))
    notes.lost(
      { file: request.file.file, line: 1 },
      `nothing of this file is in the new config: is it a ${request.kind}?`,
    );
  const second =
    request.peerFile === undefined && peerView === undefined
      ? undefined
      : read(request, request.peerFile ?? request.file, peerView ?? '', new Notes());
  if (second !== undefined) driftNotes(first.tree, second.tree, notes);
  for (const name of more)
    notes.lost(undefined, `the file is for "${name}", too, and a Tandem pair has two routers: its lines are left out`, [
      'routers',
    ]);
  const [routers, hosts] = routersOf(request, first.old, [view, peerView]);
  const built = build({ old: first.old, peer: second?.old, routers, hosts, notes });
  const config = withTexts(built as Draft);
  const placeholders = placeholdersOf(built as Draft);
  const yaml = configYaml(config, notes.all, intro(request, notes.all, placeholders));
  return { yaml, config, notes: notes.all, placeholders };
}

/** Whether it names no address, no service and no script. */
function isEmpty({ lans, services, fitness, tcpTimeoutS, tcpFinTimeoutS, udpTimeoutS }: OldConfig): boolean {
  const hasAddress = lans.some(({ vips, gateways, own }) => [vips, gateways, ...own].some(list => list.length > 0));
  const hasTimeout = [tcpTimeoutS, tcpFinTimeoutS, udpTimeoutS].some(seconds => seconds !== undefined);
  return !hasAddress && !hasTimeout && services.length + fitness.length === 0;
}

interface Building {
  readonly old: OldConfig;
  readonly peer: OldConfig | undefined;
  readonly routers: Both<string>;
  readonly hosts: ImportRequest['hosts'];
  readonly notes: Notes;
}

const ROUNDS_MAX = 20;

/** Built again without the services that Tandem refuses: they want no LAN then. */
function build({ old, peer, routers, hosts, notes }: Building): DraftMap {
  let services = servable(old.services, notes);
  for (let round = 0; ; round++) {
    const told = new Notes();
    const rest: OldConfig = { ...old, services };
    const { lans, serversLan, vipsOfMarks } = newLans({ old: rest, peer, hosts, notes: told });
    const kept = tried(
      {
        pair: 'imported-pair',
        routers: routersDraft(routers, old, peer),
        lans: lansDraft(lans, routers),
        heartbeat: { links: lans.map(({ name }) => name).slice(0, LINKS_MAX) },
        ipvs: timeoutsDraft(old, told),
        fitness: fitnessDraft(old, told),
        services: servicesDraft({ old: rest, serversLan, vipsOfMarks, notes: told }),
      },
      services,
      told,
    );
    const names = Object.keys(kept.services as object);
    const stays = services.filter(({ name }) => names.includes(name));
    const isDone = stays.length === services.length || round >= ROUNDS_MAX;
    // What refused a service is told; what else was said of it went with it.
    notes.all.push(
      ...(isDone ? told.all : told.all.filter(note => note.path.length === 1 && note.path[0] === 'services')),
    );
    if (isDone) {
      const isGone = ({ path: [part, name] }: Note) =>
        part === 'services' && name !== undefined && !names.includes(name);
      // Of a service that is left out, why: the rest that was said of it went with it.
      const left = notes.all.filter(note => !isGone(note) || note.effect === 'lost');
      const rest = left.map(note => (isGone(note) ? { ...note, path: ['services'] } : note));
      notes.all.splice(0, notes.all.length, ...rest);
      return kept;
    }
    services = stays;
  }
}

function read({ kind, findIncluded }: ImportRequest, file: OldText, view: string, notes: Notes): Reading {
  switch (kind) {
    case 'lvs.cf': {
      const tree = readLvsCf(file, notes);
      return { tree, old: lvsCfMeaning(tree, notes) };
    }
    case 'keepalived.conf': {
      const tree = readKeepalived(keepalivedLines(file, view, findIncluded, notes), notes);
      return { tree, old: keepalivedMeaning(tree, notes) };
    }
    case 'ldirectord.cf': {
      const tree = readLdirectordCf(file, notes);
      return { tree, old: ldirectordMeaning(tree, notes) };
    }
  }
}

/** A file with lines for @NAME is several routers' files in one: each is read as its own. */
function viewsOf(request: ImportRequest): [string, string | undefined, readonly string[]] {
  const { kind, file, peerFile, names, findIncluded } = request;
  const files = kind !== 'keepalived.conf' ? [] : peerFile === undefined ? [file] : [file, peerFile];
  const found = [...new Set(files.flatMap(one => conditionNames(one, findIncluded)))];
  const label = (name: string | undefined) => name?.split('.')[0];
  if (found.length === 0) return ['', undefined, []];
  const [own, other] = [label(names[0]), label(names[1])];
  const first = own !== undefined && found.includes(own) ? own : (found[0] as string);
  if (peerFile !== undefined) return [first, other ?? found.find(name => name !== first) ?? '', []];
  const rest = found.filter(name => name !== first);
  const second = other !== undefined && rest.includes(other) ? other : (rest[0] ?? '');
  return [first, second, rest.filter(name => name !== second)];
}

type Both<T> = readonly [T, T];

/** Names of the routers, and what their machines say, in the order of the file. */
function routersOf(
  { kind, names, hosts }: ImportRequest,
  old: OldConfig,
  views: Both<string | undefined>,
): [Both<string>, Both<readonly HostInterface[] | undefined>] {
  const has = (side: 0 | 1) => {
    const own = new Set(old.lans.flatMap(lan => lan.own[side].map(({ address }) => address)));
    return hosts[0]?.some(({ addresses }) => addresses.some(cidr => own.has(addressOf(cidr)))) === true;
  };
  // An lvs.cf is the same on both: this machine is its primary or its backup.
  const isBackup = kind === 'lvs.cf' && !has(0) && has(1);
  const given: Both<string | undefined> = isBackup ? [names[1], names[0]] : names;
  const name = (side: 0 | 1, otherwise: string) =>
    plainName(given[side]) ?? plainName(old.routers[side].name) ?? plainName(views[side]) ?? otherwise;
  const first = name(0, 'fill-in-router-a');
  const second = name(1, 'fill-in-router-b');
  const both: Both<string> = [first, second === first ? `${second.slice(0, 28)}-b` : second];
  return [both, isBackup ? [hosts[1], hosts[0]] : hosts];
}

/** A name as the config has it: lower case, without its domain; undefined: it cannot be one. */
export function plainName(text: string | undefined): string | undefined {
  const name = text?.toLowerCase().split('.')[0];
  return name !== undefined && /^[a-z0-9][a-z0-9-]{0,30}$/.test(name) ? name : undefined;
}

function routersDraft([first, second]: Both<string>, ours: OldConfig, theirs: OldConfig | undefined): Draft {
  const priorities =
    ours.kind === 'keepalived.conf' ? [ours.routers[0].priority, theirs?.routers[0].priority] : [110, 100];
  const draft = (priority: number | undefined): Draft => (priority === undefined ? {} : { priority });
  return { [first]: draft(priorities[0]), [second]: draft(priorities[1]) };
}

function timeoutsDraft({ tcpTimeoutS, tcpFinTimeoutS, udpTimeoutS }: OldConfig, notes: NoteTaker): Draft | undefined {
  if ([tcpTimeoutS, tcpFinTimeoutS, udpTimeoutS].every(seconds => seconds === undefined)) return undefined;
  const text = (field: string, seconds: number | undefined, { min, max }: { min: number; max: number }) => {
    if (seconds === undefined) return undefined;
    const kept = Math.min(Math.max(seconds * 1_000, min), max);
    if (kept !== seconds * 1_000)
      notes.changed(
        undefined,
        `${field} ${seconds}s is out of Tandem's bounds: ${formatDuration(ms(kept))} is written`,
        ['ipvs', field],
      );
    return formatDuration(ms(kept));
  };
  return {
    tcp_timeout: text('tcp_timeout', tcpTimeoutS, TCP_TIMEOUT_MS),
    udp_timeout: text('udp_timeout', udpTimeoutS, UDP_TIMEOUT_MS),
    tcp_fin_timeout: text('tcp_fin_timeout', tcpFinTimeoutS, TCP_FIN_TIMEOUT_MS),
  };
}

function intro(
  { kind, file, peerFile }: ImportRequest,
  notes: readonly Note[],
  placeholders: readonly Placeholder[],
): string[] {
  const count = (effect: Note['effect']) => notes.filter(note => note.effect === effect).length;
  const peer = peerFile === undefined ? '' : ` ${peerFile.file}`;
  return [
    `Made by: tandem import ${kind} ${file.file}${peer}`,
    `${count('lost')} lost (not carried over), ${count('changed')} changed (carried over, and means something else), ${count('unneeded')} unneeded (nothing is missing without it). Each is a comment where it belongs, or here; secrets are masked.`,
    ...(placeholders.length === 0
      ? []
      : [
          `${placeholders.length} values are to be filled in, since the file does not say them: search for ${FILL_IN}, and fill-in in the names of routers.`,
        ]),
    'Then: tandem check FILE',
  ];
}
