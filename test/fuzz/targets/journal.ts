// A journal as it may come from anywhere: `tandem replay` says what it decides, or which line is wrong.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takeoverJournal } from '../../sim/takeover-journal.ts';
import { insist, type Target } from '../target.ts';

const SCREEN = { screen: false, colour: false, size: () => ({ columns: 80, rows: 24 }), takeScreen: () => undefined };
const CALM_MS = 100;

/** Head, the last events before the takeover and those after it, and an end that counts them. */
function short(lines: readonly string[], events: number): string {
  const steps = lines.slice(1, -1);
  const from = steps.findIndex(line => line.includes('"decisions"'));
  const kept = steps.slice(Math.max(0, from - events), from + 2);
  return [lines[0], ...kept, `${JSON.stringify({ type: 'end', steps: kept.length })}\n`].join('');
}

const VALUES = [null, true, '', '$undefined', 'x', -1, 0, 0.5, 1e18, 1e308, [], [null], {}, { type: 'x' }] as const;
const CHANGE_BYTES = 3;

/** The same lines with other values: for each three bytes of `changes`, which one and what it becomes. */
function changed(lines: string, changes: Buffer): string {
  const root = lines
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as unknown);
  for (let at = 0; at + CHANGE_BYTES <= changes.length; at += CHANGE_BYTES) {
    const all = places(root.slice(0, -1));
    const place = all[changes.readUInt16BE(at) % all.length];
    if (place) place.of[place.key] = structuredClone(VALUES[(changes[at + 2] as number) % VALUES.length]);
  }
  return root.map(line => `${JSON.stringify(line)}\n`).join('');
}

interface Place {
  readonly of: Record<string, unknown>;
  readonly key: string;
}

/** Every value inside, whole objects and lists too. */
function places(value: unknown): Place[] {
  if (typeof value !== 'object' || value === null) return [];
  const of = value as Record<string, unknown>;
  return Object.keys(of).flatMap(key => [{ of, key }, ...places(of[key])]);
}

export const journalTarget: Target = {
  name: 'journal',
  says: 'mutated journals: replayed, or refused with the line that is wrong',
  files: ['src/feed/journal-line.ts', 'src/pulse/rerun.ts', 'src/cli/replay.ts'],
  words: [
    ...['"$undefined"', 'null', '{}', '[]', '-1', '0', '1e308', '9007199254740993', 'true', '""'],
    ...['"at":', '"type":"step"', '"decisions":[]', '"wallMs":', '"__proto__":{"settings":1}', '\n'],
  ],
  bytesMax: 40_000,
  async load() {
    const { replay } = await import('../../../src/cli/replay.ts');
    const { CliError } = await import('../../../src/cli/exit.ts');
    const directory = mkdtempSync(join(tmpdir(), 'tandem-fuzz-'));
    const file = join(directory, 'journal');
    const lines = takeoverJournal('0.4.0', CALM_MS);
    const whole = short(lines, 1);
    const texts = [short(lines, 0), whole, short(lines, 4)].map(text => Buffer.from(`T${text}`));
    return {
      seeds: [...texts, Buffer.from('C'), Buffer.from('C\0\x01\x02')],
      run(input) {
        const rest = input.subarray(1);
        writeFileSync(file, input[0] === 0x43 ? changed(whole, rest) : rest);
        let said = '';
        const out = (text: string) => {
          said += text;
        };
        const terminal = { ...SCREEN, out, err: out, now: () => 0, monotonicNow: () => 0, pause: async () => false };
        try {
          const code = replay(terminal, file, { json: input.length % 2 === 0 });
          insist(said !== '' && (code === 0 || code === 8), `ends with ${code}`);
        } catch (error) {
          if (!(error instanceof CliError)) throw error;
          insist(error.message.startsWith(`${file}, line `), error.message);
        }
      },
      async close() {
        rmSync(directory, { recursive: true, force: true });
      },
    };
  },
};
