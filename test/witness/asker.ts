// What the tests ask a witness with: the real process behind src/pulse/io/witness-process.ts, one promise for each ask. Io.
import type { ExecutionContext } from 'ava';
import type { RedisConfig } from '../../src/config/schema.ts';
import { startWitness, type Witness, type WitnessOptions } from '../../src/pulse/io/witness-process.ts';
import { type At, ms } from '../../src/units/duration.ts';
import type { Epoch } from '../../src/units/epoch.ts';
import { witnessKey } from '../../src/witness/script.ts';
import type { WitnessAnswer, WitnessVerb } from '../../src/witness/witness.ts';
import type { WitnessSetup } from '../../src/witness/witness-line.ts';
import { redisConfig } from '../sync/store/entries.ts';

export const KEY = witnessKey('tandem', 'ftp-pair');
/** Generous: the machine may be busy with other tests. */
export const TIMEOUT_MS = 600;

export const now = () => (Number(process.hrtime.bigint()) / 1e6) as At;
export const epoch = (counter: number, node: number): Epoch => ({ counter, node });

export interface AskerOptions {
  readonly nodeId?: 1 | 2;
  readonly redis: Partial<RedisConfig>;
  readonly leaseMs?: number;
  readonly timeoutMs?: number;
  readonly more?: Pick<WitnessOptions, 'program' | 'chrt'>;
}

export class Asker {
  readonly witness: Witness;
  readonly troubles: string[] = [];
  readonly answers: WitnessAnswer[] = [];
  readonly #waiting = new Map<number, (answer: WitnessAnswer) => void>();
  #seq = 0;

  /** Ends with the test. */
  constructor(t: ExecutionContext, { nodeId = 1, redis, leaseMs = 1_000, timeoutMs = TIMEOUT_MS, more }: AskerOptions) {
    const setup: WitnessSetup = {
      redis: redisConfig({ timeout: ms(1_000), ...redis }),
      key: KEY,
      nodeId,
      leaseMs,
      timeoutMs,
    };
    this.witness = startWitness({
      setup,
      ...more,
      onAnswer: answer => {
        this.answers.push(answer);
        this.#waiting.get(answer.seq)?.(answer);
        this.#waiting.delete(answer.seq);
      },
      onTrouble: text => this.troubles.push(text),
    });
    t.teardown(() => {
      const { pid } = this.witness;
      this.witness.close();
      // It may be stopped, or have nobody to talk to.
      if (pid !== undefined) kill(pid, 'SIGKILL');
    });
  }

  ask(verb: WitnessVerb, epochAsked: Epoch = epoch(0, 0), at: At = now()): Promise<WitnessAnswer> {
    const seq = ++this.#seq;
    return new Promise(resolve => {
      this.#waiting.set(seq, resolve);
      this.witness.ask({ seq, verb, epoch: epochAsked, at });
    });
  }

  async verdict(verb: WitnessVerb, epochAsked?: Epoch): Promise<string> {
    return (await this.ask(verb, epochAsked)).verdict;
  }

  /** The first answer that `wanted` likes, within `msMax`; else the last one. */
  async until(wanted: (answer: WitnessAnswer) => boolean, msMax = 20_000): Promise<WitnessAnswer> {
    const end = performance.now() + msMax;
    for (;;) {
      const answer = await this.ask('look');
      if (wanted(answer) || performance.now() > end) return answer;
      await new Promise(resolve => setTimeout(resolve, 20));
    }
  }

  /** Until the process is up and connected. */
  async ready(): Promise<this> {
    await this.until(answer => answer.verdict !== 'failed');
    return this;
  }
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}
