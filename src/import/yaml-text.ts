// Writes the new config as YAML, with each note as a comment next to what it is about, and the rest
// of them at the top. Pure; by the `yaml` library.
import { Document, isMap, isScalar, isSeq, type Pair, type YAMLMap } from 'yaml';
import { withoutControls } from './controls.ts';
import { placeText } from './directive.ts';
import type { Note, NoteEffect } from './note.ts';

const WIDTH = 116;
const EFFECTS: readonly NoteEffect[] = ['lost', 'changed', 'unneeded'];

/** The text of a config; `intro` are the lines above it. */
export function configYaml(config: unknown, notes: readonly Note[], intro: readonly string[]): string {
  const doc = new Document(config);
  const shorten = shortNames(notes);
  const placed = new Map<Pair, Note[]>();
  const top: Note[] = [];
  for (const note of notes) {
    const pair = pairAt(doc, note.path);
    if (pair === undefined) top.push(note);
    else placed.set(pair, [...(placed.get(pair) ?? []), note]);
  }
  for (const [pair, list] of placed) {
    const key = pair.key as { commentBefore?: string };
    key.commentBefore = commentLines(list, shorten).join('\n');
  }
  flowLists(doc.contents);
  const head = [...intro.flatMap(line => (line === '' ? [''] : folded(line, ' '))), '', ...commentLines(top, shorten)];
  return `${head.map(line => (line === '' ? '#' : `#${line}`)).join('\n')}\n\n${doc.toString({ lineWidth: 0, commentString: text => text.replace(/^/gm, '#') })}`;
}

/** A file by its last name, unless two have the same. */
function shortNames(notes: readonly Note[]): (file: string) => string {
  const files = [...new Set(notes.flatMap(({ place }) => (place === undefined ? [] : [place.file])))];
  const lastName = (file: string) => file.slice(file.lastIndexOf('/') + 1);
  const names = files.map(lastName);
  return file => (names.filter(name => name === lastName(file)).length === 1 ? lastName(file) : file);
}

/** The innermost key on the way that is there. */
function pairAt(doc: Document, path: readonly string[]): Pair | undefined {
  let node: unknown = doc.contents;
  let found: Pair | undefined;
  for (const step of path) {
    if (!isMap(node)) break;
    const pair = (node as YAMLMap).items.find(item => isScalar(item.key) && item.key.value === step);
    if (pair === undefined) break;
    found = pair;
    node = pair.value;
  }
  return found;
}

/** Lists of plain values stand on one line. */
function flowLists(node: unknown): void {
  if (isSeq(node)) node.flow = node.items.every(item => isScalar(item) && String(item.value).length < 40);
  if (isMap(node)) for (const { value } of node.items) flowLists(value);
}

/** Notes that say the same of several lines are one comment. */
function commentLines(notes: readonly Note[], shorten: (file: string) => string): string[] {
  const lines: string[] = [];
  for (const effect of EFFECTS) {
    const groups = new Map<string, Note[]>();
    for (const note of notes.filter(other => other.effect === effect)) {
      const key = `${note.why}\n${note.quote}`;
      groups.set(key, [...(groups.get(key) ?? []), note]);
    }
    for (const group of groups.values()) lines.push(...folded(noteText(group, shorten), ' '));
  }
  return lines;
}

function noteText(group: readonly Note[], shorten: (file: string) => string): string {
  const [first] = group;
  if (first === undefined) return '';
  const places = [
    ...new Set(
      group.flatMap(({ place }) => (place === undefined ? [] : [placeText({ ...place, file: shorten(place.file) })])),
    ),
  ];
  const shown = places.length > 6 ? [...places.slice(0, 5), `${places.length - 5} more`] : places;
  const where = shown.length === 0 ? '' : ` ${shown.join(', ')}:`;
  const quote = first.quote === '' ? '' : ` \`${first.quote}\`:`;
  return `${first.effect}:${where}${quote} ${first.why}`;
}

/** Lines of at most WIDTH columns; those after the first are indented. */
function folded(text: string, margin: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of withoutControls(text).split(' ')) {
    if (line !== '' && line.length + word.length + 1 > WIDTH) {
      lines.push(`${margin}${line}`);
      line = `  ${word}`;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, `${margin}${line}`];
}
