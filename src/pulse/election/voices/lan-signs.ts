// vipd's word on the LANs: carrier, targets, neighbours, traffic; and how often it asks. R4
// (docs/invariants.md). Pure.
import type { VipdMessage } from '../../../vip/protocol.ts';
import { sampling } from '../../timing.ts';
import type { LanHealth } from '../known.ts';
import { endPause } from '../moves.ts';
import { healthWith } from '../replica.ts';
import { emit, report, type Turn, update } from '../step-context.ts';
import { forgetRefusals } from './holding.ts';

export function hearLink(turn: Turn, message: VipdMessage & { type: 'link' }): void {
  const { addressLinks } = turn.machine;
  const before = addressLinks[message.index];
  if (!before) return;
  const { up, mac } = message;
  update(turn, { addressLinks: addressLinks.map((old, i) => (i === message.index ? { up, mac } : old)) });
  if (before.up === up) return;
  endPause(turn);
  forgetRefusals(turn, index => index === message.index);
  report(turn, up ? 'CARRIER_BACK' : 'CARRIER_LOST', { address: message.index });
}

export function hearTarget(turn: Turn, { index, up }: VipdMessage & { type: 'target' }): void {
  const { targetsUp, settings } = turn.machine;
  const before = targetsUp[index];
  if (index >= targetsUp.length || before === up) return;
  update(turn, { targetsUp: targetsUp.map((old, i) => (i === index ? up : old)) });
  const lan = settings.lans.find(({ targets }) => targets.includes(index))?.name ?? '';
  if (before !== undefined || !up) report(turn, up ? 'TARGET_ANSWERS' : 'TARGET_SILENT', { target: index, lan });
}

export function hearTraffic(turn: Turn, { iface, alive }: VipdMessage & { type: 'traffic' }): void {
  note(turn, iface, { traffic: alive });
}

export function hearNeighbours(turn: Turn, { iface, word }: VipdMessage & { type: 'neighbours' }): void {
  note(turn, iface, { neighbours: word });
}

function note(turn: Turn, iface: string, told: Partial<LanHealth>): void {
  const { lanHealth, settings } = turn.machine;
  const lans = lanHealth.map((health, lan) =>
    settings.lans[lan]?.interface === iface ? healthWith(health, told) : health,
  );
  update(turn, { lanHealth: lans });
}

export function sample(turn: Turn): void {
  const { intervalMs, lans } = turn.machine.settings;
  if (lans.length === 0) return;
  emit(turn, { type: 'sample', ...sampling(intervalMs) });
}
