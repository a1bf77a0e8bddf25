// Every scenario of the lab, in the order they run. Add yours here. Pure: importing it starts nothing.
import { directorScenarios } from './director-scenarios.ts';
import { FAILOVER_SCENARIOS } from './failover-scenarios.ts';
import type { Scenario } from './scenario.ts';
import { SMOKE_SCENARIOS } from './smoke.ts';

export const SCENARIOS: readonly Scenario[] = [...SMOKE_SCENARIOS, ...directorScenarios, ...FAILOVER_SCENARIOS];
