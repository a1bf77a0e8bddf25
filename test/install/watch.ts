// What the routers' neighbours and disks can tell about a VIP over time: its longest silence, and
// for how long two had it. Io.
import { setTimeout as sleep } from 'node:timers/promises';
import { ROUTERS, type Router, VIP } from '../lab/pair/topology.ts';
import type { Lab } from '../lab/scenarios/scenario.ts';
import type { DebianPair } from './pair.ts';

export interface VipWatch {
  /** The longest time without an answer, in ms. */
  readonly stop: () => Promise<number>;
}

/** Asks the VIP ten times a second, from the client. */
export function watchVip(lab: Lab): VipWatch {
  const child = lab.topology.start('client', 'ping', ['-n', '-i', '0.1', VIP], { stdio: ['ignore', 'pipe', 'ignore'] });
  let [last, longest] = [performance.now(), 0];
  const seen = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    if (text.includes('bytes from')) seen();
  });
  return {
    stop: async () => {
      await sleep(300);
      // Silence that has not ended counts, too.
      seen();
      child.kill('SIGKILL');
      return Math.round(longest);
    },
  };
}

export interface Held {
  /** Total time in which two routers had the VIP, in ms. */
  readonly bothMs: number;
  /** Who had it, one after the other. */
  readonly owners: readonly Router[];
}

interface Change {
  readonly at: number;
  readonly router: Router;
  readonly holds: boolean;
}

/** Pure: from each router's changes, in ms since 1970, to who held it. */
export function heldBy(changes: readonly Change[]): Held {
  const holders = new Set<Router>();
  const owners: Router[] = [];
  let [bothMs, since] = [0, 0];
  for (const { at, router, holds } of [...changes].sort((a, b) => a.at - b.at)) {
    if (holders.size > 1) bothMs += at - since;
    since = at;
    if (holds) {
      holders.add(router);
      owners.push(router);
    } else holders.delete(router);
  }
  return { bothMs: Math.round(bothMs), owners };
}

/**
 * Each router writes down when the VIP comes and goes, looking four times a second: all machines
 * have the host's clock.
 */
export async function watchHolders(pair: DebianPair): Promise<{ stop: () => Promise<Held> }> {
  const look = `exec 3<>/run/lab-never
was=0
while :; do
  now=0
  [ -z "$(ip -o address show to ${VIP})" ] || now=1
  [ "$now" = "$was" ] || echo "\${EPOCHREALTIME/[.,]/} $now"
  was=$now
  read -r -t 0.25 _ <&3
done >/lab/held`;
  await pair.both(machine =>
    machine.exec(`cat >/run/lab-look <<'LOOK'\n${look}\nLOOK\nsystemd-run -q --unit=lab-look bash /run/lab-look`),
  );
  return {
    stop: async () => {
      const held = await pair.both(machine => machine.exec('systemctl stop lab-look; cat /lab/held'));
      const changes = ROUTERS.flatMap(router =>
        held[router]
          .split('\n')
          .filter(line => line !== '')
          .map(line => line.split(' '))
          .map(([us, holds]) => ({ at: Number(us) / 1_000, router, holds: holds === '1' })),
      );
      return heldBy(changes);
    },
  };
}
