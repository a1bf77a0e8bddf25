// Which passive ports `tandem doctor` tries through the VIP: of the standby, and of no service of
// which a server drains. Such a connection goes by IPVS on the router that serves and renews the
// persistence template of this router's own address, so that the drain would not end. Pure.
import type { Config } from '../config/schema.ts';
import { DRAIN_BAR, pathChecks } from '../director/paths.ts';
import type { Snapshot } from '../feed/message.ts';
import type { ServerReport, StatusReport } from '../status/status-report.ts';
import type { PassiveLook, PassiveTry } from './host-facts.ts';

const SERVICES_MAX = 32;

interface Asked {
  readonly config: Config;
  readonly node: string;
  readonly pulse: Snapshot | null;
  /** The director's; null: it does not answer. */
  readonly report: Pick<StatusReport, 'services' | 'drains'> | null;
}

/** First, middle and last port of each FTP service that may be tried. */
export function passiveTries({ config, node, pulse, report }: Asked): PassiveLook<readonly PassiveTry[]> {
  const draining = report === null ? new Set<string>() : drainingServices(report);
  const checks = pathChecks({ config, node, pulse, draining });
  let why = 'there is no FTP service';
  const tries: PassiveTry[] = [];
  for (const [service, spec] of Object.entries(config.services).slice(0, SERVICES_MAX)) {
    const check = checks.get(service);
    if (spec.kind !== 'ftp' || check === undefined) continue;
    if (check.type === 'not-checked') why = check.why;
    // Under DR and TUN, too: a try goes by IPVS there, other than the director's checks.
    else if (draining.has(service)) why = DRAIN_BAR;
    else {
      const { first, last } = spec.passive_ports;
      const ports = new Set([first, Math.floor((first + last) / 2), last]);
      tries.push(...[...ports].map(port => ({ service, vip: spec.vip, source: check.source, port })));
    }
  }
  if (tries.length === 0) return { ok: false, problem: why, unseen: false };
  if (report === null) {
    return { ok: false, problem: 'the director does not say whether a server drains', unseen: true };
  }
  return { ok: true, value: tries };
}

/** Those of which a server is drained by an operator, or keeps what it has until it may leave. */
function drainingServices({ services, drains }: NonNullable<Asked['report']>): ReadonlySet<string> {
  const leaving = services.filter(({ servers }) => servers.some(isLeaving));
  return new Set([...drains.map(({ service }) => service), ...leaving.map(({ name }) => name)]);
}

/** One that is down and in the kernel still has connections. */
function isLeaving({ state, kernelWeight, drained }: ServerReport): boolean {
  return drained || state === 'draining' || (state === 'down' && kernelWeight !== null);
}
