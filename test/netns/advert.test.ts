// The router's own default route from router advertisements, on the machine's own kernel: the director switches IPv6 forwarding on,
// and the route stays. Needs root and `scripts/setup`.
import test from 'ava';
import type { Router, Topology } from '../lab/pair/topology.ts';
import { startDirector } from './io/plane.ts';
import { buildRouters } from './io/routers.ts';
import { buildTools } from './io/vip-watch.ts';
import { sleep } from './io/vipd.ts';

const FROM = 'fe80000000000000000000000000abcd';
const ALL_NODES = 'ff020000000000000000000000000001';

/** An Ethernet frame with a router advertisement (RFC 4861, 4.2): a default router for half an hour. */
function advertisement(): Buffer {
  const icmp = Buffer.from('8600000040000708000000000000000000000000'.slice(0, 32), 'hex');
  const addresses = Buffer.from(FROM + ALL_NODES, 'hex');
  const tail = Buffer.from([0, 0, 0, icmp.length, 0, 0, 0, 58]);
  icmp.writeUInt16BE(checksum(Buffer.concat([addresses, tail, icmp])), 2);
  const ethernet = Buffer.from('333300000001020000000abc86dd', 'hex');
  const header = Buffer.from([0x60, 0, 0, 0, 0, icmp.length, 58, 255]);
  return Buffer.concat([ethernet, header, addresses, icmp]);
}

/** The Internet checksum of an even number of bytes. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

async function defaultRoute(topology: Topology, router: Router): Promise<string> {
  return (await topology.exec(router, 'ip', ['-6', 'route', 'show', 'default'])).stdout.trim();
}

test.serial(
  'the default route from router advertisements survives the forwarding that the director switches on',
  async t => {
    t.timeout(90_000);
    const tools = await buildTools();
    const routers = await buildRouters({ prefix: `tp${process.pid}-ra-`, config: { ipv6: true } });
    const { topology } = routers;
    const forwarding = async (router: Router) =>
      (await topology.exec(router, 'cat', ['/proc/sys/net/ipv6/conf/all/forwarding'])).stdout.trim();
    try {
      for (const router of ['r1', 'r2'] as const) {
        t.is(await forwarding(router), '0');
        await topology.exec('client', tools.wire, ['send', 'c0', advertisement().toString('hex')]);
        await routers.until(`route on ${router}`, 5_000, async () =>
          /via fe80::abcd .*proto ra/.test(await defaultRoute(topology, router)),
        );
      }
      // What the kernel does by itself, so that this test can fail.
      await topology.exec('r2', 'sysctl', ['-qw', 'net.ipv6.conf.all.forwarding=1']);
      t.is(await defaultRoute(topology, 'r2'), '');
      startDirector(routers, 'r1', { ipv6: true });
      await routers.until('forwarding', 20_000, async () => (await forwarding('r1')) === '1');
      await sleep(500);
      t.regex(await defaultRoute(topology, 'r1'), /via fe80::abcd .*proto ra/);
      // And it can be renewed.
      await topology.exec('r1', 'ip', ['-6', 'route', 'del', 'default']);
      await topology.exec('client', tools.wire, ['send', 'c0', advertisement().toString('hex')]);
      await routers.until('route again', 5_000, async () => /proto ra/.test(await defaultRoute(topology, 'r1')));
    } finally {
      await routers.destroy();
      await tools.remove();
    }
  },
);
