// What must be alerted on about real servers, made real: two directors check two real vsftpd that are killed, get a certificate that
// soon ends, and come back. Without IPVS the pair settles before it gets its directors (io/plane.ts). Needs root and scripts/setup.
import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { Fault, Scrapes } from '../lab/pair/alarm.ts';
import { type FileServer, ROUTERS, SERVER_ADDRESSES, VIP } from '../lab/pair/topology.ts';
import { type KeyPair, makeCertificate } from '../nanny/certificates.ts';
import { withRouters } from './io/act.ts';
import { type FtpdNamespace, ftpdNamespace } from './io/ftpd-namespace.ts';
import { eventsOf, startDirector } from './io/plane.ts';
import type { Routers } from './io/routers.ts';
import { vsftpdTls } from './io/vsftpd-tls.ts';
import { WatchedPair } from './io/watched-pair.ts';

/** Nothing here is about failover. */
const TIMES = { interval: '200ms', lease: '2s', dead: '3s' };
const HOSTS = ['fs1', 'fs2'] as const satisfies readonly FileServer[];
type Host = (typeof HOSTS)[number];

/** Two hosts, each with a vsftpd that is killed and started again. */
class Servers {
  readonly #places: Readonly<Record<Host, FtpdNamespace>>;
  readonly #running = new Map<Host, ChildProcess>();
  #started = 0;

  private constructor(places: Readonly<Record<Host, FtpdNamespace>>) {
    this.#places = places;
  }

  static async on({ topology }: Routers): Promise<Servers> {
    const [fs1, fs2] = [
      await ftpdNamespace(topology.namespace('fs1'), [], 'given'),
      await ftpdNamespace(topology.namespace('fs2'), [], 'given'),
    ];
    for (const { root } of [fs1, fs2]) {
      await writeFile(join(root, 'whoami'), 'one of them\n');
      await chmod(join(root, 'whoami'), 0o644);
    }
    return new Servers({ fs1, fs2 });
  }

  async start(host: Host, pair: KeyPair): Promise<void> {
    const place = this.#places[host];
    this.#started += 1;
    const child = await place.ftpd('vsftpd', `run-${this.#started}`, async scratch => {
      const file = join(scratch, 'conf');
      const about = { address: SERVER_ADDRESSES[host], vip: VIP, root: place.root, scratch, pair };
      const more = ['no_anon_password=YES', 'require_ssl_reuse=NO'];
      await writeFile(file, vsftpdTls({ ...about, more }), { mode: 0o600 });
      return [file];
    });
    this.#running.set(host, child);
    await place.listening(21, 1);
  }

  async kill(host: Host): Promise<void> {
    const child = this.#running.get(host);
    if (!child || child.exitCode !== null) return;
    const ended = new Promise(resolve => child.on('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  async close(): Promise<void> {
    for (const place of Object.values(this.#places)) await place.close();
  }
}

const server = (metric: string, host: Host) => `tandem_server_${metric}{service="ftp",server="${host}"}`;
const onBoth = (now: Scrapes, isSo: (scrape: Readonly<Record<string, number>>) => boolean) =>
  ROUTERS.every(router => isSo(now[router] ?? {}));
const areUp = (now: Scrapes) => onBoth(now, scrape => HOSTS.every(host => scrape[server('up', host)] === 1));

function serverFaults(servers: Servers, good: KeyPair, ending: KeyPair): Fault[] {
  const restart = async (host: Host, pair: KeyPair) => {
    await servers.kill(host);
    await servers.start(host, pair);
  };
  return [
    {
      title: 'server down',
      alert: 'TandemServerDown',
      labels: { instance: 'r1', service: 'ftp', server: 'fs1' },
      events: [
        ['r1', 'SERVER_DOWN'],
        ['r2', 'SERVER_DOWN'],
      ],
      isShown: now =>
        onBoth(now, scrape => scrape['tandem_server_state{service="ftp",server="fs1",state="down"}'] === 1),
      begin: () => servers.kill('fs1'),
      end: () => servers.start('fs1', good),
      isOver: areUp,
    },
    {
      title: 'no server left',
      alert: 'TandemNoServerUp',
      labels: { instance: 'r1', service: 'ftp' },
      // NO_SERVER_UP is of routers whose kernel has IPVS: the lab has that.
      events: [['r1', 'SERVER_DOWN']],
      isShown: now => onBoth(now, scrape => HOSTS.every(host => scrape[server('up', host)] === 0)),
      begin: () => Promise.all(HOSTS.map(host => servers.kill(host))),
      end: () => Promise.all(HOSTS.map(host => servers.start(host, good))),
      isOver: areUp,
    },
    {
      title: 'certificate expiring',
      alert: 'TandemCertificateExpires',
      labels: { instance: 'r1', service: 'ftp', server: 'fs1' },
      events: [['r1', 'CERTIFICATE_EXPIRES']],
      isShown: now => onBoth(now, scrape => (scrape[server('certificate_days_left', 'fs1')] ?? 99) < 14),
      begin: () => restart('fs1', ending),
      end: () => restart('fs1', good),
      isOver: now => areUp(now) && onBoth(now, scrape => (scrape[server('certificate_days_left', 'fs1')] ?? 0) > 14),
    },
  ];
}

test.serial('each fault of the real servers is logged, moves a metric, fires its alert, and ends with it', async t => {
  await withRouters(t, { times: TIMES }, async routers => {
    const watched = new WatchedPair(routers, text => t.log(text));
    const { alarm } = watched;
    const keys = join(routers.directory, 'keys');
    mkdirSync(keys, { mode: 0o700 });
    const good = makeCertificate(keys, 'good', ['DNS:ftp.example'], 90);
    const ending = makeCertificate(keys, 'ending', ['DNS:ftp.example'], 5);
    const servers = await Servers.on(routers);
    try {
      for (const host of HOSTS) await servers.start(host, good);
      for (const router of ROUTERS) routers.start(router);
      await routers.settle('r1');
      const edit = (text: string) => text.replace('check: { interval: 10s', 'check: { interval: 1s, fall: 2');
      const check = 'tls: explicit, tls_verify: none';
      for (const router of ROUTERS)
        watched.setDirector(router, startDirector(routers, router, { ...TIMES, hosts: HOSTS, check, edit }));
      await routers.until('both find both servers up', 60_000, async () => areUp(await alarm.scrape()));
      for (const fault of serverFaults(servers, good, ending)) await alarm.happens(fault);
      await watched.judge();
      t.true(eventsOf(watched.director('r1'), 'SERVER_UP').length >= 2 + 3);
    } catch (error) {
      for (const router of ROUTERS) t.log(router, watched.director(router).log.slice(-8));
      throw error;
    } finally {
      await servers.close();
    }
  });
});
