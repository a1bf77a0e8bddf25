// The targets of vipd: what each is fed to begin with, its words, and the files whose coverage counts. Pure.

export interface NativeTarget {
  readonly name: string;
  /** test/fuzz/native/target-NAME.c */
  readonly binary: string;
  readonly says: string;
  /** Files of src/vip/native; all when empty. */
  readonly files: readonly string[];
  readonly words: readonly string[];
  readonly bytesMax: number;
  readonly seeds: readonly Buffer[];
}

const OWN_MAC = '020000000001';
const OTHER_MAC = '020000000009';
const VIP6 = '20010db8000000000000000000000100';

const hex = (...parts: string[]) => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex');
/** ARP reply for 192.0.2.100 by another machine. */
const ARP = hex(OWN_MAC, OTHER_MAC, '0806 0001 0800 06 04 0002', OTHER_MAC, 'c0000264', OWN_MAC, 'c0000202');
/** Echo reply from 192.0.2.100 to 192.0.2.2; the fake kernel's randomness is all "N". */
const ECHO = hex(
  OWN_MAC,
  OTHER_MAC,
  '0800 45000034 00000000 40010000 c0000264 c0000202 0000 0000 7470 0000',
  '4e'.repeat(8),
);
const IP6 = (hops: string) => `86dd 60000000 0020 3a ${hops} ${VIP6}`;
const ADVERTISEMENT = hex(
  ...[OWN_MAC, OTHER_MAC, IP6('ff'), `ff02${'0'.repeat(26)}01`, '8800 0000 60000000', VIP6, '0201', OTHER_MAC],
);
const ECHO6 = hex(
  OWN_MAC,
  OTHER_MAC,
  IP6('40'),
  '20010db8000000000000000000000002',
  '8100 0000 7470 0000',
  '4e'.repeat(24),
);

/** One vipd asks the other whether it serves the address. */
const HELPER = hex(
  'ffffffffffff',
  OTHER_MAC,
  '88b6 544e4450 01 04 c0000264',
  '00'.repeat(12),
  '4e'.repeat(8),
  '00'.repeat(16),
);

/** An rtnetlink message, little-endian as on every machine this runs on. */
function netlink(type: number, body: Buffer, ...attributes: [type: number, value: Buffer][]): Buffer {
  const pad = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
  const all = attributes.map(([kind, value]) => {
    const head = Buffer.alloc(4);
    head.writeUInt16LE(4 + value.length, 0);
    head.writeUInt16LE(kind, 2);
    return pad(Buffer.concat([head, value]));
  });
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + body.length + Buffer.concat(all).length, 0);
  header.writeUInt16LE(type, 4);
  return Buffer.concat([header, body, ...all]);
}
const VIP4 = hex('c0000264');
const addressBody = (family: number, prefix: number, index: number) =>
  Buffer.from([family, prefix, 0, 0, index, 0, 0, 0]);
const DELETED = netlink(21, addressBody(2, 32, 2), [2, VIP4], [1, VIP4]);
const ADDED6 = netlink(20, addressBody(10, 128, 3), [1, hex(VIP6)]);
const FOREIGN = netlink(20, addressBody(2, 24, 3), [1, VIP4], [2, VIP4]);
const LINK = netlink(16, Buffer.concat([Buffer.alloc(4), Buffer.from([2, 0, 0, 0]), Buffer.alloc(8)]), [
  3,
  Buffer.from('c0\0'),
]);

/** Its last message lacks its padding: a reader that counts down an unsigned length ran out of the buffer. */
const UNPADDED = Buffer.from(LINK.subarray(0, -1));
UNPADDED.writeUInt32LE(UNPADDED.length, 0);

/** ARP reply of the first target; counters. */
const TARGET = hex(OWN_MAC, OTHER_MAC, '0806 0001 0800 06 04 0002', OTHER_MAC, 'c0000201', OWN_MAC, 'c0000202');
const NET_DEV = '  c0: 95000 1007 0\n  s0: 90000 1000 0\n';

/** Records of the daemon's script: see kernel.c. */
const KINDS = ['stdin', 'time', 'stop', 'frame', 'event', 'interface', 'refuse', 'deaf', 'taken', 'proc'] as const;
function record(kind: (typeof KINDS)[number], bytes: Buffer | string | readonly number[]): Buffer {
  const payload = typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.from(bytes as readonly number[]);
  return Buffer.concat([Buffer.from([KINDS.indexOf(kind), payload.length]), payload]);
}
/** A moment that vipd takes for now. */
const NOW = '99999999999999';
const claim = (mode: string) => record('stdin', `claim 1 5.1 ${NOW} 220 ${mode} 1000 3\n`);
const renew = record('stdin', `renew 2 5.1 ${NOW} 220 armed 1000 3\n`);
const WILL = record('stdin', `will ${'ab'.repeat(78)}\n`);
const time = (ms: number) => record('time', [ms >> 8, ms & 255]);
const frame = (socket: number, bytes: Buffer) => record('frame', [socket, ...bytes]);

const DAEMON_SEEDS = [
  [WILL, claim('armed'), time(50), renew, time(500), time(500)],
  [claim('alone'), time(100), record('stdin', 'announce\n'), time(900), time(900)],
  [claim('armed'), record('taken', []), record('event', DELETED), time(60), renew, time(200)],
  [WILL, claim('armed'), record('stdin', 'release 3 5.1 will\n'), time(30), claim('armed')],
  [
    record('stdin', 'probe 1 0 02:00:00:00:00:09 50\nprobe 2 1 - 50\n'),
    frame(0, ARP),
    frame(1, ECHO),
    frame(2, ADVERTISEMENT),
    time(60),
  ],
  [record('stdin', 'probe 1 1 02:00:00:00:00:09 50\n'), frame(2, ECHO6), time(60), time(60)],
  [
    claim('armed'),
    frame(0, ARP),
    frame(2, ADVERTISEMENT),
    record('interface', [0, 0]),
    record('interface', [0, 5]),
    time(100),
  ],
  [
    record('refuse', [2, 104]),
    claim('armed'),
    time(100),
    record('refuse', [5, 104]),
    record('stop', [1, 0]),
    time(100),
  ],
  [
    record('deaf', [1]),
    claim('armed'),
    record('stdin', 'notify READY=1\nnonsense\nsample 50 200\n'),
    record('deaf', [0]),
  ],
  [
    ...[record('stdin', 'sample 50 200\n'), time(60), frame(0, TARGET), record('proc', NET_DEV), time(60)],
    ...[0, 1, 2].map(() => time(200)),
  ],
  [claim('alone'), record('stdin', `renew 2 5.1 ${NOW} 220 armed 1000 3\nrelease 3 5.1 will\n`), time(100), time(100)],
  [claim('armed'), ...Array.from({ length: 12 }, () => record('stop', [255, 255]))],
  [claim('armed'), frame(0, ARP), time(10), record('stdin', 'gate\n'), time(200)],
].map(records => Buffer.concat(records));

const COMMANDS = [
  'gate\n',
  ' 1\n',
  ' 2\n',
  'claim ',
  'renew ',
  'release ',
  'will ',
  'probe ',
  'announce\n',
  'notify ',
  'sample ',
  ` ${NOW} `,
  ' 5.1 ',
  ' 6.1 ',
];
const STATE = (mode: string, closed: string, will: string) =>
  Buffer.from(
    `vipd-state 1\nepoch 5.1\nmode ${mode}\nclosed ${closed}\nwill ${will}\naddress 192.0.2.100,c0,192.0.2.2\n` +
      'address 2001:db8::100,s0,-\nlink 192.0.2.2,192.0.2.3,1694\nend\n',
  );
const OPTIONS = [
  '--state\nS\n--address\n192.0.2.100,c0,192.0.2.2\n2001:db8::100,c0,-\n--link\n192.0.2.2,192.0.2.3,1694',
  '--cleanup\n--state\nS',
];

export const NATIVE_TARGETS: readonly NativeTarget[] = [
  {
    name: 'vipd',
    binary: 'daemon',
    says: 'all of vipd: commands, time, frames, events, a kernel that refuses; in the end no address is left',
    files: [],
    words: [
      ...COMMANDS,
      'armed',
      'alone',
      'quiet\n',
      '\n',
      '02:00:00:00:00:09',
      ...DAEMON_SEEDS.map(seed => seed.toString('latin1')),
    ].filter(word => word.length < 60),
    bytesMax: 6_000,
    seeds: DAEMON_SEEDS,
  },
  {
    name: 'vipd-frame',
    binary: 'frame',
    says: 'frames from the wire, each in a buffer of exactly its size',
    files: ['frame.c', 'heard.c'],
    words: ['\x08\x06', '\x08\x00', '\x86\xdd', '\x88\xb6', 'TNDP', '\x88', '\x81', '\x74\x70'],
    bytesMax: 256,
    seeds: [ARP, ECHO, ECHO6, ADVERTISEMENT, HELPER],
  },
  {
    name: 'vipd-state',
    binary: 'state',
    says: 'the state file of vipd, read, written, read again, and --cleanup with it',
    files: ['state.c', 'text.c'],
    words: [
      'epoch ',
      'mode armed\n',
      'mode alone\n',
      'closed yes\n',
      'will -\n',
      'address ',
      'link ',
      'end\n',
      '140737488355328.1',
    ],
    bytesMax: 17_000,
    seeds: [STATE('armed', 'no', 'abcd'), STATE('none', 'yes', '-'), STATE('alone', 'no', '00')],
  },
  {
    name: 'vipd-netlink',
    binary: 'netlink',
    says: 'rtnetlink: the list of addresses and events, cut and damaged',
    files: ['netlink.c'],
    words: [],
    bytesMax: 2_000,
    seeds: [
      Buffer.concat([Buffer.from([FOREIGN.length, 0]), FOREIGN, DELETED]),
      Buffer.concat([Buffer.from([0, 0]), LINK, ADDED6, DELETED]),
      Buffer.concat([Buffer.from([UNPADDED.length, 0]), UNPADDED, UNPADDED]),
    ],
  },
  {
    name: 'vipd-options',
    binary: 'options',
    says: "vipd's command line",
    files: ['options.c', 'tables.c', 'text.c'],
    words: [
      '--state\n',
      '--address\n',
      '--link\n',
      '--target\n',
      '--fixed\n',
      '--cleanup\n',
      '--help',
      '192.0.2.1,c0,-\n',
      '\n',
    ],
    bytesMax: 4_000,
    seeds: OPTIONS.map(text => Buffer.from(text)),
  },
];
