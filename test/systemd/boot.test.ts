// The installed units under a real systemd (as process 1 of namespaces of its own): privileges, real time, watchdog, restart,
// clean stop, and who may read the sockets. Needs root and systemd; the config has no services, so no IPVS is needed.
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { builtTree, emptyDirectory, HELPERS, REPOSITORY, run, runScript } from './install.ts';

const CONFIG = `
pair: units
routers: { router-a: {}, router-b: {} }
lans:
  client:
    interface: eth0
    addresses: { router-a: 192.0.2.2/24, router-b: 192.0.2.3/24 }
    vips: [192.0.2.100]
heartbeat:
  links: [client]
witness:
  redis: { host: 192.0.2.9 }
fitness:
  checks:
    rights: { script: [/etc/tandem/checks/rights], interval: 1s, rise: 1, fall: 1, timeout: 20s }
    well: { script: [/bin/sh, -c, 'exit 0'], interval: 1s, rise: 1, fall: 1, timeout: 20s }
    open: { script: [/tmp/check], interval: 1s, rise: 1, fall: 1 }
`;

/** CAP_NET_BIND_SERVICE (10), CAP_NET_ADMIN (12), CAP_NET_RAW (13), CAP_SYS_NICE (23). */
const PULSE_CAPABILITIES = '0000000000803400';

async function boot(directory: string): Promise<Map<string, string>> {
  const tree = await builtTree();
  for (const helper of HELPERS) await cp(join(REPOSITORY, helper), join(tree, helper));
  const stage = join(directory, 'stage');
  await runScript(tree, 'install', { DESTDIR: stage });
  await rm(tree, { recursive: true });
  const config = join(directory, 'tandem.yaml');
  const results = join(directory, 'results');
  await writeFile(config, CONFIG);
  const machine = join(REPOSITORY, 'test/systemd/machine');
  const scenario = join(REPOSITORY, 'test/systemd/scenario');
  await run(machine, [stage, config, scenario, results], { timeout: 170_000, killSignal: 'SIGTERM' });
  const lines = (await readFile(results, 'utf8')).split('\n').filter(line => line.includes('='));
  return new Map(lines.map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

test('under systemd the daemons get what they need and no more, and nothing they do needs a person', async t => {
  t.timeout(180_000);
  const directory = await emptyDirectory();
  const seen = await boot(directory);
  const log = async (unit: string) => await readFile(join(directory, `results.${unit}`), 'utf8').catch(() => '');
  t.log(Object.fromEntries(seen));
  if (seen.get('start') !== '0') t.log(await log('tandem-pulse'));
  t.is(seen.get('start'), '0', 'READY=1 came through vipd');
  t.is(seen.get('class'), 'SCHED_RR 50');
  t.is(seen.get('thread_classes'), 'SCHED_RR 50', 'all threads: one left behind would never run on one processor');
  t.is(seen.get('vipd_class'), 'SCHED_RR 51', 'one above pulse');
  t.is(seen.get('witness_class'), 'SCHED_OTHER 0', 'not in the way of the heartbeat');
  t.is(seen.get('capabilities'), PULSE_CAPABILITIES);
  t.is(seen.get('seccomp'), '2');
  t.is(seen.get('vip_after_start'), '1');
  t.is(seen.get('run_directory'), '750 root:tandem');
  t.is(seen.get('state_directory'), '700 root:tandem');
  t.is(seen.get('feed'), '660 root:tandem');
  t.regex(seen.get('control') ?? '', /^600 root:/);
  t.is(seen.get('restarts_when_well'), '0', 'the watchdog is fed');
  t.is(seen.get('restarts_after_freeze'), '1', 'the watchdog ends a frozen pulse');
  t.is(seen.get('restarts_after_kill'), '2');
  t.is(seen.get('vip_after_kill'), '1');
  t.is(seen.get('director_start'), '0');
  t.is(seen.get('status_socket'), '660 root:tandem');
  t.is(seen.get('status_as_member'), '0');
  t.is(seen.get('status_as_stranger'), '7', 'curl: could not connect');
  t.is(seen.get('ping'), '0', 'a check by ICMP may do what it needs under the unit');
  t.is(seen.get('director_follows_nft'), '1', 'setpriv and nft may do what they need under the unit');
  t.is(seen.get('suid_without_unit'), '0', 'a set-user-ID program makes others root');
  t.is(
    seen.get('script'),
    'failing: exit status 1: user tandem-runner caps 0000000000000000 bounds 0000000000000000 no-new-privileges 1 ' +
      // curl: 7, it could not connect. Descriptors: none but those three and the directory.
      `set-user-ID ${seen.get('runner_user')} key 0 write no ask 7 descriptors 0 1 2 3`,
    'a script has no right and gets none',
  );
  t.is(seen.get('pulse_counts'), '0', 'pulse knows of the one that fails');
  t.is(seen.get('script_well'), 'passing: exit status 0');
  t.regex(seen.get('script_untrusted') ?? '', /^unknown: (there is no|\/tmp can be written by others)/);
  t.is(seen.get('runner_socket'), '600 root:root 755 root:root');
  t.is(seen.get('runner_tasks'), '128');
  t.is(seen.get('runner_after_kill'), '0', 'the next request starts it anew');
  t.is(seen.get('script_after_kill'), '0');
  t.is(seen.get('runner_after_stop'), 'inactive inactive 0', 'it stops with the director');
  t.is(seen.get('director_reload'), '0 0');
  t.is(seen.get('director_stop'), 'success 1', 'the VIP stays without the director');
  t.is(seen.get('pulse_stop'), 'success inactive');
  t.is(seen.get('vip_after_stop'), '0', 'the kernel ends an address that nobody keeps');
  t.is(seen.get('run_directory_after_stop'), '750 root:tandem');
  t.is(seen.get('processes_left'), '0');
  t.is(seen.get('start_without_class'), '0 SCHED_OTHER 0', 'refused, as in a container: pulse runs without it');
  t.is(seen.get('vip_without_class'), '1');
  t.regex(await log('tandem-pulse'), /REALTIME_REFUSED/);
  t.is(seen.get('bad_config_start'), '1');
  t.is(seen.get('bad_config'), 'exit-code 78 0', 'a bad config is not tried again and again');
  await rm(directory, { recursive: true });
});
