// The settings of a router in tests: what a test says, and for the rest an ordinary pair. A new field of
// the config that the election uses gets its ordinary value here, and nowhere else in the tests.
import type { Settings } from '../src/pulse/election/machine.ts';
import { ms } from '../src/units/duration.ts';

const ORDINARY: Settings = {
  node: 'r1',
  nodeId: 1,
  bootId: '0101010101010101',
  priority: 100,
  intervalMs: ms(100),
  leaseMs: ms(220),
  deadMs: ms(300),
  aloneKeepMs: ms(5_000),
  autoFailback: false,
  keepsSessions: false,
  configDigest: '0011223344556677',
  links: 2,
  addressLans: [0, 1],
  units: [[0, 1]],
  lans: [
    { name: 'clients', id: 1001, interface: 'c0', vips: true, targets: [0], links: [0] },
    { name: 'servers', id: 1002, interface: 's0', vips: true, targets: [1], links: [] },
    { name: 'cross', id: 1003, interface: 'x0', vips: false, targets: [], links: [1] },
  ],
  fixed: [],
  onIsolation: 'release',
  onConflict: 'defend',
  witness: undefined,
  noticeMs: ms(2_000),
};

export function settingsFor(said: Partial<Settings> = {}): Settings {
  return { ...ORDINARY, ...said };
}
