// The links to the peer's director: one authenticated connection for each heartbeat link, made by
// the first router in alphabetical order and accepted by the other. Carries frames, watches,
// connects again; what is in the frames is not its business. Not pure.
import type { TLSSocket } from 'node:tls';
import type { PairKeys } from '../../../config/io/key.ts';
import type { NodeView } from '../../../config/node.ts';
import { SYNC_LINK_COUNTERS } from '../../../log/counters.ts';
import { linkKeys } from '../link-key.ts';
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
  /** Since the start; the names are those of SYNC_LINK_COUNTERS. */
  counters(): Readonly<Record<LinkCounter, number>>;
}

interface Slot {
  channel: Channel | undefined;
  problem: string;
  readonly close: () => void | Promise<void>;
}

/** Starts at once. New links or keys after a reload: close these, then create new ones. */
export function createPeerLinks(options: PeerLinksOptions, listener: PeerLinksListener): TlsPeerLinks {
  const counters = Object.fromEntries(Object.keys(SYNC_LINK_COUNTERS).map(name => [name, 0])) as Record<
    LinkCounter,
    number
  >;
  const count = (counter: LinkCounter) => {
    counters[counter]++;
  };
  const { view } = options;
  const slots = view.links.map((_, index) => startSlot(options, index, count, listener));

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
    close: async () => {
      const closing = slots.map(slot => slot.close());
      for (const slot of slots) slot.channel?.close('the links are being closed');
      await Promise.all(closing);
    },
  };
}

/** One link, with whatever makes its connections. */
function startSlot(
  { pair, view, port, keys, random = Math.random, limits: changed }: PeerLinksOptions,
  index: number,
  count: (counter: LinkCounter) => void,
  listener: PeerLinksListener,
): Slot {
  const limits = { ...LINK_LIMITS, ...changed };
  const link = view.links[index];
  if (link === undefined) throw new RangeError(`there is no link ${index}`);
  const derived = linkKeys(pair, keys);

  /**
   * Takes a connection into use; a newer one takes the place of an older, which the peer has left.
   */
  const adopt = (socket: TLSSocket, over: () => void): void => {
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
    listener.up(index);
  };
  const fail = (problem: string | undefined): void => {
    if (slot.channel === undefined) slot.problem = problem ?? '';
  };
  const common = { link, port, limits, count };
  const worker =
    view.nodeId === 1
      ? startDialer({ ...common, offer: derived.offer, random, connected: adopt, failed: fail })
      : startAcceptor({
          ...common,
          keys: derived.accept,
          connected: socket => adopt(socket, () => undefined),
          listening: fail,
        });
  const slot: Slot = { channel: undefined, problem: '', close: () => worker.close() };
  return slot;
}
