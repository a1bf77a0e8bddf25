// Who may be dropping what the evidence says is lost: chains of others on the hooks in question
// that can drop at all. It only names them, with the rule that is missing; whether something is
// lost is known already. Pure: `nft -j list ruleset` in, sentences out.
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

interface Rule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly expr: readonly Readonly<Record<string, unknown>>[];
}

/** Told at most. */
const SUSPECTS_MAX = 3;
const FAMILIES = ['inet', 'ip', 'ip6'];

/**
 * Chains of others by which a way may be cut, those that drop by policy first: "ip filter FORWARD".
 */
export function suspects(json: string, way: Way, family: 'ip' | 'ip6'): string[] {
  return droppers(json, HOOKS[way], family);
}

/** The same by hooks. */
export function droppers(json: string, hooks: readonly string[], family: 'ip' | 'ip6'): string[] {
  const { nftables } = JSON.parse(json) as { nftables?: unknown };
  const items = (Array.isArray(nftables) ? nftables : []) as { chain?: Chain; rule?: Rule }[];
  const chains = items.flatMap(({ chain }) => (chain && isForeign(chain) ? [chain] : []));
  const rules = items.flatMap(({ rule }) => (rule && isForeign(rule) ? [rule] : []));
  const able = chains
    .filter(({ hook, family: own }) => hook !== undefined && hooks.includes(hook) && (own === 'inet' || own === family))
    .map(chain => ({ chain, byPolicy: chain.policy === 'drop', byRule: canDrop(chain, rules, new Set()) }))
    .filter(({ byPolicy, byRule }) => byPolicy || byRule)
    .sort((a, b) => Number(b.byPolicy) - Number(a.byPolicy));
  return able
    .slice(0, SUSPECTS_MAX)
    .map(({ chain, byPolicy }) => `${chain.family} ${chain.table} ${chain.name}${byPolicy ? ' (policy drop)' : ''}`);
}

function isForeign({ family, table }: { readonly family: string; readonly table: string }): boolean {
  return FAMILIES.includes(family) && table !== TABLE_NAME && table !== GATE_TABLE;
}

/** Whether a rule of the chain, or of one that it leads to, drops or rejects. */
function canDrop(chain: Chain, rules: readonly Rule[], seen: Set<string>): boolean {
  if (seen.has(chain.name)) return false;
  seen.add(chain.name);
  const own = rules.filter(
    ({ family, table, chain: name }) => family === chain.family && table === chain.table && name === chain.name,
  );
  return own.some(({ expr }) =>
    expr.some(part => {
      if ('drop' in part || 'reject' in part) return true;
      // A target of iptables: its name is all that nft knows.
      if (JSON.stringify(part.xt ?? '').match(/DROP|REJECT/)) return true;
      const to = (part.jump ?? part.goto) as { target?: string } | undefined;
      return to?.target !== undefined && canDrop({ ...chain, name: to.target }, rules, seen);
    }),
  );
}

const WHAT: Readonly<Record<Way, string>> = {
  'from-clients': 'new connections of clients to the VIP',
  'to-servers': 'new connections from IPVS to the real servers',
  'from-servers': "the real servers' answers",
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
  const chain = first?.replace(' (policy drop)', '');
  return `${what}: look at ${names.map(name => `"${name}"`).join(', ')}; missing is perhaps \`nft insert rule ${chain} ${accept} accept\` (or the like in the tool that writes those rules)`;
}
