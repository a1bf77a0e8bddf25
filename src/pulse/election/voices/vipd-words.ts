// Which of vipd's words is whose. Exhaustive: a new word does not compile until somebody hears it.
// Pure.
import type { VipdMessage } from '../../../vip/protocol.ts';
import { report, type Turn, update } from '../step-context.ts';
import { hearFixed } from './bare.ts';
import { hearConflict } from './conflict.ts';
import { hearCopy } from './copy.ts';
import { forgetRefusals, hearAdded, hearDenied, hearPlace, hearRepaired } from './holding.ts';
import { hearLink, hearNeighbours, hearTarget, hearTraffic } from './lan-signs.ts';
import { hearPeerAddress, noteClaim } from './unheard.ts';
import { hearExpired, hearHeld, hearHello, hearRefused } from './vipd-lease.ts';
import { hearReply, hearSilent } from './vipd-probes.ts';

export function hearVipd(turn: Turn, message: VipdMessage): void {
  switch (message.type) {
    case 'hello':
      return hearHello(turn, message);
    case 'held':
      return hearHeld(turn, message);
    case 'released':
      return update(turn, { heldAddresses: false });
    case 'refused':
      return hearRefused(turn, message.seq, message.reason);
    case 'expired':
      return hearExpired(turn, message);
    case 'repaired':
      return hearRepaired(turn, message);
    case 'added':
      return hearAdded(turn, message);
    case 'denied':
      return hearDenied(turn, message);
    case 'place':
      return hearPlace(turn, message);
    case 'link':
      return hearLink(turn, message);
    case 'reply':
      return hearReply(turn, message);
    case 'silent':
      return hearSilent(turn, message);
    case 'conflict':
      return hearConflict(turn, message);
    case 'claimed':
      return noteClaim(turn, message);
    case 'peer':
      return hearPeerAddress(turn, message);
    case 'copy':
      return hearCopy(turn, message);
    case 'target':
      return hearTarget(turn, message);
    case 'traffic':
      return hearTraffic(turn, message);
    case 'neighbours':
      return hearNeighbours(turn, message);
    case 'fixed':
      return fixed(turn, message);
    case 'gate': // io/packet-lease.ts repairs it; the election has no part in that
      return;
    case 'error':
      return report(turn, 'VIPD_ERROR', { text: message.text });
  }
}

function fixed(turn: Turn, message: VipdMessage & { type: 'fixed' }): void {
  hearFixed(turn, message);
  const lan = turn.machine.settings.fixed[message.index]?.lan;
  if (message.state === 'here') forgetRefusals(turn, index => turn.machine.settings.addressLans[index] === lan);
}
