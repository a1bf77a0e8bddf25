// LANs that carry heartbeats, have no targets, and lose a direction at one router: two real pulses, the fault injected for real. Needs
// root and `scripts/setup`. What the rules are: docs/internals/lans-and-isolation.md.
import { setTimeout as sleep } from 'node:timers/promises';
import { CLIENT_ADDRESSES, ROUTERS, type Router, wallNow } from '../lab/pair/topology.ts';
import { type Act, activeIs, clientIsServed, logged, routersTest, settled } from './io/act.ts';
import { type Direction, lose } from './io/faults.ts';

/** Long enough for both to conclude all they can. */
const CONCLUDED_MS = 3_000;
/** vipd looks for neighbours once a second, and asks those that it has found. */
const FOUND_MS = 2_500;

const loses = ({ routers }: Act, router: Router, direction: Direction) =>
  lose(routers.topology, router, { legs: ['clients'], directions: [direction], what: 'all' });

/** A default gateway on the clients' LAN: the routers have sent it nothing yet. */
async function withGateway(act: Act): Promise<void> {
  for (const router of ROUTERS)
    await act.routers.topology.exec(router, 'ip', ['route', 'add', 'default', 'via', CLIENT_ADDRESSES[1], 'dev', 'c0']);
  await sleep(FOUND_MS);
}

async function nothingMoves(act: Act, since: number): Promise<void> {
  const { t, routers } = act;
  await sleep(CONCLUDED_MS);
  t.deepEqual(routers.holders(), ['r1']);
  t.is(routers.goneAt('r1', since), undefined, 'the VIP never left r1');
  t.is(logged(act, 'r2', 'LAN_DEAD')[0]?.lan, 'clients', 'the standby knows that it could not serve');
  await clientIsServed(act);
}

for (const direction of ['in', 'out'] as const) {
  routersTest(
    `nobody known but the peer, the standby loses all that goes ${direction}: nothing moves`,
    {},
    async act => {
      await settled(act);
      const at = wallNow();
      await loses(act, 'r2', direction);
      await nothingMoves(act, at);
    },
  );

  routersTest(`a gateway answers, the standby loses all that goes ${direction}: nothing moves`, {}, async act => {
    await settled(act);
    await withGateway(act);
    const at = wallNow();
    await loses(act, 'r2', direction);
    await nothingMoves(act, at);
  });

  routersTest(`a gateway answers, the owner loses all that goes ${direction}: it hands over`, {}, async act => {
    await settled(act);
    await withGateway(act);
    await loses(act, 'r1', direction);
    await activeIs(act, 'r2', CONCLUDED_MS);
    await clientIsServed(act);
    await sleep(CONCLUDED_MS);
    act.t.deepEqual(act.routers.holders(), ['r2'], 'and it stays there');
  });
}

async function clientIsKnown(act: Act): Promise<void> {
  await settled(act);
  await clientIsServed(act);
  await sleep(FOUND_MS);
}

routersTest('a client has spoken to the owner, which then loses all that comes in: it hands over', {}, async act => {
  await clientIsKnown(act);
  await loses(act, 'r1', 'in');
  await activeIs(act, 'r2', CONCLUDED_MS);
  await clientIsServed(act);
});

routersTest('a client that was the only neighbour goes: nothing moves', {}, async act => {
  await clientIsKnown(act);
  const at = wallNow();
  await act.routers.topology.exec('client', 'ip', ['link', 'set', 'c0', 'down']);
  await sleep(CONCLUDED_MS);
  act.t.deepEqual(act.routers.holders(), ['r1']);
  act.t.is(act.routers.goneAt('r1', at), undefined);
  for (const router of ROUTERS) act.t.deepEqual(logged(act, router, 'LAN_DEAD'), []);
});
