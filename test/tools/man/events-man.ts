// tandem-events(7) from the catalogue of events and counters, as docs/reference/EVENTS.md is. Pure.
import { PULSE_COUNTERS, SYNC_COUNTERS } from '../../../src/log/counters.ts';
import type { EventEntry } from '../../../src/log/event.ts';
import { example, heading, type ManHead, manHead, manPage, paragraph, seeAlso, subheading, tagged } from './roff.ts';

export function eventsManual(
  events: Readonly<Record<string, EventEntry>>,
  head: Pick<ManHead, 'version' | 'date'>,
): string {
  const byCode = Object.entries(events).sort(([a], [b]) => (a < b ? -1 : 1));
  return manPage([
    ...manHead({
      ...head,
      name: 'tandem-events',
      section: '7',
      about: 'events in the log of Tandem, and its counters',
    }),
    heading('Description'),
    ...paragraph(
      'Every line that the daemons log is a JSON object with `code`. A code never changes its meaning, so alerts may go by it. Severities are those of syslog (RFC 5424).',
    ),
    ...example(['journalctl -u tandem-pulse -u tandem-director -o cat | jq \'select(.code == "ROLE_CHANGED")\'']),
    heading('Events'),
    ...byCode.flatMap(([code, event]) => eventSection(code, event)),
    heading('Counters of pulse'),
    ...meanings(PULSE_COUNTERS),
    heading('Counters of the sync'),
    ...meanings(SYNC_COUNTERS),
    ...seeAlso('tandem(8)', 'tandem.yaml(5)', 'journalctl(1)'),
  ]);
}

function eventSection(code: string, { severity, says, remedy, fields, endedBy }: EventEntry): string[] {
  return [
    subheading(`${code} (${severity})`),
    ...paragraph(says),
    ...(remedy === undefined ? [] : paragraph(`What to do: ${remedy}`)),
    ...(endedBy === undefined ? [] : paragraph(`Ended by \`${endedBy}\`.`)),
    ...meanings(fields),
  ];
}

function meanings(named: Readonly<Record<string, string>>): string[] {
  return Object.entries(named).flatMap(([name, holds]) => tagged(name, holds));
}
