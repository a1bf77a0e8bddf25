// Who may be taking what the evidence says is lost: chains of others on the hooks in question that
// can drop it, send it elsewhere, or take its mark away. It only names them, with the rule that is
// missing; whether something is lost is known already. Pure: `nft -j` listings in, sentences out.
// Source: libnftables-json(5).
import { HOOKS, type Loss, type Way } from './evidence.ts';
import { GATE_TABLE } from './packet-lease-rules.ts';
import { TABLE_NAME } from './table-name.ts';

interface Chain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}

/** A part of a rule, or a verdict of a map, by nft's name of it. */
type Statement = Readonly<Record<string, unknown>>;

interface Rule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly expr: readonly Statement[];
}

/** A named map; of a listing without elements (`-t`) it has none. */
interface VerdictMap {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly elem?: Elements;
}

type Elements = readonly (readonly [key: unknown, verdict: Statement])[];

interface Listing {
  readonly chains: readonly Chain[];
  readonly rules: readonly Rule[];
  readonly maps: readonly VerdictMap[];
}

/** What a rule can do to a packet; the likelier cause of a loss first. */
const DEEDS = ['drop', 'translate', 'divert', 'mark'] as const;
type Deed = (typeof DEEDS)[number];

/** By nft's names, and by those of iptables' targets, of which nft knows nothing else. */
const NAMES: Readonly<Record<Deed, { readonly statements: readonly string[]; readonly targets: RegExp }>> = {
  drop: { statements: ['drop', 'reject'], targets: /"(DROP|REJECT)"/ },
  translate: { statements: ['dnat', 'redirect'], targets: /"(DNAT|REDIRECT)"/ },
  divert: { statements: ['tproxy', 'queue', 'synproxy'], targets: /"(TPROXY|NFQUEUE|SYNPROXY)"/ },
  mark: { statements: [], targets: /"(MARK|CONNMARK)"/ },
};

/**
 * Which of them explain a loss. Only the first packet of a connection is translated; IPVS' own
 * are past that when they leave. Where the mark is asked for, who sets another one is to blame.
 */
const CAUSES: Readonly<Record<Way, readonly Deed[]>> = {
  'from-clients': DEEDS,
  'data-from-clients': DEEDS,
  'to-servers': ['drop', 'divert', 'mark'],
  'data-to-servers': ['drop', 'divert', 'mark'],
  'from-servers': ['drop', 'divert'],
  'data-from-servers': ['drop', 'divert'],
  'active-data': ['drop', 'translate', 'divert'],
};

const REMARKS: Readonly<Record<Deed, string>> = {
  drop: '',
  translate: ' (translates)',
  divert: ' (diverts)',
  mark: ' (sets marks)',
};
const BY_POLICY = ' (policy drop)';
/** What stands behind the name of a chain. */
const REMARK = / \([a-z ]+\)$/;

/** Told at most. */
const SUSPECTS_MAX = 3;
const FAMILIES = ['inet', 'ip', 'ip6'];

/**
 * Chains of others by which a way may be cut, the likeliest first: those that drop by policy, then
 * those that drop by a rule, then the rest: "ip filter FORWARD (policy drop)".
 */
export function suspects(json: string, way: Way, family: 'ip' | 'ip6'): string[] {
  return named(json, { hooks: HOOKS[way], causes: CAUSES[way], family });
}

/** Those that can drop, by hooks. */
export function droppers(json: string, hooks: readonly string[], family: 'ip' | 'ip6'): string[] {
  return named(json, { hooks, causes: ['drop'], family });
}

interface Search {
  readonly hooks: readonly string[];
  readonly causes: readonly Deed[];
  readonly family: 'ip' | 'ip6';
}

function named(json: string, { hooks, causes, family }: Search): string[] {
  const listing = parseListing(json);
  const found = listing.chains
    .filter(({ hook, family: own }) => hook !== undefined && hooks.includes(hook) && (own === 'inet' || own === family))
    .flatMap(chain => {
      const name = `${chain.family} ${chain.table} ${chain.name}`;
      if (chain.policy === 'drop') return [{ rank: -1, text: `${name}${BY_POLICY}` }];
      const done = deedsOf(chain, listing, new Set());
      const deed = causes.find(cause => done.has(cause));
      return deed === undefined ? [] : [{ rank: DEEDS.indexOf(deed), text: `${name}${REMARKS[deed]}` }];
    });
  return found
    .sort((a, b) => a.rank - b.rank)
    .slice(0, SUSPECTS_MAX)
    .map(({ text }) => text);
}

function parseListing(json: string): Listing {
  const { nftables } = JSON.parse(json) as { nftables?: unknown };
  const items = (Array.isArray(nftables) ? nftables : []) as { chain?: Chain; rule?: Rule; map?: VerdictMap }[];
  return {
    chains: items.flatMap(({ chain }) => (chain && isForeign(chain) ? [chain] : [])),
    rules: items.flatMap(({ rule }) => (rule && isForeign(rule) ? [rule] : [])),
    maps: items.flatMap(({ map }) => (map && isForeign(map) ? [map] : [])),
  };
}

function isForeign({ family, table }: { readonly family: string; readonly table: string }): boolean {
  return FAMILIES.includes(family) && table !== TABLE_NAME && table !== GATE_TABLE;
}

/** What the rules of a chain can do, and those of chains that it leads to. */
function deedsOf(chain: Chain, listing: Listing, seen: Set<string>): ReadonlySet<Deed> {
  if (seen.has(chain.name)) return new Set();
  seen.add(chain.name);
  const ofTable = ({ family, table }: { readonly family: string; readonly table: string }) =>
    family === chain.family && table === chain.table;
  const maps = listing.maps.filter(ofTable);
  const statements = listing.rules
    .filter(rule => ofTable(rule) && rule.chain === chain.name)
    .flatMap(({ expr }) => expr)
    .flatMap(statement => [statement, ...verdictsOf(statement, maps)]);
  const own = DEEDS.filter(deed => statements.some(statement => does(statement, deed)));
  const others = statements.flatMap(({ jump, goto: leaves }) => {
    const target = ((jump ?? leaves) as { target?: string } | undefined)?.target;
    return target === undefined ? [] : [...deedsOf({ ...chain, name: target }, listing, seen)];
  });
  return new Set([...own, ...others]);
}

/** Of a verdict map: those in the rule itself, or in the map that it names ("@name"). */
function verdictsOf(statement: Statement, maps: readonly VerdictMap[]): readonly Statement[] {
  const data = (statement.vmap as { data?: string | { set?: Elements } } | undefined)?.data;
  if (data === undefined) return [];
  const elements =
    typeof data === 'string' ? maps.flatMap(one => (`@${one.name}` === data ? (one.elem ?? []) : [])) : data.set;
  return (elements ?? []).map(([, verdict]) => verdict);
}

function does(statement: Statement, deed: Deed): boolean {
  const { statements, targets } = NAMES[deed];
  if (statements.some(name => name in statement) || targets.test(JSON.stringify(statement.xt ?? ''))) return true;
  const { key } = (statement.mangle ?? {}) as { key?: { meta?: { key?: string } } };
  return deed === 'mark' && key?.meta?.key === 'mark';
}

const WHAT: Readonly<Record<Way, string>> = {
  'from-clients': 'new connections of clients to the VIP',
  'data-from-clients': "clients' new data connections of passive mode to the VIP",
  'to-servers': 'new connections from IPVS to the real servers',
  'data-to-servers': 'new data connections of passive mode from IPVS to the real servers',
  'from-servers': "the real servers' answers",
  'data-from-servers': "the real servers' answers to new data connections of passive mode",
  'active-data': "the real servers' data connections of active mode",
};

/** A sentence that says what is lost, who may do it and which rule is missing. */
export function lossText(loss: Loss, names: readonly string[], accept: string): string {
  const { service, way } = loss;
  const what = `service ${service}: ${WHAT[way]} come to this router, and none gets past the firewall rules of others (${HOOKS[way].join(', ')})`;
  if (names.length === 0) {
    return `${what}: no chain in nftables looks like it; is it iptables-legacy (\`iptables-legacy-save\`), a strict rp_filter, or a route?`;
  }
  const [first] = names;
  const chain = first?.replace(REMARK, '');
  return `${what}: look at ${names.map(name => `"${name}"`).join(', ')}; missing is perhaps \`nft insert rule ${chain} ${accept} accept\` (or the like in the tool that writes those rules)`;
}
