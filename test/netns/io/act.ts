// A test on two real routers of its own: built for it and removed whatever happens, in the real-time class as in pulse's unit. What
// each logged last is shown when it fails. Io.
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { Snapshot } from '../../../src/feed/message.ts';
import { CLIENT_ADDRESSES, ROUTERS, type Router, VIP } from '../../lab/pair/topology.ts';
import { buildRouters, type RouterOptions, type Routers } from './routers.ts';

/** D of the default times. */
export const DEAD_MS = 300;
let built = 0;

export interface Act {
  readonly t: ExecutionContext;
  readonly routers: Routers;
}

export async function withRouters(
  t: ExecutionContext,
  options: Omit<RouterOptions, 'prefix'>,
  body: (routers: Routers) => Promise<void>,
): Promise<void> {
  t.timeout(180_000);
  built += 1;
  // A prefix that scripts/test sweeps.
  const prefix = `tp${process.pid}-a${built}-`;
  const routers = await buildRouters({ prefix, scheduling: ['chrt', '--rr', '50'], ...options });
  try {
    await body(routers);
  } catch (error) {
    for (const [name, pulse] of Object.entries(routers.pulses)) t.log(name, pulse?.log.slice(-14));
    throw error;
  } finally {
    await routers.destroy();
  }
}

export function routersTest(
  title: string,
  options: Omit<RouterOptions, 'prefix'>,
  body: (act: Act) => Promise<void>,
): void {
  test.serial(title, t => withRouters(t, options, routers => body({ t, routers })));
}

/** Both are started, r1 is active and has been for a while. */
export async function settled({ routers }: Act): Promise<void> {
  for (const router of ROUTERS) routers.start(router);
  await routers.settle('r1');
  await sleep(2 * DEAD_MS);
}

export async function activeIs({ routers }: Act, router: Router, within: number): Promise<Snapshot> {
  let last: Snapshot | undefined;
  await routers.until(`${router} active`, within, async () => {
    last = await routers.snapshot(router);
    return last?.role === 'active' && last.serving;
  });
  return last as Snapshot;
}

export const logged = ({ routers }: Act, router: Router, code: string) =>
  routers.pulses[router]?.log.filter(line => line.code === code) ?? [];

/** A client reaches the VIP. */
export async function clientIsServed({ t, routers }: Act, vip: string = VIP): Promise<void> {
  const from = vip.includes(':') ? [] : ['-I', CLIENT_ADDRESSES[0]];
  const ping = ['-n', '-c', '3', '-i', '0.2', '-W', '1', ...from, vip];
  t.regex((await routers.topology.exec('client', 'ping', ping)).stdout, / 0% packet loss/);
}
