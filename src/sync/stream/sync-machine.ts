// The sync's machine: one input in, effects out. Puts the parts together by role: as source it
// feeds the mirror from the kernel and the stream from the mirror; else it takes the stream of a
// peer that is source. Deterministic: time is an argument, and the instance id is all the
// randomness it needs. What goes in and out: effect.ts.

import type { ResyncStatus, SyncPhase, SyncRole, SyncStatus } from '../../status/sync-status.ts';
import { type At, ms } from '../../units/duration.ts';
import { compareEpochs, EPOCH_NONE, type Epoch, formatEpoch } from '../../units/epoch.ts';
import { type Entry, type EntryKey, entryKeyOf, isInactive, isTemplate, rawOf } from '../table/entry.ts';
import { MIRROR_ROWS_MAX, Mirror } from '../table/mirror.ts';
import type { Scope } from '../table/scope.ts';
import { Chores } from './chores.ts';
import { DirectorWords } from './director-words.ts';
import type { SyncEffect, SyncInput } from './effect.ts';
import {
  type Control,
  type ControlOf,
  FRAME_VERSION,
  type Id,
  type Numbered,
  readFrame,
  writeControl,
  writeTakes,
} from './frame.ts';
import { InjectionQueue } from './injection-queue.ts';
import { Outbox } from './outbox.ts';
import { Reads } from './reads.ts';
import { reconcile } from './reconcile.ts';
import { mustReplace, Replacements } from './replacement.ts';
import { Sink } from './sink.ts';
import { Source } from './source.ts';
import { SyncLinks } from './sync-links.ts';
import { TemplateKeepalive } from './template-keepalive.ts';

const PING_EVERY_MS = ms(500);
const TICK_MS = ms(50);
const IDLE_TICK_MS = ms(250);
/** The table is not read again sooner than this, however often events are lost. */
const READ_EVERY_MS = ms(5_000);
const READ_RETRY_MS = ms(2_000);
const SWEEP_ROWS = 5_000;
const SLICE_ROWS = 500;
/** What the kernel told shortly before pulse said that the VIPs are here. */
const EARLY_MS = ms(3_000);
const EARLY_ENTRIES_MAX = 20_000;
/** Both routers may say that they are source for this long, around a handover. */
const TWO_SOURCES_MS = ms(2_000);
const LAG_PROBLEM_MS = 5_000;

interface SyncMachineOptions {
  /** Number of this router in the pair. */
  readonly node: 1 | 2;
  /** Random, new at every start of the director: 16 hex digits. */
  readonly instance: Id;
  readonly kernelRelease: string;
  readonly rowsMax?: number;
}

/**
 * What of SyncStatus the machine knows: the links have their names, and the store is the loop's.
 */
type MachineStatus = Omit<SyncStatus, 'links' | 'store'> & {
  /** By index. */
  readonly links: readonly { readonly connected: boolean; readonly rttMs: number | null }[];
};

interface Peer {
  readonly instance: Id;
  /** Number of the newest role message. */
  roleNumber: number;
  role: SyncRole;
  epoch: Epoch;
  stream: Id | null;
}

export class SyncMachine {
  readonly mirror: Mirror;
  readonly #options: SyncMachineOptions;
  readonly #out = new Outbox();
  readonly #links = new SyncLinks();
  readonly #words = new DirectorWords(this.#links, this.#out);
  readonly #chores = new Chores();
  /** After a change of prefixes, whatever the role. */
  readonly #recounts = new Chores();
  readonly #injections: InjectionQueue;
  readonly #replacements: Replacements;
  readonly #reads: Reads;
  readonly #source: Source;
  readonly #sink: Sink;
  readonly #keepalive: TemplateKeepalive;
  #scope: Scope | null = null;
  #role: SyncRole = 'idle';
  #epoch: Epoch = EPOCH_NONE;
  #peerServing = false;
  #peer: Peer | null = null;
  #roleNumber = 0;
  #pingAt = Number.NEGATIVE_INFINITY;
  #warm = false;
  /** When a frame of the peer's director last came. */
  #peerHeardAt: At | null = null;
  #twoSourcesAt: At | null = null;
  #twoSources = false;
  #fullTold = false;
  /** Kernel entries told while this router was no source, by when: see EARLY_MS. */
  #early: { readonly entries: readonly Entry[]; readonly at: At }[] = [];
  /** When events were last lost before this router was source. */
  #earlyLostAt = Number.NEGATIVE_INFINITY;
  /** Reading the table as source: when it may or must be read; null: no need. */
  #readAt: number | null = null;
  #reading = false;
  /** What the kernel reported while its table was read. */
  #told: Set<EntryKey> | null = null;
  #readWhy = '';
  #sourceSession = 0;

  constructor(options: SyncMachineOptions) {
    this.#options = options;
    this.mirror = new Mirror(options.rowsMax ?? MIRROR_ROWS_MAX);
    const { mirror } = this;
    const out = this.#out;
    const links = this.#links;
    const scope = () => this.#scope;
    this.#injections = new InjectionQueue(out);
    this.#replacements = new Replacements(mirror, this.#injections, out);
    this.#reads = new Reads(out);
    const announce = (now: At) => this.#announceRole(now);
    this.#source = new Source({ instance: options.instance, mirror, links, out, announce });
    const [injections, replacements, reads] = [this.#injections, this.#replacements, this.#reads];
    this.#sink = new Sink({
      mirror,
      links,
      out,
      injections,
      replacements,
      reads,
      scope,
      toldHere: () => this.#toldHere,
    });
    const publish = (entries: readonly Entry[], now: At) => this.#publish(entries, now);
    const isReplacing = (key: EntryKey) => replacements.has(key);
    this.#keepalive = new TemplateKeepalive({
      mirror,
      injections,
      out,
      chores: this.#chores,
      scope,
      publish,
      isReplacing,
    });
  }

  get role(): SyncRole {
    return this.#role;
  }

  get warm(): boolean {
    return this.#warm;
  }

  /** Whether the mirror holds all that the owner's kernel has, as far as this router can know. */
  get whole(): boolean {
    return this.#role === 'source' ? this.#readAt === null && !this.#reading : this.#warm;
  }

  /**
   * What is held in memory besides the mirror: frames, and entries for the kernel. All of it is
   * bounded.
   */
  get held(): {
    readonly ring: number;
    readonly ringBytes: number;
    readonly reorder: number;
    readonly backlog: number;
  } {
    return {
      ring: this.#source.unacknowledged,
      ringBytes: this.#source.ringBytes,
      reorder: this.#sink.buffered.frames,
      backlog: this.#injections.backlog,
    };
  }

  /** Whether the peer can be asked for a reload; else why not, as a clause. */
  get canReload(): true | string {
    return this.#words.canReload;
  }

  /** Something is on its way into the kernel, or waits for it. */
  get busy(): boolean {
    return !this.#injections.idle || this.#chores.pending || this.#recounts.pending;
  }

  /**
   * Whether the entry is not in the kernel although it is acknowledged, since one with another real
   * server has to go first.
   */
  isReplacing(key: EntryKey): boolean {
    return this.#replacements.has(key);
  }

  /** Takes one input; the effects are to be run in their order. */
  step(input: SyncInput, now: At): SyncEffect[] {
    if (input.type !== 'refused') this.#out.settle();
    this.#take(input, now);
    this.#injections.pump(now);
    if (input.type !== 'refused' && input.type !== 'frame') this.#housekeeping(now);
    this.#injections.pump(now);
    this.#judgeWarm(now);
    return this.#out.take();
  }

  /** When the next tick is due at the latest. */
  wakeAt(now: At): At {
    const backlogged = this.#injections.full;
    const wishes = [
      now + (this.#stirring ? TICK_MS : IDLE_TICK_MS),
      this.#source.wakeAt(now),
      this.#sink.wakeAt(now),
      (this.#chores.pending && !backlogged) || this.#replacements.busy ? now : Number.POSITIVE_INFINITY,
    ];
    return Math.min(...wishes) as At;
  }

  /** `wallOf` turns an instant of the monotonic clock into ISO 8601. */
  status(now: At, wallOf: (at: At) => string): MachineStatus {
    const asSource = this.#role === 'source';
    return {
      phase: this.#phase(),
      role: this.#role,
      warm: this.#warm,
      links: this.#links.all.map((link, index) => ({ connected: this.#links.usable(index), rttMs: link.rttMs })),
      templates: this.mirror.templates,
      connections: this.mirror.connections,
      lagMs: Math.round(asSource ? this.#source.lagMs(now) : this.#sink.lagMs(now)),
      unacknowledged: asSource ? this.#source.unacknowledged : this.#sink.buffered.frames,
      counters: { ...this.#out.counters },
      resync: asSource ? this.#sourceResync(wallOf) : this.#sinkResync(wallOf),
      problems: this.#problems(now),
    };
  }

  get #stirring(): boolean {
    return (
      this.#replacements.size > 0 || !this.#injections.idle || this.#source.unacknowledged > 0 || this.#readAt !== null
    );
  }

  #take(input: SyncInput, now: At): void {
    switch (input.type) {
      case 'role':
        return this.#takeRole(input, now);
      case 'scope':
        this.#scope = input.scope;
        return this.#takePrefixes(input.scope);
      case 'entries':
        return this.#takeNative(input.entries, now);
      case 'lost':
        return this.#takeLost(input.what, now);
      case 'link-up':
        return this.#linkUp(input.link, input.saysTakes);
      case 'link-down':
        this.#links.reset(input.link, false);
        return this.#source.linkDown(input.link, now);
      case 'frame':
        return this.#takeFrame(input.link, input.frame, now);
      case 'refused':
        return this.#takeRefusal(input.ticket, now);
      case 'injected':
        return this.#expect(this.#injections.injected(input.id, input.dropped, now));
      case 'table': {
        const entries = input.entries && [...input.entries, ...input.activeData];
        return this.#expect(this.#reads.answered(input.id, entries, now));
      }
      case 'counts':
        return this.#expect(this.#reads.countsAnswered(input.id, input.counts, now));
      case 'restored':
        return this.#restore(input.entries);
      case 'server-up':
        if (this.#role === 'source') this.#keepalive.serverUp(input.mark, rawOf(input.server));
        return;
      case 'checks':
        return this.#words.setChecks(input.words);
      case 'reload':
        return this.#words.sayReload(input.word, now);
      case 'drains':
        return this.#words.setDrains(input.words);
      case 'hook-sent':
        return this.#words.sayHookSent(input.word, now);
      case 'stop':
        for (const link of this.#links.usableOnes) this.#send(link, { type: 'bye', why: input.why.slice(0, 200) });
        return;
      case 'tick':
        return;
    }
  }

  #housekeeping(now: At): void {
    this.mirror.sweep(now, SWEEP_ROWS);
    this.#replacements.tick(now);
    this.#keepalive.tick(now);
    if (!this.#injections.full) this.#chores.run(now);
    this.#recounts.run(now);
    this.#readIfDue(now);
    this.#source.tick(now);
    this.#sink.tick(now);
    this.#judgeSources(now);
    if (now - this.#pingAt >= PING_EVERY_MS) {
      this.#pingAt = now;
      this.#beat(now);
    }
    this.#words.tick(now);
    if (this.mirror.refused > 0 && !this.#fullTold) {
      this.#fullTold = true;
      this.#out.event('SYNC_TABLE_FULL', { rows: this.mirror.size });
    }
  }

  #expect(asked: boolean): void {
    if (!asked) this.#out.count('faults');
  }

  // Roles

  #takeRole({ role, epoch, peerServing }: Extract<SyncInput, { type: 'role' }>, now: At): void {
    this.#peerServing = peerServing;
    const before = this.#role;
    const changed = before !== role || compareEpochs(this.#epoch, epoch) !== 0;
    this.#role = role;
    this.#epoch = epoch;
    if (before !== role) {
      this.#out.event('SYNC_ROLE', { from: before, to: role, epoch: formatEpoch(epoch) });
      if (role === 'source') this.#becomeSource(now);
      else if (before === 'source') this.#leaveSource();
    }
    this.#followPeer(now);
    if (changed) this.#announceRole(now);
  }

  #becomeSource(now: At): void {
    this.#sourceSession++;
    // Frames of a peer that owns in a newer epoch are its business: they are not put in here.
    const overruled = this.#isOverruled;
    const whole = !overruled && this.#sink.handOver(now);
    if (overruled) this.#sink.leave('this router was the source');
    this.#replacements.settle(now);
    this.#source.begin(!whole, now);
    this.#keepalive.begin(now);
    this.#readAt = whole ? null : now;
    this.#readWhy = 'this router became the source without the whole table';
    const early = this.#early.filter(({ at }) => now - at <= EARLY_MS);
    this.#early = [];
    for (const { entries } of early) this.#takeNative(entries, now);
    if (now - this.#earlyLostAt <= EARLY_MS) this.#takeLost('events shortly before the takeover', now);
  }

  #leaveSource(): void {
    this.#sourceSession++;
    this.#source.end();
    this.#keepalive.stop();
    this.#chores.clear();
    this.#readAt = null;
    this.#reading = false;
    this.#told = null;
    this.#sink.leave('this router was the source');
  }

  /** Both say that they own the VIPs, and the peer's term is the newer one. */
  get #isOverruled(): boolean {
    return this.#role === 'source' && this.#peer?.role === 'source' && compareEpochs(this.#peer.epoch, this.#epoch) > 0;
  }

  /**
   * For a moment that is normal, since one router hears of a handover before the other. What a
   * director said before it fell silent is no word: its router may have lost its power.
   */
  #judgeSources(now: At): void {
    const heardAt = this.#peerHeardAt;
    const speaks = heardAt !== null && now - heardAt < TWO_SOURCES_MS;
    if (this.#role !== 'source' || this.#peer?.role !== 'source' || !speaks) {
      this.#twoSourcesAt = null;
      this.#twoSources = false;
      return;
    }
    this.#twoSourcesAt ??= now;
    if (this.#twoSources || heardAt - this.#twoSourcesAt < TWO_SOURCES_MS) return;
    this.#twoSources = true;
    const peerEpoch = formatEpoch(this.#peer.epoch);
    this.#out.event('SYNC_TWO_SOURCES', { epoch: formatEpoch(this.#epoch), peerEpoch, waits: this.#isOverruled });
  }

  /** The peer's stream is taken by whoever is not source itself. */
  #followPeer(now: At): void {
    if (this.#role === 'source' || this.#peer === null) return;
    if (this.#peer.role === 'source') this.#sink.follow(this.#peer.stream, now);
  }

  #judgeWarm(now: At): void {
    const { warm, reason } =
      this.#role === 'source'
        ? { warm: true, reason: 'this router is the source' }
        : this.#sink.warmth(now, this.#peerServing);
    if (warm === this.#warm) return;
    this.#warm = warm;
    this.#out.event(warm ? 'SYNC_WARM' : 'SYNC_COLD', { reason });
    this.#out.effect({ type: 'warm', warm, reason });
  }

  // The kernel's side

  /** Connections that are known already are counted by new prefixes slice by slice. */
  #takePrefixes({ services }: Scope): void {
    const prefixes = new Map(services.map(({ mark, persistencePrefix }) => [mark, persistencePrefix]));
    if (!this.mirror.setPrefixes(prefixes)) return;
    const cursor = this.mirror.cursor('connections');
    this.#recounts.clear();
    this.#recounts.add(now => {
      for (const row of cursor.next(SWEEP_ROWS, now)) this.mirror.recount(row);
      return cursor.done;
    });
  }

  #takeNative(entries: readonly Entry[], now: At): void {
    this.#out.count('native_entries', entries.length);
    if (this.#role !== 'source') {
      this.#keepEarly(entries, now);
      return;
    }
    const taken = entries.filter(entry => this.#upsertNative(entry, now));
    this.#publish(taken, now);
    if (!this.#isOverruled) this.#keepalive.seen(taken, now);
  }

  /**
   * The end of a connection that another one with the same key has replaced is no news of the new
   * one; the kernel goes by that too.
   */
  #upsertNative(entry: Entry, now: At): boolean {
    const key = entryKeyOf(entry);
    if (this.#reading) this.#told?.add(key);
    this.#replacements.overruled(key);
    const row = this.mirror.get(key, now);
    const isOld = row !== undefined && !isTemplate(entry) && !isInactive(row) && mustReplace(row, entry);
    if (isOld) return false;
    if (this.mirror.upsertNative(entry, now) !== 'full') return true;
    this.#out.count('table_full');
    return false;
  }

  get #toldHere(): ReadonlySet<EntryKey> {
    return new Set(this.#early.flatMap(({ entries }) => entries.map(entryKeyOf)));
  }

  /** Pulse's word that the VIPs are here may come after the first packets. */
  #keepEarly(entries: readonly Entry[], now: At): void {
    this.#out.count('native_ignored', entries.length);
    this.#early.push({ entries, at: now });
    this.#contradict(entries, now);
    let held = this.#early.reduce((sum, { entries: those }) => sum + those.length, 0);
    while (this.#early[0] !== undefined && (held > EARLY_ENTRIES_MAX || now - this.#early[0].at > EARLY_MS)) {
      held -= this.#early[0].entries.length;
      this.#early.shift();
    }
  }

  /**
   * The kernel of a sink keeps a template, for connections that hang on it, which has another
   * server by the source's word.
   */
  #contradict(entries: readonly Entry[], now: At): void {
    if (this.#role !== 'sink') return;
    for (const entry of entries) {
      if (!isTemplate(entry)) continue;
      const row = this.mirror.get(entryKeyOf(entry), now);
      if (row === undefined || row.server === entry.server || this.#replacements.has(row.key)) continue;
      this.#replacements.start(entry, this.mirror.entryOf(row, now), now, true);
    }
  }

  #publish(entries: readonly Entry[], now: At): void {
    if (this.#role === 'source' && !this.#isOverruled) this.#source.publish(entries, now);
  }

  #takeLost(what: string, now: At): void {
    this.#out.count('lost_events');
    if (this.#role !== 'source') {
      this.#earlyLostAt = now;
      return;
    }
    if (this.#readAt === null) this.#out.event('SYNC_EVENTS_LOST', { what: what.slice(0, 200) });
    // While it is being read, more may be lost: once more then.
    this.#readAt = Math.min(this.#readAt ?? Number.POSITIVE_INFINITY, now + (this.#reading ? READ_EVERY_MS : 0));
    this.#readWhy = what.slice(0, 200);
  }

  #readIfDue(now: At): void {
    if (this.#readAt === null || this.#readAt > now || this.#reading || this.#role !== 'source') return;
    // What is on its way into the kernel would be taken for gone.
    if (!this.#injections.idle || this.#replacements.size > 0 || this.#chores.pending) return;
    this.#readAt = null;
    this.#reading = true;
    const session = this.#sourceSession;
    const told = new Set<EntryKey>();
    this.#told = told;
    this.#reads.table(true, (entries, readAt) => {
      if (session !== this.#sourceSession) return;
      if (entries === null) {
        this.#reading = false;
        this.#readAt = readAt + READ_RETRY_MS;
        return;
      }
      const publish = (news: readonly Entry[], at: At) => this.#publish(news, at);
      this.#chores.add(
        reconcile(this.mirror, entries, told, publish, ({ changed, gone }, at) => {
          this.#reading = false;
          this.#told = null;
          const tookMs = Math.round(at - now);
          this.#out.event('SYNC_TABLE_READ', { why: this.#readWhy, entries: entries.length, changed, gone, tookMs });
          this.#source.release(at);
          this.#keepalive.begin(at);
        }),
      );
    });
  }

  /** What is already known is newer than any snapshot. */
  #restore(entries: readonly Entry[]): void {
    let at = 0;
    this.#chores.add(now => {
      if (this.#injections.full) return false;
      const slice = entries.slice(at, at + SLICE_ROWS);
      at += slice.length;
      const taken = slice.filter(
        entry =>
          this.#scope?.inScope(entry) === true &&
          this.mirror.get(entryKeyOf(entry), now) === undefined &&
          this.mirror.upsert(entry, now, true) !== 'full',
      );
      this.#injections.push(taken);
      this.#publish(taken, now);
      return at >= entries.length;
    });
  }

  // The peer's side

  #linkUp(link: number, saysTakes = false): void {
    if (this.#links.at(link) === undefined) {
      this.#out.count('faults');
      return;
    }
    this.#links.reset(link, true, saysTakes);
    this.#hello(link);
  }

  #hello(link: number): void {
    const { node, instance, kernelRelease } = this.#options;
    const { templates, connections } = this.mirror;
    const kernel = kernelRelease.slice(0, 128);
    const met = (this.#links.at(link)?.instance ?? null) !== null;
    const sizes = { templates, connections };
    const hello: Control = { type: 'hello', version: FRAME_VERSION, node, instance, kernel, ...sizes, met };
    this.#out.send(link, writeControl(hello), null, true);
    // Refused, both are said again.
    if (this.#links.at(link)?.saysTakes) this.#out.send(link, writeTakes(), null, true);
  }

  #send(link: number, message: Control): void {
    this.#out.send(link, writeControl(message));
  }

  #roleMessage(): Control {
    const stream = this.#isOverruled ? null : this.#source.stream;
    return { type: 'role', n: this.#roleNumber, role: this.#role, epoch: this.#epoch, stream };
  }

  #announceRole(_now: At): void {
    this.#roleNumber++;
    for (const link of this.#links.usableOnes) this.#send(link, this.#roleMessage());
  }

  /** Twice a second on every link: what must not be lost for long. */
  #beat(now: At): void {
    this.#links.all.forEach((link, index) => {
      if (link.connected && (link.helloDue || link.instance === null)) {
        link.helloDue = false;
        this.#hello(index);
      }
    });
    for (const link of this.#links.usableOnes) {
      this.#send(link, this.#roleMessage());
      const { stream, seq } = this.#source;
      this.#send(link, { type: 'ping', at: now, stream, seq });
    }
    if (this.#role !== 'source') this.#sink.repeat(now);
  }

  #takeRefusal(ticket: number, now: At): void {
    const refused = this.#out.refused(ticket);
    if (refused === undefined) {
      this.#out.count('faults');
      return;
    }
    this.#out.count('sends_refused');
    this.#links.congest(refused.link, now);
    const link = this.#links.at(refused.link);
    if (refused.hello && link !== undefined) link.helloDue = true;
    if (refused.seq !== null) this.#source.refused(refused.link, refused.seq, now);
  }

  #takeFrame(link: number, bytes: Buffer, now: At): void {
    const read = readFrame(bytes);
    if (read.type === 'refused') {
      this.#out.count('frames_refused');
      if (read.refusal === 'version') this.#refuseLink(link, 'the peer runs another version of Tandem');
      return;
    }
    const message = read.type === 'control' ? read.message : undefined;
    if (message?.type === 'hello') return this.#takeHello(link, message, now);
    if (!this.#links.usable(link)) {
      this.#out.count('control_refused');
      return;
    }
    this.#peerHeardAt = now;
    if (this.#peer?.role === 'source') this.#sink.heard(now);
    if (message !== undefined) return this.#takeControl(link, message, now);
    if (read.type === 'numbered') this.#takeNumbered(read.frame, now);
  }

  #takeNumbered(frame: Numbered, now: At): void {
    this.#out.count('frames_received');
    if (this.#role !== 'source' && this.#peer?.role === 'source') this.#sink.frame(frame, now);
    else this.#out.count('frames_stale');
  }

  #refuseLink(link: number, reason: string): void {
    this.#out.event('SYNC_LINK_REFUSED', { link, reason });
  }

  #takeHello(index: number, hello: ControlOf<'hello'>, now: At): void {
    const link = this.#links.at(index);
    if (link === undefined || !link.connected) {
      this.#out.count('control_refused');
      return;
    }
    if (hello.node === this.#options.node) {
      this.#out.count('control_refused');
      this.#refuseLink(index, 'the director there says that it is this node');
      return;
    }
    const known = link.instance === hello.instance;
    link.instance = hello.instance;
    if (this.#peer?.instance !== hello.instance) this.#meet(index, hello, now);
    if (!hello.met) link.helloDue = known;
    if (known) return;
    this.#send(index, this.#roleMessage());
    if (this.#role !== 'source') this.#sink.linkUp(now);
  }

  /** Another director than before: nothing that the former one had or said holds for it. */
  #meet(link: number, { instance, kernel, templates, connections }: ControlOf<'hello'>, now: At): void {
    this.#peer = { instance, roleNumber: -1, role: 'idle', epoch: EPOCH_NONE, stream: null };
    this.#links.peer = instance;
    this.#words.peerChanged();
    const sameKernel = kernel === this.#options.kernelRelease;
    this.#out.event('SYNC_PEER', { link, instance, kernel, sameKernel, templates, connections });
    this.#source.peerChanged(now);
  }

  #takeControl(link: number, message: Exclude<Control, { type: 'hello' }>, now: At): void {
    switch (message.type) {
      case 'role':
        return this.#takePeerRole(message, now);
      case 'ping':
        this.#send(link, { type: 'pong', at: message.at });
        if (this.#role !== 'source') this.#sink.told(message.stream, message.seq, now);
        return;
      case 'pong':
        return this.#links.measured(link, Math.max(0, now - message.at));
      case 'bye':
        this.#links.reset(link, true, this.#links.at(link)?.saysTakes);
        return;
      case 'takes':
        return this.#links.said(link, message.frames);
      case 'checks':
      case 'drains':
      case 'reload':
      case 'hook-sent':
        return this.#words.heard(message, now);
      case 'request':
      case 'ack':
      case 'need':
      case 'verified':
        return this.#takeSinkWord(message, now);
    }
  }

  #takeSinkWord(message: ControlOf<'request' | 'ack' | 'need' | 'verified'>, now: At): void {
    if (this.#role !== 'source' || this.#isOverruled) {
      this.#out.count('control_refused');
      return;
    }
    switch (message.type) {
      case 'request':
        return this.#source.request(message, now);
      case 'ack':
        this.#source.ack(message, now);
        // The window may have room again.
        return this.#source.tick(now);
      case 'need':
        return this.#source.need(message, now);
      case 'verified':
        return this.#source.verified(message, now);
    }
  }

  #takePeerRole({ n, role, epoch, stream }: ControlOf<'role'>, now: At): void {
    const peer = this.#peer;
    if (peer === null || n < peer.roleNumber) return;
    Object.assign(peer, { roleNumber: n, role, epoch, stream });
    if (role === 'source' && this.#role !== 'source') this.#sink.heard(now);
    this.#followPeer(now);
  }

  // Status

  #phase(): SyncPhase {
    if (this.#links.usableOnes.length === 0) return 'waiting';
    if (this.#role === 'source') {
      if (!this.#source.attached) return 'waiting';
      return this.#source.resync?.ok === true ? 'streaming' : 'resync';
    }
    if (this.#sink.phase === 'none') return 'waiting';
    return this.#sink.phase === 'verified' ? 'streaming' : 'resync';
  }

  #sourceResync(wallOf: (at: At) => string): ResyncStatus | null {
    const resync = this.#source.resync;
    if (resync === null) return null;
    return {
      startedAt: wallOf(resync.startedAt),
      endedAt: resync.endedAt === null ? null : wallOf(resync.endedAt),
      entries: resync.endSeq === null ? Math.max(resync.entries, resync.sent) : resync.sent,
      sent: resync.sent,
      verifiedBy: resync.by,
      repaired: resync.repaired,
    };
  }

  #sinkResync(wallOf: (at: At) => string): ResyncStatus | null {
    const bulk = this.#sink.bulk;
    if (bulk === null) return null;
    return {
      startedAt: wallOf(bulk.startedAt),
      endedAt: bulk.endedAt === null ? null : wallOf(bulk.endedAt),
      entries: bulk.ended?.count ?? Math.max(bulk.expected, bulk.received),
      sent: bulk.received,
      verifiedBy: this.#sink.verifiedBy,
      repaired: this.#sink.repaired,
    };
  }

  #problems(now: At): string[] {
    const problems: string[] = [];
    if (this.#twoSources) {
      problems.push('both directors say that their router owns the VIPs: see `tandem why` on both');
    }
    if (this.#role === 'source' && this.#source.attached && this.#source.lagMs(now) > LAG_PROBLEM_MS) {
      const seconds = Math.round(this.#source.lagMs(now) / 1_000);
      problems.push(`the peer is ${seconds} s behind: look at its load and at the links between the routers`);
    }
    if (this.#sink.failures > 0 && this.#role !== 'source') {
      problems.push(
        "this kernel lacks entries of the owner's table even after repairs: compare services and real servers (`tandem plan`)",
      );
    }
    if (this.#out.counters.entries_out_of_scope > 0 && this.#role !== 'source' && !this.#warm) {
      problems.push(
        'the peer sends entries of services or servers that are not in the config here: compare the configs',
      );
    }
    if (this.mirror.refused > 0) {
      problems.push(`the table is over its bound of rows: ${this.mirror.refused} entries were not taken`);
    }
    return problems;
  }
}
