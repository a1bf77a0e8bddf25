// The kernel's side of the sync (SyncKernel): private interface, sync daemons, what the kernel
// reports, what is put into it, what it holds. Not pure. Nothing from a wire comes in here: the
// backup daemon hears lo, the listener hears the private link.
import { readFile } from 'node:fs/promises';
import { type Run, run } from '../../../command/io/run-command.ts';
import { createIpvsadm, type Ipvsadm } from '../../../ipvs/io/ipvsadm.ts';
import type { KernelDaemon } from '../../../ipvs/sync-daemon.ts';
import { SYNC_KERNEL_COUNTERS } from '../../../log/counters.ts';
import type { ServerEntryCounts } from '../../table/entry.ts';
import type { Scope } from '../../table/scope.ts';
import { describeDaemon, isRunning, planDaemons } from '../daemon-plan.ts';
import { MASTER_END } from '../private-link.ts';
import type { EnsureResult, SyncKernel, SyncKernelListener } from '../sync-kernel.ts';
import { readActiveData, readConnectionTable, TABLE_FILE } from './connection-table.ts';
import { type EventSocket, openEventSocket } from './event-socket.ts';
import { createFlowWatch, type FlowWatch } from './flow-watch.ts';
import { createKernelInjector, type KernelInjector } from './kernel-injector.ts';
import { TRIAL_ENTRIES_MAX, type Trial, tryKernel } from './kernel-trial.ts';
import { ensureLink, type PrivateLinkState, planInterface } from './private-interface.ts';
import { createSynWatch, type SynWatch } from './syn-watch.ts';
import { sendsFrom } from './udp-socket-table.ts';

interface SyncKernelOptions {
  /** Asked anew each time: a reload changes it. */
  readonly scope: () => Scope;
  readonly runCommand?: Run;
  readonly ipvsadm?: Ipvsadm;
}

type KernelCounter = keyof typeof SYNC_KERNEL_COUNTERS;

/** How long the first ensure() waits for conntrack's children to be subscribed. */
const FLOWS_READY_MS = 5_000;
/** Of nf_conntrack_max: above this new connections are soon refused. */
const CONNTRACK_FULL = 0.85;

export function createSyncKernel(options: SyncKernelOptions, listener: SyncKernelListener): SyncKernel {
  return new Kernel(options, listener);
}

class Kernel implements SyncKernel {
  readonly #options: SyncKernelOptions;
  readonly #listener: SyncKernelListener;
  readonly #run: Run;
  readonly #ipvsadm: Ipvsadm;
  readonly #injector: KernelInjector = createKernelInjector();
  readonly #flows: FlowWatch;
  readonly #syns: SynWatch;
  readonly #counters = Object.fromEntries(Object.keys(SYNC_KERNEL_COUNTERS).map(name => [name, 0])) as Record<
    KernelCounter,
    number
  >;
  #events: EventSocket | undefined;
  #trial: Trial | undefined;
  /** A trial whose entries have not gone yet; undefined: none runs. */
  #trying: Promise<void> | undefined;
  readonly #closing = new AbortController();
  #last: Promise<unknown> = Promise.resolve();
  /** Whether the last datagram of a probe arrived; until the first one, as if. */
  #heard = true;
  #closed = false;

  constructor(options: SyncKernelOptions, listener: SyncKernelListener) {
    this.#options = options;
    this.#listener = listener;
    this.#run = options.runCommand ?? run;
    this.#ipvsadm = options.ipvsadm ?? createIpvsadm(this.#run);
    this.#flows = createFlowWatch({ ...listener, scope: options.scope, count: this.#count });
    this.#syns = createSynWatch({ ...listener, scope: options.scope, count: this.#count });
  }

  readonly #count = (name: KernelCounter, by: number): void => {
    this.#counters[name] += by;
  };

  ensure(): Promise<EnsureResult> {
    const done = this.#last.then(() => this.#ensureNow());
    this.#last = done;
    return done;
  }

  async #ensureNow(): Promise<EnsureResult> {
    const changes: string[] = [];
    const problems: string[] = [];
    const attempt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
      try {
        return await work();
      } catch (error) {
        problems.push(error instanceof Error ? error.message : String(error));
        return undefined;
      }
    };
    if (this.#closed || this.#options.scope().services.length === 0) {
      return { running: false, changes, problems, found: {} };
    }
    const link = await attempt(() => ensureLink(this.#run, () => this.#stopMaster()));
    changes.push(...(link?.changes ?? []));
    const daemons = link && (await attempt(() => this.#ensureDaemons(link.masterAddress, changes, problems)));
    const hears = link !== undefined && (await attempt(() => this.#ensureEvents(link, problems))) === true;
    this.#flows.follow();
    this.#syns.follow();
    // One that went wrong is tried again: what was in the way may be gone.
    const open = this.#trial === undefined || this.#trial.problems.length > 0;
    if (open && this.#trying === undefined && daemons?.backup)
      await attempt(() => this.#tryOut(daemons.backup as KernelDaemon));
    problems.push(
      ...(this.#trial?.problems ?? []),
      ...this.#flows.problems(),
      ...this.#syns.problems(),
      ...(await conntrackProblems()),
    );
    const running = isRunning({
      hears,
      ...{ master: daemons?.master !== undefined, backup: daemons?.backup !== undefined },
      ...{ injection: this.#trial?.injection === true, followsConntrack: this.#flows.problems().length === 0 },
    });
    if (running && !hears && ((await attempt(() => this.#entries())) ?? Number.POSITIVE_INFINITY) <= TRIAL_ENTRIES_MAX)
      // Reading a larger table is quadratic: it is left to conntrack.
      this.#listener.lost("the kernel's sync events do not arrive");
    return { running, changes, problems, found: this.#trial?.found ?? {} };
  }

  /** Ours only. */
  async #stopMaster(): Promise<void> {
    const running = await this.#ipvsadm.listDaemons();
    const master = running.find(daemon => daemon.state === 'master' && daemon.interface === MASTER_END);
    if (master) await this.#ipvsadm.stopDaemon(master);
  }

  /** The daemons of ours that run afterwards. */
  async #ensureDaemons(
    masterAddress: string,
    changes: string[],
    problems: string[],
  ): Promise<{ readonly master?: KernelDaemon; readonly backup?: KernelDaemon }> {
    const plan = planDaemons(await this.#ipvsadm.listDaemons());
    problems.push(...plan.problems);
    for (const daemon of plan.stop) {
      await this.#ipvsadm.stopDaemon(daemon);
      changes.push(`stop ${describeDaemon(daemon)}`);
    }
    for (const daemon of plan.start) {
      await this.#ipvsadm.startDaemon(daemon);
      changes.push(`start ${describeDaemon(daemon)}`);
    }
    const { right } = plan.start.length === 0 ? plan : planDaemons(await this.#ipvsadm.listDaemons());
    const dead = plan.start.filter(daemon => !right.some(({ state }) => state === daemon.state));
    for (const daemon of dead) problems.push(`${describeDaemon(daemon)} was started and does not run`);
    const [master, backup] = (['master', 'backup'] as const).map(state => right.find(d => d.state === state));
    if (master && !(await sendsFrom(masterAddress, master.group, master.port))) {
      problems.push(
        `${describeDaemon(master)} does not send from ${masterAddress}, so it is not heard; stop it (\`ipvsadm --stop-daemon master\`), the next audit starts it anew`,
      );
      return { ...(backup && { backup }) };
    }
    return { ...(master && { master }), ...(backup && { backup }) };
  }

  /** True when what is sent on the link arrives here. */
  async #ensureEvents(link: PrivateLinkState, problems: string[]): Promise<boolean> {
    const { masterAddress, listenerAddress } = link;
    const stale = this.#events?.masterAddress !== masterAddress || this.#events.listenerAddress !== listenerAddress;
    if (stale || link.changes.length > 0) {
      this.#events?.close();
      this.#events = undefined;
      const { entries, lost } = this.#listener;
      this.#events = await openEventSocket({
        ...{ masterAddress, listenerAddress, scope: this.#options.scope, count: this.#count },
        ...{ entries: list => entries(list), lost: what => lost(what) },
      });
    }
    const heard = (await this.#events?.probe(this.#heard)) === true;
    this.#heard = heard;
    if (heard) return true;
    problems.push(
      `what this router sends on its private interface does not arrive at its other end: is there a firewall rule against UDP port 8849 on tandem-sync1 (missing is perhaps: iifname "tandem-sync1" udp dport 8849 accept)? Until then connections are reported by conntrack, and the table is read at every audit`,
    );
    return false;
  }

  async #entries(): Promise<number> {
    const counts = await this.#ipvsadm.readPersistentCounts();
    return counts.reduce((sum, c) => sum + c.templates + c.activeConnections + c.inactiveConnections, 0);
  }

  async #tryOut(backup: KernelDaemon): Promise<void> {
    const entries = await this.#entries();
    const readTable = () => readFile(TABLE_FILE, 'latin1');
    const [{ trial, whole }, subscribed] = await Promise.all([
      tryKernel({ injector: this.#injector, readTable, signal: this.#closing.signal }, backup.lengthMax, entries),
      this.#flows.ready(FLOWS_READY_MS),
    ]);
    const note = ({ found, ...rest }: Trial) => {
      this.#trial = { ...rest, found: { ...found, 'conntrack events': subscribed ? 'followed' : 'not followed' } };
    };
    note(trial);
    // The next ensure() says it.
    this.#trying = whole?.then(note).finally(() => {
      this.#trying = undefined;
    });
  }

  async preview(): Promise<readonly string[]> {
    if (this.#options.scope().services.length === 0) return [];
    const link = await planInterface(this.#run).then(plan => plan.changes);
    const daemons = planDaemons(await this.#ipvsadm.listDaemons());
    return [
      ...link,
      ...daemons.stop.map(daemon => `stop ${describeDaemon(daemon)}`),
      ...daemons.start.map(daemon => `start ${describeDaemon(daemon)}`),
    ];
  }

  async inject(entries: Parameters<SyncKernel['inject']>[0]): Promise<{ readonly dropped: number }> {
    const { dropped } = await this.#injector.inject(entries);
    this.#count('injected', entries.length - dropped);
    this.#count('injection_dropped', dropped);
    return { dropped };
  }

  async readTable(): ReturnType<SyncKernel['readTable']> {
    const table = await readConnectionTable(this.#options.scope());
    this.#count('table_reads', 1);
    this.#count('table_unknown', table.unknown);
    return table.list;
  }

  async readCounts(): Promise<readonly ServerEntryCounts[]> {
    const marks = new Set(this.#options.scope().services.map(service => service.mark));
    return (await this.#ipvsadm.readPersistentCounts()).flatMap(count => {
      const mark = Number(/^-f (\d+)/.exec(count.key)?.[1] ?? Number.NaN);
      if (!marks.has(mark)) return [];
      const { address: server, templates, activeConnections, inactiveConnections } = count;
      return [{ mark, server, templates, connections: activeConnections + inactiveConnections }];
    });
  }

  readActiveData(): ReturnType<SyncKernel['readActiveData']> {
    return readActiveData(this.#run, this.#options.scope());
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#closing.abort();
    await this.#last;
    await this.#trying;
    this.#flows.close();
    this.#syns.close();
    this.#events?.close();
    this.#events = undefined;
    this.#injector.close();
  }
}

/**
 * With vs.conntrack every IPVS connection has a place in conntrack's table: a full one refuses new
 * clients.
 */
async function conntrackProblems(): Promise<readonly string[]> {
  const read = async (name: string) => {
    const text = await readFile(`/proc/sys/net/netfilter/${name}`, 'utf8').catch(() => '');
    return text === '' ? undefined : Number(text);
  };
  const [count, max] = [await read('nf_conntrack_count'), await read('nf_conntrack_max')];
  if (count === undefined || max === undefined || max === 0 || count < max * CONNTRACK_FULL) return [];
  return [
    `conntrack's table is nearly full (${count} of ${max}): when it is, new connections are refused; raise net.netfilter.nf_conntrack_max in the first network namespace`,
  ];
}
