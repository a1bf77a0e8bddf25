// A model of the witness: the shipped rules (src/witness/witness.ts) on a server that can die, restart empty, be slow or be out of
// reach, and of the process beside pulse that answers `failed` when it hears nothing in time.
import { judge, recordOf, type StoredRecord, type WitnessAsk } from '../../src/witness/witness.ts';
import type { Router } from './router.ts';
import type { World } from './world.ts';

const PROBLEM = 'no answer in the simulation';

export class WitnessModel {
  readonly #world: World;
  readonly leaseMs: number;
  readonly timeoutMs: number;
  /** How many faults keep it down, or a router from it. */
  down = 0;
  readonly cut = [0, 0];
  slowMs = 0;
  /** Something was wrong with it in this schedule. */
  troubled = false;
  #stored: StoredRecord | undefined;
  #run = 1;

  constructor(world: World, leaseMs: number, timeoutMs: number) {
    this.#world = world;
    this.leaseMs = leaseMs;
    this.timeoutMs = timeoutMs;
  }

  /** `empty`: it kept nothing on disk. */
  restarts(empty: boolean): void {
    this.#run += 1;
    if (empty) this.#stored = undefined;
  }

  ask(router: Router, ask: WitnessAsk): void {
    const { timeline } = this.#world;
    const { pulse } = router;
    let answered = false;
    const give = (verdict: Parameters<typeof this.answer>[2], stored: StoredRecord | undefined) => {
      if (answered || router.pulse !== pulse) return;
      answered = true;
      this.answer(router, ask, verdict, stored);
    };
    timeline.in(this.timeoutMs, () => give('failed', undefined));
    timeline.in(this.#flightMs(), () => {
      if (!this.#reaches(router)) return;
      const server = { nowMs: 1e12 + timeline.now, runId: String(this.#run) };
      const asked = { verb: ask.verb, nodeId: router.index + 1, epoch: ask.epoch, leaseMs: this.leaseMs };
      const { verdict, stored } = judge(this.#stored, asked, server);
      this.#stored = stored;
      timeline.in(this.#flightMs(), () => {
        if (this.#reaches(router)) give(verdict, stored);
      });
    });
  }

  answer(
    router: Router,
    { seq, verb }: WitnessAsk,
    verdict: 'seen' | 'granted' | 'refused' | 'stale' | 'empty' | 'failed',
    stored: StoredRecord | undefined,
  ): void {
    const server = { nowMs: 1e12 + this.#world.timeline.now, runId: String(this.#run) };
    const record = stored && recordOf(stored, server);
    if (verb === 'claim' || verb === 'found' || verdict === 'stale')
      this.#world.say('witness', () => `${verb} of ${router.name}: ${verdict}`);
    const problem = verdict === 'failed' ? PROBLEM : '';
    router.pulse?.post('control', { type: 'witness', answer: { seq, verdict, record, problem } });
  }

  #reaches(router: Router): boolean {
    return this.down === 0 && this.cut[router.index] === 0 && router.up && !router.clock.isPaused();
  }

  #flightMs(): number {
    return 0.3 + this.#world.random.next() * 0.5 + this.slowMs;
  }
}
