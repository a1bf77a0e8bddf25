// The director's loop: one audit at a time, asked for by the timer, verdicts, roles, reloads and
// people. Not pure: it holds what is known between audits and logs; what to do is decided in
// plan.ts, what it means in findings.ts.
import type { Config } from '../config/schema.ts';
import type { DrainWord } from '../drain/drain-word.ts';
import type { Drains } from '../drain/drains.ts';
import type { DirectorReport, Role, Snapshot } from '../feed/message.ts';
import { owns } from '../feed/owns.ts';
import type { KernelPlan } from '../feed/reload-answer.ts';
import { type KernelInterface, lanInterfaces, realNames, relevantNames } from '../firewall/interfaces.ts';
import { knowing, knownClients, servicesWithKnown } from '../firewall/known-clients.ts';
import { ruleChanges } from '../firewall/rule-changes.ts';
import type { HookReport } from '../hooks/hook-report.ts';
import type { ServerCounts } from '../ipvs/ipvsadm.ts';
import { connectionsOf, type IpvsTable, isInUse } from '../ipvs/table.ts';
import type { CheckWord } from '../nanny/check-word.ts';
import type { Verdict } from '../nanny/verdict.ts';
import type { SessionFilter, SessionTable } from '../status/sessions.ts';
import type { StatusReport } from '../status/status-report.ts';
import type { SyncStatus } from '../status/sync-status.ts';
import type { ConnectionSync, EnsureResult } from '../sync/sync.ts';
import type { Address } from '../units/address.ts';
import { type At, between } from '../units/duration.ts';
import { conntrackTargets, isTakeover } from './demotion.ts';
import { type DriftWatch, mayRepair, NO_DRIFT, pauseMs, repaired, settled } from './drift.ts';
import { findings, type Knowledge, NOTHING_KNOWN } from './findings.ts';
import { type FitnessReport, failingChecks } from './fitness-check.ts';
import { type AuditInput, audit, preview } from './io/converge.ts';
import { ForeignDrops } from './io/foreign-drops.ts';
import type { Kernel } from './io/kernel.ts';
import { ManualResume, type ManualResumePorts } from './io/manual-resume.ts';
import { type DrainPorts, OperatorDrains } from './io/operator-drains.ts';
import type { PacketLeaseAudit, PacketLeaseFinding } from './io/packet-lease-audit.ts';
import { type VipCheckPorts, VipChecks } from './io/vip-checks.ts';
import { isSame, type ServerInKernel, standOf } from './leaving.ts';
import type { SeenUp } from './manual-resume.ts';
import type { DrainOrder, DrainOutcome } from './operator-drains.ts';
import type { Owned } from './owned.ts';
import { type Actual, type AppliedRules, type DrainedServer, needsKernel, type QuietServer } from './plan.ts';
import { pulseReport, statusReport } from './report.ts';
import { NOTHING_SERVED_YET, type ServiceWatch, serviceFailures, watchService } from './service-watch.ts';
import { filterProblem, sessionTable } from './session-table.ts';
import { NOTHING_WATCHED, type SyncWatch, syncProblems, watchSync } from './sync-watch.ts';
import { forwardingInterfaces, forwardingRules } from './sysctl.ts';
import { hasSessions } from './wanted.ts';

/** The least time between two looks that follow at once on an audit or a repair. */
const LOOK_AGAIN_MS = 250;

interface DirectorPorts extends VipCheckPorts, DrainPorts, ManualResumePorts {
  readonly kernel: Kernel;
  readonly sync: ConnectionSync;
  /** On servers that drain, named by their addresses, and on sorry servers, named SORRY. */
  readonly otherVerdicts: () => readonly Verdict[];
  /** What the fitness checks by script say. */
  readonly fitness: () => readonly FitnessReport[];
  readonly hooks: () => readonly HookReport[];
  /** Names the servers that drain, which are to be watched: by service, all of them. */
  readonly watchLeaving: (servers: ReadonlyMap<string, readonly Address[]>) => void;
  readonly saveOwned: (owned: Owned) => Promise<void>;
  /** An audit has put in what it could; it may wait for the sync yet. */
  readonly rulesTried: () => void;
  /** Puts the rules of the packet lease back if somebody changed them. */
  readonly auditPacketLease: PacketLeaseAudit;
  /** Why nftables' events are not followed; undefined: they are. */
  readonly watchProblem: () => string | undefined;
}

interface DirectorStart {
  readonly config: Config;
  readonly digest: string;
  readonly node: string;
  readonly version: string;
  readonly owned: Owned;
  /** As the last run left them. */
  readonly drains: Drains;
  readonly seenUp: SeenUp | undefined;
}

export interface Director {
  /**
   * Resolves after an audit that began no earlier than the call. Calls while one waits share it.
   */
  audit(reason: string): Promise<void>;
  /** Takes a new config; the next audit applies it. */
  setConfig(config: Config, digest: string): Promise<void>;
  /** What would change in the kernel for `config` (absent: the one in use). */
  plan(config?: Config): Promise<KernelPlan>;
  /**
   * Reads the connection counts; asks for an audit when a server that takes no new clients has come
   * a step further.
   */
  poll(): Promise<void>;
  /**
   * nftables told of a change to our tables, or may have: looks at once, or when the pause after
   * the last repair is over.
   */
  nftChanged(what: string): void;
  /**
   * To be called often: looks whether IPVS was changed, at what nftChanged() has left for later,
   * and at what both routers' nannies say.
   */
  look(): Promise<void>;
  /** Takes notice of what pulse says. */
  pulseSays(snapshot: Snapshot): void;
  verdictChanged(): void;
  /** What the peer's nannies say of some servers. */
  peerChecks(words: readonly CheckWord[]): void;
  /** What the peer knows of drains. */
  peerDrains(words: readonly DrainWord[]): void;
  /** An operator drains servers or enables them; resolves when the kernel has followed. */
  drain(order: DrainOrder): Promise<DrainOutcome>;
  config(): Config;
  /** See configDigest. */
  digest(): string;
  reportForPulse(): DirectorReport;
  report(): StatusReport;
  /** Who is connected; a sentence, when a name that is asked for does not exist. */
  sessions(filter: SessionFilter): SessionTable | string;
  /** Calls `listener` when the report may have changed; returns the way to stop that. */
  subscribe(listener: (reason: string) => void): () => void;
  changed(reason: string): void;
  /** Begins no more audits; resolves when none runs. */
  close(): Promise<void>;
}

/**
 * How long after the start missing verdicts are waited for before the servers that are up are
 * counted.
 */
const FIRST_VERDICTS_MS = 60_000;

export function createDirector(start: DirectorStart, ports: DirectorPorts): Director {
  return new Loop(start, ports);
}

class Loop implements Director {
  readonly #ports: DirectorPorts;
  readonly #node: string;
  readonly #version: string;
  readonly #startedAt: At;
  #config: Config;
  #digest: string;
  #owned: Owned;
  #applied: AppliedRules | undefined;
  #actual: Actual | undefined;
  #known: Knowledge = NOTHING_KNOWN;
  #table: IpvsTable = { services: [] };
  /** Undefined: the kernel was not read yet. */
  #counts: readonly ServerCounts[] | undefined;
  #quiet: readonly QuietServer[] = [];
  #drained: readonly DrainedServer[] = [];
  #lookedAgainAt = -Infinity as At;
  /** Where the servers that leave stood when they were last looked at. */
  #stand = '';
  #lastAuditAt: string | null = null;
  #role: Role | undefined;
  /** Whether the VIPs are here; undefined: not known yet. */
  #owns: boolean | undefined;
  #ownsSince: At | undefined;
  readonly #foreignDrops: ForeignDrops;
  /** As the last audit had it. */
  #adopting = true;
  #judged = false;
  #closed = false;
  #drift: DriftWatch = NO_DRIFT;
  /** Why to look; undefined: no need. */
  #nftChange: string | undefined;
  #looking = false;
  /** The audit that runs is done with the rules and waits for the sync. */
  #ensuring = false;
  /** IPVS as the last audit left it; undefined: not known. */
  #signature: string | undefined;
  /**
   * The kernel's names of the interfaces, by those of the config, and which of all of them there
   * were.
   */
  #names: ReadonlyMap<string, string> = new Map();
  #namesSeen = '';
  #syncWatch: SyncWatch = NOTHING_WATCHED;
  readonly #vipChecks: VipChecks;
  readonly #drains: OperatorDrains;
  readonly #resume: ManualResume;
  /** Where the drains of operators stood when they were last looked at. */
  #drainStand = '';
  #serviceWatch: ServiceWatch = NOTHING_SERVED_YET;
  #running: Promise<void> | undefined;
  #waiting: { readonly reasons: Set<string>; readonly done: Promise<void> } | undefined;
  readonly #listeners = new Set<(reason: string) => void>();

  constructor(start: DirectorStart, ports: DirectorPorts) {
    this.#ports = ports;
    this.#node = start.node;
    this.#version = start.version;
    this.#config = start.config;
    this.#digest = start.digest;
    this.#owned = start.owned;
    this.#startedAt = ports.now();
    this.#foreignDrops = new ForeignDrops({
      ...{ kernel: ports.kernel, log: ports.log, now: ports.now, node: start.node, config: () => this.#config },
      changed: reason => this.changed(reason),
    });
    this.#drains = new OperatorDrains({
      ...ports,
      node: start.node,
      drains: start.drains,
      config: () => this.#config,
      counts: () => this.#counts,
      owns: () => this.#owns,
      decreed: names => this.#resume.decreed(names),
      changed: reason => this.changed(reason),
      audit: reason => this.audit(reason),
    });
    this.#vipChecks = new VipChecks({
      ...ports,
      node: start.node,
      config: () => this.#config,
      names: () => this.#names,
      draining: () =>
        new Set([...drainingByService(this.#known.draining, this.#owned).keys(), ...this.#drains.services()]),
      changed: reason => this.changed(reason),
    });
    this.#resume = new ManualResume({
      ...ports,
      seenUp: start.seenUp,
      config: () => this.#config,
      isOwner: () => this.#owns === true,
      drainOf: () => this.#drains.rule(),
      checks: () => this.#vipChecks.seen().checks,
      drain: order => this.drain(order),
    });
  }

  audit(reason: string): Promise<void> {
    if (this.#closed) return this.#running ?? Promise.resolve();
    if (this.#running === undefined) {
      const work = this.#run(reason).finally(() => {
        // A repair beside it goes on.
        if (this.#running !== work) return;
        this.#running = undefined;
        this.#lookAgain();
      });
      this.#running = work;
      return work;
    }
    if (this.#waiting) {
      this.#waiting.reasons.add(reason);
      return this.#waiting.done;
    }
    const reasons = new Set([reason]);
    const done = this.#running.then(() => {
      this.#waiting = undefined;
      return this.audit([...reasons].join(', '));
    });
    this.#waiting = { reasons, done };
    return done;
  }

  /**
   * `repair`: others have changed IPVS or nftables, the sync has no part in it and need not be
   * asked.
   */
  async #run(reason: string, repair = false): Promise<void> {
    const { log, now, wall } = this.#ports;
    const began = now();
    const drainStand = this.#drains.stand();
    this.#nftChange = undefined;
    const standing = { pulseHeard: this.#ports.snapshot() !== null, owner: this.#owns === true };
    // Beside the rest, which takes longer.
    const packetLeaseAudit = this.#ports.auditPacketLease(standing);
    try {
      const input = this.#auditInput(this.#config);
      this.#adopting = input.adopting;
      const done = await audit(input, this.#ports).finally(() => this.#ports.rulesTried());
      this.#owned = done.owned;
      this.#stand = standOf(done.owned.leaving ?? [], began, this.#config.ipvs);
      this.#applied = done.applied;
      this.#actual = done.actual;
      this.#signature = done.actual.ipvsSignature;
      this.#noteNames(done.actual.interfaces);
      if (done.actual.ipvs.ok) {
        this.#table = done.actual.ipvs.value.table;
        this.#counts = countsOf(this.#table);
      }
      this.#quiet = done.last.quiet;
      this.#drained = done.last.drained;
      this.#drainStand = drainStand;
      const known = this.#known.sync;
      const sync = repair && known ? { ...known, changes: [] } : await this.#ensureSync();
      const { next, events } = findings(this.#known, done, sync, { reason, tookMs: Math.round(now() - began) });
      const repairs = next.repairs - this.#known.repairs;
      this.#known = next;
      this.#lastAuditAt = wall();
      for (const event of events) log.event(event.code, event.fields);
      const draining = drainingByService(next.draining, this.#owned);
      this.#ports.sync.draining(draining);
      this.#ports.watchLeaving(draining);
      const gate = await packetLeaseAudit;
      this.#tellPacketLease(gate, reason);
      if (repairs > 0 || gate.change !== undefined) this.#noteRepair(reason);
    } catch (error) {
      const problem = error instanceof Error ? (error.stack ?? error.message) : String(error);
      log.event('DIRECTOR_FAULT', { reason: `audit: ${reason}`, problem });
      // What pulse was told before must not hold for ever.
      this.#known = { ...this.#known, rulesIn: this.#known.rulesIn ?? false };
    }
    this.changed('audit');
  }

  /**
   * After the rules: a synced connection is bound to its real server when it arrives, so the
   * servers must be there. It may try things out for seconds, and repairs of the rules do not wait
   * for that.
   */
  #ensureSync(): Promise<EnsureResult> {
    this.#ensuring = true;
    return this.#ports.sync.ensure().finally(() => {
      this.#ensuring = false;
    });
  }

  #noteRepair(reason: string): void {
    const before = this.#drift;
    this.#drift = repaired(before, this.#ports.now());
    if (!this.#drift.alarmed) return;
    const { repairs } = this.#drift;
    this.#ports.log.event('DRIFT_REPEATS', { repairs, pauseMs: pauseMs(this.#drift), reason });
  }

  nftChanged(what: string): void {
    this.#nftChange = what;
    void this.look();
  }

  async look(): Promise<void> {
    const { kernel, log, now } = this.#ports;
    if (!this.#closed) {
      this.#vipChecks.look();
      this.#drains.look();
    }
    const before = this.#drift;
    this.#drift = settled(before, now());
    if (before.alarmed && !this.#drift.alarmed) {
      log.event('DRIFT_CALM', {});
      this.changed('drift');
    }
    if (this.#closed || this.#looking || this.#isBusy || !mayRepair(this.#drift, now())) return;
    this.#looking = true;
    try {
      const why =
        this.#nftChange ??
        (await this.#ipvsChange(kernel)) ??
        (await this.#namesChange(kernel)) ??
        (await this.#forwardingChange(kernel)) ??
        this.#standingChange();
      if (why !== undefined && !this.#isBusy && !this.#closed) await this.#repair(why);
    } finally {
      this.#looking = false;
    }
    this.#lookAgain();
  }

  /**
   * What changed while an audit or a repair was at work does not wait for the next look; its own
   * changes must not make a circle.
   */
  #lookAgain(): void {
    const now = this.#ports.now();
    if (this.#nftChange === undefined || this.#isBusy || between(this.#lookedAgainAt, now) < LOOK_AGAIN_MS) return;
    this.#lookedAgainAt = now;
    void this.look();
  }

  /** An audit works on the rules now, or they are not all in yet. */
  get #isBusy(): boolean {
    return this.#running !== undefined && !(this.#ensuring && this.#known.sync !== undefined);
  }

  /** Beside an audit that waits for the sync; every other one waits for this. */
  #repair(why: string): Promise<void> {
    const before = this.#running;
    const work = this.#run(why, true);
    const both = Promise.all([before, work]).then(() => {
      if (this.#running === both) this.#running = undefined;
    });
    this.#running = both;
    return work;
  }

  #noteNames(interfaces: readonly KernelInterface[]): void {
    if (interfaces.length === 0) return;
    const before = this.#names;
    this.#names = realNames(lanInterfaces(this.#config, this.#node), interfaces);
    this.#namesSeen = relevantNames(
      this.#names,
      interfaces.map(({ name }) => name),
    );
    for (const [name, real] of this.#names) {
      const was = before.get(name) ?? name;
      if (real !== was) this.#ports.log.event('INTERFACE_NAMED', { interface: name, name: real });
    }
  }

  #standingChange(): string | undefined {
    const adopts = this.#adopts();
    if (this.#signature === undefined || adopts === this.#adopting) return undefined;
    return adopts ? 'this router may have to take over' : 'the takeover is over';
  }

  async #namesChange(kernel: Kernel): Promise<string | undefined> {
    if (this.#signature === undefined || !needsKernel(this.#config, this.#owned, undefined)) return undefined;
    const seen = relevantNames(this.#names, await kernel.interfaceNames());
    return seen === this.#namesSeen ? undefined : 'an interface has come, gone or changed its name';
  }

  async #ipvsChange(kernel: Kernel): Promise<string | undefined> {
    if (this.#signature === undefined || !needsKernel(this.#config, this.#owned, undefined)) return undefined;
    return (await kernel.ipvsSignature()) === this.#signature ? undefined : 'IPVS was changed';
  }

  /** As the last audit left it: what it could not set is not tried again at every look. */
  async #forwardingChange(kernel: Kernel): Promise<string | undefined> {
    const actual = this.#actual;
    if (this.#signature === undefined || actual === undefined) return undefined;
    const interfaces4 = forwardingInterfaces(this.#config, this.#node, actual.interfaces);
    const names = forwardingRules(this.#config, interfaces4).map(({ name }) => name);
    const now = await kernel.readSysctls(names);
    return names.every(name => now.get(name) === actual.sysctls.get(name)) ? undefined : 'forwarding was changed';
  }

  #tellPacketLease({ change, problem }: PacketLeaseFinding, reason: string): void {
    const { log } = this.#ports;
    if (change !== undefined) log.event('DRIFT_REPAIRED', { target: 'packet lease', change, reason });
    if (problem !== undefined) log.event('KERNEL_REFUSED', { target: 'packet lease', problem });
  }

  /** On a standby, and on an owner that has just become it. */
  #adopts(): boolean {
    if (this.#owns !== true || this.#ownsSince === undefined) return true;
    return between(this.#ownsSince, this.#ports.now()) < this.#config.ipvs.adopt_for;
  }

  #auditInput(config: Config): AuditInput {
    const { verdicts, otherVerdicts, now } = this.#ports;
    const adopting = this.#adopts();
    const kernel = { owned: this.#owned, applied: this.#applied, known: this.#actual };
    const clients = () => this.#ports.sync.clients(servicesWithKnown(config));
    const drains = () => this.#drains.rule();
    return { ...kernel, config, node: this.#node, verdicts, otherVerdicts, drains, now, adopting, clients };
  }

  async setConfig(config: Config, digest: string): Promise<void> {
    this.#config = config;
    this.#digest = digest;
    this.#drains.configured();
    this.#resume.look();
    await this.#ports.sync.configure(config);
    this.changed('config');
  }

  async plan(config: Config = this.#config): Promise<KernelPlan> {
    const input = this.#auditInput(config);
    // Of another machine under the same name nothing is known yet.
    const addressIn = ({ services }: Config, { service, server }: Verdict) =>
      services[service]?.servers[server]?.address;
    const isMeant = (verdict: Verdict) => addressIn(config, verdict) === addressIn(this.#config, verdict);
    const verdicts = () => input.verdicts().filter(isMeant);
    const made = await preview({ ...input, verdicts }, this.#ports.kernel);
    const sync = await this.#ports.sync.preview(config);
    const changes = made.changes.map(({ target, change, disruptive }) => ({ target, change, disruptive }));
    const syncChanges = sync.map(change => ({ target: 'sync', change, disruptive: false }));
    return {
      changes: [...changes, ...syncChanges],
      rules: made.nft === undefined ? [] : ruleChanges(this.#applied?.text, made.nft),
      problems: made.problems.map(problem => problem.text),
    };
  }

  async poll(): Promise<void> {
    await this.#foreignDrops.weigh();
    await this.#vipChecks.nameClaimer();
    if (this.#running !== undefined || !needsKernel(this.#config, this.#owned, undefined)) return;
    const read = await this.#ports.kernel.readCounts();
    if (!read.ok || this.#running !== undefined) return;
    const before = JSON.stringify(this.#counts);
    this.#counts = read.value;
    if (JSON.stringify(read.value) !== before) this.changed('connections');
    const reason = this.#leavingReason(read.value);
    if (reason !== undefined) await this.audit(reason);
  }

  /** Why the servers that take no new clients must be looked at; undefined: all is as it was. */
  #leavingReason(read: readonly ServerCounts[]): string | undefined {
    const of = (server: ServerInKernel) => read.filter(one => isSame(server)(one));
    if (this.#known.draining.some(server => of(server).some(one => connectionsOf(one) === 0))) {
      return 'a server has finished draining';
    }
    // One with another port is not the server that is meant.
    const isMoved =
      ({ port, inUse }: QuietServer) =>
      (one: ServerCounts) =>
        one.port === port && isInUse(one) !== inUse;
    if (this.#quiet.some(server => of(server).some(isMoved(server)))) {
      return 'clients came to or left a server that fails its check';
    }
    const sessionsMoved =
      ({ port, kind, hasSessions: had }: DrainedServer) =>
      (one: ServerCounts) =>
        one.port === port && hasSessions({ kind }, one) !== had;
    if (this.#drained.some(server => of(server).some(sessionsMoved(server)))) {
      return 'sessions came to or left a server that is drained';
    }
    if (this.#drains.stand() !== this.#drainStand) return 'the time of a drained server';
    const stand = standOf(this.#owned.leaving ?? [], this.#ports.now(), this.#config.ipvs);
    return stand === this.#stand ? undefined : 'the deadline of a server that takes no new clients';
  }

  pulseSays(snapshot: Snapshot): void {
    this.#serviceWatch = watchService(this.#serviceWatch, snapshot, this.#ports.now());
    this.#ports.sync.pulseSays(snapshot);
    this.#vipChecks.pulseSays(snapshot);
    const takesOver = isTakeover(this.#role, snapshot.role);
    const had = this.#owns;
    // A pulse that starts has lost nothing yet: its vipd may hold the VIPs, and has not said so.
    const keeps = had === true && snapshot.role === 'starting';
    this.#owns = owns(snapshot) || keeps;
    const lost = had === true && !this.#owns;
    this.#role = snapshot.role;
    if (had !== this.#owns) this.#ownsSince = this.#ports.now();
    if (takesOver) {
      void this.#learnClients();
      void this.audit(`role is ${snapshot.role}`);
    }
    if (lost) void this.#forgetConnections();
    if (had !== this.#owns) this.#resume.look();
    this.changed('pulse');
  }

  /**
   * The rules are in already, and were written when there were other clients. Should they be
   * replaced just now, those are put in anew with them.
   */
  async #learnClients(): Promise<void> {
    const services = servicesWithKnown(this.#config);
    if (services.length === 0) return;
    const { kernel, log, now, sync } = this.#ports;
    const began = now();
    const known = knownClients(this.#config, { synced: sync.clients(services) });
    const clients = [...known.values()].reduce((sum, list) => sum + list.size, 0);
    const problem = clients === 0 ? undefined : await kernel.applyNft(knowing(known));
    if (problem === undefined) log.event('CLIENTS_KNOWN', { clients, tookMs: Math.round(now() - began) });
    else log.event('CLIENTS_PROBLEM', { problem });
  }

  /**
   * One at a time, and only while the VIPs have not come back: then the entries are those of living
   * connections.
   */
  async #forgetConnections(): Promise<void> {
    const { kernel, log } = this.#ports;
    let entries = 0;
    for (const target of conntrackTargets(this.#config)) {
      if (this.#owns) break;
      const done = await kernel.forgetConnections(target);
      if (!done.ok) return log.event('CONNTRACK_PROBLEM', { problem: done.problem });
      entries += done.value;
    }
    log.event('CONNTRACK_CLEARED', { entries });
  }

  verdictChanged(): void {
    if (this.#closed) return;
    this.#ports.sync.verdicts(this.#ports.verdicts());
    this.#resume.look();
    void this.audit('verdict');
    this.changed('verdict');
  }

  peerChecks(words: readonly CheckWord[]): void {
    this.#vipChecks.peerChecks(words);
    this.#resume.look();
  }

  peerDrains(words: readonly DrainWord[]): void {
    this.#drains.hear(words);
  }

  drain(order: DrainOrder): Promise<DrainOutcome> {
    return this.#drains.order(order);
  }

  config(): Config {
    return this.#config;
  }

  digest(): string {
    return this.#digest;
  }

  reportForPulse(): DirectorReport {
    const verdicts = this.#ports.verdicts();
    this.#judged ||=
      verdicts.every(verdict => verdict.state !== 'unknown') || this.#ports.now() - this.#startedAt > FIRST_VERDICTS_MS;
    const { rulesIn } = this.#known;
    const flushMs = this.#ports.sync.flushMs();
    // Pulse is told once a second: so often the sync is looked at, whoever reads the status.
    const { status } = this.#lookAtSync();
    return pulseReport(this.#config, verdicts, {
      digest: this.#digest,
      rulesIn,
      judged: this.#judged,
      failedChecks: failingChecks(this.#ports.fitness()),
      flushMs,
      sync: status,
    });
  }

  #lookAtSync(): { readonly status: SyncStatus; readonly problems: readonly string[] } {
    const look = { status: this.#ports.sync.status(), pulse: this.#ports.snapshot(), now: this.#ports.now() };
    this.#syncWatch = watchSync(this.#syncWatch, look);
    return { status: look.status, problems: syncProblems(this.#syncWatch, look) };
  }

  report(): StatusReport {
    const sync = this.#lookAtSync();
    return statusReport({
      config: this.#config,
      digest: this.#digest,
      version: this.#version,
      generatedAt: this.#ports.wall(),
      pulse: this.#ports.snapshot(),
      verdicts: this.#ports.verdicts(),
      otherVerdicts: this.#ports.otherVerdicts(),
      ...this.#vipChecks.seen(),
      drains: this.#drains.report(),
      node: this.#node,
      table: this.#table,
      counts: this.#counts ?? [],
      known: this.#known,
      lastAuditAt: this.#lastAuditAt,
      watchProblems: this.#watchProblems(),
      refused: this.#foreignDrops.refused,
      sync: sync.status,
      failures: this.#failures(),
      syncProblems: sync.problems,
      fitness: this.#ports.fitness(),
      hooks: this.#ports.hooks(),
      kernelFound: this.#ports.sync.found(),
    });
  }

  sessions(filter: SessionFilter): SessionTable | string {
    const { sync, snapshot, wall } = this.#ports;
    const problem = filterProblem(this.#config, filter);
    if (problem !== undefined) return problem;
    const standing = { config: this.#config, node: this.#node, pulse: snapshot(), generatedAt: wall() };
    return sessionTable(standing, sync.sessions(filter));
  }

  #failures(): readonly string[] {
    const { snapshot, now } = this.#ports;
    const { rulesIn } = this.#known;
    const deadMs = this.#config.heartbeat.dead;
    return serviceFailures({ watch: this.#serviceWatch, pulse: snapshot(), rulesIn, deadMs, now: now() });
  }

  #watchProblems(): readonly string[] {
    const fight = this.#drift.alarmed
      ? [
          `somebody keeps changing IPVS or nftables rules of Tandem, and is undone later each time: find out who (another firewall or balancer), see DRIFT_REPAIRED in the log`,
        ]
      : [];
    const blind = needsKernel(this.#config, this.#owned, undefined) ? this.#ports.watchProblem() : undefined;
    return [...fight, ...this.#foreignDrops.problems(), ...(blind === undefined ? [] : [blind])];
  }

  subscribe(listener: (reason: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
    // What waited for it begins no more.
    await this.#waiting?.done;
    await this.#vipChecks.close();
    await this.#drains.close();
  }

  changed(reason: string): void {
    for (const listener of this.#listeners) listener(reason);
  }
}

function countsOf(table: IpvsTable): readonly ServerCounts[] {
  return table.services.flatMap(({ key, servers }) =>
    servers.map(({ forwarding: _forwarding, weight: _weight, ...counts }) => ({ key, ...counts })),
  );
}

function drainingByService(draining: Knowledge['draining'], owned: Owned): ReadonlyMap<string, readonly Address[]> {
  const found = new Map<string, Address[]>();
  for (const { key, address } of draining) {
    const name = owned.services.find(service => service.key === key)?.name;
    if (name !== undefined) found.set(name, [...(found.get(name) ?? []), address as Address]);
  }
  return found;
}
