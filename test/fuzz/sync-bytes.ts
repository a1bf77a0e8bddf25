// Damages good input of every reader that stands between a network or another program and the kernel, and looks at what comes out.
// `node dist/test/fuzz/sync-bytes.js [SECONDS [SEED]]` goes on for that long; a failure names its seed, and that seed replays it.
import { pathToFileURL } from 'node:url';
import { createFlowParser } from '../../src/sync/kernel/conntrack-events.ts';
import { createTableParser } from '../../src/sync/kernel/proc-table.ts';
import { decodeMessage, encodeMessages, usable } from '../../src/sync/kernel/wire.ts';
import { framed, frameReader } from '../../src/sync/link/length-prefix.ts';
import { addressOfRaw, type Entry, FLAG, TCP_STATES } from '../../src/sync/table/entry.ts';
import { Random } from '../sim/random.ts';
import { CONNECTION, CONNECTION6, scope, TEMPLATE, TEMPLATE6 } from '../sync/samples.ts';

const OURS = scope();
/** Far above what a round takes on a slow machine, far below what a quadratic reader would. */
const ROUND_MS_MAX = 2_000;

function anEntry(random: Random): Entry {
  const sample = [CONNECTION, CONNECTION6, TEMPLATE, TEMPLATE6][random.below(4)] as Entry;
  if ((sample.flags & FLAG.template) !== 0)
    return { ...sample, timeoutS: 1 + random.below(400), state: random.below(2) };
  const state = random.below(TCP_STATES.length);
  const flags = state === 1 ? 0 : FLAG.inactive;
  return { ...sample, clientPort: 1 + random.below(65_535), state, flags, timeoutS: 1 + random.below(7_200) };
}

const entries = (random: Random) => Array.from({ length: 1 + random.below(60) }, () => anEntry(random));

function tableLine(entry: Entry): string {
  const port = (number: number) => number.toString(16).toUpperCase().padStart(4, '0');
  const address = (raw: string) => (raw.length === 8 ? raw.toUpperCase() : (raw.match(/.{4}/g) ?? []).join(':'));
  const state = entry.protocol === 0 ? ['NONE', 'ASSURED'][entry.state] : TCP_STATES[entry.state];
  const ends = [
    [entry.client, entry.clientPort],
    [entry.virtual, entry.virtualPort],
    [entry.server, entry.serverPort],
  ].map(([raw, number]) => `${address(raw as string)} ${port(number as number)}`);
  return `${entry.protocol === 0 ? 'IP ' : 'TCP'} ${ends.join(' ')} ${state} ${entry.timeoutS}`;
}

function flowLine({ client, clientPort, server, virtual, mark }: Entry): string {
  const [from, to] = [addressOfRaw(server), addressOfRaw(client)];
  const vip = addressOfRaw(OURS.ofMark(mark)?.vip ?? virtual);
  const reply = `src=${to} dst=${vip} sport=${clientPort || 1} dport=20`;
  return ` [UPDATE] tcp 6 432000 ESTABLISHED src=${from} dst=${to} sport=20 dport=${clientPort || 1} ${reply} [ASSURED] id=7`;
}

/** Flips, overwrites, cuts, repeats and moves bytes; the values are those that lengths and counts break at. */
function damage(bytes: Buffer, random: Random): Buffer {
  let damaged = Buffer.from(bytes);
  for (let i = random.below(6); i > 0 && damaged.length > 4; i--) {
    const at = random.below(damaged.length);
    const some = random.below(40);
    switch (random.below(6)) {
      case 0:
        damaged[at] = (damaged[at] ?? 0) ^ (1 << random.below(8));
        break;
      case 1:
        damaged[at] = [0, 1, 0x0a, 0x20, 0x24, 0x48, 0x7f, 0x80, 0xff][random.below(9)] as number;
        break;
      case 2:
        damaged.writeUInt16BE(random.below(0x10000), Math.min(at, damaged.length - 2));
        break;
      case 3:
        damaged = damaged.subarray(0, at);
        break;
      case 4:
        damaged = Buffer.concat([damaged.subarray(0, at), damaged.subarray(Math.max(0, at - some))]);
        break;
      case 5:
        damaged = Buffer.concat([damaged.subarray(0, at), damaged.subarray(Math.min(damaged.length, at + some))]);
        break;
    }
  }
  return damaged;
}

function pieces(bytes: Buffer, random: Random): Buffer[] {
  const result: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + random.below(random.below(2) === 0 ? 8 : 4_000);
    result.push(bytes.subarray(at, at + length));
    at += length;
  }
  return result;
}

function insist(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

/** One round with every reader. Throws when something came out that must not. */
export function fuzzRound(seed: number): void {
  const random = new Random(seed);
  const start = performance.now();
  fuzzMessages(random);
  fuzzText(random);
  fuzzFrames(random);
  insist(performance.now() - start < ROUND_MS_MAX, `a round took ${performance.now() - start} ms`);
}

function fuzzMessages(random: Random): void {
  for (const message of encodeMessages(entries(random), random.below(256), 100 + random.below(3_000))) {
    const bytes = damage(message, random);
    // Every other one says its true length again, or hardly any would be read further.
    if (random.below(2) === 0 && bytes.length >= 4) bytes.writeUInt16BE(bytes.length, 2);
    const result = decodeMessage(bytes);
    if (!result.ok) continue;
    insist(result.entries.every(usable), 'an entry that no kernel may be given was read');
    const again = encodeMessages(result.entries, result.syncId, 65_535).map(decodeMessage);
    const read = again.flatMap(each => (each.ok ? each.entries : []));
    insist(JSON.stringify(read) === JSON.stringify(result.entries), 'what was read is not read again');
  }
}

function fuzzText(random: Random): void {
  const table = createTableParser(OURS);
  const flows = createFlowParser(() => OURS);
  for (const [parser, lineOf] of [[table, tableLine] as const, [flows, flowLine] as const]) {
    const good = entries(random).map(lineOf).join('\n');
    const found = pieces(damage(Buffer.from(good), random), random).flatMap(piece => parser.push(piece));
    insist(
      found.every(entry => usable(entry) && OURS.inScope(entry)),
      'an entry was read that is not usable, or not ours',
    );
    parser.end();
    const after = parser.push(Buffer.from(`${lineOf(CONNECTION)}\n`));
    insist(after.length === 1, 'a good line after damaged ones was not read');
  }
}

function fuzzFrames(random: Random): void {
  const sent = Array.from({ length: random.below(10) }, () =>
    framed(Buffer.alloc(1 + random.below(2_000), random.below(256))),
  );
  const bytes = damage(Buffer.concat(sent), random);
  const reader = frameReader(4_096);
  let came = 0;
  for (const piece of pieces(bytes, random)) {
    reader.push(piece, frame => {
      insist(frame.length >= 1 && frame.length <= 4_096, `a frame of ${frame.length} bytes came`);
      came += 4 + frame.length;
    });
  }
  insist(came <= bytes.length, 'more came than was sent');
}

/** Rounds of consecutive seeds until the time is over. Returns their number; a failure has the seed in its text. */
export function fuzz(seconds: number, firstSeed: number): number {
  const end = performance.now() + seconds * 1_000;
  let seed = firstSeed;
  for (; performance.now() < end; seed++) {
    try {
      fuzzRound(seed);
    } catch (error) {
      throw new Error(
        `seed ${seed}: ${(error as Error).message}; replay: node dist/test/fuzz/sync-bytes.js 0.001 ${seed}`,
        {
          cause: error,
        },
      );
    }
  }
  return seed - firstSeed;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [seconds = '10', seed = `${Date.now() % 1e9}`] = process.argv.slice(2);
  process.stdout.write(`${fuzz(Number(seconds), Number(seed))} rounds from seed ${seed}, nothing found\n`);
}
