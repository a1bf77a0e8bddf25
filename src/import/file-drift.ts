// Where the two routers' files differ although they should not: each directive that only one of
// them has, or that has other words there. Pure.
import type { Directive } from './directive.ts';
import { placeText } from './directive.ts';
import type { NoteTaker } from './note.ts';

/** What differs between two routers that are a good pair. */
const OWN = new Set([
  'router_id',
  'lvs_id',
  'state',
  'priority',
  'interface',
  'unicast_src_ip',
  'mcast_src_ip',
  'unicast_peer',
  'track_interface',
  'net_namespace',
  'notify',
]);

const DEPTH_MAX = 12;

/** Notes for every difference; the first file is the one that the new config is made of. */
export function driftNotes(
  first: readonly Directive[],
  second: readonly Directive[],
  notes: NoteTaker,
  depth = 0,
): void {
  if (depth > DEPTH_MAX) return;
  const theirs = grouped(second);
  for (const [key, ours] of grouped(first)) {
    const others = theirs.get(key) ?? [];
    theirs.delete(key);
    for (let index = 0; index < Math.max(ours.length, others.length); index++)
      compare(ours[index], others[index], notes, depth);
  }
  for (const rest of theirs.values()) for (const other of rest) compare(undefined, other, notes, depth);
}

/** Blocks are known by their head, lines by their word. */
function grouped(directives: readonly Directive[]): Map<string, Directive[]> {
  const groups = new Map<string, Directive[]>();
  for (const directive of directives) {
    if (OWN.has(directive.keyword)) continue;
    const { keyword, words, children } = directive;
    const key = children === undefined && keyword !== 'real' ? keyword : [keyword, ...words].join(' ');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [directive]);
    else group.push(directive);
  }
  return groups;
}

function compare(ours: Directive | undefined, other: Directive | undefined, notes: NoteTaker, depth: number): void {
  if (ours === undefined && other !== undefined) {
    notes.lost(other, "only the other router's file has it: the first file is what the config is made of");
  } else if (ours !== undefined && other === undefined) {
    notes.changed(ours, "the other router's file has it not: both have it now");
  } else if (ours !== undefined && other !== undefined) {
    if (ours.words.join('\n') !== other.words.join('\n'))
      notes.changed(
        ours,
        `the other router's file has something else (${placeText(other.place)} "${other.quote}"): the first file counts`,
      );
    driftNotes(ours.children ?? [], other.children ?? [], notes, depth + 1);
  }
}
