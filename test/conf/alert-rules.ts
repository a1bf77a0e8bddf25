// conf/alerts.yaml as data, and what a person sees of an alert that fires. Pure but for the reading of that one file.
import { readFileSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { metricsIn } from './recording.ts';

const ruleSchema = z.strictObject({
  alert: z.string().regex(/^Tandem[A-Za-z]+$/),
  expr: z.string().min(1),
  for: z
    .string()
    .regex(/^\d+[smh]$/)
    .optional(),
  labels: z.strictObject({ severity: z.enum(['critical', 'warning', 'info']) }),
  annotations: z.strictObject({ summary: z.string().min(10), action: z.string().min(20), codes: z.string().min(1) }),
});
const fileSchema = z.strictObject({
  groups: z
    .array(z.strictObject({ name: z.string().regex(/^tandem-[a-z]+$/), rules: z.array(ruleSchema).min(1) }))
    .min(1),
});
export type AlertRule = z.output<typeof ruleSchema>;

export const alertsDocument = parseDocument(readFileSync('conf/alerts.yaml', 'utf8'), {
  strict: true,
  uniqueKeys: true,
});
export const alertGroups = fileSchema.parse(alertsDocument.toJS()).groups;
export const alertRules: readonly AlertRule[] = alertGroups.flatMap(group => group.rules);

/** The metrics that any rule asks for. */
export const watchedMetrics: ReadonlySet<string> = new Set(alertRules.flatMap(rule => metricsIn(rule.expr)));

export function alertRule(name: string): AlertRule {
  const rule = alertRules.find(({ alert }) => alert === name);
  if (!rule) throw new RangeError(`there is no alert ${name}`);
  return rule;
}

/** How long an alert's expression must hold before it fires, in seconds. */
export function forSeconds({ for: hold = '0s' }: AlertRule): number {
  const unit = { s: 1, m: 60, h: 3_600 }[hold.slice(-1)] ?? Number.NaN;
  return Number.parseInt(hold, 10) * unit;
}

/** The annotations with their labels filled in; `value` as Prometheus is to write it. */
export function annotationsOf(
  { annotations }: AlertRule,
  labels: Readonly<Record<string, string>>,
  value: string,
): Record<string, string> {
  const fill = (text: string) =>
    text
      .replace(/\{\{ \$labels\.([a-z]+) \}\}/g, (_, label: string) => labels[label] ?? '')
      .replace(/\{\{ \$value(?: \| \w+)? \}\}/g, value);
  return Object.fromEntries(Object.entries(annotations).map(([name, text]) => [name, fill(text)]));
}
