// What `tandem upgrade` does next on a router, by what runs there. Pure.
import type { Role, Snapshot } from '../feed/message.ts';

export interface UpgradeView {
  /** Versions; null: it does not answer. */
  readonly pulse: string | null;
  readonly director: string | null;
  /** Names; empty: pulse does not answer. */
  readonly node: string;
  readonly peerNode: string;
  readonly role: Role | null;
  /** null: not heard lately. */
  readonly peerRole: Role | null;
  /** What keeps this router from being of use; null: nothing, or not known. */
  readonly lacks: string | null;
}

interface UpgradeStep {
  /** wait: for a peer that may soon stand by; refused with these words if it does not. */
  readonly do: 'nothing' | 'refuse' | 'wait' | 'hand-over' | 'restart';
  /** For the person who has asked. */
  readonly words: string;
}

const BY_HAND = 'systemctl restart tandem-director tandem-pulse';

export function upgradeStep(running: UpgradeView, installed: string, mayHandOver: boolean): UpgradeStep {
  const { pulse, director, node, peerNode, role, peerRole } = running;
  if (pulse === installed && director === installed) {
    return {
      do: 'nothing',
      words: `${node} runs ${installed} already: nothing was restarted; for another build of that version: ${BY_HAND}`,
    };
  }
  const versions = `pulse ${pulse ?? 'does not run'}, director ${director ?? 'does not run'}`;
  if (role === null || role === 'starting' || role === 'standby' || role === 'stopping') {
    return { do: 'restart', words: `${versions}; ${installed} is installed` };
  }
  if (peerRole !== null && !mayHandOver) {
    return {
      do: 'refuse',
      words: `${node} is ${role}: nothing was restarted; first on ${peerNode}: tandem upgrade; then here: tandem upgrade --handover`,
    };
  }
  if (peerRole === 'standby') {
    return { do: 'hand-over', words: `${versions}; ${installed} is installed; handing over first` };
  }
  const peer = peerRole === null ? 'is not heard' : `is ${peerRole}`;
  return {
    do: mayHandOver ? 'wait' : 'refuse',
    words: `${node} is ${role} and ${peerNode} ${peer}: nobody could take over, nothing was restarted; mend ${peerNode} first, or restart in spite of it: ${BY_HAND}`,
  };
}

/** What a router that has been restarted waits for; null: it serves, or could take over now. */
export function lacking({ role, serving, rulesIn, bar, hold, warm, peer, peerNode }: Snapshot): string | null {
  if (role === 'active') return serving ? null : 'it is active and does not serve yet';
  if (role !== 'standby') return `it is ${role}`;
  if (!rulesIn) return 'its rules are not in yet';
  // On hold it could not, by its operator's will.
  if (bar !== null && !hold.on) return bar;
  if (!peer || peer.silent) return `it does not hear ${peerNode} yet`;
  return warm ? null : 'it is cold: it waits for the connections of the other router';
}
