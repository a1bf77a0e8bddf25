// A takeover runs code that a standby has not run for months, or never: cold, it takes several
// times as long as warm. So pulse plays takeovers and handovers through at its start, on two
// machines of its own making and a clock that is only counted: the shipped functions, without any
// effect. Pure.
import { type At, after, type Ms, ms } from '../units/duration.ts';
import { leaseLine, parseVipdLine, probeLine, releaseLine, type VipdMessage, willLine } from '../vip/protocol.ts';
import { roleOf } from './election/beliefs/term.ts';
import type { Effect, Machine, PulseEvent, Settings } from './election/machine.ts';
import { newMachine } from './election/start.ts';
import { step } from './election/step.ts';
import { decode, encode } from './heartbeat.ts';
import { heartbeatsFor, willFor } from './own-heartbeat.ts';

/** Plays until V8 has compiled what matters; more brings little (see docs/BENCHMARKS.md). */
const ROUNDS = 25;
/** Ticks of one scene at most; each is a quarter of a heartbeat. */
const TICKS_MAX = 100;
/** Events of one instant at most. */
const EVENTS_MAX = 1_000;
const NO_BOOT = 'ffffffffffffffff';

interface Signing {
  readonly pairId: Buffer;
  readonly key: Buffer;
}

interface Actor {
  machine: Machine;
  will: Buffer | undefined;
  /** Without power: nothing reaches it. */
  off: boolean;
  /** vipd's words of silence: time passes before they come. */
  silences: string[];
}

interface Stage {
  readonly actors: readonly [Actor, Actor];
  readonly signing: Signing;
  readonly tickMs: Ms;
  now: At;
  readonly queue: { readonly to: Actor; readonly event: PulseEvent }[];
}

/** Roles that the two had at the end of each scene, for the tests. */
export function rehearse(settings: Settings, signing: Signing): string[] {
  const seen: string[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const stage = openStage(settings, signing);
    const { actors } = stage;
    const roles = (): number => seen.push(actors.map(({ machine }) => roleOf(machine)).join(' '));
    until(stage, () => actors.some(isOwner));
    roles();
    say(stage, owner(stage), { type: 'handover', cold: true });
    until(stage, () => actors.some(isOwner) && actors.some(({ machine }) => roleOf(machine) === 'standby'));
    roles();
    // Every other round the owner dies without a word, in the others its vipd sends the last will.
    const dying = owner(stage);
    if (round % 2 === 0 && dying.will) farewell(stage, dying, dying.will);
    dying.off = true;
    until(stage, () => actors.some(actor => !actor.off && isOwner(actor)));
    roles();
  }
  return seen;
}

function openStage(settings: Settings, signing: Signing): Stage {
  const lans = settings.lans.map(lan => ({ ...lan, targets: [] }));
  const own = { ...settings, lans, witness: undefined, keepsSessions: false, autoFailback: false };
  const peer = { ...own, nodeId: settings.nodeId === 1 ? (2 as const) : (1 as const), bootId: NO_BOOT };
  const now = 1_000_000 as At;
  const actor = (one: Settings): Actor => ({
    machine: newMachine({ settings: one, now, ceiling: 0, hold: { on: false, until: undefined }, rulesIn: true }),
    will: undefined,
    off: false,
    silences: [],
  });
  const actors: Stage['actors'] = [actor(own), actor(peer)];
  const stage = { actors, signing, tickMs: ms(settings.intervalMs / 4), now, queue: [] };
  for (const one of actors) hear(stage, one, 'hello rehearsal 0.0 none 0');
  return stage;
}

const isOwner = ({ machine }: Actor): boolean => roleOf(machine) === 'active';

function owner({ actors }: Stage): Actor {
  return actors.find(isOwner) ?? actors[0];
}

function until(stage: Stage, done: () => boolean): void {
  for (let ticks = 0; ticks < TICKS_MAX && !done(); ticks += 1) {
    stage.now = after(stage.now, stage.tickMs);
    for (const actor of stage.actors) {
      for (const line of actor.silences.splice(0)) hear(stage, actor, line);
      say(stage, actor, { type: 'tick' });
    }
  }
}

/** An event and everything that follows from it at the same instant. */
function say(stage: Stage, to: Actor, event: PulseEvent): void {
  stage.queue.push({ to, event });
  for (let events = 0; events < EVENTS_MAX; events += 1) {
    const next = stage.queue.shift();
    if (!next) return;
    if (next.to.off) continue;
    const { machine, effects } = step(next.to.machine, next.event, stage.now);
    next.to.machine = machine;
    for (const effect of effects) act(stage, next.to, effect);
  }
}

function act(stage: Stage, actor: Actor, effect: Effect): void {
  const { machine } = actor;
  const { pairId, key } = stage.signing;
  const { aloneKeepMs } = machine.settings;
  if (effect.type === 'claim' || effect.type === 'renew') {
    const line = leaseLine(effect.type, { ...effect.lease, keepMs: aloneKeepMs });
    hear(stage, actor, `held ${line.split(' ').slice(1, 3).join(' ')} 500`);
  } else if (effect.type === 'will') {
    actor.will = encode(willFor(machine, effect.epoch, effect.peerBootId), pairId, key);
    willLine(actor.will);
  } else if (effect.type === 'probe') {
    for (const { index, mac } of effect.targets) {
      probeLine(effect.id, index, mac, effect.windowMs);
      actor.silences.push(`silent ${effect.id} ${index}`);
    }
  } else if (effect.type === 'give-up') releaseLine(effect.seq, effect.epoch, effect.will);
  else if (effect.type === 'send') {
    for (const [link, message] of heartbeatsFor(machine, stage.now).entries())
      deliver(stage, actor, encode(message, pairId, key), link);
  }
}

function hear({ queue }: Stage, to: Actor, line: string): void {
  const message: VipdMessage | undefined = parseVipdLine(line);
  if (message) queue.push({ to, event: { type: 'vipd', message } });
}

function farewell(stage: Stage, from: Actor, will: Buffer): void {
  deliver(stage, from, will, 0);
  const next = stage.queue.shift();
  if (next) say(stage, next.to, next.event);
}

function deliver({ actors, signing, queue }: Stage, from: Actor, datagram: Buffer, link: number): void {
  const decoded = decode(datagram, signing.pairId, [signing.key]);
  const to = actors[0] === from ? actors[1] : actors[0];
  if (decoded.ok) queue.push({ to, event: { type: 'datagram', link, message: decoded.message } });
}
