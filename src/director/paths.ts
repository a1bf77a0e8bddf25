// Which services this router checks through their VIP, as a client would: the standby does, and so
// proves the whole way by the router that serves. Pure.
import { ownAddressNear } from '../config/node.ts';
import type { Config, ServiceConfig } from '../config/schema.ts';
import type { Snapshot } from '../feed/message.ts';
import { owns } from '../feed/owns.ts';
import type { PathWatch } from '../nanny/io/nannies.ts';
import { isCondemned, PATH, type Verdict, wayName } from '../nanny/verdict.ts';
import type { Address } from '../units/address.ts';
import type { VipWay } from './vip-ways.ts';

export type PathCheck =
  /** From `source`, this router's own address on the VIP's LAN. */
  | { readonly type: 'checked'; readonly source: Address }
  /** `why`: a clause, e.g. "this router holds the VIP". */
  | { readonly type: 'not-checked'; readonly why: string };

interface PathLook {
  readonly config: Pick<Config, 'lans' | 'services'>;
  readonly node: string;
  readonly pulse: Snapshot | null;
  /** Names of the services of which a server drains. */
  readonly draining: ReadonlySet<string>;
}

/**
 * For each service of the config. Under DR and TUN `checked` is meant of each server, by a way of
 * its own (vip-ways.ts).
 */
export function pathChecks({ config, node, pulse, draining }: PathLook): ReadonlyMap<string, PathCheck> {
  const bar = barOf(pulse);
  return new Map(
    Object.entries(config.services).map(([name, service]): [string, PathCheck] => {
      const why = bar ?? drainBar(service, draining.has(name));
      if (why !== undefined) return [name, { type: 'not-checked', why }];
      const source = sourceOf(config, node, service.vip);
      if (source !== undefined) return [name, { type: 'checked', source }];
      return [name, { type: 'not-checked', why: `${node} has no own address in the network of ${service.vip}` }];
    }),
  );
}

/** A router that holds the VIP would talk to itself. */
function barOf(pulse: Snapshot | null): string | undefined {
  if (pulse === null) return 'pulse does not answer';
  if (owns(pulse)) return 'this router holds the VIP';
  if (pulse.role !== 'standby') return `this router is ${pulse.role}`;
  const { peer } = pulse;
  return peer?.serving && !peer.silent ? undefined : 'nobody is heard to serve it';
}

/** A client that comes back again and again would keep a server that drains from its end. */
export const DRAIN_BAR = 'a server drains, and each check would be a client of it';

/** Under DR and TUN a check does not come by the router that serves: it is no client there. */
function drainBar({ forwarding }: ServiceConfig, isDraining: boolean): string | undefined {
  return isDraining && forwarding === 'nat' ? DRAIN_BAR : undefined;
}

function sourceOf({ lans }: Pick<Config, 'lans'>, node: string, vip: Address): Address | undefined {
  const home = Object.values(lans).find(lan => lan.vips.includes(vip));
  return home && ownAddressNear(home, node, vip);
}

/** The checks of NAT services, by way of the router that serves. */
export function wholePaths(
  { services }: Pick<Config, 'services'>,
  checks: ReadonlyMap<string, PathCheck>,
): readonly PathWatch[] {
  return [...checks].flatMap(([service, check]) =>
    check.type === 'checked' && services[service]?.forwarding === 'nat'
      ? [{ service, name: PATH, origin: { source: check.source, ports: undefined } }]
      : [],
  );
}

/** The checks of the VIP on each server. */
export function wayPaths(ways: readonly VipWay[]): readonly PathWatch[] {
  return ways.map(({ service, server, source, ports }) => {
    return { service, name: wayName(server), origin: { source, ports } };
  });
}

/**
 * A server that is well by its own address and not by the VIP is misconfigured: clients come by the
 * VIP. That is said, here and to the peer; no weight goes by it, since the way from this router may
 * be what is wrong.
 */
export function withWay(verdict: Verdict, paths: readonly Verdict[]): Verdict {
  if (verdict.state !== 'up') return verdict;
  const way = paths.find(({ service, server }) => service === verdict.service && server === wayName(verdict.server));
  if (way === undefined || !isCondemned(way) || way.last === undefined || way.last.ok) return verdict;
  return {
    ...verdict,
    state: 'misconfigured',
    last: { ...way.last, misconfigured: true, problem: wayProblem(way.last) },
  };
}

function wayProblem({ stage, problem }: { readonly stage: string; readonly problem: string }): string {
  const mend =
    'the server must have the VIP (dummy or tunnel device, `tandem server-config`), listen on it, and take it where rp_filter or a firewall drops it';
  return stage === 'connect'
    ? `by its own address it answers, by the VIP not (${problem}): ${mend}`
    : `by the VIP: ${problem}`;
}
