// A disk that loses power: the calls that pulse's state file makes are recorded, and every state a
// real disk may be left in after any of them can be laid out in a real directory. As POSIX allows:
// what was not fsync'ed of a file may be there, cut, or zeros; of the changes of a directory since
// its fsync, any subset may have happened.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Disk } from '../../src/pulse/io/state-file.ts';

type Call =
  | { readonly type: 'mkdir' | 'create' | 'sync'; readonly path: string }
  | { readonly type: 'write'; readonly path: string; readonly text: string }
  | { readonly type: 'rename'; readonly from: string; readonly to: string };

/** What may be left of a file whose bytes were not fsync'ed. */
const TORN = ['nothing', 'half', 'all', 'zeros'] as const;
type Torn = (typeof TORN)[number];
const DIRECTORY_CHANGES_MAX = 8;

/** A disk that only writes down what is asked of it. `existing`: directories that are there. */
export function recordingDisk(existing: string): { readonly disk: Disk; readonly calls: Call[] } {
  const calls: Call[] = [];
  const made = new Set([existing]);
  const mkdir = async (path: string) => {
    const missing: string[] = [];
    for (let at = path; !made.has(at); at = dirname(at)) missing.unshift(at);
    for (const directory of missing) {
      made.add(directory);
      calls.push({ type: 'mkdir', path: directory });
    }
    return missing[0];
  };
  const open = async (path: string, flags: string) => {
    if (flags === 'w') calls.push({ type: 'create', path });
    return {
      writeFile: async (text: string) => void calls.push({ type: 'write', path, text }),
      sync: async () => void calls.push({ type: 'sync', path }),
      close: async () => {},
    };
  };
  const rename = async (from: string, to: string) => void calls.push({ type: 'rename', from, to });
  return { disk: { mkdir, open, rename } as unknown as Disk, calls };
}

interface Inode {
  synced: string | undefined;
  text: string;
}

type Change = { readonly directory: string; readonly apply: (names: Map<string, Inode | 'directory'>) => void };

interface Volatile {
  /** Names as they are on disk for sure. */
  readonly names: Map<string, Inode | 'directory'>;
  /** Changes of names that no fsync has confirmed. */
  readonly pending: readonly Change[];
}

/** The disk after the first `count` calls. */
function after(calls: readonly Call[], count: number): Volatile {
  const names = new Map<string, Inode | 'directory'>();
  const seen = new Map<string, Inode>();
  let pending: Change[] = [];
  for (const call of calls.slice(0, count)) {
    if (call.type === 'mkdir') {
      pending.push({ directory: dirname(call.path), apply: n => n.set(call.path, 'directory') });
    } else if (call.type === 'create') {
      const inode: Inode = { synced: undefined, text: '' };
      seen.set(call.path, inode);
      pending.push({ directory: dirname(call.path), apply: n => n.set(call.path, inode) });
    } else if (call.type === 'write') {
      (seen.get(call.path) as Inode).text = call.text;
    } else if (call.type === 'rename') {
      const inode = seen.get(call.from) as Inode;
      seen.delete(call.from);
      seen.set(call.to, inode);
      pending.push({
        directory: dirname(call.to),
        apply: n => {
          n.delete(call.from);
          n.set(call.to, inode);
        },
      });
    } else if (seen.has(call.path)) {
      const inode = seen.get(call.path) as Inode;
      inode.synced = inode.text;
    } else {
      for (const change of pending.filter(each => each.directory === call.path)) change.apply(names);
      pending = pending.filter(each => each.directory !== call.path);
    }
  }
  return { names, pending };
}

function left(inode: Inode, torn: Torn): string {
  if (inode.synced === inode.text) return inode.text;
  const { text } = inode;
  return { nothing: '', half: text.slice(0, text.length / 2), all: text, zeros: '\0'.repeat(text.length) }[torn];
}

/**
 * Lays out below `root` every state that a power loss after the first `count` calls may leave, one
 * after the other, and calls `look` for each. Paths of the calls begin with `base`. Returns how
 * many there were.
 */
export function everyOutcome(
  calls: readonly Call[],
  count: number,
  { base, root, look }: { readonly base: string; readonly root: string; readonly look: () => void },
): number {
  const { names, pending } = after(calls, count);
  if (pending.length > DIRECTORY_CHANGES_MAX) throw new Error(`${pending.length} unconfirmed changes are too many`);
  let outcomes = 0;
  for (let subset = 0; subset < 1 << pending.length; subset++) {
    const there = new Map(names);
    for (const [i, change] of pending.entries()) if (subset & (1 << i)) change.apply(there);
    for (const torn of TORN) {
      rmSync(root, { recursive: true, force: true });
      mkdirSync(root, { recursive: true });
      for (const [path, what] of there) {
        // A name in a directory that is lost is lost with it.
        if (!reachable(path, there, base)) continue;
        const place = join(root, path.slice(base.length));
        if (what === 'directory') mkdirSync(place, { recursive: true });
        else writeFileSync(place, left(what, torn));
      }
      look();
      outcomes += 1;
    }
  }
  return outcomes;
}

function reachable(path: string, there: ReadonlyMap<string, unknown>, base: string): boolean {
  for (let at = dirname(path); at !== base; at = dirname(at)) if (!there.has(at)) return false;
  return true;
}
