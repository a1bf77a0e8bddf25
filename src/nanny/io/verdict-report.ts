// Says in the log what a check's result means. Touches nothing but the log it is given.
import type { Log } from '../../log/log.ts';
import type { Nanny, NannyEffect, Pace } from '../nanny.ts';
import { slowIn } from '../slowness.ts';

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
        logBecame(log, about, effect.from, effect.to, now);
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
      case 'slow':
        log.event('SERVER_SLOW', { ...about, ...slowFields(now, pace) });
        break;
      case 'quick':
        log.event('SERVER_QUICK', { ...about, tookMs: tookMs(now) });
        break;
      case 'certificate-expires':
        log.event('CERTIFICATE_EXPIRES', { ...about, ...certificateFields(now) });
        break;
      case 'certificate-renewed':
        log.event('CERTIFICATE_RENEWED', { ...about, ...certificateFields(now) });
        break;
      case 'fails-differently':
        log.event('SERVER_FAILS_DIFFERENTLY', { ...about, before: effect.before, ...failedFields(now) });
        break;
    }
  }
}

/** Of a check through the VIP only the state is told: the servers have their own events. */
export function logPathEffects(
  log: Log,
  about: ServerFields & { readonly source: string },
  now: Nanny,
  effects: readonly NannyEffect[],
): void {
  for (const effect of effects) {
    if (effect.type !== 'became') continue;
    if (effect.to === 'up') log.event('VIP_PATH_UP', { ...about, tookMs: tookMs(now) });
    else log.event('VIP_PATH_FAILS', { ...about, checks: now.bad, ...failedFields(now) });
  }
}

function logBecame(
  log: Log,
  about: ServerFields,
  from: Nanny['state'],
  to: Exclude<Nanny['state'], 'unknown'>,
  now: Nanny,
): void {
  switch (to) {
    case 'up':
      log.event('SERVER_UP', { ...about, from, checks: now.good, ...passedFields(now) });
      return;
    case 'down':
      log.event('SERVER_DOWN', { ...about, from, checks: now.bad, answers: now.alive, ...failedFields(now) });
      return;
    case 'misconfigured':
      log.event('SERVER_MISCONFIGURED', { ...about, from, checks: now.bad, ...failedFields(now) });
      return;
  }
}

function tookMs({ last }: Nanny): number {
  return last?.tookMs ?? 0;
}

function passedFields(nanny: Nanny) {
  return { bytes: nanny.last?.ok ? nanny.last.bytes : 0, tookMs: tookMs(nanny) };
}

function slowFields({ last }: Nanny, { conditions }: Pace) {
  const slow = last && slowIn(conditions.slowWarn, last);
  if (last === undefined || slow === undefined) return {};
  const { stage } = slow;
  return { tookMs: last.tookMs, stage, stageMs: last.stagesMs?.[stage] ?? 0 };
}

function certificateFields({ last }: Nanny) {
  return { validUntil: last?.certificate?.validUntil ?? '', daysLeft: last?.certificate?.daysLeft ?? null };
}

function failedFields({ last }: Nanny) {
  if (last === undefined || last.ok) return {};
  return { stage: last.stage, problem: last.problem, words: last.words, tookMs: last.tookMs };
}
