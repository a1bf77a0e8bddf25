// One audit: read the kernel, plan, apply, read again until nothing is left to do (a few rounds at
// most: a module loaded by the first round brings settings that the second one sets). Not pure: the
// kernel, through its port. Decides nothing itself.
import type { Config } from '../../config/schema.ts';
import { type KnownClients, knowing, knownClients, servicesWithKnown } from '../../firewall/known-clients.ts';
import { removal } from '../../firewall/ruleset.ts';
import type { Verdict } from '../../nanny/verdict.ts';
import type { Address } from '../../units/address.ts';
import type { At } from '../../units/duration.ts';
import { noteLeaving } from '../leaving.ts';
import { claimOwned, forgetOwned, type Owned, withLeaving } from '../owned.ts';
import {
  type Actual,
  type AppliedRules,
  type Audit,
  type Change,
  isHarmless,
  needsKernel,
  type Plan,
  type PlanInput,
  type PlanTarget,
  plan,
  type Refusal,
} from '../plan.ts';
import { forwardingInterfaces, wantedSysctls } from '../sysctl.ts';
import type { DrainOf } from '../wanted.ts';
import type { Kernel } from './kernel.ts';

/** What an audit starts from. */
export interface AuditInput {
  readonly config: Config;
  readonly node: string;
  /** Asked in every round: a verdict may come while the first one runs. */
  readonly verdicts: () => readonly Verdict[];
  /** Of servers that drain, and of sorry servers. */
  readonly otherVerdicts: () => readonly Verdict[];
  /** How far the drains of operators are now. */
  readonly drains: () => DrainOf;
  /** Monotonic. */
  readonly now: () => At;
  readonly owned: Owned;
  readonly applied: AppliedRules | undefined;
  /** As the last audit left the kernel; undefined: not known. */
  readonly known: Actual | undefined;
  readonly adopting: boolean;
  /** Clients that the sync knows of, by service: asked when the rules are written. */
  readonly clients: () => ReadonlyMap<string, readonly Address[]>;
}

interface AuditPorts {
  readonly kernel: Kernel;
  /** Remembers what is ours; awaited before it goes into the kernel. */
  readonly saveOwned: (owned: Owned) => Promise<void>;
}

const ROUNDS_MAX = 3;

export async function audit(input: AuditInput, ports: AuditPorts): Promise<Audit> {
  let { owned, applied } = input;
  const attempted: Change[] = [];
  const refused: Refusal[] = [];
  const known = await stillKnown(input, ports.kernel);
  let actual = known ?? (await readActual(input, ports.kernel, owned));
  const made = () => plan(planInput(input, actual, owned, applied));
  let current = made();
  if (known !== undefined && !isHarmless(current)) {
    actual = await readActual(input, ports.kernel, owned);
    current = made();
  }
  const first = current;
  let nftDrifted = false;
  for (let round = 0; round < ROUNDS_MAX && current.changes.length > 0; round += 1) {
    attempted.push(...current.changes);
    // Also when it was taken away only now, between two rounds.
    nftDrifted ||= current.nft !== undefined && current.nft === applied?.text;
    const claimed = claimOwned(owned, current);
    if (JSON.stringify(claimed) !== JSON.stringify(owned)) await ports.saveOwned(claimed);
    owned = claimed;
    applied = await apply(current, applied, ports.kernel, { refused, known: () => knownNow(input, ports.kernel) });
    actual = await readActual(input, ports.kernel, owned);
    current = made();
  }
  owned = await settleOwned(owned, current, actual, { ...ports, now: input.now });
  const pending = new Set(current.changes.map(change => change.change));
  const done = onceEach(attempted).filter(({ change }) => !pending.has(change));
  return { first, last: current, actual, done, nftDrifted, refused, owned, applied };
}

/**
 * What the last audit left, where IPVS has the same services, servers and weights still. With
 * hundreds of services a new weight would wait for seconds otherwise until all is read, which comes
 * afterwards.
 */
async function stillKnown({ known }: AuditInput, kernel: Kernel): Promise<Actual | undefined> {
  // An empty signature: the kernel has no IPVS yet, or nothing in it.
  if (known === undefined || known.ipvsSignature === '' || !known.ipvs.ok || !known.nft.ok) return undefined;
  return (await kernel.ipvsSignature()) === known.ipvsSignature ? known : undefined;
}

/** What would be changed now, without changing anything. */
export async function preview(input: AuditInput, kernel: Kernel): Promise<Plan> {
  const actual = await readActual(input, kernel, input.owned);
  return plan(planInput(input, actual, input.owned, input.applied));
}

function planInput(
  { config, node, verdicts, otherVerdicts, drains, now, adopting }: AuditInput,
  actual: Actual,
  owned: Owned,
  applied: AppliedRules | undefined,
): PlanInput {
  return {
    config,
    node,
    verdicts: verdicts(),
    otherVerdicts: otherVerdicts(),
    drainOf: drains(),
    now: now(),
    actual,
    owned,
    applied,
    adopting,
  };
}

/** Of several that read the same the first. */
function onceEach(changes: readonly Change[]): readonly Change[] {
  const seen = new Set<string>();
  return changes.filter(({ change }) => !seen.has(change) && seen.add(change));
}

async function readActual({ config, node, applied }: AuditInput, kernel: Kernel, owned: Owned): Promise<Actual> {
  if (!needsKernel(config, owned, applied)) {
    const empty = { table: { services: [] }, timeouts: { tcpS: 0, tcpFinS: 0, udpS: 0 } };
    return {
      ipvs: { ok: true, value: empty },
      ipvsSignature: '',
      interfaces: [],
      nft: { ok: true, value: undefined },
      sysctls: new Map(),
      readOnlySysctls: new Set(),
      interfaces6: [],
      ftpHelper: false,
    };
  }
  // IPVS first: reading it loads the module, which brings its settings. The signature before that:
  // what changes in between is then noticed at the next look.
  const ipvsSignature = await kernel.ipvsSignature();
  const ipvs = await kernel.readIpvs();
  const interfaces = await kernel.readInterfaces();
  const nft = await kernel.readNft();
  const interfaces6 = await kernel.ipv6Interfaces();
  const interfaces4 = forwardingInterfaces(config, node, interfaces);
  const names = wantedSysctls(config, interfaces6, interfaces4).map(rule => rule.name);
  const settings = { sysctls: await kernel.readSysctls(names), readOnlySysctls: await kernel.readOnlySysctls(names) };
  return { ipvs, ipvsSignature, interfaces, nft, ...settings, interfaces6, ftpHelper: await kernel.ftpHelperLoaded() };
}

/** The table is replaced as a whole, and its sets with it. */
async function knownNow({ config, clients }: AuditInput, kernel: Kernel): Promise<KnownClients> {
  const services = servicesWithKnown(config);
  if (services.length === 0) return new Map();
  return knownClients(config, { before: await kernel.readKnown(services), synced: clients() });
}

async function apply(
  made: Plan,
  applied: AppliedRules | undefined,
  kernel: Kernel,
  { refused, known }: { readonly refused: Refusal[]; readonly known: () => Promise<KnownClients> },
): Promise<AppliedRules | undefined> {
  const refuse = (target: PlanTarget, problem: string | undefined) => {
    if (problem !== undefined) refused.push({ target, problem });
  };
  for (const { rule } of made.sysctls) refuse('sysctl', await kernel.writeSysctl(rule.name, rule.value));
  if (made.ipvs.length > 0) for (const words of await kernel.applyIpvs(made.ipvs)) refuse('ipvs', words);
  if (made.nft === undefined) return applied;
  const problem = await kernel.applyNft(`${made.nft}${made.nft === removal() ? '' : knowing(await known())}`);
  refuse('nft', problem);
  if (problem !== undefined) return undefined;
  const listing = await kernel.readNft();
  return listing.ok ? { text: made.nft, listing: listing.value } : undefined;
}

/**
 * After the changes: services that are gone are ours no more, and those that leave have a
 * beginning.
 */
async function settleOwned(
  owned: Owned,
  made: Plan,
  actual: Actual,
  ports: AuditPorts & Pick<AuditInput, 'now'>,
): Promise<Owned> {
  let settled = owned;
  if (actual.ipvs.ok) {
    const present = new Set(actual.ipvs.value.table.services.map(service => service.key));
    const leaving = [...made.draining, ...made.quiet.filter(server => server.inUse)];
    settled = withLeaving(
      forgetOwned(owned, made.wanted, present),
      noteLeaving(owned.leaving ?? [], leaving, ports.now()),
    );
  }
  if (JSON.stringify(settled) !== JSON.stringify(owned)) await ports.saveOwned(settled);
  return settled;
}
