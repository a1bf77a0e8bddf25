// What keepalived does not read of a virtual_server in which a block stands that it does not know:
// it ignores the { and takes the } for the end of the block around it, so that each } from there on
// ends one block too many. Seen: keepalived 2.2.7. An import takes all of it, and tells. Pure.
import type { Directive } from './directive.ts';
import { CHECKS } from './keepalived-checks.ts';
import type { NoteTaker } from './note.ts';

const BLOCKS: ReadonlySet<string> = new Set([...CHECKS, 'real_server', 'url', 'host']);

/** Notes for what stands behind the first unknown block of a virtual_server. */
export function unreadNotes(block: Directive, notes: NoteTaker, path: readonly string[]): void {
  const unknown = firstUnknown(block);
  if (unknown === undefined) return;
  const why = `keepalived did not read this: the } of \`${unknown.quote}\`, which it does not know, ended the block around it; it is in the new config all the same`;
  for (const directive of behind(block, unknown)) notes.changed(directive, why, path);
}

function firstUnknown(block: Directive): Directive | undefined {
  for (const child of block.children ?? []) {
    if (child.children === undefined) continue;
    const found = BLOCKS.has(child.keyword) ? firstUnknown(child) : child;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Behind it in its own block, and in those around that one. */
function behind(block: Directive, unknown: Directive): readonly Directive[] {
  const children = block.children ?? [];
  const index = children.findIndex(child => child === unknown || holds(child, unknown));
  const own = children[index];
  if (own === undefined) return [];
  return [...(own === unknown ? [] : behind(own, unknown)), ...children.slice(index + 1)];
}

function holds(block: Directive, wanted: Directive): boolean {
  return (block.children ?? []).some(child => child === wanted || holds(child, wanted));
}
