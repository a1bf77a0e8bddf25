// Rules about the witness: its lease outlives the heartbeat's, and it stands on neither router.
// Pure; source: R5, R13 (docs/invariants.md).
import { addressOf, parseAddress } from '../../units/address.ts';
import { formatDuration, type Ms, ms } from '../../units/duration.ts';
import { ownAddresses } from '../node.ts';
import type { Config, WitnessConfig } from '../schema.ts';
import { error, type Finding, type Path, type Rule, warning } from './finding.ts';
import { isLoopback, redisHosts } from './redis-rules.ts';

const WITNESS: Path = ['witness'];
const REDIS: Path = [...WITNESS, 'redis'];

/**
 * For the way to Redis and back, and for the clocks of three machines that run at slightly
 * different rates.
 */
const MARGIN_MS = 50;

/**
 * The shortest lease of the witness. A router that loses the witness and the peer lets go before W
 * ends, seen from its last granted renewal: its own lease (L) must be over by then, after the
 * intervals (H) that it takes to notice and to stop renewing.
 */
export function witnessLeaseFloor(lease: Ms, interval: Ms): Ms {
  return ms(lease + 3 * interval + MARGIN_MS);
}

/** A rule about the witness, where there is one. */
function ofWitness(says: string, check: (witness: WitnessConfig, config: Config) => Finding[]): Rule {
  return { says, check: config => (config.witness ? check(config.witness, config) : []) };
}

export const WITNESS_RULES: readonly Rule[] = [
  ofWitness(`\`witness.lease\` >= \`heartbeat.lease\` + 3 x \`heartbeat.interval\` + ${MARGIN_MS}ms.`, leaseOutlives),
  ofWitness('`witness.timeout` <= `witness.lease` / 2: there is time for a second try.', twoTries),
  ofWitness('Warning: a witness on one of the routers falls silent together with it.', onRouter),
  ofWitness('Warning: a witness with `sentinels` is best effort, a cut between them can leave two masters.', failsOver),
];

function leaseOutlives({ lease }: WitnessConfig, { heartbeat }: Config): Finding[] {
  const floor = witnessLeaseFloor(heartbeat.lease, heartbeat.interval);
  if (lease >= floor) return [];
  const problem = `the lease of the witness, ${formatDuration(lease)}, leaves no margin after heartbeat.lease ${formatDuration(heartbeat.lease)}`;
  const remedy = `write at least ${formatDuration(floor)} (heartbeat.lease + 3 x interval + ${MARGIN_MS}ms)`;
  const basis: Path[] = [
    ['heartbeat', 'lease'],
    ['heartbeat', 'interval'],
  ];
  return [error([...WITNESS, 'lease'], problem, remedy, basis)];
}

/** One answer that is lost must not cost the word of the witness. */
function twoTries({ lease, timeout }: WitnessConfig): Finding[] {
  if (2 * timeout <= lease) return [];
  const problem = `timeout ${formatDuration(timeout)} leaves no time for a second try within lease ${formatDuration(lease)}`;
  const remedy = `write at most ${formatDuration(ms(Math.floor(lease / 2)))}, or a longer lease`;
  return [error([...WITNESS, 'timeout'], problem, remedy, [[...WITNESS, 'lease']])];
}

/** A witness that dies or is cut off together with a router is none. */
function onRouter({ redis }: WitnessConfig, config: Config): Finding[] {
  const own = new Map<string, string>();
  for (const lan of Object.values(config.lans)) {
    for (const router of Object.keys(config.routers)) {
      for (const cidr of ownAddresses(lan, router)) own.set(addressOf(cidr), `router "${router}"`);
    }
    for (const virtual of [...lan.vips, ...lan.gateways]) own.set(virtual, 'the active router');
  }
  return redisHosts(redis).flatMap(({ host, field }) => {
    const where = isLoopback(host) ? 'this router itself' : own.get(parseAddress(host) ?? host);
    if (where === undefined && !Object.hasOwn(config.routers, host)) return [];
    const problem = `the witness at ${host} is on ${where ?? `router "${host}"`}: it falls silent together with it, and helps nobody then`;
    return [warning([...REDIS, ...field], problem, 'name a machine that is neither router', [['lans'], ['routers']])];
  });
}

function failsOver({ redis }: WitnessConfig): Finding[] {
  if (!redis.sentinels) return [];
  const problem =
    'a witness with Sentinels is best effort: Redis copies to its replicas afterwards, and a cut between the Sentinels can leave two masters';
  return [warning([...REDIS, 'sentinels'], problem, 'use one durable Redis (appendonly yes) for the promise in full')];
}
