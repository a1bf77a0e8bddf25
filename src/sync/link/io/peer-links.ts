// The links to the peer's director: one authenticated connection for each heartbeat link, made by
// the first router in alphabetical order and accepted by the other. Carries frames, watches,
// connects again; what is in the frames is not its business. Not pure.
import type { TLSSocket } from 'node:tls';
import type { PairKeys } from '../../../config/io/key.ts';
import type { NodeView } from '../../../config/node.ts';
import { SYNC_LINK_COUNTERS } from '../../../log/counters.ts';
import { type LinkKeys, linkKeys, TAKES_PROTOCOL } from '../link-key.ts';
import { LINK_LIMITS, type LinkCounter, type LinkLimits } from '../link-limits.ts';
import type { PeerLinks, PeerLinksListener } from '../peer-links.ts';
import { startAcceptor } from './link-accept.ts';
import { type Channel, openChannel } from './link-channel.ts';
import { startDialer } from './link-dial.ts';

interface PeerLinksOptions {
  readonly pair: string;
  readonly view: Pick<NodeView, 'nodeId' | 'links'>;
  /** TCP port, on the address of node 2 of each link. */
  readonly port: number;
  readonly keys: PairKeys;
  readonly random?: () => number;
  readonly limits?: Partial<LinkLimits>;
}

interface PeerLinkState {
  readonly lan: string;
  readonly connected: boolean;
  readonly queuedBytes: number;
  /** Why it is not connected, as a clause; '' when it is, or when nothing has failed yet. */
  readonly problem: string;
}

export interface TlsPeerLinks extends PeerLinks {
  states(): readonly PeerLinkState[];
  /**
   * For connections to come. One under another key than the one that is meant now is made anew, one
   * link after the other; one under a key that is accepted no more ends at once.
   */
  takeKeys(keys: PairKeys): void;
  /** Since the start; the names are those of SYNC_LINK_COUNTERS. */
  counters(): Readonly<Record<LinkCounter, number>>;
}

interface Slot {
  channel: Channel | undefined;
  /** Of the key of the channel. */
  identity: string;
  problem: string;
  readonly close: () => void | Promise<void>;
}

/** So long a link has to come up again before the next one is made anew. */
const RENEW_MS = 1_000;

/** Starts at once. New links after a reload: close these, then create new ones. */
export function createPeerLinks(options: PeerLinksOptions, listener: PeerLinksListener): TlsPeerLinks {
  const counters = Object.fromEntries(Object.keys(SYNC_LINK_COUNTERS).map(name => [name, 0])) as Record<
    LinkCounter,
    number
  >;
  const count = (counter: LinkCounter) => {
    counters[counter]++;
  };
  const { view } = options;
  let derived = linkKeys(options.pair, options.keys);
  const slots = view.links.map((_, index) => startSlot(options, index, () => derived, count, listener));
  let renewals: NodeJS.Timeout[] = [];
  const takeKeys = (keys: PairKeys): void => {
    for (const timer of renewals) clearTimeout(timer);
    derived = linkKeys(options.pair, keys);
    const { accept, offer } = derived;
    for (const { channel, identity } of slots)
      if (!accept.has(identity)) channel?.close('the pair’s key has changed, and its key is no longer accepted');
    if (view.nodeId !== 1) return;
    const old = slots.filter(({ channel, identity }) => channel !== undefined && identity !== offer.identity);
    renewals = old.map((slot, turn) =>
      setTimeout(() => {
        if (slot.identity !== offer.identity) slot.channel?.close('it is made anew under the pair’s next key');
      }, turn * RENEW_MS),
    );
  };

  return {
    send: (index, frame) => slots[index]?.channel?.send(frame) ?? false,
    states: () =>
      slots.map(({ channel, problem }, index) => ({
        lan: view.links[index]?.lan ?? '',
        connected: channel !== undefined,
        queuedBytes: channel?.queuedBytes() ?? 0,
        problem,
      })),
    counters: () => ({ ...counters }),
    takeKeys,
    close: async () => {
      for (const timer of renewals) clearTimeout(timer);
      const closing = slots.map(slot => slot.close());
      for (const slot of slots) slot.channel?.close('the links are being closed');
      await Promise.all(closing);
    },
  };
}

/** One link, with whatever makes its connections. */
function startSlot(
  { view, port, random = Math.random, limits: changed }: PeerLinksOptions,
  index: number,
  keys: () => LinkKeys,
  count: (counter: LinkCounter) => void,
  listener: PeerLinksListener,
): Slot {
  const limits = { ...LINK_LIMITS, ...changed };
  const link = view.links[index];
  if (link === undefined) throw new RangeError(`there is no link ${index}`);
  /**
   * Takes a connection into use; a newer one takes the place of an older, which the peer has left.
   */
  const adopt = (socket: TLSSocket, identity: string, over: () => void): void => {
    if (slot.channel !== undefined) {
      count('replaced');
      slot.channel.close('a newer connection took its place');
    }
    count('connections');
    slot.problem = '';
    const channel = openChannel(socket, limits, count, {
      frame: frame => listener.frame(index, frame),
      closed: why => {
        slot.channel = undefined;
        slot.problem = why;
        listener.down(index, why);
        over();
      },
    });
    slot.channel = channel;
    slot.identity = identity;
    listener.up(index, socket.alpnProtocol === TAKES_PROTOCOL);
  };
  const fail = (problem: string | undefined): void => {
    if (slot.channel === undefined) slot.problem = problem ?? '';
  };
  const common = { link, port, limits, count };
  const worker =
    view.nodeId === 1
      ? startDialer({ ...common, offers: () => keys().offers, random, connected: adopt, failed: fail })
      : startAcceptor({
          ...common,
          keys: () => keys().accept,
          connected: (socket, identity) => adopt(socket, identity, () => undefined),
          listening: fail,
        });
  const slot: Slot = { channel: undefined, identity: '', problem: '', close: () => worker.close() };
  return slot;
}
