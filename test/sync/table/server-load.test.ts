// What a real server has: by port, and only what is open.
import test from 'ava';
import { FLAG } from '../../../src/sync/table/entry.ts';
import { Mirror } from '../../../src/sync/table/mirror.ts';
import { loadKey, loadsOf } from '../../../src/sync/table/server-load.ts';
import { at, clientOf, connection, MARK, OTHER_SERVER, SERVER, template } from '../stream/sync-entries.ts';

test('open control connections are sessions, other open ones transfers; closed ones and templates do not count', t => {
  const mirror = new Mirror();
  const entries = [
    template(),
    connection({ virtualPort: 21, clientPort: 1 }),
    connection({ virtualPort: 990, clientPort: 2 }),
    connection({ virtualPort: 12_345, clientPort: 3 }),
    connection({ virtualPort: 20, clientPort: 4 }),
    connection({ virtualPort: 21, clientPort: 5, flags: FLAG.inactive }),
    connection({ virtualPort: 21, clientPort: 6, client: clientOf(9), server: OTHER_SERVER }),
    connection({ virtualPort: 21, clientPort: 7, mark: MARK + 1 }),
  ];
  for (const entry of entries) mirror.upsert(entry, at(0));
  const loads = loadsOf(mirror, new Map([[MARK, [21, 990]]]), at(0));
  t.deepEqual(loads?.get(loadKey(MARK, SERVER)), { sessions: 2, transfers: 2 });
  t.deepEqual(loads?.get(loadKey(MARK, OTHER_SERVER)), { sessions: 1, transfers: 0 });
  t.is(loads?.size, 2);
});

test('more than can be looked at in a moment is not counted at all', t => {
  const many = { connections: 200_001, cursor: () => t.fail() as never };
  t.is(loadsOf(many, new Map(), at(0)), undefined);
});
