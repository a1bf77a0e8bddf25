// The examples for who watches by the log: a real journald gets every event that there is, rsyslogd and conf/tandem-alarm find the
// alarms among them by their codes. Needs root and scripts/setup.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { EVENTS, type EventCode } from '../../src/log/catalogue.ts';
import type { EventEntry } from '../../src/log/event.ts';
import { entryOf, formatLine } from '../../src/log/log-line.ts';
import { alertRules } from '../conf/alert-rules.ts';
import { run } from '../lab/pair/netns.ts';

const WATCH = fileURLToPath(new URL('../../../test/netns/io/journal-alarms', import.meta.url));
/** An alarm for both, and the last that is written. */
const LAST = 'DRIFT_REPEATS' satisfies EventCode;

function line(code: EventCode, fields: Readonly<Record<string, string>> = {}): string {
  const origin = { ts: new Date().toISOString(), process: 'pulse', node: 'router-a' };
  return formatLine(entryOf(code, EVENTS[code], fields, origin), true);
}

interface Found {
  /** What rsyslog calls each code that it knows. */
  readonly words: ReadonlyMap<string, string>;
  readonly rsyslog: string;
  readonly alarms: readonly string[];
}

async function watched(lines: readonly string[]): Promise<Found> {
  const directory = await mkdtemp(join(tmpdir(), 'tandem-journal-'));
  try {
    const apart = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private'];
    await run('unshare', [...apart, WATCH, directory, LAST], { input: lines.join(''), timeoutMs: 90_000 });
    const [rsyslog, alarms] = await Promise.all(
      ['rsyslog', 'alarms'].map(name => readFile(join(directory, name), 'utf8')),
    );
    const found = [...(rsyslog ?? '').matchAll(/^\S+ (\w+) router-a (\w+): /gm)];
    return {
      words: new Map(found.map(([, word, code]) => [String(code), String(word)])),
      rsyslog: rsyslog ?? '',
      alarms: (alarms ?? '').trim().split('\n'),
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

test.serial('rsyslog and tandem-alarm find each alarm by its code, and rsyslog its end', async t => {
  t.timeout(120_000);
  const codes = (Object.keys(EVENTS) as EventCode[]).filter(code => code !== LAST);
  // Words of others in a field are no alarm.
  const hostile = line('VIPD_ERROR', { text: '"code":"STANDS_DOWN"' });
  const { words, rsyslog, alarms } = await watched([hostile, ...codes.map(code => line(code)), line(LAST)]);

  const named = new Set(alertRules.flatMap(({ annotations }) => annotations.codes.split(', ')));
  t.deepEqual(
    [...named].filter(code => !/^(URGENT|WARNING|NOTE)$/.test(words.get(code) ?? '')),
    [],
    'each code of an alert is known',
  );
  const raised = [...words].filter(([, word]) => word === 'URGENT' || word === 'WARNING').map(([code]) => code);
  const endOf = (code: string) => (EVENTS[code as EventCode] as EventEntry).endedBy;
  const ends = new Set(raised.flatMap(code => endOf(code) ?? []).filter(code => !named.has(code)));
  t.deepEqual([...words].flatMap(([code, word]) => (word === 'OVER' ? [code] : [])).sort(), [...ends].sort());
  t.deepEqual([...alarms].sort(), raised.sort(), 'the same alarms, each once');
  t.regex(rsyslog, /^\S+ URGENT router-a NO_SERVER_UP: No real server of a service passes its check.* \| \{"ts":/m);
});
