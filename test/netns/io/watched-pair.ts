// The alarm (test/lab/pair/alarm.ts) on two routers in namespaces, with directors that a test starts, stops and starts again. Io.
import { join } from 'node:path';
import { testRules } from '../../conf/io/promtool.ts';
import { ALARM_INTERVAL, Alarm } from '../../lab/pair/alarm.ts';
import type { Router } from '../../lab/pair/topology.ts';
import type { PulseProcess, Routers } from './routers.ts';

export class WatchedPair {
  readonly alarm: Alarm;
  readonly #directors: Partial<Record<Router, PulseProcess>> = {};

  constructor(routers: Routers, say: (text: string) => void) {
    this.alarm = new Alarm({
      statusSocket: router => join(routers.directory, router, 'run', 'status.sock'),
      logOf: async router =>
        [routers.pulses[router], this.#directors[router]].flatMap(daemon => [...(daemon?.log ?? [])]),
      say,
    });
  }

  /** The director that a router has now. */
  setDirector(router: Router, director: PulseProcess): void {
    this.#directors[router] = director;
  }

  director(router: Router): PulseProcess {
    const director = this.#directors[router];
    if (!director) throw new Error(`${router} has no director`);
    return director;
  }

  /** Throws, with promtool's words, where an alert did not fire or did not end. */
  async judge(): Promise<void> {
    await testRules(ALARM_INTERVAL, this.alarm.tests);
  }
}
