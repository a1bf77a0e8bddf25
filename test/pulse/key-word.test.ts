// What a router says of its keys while they are changed, and what is believed of it.
import test from 'ava';
import { keyId, whyNotKeys } from '../../src/config/key-id.ts';
import { decode, pairIdOf } from '../../src/pulse/heartbeat.ts';
import {
  encodeKeyWord,
  hearKeyWord,
  hearSigned,
  type KeyWord,
  keysOfPeer,
  NO_PEER_KEYS,
  readKeyWord,
} from '../../src/pulse/key-word.ts';
import type { At } from '../../src/units/duration.ts';

const PAIR = pairIdOf('test');
const [OLD, NEW] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const LIFE = '00000000000000aa';
const WORD: KeyWord = {
  nodeId: 2,
  bootId: LIFE,
  peerBootId: '00000000000000bb',
  seq: 7,
  accepts: [keyId(OLD), keyId(NEW)],
};

test('a word is read as it was written, under any key that is accepted', t => {
  for (const accepts of [WORD.accepts, [keyId(NEW)]]) {
    const word = { ...WORD, accepts };
    t.deepEqual(readKeyWord(encodeKeyWord(word, PAIR, NEW), PAIR, [OLD, NEW]), word);
  }
});

test('what was changed, cut, or signed by a stranger is no word', t => {
  const good = encodeKeyWord(WORD, PAIR, OLD);
  t.is(readKeyWord(good, PAIR, [NEW]), undefined);
  t.is(readKeyWord(good, pairIdOf('other'), [OLD]), undefined);
  for (let at = 0; at < good.length; at++) {
    const changed = Buffer.from(good);
    changed[at] = (changed[at] as number) ^ 1;
    t.is(readKeyWord(changed, PAIR, [OLD]), undefined, `byte ${at}`);
    t.is(readKeyWord(good.subarray(0, at), PAIR, [OLD]), undefined, `${at} bytes`);
  }
  t.is(readKeyWord(Buffer.concat([good, good]), PAIR, [OLD]), undefined);
});

test('a version that does not know it refuses it, and takes nothing from it', t => {
  t.deepEqual(decode(encodeKeyWord(WORD, PAIR, OLD), PAIR, [OLD]), { ok: false, refusal: 'malformed' });
});

test('the newest heartbeat says which key signs, and a slower link does not turn it back', t => {
  let known = hearSigned(NO_PEER_KEYS, LIFE, 5, 'old');
  known = hearSigned(known, LIFE, 7, 'new');
  known = hearSigned(known, LIFE, 6, 'old');
  t.deepEqual(keysOfPeer(known, 0 as At), { signs: 'new', accepts: ['new'] });
  known = hearSigned(known, '00000000000000cc', 1, 'old');
  t.deepEqual(keysOfPeer(known, 0 as At), { signs: 'old', accepts: ['old'] }, 'a new life begins anew');
});

test('a word counts for some seconds, in order, and of the present life only', t => {
  const signs = hearSigned(NO_PEER_KEYS, LIFE, 1, 'a');
  const said = (seq: number, ...accepts: string[]) => ({ ...WORD, seq, accepts });
  const known = hearKeyWord(signs, said(2, 'a', 'b'), LIFE, 1_000 as At);
  t.deepEqual(keysOfPeer(known, 6_000 as At)?.accepts, ['a', 'b']);
  t.deepEqual(keysOfPeer(known, 6_001 as At)?.accepts, ['a'], 'too old');
  const later = hearKeyWord(known, said(3, 'a'), LIFE, 1_100 as At);
  t.deepEqual(
    keysOfPeer(hearKeyWord(later, said(2, 'a', 'b'), LIFE, 1_200 as At), 1_200 as At)?.accepts,
    ['a'],
    'replayed',
  );
  t.is(hearKeyWord(known, { ...said(9, 'c'), bootId: '00000000000000cc' }, LIFE, 1_200 as At), known);
  t.is(keysOfPeer(NO_PEER_KEYS, 0 as At), undefined);
});

test('keys are refused that would not be understood, there or here', t => {
  const peer = { signs: 'a', accepts: ['a'] };
  t.is(whyNotKeys({ signs: 'a', accepts: ['a', 'b'] }, peer, 'r2'), undefined);
  t.regex(whyNotKeys({ signs: 'b', accepts: ['b', 'a'] }, peer, 'r2') ?? '', /r2 has not said that it accepts key b/);
  t.is(whyNotKeys({ signs: 'b', accepts: ['b', 'a'] }, { signs: 'a', accepts: ['a', 'b'] }, 'r2'), undefined);
  t.regex(
    whyNotKeys({ signs: 'b', accepts: ['b'] }, { signs: 'a', accepts: ['a', 'b'] }, 'r2') ?? '',
    /r2 still signs with key a/,
  );
  t.is(whyNotKeys({ signs: 'c', accepts: ['c'] }, undefined, 'r2'), undefined, 'nothing to lose');
});
