// Rules about how IPVS spreads the clients of a service: schedulers, thresholds, persistence. Pure;
// sources: net/netfilter/ipvs/ip_vs_ctl.c (ip_vs_add_dest) and the schedulers beside it.
import { familyOf } from '../../units/address.ts';
import { PREFIX_MAX } from '../persistence.ts';
import { choosesByVip, hasOptions } from '../scheduler.ts';
import type { Config, ServiceConfig } from '../schema.ts';
import { error, type Finding, type Path, type Rule, warning } from './finding.ts';

type Named = readonly [name: string, service: ServiceConfig];

function ofEach(says: string, check: (named: Named) => Finding[]): Rule {
  return { says, check: (config: Config) => Object.entries(config.services).flatMap(check) };
}

export const BALANCING_RULES: readonly Rule[] = [
  ofEach(
    '`scheduler_options` are of `sh` and `mh` only. Warnings: one of those without `fallback`; a scheduler that gives all clients of a VIP to one server (`dh`, `lblc`, `lblcr`).',
    scheduling,
  ),
  ofEach(
    '`upper_threshold` is not 1, and `lower_threshold` is not above it; without `upper_threshold` there is no lower one.',
    thresholds,
  ),
  ofEach('`persistence_prefix` is at most 32 for an IPv4 VIP.', prefixLength),
];

const at = (name: string, ...rest: Path): Path => ['services', name, ...rest];

function scheduling([name, { scheduler, scheduler_options: options, servers }]: Named): Finding[] {
  const basis: Path[] = [at(name, 'scheduler')];
  if (options !== undefined && !hasOptions(scheduler)) {
    const problem = `the scheduler ${scheduler} has no options`;
    return [error(at(name, 'scheduler_options'), problem, 'delete it, or write scheduler: sh or mh', basis)];
  }
  if (options?.includes('fallback') === false) {
    const problem = `${scheduler} without fallback refuses every client whose own server is down or drains`;
    return [warning(at(name, 'scheduler_options'), problem, 'add fallback', basis)];
  }
  if (!choosesByVip(scheduler) || Object.keys(servers).length < 2) return [];
  const problem = `${scheduler} chooses by the VIP: all new clients come to one server`;
  return [warning(at(name, 'scheduler'), problem, 'write sh or mh to choose by the client, or wlc')];
}

function prefixLength([name, { vip, persistence_prefix: prefix }]: Named): Finding[] {
  const max = PREFIX_MAX[familyOf(vip)];
  if (prefix === undefined || prefix <= max) return [];
  const problem = `persistence_prefix ${prefix} is longer than an IPv${familyOf(vip)} address`;
  return [error(at(name, 'persistence_prefix'), problem, `write 1 to ${max}`, [at(name, 'vip')])];
}

function thresholds([name, { servers }]: Named): Finding[] {
  return Object.entries(servers).flatMap(([server, { upper_threshold: upper, lower_threshold: lower }]) => {
    const path = (field: string): Path => at(name, 'servers', server, field);
    const basis: Path[] = [path('upper_threshold')];
    if (upper === 1) {
      const problem = 'an upper_threshold of 1 is what a server has that drains, and a session needs two connections';
      return [error(path('upper_threshold'), problem, 'write 2 or more, or 0 for no limit')];
    }
    if (lower > 0 && upper === 0) {
      const problem = `lower_threshold ${lower} without an upper_threshold limits nothing`;
      return [error(path('lower_threshold'), problem, 'add upper_threshold, or delete it', basis)];
    }
    if (lower <= upper) return [];
    const problem = `lower_threshold ${lower} is above upper_threshold ${upper}, which the kernel refuses`;
    return [error(path('lower_threshold'), problem, `write ${upper} or less`, basis)];
  });
}
