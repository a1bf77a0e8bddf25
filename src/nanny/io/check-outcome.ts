// What a check of a server came to, whatever its kind. Types only.
import type { At } from '../../units/duration.ts';
import type { CheckResult } from '../verdict.ts';

export type CheckOutcome =
  | { readonly type: 'result'; readonly result: CheckResult }
  /** This router has run out of something; that says nothing about the server. */
  | { readonly type: 'impossible'; readonly reason: string }
  | { readonly type: 'aborted' };

export interface CheckOptions {
  /** Monotonic clock. */
  readonly now: () => At;
  /** Gives the check up at once. */
  readonly signal?: AbortSignal;
}
