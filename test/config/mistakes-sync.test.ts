// Mistakes about the sync, its store and the witness.
import test from 'ava';
import { parseConfig } from '../../src/config/document.ts';
import { type Edit, SOUND, testCases } from './mistakes.ts';

/** SOUND with a Redis store of these fields. */
function redis(fields: string): readonly Edit[] {
  return [['  port: 694', `  store: { type: redis, redis: { ${fields} } }`]];
}

/** SOUND with a witness of these fields. */
function witness(fields: string): readonly Edit[] {
  return [['services:\n', `witness: { ${fields} }\nservices:\n`]];
}

testCases([
  {
    mistake: 'a sync LAN, which was removed',
    edits: [['  port: 694', '  lan: cross']],
    told: [
      '30:3: error: unknown key "lan": it is gone, connection state goes over every heartbeat link, encrypted; delete it',
    ],
  },
  {
    mistake: 'a sync id, which was removed',
    edits: [['  port: 694', '  sync_id: 21']],
    told: [
      '30:3: error: unknown key "sync_id": it is gone, the stream is bound to the pair by its name and key; delete it; sync.port is its TCP port',
    ],
  },
  {
    mistake: 'services with sync switched off',
    edits: [['  port: 694', '  enabled: false']],
    told: ['30:12: warning: sync is off: running transfers do not survive a failover; write enabled: true'],
  },
  {
    mistake: 'a schedule that is none',
    edits: [['  port: 694', '  store: { schedule: sometimes }']],
    told: [
      '30:22: error: "sometimes" is neither a duration nor a cron expression; write a duration like 30s, or five or six fields like "0 30 3 * * *" (second, minute, hour, day, month, weekday)',
    ],
  },
  {
    mistake: 'a store of an unknown type',
    edits: [['  port: 694', '  store: { type: redi, redis: { host: localhost } }']],
    told: ['30:18: error: "redi" is not a choice for "type"; did you mean "redis"? (none, file or redis)'],
  },
  {
    mistake: 'a store path that is not whole',
    edits: [['  port: 694', '  store: { path: sessions }']],
    told: ['30:18: error: "sessions" is not allowed for "path"; write a whole path, from / on'],
  },
  {
    mistake: 'type redis without its section',
    edits: [['  port: 694', '  store: { type: redis }']],
    told: ['30:18: error: type is redis, but there is no "redis" section; add redis: { host: ... }'],
  },
  {
    mistake: 'fields of another type of store',
    edits: [['  port: 694', '  store: { type: none, path: /var/x, redis: { host: localhost } }']],
    told: [
      '30:30: warning: "path" is not used: type is none; write type: file, or delete it',
      '30:45: warning: "redis" is not used: type is none; write type: redis, or delete it',
    ],
  },
  {
    mistake: 'a Redis that is nowhere',
    edits: redis('database: 1'),
    told: ['30:32: error: neither host nor sentinels say where Redis is; write host: NAME, or sentinels and master'],
  },
  {
    mistake: 'host and sentinels together',
    edits: redis('host: localhost, sentinels: ["127.0.0.1:26379"], master: m'),
    told: ['30:40: error: host and sentinels exclude each other; keep one of them'],
  },
  {
    mistake: 'Sentinels without the name of the master',
    edits: redis('sentinels: ["127.0.0.1:26379", "[::1]:26379"]'),
    told: [
      '30:45: error: the Sentinels must be asked for a master by its name; add master: NAME, as "sentinel monitor NAME" has it',
    ],
  },
  {
    mistake: 'a master, or a Sentinel password, without Sentinels',
    edits: redis('host: localhost, master: m, sentinel_password_file: /s'),
    told: [
      '30:59: error: only Sentinels know a master by its name; write sentinels, or delete it',
      '30:86: error: there are no sentinels; write sentinels, or delete it',
    ],
  },
  {
    mistake: 'a Sentinel without a port',
    edits: redis('sentinels: ["127.0.0.1"], master: m'),
    told: [
      '30:46: error: "127.0.0.1" is not a host with its port; write one like 203.0.113.9:26379 or "[2001:db8::9]:26379"',
    ],
  },
  {
    mistake: 'a Redis user without a password, and half a certificate',
    edits: redis('host: localhost, username: tandem, tls: { key_file: /k }'),
    told: [
      '30:61: error: a user without a password_file; add password_file: FILE',
      '30:74: error: a certificate needs its key, and a key its certificate; write both cert_file and key_file, or neither',
    ],
  },
  {
    mistake: 'a Redis elsewhere without encryption',
    edits: redis('host: 203.0.113.9'),
    told: ['30:40: warning: sessions and password go to 203.0.113.9 unencrypted; write tls: { ca_file: FILE }'],
  },
  {
    mistake: 'Sentinels elsewhere without encryption',
    edits: redis('sentinels: ["127.0.0.1:1", "redis.example:2"], master: m'),
    told: ['30:45: warning: sessions and password go to redis.example unencrypted; write tls: { ca_file: FILE }'],
  },
  {
    mistake: 'a witness that is nowhere, and one without its Redis',
    edits: witness('lease: 1s'),
    told: [
      '33:1: error: "redis" is missing; add redis: a Redis that both routers may use; single or with Sentinel, not a cluster',
    ],
  },
  {
    mistake: 'a lease of the witness that ends with that of the VIPs, and a timeout that allows one try',
    edits: witness('redis: { host: 203.0.113.9, tls: {} }, lease: 569ms, timeout: 285ms'),
    told: [
      '33:58: error: the lease of the witness, 569ms, leaves no margin after heartbeat.lease 220ms; write at least 570ms (heartbeat.lease + 3 x interval + 50ms)',
      '33:74: error: timeout 285ms leaves no time for a second try within lease 569ms; write at most 284ms, or a longer lease',
    ],
  },
  {
    mistake: 'a witness on a router, in the clear',
    edits: witness('redis: { host: 198.51.100.3 }'),
    told: [
      '33:27: warning: the word of the witness and the password go to 198.51.100.3 unencrypted; write tls: { ca_file: FILE }',
      '33:27: warning: the witness at 198.51.100.3 is on router "b": it falls silent together with it, and helps nobody then; name a machine that is neither router',
    ],
  },
  {
    mistake: 'a witness on a VIP',
    edits: witness('redis: { host: 192.0.2.100, tls: {} }'),
    told: [
      '33:27: warning: the witness at 192.0.2.100 is on the active router: it falls silent together with it, and helps nobody then; name a machine that is neither router',
    ],
  },
  {
    mistake: 'Sentinels as a witness, one of them on a router by its name',
    edits: witness('redis: { sentinels: ["b:26379", "constructor:26379"], master: m, tls: {} }'),
    told: [
      '33:32: warning: a witness with Sentinels is best effort: Redis copies to its replicas afterwards, and a cut between the Sentinels can leave two masters; use one durable Redis (appendonly yes) for the promise in full',
      '33:33: warning: the witness at b is on router "b": it falls silent together with it, and helps nobody then; name a machine that is neither router',
    ],
  },
]);

test('sync and its store have defaults without the whole section', t => {
  const parsed = parseConfig(SOUND.replace('sync:\n  port: 694\n', ''));
  t.true(parsed.ok);
  if (!parsed.ok) return;
  t.deepEqual(parsed.warnings, []);
  t.deepEqual(parsed.config.sync as unknown, {
    enabled: true,
    port: 694,
    store: { type: 'file', schedule: { type: 'every', everyMs: 60_000 }, connections: true, max_age: 1_800_000 },
  });
});

const QUIET_REDIS: readonly string[] = [
  'host: localhost',
  'host: 127.0.0.9',
  'host: "::1"',
  'host: 203.0.113.9, tls: {}',
  'sentinels: ["203.0.113.9:26379", "[2001:db8::9]:1"], master: m, tls: { ca_file: /ca }',
];
for (const fields of QUIET_REDIS) {
  test(`a Redis with ${fields}: nothing to say`, t => {
    const parsed = parseConfig(redis(fields).reduce((text, [from, to]) => text.replace(from, to), SOUND));
    t.deepEqual(parsed.ok ? parsed.warnings : parsed.mistakes, []);
  });
}
