// Loaded into pulse by the soak (NODE_OPTIONS --import): on SIGUSR2 it collects garbage and writes what is left to
// SOAK_HEAP_DIR/heap-PID.json. What V8 keeps after a collection is the only figure of it in which a small leak shows. Compiled code is
// told apart: V8 goes on compiling for as long as rare paths are taken, and code is as finite as its source. Io.
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getHeapCodeStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const path = join(process.env.SOAK_HEAP_DIR ?? '/tmp', `heap-${process.pid}.json`);

process.on('SIGUSR2', () => {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  const { code_and_metadata_size: compiled, bytecode_and_metadata_size: bytecode } = getHeapCodeStatistics();
  const resources = process.getActiveResourcesInfo().length;
  writeFileSync(`${path}.new`, JSON.stringify({ heapUsed, external, code: compiled + bytecode, resources }));
  renameSync(`${path}.new`, path);
});
