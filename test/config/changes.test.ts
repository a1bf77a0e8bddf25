// What changes between two configs, in words.
import test from 'ava';
import { type ConfigChange, configChanges } from '../../src/config/changes.ts';
import { parseConfig } from '../../src/config/document.ts';
import { SOUND } from './mistakes.ts';

function config(text: string) {
  const parsed = parseConfig(text);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.mistakes));
  return parsed.config;
}

/** The changes of SOUND by an edit of its text, and those of the way back. */
function edited(edit: (text: string) => string): { there: string[]; back: string[] } {
  const text = edit(SOUND);
  if (text === SOUND) throw new Error('the edit changes nothing');
  const [before, after] = [config(SOUND), config(text)];
  const line = ({ kind, path, words }: ConfigChange) => `${kind} ${path}: ${words}`;
  return { there: configChanges(before, after).map(line), back: configChanges(after, before).map(line) };
}

const FTP3 = `${SOUND.trimEnd()}\n      ftp3: { address: 198.51.100.13, weight: 3 }\n`;
const WEB = `${SOUND.trimEnd()}
  other:
    vip: 192.0.2.101
    servers_lan: servers
    mark: 99
    servers: { o1: { address: 198.51.100.21 }, o2: { address: 198.51.100.22 } }
`;

test('a file that says the same in other words has no changes', t => {
  const same = SOUND.replace('interval: 100ms', 'interval: 100ms\n  alone_keep: 5000ms').replace(
    'b: {}',
    'b: { priority: 100 }',
  );
  t.deepEqual(configChanges(config(SOUND), config(same)), []);
});

test('a server that comes or goes is named, with what becomes of its clients', t => {
  const { there, back } = edited(() => FTP3);
  t.deepEqual(there, ['added services.ftp.servers.ftp3: 198.51.100.13, weight 3 once it passes its checks']);
  t.deepEqual(back, [
    'removed services.ftp.servers.ftp3: 198.51.100.13, no new clients; its connections finish, within 1d (ipvs.drain)',
  ]);
});

test('a service that comes or goes is one change', t => {
  const { there, back } = edited(() => WEB);
  t.deepEqual(there, ['added services.other: VIP 192.0.2.101, mark 99, servers o1, o2']);
  t.deepEqual(back, ['removed services.other: takes no new clients; its connections finish, within 1d (ipvs.drain)']);
});

test('a weight, a duration, a range, a schedule and a list read as they are written', t => {
  const before = FTP3.replace('    servers_lan: servers', '    servers_lan: servers\n    persistence: 90s');
  const after = before
    .replace('weight: 3', 'weight: 1')
    .replace('persistence: 90s', 'persistence: 1h')
    .replace('passive_ports: 10000-12000', 'passive_ports: 30000-30999')
    .replace('control_port: 21', 'control_port: [21, 990]')
    .replace('"*/30 * * * * *"', '30s')
    .replace('targets: [192.0.2.1]', 'targets: [192.0.2.1, 192.0.2.9]')
    .replace('dead: 300ms', 'dead: 600ms');
  t.notDeepEqual(config(before), config(after));
  const lines = configChanges(config(before), config(after)).map(({ path, words }) => `${path}: ${words}`);
  const about = (path: string) => lines.find(line => line.startsWith(`${path}: `));
  t.is(about('services.ftp.servers.ftp3.weight'), 'services.ftp.servers.ftp3.weight: 3 -> 1');
  t.is(about('services.ftp.persistence'), 'services.ftp.persistence: 90s -> 1h');
  t.regex(about('services.ftp.passive_ports') ?? '', /: 10000-12000 -> 30000-30999$/);
  t.is(about('ipvs.audit'), 'ipvs.audit: "*/30 * * * * *" -> 30s');
  t.is(about('lans.client.targets'), 'lans.client.targets: [192.0.2.1] -> [192.0.2.1, 192.0.2.9]');
  t.is(about('heartbeat.dead'), 'heartbeat.dead: 300ms -> 600ms');
  t.regex(about('services.ftp.control_port') ?? '', /: \[21\] -> \[21, 990\]$/);
  t.is(lines.length, 7);
});

test('limits of a check by stage are durations, and one that was not there is added', t => {
  const { there } = edited(text =>
    text.replace('      timeout: 8s', '      timeout: 8s\n      slow_fail: { whole: 5s }'),
  );
  t.deepEqual(there, ['added services.ftp.check.slow_fail.whole: 5s']);
});
