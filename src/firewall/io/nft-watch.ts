// Follows nftables' events through `nft monitor` and tells when one of our tables was touched, or
// when that may have been missed. Not pure. Each start is told as a change, once the child listens:
// what happened before that, nobody heard.
import type { ChildProcess } from 'node:child_process';
import { type Followed, follow } from '../../command/io/follow.ts';
import { areSubscribed } from '../../command/io/netlink-sockets.ts';
import { lineReader } from '../../socket/lines.ts';
import { nftEventOf } from '../nft-events.ts';

interface NftWatch {
  /** A sentence; undefined: events are followed. */
  problem(): string | undefined;
  close(): void;
}

const SUBSCRIBED_MS_MAX = 5_000;
/** Longer than any line of ours; a foreign set may be printed in one line of any length. */
const LINE_BYTES_MAX = 4_096;

export function createNftWatch(onChange: (what: string) => void): NftWatch {
  return new Watch(onChange);
}

class Watch implements NftWatch {
  readonly #onChange: (what: string) => void;
  readonly #monitor: Followed;
  #lines = newLines();
  #problem: string | undefined;

  constructor(onChange: (what: string) => void) {
    this.#onChange = onChange;
    this.#monitor = follow({
      command: ['nft', 'monitor'],
      install: 'nftables',
      onStart: child => {
        this.#lines = newLines();
        void this.#tellWhenHeard(child);
      },
      onOutput: chunk => this.#take(chunk),
      onEnd: why => {
        this.#problem = `nftables' events are not followed (nft monitor ${why}): what others do to our rules is noticed at the next audit only`;
      },
    });
  }

  problem(): string | undefined {
    return this.#problem;
  }

  close(): void {
    this.#monitor.close();
  }

  async #tellWhenHeard(child: ChildProcess): Promise<void> {
    const heard = await areSubscribed(() => [child.pid], SUBSCRIBED_MS_MAX);
    if (this.#monitor.isClosed() || this.#monitor.child() !== child) return;
    if (child.exitCode !== null || child.signalCode !== null) return;
    if (heard) this.#problem = undefined;
    this.#onChange('nftables is watched from now on');
  }

  #take(chunk: Buffer): void {
    const seen = new Set<string>();
    this.#lines.push(chunk, line => seen.add(nftEventOf(line)));
    if (seen.has('ours')) this.#onChange('nftables was changed');
    else if (seen.has('lost')) this.#onChange("nftables' events were lost");
  }
}

function newLines() {
  return lineReader({ bytesMax: LINE_BYTES_MAX, tooLong: 'skip', encoding: 'latin1' });
}
