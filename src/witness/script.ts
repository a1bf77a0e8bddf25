// The rules of witness.ts as one script, so that compare and write cannot be torn apart, and how
// its arguments and replies are written. Whoever can write to Redis may have written the record:
// what makes no sense is `failed` with a sentence, never a decision. Pure.
//   PREFIX:v1:PAIR:witness   hash: node, counter and term (the epoch), until, since, lease, run;
//                            without a time to live
import { WITNESS_VERDICTS, type WitnessAnswer, type WitnessAsk, type WitnessRecord } from './witness.ts';

/** What an ACL user must be allowed, as ACL SETUSER takes it. */
export const WITNESS_RIGHTS = '~PREFIX:*:witness +eval +info +time +hmget +hset +select';

/**
 * Largest number that is read from the record: counters and milliseconds since 1970 stay far below.
 */
const DIGITS_MAX = 15;

/** Where the pair's record is. */
export function witnessKey(keyPrefix: string, pair: string): string {
  return `${keyPrefix}:v1:${pair}:witness`;
}

/**
 * KEYS: the record. ARGV: verb, node, counter and node of the epoch, lease in ms. Replies a list of
 * texts: a verdict and the record (node, counter, term, remaining ms), if there is one; or a word
 * of REFUSALS and a detail.
 */
export const WITNESS_SCRIPT = `
local function info(section, field)
  return string.match(redis.call('INFO', section), '\\n' .. field .. ':([^\\r\\n]*)')
end
if info('replication', 'role') ~= 'master' then return {'replica'} end
local policy = info('memory', 'maxmemory_policy') or ''
if info('memory', 'maxmemory') ~= '0' and string.sub(policy, 1, 8) == 'allkeys-' then return {'evicts', policy} end
local run = info('server', 'run_id')
if not run or not string.match(run, '^%w+$') then return {'nameless'} end

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local names = {'node', 'counter', 'term', 'until', 'since', 'lease', 'run'}
local was = redis.call('HMGET', KEYS[1], unpack(names))
local found, r = 0, {}
for i, name in ipairs(names) do
  if was[i] then
    found = found + 1
    local pattern = name == 'run' and '^%w+$' or '^%d+$'
    if not string.match(was[i], pattern) or (name ~= 'run' and #was[i] > ${DIGITS_MAX}) then return {'foreign', name} end
    r[name] = name == 'run' and was[i] or tonumber(was[i])
  end
end
if found > 0 and found < #names then return {'foreign', 'fields'} end
local known = found > 0
if known and (r.node < 1 or r.node > 2 or r.term > 2) then return {'foreign', 'node'} end

local verb, me, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[5])
local counter, term = tonumber(ARGV[3]), tonumber(ARGV[4])
local before = known and (r['until'] .. ' ' .. r.since .. ' ' .. r.run) or ''
-- A clock that was put back would stretch a lease by hours: it counts anew, in full.
if known and now < r.since then
  r.since = now
  if r['until'] ~= 0 then r['until'] = now + r.lease end
end
local remembers = known and r.run == run
local verdict

local function is_stale()
  if counter ~= r.counter then return counter < r.counter end
  return term < r.term or (term == r.term and r.node ~= me)
end
local function grant()
  known = true
  r = {node = me, counter = counter, term = term, ['until'] = now + lease, since = now, lease = lease, run = run}
  return 'granted'
end
local function claim()
  if r.node ~= me and r['until'] > now then return 'refused' end
  if is_stale() then return 'stale' end
  return grant()
end

if verb == 'look' then
  verdict = remembers and 'seen' or 'empty'
elseif verb == 'release' then
  if known and r.node == me and (counter > r.counter or (counter == r.counter and term >= r.term)) then r['until'] = 0 end
  verdict = remembers and 'seen' or 'empty'
elseif verb == 'renew' then
  if known and is_stale() then verdict = 'stale' else verdict = grant() end
elseif verb == 'claim' then
  if remembers then verdict = claim() else verdict = 'empty' end
elseif verb == 'found' then
  if known then verdict = claim() else verdict = grant() end
else
  return {'verb', verb}
end

if not known then return {verdict} end
if verdict == 'granted' or before ~= (r['until'] .. ' ' .. r.since .. ' ' .. r.run) then
  local values = {}
  for _, name in ipairs(names) do
    values[#values + 1] = name
    values[#values + 1] = name == 'run' and r.run or string.format('%.0f', r[name])
  end
  redis.call('HSET', KEYS[1], unpack(values))
end
return {verdict, string.format('%.0f', r.node), string.format('%.0f', r.counter), string.format('%.0f', r.term),
  string.format('%.0f', math.max(0, r['until'] - now))}`;

/** The ARGV of one ask. */
export function scriptArguments(
  { verb, epoch }: Pick<WitnessAsk, 'verb' | 'epoch'>,
  { nodeId, leaseMs }: { readonly nodeId: number; readonly leaseMs: number },
): string[] {
  return [verb, `${nodeId}`, `${epoch.counter}`, `${epoch.node}`, `${Math.round(leaseMs)}`];
}

/** What the script refuses to judge, as sentences after the name of the place. */
const REFUSALS: Readonly<Record<string, (detail: string) => string>> = {
  replica: () => 'is a replica, which may know less than its master; name the master, or use its Sentinels',
  evicts: policy =>
    `may evict the record of the witness (maxmemory-policy ${policy}); use noeviction or a volatile policy, or another Redis`,
  nameless: () => 'does not tell the id of its run (INFO server, run_id), so that its restart could not be noticed',
  foreign: field =>
    `has something else under the witness' key (at "${field}"); delete the key, or choose another key_prefix`,
};

/** The words of a reply, at most this many and this long. */
const WORDS_MAX = 5;
const WORD_LENGTH_MAX = 64;

/**
 * What the script's reply to ask `seq` means. `place`: Redis as the operator knows it. Never
 * throws.
 */
export function readReply(seq: number, reply: unknown, place: string): WitnessAnswer {
  const words = Array.isArray(reply) && reply.length <= WORDS_MAX ? reply.map(wordOf) : [];
  const [first = '', ...rest] = words;
  const refusal = Object.hasOwn(REFUSALS, first) ? REFUSALS[first] : undefined;
  if (refusal) return failed(seq, `${place} ${refusal(rest[0] ?? '')}`);
  const verdict = WITNESS_VERDICTS.find(known => known === first && known !== 'failed');
  const record = rest.length === 0 ? undefined : recordIn(rest);
  const whole = rest.length === 0 ? verdict === 'empty' : record !== undefined;
  if (verdict === undefined || !whole) {
    return failed(seq, `${place} answers what no witness says (${words.join(' ').slice(0, 80)}); is it a Redis?`);
  }
  return { seq, verdict, record, problem: '' };
}

/** An ask that got no word of the witness. */
export function failed(seq: number, problem: string): WitnessAnswer {
  return { seq, verdict: 'failed', record: undefined, problem };
}

function wordOf(value: unknown): string {
  return typeof value === 'string' && /^[\w-]*$/.test(value) ? value.slice(0, WORD_LENGTH_MAX) : '?';
}

function recordIn(words: readonly string[]): WitnessRecord | undefined {
  if (words.length !== 4 || !words.every(word => /^\d{1,15}$/.test(word))) return undefined;
  const [nodeId, counter, node, remainingMs] = words.map(Number) as [number, number, number, number];
  return nodeId === 1 || nodeId === 2 ? { nodeId, epoch: { counter, node }, remainingMs } : undefined;
}
