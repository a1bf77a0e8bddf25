// One audit: read the kernel, plan, apply, read again until nothing is left to do (a few rounds at
// most: a module loaded by the first round brings settings that the second one sets). Not pure: the
// kernel, through its port. Decides nothing itself.
import type { Config } from '../../config/schema.ts';
import type { Verdict } from '../../nanny/verdict.ts';
import type { At } from '../../units/duration.ts';
import { noteLeaving } from '../leaving.ts';
import { claimOwned, forgetOwned, type Owned, withLeaving } from '../owned.ts';
import {
  type Actual,
  type AppliedRules,
  type Audit,
  type Change,
  needsKernel,
  type Plan,
  type PlanInput,
  type PlanTarget,
  plan,
  type Refusal,
} from '../plan.ts';
import { wantedSysctls } from '../sysctl.ts';
import type { Kernel } from './kernel.ts';

/** What an audit starts from. */
export interface AuditInput {
  readonly config: Config;
  readonly node: string;
  /** Asked in every round: a verdict may come while the first one runs. */
  readonly verdicts: () => readonly Verdict[];
  /** Of servers that drain. */
  readonly leavers: () => readonly Verdict[];
  /** Monotonic. */
  readonly now: () => At;
  readonly owned: Owned;
  readonly applied: AppliedRules | undefined;
  readonly adopting: boolean;
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
  let actual = await readActual(input, ports.kernel, owned);
  const made = () => plan(planInput(input, actual, owned, applied));
  let current = made();
  const first = current;
  let nftDrifted = false;
  for (let round = 0; round < ROUNDS_MAX && current.changes.length > 0; round += 1) {
    attempted.push(...current.changes);
    // Also when it was taken away only now, between two rounds.
    nftDrifted ||= current.nft !== undefined && current.nft === applied?.text;
    const claimed = claimOwned(owned, current);
    if (JSON.stringify(claimed) !== JSON.stringify(owned)) await ports.saveOwned(claimed);
    owned = claimed;
    applied = await apply(current, applied, ports.kernel, refused);
    actual = await readActual(input, ports.kernel, owned);
    current = made();
  }
  owned = await settleOwned(owned, current, actual, { ...ports, now: input.now });
  const pending = new Set(current.changes.map(change => change.change));
  const done = attempted.filter((change, i) => !pending.has(change.change) && firstIndex(attempted, change) === i);
  return { first, last: current, actual, done, nftDrifted, refused, owned, applied };
}

/** What would be changed now, without changing anything. */
export async function preview(input: AuditInput, kernel: Kernel): Promise<Plan> {
  const actual = await readActual(input, kernel, input.owned);
  return plan(planInput(input, actual, input.owned, input.applied));
}

function planInput(
  { config, node, verdicts, leavers, now, adopting }: AuditInput,
  actual: Actual,
  owned: Owned,
  applied: AppliedRules | undefined,
): PlanInput {
  return { config, node, verdicts: verdicts(), leavers: leavers(), now: now(), actual, owned, applied, adopting };
}

function firstIndex(changes: readonly Change[], { change }: Change): number {
  return changes.findIndex(candidate => candidate.change === change);
}

async function readActual({ config, applied }: AuditInput, kernel: Kernel, owned: Owned): Promise<Actual> {
  if (!needsKernel(config, owned, applied)) {
    const empty = { table: { services: [] }, timeouts: { tcpS: 0, tcpFinS: 0 } };
    return {
      ipvs: { ok: true, value: empty },
      ipvsSignature: '',
      interfaces: [],
      nft: { ok: true, value: undefined },
      sysctls: new Map(),
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
  const sysctls = await kernel.readSysctls(wantedSysctls(config, interfaces6).map(rule => rule.name));
  return { ipvs, ipvsSignature, interfaces, nft, sysctls, interfaces6, ftpHelper: await kernel.ftpHelperLoaded() };
}

async function apply(
  made: Plan,
  applied: AppliedRules | undefined,
  kernel: Kernel,
  refused: Refusal[],
): Promise<AppliedRules | undefined> {
  const refuse = (target: PlanTarget, problem: string | undefined) => {
    if (problem !== undefined) refused.push({ target, problem });
  };
  for (const { rule } of made.sysctls) refuse('sysctl', await kernel.writeSysctl(rule.name, rule.value));
  if (made.ipvs.length > 0) for (const words of await kernel.applyIpvs(made.ipvs)) refuse('ipvs', words);
  if (made.nft === undefined) return applied;
  const problem = await kernel.applyNft(made.nft);
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
