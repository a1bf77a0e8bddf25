// One part of scripts/bench sync or scripts/bench lab, run inside the lab: `sync.js PART [--quick]`; its result, one JSON
// object, goes to LAB_RUN/results.json. Progress on stderr. Io.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { measureResync, measureStore } from '../lab/kernel/resync.ts';
import { CONTEST_CLIENTS, CONTESTANTS, CUTS, measureRejoin, measureStalls } from '../lab/measure/contest.ts';
import { CELL_FILE_BYTES, cellOf, cutsOf } from '../lab/measure/protocols.ts';
import type { TopologyOptions } from '../lab/pair/topology.ts';
import { type Lab, openLab, resultsDirectory } from '../lab/scenarios/scenario.ts';

interface Part {
  readonly topology: TopologyOptions;
  readonly run: (lab: Lab, quick: boolean) => Promise<unknown>;
}

/** The part of this name: `failover-tandem`, `rejoin-keepalived`, `resync-10000`, `store-redis-10000`, `lab-h50-rtt1-tandem`… */
function partOf(name: string): Part | undefined {
  const cell = cellOf(name);
  if (cell) {
    return {
      topology: { clients: CONTEST_CLIENTS },
      run: (lab, quick) => measureStalls(lab, cell.contestant, cutsOf(quick), { ...cell, bigBytes: CELL_FILE_BYTES }),
    };
  }
  const [kind, ...rest] = name.split('-');
  const contestant = CONTESTANTS.find(candidate => candidate === rest.join('-'));
  const number = Number(rest.at(-1));
  if (kind === 'failover' && contestant) {
    return {
      topology: { clients: CONTEST_CLIENTS },
      run: (lab, quick) =>
        measureStalls(lab, contestant, quick ? [CUTS.settled] : [CUTS.settled, CUTS.settled, CUTS.young]),
    };
  }
  if (kind === 'rejoin' && contestant) {
    return { topology: { clients: CONTEST_CLIENTS }, run: lab => measureRejoin(lab, contestant) };
  }
  if (kind === 'resync' && number > 0) return { topology: { ipv6: true }, run: lab => measureResync(lab, number) };
  const store = rest[0];
  if (kind === 'store' && number > 0 && (store === 'file' || store === 'redis')) {
    return { topology: { ipv6: true, store: store === 'redis' }, run: lab => measureStore(lab, store, number) };
  }
  return undefined;
}

const [name = '', ...options] = process.argv.slice(2);
const part = partOf(name);
if (!part) {
  process.stderr.write(`bench-sync: no part "${name}"\n`);
  process.exit(64);
}
const startedAt = performance.now();
const say = (text: string): void => {
  process.stderr.write(`[${((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)} s] ${text}\n`);
};
const lab = await openLab('bench', say, undefined, part.topology);
let status = 1;
try {
  const result = await part.run(lab, options.includes('--quick'));
  const tookMs = Math.round(performance.now() - startedAt);
  await writeFile(path.join(resultsDirectory(), 'results.json'), `${JSON.stringify({ part: name, tookMs, result })}\n`);
  status = 0;
} catch (error) {
  process.stderr.write(`bench-sync: ${name}: ${error instanceof Error ? error.stack : error}\n`);
} finally {
  await lab.close();
}
process.exit(status);
