// The rehearsal plays what it says: else it would warm the wrong code, or none.
import { randomBytes } from 'node:crypto';
import test from 'ava';
import { pairIdOf } from '../../src/pulse/heartbeat.ts';
import { rehearse } from '../../src/pulse/rehearsal.ts';
import { ms } from '../../src/units/duration.ts';
import { settingsFor } from '../settings-for.ts';

const SETTINGS = settingsFor({
  bootId: '00112233445566aa',
  priority: 110,
  intervalMs: ms(10),
  leaseMs: ms(22),
  deadMs: ms(30),
  aloneKeepMs: ms(3_000),
  autoFailback: true,
  keepsSessions: true,
  addressLans: [0],
  units: [[0]],
  lans: [{ name: 'clients', id: 1001, interface: 'c0', vips: true, targets: [0], links: [0] }],
  witness: { leaseMs: ms(5_000) },
  noticeMs: ms(0),
});
const signing = { pairId: pairIdOf('lab'), key: randomBytes(32) };

for (const nodeId of [1, 2] as const) {
  test(`node ${nodeId}: each round has a start, a handover and a takeover, by silence and by last will in turn`, t => {
    const scenes = rehearse({ ...SETTINGS, nodeId }, signing);
    t.true(scenes.length > 0 && scenes.length % 3 === 0);
    for (let i = 0; i < scenes.length; i += 3) {
      const [start, handedOver, takenOver] = scenes.slice(i, i + 3);
      t.is(
        [start, handedOver].filter(roles => roles?.split(' ').filter(role => role === 'active').length === 1).length,
        2,
      );
      t.not(start, handedOver);
      t.regex(String(takenOver), /active/);
      t.not(takenOver, handedOver);
    }
  });
}
