// All rules that need more than one field of the config, in the order of the file. Pure: a config in, findings out; the
// cron grammar is node-cron's, because node-cron says when such a time has come (src/schedule).
import { validate } from 'node-cron';
import { addressRules } from './rules/addresses.ts';
import type { Finding } from './rules/finding.ts';
import { networkRules } from './rules/network.ts';
import { serviceRules } from './rules/services.ts';
import { syncRules } from './rules/sync.ts';
import { timingRules } from './rules/timing.ts';
import { witnessRules } from './rules/witness.ts';
import type { Config } from './schema.ts';

/** Longest cron expression that is looked at, in characters. */
const CRON_LENGTH_MAX = 200;

/** What is wrong, or probably not meant, in a config that fits the schema. */
export function checkRules(config: Config): Finding[] {
  return [
    ...addressRules(config),
    ...networkRules(config),
    ...timingRules(config),
    ...witnessRules(config),
    ...syncRules(config, validCron),
    ...serviceRules(config, validCron),
  ];
}

function validCron(expression: string): boolean {
  return expression.length <= CRON_LENGTH_MAX && validate(expression);
}
