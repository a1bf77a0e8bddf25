// The two clocks: CLOCK_MONOTONIC, the one that vipd counts leases on too, for every interval; and
// wall time for what people read.
import type { At } from '../duration.ts';

/** CLOCK_MONOTONIC in milliseconds with a fraction. */
export function monotonicNow(): At {
  return (Number(process.hrtime.bigint()) / 1e6) as At;
}

/** ISO 8601 wall time, for people and logs. */
export function wallTime(): string {
  return new Date().toISOString();
}
