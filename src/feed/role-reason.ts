// Every reason that the election can give for a change of role, each once, by a name. It can give
// no other (the type Reason). Who explains one to people reads its name, and what was filled in
// ({}), back from the text, since an old decision is a text only. Pure.

export const REASONS = {
  // After the start.
  peerActive: 'the peer is active',
  peerIdle: 'the peer is heard and does not serve',
  nobodyHeard: 'listened for {} ms, no peer heard',
  keptByAnotherName: 'the VIPs were kept by a router of another name',
  keptWithoutOwn: 'the VIPs were kept by a router that has no address of its own any more',
  keptThroughRestart: 'the VIPs were kept through a restart of pulse, nobody else serves',
  // Taking over.
  peerHandsOver: 'the peer hands over',
  lastWill: 'the peer sent its last will: it holds no VIP any more',
  silence: 'silence: no heartbeat and no answer',
  silenceGranted: 'silence: no heartbeat and no answer, and the witness grants it',
  vacancy: 'the peer is heard as {} and does not serve',
  vacancyGranted: 'the peer is heard as {} and does not serve, and the witness grants it',
  // A claim that came to nothing.
  claimUnconfirmed: 'vipd did not confirm the claim within {} ms',
  vipdTooLate: 'vipd came too late for the claim: somebody else may serve by now',
  refused: 'vipd refused: {}',
  higherEpoch: 'the peer serves under a higher epoch',
  peerServes: 'the peer serves, and this router does not any more',
  // Letting go.
  leaseRanOut: 'the lease ran out before it was renewed: this process was late; vipd removed the addresses',
  noVipd: 'there was no vipd for longer than the lease: the peer may be taking over',
  vipdStaysAway: 'vipd could not be started for longer than the addresses live without it',
  mute: 'no heartbeat link has its own address any more, or this host has the peer’s: the peer may take over',
  muteRival: 'no heartbeat link has its own address any more, or this host has the peer’s, and {} claims the addresses',
  isolated: 'isolated: neither the peer nor any target nor any other frame is heard',
  cutOff: 'cut off: neither the peer nor the witness is heard',
  grantedToPeer: 'the witness has granted the addresses to the peer, which does not hear this router',
  standDown: 'another machine ({}) claims a virtual address, and on_conflict says stand-down',
  peerDeaf: 'the peer serves, too, and does not hear us',
  rivalRanks: 'the peer, whose heartbeats do not arrive, claims the addresses too, and ranks higher',
  rivalNamedFirst: 'the peer, whose heartbeats do not arrive, claims the addresses too, and its name comes first',
  nothingToHold: 'none of the VIPs can be held here: {}',
  // Handing over.
  carrierLost: 'LAN {} has lost its carrier here, not at the peer',
  ownAddressLost: "this router's own address on LAN {} is gone, not at the peer",
  lanDead: 'LAN {} is dead here, not at the peer',
  peerHoldsMore: 'the peer can hold more of the VIPs',
  peerFitter: 'the peer is fitter',
  failback: 'automatic failback to the higher priority',
  command: 'planned handover by command',
  commandCold: 'planned handover by command, cold or not',
  stopping: 'pulse is told to stop',
  handedOver: 'handed over: {}',
  handoverFailed: 'handover failed: {}',
  // The end.
  stopped: 'told to stop',
  stoppedAlone: 'told to stop; no planned handover: {}',
  stoppedUnclaimed: 'the peer did not claim in time; stopping all the same',
} as const;

export type ReasonName = keyof typeof REASONS;

type Filled<T extends string> = T extends `${infer Before}{}${infer Behind}`
  ? `${Before}${string}${Filled<Behind>}`
  : T;

/** The text of a reason; one that is not above does not compile. */
export type Reason = Filled<(typeof REASONS)[ReasonName]>;

interface KnownReason {
  readonly name: ReasonName;
  /** What stands where the text above has {}; '' where it has none. */
  readonly filling: string;
}

/** The reason that a text is; undefined: of a version that gave others. */
export function reasonIn(text: string): KnownReason | undefined {
  for (const [name, template] of Object.entries(REASONS) as [ReasonName, string][]) {
    const [before = '', behind] = template.split('{}');
    if (behind === undefined ? text === template : isFilled(text, before, behind))
      return { name, filling: behind === undefined ? '' : text.slice(before.length, text.length - behind.length) };
  }
  return undefined;
}

function isFilled(text: string, before: string, behind: string): boolean {
  return text.length > before.length + behind.length && text.startsWith(before) && text.endsWith(behind);
}
