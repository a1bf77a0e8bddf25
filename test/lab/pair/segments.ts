// Bare TCP segments, as no client of the kernel's own sends them: builds and runs segments.c. Io.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SOURCE = fileURLToPath(new URL('../../../../test/lab/pair/segments.c', import.meta.url));
const FLAGS = ['-std=c17', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror'];

export interface Segment {
  /** An IPv4 address of the host that sends. */
  readonly from: string;
  readonly to: string;
  readonly sport: number;
  readonly dport: number;
  readonly flags: 'syn' | 'ack' | 'syn-ack';
}

export interface SegmentSender {
  /** The command that sends `count` of them and prints the nanoseconds that one took. */
  command(segment: Segment, count: number): readonly [program: string, ...args: string[]];
  remove(): Promise<void>;
}

export async function buildSegmentSender(): Promise<SegmentSender> {
  const directory = await mkdtemp(join(tmpdir(), 'tandem-segments-'));
  const program = join(directory, 'segments');
  await run('cc', [...FLAGS, '-o', program, SOURCE]);
  return {
    command: ({ from, to, sport, dport, flags }, count) => [
      ...([program, from, to] as const),
      ...[String(sport), String(dport), flags, String(count)],
    ],
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
