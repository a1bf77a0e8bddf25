// What the sync needs of the links to the peer's director, as an interface: implemented in io/,
// modelled in tests. Pure (types).

/**
 * Authenticated, encrypted, ordered links to the peer's director: one for each heartbeat link,
 * whoever connected.
 */
export interface PeerLinks {
  /**
   * Sends one frame on link `index`; false when the link is down or its queue is over its bound
   * (the frame was not queued).
   */
  send(index: number, frame: Buffer): boolean;
  states(): readonly { readonly lan: string; readonly connected: boolean; readonly queuedBytes: number }[];
  close(): Promise<void>;
}

export interface PeerLinksListener {
  /** `saysTakes`: the other end knows `takes` (frame.ts). */
  up(index: number, saysTakes: boolean): void;
  down(index: number, why: string): void;
  /** One whole frame, at most LINK_FRAME_BYTES_MAX. */
  frame(index: number, frame: Buffer): void;
}
