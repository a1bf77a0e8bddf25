// What counts as a change for those who follow /events.
import test from 'ava';
import { changedParts } from '../../src/status/change.ts';
import { pulseSnapshot, serverReport, statusReport } from './fixture.ts';

test('measurements that move all the time are no change', t => {
  const links = pulseSnapshot().links.map(link => ({ ...link, heardMsAgo: 99, rttMs: 1, received: 1_000 }));
  const pulse = pulseSnapshot({ seq: 8, links, counters: { heartbeatsSent: 101 } });
  const after = statusReport({ pulse, generatedAt: '2026-11-22T11:00:00.000Z' });
  t.is(changedParts(statusReport(), after), undefined);
});

test('a change names only the parts that changed, whole and with their measurements', t => {
  const pulse = pulseSnapshot({ role: 'standby', counters: { heartbeatsSent: 101 } });
  t.deepEqual(changedParts(statusReport(), statusReport({ pulse })), { pulse });
});

test('pulse falling silent and a server failing are changes', t => {
  t.deepEqual(changedParts(statusReport(), statusReport({ pulse: null })), { pulse: null });
  const [service] = statusReport().services;
  const services = service ? [{ ...service, servers: [serverReport({ state: 'down' })] }] : [];
  t.deepEqual(changedParts(statusReport(), statusReport({ services })), { services });
});
