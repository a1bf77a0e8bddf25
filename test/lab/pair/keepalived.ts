// keepalived in the lab, in the place of Tandem's daemons: VRRP, IPVS with its own checks, the kernel's sync daemons. Io; the
// config text is pure. keepalived sets no firewall marks and no source NAT: it gets the same rules that Tandem's director writes.
// `tuned`: also with Tandem's guard and kernel settings, which no manual of keepalived tells one to have.
import { mkdir, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseConfig } from '../../../src/config/document.ts';
import type { Config } from '../../../src/config/schema.ts';
import { wantedSysctls } from '../../../src/director/sysctl.ts';
import { firewallOf, ruleset } from '../../../src/firewall/ruleset.ts';
import type { Lab } from '../scenarios/scenario.ts';
import { labConfig, labTimes } from './config.ts';
import { GATEWAY, ROUTERS, type Router, SERVER_ADDRESSES, VIP } from './topology.ts';

export interface KeepalivedOptions {
  /** VRRP's advertisement interval, Tandem's H. The backup takes over after 3 to 4 of them. */
  readonly intervalMs: number;
  readonly persistenceS: number;
  readonly tuned: boolean;
}

export interface KeepalivedPair {
  /** Who holds the VIP; throws when nobody does within 30 s. */
  readonly active: () => Promise<Router>;
  /** A router whose power was cut comes back and stands by: sync daemon up, real servers in. */
  readonly comeBack: (router: Router) => Promise<void>;
}

const OWN: Readonly<Record<Router, string>> = { r1: '192.0.2.2', r2: '192.0.2.3' };
const PRIORITY: Readonly<Record<Router, number>> = { r1: 110, r2: 100 };
const SYNC_ID = 21;

/**
 * keepalived.conf of one router. Like Tandem it does not fail back by itself (nopreempt), its VRRP process is in the real-time
 * class, and long transfers keep their control connection (lvs_timeouts).
 */
export function keepalivedConfig(router: Router, { intervalMs, persistenceS }: KeepalivedOptions): string {
  const peer = router === 'r1' ? 'r2' : 'r1';
  const servers = Object.values(SERVER_ADDRESSES).map(
    address => `  real_server ${address} 0 {
    weight 1
    TCP_CHECK {
      connect_port 21
      connect_timeout 15
      retry 2
      delay_before_retry 5
    }
  }`,
  );
  return `global_defs {
  router_id ${router}
  vrrp_version 3
  vrrp_rt_priority 50
  lvs_sync_daemon x0 lab id ${SYNC_ID}
  lvs_timeouts tcp 7200 tcpfin 120
}
vrrp_instance lab {
  state BACKUP
  nopreempt
  interface c0
  virtual_router_id 51
  priority ${PRIORITY[router]}
  advert_int ${intervalMs / 1000}
  unicast_src_ip ${OWN[router]}
  unicast_peer {
    ${OWN[peer]}
  }
  virtual_ipaddress {
    ${VIP}/32 dev c0
    ${GATEWAY}/24 dev s0
  }
}
virtual_server fwmark 21 {
  delay_loop 10
  lb_algo wlc
  lb_kind NAT
  persistence_timeout ${persistenceS}
${servers.join('\n')}
}
`;
}

/** Starts keepalived on both routers and waits until one holds the VIP and both have the real servers. */
export async function startKeepalived(lab: Lab, options: KeepalivedOptions): Promise<KeepalivedPair> {
  await Promise.all(ROUTERS.map(router => startOn(lab, router, options)));
  await Promise.all(ROUTERS.map(router => untilStandsBy(lab, router)));
  const pair: KeepalivedPair = {
    active: () => holder(lab),
    comeBack: async router => {
      await lab.topology.restorePower(router);
      await startOn(lab, router, options);
      await untilStandsBy(lab, router);
    },
  };
  lab.say(`keepalived: ${await pair.active()} holds the VIP`);
  return pair;
}

async function startOn({ topology, dir, results }: Lab, router: Router, options: KeepalivedOptions): Promise<void> {
  const config = dataPlaneConfig(options);
  const { stdout: modules } = await topology.exec(router, 'ipvsadm', ['-Ln']);
  if (!modules.startsWith('IP Virtual Server')) throw new Error(`no IPVS on ${router}: ${modules.slice(0, 100)}`);
  const sysctls = options.tuned
    ? wantedSysctls(config).map(({ name, value }) => `${name}=${value}`)
    : ['net.ipv4.ip_forward=1'];
  // -e: some are the host's alone (net.core.rmem_max), and not there in a namespace.
  await topology.exec(router, 'sysctl', ['-eqw', ...sysctls]);
  const rules = ruleset(firewallOf(config, router));
  const guard = ['guard_in', 'guard_out'].map(chain => `flush chain inet tandem ${chain}\n`);
  await topology.exec(router, 'nft', ['-f', '-'], { input: options.tuned ? rules : `${rules}${guard.join('')}` });
  const place = path.join(dir, `keepalived-${router}`);
  await mkdir(place, { recursive: true });
  const file = path.join(place, 'keepalived.conf');
  await writeFile(file, keepalivedConfig(router, options), { mode: 0o600 });
  const log = await open(path.join(results, `${router}-keepalived.log`), 'a');
  const pids = ['-p', 'keepalived.pid', '-r', 'vrrp.pid', '-c', 'checkers.pid'].map((word, index) =>
    index % 2 === 0 ? word : path.join(place, word),
  );
  const child = topology.start(
    router,
    'keepalived',
    ['--dont-fork', '--log-console', '--log-detail', '--no-syslog', '-f', file, ...pids],
    { stdio: ['ignore', log.fd, log.fd], detached: true },
  );
  child.on('error', error => process.stderr.write(`keepalived on ${router} did not start: ${error.message}\n`));
  await log.close();
}

/** Tandem's own config for this lab, of which the rules and settings are taken. */
function dataPlaneConfig({ persistenceS }: KeepalivedOptions): Config {
  const parsed = parseConfig(labConfig({ ...labTimes(), keyFile: '/nowhere', persistence: `${persistenceS}s` }));
  if (!parsed.ok) throw new Error(`the lab's config is wrong: ${JSON.stringify(parsed.mistakes).slice(0, 500)}`);
  return parsed.config;
}

async function untilStandsBy({ topology }: Lab, router: Router): Promise<void> {
  let last = '';
  for (let tries = 0; tries < 120; tries++) {
    const { stdout: table } = await topology.exec(router, 'ipvsadm', ['-Ln']);
    const { stdout: daemons } = await topology.exec(router, 'ipvsadm', ['-L', '--daemon']);
    last = `${table}${daemons}`;
    const servers = Object.values(SERVER_ADDRESSES).filter(address => table.includes(`${address}:0`));
    if (servers.length === Object.keys(SERVER_ADDRESSES).length && /sync daemon|mcast=/.test(daemons)) return;
    await sleep(250);
  }
  throw new Error(`keepalived on ${router} is not ready after 30 s: ${last}`);
}

async function holder({ topology }: Lab): Promise<Router> {
  for (let tries = 0; tries < 100; tries++) {
    for (const router of ROUTERS) {
      const { stdout } = await topology.exec(router, 'ip', ['-o', 'address', 'show', 'dev', 'c0', 'up']);
      const { stdout: links } = await topology.exec('lan', 'ip', ['-o', 'link', 'show', 'dev', `${router}-c0`]);
      // A router without power still has the address, behind a dead link.
      if (stdout.includes(`${VIP}/`) && /[<,]UP[,>]/.test(links)) return router;
    }
    await sleep(200);
  }
  throw new Error('nobody holds the VIP after 30 s');
}
