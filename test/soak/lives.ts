// The lives of the daemons in a soak: what each process was seen to cost at every look, and whether any of it grows without end. Pure.
import { type Bound, type Growth, growthOf, type Sample, type Verdict, verdictOn } from './growth.ts';

export const METRICS = ['heapKib', 'privateKib', 'rssKib', 'descriptors', 'resources'] as const;
export type Metric = (typeof METRICS)[number];
export type Daemon = 'pulse' | 'vipd';

export interface Life {
  readonly pid: number;
  readonly daemon: Daemon;
  readonly router: string;
  readonly samples: Readonly<Record<Metric, Sample[]>>;
}

export interface LifeReport {
  readonly pid: number;
  readonly daemon: Daemon;
  readonly router: string;
  readonly metric: Metric;
  readonly growth: Growth;
  /** The values of the whole life, thinned out. */
  readonly series: readonly number[];
  readonly verdict: Verdict;
}

/**
 * Code is compiled and caches fill for longer than one thinks: V8's heap after a collection still rose by 100 KiB a minute after four
 * minutes of faults, always more slowly. A third of the life is left out, two minutes at least; what is looked at must last ten.
 */
const WARM_UP_MS = 120_000;
const WARM_UP_SHARE = 1 / 3;
const SPAN_MS_MIN = 600_000;
const SAMPLES_MIN = 12;
const SERIES_MAX = 100;

/** What noise may gain. V8 gives memory back late; AddressSanitizer keeps freed memory in quarantine. */
export function boundOf(daemon: Daemon, metric: Metric, asan: boolean): Bound {
  const gained: Readonly<Record<Metric, number>> = {
    heapKib: 384,
    privateKib: daemon === 'pulse' ? 16_384 : asan ? 16_384 : 128,
    rssKib: daemon === 'pulse' ? 16_384 : asan ? 16_384 : 128,
    descriptors: 2,
    resources: 3,
  };
  return { gainedMax: gained[metric], samplesMin: SAMPLES_MIN, spanMsMin: SPAN_MS_MIN };
}

export function newLife(pid: number, daemon: Daemon, router: string): Life {
  return {
    pid,
    daemon,
    router,
    samples: { heapKib: [], privateKib: [], rssKib: [], descriptors: [], resources: [] },
  };
}

/** The metrics of one life that it has. */
export function reportsOf(life: Life, asan: boolean): LifeReport[] {
  const { pid, daemon, router } = life;
  return METRICS.filter(metric => life.samples[metric].length > 0).map(metric => {
    const all = life.samples[metric];
    const growth = growthOf(all, warmUpOf(all));
    const verdict = verdictOn(growth, boundOf(daemon, metric, asan));
    return { pid, daemon, router, metric, growth, series: seriesOf(all), verdict };
  });
}

/** How many samples the warm-up takes. */
function warmUpOf(all: readonly Sample[]): number {
  const [begin, end] = [all[0]?.at ?? 0, all.at(-1)?.at ?? 0];
  const warmAt = begin + Math.max(WARM_UP_MS, (end - begin) * WARM_UP_SHARE);
  const warm = all.findIndex(({ at }) => at >= warmAt);
  return warm < 0 ? all.length : warm;
}

function seriesOf(samples: readonly Sample[]): number[] {
  const step = Math.max(1, Math.ceil(samples.length / SERIES_MAX));
  return samples.filter((_, index) => index % step === 0).map(({ value }) => value);
}

/** For each daemon and metric the life that tells the most: a leak if there is one, else the one looked at most often. */
export function tellingReports(lives: readonly Life[], asan: boolean): LifeReport[] {
  const all = lives.flatMap(life => reportsOf(life, asan));
  const weight = ({ verdict, growth }: LifeReport): number => (verdict === 'leak' ? 1e9 : 0) + growth.samples;
  return (['pulse', 'vipd'] as const).flatMap(daemon =>
    METRICS.flatMap(metric => {
      const rows = all.filter(row => row.daemon === daemon && row.metric === metric);
      const [first, ...rest] = rows;
      return first ? [rest.reduce((best, row) => (weight(row) > weight(best) ? row : best), first)] : [];
    }),
  );
}
