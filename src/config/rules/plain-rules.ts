// Rules about services that are not FTP. Pure; source: ip_vs_sched_persist in
// net/netfilter/ipvs/ip_vs_core.c: a persistent mark service keeps the client's port, whatever port
// its servers are given.
import type { PlainServiceConfig } from '../schema.ts';
import { rangeText } from '../service-ports.ts';
import { error, type Finding, type Path, type Rule, warning } from './finding.ts';
import { plainServicesOf } from './services-of.ts';

type Named = readonly [name: string, service: PlainServiceConfig];

function ofEach(says: string, check: (named: Named) => Finding[]): Rule {
  return { says, check: config => plainServicesOf(config).flatMap(check) };
}

export const PLAIN_RULES: readonly Rule[] = [
  ofEach('`server_port` is with `forwarding: nat`, one port in `ports`, and `persistence: off`.', serverPort),
  ofEach('In a service of kind udp `send_expect` has neither `banner` nor `tls: implicit`.', overTcpOnly),
  ofEach('Warning: `persistence_prefix` with `persistence: off`.', prefix),
];

const at = (name: string, ...rest: Path): Path => ['services', name, ...rest];

function serverPort([name, { server_port: port, forwarding, ports, persistence }]: Named): Finding[] {
  if (port === undefined) return [];
  const say = (why: string, remedy: string, field: string): Finding[] => [
    error(at(name, 'server_port'), `server_port ${port} ${why}`, remedy, [at(name, field)]),
  ];
  if (forwarding !== 'nat') {
    const why = `needs nat: with ${forwarding} the real servers are given the packets as the client sent them`;
    return say(why, 'let the servers listen on the port of the VIP, and delete it', 'forwarding');
  }
  if (ports.length !== 1 || ports[0]?.first !== ports[0]?.last)
    return say(
      `is one port, and clients come to ${ports.map(rangeText).join(', ')}`,
      'write a service for each',
      'ports',
    );
  if (persistence === undefined) return [];
  const why = "is not used with persistence: IPVS then keeps the client's port";
  return say(why, 'write persistence: off, or let the servers listen on the port of the VIP', 'persistence');
}

function prefix([name, { persistence, persistence_prefix: bits }]: Named): Finding[] {
  if (bits === undefined || persistence !== undefined) return [];
  const problem = 'persistence_prefix says nothing with persistence: off';
  return [
    warning(at(name, 'persistence_prefix'), problem, 'delete it, or write a persistence', [at(name, 'persistence')]),
  ];
}

function overTcpOnly([name, { kind, check }]: Named): Finding[] {
  if (kind !== 'udp' || check.type !== 'send_expect') return [];
  const say = (field: string) =>
    error(at(name, 'check', field), `check.${field} is not there over UDP`, 'delete it', [at(name, 'kind')]);
  return [...(check.banner === undefined ? [] : [say('banner')]), ...(check.tls === 'none' ? [] : [say('tls')])];
}
