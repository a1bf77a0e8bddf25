// Good messages to begin with.
import type { Heartbeat, Will } from '../../src/pulse/heartbeat.ts';
import { ms } from '../../src/units/duration.ts';

export const OWN_BOOT = '0102030405060708';
export const PEER_BOOT = '1112131415161718';

/** What the peer (node 2) says as a standby. */
export function aHeartbeat(): Heartbeat {
  return {
    kind: 'heartbeat',
    version: 1,
    nodeId: 2,
    bootId: PEER_BOOT,
    peerBootId: OWN_BOOT,
    seq: 7,
    role: 'standby',
    epoch: { counter: 42, node: 1 },
    serving: false,
    ready: true,
    hold: false,
    warm: true,
    witness: false,
    standsDown: false,
    sound: true,
    readsVersion2: true,
    priority: 100,
    fitness: 3,
    failedChecks: undefined,
    configDigest: 'aabbccddeeff0011',
    intervalMs: ms(100),
    leaseMs: ms(220),
    deadMs: ms(300),
    sentAtUs: 123_456_789,
    echoSentAtUs: 5_000,
    echoDelayUs: 250,
    offer: { epoch: { counter: 43, node: 1 }, remainingMs: ms(90) },
    units: undefined,
    mayHold: undefined,
    macs: [
      { lan: 0, mac: '02:00:5e:00:01:02' },
      { lan: 1, mac: '02:00:5e:00:01:03' },
    ],
  };
}

/** The same in version 2. */
export function aSecond(): Heartbeat {
  return {
    ...aHeartbeat(),
    version: 2,
    units: 1,
    mayHold: true,
    macs: aHeartbeat().macs.map(({ lan, mac }) => ({ lan: 1_001 + lan, mac })),
  };
}

export function aWill(): Will {
  return {
    kind: 'will',
    version: 1,
    nodeId: 2,
    bootId: PEER_BOOT,
    peerBootId: OWN_BOOT,
    seq: 0,
    role: 'standby',
    epoch: { counter: 42, node: 2 },
  };
}
