// All that `tandem doctor` looks at, as one list. Pure.
import {
  daemonFindings,
  passiveFindings,
  peerFindings,
  probeFindings,
  statusFindings,
  timeFindings,
} from './daemon-findings.ts';
import { fileFindings } from './file-findings.ts';
import type { HostFacts } from './host-facts.ts';
import { type HostFinding, worstFirst } from './host-finding.ts';
import { moduleFindings, sysctlFindings } from './kernel-findings.ts';
import { firewallFindings, interfaceFindings } from './network-findings.ts';

/** The worst first. Without a config only what needs none. */
export function diagnose(facts: HostFacts): HostFinding[] {
  const { config } = facts;
  const own = [...fileFindings(facts), ...daemonFindings(facts), ...moduleFindings(facts)];
  if (config !== undefined) {
    own.push(...sysctlFindings(facts, config), ...interfaceFindings(facts, config), ...firewallFindings(facts, config));
    own.push(...passiveFindings(facts, config));
  }
  own.push(...peerFindings(facts), ...probeFindings(facts), ...timeFindings(facts));
  return worstFirst([...own, ...statusFindings(facts, own)]);
}
