// Who a new owner of DR and TUN knows: from the mirror of the sync to nft's text.
import test from 'ava';
import { knowing, knownClients } from '../../../src/firewall/known-clients.ts';
import { firewallOf, ruleset } from '../../../src/firewall/ruleset.ts';
import { createSynParser } from '../../../src/sync/kernel/syn-reports.ts';
import { clientsOf } from '../../../src/sync/table/clients-of.ts';
import { Mirror } from '../../../src/sync/table/mirror.ts';
import { scopeOf } from '../../../src/sync/table/scope.ts';
import { configOf, FTP_DR, FTP6_TUN, NODE } from '../../director/fixture.ts';
import { at } from '../stream/sync-entries.ts';

const SYNS = `23 192.0.2.112 203.0.113.9 40001 192.0.2.100 21
23 192.0.2.112 203.0.113.77 40001 192.0.2.100 21
24 2001:db8:9::11 2001:db8:5:16::9 40002 2001:db8:1::100 21
`;

/** What a takeover writes, when the old owner saw SYNS. */
function takenOver(prefix: number | undefined, prefix6: number | undefined) {
  const services = {
    ftp: { ...FTP_DR, ...(prefix !== undefined && { persistence_prefix: prefix }) },
    ftp6: { ...FTP6_TUN, ...(prefix6 !== undefined && { persistence_prefix: prefix6 }) },
  };
  const config = configOf({ services });
  const scope = scopeOf(config);
  const mirror = new Mirror();
  for (const entry of createSynParser(() => scope).push(Buffer.from(SYNS))) mirror.upsert(entry, at(0));
  const synced = (ms: number) => clientsOf(mirror, scope, ['ftp', 'ftp6', 'gone'], at(ms));
  return {
    clients: synced(0),
    later: synced(400_000),
    text: knowing(knownClients(config, { synced: synced(0) })),
    rules: ruleset(firewallOf(config, NODE)),
  };
}

test('each client with a template is known, and no one once it has ended', t => {
  const { clients, later, text } = takenOver(undefined, undefined);
  t.deepEqual(
    [...clients],
    [
      ['ftp', ['203.0.113.9', '203.0.113.77']],
      ['ftp6', ['2001:db8:5:16::9']],
      ['gone', []],
    ],
  );
  t.deepEqual([...later.values()], [[], [], []]);
  t.regex(text, /known_ftp \{ 203\.0\.113\.9 timeout 7200s, 203\.0\.113\.77 timeout 7200s \}/);
});

test('with a persistence_prefix a takeover makes the network known that the rules look for', t => {
  const { text, rules } = takenOver(24, 60);
  t.is(
    text,
    `add element inet tandem known_ftp { 203.0.113.0 timeout 7200s }
add element inet tandem known_ftp6 { 2001:db8:5:10:: timeout 7200s }
`,
  );
  const [ftp, ftp6] = [/ip saddr & (\S+) @known_ftp meta/, /ip6 saddr & (\S+) @known_ftp6 meta/];
  t.is(ftp.exec(rules)?.[1], '255.255.255.0');
  t.is(ftp6.exec(rules)?.[1], 'ffff:ffff:ffff:fff0::');
});

test('services that are not asked for have no list', t => {
  const config = configOf({ services: { ftp: FTP_DR, ftp6: FTP6_TUN } });
  t.deepEqual([...clientsOf(new Mirror(), scopeOf(config), [], at(0))], []);
});
