// What two routers' metrics were over a time, as series of promtool's unit tests: a recording is a row of frames, each with what every
// router gave at a scrape, and for how many scrapes it is held. Pure.

/** Value by series, as the exposition writes it: name{label="value"}. */
export type Scrape = Readonly<Record<string, number>>;

export interface Frame {
  /** By the name of the router; absent: it could not be scraped. */
  readonly scrapes: Readonly<Record<string, Scrape | undefined>>;
  /** Scrapes that gave this. */
  readonly steps: number;
}

/** One test group of promtool's format, as JSON, which is YAML. */
export interface PromtoolTest {
  readonly name: string;
  readonly interval: string;
  readonly input_series: readonly { readonly series: string; readonly values: string }[];
  readonly alert_rule_test: readonly AlertAt[];
  readonly promql_expr_test: readonly ExpressionAt[];
}

interface AlertAt {
  readonly eval_time: string;
  readonly alertname: string;
  readonly exp_alerts: readonly {
    readonly exp_labels: Readonly<Record<string, string>>;
    readonly exp_annotations: Readonly<Record<string, string>>;
  }[];
}

interface ExpressionAt {
  readonly eval_time: string;
  readonly expr: string;
  readonly exp_samples: readonly { readonly labels: string; readonly value: number }[];
}

/** The job that all routers are scraped under. */
export const JOB = 'tandem';

/** Our own series of a scrape's text. */
export function scrapeOf(text: string): Scrape {
  const samples: Record<string, number> = {};
  for (const line of text.split('\n')) {
    const match = /^(tandem_\w+(?:\{.*\})?) (\S+)$/.exec(line);
    if (match) samples[match[1] as string] = Number(match[2]);
  }
  return samples;
}

/** The metrics that an expression asks for. */
export const metricsIn = (expr: string): string[] => [...expr.matchAll(/\btandem_[a-z_]+/g)].map(([name]) => name);

/** The series of the metrics in `wanted`, one value for each step. */
export function seriesOf(frames: readonly Frame[], wanted: ReadonlySet<string>): PromtoolTest['input_series'] {
  const names = new Set(
    frames.flatMap(({ scrapes }) =>
      Object.entries(scrapes).flatMap(([router, scrape]) =>
        Object.keys(scrape ?? {}).map(series => JSON.stringify([router, series])),
      ),
    ),
  );
  return [...names].flatMap(key => {
    const [router, series] = JSON.parse(key) as [string, string];
    if (!wanted.has(series.replace(/\{.*/, ''))) return [];
    const runs = frames.map(({ scrapes, steps }) => ({ value: scrapes[router]?.[series], steps }));
    return [{ series: withTarget(series, router), values: valuesOf(runs) }];
  });
}

function withTarget(series: string, router: string): string {
  const target = `job="${JOB}",instance="${router}"`;
  return series.endsWith('}') ? `${series.slice(0, -1)},${target}}` : `${series}{${target}}`;
}

/** As Prometheus keeps them: a series that a scrape lacks ends at once. */
function valuesOf(runs: readonly { readonly value: number | undefined; readonly steps: number }[]): string {
  let isThere = false;
  return runs
    .filter(({ steps }) => steps > 0)
    .map(({ value, steps }) => {
      const ends = isThere && value === undefined;
      isThere = value !== undefined;
      if (value !== undefined) return `${value}+0x${steps - 1}`;
      if (!ends) return `_x${steps}`;
      return steps === 1 ? 'stale' : `stale _x${steps - 1}`;
    })
    .join(' ');
}
