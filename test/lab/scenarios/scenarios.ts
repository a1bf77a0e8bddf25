// Every scenario of the lab, in the order they run. Add yours here. Pure: importing it starts nothing.

import { SYNC_KERNEL_SCENARIOS } from '../kernel/sync-kernel.ts';
import { ALERT_SCENARIOS } from './alert-scenarios.ts';
import { busyScenarios } from './busy-scenarios.ts';
import { DIRECT_SCENARIOS } from './direct.ts';
import { directorScenarios } from './director-scenarios.ts';
import { DRAIN_SCENARIOS } from './drain-scenarios.ts';
import { FAILOVER_SCENARIOS } from './failover-scenarios.ts';
import { FITNESS_SCENARIOS } from './fitness-scenarios.ts';
import { FORWARDING_SCENARIOS } from './forwarding-scenarios.ts';
import { IMPORT_SCENARIOS } from './import-scenarios.ts';
import { ipvsScenarios } from './ipvs-scenarios.ts';
import { KIND_SCENARIOS } from './kind-scenarios.ts';
import { PATH_SCENARIOS } from './path-scenarios.ts';
import { planeScenarios } from './plane-scenarios.ts';
import { PUBLIC_SCENARIOS } from './public-scenarios.ts';
import { RELOAD_SCENARIOS } from './reload-scenarios.ts';
import type { Scenario } from './scenario.ts';
import { SESSION_SCENARIOS } from './session-scenarios.ts';
import { SHOWN_SCENARIOS } from './shown-scenarios.ts';
import { SMOKE_SCENARIOS } from './smoke.ts';

export const SCENARIOS: readonly Scenario[] = [
  ...SMOKE_SCENARIOS,
  ...SYNC_KERNEL_SCENARIOS,
  ...directorScenarios,
  ...planeScenarios,
  ...FORWARDING_SCENARIOS,
  ...PUBLIC_SCENARIOS,
  ...ipvsScenarios,
  ...busyScenarios,
  ...RELOAD_SCENARIOS,
  ...PATH_SCENARIOS,
  ...FAILOVER_SCENARIOS,
  ...SESSION_SCENARIOS,
  ...SHOWN_SCENARIOS,
  ...KIND_SCENARIOS,
  ...FITNESS_SCENARIOS,
  ...DIRECT_SCENARIOS,
  ...DRAIN_SCENARIOS,
  ...IMPORT_SCENARIOS,
  ...ALERT_SCENARIOS,
];

/**
 * By the beginnings of their titles: what every run of scripts/test shows, each promise once. A machine that is itself a virtual one takes
 * more than an hour for all of them.
 */
const IN_EVERY_RUN: readonly string[] = [
  'transfers of every mode pass through a handmade router',
  'the director repairs what is changed by hand',
  '`ipvsadm -C` is undone at the next look',
  'transfers by DR, IPv4 and IPv6, outlive a power cut',
  'transfers by TUN, IPv4 and IPv6, outlive a power cut',
  'transfers by DR and by NAT, side by side',
  'behind a public 1:1 NAT, transfers by NAT',
  'IPVS: the thresholds of a server come back',
  'full servers keep their sessions',
  'transfers in all modes outlive a day of reloads',
  'passive and active downloads and an upload outlive a power cut',
  'transfers outlive a planned handover',
  'transfers of all modes at once, by IPv4 and IPv6',
  'Redis stopped, killed in mid-write, full, restarted empty',
  'SFTP and HTTPS transfers by NAT',
  'UDP by NAT',
  'a drained router hands over',
  'Import: IPVS holds what keepalived and ldirectord put there',
];

export function scenariosOfEveryRun(): readonly Scenario[] {
  return IN_EVERY_RUN.map(beginning => {
    const found = SCENARIOS.find(({ title }) => title.startsWith(beginning));
    if (!found) throw new Error(`no scenario begins with "${beginning}"`);
    return found;
  });
}
