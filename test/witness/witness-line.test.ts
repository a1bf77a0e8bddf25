// The lines between pulse and the witness process: what is written is read back; what is cut, mixed up or hostile is no line.
import test from 'ava';
import type { At } from '../../src/units/duration.ts';
import { failed } from '../../src/witness/script.ts';
import type { WitnessAnswer, WitnessAsk } from '../../src/witness/witness.ts';
import {
  answerText,
  askText,
  parseAnswer,
  parseAsk,
  parseSetup,
  setupText,
  WITNESS_LINE_BYTES_MAX,
  type WitnessSetup,
} from '../../src/witness/witness-line.ts';
import { redisConfig } from '../sync/store/entries.ts';
import { epoch, KEY } from './asker.ts';

const SETUP: WitnessSetup = { redis: redisConfig({}), key: KEY, nodeId: 2, leaseMs: 1_000, timeoutMs: 250 };
const ASK: WitnessAsk = { seq: 7, verb: 'claim', epoch: epoch(500_000_000_000, 2), at: 123.456 as At };
const GRANTED: WitnessAnswer = {
  seq: 7,
  verdict: 'granted',
  record: { nodeId: 2, epoch: ASK.epoch, remainingMs: 1_000 },
  problem: '',
};

test('what is written is read back', t => {
  t.deepEqual(parseSetup(setupText(SETUP)), SETUP);
  t.deepEqual(parseAsk(askText(ASK)), ASK);
  t.deepEqual(parseAnswer(answerText(GRANTED)), GRANTED);
  t.deepEqual(parseAnswer(answerText({ ...GRANTED, verdict: 'empty', record: undefined }))?.record, undefined);
});

test('the longest setup that the config allows fits into a line', t => {
  const path = `/${'p'.repeat(999)}`;
  const tls = { ca_file: path, cert_file: path, key_file: path, server_name: 's'.repeat(253) };
  const sentinels = Array.from({ length: 16 }, () => ({ host: 'h'.repeat(253), port: 65_535 }));
  const files = { password_file: path, sentinel_password_file: path, username: 'u'.repeat(128) };
  const redis = redisConfig({ sentinels, master: 'm'.repeat(128), tls, ...files });
  t.true(Buffer.byteLength(setupText({ ...SETUP, redis })) < WITNESS_LINE_BYTES_MAX / 2);
});

test('a problem is cut to a length that the other side takes', t => {
  const told = parseAnswer(answerText(failed(1, 'x'.repeat(100_000))));
  t.is(told?.problem.length, 600);
});

test('failed carries no record, whatever the line says', t => {
  t.is(parseAnswer(JSON.stringify({ ...GRANTED, verdict: 'failed', problem: 'x' }))?.record, undefined);
});

const BROKEN = ['', '{', 'null', '[]', '7', '"x"', '{}', '\u0000', '{"__proto__":{"seq":1}}', '['.repeat(5_000)];

for (const [name, parse, sound] of [
  ['setup', parseSetup, setupText(SETUP)],
  ['ask', parseAsk, askText(ASK)],
  ['answer', parseAnswer, answerText(GRANTED)],
] as const) {
  test(`no ${name}: broken lines, cut lines, and each field missing or of another type`, t => {
    for (const line of BROKEN) t.is(parse(line), undefined, line.slice(0, 40));
    for (let length = 0; length < sound.length; length++) t.is(parse(sound.slice(0, length)), undefined);
    const fields = JSON.parse(sound) as Record<string, unknown>;
    for (const field of Object.keys(fields).filter(key => key !== 'record')) {
      for (const value of [undefined, null, 'x', -1.5, [], {}]) {
        // A problem may be any text; a config is checked in pulse; a moment may be any number.
        if (field === 'problem' && value === 'x') continue;
        if (field === 'key' && value === 'x') continue;
        if (field === 'redis' && (Array.isArray(value) || typeof value === 'object') && value !== null) continue;
        if (field === 'at' && value === -1.5) continue;
        t.is(parse(JSON.stringify({ ...fields, [field]: value })), undefined, `${field} ${JSON.stringify(value)}`);
      }
    }
  });
}
