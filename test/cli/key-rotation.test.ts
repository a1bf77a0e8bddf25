// The change of the pair's key, step by step: all orders in which two people may do it, and what is refused.
import test from 'ava';
import { adviceOf, judgeRotation, type KeyStand, type RotationStep } from '../../src/cli/key-rotation.ts';

/** A router: its file, and what its pulse uses. */
interface Side {
  readonly file: readonly string[];
  readonly second: 'next' | 'old' | undefined;
  readonly inUse: readonly string[];
}
type Pair = readonly [Side, Side];

const ids = (accepts: readonly string[]) => ({ signs: accepts[0] as string, accepts });

function standAt(pair: Pair, at: 0 | 1): KeyStand {
  const [own, peer] = [pair[at], pair[1 - at] as Side];
  const inFile = { ...ids(own.file), second: own.second };
  const [node, peerNode] = at === 0 ? ['a', 'b'] : ['b', 'a'];
  return {
    node: node as string,
    peerNode: peerNode as string,
    file: '/k',
    inFile,
    inUse: ids(own.inUse),
    peer: ids(peer.inUse),
  };
}

function stepped(side: Side, move: string, made: string): Side {
  const [first = '', second = ''] = side.file;
  const file =
    move === 'add' ? [first, made] : move === 'swap' ? [second, first] : move === 'read' ? side.file : [first];
  const mark = move === 'add' ? 'next' : move === 'swap' ? 'old' : move === 'read' ? side.second : undefined;
  return { file, second: mark, inUse: file };
}

const BEGIN: Side = { file: ['k0'], second: undefined, inUse: ['k0'] };
/** A step on one side, or its file copied to the other, or its pulse restarted. */
type Deed = readonly [0 | 1, RotationStep | 'copy' | 'restart'];
const DEEDS: readonly Deed[] = ([0, 1] as const).flatMap(at =>
  (['start', 'next', 'abort', 'copy', 'restart'] as const).map(what => [at, what] as const),
);

function done(pair: Pair, [at, what]: Deed, made: string): Pair {
  const [own, peer] = [pair[at], pair[1 - at] as Side];
  const both = (mine: Side, theirs: Side): Pair => (at === 0 ? [mine, theirs] : [theirs, mine]);
  if (what === 'copy') return both(own, { ...peer, file: own.file, second: own.second });
  if (what === 'restart') return both({ ...own, inUse: own.file }, peer);
  const judged = judgeRotation(standAt(pair, at), what);
  return judged.ok ? both(stepped(own, judged.move, made), peer) : pair;
}

const understand = ([a, b]: Pair) => a.inUse.includes(b.inUse[0] as string) && b.inUse.includes(a.inUse[0] as string);

test('in whatever order it is done, each router accepts what the other signs with', t => {
  let pairs = new Map<string, Pair>([['', [BEGIN, BEGIN]]]);
  const seen = new Set<string>();
  // Copying back a file of an earlier stage, and a restart with a file that no step has judged, are
  // beyond what a command can refuse: the paths below have neither.
  const isOrderly = ([at, what]: Deed, pair: Pair) => {
    const [own, peer] = [pair[at], pair[1 - at] as Side];
    if (what === 'restart') return own.file.join() === own.inUse.join();
    return what !== 'copy' || (own.second === 'next' && peer.second === undefined && own.file[0] === peer.file[0]);
  };
  for (let depth = 0; depth < 12 && pairs.size > 0; depth++) {
    const next = new Map<string, Pair>();
    for (const pair of pairs.values())
      for (const deed of DEEDS.filter(one => isOrderly(one, pair))) {
        const after = done(pair, deed, pair[0].file.includes('k1') || pair[1].file.includes('k1') ? 'k2' : 'k1');
        t.true(understand(after), JSON.stringify([pair, deed, after]));
        const id = JSON.stringify(after);
        if (!seen.has(id)) next.set(id, after);
        seen.add(id);
      }
    pairs = next;
  }
  t.true(seen.size > 20, `${seen.size} states`);
  t.true(
    [...seen].some(
      id =>
        id ===
        JSON.stringify([
          { ...BEGIN, file: ['k1'], inUse: ['k1'] },
          { ...BEGIN, file: ['k1'], inUse: ['k1'] },
        ]),
    ),
    'it comes to an end',
  );
});

test('who follows the advice comes to the end, and is told so', t => {
  let pair: Pair = [BEGIN, BEGIN];
  const told: string[] = [];
  pair = done(pair, [0, 'start'], 'k1');
  for (let i = 0; i < 10; i++) {
    const advice = adviceOf(standAt(pair, 0));
    told.push(advice);
    if (advice.startsWith('nothing')) break;
    if (advice.startsWith('on a: scp')) pair = done(pair, [0, 'copy'], '');
    const there = advice.includes('on b: tandem') || advice.includes('then on b');
    pair = done(pair, [there ? 1 : 0, 'next'], '');
  }
  t.deepEqual(told, [
    'on a: scp -p /k b:/k, then on b: tandem rotate-key next',
    'on a: tandem rotate-key next',
    'on b: tandem rotate-key next',
    'on a: tandem rotate-key next',
    'b accepts a second key. Is it the old one, on b: tandem rotate-key next. Is it a new one, on b: scp -p /k a:/k, then on a: tandem rotate-key next',
    'nothing: both use one key. tandem rotate-key start begins with a new one',
  ]);
  t.deepEqual(pair[0], { file: ['k1'], second: undefined, inUse: ['k1'] });
});

const STARTED: Side = { file: ['k0', 'k1'], second: 'next', inUse: ['k0', 'k1'] };
const refused = (stand: KeyStand, step: RotationStep): string => {
  const judged = judgeRotation(stand, step);
  return judged.ok ? '' : `${judged.why}; ${judged.todo}`;
};

test('refused, with what to do: the peer has not got the key, is not heard, or has begun itself', t => {
  const alone = standAt([STARTED, BEGIN], 0);
  t.regex(refused(alone, 'next'), /b has not said that it accepts key k1, .*; on a: scp -p/);
  t.regex(refused({ ...alone, peer: undefined }, 'next'), /b is not heard.*; start tandem-pulse on b/);
  t.regex(refused(alone, 'start'), /two keys/);
  t.is(refused(alone, 'abort'), '');
  t.regex(refused(standAt([BEGIN, STARTED], 0), 'start'), /b accepts another key besides, k1; .*scp -p/);
  t.regex(refused(standAt([BEGIN, BEGIN], 0), 'next'), /no rotation is under way/);
  const swapped: Side = { file: ['k1', 'k0'], second: 'old', inUse: ['k1', 'k0'] };
  t.regex(refused(standAt([swapped, STARTED], 0), 'next'), /b still signs with key k0.*on b: tandem rotate-key next/);
  t.regex(refused(standAt([swapped, STARTED], 0), 'abort'), /signs with the new key already/);
  const unsaid: Side = { ...STARTED, second: undefined };
  t.regex(refused(standAt([unsaid, STARTED], 0), 'next'), /does not say what its second key is/);
  const foreign: Side = { file: ['k9'], second: undefined, inUse: ['k0'] };
  t.regex(refused(standAt([foreign, BEGIN], 0), 'next'), /b has not said that it accepts key k9/);
  t.regex(refused(standAt([foreign, BEGIN], 0), 'start'), /uses another key/);
});
