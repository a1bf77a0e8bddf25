// A drain as it is asked for over the director's control socket, and the answer. Pure. The query
// has `target` (drain-target.ts), and with a drain `span_ms`, `reason`, `who` and `force=1`.
import { REASON_MAX, SPAN_MS_MAX, WHO_MAX } from '../drain/drain-word.ts';
import type { DrainAnswer } from '../status/drain-answer.ts';
import { ms } from '../units/duration.ts';
import type { DrainOrder, DrainOutcome } from './operator-drains.ts';

const SPAN_MS_MIN = 1_000;

type ReadOrder = { readonly ok: true; readonly order: DrainOrder } | { readonly ok: false; readonly problem: string };

export function readOrder(drained: boolean, query: URLSearchParams): ReadOrder {
  const target = query.get('target') ?? '';
  if (target === '') return { ok: false, problem: 'target is missing: SERVER, SERVICE or SERVICE/SERVER' };
  const span = query.get('span_ms');
  const spanMs = span === null ? undefined : Number(span);
  if (spanMs !== undefined && !(spanMs >= SPAN_MS_MIN && spanMs <= SPAN_MS_MAX)) {
    return { ok: false, problem: 'the deadline must be from 1s to 366d' };
  }
  const order = {
    target,
    drained,
    reason: (query.get('reason') ?? '').slice(0, REASON_MAX),
    who: (query.get('who') ?? '').slice(0, WHO_MAX),
    force: query.get('force') === '1',
  };
  return { ok: true, order: { ...order, ...(spanMs === undefined ? {} : { spanMs: ms(spanMs) }) } };
}

export function drainAnswer(outcome: DrainOutcome): { readonly status: number; readonly body: DrainAnswer | object } {
  if (!outcome.ok) return { status: outcome.kind === 'unknown' ? 404 : 409, body: { error: outcome.problem } };
  const { servers, unsaved } = outcome;
  return { status: 200, body: { servers: [...servers], unsaved } satisfies DrainAnswer };
}
