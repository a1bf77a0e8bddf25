// Rules about times: H < L < D with the margins that keep "one owner" true, and check time-outs.
// Pure; source: R1 (docs/invariants.md). L >= 2H: one lost or late renewal must not cost the VIPs.
// D >= L + max(H/2, 8 ms): the active router has lost its lease, and said so, before the standby
// may judge it dead.
import { formatDuration, type Ms, ms } from '../../units/duration.ts';
import { STAGE_TIMEOUT_DEFAULT } from '../check-schema.ts';
import type { Config, FtpServiceConfig, ServiceConfig } from '../schema.ts';
import { error, type Finding, type Path, type Rule, warning } from './finding.ts';
import { ftpServicesOf } from './services-of.ts';

const MARGIN_MS_MIN = 8;
const REAL_TIME_BELOW_MS = 100;

const heartbeat = (field: string): Path => ['heartbeat', field];

/** The shortest lease that heartbeat interval `interval` allows. */
export function leaseFloor(interval: Ms): Ms {
  return ms(2 * interval);
}

/** The shortest dead time that a lease and a heartbeat interval allow. */
export function deadFloor(lease: Ms, interval: Ms): Ms {
  return ms(lease + Math.max(interval / 2, MARGIN_MS_MIN));
}

export const TIMING_RULES: readonly Rule[] = [
  {
    says:
      '`heartbeat.lease` >= 2 x `interval`; `heartbeat.dead` >= `lease` + the larger of `interval` / 2 and 8ms. ' +
      'Warning: `dead` below 100ms wants real-time scheduling.',
    check: ({ heartbeat }) => heartbeatTimes(heartbeat),
  },
  {
    says: '`stage_timeout` of a check <= its `timeout` (the default of `stage_timeout` does not count).',
    check: config => ftpServicesOf(config).flatMap(checkTimes),
  },
  {
    says: '`deadline` of a check >= its `timeout`; `interval_changing` <= `interval`, and <= `interval_down` where there is one.',
    check: ({ services }) => Object.entries(services).flatMap(checkPaces),
  },
];

function heartbeatTimes({ interval, lease, dead }: Config['heartbeat']): Finding[] {
  const [h, l, d] = [heartbeat('interval'), heartbeat('lease'), heartbeat('dead')] as const;
  const findings: Finding[] = [];
  if (lease < leaseFloor(interval)) {
    const problem = `lease ${formatDuration(lease)} is too short for interval ${formatDuration(interval)}`;
    const remedy = `write at least ${formatDuration(leaseFloor(interval))} (lease >= 2 x interval), or a shorter interval`;
    findings.push(error(l, problem, remedy, [h]));
  }
  const floor = deadFloor(lease, interval);
  if (dead < floor) {
    const problem = `dead ${formatDuration(dead)} leaves no margin after lease ${formatDuration(lease)}`;
    const remedy = `write at least ${formatDuration(floor)} (dead >= lease + the larger of interval / 2 and 8ms)`;
    findings.push(error(d, problem, remedy, [h, l]));
  }
  if (dead < REAL_TIME_BELOW_MS) {
    const problem = `dead ${formatDuration(dead)} is below 100ms, which a busy machine keeps only with real-time scheduling`;
    const remedy = 'run pulse by its systemd unit, which asks for it, or write 100ms or more';
    findings.push(warning(d, problem, remedy));
  }
  return findings;
}

/** A shorter deadline would be the timeout; a slower change would hide what it is to show. */
function checkPaces([name, service]: readonly [string, ServiceConfig]): Finding[] {
  const { timeout, interval, interval_down: down, interval_changing: changing } = service.check;
  const deadline = service.kind === 'ftp' ? service.check.deadline : undefined;
  const at = (field: string): Path => ['services', name, 'check', field];
  const findings: Finding[] = [];
  if (deadline !== undefined && deadline < timeout) {
    const problem = `deadline ${formatDuration(deadline)} of all control ports is shorter than timeout ${formatDuration(timeout)} of one`;
    const remedy = `write at least ${formatDuration(timeout)}, or a shorter timeout`;
    findings.push(error(at('deadline'), problem, remedy, [at('timeout')]));
  }
  const least = down !== undefined && down < interval ? down : interval;
  if (changing !== undefined && changing > least) {
    const field = least === interval ? 'interval' : 'interval_down';
    const problem = `interval_changing ${formatDuration(changing)} is longer than ${field} ${formatDuration(least)}`;
    const remedy = `write at most ${formatDuration(least)}, or delete it`;
    findings.push(error(at('interval_changing'), problem, remedy, [at(field)]));
  }
  return findings;
}

function checkTimes([name, service]: readonly [string, FtpServiceConfig]): Finding[] {
  const { timeout, stage_timeout } = service.check;
  // Whoever wrote only a short timeout is not to blame for the default of the other: the check goes
  // by the shorter one.
  if (stage_timeout <= timeout || stage_timeout === STAGE_TIMEOUT_DEFAULT) return [];
  const at: Path = ['services', name, 'check'];
  return [
    error(
      [...at, 'stage_timeout'],
      `stage_timeout ${formatDuration(stage_timeout)} is longer than timeout ${formatDuration(timeout)}, the whole check`,
      `write at most ${formatDuration(timeout)}, or a longer timeout`,
      [[...at, 'timeout']],
    ),
  ];
}
