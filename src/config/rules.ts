// All rules that need more than one field of the config, in the order of the file. Pure: a config
// in, findings out. The list is the only one: `tandem check` and the daemons go by it, and
// docs/reference/CONFIG.md shows what each rule says.
import { ADDRESS_RULES } from './rules/address-rules.ts';
import { BALANCING_RULES } from './rules/balancing-rules.ts';
import { CHECK_RULES } from './rules/check-rules.ts';
import type { Finding, Rule } from './rules/finding.ts';
import { FORWARDING_RULES } from './rules/forwarding-rules.ts';
import { HOOK_RULES } from './rules/hook-rules.ts';
import { NETWORK_RULES } from './rules/network-rules.ts';
import { PLAIN_CHECK_RULES } from './rules/plain-check-rules.ts';
import { PLAIN_RULES } from './rules/plain-rules.ts';
import { REDIS_RULES } from './rules/redis-rules.ts';
import { SERVICE_RULES } from './rules/service-rules.ts';
import { SORRY_RULES } from './rules/sorry-rules.ts';
import { SYNC_RULES } from './rules/sync-rules.ts';
import { TIMING_RULES } from './rules/timing-rules.ts';
import { WITNESS_RULES } from './rules/witness-rules.ts';
import type { Config } from './schema.ts';

export const RULES: readonly Rule[] = [
  ...ADDRESS_RULES,
  ...NETWORK_RULES,
  ...TIMING_RULES,
  ...REDIS_RULES,
  ...WITNESS_RULES,
  ...SYNC_RULES,
  ...SERVICE_RULES,
  ...FORWARDING_RULES,
  ...BALANCING_RULES,
  ...SORRY_RULES,
  ...CHECK_RULES,
  ...PLAIN_RULES,
  ...PLAIN_CHECK_RULES,
  ...HOOK_RULES,
];

/** What is wrong, or probably not meant, in a config that fits the schema. */
export function checkRules(config: Config): Finding[] {
  return RULES.flatMap(rule => rule.check(config));
}
