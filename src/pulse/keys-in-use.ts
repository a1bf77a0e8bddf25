// The pair's keys as this router uses them and as the peer has shown that it does; how it goes over
// to others. Beside the election, which never hears of it. Pure: time is an argument.
import type { PairKeys } from '../config/io/key.ts';
import { areSameKeys, type KeyIds, keyIds, whyNotKeys } from '../config/key-id.ts';
import { type At, between } from '../units/duration.ts';
import { deadMs } from './election/beliefs/deadlines.ts';
import { versionToSend } from './election/beliefs/peer.ts';
import { heardWithin } from './election/beliefs/peer-heard.ts';
import type { Machine } from './election/machine.ts';
import { type Message, signedBy } from './heartbeat.ts';
import { encodeKeyWord, hearKeyWord, hearSigned, type KeyWord, keysOfPeer, NO_PEER_KEYS } from './key-word.ts';
import { goneAfter, SAY_KEYS_AFTER_MS, SAY_KEYS_MS } from './timing.ts';

export class KeysInUse {
  readonly #pairId: Buffer;
  #keys: PairKeys;
  #ids: KeyIds;
  #changedAt = -Infinity as At;
  #saidAt = -Infinity as At;
  #wordSeq = 0;
  #peer = NO_PEER_KEYS;

  constructor(keys: PairKeys, pairId: Buffer) {
    this.#keys = keys;
    this.#ids = keyIds(keys);
    this.#pairId = pairId;
  }

  get sign(): Buffer {
    return this.#keys.sign;
  }

  get accept(): readonly Buffer[] {
    return this.#keys.accept;
  }

  get ids(): KeyIds {
    return this.#ids;
  }

  /**
   * Why the peer would not be understood any more, or would not understand; undefined: it may be.
   */
  whyNot(machine: Machine, keys: PairKeys, peerNode: string, now: At): string | undefined {
    const next = keyIds(keys);
    return areSameKeys(next, this.#ids) ? undefined : whyNotKeys(next, this.peerIds(machine, now), peerNode);
  }

  /** False: they are in use already. */
  use(keys: PairKeys, now: At): boolean {
    const next = keyIds(keys);
    if (areSameKeys(next, this.#ids)) return false;
    this.#keys = keys;
    this.#ids = next;
    this.#changedAt = now;
    this.#saidAt = -Infinity as At;
    return true;
  }

  /** As shown by a peer that is heard. */
  peerIds(machine: Machine, now: At): KeyIds | undefined {
    const isHeard = heardWithin(machine, goneAfter(deadMs(machine)), now);
    return isHeard && this.#peer.bootId === machine.peer.bootId ? keysOfPeer(this.#peer, now) : undefined;
  }

  /** After the election has taken the message, or has not: then it is not of the peer's life. */
  noteSigner(machine: Machine, bytes: Buffer, { kind, nodeId, bootId, peerBootId, seq }: Message): void {
    const { settings, peer } = machine;
    if (kind !== 'heartbeat' || nodeId !== peer.peerNodeId) return;
    if (bootId !== peer.bootId || peerBootId !== settings.bootId) return;
    const { accept } = this.#keys;
    const by = accept.length === 1 ? 0 : accept.findIndex(key => signedBy(bytes, key));
    const id = this.#ids.accepts[by];
    if (id !== undefined) this.#peer = hearSigned(this.#peer, bootId, seq, id);
  }

  hear(machine: Machine, word: KeyWord, now: At): void {
    const { settings, peer } = machine;
    if (word.nodeId !== peer.peerNodeId || word.peerBootId !== settings.bootId) return;
    this.#peer = hearKeyWord(this.#peer, word, peer.bootId, now);
  }

  /** What is to be said now: while two keys are accepted here, and for a while after a change. */
  wordDue(machine: Machine, now: At): Buffer | undefined {
    if (now - this.#saidAt < SAY_KEYS_MS) return undefined;
    if (this.#keys.accept.length === 1 && between(this.#changedAt, now) > SAY_KEYS_AFTER_MS) return undefined;
    const { settings, peer } = machine;
    // Not to 0.3.0, which reads no other datagrams than its own.
    if (versionToSend(peer, (now - deadMs(machine)) as At) === 1) return undefined;
    this.#saidAt = now;
    this.#wordSeq += 1;
    const { nodeId, bootId } = settings;
    const word = { nodeId, bootId, peerBootId: peer.bootId, seq: this.#wordSeq, accepts: this.#ids.accepts };
    return encodeKeyWord(word, this.#pairId, this.#keys.sign);
  }
}
