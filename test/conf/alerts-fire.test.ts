// Every alert of conf/alerts.yaml, evaluated by the real promtool on a pair that is healthy, has one fault, and is healthy again: it
// fires, not before its time, nothing else does, it says where, and it ends. Needs scripts/setup.
import test from 'ava';
import { createExposition } from '../../src/status/io/exposition.ts';
import { ALERT_CASES, type AlertCase, healthyReport } from './alert-cases.ts';
import { alertRule, alertRules, annotationsOf, forSeconds, watchedMetrics } from './alert-rules.ts';
import { checkConfig, checkRules, testRules } from './io/promtool.ts';
import { type Frame, JOB, type PromtoolTest, type Scrape, scrapeOf, seriesOf } from './recording.ts';

const ROUTERS = ['r1', 'r2'] as const;
/** Scrapes before the fault, for which it lasts beyond the alert's own `for`, and after it. */
const [BEFORE, BEYOND, AFTER] = [3, 10, 16];

/** Minutes between two scrapes, and two evaluations: more for an alert that waits for hours. */
function minutesOf({ alert }: AlertCase): number {
  return forSeconds(alertRule(alert)) >= 3_600 ? 30 : 1;
}

async function healthyPair(): Promise<Record<'r1' | 'r2', Scrape>> {
  const exposition = createExposition();
  const [r1, r2] = await Promise.all(
    ROUTERS.map(async router => scrapeOf(await exposition.render(healthyReport(router)))),
  );
  return { r1: r1 ?? {}, r2: r2 ?? {} };
}

/** The router's scrape with the changes, in step number `step` of the fault; past it: what stays of them. */
function changed(healthy: Scrape, changes: AlertCase['r1'], step: number): Scrape | undefined {
  if (changes === 'gone') return Number.isFinite(step) ? undefined : healthy;
  const now = { ...healthy };
  for (const [series, change] of Object.entries(changes ?? {})) {
    if (change === null || typeof change === 'number') {
      const isCounter = /_total$/.test(series);
      if (change === null && Number.isFinite(step)) delete now[series];
      else if (change !== null && (isCounter || Number.isFinite(step))) now[series] = change;
    } else now[series] = change[Math.min(step, change.length - 1)] ?? 0;
  }
  return now;
}

/** A counter that nothing has moved is scraped as 0: Prometheus sees growth only from a value that it knows. */
function withZeroes(healthy: Scrape, changes: AlertCase['r1']): Scrape {
  const counters = Object.keys(changes === 'gone' ? {} : (changes ?? {})).filter(series => /_total$/.test(series));
  return { ...Object.fromEntries(counters.map(series => [series, 0])), ...healthy };
}

function promtoolTest(about: AlertCase, pair: Record<'r1' | 'r2', Scrape>): PromtoolTest {
  const rule = alertRule(about.alert);
  const minutes = minutesOf(about);
  const hold = Math.ceil(forSeconds(rule) / 60 / minutes);
  const healthy = { r1: withZeroes(pair.r1, about.r1), r2: withZeroes(pair.r2, about.r2) };
  const at = (step: number) => ({
    r1: changed(healthy.r1, about.r1, step),
    r2: changed(healthy.r2, about.r2, step),
  });
  const frames: Frame[] = [
    { scrapes: healthy, steps: BEFORE },
    ...Array.from({ length: BEYOND - 1 }, (_, step) => ({ scrapes: at(step), steps: 1 })),
    { scrapes: at(BEYOND - 1), steps: hold + 1 },
    { scrapes: at(Number.POSITIVE_INFINITY), steps: AFTER },
  ];
  const during = BEFORE + hold + BEYOND - 1;
  const count = `count by (alertname) (ALERTS{alertstate="firing"})`;
  const firing = new Map<string, number>();
  for (const name of [...about.labels.map(() => about.alert), ...(about.also ?? [])])
    firing.set(name, (firing.get(name) ?? 0) + 1);
  const samples = [...firing].map(([name, value]) => ({ labels: `{alertname="${name}"}`, value }));
  const alerts = about.labels.map(labels => {
    const whole = { ...labels, ...('instance' in labels && { job: JOB }), severity: rule.labels.severity };
    return { exp_labels: whole, exp_annotations: annotationsOf(rule, whole, about.value ?? '') };
  });
  const timeOf = (step: number) => `${step * minutes}m`;
  const nothing = (step: number) => ({ eval_time: timeOf(step), expr: count, exp_samples: [] });
  const alertAt = (step: number, exp: typeof alerts) => ({
    eval_time: timeOf(step),
    alertname: about.alert,
    exp_alerts: exp,
  });
  return {
    name: `${about.alert}${about.when === undefined ? '' : `: ${about.when}`}`,
    interval: `${minutes}m`,
    input_series: seriesOf(frames, watchedMetrics),
    alert_rule_test: [
      ...(forSeconds(rule) >= 120 ? [alertAt(BEFORE + hold - 1, [])] : []),
      alertAt(during, alerts),
      alertAt(during + AFTER, []),
    ],
    promql_expr_test: [
      nothing(BEFORE - 1),
      { eval_time: timeOf(during), expr: count, exp_samples: samples },
      nothing(during + AFTER),
    ],
  };
}

test('promtool takes the rules', async t => {
  t.regex(await checkRules(), new RegExp(`SUCCESS: ${alertRules.length} rules found`));
});

test('promtool takes the example of a config, which finds the rules', async t => {
  t.regex(await checkConfig(), new RegExp(`1 rule files found[^]*${alertRules.length} rules found`));
});

test('each alert has a case', t => {
  const covered = new Set(ALERT_CASES.map(({ alert }) => alert));
  t.deepEqual(
    alertRules.map(({ alert }) => alert).filter(alert => !covered.has(alert)),
    [],
  );
});

test('each alert fires on its fault, says where, leaves all others silent, and ends with the fault', async t => {
  t.timeout(120_000);
  const pair = await healthyPair();
  for (const minutes of new Set(ALERT_CASES.map(minutesOf))) {
    const cases = ALERT_CASES.filter(about => minutesOf(about) === minutes);
    await testRules(
      `${minutes}m`,
      cases.map(about => promtoolTest(about, pair)),
    );
  }
  t.pass();
});
