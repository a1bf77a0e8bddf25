// What must be alerted on and needs IPVS, made real one after the other: a cold sync, one that lags, another program that takes
// Tandem's table away. Io. What was scraped is recorded: promtool judges it outside of the lab (lab.test.ts).
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { startService } from '../measure/failover.ts';
import { Alarm, type Fault, type Scrapes } from '../pair/alarm.ts';
import type { Pair } from '../pair/pair.ts';
import { CLIENT_ADDRESSES, type Router, VIP } from '../pair/topology.ts';
import { until } from './director-scenarios.ts';
import type { Lab, Scenario } from './scenario.ts';

const WITHIN_MS = 300_000;
const WARM_MS = 60_000;

/** The lines of both daemons of a router. */
async function logOf({ results }: Lab, router: Router): Promise<Record<string, unknown>[]> {
  const texts = await Promise.all(
    ['pulse', 'director'].map(daemon => readFile(path.join(results, `${router}-${daemon}.log`), 'utf8')),
  );
  // The last line may be half written.
  return texts.flatMap(text =>
    text
      .split('\n')
      .filter(line => line.startsWith('{') && line.endsWith('}'))
      .map(line => JSON.parse(line) as Record<string, unknown>),
  );
}

/** Rules of another firewall on a router; undone by `admit`. */
async function refuse(lab: Lab, router: Router, rules: readonly string[]): Promise<void> {
  const chains = ['input', 'output'].map(
    hook => `chain ${hook} { type filter hook ${hook} priority 0; policy accept; ${rules.join('; ')}; };`,
  );
  await lab.topology.exec(router, 'nft', ['-f', '-'], { input: `table inet foreign { ${chains.join(' ')} }\n` });
}

async function admit(lab: Lab, router: Router): Promise<void> {
  await lab.topology.exec(router, 'nft', ['delete', 'table', 'inet', 'foreign']);
}

interface Place {
  readonly lab: Lab;
  readonly pair: Pair;
  readonly active: Router;
  readonly standby: Router;
}

const at = (now: Scrapes, router: Router, series: string) => now[router]?.[series];

function syncFaults({ lab, pair, active, standby }: Place): Fault[] {
  return [
    {
      title: 'sync cold',
      alert: 'TandemStandbyCold',
      labels: { instance: active },
      events: [[active, 'PEER_COLD']],
      isShown: now => at(now, active, 'tandem_peer_warm') === 0,
      begin: () => pair.stopDirector(standby, 'SIGKILL'),
      end: () => pair.startDirector(standby),
      meanwhile: () => pair.untilWarm(standby, WITHIN_MS),
    },
    {
      title: 'sync lagging',
      alert: 'TandemSyncLag',
      labels: { instance: active },
      events: [[active, 'SYNC_STREAM_DOWN']],
      isShown: now =>
        (at(now, active, 'tandem_sync_lag_seconds') ?? 0) > 1 &&
        at(now, active, 'tandem_sync_phase{phase="streaming"}') === 1,
      begin: async () => {
        await refuse(lab, standby, ['tcp dport 694 drop', 'tcp sport 694 drop']);
        const url = `ftp://${VIP}/whoami`;
        await lab.topology.exec('client', 'curl', ['-s', '--interface', CLIENT_ADDRESSES[2], '-m', '30', url]);
      },
      end: () => admit(lab, standby),
      meanwhile: () => pair.untilWarm(standby, WITHIN_MS),
    },
  ];
}

/** More than are made at once: the next come after 1, 2, 4 and 8 s. */
const REPAIRS = 7;

function driftFault({ lab, standby }: Place, alarm: Alarm): Fault {
  const repairsOf = (now: Scrapes) => at(now, standby, 'tandem_repairs_total') ?? 0;
  return {
    title: 'drift repaired again and again',
    alert: 'TandemRepairsRepeat',
    labels: { instance: standby },
    events: [
      [standby, 'DRIFT_REPAIRED'],
      [standby, 'DRIFT_REPEATS'],
    ],
    isShown: (now, before) => repairsOf(now) >= repairsOf(before) + REPAIRS,
    begin: async () => {
      for (let round = 1; round <= REPAIRS; round += 1) {
        const before = repairsOf(await alarm.scrape());
        await lab.topology.exec(standby, 'nft', ['delete', 'table', 'inet', 'tandem']);
        await until('it is put back', async () => repairsOf(await alarm.scrape()) > before);
        if (round % 2 === 0) await alarm.note();
      }
    },
    end: async () => undefined,
    // The counter stays, its growth ends.
    isOver: () => true,
  };
}

/** What it was told of goes into the record `alarms`. */
export function alarmOf(lab: Lab, pair: Pair): Alarm {
  return new Alarm({
    statusSocket: router => path.join(pair.runDir(router), 'status.sock'),
    logOf: router => logOf(lab, router),
    say: lab.say,
    withinMs: WITHIN_MS,
    // Where the clock stands still while anything runs, each scrape costs what it costs.
    lookMs: 500,
  });
}

async function alarms(lab: Lab): Promise<void> {
  const { pair, active, standby } = await startService(lab);
  await pair.untilWarm(standby, WARM_MS);
  const alarm = alarmOf(lab, pair);
  const place = { lab, pair, active, standby };
  const faults = [...syncFaults(place), driftFault(place, alarm)];
  for (const fault of faults) await alarm.happens(fault);
  lab.record('alarms', alarm.tests);
}

export const ALERT_SCENARIOS: readonly Scenario[] = [
  {
    title: 'a cold sync, one that lags, and drift are logged, move a metric, and are over after the repair',
    timeoutMs: 900_000,
    run: alarms,
  },
];
