// Runs schedules until one breaches an invariant, and says on stdout which: `node mutant.js FROM SEEDS INVARIANT [KIND]`. It is
// started on a copy of the compiled code from which one safeguard has been taken; other breaches on the way do not count.
import { runSeed } from './run.ts';

const [from = '1', seeds = '1000', invariant = '', kindWanted = ''] = process.argv.slice(2);
let found: unknown;
for (let seed = Number(from); seed < Number(from) + Number(seeds) && found === undefined; seed += 1) {
  const { kind, breach } = runSeed(seed, { kind: kindWanted || undefined });
  if (breach?.invariant === invariant) found = { seed, kind, text: breach.text };
}
process.stdout.write(`${JSON.stringify(found ?? null)}\n`);
