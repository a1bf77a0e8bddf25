// Runs schedules until one fails, and says on stdout which: `node mutant.js FROM SEEDS [KIND] [VIPD_MUTATION]`. It is started on a copy of
// the compiled code from which one safeguard has been taken.
import { runSeed } from './run.ts';
import type { VipdMutation } from './vipd-model.ts';

const [from = '1', seeds = '1000', kindWanted = '', mutation = ''] = process.argv.slice(2);
const options = { kind: kindWanted || undefined, mutation: (mutation || undefined) as VipdMutation | undefined };
let found: unknown;
for (let seed = Number(from); seed < Number(from) + Number(seeds) && found === undefined; seed += 1) {
  const { kind, breach } = runSeed(seed, options);
  if (breach) found = { seed, kind, invariant: breach.invariant, text: breach.text };
}
process.stdout.write(`${JSON.stringify(found ?? null)}\n`);
