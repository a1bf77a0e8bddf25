// The hosts of the client LAN: each has a neighbour entry for the virtual address, changed by announcements (which can be lost)
// and, slowly, by asking again when the machine it points at does not answer.
import type { Network } from './network.ts';
import { NEVER, type Timeline } from './timeline.ts';

/** Delay, three unicast probes and a broadcast of Linux' neighbour table, after it has noticed that its entry is stale. */
const RESOLVE_MS = 8_000;

export interface ClientLan {
  readonly lan: Network;
  readonly timeline: Timeline;
  /** The routers, by their number as hosts. */
  hosts(): readonly number[];
  /** Whether a router answers for the address now. */
  serves(router: number): boolean;
  /** Whether a router has a way back to the clients. */
  answers(router: number): boolean;
  changed(client: ClientModel, why: string): void;
}

export class ClientModel {
  readonly host: number;
  /** A router, by its number as a host; undefined: never resolved. */
  neighbour: number | undefined;
  readonly #lan: ClientLan;
  #silentSince = NEVER;

  constructor(host: number, lan: ClientLan) {
    this.host = host;
    this.#lan = lan;
  }

  reaches(router: number): boolean {
    return this.#lan.lan.bothWays(this.host, router) && this.#lan.answers(router);
  }

  hearsAnnouncement(router: number): void {
    this.#set(router, 'announcement');
  }

  /** Called now and then: asks anew when nobody has answered at the entry for long. */
  look(): void {
    const { neighbour } = this;
    const { timeline } = this.#lan;
    if (neighbour !== undefined && this.reaches(neighbour) && this.#lan.serves(neighbour)) {
      this.#silentSince = NEVER;
      return;
    }
    if (this.#silentSince === NEVER) this.#silentSince = timeline.now;
    if (neighbour !== undefined && timeline.now - this.#silentSince < RESOLVE_MS) return;
    for (const router of this.#lan.hosts()) {
      if (this.#lan.serves(router) && this.reaches(router)) return this.#set(router, 'resolution');
    }
  }

  #set(router: number, why: string): void {
    this.#silentSince = NEVER;
    if (this.neighbour === router) return;
    this.neighbour = router;
    this.#lan.changed(this, why);
  }
}
