// Runs the machine: turns timers, datagrams, vipd's words and commands into events, and effects into what the world sees.
// The heartbeat comes first: nothing here awaits anything.
import type { NodeView } from '../config/node.ts';
import type { Config } from '../config/schema.ts';
import type { ControlReply, ControlRequest, Decision } from '../feed/message.ts';
import type { EventCode } from '../log/catalogue.ts';
import type { PulseCounter } from '../log/counters.ts';
import type { Fields, FieldValue } from '../log/event.ts';
import type { Log } from '../log/log.ts';
import { type At, between } from '../units/duration.ts';
import { monotonicNow, wallTime } from '../units/io/clocks.ts';
import type { Vipd } from '../vip/io/vipd.ts';
import { leaseLine, probeLine, releaseLine, resolveLine, sampleLine, willLine } from '../vip/protocol.ts';
import type { WitnessAsk } from '../witness/witness.ts';
import type { Effect, Machine, PulseEvent } from './election/machine.ts';
import { nextWake, step } from './election/step.ts';
import { decode, encode, pairIdOf } from './heartbeat.ts';
import type { Feed } from './io/feed.ts';
import type { HeartbeatSockets } from './io/heartbeat-sockets.ts';
import type { PulseState, StateFile } from './io/state-file.ts';
import { isNews } from './news.ts';
import { heartbeatFor, willFor } from './own-heartbeat.ts';
import { snapshotOf } from './snapshot.ts';
import { findingsOf, hear, isOurs, nextRound, type VipCheck } from './vip-check.ts';
import { troubleAt, troubleIn, type VipdTrouble } from './vipd-trouble.ts';

const DECISIONS_MAX = 32;
/** The feed repeats itself at this pace even when nothing changes. */
const PUBLISH_MS = 1_000;

interface LoopOptions {
  readonly config: Config;
  readonly view: NodeView;
  readonly keys: { readonly sign: Buffer; readonly accept: readonly Buffer[] };
  readonly machine: Machine;
  readonly decisions: readonly Decision[];
  readonly log: Log;
  readonly state: StateFile;
  readonly feed: Feed;
  /** systemd's watchdog interval in ms; undefined when it wants none. */
  readonly watchdogMs: number | undefined;
  /** Never waits; the answer comes as an event. */
  readonly askWitness: (ask: WitnessAsk) => void;
  /** Whether the packet lease is in force, for the feed. */
  readonly packetLease: () => boolean;
  /** What of the config pulse has read, and what of that waits for a restart. */
  readonly running: () => Running;
  /** Makes the packet lease for another L; never waits, answers with the event `gated`. */
  readonly retimeGate: (id: number, leaseMs: number) => void;
  readonly onExit: () => void;
}

export interface Running {
  /** See pulseDigest. */
  readonly digest: string;
  /** Parts of the config, by name. */
  readonly waiting: readonly string[];
}

export interface Loop {
  /** The sockets and vipd call back into the loop, so they are handed in once it exists. */
  start(parts: { links: HeartbeatSockets; vipd: Vipd }): void;
  dispatch(event: PulseEvent): void;
  onDatagram(link: number, bytes: Buffer, from: string): void;
  /** vipd could not be started or spoke nonsense. */
  vipdTrouble(text: string): void;
  obey(request: ControlRequest): ControlReply;
}

export function createLoop(options: LoopOptions): Loop {
  const pairId = pairIdOf(options.config.pair);
  const { view, log, keys } = options;
  let machine = options.machine;
  let parts: { links: HeartbeatSockets; vipd: Vipd } | undefined;
  let decisions = [...options.decisions];
  let answer: ControlReply | undefined;
  let publishSeq = 0;
  let publishedAt = -Infinity;
  let watchdogAt = -Infinity;
  let wakeTimer: NodeJS.Timeout | undefined;
  let wakeAt = Infinity;
  let lateToldAt = -Infinity;
  let exiting = false;
  let trouble: VipdTrouble | undefined;
  let vipCheck: VipCheck | undefined;
  const counters: Partial<Record<PulseCounter, number>> = { sent: 0, received: 0, lateLoops: 0 };

  const count = (name: PulseCounter) => {
    counters[name] = (counters[name] ?? 0) + 1;
  };

  const dispatch = (event: PulseEvent) => {
    // Before the start there is nobody to carry effects out; after the exit neither.
    if (exiting || !parts) return;
    if (event.type === 'vipd' && isOurs(event.message)) {
      vipCheck = hear(vipCheck, event.message);
      return;
    }
    const now = monotonicNow();
    noticeLateness(now);
    take(event, now);
  };

  const take = (event: PulseEvent, now: At) => {
    const before = machine;
    const result = step(machine, event, now);
    machine = result.machine;
    // What moves the addresses goes out before anything is told: a log line, a snapshot or a state file costs more than the takeover.
    for (const effect of result.effects) if (!isTelling(effect)) run(effect, now);
    for (const effect of result.effects) if (isTelling(effect)) run(effect, now);
    if (isNews(before, machine) || isHello(event)) publish(now);
    arm(now);
  };

  const run = (effect: Effect, now: At) => {
    const { vipd } = parts as { vipd: Vipd };
    switch (effect.type) {
      case 'claim':
      case 'renew':
        vipd.send(leaseLine(effect.type, { ...effect.lease, keepMs: machine.settings.aloneKeepMs }));
        break;
      case 'will':
        vipd.send(willLine(encode(willFor(machine, effect.epoch, effect.peerBootId), pairId, keys.sign)));
        break;
      case 'give-up':
        vipd.send(releaseLine(effect.seq, effect.epoch, effect.will));
        break;
      case 'announce':
        vipd.send('announce');
        break;
      case 'gate':
        options.retimeGate(effect.id, effect.leaseMs);
        break;
      case 'probe':
        for (const { index, mac } of effect.targets) vipd.send(probeLine(effect.id, index, mac, effect.windowMs));
        break;
      case 'resolve':
        for (const index of effect.fixed) vipd.send(resolveLine(index));
        break;
      case 'respawn-vipd':
        vipd.respawn();
        break;
      case 'sample':
        vipd.send(sampleLine(effect.everyMs, effect.windowMs));
        break;
      case 'witness':
        options.askWitness(effect.ask);
        break;
      case 'send':
        sendHeartbeats(now);
        break;
      case 'decision':
        decide(effect.decision);
        break;
      case 'event':
        if (effect.code === 'LOOP_LATE') count('lateLoops');
        tell(effect.code, named(effect.fields));
        break;
      case 'persist':
        persist(now);
        break;
      case 'answer':
        answer = { ok: effect.ok, code: effect.ok ? 'ok' : 'refused', message: effect.message };
        break;
      case 'exit':
        exiting = true;
        clearTimeout(wakeTimer);
        options.onExit();
        break;
    }
  };

  const tell = (code: EventCode, fields: Fields) => {
    const text = troubleIn(code, fields);
    if (text !== undefined) trouble = { text, at: monotonicNow() };
    log.event(code, fields);
  };

  const sendHeartbeats = (now: At) => {
    for (const index of view.links.keys()) {
      parts?.links.send(index, encode(heartbeatFor(machine, index, now), pairId, keys.sign));
    }
    count('sent');
  };

  /** Address and link numbers mean something to the machine only: people get names. */
  const named = (fields: Fields): Fields => {
    const name = (key: string, value: FieldValue): FieldValue => {
      if (key === 'address' && typeof value === 'number') return view.addresses[value]?.address ?? value;
      if (key === 'link' && typeof value === 'number') return view.links[value]?.lan ?? value;
      if (key === 'target' && typeof value === 'number') return view.targets[value]?.address ?? value;
      return value;
    };
    return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, name(key, value)]));
  };

  const decide = (decision: Omit<Decision, 'at'>) => {
    const { from, to, epoch, reason, evidence } = decision;
    decisions = [...decisions, { ...decision, at: wallTime() }].slice(-DECISIONS_MAX);
    log.event('ROLE_CHANGED', { from, to, epoch, reason, ...evidence });
    persist(monotonicNow());
  };

  const persist = (now: At) => {
    const { hold, ceiling } = machine;
    const until = hold.until === undefined ? null : Date.now() + between(now, hold.until);
    const state: PulseState = { ceiling, hold: { on: hold.on, until }, decisions };
    options.state.write(state);
  };

  const publish = (now: At) => {
    publishedAt = now;
    publishSeq += 1;
    counters.feedReadersDropped = options.feed.dropped();
    const packetLease = options.packetLease();
    const vipdTrouble = troubleAt(trouble, now);
    const found = { running: options.running(), vipdTrouble, vipCheck: findingsOf(vipCheck, machine, now) };
    const about = { view, seq: publishSeq, now, wallMs: Date.now(), decisions, counters, packetLease, ...found };
    options.feed.publish(snapshotOf(machine, about));
  };

  const arm = (now: At) => {
    if (exiting) return;
    const at = nextWake(machine, now);
    if (at === wakeAt && wakeTimer) return;
    wakeAt = at;
    clearTimeout(wakeTimer);
    wakeTimer = setTimeout(wake, Math.max(0, Math.ceil(at - now)));
  };

  /** Before anything that has waited is read: a process that was stopped must not draw conclusions from the first thing it finds. */
  const noticeLateness = (now: At): boolean => {
    const byMs = now - Math.max(wakeAt, lateToldAt);
    if (byMs <= machine.settings.intervalMs) return false;
    lateToldAt = now;
    take({ type: 'late', byMs }, now);
    return true;
  };

  const wake = () => {
    wakeTimer = undefined;
    if (exiting) return;
    noticeLateness(monotonicNow());
    // The queued datagrams are read before the time is judged: Node runs timers first, sockets after.
    setImmediate(tick);
  };

  const tick = () => {
    // A stall since the sockets were read: they are read once more.
    if (!exiting && noticeLateness(monotonicNow())) {
      setImmediate(tick);
      return;
    }
    dispatch({ type: 'tick' });
    housekeeping(monotonicNow());
  };

  const checkVips = (now: At) => {
    const next = nextRound(vipCheck, machine, now);
    if (!next) return;
    vipCheck = next.check;
    for (const { id, index, mac, windowMs } of next.probes) parts?.vipd.send(probeLine(id, index, mac, windowMs));
  };

  const housekeeping = (now: At) => {
    if (exiting) return;
    if (now - publishedAt >= PUBLISH_MS) publish(now);
    checkVips(now);
    if (options.watchdogMs !== undefined && now - watchdogAt >= options.watchdogMs / 3) {
      watchdogAt = now;
      parts?.vipd.send('notify WATCHDOG=1');
    }
  };

  return {
    dispatch,
    start(given) {
      parts = given;
      // The first snapshot waits for vipd's hello, a second at most: only vipd knows whether an earlier life has left the addresses,
      // and "not held" would have the director forget the connections of a router that serves.
      publishedAt = monotonicNow();
      arm(monotonicNow());
    },
    onDatagram(link, bytes, from) {
      if (from !== view.links[link]?.remote) {
        count('refused_foreign-source');
        return;
      }
      const decoded = decode(bytes, pairId, keys.accept);
      if (decoded.ok) {
        count('received');
        dispatch({ type: 'datagram', link, message: decoded.message });
      } else {
        count(`refused_${decoded.refusal}`);
        const lan = view.links[link]?.lan ?? String(link);
        log.event('DATAGRAM_REFUSED', { refusal: decoded.refusal, link: lan, from });
      }
    },
    vipdTrouble: text => tell('VIPD_ERROR', { text }),
    obey(request) {
      answer = undefined;
      if (request.command === 'report') {
        const { rulesIn, healthyServers, flushMs, warm, configDigest } = request;
        const digest = configDigest === undefined ? {} : { configDigest };
        dispatch({ type: 'report', rulesIn, healthyServers, flushMs, warm, ...digest });
        return { ok: true, code: 'ok', message: 'noted' };
      }
      if (request.command === 'hold') dispatch({ type: 'hold', forMs: request.forMs });
      else if (request.command === 'handover') dispatch({ type: 'handover', cold: request.cold });
      else dispatch({ type: request.command });
      return answer ?? { ok: false, code: 'refused', message: 'pulse is starting or stopping; try again in a moment' };
    },
  };
}

function isHello(event: PulseEvent): boolean {
  return event.type === 'vipd' && event.message.type === 'hello';
}

/** Effects for people and for the next start; none of them is waited for by vipd or the peer. */
function isTelling({ type }: Effect): boolean {
  return type === 'decision' || type === 'event' || type === 'persist' || type === 'exit';
}
