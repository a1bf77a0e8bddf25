// Imports of a text in a test, and the new config with its placeholders filled in.
import { FILL_IN, parseConfig } from '../../src/config/document.ts';
import type { Config } from '../../src/config/schema.ts';
import { type Imported, type ImportRequest, importConfig } from '../../src/import/import-config.ts';
import type { OldKind } from '../../src/import/old-kind.ts';
import type { Placeholder } from '../../src/import/placeholder.ts';

/** The config of `text`, a file called old.conf, for the routers r1 and r2. */
export function imported(kind: OldKind, text: string, more: Partial<ImportRequest> & { peer?: string } = {}): Imported {
  const { peer, ...request } = more;
  return importConfig({
    kind,
    file: { file: 'old.conf', text },
    peerFile: peer === undefined ? undefined : { file: 'peer.conf', text: peer },
    findIncluded: () => undefined,
    hosts: [undefined, undefined],
    names: ['r1', 'r2'],
    ...request,
  });
}

/** What `tandem check` makes of the printed text, once each placeholder has its example; throws its mistakes. */
export function filled(made: Imported): Config {
  return filledWith(made, ({ example }) => example);
}

/** The same, with values of one's own. */
export function filledWith(
  { yaml, placeholders }: Imported,
  answer: (placeholder: Placeholder) => string | number,
): Config {
  let text = yaml;
  const all = new Map(
    placeholders.map(one => [`${FILL_IN}: ${one.what}, like ${one.example}`, `${answer(one)}`] as const),
  );
  // The longest first: one may begin another.
  for (const [written, value] of [...all].sort(([a], [b]) => b.length - a.length)) {
    if (!text.includes(written)) throw new Error(`the text lacks ${written}`);
    text = text.replaceAll(`"${written}"`, value).replaceAll(written, value);
  }
  const parsed = parseConfig(text);
  if (parsed.ok) return parsed.config;
  throw new Error(parsed.mistakes.map(({ line, problem, remedy }) => `${line}: ${problem}; ${remedy}`).join('\n'));
}

/** Notes as "effect line: why", for what a test looks for. */
export function told({ notes }: Imported): string[] {
  return notes.map(({ effect, place, why }) => `${effect} ${place?.line ?? '-'}: ${why}`);
}
