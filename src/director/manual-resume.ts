// check.manual_resume: a server that went down waits for an operator, however well its check is
// afterwards. That is a drain like an operator's (drain/drains.ts): both routers hold it, it is on
// disk, and `tandem enable` ends it. Here: which servers are to be drained so. What a router has
// seen is kept across a restart of its director, which would else forget who was up. Pure.
import { z } from 'zod';
import type { Config } from '../config/schema.ts';
import { DRAINS_MAX, drainKey, type ServerName } from '../drain/drains.ts';
import { isCondemned, type Verdict } from '../nanny/verdict.ts';
import type { DrainOrder } from './operator-drains.ts';
import { type DrainOf, findVerdict } from './wanted.ts';

/** Who asks for such a drain. */
const WHO = 'tandem';

/** Servers with manual_resume that were up and have not gone down since, by seenKey. */
export type SeenUp = ReadonlySet<string>;

/** In the run directory: what is older than the boot is nobody's. */
export const SEEN_UP_FILE = 'director-seen-up.json';

const fileSchema = z.object({ version: z.literal(1), up: z.array(z.string().max(200)).max(DRAINS_MAX) });

export function formatSeenUp(seen: SeenUp): string {
  return `${JSON.stringify({ version: 1, up: [...seen].slice(0, DRAINS_MAX) })}\n`;
}

/** Undefined when it is not a file of ours. */
export function parseSeenUp(text: string): SeenUp | undefined {
  try {
    return new Set(fileSchema.parse(JSON.parse(text)).up);
  } catch {
    return undefined;
  }
}

/** Another machine under the same name is another server. Undefined: it waits for nobody. */
function seenKey({ services }: Pick<Config, 'services'>, name: ServerName): string | undefined {
  const service = services[name.service];
  const address = service?.servers[name.server]?.address;
  if (service?.check.manual_resume !== true || address === undefined) return undefined;
  return `${drainKey(name)} ${address}`;
}

interface ResumeLook {
  readonly config: Pick<Config, 'services'>;
  readonly verdicts: readonly Verdict[];
  readonly drainOf: DrainOf;
  /** Only the router that serves says so: a fault of the standby's own way is no server's. */
  readonly isOwner: boolean;
  /** The peer found it up a moment ago; asked of what is not judged here yet. */
  readonly peerSaysUp: (name: ServerName) => boolean;
  /** Down here and up by the peer for longer than both need to notice. */
  readonly isApart: (name: ServerName) => boolean;
}

/**
 * A server that was never up has not gone down: a router that starts waits for nobody. One that
 * keeps its weight since all fail alike (together.ts) has not, either.
 */
export function gonePending(
  before: SeenUp,
  { config, verdicts, drainOf, isOwner, peerSaysUp, isApart }: ResumeLook,
): { readonly next: SeenUp; readonly orders: readonly DrainOrder[] } {
  const next = new Set<string>();
  const orders: DrainOrder[] = [];
  for (const verdict of verdicts) {
    const { service, server, kept, state } = verdict;
    const key = seenKey(config, { service, server });
    if (key === undefined) continue;
    const isUp = state === 'up' || (state === 'unknown' && peerSaysUp({ service, server }));
    // A check that begins anew, after a reload or a restart, forgets nothing.
    if (isUp || (state === 'unknown' && before.has(key))) next.add(key);
    if (!before.has(key) || !isCondemned(verdict)) continue;
    // Drained already, by a person or by the other router: what ends that ends this.
    if (drainOf(service, server) !== undefined) continue;
    if (kept || !isOwner) next.add(key);
    // This router has just taken over, and the one that served before found it well.
    else if (!isApart({ service, server })) orders.push(orderFor({ service, server }, verdict));
  }
  return { next, orders };
}

/**
 * After commands on `names`, here or by the peer's word: a fault from before them is settled, and a
 * server that was enabled since is not drained for it by whoever takes over.
 */
export function settledFor(
  before: SeenUp,
  names: readonly ServerName[],
  { config, verdicts }: Pick<ResumeLook, 'config' | 'verdicts'>,
): SeenUp {
  const isUp = (name: ServerName) => findVerdict(verdicts, name.service, name.server)?.state === 'up';
  const settled = new Set(names.filter(name => !isUp(name)).map(name => seenKey(config, name)));
  return new Set([...before].filter(key => !settled.has(key)));
}

/** Whether nobody but this rule wants that drain. */
export function isForResume({ who }: Pick<DrainOrder, 'who'>): boolean {
  return who === WHO;
}

function orderFor(name: ServerName, { state, last }: Verdict): DrainOrder {
  const stage = last?.ok === false ? ` at stage ${last.stage}` : '';
  const reason = `check.manual_resume: it was ${state}${stage}`;
  return { target: drainKey(name), drained: true, reason, who: WHO, force: true };
}
