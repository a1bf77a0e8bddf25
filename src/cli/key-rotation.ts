// How the pair goes from one key to another without a gap, step by step: what a router may do now,
// and what is to be done next, where. At every moment each of the two accepts the key that the
// other signs with. Pure.
import type { SecondKey } from '../config/io/key.ts';
import { areSameKeys, type KeyIds, whyNotKeys } from '../config/key-id.ts';

export const ROTATION_STEPS = ['start', 'next', 'abort'] as const;
export type RotationStep = (typeof ROTATION_STEPS)[number];

export interface KeyStand {
  readonly node: string;
  readonly peerNode: string;
  readonly file: string;
  readonly inFile: KeyIds & { readonly second: SecondKey | undefined };
  /** What pulse uses here. */
  readonly inUse: KeyIds;
  /** What the peer has shown; undefined: it is not heard. */
  readonly peer: KeyIds | undefined;
}

/**
 * add: a new key comes second; read: what the file says; swap: the next key signs; drop: the old
 * one goes; forget: the next one goes.
 */
type KeyMove = 'add' | 'read' | 'swap' | 'drop' | 'forget';

type Judged =
  | { readonly ok: true; readonly move: KeyMove }
  | { readonly ok: false; readonly why: string; readonly todo: string };

export function judgeRotation(stand: KeyStand, step: RotationStep): Judged {
  const move = moveOf(stand, step);
  if (typeof move !== 'string') return { ok: false, todo: adviceOf(stand), ...move };
  const target = targetOf(stand, move);
  const why =
    target === undefined || isWider(target, stand.inUse)
      ? undefined
      : stand.peer === undefined
        ? `${stand.peerNode} is not heard: nobody can say which keys it accepts`
        : whyNotKeys(target, stand.peer, stand.peerNode);
  if (why === undefined) return { ok: true, move };
  const todo = stand.peer === undefined ? `start tandem-pulse on ${stand.peerNode}, then again` : adviceOf(stand);
  return { ok: false, why, todo };
}

function moveOf(stand: KeyStand, step: RotationStep): KeyMove | { readonly why: string } {
  const { inFile, inUse, file, node } = stand;
  const [, second] = inFile.accepts;
  if (step === 'start') {
    if (second !== undefined) return { why: `${file} has two keys: a rotation is under way` };
    if (!areSameKeys(inFile, inUse)) return { why: `pulse on ${node} uses another key than ${file} has` };
    const other = stand.peer?.accepts.find(id => id !== inFile.signs);
    return other === undefined ? 'add' : { why: `${stand.peerNode} accepts another key besides, ${other}` };
  }
  if (step === 'next' && !areSameKeys(inFile, inUse)) return 'read';
  if (second === undefined) return { why: `${file} has one key: no rotation is under way here` };
  if (inFile.second === undefined)
    return { why: `${file} does not say what its second key is: write "# next:" or "# old:" into the line above it` };
  if (step === 'next') return inFile.second === 'next' ? 'swap' : 'drop';
  return inFile.second === 'next' ? 'forget' : { why: `${node} signs with the new key already: going on is safe` };
}

/** The keys after a move; undefined: the present ones and a new one. */
function targetOf({ inFile }: KeyStand, move: KeyMove): KeyIds | undefined {
  const [first = '', second = ''] = inFile.accepts;
  if (move === 'add') return undefined;
  if (move === 'read') return inFile;
  return move === 'swap' ? { signs: second, accepts: [second, first] } : { signs: first, accepts: [first] };
}

const isWider = (next: KeyIds, now: KeyIds) =>
  next.signs === now.signs && now.accepts.every(id => next.accepts.includes(id));

/** What to do next, and where; a sentence. */
export function adviceOf({ node, peerNode, file, inFile, inUse, peer }: KeyStand): string {
  const here = `on ${node}: tandem rotate-key next`;
  const there = `on ${peerNode}: tandem rotate-key next`;
  const copy = (from: string, to: string) =>
    `on ${from}: scp -p ${file} ${to}:${file}, then on ${to}: tandem rotate-key next`;
  const [, second] = inFile.accepts;
  if (!areSameKeys(inFile, inUse)) return `${here} (pulse there has not taken ${file} yet)`;
  if (peer === undefined) return `${peerNode} is not heard: start tandem-pulse there`;
  if (second === undefined) {
    if (peer.accepts.length === 1) return 'nothing: both use one key. tandem rotate-key start begins with a new one';
    return `${peerNode} accepts a second key. Is it the old one, ${there}. Is it a new one, ${copy(peerNode, node)}`;
  }
  if (inFile.second === undefined) return `write "# next:" or "# old:" above the second key of ${file}`;
  if (inFile.second === 'next') return peer.accepts.includes(second) ? here : copy(node, peerNode);
  return peer.signs === inUse.signs ? here : there;
}
