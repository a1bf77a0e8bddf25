// Runs the machine: turns timers, datagrams, vipd's words and commands into events, and effects
// into what the world sees. The heartbeat comes first: nothing here awaits anything.
import type { PairKeys } from '../config/io/key.ts';
import type { NodeView } from '../config/node.ts';
import type { Config } from '../config/schema.ts';
import type { FeedEvents } from '../feed/feed-events.ts';
import type { ControlReply, Decision, RoleRequest } from '../feed/message.ts';
import type { EventCode } from '../log/catalogue.ts';
import type { PulseCounter } from '../log/counters.ts';
import type { Fields, FieldValue } from '../log/event.ts';
import type { Log } from '../log/log.ts';
import type { At } from '../units/duration.ts';
import type { Epoch } from '../units/epoch.ts';
import { monotonicNow, wallTime } from '../units/io/clocks.ts';
import { packageVersion } from '../units/io/version.ts';
import type { Vipd } from '../vip/io/vipd.ts';
import { leaseLine, probeLine, releaseLine, resolveLine, sampleLine, willLine } from '../vip/protocol.ts';
import type { WitnessAsk } from '../witness/witness.ts';
import type { Effect, Machine, PulseEvent } from './election/machine.ts';
import { nextWake, step } from './election/step.ts';
import { decode, encode, type Heartbeat, pairIdOf, type Will } from './heartbeat.ts';
import type { Feed } from './io/feed.ts';
import type { HeartbeatSockets } from './io/heartbeat-sockets.ts';
import type { StateFile } from './io/state-file.ts';
import { Journal, journalLines } from './journal.ts';
import { readKeyWord } from './key-word.ts';
import { KeysInUse } from './keys-in-use.ts';
import { isNews } from './news.ts';
import { heartbeatsFor, willFor } from './own-heartbeat.ts';
import { savedHold } from './saved-hold.ts';
import { type SnapshotContext, snapshotOf } from './snapshot.ts';
import { JOURNAL_MS } from './timing.ts';
import { findingsOf, hear, isOurs, nextRound, type VipCheck } from './vip-check.ts';
import { troubleAt, troubleIn, type VipdTrouble } from './vipd-trouble.ts';

/** Effects that are lines to vipd and nothing else. */
const FOR_VIPD: ReadonlySet<Effect['type']> = new Set([
  'claim',
  'renew',
  'will',
  'give-up',
  'announce',
  'probe',
  'resolve',
  'sample',
]);
const DECISIONS_MAX = 32;
/** The feed repeats itself at this pace even when nothing changes. */
const PUBLISH_MS = 1_000;

interface LoopOptions {
  readonly config: Config;
  readonly view: NodeView;
  /** The version of this program. */
  readonly program: string;
  /** At the start. */
  readonly keys: PairKeys;
  readonly machine: Machine;
  readonly decisions: readonly Decision[];
  readonly log: Log;
  readonly state: StateFile;
  /** The kernel's id of this boot, for what outlives it. */
  readonly kernelBoot: string;
  readonly feed: Feed;
  /** systemd's watchdog interval in ms; undefined when it wants none. */
  readonly watchdogMs: number | undefined;
  /** Never waits; the answer comes as an event. */
  readonly askWitness: (ask: WitnessAsk) => void;
  /** Whether the packet lease is in force, for the feed. */
  readonly packetLease: () => boolean;
  /** What was logged lately, for the feed. */
  readonly recentEvents: (now: At) => FeedEvents | undefined;
  /** What of the config pulse has read, and what of that waits for a restart. */
  readonly running: () => Running;
  /** Makes the packet lease for another L; never waits, answers with the event `gated`. */
  readonly retimePacketLease: (id: number, leaseMs: number) => void;
  readonly onExit: () => void;
}

export interface Running {
  /** See pulseDigest. */
  readonly digest: string;
  /** Parts of the config, by name. */
  readonly waiting: readonly string[];
}

interface LoopParts {
  readonly links: HeartbeatSockets;
  readonly vipd: Vipd;
}

export interface Loop {
  /** The sockets and vipd call back into the loop, so they are handed in once it exists. */
  start(parts: LoopParts): void;
  dispatch(event: PulseEvent): void;
  onDatagram(link: number, bytes: Buffer, from: string): void;
  /** vipd could not be started or spoke nonsense. */
  vipdTrouble(text: string): void;
  obey(request: RoleRequest): ControlReply;
  /** What went into the machine in the last minute, as lines; undefined: nothing yet. */
  journal(): Iterator<string, void> | undefined;
  /** Somebody has got all of a journal, or not all. */
  journalGiven(whole: boolean): void;
  /**
   * Signs and accepts with these from now on, or says why not: the peer would not be understood any
   * more, or would not understand. `isDry`: only says so.
   */
  useKeys(keys: PairKeys, isDry: boolean): string | undefined;
}

export function createLoop(options: LoopOptions): Loop {
  return new PulseLoop(options);
}

class PulseLoop implements Loop {
  readonly #options: LoopOptions;
  readonly #pairId: Buffer;
  #machine: Machine;
  #parts: LoopParts | undefined;
  #decisions: Decision[];
  #answer: ControlReply | undefined;
  #publishSeq = 0;
  #publishedAt = -Infinity;
  #watchdogAt = -Infinity;
  #wakeTimer: NodeJS.Timeout | undefined;
  #wakeAt = Infinity;
  #lateToldAt = -Infinity;
  #exiting = false;
  #trouble: VipdTrouble | undefined;
  #vipCheck: VipCheck | undefined;
  /** Lines of the step under way that wait for their write. */
  readonly #forVipd: string[] = [];
  readonly #journal = new Journal();
  readonly #version = packageVersion();
  /** The oldest decision whose journal nobody has fetched. */
  #unfetchedSince: At | undefined;
  readonly #keys: KeysInUse;
  /** The will in vipd's hands, to be signed anew with another key. */
  #will: { readonly epoch: Epoch; readonly peerBootId: string } | undefined;
  readonly #counters: Partial<Record<PulseCounter, number>> = { sent: 0, received: 0, lateLoops: 0 };

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#pairId = pairIdOf(options.config.pair);
    this.#machine = options.machine;
    this.#keys = new KeysInUse(options.keys, this.#pairId);
    this.#decisions = [...options.decisions];
  }

  start(parts: LoopParts): void {
    this.#parts = parts;
    // The first snapshot waits for vipd's hello, a second at most: only vipd knows whether an
    // earlier life has left the addresses, and "not held" would have the director forget the
    // connections of a router that serves.
    this.#publishedAt = monotonicNow();
    this.#arm(monotonicNow());
  }

  dispatch(event: PulseEvent): void {
    // Before the start there is nobody to carry effects out; after the exit neither.
    if (this.#exiting || !this.#parts) return;
    if (event.type === 'vipd' && isOurs(event.message)) {
      this.#vipCheck = hear(this.#vipCheck, event.message);
      return;
    }
    const now = monotonicNow();
    this.#noticeLateness(now);
    this.#take(event, now);
  }

  onDatagram(link: number, bytes: Buffer, from: string): void {
    const { view, log } = this.#options;
    if (from !== view.links[link]?.remote) {
      this.#count('refused_foreign-source');
      return;
    }
    const word = readKeyWord(bytes, this.#pairId, this.#keys.accept);
    if (word !== undefined) {
      this.#keys.hear(this.#machine, word, monotonicNow());
      return;
    }
    const decoded = decode(bytes, this.#pairId, this.#keys.accept);
    if (decoded.ok) {
      this.#count('received');
      this.dispatch({ type: 'datagram', link, message: decoded.message });
      this.#keys.noteSigner(this.#machine, bytes, decoded.message);
    } else {
      this.#count(`refused_${decoded.refusal}`);
      const lan = view.links[link]?.lan ?? String(link);
      log.event('DATAGRAM_REFUSED', { refusal: decoded.refusal, link: lan, from });
    }
  }

  useKeys(keys: PairKeys, isDry: boolean): string | undefined {
    const { view, log } = this.#options;
    const now = monotonicNow();
    const why = this.#keys.whyNot(this.#machine, keys, view.peer, now);
    if (why !== undefined || isDry || !this.#keys.use(keys, now)) return why;
    const { signs, accepts } = this.#keys.ids;
    log.event('KEYS_CHANGED', { signs, accepts: accepts.join(', ') });
    // The old key may be gone on the peer by the time that vipd sends it.
    if (this.#will !== undefined && this.#machine.willFor !== '')
      this.#parts?.vipd.send(this.#newWill(this.#will.epoch, this.#will.peerBootId));
    this.#sayKeys(now);
    if (this.#parts) this.#publish(now);
    return undefined;
  }

  #sayKeys(now: At): void {
    const bytes = this.#keys.wordDue(this.#machine, now);
    if (bytes === undefined) return;
    for (let link = 0; link < this.#machine.settings.links; link += 1) this.#parts?.links.send(link, bytes);
  }

  vipdTrouble(text: string): void {
    this.#tell('VIPD_ERROR', { text });
  }

  obey(request: RoleRequest): ControlReply {
    this.#answer = undefined;
    if (request.command === 'report') {
      const { rulesIn, healthyServers, failedChecks, flushMs, warm, configDigest } = request;
      const digest = configDigest === undefined ? {} : { configDigest };
      const rules = { rulesIn: rulesIn ?? this.#machine.rulesIn };
      this.dispatch({ type: 'report', ...rules, healthyServers, failedChecks, flushMs, warm, ...digest });
      return { ok: true, code: 'ok', message: 'noted' };
    }
    if (request.command === 'hold') this.dispatch({ type: 'hold', forMs: request.forMs });
    else if (request.command === 'handover') this.dispatch({ type: 'handover', cold: request.cold });
    else this.dispatch({ type: request.command });
    return (
      this.#answer ?? { ok: false, code: 'refused', message: 'pulse is starting or stopping; try again in a moment' }
    );
  }

  journal(): Iterator<string, void> | undefined {
    const recording = this.#journal.recording();
    const clocks = { wallMs: Date.now(), monotonicMs: monotonicNow() };
    return (
      recording && journalLines(recording, { tandem: this.#version, node: this.#machine.settings.node, ...clocks })
    );
  }

  journalGiven(whole: boolean): void {
    this.#count(whole ? 'journalsGiven' : 'journalsLost');
    this.#unfetchedSince = undefined;
  }

  #count(name: PulseCounter): void {
    this.#counters[name] = (this.#counters[name] ?? 0) + 1;
  }

  #take(event: PulseEvent, now: At): void {
    const before = this.#machine;
    const { machine, effects } = step(before, event, now);
    this.#machine = machine;
    this.#journal.note(before, event, effects, now);
    // What moves the addresses goes out before anything is told: a log line, a snapshot or a state
    // file costs more than the takeover.
    for (const effect of effects) if (!isTelling(effect)) this.#run(effect, now);
    this.#flush();
    for (const effect of effects) if (isTelling(effect)) this.#run(effect, now);
    if (isNews(before, this.#machine) || isHello(event)) this.#publish(now);
    this.#arm(now);
  }

  /**
   * What vipd is asked with nothing in between goes out as one write: each write wakes vipd, which
   * may take the processor from us before the claim is written.
   */
  #flush(): void {
    if (this.#forVipd.length > 0) this.#parts?.vipd.send(...this.#forVipd.splice(0));
  }

  #run(effect: Effect, now: At): void {
    const lines = this.#forVipd;
    if (!FOR_VIPD.has(effect.type)) this.#flush();
    switch (effect.type) {
      case 'claim':
      case 'renew':
        lines.push(leaseLine(effect.type, { ...effect.lease, keepMs: this.#machine.settings.aloneKeepMs }));
        break;
      case 'will':
        lines.push(this.#newWill(effect.epoch, effect.peerBootId));
        break;
      case 'give-up':
        lines.push(releaseLine(effect.seq, effect.epoch, effect.will));
        break;
      case 'announce':
        lines.push('announce');
        break;
      case 'gate':
        this.#options.retimePacketLease(effect.id, effect.leaseMs);
        break;
      case 'probe':
        for (const { index, mac } of effect.targets) lines.push(probeLine(effect.id, index, mac, effect.windowMs));
        break;
      case 'resolve':
        for (const index of effect.fixed) lines.push(resolveLine(index));
        break;
      case 'respawn-vipd':
        this.#parts?.vipd.respawn();
        break;
      case 'sample':
        lines.push(sampleLine(effect.everyMs, effect.windowMs));
        break;
      case 'witness':
        this.#options.askWitness(effect.ask);
        break;
      case 'send':
        this.#sendHeartbeats(now);
        break;
      case 'decision':
        this.#decide(effect.decision);
        break;
      case 'event':
        if (effect.code === 'LOOP_LATE') this.#count('lateLoops');
        this.#tell(effect.code, this.#named(effect.fields));
        break;
      case 'persist':
        this.#persist(now);
        break;
      case 'answer':
        this.#answer = { ok: effect.ok, code: effect.ok ? 'ok' : 'refused', message: effect.message };
        break;
      case 'exit':
        this.#exiting = true;
        clearTimeout(this.#wakeTimer);
        this.#options.onExit();
        break;
    }
  }

  #tell(code: EventCode, fields: Fields): void {
    const text = troubleIn(code, fields);
    if (text !== undefined) this.#trouble = { text, at: monotonicNow() };
    this.#options.log.event(code, fields);
  }

  #signed(message: Heartbeat | Will): Buffer {
    return encode(message, this.#pairId, this.#keys.sign);
  }

  #newWill(epoch: Epoch, peerBootId: string): string {
    this.#will = { epoch, peerBootId };
    return willLine(this.#signed(willFor(this.#machine, epoch, peerBootId)));
  }

  #sendHeartbeats(now: At): void {
    for (const [index, message] of heartbeatsFor(this.#machine, now).entries()) {
      this.#parts?.links.send(index, this.#signed(message));
    }
    this.#count('sent');
  }

  /** Address and link numbers mean something to the machine only: people get names. */
  #named(fields: Fields): Fields {
    const { view } = this.#options;
    const name = (key: string, value: FieldValue): FieldValue => {
      if (key === 'address' && typeof value === 'number') return view.addresses[value]?.address ?? value;
      if (key === 'link' && typeof value === 'number') return view.links[value]?.lan ?? value;
      if (key === 'target' && typeof value === 'number') return view.targets[value]?.address ?? value;
      return value;
    };
    return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, name(key, value)]));
  }

  #decide(decision: Omit<Decision, 'at'>): void {
    const { from, to, epoch, reason, evidence } = decision;
    this.#decisions = [...this.#decisions, { ...decision, at: wallTime() }].slice(-DECISIONS_MAX);
    this.#options.log.event('ROLE_CHANGED', { from, to, epoch, reason, ...evidence });
    const now = monotonicNow();
    this.#unfetchedSince ??= now;
    this.#persist(now);
  }

  #persist(now: At): void {
    const { hold, ceiling } = this.#machine;
    const saved = savedHold(hold, { boot: this.#options.kernelBoot, now }, Date.now());
    this.#options.state.write({ ceiling, hold: saved, decisions: this.#decisions });
  }

  #publish(now: At): void {
    const { view, program, feed, packetLease, running } = this.#options;
    this.#publishedAt = now;
    this.#publishSeq += 1;
    this.#counters.feedReadersDropped = feed.dropped();
    const about: SnapshotContext = {
      view,
      program,
      seq: this.#publishSeq,
      now,
      wallMs: Date.now(),
      decisions: this.#decisions,
      counters: this.#counters,
      packetLease: packetLease(),
      running: running(),
      keys: { own: this.#keys.ids, peer: this.#keys.peerIds(this.#machine, now) },
      vipdTrouble: troubleAt(this.#trouble, now),
      vipCheck: findingsOf(this.#vipCheck, this.#machine, now),
    };
    feed.publish(snapshotOf(this.#machine, about), this.#options.recentEvents(now));
  }

  #arm(now: At): void {
    if (this.#exiting) return;
    const at = nextWake(this.#machine, now);
    if (at === this.#wakeAt && this.#wakeTimer) return;
    this.#wakeAt = at;
    clearTimeout(this.#wakeTimer);
    this.#wakeTimer = setTimeout(() => this.#wake(), Math.max(0, Math.ceil(at - now)));
  }

  /**
   * Before anything that has waited is read: a process that was stopped must not draw conclusions
   * from the first thing it finds.
   */
  #noticeLateness(now: At): boolean {
    const byMs = now - Math.max(this.#wakeAt, this.#lateToldAt);
    if (byMs <= this.#machine.settings.intervalMs) return false;
    this.#lateToldAt = now;
    this.#take({ type: 'late', byMs }, now);
    return true;
  }

  #wake(): void {
    this.#wakeTimer = undefined;
    if (this.#exiting) return;
    this.#noticeLateness(monotonicNow());
    // The queued datagrams are read before the time is judged: Node runs timers first, sockets
    // after.
    setImmediate(() => this.#tick());
  }

  #tick(): void {
    // A stall since the sockets were read: they are read once more.
    if (!this.#exiting && this.#noticeLateness(monotonicNow())) {
      setImmediate(() => this.#tick());
      return;
    }
    this.dispatch({ type: 'tick' });
    this.#housekeeping(monotonicNow());
  }

  #checkVips(now: At): void {
    const next = nextRound(this.#vipCheck, this.#machine, now);
    if (!next) return;
    this.#vipCheck = next.check;
    for (const { id, index, mac, windowMs } of next.probes) this.#parts?.vipd.send(probeLine(id, index, mac, windowMs));
  }

  #housekeeping(now: At): void {
    if (this.#exiting) return;
    if (now - this.#publishedAt >= PUBLISH_MS) this.#publish(now);
    this.#checkVips(now);
    if (this.#unfetchedSince !== undefined && now - this.#unfetchedSince > JOURNAL_MS) this.journalGiven(false);
    this.#sayKeys(now);
    const { watchdogMs } = this.#options;
    if (watchdogMs !== undefined && now - this.#watchdogAt >= watchdogMs / 3) {
      this.#watchdogAt = now;
      this.#parts?.vipd.send('notify WATCHDOG=1');
    }
  }
}

function isHello(event: PulseEvent): boolean {
  return event.type === 'vipd' && event.message.type === 'hello';
}

/** Effects for people and for the next start; none of them is waited for by vipd or the peer. */
function isTelling({ type }: Effect): boolean {
  return type === 'decision' || type === 'event' || type === 'persist' || type === 'exit';
}
