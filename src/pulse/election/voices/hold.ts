// A person's word that this router must not become active, and its end. Pure.
import { after, formatDuration, ms } from '../../../units/duration.ts';
import type { PulseEvent } from '../machine.ts';
import { answer, emit, report, type Turn, update } from '../step-context.ts';

export function expireHold(turn: Turn): void {
  const { hold } = turn.machine;
  if (!hold.on || hold.until === undefined || turn.now < hold.until) return;
  update(turn, { hold: { on: false, until: undefined } });
  report(turn, 'HOLD_RELEASED', { how: 'expired' });
  emit(turn, { type: 'persist' });
}

export function setHold(turn: Turn, { forMs }: PulseEvent & { type: 'hold' }): void {
  const { role } = turn.machine.state;
  if (role !== 'standby' && role !== 'starting')
    return answer(turn, false, `no hold: this router is ${role}; run \`tandem handover\` first`);
  update(turn, { hold: { on: true, until: forMs === undefined ? undefined : after(turn.now, ms(forMs)) } });
  report(turn, 'HOLD_SET', { forMs: forMs ?? null });
  emit(turn, { type: 'persist' });
  const end =
    forMs === undefined
      ? 'until `tandem release`'
      : `for ${formatDuration(ms(Math.round(forMs)))}, or until \`tandem release\``;
  answer(turn, true, `on hold: this router will not become active ${end}`);
}

export function releaseHold(turn: Turn): void {
  const was = turn.machine.hold.on;
  update(turn, { hold: { on: false, until: undefined } });
  if (was) report(turn, 'HOLD_RELEASED', { how: 'by command' });
  emit(turn, { type: 'persist' });
  answer(turn, true, was ? 'released: this router may become active again' : 'there was no hold');
}
