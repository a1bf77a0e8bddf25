// What people are told of the peer and the director: silence, links, configs that differ, cold
// tables. Each is said once when it begins, and once when it ends. R12 (docs/invariants.md). Pure.
import { between } from '../../../units/duration.ts';
import { goneAfter, REPORT_STALE_MS } from '../../timing.ts';
import { deadMs } from '../beliefs/deadlines.ts';
import { isServing } from '../beliefs/peer.ts';
import { heardWithin } from '../beliefs/peer-heard.ts';
import { setCondition, type Turn } from '../step-context.ts';

/** Links that fall silent or come back, a peer that does, configs that differ: each said once. */
export function watchPeer(turn: Turn): void {
  const { machine, now } = turn;
  const limit = goneAfter(deadMs(machine));
  const heard = heardWithin(machine, limit, now);
  if (machine.peer.heardAt !== undefined) {
    setCondition(turn, 'peer-silent', !heard, heard ? 'PEER_HEARD' : 'PEER_SILENT', {
      silentMs: Math.round(between(machine.peer.heardAt, now)),
    });
  }
  for (const [index, link] of machine.peer.links.entries()) {
    if (link.heardAt === undefined) continue;
    const silent = between(link.heardAt, now) > limit;
    setCondition(turn, `link-${index}`, silent, silent ? 'LINK_SILENT' : 'LINK_HEARD', { link: index });
  }
  const { last } = machine.peer;
  const differs = heard && last !== undefined && last.configDigest !== machine.configDigest;
  setCondition(turn, 'config-differs', differs, differs ? 'CONFIG_DIFFERS' : 'CONFIG_AGREES', {
    peer: last?.configDigest ?? '',
    own: machine.configDigest,
  });
  // It tells of a standby: an owner whose director is gone is not cold. What a silent peer last
  // said is no news.
  if (heard && last !== undefined && (last.warm || !isServing(machine.peer)))
    setCondition(turn, 'peer-cold', !last.warm, last.warm ? 'PEER_WARM' : 'PEER_COLD', {});
  if (machine.reportedAt !== undefined) {
    const gone = between(machine.reportedAt, now) > REPORT_STALE_MS;
    setCondition(turn, 'director-gone', gone, gone ? 'DIRECTOR_GONE' : 'DIRECTOR_BACK', {});
  }
}
