// Two routers' elections that talk over the real wire format while one of them is upgraded, goes
// back, or has other LANs in its config.
import test, { type ExecutionContext } from 'ava';
import { parseConfig } from '../../src/config/document.ts';
import { nodeView } from '../../src/config/node.ts';
import { peerMac } from '../../src/pulse/election/beliefs/peer-heard.ts';
import type { Machine, PulseEvent } from '../../src/pulse/election/machine.ts';
import { newMachine } from '../../src/pulse/election/start.ts';
import { step } from '../../src/pulse/election/step.ts';
import { decode, encode, type Heartbeat, pairIdOf, type WireVersion } from '../../src/pulse/heartbeat.ts';
import { heartbeatsFor, willFor } from '../../src/pulse/own-heartbeat.ts';
import { settingsOf } from '../../src/pulse/settings.ts';
import type { At } from '../../src/units/duration.ts';

const PAIR = pairIdOf('edge');
const KEY = Buffer.alloc(32, 3);
const TICK_MS = 10;
const DEAD_MS = 300;
const LANS = ['a-servers', 'backup', 'clients', 'servers'];
const DIGEST = '0011223344556677';

/**
 * The settings of a router whose config has LANs of these names, each with a VIP; heartbeats are on
 * the LAN `clients`.
 */
function settingsWith(node: 'r1' | 'r2', names: readonly string[], bootId: string) {
  const lans = names.map(name => {
    const at = (host: number) => `198.51.100.${16 * LANS.indexOf(name) + host}`;
    const own = `{ r1: ${at(1)}/28, r2: ${at(2)}/28 }`;
    return `  ${name}: { interface: if-${name}, addresses: ${own}, vips: [${at(9)}] }\n`;
  });
  const rest = 'heartbeat: { links: [clients], key_file: /k }\n';
  const parsed = parseConfig(`pair: edge\nrouters: { r1: {}, r2: {} }\nlans:\n${lans.join('')}${rest}`);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.mistakes));
  return settingsOf(parsed.config, nodeView(parsed.config, node), DIGEST, bootId);
}

/** One life of a router's pulse. */
class Life {
  machine: Machine;
  /** Like 0.3.0: it neither reads version 2 nor knows the flag. */
  readonly isOlder: boolean;
  /** Of the newest heartbeat that it has sent. */
  sent: WireVersion | undefined;
  refused = 0;

  constructor(node: 'r1' | 'r2', bootId: string, now: At, { lans = ['clients', 'servers'], isOlder = false } = {}) {
    this.isOlder = isOlder;
    const settings = settingsWith(node, lans, bootId.repeat(16));
    this.machine = newMachine({ settings, now, ceiling: 0, hold: { on: false, until: undefined }, rulesIn: true });
    const message = { type: 'hello', version: 'test', epoch: { counter: 0, node: 0 }, mode: 'none', held: 0 } as const;
    this.step({ type: 'vipd', message }, now);
    for (const index of settings.addressLans.keys()) {
      const lan = settings.lans[settings.addressLans[index] as number]?.name as string;
      this.step({ type: 'vipd', message: { type: 'link', index, up: true, mac: macOf(node, lan) } }, now);
    }
  }

  /** Heartbeats that come of it. */
  step(event: PulseEvent, now: At): Buffer[] {
    const { machine, effects } = step(this.machine, event, now);
    this.machine = machine;
    const sends = effects.filter(({ type }) => type === 'send');
    return sends.map(() => {
      const message = heartbeatsFor(machine, now)[0] as Heartbeat;
      this.sent = message.version;
      return encode(this.isOlder ? { ...message, readsVersion2: false } : message, PAIR, KEY);
    });
  }

  hear(bytes: Buffer, now: At): void {
    const read = decode(bytes, PAIR, [KEY]);
    if (!read.ok || (this.isOlder && read.message.version !== 1)) {
      this.refused += 1;
      return;
    }
    const { message } = read;
    const understood = this.isOlder && message.kind === 'heartbeat' ? { ...message, readsVersion2: false } : message;
    this.step({ type: 'datagram', link: 0, message: understood }, now);
  }

  /** The peer's MAC on a LAN as its probes would use it. */
  macThere(lan: string): string | undefined {
    const { lans, addressLans } = this.machine.settings;
    return peerMac(this.machine, addressLans.indexOf(lans.findIndex(({ name }) => name === lan)));
  }
}

function macOf(node: string, lan: string): string {
  const bytes = Buffer.from(`${node}${lan}`.padEnd(6).slice(0, 6)).toString('hex');
  return (bytes.match(/../g) as string[]).join(':');
}

class Pair {
  now = 1_000 as At;
  r1: Life;
  r2: Life;

  constructor(make: (now: At) => readonly [Life, Life]) {
    [this.r1, this.r2] = make(this.now);
  }

  run(forMs: number): void {
    for (const end = this.now + forMs; this.now < end; this.now = (this.now + TICK_MS) as At) {
      for (const [from, to] of [
        [this.r1, this.r2],
        [this.r2, this.r1],
      ] as const)
        for (const bytes of from.step({ type: 'tick' }, this.now)) to.hear(bytes, this.now);
    }
  }
}

/** Both have proven each other's life and hear each other now. */
function talks(t: ExecutionContext, { r1, r2, now }: Pair, version: WireVersion): void {
  for (const [one, other] of [
    [r1, r2],
    [r2, r1],
  ] as const) {
    t.is(one.machine.peer.bootId, other.machine.settings.bootId);
    t.true(now - (one.machine.peer.heardAt ?? 0) <= 100 + 2 * TICK_MS);
    t.is(one.sent, version);
  }
}

test('two of this version speak version 2, one of the version before is answered in its own', t => {
  const both = new Pair(now => [new Life('r1', '1', now), new Life('r2', '2', now)]);
  both.run(500);
  talks(t, both, 2);
  const mixed = new Pair(now => [new Life('r1', '1', now), new Life('r2', '2', now, { isOlder: true })]);
  mixed.run(500);
  talks(t, mixed, 1);
  t.is(mixed.r2.refused, 0, 'it never got one that it cannot read');
});

test('a peer that is upgraded, and one that goes back, is answered in what it reads, in mid-life of the other', t => {
  const pair = new Pair(now => [new Life('r1', '1', now), new Life('r2', '2', now, { isOlder: true })]);
  pair.run(500);
  talks(t, pair, 1);
  pair.r2 = new Life('r2', '3', pair.now);
  pair.run(500);
  talks(t, pair, 2);
  pair.r2 = new Life('r2', '4', pair.now, { isOlder: true });
  pair.run(DEAD_MS + 300);
  talks(t, pair, 1);
  t.true(pair.r2.refused <= DEAD_MS / 100 + 1, `${pair.r2.refused} heartbeats that it could not read`);
  pair.r2 = new Life('r2', '5', pair.now, { isOlder: true });
  pair.run(500);
  t.is(pair.r2.refused, 0);
  talks(t, pair, 1);
});

test('a will can be read by both versions, whatever the heartbeats are', t => {
  const pair = new Pair(now => [new Life('r1', '1', now), new Life('r2', '2', now)]);
  pair.run(500);
  talks(t, pair, 2);
  t.is(willFor(pair.r1.machine, { counter: 4, node: 1 }, '2222222222222222').version, 1);
});

test('a LAN that only one router has does not change what the others are called', t => {
  const lans = ['backup', 'clients', 'servers'];
  const pair = new Pair(now => [new Life('r1', '1', now), new Life('r2', '2', now, { lans })]);
  pair.run(500);
  talks(t, pair, 2);
  for (const lan of ['clients', 'servers']) {
    t.is(pair.r1.macThere(lan), macOf('r2', lan));
    t.is(pair.r2.macThere(lan), macOf('r1', lan));
  }
  t.is(pair.r2.macThere('backup'), undefined, 'asked by broadcast');
});

test('a LAN that one router calls by another name has no known MAC there; the rest has', t => {
  const pair = new Pair(now => [
    new Life('r1', '1', now),
    new Life('r2', '2', now, { lans: ['clients', 'a-servers'] }),
  ]);
  pair.run(500);
  t.is(pair.r1.macThere('clients'), macOf('r2', 'clients'));
  t.is(pair.r1.macThere('servers'), undefined);
  t.is(pair.r2.macThere('a-servers'), undefined);
});
