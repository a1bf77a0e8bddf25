// The checks of one server's control ports, as one result: it is well when all are, and alive when
// one is. Pure.
import { STAGES, type Stage } from '../config/check-stages.ts';
import type { Certificate, CheckResult, Failure, Life, StageTimes } from './verdict.ts';

export interface PortResult {
  readonly port: number;
  readonly result: CheckResult;
}

/** `results` holds at least one. */
export function resultOfPorts(results: readonly PortResult[]): CheckResult {
  const [first, ...others] = results;
  if (first === undefined) throw new Error('a check of no port has no result');
  if (others.length === 0) return first.result;
  const certificate = firstToEnd(results.map(({ result }) => result.certificate));
  for (const { port, result } of results) {
    if (!result.ok) return { ...failedAt(port, result), life: lifeOf(results), certificate };
  }
  const slowest = results.map(({ result }) => result).reduce((most, one) => (one.tookMs > most.tookMs ? one : most));
  return { ...slowest, stagesMs: longestStages(results), certificate };
}

function longestStages(results: readonly PortResult[]): StageTimes {
  const longest: Partial<Record<Stage, number>> = {};
  for (const stage of STAGES) {
    const times = results.map(({ result }) => result.stagesMs?.[stage]).filter(time => time !== undefined);
    if (times.length > 0) longest[stage] = Math.max(...times);
  }
  return longest;
}

function failedAt(port: number, failure: Failure): Failure {
  return { ...failure, problem: `port ${port}: ${failure.problem}` };
}

/** A server whose one port is dead serves on at the other: its sessions must stay. */
function lifeOf(results: readonly PortResult[]): Life {
  const lives = results.map(({ result }): Life => (result.ok ? 'speaks' : result.life));
  if (lives.includes('speaks')) return 'speaks';
  return lives.includes('silent') ? 'silent' : 'none';
}

function firstToEnd(certificates: readonly (Certificate | undefined)[]): Certificate | undefined {
  const seen = certificates.filter(certificate => certificate !== undefined);
  return seen.length === 0 ? undefined : seen.reduce((least, one) => (one.daysLeft < least.daysLeft ? one : least));
}
