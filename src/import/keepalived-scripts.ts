// The vrrp_scripts of a keepalived.conf that an instance or a group tracks. Pure. Source:
// vrrp_parser.c, vrrp_track.c and keepalived.conf.5 of keepalived.
import type { Directive } from './directive.ts';
import { SCRIPT_WORDS, saying } from './keepalived-words.ts';
import type { NoteTaker } from './note.ts';
import { decimal, fraction } from './numbers.ts';
import { Names, type OldFitness } from './old-config.ts';
import { RUNNER, scriptDraft } from './script-draft.ts';

const READ = new Set(['script', 'interval', 'timeout', 'rise', 'fall', 'weight']);
const INTERVAL_S = 1;

/** One check for each script that is tracked, however many track it. */
export function readTrackScripts(top: readonly Directive[], notes: NoteTaker): OldFitness[] {
  const tracks = new Map<string, Directive>();
  const scripts = new Map(
    top
      .filter(({ keyword }) => keyword === 'vrrp_script')
      .map(block => [block.words[0] ?? '', block] as const)
      .reverse(),
  );
  for (const line of top
    .filter(({ keyword }) => keyword === 'vrrp_instance' || keyword === 'vrrp_sync_group')
    .flatMap(({ children = [] }) => children)
    .filter(({ keyword }) => keyword === 'track_script')
    .flatMap(({ children = [] }) => children)) {
    const script = scripts.get(line.keyword);
    const reverse = script === undefined ? undefined : reverseAt(line, script);
    if (script === undefined) notes.lost(line, 'there is no vrrp_script of this name', ['fitness']);
    else if (reverse !== undefined)
      notes.lost(reverse, 'a script whose failure is good is not known to Tandem: write one that fails', ['fitness']);
    else if (!tracks.has(line.keyword)) tracks.set(line.keyword, line);
  }
  const names = new Names();
  const seen = new Set<string>();
  const isFirst = (block: Directive) => {
    const [name = ''] = block.words;
    if (seen.has(name)) notes.unneeded(block, 'a script of this name is there already, which counts', ['fitness']);
    return !seen.has(name) && seen.add(name);
  };
  return top
    .filter(({ keyword }) => keyword === 'vrrp_script')
    .filter(isFirst)
    .flatMap(block => readScript(block, tracks.get(block.words[0] ?? ''), names, notes));
}

/** The line that makes a failure good; a track line comes before its script. */
function reverseAt(track: Directive, { children = [] }: Directive): Directive | undefined {
  if (track.words.includes('weight')) return track.words.includes('reverse') ? track : undefined;
  const weight = children.findLast(({ keyword }) => keyword === 'weight');
  return weight?.words.includes('reverse') ? weight : undefined;
}

function readScript(block: Directive, track: Directive | undefined, names: Names, notes: NoteTaker): OldFitness[] {
  if (track === undefined) {
    notes.unneeded(block, 'nothing tracks this script, so it judged nothing', ['fitness']);
    return [];
  }
  const children = block.children ?? [];
  const last = (word: string) => children.findLast(({ keyword }) => keyword === word);
  const name = names.take(block.words[0] ?? '', 'script');
  const path = ['fitness', 'checks', name];
  const script = scriptDraft(last('script')?.words ?? [], `/etc/tandem/checks/${name}`);
  if (script === undefined) {
    notes.lost(last('script') ?? block, 'it names no program: it is left out', ['fitness']);
    return [];
  }
  for (const child of children) if (!READ.has(child.keyword)) saying(child, SCRIPT_WORDS, notes, path);
  notes.changed(last('script'), RUNNER, path);
  const own = track.words[track.words.indexOf('weight') + 1];
  const weight = track.words.includes('weight') ? own : last('weight')?.words[0];
  notes.changed(
    last('weight') ?? block,
    weight === undefined || weight === '0'
      ? 'a failure put the instance into the state FAULT; in Tandem it is no veto: the VIPs go to a peer that is like this router in all else and where fewer checks fail'
      : 'its weight was added to the priority; in Tandem all checks count alike: the VIPs go to a peer that is like this router in all else and where fewer fail',
    path,
  );
  const intervalS = fraction(last('interval')?.words[0]) || INTERVAL_S;
  return [
    {
      name,
      at: block,
      script,
      intervalS,
      timeoutS: fraction(last('timeout')?.words[0]) || intervalS,
      rise: decimal(last('rise')?.words[0]) ?? 1,
      fall: decimal(last('fall')?.words[0]) ?? 1,
    },
  ];
}
