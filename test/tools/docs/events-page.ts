// docs/reference/EVENTS.md from the event catalogue. Pure; written by scripts/docs.
import { PULSE_COUNTERS, SYNC_COUNTERS } from '../../../src/log/counters.ts';
import { type EventEntry, SEVERITIES } from '../../../src/log/event.ts';

/** The page of all events, in Markdown: a table by severity, then each event with its fields and what to do. */
export function eventReference(events: Readonly<Record<string, EventEntry>>): string {
  const sorted = Object.entries(events).sort(
    ([a, one], [b, two]) => SEVERITIES.indexOf(one.severity) - SEVERITIES.indexOf(two.severity) || (a < b ? -1 : 1),
  );
  return [
    '# Events',
    '',
    'Made from src/log/catalogue.ts by `scripts/docs`: do not edit. Every line of the log is a JSON object with `code`, and a',
    'code never changes its meaning: alert on codes. Severities are those of syslog (RFC 5424), worst first.',
    '',
    '| code | severity | what happened | ended by |',
    '|---|---|---|---|',
    ...sorted.map(([code, event]) => `| ${link(code)} | ${event.severity} | ${event.says} | ${link(event.endedBy)} |`),
    '',
    ...sorted.flatMap(([code, event]) => section(code, event)),
    '# Counters of pulse',
    '',
    ...meanings(PULSE_COUNTERS),
    '',
    '# Counters of the sync',
    '',
    ...meanings(SYNC_COUNTERS),
    '',
  ].join('\n');
}

function meanings(counters: Readonly<Record<string, string>>): string[] {
  return Object.entries(counters).map(([name, meaning]) => `- \`${name}\`: ${meaning}`);
}

function section(code: string, { severity, says, remedy, fields, endedBy }: EventEntry): string[] {
  const named = Object.entries(fields);
  return [
    `## ${code}`,
    '',
    `${severity}: ${says}`,
    '',
    ...(remedy === undefined ? [] : [`What to do: ${remedy}`, '']),
    ...(endedBy === undefined ? [] : [`Ended by ${link(endedBy)}.`, '']),
    ...named.map(([name, holds]) => `- \`${name}\`: ${holds}`),
    ...(named.length > 0 ? [''] : []),
  ];
}

function link(code: string | undefined): string {
  return code === undefined ? '' : `[${code}](#${code.toLowerCase()})`;
}
