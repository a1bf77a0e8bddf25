// Mistakes of the file and of single fields: each with its place, its words and what to write instead.
import test from 'ava';
import { parseConfig } from '../../src/config/document.ts';
import { edited, SOUND, testCases, told } from './mistakes.ts';

testCases([
  {
    mistake: 'an empty file',
    edits: [[SOUND, '']],
    told: ['1:1: error: the file is empty; start from conf/tandem.yaml'],
  },
  {
    mistake: 'a list instead of a map',
    edits: [[SOUND, '[1, 2]']],
    told: [
      '1:1: error: [1,2] is a list; write its fields indented below it (config of a Tandem router pair; identical on both routers)',
    ],
  },
  {
    mistake: 'broken YAML',
    edits: [['pair: p1', 'pair: "p1']],
    told: ['1:10: error: YAML: Missing closing "quote; close the quotes or brackets, or write a blank after ":"'],
  },
  {
    mistake: 'a tab as indent',
    edits: [['  b: {}', '\tb: {}']],
    told: ['4:1: error: YAML: Tabs are not allowed as indentation; indent with blanks'],
  },
  {
    mistake: 'two documents',
    edits: [['ipvs:\n', '---\nipvs:\n']],
    told: [
      '31:1: error: YAML: Source contains multiple documents; please use YAML.parseAllDocuments(); keep one document in the file',
    ],
  },
  {
    mistake: 'a key written twice',
    edits: [['  lease: 220ms', '  lease: 220ms\n  lease: 230ms']],
    told: ['28:3: error: key "lease" is already written on line 27; write each key once'],
  },
  {
    mistake: 'an alias to nothing',
    edits: [['eth0', '*nowhere']],
    told: ['7:16: error: there is no "&nowhere" above; write the value itself'],
  },
  {
    mistake: 'a misspelt key',
    edits: [['passive_ports', 'pasive_ports']],
    told: ['39:5: error: unknown key "pasive_ports"; did you mean "passive_ports"?'],
  },
  {
    mistake: 'an unknown key with no near name',
    edits: [['  dead: 300ms', '  dead: 300ms\n  quorum: 3']],
    told: [
      '29:3: error: unknown key "quorum"; delete it; known here: interval, lease, dead, alone_keep, port, links, key_file, packet_lease, auto_failback, on_isolation, on_conflict',
    ],
  },
  {
    mistake: 'a misspelt required key',
    edits: [['    vip: 192', '    vp: 192']],
    told: ['35:5: error: unknown key "vp"; did you mean "vip"?'],
  },
  {
    mistake: 'a missing required key',
    edits: [['    mark: 21\n', '']],
    told: ['34:3: error: "mark" is missing; add mark: firewall mark of the service, unique (1 to 2147483647)'],
  },
  {
    mistake: 'a missing section',
    edits: [['heartbeat:\n  links: [client, cross]\n  interval: 100ms\n  lease: 220ms\n  dead: 300ms\n', '']],
    told: ['1:1: error: "heartbeat" is missing; add heartbeat: heartbeat and election'],
  },
  {
    mistake: 'a section with nothing below it',
    edits: [['    check:\n      timeout: 8s', '    check:']],
    told: [
      '40:5: error: "check" has no value; write how a nanny checks the real servers, as an FTP client would, or delete the line',
    ],
  },
  {
    mistake: 'a key without a value',
    edits: [['  interval: 100ms', '  interval:']],
    told: [
      '26:3: error: "interval" has no value; write H: how often each router sends a heartbeat (10ms to 5s), or delete the line',
    ],
  },
  {
    mistake: 'a name with capitals',
    edits: [['pair: p1', 'pair: P1']],
    told: [
      '1:7: error: "P1" is not allowed for "pair"; write lower-case letters, digits and dashes, at most 31 characters',
    ],
  },
  {
    mistake: 'a map name that is not allowed',
    edits: [['  cross:\n', '  Cross_1:\n']],
    told: [
      '19:3: error: "Cross_1" is not allowed as a name; write lower-case letters, digits and dashes, at most 31 characters',
    ],
  },
  {
    mistake: 'a duration without a unit',
    edits: [['lease: 220ms', 'lease: 220']],
    told: ['27:10: error: 220 is a number; write a number and a unit: 50ms, 2s, 10m, 1h, 1d'],
  },
  {
    mistake: 'a duration that is none',
    edits: [['lease: 220ms', 'lease: fast']],
    told: ['27:10: error: "fast" is not a duration; write a number and a unit: 50ms, 2s, 10m, 1h, 1d'],
  },
  {
    mistake: 'a duration out of bounds',
    edits: [['interval: 100ms', 'interval: 1ms']],
    told: ['26:13: error: 1ms is out of bounds; write a duration of 10ms to 5s'],
  },
  {
    mistake: 'an address that is none',
    edits: [['vip: 192.0.2.100', 'vip: 192.0.2.300']],
    told: ['35:10: error: "192.0.2.300" is not an address; write one like 192.0.2.100 or 2001:db8::100'],
  },
  {
    mistake: 'an address without a prefix length',
    edits: [['a: 192.0.2.2/24', 'a: 192.0.2.2']],
    told: ['9:10: error: "192.0.2.2" is not an address with a prefix length; write one like 192.0.2.2/24'],
  },
  {
    mistake: 'an interface name that is too long',
    edits: [['eth2', 'averyveryverylongname']],
    told: [
      '20:16: error: "averyveryverylongname" is not allowed for "interface"; write the name of a network interface, at most 15 characters',
    ],
  },
  {
    mistake: 'an interface that is a number',
    edits: [['interface: eth2', 'interface: 2']],
    told: [
      '20:16: error: 2 is not allowed for "interface"; write the interface on this LAN: one name, or one for each router',
    ],
  },
  {
    mistake: 'a number out of bounds',
    edits: [['priority: 110', 'priority: 256']],
    told: ['3:18: error: 256 is too large; write a whole number from 1 to 255'],
  },
  {
    mistake: 'a number that is text',
    edits: [['mark: 21', 'mark: twenty']],
    told: ['37:11: error: "twenty" is a text; write a whole number from 1 to 2147483647'],
  },
  {
    mistake: 'a choice that does not exist',
    edits: [['    mark: 21', '    mark: 21\n    scheduler: wlcc']],
    told: [
      '38:16: error: "wlcc" is not a choice for "scheduler"; did you mean "wlc"? (rr, wrr, lc, wlc, sed, nq, fo, ovf, twos, sh, mh, dh, lblc or lblcr)',
    ],
  },
  {
    mistake: 'options of a scheduler that has none',
    edits: [['    mark: 21', '    mark: 21\n    scheduler_options: [fallback]']],
    told: ['38:24: error: the scheduler wlc has no options; delete it, or write scheduler: sh or mh'],
  },
  {
    mistake: 'hashing without fallback',
    edits: [['    mark: 21', '    mark: 21\n    scheduler: mh\n    scheduler_options: [port]']],
    told: ['39:24: warning: mh without fallback refuses every client whose own server is down or drains; add fallback'],
  },
  {
    mistake: 'a scheduler that chooses by the VIP',
    edits: [['    mark: 21', '    mark: 21\n    scheduler: dh']],
    told: [
      '38:16: warning: dh chooses by the VIP: all new clients come to one server; write sh or mh to choose by the client, or wlc',
    ],
  },
  {
    mistake: 'yes instead of true',
    edits: [['    mark: 21', '    mark: 21\n    active: yes']],
    told: ['38:13: error: "yes" is a text; write true or false'],
  },
  {
    mistake: 'a port range that is none',
    edits: [['10000-12000', '12000-10000']],
    told: ['39:20: error: "12000-10000" is not a port range; write first-last within 1024-65535'],
  },
  {
    mistake: 'no links',
    edits: [['[client, cross]', '[]']],
    told: ['25:10: error: 0 entries are too few; name one to four LANs'],
  },
  {
    mistake: 'too many links',
    edits: [['[client, cross]', '[client, cross, servers, client, cross]']],
    told: ['25:10: error: 5 entries are too many; name one to four LANs'],
  },
]);

test('a sound config has no mistakes and no warnings', t => {
  const parsed = parseConfig(SOUND);
  t.true(parsed.ok);
  t.deepEqual(told(SOUND), []);
});

test('all mistakes are told at once, those of single fields and those between fields', t => {
  const text = edited([
    ['priority: 110', 'prioritty: 110'],
    ['lease: 220ms', 'lease: 99ms'],
    ['a: 192.0.2.2/24', 'a: 192.0.2.2/33'],
    ['mark: 21', 'mark: 0'],
    ['servers_lan: servers', 'servers_lan: serverss'],
  ]);
  t.deepEqual(told(text), [
    '3:8: error: unknown key "prioritty"; did you mean "priority"?',
    '9:10: error: "192.0.2.2/33" is not an address with a prefix length; write one like 192.0.2.2/24',
    '27:10: error: lease 99ms is too short for interval 100ms; write at least 200ms (lease >= 2 x interval), or a shorter interval',
    '36:18: error: there is no LAN "serverss"; did you mean "servers"?',
    '37:11: error: 0 is too small; write a whole number from 1 to 2147483647',
  ]);
});

test('a rule says nothing about a field that is itself a mistake', t => {
  const text = edited([['lease: 220ms', 'lease: 220']]);
  t.deepEqual(told(text), ['27:10: error: 220 is a number; write a number and a unit: 50ms, 2s, 10m, 1h, 1d']);
  const vips = edited([['vips: [192.0.2.100, 192.0.2.101]', 'vips: [192.0.2.100, 192.0.2.1000]']]);
  t.deepEqual(told(vips), [
    '11:25: error: "192.0.2.1000" is not an address; write one like 192.0.2.100 or 2001:db8::100',
  ]);
});

test('a value that is still to be filled in is told once, also where any text would do', t => {
  const text = edited([
    ['interface: eth0', 'interface: "FILL-IN: of the LAN, like eth0"'],
    ['192.0.2.101]', '"FILL-IN: the other VIP, like 192.0.2.101"]'],
  ]);
  t.deepEqual(told(text), [
    '7:16: error: "FILL-IN: of the LAN, like eth0" is still to be filled in; write the value that it asks for',
    '11:25: error: "FILL-IN: the other VIP, like 192.0.2.101" is still to be filled in; write the value that it asks for',
  ]);
});

test('a mistake in one lan does not hide the mistakes of another', t => {
  const text = edited([
    ['interface: eth0', 'interface: [eth0]'],
    ['gateways: [198.51.100.1]', 'gateways: [192.0.2.1]'],
  ]);
  t.deepEqual(
    told(text).map(line => line.split(':', 2).join(':')),
    ['7:16', '18:16'],
  );
});
