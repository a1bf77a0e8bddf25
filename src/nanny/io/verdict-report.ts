// Says in the log what a check's result means. Touches nothing but the log it is given.
import type { Log } from '../../log/log.ts';
import type { Nanny, NannyEffect, Pace } from '../nanny.ts';

/** Names the server in every event. */
interface ServerFields {
  readonly service: string;
  readonly server: string;
  readonly address: string;
}

/** Logs `effects` of the check that led from `before` to `now`. */
export function logEffects(
  log: Log,
  about: ServerFields,
  pace: Pace,
  before: Nanny,
  now: Nanny,
  effects: readonly NannyEffect[],
): void {
  for (const effect of effects) {
    switch (effect.type) {
      case 'check-recovered':
        log.event('SERVER_CHECK_RECOVERED', { ...about, state: before.state, failed: before.bad, tookMs: tookMs(now) });
        break;
      case 'became':
        if (effect.to === 'up') {
          log.event('SERVER_UP', { ...about, from: effect.from, checks: now.good, ...passedFields(now) });
        } else {
          const counts = { from: effect.from, checks: now.bad, answers: now.alive };
          log.event('SERVER_DOWN', { ...about, ...counts, ...failedFields(now) });
        }
        break;
      case 'died':
        log.event('SERVER_DEAD', { ...about, checks: now.lifeless, ...failedFields(now) });
        break;
      case 'lives':
        log.event('SERVER_ANSWERS', { ...about, ...failedFields(now) });
        break;
      case 'check-failed': {
        const counts = { state: now.state, checks: now.bad, fall: pace.fall };
        log.event('SERVER_CHECK_FAILED', { ...about, ...counts, ...failedFields(now) });
        break;
      }
      case 'fails-differently':
        log.event('SERVER_FAILS_DIFFERENTLY', { ...about, before: effect.before, ...failedFields(now) });
        break;
    }
  }
}

function tookMs({ last }: Nanny): number {
  return last?.tookMs ?? 0;
}

function passedFields(nanny: Nanny) {
  return { bytes: nanny.last?.ok ? nanny.last.bytes : 0, tookMs: tookMs(nanny) };
}

function failedFields({ last }: Nanny) {
  if (last === undefined || last.ok) return {};
  return { stage: last.stage, problem: last.problem, words: last.words, tookMs: last.tookMs };
}
