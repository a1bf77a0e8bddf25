// Does a process grow? Samples of one life of a process, after a warm-up, and the line through them (Theil and Sen: the median of all
// slopes, so that single peaks do not bend it). Pure.

/** One look at a process, when the pair was settled. */
export interface Sample {
  /** Wall time, ms. */
  readonly at: number;
  /** Role changes that this life has been through. */
  readonly changes: number;
  readonly value: number;
}

export interface Growth {
  readonly samples: number;
  readonly spanMs: number;
  readonly first: number;
  readonly last: number;
  /** Of the line, per hour; 0 with fewer than two samples. */
  readonly perHour: number;
  /** Of the line, per role change. */
  readonly perChange: number;
  /** What the line gained over the samples. */
  readonly gained: number;
  /** The same of their later half by itself: what fills up gains little there, a leak goes on. */
  readonly gainedLater: number;
  /** Share of pairs of samples that rise, less the share that falls: 1 always up, 0 noise. */
  readonly trend: number;
}

export type Verdict = 'steady' | 'leak' | 'too short';

export interface Bound {
  /** A gain up to here is noise of the allocator or the garbage collector. */
  readonly gainedMax: number;
  /** Fewer samples after the warm-up say nothing. */
  readonly samplesMin: number;
  /** Nor do samples of a shorter time. */
  readonly spanMsMin: number;
}

/** A leak rises nearly always; noise rises as often as it falls. */
const TREND_OF_LEAK = 0.5;
/** Most samples looked at in pairs: more are thinned out evenly. */
const PAIRED_MAX = 400;

/** Without the first `warmUp` samples: caches fill, code is compiled. */
export function growthOf(all: readonly Sample[], warmUp: number): Growth {
  const samples = thinned(all.slice(warmUp));
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last)
    return { samples: 0, spanMs: 0, first: 0, last: 0, perHour: 0, perChange: 0, gained: 0, gainedLater: 0, trend: 0 };
  const perMs = medianSlope(samples, sample => sample.at);
  return {
    samples: samples.length,
    spanMs: last.at - first.at,
    first: first.value,
    last: last.value,
    perHour: perMs * 3_600_000,
    perChange: medianSlope(samples, sample => sample.changes),
    gained: perMs * (last.at - first.at),
    gainedLater: gainedBy(samples.slice(Math.floor(samples.length / 2))),
    trend: trendOf(samples),
  };
}

export function verdictOn(growth: Growth, { gainedMax, samplesMin, spanMsMin }: Bound): Verdict {
  if (growth.samples < samplesMin || growth.spanMs < spanMsMin) return 'too short';
  const goesOn = growth.gained > gainedMax && growth.gainedLater > gainedMax / 2;
  return goesOn && growth.trend > TREND_OF_LEAK ? 'leak' : 'steady';
}

function gainedBy(samples: readonly Sample[]): number {
  const [first, last] = [samples[0], samples.at(-1)];
  return first && last ? medianSlope(samples, ({ at }) => at) * (last.at - first.at) : 0;
}

function thinned(samples: readonly Sample[]): readonly Sample[] {
  if (samples.length <= PAIRED_MAX) return samples;
  const step = (samples.length - 1) / (PAIRED_MAX - 1);
  return Array.from({ length: PAIRED_MAX }, (_, index) => samples[Math.round(index * step)] as Sample);
}

function pairs(samples: readonly Sample[]): (readonly [Sample, Sample])[] {
  return samples.flatMap((early, index) => samples.slice(index + 1).map(late => [early, late] as const));
}

function medianSlope(samples: readonly Sample[], along: (sample: Sample) => number): number {
  const slopes = pairs(samples)
    .filter(([early, late]) => along(late) > along(early))
    .map(([early, late]) => (late.value - early.value) / (along(late) - along(early)))
    .sort((a, b) => a - b);
  const middle = Math.floor(slopes.length / 2);
  if (slopes.length === 0) return 0;
  if (slopes.length % 2 === 1) return slopes[middle] as number;
  return ((slopes[middle - 1] as number) + (slopes[middle] as number)) / 2;
}

function trendOf(samples: readonly Sample[]): number {
  const all = pairs(samples);
  if (all.length === 0) return 0;
  return all.reduce((sum, [early, late]) => sum + Math.sign(late.value - early.value), 0) / all.length;
}
