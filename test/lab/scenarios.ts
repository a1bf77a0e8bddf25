// Every scenario of the lab, in the order they run. Add yours here. Pure: importing it starts nothing.

import { busyScenarios } from './busy-scenarios.ts';
import { DIRECT_SCENARIOS } from './direct.ts';
import { directorScenarios } from './director-scenarios.ts';
import { FAILOVER_SCENARIOS } from './failover-scenarios.ts';
import { planeScenarios } from './plane-scenarios.ts';
import type { Scenario } from './scenario.ts';
import { SESSION_SCENARIOS } from './session-scenarios.ts';
import { SMOKE_SCENARIOS } from './smoke.ts';
import { SYNC_KERNEL_SCENARIOS } from './sync-kernel.ts';

export const SCENARIOS: readonly Scenario[] = [
  ...SMOKE_SCENARIOS,
  ...SYNC_KERNEL_SCENARIOS,
  ...directorScenarios,
  ...planeScenarios,
  ...busyScenarios,
  ...FAILOVER_SCENARIOS,
  ...SESSION_SCENARIOS,
  ...DIRECT_SCENARIOS,
];
