// The facts behind a decision, for the log, the feed and `tandem why`. R12 (docs/invariants.md).
// Pure.
import type { Fields } from '../../../log/event.ts';
import { type At, between } from '../../../units/duration.ts';
import type { Machine, Probing } from '../machine.ts';
import { deadMs } from './deadlines.ts';
import { failedChecks, fitnessOf, isWarm } from './fitness.ts';
import { missingOwn } from './own-addresses.ts';
import { isServing } from './peer.ts';
import { inForce, usableGrant } from './witness-say.ts';

/** The facts behind a decision, for the log, the feed and `tandem why`. */
export function evidenceOf(machine: Machine, probing: Probing | undefined, now: At): Fields {
  const { peer } = machine;
  const ago = (at: At | undefined) => (at === undefined ? null : Math.round(between(at, now) * 10) / 10);
  return {
    peerRole: peer.last?.role ?? 'never heard',
    peerServing: isServing(peer),
    peerHeardMsAgo: ago(peer.heardAt),
    peerClaimedMsAgo: ago(machine.unheard.claimedAt),
    peerServingMsAgo: ago(peer.servingAt),
    deadMs: deadMs(machine),
    probeRoundsSilent: probing?.silentRounds ?? 0,
    probeRoundsAnswered: probing?.answeredRounds ?? 0,
    linksHeard: `${peer.links.filter(l => l.heardAt !== undefined && between(l.heardAt, now) <= deadMs(machine)).length} of ${peer.links.length}`,
    linksHeardMsAgo: linksHeard(machine, now),
    fitness: fitnessOf(machine, now),
    peerFitness: peer.last?.fitness ?? null,
    failedChecks: failedChecks(machine, now),
    peerFailedChecks: peer.last?.failedChecks ?? null,
    warm: isWarm(machine, now),
    peerWarm: peer.last?.warm ?? null,
    deadLans: machine.settings.lans
      .filter((_, lan) => machine.lanHealth[lan]?.dead)
      .map(({ name }) => name)
      .join(' '),
    missingAddresses: missingOwn(machine),
    witness: witnessWord(machine, now),
  };
}

function linksHeard({ peer, settings: { lans } }: Machine, now: At): string {
  const heard = peer.links.map(({ heardAt }, link) => {
    const lan = lans.find(({ links }) => links.includes(link))?.name ?? link;
    return `${lan} ${heardAt === undefined ? 'never' : Math.round(between(heardAt, now))}`;
  });
  return heard.join(', ');
}

function witnessWord(machine: Machine, now: At): string {
  if (!machine.settings.witness) return 'none';
  if (!inForce(machine)) return 'lost before the peer was';
  if (usableGrant(machine, now)) return 'grants';
  return machine.witness.lostSince === undefined ? 'does not grant' : 'lost';
}
