// Prometheus text of a report, made with prom-client: our families in a registry of their own for
// each scrape (so that what is gone from the report is gone from the text), and the process's own
// metrics. Not pure: it watches this process. The library is loaded at the first scrape.
import type { Registry } from 'prom-client';
import { familiesOf, type MetricFamily } from '../metrics.ts';
import type { StatusReport } from '../status-report.ts';

export interface Exposition {
  readonly contentType: string;
  render(report: StatusReport): Promise<string>;
}

type Library = typeof import('prom-client');

/** Of Prometheus' text format. */
const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Watches the process from the first scrape on (event loop lag, memory, descriptors); once per
 * process is enough.
 */
export function createExposition(): Exposition {
  let watched: Promise<{ readonly library: Library; readonly own: Registry }> | undefined;
  const watch = async () => {
    const library = await import('prom-client');
    const own = new library.Registry();
    library.collectDefaultMetrics({ register: own });
    return { library, own };
  };
  return {
    contentType: CONTENT_TYPE,
    render: async report => {
      watched ??= watch();
      const { library, own } = await watched;
      const registry = new library.Registry();
      // Without a sample prom-client would make up a zero.
      for (const family of familiesOf(report)) {
        if (family.samples.length > 0) addMetricFamily(library, registry, family);
      }
      return library.Registry.merge([registry, own]).metrics();
    },
  };
}

function addMetricFamily({ Counter, Gauge }: Library, registry: Registry, family: MetricFamily): void {
  const { name, help } = family;
  const labelNames = [...new Set(family.samples.flatMap(sample => Object.keys(sample.labels)))];
  const options = { name, help, labelNames, registers: [registry] };
  if (family.type === 'counter') {
    const counter = new Counter(options);
    for (const sample of family.samples) counter.inc(sample.labels, sample.value);
  } else {
    const gauge = new Gauge(options);
    for (const sample of family.samples) gauge.set(sample.labels, sample.value);
  }
}
