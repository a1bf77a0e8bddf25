// The whole of pulse's decisions under a peer that signs nonsense, a vipd that talks it, and commands: whatever comes, there is a
// heartbeat that can be sent, a snapshot that readers understand, and an instant to wake at.
import type { Effect, Machine, PulseEvent } from '../../../src/pulse/election/machine.ts';
import { type At, ms } from '../../../src/units/duration.ts';
import { settingsFor } from '../../settings-for.ts';
import { aHeartbeat, aSecond, aWill, OWN_BOOT } from '../samples.ts';
import { insist, type Target } from '../target.ts';
import { KEY, PAIR_NAME, signed } from './heartbeat.ts';

/** One record of an input: what it is, the length of its bytes, its bytes. */
const OPS = ['peer', 'stranger', 'vipd', 'command', 'time', 'late', 'vipd-gone', 'obedience'] as const;
const EVENTS_MAX = 40;
const TICKS_MAX = 8;
const PEER_BOOT_AT = 24;
const NODE_AT = 6;

const SETTINGS = settingsFor({
  bootId: OWN_BOOT,
  priority: 110,
  autoFailback: true,
  keepsSessions: true,
  configDigest: 'aabbccddeeff0011',
  lans: [
    { name: 'client', id: 1001, interface: 'c0', vips: true, targets: [0], links: [0] },
    { name: 'servers', id: 1002, interface: 's0', vips: true, targets: [1, 2], links: [] },
  ],
  fixed: [
    { address: '192.0.2.2', lan: 0, family: 4, side: 'own', link: 0, serves: true },
    { address: '203.0.113.1', lan: 0, family: 4, side: 'own', link: 1, serves: false },
    { address: '192.0.2.3', lan: 0, family: 4, side: 'peer', link: undefined, serves: true },
  ],
  onConflict: 'stand-down',
  noticeMs: ms(6_000),
});

const VIEW = {
  node: 'r1',
  nodeId: 1,
  peer: 'r2',
  priority: 110,
  links: [
    { lan: 'client', interface: 'c0', local: '192.0.2.2', remote: '192.0.2.3' },
    { lan: 'cross', interface: 'x0', local: '203.0.113.1', remote: '203.0.113.2' },
  ],
  addresses: [
    { address: '192.0.2.100', lan: 'client', interface: 'c0', kind: 'vip', own: '192.0.2.2' },
    { address: '198.51.100.1', lan: 'servers', interface: 's0', kind: 'gateway', own: '198.51.100.2' },
  ],
  targets: [],
} as never;

function record(op: (typeof OPS)[number], bytes: Buffer | string): Buffer {
  const payload = Buffer.from(bytes);
  return Buffer.concat([Buffer.from([OPS.indexOf(op), payload.length]), payload]);
}

function* records(input: Buffer): Generator<[(typeof OPS)[number], Buffer]> {
  for (let at = 0, events = 0; at + 2 <= input.length && events < EVENTS_MAX; events++) {
    const length = input[at + 1] as number;
    yield [OPS[(input[at] as number) % OPS.length] as (typeof OPS)[number], input.subarray(at + 2, at + 2 + length)];
    at += 2 + length;
  }
}

const HELLO = record('vipd', 'hello 0.2.0 0.0 none 0');
const LINKS = ['link 0 up 02:00:00:00:01:01', 'link 1 up 02:00:00:00:01:02'].map(line => record('vipd', line));
const REPORT = '{"command":"report","rulesIn":true,"healthyServers":2,"totalServers":2,"flushMs":0,"warm":true}';
const longTime = (count: number) => Array.from({ length: count }, () => record('time', Buffer.from([0x0f, 0xff])));

export const electionTarget: Target = {
  name: 'election',
  says: 'signed nonsense from the peer, lines of vipd, commands, time: always a heartbeat, a snapshot, a next wake',
  files: [
    ...['own-heartbeat', 'snapshot', 'election/start', 'election/step', 'election/step-context', 'election/moves'],
    ...[
      'claim-bars',
      'deadlines',
      'decision-evidence',
      'fitness',
      'holdable',
      'own-addresses',
      'peer',
      'peer-heard',
      'peer-may-take',
      'probing',
      'retry',
      'standby-judgement',
      'term',
      'third-machine',
    ].map(name => `election/beliefs/${name}`),
    ...[
      'bare',
      'conflict',
      'director-report',
      'heartbeats',
      'hold',
      'holding',
      'lan-signs',
      'lateness',
      'peer-watch',
      'unheard',
      'vipd-lease',
      'vipd-probes',
      'vipd-words',
    ].map(name => `election/voices/${name}`),
    ...['active', 'claiming', 'handing-over', 'standby', 'starting', 'voluntary-handover'].map(
      name => `election/roles/${name}`,
    ),
  ].map(name => `src/pulse/${name}.ts`),
  words: [
    REPORT,
    ...['held 1 43.1', 'expired 43.1', 'refused 1 stale-epoch', 'reply 1 0 echo 02:00:5e:00:01:02', 'silent 1 0'],
    ...[
      'conflict 0 02:00:00:00:09:09 c0',
      'target 0 up',
      'target 1 down',
      'traffic c0 silent',
      'neighbours c0 silent',
      'link 0 down -',
    ],
    ...['peer 1 02:00:5e:00:01:02', 'peer 2 02:00:5e:00:01:02 target', 'claimed 0 02:00:5e:00:01:02'],
    ...[
      'place 0 no-interface',
      'place 1 no-ipv6',
      'place 0 here',
      'denied 0 no',
      'denied 1 no',
      'added 1',
      'repaired 0',
    ],
    ...['fixed 0 gone', 'fixed 1 gone', 'fixed 0 here', 'fixed 1 down', 'fixed 2 here', 'fixed 0 unrouted'],
    ...['{"command":"handover","cold":true}', '{"command":"hold","forMs":', '{"command":"release"}'],
  ].map(text => record(text.startsWith('{') ? 'command' : 'vipd', text).toString('latin1')),
  bytesMax: 4_000,
  load: async () => {
    const { step, nextWake } = await import('../../../src/pulse/election/step.ts');
    const { newMachine } = await import('../../../src/pulse/election/start.ts');
    const { decode, encode, pairIdOf } = await import('../../../src/pulse/heartbeat.ts');
    const { heartbeatsFor, willFor } = await import('../../../src/pulse/own-heartbeat.ts');
    const { snapshotOf } = await import('../../../src/pulse/snapshot.ts');
    const { leaseLine, parseVipdLine } = await import('../../../src/vip/protocol.ts');
    const { controlRequestSchema, snapshotSchema } = await import('../../../src/feed/message.ts');
    const pairId = pairIdOf(PAIR_NAME);
    const good = encode(aHeartbeat(), pairId, KEY);
    const second = encode(aSecond(), pairId, KEY);

    class Router {
      now = 1_000_000 as At;
      obedient = true;
      machine: Machine = newMachine({
        settings: SETTINGS,
        now: this.now,
        ceiling: 40,
        hold: { on: false, until: undefined },
        rulesIn: true,
      });

      dispatch(event: PulseEvent, depth = 0): void {
        const { machine, effects } = step(this.machine, event, this.now);
        this.machine = machine;
        for (const effect of effects) this.#carryOut(effect, depth);
      }

      /** What loop.ts makes of effects, as far as it can go wrong; an obedient vipd answers. */
      #carryOut(effect: Effect, depth: number): void {
        const said: string[] = [];
        if (effect.type === 'claim' || effect.type === 'renew') {
          leaseLine(effect.type, { ...effect.lease, keepMs: 5_000 });
          said.push(`held ${effect.lease.seq} ${effect.lease.epoch.counter}.${effect.lease.epoch.node}`);
        } else if (effect.type === 'give-up') {
          said.push(`released ${effect.seq} ${effect.epoch.counter}.${effect.epoch.node}`);
        } else if (effect.type === 'probe') {
          said.push(...effect.targets.map(({ index }) => `silent ${effect.id} ${index}`));
        } else if (effect.type === 'will') {
          encode(willFor(this.machine, effect.epoch, effect.peerBootId), pairId, KEY);
        } else if (effect.type === 'send') {
          for (const message of heartbeatsFor(this.machine, this.now)) encode(message, pairId, KEY);
        } else if (effect.type === 'respawn-vipd') {
          said.push('hello 0.2.0 0.0 none 0');
        }
        if (this.obedient && depth < 4) for (const line of said) this.hearVipd(line, depth + 1);
      }

      hearVipd(line: string, depth = 0): void {
        const message = parseVipdLine(line);
        if (message) this.dispatch({ type: 'vipd', message }, depth);
      }

      hearPeer(bytes: Buffer, fresh: boolean): void {
        const body = Buffer.from(bytes);
        if (fresh && body.length > PEER_BOOT_AT + 8) {
          body[NODE_AT] = 2;
          body.write(OWN_BOOT, PEER_BOOT_AT, 'hex');
        }
        const read = decode(signed(body, good), pairId, [KEY]);
        if (read.ok) this.dispatch({ type: 'datagram', link: body.length & 1, message: read.message });
      }

      obey(text: string): void {
        let value: unknown;
        try {
          value = JSON.parse(text);
        } catch {
          return;
        }
        const parsed = controlRequestSchema.safeParse(value);
        if (!parsed.success) return;
        const { command, ...rest } = parsed.data as { command: string };
        this.dispatch({ type: command, forMs: undefined, ...rest } as PulseEvent);
      }

      pass(elapsedMs: number): void {
        const end = this.now + elapsedMs;
        for (let ticks = 0; this.now < end && ticks < TICKS_MAX; ticks++) {
          const wake = nextWake(this.machine, this.now);
          insist(Number.isFinite(wake), 'there is no instant to wake at');
          this.now = Math.max(Math.min(wake, end), this.now + 0.01) as At;
          this.dispatch({ type: 'tick' });
        }
        this.now = Math.max(this.now, end) as At;
      }

      inspect(): void {
        const context = {
          view: VIEW,
          program: '0.4.0',
          seq: 1,
          now: this.now,
          wallMs: 1.8e12,
          decisions: [],
          counters: {},
          packetLease: true,
          running: { digest: '', waiting: [] },
          keys: { own: { signs: '', accepts: [] }, peer: undefined },
          vipdTrouble: null,
          vipCheck: null,
        };
        snapshotSchema.parse(JSON.parse(JSON.stringify(snapshotOf(this.machine, context))));
      }
    }

    return {
      seeds: [
        [
          HELLO,
          ...LINKS,
          record('command', REPORT),
          ...longTime(6),
          record('command', '{"command":"hold","forMs":5000}'),
        ],
        [HELLO, ...LINKS, ...[0, 1, 2].map(() => record('peer', good.subarray(0, -32))), ...longTime(2)],
        [HELLO, ...LINKS, ...[0, 1, 2].map(() => record('peer', second.subarray(0, -32))), ...longTime(2)],
        [
          ...[HELLO, ...LINKS, record('command', REPORT), record('peer', good.subarray(0, -32)), ...longTime(3)],
          ...[record('command', '{"command":"handover","cold":true}'), ...longTime(2)],
          record('peer', encode(aWill(), pairId, KEY).subarray(0, -32)),
        ],
      ].map(list => Buffer.concat(list)),
      run(input) {
        const router = new Router();
        for (const [op, bytes] of records(input)) {
          if (op === 'peer' || op === 'stranger') router.hearPeer(bytes, op === 'peer');
          else if (op === 'vipd') router.hearVipd(bytes.toString('latin1'));
          else if (op === 'command') router.obey(bytes.toString('utf8'));
          else if (op === 'time') router.pass(bytes.length >= 2 ? bytes.readUInt16BE(0) : 1);
          else if (op === 'late') router.dispatch({ type: 'late', byMs: (bytes[0] ?? 0) * 4 });
          else if (op === 'vipd-gone') router.dispatch({ type: 'vipd-gone', how: 'killed' });
          else router.obedient = ((bytes[0] ?? 0) & 1) === 1;
        }
        router.inspect();
      },
    };
  },
};
