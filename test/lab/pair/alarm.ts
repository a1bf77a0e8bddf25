// One fault after the other on a real pair: what is logged, and what both routers' metrics are before, during and after it, as tests
// by which promtool says whether the alert fires on that, and ends. Io.
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventCode } from '../../../src/log/catalogue.ts';
import { alertRule, forSeconds, watchedMetrics } from '../../conf/alert-rules.ts';
import { type Frame, type PromtoolTest, type Scrape, scrapeOf, seriesOf } from '../../conf/recording.ts';
import { beginStep } from '../../runner/step.ts';
import { ROUTERS, type Router } from './topology.ts';

/** A busy machine must not fail it. */
const WITHIN_MS = 90_000;
const LOOK_MS = 100;
/**
 * Alerts wait for minutes, this test does not: each scrape stands for one a minute later, the last one under the fault for as long as
 * the alert's `for`, the one after it for longer than the widest window of a rule.
 */
export const ALARM_INTERVAL = '1m';
const AFTER_STEPS = 17;

export type Scrapes = Readonly<Record<Router, Scrape | undefined>>;

export interface Fault {
  /** As the list of what must be alerted on has it. */
  readonly title: string;
  readonly alert: string;
  /** What tells the alert from others of its name. */
  readonly labels: Readonly<Record<string, string>>;
  readonly events: readonly (readonly [Router, EventCode])[];
  /** Whether the metrics show it. */
  readonly isShown: (now: Scrapes, before: Scrapes) => boolean;
  /** Default: it is not shown any more. */
  readonly isOver?: (now: Scrapes) => boolean;
  readonly begin: () => Promise<unknown>;
  readonly end: () => Promise<unknown>;
  /** What is done between its end and the proof that it is over. */
  readonly meanwhile?: () => Promise<unknown>;
}

/** The pair, as the alarm sees it. */
interface Place {
  readonly statusSocket: (router: Router) => string;
  /** All lines that its daemons have logged. */
  readonly logOf: (router: Router) => Promise<readonly Readonly<Record<string, unknown>>[]>;
  readonly say: (text: string) => void;
  /** How long a fault may take to be seen, and to be over; default 90 s. */
  readonly withinMs?: number;
  /** How long between two looks; default 100 ms. */
  readonly lookMs?: number;
}

export class Alarm {
  readonly #place: Place;
  readonly #tests: PromtoolTest[] = [];
  #noted: Scrapes[] = [];

  constructor(place: Place) {
    this.#place = place;
  }

  /** One for each fault that happened. */
  get tests(): readonly PromtoolTest[] {
    return this.#tests;
  }

  async scrape(): Promise<Scrapes> {
    const [r1, r2] = await Promise.all(ROUTERS.map(router => scrapeSocket(this.#place.statusSocket(router))));
    return { r1, r2 };
  }

  /** Scrapes while a fault is being made, where what alarms is the change itself. */
  async note(): Promise<void> {
    this.#noted.push(await this.scrape());
  }

  /** Makes the fault and ends it; throws when it is not logged, not shown or not over. */
  async happens(fault: Fault): Promise<void> {
    const { title, isShown, events } = fault;
    const began = performance.now();
    const before = await this.#until(`${title} is not shown yet`, now => !isShown(now, now));
    const since = new Date().toISOString();
    this.#noted = [];
    await fault.begin();
    const during = await this.#until(`${title} is shown`, now => isShown(now, before));
    for (const [router, code] of events) {
      if (!alertRule(fault.alert).annotations.codes.split(', ').includes(code))
        throw new Error(`${fault.alert} does not name ${code}`);
      await this.#within(`${router} logs ${code}`, () => this.#isLogged(router, code, since));
    }
    const frames = [...this.#noted, during];
    await fault.end();
    await fault.meanwhile?.();
    const after = await this.#until(`${title} is over`, fault.isOver ?? (now => !isShown(now, before)));
    this.#tests.push(promtoolTest(fault, { before, frames, after }));
    this.#place.say(`${title}: ${((performance.now() - began) / 1_000).toFixed(1)} s`);
  }

  async #until(what: string, isSo: (now: Scrapes) => boolean): Promise<Scrapes> {
    let now = await this.scrape();
    await this.#within(what, async () => {
      if (isSo(now)) return true;
      now = await this.scrape();
      return isSo(now);
    });
    return now;
  }

  async #within(what: string, test: () => Promise<boolean>): Promise<void> {
    beginStep(what);
    const { withinMs = WITHIN_MS, lookMs = LOOK_MS } = this.#place;
    for (const end = performance.now() + withinMs; performance.now() < end; await sleep(lookMs))
      if (await test()) return;
    throw new Error(`not within ${withinMs} ms: ${what}`);
  }

  async #isLogged(router: Router, code: EventCode, since: string): Promise<boolean> {
    const lines = await this.#place.logOf(router);
    return lines.some(line => line.code === code && String(line.ts) >= since);
  }
}

function promtoolTest(
  { title, alert, labels }: Fault,
  { before, frames, after }: { readonly before: Scrapes; readonly frames: readonly Scrapes[]; readonly after: Scrapes },
): PromtoolTest {
  const hold = Math.ceil(forSeconds(alertRule(alert)) / 60);
  const last = frames.length - 1;
  const row: Frame[] = [
    { scrapes: before, steps: 2 },
    ...frames.map((scrapes, index) => ({ scrapes, steps: index === last ? hold + 2 : 1 })),
    { scrapes: after, steps: AFTER_STEPS },
  ];
  const matchers = Object.entries({ alertname: alert, alertstate: 'firing', ...labels });
  const expr = `count(ALERTS{${matchers.map(([name, value]) => `${name}="${value}"`).join(',')}})`;
  const at = (minute: number, firing: boolean) => ({
    eval_time: `${minute}m`,
    expr,
    exp_samples: firing ? [{ labels: '{}', value: 1 }] : [],
  });
  const end = 1 + last + hold + 2;
  return {
    name: title,
    interval: ALARM_INTERVAL,
    input_series: seriesOf(row, watchedMetrics),
    alert_rule_test: [],
    promql_expr_test: [at(1, false), at(end, true), at(end + AFTER_STEPS, false)],
  };
}

/** As curl does; undefined: it does not answer. */
function scrapeSocket(socketPath: string): Promise<Scrape | undefined> {
  return new Promise(resolve => {
    const request = get({ socketPath, path: '/metrics', timeout: 10_000 }, response => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(response.statusCode === 200 ? scrapeOf(text) : undefined));
      response.on('error', () => resolve(undefined));
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(undefined));
  });
}
