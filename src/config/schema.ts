// The one source of the config: its types, defaults, bounds and documentation. `tandem check`, the
// daemons and docs/reference/config.schema.json all come from here; the kinds of field are in
// fields.ts, the checks of real servers in check-schema.ts, and rules that need more than one field
// in rules.ts. Pure.
import { z } from 'zod';
import { ftpCheck, tcpCheck, udpCheck } from './check-schema.ts';
import {
  address,
  cidr,
  duration,
  durationOrOff,
  endpoint,
  environment,
  filePath,
  integer,
  interfaceName,
  name,
  portList,
  portRange,
  ports,
  schedule,
  script,
  shortText,
} from './fields.ts';
import { hooks } from './hook-schema.ts';
import { SCHEDULER_OPTIONS, SCHEDULERS } from './scheduler.ts';
import { VIRTUAL_ADDRESSES_MAX } from './virtual-addresses.ts';

const router = z
  .strictObject({
    priority: integer('Which router becomes active when both start together: the larger', 1, 255).default(100),
  })
  .meta({ description: 'One of the two routers; its name is its host name, or what --node says' });

const lan = z
  .strictObject({
    interface: z
      .union([interfaceName, z.record(name('A router'), interfaceName)])
      .meta({ description: 'The interface on this LAN: one name, or one for each router' }),
    addresses: z
      .record(
        name('A router'),
        z
          .union([cidr, z.array(cidr).min(1, { error: 'write one to four' }).max(4, { error: 'write one to four' })])
          .meta({ description: 'Its address with the prefix length, like 192.0.2.2/24, or a list of up to four' }),
      )
      .meta({ description: "Each router's own, fixed addresses on this LAN (Tandem never adds or removes these)" }),
    vips: z
      .array(address)
      .max(VIRTUAL_ADDRESSES_MAX)
      .default([])
      .meta({ description: 'Virtual IPs that clients use; the active router holds them' }),
    gateways: z
      .array(address)
      .max(4)
      .default([])
      .meta({ description: "The real servers' floating default gateways; the active router holds them too" }),
    targets: z.array(address).max(4).default([]).meta({
      description:
        'Addresses on this LAN that always answer (its gateway, say), asked all the time: they tell a dead LAN from a dead peer. Up to three real servers are asked without being named',
    }),
  })
  .meta({ description: 'A network both routers are on' });

const heartbeat = z
  .strictObject({
    interval: duration('H: how often each router sends a heartbeat', 10, 5_000, '100ms'),
    lease: duration('L: how long the VIPs may stay without a renewal from pulse', 22, 15_000, '220ms'),
    dead: duration('D: silence after which the standby takes over', 30, 30_000, '300ms'),
    alone_keep: duration('How long a router without a peer keeps its VIPs while pulse restarts', 2_000, 60_000, '5s'),
    port: integer('UDP port of the heartbeat, on both routers', 1, 65_535).default(694),
    links: z
      .array(name('A LAN'))
      .min(1, { error: 'name one to four LANs' })
      .max(4, { error: 'name one to four LANs' })
      .meta({ description: 'LANs that carry heartbeats, all at once; include the client LAN' }),
    key_file: z
      .string()
      .min(1)
      .default('/etc/tandem/pair.key')
      .meta({ description: "The pair's key, root-only (mode 0600), made by `tandem keygen`" }),
    packet_lease: z.enum(['auto', 'off']).default('auto').meta({
      description:
        'auto: nftables lets packets for the VIPs in only while vipd renews the lease, so that they end with it whatever happens to our processes; without it where the kernel cannot (an event says why). off: never',
    }),
    auto_failback: z
      .boolean()
      .default(false)
      .meta({ description: 'Give the VIPs back to the router of higher priority when it returns' }),
    on_isolation: z.enum(['release', 'keep']).default('release').meta({
      description:
        'What an active router does that hears neither its peer nor any target nor any other frame. release: it lets go of its VIPs in less than dead, since the peer may have taken them; keep: it serves on, and after a full partition both may',
    }),
    on_conflict: z.enum(['defend', 'stand-down']).default('defend').meta({
      description:
        'What the pair does about a third machine that claims a VIP. defend: announce again at every claim; stand-down: after three claims in 10 s neither router holds it for 30 s, then they try again',
    }),
  })
  .meta({ description: 'Heartbeat and election' });

/** A heartbeat has a byte for those that fail; more would be no check of a router any more. */
const FITNESS_CHECKS_MAX = 20;

/** The kernel's largest threshold (ip_vs_add_dest). */
const CONNECTIONS_MAX = 0x7fff_ffff;

const server = z
  .strictObject({
    address: address.meta({
      description: 'Its own address, of the family of the VIP; with nat and dr on servers_lan, with tun anywhere',
    }),
    weight: integer('Share of new clients', 1, 65_535).default(1),
    upper_threshold: integer(
      'No new clients from this many connections on, control and data, closing ones until they are forgotten, too; a client that has this server already opens further ones all the same. A session counts 1, with a transfer 2, with many short transfers one for each of the last two minutes. 0: no limit',
      0,
      CONNECTIONS_MAX,
    ).default(0),
    lower_threshold: integer(
      'A server that was full takes new clients again below this many connections; 0: below three quarters of upper_threshold',
      0,
      CONNECTIONS_MAX,
    ).default(0),
  })
  .meta({ description: 'A real server' });

const sorryServer = z
  .strictObject({
    address: address.meta({ description: 'Its address on servers_lan, of the family of the VIP' }),
  })
  .meta({
    description:
      'Another machine that gets new clients while no real server takes any, and tells them why (of FTP 421 and a sentence, say). It listens on the ports of the real servers (of FTP the control ports), needs of its host what a real server needs (nat: the route through the floating gateway; dr and tun: the VIP), and is checked as they are; of FTP for a greeting of any code: within TLS on a port that begins with it (990; any certificate will do), else in the clear. Not used while servers keep their weights (on_all_failed: keep)',
  });

/** Where a service is, whatever its kind. */
const place = {
  vip: address.meta({ description: 'The VIP of the service: one of the vips of a LAN' }),
  servers_lan: name(
    'The LAN the real servers are on; nat needs it, with dr it is the LAN of the VIP when left out, with tun the servers may be anywhere',
  ).optional(),
  forwarding: z.enum(['nat', 'dr', 'tun']).default('nat').meta({
    description:
      'IPVS forwarding method. nat: the servers answer through the floating gateway. dr: the servers have the VIP themselves, silent on their LAN, and answer the clients straight; they are on a LAN of the routers. tun: the same, but each packet comes to them in a tunnel (IPIP, or IPv6 in IPv6), so they may be anywhere',
  }),
  mark: integer('Firewall mark of the service, unique', 1, 0x7fff_ffff),
};

/** How its clients are spread. */
const balancing = {
  scheduler: z.enum(SCHEDULERS).default('wlc').meta({
    description:
      'IPVS scheduler: which real server gets a new client. rr, wrr: in turn (wrr by weight); lc, wlc: the one with the fewest connections (wlc by weight); sed, nq: the shortest expected delay (nq: an idle one first); twos: the less busy of two at random; fo: the largest weight that is up; ovf: the largest weight until its connections exceed it; sh, mh: by the client’s address; dh, lblc, lblcr: by the VIP, so that all clients of it come to one server',
  }),
  scheduler_options: z.array(z.enum(SCHEDULER_OPTIONS)).max(2).optional().meta({
    description:
      'Of sh and mh only. fallback: a client whose own server takes no clients gets another one; port: the client’s port counts, too. Absent: [fallback]',
  }),
};

/** Who serves it. */
const serving = {
  persistence_prefix: integer(
    'Leading bits of a client’s address that count for persistence: clients of one such network share a real server, as behind a NAT with several addresses (IPv4 1 to 32, IPv6 1 to 128; absent: the whole address). A change gives running sessions new templates',
    1,
    128,
  ).optional(),
  on_all_failed: z.enum(['keep', 'empty']).default('keep').meta({
    description:
      'What happens when every check of the service fails, but servers answer (all full, the account of the check locked, no name server). keep: those that fell together keep their weights, with an alarm; empty: new clients are refused',
  }),
  sorry_server: sorryServer.optional(),
  servers: z.record(name('A real server'), server).meta({ description: 'The real servers, by name' }),
};

const ftpService = z
  .strictObject({
    kind: z.literal('ftp').default('ftp').meta({
      description:
        'What the service is. ftp: control and data connections of one session on one server. tcp, udp: any other service over TCP or UDP, their fields are below',
    }),
    ...place,
    mode: z
      .enum(['marks'])
      .default('marks')
      .meta({ description: 'One firewall mark for control, passive and active data' }),
    control_port: ports(
      'FTP control port, on the VIP and on the real servers, or a list: [21, 990] for FTP (plain, or TLS by AUTH) and FTPS (TLS from the start) with one passive range and one persistence',
      'write a port from 1 to 65535, or a list of up to four',
    ).prefault(21),
    passive_ports: portRange
      .meta({ description: 'Passive data ports, first-last (1024 to 65535); the real servers use the same range' })
      .prefault('10000-20000'),
    active: z
      .boolean()
      .default(true)
      .meta({ description: 'Serve active mode (data from the servers to the client) too' }),
    active_port: ports(
      'The port that active mode’s data come from on the real servers: one, or a list in the order of control_port; 20 for control port 21 and 989 for 990 without a word',
      'write a port from 1 to 65535, or a list as long as control_port',
    ).optional(),
    announce: address.optional().meta({
      description:
        'The address that the real servers name in PASV, where clients reach the VIP by another: the public one of a 1:1 NAT before the pair (default: the VIP)',
    }),
    ...balancing,
    persistence: duration(
      'How long a client stays with its real server after its last connection',
      1_000,
      86_400_000,
      '6m',
    ),
    check: ftpCheck.prefault({}),
    ...serving,
  })
  .meta({ description: 'One FTP service on one VIP' });

/** The ports of a service that is not FTP, and how its connections belong together. */
const plainPorts = {
  ports: portList(
    'What clients come to on the VIP: a port, a range, or a list of both, such as [80, 443] for HTTP with HTTPS; all of a client goes to one server with persistence',
  ),
  server_port: integer(
    'The port that it has on the real servers, where that is another one; with forwarding: nat, one port and persistence: off only',
    1,
    65_535,
  ).optional(),
  persistence: durationOrOff(
    'How long a client stays with its real server after its last connection; off: each connection is given a server of its own',
    1_000,
    86_400_000,
    '6m',
  ),
};

const tcpService = z
  .strictObject({
    kind: z.literal('tcp').meta({ description: 'A service over TCP that is not FTP: SFTP, HTTP, HTTPS, SMTP' }),
    ...place,
    ...plainPorts,
    ...balancing,
    check: tcpCheck.prefault({}),
    ...serving,
  })
  .meta({ description: 'One TCP service on one VIP' });

const udpService = z
  .strictObject({
    kind: z.literal('udp').meta({ description: 'A service over UDP: DNS, syslog, RADIUS, SIP' }),
    ...place,
    ...plainPorts,
    sync: z.enum(['templates', 'connections']).default('templates').meta({
      description:
        'What of it the standby is told. templates: which server a client has, with persistence; connections: each client port, too, so that what has a server keeps it without persistence',
    }),
    ...balancing,
    check: udpCheck.prefault({}),
    ...serving,
  })
  .meta({ description: 'One UDP service on one VIP' });

const service = z
  .discriminatedUnion('kind', [ftpService, tcpService, udpService])
  .meta({ description: 'One service on one VIP; without kind it is FTP' });

const redisTls = z
  .strictObject({
    ca_file: filePath("Certificates of the authorities that may sign the server's; absent: those Node.js knows"),
    cert_file: filePath('Our own certificate, if the server wants one'),
    key_file: filePath('Its key, root-only (mode 0600)'),
    server_name: shortText("Name that the server's certificate must have; absent: the host", 253).optional(),
  })
  .meta({ description: 'Encryption of the connection to Redis' });

const redisStore = z
  .strictObject({
    host: shortText(
      'Name or address of a single Redis; with Sentinel, write sentinels and master instead',
      253,
    ).optional(),
    port: integer('Its TCP port', 1, 65_535).default(6_379),
    sentinels: z
      .array(endpoint)
      .min(1, { error: 'name one to sixteen' })
      .max(16, { error: 'name one to sixteen' })
      .optional()
      .meta({ description: 'The Sentinels, each as host:port' }),
    master: shortText('Name that the Sentinels have for the master', 128).optional(),
    username: shortText('ACL user (Redis 6 or newer)', 128).optional(),
    password_file: filePath('Root-only file with the password'),
    sentinel_password_file: filePath("Root-only file with the Sentinels' password"),
    tls: z
      .union([z.literal(false), redisTls])
      .default(false)
      .meta({ description: 'false: unencrypted; a map (may be empty, {}): TLS, for the Sentinels too' }),
    database: integer('Number of the database', 0, 1_023).default(0),
    timeout: duration('Longest time for connecting, and for every command', 100, 30_000, '2s'),
    key_prefix: z
      .string()
      .regex(/^[A-Za-z0-9._:-]{1,64}$/, { error: 'write letters, digits and . _ : -, at most 64 characters' })
      .default('tandem')
      .meta({ description: 'Keys are PREFIX:v1:PAIR:…; several pairs may share one Redis' }),
  })
  .meta({ description: 'A Redis that both routers may use; single or with Sentinel, not a cluster' });

const witness = z
  .strictObject({
    redis: redisStore,
    lease: duration(
      'W: how long the word of the witness lasts; the owner of the VIPs renews it all the time',
      300,
      60_000,
      '1s',
    ),
    timeout: duration('Longest time for one answer of the witness', 50, 10_000, '250ms'),
  })
  .meta({
    description:
      'A third place that knows who owns the VIPs, for when the routers cannot hear each other: one durable Redis on neither of them',
  });

const store = z
  .strictObject({
    type: z
      .enum(['none', 'file', 'redis'])
      .default('file')
      .meta({ description: 'Where sessions are kept, so that they outlive a reboot of both routers' }),
    schedule: schedule(
      'How often a snapshot is saved; one is also saved soon after every change',
      5_000,
      86_400_000,
      '1m',
    ),
    connections: z
      .boolean()
      .default(true)
      .meta({ description: 'Save running connections too, not only which server a client has' }),
    max_age: duration('A snapshot older than this is not restored', 60_000, 604_800_000, '30m'),
    path: filePath("The file; absent: sessions.snapshot in the director's state directory"),
    redis: redisStore.optional(),
  })
  .meta({ description: 'Snapshots of sessions, restored when a router starts and its peer has nothing' });

const sync = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .meta({ description: 'Send connection state to the standby, so that running transfers survive a failover' }),
    port: integer('TCP port of the stream, encrypted, on every heartbeat link', 1, 65_535).default(694),
    store: store.prefault({}),
  })
  .meta({ description: 'Connection state from the active router to the standby, and on disk or in Redis' });

const ipvs = z
  .strictObject({
    tcp_timeout: duration(
      'Idle TCP connections are forgotten after this; more than the longest transfer',
      60_000,
      604_800_000,
      '2h',
    ),
    udp_timeout: duration(
      'A UDP client port that has been silent for this long is forgotten; set where a service is of kind udp',
      1_000,
      86_400_000,
      '5m',
    ),
    tcp_fin_timeout: duration('Closed TCP connections are forgotten after this', 1_000, 3_600_000, '2m'),
    drain: duration(
      'How long a real server that takes no new clients may keep those it has: one that left the config (then what still runs is cut), or one that fails its check but answers (then its clients go to other servers)',
      60_000,
      604_800_000,
      '24h',
    ),
    adopt_for: duration(
      "How long after a takeover data of active mode that this router does not know is taken in mid-stream, by its client's real server",
      1_000,
      3_600_000,
      '1m',
    ),
    audit: schedule('How often the kernel is compared with the config and repaired', 1_000, 3_600_000, '30s'),
  })
  .meta({ description: 'Kernel settings shared by all services' });

const fitnessCheck = z
  .strictObject({
    script: script(
      'The program with its arguments, run by tandem-runner without any right and without a shell. Exit status 0: passed; any other, a signal or a time-out: failed, with the first line of its output as the reason. It and the directories on the way to it must belong to root and be writable by nobody else',
    ),
    environment: environment('Further environment variables of the script'),
    interval: duration('Time between two runs', 1_000, 3_600_000, '10s'),
    timeout: duration(
      'Longest time of a run: then its process group gets SIGTERM, a second later SIGKILL, and it has failed',
      100,
      120_000,
      '5s',
    ),
    rise: integer('Good runs in a row before it passes', 1, 20).default(2),
    fall: integer('Failed runs in a row before it fails', 1, 20).default(3),
  })
  .meta({ description: 'A check by script of what this router needs to serve' });

const fitness = z
  .strictObject({
    checks: z
      .record(name('A fitness check'), fitnessCheck)
      .refine(checks => Object.keys(checks).length <= FITNESS_CHECKS_MAX, {
        error: `name ${FITNESS_CHECKS_MAX} checks at most`,
      })
      .default({})
      .meta({
        description:
          'Checks by script, by name, on both routers. Of two routers that are alike in LANs, servers and VIPs the one where fewer fail is fitter, and the VIPs go there; none is a veto',
      }),
  })
  .meta({ description: 'What makes this router fit to serve, besides its LANs and real servers' });

export const configSchema = z
  .strictObject({
    pair: name('Name of the pair; heartbeats of other pairs are refused'),
    routers: z.record(name('A router'), router).meta({ description: 'The two routers' }),
    lans: z.record(name('A LAN'), lan).meta({ description: 'The networks of the pair, by name' }),
    heartbeat,
    witness: witness.optional(),
    sync: sync.prefault({}),
    ipvs: ipvs.prefault({}),
    fitness: fitness.prefault({}),
    hooks,
    services: z.record(name('A service'), service).default({}).meta({ description: 'Services, by name' }),
  })
  .meta({ title: 'Tandem', description: 'Config of a Tandem router pair; identical on both routers' });

/** The config with defaults filled in; durations in milliseconds, addresses canonical. */
export type Config = z.output<typeof configSchema>;
export type LanConfig = Config['lans'][string];
export type ServiceConfig = Config['services'][string];
export type FtpServiceConfig = Extract<ServiceConfig, { readonly kind: 'ftp' }>;
/** Any other: its ports are all alike. */
export type PlainServiceConfig = Exclude<ServiceConfig, FtpServiceConfig>;
export type PlainCheckConfig = PlainServiceConfig['check'];
type StoreConfig = Config['sync']['store'];
export type RedisConfig = NonNullable<StoreConfig['redis']>;
export type WitnessConfig = NonNullable<Config['witness']>;
