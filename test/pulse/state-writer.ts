// Writes one state after the other and says each ceiling that is on disk for sure, until it is
// killed (state-file.test.ts).
import { writeSync } from 'node:fs';
import { NO_STATE, readState, stateFile } from '../../src/pulse/io/state-file.ts';

const path = process.argv[2] as string;
/** It ends by itself when the test forgets it. */
const END_MS = 5_000;

const file = stateFile(path, problem => {
  throw new Error(problem);
});
const before = readState(path);
for (let ceiling = (before.state?.ceiling ?? 0) + 1; performance.now() < END_MS; ceiling += 1) {
  file.write({ ...NO_STATE, ceiling });
  await file.flush(END_MS);
  writeSync(1, `${ceiling}\n`);
}
