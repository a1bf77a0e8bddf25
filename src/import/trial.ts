// A new config is tried before it is shown: with examples in the place of what is to be filled in,
// `tandem check` must be content. What it refuses is taken out, and told in its own words. Pure.
import { parseConfig } from '../config/document.ts';
import type { Mistake } from '../config/mistakes.ts';
import type { NoteTaker } from './note.ts';
import type { OldService } from './old-config.ts';
import { type Draft, withExamples } from './placeholder.ts';

export type DraftMap = { [key: string]: Draft | undefined };

const ROUNDS_MAX = 60;
/** From this round on all that is refused goes at once: what is refused may be so for another. */
const PATIENT_ROUNDS = 20;

/** Fields of a service without which it is still one. */
const OPTIONAL = ['sorry_server', 'persistence_prefix', 'scheduler_options'];

/** The draft without what Tandem refuses. Ends after at most `ROUNDS_MAX` rounds. */
export function tried(draft: DraftMap, services: readonly OldService[], notes: NoteTaker): DraftMap {
  let kept = draft;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const result = parseConfig(JSON.stringify(withExamples(kept)));
    if (result.ok) return kept;
    const errors = result.mistakes.filter(({ severity }) => severity === 'error');
    const next = without(kept, errors, services, notes);
    if (next === undefined) return kept;
    kept = next;
    if (round >= PATIENT_ROUNDS) kept = withoutServices(kept, errors, services, notes);
  }
  return kept;
}

/** Undefined: none of the mistakes is in something that can be taken out. */
function without(
  draft: DraftMap,
  mistakes: readonly Mistake[],
  services: readonly OldService[],
  notes: NoteTaker,
): DraftMap | undefined {
  for (const { path, problem } of mistakes) {
    const [part, name, field, ...rest] = path.split('.');
    if (part === 'lans' && name !== undefined && (field === 'vips' || field === 'gateways')) {
      const list = (at(draft, [part, name])?.[field] ?? []) as readonly Draft[];
      const index = Number(rest[0]);
      const gone = list[index];
      if (typeof gone !== 'string') continue;
      notes.lost(undefined, `the address ${gone} is left out: ${problem}`, [part, name]);
      return edit(
        draft,
        [part, name, field],
        list.length === 1 ? undefined : list.filter((_, other) => other !== index),
      );
    }
    if (part !== 'services' || name === undefined) continue;
    const old = services.find(service => service.name === name);
    if (field === 'servers' && rest[0] !== undefined) {
      const address = at(draft, [part, name, 'servers', rest[0]])?.address;
      const server = old?.servers.find(other => other.address === address);
      notes.lost(server?.at ?? old?.at, `Tandem refuses this server, and it is left out: ${problem}`, [part, name]);
      return edit(draft, [part, name, 'servers', rest[0]], undefined);
    }
    if (field !== undefined && OPTIONAL.includes(field)) {
      notes.lost(
        old?.[field === 'sorry_server' ? 'sorry' : 'check']?.at ?? old?.at,
        `Tandem refuses ${field}, and it is left out: ${problem}`,
        [part, name],
      );
      return edit(draft, [part, name, field], undefined);
    }
    if (field === 'check' && rest[0] !== undefined) {
      notes.lost(old?.check.at ?? old?.at, `Tandem refuses check.${rest[0]}, and it is left out: ${problem}`, [
        part,
        name,
        field,
      ]);
      return edit(draft, [part, name, field, rest[0]], undefined);
    }
    notes.lost(old?.at, `Tandem refuses this service, and it is left out with all its lines: ${problem}`, [part]);
    return edit(draft, [part, name], undefined);
  }
  return undefined;
}

/** Without any service that has a mistake. */
function withoutServices(
  draft: DraftMap,
  mistakes: readonly Mistake[],
  services: readonly OldService[],
  notes: NoteTaker,
): DraftMap {
  let kept = draft;
  for (const { path, problem } of mistakes) {
    const [part, name] = path.split('.');
    if (part !== 'services' || name === undefined || at(kept, [part, name]) === undefined) continue;
    const old = services.find(service => service.name === name);
    notes.lost(old?.at, `Tandem refuses this service, and it is left out with all its lines: ${problem}`, [part]);
    kept = edit(kept, [part, name], undefined);
  }
  return kept;
}

function at(draft: DraftMap, path: readonly string[]): DraftMap | undefined {
  let value: Draft | undefined = draft as Draft;
  for (const step of path) {
    if (typeof value !== 'object' || Array.isArray(value)) return undefined;
    value = (value as DraftMap)[step];
  }
  return value as DraftMap | undefined;
}

function edit(draft: DraftMap, [step, ...rest]: readonly string[], value: Draft | undefined): DraftMap {
  if (step === undefined) return draft;
  const inner = rest.length === 0 ? value : (edit((draft[step] ?? {}) as DraftMap, rest, value) as Draft);
  return { ...draft, [step]: inner };
}
