// The one source of the config: its types, defaults, bounds and documentation. `tandem check`, the
// daemons and docs/reference/config.schema.json all come from here; rules that need more than one
// field are in rules.ts. Pure.
import { z } from 'zod';
import { type Address, type Cidr, parseAddress, parseCidr } from '../units/address.ts';
import { DURATION_SYNTAX, formatDuration, type Ms, ms, parseDuration } from '../units/duration.ts';
import { parseSchedule, type Schedule } from '../units/schedule.ts';

const NAME = /^[a-z0-9][a-z0-9-]{0,30}$/;

const SCHEDULE_SYNTAX = 'write a duration like 30s, or a cron expression like "0 30 3 * * *"';

/**
 * A duration field: text in the file, milliseconds in the code. `fallback` is shown as the default,
 * bounds in errors.
 */
function duration(about: string, min: number, max: number, fallback: string) {
  const range = `${formatDuration(ms(min))} to ${formatDuration(ms(max))}`;
  return z
    .string({ error: `write ${DURATION_SYNTAX}` })
    .meta({
      title: 'duration',
      description: `${about} (${range})`,
      pattern: '^\\d+(\\.\\d+)?(ms|s|m|h|d)$',
      examples: [fallback],
    })
    .transform((text, ctx): Ms => {
      const value = parseDuration(text);
      if (value === undefined) {
        ctx.addIssue({ code: 'custom', message: `"${text}" is not a duration; write ${DURATION_SYNTAX}` });
        return z.NEVER;
      }
      if (value < min || value > max) {
        ctx.addIssue({ code: 'custom', message: `${text} is out of bounds; write a duration of ${range}` });
        return z.NEVER;
      }
      return value;
    })
    .prefault(fallback);
}

/**
 * A pause ("30s"), kept by the monotonic clock, or a cron expression, for whoever wants times of
 * the day.
 */
function schedule(about: string, min: number, max: number, fallback: string) {
  const range = `${formatDuration(ms(min))} to ${formatDuration(ms(max))}`;
  return z
    .string({ error: SCHEDULE_SYNTAX })
    .meta({
      title: 'duration or cron expression',
      description: `${about} (${range}, or a cron expression)`,
      examples: [fallback, '0 30 3 * * *'],
    })
    .transform((text, ctx): Schedule => {
      const value = parseSchedule(text);
      if (value.type === 'every' && (value.everyMs < min || value.everyMs > max)) {
        ctx.addIssue({ code: 'custom', message: `${text} is out of bounds; write a duration of ${range}` });
        return z.NEVER;
      }
      return value;
    })
    .prefault(fallback);
}

function integer(about: string, min: number, max: number) {
  const error = `write a whole number from ${min} to ${max}`;
  return z
    .int({ error })
    .min(min, { error })
    .max(max, { error })
    .meta({ description: `${about} (${min} to ${max})` });
}

function name(about: string) {
  return z
    .string()
    .regex(NAME, { error: 'write lower-case letters, digits and dashes, at most 31 characters' })
    .meta({ description: about });
}

const address = z
  .string({ error: 'write an IPv4 or IPv6 address' })
  .meta({ title: 'address', description: 'An IPv4 or IPv6 address, without a prefix length' })
  .transform((text, ctx): Address => {
    const value = parseAddress(text);
    if (value === undefined) {
      ctx.addIssue({
        code: 'custom',
        message: `"${text}" is not an address; write one like 192.0.2.100 or 2001:db8::100`,
      });
      return z.NEVER;
    }
    return value;
  });

const cidr = z
  .string({ error: 'write an address with its prefix length' })
  .meta({ title: 'address/prefix', description: 'An address with the prefix length of its network' })
  .transform((text, ctx): Cidr => {
    const value = parseCidr(text);
    if (value === undefined) {
      ctx.addIssue({
        code: 'custom',
        message: `"${text}" is not an address with a prefix length; write one like 192.0.2.2/24`,
      });
      return z.NEVER;
    }
    return value;
  });

const interfaceName = z
  .string()
  .regex(/^[^\s/:]{1,15}$/, { error: 'write the name of a network interface, at most 15 characters' })
  .meta({ title: 'interface', description: 'A network interface, as `ip link` names it' });

const portRange = z
  .string({ error: 'write first-last, like 10000-20000' })
  .meta({ title: 'port range', description: 'An inclusive range of TCP ports', examples: ['10000-20000'] })
  .transform((text, ctx): { first: number; last: number } => {
    const match = /^(\d{1,5})-(\d{1,5})$/.exec(text);
    const [first, last] = [Number(match?.[1]), Number(match?.[2])];
    if (!match || first < 1024 || last > 65535 || first > last) {
      ctx.addIssue({ code: 'custom', message: `"${text}" is not a port range; write first-last within 1024-65535` });
      return z.NEVER;
    }
    return { first, last };
  });

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
      .max(64)
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

/**
 * Longer than the 5 s after which a resolver asks the next name server: a greeting may wait for
 * that.
 */
export const STAGE_TIMEOUT_DEFAULT = ms(6_000);

const check = z
  .strictObject({
    interval: duration('Time between two checks of a server', 500, 600_000, '5s'),
    timeout: duration(
      'Longest time for a whole check; a server that is down is given as long for its greeting, to tell a slow one from a hung one: more than a name server that is gone costs it (10s for each that it asks)',
      200,
      120_000,
      '30s',
    ),
    stage_timeout: duration(
      'Longest time for one stage of it (connect, login, transfer…); more than the 5s after which a resolver asks the next name server',
      100,
      60_000,
      formatDuration(STAGE_TIMEOUT_DEFAULT),
    ),
    rise: integer('Good checks in a row before a server is used', 1, 20).default(2),
    fall: integer('Failed checks in a row before a server gets no new clients', 1, 20).default(3),
    user: z
      .string()
      .min(1)
      .max(64)
      .regex(/^[^\r\n]*$/, { error: 'write a name without line breaks' })
      .default('anonymous')
      .meta({ description: 'FTP user of the check' }),
    password_file: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'Root-only file with the password; anonymous needs none' }),
    data: z
      .enum(['pasv', 'epsv'])
      .default('pasv')
      .meta({ description: 'How the data connection is opened (IPv6 servers are always checked with epsv)' }),
    fetch: z
      .string()
      .max(255)
      .regex(/^[^\r\n]*$/, { error: 'write a path without line breaks' })
      .optional()
      .meta({ description: 'File to fetch; without it the login directory is listed' }),
    max_bytes: integer('Bytes read of the data connection before the check is content', 1, 16_777_216).default(65_536),
  })
  .meta({ description: 'How a nanny checks the real servers, as an FTP client would' });

const server = z
  .strictObject({
    address: address.meta({ description: 'Its address on servers_lan, of the family of the VIP' }),
    weight: integer('Share of new clients', 1, 65_535).default(1),
  })
  .meta({ description: 'A real server' });

const service = z
  .strictObject({
    vip: address.meta({ description: 'The VIP of the service: one of the vips of a LAN' }),
    servers_lan: name('The LAN the real servers are on'),
    mode: z
      .enum(['marks'])
      .default('marks')
      .meta({ description: 'One firewall mark for control, passive and active data' }),
    forwarding: z
      .enum(['nat'])
      .default('nat')
      .meta({ description: 'IPVS forwarding method: the servers answer through the floating gateway' }),
    mark: integer('Firewall mark of the service, unique', 1, 0x7fff_ffff),
    control_port: integer('FTP control port, on the VIP and on the real servers', 1, 65_535).default(21),
    passive_ports: portRange
      .meta({ description: 'Passive data ports, first-last (1024 to 65535); the real servers use the same range' })
      .prefault('10000-20000'),
    active: z.boolean().default(true).meta({ description: 'Serve active mode (data from the servers’ port 20) too' }),
    scheduler: z.enum(['rr', 'wrr', 'lc', 'wlc', 'sh']).default('wlc').meta({ description: 'IPVS scheduler' }),
    persistence: duration(
      'How long a client stays with its real server after its last connection',
      1_000,
      86_400_000,
      '6m',
    ),
    check: check.prefault({}),
    on_all_failed: z.enum(['keep', 'empty']).default('keep').meta({
      description:
        'What happens when every check of the service fails, but servers answer (all full, the account of the check locked, no name server). keep: those that fell together keep their weights, with an alarm; empty: new clients are refused',
    }),
    servers: z.record(name('A real server'), server).meta({ description: 'The real servers, by name' }),
  })
  .meta({ description: 'One FTP service on one VIP' });

/** "host:port" in the file, both parts in the code. */
const endpoint = z
  .string({ error: 'write host:port, like 203.0.113.9:26379' })
  .meta({ title: 'host:port', description: 'A host (name or address; IPv6 in brackets) and its port' })
  .transform((text, ctx): { host: string; port: number } => {
    const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9._-]{1,253})):(\d{1,5})$/.exec(text);
    const host = match?.[1] ?? match?.[2];
    const port = Number(match?.[3]);
    if (host === undefined || port < 1 || port > 65535) {
      const message = `"${text.slice(0, 60)}" is not a host with its port; write one like 203.0.113.9:26379 or "[2001:db8::9]:26379"`;
      ctx.addIssue({ code: 'custom', message });
      return z.NEVER;
    }
    return { host, port };
  });

function filePath(about: string) {
  return z
    .string()
    .min(1)
    .max(1_000)
    .regex(/^\/[^\0\r\n]*$/, { error: 'write a whole path, from / on' })
    .optional()
    .meta({ title: 'file', description: about });
}

function shortText(about: string, max: number) {
  return z
    .string()
    .min(1)
    .max(max)
    .regex(/^[^\0\r\n]*$/, { error: 'write a text without line breaks' })
    .meta({ description: about });
}

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

export const configSchema = z
  .strictObject({
    pair: name('Name of the pair; heartbeats of other pairs are refused'),
    routers: z.record(name('A router'), router).meta({ description: 'The two routers' }),
    lans: z.record(name('A LAN'), lan).meta({ description: 'The networks of the pair, by name' }),
    heartbeat,
    witness: witness.optional(),
    sync: sync.prefault({}),
    ipvs: ipvs.prefault({}),
    services: z.record(name('A service'), service).default({}).meta({ description: 'FTP services, by name' }),
  })
  .meta({ title: 'Tandem', description: 'Config of a Tandem router pair; identical on both routers' });

/** The config with defaults filled in; durations in milliseconds, addresses canonical. */
export type Config = z.output<typeof configSchema>;
export type LanConfig = Config['lans'][string];
export type ServiceConfig = Config['services'][string];
type StoreConfig = Config['sync']['store'];
export type RedisConfig = NonNullable<StoreConfig['redis']>;
export type WitnessConfig = NonNullable<Config['witness']>;
