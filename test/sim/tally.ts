// Counts results of schedules, across processes, and puts them into words.
import type { Result } from './run.ts';

/** Failing seeds whose text is kept. */
const FAILED_MAX = 1_000;

export interface Failure {
  readonly seed: number;
  readonly kind: string;
  readonly invariant: string;
  readonly text: string;
}

export class Tally {
  schedules = 0;
  steps = 0;
  virtualMs = 0;
  exempted = 0;
  readonly kinds: Record<string, number> = {};
  readonly rules: Record<string, number> = {};
  /** In how many schedules each fault was. */
  readonly faults: Record<string, number> = {};
  readonly failed: Failure[] = [];

  take({ seed, kind, breach, steps, virtualMs, exemptions, faults }: Result): void {
    this.schedules += 1;
    this.steps += steps;
    this.virtualMs += virtualMs;
    this.kinds[kind] = (this.kinds[kind] ?? 0) + 1;
    for (const rule of exemptions) this.rules[rule] = (this.rules[rule] ?? 0) + 1;
    for (const fault of faults) this.faults[fault] = (this.faults[fault] ?? 0) + 1;
    if (exemptions.length > 0) this.exempted += 1;
    if (breach && this.failed.length < FAILED_MAX)
      this.failed.push({ seed, kind, invariant: breach.invariant, text: breach.text });
  }

  /** Adds what another process has counted. */
  add(other: ReturnType<Tally['plain']>): void {
    this.schedules += other.schedules;
    this.steps += other.steps;
    this.virtualMs += other.virtualMs;
    this.exempted += other.exempted;
    for (const counts of ['kinds', 'rules', 'faults'] as const)
      for (const [name, count] of Object.entries(other[counts])) this[counts][name] = (this[counts][name] ?? 0) + count;
    this.failed.push(...other.failed.slice(0, FAILED_MAX - this.failed.length));
  }

  /** For another process. */
  plain() {
    const { schedules, steps, virtualMs, exempted, kinds, rules, faults, failed } = this;
    return { schedules, steps, virtualMs, exempted, kinds, rules, faults, failed };
  }

  summary(seconds: number) {
    const perMinute = Math.round((60 * this.schedules) / Math.max(seconds, 0.001));
    return { ...this.plain(), seconds, schedulesPerMinute: perMinute, ok: this.failed.length === 0 };
  }

  text(seconds: number): string {
    const { schedulesPerMinute } = this.summary(seconds);
    const virtualHours = (this.virtualMs / 3_600_000).toFixed(1);
    const listed = (title: string, counts: Record<string, number>) => [
      title,
      ...Object.entries(counts)
        .sort(([, a], [, b]) => b - a)
        .map(([name, count]) => `  ${String(count).padStart(8)}  ${name}`),
    ];
    const shares = Object.entries(this.faults).map(([name, count]) => {
      const percent = ((100 * count) / Math.max(1, this.schedules)).toFixed(1);
      return [`${name} (${percent} % of the schedules)`, count] as const;
    });
    return [
      `${this.schedules} schedules in ${seconds.toFixed(1)} s, ${schedulesPerMinute} a minute; ${this.steps} steps, ${virtualHours} hours of virtual time`,
      ...listed('kinds:', this.kinds),
      ...listed('faults, by the schedules they were in:', Object.fromEntries(shares)),
      ...listed('what was allowed all the same, by rule:', this.rules),
      ...this.failed.flatMap(({ seed, kind, invariant, text }) => [
        `FAILED seed ${seed} (${kind}): ${invariant}: ${text}`,
        `  replay: scripts/simulate --seed ${seed}`,
      ]),
      this.failed.length === 0 ? 'everything held' : `${this.failed.length} schedules failed`,
      '',
    ].join('\n');
  }
}
