// What clients do on the owner, what its kernel's timers do, and how the directors hear of it (or
// do not).

import {
  type Entry,
  entryKeyOf,
  FLAG,
  isInactive,
  isTemplate,
  networkOf,
  type RawAddress,
  TCP_STATES,
  templateOf,
} from '../../../src/sync/table/entry.ts';
import type { History } from './history.ts';
import { connectionOf, type KernelRow, MARK, PERSISTENCE_S, SERVERS } from './kernel-table.ts';
import type { Router, Routers } from './routers.ts';

export class Traffic {
  readonly #history: History;
  readonly #routers: Routers;
  readonly #clients: number;
  #ports = 30_000;
  /** Reports of the kernel are lost. */
  #losing = false;

  constructor(history: History, routers: Routers, clients: number) {
    this.#history = history;
    this.#routers = routers;
    this.#clients = clients;
  }

  /** The owner is told in the end. */
  loseReports(forMs: number): void {
    this.#losing = true;
    this.#history.in(forMs, () => {
      this.#losing = false;
      this.#routers.input(this.#routers.owner, { type: 'lost', what: 'conntrack' });
    });
  }

  expire(): void {
    for (const router of this.#routers.both) {
      const kept = router.kernel.expire(this.#history.now);
      if (kept.length > 0) this.#report(router, kept);
    }
  }

  #report(router: Router, entries: readonly Entry[]): void {
    if (this.#losing) return;
    const afterMs = this.#history.random.between(0.5, 20);
    this.#history.in(afterMs, () => this.#routers.input(router, { type: 'entries', entries }));
  }

  /** One client does one thing. */
  next(): void {
    const { owner } = this.#routers;
    if (owner.off) return;
    const { now, random } = this.#history;
    const client = `c63364${random.below(this.#clients).toString(16).padStart(2, '0')}` as RawAddress;
    const mine = [...owner.kernel.rows.values()].filter(
      row => !isTemplate(row.entry) && row.entry.client === client && row.expiresAt > now,
    );
    if (mine.length < 3 && random.chance(0.4)) return this.#open(owner, client);
    const row = mine[random.below(Math.max(1, mine.length))];
    // Some clients are idle for good once they are connected.
    if (row === undefined || Number.parseInt(client.slice(6), 16) % 3 === 0) return;
    if (isInactive(row.entry)) return;
    if (random.chance(0.4)) this.#close(owner, row);
    else this.#packet(owner, row);
  }

  #open(router: Router, client: RawAddress): void {
    const { kernel } = router;
    const { now, random } = this.#history;
    const key = kernel.templateKeyOf({ client, mark: MARK });
    let template = kernel.get(key, now);
    if (template === undefined) {
      const server = random.pick(SERVERS);
      const network = networkOf(client, kernel.prefix);
      const entry = templateOf({ client: network, server, mark: MARK, flags: 0 }, PERSISTENCE_S);
      template = { entry, expiresAt: 0, since: now, native: true };
      kernel.rows.set(key, template);
    }
    template.expiresAt = now + template.entry.timeoutS * 1_000;
    const entry = connectionOf(client, template.entry.server, this.#ports++);
    kernel.rows.set(entryKeyOf(entry), { entry, expiresAt: now + 900_000, since: now, native: true });
    this.#report(router, [entry, template.entry]);
  }

  /** Client `n` is in the owner's kernel for long, with a template and an idle connection. */
  addIdle(n: number): void {
    const { now } = this.#history;
    const client = (0x0a800000 + n).toString(16).padStart(8, '0') as RawAddress;
    const server = SERVERS[n % SERVERS.length] as RawAddress;
    const template = { ...templateOf({ client, server, mark: MARK, flags: 0 }, PERSISTENCE_S), timeoutS: 600 };
    const connection = connectionOf(client, server, 1_024 + (n % 60_000));
    for (const entry of [template, connection]) {
      const expiresAt = now + entry.timeoutS * 1_000;
      this.#routers.owner.kernel.rows.set(entryKeyOf(entry), { entry, expiresAt, since: now, native: false });
    }
  }

  #packet(router: Router, row: KernelRow): void {
    row.expiresAt = this.#history.now + row.entry.timeoutS * 1_000;
    this.#report(router, [row.entry]);
  }

  #close(router: Router, row: KernelRow): void {
    const state = TCP_STATES.indexOf('FIN_WAIT');
    row.entry = { ...row.entry, flags: row.entry.flags | FLAG.inactive, state, timeoutS: 15 };
    row.expiresAt = this.#history.now + 15_000;
    this.#report(router, [row.entry]);
  }
}
