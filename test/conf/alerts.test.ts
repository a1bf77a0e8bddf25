// conf/alerts.yaml: Prometheus can read it, every metric it names is one of ours, and every alert says what to do and where to look.
import { readFileSync } from 'node:fs';
import test from 'ava';
import { EVENTS } from '../../src/log/catalogue.ts';
import { PULSE_COUNTERS, SYNC_LOSSES } from '../../src/log/counters.ts';
import { counterName, familiesOf, type MetricFamily } from '../../src/status/metrics.ts';
import { pulseSnapshot, statusReport } from '../status/fixture.ts';
import { alertGroups, alertRules, alertsDocument } from './alert-rules.ts';
import { metricsIn } from './recording.ts';

/** All families there can be, with the names of their labels. */
const families = new Map<string, { readonly type: MetricFamily['type']; readonly labels: ReadonlySet<string> }>(
  familiesOf(
    statusReport({
      pulse: pulseSnapshot({ counters: Object.fromEntries(Object.keys(PULSE_COUNTERS).map(name => [name, 0])) }),
    }),
  ).map(({ name, type, samples }) => [
    name,
    { type, labels: new Set(samples.flatMap(({ labels }) => Object.keys(labels))) },
  ]),
);

test('the file is well-formed, every alert has another name', t => {
  t.deepEqual([alertsDocument.errors, alertsDocument.warnings], [[], []]);
  t.is(new Set(alertRules.map(rule => rule.alert)).size, alertRules.length);
  t.is(new Set(alertGroups.map(group => group.name)).size, alertGroups.length);
});

for (const { alert, expr, annotations } of alertRules) {
  test(`${alert} asks for metrics that exist, in brackets that close`, t => {
    const names = metricsIn(expr);
    t.true(names.length > 0);
    for (const name of names) t.true(families.has(name), `there is no ${name}`);
    for (const [open, close] of ['()', '{}', '[]'] as const) {
      const depth = [...expr].reduce((n, c) => (n < 0 ? n : n + Number(c === open) - Number(c === close)), 0);
      t.is(depth, 0, `${open}${close}`);
    }
    for (const [, name, selector] of expr.matchAll(/\b(tandem_[a-z_]+)\{([^}]*)\}/g)) {
      for (const [, label] of (selector ?? '').matchAll(/([a-z_]+)\s*[=!]/g)) {
        t.true(families.get(name ?? '')?.labels.has(label ?? ''), `${name} has no label ${label}`);
      }
    }
  });

  test(`${alert} names events that exist and labels that its series have`, t => {
    for (const code of annotations.codes.split(', ')) t.true(code in EVENTS, code);
    const told = `${annotations.summary} ${annotations.action}`;
    for (const [, label] of told.matchAll(/\{\{ \$labels\.([a-z]+) \}\}/g)) {
      const known =
        ['instance', 'job'].includes(label ?? '') ||
        metricsIn(expr).some(name => families.get(name)?.labels.has(label ?? ''));
      t.true(known, label);
      // An aggregation keeps only the labels it names.
      const kept = expr.match(/\bby \(([^)]*)\)/)?.[1];
      if (kept !== undefined) t.true(kept.split(', ').includes(label ?? ''), `${label} is aggregated away`);
    }
    t.is(told.split('{{').length, told.split('}}').length);
  });
}

test('counters are asked for by their growth, and nothing else is', t => {
  for (const { alert, expr } of alertRules) {
    const grown = [...expr.matchAll(/\b(?:increase|rate)\((tandem_[a-z_]+)\[\d+[smh]\]\)/g)].map(([, name]) => name);
    const counters = metricsIn(expr).filter(name => families.get(name)?.type === 'counter');
    t.deepEqual(grown, counters, alert);
  }
});

test('no loss of the sync goes without an alert', t => {
  const watched = new Set(alertRules.flatMap(rule => metricsIn(rule.expr)));
  for (const name of SYNC_LOSSES) t.true(watched.has(counterName(name, 'sync')), name);
});

test('the page about alerts has each of them with its severity, its time and its events', t => {
  const page = readFileSync('docs/operating/alerts.md', 'utf8');
  const rows = [...page.matchAll(/^\| (Tandem\w+) \| (\w+) \| ([\w ]+) \| [^|]+ \| ([^|]+) \|$/gm)];
  t.deepEqual(
    rows.map(([, ...cells]) => cells),
    alertRules.map(rule => [rule.alert, rule.labels.severity, rule.for ?? 'at once', rule.annotations.codes]),
  );
});
