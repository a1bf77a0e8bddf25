// The shipped SyncKernel in a router's namespace, driven by JSON lines: {"call":NAME,"args":[…]} in, {"result":…} or {"error":…} out,
// and between them what the listener is told: {"entries":[…],"by":"master"|"conntrack"|…,"at":MS}, {"lost":…}. Io.
//   node sync-kernel-runner.js CONFIG
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parse } from 'yaml';
import { configSchema } from '../../../src/config/schema.ts';
import { createSyncKernel } from '../../../src/sync/kernel/io/sync-kernel.ts';
import { scopeOf } from '../../../src/sync/table/scope.ts';

const scope = scopeOf(configSchema.parse(parse(readFileSync(process.argv[2] as string, 'utf8'))));
const say = (line: object): boolean => process.stdout.write(`${JSON.stringify(line)}\n`);
const now = (): number => performance.timeOrigin + performance.now();
let before: Readonly<Record<string, number>> = {};

/** Who told: the counter that moved last. */
function teller(): string {
  const counters = kernel.counters();
  const moved = (name: string): boolean => (counters[name] ?? 0) > (before[name] ?? 0);
  const by = moved('events_received') ? 'master' : moved('flows_used') ? 'conntrack' : 'nobody';
  before = counters;
  return by;
}

const kernel = createSyncKernel(
  { scope: () => scope },
  {
    entries: entries => void say({ entries, by: teller(), at: now() }),
    lost: what => void say({ lost: what }),
  },
);

type Call = 'ensure' | 'preview' | 'inject' | 'readTable' | 'readCounts' | 'readActiveData' | 'counters' | 'close';

async function answer({ call, args = [] }: { call: Call; args?: readonly unknown[] }): Promise<void> {
  const startedAt = performance.now();
  try {
    const method = kernel[call].bind(kernel) as (...values: readonly unknown[]) => unknown;
    say({ result: (await method(...args)) ?? null, tookMs: performance.now() - startedAt });
  } catch (error) {
    say({ error: error instanceof Error ? error.message : String(error) });
  }
}

createInterface({ input: process.stdin })
  .on('line', line => void answer(JSON.parse(line)))
  .on('close', () => process.exit(0));
say({ ready: true });
