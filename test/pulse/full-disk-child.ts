// Keeps pulse's state on a disk that is filled up and emptied again (state-file.test.ts). Prints
// what was told and read as JSON.
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { NO_STATE, readState, stateFile } from '../../src/pulse/io/state-file.ts';

const directory = process.argv[2] as string;
const WITHIN_MS = 10_000;

const path = join(directory, 'pulse.json');
const ballast = join(directory, 'ballast');
const told: string[] = [];
const file = stateFile(path, problem => told.push(problem));
const write = async (ceiling: number) => {
  file.write({ ...NO_STATE, ceiling });
  await file.flush(2_000);
};

await write(1_000);
for (let blocks = statfsSync(directory).bavail; blocks > 0; blocks = statfsSync(directory).bavail) {
  writeFileSync(ballast, Buffer.alloc(blocks * statfsSync(directory).bsize), { flag: 'a' });
}
for (let ceiling = 2_000; ceiling <= 6_000; ceiling += 1_000) await write(ceiling);
const full = readState(path);
rmSync(ballast);
const end = performance.now() + WITHIN_MS;
while (readState(path).state?.ceiling !== 6_000 && performance.now() < end) await sleep(50);
process.stdout.write(JSON.stringify({ told, full: full.state, later: readState(path).state }));
