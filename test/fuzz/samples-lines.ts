// Good lines to begin with: of vipd, of the feed, of the control socket.
import { sampleSnapshot } from '../cli/samples.ts';

export function vipdLines(): string[] {
  return [
    'hello 0.2.0 42.1 armed 2',
    'held 7 43.1 812',
    'held 8 43.1',
    'released 9 43.1',
    'refused 10 stale-epoch',
    'expired 43.1',
    'repaired 0',
    'link 0 up 02:00:00:00:00:01',
    'reply 3 0 echo 02:00:00:00:00:02',
    'silent 3 1',
    'conflict 0 02:00:00:00:00:03 br0/port1',
    'conflict 0 02:00:00:00:00:03 br0 02:00:00:00:00:04',
    'target 0 up',
    'traffic c0 silent',
    'neighbours c0 answer',
    'error cannot open a packet socket',
  ];
}

export function snapshotLine(): string {
  return JSON.stringify(sampleSnapshot());
}

export function controlRequests(): string[] {
  return [
    '{"command":"report","rulesIn":true,"healthyServers":2,"totalServers":2,"flushMs":0,"warm":true}',
    '{"command":"handover","cold":false}',
    '{"command":"hold","forMs":60000}',
    '{"command":"release"}',
  ];
}
