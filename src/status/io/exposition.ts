// Prometheus text of a report, made with prom-client: our families in a registry of their own for
// each scrape (so that what is gone from the report is gone from the text), and the process's own
// metrics. Not pure: it watches this process.
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { familiesOf, type MetricFamily } from '../metrics.ts';
import type { StatusReport } from '../status-report.ts';

export interface Exposition {
  readonly contentType: string;
  render(report: StatusReport): Promise<string>;
}

/**
 * Starts watching the process (event loop lag, memory, descriptors); once per process is enough.
 */
export function createExposition(): Exposition {
  const own = new Registry();
  collectDefaultMetrics({ register: own });
  return {
    contentType: own.contentType,
    render: async report => {
      const registry = new Registry();
      // Without a sample prom-client would make up a zero.
      for (const family of familiesOf(report)) if (family.samples.length > 0) addMetricFamily(registry, family);
      return Registry.merge([registry, own]).metrics();
    },
  };
}

function addMetricFamily(registry: Registry, family: MetricFamily): void {
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
