// Mistakes about services, their real servers and their checks.
import { type Edit, testCases } from './mistakes.ts';

const SECOND_SERVICE_AFTER = '      s2: { address: 198.51.100.12 }\n';

/** SOUND with a second service, whose VIP and other fields are given. */
function second(vip: string, rest: string): Edit {
  const more = `  more:\n    vip: ${vip}\n    servers_lan: servers\n${rest}\n`;
  return [SECOND_SERVICE_AFTER, `${SECOND_SERVICE_AFTER}${more}`];
}

testCases([
  {
    mistake: 'an audit that is too seldom',
    edits: [['audit: "*/30 * * * * *"', 'audit: 2h']],
    told: ['32:10: error: 2h is out of bounds; write a duration of 1s to 1h'],
  },
  {
    mistake: 'an audit every so often, or at times of the day: none',
    edits: [['audit: "*/30 * * * * *"', 'audit: 10s']],
    told: [],
  },
  {
    mistake: 'a service VIP that is no VIP',
    edits: [['vip: 192.0.2.100', 'vip: 192.0.2.99']],
    told: [
      '35:10: error: 192.0.2.99 is not a VIP of any LAN; write 192.0.2.100 or 192.0.2.101, or add it to the vips of a LAN',
    ],
  },
  {
    mistake: 'a servers_lan that does not exist',
    edits: [['servers_lan: servers', 'servers_lan: server']],
    told: ['36:18: error: there is no LAN "server"; did you mean "servers"?'],
  },
  {
    mistake: 'a control port inside the passive range',
    edits: [['control_port: 21', 'control_port: 10500']],
    told: ['38:19: error: control_port 10500 lies inside passive_ports 10000-12000; write a port outside'],
  },
  {
    mistake: `a control port that is active mode's data port`,
    edits: [['control_port: 21', 'control_port: 20\n    active_port: 20']],
    told: [
      '39:18: error: active_port 20 is a control_port of the service; write another port (servers use 20 for 21 and 989 for 990), or active: false',
    ],
  },
  {
    mistake: 'a control port for which nobody knows the active port',
    edits: [['control_port: 21', 'control_port: [21, 2121]']],
    told: [
      `38:19: error: nothing tells which port active mode's data come from where the control port is 2121; write active_port: 20 (vsftpd, pure-ftpd), or the port below the control port (proftpd), or active: false`,
    ],
  },
  {
    mistake: 'more active ports than control ports',
    edits: [['control_port: 21', 'control_port: 21\n    active_port: [20, 989]']],
    told: ['39:18: error: 2 active ports for 1 control port; write one for all, or one for each in their order'],
  },
  {
    mistake: 'an active port inside the passive range',
    edits: [['control_port: 21', 'control_port: 21\n    active_port: 10500']],
    told: ['39:18: error: active_port 10500 lies inside passive_ports 10000-12000; write a port outside'],
  },
  {
    mistake: 'an address to announce that PASV cannot name',
    edits: [['control_port: 21', 'control_port: 21\n    announce: 2001:db8::100']],
    told: ['39:15: error: PASV cannot name 2001:db8::100; write an IPv4 address'],
  },
  {
    mistake: 'a passive range in the ephemeral range',
    edits: [['10000-12000', '30000-40000']],
    told: [
      '39:20: warning: passive_ports 30000-40000 overlaps 32768-60999, which Linux uses for outgoing connections; write a range below, like 10000-20000',
    ],
  },
  {
    mistake: 'a service without servers',
    edits: [
      [
        '    servers:\n      s1: { address: 198.51.100.11 }\n      s2: { address: 198.51.100.12 }\n',
        '    servers: {}\n',
      ],
    ],
    told: ['42:14: error: service "ftp" has no real server; add at least one, by name'],
  },
  {
    mistake: 'one server address twice in a service',
    edits: [['198.51.100.12', '198.51.100.11']],
    told: ['44:22: error: server "s2" has 198.51.100.11, which is the address of "s1"; write every server once'],
  },
  {
    mistake: 'a server outside servers_lan',
    edits: [['198.51.100.12', '192.0.2.12']],
    told: [
      '44:22: error: server "s2" (192.0.2.12) is in no network of LAN "servers" (198.51.100.2/24, 198.51.100.3/24); write an address inside it, or another servers_lan',
    ],
  },
  {
    mistake: 'a server of another family than the VIP',
    edits: [['198.51.100.12', '"2001:db8::12"']],
    told: [
      '44:22: error: server "s2" is IPv6, the VIP 192.0.2.100 is IPv4: IPVS mixes families by tunnel only, and not while its sync runs; write an IPv4 address',
    ],
  },
  {
    mistake: 'NAT servers without a floating gateway',
    edits: [['    gateways: [198.51.100.1]\n', '']],
    told: [
      `35:18: error: forwarding is nat, but LAN "servers" has no IPv4 gateway that floats with the VIP; add one to lans.servers.gateways, and make it the servers' default gateway`,
    ],
  },
  {
    mistake: 'NAT within one LAN: VIP, gateway, servers and clients in one network',
    edits: [
      ['    vips: [192.0.2.100, 192.0.2.101]', '    vips: [192.0.2.100, 192.0.2.101]\n    gateways: [192.0.2.254]'],
      ['servers_lan: servers', 'servers_lan: client'],
      ['address: 198.51.100.11', 'address: 192.0.2.11'],
      ['address: 198.51.100.12', 'address: 192.0.2.12'],
    ],
    told: [
      '36:10: warning: VIP 192.0.2.100 and the real servers are in one network: with nat their answers to clients of that network bypass the pair, and those clients get nothing; put the real servers into a network of their own, or serve only clients that come by a gateway which routes back through the pair, or write forwarding: dr',
    ],
  },
  {
    mistake: 'a check user without a password file',
    edits: [['timeout: 8s', 'timeout: 8s\n      user: probe']],
    told: [
      '42:13: warning: the check logs in as "probe" without a password_file; add password_file: FILE (root-only), or write user: anonymous',
    ],
  },
  {
    mistake: 'a file to fetch in a check that ends before the transfer',
    edits: [['timeout: 8s', 'timeout: 8s\n      until: login\n      fetch: health.txt']],
    told: [
      '43:14: error: check.fetch is never come to: the check ends at until: login; write until: transfer, or delete fetch',
    ],
  },
  {
    mistake: 'TLS in a check that ends before it',
    edits: [['timeout: 8s', 'timeout: 8s\n      until: greeting\n      tls: explicit']],
    told: [
      '43:12: error: check.tls: explicit is never come to: the check ends at until: greeting; write until: login, or tls: none',
    ],
  },
  {
    mistake: 'a name for a certificate without TLS',
    edits: [['timeout: 8s', 'timeout: 8s\n      tls_name: ftp.example']],
    told: [
      '42:17: error: check.tls_name is given, but the check is in the clear; write tls: explicit or tls: implicit, or delete tls_name',
    ],
  },
  {
    mistake: 'authorities for a certificate that nobody looks at',
    edits: [
      ['timeout: 8s', 'timeout: 8s\n      tls: explicit\n      tls_verify: none\n      tls_ca_file: /etc/ca.pem'],
    ],
    told: [
      '44:20: warning: check.tls_ca_file is not used with tls_verify: none; write tls_verify: chain, or delete tls_ca_file',
    ],
  },
  {
    mistake: 'implicit TLS on the port of plain FTP',
    edits: [['timeout: 8s', 'timeout: 8s\n      tls: implicit']],
    told: [
      '42:12: warning: check.tls: implicit on port 21, where servers begin in the clear; write 990 into control_port, or write tls: explicit',
    ],
  },
  {
    mistake: 'implicit TLS on the port of plain FTP, beside its own port',
    edits: [
      ['control_port: 21', 'control_port: [21, 990]'],
      ['timeout: 8s', 'timeout: 8s\n      tls: implicit\n      port: 21'],
    ],
    told: [
      '42:12: warning: check.tls: implicit on port 21, where servers begin in the clear; delete tls (990 has it already), or write tls: explicit',
    ],
  },
  {
    mistake: 'explicit TLS for 21, beside 990: none',
    edits: [
      ['control_port: 21', 'control_port: [21, 990]'],
      ['timeout: 8s', 'timeout: 8s\n      tls: explicit'],
    ],
    told: [],
  },
  {
    mistake: 'a name for the certificate of 990, which has TLS without a word: none',
    edits: [
      ['control_port: 21', 'control_port: [21, 990]'],
      ['timeout: 8s', 'timeout: 8s\n      tls_name: ftp.example'],
    ],
    told: [],
  },
  {
    mistake: 'explicit TLS on the port of implicit TLS',
    edits: [
      ['control_port: 21', 'control_port: [21, 990]'],
      ['timeout: 8s', 'timeout: 8s\n      tls: explicit\n      port: 990'],
    ],
    told: [
      '42:12: warning: check.tls: explicit on port 990, where servers begin with TLS; delete port, so that 21 is checked, too, or delete tls',
    ],
  },
  {
    mistake: 'explicit TLS where the only port begins with TLS',
    edits: [
      ['control_port: 21', 'control_port: 990'],
      ['timeout: 8s', 'timeout: 8s\n      tls: explicit'],
    ],
    told: ['42:12: warning: check.tls: explicit on port 990, where servers begin with TLS; delete tls'],
  },
  {
    mistake: 'a check of a port that no client goes to',
    edits: [['timeout: 8s', 'timeout: 8s\n      port: 2121']],
    told: [
      '42:13: error: check.port 2121 is no control_port of the service, so its clients do not go there; write 21, or add 2121 to control_port',
    ],
  },
  {
    mistake: 'a check of a port between the control ports',
    edits: [
      ['control_port: 21', 'control_port: [21, 990]'],
      ['timeout: 8s', 'timeout: 8s\n      port: 22'],
    ],
    told: [
      '42:13: error: check.port 22 is no control_port of the service, so its clients do not go there; write 21 or 990, or add 22 to control_port',
    ],
  },
  {
    mistake: 'a check of the second control port: none',
    edits: [
      ['control_port: 21', 'control_port: [21, 990]'],
      ['timeout: 8s', 'timeout: 8s\n      port: 990\n      tls: implicit'],
    ],
    told: [],
  },
  {
    mistake: 'a banner in a check that does not read the greeting',
    edits: [['timeout: 8s', 'timeout: 8s\n      until: connect\n      banner: hello']],
    told: [
      '43:15: error: check.banner is never come to: the check ends at until: connect; write until: greeting, or delete banner',
    ],
  },
  {
    mistake: 'a length without a file',
    edits: [['timeout: 8s', 'timeout: 8s\n      size: 5']],
    told: ['42:13: error: check.size is about a fetched file, and none is fetched; add fetch: FILE, or delete size'],
  },
  {
    mistake: 'a text without a file',
    edits: [['timeout: 8s', 'timeout: 8s\n      content: ok']],
    told: [
      '42:16: error: check.content is about a fetched file, and none is fetched; add fetch: FILE, or delete content',
    ],
  },
  {
    mistake: 'a file longer than what is read',
    edits: [['timeout: 8s', 'timeout: 8s\n      fetch: big\n      size: 70000']],
    told: [
      '43:13: error: check.size 70000 is more than the max_bytes 65536 that are read; write max_bytes: 70000, or fetch a smaller file',
    ],
  },
  {
    mistake: 'an upload as anonymous',
    edits: [['timeout: 8s', 'timeout: 8s\n      upload: .tandem-probe']],
    told: [
      '42:15: warning: check.upload stores a file as anonymous, who may seldom write and delete; write user and password_file of one who may',
    ],
  },
  {
    mistake: 'a check of active mode that the service does not serve',
    edits: [['    check:\n      timeout: 8s', '    active: false\n    check:\n      data: active']],
    told: [
      '42:13: error: check.data is active, but the service does not serve active mode (active: false); write pasv or epsv, or active: true in the service',
    ],
  },
  {
    mistake: 'a hash that is none',
    edits: [['timeout: 8s', 'timeout: 8s\n      fetch: x\n      sha256: abc']],
    told: ['43:15: error: "abc" is not allowed for "sha256"; write 64 hexadecimal digits, as `sha256sum` prints them'],
  },
  {
    mistake: 'a slow check that would have timed out',
    edits: [['timeout: 8s', 'timeout: 8s\n      slow_fail: 9s']],
    told: ['42:7: error: check.slow_fail 9s is never reached: timeout is 8s; write less than 8s'],
  },
  {
    mistake: 'a warning that comes after the failure',
    edits: [['timeout: 8s', 'timeout: 8s\n      slow_warn: 3s\n      slow_fail: 2s']],
    told: ['42:7: error: check.slow_warn 3s is never reached: slow_fail is 2s; write less than 2s'],
  },
  {
    mistake: 'a stage that would have timed out, and a warning of it that comes after the failure',
    edits: [
      [
        'timeout: 8s',
        'timeout: 8s\n      slow_warn: { login: 2s, connect: 1s }\n      slow_fail: { login: 2s, tls: 6s, whole: 7s }',
      ],
    ],
    told: [
      '42:27: error: check.slow_warn.login 2s is never reached: slow_fail is 2s; write less than 2s',
      '43:36: error: check.slow_fail.tls 6s is never reached: stage_timeout is 6s; write less than 6s',
    ],
  },
  {
    mistake: 'a stage that there is not',
    edits: [['timeout: 8s', 'timeout: 8s\n      slow_warn: { log: 2s }']],
    told: ['42:20: error: unknown key "log"; did you mean "login"?'],
  },
  {
    mistake: 'a time of a stage that is none',
    edits: [['timeout: 8s', 'timeout: 8s\n      slow_warn: { login: fast }']],
    told: ['42:27: error: "fast" is not a duration; write a number and a unit: 50ms, 2s, 10m, 1h, 1d'],
  },
  {
    mistake: 'a default stage longer than the whole check is none: the shorter one counts',
    edits: [['timeout: 8s', 'timeout: 2s']],
    told: [],
  },
  {
    mistake: 'a server may drain for a shorter time than a transfer may take',
    edits: [['  audit: ', '  drain: 1h\n  audit: ']],
    told: [
      '32:10: warning: drain 1h is shorter than tcp_timeout 2h: transfers of a server that leaves may be cut; write at least 2h',
    ],
  },
  {
    mistake: 'a deadline of all control ports that one port may outlast',
    edits: [['timeout: 8s', 'timeout: 8s\n      deadline: 5s']],
    told: [
      '42:17: error: deadline 5s of all control ports is shorter than timeout 8s of one; write at least 8s, or a shorter timeout',
    ],
  },
  {
    mistake: 'a change that is looked at less often than all else',
    edits: [['timeout: 8s', 'timeout: 8s\n      interval: 5s\n      interval_down: 2s\n      interval_changing: 4s']],
    told: ['44:26: error: interval_changing 4s is longer than interval_down 2s; write at most 2s, or delete it'],
  },
  {
    mistake: 'a script that is a line for a shell, one by a short name, and variables that are ours or none',
    edits: [
      [
        'services:',
        'fitness:\n  checks:\n    a: { script: "/bin/x 1" }\n    b: { script: [x] }\n    c: { script: [/x], environment: { TANDEM_X: "1", "A-B": "1", C: 1 } }\nservices:',
      ],
    ],
    told: [
      '35:18: error: "/bin/x 1" is a text; write a list: the path of a program, then its arguments, at most 32',
      '36:18: error: ["x"] is not allowed for "script"; write the whole path of the program, from / on',
      '37:39: error: "TANDEM_X" is not allowed as a name; write a variable\'s name of letters, digits and _, at most 64, that does not begin with TANDEM_',
      '37:54: error: "A-B" is not allowed as a name; write a variable\'s name of letters, digits and _, at most 64, that does not begin with TANDEM_',
      '37:69: error: 1 is a number; write a text, in quotes',
    ],
  },
  {
    mistake: 'a stage longer than the whole check',
    edits: [['timeout: 8s', 'timeout: 2s\n      stage_timeout: 3s']],
    told: [
      '42:22: error: stage_timeout 3s is longer than timeout 2s, the whole check; write at most 2s, or a longer timeout',
    ],
  },
  {
    mistake: 'an audit time that is no cron expression',
    edits: [['*/30 * * * * *', 'every minute']],
    told: [
      '32:10: error: "every minute" is neither a duration nor a cron expression; write a duration like 30s, or five or six fields like "0 30 3 * * *" (second, minute, hour, day, month, weekday)',
    ],
  },
  {
    mistake: 'one mark for two services',
    edits: [second('192.0.2.101', '    mark: 21\n    servers: { t1: { address: 198.51.100.21 } }')],
    told: ['48:11: error: mark 21 is already the mark of service "ftp"; write a mark of its own for every service'],
  },
  {
    mistake: 'two services with all ports in common on one VIP',
    edits: [
      second(
        '192.0.2.100',
        '    mark: 22\n    passive_ports: 11000-13000\n    servers: { t1: { address: 198.51.100.21 } }',
      ),
    ],
    told: [
      '45:3: error: control_port 21 is taken by service "ftp" on the same VIP; write another port or VIP',
      `45:3: error: active mode's port 20 is taken by service "ftp" on the same VIP; write active: false in one of them`,
      '49:20: error: passive_ports 11000-13000 overlap 10000-12000 of service "ftp" on the same VIP; write ranges apart from each other',
    ],
  },
  {
    mistake: `control ports inside each other's passive range on one VIP`,
    edits: [
      second(
        '192.0.2.100',
        '    mark: 22\n    control_port: 10001\n    active: false\n    passive_ports: 5000-6000\n    servers: { t1: { address: 198.51.100.21 } }',
      ),
      ['control_port: 21', 'control_port: 5001\n    active_port: 20'],
    ],
    told: [
      '50:19: error: control_port 10001 lies in the passive_ports of service "ftp" on the same VIP; write another port',
      '52:20: error: passive_ports hold control_port 5001 of service "ftp" on the same VIP; write another range',
    ],
  },
  {
    mistake: 'thresholds that the kernel or a drain cannot have',
    edits: [
      ['{ address: 198.51.100.11 }', '{ address: 198.51.100.11, upper_threshold: 1 }'],
      ['{ address: 198.51.100.12 }', '{ address: 198.51.100.12, lower_threshold: 5 }'],
    ],
    told: [
      '43:54: error: an upper_threshold of 1 is what a server has that drains, and a session needs two connections; write 2 or more, or 0 for no limit',
      '44:54: error: lower_threshold 5 without an upper_threshold limits nothing; add upper_threshold, or delete it',
    ],
  },
  {
    mistake: 'a lower threshold above the upper one',
    edits: [['{ address: 198.51.100.12 }', '{ address: 198.51.100.12, upper_threshold: 4, lower_threshold: 5 }']],
    told: ['44:74: error: lower_threshold 5 is above upper_threshold 4, which the kernel refuses; write 4 or less'],
  },
  {
    mistake: 'a prefix longer than an IPv4 address',
    edits: [['    mark: 21', '    mark: 21\n    persistence_prefix: 64']],
    told: ['38:25: error: persistence_prefix 64 is longer than an IPv4 address; write 1 to 32'],
  },
  {
    mistake: 'a sorry server elsewhere',
    edits: [['    mark: 21', '    mark: 21\n    sorry_server: { address: 192.0.2.9 }']],
    told: [
      '38:30: error: the sorry server 192.0.2.9 is in no network of LAN "servers"; write an address inside it: with nat its answers pass through the pair',
    ],
  },
  {
    mistake: 'a sorry server at an address that no host has',
    edits: [['    mark: 21', '    mark: 21\n    sorry_server: { address: 198.51.100.255 }']],
    told: [
      '38:30: error: address of the sorry server 198.51.100.255 is the broadcast address of 198.51.100.0/24; write the address of one host',
    ],
  },
  {
    mistake: 'a sorry server of the other family',
    edits: [['    mark: 21', '    mark: 21\n    sorry_server: { address: "2001:db8::9" }']],
    told: ['38:30: error: the sorry server is IPv6, the VIP 192.0.2.100 is IPv4; write an IPv4 address'],
  },
  {
    mistake: 'a sorry server that is a real one',
    edits: [['    mark: 21', '    mark: 21\n    sorry_server: { address: 198.51.100.12 }']],
    told: ['38:30: error: the sorry server 198.51.100.12 is the real server "s2"; write another machine'],
  },
  {
    mistake: 'a sorry server that hashing does not find',
    edits: [
      [
        '    mark: 21',
        '    mark: 21\n    scheduler: sh\n    scheduler_options: []\n    sorry_server: { address: 198.51.100.99 }',
      ],
    ],
    told: [
      '39:24: warning: sh without fallback refuses every client whose own server is down or drains; add fallback',
      '40:30: error: sh without fallback gives a client its own server or none, so nobody comes to the sorry server; add fallback to scheduler_options',
    ],
  },
  {
    mistake: 'one server address behind two VIPs',
    edits: [second('192.0.2.101', '    mark: 22\n    servers: { t1: { address: 198.51.100.11 } }')],
    told: [
      '49:31: error: server 198.51.100.11 already serves VIP 192.0.2.100 in service "ftp", and can announce only one; give it a second address for VIP 192.0.2.101',
    ],
  },
  {
    mistake: 'the data port of FTP as a second control port',
    edits: [
      ['    control_port: 21\n', '    control_port: [990, 989]\n    check: { port: 990 }\n'],
      ['    check:\n      timeout: 8s\n', ''],
    ],
    told: [
      '38:19: error: control_port 989 is the data port of active mode; write another port, or active: false',
      "38:19: error: nothing tells which port active mode's data come from where the control port is 989; write active_port: 20 (vsftpd, pure-ftpd), or the port below the control port (proftpd), or active: false",
    ],
  },
  {
    mistake: 'a control port as active_port',
    edits: [['    control_port: 21\n', '    control_port: 21\n    active_port: 21\n']],
    told: [
      '39:18: error: active_port 21 is a control_port of the service; write another port (servers use 20 for 21 and 989 for 990), or active: false',
    ],
  },
  {
    mistake: 'data of active mode from a control port of the service beside it',
    edits: [
      second(
        '192.0.2.100',
        '    mark: 22\n    control_port: 2121\n    active_port: 21\n    passive_ports: 13000-14000\n    servers: { t1: { address: 198.51.100.13 } }',
      ),
    ],
    told: [
      '50:18: error: active mode\'s port 21 is a control_port of service "ftp" on the same VIP; write another active_port, or active: false',
    ],
  },
  {
    mistake: 'data of active mode from the passive ports of the service beside it',
    edits: [
      second(
        '192.0.2.100',
        '    mark: 22\n    control_port: 2121\n    active_port: 10020\n    passive_ports: 13000-14000\n    servers: { t1: { address: 198.51.100.13 } }',
      ),
    ],
    told: [
      '50:18: error: active mode\'s port 10020 lies in the passive_ports of service "ftp" on the same VIP; write another active_port, or active: false',
    ],
  },
  {
    mistake: 'an announced address that no host has',
    edits: [['    mark: 21', '    mark: 21\n    announce: 0.0.0.0']],
    told: ['38:15: error: announced address 0.0.0.0 is unspecified ("this host"); write the address of one host'],
  },
]);
